"""The Python face: `s4zmq.Client`. Its methods stand in `apikeys` and `apijobs`.

Installs no signal handlers, and leaves the settings of the process alone.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import Union

from . import memory, views
from .amounts import Counts
from .answers import Verified
from .apijobs import JobVerbs
from .apikeys import KeyVerbs
from .config import load_config
from .keys import SCHEME, parse_prefix
from .pool import Pool
from .progress import Progress
from .s3cp import copy_s3
from .session import Health
from .verify import look
from .views import NodeStatus, NodeUsage

Path = Union[str, "os.PathLike[str]"]


class Client(KeyVerbs, JobVerbs):
    """A cluster, to be worked with from Python.

        import s4zmq

        with s4zmq.Client() as s4:
            s4.put(b"hello\\n", "s4://greetings/one")
            print(s4.get("s4://greetings/one"))

    Conf file and cluster key are found as `s4` finds them, or are named: `Client("/etc/s4.conf")`. Making
    one asks no node; the first call does.

    May be used by any number of threads at once: each call has connections of its own, which are kept for
    the next one. After a fork, or when it was pickled, the other process may use it too, and gets new
    ones. Close it, or use it in a `with`; closing twice is fine, and a call after that raises RequestError.
    KeyboardInterrupt, or any other exception, in the midst of a call ends that call's work on all nodes.

    Keys are full text, `s4://bucket/dir/name`. Errors are subclasses of S4Error, and of these any call may
    raise KeyInvalid, ConfigError, AccessDenied, NodeUnreachable and NodeBusy.
    """

    def __init__(self, conf: Path | None = None, key: Path | None = None) -> None:
        """`conf`: path of the conf file, else $S4_CONF_PATH, ~/.s4.conf, or that of `s4 up`. `key`: path
        of the cluster key, "" for none. Raises ConfigError."""
        self._is_open = False
        memory.be_guest("a Client")
        self._pool = Pool(load_config(_text(conf), _text(key)))
        self._is_open = True

    def __reduce__(self) -> tuple[type[Client], tuple[str, str]]:
        """Where it is pickled, the other process finds conf file and key at the same paths."""
        config = self._pool.config
        return Client, (config.path, config.key_path)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; twice is fine. Files that are open can not be used any more."""
        self._is_open = False
        self._pool.close()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._pool.is_closed

    def __del__(self) -> None:
        if getattr(self, "_is_open", False) and not sys.is_finalizing():
            warnings.warn("a Client of s4zmq was never closed", ResourceWarning, 2, self)
            self.close()

    def __repr__(self) -> str:
        state = ", closed" if self.closed else ""
        return f"<s4zmq.Client of {self._pool.config.path}: {len(self.nodes)} nodes{state}>"

    # -- the cluster

    @property
    def nodes(self) -> Sequence[str]:
        """host:port of each node, in the order of the conf file."""
        return self._pool.config.roster.nodes

    def health(self) -> list[Health]:
        """Which nodes answer, in order, within two seconds: rows of node, is_healthy, reason."""
        with self._pool.session() as session:
            return session.health()

    def status(self) -> list[NodeStatus]:
        """How each node is, in order, within two seconds: is_up, reason, processor time, and amounts by
        name, as `s4 status` shows them."""
        with self._pool.session() as session:
            return views.status(session)

    def usage(self, prefix: str = SCHEME) -> list[NodeUsage]:
        """How many keys that start with this text, and bytes of them, each node has: node, keys, bytes."""
        with self._pool.session() as session:
            return views.usage(session, parse_prefix(prefix))

    def verify(self, prefix: str = SCHEME) -> Verified:
        """Have all nodes read their keys that start with this text, and compare them with their checksums.

            assert not s4.verify("s4://csv/").damaged

        Raises KeyNotFound where there is none.
        """
        with self._pool.session() as session:
            return look(session, parse_prefix(prefix), Progress())

    def copy_s3(self, source: str, target: str, *, recursive: bool = False, resume: bool = False) -> Counts:
        """From or to S3, by the nodes, with their credentials; keys, bytes, skipped. With `recursive` all
        that is below; with `resume` what is there with equal bytes is passed over.

            s4.copy_s3("s3://my-bucket/trip/", "s4://csv/", recursive=True)

        Raises KeyExists, KeyInvalid, AwsMissing, AwsDenied and NoSpace before anything moves.
        """
        flags = {"recursive": recursive, "resume": resume}
        with self._pool.session() as session:
            return copy_s3(session, source, target, **flags, progress=Progress())


def _text(path: Path | None) -> str | None:
    return None if path is None else os.fspath(path)

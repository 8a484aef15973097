"""The cluster key: one file, and whoever holds it may speak to the nodes.

    s4-cluster-key-1 6f0c...        64 hexadecimal digits: the secret half of a Curve25519 pair

All nodes and clients of a cluster share the pair. A node proves with it that it is one of them, a client
that it may speak; the public half follows from the secret one. The bytes of a key go from here into
sockets, and never into a text, a log, an argument or an environment.
"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from .errors import ConfigError, LocalFileError, map_errors

_MARK = "s4-cluster-key-1"
_SECRET_BYTES = 32
_FILE_MAX_BYTES = 4096
_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class ClusterKey(NamedTuple):
    """A key, and the file that it came from."""

    path: str
    """Absolute."""

    secret: bytes
    """32 bytes."""

    def __repr__(self) -> str:
        return f"ClusterKey({self.path!r})"  # tracebacks and logs show what this says


def read_key(path: str) -> ClusterKey:
    """The key in a file. Raises ConfigError where it is missing, open to others, or no key."""
    with map_errors({OSError: ConfigError}, f"can not read the cluster key {path}"):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not hold us up
        try:
            _check_mode(path, os.fstat(fd))
            content = os.read(fd, _FILE_MAX_BYTES)
        finally:
            os.close(fd)
    return ClusterKey(path, _parse(content, path))


def write_key(path: str) -> None:
    """A new key in a new file, which only its owner may read. Raises LocalFileError where one is there."""
    text = f"{_MARK} {os.urandom(_SECRET_BYTES).hex()}\n"
    with map_errors({OSError: LocalFileError}, f"can not write a cluster key to {path}"):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(fd, 0o600)  # an umask may have taken more
            os.write(fd, text.encode())
        except BaseException:
            os.unlink(path)
            raise
        finally:
            os.close(fd)


def _check_mode(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"the cluster key {path} is no plain file")
    if found.st_mode & _OF_OTHERS:
        raise ConfigError(
            f"the cluster key {path} is open to other users (mode {stat.S_IMODE(found.st_mode):04o}):"
            f" say `chmod 600 {path}`, and make a new key if somebody may have read it"
        )


def _parse(content: bytes, path: str) -> bytes:
    """Its words are not repeated in the error: a key with a slip in it is still nearly a key."""
    words = content.split()
    if len(words) == 2 and words[0] == _MARK.encode():
        try:
            secret = bytes.fromhex(words[1].decode())
        except ValueError:
            secret = b""
        if len(secret) == _SECRET_BYTES:
            return secret
    raise ConfigError(f"{path} is no cluster key: `s4 keygen` makes one")

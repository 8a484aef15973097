"""s4zmq: immutable keys on a cluster of nodes, and shell commands where they lie.

    import s4zmq

    with s4zmq.Client() as s4:
        s4.put(b"hello", "s4://greetings/one")

`Client` and the errors are here; they are loaded when they are first named, so that the command line need
not. `s4zmq.fs` is a file system for fsspec.

Only map-to-n moves data between nodes. The rooms, from the ground up; a room imports from lower
layers only, and a test keeps that:

     0  limits errors wirekeys mailbox interrupts memory pipes points units crew sections
        logs supervisor jsonlines counters tables screen amounts connections
     1  progressviews wirejobs wires3 wireviews clusterkey
     2  wire bars
     3  keys checksum commandtext codec sorting trees watching harvest progress descriptors strangers
        turns space tally bouncer
     4  placement transfer sockets sessions caller localfiles outstanding processes door recipes
        journal aws metrics vitals
     5  config store lines lease shell joblogs ledger indoubt admissions replies s3names gatekeeper
        handshakes
     6  courier bashes slots reception datadir listing scratch sinks inbox spool linefile s3bucket
        history ec2
     7  session streams recount walks counting keyserver outputs parcels s3sums uploads
     8  usage totals views puts gets ranges pool printing staging evals inputs judging verifier usages
        s3fetch answers
     9  files evaluating viewprints verify copying runs fates s3upload
        synopsis
    10  shuffle s3copies s3cp summaries completion helptexts
    11  shipment
    12  tasks
    13  survey
    14  job
    15  jobs
    16  lookout
    17  node
    18  daemon embedded
    19  keyverbs jobverbs viewverbs demo apikeys apijobs helpverbs
    20  clusterverbs api
    21  cli fs
    22  bench
    23  examples
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .amounts import Counts
    from .answers import Entry, EvalResult, Stat, Verified
    from .api import Client
    from .errors import (
        AccessDenied,
        ChecksumMismatch,
        CommandFailed,
        ConfigError,
        KeyExists,
        KeyInvalid,
        KeyNotFound,
        KeyReplaced,
        LocalFileError,
        NodeBusy,
        NodeUnreachable,
        NoSpace,
        RequestError,
        S4Error,
    )
    from .evaluating import Evaluation
    from .files import KeyReader, KeyWriter
    from .runs import Progress, Summary
    from .views import JobLog, Jobs, JobView, NodeStatus, NodeUsage

__version__ = "0.1.0"

__all__ = [
    "AccessDenied",
    "ChecksumMismatch",
    "Client",
    "CommandFailed",
    "ConfigError",
    "Counts",
    "Entry",
    "EvalResult",
    "Evaluation",
    "JobLog",
    "JobView",
    "Jobs",
    "KeyExists",
    "KeyInvalid",
    "KeyNotFound",
    "KeyReader",
    "KeyReplaced",
    "KeyWriter",
    "LocalFileError",
    "NoSpace",
    "NodeBusy",
    "NodeStatus",
    "NodeUnreachable",
    "NodeUsage",
    "Progress",
    "RequestError",
    "S4Error",
    "Stat",
    "Summary",
    "Verified",
]

_ROOMS = {
    "Client": "api",
    **dict.fromkeys(("Entry", "EvalResult", "Stat", "Verified"), "answers"),
    "Evaluation": "evaluating",
    **dict.fromkeys(("KeyReader", "KeyWriter"), "files"),
    "Counts": "amounts",
    **dict.fromkeys(("Progress", "Summary"), "runs"),
    **dict.fromkeys(("JobLog", "JobView", "Jobs", "NodeStatus", "NodeUsage"), "views"),
}
"""Where what is not an error comes from."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(f".{_ROOMS.get(name, 'errors')}", __name__), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""The messages: what nodes, clients and peers say to each other. `PROTOCOL.md` is the same in prose.

Here is the table of them; the types stand in `wirekeys`, `wirejobs`, `wires3` and `wireviews`, and are
known to everybody else by the names that they have here. No sockets and no behaviour; `codec` turns them
into frames. NamedTuples, because thirty frozen dataclasses would cost every start of the command line 20
ms; and no `annotations` from `__future__`, because NamedTuple compiles annotations that are text, for 1 ms
more.

To add a message: a class in one of those, a line in OPS, a heading in PROTOCOL.md, a handler in `node`,
a pinned example in the tests (which fail until all of it is there).

Sizes and offsets are bytes. `writer`, `job`, `task`, `transfer`, `origin` and `digest` are 16 raw bytes,
`session`, `boot` and `recipe` 8; `data` is host:port. Keys travel as full text, and the node parses them.
"""

from collections.abc import Mapping

from .wirejobs import (
    Abort,
    Allow,
    CancelJob,
    Census,
    CensusReply,
    Clear,
    Commit,
    Eval,
    EvalDone,
    Fates,
    FatesReply,
    JobDone,
    Offer,
    Output,
    Plan,
    Planned,
    Progress,
    Run,
    Settle,
    Staged,
)
from .wirekeys import (
    Close,
    Credit,
    Delete,
    DeleteBelow,
    Deleted,
    Drop,
    Failure,
    FailureRow,  # noqa: F401 - named as wire.FailureRow
    Fetch,
    Get,
    Granted,
    List,
    More,
    Ok,
    Open,
    Page,
    Ping,
    Pong,
    Put,
    PutDone,
    Range,
    Removing,
    Room,
    RoomReply,
    Stats,
    StatsReply,
    Stored,
    Values,
    Verify,
    VerifyDone,
    Verifying,
)
from .wires3 import (
    Moved,
    Moving,
    StageIn,
    StageOut,
)
from .wireviews import (
    JobList,
    JobLogs,
    JobLogsReply,
    ListJobs,
    Status,
    StatusReply,
    Usage,
    UsageReply,
)

VERSION = 5
"""Two sides with different versions refuse each other. Raise it when an old reader would be misled."""

OPS: Mapping[type, str] = {
    Ping: "ping",
    Pong: "pong",
    Stats: "stats",
    StatsReply: "stats-reply",
    Close: "close",
    Ok: "ok",
    Failure: "failure",
    Put: "put",
    PutDone: "put-done",
    Open: "open",
    Granted: "granted",
    Credit: "credit",
    Drop: "drop",
    Stored: "stored",
    Room: "room",
    RoomReply: "room-reply",
    Get: "get",
    Values: "values",
    Fetch: "fetch",
    Range: "range",
    List: "list",
    More: "more",
    Page: "page",
    Delete: "delete",
    DeleteBelow: "delete-below",
    Removing: "removing",
    Deleted: "deleted",
    Verify: "verify",
    Verifying: "verifying",
    VerifyDone: "verify-done",
    Eval: "eval",
    Allow: "allow",
    Output: "output",
    EvalDone: "eval-done",
    Plan: "plan",
    Planned: "planned",
    Run: "run",
    Progress: "progress",
    JobDone: "job-done",
    CancelJob: "cancel-job",
    Offer: "offer",
    Staged: "staged",
    Commit: "commit",
    Abort: "abort",
    Settle: "settle",
    Fates: "fates",
    FatesReply: "fates-reply",
    Census: "census",
    CensusReply: "census-reply",
    Clear: "clear",
    StageIn: "stage-in",
    StageOut: "stage-out",
    Moving: "moving",
    Moved: "moved",
    ListJobs: "list-jobs",
    JobList: "job-list",
    JobLogs: "job-logs",
    JobLogsReply: "job-logs-reply",
    Status: "status",
    StatusReply: "status-reply",
    Usage: "usage",
    UsageReply: "usage-reply",
}

BY_OP: Mapping[str, type] = {op: cls for cls, op in OPS.items()}

INTERIM = frozenset((Granted, Credit, Removing, Verifying, Output, Progress, Moving))
"""Replies after which more follow for the same request; every other reply is the final one."""

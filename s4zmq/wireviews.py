"""The messages of who looks on: jobs and their logs, the state of a node, what is below a prefix.

Types only, see `wire`. None of them changes anything.
"""

from typing import NamedTuple

JobRow = tuple[bytes, str, str, str, str, str, int, int, int, int, int, float]
"""(job, verb, inputs, outdir, first line of the command, state, commands, done, failed, bytes, started_ns,
seconds). The state is `running`, `done`, `failed`, `cancelled` (by another client) or
`stopped` (its own client did, or was not heard of)."""

LogRow = tuple[str, int, int, int, str, int, int]
"""(key, attempt from 1, exit status or 0, ended_ns, what happened, bytes of stderr in the body, bytes of it
before these that were not kept)."""


class ListJobs(NamedTuple):
    """Which jobs are under way on this node, and which were lately?"""


class JobList(NamedTuple):
    """Answer to ListJobs: those under way, then the last ones that have ended, newest first."""

    jobs: list[JobRow]


class JobLogs(NamedTuple):
    """What have failed commands of a job written to stderr on this node?"""

    job: bytes
    key: str
    """Only of this input, or of a merge this output; "" for all."""


class JobLogsReply(NamedTuple):
    """Answer to JobLogs. The body holds what they wrote, one behind another."""

    entries: list[LogRow]
    """In the order in which they ended."""

    omitted: int
    """Failed attempts of the job of which nothing was kept."""


class Status(NamedTuple):
    """How is this node?"""


class StatusReply(NamedTuple):
    """Answer to Status."""

    cpu: float
    """Seconds of processor time a second that the node and its commands take now."""

    machine_cpu: float
    """The same of everything on its machine."""

    amounts: dict[str, int]
    """Counts and bytes by name, see PROTOCOL.md."""


class Usage(NamedTuple):
    """How many keys of this node start with a prefix, and how many bytes have they?"""

    prefix: str


class UsageReply(NamedTuple):
    """Answer to Usage."""

    keys: int
    bytes: int

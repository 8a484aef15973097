"""The messages: what nodes, clients and peers say to each other. `PROTOCOL.md` is the same in prose.

Types only, no sockets and no behaviour; `codec` turns them into frames. NamedTuples, because thirty
frozen dataclasses would cost every start of the command line 20 ms; and no `annotations` from
`__future__`, because NamedTuple compiles annotations that are text, for 1 ms more.

To add a message: a class here, a line in OPS, a heading in PROTOCOL.md, a handler in `node`, a
pinned example in the tests (which fail until all of it is there).

Sizes and offsets are bytes. `writer`, `job`, `task`, `transfer`, `origin` and `digest` are 16 raw bytes,
`session`, `boot` and `recipe` 8; `data` is host:port. Keys travel as full text, and the node parses them.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

VERSION = 3
"""Two sides with different versions refuse each other. Raise it when an old reader would be misled."""

FailureRow = tuple[int, str, str, dict[str, Any]]
"""(index of the entry that failed, code, text, details)."""

# -- common


class Ping(NamedTuple):
    """Are you there? Renews the session's lease, and asks which requests the node never got."""

    pending: list[int]
    """Ids of this connection's requests that wait for a reply."""


class Pong(NamedTuple):
    """Alive. Comes after every reply that was sent before it on this connection."""

    boot: bytes
    """Differs after a restart of the node."""

    lost: list[int]
    """Those of `pending` that the node does not work on: the request or its reply was lost."""


class Stats(NamedTuple):
    """What is the node holding at this moment?"""


class StatsReply(NamedTuple):
    """Counts of what is under way; all zero on an idle node."""

    counts: dict[str, int]


class Close(NamedTuple):
    """The client ends: tear down all that belongs to its session, now."""


class Ok(NamedTuple):
    """Done, nothing more to say."""


class Failure(NamedTuple):
    """The final reply to a request that failed."""

    code: str
    text: str
    details: dict[str, Any]


# -- keys


class Put(NamedTuple):
    """Store small values. The body holds them one behind another, in the order of `entries`."""

    entries: list[tuple[str, int, bytes]]
    """(key, size, digest). With `job` set, the name of a shipped file stands in the key's place."""

    writer: bytes
    """A retry of the same request carries the same writer and succeeds."""

    job: bytes = b""


class PutDone(NamedTuple):
    """Every entry is stored, but for `failures`."""

    failures: list[FailureRow]


class Open(NamedTuple):
    """Store one value that comes as chunks on the data socket."""

    key: str
    """With `job` set, the name of a shipped file."""

    size: int
    sized: bool
    """False where the size is not known beforehand (a pipe); `size` is 0 then."""

    writer: bytes
    job: bytes = b""
    digest: bytes = b""
    """Of what is to be sent, where the sender has read it before: whether a key that stands there has
    these very bytes is then looked at, and not only what its attribute says."""


class Granted(NamedTuple):
    """Send `chunks` chunks of `transfer` to the node's data socket."""

    transfer: bytes
    chunks: int
    data: str


class Credit(NamedTuple):
    """`chunks` more: as many were written to the disk."""

    chunks: int


class Drop(NamedTuple):
    """The sender gives a transfer up: its Open or Offer ends with E_CANCELLED."""

    transfer: bytes


class Stored(NamedTuple):
    """The value is whole, checked and visible."""

    size: int
    digest: bytes


class Room(NamedTuple):
    """How much fits on the node's disk now?"""


class RoomReply(NamedTuple):
    """Answer to Room."""

    free: int
    """Bytes that no transfer under way is going to need."""

    disk: bytes
    """16 bytes, the same for nodes whose data lies on one file system: they share what is free."""


class Get(NamedTuple):
    """Read small values. Those up to INLINE_MAX_BYTES come back in the body, in order."""

    keys: list[str]
    inline: bool
    """False asks for sizes and digests only."""


class Values(NamedTuple):
    """Answer to Get."""

    entries: list[tuple[int, bytes, bool]]
    """(size, digest, whether the body holds it); a failed entry is (0, b"", False)."""

    failures: list[FailureRow]


class Fetch(NamedTuple):
    """One range of one value. Stateless on the node: keys never change."""

    key: str
    offset: int
    length: int
    """1..CHUNK_BYTES; the last range may come back shorter."""


class Range(NamedTuple):
    """Answer to Fetch; the bytes are the body."""

    size: int
    digest: bytes
    """Both of the whole value that this range belongs to."""


class List(NamedTuple):
    """Keys of this node that start with `prefix` (text of bucket/dir/name, may end anywhere)."""

    prefix: str
    recursive: bool
    """False: folders below the last slash of `prefix` are one entry each, ending in a slash."""


class More(NamedTuple):
    """The next page of a listing. The page before can be asked for again until the last was given."""

    cursor: int
    page: int


class Page(NamedTuple):
    """Part of a listing, sorted by path as bytes."""

    entries: list[tuple[str, int, int]]
    """(path, size, time of commit in ns since 1970)."""

    cursor: int
    """0 where this was the last page."""


class Delete(NamedTuple):
    """Remove single keys; one that is not there is a failure."""

    keys: list[str]


class DeleteBelow(NamedTuple):
    """Remove every key that starts with `prefix`."""

    prefix: str


class Deleted(NamedTuple):
    """Answer to Delete and DeleteBelow."""

    removed: int
    failures: list[FailureRow]


class Verify(NamedTuple):
    """Read every key that starts with `prefix` anew and compare it with its size and checksum."""

    prefix: str
    """As in DeleteBelow, or empty for all keys."""


class Verifying(NamedTuple):
    """Counts since the start of a Verify on this node."""

    keys: int
    bytes: int
    damaged: int
    """Of `keys`."""


class VerifyDone(NamedTuple):
    """Every key was looked at."""

    keys: int
    bytes: int
    damaged: int
    failures: list[FailureRow]
    """The first few; `damaged` counts all."""


# -- commands


class Eval(NamedTuple):
    """Run a command with a key on its stdin and stream its output back."""

    key: str
    command: str
    window: int
    """Messages of output that may be in flight until Allow raises it."""


class Allow(NamedTuple):
    """The client has taken `messages` messages of output of the eval whose request had id `eval`.

    Has no reply.
    """

    eval: int
    messages: int


class Output(NamedTuple):
    """Bytes that the command wrote: `stream` 1 for stdout, 2 for stderr; the bytes are the body."""

    stream: int


class EvalDone(NamedTuple):
    """The command ended. 128 + n for a signal n, as in a shell."""

    status: int


class Plan(NamedTuple):
    """A job, for this node's keys: count them, look for conflicts, run nothing yet."""

    job: bytes
    kind: str
    """map, map-to-n or map-from-n."""

    inputs: str
    """A folder or glob of keys."""

    outdir: str
    command: str
    files: list[tuple[str, bytes]]
    """(name, digest) of the shipped files that must be there before Run."""

    retries: int
    timeout_s: float
    """0: none."""

    jobs: int
    """Commands at once on this node; 0: the node's own number."""

    keep_going: bool
    resume: bool
    """Finish an earlier run of the same kind, inputs, outdir, command and files."""

    dry_run: bool
    """Only answer; there is no job to run then."""


class Planned(NamedTuple):
    """Answer to Plan."""

    keys: int
    bytes: int
    commands: int
    complete: int
    """How many need not, because an earlier run has done them; always 0 unless it resumes one."""

    conflicts: list[str]
    """Keys that are in the way, the first few."""


class Run(NamedTuple):
    """Start a planned job; Progress follows now and then, JobDone at the end."""

    job: bytes


class Progress(NamedTuple):
    """Counts since the start of the job on this node."""

    done: int
    failed: int
    bytes: int
    """Of the inputs that are done."""


class JobDone(NamedTuple):
    """The job has ended on this node and nothing of it is left but its outputs."""

    done: int
    failed: int
    bytes: int
    outputs: int
    failures: list[FailureRow]
    """The first few; `failed` counts all."""


class CancelJob(NamedTuple):
    """Stop the job's commands and remove what they left. Its Run gets its final reply after that."""

    job: bytes


# -- shuffle, from node to node


class Offer(NamedTuple):
    """Outputs of one input that belong on this node. They stay hidden until Commit.

    A small parcel is in the body (`digests` given); a large one follows as chunks.
    """

    task: bytes
    parcel: int
    """Number of this parcel within its task."""

    entries: list[tuple[str, int]]
    """(key, size)."""

    digests: list[bytes]
    inline: bool
    origin: bytes
    """What the outputs were made from: it goes into their stamps. 16 bytes."""


class Staged(NamedTuple):
    """Every output of the parcel is on the node's disk, checked and hidden."""


class Commit(NamedTuple):
    """Make all staged parcels of a task visible."""

    task: bytes
    parcels: int
    sender: str
    """host:port of the node that decides on the task's fate, for when it is in doubt."""


class Abort(NamedTuple):
    """Forget all staged parcels of a task, and remove what a Commit of it made visible."""

    task: bytes


class Settle(NamedTuple):
    """Every node has committed the task: it can not be aborted any more."""

    task: bytes


class Fates(NamedTuple):
    """What has become of these tasks of yours, that are in doubt here?"""

    recipe: bytes
    tasks: list[bytes]


class FatesReply(NamedTuple):
    """Answer to Fates."""

    fates: list[str]
    """done, undone or pending, for each task."""


class Census(NamedTuple):
    """Whose keys are in these folders of outputs on this node?"""

    recipe: bytes
    folders: list[tuple[str, bytes]]
    """(folder, task whose outputs are expected there)."""


class CensusReply(NamedTuple):
    """Answer to Census."""

    folders: list[tuple[int, int, str]]
    """(outputs of the task, other outputs of the recipe, a key that is neither or "")."""


class Clear(NamedTuple):
    """Remove what runs of a recipe have left directly in these folders of outputs."""

    recipe: bytes
    folders: list[str]


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
}

BY_OP: Mapping[str, type] = {op: cls for cls, op in OPS.items()}

INTERIM = frozenset((Granted, Credit, Verifying, Output, Progress))
"""Replies after which more follow for the same request; every other reply is the final one."""

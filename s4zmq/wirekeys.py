"""The messages about a node and about keys: pings and failures, put, get, list, delete, verify.

Types only, see `wire`.
"""

from typing import Any, NamedTuple

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


class Removing(NamedTuple):
    """Counts since the start of a DeleteBelow on this node."""

    removed: int


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

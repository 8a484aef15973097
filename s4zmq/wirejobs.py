"""The messages about commands: evals, jobs, and the shuffle between nodes.

Types only, see `wire`.
"""

from typing import NamedTuple

from .wirekeys import FailureRow

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
    command_bytes: int
    """Of the inputs of `commands`."""

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
    made: list[int]
    """Bytes of the outputs of this node's commands on each node, in the order of the roster."""

    slowest: list[tuple[str, float]]
    """(key, seconds that its command ran), the slowest few first; in a merge the key of the output."""

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

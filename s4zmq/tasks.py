"""One run of a job's command on one input: map, map-to-n, map-from-n.

A task ends in outputs that are visible, or in an error with nothing left. How many run at once, and
what becomes of a failed one, is the job's business.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from . import points, scratch
from .bashes import Bashes
from .checksum import digest_of_file
from .commandtext import tail_of
from .counters import Counters
from .errors import Cancelled, CommandFailed, KeyInvalid
from .harvest import Result
from .history import History
from .inputs import Item, members_of
from .keys import Folder, Key, show
from .ledger import Done, Ledger
from .limits import PARCEL_MAX_FILES
from .outputs import Outputs
from .placement import Roster
from .recipes import GroupMark, mark_of, origin_of
from .shell import Command, Outcome, Shell, Switch
from .shipment import Dock, Output, Shipment
from .sorting import sorted_lines
from .staging import Group
from .store import Stamp, Store


class Workshop(NamedTuple):
    """What a node gives its tasks."""

    node: str
    roster: Roster
    store: Store
    shell: Shell
    dock: Dock
    outputs: Outputs
    ledger: Ledger
    history: History
    counters: Counters


class Order(NamedTuple):
    """What is the same for all tasks of a job."""

    job: bytes
    recipe: bytes
    """Its fingerprint."""

    outdir: Folder
    command: str
    bashes: Bashes
    shipped: Sequence[str]
    """Paths of the shipped files."""

    timeout_s: float
    cancel: Switch
    slot: Callable[[], AbstractContextManager[None]]
    """Makes a context that holds one of the slots for commands."""


def run_task(kind: str, shop: Workshop, order: Order, item: Item, attempt: int) -> Result:
    """Run one task; what it has made. Raises S4Error."""
    identity = b"%b %d %b" % (order.job, attempt, item.path.encode())
    task = hashlib.blake2b(identity, digest_size=16).digest()
    points.reach("task.starting")
    return _KINDS[kind](shop, order, item, task)


def _map(shop: Workshop, order: Order, item: Item, task: bytes) -> Result:
    key = Key(item.path)
    with _checked(shop.store, key) as (source, digest):
        output = order.outdir.key(item.label)
        origin = origin_of(order.recipe, mark_of(digest))
        made = _Made(output, str(key), task, origin)
        return _run_to_key(shop, order, item, made, source)


def _map_from_n(shop: Workshop, order: Order, item: Item, task: bytes) -> Result:
    output = order.outdir.key(item.label)
    mark = GroupMark()
    for member in members_of(shop.store, item.members):
        mark.see(member.path, shop.store.require_sound(member))
    made = _Made(output, str(output), task, origin_of(order.recipe, mark.mark))
    return _run_to_key(shop, order, item, made, item.members)


class _Made(NamedTuple):
    """What becomes of the stdout of a command."""

    output: Key
    subject: str
    """`$S4_KEY` of the command."""

    task: bytes
    origin: bytes


def _run_to_key(shop: Workshop, order: Order, item: Item, made: _Made, stdin: int) -> Result:
    """Run the command with stdout to a file without a name, and commit that as the output."""
    sink = shop.store.new_file()
    try:
        with scratch.command_folder(shop.store, order.shipped) as folder:
            name = item.label.rpartition("/")[2]
            command = Command(order.command, name, made.subject, folder)
            seconds = _run(shop, order, command, stdin, sink)
        points.reach("task.ran")
        with shop.store.disk_errors(f"can not read what was made for {made.output}"):
            size, digest = digest_of_file(sink)
        shop.store.commit(sink, made.output, Stamp(size, digest, made.task, made.origin))
        points.reach("task.committed")
        return Result(1, {shop.node: size}, seconds)
    finally:
        os.close(sink)


def _map_to_n(shop: Workshop, order: Order, item: Item, task: bytes) -> Result:
    key = Key(item.path)
    listing = shop.store.new_file()
    try:
        with scratch.command_folder(shop.store, order.shipped) as folder:
            with _checked(shop.store, key) as (source, digest):
                command = Command(order.command, key.name, str(key), folder)
                seconds = _run(shop, order, command, source, listing)
            points.reach("task.ran")
            outputs = _outputs(shop, order, item, folder, listing)
            count, sizes = _ship(shop, order, item, task=task, mark=mark_of(digest), outputs=outputs)
            return Result(count, sizes, seconds)
    finally:
        os.close(listing)


def _ship(
    shop: Workshop, order: Order, item: Item, *, task: bytes, mark: bytes, outputs: Iterator[Output]
) -> tuple[int, Mapping[str, int]]:
    """Send every output to its owner and make them visible together; how many, and bytes by owner."""
    group = Group(task, f"{order.outdir.path}{item.label}/", origin_of(order.recipe, mark))
    shipment = Shipment(shop.dock, group, order.cancel)

    def note(counts: Mapping[str, int]) -> None:
        with shop.store.disk_errors(f"can not note that s4://{item.path} is done"):
            shop.ledger.note(order.recipe, Done(item.label, mark, task, counts))

    try:
        made = _send_all(shop, shipment, outputs)
        shipment.commit(note)
    except BaseException:
        shipment.abort()
        raise
    return made


def _send_all(
    shop: Workshop, shipment: Shipment, outputs: Iterator[Output]
) -> tuple[int, Mapping[str, int]]:
    waiting: dict[str, list[Output]] = {}
    sizes: dict[str, int] = defaultdict(int)
    count = 0
    for output in outputs:
        count += 1
        owner = shop.roster.owner(output.key.name)
        parcel = waiting.setdefault(owner, [])
        parcel.append(output)
        sizes[owner] += output.size
        if len(parcel) == PARCEL_MAX_FILES:
            shipment.send(owner, waiting.pop(owner))
    here = waiting.pop(shop.node, None)
    for owner, parcel in waiting.items():
        shipment.send(owner, parcel)
    if here:  # last: its checksums are made while the others travel
        shipment.send(shop.node, here)
    return count, sizes


def _outputs(shop: Workshop, order: Order, item: Item, folder: str, listing: int) -> Iterator[Output]:
    """The files that a command printed, checked, by name."""
    shipped = {os.path.basename(path) for path in order.shipped}
    below = Folder(f"{order.outdir.path}{item.label}/")
    before, inside = None, {""}
    for line in sorted_lines(_printed(shop, item, listing), shop.store.tmp_path):
        name, _, printed = line.partition("\0")
        if name == before:
            raise _bad_output(shop, item, printed, "two printed files have this name", is_name=True)
        before = name
        path = os.path.join(folder, printed)
        _require_inside(shop, item, folder, printed, inside)
        status = _plain_file(shop, item, path, printed)
        if name in shipped and os.path.dirname(os.path.realpath(path)) == folder:
            raise _bad_output(shop, item, printed, "it is a file that was shipped with --file")
        if not status.st_mode & stat.S_IRUSR:
            os.chmod(path, 0o600)
        try:
            key = below.key(name)
        except KeyInvalid as error:
            raise _bad_output(shop, item, printed, error.text, is_name=True) from None
        yield Output(key, path, status.st_size)


def _printed(shop: Workshop, item: Item, listing: int) -> Iterator[str]:
    """A line `name NUL path` for each path that a command printed; blank lines are ignored."""
    with os.fdopen(os.dup(listing), "r", encoding="utf-8", errors="strict", newline="\n") as file:
        file.seek(0)
        try:
            for line in file:
                printed = line.rstrip("\n")
                if printed.strip():
                    yield f"{os.path.basename(printed)}\0{printed}"
        except UnicodeDecodeError:
            raise _bad_output(shop, item, "a path", "it is not UTF-8") from None


def _require_inside(shop: Workshop, item: Item, folder: str, printed: str, inside: set[str]) -> None:
    """`inside` keeps the folders that were looked at: nothing moves any more."""
    if "\0" in printed:
        raise _bad_output(shop, item, printed, "it holds a NUL")
    head = os.path.dirname(printed)
    if head in inside:
        return
    above = os.path.realpath(os.path.join(folder, head))
    if above != folder and not above.startswith(folder + "/"):
        raise _bad_output(shop, item, printed, "it lies outside the command's folder")
    inside.add(head)


def _plain_file(shop: Workshop, item: Item, path: str, printed: str) -> os.stat_result:
    try:
        status = os.lstat(path)
    except OSError as exc:
        raise _bad_output(shop, item, printed, (exc.strerror or "it can not be read").lower()) from None
    if not stat.S_ISREG(status.st_mode):
        raise _bad_output(shop, item, printed, "it is not a plain file")
    return status


_REASONS = {
    137: " (SIGKILL: did memory run out?)",
    141: " (SIGPIPE: what it wrote to, as head does, ended before it)",
}
"""What a status tells that people may not know."""


def _bad_output(
    shop: Workshop, item: Item, printed: str, why: str, *, is_name: bool = False
) -> CommandFailed:
    """`is_name`: it may well be the path of a file, but no key can be named so."""
    what_for = "" if is_name else ": map-to-n wants the path of a file that it wrote, a line each"
    return CommandFailed(
        f"the command on s4://{item.path} (node {shop.node}) printed {show(printed)!r}, but"
        f" {why}{what_for}",
        key=f"s4://{item.path}",
        node=shop.node,
    )


def _run(shop: Workshop, order: Order, command: Command, stdin: int, stdout: int) -> float:
    """The seconds that it ran. Raises CommandFailed with all that a user needs to find the reason."""
    with order.slot(), shop.counters.during("commands-running"):
        started_at = time.monotonic()
        outcome = order.bashes.run(
            command, stdin=stdin, stdout=stdout, cancel=order.cancel, timeout_s=order.timeout_s
        )
    if outcome.cancelled:
        raise Cancelled("the job was ended")
    shop.counters.add("commands")
    if outcome.status or outcome.timed_out:
        shop.counters.add("commands-failed")
        raise command_failed(shop.node, command.key, outcome, order.timeout_s)
    return time.monotonic() - started_at


def command_failed(node: str, key: str, outcome: Outcome, timeout_s: float) -> CommandFailed:
    """The error for a command that did not end with status 0."""
    how = f"ran over its {timeout_s:g} s" if outcome.timed_out else f"failed with status {outcome.status}"
    if not outcome.timed_out:
        how += _REASONS.get(outcome.status, "")
    tail = tail_of(outcome.stderr)
    error = CommandFailed(
        f"the command {how} on {key} (node {node})" + (f":\n{tail}" if tail else "; it wrote no stderr"),
        key=key,
        node=node,
        status=outcome.status,
    )
    error.stderr, error.stderr_cut = outcome.stderr, outcome.cut
    return error


@contextmanager
def _checked(store: Store, key: Key) -> Iterator[tuple[int, bytes]]:
    """(descriptor, digest) of a key whose bytes were checked."""
    fd, stamp = store.open_checked(key)
    try:
        yield fd, stamp.digest
    finally:
        os.close(fd)


_KINDS: Mapping[str, Callable[[Workshop, Order, Item, bytes], Result]] = {
    "map": _map,
    "map-to-n": _map_to_n,
    "map-from-n": _map_from_n,
}
KINDS = tuple(_KINDS)

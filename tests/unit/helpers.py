"""What several unit tests need: a store of their own, values in it, and ways to damage them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from s4zmq import sockets
from s4zmq.caller import Caller, Letter
from s4zmq.checksum import digest_of
from s4zmq.counters import Counters
from s4zmq.fates import Fates, Resolver
from s4zmq.history import History
from s4zmq.inbox import Inbox
from s4zmq.indoubt import InDoubt
from s4zmq.keys import Key
from s4zmq.keyserver import KeyServer
from s4zmq.ledger import Ledger
from s4zmq.outputs import Outputs
from s4zmq.placement import Roster
from s4zmq.processes import Registry
from s4zmq.recipes import NO_ORIGIN
from s4zmq.sessions import Sessions
from s4zmq.shell import Command, Outcome, Shell, Switch
from s4zmq.shipment import Dock
from s4zmq.shuffle import Shuffle
from s4zmq.staging import Staging
from s4zmq.store import Stamp, Store, write_all
from s4zmq.tasks import Workshop
from s4zmq.watching import Tail

from ..harness import wait_until

NODE = "127.0.0.1:7000"
ONE = b"1" * 16
OTHER = b"2" * 16
SESSION = b"8 bytes."


def new_store(root: Path, node: str = NODE) -> Store:
    """A store on an empty folder, as `datadir` would make it."""
    for folder in ("keys", "tmp"):
        (root / folder).mkdir(parents=True)
    return Store(root, node)


def put(
    store: Store, text: str, value: bytes = b"value", writer: bytes = ONE, origin: bytes = NO_ORIGIN
) -> Path:
    """Commit a key; its path."""
    key = Key.parse(text)
    fd = store.new_file()
    try:
        write_all(fd, value, 0)
        store.commit(fd, key, Stamp(len(value), digest_of(value), writer, origin))
    finally:
        os.close(fd)
    return Path(store.path_of(key))


def change_file(path: Path, change: Callable[[int], object]) -> None:
    """`change(fd)` a stored file, as often as it takes until its time of change has moved: clocks of
    file systems are coarse."""
    before = path.stat().st_ctime_ns

    def has_changed() -> bool:
        path.chmod(0o644)
        fd = os.open(path, os.O_RDWR)
        try:
            change(fd)
        finally:
            os.close(fd)
        return path.stat().st_ctime_ns != before

    wait_until(has_changed, "the time of change to move")


def flip_first_byte(path: Path) -> None:
    """Damage a file without a change of its size."""
    wrong = bytes((path.read_bytes()[0] ^ 1,))
    change_file(path, lambda fd: os.pwrite(fd, wrong, 0))


def unfinished(store: Store) -> list[str]:
    """What lies in the store's folder for unfinished things."""
    return sorted(os.listdir(store.tmp_path))


def open_descriptors() -> set[str]:
    """What this process's descriptors point to, for comparing before and after."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except FileNotFoundError:
            continue
    return found


def is_running(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def run_alone(
    shell: Shell, command: Command, *, stdin: int, stdout: int, cancel: Switch, timeout_s: float = 0
) -> Outcome:
    """Run a command under a bash of its own, as eval does; to be compared with one that stays."""
    tail = Tail()
    with shell.start(command, stdin=stdin, stdout=stdout) as process:
        ended = process.watch({process.stderr: tail.take}, cancel, timeout_s)
        status = process.finish()
    return Outcome(status, bytes(tail), ended == "timeout", ended == "cancel", tail.cut)


class Letters(list[Letter]):
    """What would go back to a client."""

    def caller(self, id: int = 1, session: bytes = SESSION) -> Caller:
        """A request's sender, whose replies end up here."""
        return Caller(b"identity", id, session, self.append)


class Rooms:
    """The rooms of one node, put together as `node` does it, but for the sockets to peers. What they
    do later, they do at once."""

    def __init__(
        self,
        store: Store,
        nodes: tuple[str, ...] = (NODE,),
        file_folder: Callable[[bytes, str], str] = lambda *_: "",
    ) -> None:
        self.store = store
        self.sessions = Sessions()
        self.context = sockets.Context()
        self.inbox = Inbox(self.context, "127.0.0.1", 0, self.sessions)
        self.inbox.start()
        roster = Roster(nodes)
        self.ledger, self.in_doubt = Ledger(store.root, roster), InDoubt(store.root)
        self.outputs = Outputs(store)
        self.history, self.counters = History(store.root), Counters()
        self.keys = KeyServer(
            store,
            roster,
            self.inbox,
            self.sessions,
            ledger=self.ledger,
            counters=self.counters,
            file_folder=file_folder,
        )
        self.staging = Staging(
            store,
            self.keys,
            self.inbox,
            self.sessions,
            in_doubt=self.in_doubt,
            outputs=self.outputs,
            later=self.later,
        )
        self.fates = Fates(self.ledger)
        self.resolver = Resolver(NODE, self.in_doubt, self.fates, self.staging)
        self.shuffle = Shuffle(cast(Any, None), NODE, self.resolver)
        self.registry = Registry(store.root)
        self.shell = Shell(self.registry, str(store.root / "s4.conf"), "")
        dock = Dock(self.shuffle, self.staging, self.fates)
        self.shop = Workshop(
            NODE,
            roster,
            store,
            self.shell,
            dock,
            self.outputs,
            self.ledger,
            self.history,
            self.counters,
        )

    @staticmethod
    def later(do: Callable[..., object], *args: object) -> None:
        do(*args)

    def close(self) -> None:
        self.inbox.stop()
        self.context.close()
        self.shuffle._inbox.close()
        self.in_doubt.close()
        self.history.close()


_CAPABILITIES_VERSION = 0x20080522
_RIGHTS_OF_ROOT = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


@contextmanager
def without_rights_of_root() -> Iterator[None]:
    """While inside, the modes of files count for this thread too, whoever runs the tests."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    before, less = (ctypes.c_uint32 * 6)(), (ctypes.c_uint32 * 6)()
    for sets in (before, less):
        assert libc.capget(header, sets) == 0
    less[0] &= ~_RIGHTS_OF_ROOT
    assert libc.capset(header, less) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0

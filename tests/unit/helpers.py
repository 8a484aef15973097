"""What several unit tests need: a store of their own, values in it, and ways to damage them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from s4zmq.caller import Caller, Letter
from s4zmq.checksum import digest_of
from s4zmq.keys import Key
from s4zmq.shell import Command, Outcome, Shell, Switch
from s4zmq.store import Stamp, Store, write_all
from s4zmq.watching import Tail

from ..harness import wait_until

NODE = "127.0.0.1:7000"
ONE = b"1" * 16
OTHER = b"2" * 16
SESSION = b"8 bytes."


def new_store(root: Path) -> Store:
    """A store on an empty folder, as `datadir` would make it."""
    for folder in ("keys", "tmp"):
        (root / folder).mkdir(parents=True)
    return Store(root, NODE)


def put(store: Store, text: str, value: bytes = b"value", writer: bytes = ONE) -> Path:
    """Commit a key; its path."""
    key = Key.parse(text)
    fd = store.new_file()
    try:
        write_all(fd, value, 0)
        store.commit(fd, key, Stamp(len(value), digest_of(value), writer))
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
    return Outcome(status, bytes(tail), ended == "timeout", ended == "cancel")


class Letters(list[Letter]):
    """What would go back to a client."""

    def caller(self, id: int = 1, session: bytes = SESSION) -> Caller:
        """A request's sender, whose replies end up here."""
        return Caller(b"identity", id, session, self.append)


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

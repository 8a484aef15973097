"""Runs s4 or a node in this process, and notes which functions use the CPU.

    python -m s4zmq.bench.sampler FOLDER client|node WORDS...

A thread looks at all others every 2 ms, and credits the CPU time that each has used since to the
line of s4zmq that it stands on. Waiting costs nothing, so it does not show. The sums are written to
a file in FOLDER at the end. Knows nothing of benchmarks.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

_EVERY_S = 0.002
_PROGRAMS = {"client": "s4zmq.cli", "node": "s4zmq.daemon"}
_PACKAGE = str(Path(__file__).parent.parent)
_OTHER_THREADS = "libzmq and others without Python"


def sampled(role: str, folder: Path) -> list[str]:
    """The beginning of a command line that runs `role` (client or node) under the sampler."""
    return [sys.executable, "-m", __name__, str(folder), role]


class Sampler(threading.Thread):
    """Sums of CPU nanoseconds by function, of this process until it is stopped."""

    def __init__(self) -> None:
        super().__init__(name="sampler", daemon=True)
        self.spent: Counter[str] = Counter()
        self._seen: dict[int, int] = {}
        self._ended = threading.Event()

    def run(self) -> None:
        """Until stopped."""
        while not self._ended.wait(_EVERY_S):
            self._look()

    def _look(self) -> None:
        frames = sys._current_frames()
        for thread in threading.enumerate():
            native = thread.native_id
            if native is None or thread.ident not in frames or thread is self:
                continue
            used = _cpu_ns(native)
            self.spent[function_of(frames[thread.ident])] += used - self._seen.get(native, 0)
            self._seen[native] = used

    def stop(self) -> None:
        """No more samples; what Python threads did not use belongs to those that it does not see."""
        self._ended.set()
        self.join()
        self._look()
        python = {thread.native_id for thread in threading.enumerate()} | set(self._seen) | {self.native_id}
        others = (int(name) for name in os.listdir("/proc/self/task"))
        self.spent[_OTHER_THREADS] += sum(_cpu_ns(native) for native in others if native not in python)


def _cpu_ns(native: int) -> int:
    """What a thread has used; 0 where it is gone, or the kernel does not count."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/self/task/{native}/schedstat").read_text().split()[0])
    return 0


def function_of(frame: FrameType | None) -> str:
    """The innermost function of s4zmq, and what it had called where that is not of s4zmq."""
    called = ""
    while frame is not None:
        code = frame.f_code
        path = Path(code.co_filename)
        if str(path).startswith(_PACKAGE) and path != Path(__file__):
            name = getattr(code, "co_qualname", code.co_name)
            return f"{path.stem}.{name}" + (f" > {called}" if called else "")
        called = f"{path.stem}.{code.co_name}"
        frame = frame.f_back
    return "the start of Python and its imports" if "importlib" in called else called


def main(argv: list[str]) -> int:
    """Run what the words ask for; its exit status."""
    folder, role, words = Path(argv[0]), argv[1], argv[2:]
    sampler = Sampler()
    sampler.start()
    try:
        return _main_of(role)(words)
    finally:
        sampler.stop()
        path = folder / f"{role}-{os.getpid()}.json"
        path.write_text(json.dumps({name: ns / 1e9 for name, ns in sampler.spent.items()}))


def _main_of(role: str) -> Callable[[list[str]], int]:
    """By name, as `python -m` would: these are programs to be run, not rooms that the bench uses."""
    main_of_program: Callable[[list[str]], int] = importlib.import_module(_PROGRAMS[role]).main
    return main_of_program


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

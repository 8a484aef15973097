"""Named points: a process stops itself at the one that it was told, at the time that it was told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from ..harness import wait_until

PROGRAM = """
from s4zmq.points import reach
for number in range(1, 5):
    reach("a"); reach("b")
    print(number, flush=True)
"""


@pytest.mark.parametrize(
    ("stop_at", "before"), [("b", 0), ("b:3", 2), ("a:2", 1), ("", 4), ("c", 4), ("a:9", 4)]
)
def test_a_process_stops_at_its_point_and_goes_on(stop_at: str, before: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        env={**os.environ, "S4_STOP_AT": stop_at},
    )
    assert process.stdout
    printed = [process.stdout.readline() for _ in range(before)]
    if before < 4:
        running = psutil.Process(process.pid)
        wait_until(lambda: running.status() == psutil.STATUS_STOPPED, "the process to stop")
        process.send_signal(signal.SIGCONT)
    printed += process.communicate(timeout=20)[0].splitlines(keepends=True)
    assert (printed, process.returncode) == ([b"1\n", b"2\n", b"3\n", b"4\n"], 0)

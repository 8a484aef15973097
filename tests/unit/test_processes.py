"""Ending processes: groups, orphans that left their group, and what a killed node left running.

A sweep ends children of the whole process, so each test that sweeps does it in a process of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from s4zmq.processes import MARKER, Registry, kill_group

from ..harness import wait_until
from .helpers import is_running

PREAMBLE = """
import os, subprocess, sys, time
from pathlib import Path
from s4zmq.bashes import Bashes
from s4zmq.processes import MARKER, Registry, become_subreaper
from s4zmq.shell import Command, Shell, Switch

folder = Path(sys.argv[1])
become_subreaper()
registry = Registry(folder)
shell = Shell(registry, str(folder / "conf"), "")
null = os.open(os.devnull, os.O_RDWR)
cancel = Switch()

def command(text):
    return Command(text, "name", "s4://b/name", str(folder))

def run(text):
    bashes = Bashes(shell, text) if sys.argv[2] == "stays" else None
    try:
        if bashes:
            bashes.run(command(text), stdin=null, stdout=null, cancel=cancel)
        else:
            with shell.start(command(text), stdin=null, stdout=null) as process:
                process.watch({}, cancel, 0)
    finally:
        if bashes:
            bashes.close()

def pid(name):
    path = folder / name
    until = time.monotonic() + 10
    while not path.exists() or not path.read_text().endswith("\\n"):
        assert time.monotonic() < until, f"{name} was never written"
    return int(path.read_text())

def sweep_until_gone(*pids):
    until = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}") for pid in pids):
        assert time.monotonic() < until, f"still there: {pids}"
        registry.sweep_orphans()

def is_running(pid):
    return os.path.exists(f"/proc/{pid}") and " Z " not in Path(f"/proc/{pid}/stat").read_text()
"""


def in_a_process_of_its_own(folder: Path, script: str) -> None:
    """Runs the script twice: its commands have a bash of their own, or are run by one that stays."""
    for way in ("alone", "stays"):
        run_script(folder / way, way, script)


def run_script(folder: Path, way: str, script: str) -> None:
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PREAMBLE + script, str(folder), way],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_descendant_that_left_its_group_is_found_and_ended(tmp_path: Path) -> None:
    in_a_process_of_its_own(
        tmp_path,
        """
run("setsid bash -c 'echo $$ > orphan; exec sleep 1000' & until [ -s orphan ]; do :; done")
orphan = pid("orphan")
assert not is_running(orphan), "ended with its command, before anyone looks at the outputs"
""",
    )


def test_a_daemon_with_a_double_fork_is_found_and_ended(tmp_path: Path) -> None:
    in_a_process_of_its_own(
        tmp_path,
        """
daemon = 'bash -c "echo \\$\\$ > orphan; exec sleep 1000" &'
run(f"setsid bash -c '({daemon})'; until [ -s orphan ]; do :; done")
assert not is_running(pid("orphan"))
""",
    )


def test_an_orphan_that_scrubbed_its_environment_ends_when_no_command_runs(tmp_path: Path) -> None:
    in_a_process_of_its_own(
        tmp_path,
        """
scrubbed = "setsid env -i bash -c 'echo $$ > orphan; exec sleep 1000' & until [ -s orphan ]; do :; done"
with shell.start(command("exec sleep 1000"), stdin=null, stdout=null) as running:
    run(scrubbed)
    orphan = pid("orphan")
    registry.sweep_orphans()
    assert is_running(orphan), "it may belong to the command that runs"
    assert is_running(running._popen.pid)
sweep_until_gone(orphan)
""",
    )


def test_a_sweep_spares_the_command_that_runs_and_what_it_started(tmp_path: Path) -> None:
    in_a_process_of_its_own(
        tmp_path,
        """
text = "setsid bash -c 'echo $$ > child; exec sleep 1000' & until [ -s child ]; do :; done; exec sleep 1000"
with shell.start(command(text), stdin=null, stdout=null) as running:
    child = pid("child")
    for _ in range(20):
        assert registry.sweep_orphans() == 0
    assert is_running(child) and is_running(running._popen.pid)
assert not is_running(running._popen.pid)
sweep_until_gone(child)
""",
    )


def test_a_sweep_reaps_orphans_that_ended_by_themselves(tmp_path: Path) -> None:
    in_a_process_of_its_own(
        tmp_path,
        """
with shell.start(command("(setsid true & echo $! > zombie); exec sleep 1000"), stdin=null, stdout=null):
    sweep_until_gone(pid("zombie"))
""",
    )


# -- groups


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_a_group_is_killed_as_a_whole(sleeper: subprocess.Popen[bytes]) -> None:
    kill_group(sleeper.pid)
    assert sleeper.wait(10) == -signal.SIGKILL
    kill_group(sleeper.pid)


# -- the registry


def test_every_command_has_a_marker_of_its_own(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    markers = {registry.new_marker() for _ in range(100)}
    assert (len(markers), registry.running) == (100, 100)
    for marker in markers:
        registry.ended(marker)
        registry.ended(marker)
    assert registry.running == 0


def test_markers_name_the_data_folder_and_the_process(tmp_path: Path) -> None:
    one, again, other = Registry(tmp_path / "a"), Registry(tmp_path / "a"), Registry(tmp_path / "b")
    tags = [registry.new_marker().split(".") for registry in (one, again, other)]
    assert tags[0] == tags[1]
    assert tags[0][0] != tags[2][0]
    assert tags[0][1:] == [str(os.getpid()), "1"]


def test_a_node_ends_what_an_earlier_one_on_its_folder_left_running_and_nothing_else(
    tmp_path: Path,
) -> None:
    processes = {}
    for name in ("mine", "other"):
        marker = Registry(tmp_path / name).new_marker()
        environment = {**os.environ, MARKER: marker}
        processes[name] = subprocess.Popen(["sleep", "1000"], env=environment, start_new_session=True)
    try:
        wait_until(
            lambda: b"sleep" in Path(f"/proc/{processes['mine'].pid}/cmdline").read_bytes(), "its start"
        )
        Registry(tmp_path / "mine").kill_left_over()
        assert processes["mine"].wait(10) == -signal.SIGKILL
        assert is_running(processes["other"].pid)
    finally:
        for process in processes.values():
            process.kill()
            process.wait()

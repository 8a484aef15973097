"""`s4 demo`: everything it makes is gone afterwards."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil

from ..harness import BIN


def test_the_demo_succeeds_and_leaves_nothing(tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("S4_")}
    environment |= {"HOME": str(home), "TMPDIR": str(temporary), "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(
        [BIN / "s4", "demo"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
        cwd=home,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done
    assert "map-to-n" in done.stdout
    assert list(home.iterdir()) == []
    assert list(temporary.iterdir()) == []
    words = [word for process in psutil.process_iter(["cmdline"]) for word in process.info["cmdline"] or ()]
    assert not [word for word in words if str(tmp_path) in word]

"""File systems of a few MiB that a test can fill: tmpfs, which keeps checksums as a real disk does."""

from __future__ import annotations

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path


@cache
def why_not() -> str:
    """Why this machine can not mount one, or ""."""
    if os.geteuid():
        return "a small disk needs root"
    with tempfile.TemporaryDirectory() as folder:
        try:
            SmallDisk(Path(folder) / "probe", 1).unmount()
        except subprocess.CalledProcessError as exc:
            return f"this machine mounts no tmpfs: {exc.stderr.strip()}"
    return ""


class SmallDisk:
    """A file system of `size_mib`, or of so many `files`, at `path`."""

    def __init__(self, path: Path, size_mib: int, files: int = 0) -> None:
        self.path = path
        options = f"size={size_mib}m" + (f",nr_inodes={files}" if files else "")
        path.mkdir(parents=True, exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path))

    @property
    def free_bytes(self) -> int:
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    @property
    def free_files(self) -> int:
        return os.statvfs(self.path).f_ffree

    def fill(self, name: str = "filler") -> Path:
        """A file that takes all the bytes which are left."""
        path = self.path / name
        with open(path, "wb", buffering=0) as file:
            try:
                while file.write(bytes(self.free_bytes or 4096)):
                    pass
            except OSError:
                pass
        assert self.free_bytes == 0
        return path

    def unmount(self) -> None:
        """Even where a process still uses it: then it goes with that."""
        _run("umount", "--lazy", str(self.path))


def _run(*words: str) -> None:
    subprocess.run(words, capture_output=True, text=True, check=True)

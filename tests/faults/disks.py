"""Disks of few MiB: tmpfs that a test can fill, and images that it can freeze."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
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

    def unmount(self) -> None:
        """Even where a process still uses it: then it goes with that."""
        _run("umount", "--lazy", str(self.path))


def fill(folder: Path) -> Path:
    """A file in `folder` that takes all the bytes which are left on its disk."""
    path = folder / "filler"
    with open(path, "wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(1 << 16)):
            pass
    with open(path, "ab", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 512):
            pass
    status = os.statvfs(folder)
    assert status.f_bavail == 0
    return path


def _run(*words: str) -> None:
    subprocess.run(words, capture_output=True, text=True, check=True)


@cache
def no_loop() -> str:
    """Why this machine can not mount and freeze an image, or ""."""
    if os.geteuid() or not all(map(shutil.which, ("mkfs.ext4", "fsfreeze", "losetup"))):
        return "a disk that hangs needs root, mkfs.ext4, losetup and fsfreeze"
    with tempfile.TemporaryDirectory() as folder:
        try:
            LoopDisk(Path(folder) / "probe", Path(folder) / "image", 8).unmount()
        except subprocess.CalledProcessError as exc:
            return f"this machine mounts no image: {exc.stderr.strip()}"
    return ""


class LoopDisk:
    """An ext4 of its own at `path`, kept in the file `image`."""

    def __init__(self, path: Path, image: Path, size_mib: int) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        with open(image, "wb") as file:
            file.truncate(size_mib << 20)
        _run("mkfs.ext4", "-q", str(image))
        _run("mount", "-o", "loop", str(image), str(path))
        self._is_frozen = False

    def freeze(self) -> None:
        """Whoever writes waits."""
        _run("fsfreeze", "-f", str(self.path))
        self._is_frozen = True

    def thaw(self) -> None:
        """All goes on; may be called again."""
        if self._is_frozen:
            _run("fsfreeze", "-u", str(self.path))
            self._is_frozen = False

    def unmount(self) -> None:
        """Even where a process still uses it: then it goes with that."""
        _run("umount", "--lazy", str(self.path))

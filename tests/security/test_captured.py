"""What goes over the wire, seen from beside it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..cluster.kit import make_tree
from ..harness import Cluster

HAS_KEY = (True, False)
_ALL_PROTOCOLS = 3
_SO_RCVBUFFORCE = 33
_BUFFER_BYTES = 128 << 20


class Capture(threading.Thread):
    """Every frame that goes over loopback, kept in memory."""

    def __init__(self) -> None:
        super().__init__(name="capture", daemon=True)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        self._socket.bind(("lo", 0))
        self._last = os.urandom(32)
        self.frames: list[bytes] = []

    def run(self) -> None:
        while not (self.frames and self._last in self.frames[-1]):
            self.frames.append(self._socket.recv(1 << 17))

    def end(self) -> None:
        """After what is on its way, which a packet of our own ends."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
            nobody.bind(("127.0.0.1", 0))
            nobody.sendto(self._last, nobody.getsockname())
        self.join()
        self._socket.close()

    def holds(self, marker: bytes) -> bool:
        return any(marker in frame for frame in self.frames)


@contextmanager
def captured() -> Iterator[Capture]:
    if os.geteuid():
        pytest.skip("to capture frames needs root")
    capture = Capture()
    capture.start()
    try:
        yield capture
    finally:
        capture.end()


def test_with_a_key_no_byte_of_keys_values_and_commands_goes_over_the_wire_in_clear(
    cluster: Cluster, tmp_path: Path, has_key: bool
) -> None:
    """Without one all of it does, which shows that this would see it."""
    tag = os.urandom(8).hex()
    marks = {name: f"{name}-{tag}" for name in ("value", "large", "name", "bucket", "command", "output")}
    large = (marks["large"] * 30_000).encode()
    tree = make_tree(tmp_path / "tree", {f"0_{marks['name']}": marks["value"].encode(), "1_large": large})
    command = f": {marks['command']}; cat > 0_a; echo {marks['output']} > 1_b; ls"
    bucket = f"s4://{marks['bucket']}"
    with captured() as capture:
        cluster.ok("cp", "-r", tree, f"{bucket}/in/")
        cluster.ok("cp", f"{bucket}/in/1_large", tmp_path / "back")
        cluster.ok("eval", f"{bucket}/in/0_{marks['name']}", f"echo {marks['output']}")
        cluster.ok("map", f"{bucket}/in/", f"{bucket}/mapped/", f": {marks['command']}; cat")
        cluster.ok("map-to-n", f"{bucket}/in/", f"{bucket}/out/", command)
        cluster.ok("ls", f"{bucket}/")
    assert (tmp_path / "back").read_bytes() == large
    seen = {name for name, mark in marks.items() if capture.holds(mark.encode())}
    assert seen == (set() if has_key else set(marks))
    assert capture.frames

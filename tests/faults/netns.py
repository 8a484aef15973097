"""A cluster whose network can be cut: every node, and the client, in a network namespace of its own.

    hub:     br0, a bridge
    client:  10.77.0.100      this process, while a test runs, and so every `s4` that it starts
    node i:  10.77.0.i        with a cluster key, as this is not loopback

Nothing leads out of the bridge. A packet from A to B is made to vanish by telling A a wrong hardware
address for B: the bridge floods the frame and nobody takes it. To TCP this is a cable that was cut, and
each direction of each pair can be cut by itself.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Union

from ..harness import Cluster, Node

_FOLDER = Path("/run/netns")
_PREFIX = "s4test"
_PORT = 8080
"""Each node is alone in its namespace."""
_NOBODY = "02:53:34:00:00:00"
_CLONE_NEWNET = 0x40000000


def why_not() -> str:
    """Why this machine can not make namespaces, or ""."""
    if os.geteuid():
        return "network namespaces need root"
    if not shutil.which("ip") or not shutil.which("nsenter"):
        return "network namespaces need ip and nsenter"
    probe = f"{_PREFIX}-{os.getpid()}-probe"
    try:
        _ip("netns", "add", probe)
        _ip("-n", probe, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
        _ip("-n", probe, "link", "add", "br0", "type", "bridge")
    except subprocess.CalledProcessError as exc:
        return f"this machine makes no network namespaces: {exc.stderr.strip()}"
    finally:
        _delete(probe)
    return ""


def _ip(*words: object) -> str:
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True, check=True)
    return done.stdout


def _delete(name: str) -> None:
    with suppress(subprocess.CalledProcessError):
        _ip("netns", "del", name)


def remove_left_over() -> None:
    """Namespaces of test processes that were killed."""
    for path in _FOLDER.glob(f"{_PREFIX}-*"):
        if not Path(f"/proc/{path.name.split('-')[1]}").exists():
            _delete(path.name)


class Network:
    """Some places on one bridge, by name; each has the address 10.77.0.<its number>."""

    def __init__(self, numbers: dict[str, int]) -> None:
        self._base = f"{_PREFIX}-{os.getpid()}"
        self._numbers = numbers
        self._places = ["hub", *numbers]
        atexit.register(self.remove)
        for place in self._places:
            _ip("netns", "add", self.namespace(place))
            _ip("-n", self.namespace(place), "link", "set", "lo", "up")
        _ip("-n", self.namespace("hub"), "link", "add", "br0", "up", "type", "bridge")
        for place in numbers:
            self._connect(place)

    def _connect(self, place: str) -> None:
        hub, inside, plug = self.namespace("hub"), self.namespace(place), f"to-{place}"
        pair = ["eth0", "netns", inside, "type", "veth", "peer", "name", plug]
        _ip("-n", hub, "link", "add", *pair)
        _ip("-n", hub, "link", "set", plug, "master", "br0", "up")
        _ip("-n", inside, "addr", "add", f"{self.address(place)}/24", "dev", "eth0")
        _ip("-n", inside, "link", "set", "eth0", "up")

    def namespace(self, place: str) -> str:
        return f"{self._base}-{place}"

    def address(self, place: str) -> str:
        return f"10.77.0.{self._numbers[place]}"

    def drop(self, source: str, target: str) -> None:
        """From now on what `source` sends to `target` vanishes."""
        words = [self.address(target), "lladdr", _NOBODY, "dev", "eth0", "nud", "permanent"]
        _ip("-n", self.namespace(source), "neigh", "replace", *words)

    def heal(self) -> None:
        """Every packet arrives again."""
        for place in self._numbers:
            _ip("-n", self.namespace(place), "neigh", "flush", "dev", "eth0", "nud", "permanent")

    def words_into(self, place: str) -> list[str]:
        """What begins the command line of a process that is to run there."""
        return ["nsenter", f"--net={_FOLDER / self.namespace(place)}", "--"]

    def others(self, place: str) -> list[str]:
        return [other for other in self._numbers if other != place]

    @contextmanager
    def entered(self, place: str) -> Iterator[None]:
        """This thread, and whatever it starts, is at `place`."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _set_namespace(_FOLDER / self.namespace(place))
            yield
        finally:
            _set_namespace(Path(f"/proc/self/fd/{before}"))
            os.close(before)

    def remove(self) -> None:
        """May be called again."""
        places, self._places = self._places, []
        for place in places:
            _delete(self.namespace(place))
        atexit.unregister(self.remove)


def _set_namespace(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(fd, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"can not enter {path}")
    finally:
        os.close(fd)


CLIENT = "client"
Place = Union[Node, str]
"""A node, or CLIENT."""


class NetCluster(Cluster):
    """A cluster on a network of its own. Use it inside `at_client`."""

    def __init__(self, folder: Path, nodes: int = 3) -> None:
        numbers = {f"node{number}": number + 1 for number in range(nodes)}
        self.network = Network({**numbers, CLIENT: 100})
        super().__init__(folder, nodes)

    def make_node(self, number: int, options: Sequence[str]) -> Node:
        place = f"node{number}"
        inside = self.network.words_into(place)
        return Node(self, f"{self.network.address(place)}:{_PORT}", options, inside)

    def at_client(self) -> AbstractContextManager[None]:
        return self.network.entered(CLIENT)

    def stop(self) -> None:
        super().stop()
        self.network.remove()

    # -- cutting

    def _name(self, place: Place) -> str:
        return f"node{self.nodes.index(place)}" if isinstance(place, Node) else place

    def _others(self, place: Place, given: Sequence[Place]) -> list[str]:
        return [self._name(other) for other in given] or self.network.others(self._name(place))

    def cut_from(self, place: Place, *others: Place) -> None:
        """What `place` sends to `others` (to everyone, if none is named) vanishes."""
        for other in self._others(place, others):
            self.network.drop(self._name(place), other)

    def cut_to(self, place: Place, *others: Place) -> None:
        """What `others` send to `place` vanishes."""
        for other in self._others(place, others):
            self.network.drop(other, self._name(place))

    def cut(self, place: Place, *others: Place) -> None:
        """Both ways."""
        self.cut_from(place, *others)
        self.cut_to(place, *others)

    def heal(self) -> None:
        """Every packet arrives again."""
        self.network.heal()

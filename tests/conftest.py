"""Fixtures: a cluster that a worker's tests share, and clusters that one test may break."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .harness import Cluster


def pytest_configure() -> None:
    """A shell that starts the tests in the background has SIGINT ignored, `nohup` has SIGHUP, and children
    inherit that: then no Ctrl-C and no lost terminal could be tried."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first, so that no worker ends with a long test while the others are done."""
    items.sort(key=lambda item: _turn(item.path))


_LONG_FIRST = ("faults", "s3", "python", "cluster", "ec2", "security", "tests", "unit")


def _turn(path: Path) -> int:
    """Of the folder that a test stands in."""
    return _LONG_FIRST.index(path.parent.name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Clusters have a cluster key. A module that is to run without one too says HAS_KEY = (True, False):
    those of every command do. One that plays a stranger, who would not be heard at all, says (False,).
    A test has the last word with its mark: what waits for seconds, or ends before anything goes over the
    wire, need not do so twice."""
    if "has_key" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("has_key")
        modes = mark.args if mark else getattr(metafunc.module, "HAS_KEY", (True,))
        metafunc.parametrize("has_key", modes, ids=["key" if mode else "keyless" for mode in modes])


@pytest.fixture(scope="session")
def _shared_clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bool], Cluster]]:
    made: dict[bool, Cluster] = {}

    def shared(has_key: bool) -> Cluster:
        if has_key not in made:
            made[has_key] = Cluster(tmp_path_factory.mktemp("shared"), has_key=has_key)
            made[has_key].start()
        return made[has_key]

    yield shared
    for cluster in made.values():
        cluster.stop()


@pytest.fixture
def cluster(_shared_clusters: Callable[[bool], Cluster], has_key: bool) -> Iterator[Cluster]:
    """Three healthy nodes that hold no keys. A test may kill and stop them, and start them anew with a
    point to stop at, but must leave them running; nothing may be left over."""
    shared = _shared_clusters(has_key)
    shared.mend()
    yield shared
    shared.assert_no_leftovers()
    shared.remove_all_keys()


@pytest.fixture
def new_cluster(tmp_path: Path, has_key: bool) -> Iterator[Callable[..., Cluster]]:
    """Makes clusters that the test may break: `new_cluster(nodes=2)`. They are stopped at the end."""
    made: list[Cluster] = []

    def make(nodes: int = 3, options: tuple[str, ...] = ()) -> Cluster:
        folder = tmp_path / f"cluster-{len(made)}"
        folder.mkdir()
        cluster = Cluster(folder, nodes, options, has_key=has_key)
        made.append(cluster)
        cluster.start()
        return cluster

    yield make
    for cluster in made:
        cluster.stop()

"""Fixtures: a cluster that a worker's tests share, and clusters that one test may break."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .harness import Cluster


def pytest_configure() -> None:
    """A shell that starts the tests in the background has SIGINT ignored, and children inherit that:
    then no Ctrl-C could be tried."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def _shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("shared"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def cluster(_shared_cluster: Cluster) -> Iterator[Cluster]:
    """Three healthy nodes without keys. A test must leave them running; nothing may be left over."""
    yield _shared_cluster
    _shared_cluster.assert_no_leftovers()
    _shared_cluster.remove_all_keys()


@pytest.fixture
def new_cluster(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    """Makes clusters that the test may break: `new_cluster(nodes=2)`. They are stopped at the end."""
    made: list[Cluster] = []

    def make(nodes: int = 3, options: tuple[str, ...] = ()) -> Cluster:
        folder = tmp_path / f"cluster-{len(made)}"
        folder.mkdir()
        cluster = Cluster(folder, nodes, options)
        made.append(cluster)
        cluster.start()
        return cluster

    yield make
    for cluster in made:
        cluster.stop()

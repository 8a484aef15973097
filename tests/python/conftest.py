"""What these tests work with: a Client of the shared cluster, and its file system."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import s4zmq
from s4zmq.fs import S4FileSystem

from ..harness import Cluster


@pytest.fixture
def s4(cluster: Cluster) -> Iterator[s4zmq.Client]:
    with s4zmq.Client(cluster.conf, cluster.key_path) as client:
        yield client


@pytest.fixture
def fs(cluster: Cluster) -> S4FileSystem:
    """One for each cluster: fsspec keeps them."""
    return S4FileSystem(conf=str(cluster.conf), key=cluster.key_path)


@pytest.fixture
def found(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cluster is the one that is found without a word."""
    monkeypatch.setenv("S4_CONF_PATH", str(cluster.conf))
    monkeypatch.setenv("S4_KEY_PATH", cluster.key_path)

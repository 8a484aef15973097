"""Fixtures of the unit tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from s4zmq.processes import become_subreaper
from s4zmq.store import Store

from .helpers import NODE, new_store, open_descriptors
from .street import PEER, Neighbour, connect

# No deadline: a loaded machine is no reason to fail. No database: nothing is left in the work tree.
settings.register_profile(
    "s4zmq",
    deadline=None,
    max_examples=100,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("s4zmq")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return new_store(tmp_path / "data")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Neighbour, Neighbour]]:
    """The rooms of two nodes that are peers."""
    here = Neighbour(new_store(tmp_path / "here", NODE))
    there = Neighbour(new_store(tmp_path / "there", PEER))
    connect(here, there)
    yield here, there
    here.close()
    there.close()


@pytest.fixture
def no_descriptor_left() -> Iterator[None]:
    """Fails a test that leaves a descriptor open."""
    before = open_descriptors()
    yield
    left = open_descriptors() - before
    assert not left, f"descriptors left open: {left}"


@pytest.fixture
def subreaper() -> Iterator[None]:
    """What a node is: orphans of its commands become its children."""
    become_subreaper()
    yield
    become_subreaper(False)

"""Fixtures: a key that is not the cluster's, and clients that hold the wrong one or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from s4zmq.clusterkey import write_key


@pytest.fixture
def other_key(tmp_path: Path) -> str:
    """A good key, of no cluster."""
    path = str(tmp_path / "other.key")
    write_key(path)
    return path

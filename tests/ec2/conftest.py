"""Fixtures: one moto server for a worker's tests, empty for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from s4zmq.ec2.account import Account

from .kit import REGION, Cloud, Hypervisor, Laptop


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path_factory.mktemp("cloud"))
    try:
        cloud.wait()
        yield cloud
    finally:
        cloud.stop()


@pytest.fixture
def cloud(_server: Cloud) -> Cloud:
    """A cloud in which only an image and a subnet are."""
    _server.reset()
    return _server


@pytest.fixture
def laptop(cloud: Cloud, tmp_path: Path) -> Laptop:
    """A user's machine."""
    return Laptop(cloud, tmp_path)


@pytest.fixture
def hypervisor(cloud: Cloud, laptop: Laptop) -> Iterator[Hypervisor]:
    """Every instance becomes a real node."""
    hypervisor = Hypervisor(cloud, laptop.machines)
    yield hypervisor
    hypervisor.close()


@pytest.fixture
def account(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Account:
    """The cloud, for calls in this process."""
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    return Account(REGION)

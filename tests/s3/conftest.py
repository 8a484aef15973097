"""Fixtures: S3 servers and a cluster that knows them, one of each for a worker."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from ..harness import Cluster
from .servers import Proxy, Server, start_moto, start_rclone, variables

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_moto(tmp_path_factory.mktemp("moto"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_rclone(tmp_path_factory.mktemp("rclone"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def proxy(moto: Server, rclone: Server) -> Iterator[Proxy]:
    """In front of both: `moto-1` is a bucket of the one, `rclone-1` of the other."""
    proxy = Proxy({"m": moto, "r": rclone})
    yield proxy
    proxy.stop()


@pytest.fixture(params=["moto", "rclone"])
def server(request: pytest.FixtureRequest, moto: Server, rclone: Server) -> Server:
    """Each of the two."""
    return moto if request.param == "moto" else rclone


@pytest.fixture
def bucket(server: Server, moto: Server) -> str:
    """The name of a new bucket of that server, which is not made yet."""
    return f"{'moto' if server is moto else 'rclone'}-{next(_numbers)}"


@pytest.fixture
def moto_bucket() -> str:
    return f"moto-{next(_numbers)}"


@pytest.fixture
def rclone_bucket() -> str:
    return f"rclone-{next(_numbers)}"


@pytest.fixture(scope="session")
def _s3_cluster(tmp_path_factory: pytest.TempPathFactory, proxy: Proxy) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("s3"), variables=variables(proxy.endpoint))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def cluster(_s3_cluster: Cluster) -> Iterator[Cluster]:
    """Three healthy nodes without keys, which may use S3. Nothing may be left over."""
    yield _s3_cluster
    _s3_cluster.assert_no_leftovers()
    _s3_cluster.remove_all_keys()

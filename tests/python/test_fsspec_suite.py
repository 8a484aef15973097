"""fsspec's own tests of a file system, against a cluster. What keys can not do is listed with reasons."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

import pytest
from fsspec.tests import abstract

from s4zmq.fs import S4FileSystem

from ..harness import Cluster

CANNOT = {
    "test_pipe_exclusive": "its last step overwrites a key",
    "test_put_directory_recursive": "it puts the same folder twice, over what is there",
}
"""Every test that can not pass, and why: keys are immutable. Each must fail, and with FileExistsError."""


class Fixtures(abstract.AbstractFixtures):  # type: ignore[misc]
    """A bucket of a cluster to work in."""

    @pytest.fixture(autouse=True)
    def _expect_what_can_not_be(self, request: pytest.FixtureRequest) -> None:
        reason = CANNOT.get(request.node.originalname)
        if reason:
            request.applymarker(pytest.mark.xfail(strict=True, raises=FileExistsError, reason=reason))

    @pytest.fixture
    def fs(self, cluster: Cluster) -> S4FileSystem:
        return S4FileSystem(conf=str(cluster.conf), key=cluster.key_path)

    @pytest.fixture
    def fs_path(self) -> str:
        return "bucket/folder"

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return posixpath.join

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return False


class TestCopy(abstract.AbstractCopyTests, Fixtures):  # type: ignore[misc]
    pass


class TestGet(abstract.AbstractGetTests, Fixtures):  # type: ignore[misc]
    pass


class TestOpen(abstract.AbstractOpenTests, Fixtures):  # type: ignore[misc]
    pass


class TestPipe(abstract.AbstractPipeTests, Fixtures):  # type: ignore[misc]
    pass


class TestPut(abstract.AbstractPutTests, Fixtures):  # type: ignore[misc]
    pass


def test_what_can_not_be_is_tried_all_the_same() -> None:
    tried = {name for cls in (TestCopy, TestGet, TestOpen, TestPipe, TestPut) for name in dir(cls)}
    assert set(CANNOT) <= tried

"""Random sequences of put, get, ls, rm and kills, compared with a model: a dict of keys to values."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from s4zmq.errors import KeyExists, KeyNotFound
from s4zmq.gets import Getter
from s4zmq.keys import Key
from s4zmq.placement import owner_index
from s4zmq.puts import Putter

from ..harness import Cluster

NODES = 2
PATHS = ["b/0_a", "b/1_a", "b/0_a/0_c", "b/0_a/1_c", "b/d/0_a", "b/d/name", "c/name", "c/name/x", "c/0"]
PREFIXES = ["b/", "b/0", "b/0_a/", "b/d/", "c/", "c/n", "b/d/name", "c"]
VALUES = [b"", b"x", b"y" * 1000, b"z" * 700_000]


def node_of(path: str) -> int:
    return owner_index(path.rpartition("/")[2], NODES)


def is_in_the_way(path: str, there: str) -> bool:
    """Whether a key that is there keeps another from being made: one name for a key and a folder."""
    if node_of(path) != node_of(there):
        return False
    return path == there or path.startswith(f"{there}/") or there.startswith(f"{path}/")


class Model(RuleBasedStateMachine):
    """The cluster outlives the examples: each begins with an empty one."""

    cluster: Cluster

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, bytes] = {}
        self.cluster.remove_all_keys()

    @rule(path=st.sampled_from(PATHS), value=st.sampled_from(VALUES))
    def put(self, path: str, value: bytes) -> None:
        key = Key.parse(f"s4://{path}")
        with self.cluster.client() as client:
            if any(is_in_the_way(path, there) for there in self.keys):
                with pytest.raises(KeyExists):
                    self._put(Putter(client), key, value)
                return
            self._put(Putter(client), key, value)
        self.keys[path] = value

    def _put(self, putter: Putter, key: Key, value: bytes) -> None:
        source = self.cluster.folder / "value"
        source.write_bytes(value)
        with open(source, "rb") as file:
            putter.put_pipe(file.fileno(), key)

    @rule(path=st.sampled_from(PATHS))
    def get(self, path: str) -> None:
        found = bytearray()
        with self.cluster.client() as client:
            try:
                Getter(client).get_to(Key.parse(f"s4://{path}"), found.extend)
            except KeyNotFound:
                assert path not in self.keys
                return
        assert bytes(found) == self.keys[path]

    @rule(path=st.sampled_from(PATHS))
    def remove(self, path: str) -> None:
        with self.cluster.client() as client:
            try:
                client.delete(Key.parse(f"s4://{path}"))
            except KeyNotFound:
                assert path not in self.keys
                return
        del self.keys[path]

    @rule(prefix=st.sampled_from(PREFIXES))
    def remove_below(self, prefix: str) -> None:
        below = [path for path in self.keys if path.startswith(prefix)]
        with self.cluster.client() as client:
            assert client.delete_below(prefix) == len(below)
        for path in below:
            del self.keys[path]

    @rule(prefix=st.sampled_from([*PREFIXES, ""]))
    def list(self, prefix: str) -> None:
        with self.cluster.client() as client:
            rows = list(client.list_keys(prefix, recursive=True))
        expected = sorted(
            (path, len(value)) for path, value in self.keys.items() if path.startswith(prefix)
        )
        assert [(path, size) for path, size, _ in rows] == expected

    @rule(number=st.integers(0, NODES - 1))
    def kill(self, number: int) -> None:
        self.cluster.nodes[number].kill()
        self.cluster.start()

    @rule(number=st.integers(0, NODES - 1), path=st.sampled_from(PATHS), value=st.sampled_from(VALUES))
    def kill_during_put(self, number: int, path: str, value: bytes) -> None:
        """The put was confirmed, or the key is there whole or not at all."""
        source = self.cluster.folder / "killed"
        source.write_bytes(value)
        put = self.cluster.start_s4("cp", source, f"s4://{path}")
        self.cluster.nodes[number].kill()
        self.cluster.start()
        _, stderr = put.communicate(timeout=15)
        is_there = bool(self.cluster.keys(path)) and f"s4://{path}" in self.cluster.keys(path)
        if put.returncode == 0:
            assert is_there
            assert not any(is_in_the_way(path, there) for there in self.keys)
        elif put.returncode == 1:
            assert any(is_in_the_way(path, there) for there in self.keys), stderr
        if is_there and path not in self.keys:
            self.keys[path] = value

    @precondition(lambda self: self.keys)
    @rule(number=st.integers(0, NODES - 1))
    def stop_and_continue(self, number: int) -> None:
        self.cluster.nodes[number].send(signal.SIGSTOP)
        self.cluster.nodes[number].send(signal.SIGCONT)

    @invariant()
    def nothing_is_unfinished(self) -> None:
        for node in self.cluster.nodes:
            assert node.is_running

    def teardown(self) -> None:
        self.cluster.assert_no_leftovers()
        for path, value in self.keys.items():
            node = self.cluster.nodes[node_of(path)]
            assert node.path_of(f"s4://{path}").read_bytes() == value


@pytest.fixture
def two_nodes(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path, NODES)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def test_killed_nodes_between_and_during_requests_agree_with_the_model(two_nodes: Cluster) -> None:
    machine = type("Machine", (Model,), {"cluster": two_nodes})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=8,
            stateful_step_count=25,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )

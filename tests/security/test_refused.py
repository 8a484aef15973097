"""Whoever lacks the cluster key is told so in time, and nothing that he says reaches a node."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import zmq
from zmq.utils import z85

from s4zmq import codec, wire
from s4zmq.checksum import digest_of
from s4zmq.clusterkey import read_key
from s4zmq.config import load_config
from s4zmq.errors import AccessDenied, NodeUnreachable
from s4zmq.keys import Key
from s4zmq.session import Session

from ..cluster.kit import commands_running, make_tree
from ..faults.verbs import Requests, every_verb
from ..harness import Cluster, Node, wait_until

NewCluster = Callable[..., Cluster]
TOLD_WITHIN_S = 5.0
SLACK_S = 5.0
"""Sixteen command lines that start at once on two cores, beside other tests."""


def words_of_every_verb(folder: Path) -> dict[str, Sequence[object]]:
    tree = make_tree(folder / "tree", {"1_a": b"a"})
    return {
        **every_verb(folder, "x"),
        "ls -r": ["ls", "-r", "s4://b/"],
        "rm": ["rm", "s4://b/1_small"],
        "verify": ["verify"],
        "put -r": ["cp", "-r", "--resume", tree, "s4://new/resumed/"],
        "map dry": ["map", "--dry-run", "s4://in/", "s4://dry/", "cat"],
    }


def assert_every_verb_is_refused(cluster: Cluster, folder: Path, key_path: str, why: str) -> None:
    requests = Requests(cluster)
    words = words_of_every_verb(folder)
    requests.start_all({name: ["--key", key_path, *found] for name, found in words.items()})
    for name, ended in requests.end(TOLD_WITHIN_S + SLACK_S).items():
        assert ended.status == (255 if name == "eval" else 1), (name, ended)
        assert ended.stderr.startswith("s4: "), (name, ended)
        assert ended.stderr.count("\n") == 1, (name, ended)
        assert why in ended.stderr, (name, ended)
    done = cluster.s4("--key", key_path, "health")
    assert done.returncode == 1
    assert done.stdout.count(b"unhealthy: ") == len(cluster.nodes)
    assert why in done.stderr.decode()


def test_no_verb_is_heard_without_the_key(cluster: Cluster, tmp_path: Path) -> None:
    assert_every_verb_is_refused(cluster, tmp_path, "", "refuses a client without a cluster key")
    assert cluster.keys() == []


def test_no_verb_is_heard_with_another_key(cluster: Cluster, tmp_path: Path, other_key: str) -> None:
    assert_every_verb_is_refused(cluster, tmp_path, other_key, "refuses this cluster key")
    assert cluster.keys() == []


def test_nodes_without_a_key_are_told_as_such(tmp_path: Path, other_key: str) -> None:
    keyless = Cluster(tmp_path, 3, has_key=False)
    try:
        keyless.start()
        assert_every_verb_is_refused(keyless, tmp_path / "words", other_key, "without one")
        assert keyless.keys() == []
    finally:
        keyless.stop()


def test_one_refusal_takes_less_than_five_seconds(cluster: Cluster, other_key: str) -> None:
    for key_path in ("", other_key):
        begun = time.monotonic()
        assert cluster.s4("--key", key_path, "ls").returncode == 1
        assert time.monotonic() - begun < TOLD_WITHIN_S


# -- raw sockets

Curve = tuple[bytes, bytes, bytes]
"""What a client says and proves: the node's public half, his own public and secret half, in Z85."""


SILENT_MS = 700
"""A node answers in one or two; the strangers of a test wait one after another."""


def strangers(cluster: Cluster) -> dict[str, Curve | None]:
    """Those who do not hold the key, each with as much of it as a stranger may have."""
    public = public_half(cluster)
    own_public, own_secret = zmq.curve_keypair()
    return {
        "no key": None,
        "another key": (own_public, own_public, own_secret),
        "a pair of his own, and the node's public half": (public, own_public, own_secret),
        "the public half as his own, without its secret": (public, public, own_secret),
    }


def public_half(cluster: Cluster) -> bytes:
    return zmq.curve_public(z85.encode(read_key(cluster.key_path).secret))


def full_pair(cluster: Cluster) -> Curve:
    public = public_half(cluster)
    return public, public, z85.encode(read_key(cluster.key_path).secret)


@contextmanager
def dialled(kind: int, address: str, curve: Curve | None) -> Iterator[zmq.Socket[bytes]]:
    """A raw connection; nothing of s4's own sockets is in it."""
    with zmq.Context() as context, context.socket(kind) as made:
        made.setsockopt(zmq.LINGER, 0)
        made.setsockopt(zmq.SNDTIMEO, SILENT_MS)
        if curve:
            made.setsockopt(zmq.CURVE_SERVERKEY, curve[0])
            made.setsockopt(zmq.CURVE_PUBLICKEY, curve[1])
            made.setsockopt(zmq.CURVE_SECRETKEY, curve[2])
        made.connect(f"tcp://{address}")
        yield made


def send(socket: zmq.Socket[bytes], frames: Sequence[bytes]) -> None:
    """What a node has refused to connect with may take no more frames: that is as good as not heard."""
    with suppress(zmq.Again):
        socket.send_multipart(frames)


class Speaker:
    """Says control messages to one node as a client would."""

    def __init__(self, cluster: Cluster, dealer: zmq.Socket[bytes]) -> None:
        self._roster = cluster.config.roster.digest
        self._session = os.urandom(8)
        self._dealer = dealer

    def say(self, message: object, body: bytes = b"") -> None:
        frames = list(codec.encode(message, 1, self._roster, self._session))
        send(self._dealer, [*frames, body] if body else frames)

    def hears(self, timeout_ms: int) -> Any:
        """The next message; None where none comes in time."""
        if not self._dealer.poll(timeout_ms):
            return None
        envelope, _ = codec.decode(self._dealer.recv_multipart())
        return envelope.message


def put(key: str, value: bytes) -> wire.Put:
    return wire.Put([(key, len(value), digest_of(value))], os.urandom(16))


def test_a_raw_dealer_with_the_key_is_heard(cluster: Cluster) -> None:
    """Else the next tests would show nothing."""
    node = cluster.owner("0_raw")
    with dialled(zmq.DEALER, node.address, full_pair(cluster)) as dealer:
        speaker = Speaker(cluster, dealer)
        speaker.say(put("s4://raw/0_raw", b"value"), b"value")
        assert isinstance(speaker.hears(5000), wire.PutDone)
    assert cluster.keys() == ["s4://raw/0_raw"]


def test_no_request_of_a_raw_dealer_without_the_key_reaches_a_handler(cluster: Cluster) -> None:
    node = cluster.owner("0_raw")
    for who, curve in strangers(cluster).items():
        with dialled(zmq.DEALER, node.address, curve) as dealer:
            speaker = Speaker(cluster, dealer)
            for message in (wire.Ping([]), wire.Stats()):
                speaker.say(message)
            speaker.say(put("s4://raw/0_raw", b"value"), b"value")
            speaker.say(wire.Eval("s4://raw/0_raw", "touch /tmp/nobody", 8))
            assert speaker.hears(SILENT_MS) is None, who
    assert cluster.keys() == []


def test_no_chunk_of_a_raw_push_without_the_key_reaches_a_transfer(cluster: Cluster) -> None:
    """Even if he knows the port and the id of a transfer that is open, of which a node tells nobody."""
    node, value = cluster.owner("0_raw"), os.urandom(1000)
    with dialled(zmq.DEALER, node.address, full_pair(cluster)) as dealer:
        speaker = Speaker(cluster, dealer)
        speaker.say(wire.Open("s4://raw/0_raw", len(value), True, os.urandom(16)))
        granted = speaker.hears(5000)
        assert isinstance(granted, wire.Granted)
        first = [codec.encode_chunk(codec.Chunk(granted.transfer, 0, False)), bytes(len(value))]
        for curve in strangers(cluster).values():
            with dialled(zmq.PUSH, granted.data, curve) as push:
                send(push, first)
                assert speaker.hears(SILENT_MS) is None
        with dialled(zmq.PUSH, granted.data, full_pair(cluster)) as push:
            push.send_multipart([first[0], value])
            last = codec.Chunk(granted.transfer, len(value), True)
            push.send_multipart([codec.encode_chunk(last), digest_of(value)])
            while isinstance(answer := speaker.hears(5000), wire.Credit):
                pass
            assert isinstance(answer, wire.Stored), answer
    assert cluster.ok("cp", "s4://raw/0_raw", "-") == value


# -- what else may be at the other end


@contextmanager
def listener(greet: bytes, *, hangs_up: bool) -> Iterator[str]:
    """The address of a program that is no node."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def serve() -> None:
            with suppress(OSError):  # the server is closed
                while True:
                    peer, _ = server.accept()
                    peer.sendall(greet)
                    peer.close() if hangs_up else held.append(peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for peer in held:
            peer.close()


@pytest.mark.parametrize(
    ("greet", "hangs_up", "holds_one"),
    [
        (b"", True, True),
        (b"", True, False),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", False, True),  # without a key libzmq takes it for an old peer
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", True, True),
    ],
    ids=["hangs-up", "hangs-up-keyless", "speaks-first", "speaks-and-hangs-up"],
)
def test_a_port_of_another_program_is_told_as_such(
    tmp_path: Path, other_key: str, greet: bytes, hangs_up: bool, holds_one: bool
) -> None:
    with listener(greet, hangs_up=hangs_up) as address:
        conf = tmp_path / "s4.conf"
        conf.write_text(f"{address}\n")
        config, begun = load_config(str(conf), other_key if holds_one else ""), time.monotonic()
        with Session(config) as client, pytest.raises(AccessDenied, match="no node at all") as caught:
            client.delete(Key.parse("s4://b/x"))
        assert address in caught.value.text
        assert time.monotonic() - begun < TOLD_WITHIN_S


def test_a_port_that_says_nothing_is_a_node_that_hangs(tmp_path: Path, other_key: str) -> None:
    with listener(b"", hangs_up=False) as address:
        conf = tmp_path / "s4.conf"
        conf.write_text(f"{address}\n")
        with Session(load_config(str(conf), other_key)) as client, pytest.raises(NodeUnreachable):
            client.delete(Key.parse("s4://b/x"))


def test_a_node_that_was_started_anew_with_another_key_ends_what_waits(
    new_cluster: NewCluster, other_key: str
) -> None:
    cluster = new_cluster(nodes=1)
    (node,) = cluster.nodes
    cluster.ok("cp", "-", "s4://b/x", stdin=b"x")
    requests = Requests(cluster)
    requests.start("eval", "eval", "s4://b/x", "sleep 100")
    wait_until(lambda: commands_running(cluster) == 1, "the command to run")
    node.kill()
    good = Path(cluster.key_path).read_bytes()
    Path(cluster.key_path).write_bytes(Path(other_key).read_bytes())
    node.start()
    ended = requests.end()["eval"]
    assert ended.status == 255
    assert f"{node.address} refuses this cluster key" in ended.stderr, ended
    assert node.stop() == 0
    Path(cluster.key_path).write_bytes(good)
    node.start()
    cluster.wait_healthy()
    assert cluster.ok("cp", "s4://b/x", "-") == b"x"
    cluster.assert_no_leftovers()


def test_peers_that_refuse_each_other_are_named(tmp_path: Path, other_key: str) -> None:
    """Two nodes, of which one has another key: a shuffle by a client of the first."""
    cluster = Cluster(tmp_path, 2)
    first, second = cluster.nodes
    try:
        first.start()
        second.start(key_path=other_key)
        wait_until(lambda: is_healthy(cluster, first), "the first node to be healthy", 30)
        cluster.ok("cp", "-", "s4://in/0_x", stdin=b"x")
        text = cluster.refused("map-to-n", "s4://in/", "s4://out/", "cat > 0_y; cp 0_y 1_y; ls")
        assert f"{second.address} refuses this cluster key" in text
    finally:
        cluster.stop()


def is_healthy(cluster: Cluster, node: Node) -> bool:
    with cluster.client() as client:
        return any(found.is_healthy for found in client.health() if found.node == node.address)

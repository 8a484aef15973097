"""Strangers on the wire: a node refuses what no client would send, and stays as it was."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq

from s4zmq import codec, wire
from s4zmq.checksum import digest_of
from s4zmq.limits import BATCH_MAX_KEYS, CHUNK_BYTES, CONTROL_MAX_BYTES, DATA_MAX_BYTES

from ..harness import Cluster, Node, wait_until
from .kit import put_keys, transfers_open

BAD_KEYS = [
    "",
    "b/x",
    "/etc/passwd",
    "file:///etc/passwd",
    "s4://",
    "s4://b",
    "s4://b/",
    "s4:///etc/passwd",
    "s4:////x",
    "s4://../x",
    "s4://../../../tmp/x",
    "s4://b/..",
    "s4://b/../x",
    "s4://b/../../roster",
    "s4://b/./x",
    "s4://b//x",
    "s4://b/x/",
    "s4://./x",
    "s4://_b/x",
    "s4://b/a b",
    "s4://b/a\tb",
    "s4://b/a\nb",
    "s4://b/a\0b",
    "s4://b/a\x7fb",
    "s4://b/a\x85b",
    "s4://b/a\u00a0b",
    "s4://b/a\u200bb",
    "s4://b/a\u2028b",
    "s4://b/a\u202eb",
    "s4://b/a'b",
    's4://b/a"b',
    "s4://b/a\\b",
    "s4://b/a*",
    "s4://b/a?",
    "s4://b/a[b",
    "s4://b/" + "x" * 256,
    "s4://b/" + "é" * 128,
    "s4://b/" + "/".join(["y" * 200] * 6),
]
BAD_FOLDERS = ["", "b/", "s4://", "s4:///", "s4://../", "s4://b/../", "s4://b//", "s4://_b/", "s4://b/a b/"]
BAD_FILES = ["", ".", "..", "../x", "/etc/passwd", "a/b", "a\0b", "x" * 256]
HAS_KEY = (False,)
ID = b"0123456789abcdef"
ONE = digest_of(b"1")


class Stranger:
    """A raw connection to one node, without any of the client's checks."""

    def __init__(self, cluster: Cluster, node: Node, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self.digest = cluster.config.roster.digest
        self.session = os.urandom(8)
        self._context = context
        self._ids = iter(range(1, 1 << 30))
        self._dealer = context.socket(zmq.DEALER)
        self._dealer.connect(f"tcp://{node.address}")

    def send(self, frames: Sequence[bytes]) -> None:
        self._dealer.send_multipart(frames)

    def receive(self, timeout_s: float = 10) -> Any:
        """The next message; None where none comes in time."""
        if not self._dealer.poll(int(timeout_s * 1000)):
            return None
        envelope, _ = codec.decode(self._dealer.recv_multipart())
        return envelope.message

    def ask(self, message: Any, body: bytes = b"") -> Any:
        """The next message after a request."""
        frames = codec.encode(message, next(self._ids), self.digest, self.session)
        self.send([*frames, body] if body else frames)
        return self.receive()

    def push(self, address: str, *messages: Sequence[bytes]) -> None:
        """Messages for a data socket, sent before this returns."""
        with self._context.socket(zmq.PUSH) as push:
            push.connect(f"tcp://{address}")
            for frames in messages:
                push.send_multipart(frames)
            push.close(linger=5000)

    def close(self) -> None:
        self._dealer.close(linger=0)


@contextmanager
def stranger(cluster: Cluster, node: Node | None = None) -> Iterator[Stranger]:
    with zmq.Context() as context:
        found = Stranger(cluster, node or cluster.nodes[0], context)
        try:
            yield found
        finally:
            found.close()


def snapshot(folder: Path) -> set[tuple[str, int, int]]:
    """Every path below `folder` with its mode and size, but for logs."""
    return {
        (str(path), path.lstat().st_mode, path.lstat().st_size if path.is_file() else 0)
        for path in folder.rglob("*")
        if path.name != "log"
    }


def failure_codes(reply: Any) -> set[str]:
    """Codes of all that a reply refuses; a reply that refuses nothing has none."""
    if isinstance(reply, wire.Failure):
        return {reply.code}
    return {row[1] for row in getattr(reply, "failures", ())}


ON_KEYS: dict[str, Callable[[str], tuple[Any, bytes]]] = {
    "put": lambda key: (wire.Put([(key, 1, ONE)], ID), b"1"),
    "open": lambda key: (wire.Open(key, 1, True, ID), b""),
    "open a pipe": lambda key: (wire.Open(key, 0, False, ID), b""),
    "get": lambda key: (wire.Get([key], True), b""),
    "get sizes": lambda key: (wire.Get([key], False), b""),
    "fetch": lambda key: (wire.Fetch(key, 0, 1), b""),
    "delete": lambda key: (wire.Delete([key]), b""),
    "eval": lambda key: (wire.Eval(key, "touch /tmp/stranger", 1), b""),
    "offer": lambda key: (wire.Offer(ID, 0, [(key, 1)], [ONE], True, ID), b"1"),
    "offer in chunks": lambda key: (wire.Offer(ID, 0, [(key, 1)], [], False, ID), b""),
}


@pytest.mark.parametrize("verb", ON_KEYS)
def test_bad_keys_are_refused_by_the_node(cluster: Cluster, verb: str) -> None:
    before = snapshot(cluster.folder)
    with stranger(cluster) as raw:
        for key in BAD_KEYS:
            reply = raw.ask(*ON_KEYS[verb](key))
            assert failure_codes(reply) == {"E_KEY"}, (key, reply)
    assert snapshot(cluster.folder) == before


def plan(indir: str, outdir: str, files: Sequence[str] = (), kind: str = "map", jobs: int = 0) -> wire.Plan:
    shipped = [(name, ONE) for name in files]
    return wire.Plan(ID, kind, indir, outdir, "cat", shipped, 0, 0, jobs, False, False, False)


def test_bad_folders_are_refused_by_the_node(cluster: Cluster) -> None:
    before = snapshot(cluster.folder)
    with stranger(cluster) as raw:
        for folder in BAD_FOLDERS:
            for message in (
                plan(folder, "s4://out/"),
                plan("s4://in/", folder),
                wire.Census(ID[:8], [(folder, ID)]),
                wire.Clear(ID[:8], [folder]),
            ):
                assert failure_codes(raw.ask(message)) == {"E_KEY"}, (folder, message)
        for outdir in ("s4://in/", "s4://in/x/", "s4://out*/", "s4://out"):
            assert failure_codes(raw.ask(plan("s4://in/", outdir))) == {"E_KEY"}, outdir
        for indir in ("s4://b/../*", "s4://*/x", "s4://b/a b*", "s4://b/[", "s4://b"):
            assert failure_codes(raw.ask(plan(indir, "s4://out/"))) == {"E_KEY"}, indir
    assert snapshot(cluster.folder) == before


def test_bad_prefixes_are_refused_by_the_node(cluster: Cluster) -> None:
    put_keys(cluster, {"s4://b/0_x": b"1"})
    before = snapshot(cluster.folder)
    with stranger(cluster) as raw:
        for prefix in ("../", "..", "b/../", "b/../x", "/", "//", "b//", "_b", "b/a b", "b/\0"):
            for message in (wire.List(prefix, True), wire.List(prefix, False), wire.DeleteBelow(prefix)):
                reply = raw.ask(message)
                ok = isinstance(reply, (wire.Page, wire.Deleted)) and prefix == ".."
                assert ok or failure_codes(reply) == {"E_KEY"}, (prefix, message, reply)
                assert not getattr(reply, "entries", ())
        assert failure_codes(raw.ask(wire.DeleteBelow(""))) == {"E_KEY"}
    assert snapshot(cluster.folder) == before


def test_bad_names_of_shipped_files_are_refused(cluster: Cluster) -> None:
    before = snapshot(cluster.folder)
    with stranger(cluster) as raw:
        for name in BAD_FILES:
            assert failure_codes(raw.ask(plan("s4://in/", "s4://out/", [name]))), name
            assert failure_codes(raw.ask(wire.Put([(name, 1, ONE)], ID, ID), b"1")) == {"E_CONNECTION"}, (
                name
            )
            assert failure_codes(raw.ask(wire.Open(name, 1, True, ID, ID))) == {"E_CONNECTION"}, name
        assert isinstance(raw.ask(plan("s4://in/", "s4://out/", ["good"])), wire.Planned)
        assert failure_codes(raw.ask(wire.Put([("bad", 1, ONE)], ID, ID), b"1")) == {"E_REQUEST"}
        assert failure_codes(raw.ask(wire.Run(ID))) == {"E_REQUEST"}, "the file did not arrive"
        assert isinstance(raw.ask(wire.Close()), wire.Ok)
    cluster.assert_no_leftovers()
    assert snapshot(cluster.folder) == before


def test_a_key_of_another_node_is_refused(cluster: Cluster) -> None:
    with stranger(cluster, cluster.nodes[0]) as raw:
        for verb, build in ON_KEYS.items():
            reply = raw.ask(*build("s4://b/1_x"))
            assert failure_codes(reply) == {"E_WRONG_OWNER"}, (verb, reply)
    assert cluster.keys() == []


def test_one_bad_key_of_many_is_refused_alone(cluster: Cluster) -> None:
    entries = [("s4://b/0_x", 1, ONE), ("s4://b/../0_y", 1, ONE), ("s4://b/0_z", 1, ONE)]
    with stranger(cluster) as raw:
        reply = raw.ask(wire.Put(entries, ID), b"111")
        assert [tuple(row[:2]) for row in reply.failures] == [(1, "E_KEY")]
    assert cluster.keys() == ["s4://b/0_x", "s4://b/0_z"]


def test_put_requests_that_do_not_add_up_are_refused(cluster: Cluster) -> None:
    key, many = "s4://b/0_x", [("s4://b/0_x", 0, digest_of(b""))] * (BATCH_MAX_KEYS + 1)
    node = cluster.nodes[0].address
    bad: list[tuple[Any, bytes, str]] = [
        (wire.Put([(key, 2, ONE)], ID), b"1", "E_PROTOCOL"),
        (wire.Put([(key, 0, ONE)], ID), b"1", "E_PROTOCOL"),
        (wire.Put(many, ID), b"", "E_PROTOCOL"),
        (wire.Put([(key, 1, ONE)], ID), b"2", "E_CHECKSUM"),
        (wire.Put([(key, 1, b"")], ID), b"1", "E_CHECKSUM"),
        (wire.Open(key, 1 << 62, True, ID), b"", "E_NO_SPACE"),
        (wire.Offer(ID, 0, [(key, 1)], [], True, ID), b"1", "E_PROTOCOL"),
        (wire.Offer(ID, 0, [(key, 1)], [b"x" * 16], True, ID), b"1", "E_CHECKSUM"),
        (wire.Offer(ID, 0, [], [], True, ID), b"", "E_PROTOCOL"),
        (wire.Offer(b"x" * 5000, 0, [(key, 1)], [ONE], True, ID), b"1", "E_PROTOCOL"),
        (wire.Offer(b"", 0, [(key, 1)], [ONE], True, ID), b"1", "E_PROTOCOL"),
        (wire.Offer(ID, 0, [(key, 1)], [ONE], True, b"short"), b"1", "E_PROTOCOL"),
        (wire.Commit(b"../../../../x", 1, node), b"", "E_PROTOCOL"),
        (wire.Commit(ID[::-1], 1, node), b"", "E_CONNECTION"),
        (wire.Commit(ID[::-1], 1, "10.0.0.1:80"), b"", "E_PROTOCOL"),
        (wire.Census(ID, []), b"", "E_PROTOCOL"),
        (wire.Census(ID[:8], [("s4://out/a/", ID)] * (BATCH_MAX_KEYS + 1)), b"", "E_PROTOCOL"),
        (wire.Clear(ID[:8], ["s4://out/a/"] * (BATCH_MAX_KEYS + 1)), b"", "E_PROTOCOL"),
        (wire.Fates(ID[:8], [ID] * (BATCH_MAX_KEYS + 1)), b"", "E_PROTOCOL"),
    ]
    with stranger(cluster) as raw:
        for message, body, code in bad:
            assert failure_codes(raw.ask(message, body)) == {code}, message
            assert cluster.keys() == []
        raw.ask(wire.Close())


def test_reads_out_of_range_are_refused(cluster: Cluster) -> None:
    put_keys(cluster, {"s4://b/0_x": b"12345"})
    with stranger(cluster) as raw:
        for length in (0, CHUNK_BYTES + 1, 1 << 62):
            assert failure_codes(raw.ask(wire.Fetch("s4://b/0_x", 0, length))) == {"E_PROTOCOL"}
        assert raw.ask(wire.Fetch("s4://b/0_x", 5, 10)).size == 5
        assert raw.ask(wire.Fetch("s4://b/0_x", (1 << 63) - 1, 10)) is not None
        assert failure_codes(raw.ask(wire.Get(["s4://b/0_x"] * (BATCH_MAX_KEYS + 1), True)))
        assert failure_codes(raw.ask(wire.More(999, 1))) == {"E_CONNECTION"}
        for window in (0, 1 << 40):
            reply = raw.ask(wire.Eval("s4://b/0_x", "cat", window))
            assert failure_codes(reply) == {"E_PROTOCOL"}
        for command in ("", "\0", "x" * 200_000):
            assert failure_codes(raw.ask(wire.Eval("s4://b/0_x", command, 1))) == {"E_REQUEST"}
    assert all(cluster.health())


def test_messages_that_are_no_requests_are_refused(cluster: Cluster) -> None:
    with stranger(cluster) as raw:
        for message in (wire.Ok(), wire.Staged(), wire.Stored(1, ONE), wire.Pong(b"", []), wire.Credit(9)):
            assert failure_codes(raw.ask(message)) == {"E_PROTOCOL"}
        for kind in ("", "eval", "../x"):
            assert failure_codes(raw.ask(plan("s4://in/", "s4://out/", kind=kind))) == {"E_PROTOCOL"}


def header(**fields: Any) -> list[bytes]:
    return [codec.PRELUDE, msgpack.packb(fields)]


def garbage(digest: bytes) -> list[list[bytes]]:
    """Messages that are wrong each in its own way; `digest` is that of the roster."""
    deep = b"\x91" * 100_000
    fine = {"id": 1, "roster": digest, "session": b"8 bytes!"}
    return [
        [b""],
        [b"", b"", b"", b""],
        [os.urandom(100)],
        [os.urandom(4), os.urandom(1000), os.urandom(1000)],
        [codec.PRELUDE],
        [codec.PRELUDE, b""],
        [codec.PRELUDE, b"\xc1"],
        [codec.PRELUDE, deep],
        [codec.PRELUDE, b"\xdf\xff\xff\xff\xff"],
        [codec.PRELUDE, msgpack.packb([1, 2])],
        [codec.PRELUDE, msgpack.packb({1: 2})],
        [codec.PRELUDE, msgpack.packb(fine) + b"x"],
        header(),
        header(op="stats"),
        header(op="nothing", **fine),
        header(op=["stats"], **fine),
        header(**{**fine, "op": "stats", "id": -1}),
        header(**{**fine, "op": "stats", "id": (1 << 64) - 1}),
        header(**{**fine, "op": "stats", "session": b""}),
        header(op="get", keys="s4://b/x", inline=True, **fine),
        header(op="get", keys=[b"s4://b/x"], inline=True, **fine),
        header(op="get", keys=[["s4://b/x"]], inline=True, **fine),
        header(op="get", keys=["s4://b/x"], inline=1, **fine),
        header(op="get", inline=True, **fine),
        header(op="put", entries=[["s4://b/x", -1, ONE]], writer=ID, **fine),
        header(op="put", entries=[["s4://b/x", True, ONE]], writer=ID, **fine),
        header(op="put", entries=[["s4://b/x", 1]], writer=ID, **fine),
    ]


def test_garbage_leaves_the_node_healthy(cluster: Cluster) -> None:
    with stranger(cluster) as raw:
        for frames in garbage(raw.digest):
            raw.send(frames)
        assert isinstance(ask_until(raw, wire.Stats(), wire.StatsReply), wire.StatsReply)
    assert cluster.keys() == []
    assert "Traceback" not in cluster.nodes[0].log


def ask_until(raw: Stranger, message: Any, kind: type) -> Any:
    """Ask, and skip replies to what was sent before."""
    reply = raw.ask(message)
    while reply is not None and not isinstance(reply, kind):
        assert isinstance(reply, wire.Failure), reply
        reply = raw.receive()
    return reply


def test_a_key_that_is_not_utf8_is_refused(cluster: Cluster) -> None:
    before = snapshot(cluster.folder)
    with stranger(cluster) as raw:
        frames = codec.encode(wire.Get(["s4://b/XX"], True), 1, raw.digest, raw.session)
        raw.send([frames[0], frames[1].replace(b"XX", b"\xff\xfe")])
        assert isinstance(raw.receive(), wire.Failure)
    assert snapshot(cluster.folder) == before


def test_oversize_frames_end_only_their_own_connection(cluster: Cluster) -> None:
    put_keys(cluster, {"s4://b/0_x": b"1"})
    with stranger(cluster) as other, stranger(cluster) as raw:
        assert isinstance(other.ask(wire.Stats()), wire.StatsReply)
        frames = codec.encode(wire.Stats(), 1, raw.digest, raw.session)
        raw.send([*frames, bytes(CONTROL_MAX_BYTES + 1)])
        assert isinstance(other.ask(wire.Get(["s4://b/0_x"], True)), wire.Values)
        address = other.ask(wire.Open("s4://b/0_y", 10, True, ID)).data
        other.push(address, [codec.encode_chunk(codec.Chunk(ID, 0, False)), bytes(DATA_MAX_BYTES + 1)])
        assert isinstance(other.ask(wire.Close()), (wire.Ok, wire.Failure))
    assert cluster.ok("cp", "s4://b/0_x", "-") == b"1"


def test_bytes_that_are_not_zeromq_do_no_harm(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(4096), b"\xff" + bytes(64)):
        with socket.create_connection(("127.0.0.1", node.port)) as connection:
            connection.sendall(data)
    assert all(cluster.health())
    assert "Traceback" not in node.log


def test_another_roster_is_refused_and_says_so(cluster: Cluster) -> None:
    with stranger(cluster) as raw:
        for digest in (b"", b"x" * 8, b"x" * 1000):
            raw.send(codec.encode(wire.Get(["s4://b/0_x"], True), 7, digest or b"y", b"8 bytes!"))
            reply = raw.receive()
            assert reply.code == "E_ROSTER"
            assert "conf" in reply.text


def test_another_version_is_refused_and_says_so(cluster: Cluster) -> None:
    with stranger(cluster) as raw:
        frames = codec.encode(wire.Stats(), 7, raw.digest, raw.session)
        raw.send([codec.MAGIC + bytes([wire.VERSION + 1]), frames[1]])
        reply = raw.receive()
        assert reply.code == "E_VERSION"
        assert f"version {wire.VERSION + 1}" in reply.text


# -- the data plane


def open_transfer(raw: Stranger, key: str, size: int) -> wire.Granted:
    granted = raw.ask(wire.Open(key, size, True, os.urandom(16)))
    assert isinstance(granted, wire.Granted), granted
    return granted


def chunk(transfer: bytes, offset: int, data: bytes, *, last: bool = False) -> list[bytes]:
    return [codec.encode_chunk(codec.Chunk(transfer, offset, last)), data]


def test_unknown_transfers_and_garbage_on_the_data_port_are_dropped(cluster: Cluster) -> None:
    with stranger(cluster) as raw:
        granted = open_transfer(raw, "s4://b/0_x", 5)
        bad = [chunk(os.urandom(16), 0, b"abc"), chunk(ID, 1 << 60, b"", last=True)]
        bad += [[b""], [b"", b""], [os.urandom(32), b"x"], [os.urandom(31)], [b"x"] * 5]
        bad += [[*chunk(granted.transfer, 0, b"12345"), b"one frame more"]]
        good = [
            chunk(granted.transfer, 0, b"12345"),
            chunk(granted.transfer, 5, digest_of(b"12345"), last=True),
        ]
        raw.push(granted.data, *bad, *good)
        assert raw.receive() == wire.Stored(5, digest_of(b"12345"))
    assert cluster.ok("cp", "s4://b/0_x", "-") == b"12345"


@pytest.mark.parametrize(
    ("chunks", "code"),
    [
        ([(0, b"123456", False)], "E_PROTOCOL"),
        ([(1, b"1", False)], "E_CONNECTION"),
        ([(0, b"", False)], "E_PROTOCOL"),
        ([(0, b"12", False), (0, b"12", False)], "E_CONNECTION"),
        ([(0, b"12", False), (2, digest_of(b"12"), True)], "E_PROTOCOL"),
        ([(0, b"12345", False), (5, b"", True)], "E_PROTOCOL"),
        ([(0, b"12345", False), (5, ONE, True)], "E_CHECKSUM"),
        ([(offset, b"1", False) for offset in (0, 1, 2, 3, 4, 0)], "E_CONNECTION"),
    ],
)
def test_chunks_that_do_not_fit_end_their_transfer(
    cluster: Cluster, chunks: list[tuple[int, bytes, bool]], code: str
) -> None:
    with stranger(cluster) as raw:
        granted = open_transfer(raw, "s4://b/0_x", 5)
        # They come in one go, as from a sender that does not wait for credit.
        burst = [chunk(granted.transfer, offset, data, last=last) for offset, data, last in chunks]
        raw.push(granted.data, *burst)
        reply = raw.receive()
        while isinstance(reply, wire.Credit):
            reply = raw.receive()
        assert failure_codes(reply) == {code}
    assert cluster.keys() == []
    assert transfers_open(cluster) == 0


def test_a_transfer_without_a_client_ends_with_its_lease(cluster: Cluster) -> None:
    with stranger(cluster) as raw:
        open_transfer(raw, "s4://b/0_x", 5)
        assert transfers_open(cluster) == 1
    wait_until(lambda: transfers_open(cluster) == 0, "the lease to run out", 10)
    assert cluster.keys() == []


def test_another_session_can_not_end_a_transfer(cluster: Cluster) -> None:
    with stranger(cluster) as raw, stranger(cluster) as other:
        granted = open_transfer(raw, "s4://b/0_x", 1)
        assert isinstance(other.ask(wire.Close()), wire.Ok)
        raw.push(granted.data, chunk(granted.transfer, 0, b"1"), chunk(granted.transfer, 1, ONE, last=True))
        assert raw.receive() == wire.Stored(1, ONE)

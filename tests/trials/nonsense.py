"""What hostile peers say: random bytes, damaged messages, and requests for absurd things.

The same seed gives the same messages. Nothing here removes or reads a key outside of the buckets
`b` and `absurd`, and nothing has a command run. No sockets.
"""

from __future__ import annotations

import random
import typing
from collections.abc import Callable, Sequence
from typing import Any

import msgpack

from s4zmq import codec, wire
from s4zmq.checksum import digest_of
from s4zmq.limits import BATCH_MAX_KEYS, CHUNK_BYTES, PARCEL_MAX_FILES

KEY = "s4://b/0_x"
TEXTS = {"kind": "map-to-n", "inputs": "s4://b/in/*", "outdir": "s4://b/out/", "prefix": "b/in/"}
"""Fields of type text that hold something other than a key."""

SHORT = {"recipe", "boot", "session", "roster"}
"""Fields of 8 bytes; all other identifiers have 16."""


def sample_of(hint: Any, name: str) -> Any:
    """A value of a type of the wire that fits the field `name`."""
    scalars: dict[Any, Any] = {int: 1, float: 1.5, bool: True, str: TEXTS.get(name, KEY), Any: None}
    if hint is bytes:
        return b"I" * (8 if name in SHORT else 16)
    if hint in scalars:
        return scalars[hint]
    inner = [sample_of(arg, name) for arg in typing.get_args(hint)]
    if typing.get_origin(hint) is list:
        return inner
    return {"some": inner[1]} if typing.get_origin(hint) is dict else tuple(inner)


def sample(cls: Any) -> Any:
    """A message that a node understands, if it is a request."""
    hints = typing.get_type_hints(cls)
    return cls(**{name: sample_of(hint, name) for name, hint in hints.items()})


MESSAGES = [sample(cls) for cls in wire.OPS]
REPLIES = [sample(cls) for cls in (wire.Ok, wire.Pong, wire.Stored, wire.Credit, wire.Values)]

OF_OTHER_TYPES: list[Any] = [
    *(None, True, 0, 1, -1, 1.5, float("nan"), float("inf"), "", "text", b"", b"bytes", b"x" * 16),
    *([], [[]], [1, "a", b"b"], {}, {"a": {"b": []}}, msgpack.ExtType(5, b"ext"), msgpack.Timestamp(1, 2)),
]
"""Values of every type that msgpack has."""

EXTREMES: dict[Any, list[Any]] = {
    int: [0, 1, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -1, -(2**63)],
    float: [0.0, -0.0, 1e-320, 999_999_999.0, 1e9, 1e308, float("inf"), -float("inf"), float("nan")],
    bool: [False, True],
    str: [
        "",
        "\0",
        "s4://",
        "s4://b/" + "x" * 300,
        "é" * 600,
        "\U0010ffff",
        "\u202e",
        "../" * 50,
        "x" * 70_000,
    ],
    bytes: [b"", b"\0" * 16, b"\xff" * 16, b"x" * 15, b"x" * 17, b"x" * 70_000],
}
"""The ends of each type's range, and what is just beyond them."""

Frames = list[bytes]


def extremes_of(hint: Any) -> list[Any]:
    """Extreme values of a type of the wire, and some that only look like it."""
    if hint in EXTREMES:
        return EXTREMES[hint]
    inner = [extremes_of(arg) for arg in typing.get_args(hint)]
    if typing.get_origin(hint) is list:
        return [[], [[]], *([value] for value in inner[0]), [inner[0][0]] * (PARCEL_MAX_FILES + 1)]
    if typing.get_origin(hint) is tuple:
        return [[], *([values[n % len(values)] for values in inner] for n in range(10))]
    return [{}, {"": None}, {"x" * 300: [[[]]]}]


def header(message: Any, **changes: Any) -> bytes:
    """The second frame of a message as the node would get it, with some fields changed."""
    fields = {**message._asdict(), "op": wire.OPS[type(message)], "id": 7, **changes}
    return bytes(msgpack.packb(fields))


class Nonsense:
    """An endless supply."""

    def __init__(self, random: random.Random, roster_digest: bytes) -> None:
        """With the digest of its roster a node takes some of it for the requests of a client."""
        self._random = random
        self._roster = roster_digest
        self._control: list[tuple[str, int, Callable[[], Frames]]] = [
            ("random bytes", 100, self._random_frames),
            ("random header", 100, self._random_header),
            ("truncated", 100, self._truncated),
            ("bytes changed", 150, self._damaged),
            ("wrong type", 150, self._wrong_type),
            ("extreme value", 100, self._extreme),
            ("huge count", 3, self._huge_count),
            ("deep nesting", 3, self._deep),
            ("wrong prelude", 50, self._wrong_prelude),
            ("wrong roster", 50, self._wrong_roster),
            ("no session", 20, self._no_session),
            ("unknown op", 50, self._unknown_op),
            ("reply as request", 50, self._reply),
            ("bad id", 50, self._bad_id),
            ("wrong frames", 30, self._wrong_frames),
            ("absurd request", 200, self.absurd),
        ]
        self._weights = [weight for _, weight, _ in self._control]

    def control(self) -> tuple[str, Frames]:
        """(kind, frames) of one message for a control socket."""
        ((kind, _, make),) = self._random.choices(self._control, self._weights)
        return kind, make()

    def data(self) -> tuple[str, Frames]:
        """(kind, frames) of one message for a data socket."""
        r = self._random
        head = codec.encode_chunk(codec.Chunk(r.randbytes(16), r.getrandbits(r.choice((1, 20, 64))), False))
        kind = r.choice(
            ("random data", "unknown transfer", "unknown transfer", "damaged chunk", "data frames")
        )
        if kind == "random data":
            return kind, self._random_frames()
        if kind == "unknown transfer":
            return kind, [head, r.randbytes(r.choice((0, 1, 100, 3000)))]
        if kind == "damaged chunk":
            return kind, [self._changed(head), b"x" * r.randrange(100)]
        return kind, r.choice(
            ([head], [head, b"", b""], [b""], [head] * 9, [head[:31], b"x"], [head, bytes(CHUNK_BYTES)])
        )

    def junk(self) -> bytes:
        """Bytes of a peer that does not speak ZMTP, or not for long."""
        r = self._random
        return r.choice(
            (
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + r.randbytes(200),
                b"SSH-2.0-OpenSSH_9.6\r\n",
                r.randbytes(r.randrange(1, 4000)),
                b"\xff" + r.randbytes(63),
                b"\xff" + bytes(8) + b"\x7f" + r.randbytes(2) + b"NULL".ljust(20, b"\0") + r.randbytes(100),
                b"\xff"
                + bytes(8)
                + b"\x7f\x03\x00"
                + b"PLAIN".ljust(20, b"\0")
                + bytes(32)
                + r.randbytes(99),
                b"\x01\x00" + r.randbytes(50),
                bytes(5000),
            )
        )

    # -- messages that are wrong

    def _pack(self, message: Any, **changes: Any) -> bytes:
        session = self._random.randbytes(8)
        return header(message, **{"roster": self._roster, "session": session, **changes})

    def _any(self) -> Any:
        return self._random.choice(MESSAGES)

    def _random_frames(self) -> Frames:
        r = self._random
        return [r.randbytes(r.choice((0, 1, 4, 32, 300))) for _ in range(r.randrange(1, 5))]

    def _random_header(self) -> Frames:
        return [codec.PRELUDE, self._random.randbytes(self._random.randrange(200))]

    def _truncated(self) -> Frames:
        whole = self._pack(self._any())
        return [codec.PRELUDE, whole[: self._random.randrange(len(whole))]]

    def _damaged(self) -> Frames:
        return [codec.PRELUDE, self._changed(self._pack(self._any()))]

    def _changed(self, whole: bytes) -> bytes:
        changed = bytearray(whole)
        for _ in range(self._random.randrange(1, 4)):
            changed[self._random.randrange(len(changed))] = self._random.randrange(256)
        return bytes(changed)

    def _wrong_type(self) -> Frames:
        message = self._any()
        name = self._random.choice((*message._fields, "op", "id", "roster", "session"))
        return [codec.PRELUDE, self._pack(message, **{name: self._random.choice(OF_OTHER_TYPES)})]

    def _extreme(self) -> Frames:
        message = self._any()
        hints = typing.get_type_hints(type(message))
        if not hints:
            return self._wrong_type()
        name = self._random.choice(list(hints))
        value = self._random.choice(extremes_of(hints[name]))
        return [codec.PRELUDE, self._pack(message, **{name: value})]

    def _huge_count(self) -> Frames:
        r = self._random
        announced = r.choice((b"\xdf", b"\xdd", b"\xc6", b"\xdb", b"\xc9")) + b"\xff\xff\xff\xff"
        many = r.choice((3000, 3000, 3000, 50_000))
        makers: list[Callable[[], bytes]] = [
            lambda: announced,
            lambda: b"\x81\xa2op" + announced,
            lambda: self._pack(wire.Ping([1] * many)),
            lambda: self._pack(wire.Get(["s4://absurd/x"] * many, True)),
            lambda: self._pack(wire.Stats(), more=[[]] * many),
            lambda: bytes(msgpack.packb({str(n): n for n in range(many)})),
        ]
        return [codec.PRELUDE, r.choice(makers)()]

    def _deep(self) -> Frames:
        depth = self._random.choice((100, 600, 100_000))
        shape = self._random.choice((b"\x91", b"\x81\xa1x", b"\x92\xc0"))
        return [codec.PRELUDE, self._random.choice((b"", b"\x81\xa2op")) + shape * depth + b"\xc0"]

    def _wrong_prelude(self) -> Frames:
        prelude = self._random.choice(
            (b"", b"s4z", b"S4z\x02", b"s4z\x01", b"s4z\xff", b"s4z\x02\x02", b"HTTP")
        )
        return [prelude, self._pack(self._any())]

    def _wrong_roster(self) -> Frames:
        roster = self._random.choice((b"", b"x", self._random.randbytes(8), b"x" * 5000))
        return [codec.PRELUDE, self._pack(self._any(), roster=roster)]

    def _no_session(self) -> Frames:
        session = self._random.choice((b"", b"x", b"x" * 9, b"x" * 5000))
        return [codec.PRELUDE, self._pack(self._any(), session=session)]

    def _unknown_op(self) -> Frames:
        op = self._random.choice(
            ("", "PING", "x" * 10_000, "\0", "no-such", "__class__", ["ping"], {"a": 1})
        )
        return [codec.PRELUDE, self._pack(self._any(), op=op)]

    def _reply(self) -> Frames:
        return [codec.PRELUDE, self._pack(self._random.choice(REPLIES))]

    def _bad_id(self) -> Frames:
        return [
            codec.PRELUDE,
            self._pack(self._any(), id=self._random.choice((-1, 1 << 63, None, "7", 7.0, True))),
        ]

    def _wrong_frames(self) -> Frames:
        frames = [codec.PRELUDE, self._pack(self._any())]
        return self._random.choice(
            (frames[:1], [*frames, b"", b""], frames * 20, [frames[1]], [b"", *frames])
        )

    # -- requests that are well formed

    def absurd(self) -> Frames:
        """A request that no client would send, of one that knows the roster."""
        message, body = self._absurd()
        frames = [codec.PRELUDE, self._pack(message, id=self._random.randrange(1, 1 << 31))]
        return [*frames, body] if body else frames

    def _absurd(self) -> tuple[Any, bytes]:
        r = self._random
        key, id = f"s4://absurd/{r.randrange(1000)}_x", r.randbytes(16)
        keys = [f"s4://absurd/{n}_{'x' * 200}" for n in range(BATCH_MAX_KEYS)]
        makers: list[Callable[[], tuple[Any, bytes]]] = [
            lambda: (wire.Get([key], True), b""),
            lambda: (wire.Get(keys, True), b""),
            lambda: (wire.Fetch(key, 1 << 62, CHUNK_BYTES), b""),
            lambda: (wire.Open(key, 1 << 62, True, id), b""),
            lambda: (wire.Open(key, 1, True, id), b""),
            lambda: (wire.Put([(key, 3, digest_of(b"not"))], id), b"yes"),
            lambda: (wire.Put([(key, 1 << 62, id)] * BATCH_MAX_KEYS, id), b"x" * 10_000),
            lambda: (wire.List("", True), b""),
            lambda: (wire.List("../" * 300, True), b""),
            lambda: (wire.More(r.getrandbits(62), r.getrandbits(62)), b""),
            lambda: (wire.Delete(keys), b""),
            lambda: (wire.DeleteBelow("absurd/"), b""),
            lambda: (wire.Census(id[:8], [("s4://absurd/x/", id)] * BATCH_MAX_KEYS), b""),
            lambda: (wire.Clear(id[:8], ["s4://absurd/x/"] * BATCH_MAX_KEYS), b""),
            lambda: (wire.Fates(id[:8], [id] * BATCH_MAX_KEYS), b""),
            lambda: (wire.Eval(key, "true", 8), b""),
            lambda: (self._absurd_plan(id), b""),
            lambda: (wire.Run(id), b""),
            lambda: (wire.CancelJob(id), b""),
            lambda: (wire.Offer(id, 1 << 62, [(key, 1 << 62)] * PARCEL_MAX_FILES, [], False, id), b""),
            lambda: (wire.Offer(id, 0, [(key, 1)], [id], True, id), b"1"),
            lambda: (wire.Commit(id, 1 << 62, "127.0.0.1:1"), b""),
            lambda: (wire.Abort(id), b""),
            lambda: (wire.Settle(id), b""),
            lambda: (wire.Drop(id), b""),
            lambda: (wire.Allow(r.getrandbits(62), r.getrandbits(62)), b""),
            lambda: (wire.Ping([r.getrandbits(62) for _ in range(1000)]), b""),
            lambda: (wire.Stats(), b""),
            lambda: (wire.Close(), b""),
        ]
        return r.choice(makers)()

    def _absurd_plan(self, id: bytes) -> wire.Plan:
        known = {"job": id, "inputs": "s4://absurd/*", "command": "true", "files": [], "timeout_s": 9e8}
        plan: wire.Plan = sample(wire.Plan)._replace(**known, retries=1 << 62, jobs=1 << 62)
        return plan


def mutations(message: Any) -> Sequence[bytes]:
    """Headers in which each field of a message in turn has every value of every other type, and the
    extremes of its own."""
    hints = typing.get_type_hints(type(message))
    changed = [
        {name: value} for name in (*hints, "op", "id", "roster", "session") for value in OF_OTHER_TYPES
    ]
    changed += [{name: value} for name, hint in hints.items() for value in extremes_of(hint)]
    headers = []
    for change in changed:
        try:
            headers.append(header(message, **change))
        except (OverflowError, ValueError):
            continue  # msgpack has no such value
    return headers

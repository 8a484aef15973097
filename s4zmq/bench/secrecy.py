"""The scenario of the cluster key: what encryption costs, beside the same without, and CURVE alone.

Two clusters beside the first one, measured in turns, so that both meet the same noise.
"""

from __future__ import annotations

import sys
import time

import zmq

from .. import sockets
from ..clusterkey import ClusterKey
from ..limits import CHUNK_BYTES
from .bench import Bench, Scenario, WrongResult
from .report import Label
from .sizes import SMALL_BYTES

_CURVE = "CURVE, one PUSH to one PULL"
_CONNECT_MS = 10_000


def _key(bench: Bench) -> None:
    nodes = len(bench.config.roster.nodes)
    with bench.elsewhere(nodes, with_key=True) as keyed, bench.elsewhere(nodes) as keyless:
        for _ in range(bench.runs):
            for other, how in ((keyed, "with a key"), (keyless, "without")):
                _large(other, how)
                _small(other, how)


def _large(bench: Bench, how: str) -> None:
    size = bench.sizes.value_bytes
    source, copy, key = bench.inputs.value(size), bench.scratch / "copy", bench.key("000_value")
    limits = {_CURVE: _stream(bench, bench.config.key, size)} if bench.config.key else {}
    bench.note_rate(Label(f"put {how}", "MB/s"), size, bench.s4("cp", source, key), limits)
    bench.note_rate(Label(f"get {how}", "MB/s"), size, bench.s4("cp", key, copy), limits)
    bench.expect_same_files(source, copy)
    copy.unlink()
    bench.s4("rm", key)


def _small(bench: Bench, how: str) -> None:
    count = bench.sizes.small_values
    source = next(iter(bench.inputs.lines(1, SMALL_BYTES, numbered=True).iterdir()))
    keys = [bench.key(f"small/key-{number}") for number in range(count)]
    seconds = sum(bench.s4("cp", source, key) for key in keys)
    bench.expect_keys(bench.key("small/"), count, count * SMALL_BYTES)
    bench.note_rate(Label(f"small put {how}", "ms"), count, seconds, {})
    bench.s4("rm", "-r", bench.key("small/"))


def _stream(bench: Bench, key: ClusterKey, size_bytes: int) -> float:
    """Seconds for so many bytes in chunks from memory to memory, from the first to the last."""
    argv = [sys.executable, "-m", "s4zmq.bench.pull", key.path, str(size_bytes)]
    chunk, context = bytes(CHUNK_BYTES), sockets.Context(key)
    with bench.commands.background(argv, is_read=True) as pull:
        assert pull.stdout is not None
        push, monitor = sockets.dial_data(context, f"127.0.0.1:{int(pull.stdout.readline())}")
        try:
            if not push.poll(_CONNECT_MS, zmq.POLLOUT):
                raise WrongResult("the PULL did not answer")
            started_at = time.perf_counter()
            for start in range(0, size_bytes, CHUNK_BYTES):
                push.send(chunk[: size_bytes - start], copy=False)
            pull.stdout.readline()
            return time.perf_counter() - started_at
        finally:
            sockets.close_watched(push, monitor)
            context.close()


SCENARIOS = (Scenario("key", "large and small values with a cluster key and without, MB/s and ms", _key),)

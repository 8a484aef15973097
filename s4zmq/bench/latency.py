"""The scenario of a ping under load: how long a node takes to say that it lives while it works.

One process pings a node and a bare ROUTER in turns, every 10 ms whether or not an answer is
outstanding, while clients stream large values in and out and a map runs.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import zmq

from .. import codec, sockets
from ..session import Session
from ..wire import Ping
from .bench import Bench, Scenario, WrongResult
from .jobs import BUILTIN
from .report import Label
from .sizes import LINE_BYTES

_EVERY_S = 0.01
_LAST_WORD_S = 5.0
"""How long the last pings may take; an answer that takes longer is lost."""
_WARM_UP_S = 0.5
_STREAMS = 4
_MAP_KEYS = 200
_BARE = "bare ROUTER"

_LOOP = 'stop=$1; shift; while [ ! -e "$stop" ]; do "$@" > /dev/null; {after}; done'


class Target:
    """A connection that is pinged, and the times that answers took, ms."""

    def __init__(self, name: str, context: sockets.Context, address: str, frames: Sequence[bytes]) -> None:
        self.name = name
        self.dealer = sockets.dial_control(context, address)
        self.pings_ms: list[float] = []
        self._frames = frames
        self._sent_at: list[float] = []
        self._answers = 0

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is outstanding."""
        return self._answers < len(self._sent_at)

    def send(self) -> None:
        """A node answers in order, so the answers need no number."""
        self._sent_at.append(time.perf_counter())
        self.dealer.send_multipart(self._frames)

    def receive(self) -> None:
        """Take what is there."""
        while self.dealer.poll(0):
            self.dealer.recv_multipart()
            self.pings_ms.append(1e3 * (time.perf_counter() - self._sent_at[self._answers]))
            self._answers += 1


def _ping(targets: Sequence[Target], seconds: float) -> None:
    """Ping for so long, then wait for the last answers. Raises WrongResult where one is lost."""
    poller = zmq.Poller()
    for target in targets:
        target.pings_ms = []
        poller.register(target.dealer, zmq.POLLIN)
    started_at = time.perf_counter()
    for number in itertools.count(1):
        for target in targets:
            target.send()
        next_at = started_at + number * _EVERY_S
        _receive(poller, targets, next_at)
        if next_at - started_at >= seconds:
            break
    until = time.perf_counter() + _LAST_WORD_S
    while any(target.is_waiting for target in targets):
        if time.perf_counter() > until:
            raise WrongResult(f"a ping was not answered in {_LAST_WORD_S:.0f} s")
        _receive(poller, targets, time.perf_counter() + _EVERY_S)


def _receive(poller: zmq.Poller, targets: Sequence[Target], until: float) -> None:
    while (left_s := until - time.perf_counter()) > 0:
        poller.poll(max(1, round(1e3 * left_s)))
        for target in targets:
            target.receive()


# -- what the node does meanwhile


@contextmanager
def _load(bench: Bench) -> Iterator[None]:
    """Half of the streams put, half get, and a map runs, again and again. Raises CommandFailed."""
    source = bench.inputs.value(bench.sizes.load_bytes)
    stop = bench.scratch / "stop"
    bench.s4("cp", source, bench.key("000_value"))
    bench.s4("cp", "-r", bench.inputs.lines(_MAP_KEYS, LINE_BYTES, numbered=True), bench.key("in/"))
    with ExitStack() as stack:
        loops = []
        for number in range(_STREAMS):
            key = bench.key(f"000_stream-{number}")
            words: tuple[str | Path, ...] = (
                ("cp", source, key) if number % 2 else ("cp", bench.key("000_value"), "-")
            )
            loops.append(stack.enter_context(_loop(bench, stop, words, key if number % 2 else "")))
        words = ("map", bench.key("in/"), bench.key("out/"), BUILTIN)
        loops.append(stack.enter_context(_loop(bench, stop, words, bench.key("out/"))))
        yield
        stop.touch()
        for loop in loops:
            bench.commands.wait(loop)


@contextmanager
def _loop(
    bench: Bench, stop: Path, words: Sequence[str | Path], made: str
) -> Iterator[subprocess.Popen[bytes]]:
    """`s4 WORDS`, then the removal of what it has made, until the file `stop` is there."""
    after = f"{' '.join(map(_quoted, bench.argv('rm', '-r', made)))}" if made else ":"
    argv = ["bash", "-e", "-c", _LOOP.format(after=after), "-", str(stop), *bench.argv(*words)]
    with bench.commands.background(argv) as process:
        yield process


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


@contextmanager
def _targets(bench: Bench) -> Iterator[tuple[Target, Target]]:
    """The node that holds the large values, and a bare ROUTER."""
    node = bench.config.roster.owner("000_value")
    argv = [sys.executable, "-m", "s4zmq.bench.echo"]
    with bench.commands.background(argv, is_read=True) as echo, Session(bench.config) as client:
        assert echo.stdout is not None
        address = f"127.0.0.1:{int(echo.stdout.readline())}"
        courier, bare = client.courier, sockets.Context()
        frames = codec.encode(Ping([]), 1, bench.config.roster.digest, courier.session)
        pair = Target("node", courier.context, node, frames), Target(_BARE, bare, address, frames)
        try:
            yield pair
        finally:
            for target in pair:
                target.dealer.close()
            bare.close()


def _ping_under_load(bench: Bench) -> None:
    window_s = bench.sizes.ping_window_s
    with _targets(bench) as targets:
        _ping(targets, _WARM_UP_S)
        for _ in range(bench.runs):
            _ping(targets, min(window_s, 1.0))
            _note(bench, targets, "idle")
        with _load(bench):
            _ping(targets, _WARM_UP_S)
            for _ in range(bench.runs):
                _ping(targets, window_s)
                _note(bench, targets, "under load")


def _note(bench: Bench, targets: tuple[Target, Target], when: str) -> None:
    node, bare = (percentiles(target.pings_ms) for target in targets)
    for name in node:
        bench.note(Label(f"ping {when}, {name}", "ms"), node[name], {f"{_BARE}, {name}": bare[name]})
    for target in targets:
        bench.report.distributions.setdefault(f"{target.name}, {when}", []).extend(target.pings_ms)


def percentiles(pings_ms: Sequence[float]) -> dict[str, float]:
    """What half of them stay below, what 99 of 100 do, and the longest."""
    hundredths = statistics.quantiles(pings_ms, n=100, method="inclusive")
    return {"p50": hundredths[49], "p99": hundredths[98], "max": max(pings_ms)}


SCENARIOS = (
    Scenario(
        "ping-under-load",
        f"a ping every 10 ms while {_STREAMS} clients stream and a map runs, ms",
        _ping_under_load,
    ),
)

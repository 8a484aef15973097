"""Sockets: the options that the promises rest on."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import zmq

from s4zmq import sockets
from s4zmq.limits import (
    CONTROL_HWM,
    CONTROL_MAX_BYTES,
    CONTROL_RCVHWM,
    CUT_CONTROL,
    CUT_DATA,
    DATA_HWM,
    DATA_MAX_BYTES,
    UNACKNOWLEDGED_MS,
)


class Bench:
    """One context, and every socket that a test makes; all are closed at its end."""

    def __init__(self) -> None:
        self._context = sockets.Context()
        self._made: list[sockets.Socket] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"

    def bind_control(self) -> sockets.Socket:
        self._made.append(sockets.bind_control(self._context, self.address))
        return self._made[-1]

    def dial_control(self) -> sockets.Socket:
        self._made.append(sockets.dial_control(self._context, self.address))
        return self._made[-1]

    def bind_data(self) -> tuple[sockets.Socket, str]:
        pull, port = sockets.bind_data(self._context, "127.0.0.1", 0)
        self._made.append(pull)
        return pull, f"127.0.0.1:{port}"

    def dial_data(self, address: str) -> tuple[sockets.Socket, sockets.Socket]:
        push, monitor = sockets.dial_data(self._context, address)
        self._made += [push, monitor]
        return push, monitor

    def close(self) -> None:
        for made in self._made:
            made.close(linger=0)
        self._context.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def test_every_socket_is_bounded(bench: Bench) -> None:
    pull, address = bench.bind_data()
    push, _ = bench.dial_data(address)
    limits = [(CONTROL_HWM, CONTROL_MAX_BYTES)] * 2 + [(DATA_HWM, DATA_MAX_BYTES)] * 2
    made = (bench.bind_control(), bench.dial_control(), pull, push)
    for one, (queue, size) in zip(made, limits, strict=True):
        assert one.getsockopt(zmq.SNDHWM) == queue
        assert one.getsockopt(zmq.MAXMSGSIZE) == size
        assert one.getsockopt(zmq.LINGER) == 0


def test_who_is_dialled_bounds_what_it_receives_and_who_dials_watches_the_connection(bench: Bench) -> None:
    pull, address = bench.bind_data()
    for one, queue, cut in (
        (bench.bind_control(), CONTROL_RCVHWM, CUT_CONTROL),
        (pull, DATA_HWM, CUT_DATA),
    ):
        assert one.getsockopt(zmq.RCVHWM) == queue < cut, "see `bouncer`"
    dealer, push = bench.dial_control(), bench.dial_data(address)[0]
    for one in (dealer, push):
        assert one.getsockopt(zmq.RCVHWM) == 0, "what comes was asked for"
    assert dealer.getsockopt(zmq.TCP_MAXRT) == UNACKNOWLEDGED_MS
    assert push.getsockopt(zmq.TCP_MAXRT) == 0, "a slow disk is no fault"


def test_kernels_look_after_connections_and_zeromq_does_not(bench: Bench) -> None:
    pull, address = bench.bind_data()
    for one in (bench.bind_control(), bench.dial_control(), pull, bench.dial_data(address)[0]):
        assert one.getsockopt(zmq.TCP_KEEPALIVE) == 1
        assert one.getsockopt(zmq.HEARTBEAT_IVL) == 0, "it would end the process: see `sockets`"


def test_a_reply_to_nobody_is_an_error_and_not_dropped(bench: Bench) -> None:
    router = bench.bind_control()
    with pytest.raises(zmq.ZMQError) as caught:
        router.send_multipart([b"nobody", b"reply"], zmq.NOBLOCK)
    assert caught.value.errno == zmq.EHOSTUNREACH


def test_a_chunk_to_nobody_is_refused_and_not_queued(bench: Bench) -> None:
    push, _ = bench.dial_data(bench.address)
    with pytest.raises(zmq.Again):
        push.send(b"chunk", zmq.NOBLOCK)


def test_the_kernel_chooses_a_data_port_and_chunks_arrive_there(bench: Bench) -> None:
    pull, address = bench.bind_data()
    push, _ = bench.dial_data(address)
    assert push.poll(5000, zmq.POLLOUT)
    push.send(b"chunk", zmq.NOBLOCK)
    assert pull.poll(5000)
    assert pull.recv() == b"chunk"


def test_the_end_of_a_data_connection_is_told(bench: Bench) -> None:
    pull, address = bench.bind_data()
    push, monitor = bench.dial_data(address)
    assert push.poll(5000, zmq.POLLOUT)
    assert not monitor.poll(0)
    pull.close()
    assert monitor.poll(5000)
    sockets.close_watched(push, monitor)


def test_a_port_that_is_taken_is_an_error(bench: Bench) -> None:
    bench.bind_control()
    context = sockets.Context()
    with pytest.raises(zmq.ZMQError, match="in use") as caught:
        sockets.bind_control(context, bench.address)
    context.close()
    del caught


def test_two_dealers_have_names_of_their_own(bench: Bench) -> None:
    router = bench.bind_control()
    for number in (b"1", b"2"):
        bench.dial_control().send(number)
    senders = {router.recv_multipart()[0] for _ in range(2) if router.poll(5000)}
    assert len(senders) == 2

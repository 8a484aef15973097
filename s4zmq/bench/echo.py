"""A bare ROUTER that sends back what it gets: the limit of a ping, over the same libzmq.

python -m s4zmq.bench.echo        prints its port; ends with its stdin
"""

from __future__ import annotations

import sys

import zmq

from .. import sockets


def main() -> None:
    """Serve until stdin ends."""
    context = sockets.Context()
    router = context.socket(zmq.ROUTER)
    port = router.bind_to_random_port("tcp://127.0.0.1")
    print(port, flush=True)
    poller = zmq.Poller()
    poller.register(router, zmq.POLLIN)
    poller.register(sys.stdin.fileno(), zmq.POLLIN)
    while router in (ready := dict(poller.poll())) or not ready:
        router.send_multipart(router.recv_multipart())
    context.close()


if __name__ == "__main__":
    main()

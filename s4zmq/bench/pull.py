"""A bare PULL with a cluster key: the limit of a transfer with one, over the same libzmq.

python -m s4zmq.bench.pull KEYFILE BYTES     prints its port, and a line when so many bytes are there
"""

from __future__ import annotations

import sys

from .. import sockets
from ..clusterkey import read_key
from ..gatekeeper import Gatekeeper


def main(path: str, size_bytes: int) -> None:
    """Receive, then end."""
    context = sockets.Context(read_key(path))
    gatekeeper = Gatekeeper(context)
    gatekeeper.start()
    pull, port = sockets.bind_data(context, "127.0.0.1", 0)
    print(port, flush=True)
    while size_bytes > 0:
        size_bytes -= len(pull.recv(copy=False))
    print("all", flush=True)
    gatekeeper.stop()
    context.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

"""s4zmq: immutable keys on a cluster of nodes, and shell commands where they lie."""

__version__ = "0.1.0"

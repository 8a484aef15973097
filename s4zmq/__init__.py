"""s4zmq: immutable keys on a cluster of nodes, and shell commands where they lie.

Only map-to-n moves data between nodes. The rooms, from the ground up; a room imports from lower
layers only, and a test keeps that:

     0  limits errors wire mailbox interrupts memory pipes units
     1  keys checksum commandtext codec sorting processes trees watching progress space
     2  placement transfer sockets sessions caller localfiles outstanding shell
     3  config store courier bashes
     4  datadir listing scratch sinks streams inbox spool
     5  client inputs keyserver
     6  puts gets printing staging evals verifier verify
     7  copying runs shuffle
     8  tasks
     9  jobs
    10  node
    11  daemon embedded
    12  demo
    13  cli
    14  bench
"""

__version__ = "0.1.0"

"""s4zmq: immutable keys on a cluster of nodes, and shell commands where they lie.

Only map-to-n moves data between nodes. The rooms, from the ground up; a room imports from lower
layers only, and a test keeps that:

     0  limits errors wire mailbox interrupts memory pipes points units logs supervisor
     1  clusterkey keys checksum commandtext codec sorting trees watching progress descriptors
        strangers turns
     2  space placement transfer sockets sessions caller localfiles outstanding processes door
        recipes journal aws
     3  config store lines lease shell ledger indoubt admissions replies gatekeeper handshakes
     4  courier bashes slots reception datadir listing scratch sinks inbox spool linefile ec2
     5  client streams counting keyserver outputs parcels
     6  puts gets printing staging evals inputs judging verifier verify
     7  copying runs fates
     8  shuffle
     9  shipment
    10  tasks
    11  survey
    12  job
    13  jobs
    14  node
    15  daemon embedded
    16  demo
    17  cli
    18  bench
"""

__version__ = "0.1.0"

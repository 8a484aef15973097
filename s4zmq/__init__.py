"""s4zmq: immutable keys on a cluster of nodes, and shell commands where they lie.

Only map-to-n moves data between nodes. The rooms, from the ground up; a room imports from lower
layers only, and a test keeps that:

     0  limits errors wirekeys mailbox interrupts memory pipes points units crew sections
        logs supervisor connections
     1  wirejobs wires3 clusterkey
     2  wire
     3  keys checksum commandtext codec sorting trees watching progress descriptors strangers turns space
        bouncer
     4  placement transfer sockets sessions caller localfiles outstanding processes door recipes
        journal aws
     5  config store lines lease shell ledger indoubt admissions replies s3names gatekeeper handshakes
     6  courier bashes slots reception datadir listing scratch sinks inbox spool linefile s3bucket
        ec2
     7  client streams counting keyserver outputs parcels s3sums uploads
     8  usage puts gets printing staging evals inputs judging verifier verify s3fetch
     9  copying runs fates s3upload synopsis
    10  shuffle s3copies s3cp completion helptexts
    11  shipment
    12  tasks
    13  survey
    14  job
    15  jobs
    16  node
    17  daemon embedded
    18  keyverbs jobverbs demo helpverbs
    19  clusterverbs
    20  cli
    21  bench
    22  examples
"""

__version__ = "0.1.0"

"""s4zmq: immutable keys on a cluster of nodes, and shell commands where they lie.

Only map-to-n moves data between nodes. The rooms, from the ground up; a room imports from lower
layers only, and a test keeps that:

     0  limits errors wirekeys mailbox interrupts memory pipes points units crew sections
        logs supervisor jsonlines counters tables screen amounts connections
     1  progressviews wirejobs wires3 wireviews clusterkey
     2  wire bars
     3  keys checksum commandtext codec sorting trees watching harvest progress descriptors strangers
        turns space tally bouncer
     4  placement transfer sockets sessions caller localfiles outstanding processes door recipes
        journal aws metrics vitals
     5  config store lines lease shell joblogs ledger indoubt admissions replies s3names gatekeeper
        handshakes
     6  courier bashes slots reception datadir listing scratch sinks inbox spool linefile s3bucket
        history ec2
     7  client streams recount usages counting keyserver outputs parcels s3sums uploads
     8  usage totals views puts gets printing staging evals inputs judging verifier s3fetch
     9  viewprints verify copying runs fates s3upload synopsis
    10  shuffle s3copies s3cp summaries completion helptexts
    11  shipment
    12  tasks
    13  survey
    14  job
    15  jobs
    16  lookout
    17  node
    18  daemon embedded
    19  keyverbs jobverbs viewverbs demo helpverbs
    20  clusterverbs
    21  cli
    22  bench
    23  examples
"""

__version__ = "0.1.0"

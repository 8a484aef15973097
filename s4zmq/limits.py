"""Every limit and interval of the system, with its unit and its reason.

Constants only: no imports, no code. What a user may change stands in the options of the command
line; what stands here is part of the design.
"""

# -- values on the wire

INLINE_MAX_BYTES = 512 << 10
"""A value up to this size travels inside a control message: one round trip."""

PARCEL_INLINE_BYTES = 256 << 10
"""Outputs of a shuffle that together have at most this size travel inside their offer, and single ones
are kept in the spool until they are committed."""

BATCH_MAX_BYTES = 1 << 20
"""Values of one PUT or GET together; the same bound as a chunk keeps the control loop responsive."""

BATCH_MAX_KEYS = 128
"""Keys in one PUT, GET, DELETE or a page of a listing asked for by key."""

PAGE_KEYS = 2000
"""Keys in one page of a listing: about 200 kB of msgpack."""

CHUNK_BYTES = 1 << 20
"""Piece of a large value. Measured on loopback: 64 KiB reaches 1.3 GB/s, 1 MiB 3.0, 4 MiB 2.4."""

WINDOW_CHUNKS = 4
"""Chunks in flight per transfer. Two to four saturate loopback; more only costs memory."""

READ_BUFFER_BYTES = 64 << 10
"""Least that an open file fetches, where the value has more. On loopback a range of 64 KiB takes 1.3 times
as long as one of a byte."""

READ_AHEAD_BYTES = 4 << 20
"""Most that an open file has asked for ahead of its reader: as much as a get has in flight. It begins with
nothing and grows with what was read in order, so that a few looks into a file do not move all of it."""

RANGES_IN_FLIGHT = 8
"""Ranges that one reader has in flight: of CHUNK_BYTES at most each."""

INBOX_CHUNKS = 32
"""Chunks that one node lets all of its senders together have in flight (32 MiB)."""

REQUEST_WINDOW = 8
"""Batches in flight from one client to one node, where that is not full."""

BATCHES_IN_FLIGHT = 32
"""Batches in flight from one client to all nodes: what bounds its memory in a large cluster."""

EVAL_CHUNK_BYTES = 256 << 10
"""Most bytes of a command's output in one message."""

EVAL_WINDOW = 8
"""Messages of output that a client lets one eval have in flight: 2 MiB."""

CONTROL_MAX_BYTES = 4 << 20
"""Largest frame that a control socket accepts: a batch and its header, with room."""

DATA_MAX_BYTES = CHUNK_BYTES + 4096
"""Largest frame that a data socket accepts."""

CONTROL_HWM = 64
"""Messages queued per control connection to be sent: above what REQUEST_WINDOW lets a client have."""

CONTROL_RCVHWM = 16
"""Messages queued per control connection that a node has not read yet: so many of a stranger that is cut
off are still to be read. More of an honest client wait in its own queue."""

DATA_HWM = 4
"""Chunks queued per data connection; memory under fan-in multiplies by it (64 cost 82 MB, 4 cost 24)."""

MAP_MAX = 64
"""Entries of any map in a header; no message has half as many."""

LIST_MAX = 2000
"""Items of any list in a header: what a page and a parcel have. Longer ones are refused unread."""

REQUEST_HEADER_MAX_BYTES = 256 << 10
"""Header of a request that is no offer; the largest holds a batch of the longest keys, some 140 KiB."""

# -- keys and commands

KEY_MAX_BYTES = 1024
"""Length of bucket/dir/name in UTF-8."""

COMPONENT_MAX_BYTES = 255
"""Length of one component: the limit of the common file systems."""

COMMAND_MAX_BYTES = 96 << 10
"""Length of a command. One argument of a program may hold 128 KiB on Linux."""

STDERR_TAIL_BYTES = 8 << 10
"""Bytes of a failed command's stderr that are kept for the error."""

STDERR_TAIL_LINES = 10
"""Lines of them that the user is shown."""

# -- what one node holds at once

MAX_SESSIONS = 4096
MAX_TRANSFERS = 4096
MAX_EVALS = 128
MAX_JOBS = 64
MAX_LISTINGS = 1024
MAX_VERIFIES = 4
"""Each reads the disk from end to end: more at once would only take turns."""

MAX_SHIPPED_FILES = 256

MAX_REQUESTS = 8192
"""Requests that a node works on at once; more are refused as busy."""

MAX_QUEUED_BYTES = 32 << 20
"""Bytes of values in requests that wait for a disk thread; a request beyond is sent back, and comes
again later."""

MAX_REPLY_BYTES = 32 << 20
"""Bytes of values in replies on their way; beyond that each connection has one at a time."""

MAX_PARKED = 64
"""Replies kept for a connection that does not take them; with more they are dropped."""

MAX_PARKED_IN_ALL = 4096
"""Replies kept for all such connections; an honest one never has any, as its window is smaller than its
queue."""

KEPT_S = 2.0
"""A reply whose connection is gone waits so long for its client to dial again and to ask for it, which
takes a second or so."""

MAX_REQUESTS_IN_HAND = 1024
"""Requests of one connection that a node works on at once."""

OWN_REQUESTS = 16
"""A connection may have so many requests, and one message with values, on a node that is full: else few
strangers could shut out everybody. The node's bounds are passed by as much again at most."""

PARCEL_MAX_FILES = 2000
"""Outputs that one OFFER of a shuffle announces; a task with more sends several."""

VERIFIED_KEYS = 65_536
"""Keys of which a node remembers that their checksum was right (about 9 MB)."""

TALLY_FRESH_KEYS = 100_000
"""Keys that are made ahead of the walk that counts a node's keys at its start, and that it remembers (some
15 MB, until its end); with more it starts anew."""

SORT_RUN_KEYS = 50_000
"""Names sorted in memory at once; longer lists are sorted by merging runs on disk."""

LARGEST_FIRST_KEYS = 4096
"""Inputs of a map that are started by size, largest first; the rest follow in any order."""

KEPT_MEMBERS = 20_000
"""Members of a merge's groups that are kept between its plan and its run (about 4 MB)."""

MAX_FAILURES_KEPT = 100
"""Failures of one job, or damaged keys, that a node describes in full; beyond that they are counted."""

SLOWEST_KEPT = 5
"""Inputs of one job that took longest, of which a node tells at its end."""

# -- what is kept of jobs that have ended

JOBS_KEPT = 100
"""Jobs that have ended, of which a node still tells."""

COMMAND_SHOWN_BYTES = 200
"""Of the first line of a job's command, in a list of jobs."""

LOGS_PER_JOB = 100
"""Failed attempts of one job whose stderr a node keeps; beyond that they are counted."""

LOG_BYTES_PER_JOB = 256 << 10
"""Bytes of stderr that a node keeps of one job: of each attempt the last STDERR_TAIL_BYTES."""

# -- who looks on

MAX_USAGES = 4
"""Walks for `s4 du` that run at once on one node."""

MAX_ONLOOKERS = 256
"""Requests for a node's state that wait for one answer."""

VITALS_S = 0.2
"""Over how long a node measures what takes its processor, at least."""

DISK_PATIENCE_S = 0.3
"""A disk that does not say within this how much is free is told of without that."""

CANCEL_S = 10.0
"""How long `s4 cancel` waits until nothing of the job is left (10 s are promised)."""

# -- S3

S3_STREAMS = 8
"""Connections to S3 on which one node moves bytes at once, whatever it was asked for; each has a buffer
of CHUNK_BYTES. One connection to S3 gives some 50 to 90 MB/s."""

S3_PIECE_BYTES = 8 << 20
"""An object of more than this is moved in pieces of this size, several at once."""

S3_MAX_PARTS = 10_000
"""Pieces of one upload that S3 takes; those of a very large key are larger."""

MAX_S3_COPIES = 8
"""Copies from or to S3 that one node works on at once."""

S3_ATTEMPTS = 4
"""How often one request to S3 is made, where it fails in a way that may pass."""

S3_SILENCE_S = 8.0
"""A connection to S3 on which nothing arrives for so long has failed; a copy that is ended waits no longer
for it (10 s are promised)."""

# -- strangers

MAX_CONNECTIONS = 8192
"""To one node, or half of the descriptors that its process may have; each costs 28 KB and a descriptor.
Of more, those that have said least are ended."""

STUCK_AT_REST, REST_TICKS = 8, 4
"""A node that has had nothing to do for so many ticks, and finds so many connections that ZeroMQ does not
give back, opens its door anew."""

LISTEN_BACKLOG = 1024
"""Connections that wait to be taken; ZeroMQ's 100 are full at once when thousands come."""

REFUSALS_ANSWERED = 32
"""Bad messages that one connection gets an answer to, in each STRANGER_S; then it is not heard until
that is over. An honest client with a wrong conf file has a window of 8."""

REFUSALS_IN_ALL = 2000
"""Bad messages and requests of all connections together; beyond that one of them is enough."""

REPROACHES = 16
"""Well-formed requests of one connection, in STRANGER_S, that no client would make; then it is served one
request at a time, after all others, and what it says meanwhile is not heard."""

CUT_CONTROL, CUT_DATA = 20, 8
"""So many messages that are not heard, in STRANGER_S, end a connection: some more than CONTROL_RCVHWM and
DATA_HWM, see `bouncer`, and hardly more than that. Beside a flood of 200 connections an honest client did
36 rounds of work in 5 s, with 17 and 64 here it did 28, with 1,000 and 64 it did 21, and 60 beside none."""

LATE_TRANSFERS = 1024
"""Transfers that have ended of which a node still knows the id: their chunks are late, and no nonsense."""

MAX_STRANGERS = 4096
"""Connections of which a node remembers that they sent bad messages."""

STRANGER_S = 5.0
"""How long a node remembers them."""

SHORT_ID = 8
"""Digits of a job's id that are shown, where they tell it from the others."""

# -- time

KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 1, 1, 3
"""Both kernels look after a connection that is silent for so long, so often, and take it as lost after so
many looks without an answer. They find a cut link, not a hung process."""

UNACKNOWLEDGED_MS = 4000
"""So long may pass before the other kernel has what was said to a control socket; its owner never waits."""

HANDSHAKE_TIMEOUT_MS = 5000
"""A connection that has not introduced itself by then is ended."""

HANDSHAKE_PATIENCE_S = 0.2
"""A node that owes an answer and says nothing for so long is looked at: it may refuse our key."""

SILENT_CONNECTION_S = 10.0
"""A connection to a node on which nothing arrives for so long, not even a sign of life of the other kernel,
is ended. The node's own kernel does that too, but not while there is something to be sent: then it tries on
for a quarter of an hour."""

CONNECT_TIMEOUT_MS = 2000
"""An attempt to connect is given up and made anew. The kernel alone would try at 1, 3, 7, 15, 31 s: after
a cut of half a minute the lease of a session would not be kept for as long again."""

PING_INTERVAL_S = 1.0
"""A node that owes an answer is pinged this often."""

SILENCE_LIMIT_S = 6.0
"""A node that owes an answer and says nothing for this long is unreachable (10 s are promised)."""

HEALTH_TIMEOUT_S = 1.2
"""How long `s4 health` waits for any node (2 s are promised)."""

STATUS_TIMEOUT_S = 1.7
"""How long `s4 status` waits for any node, as that measures for VITALS_S and waits for its disk."""

LEASE_INTERVAL_S = 1.5
"""A client with work under way proves this often that it lives."""

LEASE_S = 6.0
"""A session that is silent for this long has lost its client: its work is torn down (10 s are promised)."""

DRAIN_S = 5.0
"""How long SIGTERM lets requests in flight finish."""

FULL_PAUSE_S = 0.02
"""A request that a full node sent back waits so long, twice as long the next time, at most TICK_S."""

FULL_LIMIT_S = 60.0
"""How long a request is sent again to a node that stays full."""

TICK_S = 0.5
"""The control loop looks at its deadlines, and jobs report their counts, this often."""

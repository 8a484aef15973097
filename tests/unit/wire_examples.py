"""One example of every message with its exact bytes, as the request or reply with id 7.

A changed byte here means that two versions of the project no longer understand each other: raise
`wire.VERSION` where an old reader would be misled.
"""

from __future__ import annotations

from typing import Any

from s4zmq import wire

BOOT = b"bootboot"
DIGEST = b"D" * 16
WRITER = b"W" * 16
JOB = b"J" * 16
TRANSFER = b"T" * 16
TASK = b"t" * 16
RECIPE = b"r" * 8
ORIGIN = RECIPE + b"m" * 8

EXAMPLES: list[tuple[Any, bytes]] = [
    (wire.Ping([3, 4]), b"\x83\xa7pending\x92\x03\x04\xa2op\xa4ping\xa2id\x07"),
    (wire.Pong(BOOT, [4]), b"\x84\xa4boot\xc4\x08bootboot\xa4lost\x91\x04\xa2op\xa4pong\xa2id\x07"),
    (wire.Stats(), b"\x82\xa2op\xa5stats\xa2id\x07"),
    (
        wire.StatsReply({"jobs": 0, "evals": 2}),
        b"\x83\xa6counts\x82\xa4jobs\x00\xa5evals\x02\xa2op\xabstats-reply\xa2id\x07",
    ),
    (wire.Close(), b"\x82\xa2op\xa5close\xa2id\x07"),
    (wire.Ok(), b"\x82\xa2op\xa2ok\xa2id\x07"),
    (
        wire.Failure("E_NOT_FOUND", "no such key", {"key": "s4://b/k"}),
        b"\x85\xa4code\xabE_NOT_FOUND"
        b"\xa4text\xabno such key"
        b"\xa7details\x81\xa3key\xa8s4://b/k"
        b"\xa2op\xa7failure\xa2id\x07",
    ),
    (
        wire.Put([("s4://b/k", 5, DIGEST)], WRITER, b""),
        b"\x85\xa7entries\x91\x93\xa8s4://b/k\x05\xc4\x10DDDDDDDDDDDDDDDD"
        b"\xa6writer\xc4\x10WWWWWWWWWWWWWWWW"
        b"\xa3job\xc4\x00"
        b"\xa2op\xa3put\xa2id\x07",
    ),
    (
        wire.PutDone([(0, "E_EXISTS", "taken", {"digest": DIGEST})]),
        b"\x83\xa8failures\x91\x94\x00\xa8E_EXISTS\xa5taken\x81\xa6digest\xc4\x10DDDDDDDDDDDDDDDD"
        b"\xa2op\xa8put-done\xa2id\x07",
    ),
    (
        wire.Open("s4://b/k", 1 << 32, True, WRITER, JOB, DIGEST),
        b"\x88\xa3key\xa8s4://b/k"
        b"\xa4size\xcf\x00\x00\x00\x01\x00\x00\x00\x00"
        b"\xa5sized\xc3"
        b"\xa6writer\xc4\x10WWWWWWWWWWWWWWWW"
        b"\xa3job\xc4\x10JJJJJJJJJJJJJJJJ"
        b"\xa6digest\xc4\x10DDDDDDDDDDDDDDDD"
        b"\xa2op\xa4open\xa2id\x07",
    ),
    (
        wire.Granted(TRANSFER, 4, "127.0.0.1:7001"),
        b"\x85\xa8transfer\xc4\x10TTTTTTTTTTTTTTTT"
        b"\xa6chunks\x04"
        b"\xa4data\xae127.0.0.1:7001"
        b"\xa2op\xa7granted\xa2id\x07",
    ),
    (wire.Credit(1), b"\x83\xa6chunks\x01\xa2op\xa6credit\xa2id\x07"),
    (wire.Drop(TRANSFER), b"\x83\xa8transfer\xc4\x10TTTTTTTTTTTTTTTT\xa2op\xa4drop\xa2id\x07"),
    (
        wire.Stored(5, DIGEST),
        b"\x84\xa4size\x05\xa6digest\xc4\x10DDDDDDDDDDDDDDDD\xa2op\xa6stored\xa2id\x07",
    ),
    (wire.Room(), b"\x82\xa2op\xa4room\xa2id\x07"),
    (
        wire.RoomReply(1 << 32, DIGEST),
        b"\x84\xa4free\xcf\x00\x00\x00\x01\x00\x00\x00\x00"
        b"\xa4disk\xc4\x10DDDDDDDDDDDDDDDD"
        b"\xa2op\xaaroom-reply\xa2id\x07",
    ),
    (
        wire.Get(["s4://b/k", "s4://b/l"], True),
        b"\x84\xa4keys\x92\xa8s4://b/k\xa8s4://b/l\xa6inline\xc3\xa2op\xa3get\xa2id\x07",
    ),
    (
        wire.Values([(5, DIGEST, True), (0, b"", False)], [(1, "E_NOT_FOUND", "no such key", {})]),
        b"\x84\xa7entries\x92\x93\x05\xc4\x10DDDDDDDDDDDDDDDD\xc3\x93\x00\xc4\x00\xc2"
        b"\xa8failures\x91\x94\x01\xabE_NOT_FOUND\xabno such key\x80"
        b"\xa2op\xa6values\xa2id\x07",
    ),
    (
        wire.Fetch("s4://b/k", 1 << 20, 1 << 20),
        b"\x85\xa3key\xa8s4://b/k"
        b"\xa6offset\xce\x00\x10\x00\x00"
        b"\xa6length\xce\x00\x10\x00\x00"
        b"\xa2op\xa5fetch\xa2id\x07",
    ),
    (
        wire.Range(1 << 40, DIGEST),
        b"\x84\xa4size\xcf\x00\x00\x01\x00\x00\x00\x00\x00"
        b"\xa6digest\xc4\x10DDDDDDDDDDDDDDDD"
        b"\xa2op\xa5range\xa2id\x07",
    ),
    (wire.List("b/d", True), b"\x84\xa6prefix\xa3b/d\xa9recursive\xc3\xa2op\xa4list\xa2id\x07"),
    (wire.More(9, 2), b"\x84\xa6cursor\x09\xa4page\x02\xa2op\xa4more\xa2id\x07"),
    (
        wire.Page([("b/k", 5, 1700000000000000000), ("b/d/", 0, 0)], 9),
        b"\x84\xa7entries\x92\x93\xa3b/k\x05\xcf\x17\x97\x9c\xfe6*\x00\x00\x93\xa4b/d/\x00\x00"
        b"\xa6cursor\x09"
        b"\xa2op\xa4page\xa2id\x07",
    ),
    (wire.Delete(["s4://b/k"]), b"\x83\xa4keys\x91\xa8s4://b/k\xa2op\xa6delete\xa2id\x07"),
    (wire.DeleteBelow("b/d"), b"\x83\xa6prefix\xa3b/d\xa2op\xacdelete-below\xa2id\x07"),
    (wire.Removing(3), b"\x83\xa7removed\x03\xa2op\xa8removing\xa2id\x07"),
    (wire.Deleted(1, []), b"\x84\xa7removed\x01\xa8failures\x90\xa2op\xa7deleted\xa2id\x07"),
    (wire.Verify("b/d"), b"\x83\xa6prefix\xa3b/d\xa2op\xa6verify\xa2id\x07"),
    (
        wire.Verifying(3, 4096, 1),
        b"\x85\xa4keys\x03\xa5bytes\xcd\x10\x00\xa7damaged\x01\xa2op\xa9verifying\xa2id\x07",
    ),
    (
        wire.VerifyDone(3, 4096, 1, [(0, "E_CHECKSUM", "damaged", {})]),
        b"\x86\xa4keys\x03\xa5bytes\xcd\x10\x00\xa7damaged\x01"
        b"\xa8failures\x91\x94\x00\xaaE_CHECKSUM\xa7damaged\x80"
        b"\xa2op\xabverify-done\xa2id\x07",
    ),
    (
        wire.Eval("s4://b/k", "cat", 8),
        b"\x85\xa3key\xa8s4://b/k\xa7command\xa3cat\xa6window\x08\xa2op\xa4eval\xa2id\x07",
    ),
    (wire.Allow(7, 1), b"\x84\xa4eval\x07\xa8messages\x01\xa2op\xa5allow\xa2id\x07"),
    (wire.Output(2), b"\x83\xa6stream\x02\xa2op\xa6output\xa2id\x07"),
    (wire.EvalDone(137), b"\x83\xa6status\xcc\x89\xa2op\xa9eval-done\xa2id\x07"),
    (
        wire.Plan(
            JOB,
            "map-to-n",
            "s4://b/in/*",
            "s4://b/out/",
            "cat",
            [("tool.py", DIGEST)],
            2,
            1.5,
            4,
            False,
            True,
            False,
        ),
        b"\x8e\xa3job\xc4\x10JJJJJJJJJJJJJJJJ"
        b"\xa4kind\xa8map-to-n"
        b"\xa6inputs\xabs4://b/in/*"
        b"\xa6outdir\xabs4://b/out/"
        b"\xa7command\xa3cat"
        b"\xa5files\x91\x92\xa7tool.py\xc4\x10DDDDDDDDDDDDDDDD"
        b"\xa7retries\x02"
        b"\xa9timeout_s\xcb?\xf8\x00\x00\x00\x00\x00\x00"
        b"\xa4jobs\x04"
        b"\xaakeep_going\xc2"
        b"\xa6resume\xc3"
        b"\xa7dry_run\xc2"
        b"\xa2op\xa4plan\xa2id\x07",
    ),
    (
        wire.Planned(10, 1 << 33, 7, 1 << 32, 3, ["s4://b/out/k"]),
        b"\x88\xa4keys\x0a"
        b"\xa5bytes\xcf\x00\x00\x00\x02\x00\x00\x00\x00"
        b"\xa8commands\x07"
        b"\xadcommand_bytes\xcf\x00\x00\x00\x01\x00\x00\x00\x00"
        b"\xa8complete\x03"
        b"\xa9conflicts\x91\xacs4://b/out/k"
        b"\xa2op\xa7planned\xa2id\x07",
    ),
    (wire.Run(JOB), b"\x83\xa3job\xc4\x10JJJJJJJJJJJJJJJJ\xa2op\xa3run\xa2id\x07"),
    (
        wire.Progress(3, 1, 4096),
        b"\x85\xa4done\x03\xa6failed\x01\xa5bytes\xcd\x10\x00\xa2op\xa8progress\xa2id\x07",
    ),
    (
        wire.JobDone(
            9,
            1,
            1 << 20,
            12,
            [0, 4096],
            [("s4://b/in/k", 1.5)],
            [(0, "E_COMMAND", "failed", {"status": 1})],
        ),
        b"\x89\xa4done\x09"
        b"\xa6failed\x01"
        b"\xa5bytes\xce\x00\x10\x00\x00"
        b"\xa7outputs\x0c"
        b"\xa4made\x92\x00\xcd\x10\x00"
        b"\xa7slowest\x91\x92\xabs4://b/in/k\xcb?\xf8\x00\x00\x00\x00\x00\x00"
        b"\xa8failures\x91\x94\x00\xa9E_COMMAND\xa6failed\x81\xa6status\x01"
        b"\xa2op\xa8job-done\xa2id\x07",
    ),
    (wire.CancelJob(JOB), b"\x83\xa3job\xc4\x10JJJJJJJJJJJJJJJJ\xa2op\xaacancel-job\xa2id\x07"),
    (
        wire.Offer(TASK, 0, [("s4://b/out/k/0_x", 2)], [DIGEST], True, ORIGIN),
        b"\x88\xa4task\xc4\x10tttttttttttttttt"
        b"\xa6parcel\x00"
        b"\xa7entries\x91\x92\xb0s4://b/out/k/0_x\x02"
        b"\xa7digests\x91\xc4\x10DDDDDDDDDDDDDDDD"
        b"\xa6inline\xc3"
        b"\xa6origin\xc4\x10rrrrrrrrmmmmmmmm"
        b"\xa2op\xa5offer\xa2id\x07",
    ),
    (wire.Staged(), b"\x82\xa2op\xa6staged\xa2id\x07"),
    (
        wire.Commit(TASK, 2, "10.0.0.1:80"),
        b"\x85\xa4task\xc4\x10tttttttttttttttt\xa7parcels\x02\xa6sender\xab10.0.0.1:80"
        b"\xa2op\xa6commit\xa2id\x07",
    ),
    (wire.Abort(TASK), b"\x83\xa4task\xc4\x10tttttttttttttttt\xa2op\xa5abort\xa2id\x07"),
    (wire.Settle(TASK), b"\x83\xa4task\xc4\x10tttttttttttttttt\xa2op\xa6settle\xa2id\x07"),
    (
        wire.Fates(RECIPE, [TASK]),
        b"\x84\xa6recipe\xc4\x08rrrrrrrr\xa5tasks\x91\xc4\x10tttttttttttttttt\xa2op\xa5fates\xa2id\x07",
    ),
    (
        wire.FatesReply(["done", "undone", "pending"]),
        b"\x83\xa5fates\x93\xa4done\xa6undone\xa7pending\xa2op\xabfates-reply\xa2id\x07",
    ),
    (
        wire.Census(RECIPE, [("s4://b/out/k/", TASK)]),
        b"\x84\xa6recipe\xc4\x08rrrrrrrr"
        b"\xa7folders\x91\x92\xads4://b/out/k/\xc4\x10tttttttttttttttt"
        b"\xa2op\xa6census\xa2id\x07",
    ),
    (
        wire.CensusReply([(3, 1, "s4://b/out/k/0_x")]),
        b"\x83\xa7folders\x91\x93\x03\x01\xb0s4://b/out/k/0_x\xa2op\xaccensus-reply\xa2id\x07",
    ),
    (
        wire.Clear(RECIPE, ["s4://b/out/k/"]),
        b"\x84\xa6recipe\xc4\x08rrrrrrrr\xa7folders\x91\xads4://b/out/k/\xa2op\xa5clear\xa2id\x07",
    ),
    (
        wire.StageIn("trip", "data/", "s4://csv/", False, True, False),
        b"\x88\xa6bucket\xa4trip"
        b"\xa6prefix\xa5data/"
        b"\xa6target\xa9s4://csv/"
        b"\xa6single\xc2"
        b"\xa6resume\xc3"
        b"\xa7dry_run\xc2"
        b"\xa2op\xa8stage-in\xa2id\x07",
    ),
    (
        wire.StageOut("s4://out/", "trip", "data/", False, False, True),
        b"\x88\xa6source\xa9s4://out/"
        b"\xa6bucket\xa4trip"
        b"\xa6prefix\xa5data/"
        b"\xa6single\xc2"
        b"\xa6resume\xc2"
        b"\xa7dry_run\xc3"
        b"\xa2op\xa9stage-out\xa2id\x07",
    ),
    (
        wire.Moving(3, 4096, 1),
        b"\x85\xa4keys\x03\xa5bytes\xcd\x10\x00\xa6failed\x01\xa2op\xa6moving\xa2id\x07",
    ),
    (
        wire.Moved(9, 1 << 33, 2, 1, [(0, "E_AWS_MISSING", "gone", {"aws": "NoSuchKey"})]),
        b"\x87\xa4keys\x09"
        b"\xa5bytes\xcf\x00\x00\x00\x02\x00\x00\x00\x00"
        b"\xa7skipped\x02"
        b"\xa6failed\x01"
        b"\xa8failures\x91\x94\x00\xadE_AWS_MISSING\xa4gone\x81\xa3aws\xa9NoSuchKey"
        b"\xa2op\xa5moved\xa2id\x07",
    ),
    (wire.ListJobs(), b"\x82\xa2op\xa9list-jobs\xa2id\x07"),
    (
        wire.JobList(
            [(JOB, "map", "s4://b/in/", "s4://b/out/", "cat", "running", 9, 7, 1, 4096, 1 << 60, 1.5)]
        ),
        b"\x83\xa4jobs\x91\x9c\xc4\x10JJJJJJJJJJJJJJJJ\xa3map\xaas4://b/in/\xabs4://b/out/\xa3cat\xa7running\t\x07\x01\xcd\x10\x00\xcf\x10\x00\x00\x00\x00\x00\x00\x00\xcb?\xf8\x00\x00\x00\x00\x00\x00\xa2op\xa8job-list\xa2id\x07",
    ),
    (
        wire.JobLogs(JOB, "s4://b/in/k"),
        b"\x84\xa3job\xc4\x10JJJJJJJJJJJJJJJJ\xa3key\xabs4://b/in/k\xa2op\xa8job-logs\xa2id\x07",
    ),
    (
        wire.JobLogsReply([("s4://b/in/k", 1, 2, 1 << 60, "failed", 5, 3)], 4),
        b"\x84\xa7entries\x91\x97\xabs4://b/in/k\x01\x02\xcf\x10\x00\x00\x00\x00\x00\x00\x00\xa6failed\x05\x03\xa7omitted\x04\xa2op\xaejob-logs-reply\xa2id\x07",
    ),
    (wire.Status(), b"\x82\xa2op\xa6status\xa2id\x07"),
    (
        wire.StatusReply(0.5, 1.5, {"keys": 3}),
        b"\x85\xa3cpu\xcb?\xe0\x00\x00\x00\x00\x00\x00\xabmachine_cpu\xcb?\xf8\x00\x00\x00\x00\x00\x00\xa7amounts\x81\xa4keys\x03\xa2op\xacstatus-reply\xa2id\x07",
    ),
    (wire.Usage("b/d"), b"\x83\xa6prefix\xa3b/d\xa2op\xa5usage\xa2id\x07"),
    (wire.UsageReply(3, 4096), b"\x84\xa4keys\x03\xa5bytes\xcd\x10\x00\xa2op\xabusage-reply\xa2id\x07"),
]

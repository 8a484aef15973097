"""The commands about jobs: the three maps. As `keyverbs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .usage import Args, client_of, seconds, whole_number


def _map(args: Args) -> int:
    from .runs import Job, JobOptions, rehearse, run_job

    kind = next(name for name in ("map", "map-to-n", "map-from-n") if args[name])
    options = JobOptions(
        retries=whole_number(args, "--retries", 0, 0),
        timeout_s=seconds(args, "--timeout"),
        jobs=whole_number(args, "--jobs", 1, 0),
        keep_going=args["--keep-going"],
        resume=args["--resume"],
        files=args["--file"],
    )
    job = Job.parse(kind, args["INDIR"], args["OUTDIR"], args["CMD"], options)
    with client_of(args) as client:
        if args["--dry-run"]:
            from .printing import print_rehearsal

            print_rehearsal(job.plan, rehearse(client, job))
        else:
            run_job(client, job)
    return 0


VERBS: Mapping[str, Callable[[Args], int]] = {
    "map": _map,
    "map-to-n": _map,
    "map-from-n": _map,
}

"""The commands about jobs: the three maps. As `keyverbs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .usage import Args, client_of, progress_of, seconds, whole_number

if TYPE_CHECKING:
    from . import wire
    from .progress import Progress
    from .runs import Failed, Job, Summary
    from .runs import Progress as JobProgress


def _map(args: Args) -> int:
    from .runs import Job, JobOptions

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
        (_rehearse if args["--dry-run"] else _run)(client, job, args)
    return 0


def _rehearse(client: Any, job: Job, args: Args) -> None:
    from .printing import print_rehearsal
    from .runs import rehearse

    planned = rehearse(client, job)
    if args["--json"]:
        from .jsonlines import print_json
        from .summaries import planned_records

        for record in planned_records(job.plan.kind, planned, dry_run=True):
            print_json(record)
    else:
        print_rehearsal(job.plan, planned)


def _run(client: Any, job: Job, args: Args) -> None:
    from .errors import CommandFailed
    from .runs import run_job
    from .summaries import noun_of

    kind = job.plan.kind
    with progress_of(args, kind, noun=noun_of(kind), has_summary=not args["--quiet"]) as progress:
        teller = _Teller(client.courier, job, progress, is_json=args["--json"])
        try:
            summary = run_job(
                client, job, teller.on_progress, on_planned=teller.on_planned, on_end=teller.on_end
            )
        except CommandFailed as error:
            error.text += teller.rest()
            raise
    if not args["--json"] and not args["--quiet"]:
        _sum_up(kind, summary)


def _sum_up(kind: str, summary: Summary) -> None:
    import sys

    from .progressviews import write_line
    from .summaries import LONG_ON_TERMINAL_S, LONG_S, lines_of

    if sys.stderr is None:  # `2>&-`
        return
    is_long = summary.seconds >= (LONG_ON_TERMINAL_S if sys.stderr.isatty() else LONG_S)
    for line in lines_of(kind, summary, is_long=is_long):
        write_line(sys.stderr, line)


class _Teller:
    """What a job tells while it runs, brought to the progress and, with --json, to stdout."""

    def __init__(self, courier: Any, job: Job, progress: Progress, *, is_json: bool) -> None:
        self._courier = courier
        self._job = job
        self._progress = progress
        self._is_json = is_json
        self._news: JobProgress | None = None
        self._summary: Summary | None = None

    def on_planned(self, planned: Mapping[str, wire.Planned]) -> None:
        if self._is_json:
            from .jsonlines import print_json
            from .summaries import planned_records

            for record in planned_records(self._job.plan.kind, planned, dry_run=False):
                print_json(record)

    def on_progress(self, news: JobProgress) -> None:
        from .amounts import Counts, Share

        is_first, self._news = self._news is None, news
        if is_first:
            total = Counts(news.commands, news.command_bytes)
            self._progress.follow(
                self._courier,
                lambda: _counts(self._news),
                lambda: total,
                lambda: self._shares(Share, Counts),
            )

    def _shares(self, share: Any, counts: Any) -> Sequence[Any]:
        assert self._news is not None
        return [
            share(node.node, _counts(node), counts(node.commands, node.command_bytes))
            for node in self._news.nodes
        ]

    def rest(self) -> str:
        """A line to end the error with."""
        from .summaries import rest_of

        return f"\n{rest_of(self._job, self._summary)}" if self._summary else ""

    def on_end(self, summary: Summary, failures: Sequence[Failed]) -> None:
        self._summary = summary
        if self._is_json:
            from .jsonlines import print_json
            from .summaries import failure_records, summary_record

            for record in failure_records(self._job.plan.kind, failures):
                print_json(record)
            print_json(summary_record(self._job, summary))


def _counts(news: Any) -> Any:
    from .amounts import Counts

    return Counts(news.done, news.bytes, news.failed)


VERBS: Mapping[str, Callable[[Args], int]] = {
    "map": _map,
    "map-to-n": _map,
    "map-from-n": _map,
}

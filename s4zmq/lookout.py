"""What a node tells of itself to those who look on: its jobs and their logs, its state, its metrics.

Changes nothing. Status and the list of jobs are taken by the control thread, and so touch no disk here:
`vitals` answers on threads of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from . import wire
from .caller import Caller
from .codec import Body
from .counters import Counters
from .errors import S4Error
from .history import History
from .jobs import Jobs
from .store import Store
from .vitals import DiskGauge, Gauge, Vitals

_ENDS = ("done", "failed", "cancelled", "stopped")
Counts = Callable[[], Mapping[str, int]]


class Lookout:
    """The answers of one node."""

    def __init__(
        self,
        store: Store,
        jobs: Jobs,
        history: History,
        counters: Counters,
        *,
        counts: Counts,
        totals: Counts,
    ) -> None:
        """`counts`: what the node holds at this moment, as `stats` tells it. `totals`: other metrics."""
        self._store = store
        self._jobs = jobs
        self._history = history
        self._counters = counters
        self._counts = counts
        self._totals = totals
        self._gauge = Gauge()
        self._disk = DiskGauge(str(store.root))
        self._started = time.monotonic()

    def on_list_jobs(self, request: wire.ListJobs, body: Body, caller: Caller) -> None:
        """Those under way, and the last ones that have ended."""
        caller.answer(wire.JobList(list(self._jobs.records())))

    def on_job_logs(self, request: wire.JobLogs, body: Body, caller: Caller) -> None:
        """What is kept of a job, or none for one that is not known here. On a disk thread."""
        entries, omitted = self._history.logs.read(request.job, request.key)
        rows = [(*entry[:5], len(entry.stderr), entry.cut) for entry in entries]
        caller.answer(wire.JobLogsReply(rows, omitted), b"".join(entry.stderr for entry in entries))

    def on_status(self, request: wire.Status, body: Body, caller: Caller) -> None:
        """Raises NodeBusy where too many wait for it."""

        def take(found: Vitals | S4Error) -> None:
            if isinstance(found, S4Error):
                caller.fail(found)
            else:
                caller.answer(wire.StatusReply(found.cpu, found.machine_cpu, self._amounts(found)))

        self._gauge.ask(caller.token, take)

    def _amounts(self, vitals: Vitals) -> dict[str, int]:
        tally, counts, disk = self._store.tally, self._counts(), self._disk.read()
        amounts = {
            "uptime": int(time.monotonic() - self._started),
            "cores": vitals.cores,
            "memory": vitals.memory,
            "commands-memory": vitals.commands_memory,
            "machine-memory": vitals.machine_memory,
            "machine-memory-free": vitals.machine_memory_free,
            "running-jobs": counts["jobs"],
            "running-commands": self._counters["commands-running"] + counts["evals"],
            "transfers": counts["transfers"] + counts["shuffle"] + counts["copies"],
        }
        if tally.is_whole:
            amounts.update(keys=tally.keys, bytes=tally.bytes)
        if disk:
            amounts.update({"disk": disk.size, "disk-free": disk.free})
        return amounts

    # -- metrics

    def measures(self) -> dict[str, float | Mapping[str, float]]:
        """The value of every metric of `metrics.METRICS` that there is now, by name, or where it has a
        label by the label's value."""
        tally, counts, disk = self._store.tally, self._counts(), self._disk.read()
        found: dict[str, float | Mapping[str, float]] = {
            "s4_uptime_seconds": time.monotonic() - self._started,
            "s4_keys_made_total": tally.made,
            "s4_keys_removed_total": tally.removed,
            "s4_puts_total": self._counters["puts"],
            "s4_put_bytes_total": self._counters["put-bytes"],
            "s4_gets_total": self._counters["gets"],
            "s4_get_bytes_total": self._counters["get-bytes"],
            "s4_commands_total": self._counters["commands"],
            "s4_commands_failed_total": self._counters["commands-failed"],
            **self._totals(),
            "s4_jobs_total": {state: self._history.ended[state] for state in _ENDS},
            "s4_running_commands": self._counters["commands-running"],
            "s4_reserved_bytes": counts["reserved"],
            "s4_held": {what: count for what, count in counts.items() if what != "reserved"},
        }
        if tally.is_whole:
            found.update(s4_keys=tally.keys, s4_bytes=tally.bytes)
        if disk:
            found.update(s4_disk_bytes=disk.size, s4_disk_free_bytes=disk.free)
        return found

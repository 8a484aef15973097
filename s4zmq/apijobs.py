"""The Python face of commands: eval and the three maps of `s4zmq.Client`. As `apikeys`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Union

from . import views
from .answers import EvalResult
from .commandtext import check_command
from .errors import CommandFailed, RequestError
from .evaluating import STDERR, STDOUT, Evaluation
from .keys import Key
from .pool import Pool
from .runs import Job, JobOptions, OnProgress, Summary, rehearse, run_job
from .views import JobLog, Jobs, JobView
from .wire import Planned

Path = Union[str, "os.PathLike[str]"]


class JobVerbs:
    """Methods of a Client that run commands."""

    _pool: Pool

    # -- commands

    def eval(self, key: str, command: str, *, check: bool = False) -> EvalResult:
        """Run a command beside a key, with the key on its stdin; its status and all of its output.

            s4.eval("s4://csv/c", "head -c 10 | wc -c").stdout

        Raises KeyNotFound, ChecksumMismatch; with `check` CommandFailed for another status than 0.
        """
        written: dict[int, list[bytes]] = {STDOUT: [], STDERR: []}
        with self.start_eval(key, command) as running:
            for output in running:
                written[output.stream].append(output.data)
        stdout, stderr = b"".join(written[STDOUT]), b"".join(written[STDERR])
        if check and running.status:
            raise _failed(key, self._pool.config.roster.owner(Key.parse(key).name), running.status, stderr)
        return EvalResult(running.status, stdout, stderr)

    def start_eval(self, key: str, command: str) -> Evaluation:
        """As `eval`, for output that is large or slow: iterate over it as it comes, in a `with`.

        with s4.start_eval("s4://csv/big", "sort") as running:
            for stream, data in running:
                ...
        running.status
        """
        check_command(command)
        return Evaluation(self._pool, Key.parse(key), command, self)

    def map(
        self,
        indir: str,
        outdir: str,
        command: str,
        *,
        files: Sequence[Path] = (),
        retries: int = 0,
        timeout_s: float = 0,
        jobs: int = 0,
        keep_going: bool = False,
        resume: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Summary:
        """1:1. `command` runs for each key below `indir` (or of a glob), on the node that holds it, with
        the key on its stdin; its stdout becomes the key of the same path below `outdir`.

            s4.map("s4://csv/", "s4://counts/", "wc -l")

        Of all three maps: `files` are local paths, which stand in the folder of every command; `retries`
        is per input, `timeout_s` per command (0: none); `jobs` is commands at once per node (0: its cores);
        `keep_going` runs all inputs and reports all failures at the end; `resume` finishes a run that
        failed or was interrupted, in the same words. `on_progress` is called in this thread with the counts
        of all nodes when they change; an exception in it, like KeyboardInterrupt, ends the job on all
        nodes. Raises KeyNotFound where there is no input, KeyExists where an output is in the way, and
        CommandFailed: its `details` has key, node and status, or after `keep_going` a list of such
        `failures`; `logs` has what the commands wrote.
        """
        options = _options(files, retries, timeout_s, jobs, keep_going=keep_going, resume=resume)
        return self._run(Job.parse("map", indir, outdir, command, options), on_progress)

    def map_to_n(
        self,
        indir: str,
        outdir: str,
        command: str,
        *,
        files: Sequence[Path] = (),
        retries: int = 0,
        timeout_s: float = 0,
        jobs: int = 0,
        keep_going: bool = False,
        resume: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Summary:
        """1:n, the shuffle. `command` writes files into its folder and prints their names; file F of input
        K becomes the key `outdir/K/F`, on the node that the name F belongs to. Options as of `map`.

            s4.map_to_n("s4://csv/", "s4://by-day/", "python3 split.py", files=["split.py"])
        """
        options = _options(files, retries, timeout_s, jobs, keep_going=keep_going, resume=resume)
        return self._run(Job.parse("map-to-n", indir, outdir, command, options), on_progress)

    def map_from_n(
        self,
        indir: str,
        outdir: str,
        command: str,
        *,
        files: Sequence[Path] = (),
        retries: int = 0,
        timeout_s: float = 0,
        jobs: int = 0,
        keep_going: bool = False,
        resume: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Summary:
        """n:1, the merge. `command` gets the paths of all keys that share a name or numeric prefix on its
        stdin, a line each; its stdout becomes one key in `outdir`. Options as of `map`.

            s4.map_from_n("s4://by-day/", "s4://days/", "xargs cat")
        """
        options = _options(files, retries, timeout_s, jobs, keep_going=keep_going, resume=resume)
        return self._run(Job.parse("map-from-n", indir, outdir, command, options), on_progress)

    def rehearse(
        self,
        kind: str,
        indir: str,
        outdir: str,
        command: str,
        *,
        resume: bool = False,
        files: Sequence[Path] = (),
    ) -> Mapping[str, Planned]:
        """What each node would do for a map of this `kind` (map, map_to_n, map_from_n), and nothing is
        run: keys, bytes, commands, complete, by node. Raises what the map would raise before any command
        runs."""
        options = _options(files, 0, 0, 0, keep_going=False, resume=resume)
        job = Job.parse(kind.replace("_", "-"), indir, outdir, command, options)
        with self._pool.session() as session:
            return rehearse(session, job)

    def jobs(self) -> Jobs:
        """The jobs of the cluster, whoever has started them: those that run first, then the newest first.
        Nodes that do not answer within HEALTH_TIMEOUT_S are among its `errors`.

            for job in s4.jobs().jobs:
                print(job.job[:8], job.verb, job.state, f"{job.done} of {job.commands}")
        """
        with self._pool.session() as session:
            return views.list_jobs(session)

    def cancel(self, job: str) -> JobView:
        """Stop a job, told by the first digits of its id, on all nodes, and wait until nothing of it is
        left. Raises RequestError for one that is not known, or has ended."""
        with self._pool.session() as session:
            return views.cancel_job(session, job)

    def logs(self, job: str, key: str = "") -> JobLog:
        """What failed commands of a job, told by the first digits of its id, or only those on `key`, have
        written to stderr. Raises RequestError for a job that is not known."""
        with self._pool.session() as session:
            return views.job_log(session, job, key and str(Key.parse(key)))

    def _run(self, job: Job, on_progress: OnProgress | None) -> Summary:
        with self._pool.session() as session:
            return run_job(session, job, on_progress)


def _failed(key: str, node: str, status: int, stderr: bytes) -> CommandFailed:
    tail = stderr.decode(errors="replace").strip()
    said = f":\n{tail}" if tail else "; it wrote no stderr"
    error = CommandFailed(
        f"the command failed with status {status} on {key} (node {node}){said}",
        key=key,
        node=node,
        status=status,
    )
    error.stderr = stderr
    return error


def _options(
    files: Sequence[Path], retries: int, timeout_s: float, jobs: int, *, keep_going: bool, resume: bool
) -> JobOptions:
    """Raises RequestError for a number that can not be."""
    if isinstance(files, (str, bytes, os.PathLike)):
        raise TypeError("files is a list of paths, not one path")
    if retries < 0 or jobs < 0 or not 0 <= timeout_s < 1e8:
        raise RequestError("retries, jobs and timeout_s are numbers from 0 on")
    return JobOptions(retries, timeout_s, jobs, keep_going, resume, [os.fspath(path) for path in files])

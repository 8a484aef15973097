"""The command line of the benchmark: options, one scenario after the other, the report."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from docopt import DocoptExit, docopt

from .. import __version__
from ..errors import ConfigError, S4Error
from . import machine, plot, profiling
from .bench import Bench, BenchOptions, Scenario
from .cluster import Cluster, Interrupted, Signals, existing, require_space, throw_away, working_folder
from .scenarios import SCENARIOS, choose
from .sizes import DEFAULT, FULL, QUICK

USAGE = f"""\
How fast s4 is on this machine, beside what the machine itself does. `bench` below stands for
`python -m s4zmq.bench`.

Usage:
  bench [--json] [--plot FILE] [--profile] [--quick | --full] [--runs N] [--only NAME]...
        [--work-dir DIR] [--conf PATH | --nodes N]
  bench (-h | --help)

Options:
  --json          One JSON document instead of a table: all samples, the limits', the machine.
  --plot FILE     Also draw the report to FILE.png (needs matplotlib: pip install 's4zmq[plot]').
  --profile       Also say where the time goes: CPU seconds of s4, nodes and commands for each
                  scenario, and the functions of s4 and of the nodes that use most CPU, sampled
                  every 2 ms. Sampling costs: figures are lower than without. Choose with --only.
  --quick         Less of everything: a value of 256 MiB instead of 512, up to 4 nodes.
  --full          More: values of 1 and 4 GiB, lists of 1,000,000 keys, jobs over 100,000. Takes long.
  --runs N        Samples of each figure, but for `keys`, which has one [default: 3].
  --only NAME     Only this scenario, or those that begin with NAME-; may be repeated.
  --work-dir DIR  Where nodes and files live meanwhile (else the folder for temporary files).
  --conf PATH     Measure this cluster, in a bucket of its own, instead of a throw-away one. What
                  needs nodes of our own (memory, scale-nodes) is left out.
  --nodes N       Nodes of the throw-away cluster (else 3).
  -h, --help      Show this.

Scenarios:
{"".join(f"  {scenario.name:<16} {scenario.what}{chr(10)}" for scenario in SCENARIOS)}
Progress goes to stderr, the report to stdout. Exit status: 0 all was measured, 1 something failed,
2 usage, 130 Ctrl-C.
"""

EXIT_USAGE = 2


def main(argv: list[str]) -> int:
    """Measure and report; the exit status."""
    try:
        args = docopt(USAGE, argv)
        chosen = choose(args["--only"])
    except DocoptExit as exc:
        print(exc, file=sys.stderr)
        return EXIT_USAGE
    except KeyError as exc:
        print(f"bench: no scenario {exc}: see --help", file=sys.stderr)
        return EXIT_USAGE
    signals = Signals()
    signals.install()
    try:
        if args["--plot"]:
            plot.require(Path(args["--plot"]))
        return _bench(args, chosen, signals)
    except S4Error as error:
        print(f"bench: {error.text}", file=sys.stderr)
        return error.exit_status
    except Interrupted as exc:
        print("bench: interrupted, all that it made is gone", file=sys.stderr)
        return 128 + exc.signum


def _bench(args: Mapping[str, Any], chosen: Sequence[Scenario], signals: Signals) -> int:
    sizes = QUICK if args["--quick"] else FULL if args["--full"] else DEFAULT
    runs = _number(args, "--runs", 1, 100)
    nodes = _number(args, "--nodes", 1, 64) if args["--nodes"] else 0
    work_dir, started_at = Path(args["--work-dir"] or tempfile.gettempdir()), time.perf_counter()
    with working_folder(work_dir, signals) as folder:
        require_space(folder, sizes.disk_bytes)
        samples = _new_folder(folder / "samples") if args["--profile"] else None
        with _cluster(args["--conf"], folder, nodes, signals, samples) as cluster:
            bench = Bench(folder, cluster, BenchOptions(runs, sizes, samples), signals)
            spending = measure_all(bench, chosen, signals)
        if samples:
            bench.report.profile = {
                "scenarios": spending.scenarios,
                "functions": profiling.top_functions(samples),
            }
        facts = {
            "version": __version__,
            **machine.facts(folder),
            "gnu_parallel": machine.has_parallel(),
            "nodes": len(bench.config.roster.nodes),
            "throw_away": cluster.home is not None,
            "runs": runs,
            "sizes": sizes._asdict(),
            "seconds": round(time.perf_counter() - started_at, 1),
        }
    _show(args, bench, facts)
    return 1 if bench.report.errors else 0


def _show(args: Mapping[str, Any], bench: Bench, facts: Mapping[str, Any]) -> None:
    report = bench.report
    if args["--plot"]:
        plot.draw(report, facts, Path(args["--plot"]))
    if args["--json"]:
        print(json.dumps(report.document(facts), indent=1))
        return
    print(report.table())
    if report.profile:
        print(f"\n{profiling.table(report.profile)}")
    print(f"{facts['seconds']:.0f} s in all", file=sys.stderr)


def _cluster(
    conf: str | None, folder: Path, nodes: int, signals: Signals, samples: Path | None
) -> AbstractContextManager[Cluster]:
    return existing(conf) if conf else throw_away(folder / "home", nodes, signals, samples)


def _new_folder(path: Path) -> Path:
    path.mkdir()
    return path


# -- one scenario after the other


def measure_all(bench: Bench, chosen: Sequence[Scenario], signals: Signals) -> profiling.Spending:
    """Run them until one leaves the cluster past measuring; what each has spent."""
    spending = profiling.Spending(lambda: bench.client_cpu[0])
    for scenario in chosen:
        with spending.of(scenario.name, bench.cluster.pids):
            can_go_on = _measure(bench, scenario, signals)
        if not can_go_on:
            break
    return spending


def _measure(bench: Bench, scenario: Scenario, signals: Signals) -> bool:
    """One scenario; its error is noted. False where the cluster is past measuring."""
    print(f"{scenario.name}: {scenario.what}", file=sys.stderr)
    bench.begin(scenario.name)
    try:
        scenario.function(bench)
    except S4Error as error:
        _note_error(bench, scenario, error)
    finally:
        signals.hold()
        cleaned = _clean_up(bench, scenario)
        signals.release()
    return cleaned


def _clean_up(bench: Bench, scenario: Scenario) -> bool:
    try:
        bench.clean_up()
    except S4Error as error:
        _note_error(bench, scenario, error)
        return False
    return True


def _note_error(bench: Bench, scenario: Scenario, error: S4Error) -> None:
    print(f"bench: {scenario.name}: {error.text}", file=sys.stderr)
    bench.report.fail(scenario.name, error.text)


def _number(args: Mapping[str, Any], option: str, least: int, most: int) -> int:
    """An option's whole number. Raises ConfigError."""
    text = args[option]
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise ConfigError(f"{option} takes a whole number from {least} to {most}, not {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The command line of the benchmark: options, one scenario after the other, the report."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from docopt import DocoptExit, docopt

from .. import __version__
from ..errors import ConfigError, S4Error
from .bench import Bench, BenchOptions
from .cluster import Interrupted, Signals, place, require_space
from .inputs import MIB
from .scenarios import SCENARIOS, Scenario, choose

USAGE = f"""\
How fast s4 is on this machine, beside what the machine itself does. `bench` below stands for
`python -m s4zmq.bench`.

Usage:
  bench [--json] [--quick] [--runs N] [--only NAME]... [--work-dir DIR] [--conf PATH | --nodes N]
  bench (-h | --help)

Options:
  --json          One JSON document instead of a table.
  --quick         A smaller large value: 256 MiB instead of 1 GiB.
  --runs N        Samples of each figure [default: 3].
  --only NAME     Only this scenario, or those that begin with NAME-; may be repeated.
  --work-dir DIR  Where nodes and files live meanwhile (else the folder for temporary files).
  --conf PATH     Measure this cluster, in a bucket of its own, instead of a throw-away one.
  --nodes N       Nodes of the throw-away cluster (else 3).
  -h, --help      Show this.

Scenarios:
{"".join(f"  {scenario.name:<15} {scenario.what}, {scenario.unit}{chr(10)}" for scenario in SCENARIOS)}
Progress goes to stderr, the report to stdout. Exit status: 0 all was measured, 1 something failed.
"""

EXIT_USAGE = 2
_QUICK_BYTES, _VALUE_BYTES = 256 * MIB, 1024 * MIB
_OTHER_BYTES = 2048 * MIB
"""What the scenarios but `put` need at most at once: tables, their parts, and both again as keys."""


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
        return _bench(args, chosen, signals)
    except S4Error as error:
        print(f"bench: {error.text}", file=sys.stderr)
        return error.exit_status
    except Interrupted as exc:
        print("bench: interrupted, all that it made is gone", file=sys.stderr)
        return 128 + exc.signum


def _bench(args: Mapping[str, Any], chosen: Sequence[Scenario], signals: Signals) -> int:
    options = BenchOptions(
        runs=_number(args, "--runs", 1, 100),
        value_bytes=_QUICK_BYTES if args["--quick"] else _VALUE_BYTES,
    )
    nodes = _number(args, "--nodes", 1, 64) if args["--nodes"] else 0
    work_dir = Path(args["--work-dir"] or tempfile.gettempdir())
    with place(work_dir, args["--conf"], nodes, signals) as here:
        require_space(here.folder, max(3 * options.value_bytes, _OTHER_BYTES))
        bench = Bench(here, options)
        for scenario in chosen:
            if not _measure(bench, scenario, signals):
                break
        facts = {
            "version": __version__,
            "machine": platform.platform(),
            "python": platform.python_version(),
            "cores": bench.cores,
            "nodes": len(here.config.roster.nodes),
            "throw_away": here.is_throw_away,
            "runs": options.runs,
            "value_bytes": options.value_bytes,
        }
    print(json.dumps(bench.report.document(facts), indent=1) if args["--json"] else bench.report.table())
    return 1 if bench.report.errors else 0


def _measure(bench: Bench, scenario: Scenario, signals: Signals) -> bool:
    """One scenario; its error is noted. False where the cluster is past measuring."""
    print(f"{scenario.name}: {scenario.what}", file=sys.stderr)
    bench.begin(scenario.name, scenario.unit)
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

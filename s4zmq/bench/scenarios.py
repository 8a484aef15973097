"""The registry of what is measured, in the order of a run.

To add a scenario: a function in the file of its subject, and a line in the SCENARIOS there.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import growth, jobs, latency, memory, scale, secrecy, trees, values
from .bench import Scenario

SCENARIOS: Sequence[Scenario] = (
    *values.SCENARIOS,
    *jobs.SCENARIOS,
    *latency.SCENARIOS,
    *secrecy.SCENARIOS,
    *memory.SCENARIOS,
    *trees.SCENARIOS,
    *growth.SCENARIOS,
    *scale.SCENARIOS,
)


def choose(names: Sequence[str]) -> Sequence[Scenario]:
    """Those called, or beginning with, one of `names`; all where there are none. Raises KeyError
    for a name that chooses nothing."""
    for name in names:
        if not any(_is_meant(scenario, name) for scenario in SCENARIOS):
            raise KeyError(name)
    return [found for found in SCENARIOS if not names or any(_is_meant(found, name) for name in names)]


def _is_meant(scenario: Scenario, name: str) -> bool:
    return scenario.name == name or scenario.name.startswith(f"{name}-")

"""Amounts as people read them: bytes in decimal units. Text only, but for a mean."""

from __future__ import annotations

from collections.abc import Sequence

_UNITS = ("bytes", "KB", "MB", "GB", "TB", "PB")


def show_bytes(count: int) -> str:
    """`512 bytes`, `16.8 MB`."""
    if count == 1:
        return "1 byte"
    power = _power_of(count)
    return f"{_in_unit(count, power)} {_UNITS[power]}"


def show_count(count: int, noun: str) -> str:
    """`1 key`, `4096 keys`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def show_two(first: int, second: int) -> tuple[str, str]:
    """Two amounts to be compared, `3.1 GB` and `7.9`: in the unit of the smaller one, so that it does
    not read 0.0, and in a finer one where they would read the same. The unit stands with the first."""
    power = _power_of(min(first, second) or max(first, second))
    while power and first != second and _in_unit(first, power) == _in_unit(second, power):
        power -= 1
    return f"{_in_unit(first, power)} {_UNITS[power]}", _in_unit(second, power)


def _power_of(count: int) -> int:
    power = 0
    while power + 1 < len(_UNITS) and count >= 999.95 * 1000**power:
        power += 1
    return power


def _in_unit(count: int, power: int) -> str:
    return f"{count / 1000**power:.1f}" if power and count else f"{count}"


def times_mean(numbers: Sequence[int]) -> float:
    """The largest as a multiple of the mean; 1.0 where all are 0."""
    return max(numbers) * len(numbers) / sum(numbers) if sum(numbers) else 1.0

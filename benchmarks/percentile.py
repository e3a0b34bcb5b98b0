"""Percentiles as they are told of latencies."""

from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that so many percent are not above (nearest rank); nan of none."""
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    place = -(-len(ordered) * percent // 100)  # rounded up
    return ordered[max(0, min(len(ordered), int(place)) - 1)]

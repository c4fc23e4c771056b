"""Timing of two ways in turn, so that a machine whose speed drifts still gives a fair ratio."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def paired(first: Callable[[], object], second: Callable[[], object], rounds: int) -> tuple[float, float, float]:
    """Median seconds of both and median of the ratios first / second, measured A B A B ..."""
    pairs = [(seconds(first), seconds(second)) for _ in range(rounds)]
    return (
        statistics.median(pair[0] for pair in pairs),
        statistics.median(pair[1] for pair in pairs),
        statistics.median(pair[0] / pair[1] for pair in pairs),
    )


def verdict(ratio: float, aim: float) -> str:
    """How a ratio stands to its aim."""
    return f"aim at most {aim:g}: {'met' if ratio <= aim else 'MISSED'}"

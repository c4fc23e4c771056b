"""Percent and thresholds, as all criteria use them."""

from __future__ import annotations

from collections.abc import Sequence

ROUNDING = 1e-9
"""Share by which binary numbers may miss a threshold that the decimal numbers reach: 58.5 mm and 20 % are 70.2 mm."""


def reaches(value: float, limit: float) -> bool:
    """True when a value is at least a limit; only the rounding of binary numbers is forgiven, 19.99 % never becomes 20 %."""
    return value >= limit - ROUNDING * max(1.0, abs(limit))


def percent_change(now: float, reference: float) -> float | None:
    """Change in percent of a reference; None from 0, of which nothing is a percentage."""
    return None if reference == 0 else 100.0 * (now - reference) / reference


def percent_text(value: float, limits: Sequence[float] = ()) -> str:
    """A change as a reader sees it, with sign; as many decimals as keep it on its side of the limits (19.96 is not "+20.0 %")."""
    decimals = 1
    while decimals < 6 and sides(round(value, decimals), limits) != sides(value, limits):
        decimals += 1
    return f"{round(value, decimals) + 0.0:+.{decimals}f} %"


def sides(value: float, limits: Sequence[float]) -> list[bool]:
    """Which limits an increase, and which a decrease of that many percent reaches."""
    return [reaches(change, abs(limit)) for limit in limits for change in (value, -value)]


def joined(parts: Sequence[str], last: str = "and") -> str:
    """Words in a row: "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}" if parts else ""

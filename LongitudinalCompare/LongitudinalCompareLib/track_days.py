"""Days between dates: whole ones for criteria, with the time of day for growth."""

from __future__ import annotations

from datetime import date, datetime

from LongitudinalCompareLib.comparison import DateFacts

SECONDS = 86400.0


def days_between(earlier: DateFacts, later: DateFacts) -> float:
    """Days between two scans; whole days where one of them has no time."""
    days = float((date.fromisoformat(later.date) - date.fromisoformat(earlier.date)).days)
    if not (earlier.time and later.time):
        return days
    both = [datetime.fromisoformat(f"{one.date}T{one.time}") for one in (earlier, later)]
    return (both[1] - both[0]).total_seconds() / SECONDS


def day_of(day: str, baseline: DateFacts) -> int:
    """Days of a date (YYYY-MM-DD) since the baseline; negative before it."""
    return (date.fromisoformat(day) - date.fromisoformat(baseline.date)).days

"""Dates with balls as lesions, and readings about them, for tests of what a reader said."""

from __future__ import annotations

import numpy as np

from helpers_tracking import SHAPE_KJI, ball_lesion
from LongitudinalCompareLib.comparison import DateFacts
from LongitudinalCompareLib.evidence import SeenDate
from LongitudinalCompareLib.reading import Ref

FIRST, SECOND, THIRD = "2026-01-05", "2026-03-02", "2026-05-04"
A, B, C = ((15, 15, 15), 5), ((40, 15, 15), 6), ((15, 42, 40), 4)
"""Center and radius in mm of balls apart from each other."""


def seen(at: int, when: str, balls: dict, days: int | None = None) -> SeenDate:
    """One date of number `at`: `balls` by name, (center, radius). days: since the baseline."""
    grid = np.eye(4)
    day, _, time = when.partition(" ")
    facts = DateFacts(day, time, at if days is None else days, "CT", (1.0, 1.0, 1.0), 1.0, "given", "")
    lesions = tuple(ball_lesion(at, name, center, radius, grid) for name, (center, radius) in balls.items())
    return SeenDate(facts, lesions, grid, SHAPE_KJI)


def dates_of(**balls: dict) -> tuple[SeenDate, ...]:
    """Dates by first, second, third, in the order of time."""
    whens = {"first": FIRST, "second": SECOND, "third": THIRD}
    return tuple(seen(at, whens[name], one) for at, (name, one) in enumerate(balls.items()))


def ref(when: str, name: str, point=None) -> Ref:
    """A lesion of a date."""
    return Ref(when, name, point)

"""Evidence of a few balls at a few dates, without scans: for tests of what comes after registering."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from helpers_tracking import SHAPE_KJI, ball_lesion, shift
from LongitudinalCompareLib.alignment import RegionAlignment, put_together
from LongitudinalCompareLib.comparison import DateFacts
from LongitudinalCompareLib.evidence import Evidence, SeenDate
from LongitudinalCompareLib.pair_outcome import PairOutcome
from OncoLib.terminology import structure

DAYS = ("2026-01-05", "2026-03-02", "2026-04-27")


def seen(at: int, balls: dict, grid=None, **facts) -> SeenDate:
    """One date: `balls` by name, (center, radius)."""
    grid = np.eye(4) if grid is None else grid
    entry = structure("liver_lesion").entry
    lesions = tuple(
        replace(ball_lesion(at, name, center, radius, grid), entry=entry, site="liver", site_code=structure("liver").entry.type)
        for name, (center, radius) in balls.items()
    )
    told = DateFacts(DAYS[at], "", 56 * at, "CT", (1.0, 1.0, 1.0), 1.0, "given", f"{at:064x}", **facts)
    return SeenDate(told, lesions, grid, SHAPE_KJI)


def region(name: str, center, verdict: str = "good", moved=None, **more) -> RegionAlignment:
    """A verdict at a place."""
    reasons = () if verdict == "good" else (f"{name} is off.",)
    numbers = {"shift_mm": float("nan"), "shown": 1.0, "shift_ras_mm": None, "falls": {"x5 mm": 0.25}, "told": True}
    moved = tuple(center) if moved is None else moved
    return RegionAlignment(name, tuple(map(float, center)), tuple(map(float, moved)), verdict, reasons, numbers, **more)


def pair(at: int, regions, transform=None) -> PairOutcome:
    """A registered date."""
    return PairOutcome(at, transform or shift(0, 0, 0), put_together(tuple(regions)), {"engine": "SimpleITK", "doubts": []})


def evidence(dates, pairs, **more) -> Evidence:
    """Of dates as `seen` makes them."""
    return Evidence(tuple(dates), tuple(pairs), dates[0].facts.sha256, **more)

"""Evidence of a few balls at several dates, with verdicts of alignment as a test wants them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from helpers_tracking import SHAPE_KJI, ball_lesion, shift
from LongitudinalCompareLib.alignment import RegionAlignment, put_together
from LongitudinalCompareLib.comparison import DateFacts
from LongitudinalCompareLib.evidence import Evidence, SeenDate
from LongitudinalCompareLib.lesion_track import Lesion
from LongitudinalCompareLib.pair_outcome import PairOutcome
from LongitudinalCompareLib.reading import Ref

STEP_DAYS = 60
BASELINE = date(2026, 1, 1)


def day(at: int) -> str:
    """The date of a number."""
    return (BASELINE + timedelta(days=at * STEP_DAYS)).isoformat()


def ref(at: int, name: str) -> Ref:
    """A lesion by date and name."""
    return Ref(day(at), name)


def facts(at: int, grid: np.ndarray, modality: str = "CT") -> DateFacts:
    """Of a date whose slices lie along k."""
    spacing = tuple(float(one) for one in np.linalg.norm(grid[:3, :3], axis=0))
    return DateFacts(day(at), "", at * STEP_DAYS, modality, spacing, spacing[2], "given", f"{at:064x}")


def seen(
    at: int, balls: Mapping, *, sites: Mapping[str, str] | None = None, experts=None, grid=None, shape=SHAPE_KJI
) -> SeenDate:
    """One date: balls by name, (center, radius) or a `Lesion`; sites by name, the liver where none is told."""
    grid = np.eye(4) if grid is None else grid
    made = [one if isinstance(one, Lesion) else ball(at, name, *one, grid.tobytes(), shape) for name, one in balls.items()]
    lesions = tuple(replace(one, site=(sites or {}).get(one.key.name, "liver")) for one in made)
    return SeenDate(facts(at, grid), lesions, grid, shape, experts or {})


@lru_cache(maxsize=256)
def ball(at: int, name: str, center: tuple, radius: float, grid: bytes, shape: tuple[int, int, int]) -> Lesion:
    """A ball; drawing and measuring it takes longer than most tests."""
    return ball_lesion(at, name, center, radius, np.frombuffer(grid).reshape(4, 4), shape)


def pair(at: int, verdicts: Mapping[str, tuple], vector_mm=(0.0, 0.0, 0.0), names: Sequence[str] = ()) -> PairOutcome:
    """A later date shifted by a vector; verdicts by name of the region, (verdict, center of the baseline)."""
    regions = [
        RegionAlignment(
            name, tuple(map(float, center)), tuple(map(float, np.add(center, vector_mm))), verdict, (f"{verdict} here.",)
        )
        for name, (verdict, center) in verdicts.items()
    ]
    return PairOutcome(at, shift(*vector_mm), put_together(regions))


def evidence(*dates: SeenDate, verdicts: Mapping[int, Mapping[str, str]] | None = None, known=()) -> Evidence:
    """All dates in one frame; verdicts by number of the date and name of the baseline's lesion, good where none is told."""
    centers = {one.key.name: one.centroid_ras_mm for one in dates[0].lesions}
    pairs = []
    for at in range(1, len(dates)):
        told = (verdicts or {}).get(at, {})
        pairs.append(pair(at, {name: (told.get(name, "good"), center) for name, center in centers.items()}))
    return Evidence(tuple(dates), tuple(pairs), "seed", tuple(known), {"made_by": "a test"})

"""A comparison of three dates in a folder, for tests of what readers say about it."""

from __future__ import annotations

from pathlib import Path

from helpers_reading import FIRST, SECOND, THIRD, A, B, C, seen
from LongitudinalCompareLib.alignment import RegionAlignment, put_together
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.pair_outcome import PairOutcome
from OncoLib.registration.transform import IDENTITY

FAR = (42, 42, 15)
BALLS = (
    {"Lesion 1": (B[0], 7), "Lesion 2": A, "Lesion 3": C},
    {"Lesion 1": (B[0], 6), "Lesion 2": (A[0], 6), "Lesion 3": C, "Lesion 4": (FAR, 5)},
    {"Lesion 1": (B[0], 5), "Lesion 2": (A[0], 7), "Lesion 3": C, "Lesion 4": (FAR, 6)},
)


def evidence() -> Evidence:
    """Three dates in one frame, two months apart, every alignment good: one lesion shrinks, one grows, one stays, one is new."""
    told = zip((FIRST, SECOND, THIRD), BALLS, (0, 56, 119))
    dates = tuple(seen(at, when, balls, days) for at, (when, balls, days) in enumerate(told))
    pairs = []
    for at in (1, 2):
        centers = {one.key.name: tuple(map(float, one.centroid_ras_mm)) for one in dates[0].lesions}
        regions = [RegionAlignment(name, center, center, "good", ("good here.",)) for name, center in centers.items()]
        pairs.append(PairOutcome(at, IDENTITY, put_together(regions)))
    return Evidence(dates, tuple(pairs), "seed", (), {"made_by": "a test"})


def comparison_in(folder: Path, *acts) -> Path:
    """The folder with the comparison and what was said; returns its `comparison.json`."""
    from LongitudinalCompareLib.assessment import assess
    from LongitudinalCompareLib.reading import Reading
    from LongitudinalCompareLib.scene.comparison_files import put

    found = evidence()
    put(folder, found, assess(found, Reading(tuple(acts))))
    return folder / "comparison.json"

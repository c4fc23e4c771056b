"""A comparison of three dates in a folder, for tests of what readers say about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from helpers_comparison_scene import timepoint
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


def scene_in(folder: Path, *acts, scan_kji=None) -> Path:
    """The bundle of that comparison beside it; its scans have a patient's name. scan_kji: scans of noise of this size, without
    segmentations."""
    from LongitudinalCompareLib.assessment import assess
    from LongitudinalCompareLib.reading import Reading
    from LongitudinalCompareLib.scene.comparison_bundle import write_bundle

    found = evidence()
    timepoints = [replace(timepoint(one, at), date=one.facts.date) for at, one in enumerate(found.dates)]
    if scan_kji:
        noise = np.random.default_rng(3).integers(-1000, 1000, scan_kji).astype(np.int16)
        timepoints = [replace(one, images={"image": replace(one.image, voxels=noise)}, segmentation=None) for one in timepoints]
    return write_bundle(folder / "comparison.mrb", assess(found, Reading(tuple(acts))), found, timepoints)

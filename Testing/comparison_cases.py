"""Dates with balls of known size and place on any grid, as evidence of a comparison without images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np

from LongitudinalCompareLib.alignment import RegionAlignment, put_together
from LongitudinalCompareLib.comparison import DateFacts
from LongitudinalCompareLib.evidence import Evidence, SeenDate
from LongitudinalCompareLib.lesions_of import lesions_of
from LongitudinalCompareLib.pair_outcome import PairOutcome
from OncoLib.image import spacing_of
from OncoLib.registration.transform import LinearTransform
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure

FIRST = date(2026, 1, 5)
STEP_DAYS = 56

Balls = Mapping[str, tuple[Sequence[float], float]]
"""Center in RAS and radius, both in mm, by name."""


def day_text(at: int, step_days: int = STEP_DAYS) -> str:
    """Of a date by its number."""
    return (FIRST + timedelta(days=at * step_days)).isoformat()


def grid_of(spacing_mm: Sequence[float], size_mm: Sequence[float]) -> tuple[np.ndarray, tuple[int, int, int]]:
    """ijk_to_ras and shape `[k, j, i]` of a grid around the origin."""
    counts = [round(size / step) for size, step in zip(size_mm, spacing_mm)]
    matrix = np.diag([*map(float, spacing_mm), 1.0])
    matrix[:3, 3] = [-(count - 1) / 2 * step for count, step in zip(counts, spacing_mm)]
    return matrix, tuple(counts[::-1])


def marked(balls: Balls, ijk_to_ras: np.ndarray, shape_kji: tuple[int, int, int], of: str = "liver_metastasis") -> Segmentation:
    """Voxels whose center lies in a ball, each ball a lesion."""
    layer, segments, item = np.zeros(shape_kji, np.uint8), [], structure(of)
    k, j, i = np.indices(shape_kji)
    places = [row[0] * i + row[1] * j + row[2] * k + row[3] for row in ijk_to_ras[:3]]
    for label, (name, (center, radius)) in enumerate(balls.items(), 1):
        layer[sum((place - at) ** 2 for place, at in zip(places, center)) <= radius**2] = label
        segments.append(Segment(label, name, item.entry, item.color, structure=item.id))
    return Segmentation((layer,), ijk_to_ras, tuple(segments), Provenance("balls", ""), name="Balls")


def seen(
    at: int, segmentation: Segmentation, *, modality: str = "CT", organ: str = "liver", step_days: int = STEP_DAYS
) -> SeenDate:
    """A date as evidence."""
    spacing = spacing_of(segmentation.ijk_to_ras)
    facts = DateFacts(day_text(at, step_days), "", at * step_days, modality, spacing, max(spacing), "given", "")
    sites = {one.name: (organ, None) for one in segmentation.segments}
    return SeenDate(facts, lesions_of(segmentation, at, sites=sites), segmentation.ijk_to_ras, segmentation.shape_kji)


def pair_of(at: int, first: SeenDate, transform=None, verdict: str = "good") -> PairOutcome:
    """How a later date is reached, with the same verdict at each lesion of the baseline."""
    transform = LinearTransform(np.eye(4)) if transform is None else transform
    reasons = () if verdict == "good" else ("It does not fit.",)
    regions = []
    for one in first.lesions:
        place = one.centroid_ras_mm
        moved = tuple(map(float, transform.moved(place[None])[0]))
        regions.append(RegionAlignment(one.key.name, tuple(map(float, place)), moved, verdict, reasons))
    return PairOutcome(at, transform, put_together(regions))


def evidence_of_balls(
    dates: Sequence[Balls], *, spacing_mm=(1.0, 1.0, 1.0), size_mm=(120, 80, 80), transforms: Mapping[int, object] | None = None,
    verdict: str = "good", step_days: int = STEP_DAYS,
) -> Evidence:  # fmt: skip
    """Dates on one grid. transforms: by number of the date, from the baseline; the others lie as the baseline does."""
    grid = grid_of(spacing_mm, size_mm)
    found = [seen(at, marked(one, *grid), step_days=step_days) for at, one in enumerate(dates)]
    pairs = [pair_of(at, found[0], (transforms or {}).get(at), verdict) for at in range(1, len(found))]
    return Evidence(tuple(found), tuple(pairs), "balls")


def ball_ml(radius_mm: float) -> float:
    """Its volume."""
    return 4 / 3 * np.pi * radius_mm**3 / 1000

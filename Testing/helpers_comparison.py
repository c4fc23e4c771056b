"""Comparisons of a few boxes on small grids, for tests of what is made of a comparison."""

from __future__ import annotations

import numpy as np

from LongitudinalCompareLib.alignment import put_together
from LongitudinalCompareLib.comparison import ComparedTrack, Comparison, DateFacts, TrackEntry
from LongitudinalCompareLib.evidence import Evidence, SeenDate
from LongitudinalCompareLib.lesion_track import Lesion, LesionKey
from LongitudinalCompareLib.lesions_of import lesion_from
from LongitudinalCompareLib.pair_outcome import PairOutcome
from LongitudinalCompareLib.reading import Reading
from OncoLib.components import Piece
from OncoLib.registration.transform import IDENTITY

SHAPE_KJI = (30, 30, 30)
DATES = ("2026-01-05", "2026-03-02", "2026-04-27")


def box_lesion(at: int, name: str, i, j, k, grid=None, shape=SHAPE_KJI) -> Lesion:
    """Voxels from the first up to the last of each pair, both in it."""
    box = tuple(slice(low, high + 1) for low, high in (k, j, i))
    mask = np.ones([span.stop - span.start for span in box], bool)
    return lesion_from(LesionKey(at, name), Piece(box, mask), np.eye(4) if grid is None else grid, shape)


def seen(at: int, *lesions: Lesion, grid=None, shape=SHAPE_KJI) -> SeenDate:
    """A date, 56 days after the one before."""
    grid = np.eye(4) if grid is None else grid
    spacing = tuple(float(one) for one in np.linalg.norm(grid[:3, :3], axis=0))
    facts = DateFacts(DATES[at], "", 56 * at, "CT", spacing, spacing[2], "given", "")
    return SeenDate(facts, lesions, grid, shape)


def pair(at: int, transform=IDENTITY, regions=()) -> PairOutcome:
    """A later date's alignment."""
    return PairOutcome(at, transform, put_together(regions))


def track(name: str, *entries: tuple, **more) -> ComparedTrack:
    """entries: status and names of lesions, one a date."""
    made = tuple(TrackEntry(at, status, "matched", tuple(names)) for at, (status, *names) in enumerate(entries))
    return ComparedTrack(f"2.25.{sum(map(ord, name))}", name, made, **more)


def compared(dates, pairs, *tracks: ComparedTrack) -> tuple[Comparison, Evidence]:
    """A comparison of tracks that are named, not found."""
    facts = tuple(one.facts for one in dates)
    return Comparison(facts, tuple(pairs), tracks, (), (), Reading()), Evidence(tuple(dates), tuple(pairs), "seed")

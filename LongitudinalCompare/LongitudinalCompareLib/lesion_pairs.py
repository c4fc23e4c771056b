"""How alike a lesion of one date and one of another are, after their points were carried over: overlap, distance, volume.

No mask is warped: the voxel centers of one lesion are moved and looked up in the other's mask on its own grid, in both
directions where the transform can be turned round. The overlap is that of the smaller lesion, because the intersection over
union of a lesion that grew much is low though it is the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import log
from typing import Protocol

import numpy as np

from LongitudinalCompareLib.lesion_track import Lesion
from OncoLib.errors import InputError

DEFAULT_ERROR_MM = 3.0
"""What a registration is taken to be off when nobody measured it: between the 2 mm of a rigid one of the head and the 5 mm that
a local one of the body should keep."""

FINEST = 4
"""Parts of a voxel's side at most, in which a coarse voxel is looked up in a finer mask."""

MOST_POINTS = 20_000
"""Points of one lesion that are looked up; beyond, every n-th: a share of 1/2 is then known to 0.4 %."""


class PointTransform(Protocol):
    """Carries points; `OncoLib.registration.transform.LinearTransform` is one."""

    def moved(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """Points `[n, 3]` of the baseline scan's RAS, in the other scan's RAS; mm."""
        ...


@dataclass(frozen=True)
class MatchSettings:
    """What a match is judged by; all our choice, `unmatched_cost` set on simulated patients that the benchmark leaves out.

    cost = overlap_weight * (1 - overlap of the smaller) + distance_weight * distance of the centroids / (r1 + r2 + error of the
    registration) + volume_weight * |ln V2/V1|. Radii are those of balls of the same volume.
    unmatched_cost: of a lesion without partner; two that cost more than twice that stay apart.
    least_overlap: of the smaller, from which a lesion left over is part of a merged or split one. reach_mm: how far from a
    lesion whose alignment is refused another could still be the same one.
    against: each date is compared with the "nearest" before it at which the lesion was seen, or with the "first" one.
    """

    overlap_weight: float = 1.0
    distance_weight: float = 1.0
    volume_weight: float = 0.5
    unmatched_cost: float = 1.2
    least_overlap: float = 0.3
    reach_mm: float = 20.0
    against: str = "nearest"

    def __post_init__(self) -> None:
        numbers = [value for value in asdict(self).values() if not isinstance(value, str)]
        if min(numbers) < 0 or not np.isfinite(numbers).all() or self.against not in ("nearest", "first"):
            raise InputError(f"settings of matching {asdict(self)}; wanted numbers from 0 up, and against 'nearest' or 'first'")


@dataclass(frozen=True, eq=False)
class Way:
    """From one date's RAS to another's. back: the other direction, or None where the transform cannot be turned round."""

    moved: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray] | None
    error_mm: float


@dataclass(frozen=True)
class Pair:
    """How alike two lesions are. reach: distance of the centroids over (r1 + r2 + error)."""

    overlap: float
    distance_mm: float
    reach: float
    cost: float

    @property
    def possible(self) -> bool:
        """They share a voxel, or their centroids are as near as two that touch would be, the error granted."""
        return self.overlap > 0 or self.reach <= 1


def way_between(transforms: Sequence[PointTransform | None], errors_mm: Sequence[float], start: int, end: int) -> Way:
    """The way from date `start` to date `end`, both given by the transform from the baseline's frame; None is that frame.

    The errors of both transforms add as squares. Raises InputError when the one of `start` cannot be turned round.
    """
    there, here = transforms[end], transforms[start]
    home = _inverse(here)
    if home is None:
        raise InputError(f"the transform of date {start + 1} has no inverse; wanted one, or matching against the first date")
    away, returned = _forward(there), _inverse(there)
    back = None if returned is None else lambda points: _forward(here)(returned(points))
    parts = [error for transform, error in ((here, errors_mm[start]), (there, errors_mm[end])) if transform is not None]
    return Way(lambda points: away(home(points)), back, float(np.hypot.reduce([0.0, *parts])))


def _same(points: np.ndarray) -> np.ndarray:
    return np.asarray(points, dtype=float)


def _forward(transform: PointTransform | None) -> Callable:
    return _same if transform is None else transform.moved


def _inverse(transform: PointTransform | None) -> Callable | None:
    """The way back to the baseline's frame; None where there is none."""
    if transform is None:
        return _same
    turned = getattr(transform, "inverse", None)
    return None if turned is None else turned().moved


def pair_of(earlier: Lesion, later: Lesion, way: Way, settings: MatchSettings, distance_mm: float | None = None) -> Pair:
    """Compares two lesions of two dates. distance_mm: of the moved centroid, where it is known already."""
    if distance_mm is None:
        distance_mm = float(distances_mm(earlier, [later], way)[0])
    reach = distance_mm / (earlier.radius_mm + later.radius_mm + way.error_mm)
    near = distance_mm <= earlier.extent_mm + later.extent_mm
    overlap = overlap_of_smaller(earlier, later, way) if near else 0.0
    volume = abs(log(later.volume_ml / earlier.volume_ml))
    cost = settings.overlap_weight * (1 - overlap) + settings.distance_weight * reach + settings.volume_weight * volume
    return Pair(overlap, distance_mm, reach, cost)


def distances_mm(earlier: Lesion, later: Sequence[Lesion], way: Way) -> np.ndarray:
    """`[n]`: from the moved centroid of one lesion to those of others."""
    centers = np.array([one.centroid_ras_mm for one in later]).reshape(-1, 3)
    return np.linalg.norm(centers - way.moved(earlier.centroid_ras_mm[None]), axis=1)


def overlap_of_smaller(earlier: Lesion, later: Lesion, way: Way) -> float:
    """Volume that both share over the volume of the smaller one, 0..1; the mean of both directions where there are two."""
    shared = [held_share(earlier, later, way.moved) * earlier.volume_ml]
    if way.back is not None:
        shared.append(held_share(later, earlier, way.back) * later.volume_ml)
    return float(min(1.0, np.mean(shared) / min(earlier.volume_ml, later.volume_ml)))


def held_share(lesion: Lesion, other: Lesion, moved: Callable) -> float:
    """Share of a lesion's volume whose points, moved, lie in another lesion."""
    return float(other.holds(moved(sample_points(lesion, min(other.spacing_mm)))).mean())


def sample_points(lesion: Lesion, step_mm: float) -> np.ndarray:
    """`[n, 3]` RAS: points evenly within each voxel, about `step_mm` apart; the centers where voxels are no larger."""
    parts = [int(np.clip(np.ceil(side / step_mm - 1e-6), 1, FINEST)) for side in lesion.spacing_mm]
    offsets = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n - 0.5 for n in parts], indexing="ij"), -1).reshape(-1, 3)
    ijk = (lesion.voxels_ijk[:, None] + offsets).reshape(-1, 3)
    ijk = ijk[:: max(1, -(-len(ijk) // MOST_POINTS))]
    return ijk @ lesion.ijk_to_ras[:3, :3].T + lesion.ijk_to_ras[:3, 3]

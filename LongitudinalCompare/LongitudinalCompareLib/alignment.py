"""Is this alignment good enough, here, at this lesion? Per region and for the pair of scans.

Registration never says by itself whether it is right, and one number for the whole image does not either. Here each region is
judged by what surrounds it: whether the images would fit better elsewhere (`alignment_search`), by organs and bones, the way
back, the local change of volume and the field of view (`alignment_agreement`), put together in `alignment_verdict`. The
lesion itself and all other regions are left out, for they change. A refused region gets no automatic change; a reader may
give it a point (`with_manual_point`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from LongitudinalCompareLib.alignment_agreement import ball, shown_share, surface_agreement, volume_change, way_back_mm
from LongitudinalCompareLib.alignment_box import Changing, Region
from LongitudinalCompareLib.alignment_search import Search, searched
from LongitudinalCompareLib.alignment_verdict import LIMITS, REFUSE, Limits, judged, overall, seen
from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.registration.transform import LinearTransform
from OncoLib.segmentation import Segmentation

FORMAT = "oncosegment.alignment/1"
REGISTRATION, LOCAL, MANUAL = "registration", "local", "manual"

__all__ = ["Alignment", "Region", "RegionAlignment", "ShiftedTransform", "alignment", "transform_at", "with_manual_point"]


@dataclass(frozen=True, eq=False)
class RegionAlignment:
    """The verdict at one region.

    center_ras_mm: in the fixed scan; moved_ras_mm: where it lies in the follow-up, by the registration or by the reader's point.
    verdict: "good", "check" or "refuse", of the registration; it stays what it was when a reader gives a point.
    placed_by: "registration", "local" (a refinement around it, see `alignment_local`) or "manual". numbers: what it rests on, see
    `numbers_of`. local: what a refinement found, to be used here in the place of the pair's transform.
    """

    name: str
    center_ras_mm: tuple[float, float, float]
    moved_ras_mm: tuple[float, float, float]
    verdict: str
    reasons: tuple[str, ...]
    numbers: dict = field(default_factory=dict)
    placed_by: str = REGISTRATION
    manual_shift_mm: tuple[float, float, float] | None = None
    local: LinearTransform | None = None

    @property
    def automatic_change_allowed(self) -> bool:
        """False for a refused region, with or without a point of the reader: its change is never computed unseen."""
        return self.verdict != REFUSE and self.placed_by != MANUAL

    def as_dict(self) -> dict:
        """JSON-ready copy; what is not a number is null."""
        return {
            "name": self.name,
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "placed_by": self.placed_by,
            "center_ras_mm": plain(self.center_ras_mm),
            "moved_ras_mm": plain(self.moved_ras_mm),
            "manual_shift_mm": plain(self.manual_shift_mm),
            "local_fixed_to_moving_ras": None if self.local is None else self.local.fixed_to_moving_ras.tolist(),
            "automatic_change_allowed": self.automatic_change_allowed,
            "numbers": plain(self.numbers),
        }


@dataclass(frozen=True, eq=False)
class Alignment:
    """Verdicts of all regions, in their order, and that of the pair: overall is "good", "check" or "refuse"."""

    regions: tuple[RegionAlignment, ...]
    overall: str
    reasons: tuple[str, ...]
    limits: Limits = LIMITS

    def region(self, name: str) -> RegionAlignment:
        """The region of that name; InputError when there is none."""
        for one in self.regions:
            if one.name == name:
                return one
        raise InputError(f"no region {name!r} was judged; there are {', '.join(one.name for one in self.regions) or 'none'}")

    def as_dict(self) -> dict:
        """What alignment.json holds; its schema is `Resources/Schemas/alignment.schema.json`."""
        return {
            "format": FORMAT,
            "overall": {"verdict": self.overall, "reasons": list(self.reasons)},
            "regions": [one.as_dict() for one in self.regions],
            "limits": plain(vars(self.limits)),
        }


def alignment(
    fixed: Image,
    moving: Image,
    transform,
    regions: Sequence[Region],
    *,
    backward=None,
    fixed_segmentation: Segmentation | None = None,
    moving_segmentation: Segmentation | None = None,
    limits: Limits = LIMITS,
    only: str | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> Alignment:
    """Judges a transform at regions of the fixed scan.

    transform: points of the fixed scan's RAS to the moving scan's, mm: anything with `.moved(points[n, 3])`, and
    `.jacobian(points)` where it is not linear. backward: what registering the other way round gave, moving to fixed; not the
    inverse, which always leads back. Segmentations: both dates', for organs and bones; lesions of the follow-up's are left out of
    its surroundings too. only: name of the one region to be judged; the others are left out of its surroundings all the same. The
    same input gives the same result; nothing is written.
    Raises InputError for two regions of one name, GeometryError for a mask of another grid, Cancelled.
    """
    cancel = cancel or CancelToken()
    names = [one.name for one in regions]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two regions are named {twice!r}; wanted one name for each")
    changing, later = Changing.of(regions, fixed), Changing.of_lesions(moving_segmentation)
    found = []
    for number, region in enumerate(regions):
        if only is not None and region.name != only:
            continue
        cancel.check()
        progress(number / len(regions), "Judging the alignment at each region")
        numbers = seen_of(fixed, moving, transform, region)
        looked = seen(numbers, limits)
        search = searched(fixed, moving, transform.moved, region, changing, later) if looked else Search()
        numbers |= numbers_of(transform, region, search, backward)
        surfaces = surface_agreement(transform, region, fixed_segmentation, moving_segmentation)
        numbers["surface_mm"], numbers["surface_dice"] = surfaces.mean_mm, surfaces.surface_dice
        numbers["surface_structures"] = surfaces.structures
        verdict, reasons = judged(numbers, limits)
        moved = tuple(float(one) for one in transform.moved(np.array([region.center_ras]))[0])
        found.append(RegionAlignment(region.name, region.center_ras, moved, verdict, reasons, numbers))
    progress(1.0, "Alignment judged")
    return put_together(found, limits)


def put_together(regions: Sequence[RegionAlignment], limits: Limits = LIMITS) -> Alignment:
    """With the verdict of the pair."""
    manual = {one.name for one in regions if one.placed_by == MANUAL}
    verdict, reasons = overall({one.name: one.verdict for one in regions}, manual)
    return Alignment(tuple(regions), verdict, reasons, limits)


def seen_of(fixed: Image, moving: Image, transform, region: Region) -> dict:
    """shown, shown_fixed: share of the lesion's ball in either scan's field of view."""
    points = ball(region)
    return {"shown": shown_share(moving, transform.moved(points)), "shown_fixed": shown_share(fixed, points)}


def numbers_of(transform, region: Region, search: Search, backward) -> dict:
    """What the verdict of a region rests on.

    The fields of `Search`, with shift_mm the length of the estimated error and shift_ras_mm its direction in the moving scan's
    RAS. way_back_mm, way_back_most_mm: inverse consistency in the ball. jacobian_min, jacobian_max: local factor of volume in
    the ball.
    """
    back = way_back_mm(transform, backward, region)
    least, most = volume_change(transform, region)
    nan = float("nan")
    return {
        "shown_box": search.shown,
        "compared": search.compared,
        "told": search.told,
        "half_box_mm": search.half_mm,
        "structure": search.structure,
        "likeness": search.likeness,
        "best_likeness": search.best_likeness,
        "shift_mm": float(np.linalg.norm(search.shift_mm)) if search.compared else nan,
        "shift_ras_mm": in_moving(transform, region, search.shift_mm),
        "nearest_shift_mm": search.nearest_mm,
        "margin": search.margin,
        "halves_apart_mm": search.halves_apart_mm,
        "unsure_axis": in_moving(transform, region, search.unsure_axis),
        "falls": search.falls or {},
        "nmi": search.nmi,
        "nmi_falls": search.nmi_falls or {},
        "way_back_mm": back[0],
        "way_back_most_mm": back[1],
        "jacobian_min": least,
        "jacobian_max": most,
    }


def in_moving(transform, region: Region, vector) -> tuple[float, float, float] | None:
    """A short vector of the fixed scan at the region, in the moving scan's RAS."""
    if vector is None:
        return None
    ends = transform.moved(np.array([region.center_ras, np.add(region.center_ras, vector)]))
    return tuple(float(one) for one in ends[1] - ends[0])


@dataclass(frozen=True, eq=False)
class ShiftedTransform:
    """A transform, and then a shift in the moving scan's RAS in mm: what a reader's point makes of it at one region."""

    transform: object
    shift_mm: tuple[float, float, float]

    def moved(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """Points `[n, 3]` of the fixed scan, in the moving one."""
        return self.transform.moved(points_ras_mm) + np.array(self.shift_mm)

    def inverse(self) -> BackShifted:
        """From the moving scan to the fixed one."""
        return BackShifted(self.transform.inverse(), self.shift_mm)


@dataclass(frozen=True, eq=False)
class BackShifted:
    """The inverse of a `ShiftedTransform`."""

    transform: object
    shift_mm: tuple[float, float, float]

    def moved(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """Points `[n, 3]` of the moving scan, in the fixed one."""
        return self.transform.moved(np.asarray(points_ras_mm) - np.array(self.shift_mm))


def with_manual_point(judgement: Alignment, name: str, point_ras_mm) -> Alignment:
    """The same with a reader's point: where the center of a region lies in the follow-up, RAS in mm.

    The region is then placed by "manual"; its verdict, which is of the registration, stays. Raises InputError for a name that was
    not judged or a point that is none.
    """
    point = np.asarray(point_ras_mm, dtype=float)
    if point.shape != (3,) or not np.isfinite(point).all():
        raise InputError(f"the point for region {name!r} is {point_ras_mm}; wanted three numbers, RAS in mm")
    old = judgement.region(name)
    before = np.array(old.moved_ras_mm) - np.array(old.manual_shift_mm or (0.0, 0.0, 0.0))
    shift = tuple(float(one) for one in point - before)
    new = replace(old, moved_ras_mm=tuple(float(one) for one in point), placed_by=MANUAL, manual_shift_mm=shift)
    return put_together([new if one is old else one for one in judgement.regions], judgement.limits)


def transform_at(judgement: Alignment, name: str, transform):
    """The transform to be used at a region: its refinement or the given one, shifted to the point of a reader."""
    one = judgement.region(name)
    transform, shift = one.local or transform, one.manual_shift_mm
    if shift is None:
        return transform
    if isinstance(transform, LinearTransform):
        matrix = np.eye(4)
        matrix[:3, 3] = shift
        return transform.then(LinearTransform(matrix))
    return ShiftedTransform(transform, shift)


def plain(value):
    """JSON types only: arrays and tuples as lists, rounded to four decimals; NaN and infinite as null."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(one) for one in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (float, np.floating)):
        return round(float(value), 4) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value

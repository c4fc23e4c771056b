"""Evidence as tracking takes it: the lesions of each date, and how each date is reached near each lesion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from LongitudinalCompareLib.alignment import MANUAL, RegionAlignment, ShiftedTransform, transform_at
from LongitudinalCompareLib.alignment_verdict import REFUSE
from LongitudinalCompareLib.dated_lesions import DatedLesions
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.lesion_track import Lesion, LesionKey
from LongitudinalCompareLib.pair_outcome import PairOutcome

NEAR_MM = 24.0
"""So far around a lesion its own transform is used where no other lesion is nearer: what its refinement was fitted to, see
`alignment_local.AROUND_MM`."""


def region_name(key: LesionKey, evidence: Evidence) -> str:
    """The name under which the alignment is judged at a lesion: its own at the baseline, else with the date it is of."""
    if key.timepoint == 0:
        return key.name
    name, used = f"{key.name} ({evidence.dates[key.timepoint].facts.when})", {one.key.name for one in evidence.dates[0].lesions}
    while name in used:
        name = f"{name} later"
    return name


def judged_at(evidence: Evidence, key: LesionKey, timepoint: int, pairs: Sequence[PairOutcome] | None = None):
    """The `RegionAlignment` of a date at the place of a lesion, of the baseline or first seen later; None where nobody judged it.

    pairs: with the readers' points, or None for those of the evidence. A later lesion without a region of its own, such as one
    that a reader takes for new though it was matched, has that of the baseline lesion in whose place it lies.
    """
    pair = next((one for one in pairs or evidence.pairs if one.follow_up == timepoint), None)
    regions = {} if pair is None else {one.name: one for one in pair.alignment.regions}
    return regions.get(region_name(key, evidence)) or regions.get(stand_in(evidence, key))


def stand_in(evidence: Evidence, key: LesionKey) -> str:
    """Name of the region that its own date's alignment puts into a later lesion, the nearest to its centroid; "" for none."""
    pair = next((one for one in evidence.pairs if one.follow_up == key.timepoint), None)
    lesion = next((one for one in evidence.dates[key.timepoint].lesions if one.key == key), None)
    if pair is None or lesion is None:
        return ""
    away = {one.name: float(np.linalg.norm(lesion.centroid_ras_mm - one.moved_ras_mm)) for one in pair.alignment.regions}
    name = min(away, key=away.get, default="")
    return name if name and away[name] <= lesion.extent_mm else ""


def dated_lesions(
    evidence: Evidence,
    pairs: Sequence[PairOutcome] | None = None,
    linked: Sequence[tuple[LesionKey, LesionKey]] = (),
) -> tuple[DatedLesions, ...]:
    """One a date, for `track_lesions`.

    pairs: of the evidence, or with the readers' points (`alignment.with_manual_point`). linked: a baseline lesion and the later
    one that a reader said it is. Where the alignment was refused and has no point, such a link tells the place: the lesion is
    carried on to further dates from there. It stays among the refused ones, so that nothing automatic is made of it.
    """
    by_date = {one.follow_up: one for one in (evidence.pairs if pairs is None else pairs)}
    found = []
    for at, date in enumerate(evidence.dates):
        pair = by_date.get(at)
        transform = None if pair is None else placed(evidence, pair, linked)
        refused = frozenset() if pair is None else refused_at(evidence, pair)
        more = {"refused": refused, "when": date.facts.when, "searched": date.facts.searched}
        found.append(DatedLesions(date.lesions, date.ijk_to_ras, date.shape_kji, transform, **more))
    return tuple(found)


def refused_at(evidence: Evidence, pair: PairOutcome) -> frozenset[LesionKey]:
    """Lesions of earlier dates whose place is refused at a date and was not given by a reader.

    A lesion first seen later is refused too where its own date is: its place in the baseline's frame is then not known.
    """
    found, at = set(), pair.follow_up
    own_regions = {key for key, _region in regions_by_key(evidence, pair)}
    for key in (lesion.key for date in evidence.dates[:at] for lesion in date.lesions):
        looked = [judged_at(evidence, key, at, (pair,))]
        if key.timepoint > 0 and key in own_regions:
            looked.append(judged_at(evidence, key, key.timepoint))
        if any(one is not None and is_refused(one) for one in looked):
            found.add(key)
    return frozenset(found)


def is_refused(region: RegionAlignment) -> bool:
    """Refused, and no reader said where it lies."""
    return region.verdict == REFUSE and region.placed_by != MANUAL


def regions_by_key(evidence: Evidence, pair: PairOutcome) -> list[tuple[LesionKey, RegionAlignment]]:
    """The judged regions of a pair with the lesions that they are of."""
    regions = {one.name: one for one in pair.alignment.regions}
    keys = [lesion.key for date in evidence.dates for lesion in date.lesions]
    names = [(key, region_name(key, evidence)) for key in keys]
    return [(key, regions[name]) for key, name in names if name in regions]


def placed(evidence: Evidence, pair: PairOutcome, linked: Sequence[tuple[LesionKey, LesionKey]] = ()):
    """The transform of a pair that uses at each lesion that lesion's own; the pair's where none has one."""
    lesions = {one.key: one for date in evidence.dates for one in date.lesions}
    goals = {first: lesions[second] for first, second in linked if second.timepoint == pair.follow_up and second in lesions}
    places, own = [], False
    for key, region in regions_by_key(evidence, pair):
        transform = transform_at(pair.alignment, region.name, pair.transform)
        if key in goals and is_refused(region):
            transform = towards(transform, region, goals[key])
        own = own or transform is not pair.transform
        places.append(Place(region.center_ras_mm, lesions[key].extent_mm, transform))
    return PlacedTransform(pair.transform, tuple(places)) if own else pair.transform


def towards(transform, region: RegionAlignment, goal: Lesion) -> ShiftedTransform:
    """Shifted so that the center of a region comes to lie in the centroid of the lesion that a reader linked."""
    there = transform.moved(np.array([region.center_ras_mm]))[0]
    return ShiftedTransform(transform, tuple(float(one) for one in goal.centroid_ras_mm - there))


@dataclass(frozen=True, eq=False)
class Place:
    """A lesion of the baseline's frame. center_ras_mm: there. extent_mm: how far it reaches. transform: its own."""

    center_ras_mm: tuple[float, float, float]
    extent_mm: float
    transform: object

    def away_mm(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """`[n]`: how far points of the baseline's frame lie from the ball that holds it; negative inside."""
        return np.linalg.norm(points_ras_mm - np.array(self.center_ras_mm), axis=1) - self.extent_mm


@dataclass(frozen=True, eq=False)
class PlacedTransform:
    """Points of the baseline's RAS to a later date's, in mm: near a lesion by its own transform, elsewhere by the pair's.

    A point belongs to the lesion whose ball is nearest, within `NEAR_MM`. So it jumps at the borders between them: it carries
    lesions, and is not for resampling a picture.
    """

    transform: object
    places: tuple[Place, ...]

    def moved(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """Points `[n, 3]` of the baseline, in the later date."""
        points = np.asarray(points_ras_mm, float).reshape(-1, 3)
        owners, found = self.owners(points), np.empty_like(points)
        for owner in np.unique(owners):
            chosen = owners == owner
            found[chosen] = self.of(owner).moved(points[chosen])
        return found

    def inverse(self) -> PlacedInverse:
        """From the later date to the baseline."""
        return PlacedInverse(self)

    def of(self, owner: int):
        """The transform of a lesion by its number, or of the pair for -1."""
        return self.transform if owner < 0 else self.places[owner].transform

    def owners(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """int `[n]`: the number of the lesion that points of the baseline belong to, or -1."""
        away = np.stack([one.away_mm(points_ras_mm) for one in self.places])
        nearest = away.argmin(axis=0)
        return np.where(away.min(axis=0) <= NEAR_MM, nearest, -1)


@dataclass(frozen=True, eq=False)
class PlacedInverse:
    """The way back of a `PlacedTransform`: each point by the lesion whose own transform leads to where it comes back to.

    Where several do, as balls may overlap after they were moved, the one in whose ball it comes back deepest.
    """

    forward: PlacedTransform

    def moved(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """Points `[n, 3]` of the later date, in the baseline."""
        points = np.asarray(points_ras_mm, float).reshape(-1, 3)
        common = self.forward.transform.inverse().moved(points)
        found, best = np.array(common), np.full(len(points), np.inf)
        for number, place in enumerate(self.forward.places):
            shared = place.transform is self.forward.transform  # turning a deformation round takes its time
            back = common if shared else place.transform.inverse().moved(points)
            away = np.where(self.forward.owners(back) == number, place.away_mm(back), np.inf)
            nearer = away < best
            found[nearer], best[nearer] = back[nearer], away[nearer]
        return found

    def inverse(self) -> PlacedTransform:
        """The way there."""
        return self.forward

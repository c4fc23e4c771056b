"""Evidence as tracking takes it: the lesions of each date, and how each date is reached near each lesion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial.distance import cdist

from LongitudinalCompareLib.alignment import MANUAL, RegionAlignment, ShiftedTransform, transform_at
from LongitudinalCompareLib.alignment_verdict import LIMITS, REFUSE
from LongitudinalCompareLib.dated_lesions import DatedLesions
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.lesion_track import Lesion, LesionKey
from LongitudinalCompareLib.pair_outcome import PairOutcome
from OncoLib.registration.transform import LinearTransform

NEAR_MM = 24.0
"""So far around a lesion its own transform is used where no other lesion is nearer: what its refinement was fitted to, see
`alignment_local.AROUND_MM`."""


def region_name(key: LesionKey, evidence: Evidence) -> str:
    """The name under which the alignment is judged at a lesion: its own at the baseline, else with the date it is of."""
    if key.timepoint == 0:
        return key.name
    name = f"{key.name} ({evidence.dates[key.timepoint].facts.when})"
    while any(name == one.key.name for one in evidence.dates[0].lesions):
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
    places = np.array([one.moved_ras_mm for one in pair.alignment.regions]).reshape(-1, 3)
    away = np.linalg.norm(places - lesion.centroid_ras_mm, axis=1)
    near = bool(len(away)) and away.min() <= lesion.extent_mm
    return pair.alignment.regions[int(away.argmin())].name if near else ""


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
        outside = frozenset() if pair is None else outside_at(evidence, pair) & refused
        more = {"refused": refused, "outside": outside, "when": date.facts.when, "searched": date.facts.searched}
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


def outside_at(evidence: Evidence, pair: PairOutcome) -> frozenset[LesionKey]:
    """Lesions that the scan of a date shows nothing of. None where the alignment is refused at a place that is shown, or where
    no place is: then nobody knows where they lie."""
    regions = pair.alignment.regions
    shown = [one for one in regions if one.numbers.get("shown", 1.0) > 0]
    if not shown or any(is_refused(one) and not is_out(one) for one in regions):
        return frozenset()
    return frozenset(key for key, one in regions_by_key(evidence, pair) if one.numbers.get("shown", 1.0) == 0)


def is_out(region: RegionAlignment) -> bool:
    """Refused because too little of it is shown; how well it is aligned nobody looked at."""
    return region.numbers.get("shown", 1.0) < LIMITS.shown_refuse


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
    places = []
    for key, region in regions_by_key(evidence, pair):
        transform = transform_at(pair.alignment, region.name, pair.transform)
        if key in goals and is_refused(region):
            transform = towards(transform, region, goals[key])
        places.append(Place(region.center_ras_mm, lesions[key].extent_mm, transform))
    found = PlacedTransform(pair.transform, tuple(places))
    return found if found.own else pair.transform


def towards(transform, region: RegionAlignment, goal: Lesion) -> ShiftedTransform:
    """Shifted so that the center of a region comes to lie in the centroid of the lesion that a reader linked."""
    there = transform.moved(np.array([region.center_ras_mm]))[0]
    return ShiftedTransform(transform, tuple(float(one) for one in goal.centroid_ras_mm - there))


@dataclass(frozen=True, eq=False)
class Place:
    """A lesion in the baseline's frame. center_ras_mm: there. extent_mm: its reach. transform: its own, or the pair's."""

    center_ras_mm: tuple[float, float, float]
    extent_mm: float
    transform: object


@dataclass(frozen=True, eq=False)
class PlacedTransform:
    """Points of the baseline's RAS to a later date's, in mm: near a lesion by its own transform, elsewhere by the pair's.

    A point belongs to the lesion whose ball is nearest, within `NEAR_MM`. So it jumps at the borders between them: it carries
    lesions, and is not for resampling a picture.
    """

    transform: object
    places: tuple[Place, ...]

    @cached_property
    def own(self) -> tuple[int, ...]:
        """Numbers of the lesions with a transform that is not the pair's."""
        return tuple(at for at, one in enumerate(self.places) if one.transform is not self.transform)

    @cached_property
    def balls(self) -> tuple[np.ndarray, np.ndarray]:
        """Centers `[lesion, 3]` and extents of all."""
        return np.array([one.center_ras_mm for one in self.places]), np.array([one.extent_mm for one in self.places])

    @cached_property
    def ways_back(self) -> tuple[object, dict[int, object]]:
        """The inverse of the pair's transform, and those of the lesions' own by number: made once, as tracking asks often."""
        return self.transform.inverse(), {at: self.places[at].transform.inverse() for at in self.own}

    def all_back(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """`[own, n, 3]`: where each lesion's own transform leads points of the later date back to."""
        others = self.ways_back[1].values()
        if all(isinstance(one, LinearTransform) for one in others):  # at once: tracking asks for single points, often
            matrices = np.stack([one.fixed_to_moving_ras for one in others])
            return points_ras_mm[None] @ matrices[:, :3, :3].transpose(0, 2, 1) + matrices[:, None, :3, 3]
        return np.stack([one.moved(points_ras_mm) for one in others])

    def away_mm(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """`[n, lesion]`: how far points of the baseline lie from the ball that holds each lesion; negative inside."""
        centers, extents = self.balls
        return cdist(points_ras_mm, centers) - extents

    def owners(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """int `[n]`: the number of the lesion that points of the baseline belong to, or -1."""
        away = self.away_mm(points_ras_mm)
        return np.where(away.min(axis=1) <= NEAR_MM, away.argmin(axis=1), -1)

    def moved(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """Points `[n, 3]` of the baseline, in the later date."""
        points = np.asarray(points_ras_mm, float).reshape(-1, 3)
        owners, found = self.owners(points), np.array(self.transform.moved(points))
        for owner in set(owners.tolist()).intersection(self.own):
            chosen = owners == owner
            found[chosen] = self.places[owner].transform.moved(points[chosen])
        return found

    def inverse(self) -> PlacedInverse:
        """From the later date to the baseline."""
        return PlacedInverse(self)


@dataclass(frozen=True, eq=False)
class PlacedInverse:
    """The way back of a `PlacedTransform`: each point by the lesion whose own transform leads to where it comes back to.

    Where several do, as balls may overlap after they were moved, the one in whose ball it comes back deepest.
    """

    forward: PlacedTransform

    def moved(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """Points `[n, 3]` of the later date, in the baseline."""
        points = np.asarray(points_ras_mm, float).reshape(-1, 3)
        way = self.forward
        found = np.array(way.ways_back[0].moved(points))
        away = way.away_mm(found)
        shared = ~np.isin(away.argmin(axis=1), way.own) & (away.min(axis=1) <= NEAR_MM)
        best, backs = np.where(shared, away.min(axis=1), np.inf), way.all_back(points)
        centers, extents = (part[list(way.own)] for part in way.balls)
        far = np.linalg.norm(backs - centers[:, None], axis=2) - extents[:, None]
        for at in np.flatnonzero((far <= NEAR_MM).any(axis=1)):
            near = np.flatnonzero((far[at] <= NEAR_MM) & (far[at] < best))
            belongs = near[way.away_mm(backs[at, near]).argmin(axis=1) == way.own[at]]
            found[belongs], best[belongs] = backs[at, belongs], far[at, belongs]
        return found

    def inverse(self) -> PlacedTransform:
        """The way there."""
        return self.forward

"""What each expert says, and which of its segments mean the same structure as those of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import require_same_grid
from OncoLib.measure import Box
from OncoLib.segmentation import BoxProbability, Prediction, Segment, Segmentation
from OncoLib.terminology import SIDES, structures, with_side

SHARED_CODES = ("tissue", "vertebra_t13", "vertebra_l6")
"""Structures that a code alone does not name: a thoracic vertebra is not the thirteenth because it has that code."""

Key = tuple
"""What makes segments of several experts one structure."""


@dataclass(frozen=True, eq=False)
class Opinion:
    """One expert's answer.

    name: how tables call it ("1 totalsegmentator"). weight: of its votes, more than 0, where the method uses weights.
    by_structure: the same for single structures, by id of our terminology; the others have `weight`.
    looked_for: ids or names (in small letters) of structures that it looks for, listed or not: where it lists none of them, it
        says that it is not there.
    probability: gives the expert's probability of a segment within a box, float `[k, j, i]` in 0..1, when it has any. A
        function, so that nobody needs to hold labels x volume numbers at once.
    """

    name: str
    segmentation: Segmentation
    weight: float = 1.0
    probability: Callable[[Segment, Box], np.ndarray] | None = None
    by_structure: Mapping[str, float] = field(default_factory=dict)
    looked_for: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for weight in (self.weight, *self.by_structure.values()):
            if not np.isfinite(weight) or weight <= 0:
                raise InputError(f"the weight of {self.name} is {weight:g}; wanted a number over 0")

    @property
    def weighted(self) -> bool:
        """True when any weight is not 1."""
        return any(weight != 1.0 for weight in (self.weight, *self.by_structure.values()))


def opinion_of(name: str, prediction: Prediction, weight: float = 1.0, **facts) -> Opinion:
    """The opinion that an expert's prediction is, with its probabilities when they were asked for. facts: of `Opinion`."""
    scores = prediction.probabilities
    if scores is None:
        return Opinion(name, prediction.segmentation, weight, **facts)
    places = {segment: at for at, segment in enumerate(prediction.segmentation.segments)}

    def probability(segment: Segment, box: Box) -> np.ndarray:
        one = scores[places[segment]]
        return one.within(box) if isinstance(one, BoxProbability) else np.asarray(one[box])

    return Opinion(name, prediction.segmentation, weight, probability, **facts)


def check_opinions(opinions: tuple[Opinion, ...]) -> None:
    """Raises InputError for fewer than two or for names that are not unique, GeometryError when the grids differ."""
    if len(opinions) < 2:
        raise InputError(f"there is {len(opinions)} segmentation to fuse; wanted two or more")
    names = [one.name for one in opinions]
    if len(set(names)) < len(names):
        raise InputError("two segmentations to fuse have the same name; wanted a name for each")
    first = opinions[0].segmentation
    for other in opinions[1:]:
        found = other.segmentation
        grids = first.ijk_to_ras, first.shape_kji, found.ijk_to_ras, found.shape_kji
        require_same_grid(*grids, f"segmentation {other.name}", beside=f"segmentation {opinions[0].name}")


@lru_cache(maxsize=1)
def _ids_by_codes() -> dict[tuple, tuple[str, ...]]:
    found: dict[tuple, tuple[str, ...]] = {}
    sided = [with_side(row, side) for row in structures() if row.paired for side in SIDES]
    for row in (*structures(), *sided):
        found[row.entry.key()] = (*found.get(row.entry.key(), ()), row.id)
    return found


def structure_id(segment: Segment) -> str:
    """Id in our terminology: the segment's own, or that of the only structure with its codes; "" when neither is there."""
    if segment.structure and segment.structure not in ("tissue", "spine"):
        return segment.structure
    ids = _ids_by_codes().get(segment.entry.key(), ())
    return ids[0] if len(ids) == 1 and ids[0] not in SHARED_CODES else ""


def key_of(segment: Segment) -> Key:
    """The structure id, else codes and name in small letters."""
    found = structure_id(segment)
    return ("structure", found) if found else ("codes", segment.entry.key(), segment.name.casefold())


def plain_keys(opinions: tuple[Opinion, ...]) -> list[dict[Segment, Key]]:
    """The key of every segment; where an expert has several segments of one key, their names tell them apart."""
    keys = [{segment: key_of(segment) for segment in one.segmentation.segments} for one in opinions]
    several = {key for of_one in keys for key in of_one.values() if list(of_one.values()).count(key) > 1}
    return [
        {one: (*key, one.name.casefold()) if key in several else key for one, key in of_one.items()} for of_one in keys
    ]

"""Which organ, bone or vertebra holds a lesion: by its overlap with the structures of context segmentations.

Two shares are looked at: of the lesion's own voxels that are voxels of the structure, and of the layer of voxels around it.
A structure that was drawn through the lesion has the first, one that was drawn around it (one label map) has the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation

from OncoLib.components import Piece
from OncoLib.image import spacing_of
from OncoLib.measure import Box, voxel_counts
from OncoLib.morphology import outside_distance_mm
from OncoLib.segmentation import Segment, Segmentation
from OncoSegmentLib.lesion.anatomy import anatomy_id, can_hold, is_part_of, is_vessel, region_id

AROUND_MM = 3.0
"""Thickness of the layer around a lesion that is looked at; at least one voxel in the finest direction."""

LEAST_HELD = 1 / 3
"""Share from which a structure holds a lesion. Our choice: a node beside the aorta has about a fifth of its surroundings in it, a
metastasis at the capsule of the liver, drawn around it, about a half."""

LEAST_OWN = 0.05
"""The same for the structure that the lesion's own codes name: a little contact confirms them."""

LEAST_ALSO = 0.1
"""Share of a lesion's own voxels from which it also touches a structure."""

ABOUT_AS_MUCH = 0.9
"""Of structures that lie in each other and have this part of the largest share, the smallest one is told: L3, not the whole
spine. Of neighbors, such as liver and kidney, the one with the largest share."""

NEAR_MM = 20.0
"""How far a structure may be to be told as the nearest one."""


@dataclass(frozen=True)
class Place:
    """Where a lesion lies. relation: "in", "near" or "unknown" (no known structure within `NEAR_MM`).

    segment: the structure that holds it, or the nearest one; structure: its id ("" when our terminology has none).
    share: of the lesion or of the layer around it. also: further structures that it reaches into, with the share of it.
    distance_mm: to the nearest structure, between voxel centers; 0 when it is in one. touches: no voxel lies between both.
    """

    relation: str
    segment: Segment | None = None
    structure: str = ""
    share: float = 0.0
    also: tuple[tuple[str, float], ...] = ()
    distance_mm: float | None = None
    touches: bool = False

    @property
    def name(self) -> str:
        """Of the structure that holds it; "" when none does."""
        return self.segment.name if self.segment is not None and self.relation == "in" else ""

    @property
    def text(self) -> str:
        """For a reader."""
        if self.relation == "unknown" or self.segment is None:
            return "not in a known structure"
        if self.relation == "near" and self.touches:
            return f"touches {self.segment.name}"
        if self.relation == "near":
            return f"{self.distance_mm:.0f} mm from {self.segment.name}"
        return " and ".join([self.segment.name, *(name for name, _share in self.also)])


@dataclass(frozen=True, eq=False)
class _Share:
    segment: Segment
    structure: str
    inside: float
    held: float
    size: int
    voxels: np.ndarray


class Context:
    """The structures of one or several segmentations on one grid, for many lesions."""

    def __init__(self, known: Sequence[Segmentation]) -> None:
        self._spacing = spacing_of(known[0].ijk_to_ras)[::-1]
        self._shape = known[0].shape_kji
        self._layers = []
        for segmentation in known:
            counts = voxel_counts(segmentation)
            for at, layer in enumerate(segmentation.layers):
                held = {one.label: (one, counts[one]) for one in segmentation.segments if one.layer == at and can_hold(one)}
                if held:
                    self._layers.append((layer, held))

    @property
    def empty(self) -> bool:
        """True when no segmentation has a structure that could hold a lesion."""
        return not self._layers

    def place_of(self, piece: Piece, lesion: Segment) -> Place:
        """Where a lesion lies; the structure that its codes name is taken where it is touched."""
        if self.empty:
            return Place("unknown")
        box, mask = self._grown(piece, max(AROUND_MM, 1.01 * min(self._spacing)))
        distance = outside_distance_mm(mask, self._spacing)
        around = ~mask & (distance <= max(AROUND_MM, 1.01 * min(self._spacing)))
        found = self._shares(box, mask, around)
        chosen = holder(found, region_id(lesion.entry))
        if chosen is None:
            return self._nearest(piece)
        also = [one for one in found if one.inside >= LEAST_ALSO and apart(one, chosen)]
        also = [one for one in also if not any(finer(other, one) for other in also)]
        told = tuple((one.segment.name, round(one.inside, 3)) for one in sorted(also, key=lambda one: -one.inside))
        return Place("in", chosen.segment, chosen.structure, round(chosen.held, 3), told, 0.0)

    def _grown(self, piece: Piece, by_mm: float) -> tuple[Box, np.ndarray]:
        """A larger box around the piece, and its mask there."""
        reach = [int(np.ceil(by_mm / step)) for step in self._spacing]
        spans = zip(piece.box, reach, self._shape)
        box = tuple(slice(max(0, one.start - by), min(size, one.stop + by)) for one, by, size in spans)
        mask = np.zeros([span.stop - span.start for span in box], bool)
        mask[tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(piece.box, box))] = piece.mask
        return box, mask

    def _shares(self, box: Box, mask: np.ndarray, around: np.ndarray) -> list[_Share]:
        """Structures with a voxel in the lesion or around it; of one that is in several segmentations, the larger share."""
        total, outer = int(np.count_nonzero(mask)), max(1, int(np.count_nonzero(around)))
        found: dict[object, _Share] = {}
        for layer, held in self._layers:
            part = layer[box]
            own, near = part[mask], part[around]
            for label in set(np.unique(own).tolist()) | set(np.unique(near).tolist()):
                if label not in held:
                    continue
                segment, size = held[label]
                inside = int(np.count_nonzero(own == label)) / total
                structure = anatomy_id(segment)
                beside = 0.0 if is_vessel(structure) else int(np.count_nonzero(near == label)) / outer
                share = max(inside, beside)
                one = _Share(segment, structure, inside, share, size, own == label)
                key = structure or (segment.entry.key(), segment.name)
                if key not in found or found[key].held < share:
                    found[key] = one
        return list(found.values())

    def _nearest(self, piece: Piece) -> Place:
        """The structure whose voxel is nearest, if it is near."""
        box, mask = self._grown(piece, NEAR_MM)
        distance = outside_distance_mm(mask, self._spacing)
        rim = binary_dilation(mask, np.ones((3, 3, 3), bool)) & ~mask
        found = []
        for layer, held in self._layers:
            part = layer[box]
            contact = np.bincount(part[rim].astype(np.int64), minlength=1)
            for label in np.unique(part).tolist():
                if label in held:
                    far = max(0.0, float(distance[part == label].min()))
                    touching = int(contact[label]) if label < len(contact) else 0
                    found.append(((far > 0) and not touching, -touching, far, len(found), held[label][0]))
        if not found or min(found)[2] > NEAR_MM:
            return Place("unknown")
        apart, _contact, far, _at, segment = min(found)
        return Place("near", segment, anatomy_id(segment), distance_mm=round(far, 2), touches=not apart)


def holder(found: list[_Share], region: str) -> _Share | None:
    """The structure that holds a lesion; None when none has enough of it.

    region: what the lesion's codes name. It is taken where it is touched, unless the lesion lies in voxels of another.
    """
    own = [one for one in found if region and one.structure and is_part_of(one.structure, region) and one.held >= LEAST_OWN]
    elsewhere = max((one.inside for one in found if one not in own), default=0.0)
    if own and elsewhere >= LEAST_HELD and elsewhere > max(one.held for one in own):
        own = []
    good = own or [one for one in found if one.held >= LEAST_HELD]
    if not good:
        return None
    first = min(good, key=lambda one: (-one.held, one.size, one.segment.name))
    same = [one for one in good if one.held >= ABOUT_AS_MUCH * first.held and (one is first or not apart(one, first))]
    return min(same, key=lambda one: (one.size, one.segment.name))


def apart(one: _Share, chosen: _Share) -> bool:
    """True for another structure: not the same, not a part or the whole of it, not one that lies in the same voxels."""
    if one is chosen or finer(one, chosen) or finer(chosen, one):
        return False
    both = int(np.count_nonzero(one.voxels & chosen.voxels))
    return both <= 0.5 * min(np.count_nonzero(one.voxels), max(1, np.count_nonzero(chosen.voxels)))


def finer(one: _Share, whole: _Share) -> bool:
    """True for a part of another structure."""
    return bool(one is not whole and one.structure and whole.structure and is_part_of(one.structure, whole.structure))

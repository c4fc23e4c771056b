"""Lesions limited to their host organ: what lies farther than a margin outside of it is taken off, piece by piece.

Three rules keep true lesions whole:
- cavities that the host encloses belong to it: a model that draws the organ around the lesion leaves a hole;
- in one label map the organ ends where its lesion begins: there a lesion that touches its host is never cut;
- a lesion of which more than half would go is not cut in two: it is taken off as a whole, so that its shape can be judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from OncoLib.components import Piece, components
from OncoLib.errors import InputError
from OncoLib.image import spacing_of
from OncoLib.measure import Box, segment_boxes
from OncoLib.morphology import fill_holes
from OncoLib.overlap import joint_box
from OncoLib.segmentation import Segment, Segmentation, close_names
from OncoLib.terminology import is_lesion, structure, structures
from OncoSegmentLib.lesion.anatomy import anatomy_id, is_part_of, region_id
from OncoSegmentLib.lesion.groups import Group
from OncoSegmentLib.lesion.settings import MARGIN_MM, LesionSettings
from OncoSegmentLib.spine.levels import structure_id

LEAST_SHARE = 0.5
"""Share of a lesion that must lie in its host with the margin; with less it is taken off as a whole. Our choice."""

ROUNDING = 1 + 1e-6


@dataclass(frozen=True)
class Limit:
    """Where the lesions of a group can be. text: for a reader, such as "Liver + 10 mm"."""

    structures: tuple[str, ...]
    margin_mm: float
    name: str
    segment_name: str = ""

    @property
    def text(self) -> str:
        """For a reader."""
        return f"{self.name} + {self.margin_mm:g} mm"

    def fits(self, segment: Segment, lesions: Sequence[Segment]) -> bool:
        """True for a segment that is the host or a part of it, or another lesion in it that leaves a hole in the organ."""
        if segment in lesions:
            return False
        if self.segment_name:
            return segment.name == self.segment_name
        found = anatomy_id(segment) or (region_id(segment.entry) if is_lesion(segment.entry) else "")
        return bool(found) and any(is_part_of(found, wanted) for wanted in self.structures)


def limit_of(group: Group, settings: LesionSettings, hosts: dict, known: Sequence[Segmentation]) -> Limit | None:
    """The limit that the user or the model's card (`hosts`, by structure id) sets; None for a group that has none.

    known: the segmentations in which the host can be. Raises InputError for a host that the user named and nobody knows.
    """
    if not settings.limit:
        return None
    if settings.host:
        return named_limit(settings, known)
    found = next((hosts[name] for name in map(lesion_id, group.segments) if name in hosts), None)
    if found is None:
        return None
    margin = found.margin_mm if settings.margin_mm is None else settings.margin_mm
    return Limit(found.structures, float(margin), " or ".join(structure(one).name for one in found.structures))


def lesion_id(segment: Segment) -> str:
    """What a lesion is, as a structure id."""
    return structure_id(segment) or segment.structure


def named_limit(settings: LesionSettings, known: Sequence[Segmentation]) -> Limit:
    """The host by the name of a segment, else by the id or the name of a structure."""
    margin = MARGIN_MM if settings.margin_mm is None else settings.margin_mm
    names = [one.name for segmentation in known for one in segmentation.segments]
    if settings.host in names:
        return Limit((), margin, settings.host, settings.host)
    text = settings.host.casefold()
    found = next((one for one in structures() if text in (one.id, one.name.casefold())), None)
    try:
        found = found or structure(settings.host)
    except InputError as error:
        raise InputError(f"there is no host {settings.host!r}; {close_names(settings.host, names)}") from error
    return Limit((found.id,), margin, found.name)


class Host:
    """The host of one group around its lesions, from one or several segmentations on one grid.

    boxes: of the segments of each segmentation, by its place in `known`; looked for here when None.
    """

    def __init__(self, limit: Limit, group: Group, known: Sequence[Segmentation], boxes: Sequence[dict] | None = None) -> None:
        self.limit, self._spacing = limit, np.array(spacing_of(known[0].ijk_to_ras)[::-1])
        boxes = [segment_boxes(one) for one in known] if boxes is None else boxes
        pairs = [(at, segment) for at, one in enumerate(known) for segment in one.segments if segment in boxes[at]]
        pairs = [(at, segment) for at, segment in pairs if limit.fits(segment, group.segments)]
        self.found = [(known[at], segment) for at, segment in pairs]
        places = {(id(known[0].layers[one.layer]), one.label) for one in group.segments}
        layers = {place[0] for place in places}
        organs = [one for one in self.found if not is_lesion(one[1].entry)]
        self.exclusive = any(id(one.layers[segment.layer]) in layers for one, segment in organs)
        outer = None
        for at, segment in pairs:
            outer = joint_box(outer, boxes[at][segment])
        self.box = None if not organs else self._around(group.box, outer, known[0].shape_kji)
        self._tree, self._whole, self._filled = None, None, None

    def _around(self, box: Box, outer: Box, shape: tuple[int, ...]) -> Box:
        """The part of the host, whose box is `outer`, that can matter: what lies within the margin of the lesions' box."""
        reach = np.ceil(self.limit.margin_mm / self._spacing).astype(int) + 1
        spans = zip(box, outer, reach, shape)
        cut = [(max(a.start - by, b.start, 0), min(a.stop + by, b.stop, size)) for a, b, by, size in spans]
        return tuple(slice(start, max(start, stop)) for start, stop in cut)

    @property
    def there(self) -> bool:
        """False when no segment of the host has voxels: then nothing is limited."""
        return self.box is not None

    def _mask(self) -> np.ndarray:
        if self._whole is None:
            self._whole = np.zeros([span.stop - span.start for span in self.box], bool)
            for segmentation, segment in self.found:
                self._whole |= segmentation.layers[segment.layer][self.box] == segment.label
        return self._whole

    def _nearest_mm(self, points_kji: np.ndarray, most_mm: float) -> np.ndarray:
        """Distance of voxel centers to the host's nearest voxel center; infinite beyond `most_mm`."""
        if self._tree is None:
            edge = np.argwhere(edge_of(self._mask())) + [span.start for span in self.box]
            self._tree = cKDTree(edge * self._spacing) if len(edge) else False
        if self._tree is False:
            return np.full(len(points_kji), np.inf)
        return self._tree.query(points_kji * self._spacing, distance_upper_bound=most_mm * ROUNDING + 1e-9)[0]

    def far(self, piece: Piece) -> np.ndarray:
        """Voxels of a piece that lie beyond the margin, as a mask in its box; none where the piece may not be cut."""
        far = piece.mask & ~inside(self._mask(), self.box, piece.box)
        if not far.any():
            return far
        points = np.argwhere(far) + [span.start for span in piece.box]
        touching = float(np.linalg.norm(self._spacing))
        distances = self._nearest_mm(points, max(self.limit.margin_mm, touching))
        if self.exclusive and (len(points) < piece.voxels or distances.min() <= touching * ROUNDING):
            return np.zeros_like(far)
        far[far] = distances > self.limit.margin_mm * ROUNDING
        if far.any() and self._may_be_enclosed(far, piece.box):
            if self._filled is None:
                self._filled = fill_holes(self._mask())
            far &= ~inside(self._filled, self.box, piece.box)
        return far

    def _may_be_enclosed(self, far: np.ndarray, box: Box) -> bool:
        """False when no connected part of `far` is in a cavity: from a voxel of one, the host lies in all six directions.

        To fill the cavities of a liver takes seconds, and hardly any lesion needs it.
        """
        for part in components(far)[0]:
            first = np.argwhere(part.mask)[0]
            at = [int(a) + b.start + c.start - d.start for a, b, c, d in zip(first, part.box, box, self.box)]
            if self._surrounded(at):
                return True
        return False

    def _surrounded(self, at: list[int]) -> bool:
        host = self._mask()
        if not all(0 <= place < size for place, size in zip(at, host.shape)):
            return False
        for axis in range(3):
            line = host[tuple(slice(None) if axis == other else at[other] for other in range(3))]
            if not (line[: at[axis]].any() and line[at[axis] :].any()):
                return False
        return True


def inside(mask: np.ndarray, box: Box, wanted: Box) -> np.ndarray:
    """What a mask within `box` says in another box of the grid; False where it says nothing."""
    found = np.zeros([span.stop - span.start for span in wanted], bool)
    both = [(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(box, wanted)]
    if all(start < stop for start, stop in both):
        there = tuple(slice(start - span.start, stop - span.start) for (start, stop), span in zip(both, wanted))
        here = tuple(slice(start - span.start, stop - span.start) for (start, stop), span in zip(both, box))
        found[there] = mask[here]
    return found


def edge_of(mask: np.ndarray) -> np.ndarray:
    """Voxels of a mask with a face to the outside: the nearest voxel of a mask to a point outside of it is one of them."""
    inner = mask.copy()
    for axis in range(3):
        along, inner_along = np.moveaxis(mask, axis, 0), np.moveaxis(inner, axis, 0)
        inner_along[:-1] &= along[1:]
        inner_along[1:] &= along[:-1]
        inner_along[:1], inner_along[-1:] = False, False  # slices: the mask has no voxels where lesions lie far from their host
    return mask & ~inner


@dataclass(frozen=True, eq=False)
class Limited:
    """What became of one piece: kept (several when a cut parts it), what was cut off, or all of it taken off."""

    kept: tuple[Piece, ...]
    cut: tuple[Piece, ...] = ()
    whole: Piece | None = None


def limited(piece: Piece, host: Host | None) -> Limited:
    """The piece within its host. host: None for no limit."""
    if host is None:
        return Limited((piece,))
    far = host.far(piece)
    gone = int(np.count_nonzero(far))
    if not gone:
        return Limited((piece,))
    if piece.voxels - gone < LEAST_SHARE * piece.voxels:
        return Limited((), whole=piece)
    origin = tuple(span.start for span in piece.box)
    kept, cut = components(piece.mask & ~far)[0], components(far)[0]
    return Limited(tuple(one.moved(origin) for one in kept), tuple(one.moved(origin) for one in cut))

"""What a segmentation shows of each vertebra: place, volume, pieces, whether it is cut, what it touches."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from OncoLib.measure import Box, segment_boxes
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.segmentation import Segment, Segmentation
from OncoSegmentLib.spine.levels import level_of, rib_of, structure_id


@dataclass(frozen=True, eq=False)
class Body:
    """One segment of the column.

    level: "L1", ... center_ras_mm: centroid. shares: of its voxels in each connected piece (26 neighbors), the largest
    first; pieces on the border of the scan count as one, since what joins them may lie outside. edges: borders of the scan
    that it touches, as ("k", "last"). index: of its segment in the segmentation. touching: face area in mm2 that it shares
    with another segment of the column, by that one's index. mean_hu, dense_share: of the image, when there is one: mean, and
    share of voxels above `DENSE_HU`.
    """

    index: int
    level: str
    name: str
    center_ras_mm: np.ndarray
    volume_ml: float
    shares: tuple[float, ...] = (1.0,)
    edges: tuple[tuple[str, str], ...] = ()
    touching: dict[int, float] = field(default_factory=dict)
    mean_hu: float | None = None
    dense_share: float | None = None

    @property
    def cut(self) -> bool:
        """True when it touches the border of the scan, so that its volume and centroid are not those of the vertebra."""
        return bool(self.edges)


@dataclass(frozen=True, eq=False)
class Neighbor:
    """Another structure that tells levels or sides apart. points_ras_mm: `[n, 3]`, voxel centers, thinned out."""

    structure: str
    name: str
    center_ras_mm: np.ndarray
    points_ras_mm: np.ndarray
    rib: int = 0
    cut: bool = False


@dataclass(frozen=True, eq=False)
class Column:
    """The vertebrae of a segmentation, and what lies around them.

    bodies: in the order of the segments. points: voxel centers of each body, thinned out, by index. empty: levels whose
    segment has no voxel.
    """

    bodies: tuple[Body, ...]
    neighbors: tuple[Neighbor, ...] = ()
    points: dict[int, np.ndarray] = field(default_factory=dict)
    empty: tuple[str, ...] = ()

    def named(self, *structures: str) -> list[Neighbor]:
        """Neighbors of these structures."""
        return [one for one in self.neighbors if one.structure in structures]


DENSE_HU = 2000.0
"""Above this a CT shows metal: cortical bone stays below it (our choice; see `checks_image`)."""

MOST_POINTS = 4000
"""Voxels of a structure that distances are taken from: at random places it would be noise, so every n-th one."""

SIDED = ("kidney", "lung", "hip_bone", "adrenal_gland", "clavicle", "scapula", "femur", "humerus", "iliopsoas", "gluteus_maximus")
AROUND = ("sacrum", "vertebra_s1", "skull", "intervertebral_disc", "vertebral_body", "liver", "spleen", "aorta")


def column_of(
    segmentation: Segmentation, image=None, *, progress: Progress = silent, cancel: CancelToken | None = None
) -> Column:
    """The column of a segmentation, in any orientation of the grid.

    image: on the grid of the segmentation, for mean values; only a CT in HU counts. Segments of other things are left out.
    """
    boxes = segment_boxes(segmentation)
    wanted = [(index, one) for index, one in enumerate(segmentation.segments) if level_of(one) or is_neighbor(one)]
    bodies, neighbors, points, empty = [], [], {}, []
    for number, (index, segment) in enumerate(wanted):
        if cancel is not None:
            cancel.check()
        progress(number / len(wanted), "Looking at the vertebrae")
        if segment not in boxes:
            empty += [level_of(segment)] * bool(level_of(segment))
            continue
        mask = segmentation.layers[segment.layer][boxes[segment]] == segment.label
        own = points_of(mask, boxes[segment], segmentation.ijk_to_ras)
        if level_of(segment):
            bodies.append(body_of(segmentation, index, mask, boxes[segment], image))
            points[index] = own
        else:
            neighbors += neighbors_of(segmentation, segment, mask, boxes[segment])
    return Column(with_contacts(segmentation, bodies, boxes), tuple(neighbors), points, tuple(empty))


def is_neighbor(segment: Segment) -> bool:
    """True for what tells levels or sides apart."""
    found = structure_id(segment)
    return found in AROUND or bool(rib_of(segment)[0]) or found.rpartition("_")[0] in SIDED


def body_of(segmentation: Segmentation, index: int, mask: np.ndarray, box: Box, image) -> Body:
    """Facts of one vertebra; what it touches is found later."""
    segment = segmentation.segments[index]
    sizes = piece_sizes(mask, box, segmentation.shape_kji)
    total = sum(sizes)
    mean_hu = dense = None
    if image is not None and image.modality == "CT" and image.units == "HU":
        values = image.voxels[box][mask].astype(float)
        values = values[np.isfinite(values)]  # without a value, as outside of a resampled scan, nothing is told
        if len(values):
            mean_hu, dense = float(values.mean()), float((values > DENSE_HU).mean())
    return Body(
        index,
        level_of(segment),
        segment.name,
        center_of(mask, box, segmentation.ijk_to_ras),
        total * segmentation.voxel_volume_ml,
        tuple(size / total for size in sizes),
        edges_of(box, segmentation.shape_kji),
        mean_hu=mean_hu,
        dense_share=dense,
    )


def piece_sizes(mask: np.ndarray, box: Box, shape: tuple[int, ...]) -> list[int]:
    """Voxels of each piece, the largest first; those on the border of the scan together."""
    from scipy import ndimage

    labels, count = ndimage.label(mask, np.ones((3, 3, 3), bool))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:].tolist()
    if count == 1:
        return sizes
    places = [tuple(slice(a.start + b.start, a.start + b.stop) for a, b in zip(box, own)) for own in ndimage.find_objects(labels)]
    at_edge = [bool(edges_of(place, shape)) for place in places]
    joined = sum(size for size, edge in zip(sizes, at_edge) if edge)
    return sorted([*([joined] if joined else []), *(size for size, edge in zip(sizes, at_edge) if not edge)], reverse=True)


def neighbors_of(segmentation: Segmentation, segment: Segment, mask: np.ndarray, box: Box) -> list[Neighbor]:
    """One neighbor; one for each piece where a segment holds many of a kind (discs, bodies)."""
    found, (rib, _) = structure_id(segment), rib_of(segment)
    matrix, cut = segmentation.ijk_to_ras, bool(edges_of(box, segmentation.shape_kji))
    if found not in ("intervertebral_disc", "vertebral_body"):
        place = center_of(mask, box, matrix)
        return [Neighbor(found, segment.name, place, points_of(mask, box, matrix), rib, cut)]
    return [
        Neighbor(found, segment.name, center_of(piece, own, matrix), points_of(piece, own, matrix))
        for piece, own in pieces_of(mask, box, segmentation.voxel_volume_ml)
    ]


LEAST_PIECE_ML = 0.3
"""Smaller pieces of a disc segment are crumbs, no disc (our choice: a flat disc of 20 x 15 x 3 mm has 0.7 ml)."""


def pieces_of(mask: np.ndarray, box: Box, voxel_ml: float) -> list[tuple[np.ndarray, Box]]:
    """Connected pieces (6 neighbors: discs that meet at an edge stay apart) that are no crumbs, each in its own box."""
    from scipy import ndimage

    labels, _ = ndimage.label(mask)
    found = []
    for number, span in enumerate(ndimage.find_objects(labels), 1):
        piece = labels[span] == number
        if np.count_nonzero(piece) * voxel_ml >= LEAST_PIECE_ML:
            found.append((piece, tuple(slice(a.start + b.start, a.start + b.stop) for a, b in zip(box, span))))
    return found


def to_ras(kji: np.ndarray, box: Box, matrix: np.ndarray) -> np.ndarray:
    """RAS in mm of indices `[n, 3]` in the order k, j, i within a box."""
    ijk = (np.asarray(kji, float) + [span.start for span in box])[:, ::-1]
    return ijk @ matrix[:3, :3].T + matrix[:3, 3]


def center_of(mask: np.ndarray, box: Box, matrix: np.ndarray) -> np.ndarray:
    """Centroid in RAS, from the sums along the axes: no list of voxels is made."""
    total = mask.sum()
    sums = [mask.sum(axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
    kji = [float(np.dot(np.arange(len(row)), row) / total) for row in sums]
    return to_ras(np.array([kji]), box, matrix)[0]


def points_of(mask: np.ndarray, box: Box, matrix: np.ndarray) -> np.ndarray:
    """Voxel centers in RAS, at most about `MOST_POINTS`."""
    places = np.flatnonzero(mask)
    places = places[:: max(1, len(places) // MOST_POINTS)]
    return to_ras(np.stack(np.unravel_index(places, mask.shape), axis=1), box, matrix)


def edges_of(box: Box, shape: tuple[int, ...]) -> tuple[tuple[str, str], ...]:
    """Borders of the grid that a box touches. An axis of one voxel is no border: nothing can be told there."""
    found = []
    for axis, span, size in zip("kji", box, shape):
        found += [(axis, "first")] * (span.start == 0 and size > 1) + [(axis, "last")] * (span.stop == size and size > 1)
    return tuple(found)


def with_contacts(segmentation: Segmentation, bodies: list[Body], boxes: dict) -> tuple[Body, ...]:
    """The bodies with the face areas that they share; only voxels of one layer can touch."""
    from dataclasses import replace

    matrix = segmentation.ijk_to_ras[:3, :3]
    areas = [float(np.linalg.norm(np.cross(matrix[:, a], matrix[:, b]))) for a, b in ((0, 1), (0, 2), (1, 2))]
    found = [dict() for _ in bodies]
    for first in range(len(bodies)):
        for second in range(first + 1, len(bodies)):
            one, other = (segmentation.segments[bodies[at].index] for at in (first, second))
            box = touching_box(boxes[one], boxes[other])
            if one.layer != other.layer or box is None:
                continue
            area = contact_mm2(segmentation.layers[one.layer][box], one.label, other.label, areas)
            if area:
                found[first][bodies[second].index] = found[second][bodies[first].index] = area
    return tuple(replace(body, touching=touched) for body, touched in zip(bodies, found))


def touching_box(first: Box, second: Box) -> Box | None:
    """Where two boxes, each one voxel larger, overlap; None when they do not."""
    spans = [slice(max(a.start, b.start, 1) - 1, min(a.stop, b.stop) + 1) for a, b in zip(first, second)]
    return None if any(span.stop - span.start < 2 for span in spans) else tuple(spans)


def contact_mm2(labels: np.ndarray, one: int, other: int, areas: list[float]) -> float:
    """Area of the faces between voxels of two labels. areas: of a face across k, j and i."""
    total = 0.0
    for axis, area in enumerate(areas):
        low = [slice(None)] * 3
        high = list(low)
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        a, b = labels[tuple(low)], labels[tuple(high)]
        total += area * np.count_nonzero(((a == one) & (b == other)) | ((a == other) & (b == one)))
    return float(total)

"""All measures of the segments of a segmentation on its native grid: volumes, diameters, surface, values, distances.

The label layers are searched once for the box of every label; each segment is then measured within its box, so the time
depends on the size of the segments and not on their number times the size of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.ndimage as ndimage
from scipy.spatial import cKDTree

from OncoLib import quantities
from OncoLib.boundary import boundary_points_ijk, points_ras_mm
from OncoLib.diameters import AXES, Line, acquisition_axis, in_plane_diameters, maximum_diameter, plane_of
from OncoLib.errors import InputError
from OncoLib.filters.mesh import mesh_of, mesh_volume_ml, surface_area_mm2
from OncoLib.image import Image, spacing_of
from OncoLib.intensity import intensity_statistics
from OncoLib.measure import VOXEL_COUNT, Box, Measurement, segment_boxes
from OncoLib.partial_volume import METHOD as PARTIAL_METHOD
from OncoLib.partial_volume import partial_volume
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.segmentation import Segment, Segmentation
from OncoLib.terminology import is_lesion

MESH_VOLUME_METHOD = "volume inside the closed marching-cubes surface at half level, not smoothed"
SURFACE_METHOD = "area of the closed marching-cubes surface at half level, not smoothed"
LONGEST_METHOD = "longest distance between boundary points of one {plane} slice (across axis {axis}, slice {index}); a proposal"
PERPENDICULAR_METHOD = "longest chord inside the outline, at a right angle to the longest diameter, in its slice; a proposal"
PRODUCT_METHOD = "longest in-plane diameter times perpendicular diameter"
MAXIMUM_METHOD = "longest distance between boundary points in 3-D"
CENTER_METHOD = "mean of the centers of the voxels inside, {side} coordinate in RAS"
COUNT_METHOD = "number of voxels whose center is inside"
DISTANCE_METHOD = "shortest distance between boundary points of the segment and of {organ}; 0 when they touch or overlap"

TOUCHING_MM = 1e-6
"""Boundary points of two masks that share a face are equal but for rounding."""

THIN_SLICES = 3
"""Segments that span fewer slices carry a note: on digital spheres the spread of their volume is in the documentation."""

INSIDE_SHARE = 0.8
"""A longest diameter of a lesion that runs less than this inside the outline carries a note. Our choice."""


@dataclass(frozen=True, eq=False)
class SegmentMeasures:
    """What was measured of one segment.

    measurements: by name with its unit (`volume_ml`, `longest_in_plane_mm`, ...), in the order in which they are shown;
        what cannot be measured is not there. lines: `longest_in_plane`, `perpendicular`, `maximum_3d`, `distance_to_organ`.
    notes: sentences that a reader should see beside the numbers. refused: why a measure is not there, by its name.
    organ: name of the segment that the distance goes to, "" when none was asked for.
    """

    segment: Segment
    measurements: dict[str, Measurement]
    lines: dict[str, Line] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)
    organ: str = ""


@dataclass(frozen=True, eq=False)
class _Part:
    """One segment within its box: mask `[k, j, i]`, the box, and the geometry of the box."""

    mask: np.ndarray
    box: Box
    ijk_to_ras: np.ndarray


@dataclass(frozen=True, eq=False)
class _Organ:
    """The organ that distances go to: its segment and the tree of its boundary points (RAS, mm)."""

    segment: Segment
    tree: cKDTree


def measure_segments(
    segmentation: Segmentation,
    image: Image | None = None,
    *,
    organ: str | Segment | None = None,
    segments: Sequence[str | Segment] | None = None,
    axis: str = "",
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> tuple[SegmentMeasures, ...]:
    """Measures of each segment, in the order of `segments` (default: all).

    image: for the values inside and the partial-volume estimate; on the grid of the segmentation. organ: segment (or its
    name) to which the distance is measured. axis: array axis across which the slices were taken ("i", "j", "k"); by
    default that of `diameters.acquisition_axis`.
    Raises InputError for an unknown segment, GeometryError for an image on another grid, Cancelled.
    """
    if image is not None:
        segmentation.require_grid_of(image)
    chosen = [_segment(segmentation, item) for item in (segmentation.segments if segments is None else segments)]
    axis = axis or acquisition_axis(segmentation.ijk_to_ras)
    boxes = segment_boxes(segmentation)
    target = _organ(segmentation, boxes, organ) if organ is not None else None
    found = []
    for number, segment in enumerate(chosen):
        if cancel is not None:
            cancel.check()
        progress(number / max(len(chosen), 1), "Measuring the segments")
        found.append(_measure(segmentation, segment, boxes.get(segment), image, target, axis))
    return tuple(found)


def _segment(segmentation: Segmentation, item: str | Segment) -> Segment:
    if isinstance(item, str):
        return segmentation.segment_named(item)
    if item not in segmentation.segments:
        raise InputError(f"segment {item.name!r} is not one of the segmentation")
    return item


def _part(segmentation: Segmentation, segment: Segment, box: Box) -> _Part:
    shift = np.eye(4)
    shift[:3, 3] = [span.start for span in box[::-1]]
    return _Part(segmentation.layers[segment.layer][box] == segment.label, box, segmentation.ijk_to_ras @ shift)


def _organ(segmentation: Segmentation, boxes: dict[Segment, Box], organ: str | Segment) -> _Organ:
    segment = _segment(segmentation, organ)
    if segment not in boxes:
        raise InputError(f"segment {segment.name!r} is empty; wanted one with voxels to measure the distance to")
    part = _part(segmentation, segment, boxes[segment])
    return _Organ(segment, cKDTree(points_ras_mm(boundary_points_ijk(part.mask), part.ijk_to_ras)))


def _measure(
    segmentation: Segmentation, segment: Segment, box: Box | None, image: Image | None, organ: _Organ | None, axis: str
) -> SegmentMeasures:
    """All measures of one segment."""
    if box is None:
        volume = Measurement(0.0, "ml", VOXEL_COUNT, quantities.VOLUME)
        return SegmentMeasures(segment, {"volume_ml": volume}, notes=("The segment has no voxels.",))
    part = _part(segmentation, segment, box)
    measured, lines, refused = _size(part, segmentation.voxel_volume_ml), {}, {}
    notes = _notes(part, segmentation, axis)
    _add_diameters(part, axis, measured, lines, notes, lesion=is_lesion(segment.entry))
    if image is not None:
        _add_values(part, image, axis, measured, refused)
    if organ is not None and organ.segment == segment:
        refused["distance_to_organ_mm"] = "it is the organ that distances go to"
        notes.append("It is the organ that distances go to; it has none to itself.")
    elif organ is not None:
        _add_distance(part, segmentation, organ, measured, lines, notes)
    return SegmentMeasures(segment, measured, lines, tuple(notes), refused, organ.segment.name if organ else "")


def _size(part: _Part, voxel_ml: float) -> dict[str, Measurement]:
    """Volumes, surface, number of voxels and center."""
    count = int(np.count_nonzero(part.mask))
    mesh = mesh_of(part.mask, part.ijk_to_ras)
    found = {
        "volume_ml": Measurement(count * voxel_ml, "ml", VOXEL_COUNT, quantities.VOLUME),
        "mesh_volume_ml": Measurement(mesh_volume_ml(mesh), "ml", MESH_VOLUME_METHOD, quantities.MESH_VOLUME),
        "surface_area_mm2": Measurement(surface_area_mm2(mesh), "mm2", SURFACE_METHOD, quantities.SURFACE_AREA),
        "voxels": Measurement(float(count), "1", COUNT_METHOD, quantities.VOXEL_COUNT),
    }
    for side, value in zip("ras", center_of(part.mask, part.ijk_to_ras)):
        method = CENTER_METHOD.format(side=side.upper())
        found[f"center_{side}_mm"] = Measurement(float(value), "mm", method, quantities.CENTER_OF_MASS)
    return found


def center_of(mask: np.ndarray, ijk_to_ras: np.ndarray) -> np.ndarray:
    """Mean of the centers of the voxels of a mask that is not empty, RAS in mm."""
    means = []
    for axis in (2, 1, 0):
        counts = np.count_nonzero(mask, axis=tuple(other for other in range(3) if other != axis))
        means.append(float(counts @ np.arange(counts.size)) / counts.sum())
    return points_ras_mm(np.array([means]), ijk_to_ras)[0]


def _notes(part: _Part, segmentation: Segmentation, axis: str) -> list[str]:
    """What a reader should know of the shape."""
    notes = []
    if any(span.start == 0 or span.stop == size for span, size in zip(part.box, segmentation.shape_kji)):
        notes.append("It reaches the edge of the image; what lies beyond is not counted.")
    parts = ndimage.label(part.mask, np.ones((3, 3, 3), bool))[1]
    if parts > 1:
        notes.append(f"It has {parts} separate parts; diameters can span several.")
    plane = plane_of(segmentation.ijk_to_ras, axis)
    if plane != "axial":
        notes.append(f"Measured in {plane} slices.")
    count = part.mask.shape[AXES.index(axis)]
    thickness = spacing_of(segmentation.ijk_to_ras)["ijk".index(axis)]
    if count < THIN_SLICES:
        notes.append(f"It spans {count} slice{'s' * (count > 1)} of {thickness:.3g} mm; volume and 3-D measures are uncertain.")
    return notes


def _add_diameters(part: _Part, axis: str, measured: dict, lines: dict, notes: list[str], *, lesion: bool) -> None:
    """lesion: a ring of bone or a bent organ does not need to be told that its diameter leaves it, as a lesion does."""
    start = part.box[AXES.index(axis)].start
    plane = in_plane_diameters(part.mask, part.ijk_to_ras, axis)
    longest, perpendicular = (
        replace(line, slice_index=line.slice_index + start) for line in (plane.longest, plane.perpendicular)
    )
    whole = maximum_diameter(part.mask, part.ijk_to_ras)
    lines |= {"longest_in_plane": longest, "perpendicular": perpendicular, "maximum_3d": whole}
    long_mm, short_mm = longest.length_mm, perpendicular.length_mm
    method = LONGEST_METHOD.format(plane=plane_of(part.ijk_to_ras, axis), axis=axis, index=longest.slice_index)
    measured["longest_in_plane_mm"] = Measurement(long_mm, "mm", method, quantities.LONG_AXIS)
    measured["perpendicular_mm"] = Measurement(short_mm, "mm", PERPENDICULAR_METHOD, quantities.SHORT_AXIS)
    measured["product_mm2"] = Measurement(long_mm * short_mm, "mm2", PRODUCT_METHOD, quantities.PRODUCT)
    measured["maximum_3d_mm"] = Measurement(whole.length_mm, "mm", MAXIMUM_METHOD, quantities.MAXIMUM_3D_DIAMETER)
    if lesion and plane.inside < INSIDE_SHARE:
        notes.append(f"Only {plane.inside:.0%} of its longest in-plane diameter runs inside its outline.")


def _add_values(part: _Part, image: Image, axis: str, measured: dict, refused: dict[str, str]) -> None:
    measured |= intensity_statistics(image.voxels[part.box][part.mask], image.units)
    if image.modality in ("PT", "NM") or quantities.is_uptake(image.units):
        refused["partial_volume_ml"] = "PET and SPECT blur farther than the estimate reaches"
        return
    across = AXES.index(axis)
    estimate = partial_volume(image.voxels, part.mask, part.box, image.spacing_kji_mm, slice_axis=across)
    if estimate.volume_ml is None:
        refused["partial_volume_ml"] = estimate.refusal
    else:
        measured["partial_volume_ml"] = Measurement(estimate.volume_ml, "ml", PARTIAL_METHOD, quantities.PARTIAL_VOLUME)


def _add_distance(part: _Part, segmentation: Segmentation, organ: _Organ, measured: dict, lines: dict, notes: list[str]) -> None:
    points = points_ras_mm(boundary_points_ijk(part.mask), part.ijk_to_ras)
    distances, nearest = organ.tree.query(points)
    at = int(distances.argmin())
    overlap = (segmentation.layers[organ.segment.layer][part.box] == organ.segment.label) & part.mask
    distance = float(distances[at])
    if overlap.any() or distance < TOUCHING_MM:
        distance = 0.0
        notes.append(f"It {'overlaps' if overlap.any() else 'touches'} {organ.segment.name}: distance 0.")
    else:
        ends = points[at], organ.tree.data[nearest[at]]
        lines["distance_to_organ"] = Line(*(tuple(map(float, end)) for end in ends))
    method = DISTANCE_METHOD.format(organ=organ.segment.name)
    measured["distance_to_organ_mm"] = Measurement(distance, "mm", method, quantities.DISTANCE)

"""The lesions of one date, from a segmentation or a mask on the scan's native grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from LongitudinalCompareLib.lesion_track import Lesion, LesionKey
from OncoLib.components import Piece, components
from OncoLib.diameters import Line, in_plane_diameters
from OncoLib.errors import InputError
from OncoLib.image import voxel_volume_ml
from OncoLib.measure import VOXEL_COUNT, Measurement, segment_boxes
from OncoLib.quantities import LONG_AXIS, SHORT_AXIS, VOLUME
from OncoLib.segmentation import Segment, Segmentation
from OncoLib.terminology import CodedConcept, is_lesion

LONGEST = "longest distance between boundary points of one slice on the native grid; a proposal"
SHORT = "longest chord inside the outline, at a right angle to the longest diameter, in its slice; a proposal"


def lesions_of(
    segmentation: Segmentation,
    timepoint: int,
    segments: Sequence[Segment] | None = None,
    sites: Mapping[str, tuple[str, CodedConcept | None]] | None = None,
) -> tuple[Lesion, ...]:
    """Each segment that is a lesion by its codes, or each of `segments`, as one lesion; empty ones are left out.

    sites: finding site in words and its code by the segment's name, as `oncosegment lesions` finds them.
    Raises InputError when two of them have one name: a name says which lesion is meant.
    """
    chosen = [one for one in segmentation.segments if is_lesion(one.entry)] if segments is None else list(segments)
    names = [one.name for one in chosen]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{names.count(name)} lesions of date {timepoint + 1} are called {name!r}; wanted a name for each")
    boxes = segment_boxes(segmentation)
    found = []
    for segment in chosen:
        if (box := boxes.get(segment)) is None:
            continue
        site, code = (sites or {}).get(segment.name, ("", None))
        piece = Piece(box, segmentation.layers[segment.layer][box] == segment.label)
        more = {"entry": segment.entry, "site": site, "site_code": code, "flags": segment.flags}
        key = LesionKey(timepoint, segment.name)
        found.append(lesion_from(key, piece, segmentation.ijk_to_ras, segmentation.shape_kji, **more))
    return tuple(found)


def lesions_of_mask(
    mask: np.ndarray,
    ijk_to_ras: np.ndarray,
    timepoint: int,
    name: str = "Lesion",
    *,
    least_voxels: int = 1,
    diameters: bool = True,
) -> tuple[Lesion, ...]:
    """The 26-connected components of `mask[k, j, i]`, called "Lesion 1", "Lesion 2", ..., the largest first.

    diameters: whether they are measured; the volume always is.
    """
    pieces, _specks = components(mask, least_voxels)
    pieces.sort(key=lambda one: (-one.voxels, [span.start for span in one.box]))
    keys = [LesionKey(timepoint, f"{name} {number}") for number in range(1, len(pieces) + 1)]
    pairs = zip(keys, pieces)
    return tuple(lesion_from(key, piece, ijk_to_ras, mask.shape, diameters=diameters) for key, piece in pairs)


def lesion_from(
    key: LesionKey, piece: Piece, ijk_to_ras: np.ndarray, shape_kji: tuple[int, int, int], *, diameters: bool = True, **more
) -> Lesion:
    """A lesion with its volume and, unless told otherwise, its diameters and the lines that they were taken along."""
    found = {"volume_ml": Measurement(piece.voxels * voxel_volume_ml(ijk_to_ras), "ml", VOXEL_COUNT, VOLUME)}
    lines = lines_of(piece, ijk_to_ras) if diameters else {}
    if diameters:
        found["longest_diameter_mm"] = Measurement(lines["longest"].length_mm, "mm", LONGEST, LONG_AXIS)
        found["short_axis_mm"] = Measurement(lines["perpendicular"].length_mm, "mm", SHORT, SHORT_AXIS)
    return Lesion(key, piece.box, piece.mask, ijk_to_ras, shape_kji, found, lines=lines, **more)


def lines_of(piece: Piece, ijk_to_ras: np.ndarray) -> dict[str, Line]:
    """"longest" and "perpendicular" of a piece of the grid, in RAS; slice_index counts the slices of the whole grid."""
    start = {axis: span.start for axis, span in zip("kji", piece.box)}
    matrix = np.array(ijk_to_ras, dtype=float)
    matrix[:3, 3] += matrix[:3, :3] @ [start[axis] for axis in "ijk"]
    found = in_plane_diameters(piece.mask, matrix)
    both = {"longest": found.longest, "perpendicular": found.perpendicular}
    return {name: replace(one, slice_index=one.slice_index + start[one.slice_axis]) for name, one in both.items()}

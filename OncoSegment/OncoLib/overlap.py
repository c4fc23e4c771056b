"""How far two masks of one grid agree: overlap and surface distances, each with its definition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from OncoLib import surface_distance as surface
from OncoLib.errors import InputError
from OncoLib.image import require_same_grid
from OncoLib.measure import Box, Measurement, dice, segment_boxes
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.quantities import DICE, HAUSDORFF, HAUSDORFF_95, JACCARD, MEAN_SURFACE_DISTANCE, surface_dice
from OncoLib.segmentation import Segment, Segmentation

DICE_METHOD = "twice the voxels in both, divided by the voxels of the one plus those of the other"
IOU_METHOD = "voxels in both divided by voxels in either"

STATUS_TEXT = {
    surface.BOTH_EMPTY: "not defined: both masks are empty",
    surface.FIRST_EMPTY: "not defined: the first mask is empty",
    surface.SECOND_EMPTY: "not defined: the second mask is empty",
}


@dataclass(frozen=True)
class Agreement:
    """How two masks agree.

    status: "defined", "both empty", "first empty" or "second empty".
    measurements: by name (dice, iou, nsd_1mm, nsd_2mm, hd95_mm, hd_mm, assd_mm). With one mask empty Dice, IoU and
        NSD are 0, as their definitions give; what is not defined has the value NaN and says so in its method.
    """

    status: str
    measurements: dict[str, Measurement]


def iou(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union |A and B| / |A or B| of two boolean masks (Jaccard index); NaN when both are empty."""
    either = int(np.logical_or(first, second).sum())
    return int(np.logical_and(first, second).sum()) / either if either else float("nan")


def agreement(first: np.ndarray, second: np.ndarray, ijk_to_ras: np.ndarray) -> Agreement:
    """All measures of two boolean masks `[k, j, i]` of one grid. Raises what `surface_distances` raises."""
    found = surface.surface_distances(first, second, ijk_to_ras)
    told = STATUS_TEXT.get(found.status, "")
    overlap_told = told if found.status == surface.BOTH_EMPTY else ""
    numbers = {
        "dice": _measurement(dice(first, second), "1", DICE_METHOD, DICE, overlap_told),
        "iou": _measurement(iou(first, second), "1", IOU_METHOD, JACCARD, overlap_told),
    }
    for limit, share in found.surface_dice.items():
        method = surface.surface_dice_method(limit)
        numbers[f"nsd_{limit:g}mm"] = _measurement(share, "1", method, surface_dice(limit), overlap_told)
    distances = {
        "hd95_mm": (found.hausdorff_95_mm, surface.HAUSDORFF_95_METHOD, HAUSDORFF_95),
        "hd_mm": (found.hausdorff_mm, surface.HAUSDORFF_METHOD, HAUSDORFF),
        "assd_mm": (found.mean_mm, surface.MEAN_METHOD, MEAN_SURFACE_DISTANCE),
    }
    numbers |= {name: _measurement(value, "mm", method, code, told) for name, (value, method, code) in distances.items()}
    return Agreement(found.status, numbers)


def _measurement(value: float, unit: str, method: str, code, told: str) -> Measurement:
    return Measurement(value, unit, f"{told} ({method})" if told else method, code)


def compare_segmentations(
    first: Segmentation,
    second: Segmentation,
    *,
    segments: Sequence[Segment] | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> dict[Segment, Agreement]:
    """How segments of the first agree with those of the second that have the same name and codes, each in its joint box.

    segments: of the first; default all. Segments without a partner are not in the answer. Raises GeometryError when the
    grids differ, InputError when two segments of the second share name and codes, or when there is no pair at all.
    """
    grids = first.ijk_to_ras, first.shape_kji, second.ijk_to_ras, second.shape_kji
    require_same_grid(*grids, "the other segmentation", beside="the first segmentation")
    partners: dict[tuple, Segment] = {}
    for segment in second.segments:
        if partners.setdefault(_key(segment), segment) is not segment:
            raise InputError(f"the other segmentation has several segments {segment.name!r}; wanted one of each name and code")
    chosen = [segment for segment in (first.segments if segments is None else segments) if _key(segment) in partners]
    if not chosen:
        raise InputError("the segmentations share no segment of the same name and code; there is nothing to compare")
    boxes = segment_boxes(first), segment_boxes(second)
    found = {}
    for number, segment in enumerate(chosen):
        if cancel is not None:
            cancel.check()
        progress(number / len(chosen), "Comparing the segments")
        partner = partners[_key(segment)]
        box = joint_box(boxes[0].get(segment), boxes[1].get(partner))
        masks = [part.layers[item.layer][box] == item.label for part, item in ((first, segment), (second, partner))]
        found[segment] = agreement(*masks, first.ijk_to_ras)
    return found


def _key(segment: Segment) -> tuple:
    return segment.name, segment.entry.key()


def joint_box(first: Box | None, second: Box | None) -> Box:
    """Smallest box around both; a single voxel when neither is there."""
    boxes = [box for box in (first, second) if box is not None]
    if not boxes:
        return (slice(0, 1),) * 3
    return tuple(slice(min(span.start for span in spans), max(span.stop for span in spans)) for spans in zip(*boxes))

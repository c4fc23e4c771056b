"""Where a click may change the segment: voxels of other segments, a box of the scene, a slab or a cube around the clicks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from vtk.util.numpy_support import vtk_to_numpy

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.scene.regions import parent_to_world, roi_mask
from OncoLib.scene.segmentations import LABELMAP, matrix_of, segment_from
from OncoLib.terminology import is_lesion
from OncoSegmentLib.lesion.anatomy import can_hold
from OncoSegmentLib.refine.lattice import Content, Ways
from OncoSegmentLib.refine.masks import box_of, whole
from OncoSegmentLib.refine.prompts import Prompt
from OncoSegmentLib.refine.protocol import Part
from OncoSegmentLib.refine.raster import kji_of
from OncoSegmentLib.scene.refine_editor import box_of_extent
from OncoSegmentLib.scene.refine_markups import places_of

KINDS = ("image", "roi", "slab", "around")


@dataclass(frozen=True)
class Limit:
    """Where answers may differ from what was there.

    kind: the whole image; a ROI of the scene; a slab of `reach_mm` to both sides of the clicks, across `normal_ras` (RAS of
    the volume's frame, a unit vector; None: across the image's slices); a cube of `reach_mm` around the clicks.
    """

    kind: str = "image"
    roi: object = None
    reach_mm: float = 30.0
    normal_ras: tuple[float, float, float] | None = None


def part_of_limit(limit: Limit, volume, image: Image, prompts: tuple[Prompt, ...]) -> Part | None:
    """The part of the image for a limit; None for all of it. prompts: all that hold, with the one that comes.

    A part is a box along the image's axes: the one that holds the slab, cube or ROI. InputError when it holds no voxel.
    """
    if limit.kind == "image":
        return None
    if limit.kind == "roi":
        if limit.roi is None or limit.roi.GetScene() is None:
            raise InputError("choose the box (ROI) that limits the clicks, or no limit")
        return box_of(roi_mask(limit.roi, image, parent_to_world(volume)), whole(image.shape_kji))
    places = np.concatenate([places_of(one) for one in prompts]) if prompts else np.zeros((0, 3))
    if not len(places):
        return None
    low, high = reached(limit, image, kji_of(image, places))
    first = np.clip(np.ceil(low - 1e-6), 0, None).astype(int)
    last = np.minimum(np.floor(high + 1e-6), np.array(image.shape_kji) - 1).astype(int)
    if (last < first).any():
        raise InputError("the clicks lie outside of the image; there is nothing around them to change")
    return tuple(slice(int(a), int(b) + 1) for a, b in zip(first, last))


def reached(limit: Limit, image: Image, kji: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest voxel coordinates (k, j, i) that the limit reaches around places."""
    low, high = kji.min(0), kji.max(0)
    steps = limit.reach_mm / np.array(image.spacing_kji_mm)
    if limit.kind == "around":
        return low - steps, high + steps
    across = across_axis(image, limit.normal_ras)
    free = np.arange(3) != across
    low, high = np.where(free, 0.0, low - steps), np.where(free, np.array(image.shape_kji) - 1.0, high + steps)
    return low, high


def across_axis(image: Image, normal_ras) -> int:
    """The array axis (0: k, 1: j, 2: i) that lies nearest to a direction."""
    if normal_ras is None:
        return 0
    axes = image.ijk_to_ras[:3, :3] / np.array(image.spacing_mm)
    return 2 - int(np.abs(np.asarray(normal_ras) @ axes).argmax())


def others_on_image(node, segment_id: str, ways: Ways) -> np.ndarray:
    """Voxels of the image that a protected segment holds, shown or hidden; bool `[k, j, i]`. See `protected_ids`."""
    segmentation = node.GetSegmentation()
    found = np.zeros(ways.shape_kji, bool)
    layers: dict = {}
    for other in protected_ids(node, segment_id):
        labels = segmentation.GetSegment(other).GetRepresentation(LABELMAP)
        if labels is not None:
            layers.setdefault(labels, []).append(segmentation.GetSegment(other).GetLabelValue())
    for labels, wanted in layers.items():
        at = box_of_extent(labels.GetExtent())
        scalars = labels.GetPointData().GetScalars()
        if scalars is None or any(one.start >= one.stop for one in at):
            continue
        values = vtk_to_numpy(scalars).reshape([one.stop - one.start for one in at])
        held = values == wanted[0] if len(wanted) == 1 else np.isin(values, wanted)
        there = Ways(ways.image_to_ras, ways.shape_kji, matrix_of(labels), ways.image_to_lattice_frame)
        found |= there.onto_image(Content.of(held, at))
    return found


def protected_ids(node, segment_id: str) -> list[str]:
    """Ids of the segments that lose no voxel to this one: all others, but for a lesion those that can hold a lesion.

    A lesion of the liver lies inside of the segment "Liver": what becomes of that is the editor's overwrite mode to say.
    """
    segmentation = node.GetSegmentation()
    others = [one for one in segmentation.GetSegmentIDs() if one != segment_id]
    own = segment_from(segmentation.GetSegment(segment_id), 0, "")
    if not is_lesion(own.entry):
        return others
    return [one for one in others if not can_hold(segment_from(segmentation.GetSegment(one), 0, ""))]


def others_stamp(node, segment_id: str) -> tuple:
    """Changes whenever voxels or codes of any segment may have changed; compares in no time."""
    segmentation = node.GetSegmentation()
    found = []
    for index in range(segmentation.GetNumberOfSegments()):
        labels = segmentation.GetNthSegment(index).GetRepresentation(LABELMAP)
        times = None if labels is None else (labels.GetAddressAsString(""), labels.GetMTime())
        found.append((times, segmentation.GetNthSegment(index).GetTerminology()))
    return segment_id, tuple(found)

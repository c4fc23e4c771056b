"""The segment of Slicer's Segment Editor: what it holds, and what a change of a session does to it. **Main thread only.**

Slicer's own rules decide what is kept: masking, overwriting of other segments and intensity range are those of the editor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from OncoLib.errors import InputError
from OncoLib.scene.host import require_main_thread
from OncoLib.scene.regions import parent_to_world
from OncoLib.scene.segmentations import LABELMAP, matrix_of
from OncoLib.scene.volumes import ijk_to_ras_of, vtk_matrix, vtk_scalars
from OncoSegmentLib.refine.lattice import Content, Ways
from OncoSegmentLib.refine.masks import box_of, common, joint, placed_in
from OncoSegmentLib.refine.protocol import Part

LOGIC = slicer.vtkSlicerSegmentEditorLogic
ADD, REMOVE = LOGIC.ModificationModeAdd, LOGIC.ModificationModeRemove


class Hands(Protocol):
    """What edits the selected segment: the editor's logic, or an effect of the editor's window.

    parameters: the editor's parameter node. locked: the editor is read-only.
    """

    parameters: slicer.vtkMRMLSegmentEditorNode
    locked: bool

    def save(self) -> None:
        """Keeps the segmentation as it is now for the editor's Undo."""

    def modify(self, labels, mode: int, extent: tuple[int, ...]) -> None:
        """Adds or removes the voxels of an oriented label image from the selected segment, as the editor's rules allow."""


class LogicHands:
    """The editor's logic, without a window."""

    locked = False

    def __init__(self, logic) -> None:
        self.logic = logic

    @property
    def parameters(self):
        """The editor's parameter node."""
        return self.logic.GetSegmentEditorNode()

    def save(self) -> None:
        """See `Hands`."""
        self.logic.SaveStateForUndo()

    def modify(self, labels, mode: int, extent: tuple[int, ...]) -> None:
        """See `Hands`."""
        node, segment_id = self.parameters.GetSegmentationNode(), self.parameters.GetSelectedSegmentID()
        self.logic.ModifySegmentByLabelmap(node, segment_id, labels, mode, list(extent), True, False)


@dataclass(frozen=True, eq=False)
class Grid:
    """The voxels that the editor may give a segment: matrix of index (0, 0, 0), and the box of the reference geometry."""

    index_to_ras: np.ndarray
    box: Part


def reference_grid(node, volume=None) -> Grid:
    """The grid on which the editor works: the reference geometry with room for all segments.

    volume: becomes the reference of a segmentation that has none, as in Slicer. Raises InputError without either.
    """
    text = LOGIC.GetReferenceImageGeometryStringFromSegmentation(node.GetSegmentation())
    if not text and volume is not None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        text = LOGIC.GetReferenceImageGeometryStringFromSegmentation(node.GetSegmentation())
    geometry = slicer.vtkOrientedImageData()
    if not text or not slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, geometry, False):
        raise InputError("the segmentation has no geometry yet; choose a source volume")
    return Grid(matrix_of(geometry), box_of_extent(geometry.GetExtent()))


def ways_between(node, volume, grid: Grid) -> Ways:
    """From the voxels of the source volume to those of the segmentation. InputError under transforms that are not linear."""
    frame = np.linalg.inv(parent_to_world(node)) @ parent_to_world(volume)
    return Ways(ijk_to_ras_of(volume), volume.GetImageData().GetDimensions()[::-1], grid.index_to_ras, frame)


def box_of_extent(extent) -> Part:
    """`[k, j, i]` of a VTK extent, which counts i, j, k and includes both ends."""
    return tuple(slice(extent[2 * axis], extent[2 * axis + 1] + 1) for axis in (2, 1, 0))


def extent_of_box(box: Part) -> tuple[int, ...]:
    """The reverse."""
    return tuple(bound for one in box[::-1] for bound in (one.start, one.stop - 1))


def content_of(node, segment_id: str, grid: Grid, within: Part | None = None) -> Content:
    """The voxels of a segment on the editor's grid, and only those of one box when `within` is given.

    A segment on a grid of its own, as an import may leave it, is brought onto the editor's grid.
    Raises InputError for a segment without label map.
    """
    segment = node.GetSegmentation().GetSegment(segment_id)
    labels = None if segment is None else segment.GetRepresentation(LABELMAP)
    if labels is None:
        name = "that segment" if segment is None else f"segment {segment.GetName()!r}"
        raise InputError(f"{name} has no label map; convert the segmentation to a binary label map first")
    at = box_of_extent(labels.GetExtent())
    scalars = labels.GetPointData().GetScalars()
    if scalars is None or any(one.start >= one.stop for one in at):
        return Content()
    values = vtk_to_numpy(scalars).reshape([one.stop - one.start for one in at])
    if same_lattice(matrix_of(labels), grid.index_to_ras):
        box = at if within is None else common(within, at)
        return Content() if box is None else Content.of(values[placed_in(box, at)] == segment.GetLabelValue(), box)
    return on_grid(Content.of(values == segment.GetLabelValue(), at), matrix_of(labels), grid, within)


def same_lattice(first: np.ndarray, second: np.ndarray) -> bool:
    """True for two matrices that give every index the same place, to a ten-thousandth of a voxel."""
    return bool(np.abs(np.linalg.inv(second) @ first - np.eye(4)).max() < 1e-4)


def on_grid(content: Content, matrix: np.ndarray, grid: Grid, within: Part | None) -> Content:
    """Voxels of another lattice on the editor's."""
    if content.box is None:
        return content
    ways = Ways(matrix, (0, 0, 0), grid.index_to_ras)
    box = ways.box_around(content.box)
    box = box if within is None else common(box, within)
    return Content() if box is None else Content.of(ways.onto_lattice(content.mask, content.box, box), box)


@dataclass(frozen=True, eq=False)
class Wanted:
    """What shall change: voxels to add and to take away, bool of `box`, which lies on the editor's grid.

    outside: how many of them lie where the editor's grid does not reach, and are left out.
    """

    box: Part | None = None
    add: np.ndarray | None = None
    remove: np.ndarray | None = None
    outside: int = 0

    @property
    def nothing(self) -> bool:
        """True when no voxel shall change."""
        return self.box is None or not (self.add.any() or self.remove.any())


def wanted_of(before: np.ndarray, after: np.ndarray, part: Part, ways: Ways, grid: Grid, truth: Content) -> Wanted:
    """What the segment lacks of a change of a session: only voxels of which the answer itself changed.

    before, after: bool arrays of a part of the image. truth: what the segment holds. Where masking kept the segment from
    following an earlier answer, and this one says the same there, it stays as it is.
    """
    around = ways.box_around(part)
    box = common(around, grid.box)
    was, shall = (ways.onto_lattice(one, part, around) for one in (before, after))
    changed = was != shall
    if box is None:
        return Wanted(outside=int(np.count_nonzero(changed)))
    place = placed_in(box, around)
    outside = int(np.count_nonzero(changed)) - int(np.count_nonzero(changed[place]))
    holds, shall, changed = truth.within(box), shall[place], changed[place]
    return Wanted(box, changed & shall & ~holds, changed & ~shall & holds, outside)


def wanted_from(truth: Content, goal: Content) -> Wanted:
    """What makes the segment hold exactly `goal`, as it was when a session was in that state before."""
    box = joint(truth.box, goal.box)
    if box is None:
        return Wanted()
    holds, shall = truth.within(box), goal.within(box)
    return Wanted(box, shall & ~holds, holds & ~shall)


def write(hands: Hands, wanted: Wanted, grid: Grid) -> bool:
    """Changes the selected segment, after one state for the editor's Undo; False, and no such state, when nothing shall change.

    Voxels are added and taken away, never set: the editor's mode "set" first empties the whole segment, outside of the
    extent that it is given too.
    """
    require_main_thread("changing a segment")
    if hands.locked:
        raise InputError("the Segment Editor is locked; unlock it to change segments")
    if wanted.nothing:
        return False
    hands.save()
    for mask, mode in ((wanted.remove, REMOVE), (wanted.add, ADD)):
        box = box_of(mask, wanted.box)
        if box is not None:
            hands.modify(labels_of(mask[placed_in(box, wanted.box)], box, grid), mode, extent_of_box(box))
    return True


def labels_of(mask: np.ndarray, box: Part, grid: Grid) -> slicer.vtkOrientedImageData:
    """An oriented label image of one box of the editor's grid."""
    image = slicer.vtkOrientedImageData()
    image.SetExtent(*extent_of_box(box))
    image.SetImageToWorldMatrix(vtk_matrix(grid.index_to_ras))
    image.GetPointData().SetScalars(vtk_scalars(mask.astype(np.uint8)))
    return image

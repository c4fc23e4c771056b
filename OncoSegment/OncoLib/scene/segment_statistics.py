"""Measures of single segments of a segmentation node, for callers that ask for one segment after the other.

Slicer's Segment Statistics asks so. The node is converted once and its segments are measured together; what is kept are
the numbers, not the label images, and only until the segments, the image or the organ change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import slicer
import vtk

from OncoLib.errors import GeometryError, InputError, OncoError
from OncoLib.image import Image
from OncoLib.scene.segmentations import LABELMAP, segmentation_of
from OncoLib.scene.volumes import array_of, image_of
from OncoLib.segmentation import Segmentation


def labels_state(node: slicer.vtkMRMLSegmentationNode) -> tuple:
    """A value that differs when a segment, its name, its labels or the grid of the node changed."""
    source = node.GetSegmentation()
    items = [(name, source.GetSegment(name)) for name in source.GetSegmentIDs()]
    images = [(item, item.GetRepresentation(LABELMAP)) for _name, item in items]
    volume = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    text = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    return (
        node.GetID(),
        tuple((name, item.GetName(), item.GetLabelValue()) for name, item in items),
        tuple(0 if image is None else image.GetMTime() for _item, image in images),
        source.GetConversionParameter(text),
        None if volume is None else grid_state(volume),
    )


def grid_state(volume: slicer.vtkMRMLVolumeNode) -> tuple:
    """A value that differs when the volume's own grid changed."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    data = volume.GetImageData()
    return volume.GetID(), tuple(array_of(matrix).ravel()), None if data is None else data.GetDimensions()


def volume_state(volume: slicer.vtkMRMLVolumeNode | None) -> tuple | None:
    """A value that differs when the volume's values, grid, units or place in the world changed."""
    if volume is None:
        return None
    to_world = vtk.vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(volume.GetParentTransformNode(), None, to_world)
    data = volume.GetImageData()
    values = 0 if data is None else data.GetMTime()
    return (*grid_state(volume), values, volume.GetMTime(), tuple(array_of(to_world).ravel()))


def image_beside(node: slicer.vtkMRMLSegmentationNode, segmentation: Segmentation, volume) -> Image | None:
    """Image of a volume node in the frame of the segmentation node; None when its voxels are not those of the labels.

    Segment Statistics moves a transformed segmentation into the world before it asks: both parent transforms count.
    """
    if volume is None:
        return None
    between = vtk.vtkMatrix4x4()
    parents = volume.GetParentTransformNode(), node.GetParentTransformNode()
    if not slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(*parents, between):
        return None
    try:
        image = image_of(volume)
        moved = array_of(between)
        if not np.array_equal(moved, np.eye(4)):
            image = replace(image, ijk_to_ras=moved @ image.ijk_to_ras)
        segmentation.require_grid_of(image)
    except (GeometryError, InputError):
        return None
    return image


class SegmentMeasurer:
    """Measures segments of the scene's segmentation nodes. **Main thread only.**"""

    def __init__(self) -> None:
        self._state: tuple | None = None
        self._found: dict = {}
        self._problem: OncoError | None = None

    def measures_of(self, node, segment_id: str, *, volume=None, organ: str = "", together: Sequence[str] = ()):
        """`SegmentMeasures` of the segment with that id; those of the ids in `together` are made ready with it.

        volume: scalar volume node for the values inside; left out where its grid is another one. organ: name of the
        segment that the distance goes to. Raises InputError for an id that the node does not have or a node without
        label map, GeometryError for labels that lie off the reference grid; the same again until something changed.
        """
        state = (labels_state(node), volume_state(volume), organ)
        if state != self._state:
            self._state, self._found, self._problem = state, {}, None
        if self._problem is not None:
            raise self._problem
        if segment_id not in self._found:
            self._measure(node, [segment_id, *together], volume, organ)
        return self._found[segment_id]

    def _measure(self, node, segment_ids: Sequence[str], volume, organ: str) -> None:
        from OncoLib.filters.segment_measures import measure_segments

        try:
            segmentation = segmentation_of(node)
            known = dict(zip(node.GetSegmentation().GetSegmentIDs(), segmentation.segments))
            wanted = list(dict.fromkeys(name for name in segment_ids if name in known))
            if segment_ids[0] not in known:
                raise InputError(f"segmentation {node.GetName()!r} has no segment with the id {segment_ids[0]!r}")
            image = image_beside(node, segmentation, volume)
            measured = measure_segments(segmentation, image, organ=organ or None, segments=[known[name] for name in wanted])
        except OncoError as error:
            self._problem = error
            raise
        self._found |= dict(zip(wanted, measured))

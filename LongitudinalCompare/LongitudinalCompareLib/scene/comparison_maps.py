"""The map of changes of each later date as a segmentation under that date's transform. **Main thread only.**"""

from __future__ import annotations

import numpy as np
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from LongitudinalCompareLib.change_map import UNCHANGED, ChangeMap, segment_of
from LongitudinalCompareLib.scene.comparison_nodes import Parts
from OncoLib.scene.segmentations import LABELMAP, PROVENANCE, grid_of, tag_json, vtk_segment
from OncoLib.scene.volumes import MAP_ATTRIBUTE, vtk_matrix, vtk_scalars
from OncoLib.segmentation import Provenance

SEGMENTATION = "vtkMRMLSegmentationNode"
SAME_MM = 1e-4
FILLED, PALE = 0.6, 0.2
"""Opacity of what changed, and of what did not."""


def publish_map(parts: Parts, found: ChangeMap, when, volume):
    """The node of one date. It is marked as a map: nobody takes it for the segmentation of a scan."""
    node = parts.node(SEGMENTATION, f"map/{found.later}", f"Change to {when.when}, for looking only")
    node.SetDescription(found.description)
    node.SetAttribute(MAP_ATTRIBUTE, "changes since the baseline")
    provenance = Provenance("change map", "", parameters={"shown": list(found.shown), "left_out": dict(found.left_out)})
    node.SetAttribute(PROVENANCE, tag_json(provenance.as_dict()))
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    if not holds(node, found):
        modifying = node.StartModify()
        empty(node)
        fill(node, found, provenance)
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        node.EndModify(modifying)
        show(node)
    return node


def holds(node, found: ChangeMap) -> bool:
    """True when the node shows this map already: most acts of a reader change no voxel of it."""
    segments = node.GetSegmentation()
    items = [segments.GetNthSegment(at) for at in range(segments.GetNumberOfSegments())]
    told = [(one.label, one.name) for one in found.segments]
    if not items or [(one.GetLabelValue(), one.GetName()) for one in items] != told:
        return False
    images = [one.GetRepresentation(LABELMAP) for one in items]
    if any(one is None or one is not images[0] or one.GetPointData().GetScalars() is None for one in images):
        return False
    matrix, shape = grid_of(images[0])
    wanted = ijk_to_ras_at(found)
    same = shape == found.labels.shape and np.abs(matrix - wanted).max() < SAME_MM
    return bool(same) and np.array_equal(vtk_to_numpy(images[0].GetPointData().GetScalars()).reshape(shape), found.labels)


def ijk_to_ras_at(found: ChangeMap) -> np.ndarray:
    """Of the box of the map."""
    matrix = np.array(found.ijk_to_ras, dtype=float)
    matrix[:3, 3] += matrix[:3, :3] @ np.array(found.start_kji[::-1])
    return matrix


def empty(node) -> None:
    """Takes all segments out; without their images first Slicer erases each from the one they share."""
    segments = node.GetSegmentation()
    for at in range(segments.GetNumberOfSegments()):
        segments.GetNthSegment(at).RemoveAllRepresentations()
    segments.RemoveAllSegments()


def fill(node, found: ChangeMap, provenance: Provenance) -> None:
    """Segments that share one label image, which is as large as what changed, on the grid of the scan."""
    image, target = label_image(found), node.GetSegmentation()
    target.SetSourceRepresentationName(LABELMAP)
    for segment in found.segments:
        item = vtk_segment(segment, provenance)
        item.AddRepresentation(LABELMAP, image)
        target.AddSegment(item, segment.name)


def label_image(found: ChangeMap) -> slicer.vtkOrientedImageData:
    """The box of the map in its place on the whole grid."""
    image = slicer.vtkOrientedImageData()
    extent = [part for start, size in zip(found.start_kji[::-1], found.labels.shape[::-1]) for part in (start, start + size - 1)]
    image.SetExtent(*extent)
    image.SetImageToWorldMatrix(vtk_matrix(found.ijk_to_ras))
    image.GetPointData().SetScalars(vtk_scalars(found.labels))
    return image


def show(node) -> None:
    """What changed is filled, what did not is hardly seen; only at first, for the reader may want it otherwise."""
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetVisibility2DFill(True)
    display, segments = node.GetDisplayNode(), node.GetSegmentation()
    for at in range(segments.GetNumberOfSegments()):
        name = segments.GetNthSegmentID(at)
        pale = segments.GetSegment(name).GetLabelValue() == segment_of(UNCHANGED).label
        display.SetSegmentOpacity2DFill(name, PALE if pale else FILLED)



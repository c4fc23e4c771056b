"""The map of changes of each later date as a segmentation under that date's transform. **Main thread only.**"""

from __future__ import annotations

import slicer

from LongitudinalCompareLib.change_map import UNCHANGED, ChangeMap, segment_of
from LongitudinalCompareLib.scene.comparison_nodes import Parts
from OncoLib.scene.segmentations import LABELMAP, PROVENANCE, tag_json, vtk_segment
from OncoLib.scene.volumes import MAP_ATTRIBUTE, vtk_matrix, vtk_scalars
from OncoLib.segmentation import Provenance

SEGMENTATION = "vtkMRMLSegmentationNode"
FILLED, PALE = 0.6, 0.2
"""Opacity of what changed, and of what did not."""


def publish_map(parts: Parts, found: ChangeMap, when, volume):
    """The node of one date. It is marked as a map: nobody takes it for the segmentation of a scan."""
    node = parts.node(SEGMENTATION, f"map/{found.later}", f"Change to {when.when}, for looking only")
    node.SetDescription(found.description)
    node.SetAttribute(MAP_ATTRIBUTE, "changes since the baseline")
    provenance = Provenance("change map", "", parameters={"shown": list(found.shown), "left_out": dict(found.left_out)})
    node.SetAttribute(PROVENANCE, tag_json(provenance.as_dict()))
    modifying = node.StartModify()
    empty(node)
    fill(node, found, provenance)
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.EndModify(modifying)
    show(node)
    return node


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



"""Name, codes and color of a lesion by the organ or vertebra that holds it, where the scene knows one. **Main thread only.**"""

from __future__ import annotations

import slicer

from OncoLib.errors import OncoError
from OncoLib.image import SAME_GRID_TOLERANCE_MM, Image, grid_difference_mm
from OncoLib.scene.nodes import nodes_of_class
from OncoLib.scene.segmentations import FLAGS, STRUCTURE, reference_grid, segmentation_of, tag_json, tag_value
from OncoLib.segmentation import Segmentation
from OncoLib.terminology import serialize_tag, structure
from OncoSegmentLib.lesion.place import Context
from OncoSegmentLib.refine.lesion import LESION, named
from OncoSegmentLib.scene.refine_link import SegmentLink

NUMBER = "OncoSegment.LesionNumber"
"""Segment tag: number of a lesion that was begun by "Next lesion", while its name is the one that we gave it."""


def name_by_place(link: SegmentLink, image: Image) -> str:
    """Renames a lesion that still has the name it began with; its name, "" when it was left alone.

    The segmentations of the scene on the image's grid, its own one among them, say where it lies.
    """
    node, segment = link.node, link.node.GetSegmentation().GetSegment(link.segment_id)
    number = tag_value(segment, NUMBER) if segment is not None else ""
    if not number.isdigit() or not link.truth.voxels or segment.GetName() != f"{structure(LESION).name} {number}":
        return ""
    mask = link.ways.onto_image(link.truth)
    known = known_places(node, image)
    found = named(mask, Context(known), number=int(number), count=int(number)) if known else None
    segment.RemoveTag(NUMBER)
    if found is None:
        return ""
    what, _place = found
    segment.SetName(what.name)
    segment.SetColor([part / 255.0 for part in what.color])
    segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), serialize_tag(what.entry))
    segment.SetTag(STRUCTURE, what.structure)
    segment.SetTag(FLAGS, tag_json(list(what.flags)))
    return what.name


def known_places(node, image: Image) -> list[Segmentation]:
    """Segmentations of the scene that lie on the image's grid and under the same transform."""
    found = []
    for one in nodes_of_class(node.GetScene(), "vtkMRMLSegmentationNode"):
        grid = reference_grid(one)
        if grid is None or one.GetTransformNodeID() != node.GetTransformNodeID():
            continue
        if grid_difference_mm(image.ijk_to_ras, image.shape_kji, *grid) > SAME_GRID_TOLERANCE_MM:
            continue
        try:
            found.append(segmentation_of(one))
        except OncoError:
            continue  # without segments, or with one on another grid
    return found

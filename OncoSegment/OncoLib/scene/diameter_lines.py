"""Measured lines as Slicer's own markups, in a folder of the subject hierarchy, where the volume lies.

A reader can move their ends: Slicer then shows the new length in the views; the node's attribute keeps what was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import slicer
import vtk

from OncoLib.diameters import Line
from OncoLib.errors import InputError
from OncoLib.scene.host import require_main_thread
from OncoLib.segmentation import Segment

FOLDER = "Diameters"
KIND = "OncoSegment.Line"
"""Node attribute: which line of a segment's measures this is."""

SEGMENT = "OncoSegment.Segment"
"""Node attribute: name of the segment that was measured."""

MEASURED = "OncoSegment.MeasuredLength"
"""Node attribute: length as measured, before any end was moved."""

KIND_TEXTS = {
    "longest_in_plane": "longest",
    "perpendicular": "perpendicular",
    "maximum_3d": "maximum 3D",
    "distance_to_organ": "distance to organ",
}
"""How the lines of a segment's measures are called in a node's name; others by their own key."""


def add_diameter_lines(
    scene: slicer.vtkMRMLScene,
    measured: Sequence[tuple[Segment, Mapping[str, Line]]],
    *,
    volume=None,
    folder: str = FOLDER,
) -> list[slicer.vtkMRMLMarkupsLineNode]:
    """Adds one markups line for each line of each segment, in the order given. **Main thread only.**

    measured: segments with their lines by kind, as `SegmentMeasures.lines` holds them, in RAS of the volume's own frame.
    volume: the volume node that was measured: its parent transform holds for the lines too, and the folder lies beside
        it in the subject hierarchy. folder: name of that folder; a new one is made each time.

    Raises InputError, and adds nothing, for a line with an end that is no place.
    """
    require_main_thread("adding lines")
    for segment, lines in measured:
        for kind, line in lines.items():
            check_line(segment, kind, line)
    if not any(lines for _, lines in measured):
        return []
    scene.StartState(scene.BatchProcessState)
    try:
        nodes = [add_line(scene, segment, kind, line, volume) for segment, lines in measured for kind, line in lines.items()]
    finally:
        scene.EndState(scene.BatchProcessState)
    place_in_folder(scene, nodes, volume, folder)
    return nodes


def check_line(segment: Segment, kind: str, line: Line) -> None:
    """Raises InputError unless both ends are three finite numbers."""
    ends = np.array([line.start_ras_mm, line.end_ras_mm], dtype=float)
    if ends.shape != (2, 3) or not np.isfinite(ends).all():
        raise InputError(f"the line {kind!r} of segment {segment.name!r} has an end that is no place; wanted RAS in mm")


def line_name(segment: Segment, kind: str) -> str:
    """`Liver lesion 1: longest`."""
    return f"{segment.name}: {KIND_TEXTS.get(kind, kind.replace('_', ' '))}"


def add_line(scene, segment: Segment, kind: str, line: Line, volume) -> slicer.vtkMRMLMarkupsLineNode:
    """One line in the segment's color, without labels at its ends."""
    node = slicer.vtkMRMLMarkupsLineNode()
    node.SetName(line_name(segment, kind))
    node.SetAttribute(KIND, kind)
    node.SetAttribute(MEASURED, f"{line.length_mm:.6g} mm")
    node.SetAttribute(SEGMENT, segment.name)
    scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    if volume is not None:
        node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    for end in (line.start_ras_mm, line.end_ras_mm):
        node.AddControlPoint(vtk.vtkVector3d(*map(float, end)), "")
    color = [part / 255.0 for part in segment.color]
    display = node.GetDisplayNode()
    display.SetColor(color)
    display.SetSelectedColor(color)
    display.SetPointLabelsVisibility(False)
    # Slicer writes name and present length beside the line; white, because dark segments cannot be read on black.
    display.SetPropertiesLabelVisibility(True)
    display.GetTextProperty().SetColor(1.0, 1.0, 1.0)
    return node


def place_in_folder(scene, nodes: list, volume, name: str) -> int:
    """Puts the nodes into a new folder beside the volume, or at the top; returns the folder's item."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    parent = hierarchy.GetSceneItemID()
    if volume is not None:
        parent = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(volume) or hierarchy.CreateItem(parent, volume))
    folder = hierarchy.CreateFolderItem(parent, name)
    for node in nodes:
        item = hierarchy.GetItemByDataNode(node)
        if item:
            hierarchy.SetItemParent(item, folder)
        else:
            hierarchy.CreateItem(folder, node)
    return folder

"""A reader's caliper lines: drawn in a view of one date, read in that date's own frame. **Main thread only.**"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import slicer

from LongitudinalCompareLib.scene.manual_points import begin_clicking, between
from OncoLib.errors import InputError
from OncoLib.scene.host import require_main_thread

LINE = "vtkMRMLMarkupsLineNode"


def new_line(scene, volume, name: str, view_ids: Sequence[str] = ()):
    """An empty line under the transform of a scan. view_ids: where it is seen and drawn; all views for ()."""
    require_main_thread("adding a line")
    node = slicer.vtkMRMLMarkupsLineNode()
    node.SetName(scene.GenerateUniqueName(name))
    scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    if view_ids:
        node.GetDisplayNode().SetViewNodeIDs(list(view_ids))
    return node


def begin_drawing(scene, node, on_drawn: Callable[[], None]) -> Callable[[], None]:
    """The next two clicks set the ends, then `on_drawn`; returns what ends it before, which takes an unfinished line away."""
    return begin_clicking(scene, node, LINE, 2, on_drawn, lambda: scene.RemoveNode(node))


def ends_of(node, volume) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Both ends in the scan's own RAS, mm; InputError for a line that has no two ends."""
    if node.GetNumberOfDefinedControlPoints() != 2:
        raise InputError(f"line {node.GetName()!r} has {node.GetNumberOfDefinedControlPoints()} ends; wanted two")
    there = (node.GetNthControlPointPosition(at) for at in range(2))
    frames = node.GetParentTransformNode(), volume.GetParentTransformNode()
    first, second = (tuple(map(float, between(*frames, one))) for one in there)
    return first, second

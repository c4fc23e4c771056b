"""Places that a reader set by hand: where a lesion lies at a later date, when no alignment could be trusted there.

A place is a markups point in the follow-up's own frame: it stays on the tissue whatever transform the follow-up is shown
under, is saved with the scene, and can be moved. **Main thread only.**
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import slicer
import vtk

from OncoLib.scene.host import require_main_thread
from OncoLib.scene.nodes import nodes_of_class

LESION = "OncoSegment.ManualPoint"
"""Node attribute: name of the lesion."""

VOLUME = "OncoSegment.ManualPointVolume"
"""Role of the reference to the follow-up's volume."""

POINTS = "vtkMRMLMarkupsFiducialNode"
COLOR = (0.24, 0.75, 1.0)


def point_node(scene, volume, lesion: str):
    """The markups of a lesion at a follow-up, or None."""
    every = (one for one in nodes_of_class(scene, POINTS) if one.GetAttribute(LESION) == lesion)
    return next((one for one in every if one.GetNodeReference(VOLUME) is volume), None)


def make_point_node(scene, volume, lesion: str):
    """The same, made empty when there is none; it lies under the volume's transform."""
    require_main_thread("adding a point")
    node = point_node(scene, volume, lesion)
    if node is None:
        node = slicer.vtkMRMLMarkupsFiducialNode()
        node.SetName(f"{lesion}: by hand")
        node.SetAttribute(LESION, lesion)
        scene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetSelectedColor(COLOR)
        node.GetDisplayNode().SetPointLabelsVisibility(False)  # over the lesion it would hide what is marked
        node.SetNodeReferenceID(VOLUME, volume.GetID())
        node.SetMaximumNumberOfControlPoints(1)
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    return node


def point_of(scene, volume, lesion: str) -> np.ndarray | None:
    """RAS `[3]` in mm in the follow-up's own frame; None where none was set."""
    node = point_node(scene, volume, lesion)
    if node is None or not node.GetNumberOfDefinedControlPoints():
        return None
    return np.array(node.GetNthControlPointPosition(0))


def set_point(scene, volume, lesion: str, world_ras_mm: Sequence[float]):
    """Puts the lesion's point at a place of the world, instead of one set before; returns its markups."""
    node = make_point_node(scene, volume, lesion)
    node.RemoveAllControlPoints()
    node.AddControlPointWorld(vtk.vtkVector3d(*(float(part) for part in world_ras_mm)), "")
    return node


def remove_point(scene, volume, lesion: str) -> None:
    """Takes it away; harmless when there is none."""
    node = point_node(scene, volume, lesion)
    if node is not None:
        scene.RemoveNode(node)


def to_world(volume, ras_mm: Sequence[float]) -> np.ndarray:
    """A place of a volume's own frame, in the world."""
    return between(volume.GetParentTransformNode(), None, ras_mm)


def between(first, second, ras_mm: Sequence[float]) -> np.ndarray:
    """A place below one transform node, below another; None is the world."""
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(first, second, transform)
    return np.array(transform.TransformPoint(*(float(part) for part in ras_mm)))


def begin_placing(scene, node, on_placed: Callable[[], None]) -> Callable[[], None]:
    """The next click in a view that shows the node sets the point, then `on_placed`; returns what ends it before.

    A point that was set comes back when no new one is.
    """
    require_main_thread("placing a point")
    kept = [node.GetNthControlPointPosition(at) for at in range(node.GetNumberOfDefinedControlPoints())]
    node.RemoveAllControlPoints()

    def put_back() -> None:
        node.RemoveAllControlPoints()  # the one that follows the pointer, too
        for place in kept:
            node.AddControlPoint(vtk.vtkVector3d(*place), "")

    return begin_clicking(scene, node, POINTS, 1, on_placed, put_back)


def begin_clicking(
    scene, node, class_name: str, clicks: int, on_done: Callable[[], None], give_up: Callable[[], None]
) -> Callable[[], None]:
    """The next clicks in a view that shows the node set its points, then `on_done`; returns what ends it before, which calls
    `give_up` while points are missing."""
    interaction, selection = singleton(scene, "vtkMRMLInteractionNode"), singleton(scene, "vtkMRMLSelectionNode")
    selection.SetReferenceActivePlaceNodeClassName(class_name)
    selection.SetReferenceActivePlaceNodeID(node.GetID())
    interaction.SetPlaceModePersistence(0)
    tags: list[int] = []

    def stop() -> None:
        while tags:
            node.RemoveObserver(tags.pop())
        if interaction.GetCurrentInteractionMode() == interaction.Place:
            interaction.SetCurrentInteractionMode(interaction.ViewTransform)
        if node.GetScene() is not None and node.GetNumberOfDefinedControlPoints() < clicks:
            give_up()

    def placed(_caller, _event) -> None:
        if node.GetNumberOfDefinedControlPoints() >= clicks:
            stop()
            on_done()

    tags.append(node.AddObserver(node.PointPositionDefinedEvent, placed))
    interaction.SetCurrentInteractionMode(interaction.Place)
    return stop


def singleton(scene, class_name: str):
    """The scene's one node of a class, made where Slicer did not."""
    found = nodes_of_class(scene, class_name)
    return found[0] if found else scene.AddNewNodeByClass(class_name)

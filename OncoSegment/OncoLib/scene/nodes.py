"""Nodes of a scene by their class."""

from __future__ import annotations


def nodes_of_class(scene, class_name: str) -> list:
    """All nodes of a class and of those derived from it, in the order of the scene.

    `vtkMRMLScene.GetNodesByClass` leaves its collection to the caller; in Python nobody else gives it back, and it keeps
    every node, with its voxels, alive after the scene was closed. `slicer.util.getNodesByClass` gives it back but looks into
    Slicer's own scene only, whatever scene it is given (5.12).
    """
    found = scene.GetNodesByClass(class_name)
    found.UnRegister(None)
    return [found.GetItemAsObject(position) for position in range(found.GetNumberOfItems())]

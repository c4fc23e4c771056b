"""Nodes of a published comparison: each has a part to play, and who publishes again finds it by its part.

So a view, a table or a chart that shows a node keeps it over a reader's acts. A scene holds one comparison: another one takes its
place. **Main thread only.**
"""

from __future__ import annotations

from collections.abc import Iterator

import slicer
import vtk

from OncoLib.scene.nodes import nodes_of_class

PART = "OncoSegment.Comparison"
"""Attribute of each node and of each folder of the subject hierarchy: the part it plays."""

ROOT = "root"


class Parts:
    """The nodes of the comparison in a scene. Those that are not asked for until `finish` go away."""

    def __init__(self, scene) -> None:
        self.scene = scene
        self._old = {part: node for part, node in ours(scene)}
        self._used: set[str] = set()

    @property
    def first_time(self) -> bool:
        """True while nothing is published."""
        return not self._old

    def node(self, class_name: str, part: str, name: str):
        """The node of a part, made when there is none, with its name."""
        self._used.add(part)
        found = self._old.get(part)
        if found is not None and not found.IsA(class_name):
            remove_node(self.scene, found)
            found = None
        if found is None:
            found = self.scene.AddNewNodeByClass(class_name, name)
            found.SetAttribute(PART, part)
            self._old[part] = found
        found.SetName(name)
        return found

    def finish(self) -> None:
        """Takes away what the present comparison has not."""
        for part, node in self._old.items():
            if part not in self._used:
                remove_node(self.scene, node)
        self._old = {part: node for part, node in self._old.items() if part in self._used}


def ours(scene) -> Iterator[tuple[str, object]]:
    """Part and node of all that is published."""
    for node in nodes_of_class(scene, "vtkMRMLNode"):
        part = node.GetAttribute(PART)
        if part:
            yield part, node


def node_of(scene, part: str):
    """The node of a part, or None."""
    return next((node for found, node in ours(scene) if found == part), None)


def remove_node(scene, node) -> None:
    """Takes a node away with what shows and stores it, and with its item of the subject hierarchy."""
    for kind in ("Display", "Storage"):
        count = getattr(node, f"GetNumberOf{kind}Nodes", int)()
        every = [getattr(node, f"GetNth{kind}Node")(at) for at in range(count)]
        for one in every:
            if one is not None:
                scene.RemoveNode(one)
    item = hierarchy_of(scene).GetItemByDataNode(node)
    if item:
        hierarchy_of(scene).RemoveItem(item, False, False)  # first: in plain Python nothing else takes it away
    scene.RemoveNode(node)


def hierarchy_of(scene):
    """The scene's subject hierarchy."""
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def folder(scene, part: str, name: str, parent: int | None = None) -> int:
    """The folder of a part, made when there is none, with its name."""
    hierarchy = hierarchy_of(scene)
    item = folder_of(scene, part)
    if item is None:
        item = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID() if parent is None else parent, name)
        hierarchy.SetItemAttribute(item, PART, part)
        hierarchy.SetItemExpanded(item, part == ROOT)
    hierarchy.SetItemName(item, name)
    return item


def folder_of(scene, part: str) -> int | None:
    """The folder of a part, or None."""
    return folders(scene).get(part)


def folders(scene) -> dict[str, int]:
    """All our folders by their part."""
    hierarchy, found = hierarchy_of(scene), vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), found, True)
    items = [found.GetId(at) for at in range(found.GetNumberOfIds())]
    return {hierarchy.GetItemAttribute(one, PART): one for one in items if hierarchy.GetItemAttribute(one, PART)}


def place(scene, node, parent: int) -> None:
    """Puts a node into a folder."""
    hierarchy = hierarchy_of(scene)
    item = hierarchy.GetItemByDataNode(node)
    if not item:
        hierarchy.CreateItem(parent, node)
    elif hierarchy.GetItemParent(item) != parent:
        hierarchy.SetItemParent(item, parent)

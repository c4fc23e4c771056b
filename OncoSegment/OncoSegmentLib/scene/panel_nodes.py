"""A panel in the scene: consensus, what each expert said, where they disagree, together in one folder. **Main thread only.**"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import slicer

from OncoLib.image import Image
from OncoLib.scene.host import require_main_thread
from OncoLib.scene.visibility import show_all_segments
from OncoLib.scene.volumes import MAP_ATTRIBUTE, add_volume
from OncoSegmentLib.panel import PanelResult
from OncoSegmentLib.scene.segment_volume import publish

FOLDER, MAP = "Panel of experts", "Disagreement"
OPACITY = 0.6
SHOWN_FROM = 0.01
"""Vote entropy under this is drawn as nothing; one against 19 has 0.07, the least that the largest panel can have."""

ANCHORS = np.array([(255, 237, 110), (253, 141, 60), (189, 0, 38)], float)
"""Yellow, orange, red for 0, 1/2, 1: no tone of a gray image, and the redder the more the experts differ."""


@dataclass(frozen=True, eq=False)
class PanelNodes:
    """What a panel is in the scene. folder: its item in the subject hierarchy. experts: segmentation node by expert's name."""

    folder: int
    consensus: slicer.vtkMRMLSegmentationNode
    experts: dict[str, slicer.vtkMRMLSegmentationNode]


def publish_panel(scene, result: PanelResult, volume=None, *, surface: bool = False) -> PanelNodes:
    """Adds the consensus, shown, and each expert's own segmentation, hidden, in one folder beside their volume.

    Raises GeometryError, and adds nothing, when the volume's grid changed while the panel ran.
    """
    require_main_thread("adding a panel")
    scene.StartState(scene.BatchProcessState)  # lists and views follow once, not once an expert
    try:
        nodes = add_nodes(scene, result, volume, surface)
    finally:
        scene.EndState(scene.BatchProcessState)
    for node in (nodes.consensus, *nodes.experts.values()):
        show_all_segments(node)
    return nodes


def add_nodes(scene, result: PanelResult, volume, surface: bool) -> PanelNodes:
    """What `publish_panel` adds, in a batch of its own."""
    consensus = publish(scene, result.consensus.prediction, volume, surface=surface)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.GetItemByDataNode(consensus)
    name = f"{volume.GetName()}: {FOLDER}" if volume else FOLDER
    folder = hierarchy.CreateFolderItem(hierarchy.GetItemParent(item), hierarchy.GenerateUniqueItemName(name))
    hierarchy.SetItemParent(item, folder)
    experts = {}
    for one in result.heard:
        own = replace(one.prediction, segmentation=replace(one.prediction.segmentation, name=one.member.name))
        node = publish(scene, own, volume)
        node.GetDisplayNode().SetVisibility(False)
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), folder)
        experts[one.member.name] = node
    return PanelNodes(folder, consensus, experts)


def add_disagreement(scene, disagreement: np.ndarray, nodes: PanelNodes) -> slicer.vtkMRMLScalarVolumeNode:
    """Adds the map of vote entropy as a volume: 0 is clear, 1 is red. disagreement: float32 `[k, j, i]` in 0..1.

    It is named after the volume that the panel saw, whatever is chosen now.
    """
    from OncoLib.scene.segmentations import reference_grid

    volume = nodes.consensus.GetNodeReference(nodes.consensus.GetReferenceImageGeometryReferenceRole())
    ijk_to_ras, _shape = reference_grid(nodes.consensus)
    name = f"{volume.GetName()}: {MAP}" if volume else MAP
    node = add_volume(scene, Image(disagreement, ijk_to_ras), name=scene.GenerateUniqueName(name))
    node.SetAttribute(MAP_ATTRIBUTE, "disagreement")
    node.SetAndObserveTransformNodeID(nodes.consensus.GetTransformNodeID())
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(color_table(scene).GetID())
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0.0, 1.0)
    display.AutoThresholdOff()
    display.SetThreshold(SHOWN_FROM, 1.0)
    display.ApplyThresholdOn()
    display.SetInterpolate(False)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    beside = hierarchy.GetItemByDataNode(nodes.consensus) if nodes.consensus.GetScene() is scene else 0
    parent = hierarchy.GetItemParent(beside) if beside else hierarchy.GetSceneItemID()  # the folder may be gone
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(parent, node), parent)
    return node


def colors(values: np.ndarray) -> np.ndarray:
    """RGB 0..255, float, of vote entropies 0..1."""
    return np.stack([np.interp(values, (0.0, 0.5, 1.0), ANCHORS[:, channel]) for channel in range(3)], axis=-1)


def color_table(scene) -> slicer.vtkMRMLColorTableNode:
    """The table of `colors`, made once a scene."""
    found = scene.GetFirstNodeByName(f"{MAP} colors")
    if found is not None and found.IsA("vtkMRMLColorTableNode"):
        return found
    table = slicer.vtkMRMLColorTableNode()
    table.SetName(f"{MAP} colors")
    table.SetTypeToUser()
    table.SetNumberOfColors(256)
    for index, rgb in enumerate(colors(np.linspace(0.0, 1.0, 256)) / 255.0):
        table.SetColor(index, f"{index / 255:.2f}", *map(float, rgb), 1.0)
    table.GetLookupTable().SetTableRange(0.0, 1.0)
    scene.AddNode(table)
    return table


class Overlay:
    """A volume over all slice views, which get back what they showed when it goes."""

    def __init__(self, scene, volume) -> None:
        self._before: list[tuple] = []
        self.volume = volume
        for at in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")):
            view = scene.GetNthNodeByClass(at, "vtkMRMLSliceCompositeNode")
            before = scene.GetNodeByID(view.GetForegroundVolumeID() or "")
            self._before.append((view, before, view.GetForegroundOpacity()))
            view.SetForegroundVolumeID(volume.GetID())
            view.SetForegroundOpacity(OPACITY)

    def hide(self) -> None:
        """Views in which the user chose another foreground since keep it. A map that was removed left them without one."""
        left = self.volume.GetID() if self.shown else None
        for view, before, opacity in self._before:
            if view.GetScene() is not None and view.GetForegroundVolumeID() == left:
                there = before is not None and before.GetScene() is not None
                view.SetForegroundVolumeID(before.GetID() if there else None)
                view.SetForegroundOpacity(opacity)
        self._before.clear()

    @property
    def shown(self) -> bool:
        """False when the map is no longer in the scene."""
        return self.volume.GetScene() is not None

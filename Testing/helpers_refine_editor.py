"""A Segment Editor without a window: a volume, a segmentation and the editor's own logic, and what a test asks of them."""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from OncoLib.image import Image
from OncoLib.progress import silent
from OncoLib.scene.host import new_host
from OncoLib.scene.volumes import add_volume, image_of
from OncoSegmentLib.refine.masks import whole
from OncoSegmentLib.refine.protocol import Answer, Capabilities, usable
from OncoSegmentLib.refine.raster import kji_of, part_of_box
from OncoSegmentLib.refine.session import Session
from OncoSegmentLib.scene import refine_editor
from OncoSegmentLib.scene.refine_editor import LogicHands
from OncoSegmentLib.scene.refine_link import SegmentLink

SHAPE = (12, 14, 16)
NODE = slicer.vtkMRMLSegmentationNode
EDITOR = slicer.vtkMRMLSegmentEditorNode
UNDO_STATES = 10
"""As the Segment Editor's window sets it."""


class Bench:
    """The editor, its scene, and numpy views on what its segments hold."""

    def __init__(self, shape=SHAPE, matrix=None, voxels=None) -> None:
        self.host = new_host()
        self.scene = self.host.scene
        if voxels is None:
            voxels = np.arange(int(np.prod(shape)), dtype=np.int16).reshape(shape) % 100
        self.image = Image(voxels, np.diag([0.8, 0.9, 2.0, 1.0]) if matrix is None else matrix, modality="MR")
        self.volume = add_volume(self.scene, self.image, name="Volume")
        self.node = self.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        self.node.CreateDefaultDisplayNodes()
        self.node.SetReferenceImageGeometryParameterFromVolumeNode(self.volume)
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)
        for one in (self.volume, self.node):
            hierarchy.GetItemByDataNode(one) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), one)
        self.parameters = self.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self.logic.SetMRMLScene(self.scene)
        self.logic.SetSegmentEditorNode(self.parameters)
        self.logic.SetSegmentationNode(self.node)
        self.logic.SetSourceVolumeNode(self.volume)
        self.logic.SetMaximumNumberOfUndoStates(UNDO_STATES)
        self.hands = LogicHands(self.logic)
        self.reference = self.volume

    def segment(self, name: str, mask=None, *, own_layer: bool = False) -> str:
        """A new segment, selected, with voxels where `mask` says. own_layer: on a label image of its own."""
        segment_id = self.node.GetSegmentation().AddEmptySegment(name, name)
        self.select(segment_id)
        if mask is not None:
            self.paint(segment_id, mask, own_layer=own_layer)
        return segment_id

    def select(self, segment_id: str) -> None:
        """The editor's selected segment."""
        self.parameters.SetSelectedSegmentID(segment_id)

    def paint(self, segment_id: str, mask, *, mode=refine_editor.ADD, own_layer: bool = False) -> None:
        """What another effect does: one state for Undo, then voxels by the editor, past all masking."""
        self.logic.SaveStateForUndo()
        if own_layer:
            self.node.GetSegmentation().SeparateSegmentLabelmap(segment_id)
        grid = refine_editor.reference_grid(self.node)
        labels = refine_editor.labels_of(np.asarray(mask), grid.box, grid)
        self.logic.ModifySegmentByLabelmap(self.node, segment_id, labels, mode, True, True)

    def mask(self, segment_id: str) -> np.ndarray:
        """What a segment holds on the segmentation's grid, read by nothing that is tested here."""
        ids = vtk.vtkStringArray()
        ids.InsertNextValue(segment_id)
        labels = self.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
        assert self.host.segmentations.ExportSegmentsToLabelmapNode(self.node, ids, labels, self.reference)
        found = image_of(labels).voxels > 0
        self.scene.RemoveNode(labels)
        return found

    def link(self, segment_id: str, engine) -> SegmentLink:
        """A session for a segment."""
        return SegmentLink(self.node, segment_id, self.volume, lambda start: Session(engine, self.image, start=start))

    def refer_to(self, image: Image) -> None:
        """The segmentation gets the grid of another image for its own."""
        self.reference = add_volume(self.scene, image, name="Reference")
        self.node.SetReferenceImageGeometryParameterFromVolumeNode(self.reference)

    def ras(self, *kji) -> tuple[float, float, float]:
        """Where a voxel of the source volume lies."""
        return tuple((self.image.ijk_to_ras @ [*kji[::-1], 1.0])[:3])


class Blocks:
    """An engine for tests: a point puts a cube of voxels there, or takes one away, `reach` voxels around the one it lies in."""

    name = "blocks"

    def __init__(self, reach: int = 1, *, start: bool = True) -> None:
        self.reach, self.image, self.asked = reach, None, 0
        self.capabilities = Capabilities(prompts=("point", "box"), negative=("point",), start=start)

    def set_image(self, image, *, progress=silent, cancel=None) -> None:
        """Takes the image."""
        self.image = image

    def answer(self, question, *, progress=silent, cancel=None) -> Answer:
        """The mask for a question."""
        self.asked += 1
        usable(question.prompts, self.capabilities)
        mask = np.zeros(self.image.shape_kji, bool) if question.start is None else question.start.copy()
        for prompt in question.prompts:
            mask[block_of(self.image, prompt, self.reach)] = prompt.positive
        part = question.within or whole(self.image.shape_kji)
        if question.protected is not None:
            mask &= ~question.protected
        return Answer(part, mask[part])

    def close(self) -> None:
        """Lets go of the image."""
        self.image = None


def block_of(image: Image, prompt, reach: int):
    """The voxels that a prompt of `Blocks` is about."""
    if prompt.kind == "box":
        return part_of_box(image, prompt)
    k, j, i = np.floor(kji_of(image, [prompt.ras])[0] + 0.5).astype(int)
    return tuple(slice(max(one - reach, 0), one + reach + 1) for one in (k, j, i))


def cube(*bounds, shape=SHAPE) -> np.ndarray:
    """A mask that is true from k0 to k1, j0 to j1, i0 to i1, half open."""
    mask = np.zeros(shape, bool)
    mask[bounds[0] : bounds[1], bounds[2] : bounds[3], bounds[4] : bounds[5]] = True
    return mask

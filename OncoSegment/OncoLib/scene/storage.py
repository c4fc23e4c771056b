"""Slicer's own files: `.seg.nrrd` of one segmentation, `.mrb` of a scene with volume and segmentation.

VTK's own messages are off inside each call, because the outcome is checked and told in one sentence.
"""

from __future__ import annotations

from pathlib import Path

import slicer

from OncoLib.errors import InputError, OutputError
from OncoLib.scene.host import quiet_vtk, require_main_thread
from OncoLib.scene.segmentations import remove_segmentation, segmentation_of
from OncoLib.segmentation import Segmentation


def write_seg_nrrd(node: slicer.vtkMRMLSegmentationNode, path: Path) -> None:
    """Writes the node by Slicer's storage node; the node's own file name is left alone.

    Raises OutputError when the file could not be written.
    """
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    storage.SetUseCompression(True)
    storage.CropToMinimumExtentOff()
    with quiet_vtk():
        written = storage.WriteData(node)
    if not written or not path.exists():
        raise OutputError(f"{path.name}: could not be written; is the folder writable and the disk not full?")


def read_seg_nrrd(scene: slicer.vtkMRMLScene, path: Path) -> slicer.vtkMRMLSegmentationNode:
    """Adds the segmentation in a `.seg.nrrd` file to the scene. **Main thread only.**"""
    require_main_thread("loading a segmentation")
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path.name}: no such file")
    node = slicer.vtkMRMLSegmentationNode()
    node.SetName(path.name.removesuffix(".seg.nrrd"))
    scene.AddNode(node)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    with quiet_vtk():
        read = storage.ReadData(node)
    if not read:
        scene.RemoveNode(node)
        raise InputError(f"{path.name}: cannot be read as a segmentation; it is truncated, damaged, or another format")
    node.CreateDefaultDisplayNodes()
    return node


def load_segmentation(scene: slicer.vtkMRMLScene, path: Path) -> Segmentation:
    """The segmentation in a `.seg.nrrd` file; the scene is left as it was."""
    node = read_seg_nrrd(scene, path)
    try:
        return segmentation_of(node)
    finally:
        remove_segmentation(node)


def write_mrb(scene: slicer.vtkMRMLScene, path: Path) -> None:
    """Writes the whole scene as one `.mrb` bundle; raises OutputError when that fails."""
    with quiet_vtk():
        written = scene.WriteToMRB(str(Path(path).resolve()))
    if not written or not path.exists():
        raise OutputError(f"{path.name}: the scene could not be written; is the folder writable and the disk not full?")


def read_mrb(scene: slicer.vtkMRMLScene, path: Path) -> None:
    """Adds what an `.mrb` bundle holds to the scene. **Main thread only.**"""
    require_main_thread("loading a scene")
    if not Path(path).exists():
        raise InputError(f"{Path(path).name}: no such file")
    with quiet_vtk():
        read = scene.ReadFromMRB(str(Path(path).resolve()), False)
    if not read:
        raise InputError(f"{Path(path).name}: cannot be read as a Slicer scene bundle")

"""Slicer's own files: `.seg.nrrd` of one segmentation, `.mrb` of a scene with volume and segmentation.

VTK's own messages are off inside each call, because the outcome is checked and told in one sentence.
"""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from pathlib import Path

import slicer

from OncoLib.errors import InputError, OutputError
from OncoLib.image_files import is_whole_image
from OncoLib.private_folders import private_folder
from OncoLib.scene.host import quiet_vtk, reading_bundles, require_main_thread
from OncoLib.scene.segmentations import remove_segmentation, segmentation_of
from OncoLib.segmentation import Segmentation

SEGMENTATIONS = (".seg.nrrd", ".seg.nhdr")


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
    if not written or not path.is_file() or not is_whole_image(path):
        raise OutputError(f"{path.name}: could not be written; is the folder writable and the disk not full?")


def read_seg_nrrd(scene: slicer.vtkMRMLScene, path: Path) -> slicer.vtkMRMLSegmentationNode:
    """Adds the segmentation in a `.seg.nrrd` file to the scene. **Main thread only.**

    The file is read to its end first: Slicer's own reader ends the whole process on a damaged one.
    """
    require_main_thread("loading a segmentation")
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path.name}: no such file")
    if not is_whole_image(path):
        raise InputError(f"{path.name}: cannot be read as a segmentation; it is truncated, damaged, or another format")
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


def load_segmentation(scene: slicer.vtkMRMLScene, path: Path, *, may_be_empty: bool = False) -> Segmentation:
    """The segmentation in a `.seg.nrrd` file; the scene is left as it was. may_be_empty: see `segmentation_of`."""
    node = read_seg_nrrd(scene, path)
    try:
        return segmentation_of(node, may_be_empty=may_be_empty)
    finally:
        remove_segmentation(node)


def write_mrb(scene: slicer.vtkMRMLScene, path: Path) -> None:
    """Writes the whole scene as one `.mrb` bundle; raises OutputError when that fails."""
    with quiet_vtk():
        written = path.parent.is_dir() and scene.WriteToMRB(str(path.resolve()))
    if not written or not is_whole_zip(path):
        raise OutputError(f"{path.name}: the scene could not be written; is the folder writable and the disk not full?")


def read_mrb(scene: slicer.vtkMRMLScene, path: Path) -> None:
    """Adds what an `.mrb` bundle holds to the scene. **Main thread only.**

    The bundle is checked first: on a damaged one Slicer's reader adds a part of it, and leaves the process in a folder
    that is gone; a damaged segmentation in it would end the whole process.
    """
    require_main_thread("loading a scene")
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path.name}: no such file")
    folder = os.getcwd()
    try:
        with reading_bundles(scene), quiet_vtk():
            read = is_whole_zip(path) and has_whole_segmentations(path) and scene.ReadFromMRB(str(path.resolve()), False)
    finally:
        os.chdir(folder)
    if not read:
        raise InputError(f"{path.name}: cannot be read as a Slicer scene bundle")


def is_whole_zip(path: Path) -> bool:
    """True when every member of a zip file has its checksum."""
    try:
        with zipfile.ZipFile(path) as bundle:
            return bundle.testzip() is None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error):
        return False


def has_whole_segmentations(path: Path) -> bool:
    """True when ITK reads each segmentation of a bundle to its end. They are small; Slicer survives other damaged files."""
    folder = private_folder("oncosegment-scene-")
    try:
        with zipfile.ZipFile(path) as bundle:
            for name in bundle.namelist():
                if name.lower().endswith(SEGMENTATIONS):
                    (folder / "one.seg.nrrd").write_bytes(bundle.read(name))
                    if not is_whole_image(folder / "one.seg.nrrd"):
                        return False
        return True
    finally:
        shutil.rmtree(folder, ignore_errors=True)

"""A registration in the scene: its transform as a node, and the later scan on the baseline's grid to be looked at.

Slicer's transform nodes lead from what lies under them to the world: a later scan under the node shows where the baseline
shows the same anatomy. Ours lead from the baseline to the later scan, Slicer's "from parent". Nothing is measured on the copy.
"""

from __future__ import annotations

import shutil

import slicer

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.private_folders import private_folder
from OncoLib.registration.files import put_transform
from OncoLib.registration.resampling import resampled
from OncoLib.registration.transform import LinearTransform
from OncoLib.registration.warp import Transform
from OncoLib.scene.host import require_main_thread
from OncoLib.scene.volumes import MAP_ATTRIBUTE, add_volume, vtk_matrix

COPY_OF = "display copy on the baseline's grid"
"""Value of `MAP_ATTRIBUTE`: nobody takes the copy for a scan."""
SHA256_ATTRIBUTES = ("OncoSegment.FixedSHA256", "OncoSegment.MovingSHA256")
PREFIX = "oncosegment-transform-"


def add_transform(scene: slicer.vtkMRMLScene, transform: Transform, name: str, sha256: tuple[str, str] = ("", "")):
    """A transform node under which the later scan lies upon the baseline. **Main thread only.**

    sha256: of the images' content, baseline and later scan, kept as attributes. A warp's node is read from a private file by
    Slicer itself, so that it is what Slicer makes of our `.h5`. InputError for a transform that cannot be written.
    """
    require_main_thread("adding a transform")
    if isinstance(transform, LinearTransform):
        node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", scene.GenerateUniqueName(name))
        node.SetMatrixTransformFromParent(vtk_matrix(transform.fixed_to_moving_ras))
    else:
        node = read_by_slicer(scene, transform, name)
    for attribute, value in zip(SHA256_ATTRIBUTES, sha256):
        if value:
            node.SetAttribute(attribute, value)
    return node


def read_by_slicer(scene: slicer.vtkMRMLScene, transform: Transform, name: str):
    """The node that Slicer's own reader makes."""
    folder = private_folder(PREFIX)
    try:
        put_transform(folder / "transform.h5", transform)
        node = scene.AddNewNodeByClass("vtkMRMLTransformNode", scene.GenerateUniqueName(name))
        storage = slicer.vtkMRMLTransformStorageNode()
        storage.SetFileName(str(folder / "transform.h5"))
        if not storage.ReadData(node):
            scene.RemoveNode(node)
            raise InputError("Slicer could not read the transform back")
        return node
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def add_display_copy(scene: slicer.vtkMRMLScene, fixed: Image, moving: Image, transform: Transform, name: str):
    """A volume node of the later scan on the baseline's grid, marked as a copy. **Main thread only.**"""
    copy = resampled(moving, fixed, transform, outside=moving.value_range[0])
    node = add_volume(scene, copy, name=name)
    node.SetAttribute(MAP_ATTRIBUTE, COPY_OF)
    return node

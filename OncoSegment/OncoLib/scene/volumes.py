"""Scalar volume node to `Image` (a view, no copy) and back."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import get_vtk_array_type, numpy_to_vtk, vtk_to_numpy

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.scene.host import require_main_thread

MODALITY_ATTRIBUTE = "DICOM.Modality"
"""Node attribute; Slicer's own DICOM reader keeps the modality on the subject hierarchy item, see `modality_of`."""

MAP_ATTRIBUTE = "OncoSegment.Map"
"""Node attribute of a volume that was made of a result: what it shows. Nobody takes such a volume for a scan."""


def image_of(node: slicer.vtkMRMLScalarVolumeNode, *, modality: str = "") -> Image:
    """`Image` whose voxels are a view on the node's own array: valid while the node keeps its image data.

    modality: overrides what the scene knows. Raises InputError for a node without scalar 3-D data.
    """
    data = node.GetImageData()
    if data is None or data.GetPointData().GetScalars() is None:
        raise InputError(f"volume {node.GetName()!r} holds no image data")
    if data.GetNumberOfScalarComponents() != 1:
        count = data.GetNumberOfScalarComponents()
        raise InputError(f"volume {node.GetName()!r} has {count} values a voxel (color or vector); wanted one")
    voxels = vtk_to_numpy(data.GetPointData().GetScalars()).reshape(data.GetDimensions()[::-1])
    known = modality or modality_of(node)
    return Image(voxels, ijk_to_ras_of(node), modality=known, units=units_of(node, known), name=node.GetName())


def modality_of(node) -> str:
    """DICOM modality that the subject hierarchy or the node itself states; "" when neither does."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene()) if node.GetScene() else None
    if hierarchy is not None:
        item = hierarchy.GetItemByDataNode(node)
        if item:
            stated = hierarchy.GetItemAttribute(item, MODALITY_ATTRIBUTE)
            if stated:
                return stated
    return node.GetAttribute(MODALITY_ATTRIBUTE) or ""


def units_of(node, modality: str) -> str:
    """Units that the node states; CT is HU when it states none."""
    units = node.GetVoxelValueUnits() if hasattr(node, "GetVoxelValueUnits") else None
    if units is not None and units.GetCodeValue():
        return "HU" if units.GetCodeValue() == "[hnsf'U]" else units.GetCodeValue()
    return "HU" if modality == "CT" else ""


def ijk_to_ras_of(node) -> np.ndarray:
    """4x4 matrix of a volume node in its own frame (a parent transform is not applied)."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return array_of(matrix)


def array_of(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """numpy copy of a VTK matrix."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def vtk_matrix(array: np.ndarray) -> vtk.vtkMatrix4x4:
    """VTK matrix of a 4x4 array."""
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(array, dtype=float).ravel().tolist())
    return matrix


def vtk_scalars(voxels: np.ndarray) -> vtk.vtkDataArray:
    """VTK array with a copy of `voxels[k, j, i]`, so that edits in the scene never reach our arrays."""
    flat = np.ascontiguousarray(voxels).ravel()
    return numpy_to_vtk(flat, deep=True, array_type=get_vtk_array_type(flat.dtype))


def add_volume(scene: slicer.vtkMRMLScene, image: Image, *, name: str = "") -> slicer.vtkMRMLScalarVolumeNode:
    """Adds a scalar volume node with a copy of the image. **Main thread only.**"""
    require_main_thread("adding a volume")
    data = vtk.vtkImageData()
    data.SetDimensions(image.shape_kji[::-1])
    data.GetPointData().SetScalars(vtk_scalars(image.voxels))
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName(name or image.name or "Volume")
    node.SetIJKToRASMatrix(vtk_matrix(image.ijk_to_ras))
    node.SetAndObserveImageData(data)
    if image.modality:
        node.SetAttribute(MODALITY_ATTRIBUTE, image.modality)
    scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    return node

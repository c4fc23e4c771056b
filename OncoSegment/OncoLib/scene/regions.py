"""Regions of interest from the scene, as masks on the grid of the image that they limit."""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from OncoLib.errors import InputError
from OncoLib.image import Image, inside_box
from OncoLib.scene.segmentations import segmentation_of
from OncoLib.scene.volumes import array_of


def roi_mask(node: slicer.vtkMRMLMarkupsROINode, image: Image, ras_to_world: np.ndarray | None = None) -> np.ndarray:
    """Boolean `[k, j, i]` of voxel centers inside a markups ROI box, however it is turned.

    ras_to_world: linear transform of the volume's parent, identity when it has none.
    Raises InputError when the box is no box or holds no voxel.
    """
    if node.GetROIType() not in (node.ROITypeBox, node.ROITypeBoundingBox):
        raise InputError(f"region of interest {node.GetName()!r} is not a box")
    half = np.array(node.GetSize()) / 2.0
    object_to_world = array_of(node.GetObjectToWorldMatrix())
    to_world = np.eye(4) if ras_to_world is None else ras_to_world
    ijk_to_object = np.linalg.inv(object_to_world) @ to_world @ image.ijk_to_ras
    inside = inside_box(image.shape_kji, ijk_to_object, np.column_stack([-half, half]))
    if not inside.any():
        raise InputError(f"region of interest {node.GetName()!r} holds no voxel of the volume")
    return inside


def segment_mask(node: slicer.vtkMRMLSegmentationNode, segment_id: str, image: Image) -> np.ndarray:
    """Boolean `[k, j, i]` of one segment, which must lie on the image's own grid.

    Raises InputError when there is no such segment, GeometryError when it lies on another grid.
    """
    index = node.GetSegmentation().GetSegmentIndex(segment_id)
    if index < 0:
        raise InputError(f"segmentation {node.GetName()!r} has no such segment")
    segmentation = segmentation_of(node)
    segmentation.require_grid_of(image)
    return segmentation.mask(segmentation.segments[index])


def require_same_transform(first, second) -> None:
    """Raises InputError unless two nodes lie under one transform, so that equal grids are equal places."""
    if first.GetTransformNodeID() != second.GetTransformNodeID():
        raise InputError(f"{first.GetName()!r} and {second.GetName()!r} lie under different transforms; harden them first")


def parent_to_world(node) -> np.ndarray:
    """Linear transform of a node's parent to world; InputError when the parent is not linear."""
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    matrix = vtk.vtkMatrix4x4()
    if not transform.IsTransformToWorldLinear() or not transform.GetMatrixTransformToWorld(matrix):
        raise InputError(f"{node.GetName()!r} lies under a transform that is not linear; harden it first")
    return array_of(matrix)

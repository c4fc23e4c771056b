"""A transform as a node under which a follow-up's scan lies in the baseline's frame. **Main thread only.**

Slicer's own node takes points from the node to its parent: from the follow-up to the baseline, against the direction of our
transforms, which is the node's "from parent".
"""

from __future__ import annotations

import json

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from OncoLib.errors import InputError
from OncoLib.image import spacing_of
from OncoLib.registration.transform import LinearTransform
from OncoLib.registration.warp import Transform, WarpedTransform
from OncoLib.scene.host import require_main_thread
from OncoLib.scene.nodes import nodes_of_class
from OncoLib.scene.volumes import vtk_matrix

OURS = "OncoSegment.Registration"
"""Attribute of the node: how the transform was found, JSON."""

FIXED, MOVING = "OncoSegment.Registration.Fixed", "OncoSegment.Registration.Moving"
"""Roles of the references to the volumes."""


def publish_transform(scene, transform: Transform, fixed, moving, facts: dict):
    """The node of a pair of volumes, made when there is none.

    transform: the fixed volume's RAS to the moving one's, mm. InputError for an inverse warp or a chain of transforms.
    """
    require_main_thread("publishing a transform")
    from_parent = vtk_transform(transform)
    node = node_of_pair(scene, fixed, moving)
    if node is None:
        node = slicer.vtkMRMLTransformNode()
        node.SetName(f"{moving.GetName()} to {fixed.GetName()}")
        scene.AddNode(node)
        node.SetNodeReferenceID(FIXED, fixed.GetID())
        node.SetNodeReferenceID(MOVING, moving.GetID())
    node.SetAndObserveTransformFromParent(from_parent)
    node.SetAttribute(OURS, json.dumps(facts, sort_keys=True))
    return node


def node_of_pair(scene, fixed, moving):
    """The transform node that was published for two volumes, or None."""
    for node in nodes_of_class(scene, "vtkMRMLTransformNode"):
        if node.GetNodeReference(FIXED) is fixed and node.GetNodeReference(MOVING) is moving:
            return node
    return None


def vtk_transform(transform: Transform) -> vtk.vtkAbstractTransform:
    """The same as VTK applies it, RAS to RAS."""
    if isinstance(transform, LinearTransform):
        found = vtk.vtkTransform()
        found.SetMatrix(vtk_matrix(transform.fixed_to_moving_ras))
        return found
    if not isinstance(transform, WarpedTransform):
        raise InputError("only a matrix, or a field of displacements with one, can be shown in the scene")
    found = vtk.vtkGeneralTransform()  # what is concatenated last is applied first
    found.Concatenate(vtk_transform(transform.linear))
    found.Concatenate(grid_of(transform))
    return found


def grid_of(transform: WarpedTransform) -> slicer.vtkOrientedGridTransform:
    """The field of displacements, linear between its points as our own is."""
    field = transform.displacement_mm
    spacing = spacing_of(transform.ijk_to_ras)
    image = vtk.vtkImageData()
    image.SetDimensions(field.shape[2], field.shape[1], field.shape[0])
    image.SetSpacing(spacing)
    image.SetOrigin(transform.ijk_to_ras[:3, 3])
    scalars = numpy_to_vtk(np.ascontiguousarray(field).reshape(-1, 3), deep=True)
    image.GetPointData().SetScalars(scalars)
    direction = np.eye(4)
    direction[:3, :3] = transform.ijk_to_ras[:3, :3] / spacing
    found = slicer.vtkOrientedGridTransform()
    found.SetGridDirectionMatrix(vtk_matrix(direction))
    found.SetDisplacementGridData(image)
    found.SetInterpolationModeToLinear()
    return found

"""A transform as a node under which a follow-up's scan lies in the baseline's frame. **Main thread only.**"""

from __future__ import annotations

import json

import numpy as np
import slicer

from OncoLib.scene.nodes import nodes_of_class
from OncoLib.scene.volumes import vtk_matrix

OURS = "OncoSegment.Registration"
"""Attribute of the node: how the transform was found, JSON."""

FIXED, MOVING = "OncoSegment.Registration.Fixed", "OncoSegment.Registration.Moving"
"""Roles of the references to the volumes."""


def publish_transform(scene, transform, fixed, moving, facts: dict):
    """The node of a pair of volumes, made when there is none. Its parent is the fixed volume's frame: the way there is the
    transform's inverse.
    """
    found = [node for node in nodes_of_class(scene, "vtkMRMLTransformNode") if node.GetNodeReference(FIXED) is fixed]
    node = next((node for node in found if node.GetNodeReference(MOVING) is moving), None)
    if node is None:
        node = slicer.vtkMRMLTransformNode()
        node.SetName(f"{moving.GetName()} to {fixed.GetName()}")
        scene.AddNode(node)
        node.SetNodeReferenceID(FIXED, fixed.GetID())
        node.SetNodeReferenceID(MOVING, moving.GetID())
    node.SetMatrixTransformToParent(vtk_matrix(np.linalg.inv(transform.fixed_to_moving_ras)))
    node.SetAttribute(OURS, json.dumps(facts, sort_keys=True))
    return node

"""The transform node of a pair of scans: one for each pair, however often it is registered. **Main thread only.**"""

from __future__ import annotations

import json

import slicer

from LongitudinalCompareLib.scene.registrations import add_transform
from OncoLib.registration.warp import Transform
from OncoLib.scene.nodes import nodes_of_class

OURS = "OncoSegment.Registration"
"""Attribute of the node: how the transform was found, JSON."""

FIXED, MOVING = "OncoSegment.Registration.Fixed", "OncoSegment.Registration.Moving"
"""Roles of the references to the volumes."""


def publish_transform(scene, transform: Transform, fixed, moving, facts: dict):
    """The node under which the moving volume lies in the fixed one's frame.

    transform: the fixed volume's RAS to the moving one's, mm. One that was published before is replaced; what lay under it lies
    under the new one. InputError for a transform that cannot be shown, which leaves everything as it was.
    """
    name, old = f"{moving.GetName()} to {fixed.GetName()}", node_of_pair(scene, fixed, moving)
    node = add_transform(scene, transform, name)
    node.SetNodeReferenceID(FIXED, fixed.GetID())
    node.SetNodeReferenceID(MOVING, moving.GetID())
    node.SetAttribute(OURS, json.dumps(facts, sort_keys=True))
    if old is not None:
        replace_node(scene, old, node)
    return node


def replace_node(scene, old, new) -> None:
    """What lies under one transform node comes under the other, which takes its name."""
    for one in nodes_of_class(scene, "vtkMRMLTransformableNode"):
        if one.GetTransformNodeID() == old.GetID():
            one.SetAndObserveTransformNodeID(new.GetID())
    name, hierarchy = old.GetName(), slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.GetItemByDataNode(old)
    if item:
        hierarchy.RemoveItem(item, False, False)  # first: in plain Python nothing else takes it away
    scene.RemoveNode(old)
    new.SetName(name)


def node_of_pair(scene, fixed, moving):
    """The transform node that was published for two volumes, or None."""
    for node in nodes_of_class(scene, "vtkMRMLTransformNode"):
        if node.GetNodeReference(FIXED) is fixed and node.GetNodeReference(MOVING) is moving:
            return node
    return None

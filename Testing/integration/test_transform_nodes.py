"""Transforms in the scene: a place of the follow-up lies, in the world, where the baseline has it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from helpers_timepoints import add_scan
from LongitudinalCompareLib.scene.manual_points import to_world
from LongitudinalCompareLib.scene.transform_nodes import OURS, node_of_pair, publish_transform
from OncoLib.errors import InputError
from OncoLib.registration.transform import LinearTransform
from OncoLib.registration.warp import WarpedTransform
from OncoLib.scene.host import new_host
from OncoLib.scene.nodes import nodes_of_class


def linear() -> LinearTransform:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (10, -20, 30), degrees=True).as_matrix()
    matrix[:3, 3] = (5, -7, 11)
    return LinearTransform(matrix)


def warped() -> WarpedTransform:
    """A bulge of 4 mm on an oblique grid with a flipped axis."""
    k, j, i = np.indices((12, 13, 14))
    bulge = np.sin(np.pi * k / 11) * np.sin(np.pi * j / 12) * np.sin(np.pi * i / 13)
    field = bulge[..., None] * np.array([4.0, -3.0, 2.0])
    for axis in range(3):
        for end in (0, -1):
            np.moveaxis(field, axis, 0)[end] = 0
    grid = np.eye(4)
    grid[:3, :3] = Rotation.from_euler("z", 15, degrees=True).as_matrix() * (-8.0, 9.0, 10.0)
    grid[:3, 3] = (50, -60, -55)
    return WarpedTransform(field, grid, linear())


@pytest.mark.parametrize(("make", "tolerance_mm"), [(linear, 1e-9), (warped, 0.1)])
def test_a_place_of_the_follow_up_lies_where_the_baseline_has_it(make, tolerance_mm):
    scene, transform = new_host().scene, make()
    fixed, moving = add_scan(scene, "first"), add_scan(scene, "second")
    node = publish_transform(scene, transform, fixed, moving, {"engine": "tried"})
    moving.SetAndObserveTransformNodeID(node.GetID())
    points = np.random.default_rng(5).uniform(-35, 35, (40, 3))
    assert len(points) and np.linalg.norm(transform.moved(points) - points, axis=1).min() > 1
    shown = np.array([to_world(moving, one) for one in transform.moved(points)])
    np.testing.assert_allclose(shown, points, atol=tolerance_mm)  # Slicer bends between the field's points
    assert json.loads(node.GetAttribute(OURS)) == {"engine": "tried"}


def test_a_pair_has_one_node_and_what_lay_under_it_stays_under_it():
    scene = new_host().scene
    first, second, third = (add_scan(scene, name) for name in "abc")
    node = publish_transform(scene, warped(), first, second, {})
    mark = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    for one in (second, mark):
        one.SetAndObserveTransformNodeID(node.GetID())
    again = publish_transform(scene, linear(), first, second, {})
    assert node_of_pair(scene, first, second) is again and again.GetName() == "b to a" and again.IsLinear()
    assert [one.GetTransformNodeID() for one in (second, mark)] == [again.GetID()] * 2
    publish_transform(scene, linear(), first, third, {})
    assert sorted(one.GetName() for one in nodes_of_class(scene, "vtkMRMLTransformNode")) == ["b to a", "c to a"]


def test_what_has_no_single_field_is_refused_and_adds_nothing():
    scene = new_host().scene
    first, second = (add_scan(scene, name) for name in "ab")
    node = publish_transform(scene, linear(), first, second, {})
    with pytest.raises(InputError, match="only a matrix, or a field of displacements"):
        publish_transform(scene, warped().inverse(), first, second, {})
    assert nodes_of_class(scene, "vtkMRMLTransformNode") == [node]

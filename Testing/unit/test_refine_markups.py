"""Prompts as markups: every kind there and back, moved and deleted by a reader, through a saved scene, without identity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_refine_editor import Bench
from OncoSegmentLib.refine.history import Placed
from OncoSegmentLib.refine.prompts import Box, Lasso, Point, Scribble
from OncoSegmentLib.scene.refine_markups import PromptMarkups, markups_of, places_of, prompts_in, same_place
from OncoSegmentLib.scene.refine_shapes import frame_of

FLAT = Box(((1, 2, 3), (5, 2, 3), (5, 2, 9), (1, 2, 9)))
PROMPTS = (
    Point((1.5, -2.25, 3.125)),
    Point((4.0, 5.0, 6.0), False),
    Box.between((0, 0, 0), (4, 6, 8)),
    FLAT,
    Scribble(((0, 0, 0), (1, 0, 0), (2, 1, 0)), 1.5, False),
    Lasso(((0, 0, 0), (4, 0, 0), (4, 4, 0), (0, 4, 0))),
)


@pytest.fixture
def shown():
    """Markups of every kind, numbered from 1, and what was told of changes."""
    bench = Bench()
    bench.volume.SetName("Doe^Jane 19500101")
    bench.segment("own")
    told = []
    markups = PromptMarkups(bench.node, "own", bench.volume, lambda: told.append(markups.changes()))
    markups.show([Placed(number, prompt) for number, prompt in enumerate(PROMPTS, 1)])
    yield bench, markups, told
    markups.close()


def test_every_kind_comes_back_as_it_was(shown):
    _bench, markups, told = shown
    assert [type(node).__name__ for node in markups.nodes] == [
        "vtkMRMLMarkupsFiducialNode",
        "vtkMRMLMarkupsFiducialNode",
        "vtkMRMLMarkupsROINode",
        "vtkMRMLMarkupsPlaneNode",
        "vtkMRMLMarkupsCurveNode",
        "vtkMRMLMarkupsClosedCurveNode",
    ]
    assert prompts_in(markups.nodes) == list(enumerate(PROMPTS, 1))
    assert (markups.changes(), told) == ([], [])
    assert not any("Doe" in node.GetName() or "1950" in node.GetName() for node in markups.nodes)


def test_inside_and_outside_differ_by_more_than_green_and_red(shown):
    _bench, markups, _told = shown
    looks = {}
    for node in markups.nodes:
        sign = "outside" if "outside" in node.GetName() else "inside"
        looks.setdefault(sign, set()).add(node.GetDisplayNode().GetGlyphTypeAsString())
    assert looks == {"inside": {"ThickCross2D"}, "outside": {"Dash2D"}}


def test_what_a_reader_moves_or_deletes_is_told_and_nothing_else(shown):
    bench, markups, told = shown
    inside, outside, roi, plane, curve, lasso = markups.nodes
    inside.SetNthControlPointPosition(0, 9.0, 9.0, 9.0)
    inside.InvokeEvent(inside.PointEndInteractionEvent)
    assert told.pop() == [(1, Point((9.0, 9.0, 9.0)))]
    outside.RemoveNthControlPoint(0)
    assert told.pop()[1] == (2, None)
    roi.SetCenter(12.0, 3.0, 4.0)
    roi.InvokeEvent(roi.PointEndInteractionEvent)
    number, moved = told.pop()[2]
    assert number == 3
    assert same_place(moved, Box.between((10, 0, 0), (14, 6, 8)))
    plane.SetCenter(3.0, 7.0, 6.0)
    curve.SetNthControlPointPosition(2, 2.0, 5.0, 0.0)
    bench.scene.RemoveNode(lasso)
    changes = dict(told.pop())
    assert same_place(changes[4], Box(((1, 7, 3), (5, 7, 3), (5, 7, 9), (1, 7, 9))))
    assert changes[5] == Scribble(((0, 0, 0), (1, 0, 0), (2, 5, 0)), 1.5, False)
    assert changes[6] is None
    assert told == []


def test_showing_fewer_prompts_takes_the_others_away_and_tells_nobody(shown):
    _bench, markups, told = shown
    markups.show([Placed(2, PROMPTS[1]), Placed(6, PROMPTS[5])])
    assert prompts_in(markups.nodes) == [(2, PROMPTS[1]), (6, PROMPTS[5])]
    markups.show([Placed(number, prompt) for number, prompt in enumerate(PROMPTS, 1)])
    assert prompts_in(markups.nodes) == list(enumerate(PROMPTS, 1))
    assert told == []


def test_points_that_others_put_into_the_lists_and_spoiled_markups_do_no_harm(shown):
    import vtk

    _bench, markups, told = shown
    markups.nodes[0].AddControlPoint(vtk.vtkVector3d(0, 0, 0), "mine")
    markups.nodes[4].RemoveAllControlPoints()
    markups.nodes[5].SetAttribute("OncoSegment.Prompt", "{broken")
    assert [number for number, _ in prompts_in(markups.nodes)] == [1, 2, 3, 4]
    assert told[-1] == [(5, None)]


def test_markups_of_another_segment_are_left_alone_and_can_be_hidden(shown):
    bench, markups, _told = shown
    bench.segment("second")
    second = PromptMarkups(bench.node, "second", bench.volume)
    second.show([Placed(1, PROMPTS[0])])
    markups.set_visible(False)
    assert [node.GetDisplayNode().GetVisibility() for node in second.nodes] == [1]
    assert {node.GetDisplayNode().GetVisibility() for node in markups.nodes} == {0}
    second.close(remove=True)
    assert markups_of(bench.scene, bench.node, "second") == []
    assert len(markups.nodes) == 6


def test_they_lie_under_the_transform_of_the_volume(shown):
    import vtk

    bench, markups, _told = shown
    shift = vtk.vtkMatrix4x4()
    shift.SetElement(2, 3, 100.0)
    transform = bench.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(shift)
    bench.volume.SetAndObserveTransformNodeID(transform.GetID())
    markups.show([Placed(7, PROMPTS[0])])
    (node,) = [one for one in markups.nodes if one.GetNumberOfControlPoints() and one.GetNthControlPointDescription(0) == "7"]
    assert np.allclose(node.GetNthControlPointPositionWorld(0), np.add(PROMPTS[0].ras, (0, 0, 100)))
    assert prompts_in(markups.nodes) == [(7, PROMPTS[0])]


def test_they_are_saved_with_the_scene_and_found_again(shown, tmp_path):
    from OncoLib.scene.host import new_host
    from OncoLib.scene.storage import read_mrb, write_mrb

    bench, _markups, _told = shown
    write_mrb(bench.scene, tmp_path / "scene.mrb")
    scene = new_host().scene
    read_mrb(scene, tmp_path / "scene.mrb")
    node = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    found = prompts_in(markups_of(scene, node, "own"))
    assert [number for number, _ in found] == [1, 2, 3, 4, 5, 6]
    assert all(same_place(prompt, PROMPTS[number - 1]) for number, prompt in found)


@settings(max_examples=60, deadline=None)
@given(
    center=st.tuples(*[st.floats(-200, 200)] * 3),
    size=st.tuples(*[st.floats(0.5, 90)] * 3),
    seed=st.integers(0, 10_000),
    flat=st.booleans(),
)
def test_a_turned_box_with_corners_in_any_order_has_its_frame(center, size, seed, flat):
    rng = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    signs = np.array([(x, y, 0 if flat else z) for x in (-1, 1) for y in (-1, 1) for z in ((0,) if flat else (-1, 1))])
    corners = np.asarray(center) + (signs * np.array(size) / 2) @ axes.T
    box = Box(tuple(map(tuple, rng.permutation(corners))))
    middle, found, lengths = frame_of(box)
    assert np.allclose(middle, corners.mean(0), atol=1e-6)
    assert np.allclose(sorted(lengths), sorted([*size[:2], 0.0] if flat else size), atol=1e-3)
    assert np.isclose(np.linalg.det(found), 1.0, atol=1e-3)


def test_corners_of_no_right_angles_give_the_box_around_them():
    skew = ((0, 0, 0), (4, 0, 0), (1, 3, 0), (5, 3, 0), (0, 0, 2), (4, 0, 2), (1, 3, 2), (5, 3, 2))
    center, axes, size = frame_of(Box(skew))
    assert (tuple(center), tuple(size)) == ((2.5, 1.5, 1.0), (5.0, 3.0, 2.0))
    assert np.array_equal(axes, np.eye(3))


def test_a_marker_that_was_under_the_pointer_is_not_any_more_when_it_goes(shown):
    _bench, markups, _told = shown
    assert not markups.under_pointer()
    for context in ("", "mouse"):
        display = markups.nodes[0].GetDisplayNode()
        display.SetActiveComponent(display.ComponentControlPoint, 0, context)
    assert markups.under_pointer()
    markups.show([Placed(2, PROMPTS[1])])
    assert not markups.under_pointer()
    markups.show([Placed(1, PROMPTS[0]), Placed(2, PROMPTS[1])])
    assert not markups.under_pointer()


def test_places_of_prompts():
    assert places_of(PROMPTS[0]).shape == (1, 3)
    assert places_of(PROMPTS[3]).shape == (4, 3)

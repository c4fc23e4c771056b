"""Dates from the scene to the registration and back: nobody's name goes out, and all of it or nothing comes in."""

from __future__ import annotations

import numpy as np
import pytest

from helpers_timepoints import add_marked, add_scan, outcome, small_image
from LongitudinalCompareLib.scene.registered import Date, check_frames, prepare, publish, state_of
from LongitudinalCompareLib.scene.transform_nodes import OURS
from OncoLib.errors import InputError
from OncoLib.scene.host import new_host
from OncoLib.scene.nodes import nodes_of_class


@pytest.fixture
def three():
    """Three dates, the first two with a segmentation."""
    scene = new_host().scene
    volumes = [add_scan(scene, f"Jane Doe {at}", date=f"2024030{at + 1}", patient="7") for at in range(3)]
    made = [add_marked(scene, volume, name=f"Jane Doe's lesion {at}") for at, volume in enumerate(volumes[:2])]
    return scene, [Date(*one) for one in zip(volumes, [*made, None], ("2024-03-01", "2024-03-02 14:30", "2024-03-03"))]


def test_images_go_out_in_their_own_frame_without_names(three):
    scene, dates = three
    publish(scene, dates, [outcome(1, {"a": "good"}, shift=(10, 0, 0))])
    found = prepare(dates)
    assert [(one.date, one.time) for one in found] == [("2024-03-01", ""), ("2024-03-02", "14:30:00"), ("2024-03-03", "")]
    assert {one.image.name for one in found} == {""} and {one.segmentation.name for one in found[:2]} == {"Segmentation"}
    np.testing.assert_array_equal(found[1].image.ijk_to_ras, small_image().ijk_to_ras)
    assert found[2].segmentation is None and np.shares_memory(found[0].image.voxels, prepare(dates)[0].image.voxels)


def test_two_modalities_are_refused(three):
    scene, dates = three
    other = Date(add_scan(scene, "MR", image=small_image(modality="MR")), None, "2024-03-04")
    with pytest.raises(InputError, match=r"different modalities \(CT, MR\)"):
        prepare([*dates, other])


def test_a_scan_lies_with_its_segmentation_in_the_baselines_frame(three):
    scene, dates = three
    nodes = publish(scene, dates, [outcome(at, {}, shift=(10 * at, 0, 0)) for at in (1, 2)])
    for node, date in zip(nodes, dates[1:]):
        assert date.volume.GetTransformNodeID() == node.GetID() and node.GetAttribute(OURS)
    assert dates[1].segmentation.GetTransformNodeID() == nodes[0].GetID()
    bounds = np.zeros(6)
    dates[2].volume.GetRASBounds(bounds)
    assert bounds[0] == -20 - 1, "T(p) = p + 20: what the later scan shows at x lies at x - 20; half a voxel is 1 mm"
    turned = [dates[1], dates[0]]
    publish(scene, turned, [outcome(1, {})])
    assert dates[1].volume.GetTransformNodeID() is None and dates[1].segmentation.GetTransformNodeID() is None
    assert len(nodes_of_class(scene, "vtkMRMLTransformNode")) == 3


@pytest.mark.parametrize("which", ["volume", "segmentation"])
def test_what_somebody_else_moved_is_refused(three, which):
    scene, dates = three
    own = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "by somebody")
    getattr(dates[1], which).SetAndObserveTransformNodeID(own.GetID())
    with pytest.raises(InputError, match="not of this module|different transforms"):
        check_frames(dates)


def test_a_change_of_voxels_labels_or_nodes_is_noticed(three):
    scene, dates = three
    before = state_of(dates)
    assert state_of(dates) == before
    dates[1].volume.GetDisplayNode().SetWindowLevel(100, 10)
    assert state_of(dates) == before, "how it is shown does not matter"
    dates[2].volume.GetImageData().Modified()
    after = state_of(dates)
    assert after != before
    scene.RemoveNode(dates[1].segmentation)
    assert state_of(dates) != after

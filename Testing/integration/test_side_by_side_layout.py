"""The layout of two to four dates: its description, what each view shows, where a jump goes."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
import slicer

from helpers_timepoints import add_marked, add_scan, small_image
from LongitudinalCompareLib.scene import layout
from LongitudinalCompareLib.scene.layout import Column
from OncoLib.errors import InputError
from OncoLib.scene.host import new_host


@pytest.fixture
def scene():
    return new_host().scene


def columns(scene, count: int, modality: str = "CT"):
    return [
        Column(add_scan(scene, f"scan {at}", image=small_image(modality=modality)), f"2024-0{at + 1}-01") for at in range(count)
    ]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_description_has_a_column_a_date_with_axial_above_coronal(count):
    root = ElementTree.fromstring(layout.description(count))
    found = [
        [(view.get("singletontag"), view.findtext("property[@name='orientation']")) for view in column.iter("view")]
        for column in root.findall("item")
    ]
    assert found == [
        [(f"LongitudinalDate{at}Axial", "Axial"), (f"LongitudinalDate{at}Coronal", "Coronal")] for at in range(1, count + 1)
    ]
    node = slicer.vtkMRMLLayoutNode()
    node.AddLayoutDescription(layout.FIRST_LAYOUT + count, layout.description(count))
    assert node.IsLayoutDescription(layout.FIRST_LAYOUT + count), "Slicer's own node takes it"


@pytest.mark.parametrize("count", [1, 5])
def test_one_date_and_five_are_refused(scene, count):
    with pytest.raises(InputError, match=f"{count} dates cannot stand side by side; wanted 2 to 4"):
        layout.show_side_by_side(scene, columns(scene, count))
    assert not layout.is_shown(scene)


def test_each_view_shows_its_own_date_and_all_are_linked(scene):
    shown = columns(scene, 3)
    views = layout.show_side_by_side(scene, shown)
    assert layout.is_shown(scene)
    for at, view in enumerate(views):
        composite = layout.composite_of(scene, view)
        assert composite.GetBackgroundVolumeID() == shown[at // 2].volume.GetID() and composite.GetLinkedControl()
        assert view.GetLayoutLabel() == shown[at // 2].label and view.GetViewGroup() == layout.GROUP
        assert view.GetOrientation() == ("Axial", "Coronal")[at % 2]
    scales = {round(view.GetFieldOfView()[0] / view.GetDimensions()[0], 6) for view in views}
    assert len(scales) == 1, "one millimeter is as long in every view"
    again = layout.show_side_by_side(scene, shown[1:])
    assert again == views[:4] and layout.composite_of(scene, views[0]).GetBackgroundVolumeID() == shown[1].volume.GetID()


def test_a_segmentation_is_seen_in_the_column_of_its_date_and_in_views_of_others(scene):
    red = slicer.vtkMRMLSliceNode()
    red.SetLayoutName("Red")
    scene.AddNode(red)
    shown = columns(scene, 2)
    marked = add_marked(scene, shown[1].volume)
    views = layout.show_side_by_side(scene, [shown[0], Column(shown[1].volume, "later", marked)])
    display = marked.GetDisplayNode()
    assert [display.IsDisplayableInView(one.GetID()) for one in (red, *views)] == [True, False, False, True, True]
    assert not display.GetVisibility2DFill()
    display.SetVisibility2DFill(True)
    layout.show_side_by_side(scene, [shown[0], Column(shown[1].volume, "later", marked)])
    assert display.GetVisibility2DFill(), "what the reader changed stays"


@pytest.mark.parametrize(("modality", "same"), [("CT", True), ("MR", False)])
def test_ct_of_all_dates_has_one_window(scene, modality, same):
    shown = columns(scene, 2, modality)
    for one, level in zip(shown, (40, 400)):
        one.volume.GetDisplayNode().SetAutoWindowLevel(False)
        one.volume.GetDisplayNode().SetWindowLevel(350, level)
    layout.show_side_by_side(scene, shown)
    assert shown[1].volume.GetDisplayNode().GetLevel() == (40 if same else 400)


def test_a_jump_moves_the_views_of_the_layout_only(scene):
    red = slicer.vtkMRMLSliceNode()
    red.SetLayoutName("Red")
    scene.AddNode(red)
    views = layout.show_side_by_side(scene, columns(scene, 2))
    layout.jump(scene, (1.0, 2.0, 3.0))
    assert [[view.GetSliceToRAS().GetElement(axis, 3) for axis in range(3)] for view in views] == [[1.0, 2.0, 3.0]] * 4
    assert red.GetSliceToRAS().GetElement(0, 3) == 0.0


@pytest.mark.parametrize(
    ("dates", "labels"),
    [
        (["2024-03-01", "2024-06-10 14:30:00"], ["2024-03-01", "2024-06-10"]),
        (["2024-03-01", "2024-06-10", "2024-09-12"], ["2024-03", "2024-06", "2024-09"]),
        (["2024-03-01", "2024-03-10", "2024-09-12"], ["2024-03-01", "2024-03-10", "2024-09-12"]),
        (["2024-03-01 09:00:00", "2024-03-01 14:30:00"], ["2024-03-01 09:00:00", "2024-03-01 14:30:00"]),
    ],
)
def test_labels_are_as_short_as_they_tell_dates_apart(dates, labels):
    assert layout.view_labels(dates) == labels


def test_layouts_are_made_known_without_a_word_to_the_views(scene):
    node, told = layout.layout_node(scene), []
    shown = node.GetViewArrangement()
    node.AddObserver("ModifiedEvent", lambda *_: told.append(1))
    layout.register_layouts(scene)
    assert not told and node.GetViewArrangement() == shown
    counts = range(layout.LEAST, layout.MOST + 1)
    assert [node.GetLayoutDescription(layout.FIRST_LAYOUT + one) for one in counts] == [layout.description(one) for one in counts]
    assert node.GetSingletonTag() == "vtkMRMLLayoutNode", "Slicer takes it for its own"


def test_slicer_knows_the_layouts_once_it_has_started(slicer_stubs):
    node = layout.layout_node(slicer_stubs.scene)
    slicer_stubs.load_module("LongitudinalCompare")
    slicer_stubs.app.startupCompleted.emit()
    assert node.IsLayoutDescription(layout.FIRST_LAYOUT + 3)

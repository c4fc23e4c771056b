"""A comparison in Slicer's scene: what is published, what a reader's act changes, and what comes back of a file."""

from __future__ import annotations

import zipfile
from dataclasses import replace

import numpy as np
import pytest
import vtk

from helpers_assess import day, ref
from helpers_comparison_scene import SECRET, SHIFT, case, three_dates
from helpers_tracking import shift
from LongitudinalCompareLib.alignment import put_together
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.comparison import LONGEST_MM, VOLUME_ML
from LongitudinalCompareLib.reading import SIZE, Act
from LongitudinalCompareLib.scene.comparison_bundle import write_bundle
from LongitudinalCompareLib.scene.comparison_charts import show_lesion
from LongitudinalCompareLib.scene.comparison_nodes import folders, hierarchy_of, node_of, ours
from LongitudinalCompareLib.scene.comparison_scene import TITLE, publish, remove, restore_views
from LongitudinalCompareLib.scene.comparison_texts import read_back
from LongitudinalCompareLib.scene.layout import is_shown, layout_node, view_ids
from LongitudinalCompareLib.scene.proposals import proposals
from LongitudinalCompareLib.scene.registered import prepare
from OncoLib.errors import InputError, OutputError
from OncoLib.registration.warp import WarpedTransform
from OncoLib.scene.diameter_lines import KIND
from OncoLib.scene.host import new_host
from OncoLib.scene.segmentations import segmentation_of
from OncoLib.scene.storage import read_mrb, write_mrb

LINE = ((28.0, 14.0, 20.0), (28.0, 26.5, 20.0))
"""12.5 mm, in the RAS of a later date."""


@pytest.fixture(scope="module")
def shown():
    """Published once; tests that change something make their own."""
    made = case()
    comparison = made.assessed()
    return made, comparison, publish(made.scene, comparison, made.evidence, made.dates)


def by_reader() -> Act:
    return Act(SIZE, later=(ref(1, "A"),), values={"longest_line": [list(end) for end in LINE]}, by="Dr. X")


def ids(scene) -> list[str]:
    return sorted(scene.GetNthNode(at).GetID() for at in range(scene.GetNumberOfNodes()))


def columns(node) -> dict[str, list[str]]:
    table = node.GetTable()
    names = [table.GetColumnName(at) for at in range(table.GetNumberOfColumns())]
    return {name: [node.GetCellText(row, at) for row in range(node.GetNumberOfRows())] for at, name in enumerate(names)}


def items(scene) -> list[str]:
    """Names of all items of the subject hierarchy."""
    hierarchy, found = hierarchy_of(scene), vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), found, True)
    return [hierarchy.GetItemName(found.GetId(at)) for at in range(found.GetNumberOfIds())]


def world(line, at: int) -> np.ndarray:
    place = [0.0] * 3
    line.GetNthControlPointPositionWorld(at, place)
    return np.array(place)


def test_the_table_has_a_row_a_lesion_and_date_with_the_numbers_of_the_comparison(shown):
    _made, comparison, nodes = shown
    found = columns(nodes.lesions)
    assert found["Lesion"] == ["A"] * 3 + ["B"] * 3 + ["N"] * 3 and found["Date"] == [day(0), day(1), day(2)] * 3
    entries = [entry for track in comparison.tracks for entry in track.entries]
    assert found["Status"] == [one.status for one in entries]
    for heading, name in (("Volume (ml)", VOLUME_ML), ("Longest diameter (mm)", LONGEST_MM)):
        wanted = [one.value(name) for one in entries]
        assert [float(text) if text else None for text in found[heading]] == [
            None if one is None else pytest.approx(one, rel=5e-4) for one in wanted
        ]
    assert found["Volume (ml)"][6] == "", "nobody can say; not 0"
    assert found["Volume (ml)"][5] == "0" and found["Volume low (ml)"][5] == "0" and found["Volume high (ml)"][5] == ""
    assert nodes.lesions.GetLocked()
    assert len(set(found["Tracking UID"])) == 3


def test_categories_and_notes_are_tables_too(shown):
    _made, comparison, nodes = shown
    found = columns(nodes.response)
    told = [one for result in comparison.response for one in result.proposals]
    assert found["Category"][: len(told)] == [one.category for one in told]
    assert set(found["State"]) == {"proposed"} and found["Explanation"][0] == told[0].sentence
    assert columns(nodes.notes)["Note"] == [" ".join(one.text.split()) for one in comparison.flags]


def test_the_charts_hold_days_and_volumes_a_series_a_lesion_and_the_sum_with_its_nadir(shown):
    _made, comparison, nodes = shown
    series = [nodes.volumes.GetNthPlotSeriesNode(at) for at in range(nodes.volumes.GetNumberOfPlotSeriesNodes())]
    assert [one.GetName() for one in series] == ["A", "B", "N"] and {one.GetXColumnName() for one in series} == {"Day"}
    table = series[0].GetTableNode().GetTable()
    values = [table.GetColumnByName("A (ml)").GetValue(at) for at in range(3)]
    assert values == [comparison.tracks[0].entries[at].value(VOLUME_ML) for at in range(3)]
    assert np.isnan(table.GetColumnByName("N (ml)").GetValue(0))
    low, value, high = (table.GetColumnByName(f"B{part} (ml)").GetValue(0) for part in (" low", "", " high"))
    assert low < value < high
    sums = columns(nodes.sums.GetNthPlotSeriesNode(0).GetTableNode())
    heading = next(name for name in sums if name.startswith("Sum of diameters"))
    first, second, third = (float(text) for text in sums[heading])
    targets = [one for one in comparison.tracks if one.role == "target"]
    target_mm = [sum(one.entries[at].value(LONGEST_MM) or 0 for one in targets) for at in range(3)]
    assert [first, second, third] == pytest.approx(target_mm)
    low, high = nodes.sums.GetYAxisRange()
    assert low == 0 and max(target_mm) < high, "a change looks as large as it is"
    assert [float(text) for text in sums["Smallest so far (mm)"]] == pytest.approx(np.minimum.accumulate(target_mm))


def test_one_lesion_is_drawn_with_its_limits_and_all_without(shown):
    made, comparison, nodes = shown
    show_lesion(made.scene, comparison.track("A"))
    assert [nodes.volumes.GetNthPlotSeriesNode(at).GetName() for at in range(3)] == ["A low", "A", "A high"]
    show_lesion(made.scene, None, comparison.tracks)
    assert [nodes.volumes.GetNthPlotSeriesNode(at).GetName() for at in range(3)] == ["A", "B", "N"]


def test_later_dates_lie_in_the_baselines_frame_with_their_lines_and_maps(shown):
    made, comparison, nodes = shown
    assert made.dates[0].volume.GetTransformNodeID() is None
    for at in (1, 2):
        under = nodes.transforms[at].GetID()
        every = [made.dates[at].volume, made.dates[at].segmentation, nodes.maps[at], *nodes.lines[at]]
        assert {one.GetTransformNodeID() for one in every} == {under}
        assert nodes.transforms[at].GetName() == f"{day(at)} to {day(0)}"
    (first,) = [one for one in nodes.lines[0] if one.GetName() == f"A, {day(0)}: longest"]
    (later,) = [one for one in nodes.lines[1] if one.GetName() == f"A, {day(1)}: longest"]
    own = comparison.tracks[0].entries[1].lines["longest"]
    np.testing.assert_allclose(world(later, 0), np.subtract(own.start_ras_mm, (SHIFT, 0, 0)), atol=1e-9)
    assert later.GetLineLengthWorld() == pytest.approx(comparison.tracks[0].entries[1].value(LONGEST_MM))
    assert first.GetLocked() and first.GetTransformNodeID() is None


def test_the_map_holds_the_later_mask_voxel_by_voxel_and_says_what_it_is_for(shown):
    made, _comparison, nodes = shown
    found = segmentation_of(nodes.maps[2])
    voxels = {one.name.split(" ")[0]: int(found.mask(one).sum()) for one in found.segments}
    a, n = (int(one.mask.sum()) for one in made.evidence.dates[2].lesions)
    b = int(made.evidence.dates[0].lesions[1].mask.sum())
    assert voxels["Grown"] + voxels["Unchanged"] == a and voxels["New"] == n and voxels["Lesion"] == b
    np.testing.assert_array_equal(found.ijk_to_ras, made.evidence.dates[2].ijk_to_ras)
    assert "for looking only; volumes are measured on the native grids" in nodes.maps[2].GetDescription()
    assert "for looking only" in nodes.maps[2].GetName()
    assert {one.segmentation for one in proposals(made.scene)} == {one.segmentation for one in made.dates}
    assert all(len(one.segmentations) == 1 for one in proposals(made.scene)), "a map is not offered as a segmentation"


def test_each_date_is_seen_in_its_column_and_all_lies_in_one_folder(shown):
    made, _comparison, nodes = shown
    assert is_shown(made.scene)
    for at in range(3):
        for one in nodes.lines[at]:
            assert set(view_ids(made.scene, at)) <= set(one.GetDisplayNode().GetViewNodeIDs())
            assert not set(view_ids(made.scene, (at + 1) % 3)) & set(one.GetDisplayNode().GetViewNodeIDs())
    hierarchy, found = hierarchy_of(made.scene), folders(made.scene)
    assert hierarchy.GetItemName(found["root"]) == TITLE
    assert [hierarchy.GetItemName(found[f"date/{day(at)}"]) for at in range(3)] == [day(at) for at in range(3)]
    for _part, node in ours(made.scene):
        item = hierarchy.GetItemByDataNode(node)
        while item not in (found["root"], 0, hierarchy.GetSceneItemID()):
            item = hierarchy.GetItemParent(item)
        assert item == found["root"], node.GetName()
    assert not any(SECRET in node.GetName() for _part, node in ours(made.scene))
    assert not any(SECRET in nodes.transforms[at].GetName() for at in (1, 2))


def test_a_readers_line_is_drawn_beside_the_masks_and_publishing_again_keeps_the_nodes():
    made = case()
    before = publish(made.scene, made.assessed(), made.evidence, made.dates)
    old, items_before = ids(made.scene), items(made.scene)
    drawn = [one.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap") for one in before.maps.values()]
    times = [one.GetMTime() for one in [*drawn, *before.lines[0]]]
    view = made.scene.GetNodeByID(view_ids(made.scene, 0)[0])
    view.SetFieldOfView(11.0, 12.0, 1.0)
    after = publish(made.scene, made.assessed(by_reader()), made.evidence, made.dates)
    names = [one.GetName() for one in after.lines[1] if one.GetName().startswith("A")]
    assert names == [f"A, {day(1)}: longest", f"A, {day(1)}: perpendicular", f"A, {day(1)}: longest (reader)"]
    mask, _across, reader = (one for one in after.lines[1] if one.GetName().startswith("A"))
    assert reader.GetLineLengthWorld() == pytest.approx(12.5)
    assert mask.GetDisplayNode().GetSelectedColor() != reader.GetDisplayNode().GetSelectedColor()
    assert set(old) < set(ids(made.scene)) and len(ids(made.scene)) == len(old) + 2, "the line and how it is shown"
    assert columns(after.lesions)["Longest diameter (mm)"][1] == "12.5" and after.lesions is before.lesions
    assert view.GetFieldOfView()[0] == 11.0, "a reader's act moves no view"
    assert [one.GetMTime() for one in [*drawn, *after.lines[0]]] == times, "what is the same is left alone"
    publish(made.scene, made.assessed(), made.evidence, made.dates)
    assert ids(made.scene) == old and items(made.scene) == items_before, "undone, nothing is left of it"


def test_a_deformation_is_shown_as_it_is_and_comes_back_of_a_bundle(tmp_path):
    field = np.zeros((8, 8, 8, 3), np.float32)
    field[1:-1, 1:-1, 1:-1, 0] = 2.0
    warp = WarpedTransform(field, np.diag([9.0, 9.0, 9.0, 1.0]), shift(SHIFT, 0, 0))
    found = three_dates()
    pairs = (replace(found.pairs[0], transform=warp), found.pairs[1])
    made = case(replace(found, pairs=pairs))
    nodes = publish(made.scene, made.assessed(), made.evidence, made.dates)
    kept, points = nodes.transforms[1].GetID(), vtk.vtkGeneralTransform()
    nodes.transforms[1].GetTransformFromWorld(points)
    np.testing.assert_allclose(points.TransformPoint(20, 20, 20), warp.moved(np.array([[20.0, 20, 20]]))[0], atol=1e-4)
    assert publish(made.scene, made.assessed(), made.evidence, made.dates).transforms[1].GetID() == kept
    other = new_host()
    read_mrb(other.scene, write_bundle(tmp_path / "a.mrb", made.assessed(), made.evidence, prepare(made.dates)))
    evidence, reading, dates = read_back(other.scene)
    assert evidence.pairs[0].transform.displacement_mm.tobytes() == warp.displacement_mm.tobytes()
    before = dates[1].volume.GetTransformNodeID()
    assert publish(other.scene, assess(evidence, reading), evidence, dates).transforms[1].GetID() == before


def test_what_a_lesion_alone_was_registered_by_is_there_to_be_tried_and_moves_its_part_of_the_map():
    found = three_dates()
    regions = [replace(one, local=shift(SHIFT, 2, 0)) if one.name == "B" else one for one in found.pairs[0].alignment.regions]
    refined = replace(found.pairs[0], alignment=put_together(regions))
    made = case(replace(found, pairs=(refined, found.pairs[1])))
    nodes = publish(made.scene, made.assessed(), made.evidence, made.dates)
    local = node_of(made.scene, "local/1/B")
    assert local.GetName() == f"B: {day(1)} to {day(0)}, refined around the lesion"
    moved = vtk.vtkGeneralTransform()
    local.GetTransformFromWorld(moved)
    assert moved.TransformPoint(1.0, 2.0, 3.0) == pytest.approx((1.0 + SHIFT, 4.0, 3.0))
    assert made.dates[1].volume.GetTransformNodeID() == nodes.transforms[1].GetID(), "nothing lies under it"
    drawn = segmentation_of(nodes.maps[1])
    (shrunk,) = [drawn.mask(one) for one in drawn.segments if one.name.startswith("Shrunk")]
    rows = np.argwhere(shrunk)[:, 1]
    assert rows.max() == 42 + 2 + 6, "B ended at 48 mm; its own transform leads 2 mm further, a place that A never reaches"


def test_another_transform_takes_the_place_of_the_old_one_without_litter():
    made = case()
    publish(made.scene, made.assessed(), made.evidence, made.dates)
    before, names = len(ids(made.scene)), sorted(items(made.scene))
    pairs = (replace(made.evidence.pairs[0], transform=shift(SHIFT + 1, 0, 0)), made.evidence.pairs[1])
    moved = replace(made.evidence, pairs=pairs)
    nodes = publish(made.scene, assess(moved), moved, made.dates)
    assert len(ids(made.scene)) == before and sorted(items(made.scene)) == names
    assert made.dates[1].segmentation.GetTransformNodeID() == nodes.transforms[1].GetID()


def test_fewer_dates_leave_nothing_of_the_one_that_is_not_compared():
    made = case()
    publish(made.scene, made.assessed(), made.evidence, made.dates)
    two = replace(made.evidence, dates=made.evidence.dates[:2], pairs=made.evidence.pairs[:1])
    nodes = publish(made.scene, assess(two), two, made.dates[:2])
    assert set(folders(made.scene)) == {"root", "charts", f"date/{day(0)}", f"date/{day(1)}"}
    assert not any(part.startswith(("map/2", "line/2")) for part, _node in ours(made.scene)) and set(nodes.lines) == {0, 1}
    assert columns(nodes.lesions)["Date"] == [day(0), day(1)] * 2
    assert len(read_back(made.scene)[2]) == 2 and nodes.comparison.GetNodeReference("OncoSegment.Comparison.Volume2") is None
    hierarchy = hierarchy_of(made.scene)
    left = hierarchy.GetItemByDataNode(made.dates[2].volume.GetParentTransformNode())
    assert hierarchy.GetItemParent(left) == hierarchy.GetSceneItemID(), "its scan and transform stay"


def test_a_map_that_was_painted_on_is_put_right():
    made = case()
    nodes = publish(made.scene, made.assessed(), made.evidence, made.dates, arrange=False)
    good = segmentation_of(nodes.maps[1]).layers[0]
    nodes.maps[1].GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap").GetPointData().GetScalars().Fill(1)
    assert not np.array_equal(segmentation_of(nodes.maps[1]).layers[0], good)
    publish(made.scene, made.assessed(), made.evidence, made.dates, arrange=False)
    np.testing.assert_array_equal(segmentation_of(nodes.maps[1]).layers[0], good)


def test_removed_it_leaves_scans_and_transforms_alone():
    made = case()
    before, names = set(ids(made.scene)), items(made.scene)
    nodes = publish(made.scene, made.assessed(), made.evidence, made.dates, arrange=False)
    transforms = {one.GetID() for one in nodes.transforms.values()}
    remove(made.scene)
    assert set(ids(made.scene)) == before | transforms and not list(ours(made.scene)) and not folders(made.scene)
    assert items(made.scene) == [*names, *(one.GetName() for one in nodes.transforms.values())]


def test_what_cannot_be_published_changes_nothing():
    made = case()
    foreign = made.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "of somebody else")
    made.dates[1].volume.SetAndObserveTransformNodeID(foreign.GetID())
    before = ids(made.scene)
    with pytest.raises(InputError, match="not of this module"):
        publish(made.scene, made.assessed(), made.evidence, made.dates)
    with pytest.raises(InputError, match="3 dates, the scene 2"):
        publish(made.scene, made.assessed(), made.evidence, made.dates[:2])
    assert ids(made.scene) == before


def test_a_bundle_comes_back_with_the_same_numbers_and_is_read_on(shown, tmp_path):
    made, _comparison, nodes = shown
    comparison = made.assessed(by_reader())
    path = write_bundle(tmp_path / "comparison.mrb", comparison, made.evidence, prepare(made.dates))
    other = new_host()
    read_mrb(other.scene, path)
    found = {part: node for part, node in ours(other.scene)}
    assert columns(found["table/lesions"])["Longest diameter (mm)"][1] == "12.5"
    again = {part for part, _node in ours(made.scene)}
    assert again <= set(found), "all that was published is there"
    evidence, reading, dates = read_back(other.scene)
    assert assess(evidence, reading).as_dict() == comparison.as_dict()
    assert [one.segmentation.GetName() for one in dates] == [f"Segmentation {day(at)}" for at in range(3)]
    assert [one.volume.GetTransformNodeID() is None for one in dates] == [True, False, False]
    seen_in = set(found["map/1"].GetDisplayNode().GetViewNodeIDs())
    assert {"vtkMRMLSliceNodeRed", "vtkMRMLViewNode1", *view_ids(other.scene, 1)} <= seen_in, "with and without our layout"
    assert not seen_in & set(view_ids(other.scene, 0))
    assert not is_shown(other.scene), "without the extension Slicer would show no view at all"
    assert restore_views(other.scene) and is_shown(other.scene)
    kept = sorted(node.GetID() for node in found.values())
    publish(other.scene, assess(evidence, reading), evidence, dates)
    assert sorted(node.GetID() for _part, node in ours(other.scene)) == kept
    np.testing.assert_array_equal(*(segmentation_of(one).layers[0] for one in (found["map/2"], nodes.maps[2])))


def test_nobodys_name_and_no_path_is_in_a_bundle(shown, tmp_path):
    made, comparison, _nodes = shown
    path = write_bundle(tmp_path / "comparison.mrb", comparison, made.evidence, prepare(made.dates))
    with zipfile.ZipFile(path) as bundle:
        assert not any(SECRET in name for name in bundle.namelist())
        every = [bundle.read(name) for name in bundle.namelist()]
    assert not any(SECRET.encode() in data or str(tmp_path).encode() in data for data in every)
    with pytest.raises(OutputError):
        write_bundle(path, comparison, made.evidence, prepare(made.dates))


def test_views_are_side_by_side_again_after_a_scene_was_loaded(tmp_path):
    made = case()
    publish(made.scene, made.assessed(), made.evidence, made.dates)
    write_mrb(made.scene, tmp_path / "scene.mrb")
    other = new_host()
    assert not restore_views(other.scene)
    read_mrb(other.scene, tmp_path / "scene.mrb")
    assert restore_views(other.scene)
    number = layout_node(other.scene).GetViewArrangement()
    assert layout_node(other.scene).GetLayoutDescription(number) == layout_node(made.scene).GetLayoutDescription(number)
    shown = other.scene.GetNodeByID(view_ids(other.scene, 1)[0])
    assert shown.GetLayoutLabel() and day(1).startswith(shown.GetLayoutLabel())


def test_a_scan_that_was_removed_is_told_and_the_evidence_stays():
    made = case()
    publish(made.scene, made.assessed(), made.evidence, made.dates)
    made.scene.RemoveNode(made.dates[1].volume)
    evidence, reading, dates = read_back(made.scene)
    assert [one.volume is None for one in dates] == [False, True, False]
    assert assess(evidence, reading).as_dict() == made.assessed().as_dict()
    with pytest.raises(InputError, match="removed from the scene"):
        publish(made.scene, made.assessed(), evidence, dates)
    assert not restore_views(made.scene)


def test_a_scene_without_or_with_a_damaged_comparison_is_told():
    host = new_host()
    with pytest.raises(InputError, match="no comparison in this scene"):
        read_back(host.scene)
    made = case()
    publish(made.scene, made.assessed(), made.evidence, made.dates, arrange=False)
    node_of(made.scene, "text/evidence").SetText('{"format": "oncosegment.evidence/1"}')
    with pytest.raises(InputError, match="damaged; compare the dates again"):
        read_back(made.scene)


def test_both_lengths_of_a_lesion_stand_at_ends_that_lie_apart(shown):
    """The longest diameter's at its end in front, the other's at its end behind."""
    _, _, nodes = shown
    for line in (one for lines in nodes.lines.values() for one in lines):
        texts = [line.GetNthControlPointLabel(at) for at in range(2)]
        length = f"{line.GetMeasurement('length').GetValue():.1f} mm"
        assert sorted(texts) == ["", length]
        at, other = texts.index(length), texts.index("")
        front, behind = (line.GetNthControlPointPosition(one)[1] for one in (at, other))
        assert front >= behind if line.GetAttribute(KIND) == "longest" else front <= behind

"""The section "Panel of experts" on the import stubs, and a panel as nodes: folder, hidden experts, map, click, problems."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from helpers import reference_ct
from helpers_experts import INNER, LESION, NARROW, OUTER, SPOT, WIDE, boxes, by_range
from helpers_panel import finish
from OncoLib.scene.host import new_host
from OncoLib.scene.nodes import nodes_of_class
from OncoLib.scene.segmentations import segmentation_of
from OncoLib.scene.visibility import shown_segments
from OncoLib.scene.volumes import add_volume, image_of
from OncoSegmentLib.engine import jobs
from OncoSegmentLib.evaluation_log import read
from OncoSegmentLib.panel import Settings, members_of
from OncoSegmentLib.scene.panel_nodes import Overlay, add_disagreement, colors, publish_panel


@pytest.fixture
def result(tmp_path):
    """Two that draw the outer box, one of whom sees the lesion, and one that draws the inner box."""
    asked = [by_range(tmp_path, "a", liver=WIDE), by_range(tmp_path, "b", liver=WIDE, liver_lesion=LESION)]
    asked.append(by_range(tmp_path, "c", liver=NARROW))
    return jobs.run_panel(boxes(), members_of(asked), Settings(unlisted="absent"))


def shown(node) -> bool:
    return bool(node.GetDisplayNode().GetVisibility())


def test_a_panel_is_one_folder_with_the_consensus_shown_and_the_experts_hidden(result):
    host = new_host()
    volume = add_volume(host.scene, boxes(), name="CT")
    nodes = publish_panel(host.scene, result, volume)
    hierarchy = host.subject_hierarchy
    assert hierarchy.GetItemName(nodes.folder) == "CT: Panel of experts"
    assert hierarchy.GetItemParent(nodes.folder) == hierarchy.GetItemParent(hierarchy.GetItemByDataNode(volume))
    own = [nodes.consensus, *nodes.experts.values()]
    assert {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in own} == {nodes.folder}
    assert shown(nodes.consensus) and not any(shown(node) for node in nodes.experts.values())
    assert [node.GetName() for node in own] == [
        "CT: Consensus", "CT: 1 thresholds a", "CT: 2 thresholds b", "CT: 3 thresholds c",
    ]  # fmt: skip
    sizes = [int((segmentation_of(node).layers[0] == 1).sum()) for node in own]
    assert sizes == [OUTER - SPOT, OUTER - SPOT, OUTER - SPOT, INNER - SPOT]


def test_the_map_is_a_volume_over_the_views_which_get_back_what_they_showed(result):
    host = new_host()
    volume = add_volume(host.scene, boxes(), name="CT")
    other = add_volume(host.scene, boxes(), name="PET")
    views = [slicer.vtkMRMLSliceCompositeNode() for _ in range(2)]
    for view, name in zip(views, ("Red", "Green")):
        view.SetLayoutName(name)
        view.SetSingletonTag(name)
        host.scene.AddNode(view)
    views[0].SetForegroundVolumeID(other.GetID())
    views[0].SetForegroundOpacity(0.25)
    nodes = publish_panel(host.scene, result, volume)
    node = add_disagreement(host.scene, result.consensus.disagreement, nodes)
    assert np.array_equal(image_of(node).voxels, result.consensus.disagreement)
    assert np.array_equal(image_of(node).ijk_to_ras, boxes().ijk_to_ras) and node.GetName() == "CT: Disagreement"
    display = node.GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax(), display.GetApplyThreshold()) == (0.0, 1.0, 1)
    pipeline = display.GetOutputImageDataConnection().GetProducer()
    pipeline.Update()
    rgba = vtk_to_numpy(pipeline.GetOutput().GetPointData().GetScalars()).reshape(*boxes().shape_kji, 4)
    clear = result.consensus.disagreement == 0
    assert (rgba[clear][:, 3] == 0).all() and (rgba[~clear][:, 3] == 255).all()
    wanted = colors(result.consensus.disagreement[~clear])
    assert np.abs(rgba[~clear][:, :3] - wanted).max() <= 3, "the colors of the table are those that are documented"
    overlay = Overlay(host.scene, node)
    assert {view.GetForegroundVolumeID() for view in views} == {node.GetID()}
    views[1].SetForegroundVolumeID(other.GetID())
    overlay.hide()
    assert [(view.GetForegroundVolumeID(), view.GetForegroundOpacity()) for view in views][0] == (other.GetID(), 0.25)
    assert views[1].GetForegroundVolumeID() == other.GetID(), "what the user chose since stays"


def test_no_segment_is_hidden_by_what_a_view_kept_of_another_scene(result):
    """The segment selectors of Slicer's slice views hide one of a segmentation that is new to them."""
    host = new_host()
    added = []

    def hide_first(scene, _event):
        for node in nodes_of_class(scene, "vtkMRMLSegmentationNode"):
            if node not in added:
                added.append(node)
                node.GetDisplayNode().SetSegmentVisibility(node.GetSegmentation().GetNthSegmentID(0), False)

    tag = host.scene.AddObserver(host.scene.EndBatchProcessEvent, hide_first)
    nodes = publish_panel(host.scene, result, add_volume(host.scene, boxes(), name="CT"))
    host.scene.RemoveObserver(tag)
    own = [nodes.consensus, *nodes.experts.values()]
    assert set(own) <= set(added)
    assert all(shown_segments(node) == list(node.GetSegmentation().GetSegmentIDs()) for node in own)


def test_a_panel_is_one_change_for_lists_and_views(result):
    scene, ends = new_host().scene, []
    tag = scene.AddObserver(scene.EndBatchProcessEvent, lambda *_event: ends.append(True))
    publish_panel(scene, result)
    scene.RemoveObserver(tag)
    assert len(ends) == 1


def test_views_get_back_what_they_showed_when_the_map_or_that_volume_is_removed(result):
    scene = new_host().scene
    volume, other = (add_volume(scene, boxes(), name=name) for name in ("CT", "PET"))
    views = [slicer.vtkMRMLSliceCompositeNode() for _ in range(2)]
    for view, name, before in zip(views, ("Red", "Green"), (volume, other)):
        view.SetLayoutName(name)
        view.SetSingletonTag(name)
        scene.AddNode(view)
        view.SetForegroundVolumeID(before.GetID())
        view.SetForegroundOpacity(0.25)
    nodes = publish_panel(scene, result, volume)
    scene.RemoveNode(nodes.consensus)
    node = add_disagreement(scene, result.consensus.disagreement, nodes)
    assert np.array_equal(image_of(node).ijk_to_ras, boxes().ijk_to_ras), "also when the consensus is gone"
    overlay = Overlay(scene, node)
    scene.RemoveNode(node)
    scene.RemoveNode(other)
    assert not overlay.shown
    overlay.hide()
    assert [view.GetForegroundVolumeID() for view in views] == [volume.GetID(), None]
    assert [view.GetForegroundOpacity() for view in views] == [0.25, 0.25]


def ask(widget, *goals):
    """Adds goals to the panel as a user does."""
    section = widget.panelSection
    for goal in goals:
        widget._parameterNode.goal = goal
        section.ui.panelAddButton.click()
    return section


def texts(table) -> list[list[str]]:
    return [[table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)]


def test_goals_join_and_leave_and_a_run_gives_a_table_with_low_agreement_first(slicer_stubs):
    add_volume(slicer_stubs.scene, reference_ct(), name="Chest")
    view = slicer.vtkMRMLSliceNode()
    view.SetLayoutName("Red")
    slicer_stubs.scene.AddNode(view)
    composite = slicer.vtkMRMLSliceCompositeNode()
    composite.SetLayoutName("Red")
    slicer_stubs.scene.AddNode(composite)
    widget = slicer_stubs.open_widget("OncoSegment")
    section = ask(widget, "profile:bones", "profile:body", "profile:lungs")
    assert section.ui.panelRunButton.enabled and section.ui.panelList.count == 3
    section.ui.panelList.currentRow = 1
    section.ui.panelRemoveButton.click()
    section = ask(widget, "profile:bones")
    listed = [section.ui.panelList.item(row).text().partition(":")[0] for row in range(3)]
    assert listed == ["1 thresholds bones", "2 thresholds lungs", "3 thresholds bones"]
    runs = len(read()[0])
    section.ui.panelRunButton.click()
    assert not section.ui.panelRunButton.enabled and widget.progress.cancelButton.enabled
    finish(slicer_stubs, widget)
    rows = texts(section.ui.panelTable)
    bands = [row[1] for row in rows]
    assert bands == sorted(bands, key=["Low", "Candidate", "One expert", "Moderate", "High"].index)
    found = {row[0]: row for row in rows}
    assert found["Cortical bone"][1:] == ["High", "2 of 2", "1.000", "1.000", "", "1.000"]
    assert rows[0][1:4] == ["One expert", "1 of 1", ""]
    assert len(read()[0]) == runs + 3, "every expert's run is in the log"
    assert widget.progress.sentence == "Done: Chest: Consensus"
    assert widget.ui.segmentTable.rowCount == len(rows) and "the same in every voxel" in widget.ui.notesLabel.text
    section.onClicked(0, 0)
    node = section._nodes.consensus
    center = node.GetSegmentCenterRAS(node.GetSegmentation().GetSegmentIdBySegmentName(rows[0][0]))
    assert view.GetSliceToRAS().GetElement(2, 3) == pytest.approx(center[2], abs=1e-6)
    section.ui.disagreementButton.click()
    assert composite.GetForegroundVolumeID() and section.ui.disagreementButton.text == "Hide disagreement"
    section.ui.disagreementButton.click()
    assert not composite.GetForegroundVolumeID() and section.ui.disagreementButton.text == "Show disagreement"
    slicer_stubs.scene.RemoveNode(slicer_stubs.scene.GetFirstNodeByName("Chest: Disagreement"))
    widget.ui.inputSelector.setCurrentNode(add_volume(slicer_stubs.scene, boxes(), name="Another"))
    section.ui.disagreementButton.click()
    shown_map = slicer_stubs.scene.GetNodeByID(composite.GetForegroundVolumeID())
    assert shown_map.GetName().startswith("Chest: Disagreement"), "named after the scan that the panel saw"
    slicer_stubs.scene.Clear(False)
    assert section.ui.panelTable.rowCount == 0 and not section.ui.disagreementButton.enabled
    assert section.ui.disagreementButton.text == "Show disagreement" and composite.GetForegroundOpacity() == 0.0
    assert section.ui.panelList.count == 3, "profiles need no volume of the scene that went"


def test_a_scene_that_closes_ends_the_panel(slicer_stubs):
    add_volume(slicer_stubs.scene, reference_ct("chest", (2.0, 2.0, 2.5)), name="Chest")
    widget = slicer_stubs.open_widget("OncoSegment")
    section = ask(widget, "profile:bones", "profile:lungs")
    section.ui.panelRunButton.click()
    job = widget.progress.monitor.job
    slicer_stubs.scene.Clear(False)
    assert widget.progress.monitor is None and job._closed and job._folder is not None and not job._folder.exists()
    add_volume(slicer_stubs.scene, reference_ct(), name="Next")
    widget.enter()
    assert section.ui.panelRunButton.enabled and section.ui.panelList.count == 2


def test_what_cannot_be_run_is_a_sentence_and_nothing_starts(slicer_stubs):
    add_volume(slicer_stubs.scene, reference_ct(), name="Chest")
    widget = slicer_stubs.open_widget("OncoSegment")
    section = ask(widget, "profile:bones")
    assert not section.ui.panelRunButton.enabled and section.ui.panelRunButton.toolTip == "Add two experts or more"
    ask(widget, "profile:lungs")
    section.ui.panelMethodSelector.setCurrentIndex(section.ui.panelMethodSelector.findData("staple"))
    section.ui.panelRunButton.click()
    assert widget.progress.sentence == "staple judges experts by each other and needs 3; the panel has 2"
    assert widget.progress.monitor is None
    section.ui.panelMethodSelector.setCurrentIndex(section.ui.panelMethodSelector.findData("learned"))
    assert section.settings() == Settings("weights", learned=True, least=1, measure=True)


def test_cancel_leaves_the_scene_as_it_was(slicer_stubs):
    add_volume(slicer_stubs.scene, reference_ct("chest", (2.0, 2.0, 2.5)), name="Chest")
    widget = slicer_stubs.open_widget("OncoSegment")
    section = ask(widget, "profile:bones", "profile:lungs")
    section.ui.panelRunButton.click()
    widget.progress.cancelButton.click()
    finish(slicer_stubs, widget)
    assert "Cancelled" in widget.progress.sentence and section.ui.panelRunButton.enabled
    assert slicer_stubs.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_views_are_given_back_when_the_module_is_reloaded(slicer_stubs, result):
    scene = slicer_stubs.scene
    volume = add_volume(scene, boxes(), name="CT")
    view = slicer.vtkMRMLSliceCompositeNode()
    view.SetLayoutName("Red")
    scene.AddNode(view)
    widget = slicer_stubs.open_widget("OncoSegment")
    widget.panelSection._on_result(result, volume.GetID())
    widget.panelSection.ui.disagreementButton.click()
    assert view.GetForegroundVolumeID() and view.GetForegroundOpacity() > 0
    widget.cleanup()
    assert not view.GetForegroundVolumeID() and view.GetForegroundOpacity() == 0


def test_what_the_consensus_left_out_is_gray_and_a_candidate_is_not(slicer_stubs, result):
    volume = add_volume(slicer_stubs.scene, boxes(), name="CT")
    section = slicer_stubs.open_widget("OncoSegment").panelSection
    section._on_result(result, volume.GetID())
    table = section.ui.panelTable
    shown_rows = [row[:2] for row in texts(table)]
    assert shown_rows == [["Liver lesion", "Left out"], ["Liver", "Low"], ["Liver lesion, candidate 1", "Candidate"]]
    assert "Low; not in the consensus" in table.item(0, 1).look["toolTip"]
    assert [row for row in range(table.rowCount) if "foreground" in table.item(row, 0).look] == [0]

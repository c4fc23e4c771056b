"""The effect "Click refine" in the stubbed window around the editor's real logic: events, keys, job, undo, another scene."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from helpers_refine_editor import SHAPE, Blocks, cube
from OncoLib.image import Image
from OncoSegmentLib.refine.prompts import Point

PRESS, MOVE, RELEASE = "LeftButtonPressEvent", "MouseMoveEvent", "LeftButtonReleaseEvent"


class View:
    """A slice view whose pixels are voxels of one slice, or a 3D view."""

    def __init__(self, scene, slice_k: int | None = None) -> None:
        self.kind = "qMRMLThreeDWidget" if slice_k is None else "qMRMLSliceWidget"
        if slice_k is not None:
            import slicer

            self.node = slicer.vtkMRMLSliceNode()
            self.node.SetLayoutName(f"k{slice_k}")
            scene.AddNode(self.node)
            # One pixel a voxel of 0.8 x 0.9 mm: the view's pixel (x, y) is voxel (i, j) of slice k.
            self.node.SetDimensions(SHAPE[2], SHAPE[1], 1)
            self.node.SetFieldOfView(SHAPE[2] * 0.8, SHAPE[1] * 0.9, 2.0)
            matrix = self.node.GetSliceToRAS()
            for row, value in enumerate((SHAPE[2] * 0.4, SHAPE[1] * 0.45, 2.0 * slice_k)):
                matrix.SetElement(row, 3, value)
            for at in range(3):
                matrix.SetElement(at, at, 1.0)
            self.node.UpdateMatrices()

    def className(self) -> str:
        """Of the widget."""
        return self.kind


class Window:
    """An editor with the effect, and what a reader does in it."""

    def __init__(self, stubs, monkeypatch, effects) -> None:
        import slicer

        from OncoLib.scene.volumes import add_volume
        from OncoSegmentLib.refine import far
        from stubs.segment_editor import qMRMLSegmentEditorWidget

        self.stubs, self.scene = stubs, stubs.scene
        self.engine = Blocks()
        self.engines: list[str] = []
        monkeypatch.setattr(far, "FarEngine", self.make_engine)
        module = stubs.load_module("OncoSegment")
        module.registerEffect()
        (registered,) = effects.registered
        self.effect = registered.self().clone()
        self.image = Image(np.zeros(SHAPE, np.int16), np.diag([0.8, 0.9, 2.0, 1.0]), modality="MR")
        self.volume = add_volume(self.scene, self.image, name="Volume")
        self.node = self.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        self.node.CreateDefaultDisplayNodes()
        self.node.SetReferenceImageGeometryParameterFromVolumeNode(self.volume)
        parameters = self.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self.logic.SetMRMLScene(self.scene)
        self.logic.SetSegmentEditorNode(parameters)
        self.logic.SetSegmentationNode(self.node)
        self.logic.SetSourceVolumeNode(self.volume)
        self.logic.SetMaximumNumberOfUndoStates(10)
        self.logic.AddEmptySegment("own")
        self.logic.ClearUndoState()
        self.editor = qMRMLSegmentEditorWidget()
        self.effect.place(self.editor, self.logic)
        self.python = self.effect.self()
        self.view = View(self.scene, 5)
        self.effect.setActive(True)

    def make_engine(self, name):
        """Where the effect would ask workers."""
        self.engines.append(name)
        return self.engine

    def event(self, name, x, y, *, view=None, control=False, shift=False) -> bool:
        """One event; True when it is used up."""
        interactor = SimpleNamespace(
            GetEventPosition=lambda: (x, y),
            GetShiftKey=lambda: int(shift),
            GetControlKey=lambda: int(control),
            GetAltKey=lambda: 0,
        )
        import vtk

        return self.python.processInteractionEvents(interactor, getattr(vtk.vtkCommand, name), view or self.view)

    def click(self, x, y, **options) -> bool:
        """A press and a release."""
        used = self.event(PRESS, x, y, **options)
        self.event(RELEASE, x, y, **options)
        self.settle()
        return used

    def drag(self, path, **options) -> None:
        """A press, moves, a release."""
        self.event(PRESS, *path[0], **options)
        for place in path[1:]:
            self.event(MOVE, *place, **options)
        self.event(RELEASE, *path[-1], **options)
        self.settle()

    def settle(self) -> None:
        """Qt has time until nothing happens any more."""
        from OncoLib.widgets.job_timer import job_timer

        for _ in range(5):
            job_timer()._looked_s = -np.inf
            self.stubs.fire_timers()

    @property
    def own(self) -> np.ndarray:
        """What the segment holds."""
        from OncoSegmentLib.scene.refine_editor import content_of, reference_grid

        grid = reference_grid(self.node)
        return content_of(self.node, "own", grid).within(tuple(slice(0, size) for size in SHAPE))


@pytest.fixture
def window(slicer_stubs, monkeypatch):
    from stubs.segment_editor import segment_editor

    with segment_editor() as effects:
        found = Window(slicer_stubs, monkeypatch, effects)
        yield found
        found.python.cleanup()


def texts(panel) -> list[str]:
    return [panel.list.item(at).text() for at in range(panel.list.count)]


def test_clicks_in_a_slice_make_the_segment_and_control_takes_away(window):
    assert window.click(5, 6)
    assert np.array_equal(window.own, cube(4, 7, 5, 8, 4, 7))
    assert window.click(6, 6, control=True)
    assert np.array_equal(window.own, cube(4, 7, 5, 8, 4, 5))
    panel = window.python.panel
    assert texts(panel) == ["1: + click inside", "2: - click outside"]
    assert panel.numbersLabel.text.startswith("0.01 ml, ")
    assert window.engines == ["growcut"]
    assert not window.click(5, 6, shift=True)
    assert len(window.python.controller.prompts) == 2


def test_undo_of_the_editor_is_followed_when_qt_has_time(window):
    window.click(5, 6)
    window.click(10, 6)
    window.logic.Undo()
    assert len(window.python.controller.prompts) == 2
    window.settle()
    assert texts(window.python.panel) == ["1: + click inside"]
    window.logic.Redo()
    window.settle()
    assert len(texts(window.python.panel)) == 2
    window.python.panel.buttons["undo"].click()
    window.settle()
    assert np.array_equal(window.own, cube(4, 7, 5, 8, 4, 7))
    assert window.python.panel.buttons["redo"].enabled


def test_a_box_is_drawn_by_a_drag_with_a_trace_that_goes(window):
    panel = window.python.panel
    panel.kindBox.setCurrentIndex(panel.kindBox.findData("box"))
    window.event(PRESS, 3, 3)
    window.event(MOVE, 8, 9)
    assert len(window.effect.actors) == 1
    window.event(RELEASE, 8, 9)
    window.settle()
    assert window.effect.actors == []
    assert np.array_equal(window.own, cube(5, 6, 3, 10, 3, 9))
    window.drag([(3, 3), (3, 3)])
    assert len(window.python.controller.prompts) == 1


def test_keys_hold_while_the_effect_is_active_only(window):
    window.click(5, 6)
    window.click(10, 6)
    keys = {one._key: one for one in window.python._shortcuts}
    keys["Backspace"].press()
    window.settle()
    assert texts(window.python.panel) == ["1: + click inside"]
    keys["N"].press()
    window.settle()
    segmentation = window.node.GetSegmentation()
    assert segmentation.GetNthSegment(1).GetName() == "Lesion 1"
    assert window.logic.GetSegmentEditorNode().GetSelectedSegmentID() == segmentation.GetNthSegmentID(1)
    assert texts(window.python.panel) == []
    keys["N"].press()
    assert segmentation.GetNumberOfSegments() == 2  # the new one is still empty
    window.effect.setActive(False)
    keys["N"].press()
    keys["Backspace"].press()
    assert window.python._shortcuts == []
    assert segmentation.GetNumberOfSegments() == 2


def test_the_last_prompt_goes_unless_another_one_was_selected(window):
    for x, y in ((2, 2), (5, 6), (10, 6)):
        window.click(x, y)
    panel = window.python.panel
    panel.list.focus()
    panel.buttons["remove"].click()
    window.settle()
    assert texts(panel) == ["1: + click inside", "2: + click inside"]
    panel.list.setCurrentRow(0)
    panel.buttons["remove"].click()
    window.settle()
    assert texts(panel) == ["2: + click inside"]


def test_clicks_elsewhere_are_the_next_lesion_when_the_reader_says_so(window):
    window.python.panel.manyBox.checked = True
    window.click(2, 2)
    window.click(3, 3)
    segmentation = window.node.GetSegmentation()
    assert segmentation.GetNumberOfSegments() == 1
    window.click(14, 12)
    assert segmentation.GetNumberOfSegments() == 2
    assert segmentation.GetNthSegment(1).GetName() == "Lesion 1"
    tag = segmentation.GetNthSegment(1).GetTerminology()
    assert "52988006" in tag
    assert np.array_equal(window.own, cube(4, 7, 1, 4, 1, 4) | cube(4, 7, 2, 5, 2, 5))


def test_the_first_click_in_a_segmentation_without_segments_begins_one(window):
    segmentation = window.node.GetSegmentation()
    segmentation.RemoveSegment("own")
    window.logic.GetSegmentEditorNode().SetSelectedSegmentID("")
    window.settle()
    window.click(5, 6)
    assert [segmentation.GetNthSegment(at).GetName() for at in range(segmentation.GetNumberOfSegments())] == ["Lesion 1"]
    assert texts(window.python.panel) == ["1: + click inside"]


def test_an_undo_that_takes_the_first_segment_away_does_not_take_the_tool_away(window):
    segmentation = window.node.GetSegmentation()
    segmentation.RemoveSegment("own")
    window.effect.deselect()
    window.click(5, 6)
    window.logic.Undo()
    window.logic.Undo()
    assert segmentation.GetNumberOfSegments() == 0
    window.effect.deselect()
    window.settle()
    assert window.effect.active()
    assert texts(window.python.panel) == []
    assert window.python.panel.numbersLabel.text == "-"
    window.click(5, 6)
    assert texts(window.python.panel) == ["1: + click inside"]


def test_the_editors_rules_for_other_segments_hold(window):
    segmentation, parameters = window.node.GetSegmentation(), window.logic.GetSegmentEditorNode()
    window.click(5, 6)
    second = window.logic.AddEmptySegment("second")
    parameters.SetSelectedSegmentID(second)
    parameters.SetOverwriteMode(parameters.OverwriteAllSegments)
    window.python.panel.protectBox.checked = False
    window.click(6, 6)
    assert segmentation.GetSegment(second) is not None
    assert np.array_equal(window.own, cube(4, 7, 5, 8, 4, 5))  # the voxels that both want went to the second


def test_a_reader_who_does_not_want_to_change_a_hidden_segment_is_heeded(window):
    window.effect.confirmed = False
    assert window.click(5, 6)
    assert (window.effect.asked, int(window.own.sum())) == (1, 0)


def test_the_editor_that_is_read_only_is_told(window):
    window.editor.readOnly = True
    window.click(5, 6)
    assert "locked" in window.python.progress.sentence
    assert window.own.sum() == 0


def test_a_failure_and_a_missing_segmentation_are_told_in_the_panel(window):
    window.engine.capabilities = type(window.engine.capabilities)(prompts=("box",))
    window.click(5, 6)
    assert "this engine takes box" in window.python.progress.sentence
    assert window.python.panel.kind == "box"  # what the engine said of itself is what can be drawn
    window.click(5, 6)
    assert "Drag" in window.python.progress.sentence
    window.logic.SetSegmentationNode(None)
    window.drag([(3, 3), (8, 9)])
    assert "Choose a segmentation" in window.python.progress.sentence


def test_an_engine_that_is_not_installed_is_not_answered_for_by_another(window):
    panel = window.python.panel
    window.click(5, 6)
    lacking = next(one for one in panel._notices if panel._notices[one][2])  # neither has weights here
    panel.engineBox.setCurrentIndex(panel.engineBox.findData(lacking))
    window.click(10, 6)
    assert "installed" in window.python.progress.sentence
    assert texts(panel) == ["1: + click inside"]
    panel.engineBox.setCurrentIndex(panel.engineBox.findData("growcut"))
    window.click(10, 6)
    assert texts(panel) == ["1: + click inside", "2: + click inside"]  # the session was not given up for it
    assert window.engines == ["growcut"]


def test_notices_of_an_engine_are_shown_once_it_is_ready(window):
    able = window.engine.capabilities
    window.engine.capabilities = type(able)(able.prompts, able.negative, notice="not for patients")
    window.click(5, 6)
    assert window.python.panel.noticeLabel.text.endswith("Not for patients.")


def test_a_roi_that_is_not_chosen_yet_is_no_problem(window):
    panel = window.python.panel
    window.click(5, 6)
    panel.limitBox.setCurrentIndex(panel.limitBox.findData("roi"))
    assert window.python.progress.sentence == "Choose the ROI that limits the clicks."
    window.click(10, 6)
    assert "no limit" in window.python.progress.sentence
    assert len(window.python.controller.prompts) == 1


def test_leaving_the_effect_keeps_the_prompts_for_the_next_time(window):
    window.click(5, 6)
    window.effect.setActive(False)
    window.effect.setActive(True)
    window.settle()
    assert texts(window.python.panel) == ["1: + click inside"]
    window.click(10, 6)
    assert np.array_equal(window.own, cube(4, 7, 5, 8, 4, 7) | cube(4, 7, 5, 8, 9, 12))


def test_limits_and_protection_reach_the_session(window):
    panel = window.python.panel
    panel.limitBox.setCurrentIndex(panel.limitBox.findData("slab"))
    panel.reachBox.value = 1.0
    window.click(5, 6)
    assert np.array_equal(window.own, cube(5, 6, 5, 8, 4, 7))
    panel.limitBox.setCurrentIndex(panel.limitBox.findData("image"))
    window.settle()
    assert np.array_equal(window.own, cube(4, 7, 5, 8, 4, 7))


def test_a_click_in_3d_is_on_the_surface_and_a_drag_turns_the_camera(window):
    import vtk

    renderer, render_window = vtk.vtkRenderer(), vtk.vtkRenderWindow()
    render_window.SetOffScreenRendering(True)
    render_window.SetSize(200, 200)
    render_window.AddRenderer(renderer)
    ball = vtk.vtkSphereSource()
    ball.SetCenter(5 * 0.8, 6 * 0.9, 5 * 2.0)
    ball.SetRadius(0.3)
    mapper, actor = vtk.vtkPolyDataMapper(), vtk.vtkActor()
    mapper.SetInputConnection(ball.GetOutputPort())
    actor.SetMapper(mapper)
    renderer.AddActor(actor)
    renderer.ResetCamera()
    view = View(window.scene)
    view.renderer = renderer
    assert not window.event(PRESS, 100, 100, view=view)
    assert not window.event(RELEASE, 101, 100, view=view)
    window.settle()
    assert np.array_equal(window.own, cube(4, 7, 5, 8, 4, 7))
    window.event(PRESS, 100, 100, view=view)
    window.event(RELEASE, 150, 100, view=view)
    window.event(PRESS, 1, 1, view=view)
    window.event(RELEASE, 1, 1, view=view)
    window.settle()
    assert len(window.python.controller.prompts) == 1


def test_closing_the_scene_ends_everything_and_the_effect_goes_on_in_the_next(window):
    window.click(5, 6)
    window.python.controller.click(Point((0.0, 0.0, 0.0)))
    window.scene.Clear(False)
    window.settle()
    assert window.python.controller.session is None
    assert not window.python.controller.busy
    assert texts(window.python.panel) == []
    window.click(5, 6)
    assert "Choose a segmentation" in window.python.progress.sentence


def test_cleanup_leaves_no_observer_no_shortcut_and_no_timer(window):
    from OncoLib.widgets.job_timer import job_timer

    window.click(5, 6)
    window.python.controller.click(Point((8.0, 5.0, 4.0)))
    panel = window.python.panel
    window.python.cleanup()
    assert not job_timer().running
    assert panel._connected == []
    panel.manyBox.checked = True  # tells nobody
    window.logic.Undo()
    window.settle()
    window.python.cleanup()


def test_the_folder_of_the_effect_holds_the_effect_and_its_icon_only(repository_root):
    folder = Path(repository_root) / "OncoSegment" / "SegmentEditorClickRefineLib"
    there = sorted(one.name for one in folder.iterdir() if one.name != "__pycache__")
    assert there == ["SegmentEditorEffect.png", "SegmentEditorEffect.py"]


def test_without_a_segment_editor_the_start_is_silent(slicer_stubs):
    slicer_stubs.load_module("OncoSegment").registerEffect()

"""A reader's clicks through the controller: jobs that wait, fail, are stopped or come too late, limits, markups, other images."""

from __future__ import annotations

import numpy as np
import pytest

from helpers_refine_editor import NODE, SHAPE, Bench, Blocks, cube
from OncoLib.background import Status
from OncoLib.errors import Cancelled, InputError, ModelError, WorkerError
from OncoLib.image import Image
from OncoLib.scene.segmentations import LABELMAP
from OncoSegmentLib.refine.prompts import Box, Point
from OncoSegmentLib.refine.protocol import Answer
from OncoSegmentLib.scene import refine_work
from OncoSegmentLib.scene.refine_controller import Controller
from OncoSegmentLib.scene.refine_limits import Limit
from OncoSegmentLib.scene.refine_markups import markups_of, prompts_in


def same(first: np.ndarray, second: np.ndarray) -> bool:
    """True for equal masks; in a function, so that a failure does not print them."""
    return bool((first == second).all())


class SlowJob:
    """A job that ends when the test says so."""

    kept, log = None, ""

    def __init__(self, work) -> None:
        self.work, self.over, self.cancelled, self.closed, self.error = work, False, False, False, None

    def poll(self) -> Status:
        """Looks once."""
        return Status(None, "Thinking", self.over or self.cancelled)

    def cancel(self) -> None:
        """Stops."""
        self.cancelled = True

    def result(self):
        """The answer."""
        if self.cancelled:
            raise Cancelled()
        if self.error is not None:
            raise self.error
        return self.work()

    def close(self) -> None:
        """Ends."""
        self.closed = True


class SlowBlocks(Blocks):
    """`Blocks` that answer by jobs; `jobs` lists them."""

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self.jobs, self.closed = [], False

    def start(self, question):
        """Starts to ask."""
        self.jobs.append(SlowJob(lambda: self.answer(question)))
        return self.jobs[-1]

    def close(self) -> None:
        """Lets go."""
        self.closed = True


class Reader:
    """A reader with an editor, a controller and what was told."""

    def __init__(self, engine=None, **options) -> None:
        self.bench, self.engine, self.told = Bench(**options), engine or Blocks(), []
        self.controller = Controller(self.bench.hands, lambda: self.engine, lambda text, problem: text and self.told.append(text))

    def click(self, place, positive=True, **options) -> None:
        """A click, and its answer where it comes at once."""
        self.controller.click(Point(self.bench.ras(*place), positive), **options)
        if not isinstance(self.engine, SlowBlocks):
            self.finish()

    def finish(self, error=None) -> None:
        """All jobs end, the one that runs with an error when given."""
        while self.controller.busy:
            job = self.controller.job
            if isinstance(job, SlowJob):
                job.over, job.error = True, error
            self.controller.poll()

    def answer(self) -> None:
        """The job that runs ends well."""
        self.controller.job.over = True
        self.controller.poll()

    @property
    def own(self) -> np.ndarray:
        """What the segment holds."""
        return self.bench.mask("own")


@pytest.fixture
def reader():
    found = Reader()
    found.bench.segment("own")
    yield found
    found.controller.close()


@pytest.fixture
def slow():
    found = Reader(SlowBlocks())
    found.bench.segment("own")
    yield found
    found.controller.close()


FIRST, SECOND = cube(4, 7, 4, 7, 4, 7), cube(7, 10, 7, 10, 9, 12)


def test_clicks_make_a_segment_its_numbers_and_its_markups(reader):
    reader.click((5, 5, 5))
    reader.click((8, 8, 10))
    assert same(reader.own, FIRST | SECOND)
    # 54 voxels of 0.8 x 0.9 x 2.0 mm; the longest in-plane line of 3 x 3 pixels runs from corner to corner.
    numbers = reader.controller.numbers
    assert numbers.volume_ml == pytest.approx(54 * 0.8 * 0.9 * 2.0 / 1000)
    assert numbers.longest_mm == pytest.approx(np.hypot(3 * 0.8, 3 * 0.9), rel=0.35)
    assert numbers.text.startswith("0.08 ml, ")
    found = prompts_in(markups_of(reader.bench.scene, reader.bench.node, "own"))
    assert [(number, prompt.ras) for number, prompt in found] == [(1, reader.bench.ras(5, 5, 5)), (2, reader.bench.ras(8, 8, 10))]


def test_the_window_stays_free_and_clicks_wait_for_their_turn(slow):
    slow.click((5, 5, 5))
    slow.click((8, 8, 10))
    assert slow.controller.busy
    assert len(slow.engine.jobs) == 1
    assert slow.own.sum() == 0
    slow.controller.poll()
    assert slow.controller.status.message == "Thinking"
    slow.answer()
    assert same(slow.own, FIRST)
    assert slow.controller.busy
    slow.answer()
    assert same(slow.own, FIRST | SECOND)
    assert not slow.controller.busy
    assert all(job.closed for job in slow.engine.jobs)
    slow.bench.logic.Undo()
    assert same(slow.own, FIRST)  # one state for each click
    slow.bench.logic.Undo()
    assert slow.own.sum() == 0


@pytest.mark.parametrize("error", [WorkerError("The worker died."), ModelError("No weights."), InputError("No.")], ids=repr)
def test_a_model_that_fails_leaves_segment_session_and_markups_as_they_were(slow, error):
    slow.click((5, 5, 5))
    slow.answer()
    slow.click((8, 8, 10))
    slow.finish(error)
    assert same(slow.own, FIRST)
    assert len(slow.controller.prompts) == 1
    assert slow.told == [str(error)]
    slow.click((8, 8, 10))
    slow.answer()
    assert same(slow.own, FIRST | SECOND)


def test_cancel_stops_what_runs_and_what_waits(slow):
    for place in ((5, 5, 5), (8, 8, 10), (2, 2, 2)):
        slow.click(place)
    assert not slow.controller.stopping
    slow.controller.cancel()
    assert slow.controller.stopping
    slow.controller.poll()
    assert not slow.controller.stopping
    assert not slow.controller.busy
    assert slow.own.sum() == 0
    assert not slow.bench.logic.CanUndo()
    assert slow.told == [refine_work.UNCHANGED]
    assert len(slow.engine.jobs) == 1


def test_a_segment_that_was_edited_meanwhile_is_asked_again_with_the_edit(slow):
    slow.click((5, 5, 5))
    painted = cube(0, 1, 0, 1, 0, 3)
    slow.bench.paint("own", painted)
    slow.answer()
    assert slow.controller.busy
    assert same(slow.own, painted)
    slow.answer()
    assert same(slow.own, painted | FIRST)
    assert len(slow.engine.jobs) == 2


def test_an_editor_undo_while_the_model_works_is_heeded(slow):
    slow.click((5, 5, 5))
    slow.answer()
    slow.click((8, 8, 10))
    slow.bench.logic.Undo()
    slow.controller.look()
    slow.finish()
    assert same(slow.own, SECOND)
    assert [one.prompt.ras for one in slow.controller.prompts] == [slow.bench.ras(8, 8, 10)]


@pytest.mark.parametrize("how", ["select", "delete", "volume", "lock", "node"])
def test_an_answer_to_what_is_no_longer_there_is_not_used(slow, how):
    bench = slow.bench
    bench.segment("second")
    bench.select("own")
    slow.click((5, 5, 5))
    if how == "select":
        bench.select("second")
    elif how == "delete":
        bench.node.GetSegmentation().RemoveSegment("own")
    elif how == "volume":
        bench.volume.GetImageData().GetPointData().GetScalars().Modified()
    elif how == "lock":
        bench.hands.locked = True
    else:
        bench.scene.RemoveNode(bench.node)
    slow.answer()
    slow.finish()
    locked = "the Segment Editor is locked; unlock it to change segments"
    assert slow.told == [locked if how == "lock" else refine_work.CHANGED]
    if how != "node":
        for name in set(bench.node.GetSegmentation().GetSegmentIDs()):
            assert bench.mask(name).sum() == 0
    assert not slow.controller.busy


def test_each_segment_has_a_session_of_its_own_and_shows_its_own_markups(reader):
    bench = reader.bench
    reader.click((5, 5, 5))
    bench.segment("second")
    reader.controller.look()
    assert reader.controller.prompts == ()
    reader.click((8, 8, 10))
    assert [len(reader.controller.prompts), int(bench.mask("second").sum())] == [1, 27]
    for name, visible in (("own", 0), ("second", 1)):
        assert {one.GetDisplayNode().GetVisibility() for one in markups_of(bench.scene, bench.node, name)} == {visible}
    bench.select("own")
    reader.controller.look()
    reader.click((2, 2, 2))
    assert len(reader.controller.prompts) == 2
    assert same(reader.own, FIRST | cube(1, 4, 1, 4, 1, 4))
    bench.logic.Undo()
    bench.logic.Undo()
    reader.controller.look()
    assert len(reader.controller.prompts) == 1
    bench.select("second")
    reader.controller.look()
    assert reader.controller.prompts == ()
    assert bench.mask("second").sum() == 0


def test_an_automatic_result_is_the_start(reader):
    start = cube(2, 8, 2, 8, 2, 8)
    reader.bench.paint("own", start)
    reader.click((8, 8, 10))
    reader.click((3, 3, 3), positive=False)
    assert same(reader.own, (start | SECOND) & ~cube(2, 5, 2, 5, 2, 5))
    reader.controller.reset()
    assert same(reader.own, start)
    assert reader.controller.prompts == ()
    reader.bench.logic.Undo()
    reader.controller.look()
    assert len(reader.controller.prompts) == 2


def test_undo_and_redo_of_the_effect_are_actions_of_the_editor_too(reader):
    for place in ((5, 5, 5), (8, 8, 10)):
        reader.click(place)
    reader.controller.undo()
    assert same(reader.own, FIRST)
    reader.bench.logic.Undo()
    assert same(reader.own, FIRST | SECOND)
    reader.controller.look()
    assert len(reader.controller.prompts) == 2
    reader.controller.undo()
    reader.controller.redo()
    assert same(reader.own, FIRST | SECOND)
    reader.controller.redo()
    assert reader.told == ["there is nothing to redo"]


def test_other_segments_are_protected_hidden_ones_too_and_can_be_given_up(reader):
    bench = reader.bench
    bench.segment("seen", cube(4, 7, 4, 7, 6, 9))
    bench.segment("hidden", cube(4, 5, 3, 9, 3, 6), own_layer=True)
    bench.node.GetDisplayNode().SetSegmentVisibility("hidden", False)
    bench.select("own")
    reader.click((5, 5, 5))
    free = FIRST & ~cube(4, 7, 4, 7, 6, 9) & ~cube(4, 5, 3, 9, 3, 6)
    assert same(reader.own, free)
    assert (bench.mask("seen").sum(), bench.mask("hidden").sum()) == (27, 18)
    reader.controller.protect = False
    reader.controller.limits_changed()
    reader.finish()
    assert same(reader.own, FIRST)
    assert (bench.mask("seen").sum(), bench.mask("hidden").sum()) == (18, 12)  # overwritten, as the editor is set
    bench.logic.Undo()
    assert same(reader.own, free)
    assert (bench.mask("seen").sum(), bench.mask("hidden").sum()) == (27, 18)


def test_what_others_painted_since_is_protected_from_the_next_click(reader):
    reader.bench.segment("other")
    reader.bench.select("own")
    reader.click((5, 5, 5))
    reader.bench.paint("other", cube(7, 10, 7, 10, 9, 10))
    reader.click((8, 8, 10))
    assert same(reader.own, FIRST | (SECOND & ~cube(7, 10, 7, 10, 9, 10)))
    assert reader.bench.mask("other").sum() == 9


def test_what_is_protected_counts_after_a_click_that_was_cancelled_too(slow):
    slow.bench.segment("other", cube(4, 7, 4, 7, 6, 9))
    slow.bench.select("own")
    slow.click((5, 5, 5))
    slow.controller.cancel()
    slow.controller.poll()
    slow.click((5, 5, 5))
    slow.answer()
    assert same(slow.own, FIRST & ~cube(4, 7, 4, 7, 6, 9))


@pytest.mark.parametrize(
    ("limit", "kept"),
    [
        (Limit("image"), cube(3, 8, 3, 8, 3, 8)),
        (Limit("slab", reach_mm=2.0), cube(4, 7, 3, 8, 3, 8)),  # one slice of 2 mm to each side
        (Limit("slab", reach_mm=0.5), cube(5, 6, 3, 8, 3, 8)),
        (Limit("slab", reach_mm=0.8, normal_ras=(1.0, 0.0, 0.0)), cube(3, 8, 3, 8, 4, 7)),
        (Limit("around", reach_mm=1.0), cube(5, 6, 4, 7, 4, 7)),
    ],
    ids=["image", "slab", "one slice", "sagittal slab", "around"],
)
def test_a_limit_keeps_the_answer_inside(reader, limit, kept):
    reader.engine.reach = 2
    reader.controller.limit = limit
    reader.click((5, 5, 5))
    assert same(reader.own, kept)


def test_a_roi_limits_too_and_one_that_is_gone_is_told(reader):
    roi = reader.bench.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.SetCenter(*reader.bench.ras(5, 5, 5))
    roi.SetSize(2.0, 2.0, 2.0)
    reader.controller.limit = Limit("roi", roi)
    reader.click((5, 5, 5))
    assert same(reader.own, cube(5, 6, 4, 7, 4, 7))
    reader.bench.scene.RemoveNode(roi)
    reader.click((8, 8, 10))
    assert "choose the box" in reader.told[-1]
    assert reader.own.sum() == 9


def test_a_moved_markup_is_one_action_and_a_deleted_one_takes_its_voxels_along(reader):
    bench = reader.bench
    reader.click((5, 5, 5))
    (points,) = markups_of(bench.scene, bench.node, "own")
    points.SetNthControlPointPosition(0, *bench.ras(8, 8, 10))
    points.InvokeEvent(points.PointEndInteractionEvent)
    reader.finish()
    assert same(reader.own, SECOND)
    assert len(reader.controller.prompts) == 1
    bench.logic.Undo()
    reader.controller.look()
    assert same(reader.own, FIRST)
    assert np.allclose(points.GetNthControlPointPosition(0), bench.ras(5, 5, 5))
    reader.click((2, 2, 2))
    points.RemoveNthControlPoint(0)
    reader.finish()
    assert same(reader.own, cube(1, 4, 1, 4, 1, 4))
    reader.controller.remove(reader.controller.prompts[0].id)
    reader.finish()
    assert reader.own.sum() == 0
    assert points.GetNumberOfControlPoints() == 0


def test_a_move_that_fails_puts_the_markup_back(slow):
    bench = slow.bench
    slow.click((5, 5, 5))
    slow.answer()
    (points,) = markups_of(bench.scene, bench.node, "own")
    points.SetNthControlPointPosition(0, *bench.ras(8, 8, 10))
    points.InvokeEvent(points.PointEndInteractionEvent)
    slow.finish(WorkerError("The worker died."))
    assert same(slow.own, FIRST)
    assert np.allclose(points.GetNthControlPointPosition(0), bench.ras(5, 5, 5))
    assert [one.prompt.ras for one in slow.controller.prompts] == [bench.ras(5, 5, 5)]
    bench.logic.Undo()
    slow.controller.look()
    assert slow.own.sum() == 0
    assert slow.controller.prompts == ()


def test_a_markup_that_is_moved_while_the_model_works_waits_for_its_turn(slow):
    bench = slow.bench
    slow.click((5, 5, 5))
    slow.answer()
    slow.click((8, 8, 10))
    (points,) = markups_of(bench.scene, bench.node, "own")
    points.InvokeEvent(points.PointStartInteractionEvent)
    points.SetNthControlPointPosition(0, *bench.ras(2, 2, 2))
    slow.controller.look()
    points.InvokeEvent(points.PointEndInteractionEvent)
    slow.answer()
    assert np.allclose(points.GetNthControlPointPosition(0), bench.ras(2, 2, 2))
    slow.finish()
    assert same(slow.own, cube(1, 4, 1, 4, 1, 4) | SECOND)
    assert len(slow.controller.prompts) == points.GetNumberOfControlPoints() == 2


def test_a_markup_that_is_held_when_an_answer_comes_is_not_taken_out_of_the_hand(slow):
    bench = slow.bench
    slow.click((5, 5, 5))
    slow.answer()
    slow.click((8, 8, 10))
    (points,) = markups_of(bench.scene, bench.node, "own")
    points.InvokeEvent(points.PointStartInteractionEvent)
    points.SetNthControlPointPosition(0, *bench.ras(4, 4, 4))
    slow.answer()
    assert np.allclose(points.GetNthControlPointPosition(0), bench.ras(4, 4, 4))
    points.SetNthControlPointPosition(0, *bench.ras(2, 2, 2))
    points.InvokeEvent(points.PointEndInteractionEvent)
    slow.finish()
    assert same(slow.own, cube(1, 4, 1, 4, 1, 4) | SECOND)


@pytest.mark.parametrize("end", ["answer", "fail", "cancel", "stop"])
def test_a_click_is_seen_while_the_model_works_and_goes_when_it_fails(slow, end):
    bench, controller = slow.bench, slow.controller
    slow.click((5, 5, 5))
    slow.answer()
    (points,) = markups_of(bench.scene, bench.node, "own")
    slow.click((8, 8, 10))
    assert points.GetNumberOfControlPoints() == 2
    assert np.allclose(points.GetNthControlPointPosition(1), bench.ras(8, 8, 10))
    assert len(controller.prompts) == 1
    ends = {"answer": slow.finish, "cancel": controller.cancel, "stop": controller.stop}
    ends.get(end, lambda: slow.finish(WorkerError("No.")))()
    controller.poll()
    assert points.GetNumberOfControlPoints() == (2 if end == "answer" else 1)
    assert len(controller.prompts) == points.GetNumberOfControlPoints()


def test_two_markups_changed_at_once_are_both_heeded(reader):
    bench = reader.bench
    reader.click((5, 5, 5))
    reader.click((8, 8, 10))
    (points,) = markups_of(bench.scene, bench.node, "own")
    points.SetNthControlPointPosition(0, *bench.ras(2, 2, 2))
    points.SetNthControlPointPosition(1, *bench.ras(9, 11, 13))
    points.InvokeEvent(points.PointEndInteractionEvent)
    reader.finish()
    assert same(reader.own, cube(1, 4, 1, 4, 1, 4) | cube(8, 11, 10, 13, 12, 15))
    bench.logic.Undo()
    reader.controller.look()
    assert same(reader.own, FIRST | SECOND)
    assert len(reader.controller.prompts) == 2


def test_the_next_image_of_a_sequence_begins_a_new_session(reader):
    bench = reader.bench
    reader.click((5, 5, 5))
    first_image = reader.controller.session.image
    sequence = bench.scene.AddNewNodeByClass("vtkMRMLSequenceNode")
    from OncoLib.scene.volumes import add_volume

    for number in range(2):
        frame = add_volume(bench.scene, Image(bench.image.voxels + number, bench.image.ijk_to_ras), name=f"frame {number}")
        sequence.SetDataNodeAtValue(frame, str(number))
        bench.scene.RemoveNode(frame)
    bench.volume.CopyContent(sequence.GetNthDataNode(1))  # what a sequence browser does to its proxy
    reader.controller.look()
    assert reader.controller.prompts == ()
    assert markups_of(bench.scene, bench.node, "own") == []
    reader.click((8, 8, 10))
    assert same(reader.own, FIRST | SECOND)
    assert reader.controller.session.image is not first_image
    assert same(reader.controller.session.image.voxels, bench.image.voxels + 1)
    assert reader.engine.image is reader.controller.session.image


def test_prompts_that_came_with_the_scene_stay_until_a_new_one_and_can_be_asked_again():
    reader = Reader()
    bench = reader.bench
    bench.segment("own")
    reader.click((5, 5, 5))
    reader.click((8, 8, 10))
    reader.controller.close()
    bench.paint("own", np.ones(SHAPE, bool), mode=bench.logic.ModificationModeRemove)
    again = Reader.__new__(Reader)
    again.bench, again.engine, again.told = bench, Blocks(), []
    again.controller = Controller(bench.hands, lambda: again.engine, lambda text, problem: text and again.told.append(text))
    assert len(again.controller.earlier) == 2
    again.controller.begin()
    assert len(again.controller.earlier) == 2
    assert len(prompts_in(markups_of(bench.scene, bench.node, "own"))) == 2
    again.controller.ask_again()
    again.finish()
    assert same(again.own, FIRST | SECOND)
    assert (len(again.controller.prompts), again.controller.earlier) == (2, ())
    bench.logic.Undo()
    assert again.own.sum() == 0
    again.controller.close()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda bench: bench.parameters.SetAndObserveSegmentationNode(None), "choose a segmentation"),
        (lambda bench: bench.parameters.SetAndObserveSourceVolumeNode(None), "choose a source volume"),
        (lambda bench: bench.parameters.SetSelectedSegmentID(""), "add or choose a segment"),
        (lambda bench: bench.volume.SetAndObserveImageData(None), "holds no image data"),
        (lambda bench: setattr(bench.hands, "locked", True), "locked"),
        (lambda bench: bench.node.GetSegmentation().SetSourceRepresentationName("Closed surface"), "kept as surfaces"),
        (lambda bench: bench.node.GetSegmentation().GetSegment("own").RemoveAllRepresentations(), "no label map"),
    ],
    ids=["segmentation", "volume", "segment", "image", "lock", "surfaces", "labels"],
)
def test_what_cannot_be_refined_is_said_in_one_sentence(reader, spoil, said):
    spoil(reader.bench)
    reader.click((5, 5, 5))
    assert len(reader.told) == 1
    assert said in reader.told[0]
    assert not reader.controller.busy


def test_a_hidden_segment_is_changed_only_after_the_reader_agreed(reader):
    reader.bench.node.GetDisplayNode().SetSegmentVisibility("own", False)
    reader.click((5, 5, 5))
    assert reader.told == [refine_work.HIDDEN]
    assert reader.own.sum() == 0
    reader.click((5, 5, 5), unseen=True)
    assert same(reader.own, FIRST)
    reader.bench.node.GetDisplayNode().SetSegmentVisibility("own", True)
    reader.bench.node.GetDisplayNode().SetVisibility(False)
    reader.click((8, 8, 10))
    assert reader.told == [refine_work.HIDDEN] * 2


def test_an_editor_that_is_locked_while_the_answer_is_written_keeps_session_and_segment_together(reader):
    reader.click((5, 5, 5))
    reader.controller.protect = False
    modify = reader.bench.hands.save

    def refuse():
        raise InputError("the editor refuses")

    reader.bench.hands.save = refuse
    reader.click((8, 8, 10))
    assert reader.told == ["the editor refuses"]
    assert len(reader.controller.prompts) == 1
    assert len(prompts_in(markups_of(reader.bench.scene, reader.bench.node, "own"))) == 1
    reader.bench.hands.save = modify
    reader.click((8, 8, 10))
    assert same(reader.own, FIRST | SECOND)


def test_prompts_an_engine_cannot_use_and_engines_that_are_not_there_are_told(reader):
    reader.controller.click(Box.between((0, 0, 0), (3, 3, 3), positive=False))
    assert "negative box" in reader.told[-1]

    def missing():
        raise ModelError("the engine 'sam' needs the package torch")

    reader.controller.use(missing)
    reader.click((5, 5, 5))
    assert reader.told[-1].startswith("the engine 'sam' needs")
    segmentation = reader.bench.node.GetSegmentation()
    segmentation.RemoveSegment("own")
    reader.click((5, 5, 5))
    assert segmentation.GetNumberOfSegments() == 0  # nothing is begun for it
    reader.bench.segment("own")
    reader.controller.use(lambda: reader.engine)
    reader.click((5, 5, 5))
    assert same(reader.own, FIRST)


def test_another_engine_starts_from_what_the_segment_holds(slow):
    slow.click((5, 5, 5))
    slow.answer()
    slow.click((8, 8, 10))
    other = Blocks(0)
    slow.controller.use(lambda: other)
    assert slow.engine.closed
    assert slow.engine.jobs[-1].closed
    slow.controller.click(Point(slow.bench.ras(2, 2, 2)))
    slow.controller.poll()
    assert same(slow.own, FIRST | cube(2, 3, 2, 3, 2, 3))


def test_closing_the_scene_while_a_model_works_does_no_harm(slow):
    slow.click((5, 5, 5))
    slow.bench.scene.Clear(False)
    slow.controller.look()
    slow.finish()
    slow.controller.close()
    assert slow.engine.jobs[0].closed


def test_only_a_few_sessions_are_kept_and_the_others_begin_anew(reader):
    bench = reader.bench
    for number in range(6):
        bench.segment(f"s{number}")
        reader.click((2 * number, 2, 2 * number + 1))
    bench.select("s0")
    reader.controller.look()
    assert reader.controller.session is None
    before = bench.mask("s0")
    reader.click((9, 11, 3))
    assert same(bench.mask("s0"), before | cube(8, 11, 10, 13, 2, 5))
    assert len(reader.controller.prompts) == 1


def test_a_segment_that_undo_took_away_is_selected_again_when_it_comes_back(reader):
    bench, controller = reader.bench, reader.controller

    def undone(how: str) -> str:
        getattr(bench.logic, how)()
        if bench.node.GetSegmentation().GetSegment(bench.parameters.GetSelectedSegmentID() or "") is None:
            bench.parameters.SetSelectedSegmentID("")  # as the list of the window does
        controller.look()
        return bench.parameters.GetSelectedSegmentID() or ""

    reader.click((5, 5, 5))
    controller.next_lesion()
    second = bench.parameters.GetSelectedSegmentID()
    reader.click((8, 8, 10))
    assert undone("Undo") == second
    assert undone("Undo") == "own"
    assert len(controller.prompts) == 1
    undone("Redo")
    bench.parameters.SetSelectedSegmentID("")
    controller.look()
    assert bench.parameters.GetSelectedSegmentID() == second
    undone("Redo")
    assert same(bench.mask(second), SECOND)
    assert [one.prompt.ras for one in controller.prompts] == [bench.ras(8, 8, 10)]


def test_what_was_said_of_an_answer_goes_with_it(reader):
    said = []
    reader.controller._tell = lambda text, problem: said.append(text)
    reader.bench.parameters.SetOverwriteMode(reader.bench.parameters.OverwriteNone)
    reader.bench.segment("organ", cube(0, 12, 0, 14, 0, 6))
    reader.bench.select("own")
    reader.controller.protect = False
    reader.bench.parameters.SetMaskMode(NODE.EditAllowedInsideSingleSegment)
    reader.bench.parameters.SetMaskSegmentID("organ")
    reader.click((5, 5, 5))
    assert "masking kept 9 voxels" in said[-1]
    reader.controller.look()
    assert said[-1]
    reader.bench.logic.Undo()
    reader.controller.look()
    assert said[-1] == ""
    told = len(said)
    reader.controller.look()
    assert len(said) == told


def test_an_answer_without_a_voxel_is_said_and_notes_are_sentences(reader):
    nothing = Answer((slice(0, 1),) * 3, np.zeros((1, 1, 1), bool), notes=("weak model", "two."))
    reader.engine.answer = lambda question, **_more: nothing
    reader.click((5, 5, 5))
    assert reader.told == [f"Weak model. Two. {refine_work.NOTHING}"]
    reader.told.clear()
    reader.controller.undo()
    reader.finish()
    assert reader.told == []


def test_prompts_of_the_selected_segment_are_shown_those_that_came_with_the_scene_too(reader):
    bench = reader.bench
    reader.click((5, 5, 5))
    bench.segment("second")
    reader.click((8, 8, 10))
    reader.controller.close()  # as after a saved scene: markups, and no session
    shown = {}
    for chosen in ("own", "second"):
        bench.select(chosen)
        reader.controller.look()
        nodes = [one for name in ("own", "second") for one in markups_of(bench.scene, bench.node, name)]
        shown[chosen] = [one.GetDisplayNode().GetVisibility() for one in nodes]
    assert shown == {"own": [1, 0], "second": [0, 1]}


def test_masking_of_the_editor_holds_for_clicks_of_the_controller(reader):
    bench = reader.bench
    bench.segment("organ", cube(0, 12, 0, 14, 0, 6))
    bench.select("own")
    bench.parameters.SetMaskMode(NODE.EditAllowedInsideSingleSegment)
    bench.parameters.SetMaskSegmentID("organ")
    bench.parameters.SetOverwriteMode(bench.parameters.OverwriteNone)
    reader.controller.protect = False
    reader.click((5, 5, 5))
    assert same(reader.own, cube(4, 7, 4, 7, 4, 6))
    assert "masking kept 9 voxels" in reader.told[0]
    assert bench.node.GetSegmentation().GetSegment("organ").GetRepresentation(LABELMAP) is not None
    assert bench.mask("organ").sum() == 12 * 14 * 6


def coded(bench, segment_id: str, structure_id: str) -> None:
    """Gives a segment the codes of a structure, as our own results have them."""
    from OncoLib.scene.segmentations import STRUCTURE
    from OncoLib.terminology import serialize_tag, structure

    segment = bench.node.GetSegmentation().GetSegment(segment_id)
    segment.SetTerminology(serialize_tag(structure(structure_id).entry))
    segment.SetTag(STRUCTURE, structure_id)
    segment.SetName(structure(structure_id).name)


def test_the_next_lesion_is_named_after_the_organ_that_holds_it_and_may_grow_into_it(reader):
    bench = reader.bench
    bench.segment("liver", cube(2, 9, 2, 9, 2, 9))
    coded(bench, "liver", "liver")
    bench.segment("something", cube(4, 7, 4, 7, 6, 7))  # not coded as anything that can hold a lesion
    bench.node.GetSegmentation().RemoveSegment("own")
    bench.parameters.SetOverwriteMode(bench.parameters.OverwriteNone)
    reader.controller.next_lesion()
    first = bench.parameters.GetSelectedSegmentID()
    reader.click((5, 5, 5))
    segmentation = bench.node.GetSegmentation()
    assert segmentation.GetSegment(first).GetName() == "Lesion 1, liver"
    free = FIRST & ~cube(4, 7, 4, 7, 6, 7)
    assert same(bench.mask(first), free)
    assert "52988006" in segmentation.GetSegment(first).GetTerminology()
    reader.controller.next_lesion()
    second = bench.parameters.GetSelectedSegmentID()
    reader.click((5, 5, 4))
    assert reader.told == [refine_work.PROTECTED]
    reader.click((5, 5, 3))  # beside the first one, which it may not take
    assert same(bench.mask(second), cube(4, 7, 4, 7, 2, 5) & ~free)
    assert segmentation.GetSegment(second).GetName() == "Lesion 2, liver"
    bench.logic.Undo()
    assert bench.mask(second).sum() == 0
    assert bench.mask("liver").sum() == 343


def test_a_lesion_that_a_reader_named_keeps_its_name(reader):
    reader.controller.next_lesion()  # the selected one is empty: it is the next lesion
    reader.bench.node.GetSegmentation().GetSegment("own").SetName("Index lesion")
    reader.click((5, 5, 5))
    assert reader.bench.node.GetSegmentation().GetSegment("own").GetName() == "Index lesion"
    reader.controller.next_lesion()
    made = reader.bench.node.GetSegmentation().GetSegment(reader.bench.parameters.GetSelectedSegmentID())
    made.SetName("Mine")
    reader.click((9, 10, 12))
    assert made.GetName() == "Mine"


def test_the_first_click_in_an_empty_segmentation_begins_a_segment(reader):
    bench = reader.bench
    bench.node.GetSegmentation().RemoveSegment("own")
    bench.parameters.SetSelectedSegmentID("")
    reader.click((5, 5, 5))
    (name,) = bench.node.GetSegmentation().GetSegmentIDs()
    assert bench.node.GetSegmentation().GetSegment(name).GetName() == "Lesion 1"
    assert same(bench.mask(name), FIRST)


def test_errors_that_nobody_foresaw_are_told_without_their_text_and_end_the_job(slow):
    slow.click((5, 5, 5))
    slow.finish(ValueError("Doe^Jane"))
    assert slow.told == ["The answer could not be read (ValueError)."]
    slow.click((5, 5, 5))

    def broken():
        raise OSError("Doe^Jane")

    slow.controller.job.poll = broken
    slow.controller.poll()
    assert not slow.controller.busy
    assert slow.told[1:] == ["The answer could not be read (OSError)."]
    assert slow.own.sum() == 0
    slow.click((5, 5, 5))
    slow.answer()
    assert same(slow.own, FIRST)


def test_an_answer_that_no_engine_may_give_is_told_and_changes_nothing(slow):
    slow.click((5, 5, 5))
    slow.answer()
    slow.click((8, 8, 10))
    slow.controller.job.work = lambda: Answer((slice(0, 2),) * 3, np.zeros((3, 3, 3), bool))
    slow.answer()
    assert "answered" in slow.told[0]
    assert same(slow.own, FIRST)
    assert len(slow.controller.prompts) == 1

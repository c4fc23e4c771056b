"""Clicks, the editor's Undo and Redo, other effects and the session's own undo in any order: segment and session stay one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers_refine_editor import NODE, SHAPE, UNDO_STATES, Bench, Blocks, cube
from OncoSegmentLib.refine.prompts import Point
from OncoSegmentLib.scene.refine_editor import REMOVE

PLACES = [(k, j, i) for k in (2, 5, 8) for j in (3, 7, 11) for i in (3, 8, 13)]


class Desk:
    """A reader at the editor, and a record of the editor's ten states that knows nothing of sessions."""

    def __init__(self, **options) -> None:
        self.bench, self.engine = Bench(), Blocks(**options)
        self.bench.segment("own", cube(4, 7, 5, 8, 6, 9))
        self.bench.logic.ClearUndoState()
        self.link = self.bench.link("own", self.engine)
        self.past, self.future = [], []
        self.now = self.bench.mask("own")

    def changed(self) -> None:
        """After one action: what held before is the last of the editor's states, if anything changed."""
        after = self.bench.mask("own")
        if not np.array_equal(after, self.now):
            self.past, self.future = [*self.past, self.now], []
        self.now = after

    def click(self, place, positive=True) -> None:
        """A click in the effect."""
        self.link.look()
        prompt = Point(self.bench.ras(*place), positive)
        self.link.follow(self.link.session.add(prompt), self.bench.hands, new=True)
        self.changed()

    def paint(self, place, add=True) -> None:
        """Another effect."""
        k, j, i = place
        mask = cube(k, k + 2, j, j + 1, i, i + 3)
        if (mask & ~self.now if add else mask & self.now).any():
            self.bench.paint("own", mask, **({} if add else {"mode": REMOVE}))
            self.changed()

    def take_back(self, back=True) -> None:
        """The effect's own undo or redo."""
        self.link.look()
        session = self.link.session
        if session.can_undo if back else session.can_redo:
            self.link.follow(session.undo() if back else session.redo(), self.bench.hands, new=False)
            self.changed()

    def drop(self, number) -> None:
        """A prompt is removed from the list."""
        self.link.look()
        session = self.link.session
        if session.prompts:
            chosen = session.prompts[number % len(session.prompts)]
            self.link.follow(session.remove(chosen.id), self.bench.hands, new=True)
            self.changed()

    def undo(self) -> None:
        """The editor's Undo."""
        if self.bench.logic.CanUndo():
            self.bench.logic.Undo()
            self.future.append(self.now)
            self.now = self.past.pop()

    def redo(self) -> None:
        """The editor's Redo."""
        if self.bench.logic.CanRedo():
            self.bench.logic.Redo()
            self.past.append(self.now)
            self.now = self.future.pop()

    def check(self) -> None:
        """Segment, record and session agree; the session's mask is what the engine says to its prompts."""
        assert np.array_equal(self.bench.mask("own"), self.now)
        self.link.look()
        assert np.array_equal(self.link.session.mask, self.now)
        assert np.array_equal(self.link.truth.within(tuple(slice(0, size) for size in SHAPE)), self.now)
        assert self.link.look() == "same"


def test_beyond_the_editors_ten_states_the_session_goes_on_undoing():
    desk = Desk()
    held = [desk.now]
    for place in PLACES[:16]:
        desk.click(place)
        held.append(desk.now)
    count = 0
    while desk.bench.logic.CanUndo():
        desk.bench.logic.Undo()
        count += 1
        assert desk.link.look() == "moved"
        assert desk.link.session.state == 16 - count
        assert np.array_equal(desk.bench.mask("own"), held[16 - count])
    assert UNDO_STATES - 1 <= count <= UNDO_STATES
    while desk.link.session.can_undo:
        desk.take_back()
        assert np.array_equal(desk.now, held[desk.link.session.state])
    assert desk.link.session.state == 0
    for _ in range(16):
        desk.take_back(back=False)
    assert np.array_equal(desk.bench.mask("own"), held[16])
    desk.bench.logic.Undo()
    desk.link.look()
    assert (desk.link.session.state, len(desk.link.session.prompts)) == (15, 15)


def test_an_edit_by_another_effect_is_the_start_of_what_follows_and_undo_crosses_it():
    desk = Desk()
    desk.click((5, 3, 3))
    clicked = desk.now
    desk.paint((8, 11, 11))
    painted = desk.now
    assert desk.link.look() == "edited"
    desk.click((2, 3, 3))
    assert np.array_equal(desk.now, painted | cube(1, 4, 2, 5, 2, 5))
    assert len(desk.link.session.prompts) == 2
    for wanted, prompts in ((painted, 1), (clicked, 1)):
        desk.undo()
        assert desk.link.look() == "moved"
        assert np.array_equal(desk.link.session.mask, wanted)
        assert len(desk.link.session.prompts) == prompts
    desk.redo()
    desk.redo()
    desk.check()
    assert len(desk.link.session.prompts) == 2


def test_a_new_click_after_undo_ends_what_could_be_redone():
    desk = Desk()
    for place in PLACES[:4]:
        desk.click(place)
    desk.undo()
    desk.undo()
    desk.click(PLACES[10])
    assert not desk.bench.logic.CanRedo()
    assert not desk.link.session.can_redo
    left = [one.prompt.ras for one in desk.link.session.prompts]
    assert left == [desk.bench.ras(*place) for place in (*PLACES[:2], PLACES[10])]
    desk.undo()
    desk.check()
    assert len(desk.link.session.prompts) == 2


def test_masked_answers_are_known_again_without_becoming_a_new_start():
    """What the editor's masking left of an answer is no edit by others: all prompts go on to count."""
    desk = Desk()
    desk.bench.segment("other", cube(0, 12, 0, 14, 8, 16))
    desk.bench.select("own")
    desk.bench.parameters.SetMaskMode(NODE.EditAllowedOutsideAllSegments)
    desk.now = desk.bench.mask("own")
    for place in ((5, 3, 8), (8, 7, 8), (2, 11, 8)):
        desk.click(place)
    assert desk.link.look() == "same"
    assert desk.link.session.mask.sum() > desk.now.sum()
    held = desk.now
    desk.undo()
    assert (desk.link.look(), desk.link.session.state) == ("moved", 2)
    desk.redo()
    assert (desk.link.look(), desk.link.session.state) == ("moved", 3)
    assert np.array_equal(desk.bench.mask("own"), held)
    assert [act["act"] for act in desk.link.session.log].count("edited") == 0


def test_a_deleted_segment_is_gone_and_known_again_when_undo_brings_it_back():
    desk = Desk()
    desk.bench.segment("second")
    desk.bench.select("own")
    desk.click((5, 3, 3))
    desk.click((8, 7, 8))
    desk.bench.logic.RemoveSelectedSegment()
    assert desk.link.look() == "gone"
    assert not desk.link.untouched
    desk.bench.logic.Undo()
    assert desk.link.look() in ("same", "moved")
    assert (desk.link.session.state, len(desk.link.session.prompts)) == (2, 2)
    assert np.array_equal(desk.bench.mask("own"), desk.link.session.mask)


def test_a_closed_scene_leaves_nothing_to_look_at():
    desk = Desk()
    desk.click((5, 3, 3))
    desk.bench.scene.Clear(False)
    assert desk.link.look() == "gone"


def test_a_changed_grid_of_the_segmentation_makes_what_it_holds_the_new_start():
    from OncoLib.image import Image

    desk = Desk()
    desk.click((5, 3, 3))
    finer = np.diag([0.4, 0.45, 1.0, 1.0])
    desk.bench.refer_to(Image(np.zeros((24, 28, 32), np.uint8), finer))
    desk.bench.node.GetSegmentation().GetSegment("own").GetRepresentation("Binary labelmap").Modified()
    desk.link.look()
    assert np.array_equal(desk.link.session.mask, desk.now)
    desk.link.follow(desk.link.session.add(Point(desk.bench.ras(8, 7, 8))), desk.bench.hands, new=True)
    assert np.array_equal(desk.link.ways.onto_image(desk.link.truth), desk.link.session.mask)


ACTS = st.one_of(
    st.tuples(st.just("click"), st.sampled_from(PLACES), st.booleans()),
    st.tuples(st.just("paint"), st.sampled_from(PLACES), st.booleans()),
    st.tuples(st.just("drop"), st.integers(0, 9)),
    st.tuples(st.just("take_back"), st.booleans()),
    st.tuples(st.just("undo")),
    st.tuples(st.just("undo")),
    st.tuples(st.just("redo")),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(acts=st.lists(ACTS, min_size=5, max_size=30), every=st.integers(1, 3))
def test_any_mix_of_clicks_edits_undo_and_redo_keeps_segment_and_session_one(acts, every):
    desk = Desk()
    for number, (act, *values) in enumerate(acts, 1):
        getattr(desk, act)(*values)
        if number % every == 0:  # the effect need not look after each event
            desk.check()
    desk.check()
    assert len(desk.past) >= desk.bench.logic.CanUndo()


@pytest.mark.parametrize("start", [True, False], ids=["takes a start", "takes none"])
def test_sixty_random_acts_with_masking_and_a_second_segment_never_lose_the_segment(start):
    rng = np.random.default_rng(3 + start)
    desk = Desk(start=start)
    bench = desk.bench
    bench.segment("other", cube(2, 9, 2, 9, 10, 14))
    bench.select("own")
    links = {"own": desk.link, "other": bench.link("other", Blocks(start=start))}
    for _ in range(60):
        name = ("own", "other")[rng.integers(2)]
        bench.select(name)
        bench.parameters.SetMaskMode([NODE.EditAllowedEverywhere, NODE.EditAllowedOutsideAllSegments][rng.integers(2)])
        bench.parameters.SetOverwriteMode(int(rng.integers(3)))
        desk.link = links[name]
        act = rng.integers(5)
        place = PLACES[rng.integers(len(PLACES))]
        if act < 2:
            desk.link.look()
            desk.link.follow(desk.link.session.add(Point(bench.ras(*place), bool(act))), bench.hands, new=True)
        elif act == 2:
            bench.logic.CanUndo() and bench.logic.Undo()
        elif act == 3:
            bench.logic.CanRedo() and bench.logic.Redo()
        else:
            bench.paint(name, cube(place[0], place[0] + 1, place[1], place[1] + 2, place[2], place[2] + 2))
        for each, link in links.items():
            held = bench.mask(each)
            link.look()
            assert np.array_equal(bench.mask(each), held)  # looking changes nothing
            assert np.array_equal(link.truth.within(tuple(slice(0, size) for size in SHAPE)), held)
            assert link.look() == "same"

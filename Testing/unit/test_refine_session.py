"""Sessions of clicks: acts, undo, what is asked of an engine, what an error leaves."""

from __future__ import annotations

import numpy as np
import pytest

from helpers_refine import RegionGrowing, center_ras, scene_of_blocks
from OncoLib.errors import Cancelled, InputError, OncoError
from OncoLib.progress import CancelToken
from OncoSegmentLib.refine.masks import fingerprint_of
from OncoSegmentLib.refine.prompts import Point
from OncoSegmentLib.refine.protocol import Answer
from OncoSegmentLib.refine.session import Session
from OncoSegmentLib.refine.steps import ADDED_TO_START, BEFORE_EDIT

IMAGE, BLOCKS = scene_of_blocks()


def click(number: int, positive: bool = True) -> Point:
    return Point(center_ras(IMAGE, BLOCKS[number]), positive)


@pytest.fixture
def engine() -> RegionGrowing:
    return RegionGrowing()


@pytest.fixture
def session(engine) -> Session:
    return Session(engine, IMAGE)


def test_a_click_gives_the_block_and_its_changed_box(session) -> None:
    change = session.add(click(3))
    assert (session.mask == BLOCKS[3]).all()
    found = np.argwhere(BLOCKS[3])
    assert [(one.start, one.stop) for one in change.box] == list(zip(found.min(0), found.max(0) + 1))
    assert change.mask.all() and not change.before.any()
    assert change.probability.dtype == np.float16 and (change.probability == np.float16(0.75)).all()
    assert [one.id for one in session.prompts] == [1]


def test_a_second_click_changes_only_its_own_box(session) -> None:
    session.add(click(0))
    change = session.add(click(15))
    found = np.argwhere(BLOCKS[15])
    assert [one.start for one in change.box] == found.min(0).tolist()
    assert (session.mask == BLOCKS[0] | BLOCKS[15]).all()


def test_undo_and_redo_ask_nothing_and_give_back_every_state(session, engine) -> None:
    seen = [session.mask.copy()]
    for number in range(20):
        session.add(click(number))
        seen.append(session.mask.copy())
    asked = engine.asked
    for expected in reversed(seen[:-1]):
        session.undo()
        assert (session.mask == expected).all()
    with pytest.raises(InputError, match="nothing to undo"):
        session.undo()
    for expected in seen[1:]:
        session.redo()
        assert (session.mask == expected).all()
    assert not session.can_redo and engine.asked == asked == 20 and engine.images == 1


def test_removing_a_prompt_is_as_if_it_had_not_been_given(session) -> None:
    for number in (2, 4, 6):
        session.add(click(number))
    change = session.remove(2)
    assert (session.mask == BLOCKS[2] | BLOCKS[6]).all()
    assert [one.id for one in session.prompts] == [1, 3]
    assert not change.mask.any() and change.before.all()
    session.add(click(8))
    assert [one.id for one in session.prompts] == [1, 3, 4]
    with pytest.raises(InputError, match="no prompt 2; there are: 1, 3, 4"):
        session.remove(2)


def test_a_question_that_was_asked_is_not_asked_again(session, engine) -> None:
    session.add(click(2))
    session.add(click(4))
    session.remove(2)
    assert engine.asked == 2 and (session.mask == BLOCKS[2]).all()
    session.undo()
    session.remove(2)
    session.add(click(4))
    assert engine.asked == 2 and (session.mask == BLOCKS[2] | BLOCKS[4]).all()


def test_without_prompts_the_mask_is_the_start(session, engine) -> None:
    session.add(click(2))
    session.remove(1)
    assert not session.mask.any() and engine.asked == 1
    begun = Session(engine, IMAGE, start=BLOCKS[7])
    begun.add(click(7, positive=False))
    assert not begun.mask.any()
    begun.remove(1)
    assert (begun.mask == BLOCKS[7]).all()


def test_start_protected_and_within_reach_the_engine(engine) -> None:
    part = (slice(0, 14), slice(0, 28), slice(0, 14))
    session = Session(engine, IMAGE, start=BLOCKS[0], protected=BLOCKS[1], within=part)
    session.add(click(1))
    session.add(click(4))
    session.add(click(3))  # lies outside of the limit
    assert (session.mask == BLOCKS[0] | BLOCKS[4]).all()
    session.set_within(None)
    assert (session.mask == BLOCKS[0] | BLOCKS[4] | BLOCKS[3]).all()
    session.set_protected(None)
    assert (session.mask == BLOCKS[0] | BLOCKS[4] | BLOCKS[3] | BLOCKS[1]).all()
    assert not session.set_protected(np.zeros(IMAGE.shape_kji, bool)).notes and session.state == 5
    session.undo()
    session.undo()
    assert session.within == part and (session.mask == BLOCKS[0] | BLOCKS[4]).all()


def test_limits_can_come_with_a_click_as_one_act(session, engine) -> None:
    session.add(click(1), protected=BLOCKS[1] | BLOCKS[2])
    session.add(click(2), protected=BLOCKS[2])
    assert (session.mask == BLOCKS[1]).all() and session.state == 2 and engine.asked == 2
    session.undo()
    assert not session.mask.any()


def test_an_edit_by_other_tools_is_the_start_of_what_follows(session) -> None:
    session.add(click(1))
    painted = session.mask | BLOCKS[9]
    assert session.edited(session.mask).box is None and session.state == 1
    session.edited(painted)
    assert (session.mask == painted).all() and len(session.prompts) == 1
    session.add(click(5))
    assert (session.mask == painted | BLOCKS[5]).all()
    assert session.remove(1).notes[0] == BEFORE_EDIT
    assert (session.mask == painted | BLOCKS[5]).all() and [one.id for one in session.prompts] == [2]
    session.add(click(9, positive=False))
    assert (session.mask == BLOCKS[1] | BLOCKS[5]).all()
    for _ in range(4):
        session.undo()
    assert (session.mask == BLOCKS[1]).all()
    session.redo()
    assert (session.mask == painted).all()


def test_reset_goes_back_to_the_first_start_and_can_be_undone(engine) -> None:
    session = Session(engine, IMAGE, start=BLOCKS[3])
    session.add(click(1))
    session.edited(BLOCKS[11])
    session.add(click(2))
    session.reset()
    assert (session.mask == BLOCKS[3]).all() and session.prompts == ()
    session.add(click(1))
    assert (session.mask == BLOCKS[3] | BLOCKS[1]).all() and [one.id for one in session.prompts] == [3]
    session.undo()
    session.undo()
    assert (session.mask == BLOCKS[11] | BLOCKS[2]).all() and [one.id for one in session.prompts] == [1, 2]


def test_states_are_found_by_the_fingerprint_of_their_mask(session) -> None:
    for number in (1, 2, 3):
        session.add(click(number))
    assert session.fingerprint == fingerprint_of(BLOCKS[1] | BLOCKS[2] | BLOCKS[3])
    assert session.find(fingerprint_of(BLOCKS[1])) == 1
    assert session.find(fingerprint_of(BLOCKS[2])) is None
    change = session.go_to(1)
    assert (session.mask == BLOCKS[1]).all() and not change.mask.all()
    assert session.can_redo and session.go_to(1).box is None
    session.go_to(3)
    assert (session.mask == BLOCKS[1] | BLOCKS[2] | BLOCKS[3]).all()
    with pytest.raises(InputError, match="no state 4; wanted 0 to 3"):
        session.go_to(4)


def test_an_act_after_undo_leaves_what_could_be_redone(session) -> None:
    session.add(click(1))
    session.add(click(2))
    session.undo()
    session.add(click(3))
    assert not session.can_redo and (session.mask == BLOCKS[1] | BLOCKS[3]).all()
    assert [one.id for one in session.prompts] == [1, 3]


def state_of(session: Session) -> tuple:
    return session.mask.tobytes(), session.prompts, session.state, list(session.log), session.fingerprint, session.within


def test_an_error_changes_nothing(session) -> None:
    session.add(click(1))
    before = state_of(session)
    with pytest.raises(InputError, match="no prompt lies in the image"):
        Session(session.engine, IMAGE).add(Point((1e6, 0.0, 0.0)))
    session.engine.answer, whole = lambda *_args, **_options: (_ for _ in ()).throw(InputError("broken")), session.engine.answer
    with pytest.raises(InputError, match="broken"):
        session.add(click(2), protected=BLOCKS[3])
    with pytest.raises(InputError, match="broken"):
        session.set_protected(BLOCKS[1])
    assert state_of(session) == before
    session.engine.answer = whole
    session.add(click(2))
    assert (session.mask == BLOCKS[1] | BLOCKS[2]).all() and [one.id for one in session.prompts] == [1, 2]


def test_cancel_changes_nothing(session) -> None:
    session.add(click(1))
    before, token = state_of(session), CancelToken()
    with pytest.raises(Cancelled):
        session.add(click(2), progress=lambda fraction, message: token.cancel(), cancel=token)
    assert state_of(session) == before


def test_a_click_outside_is_told(session) -> None:
    session.add(click(1))
    change = session.add(Point((1e5, 0.0, 0.0)))
    assert change.box is None and "Prompt 2 lies outside" in change.notes[0] and session.notes == change.notes


def test_what_an_engine_cannot_use_is_refused_before_it_is_asked(session, engine) -> None:
    engine.capabilities = type(engine.capabilities)(prompts=("box",))
    with pytest.raises(InputError, match="prompt 1 is a point; this engine takes box"):
        session.add(click(1))
    assert engine.asked == 0 and engine.images == 0


def test_an_engine_without_start_masks_adds_to_what_is_there() -> None:
    engine = RegionGrowing(start=False)
    session = Session(engine, IMAGE, start=BLOCKS[3], protected=BLOCKS[5])
    change = session.add(click(1))
    assert (session.mask == BLOCKS[3] | BLOCKS[1]).all() and change.notes == (ADDED_TO_START,)
    session.add(click(5))
    assert (session.mask == BLOCKS[3] | BLOCKS[1]).all()


def test_an_engine_that_breaks_its_promises_is_held_to_them(session, engine) -> None:
    part = (slice(0, 14), slice(0, 28), slice(0, 28))
    engine.answer = lambda question, **_options: Answer(part, np.ones(IMAGE.shape_kji, bool))
    session.add(click(1), protected=BLOCKS[1], within=(slice(2, 9), slice(0, 28), slice(3, 5)))
    expected = np.zeros(IMAGE.shape_kji, bool)
    expected[2:9, :, 3:5] = True
    assert (session.mask == expected & ~BLOCKS[1]).all()
    engine.answer = lambda question, **_options: Answer(part, np.ones((2, 2, 2), bool))
    with pytest.raises(OncoError, match="answered bool values of shape"):
        session.add(click(2))


def test_a_step_that_was_overtaken_is_refused(session, engine) -> None:
    session.prepare()
    step = session.plan_add(click(1))
    answer = engine.answer(step.question)
    session.add(click(2))
    with pytest.raises(InputError, match="another act came in between"):
        session.settle(step, answer)
    assert (session.mask == BLOCKS[2]).all()


def test_masks_of_another_grid_are_refused(engine, session) -> None:
    with pytest.raises(InputError, match=r"the start mask has \(3, 3, 3\) voxels"):
        Session(engine, IMAGE, start=np.zeros((3, 3, 3), bool))
    with pytest.raises(InputError, match="holds uint8 values"):
        session.set_protected(BLOCKS[0].astype(np.uint8))
    with pytest.raises(InputError, match="no part of a grid"):
        session.set_within((slice(0, 99), slice(0, 1), slice(0, 1)))


def test_the_mask_that_is_given_out_cannot_be_written(session) -> None:
    session.add(click(1))
    with pytest.raises(ValueError):
        session.mask[0, 0, 0] = True


def test_memory_of_undo_is_told_and_small(session) -> None:
    for number in range(20):
        session.add(click(number))
    assert 0 < session.memory_bytes < 20 * 64

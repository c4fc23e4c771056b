"""Acts with questions in between: answered late, closed in the middle, or refused, they leave a session whole."""

from __future__ import annotations

import numpy as np
import pytest

from helpers_refine_editor import SHAPE, Blocks, cube
from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoSegmentLib.refine import acts
from OncoSegmentLib.refine.prompts import Point
from OncoSegmentLib.refine.session import Session

IMAGE = Image(np.zeros(SHAPE, np.int16), np.eye(4))


def at(k, j, i, positive=True) -> Point:
    return Point((i, j, k), positive)


@pytest.fixture
def session():
    engine = Blocks()
    made = Session(engine, IMAGE)
    made.prepare()
    for place in ((3, 3, 3), (8, 8, 8)):
        made.add(at(*place))
    return made


def run(session, script):
    """Answers every question."""
    answer = None
    while True:
        try:
            question = script.send(answer)
        except StopIteration as end:
            return end.value
        answer = session.engine.answer(question)


ONE, TWO, THREE = cube(2, 5, 2, 5, 2, 5), cube(7, 10, 7, 10, 7, 10), cube(5, 8, 10, 13, 12, 15)


def test_a_moved_prompt_is_one_change_with_what_was_before(session):
    done = run(session, acts.moving(session, [(1, at(6, 11, 13))]))
    assert np.array_equal(session.mask, TWO | THREE)
    before, after = (np.zeros(SHAPE, bool) for _ in range(2))
    before[done.change.box], after[done.change.box] = done.change.before, done.change.mask
    inside = np.zeros(SHAPE, bool)
    inside[done.change.box] = True
    assert np.array_equal(before, (ONE | TWO) & inside)
    assert np.array_equal(after, (TWO | THREE) & inside)
    assert (ONE & ~inside).sum() == (THREE & ~inside).sum() == 0


def test_several_moved_and_deleted_prompts_are_one_act(session):
    run(session, acts.moving(session, [(1, None), (2, at(6, 11, 13))]))
    assert np.array_equal(session.mask, THREE)
    assert [one.prompt for one in session.prompts] == [at(6, 11, 13)]


@pytest.mark.parametrize("when", [0, 1])
def test_a_script_that_is_closed_or_fails_leaves_the_session_as_it_was(session, when):
    for end in (lambda script: script.close(), lambda script: script.throw(InputError("no"))):
        script = acts.moving(session, [(1, at(6, 11, 13)), (2, at(1, 1, 1))])
        question = script.send(None)
        for _ in range(when):
            question = script.send(session.engine.answer(question))
        try:
            end(script)
        except InputError:
            assert session.state == 2
        assert np.array_equal(session.mask, ONE | TWO)
        assert [one.id for one in session.prompts] == [1, 2]


def test_asking_again_is_all_or_nothing(session):
    script = acts.again(session, (at(6, 11, 13), at(3, 3, 3)))
    script.send(None)
    script.close()
    assert np.array_equal(session.mask, ONE | TWO)
    done = run(session, acts.again(session, (at(6, 11, 13), at(3, 3, 3))))
    assert np.array_equal(session.mask, ONE | THREE)
    assert done.new


def test_undo_asks_nobody_and_limits_that_are_the_same_make_no_state(session):
    asked = session.engine.asked
    assert run(session, acts.without_asking(session.undo, new=False)).new is False
    assert np.array_equal(session.mask, ONE)
    assert not run(session, acts.limiting(session, within=None)).new
    assert session.engine.asked == asked

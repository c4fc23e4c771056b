"""What the engine `growcut` obeys always: limits, protected voxels, clicks, the same answer every time; odd input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import ball, grids, image
from OncoLib.errors import Cancelled, InputError
from OncoLib.progress import CancelToken
from OncoSegmentLib.refine.growcut import CAPABILITIES, make
from OncoSegmentLib.refine.prompts import Box, Lasso, Point, Scribble
from OncoSegmentLib.refine.protocol import Question
from OncoSegmentLib.refine.raster import ras_of, voxels_of

SHAPE = (14, 18, 22)


def scene(seed: int, shape=SHAPE) -> np.ndarray:
    """Two blobs in noise."""
    values = np.random.default_rng(seed).normal(0, 6, shape)
    values[ball(shape, (6, 8, 7), 4.0)] += 60
    values[ball(shape, (8, 9, 15), 4.0)] += 40
    return values.astype(np.float32)


@st.composite
def prompts_on(draw, picture):
    """One to four prompts of every kind, inside of the image or around it."""
    place = st.tuples(*[st.floats(-2, size + 1) for size in picture.shape_kji])
    found = []
    for _count in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(("point", "point", "box", "scribble", "lasso")))
        places = [tuple(one) for one in ras_of(picture, draw(st.lists(place, min_size=4, max_size=4)))]
        positive = draw(st.booleans())
        if kind == "point":
            found.append(Point(places[0], positive))
        elif kind == "box":
            low, high = draw(place), draw(place)
            corners = [[(low, high)[bit >> axis & 1][axis] for axis in range(3)] for bit in range(8)]
            found.append(Box(tuple(tuple(one) for one in ras_of(picture, corners)), positive))
        elif kind == "scribble":
            found.append(Scribble(tuple(places[:3]), draw(st.sampled_from((0.0, 1.5))), positive))
        else:
            found.append(Lasso(tuple(places), positive))
    return tuple(found)


@st.composite
def questions(draw):
    """An image on any grid and a question about it, with or without start, protected voxels and limits."""
    picture = image(scene(draw(st.integers(0, 3))), draw(grids()))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    start = random.random(SHAPE) < 0.3 if draw(st.booleans()) else None
    protected = random.random(SHAPE) < 0.2 if draw(st.booleans()) else None
    within = None
    if draw(st.booleans()):
        ends = [sorted(draw(st.lists(st.integers(0, size), min_size=2, max_size=2, unique=True))) for size in SHAPE]
        within = tuple(slice(low, high) for low, high in ends)
    return picture, Question(draw(prompts_on(picture)), start, protected, within)


def whole(picture, question: Question, engine=None) -> np.ndarray:
    """The whole mask that is answered; checks the form of the answer."""
    engine = engine or make()
    engine.set_image(picture)
    found = engine.answer(question)
    assert found.mask.dtype == bool
    assert found.mask.shape == tuple(span.stop - span.start for span in found.part)
    assert all(0 <= span.start < span.stop <= size for span, size in zip(found.part, picture.shape_kji))
    mask = np.zeros(picture.shape_kji, bool) if question.start is None else question.start.copy()
    mask[found.part] = found.mask
    return mask


@settings(max_examples=60, deadline=None)
@given(questions())
def test_limits_protection_and_clicks_are_obeyed(asked):
    picture, question = asked
    mask = whole(picture, question)
    begin = np.zeros(SHAPE, bool) if question.start is None else question.start
    allowed = np.ones(SHAPE, bool)
    if question.within is not None:
        allowed[:] = False
        allowed[question.within] = True
    assert (mask == begin)[~allowed].all()
    if question.protected is not None:
        assert not (mask & question.protected & allowed).any()
    points = {}
    for one in question.prompts:
        if not isinstance(one, Point) or any(not isinstance(other, Point) for other in question.prompts):
            return
        for voxel in voxels_of(picture, one):
            points[tuple(voxel)] = one.positive
    for voxel, positive in points.items():
        barred = question.protected is not None and question.protected[voxel]
        if allowed[voxel] and not barred:
            assert mask[voxel] == positive


@settings(max_examples=25, deadline=None)
@given(questions())
def test_told_the_same_the_answer_is_the_same_bit_for_bit(asked):
    picture, question = asked
    first = whole(picture, question)
    engine = make()
    for count in range(1, len(question.prompts)):
        whole(picture, Question(question.prompts[:count], question.start, question.protected, question.within), engine)
    whole(picture, Question(question.prompts[::-1], question.start, question.protected, question.within), engine)
    assert (whole(picture, question, engine) == first).all()


@settings(max_examples=25, deadline=None)
@given(questions())
def test_a_start_mask_grows_by_positive_points_and_shrinks_by_negative_ones(asked):
    picture, question = asked
    if question.start is None or not all(isinstance(one, Point) for one in question.prompts):
        return
    free = question.start & ~(question.protected if question.protected is not None else np.zeros(SHAPE, bool))
    for sign in (True, False):
        same = tuple(Point(one.ras, sign) for one in question.prompts)
        mask = whole(picture, Question(same, question.start, question.protected, question.within))
        assert not ((free & ~mask) if sign else (mask & ~question.start)).any()


def at(picture, *kji, positive: bool = True) -> Point:
    return Point(tuple(ras_of(picture, [kji])[0]), positive)


def test_a_click_outside_of_the_image_is_told_and_left_out():
    picture = image(scene(0))
    engine = make()
    engine.set_image(picture)
    found = engine.answer(Question((at(picture, 6, 8, 7), at(picture, 60, 8, 7))))
    assert any("Prompt 2" in note for note in found.notes)
    alone = engine.answer(Question((at(picture, 60, 8, 7),)))
    assert not alone.mask.any() and alone.notes


def test_a_click_on_a_protected_voxel_takes_none_of_it():
    picture = image(scene(0))
    protected = ball(SHAPE, (6, 8, 7), 2.0)
    mask = whole(picture, Question((at(picture, 6, 8, 7),), protected=protected))
    assert not (mask & protected).any()


@pytest.mark.parametrize("value", [0, 7])
def test_a_constant_image_is_answered_by_little_and_a_note(value):
    picture = image(np.full((40, 40, 40), value, np.int16))
    engine = make()
    engine.set_image(picture)
    found = engine.answer(Question((at(picture, 20, 20, 20),)))
    assert 1 <= found.mask.sum() < 0.5 * picture.voxels.size
    assert any("No edge" in note for note in found.notes)


def test_voxels_that_are_no_numbers_are_never_taken():
    values = scene(1, (40, 40, 40)).astype(np.float64)
    values[ball(values.shape, (6, 8, 9), 2.0)] = np.nan
    values[6, 8, 4] = np.inf
    values[7, 8, 4] = -np.inf
    picture = image(values)
    mask = whole(picture, Question((at(picture, 6, 9, 6),)))
    assert mask[6, 9, 6] and not (mask & ~np.isfinite(values)).any()
    nothing = image(np.full((9, 9, 9), np.nan))
    assert whole(nothing, Question((at(nothing, 4, 4, 4),))).sum() <= 1


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 30, 30), (2, 3, 40), (30, 1, 1)])
def test_thin_images_are_answered(shape):
    picture = image(np.arange(np.prod(shape), dtype=np.int16).reshape(shape))
    middle = tuple(size // 2 for size in shape)
    assert whole(picture, Question((at(picture, *middle),)))[middle]


@pytest.mark.parametrize("kind", ["uint8", "uint64", "float64"])
def test_all_number_types_give_the_same_mask(kind):
    values = np.clip(scene(0) + 40, 0, 200).round()
    first = image(values.astype(np.int16))
    second = image(values.astype(kind))
    question = Question((at(first, 6, 8, 7),))
    assert (whole(first, question) == whole(second, question)).all()


def test_only_negative_clicks_give_nothing_and_count_later():
    picture = image(scene(0))
    negative = at(picture, 8, 9, 15, positive=False)
    assert not whole(picture, Question((negative,))).any()
    later = whole(picture, Question((negative, at(picture, 6, 8, 7))))
    assert later[6, 8, 7] and not later[8, 9, 15]


def test_a_start_mask_alone_is_the_answer():
    picture = image(scene(0))
    start = ball(SHAPE, (6, 8, 7), 3.0)
    assert (whole(picture, Question((), start=start)) == start).all()


def test_questions_that_cannot_be_answered():
    engine = make()
    with pytest.raises(InputError, match="no image"):
        engine.answer(Question((Point((0, 0, 0)),)))
    picture = image(scene(0))
    engine.set_image(picture)
    with pytest.raises(InputError, match="neither a prompt nor a mask"):
        engine.answer(Question(()))
    with pytest.raises(InputError, match="start mask is bool of shape"):
        engine.answer(Question((Point((0, 0, 0)),), start=np.zeros((2, 2, 2), bool)))
    with pytest.raises(InputError, match="a box inside"):
        engine.answer(Question((Point((0, 0, 0)),), within=(slice(0, 99),) * 3))
    with pytest.raises(InputError, match="no option 'speed'"):
        make(speed=2)


def test_a_canceled_question_leaves_no_trace():
    picture = image(scene(0))
    engine = make()
    engine.set_image(picture)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        engine.answer(Question((at(picture, 6, 8, 7),)), cancel=token)
    question = Question((at(picture, 6, 8, 7),))
    assert (whole(picture, question, engine) == whole(picture, question)).all()


def test_a_mask_that_the_caller_changes_is_read_anew():
    picture = image(scene(0))
    engine = make()
    start = ball(SHAPE, (6, 8, 7), 3.0)
    whole(picture, Question((at(picture, 8, 9, 15),), start=start), engine)
    start[:] = False
    start[0, 0, 0] = True
    question = Question((at(picture, 8, 9, 15),), start=start)
    assert (whole(picture, question, engine) == whole(picture, question)).all()


def test_what_it_can_do():
    assert CAPABILITIES.start and CAPABILITIES.negative == CAPABILITIES.prompts and not CAPABILITIES.probabilities

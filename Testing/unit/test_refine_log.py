"""The log of a session gives the same session again, bit for bit; what is wrong with a log is said."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_refine import RegionGrowing, center_ras, scene_of_blocks
from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoSegmentLib.refine.log import document, replay, replayed
from OncoSegmentLib.refine.masks import Packed, fingerprint_of, packed_from
from OncoSegmentLib.refine.prompts import Box, Lasso, Point, Scribble
from OncoSegmentLib.refine.protocol import Question
from OncoSegmentLib.refine.raster import ras_of
from OncoSegmentLib.refine.session import Session

IMAGE, BLOCKS = scene_of_blocks()
MATRIX = IMAGE.ijk_to_ras


def random_prompt(rng: np.random.Generator):
    """Of any kind, mostly in a block, sometimes in the background or outside of the image."""
    block = BLOCKS[rng.integers(len(BLOCKS))]
    inside = np.argwhere(block)
    points = ras_of(IMAGE, inside[rng.integers(len(inside), size=4)] + rng.normal(0, 0.4, (4, 3)))
    positive = bool(rng.random() < 0.7)
    kind = rng.integers(8)
    if kind == 0:
        return Box.between(*points[:2], positive=positive)
    if kind == 1:
        return Scribble(tuple(map(tuple, points)), float(rng.choice([0.0, 2.0])), positive)
    if kind == 2:
        corners = inside.min(0) + np.array([(0, -0.4, -0.4), (0, -0.4, 2.4), (0, 2.4, 2.4), (0, 2.4, -0.4)])
        return Lasso(tuple(map(tuple, ras_of(IMAGE, corners))), positive)
    return Point(tuple(points[0] if kind > 3 else points[0] + (500.0 if kind == 3 else 0.0)), positive)


def random_act(session: Session, rng: np.random.Generator) -> None:
    """One act of the many there are; what an engine refuses changes nothing."""
    kind = rng.choice(["add"] * 10 + ["undo"] * 4 + ["redo"] * 3 + ["remove", "protect", "within", "edit", "reset", "find"])
    try:
        if kind == "undo" and session.can_undo:
            session.undo()
        elif kind == "redo" and session.can_redo:
            session.redo()
        elif kind == "remove" and session.prompts:
            session.remove(int(rng.choice([one.id for one in session.prompts])))
        elif kind == "protect":
            session.set_protected(
                np.logical_or.reduce([BLOCKS[n] for n in rng.integers(20, size=3)]) if rng.random() < 0.7 else None
            )
        elif kind == "within":
            low = rng.integers(0, 5, 3)
            part = tuple(slice(a, size - int(rng.integers(4))) for a, size in zip(low.tolist(), IMAGE.shape_kji))
            session.set_within(part if rng.random() < 0.5 else None)
        elif kind == "edit":
            session.edited(session.mask ^ BLOCKS[rng.integers(20)])
        elif kind == "reset" and rng.random() < 0.3:
            session.reset()
        elif kind == "find":
            session.go_to(int(rng.integers(session.state + 1)))
        else:
            session.add(random_prompt(rng))
    except InputError as error:
        assert "no prompt lies in the image" in str(error)


def assert_same(first: Session, second: Session) -> None:
    assert (first.mask == second.mask).all() and first.fingerprint == second.fingerprint == fingerprint_of(first.mask)
    assert first.prompts == second.prompts and first.within == second.within and first.state == second.state
    assert first.log == second.log and first.notes == second.notes and first.can_redo == second.can_redo
    assert {name: one.bits for name, one in first.masks.items()} == {name: one.bits for name, one in second.masks.items()}


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_500_acts_on_20_blocks_are_replayed_bit_for_bit(seed) -> None:
    rng = np.random.default_rng(seed)
    session = Session(RegionGrowing(), IMAGE, start=BLOCKS[0], protected=BLOCKS[1])
    for _ in range(500):
        random_act(session, rng)
    assert len(session.log) > 350
    told = json.loads(json.dumps(document(session)))
    again = replayed(told, RegionGrowing(), IMAGE)
    assert_same(session, again)
    for one in (session, again):  # all undone states are the same too
        one.reset()
    while session.can_undo:
        assert (session.undo().mask is None) == (again.undo().mask is None)
        assert session.fingerprint == again.fingerprint
    assert (session.mask == BLOCKS[0]).all()


def test_the_present_is_what_the_prompts_that_hold_give_at_once() -> None:
    rng = np.random.default_rng(3)
    session, engine = Session(RegionGrowing(), IMAGE), RegionGrowing()
    for _ in range(120):
        if session.can_undo and rng.random() < 0.4:
            session.undo()
        elif session.can_redo and rng.random() < 0.5:
            session.redo()
        else:
            session.add(random_prompt(rng), within=None) if session.prompts else session.add(click(4))
        if session.prompts:
            engine.image = engine.image or IMAGE
            answer = engine.answer(Question(tuple(one.prompt for one in session.prompts)))
            expected = np.zeros(IMAGE.shape_kji, bool)
            expected[answer.part] = answer.mask
            assert (session.mask == expected).all()


def click(number: int) -> Point:
    return Point(center_ras(IMAGE, BLOCKS[number]))


@pytest.fixture
def told() -> dict:
    """A document with some acts, as it comes from a file."""
    session = Session(RegionGrowing(), IMAGE, start=BLOCKS[2])
    session.add(click(4))
    session.edited(BLOCKS[5])
    session.add(click(6), protected=BLOCKS[5])
    session.undo()
    return json.loads(json.dumps(document(session, {"tolerance": 10.0})))


def test_a_document_says_what_was_done_and_names_nothing_else(told) -> None:
    assert [act["act"] for act in told["acts"]] == ["begin", "add", "edited", "add", "undo"]
    assert told["engine"] == "region-growing" and told["options"] == {"tolerance": 10.0}
    assert set(told["masks"]) == {fingerprint_of(BLOCKS[2]), fingerprint_of(BLOCKS[5])}
    assert "blocks" not in json.dumps(told)


def test_another_image_is_refused(told) -> None:
    other = Image(IMAGE.voxels + np.int16(1), IMAGE.ijk_to_ras)
    with pytest.raises(InputError, match="made on another image"):
        replayed(told, RegionGrowing(), other)


def test_an_engine_that_answers_otherwise_is_noticed(told) -> None:
    with pytest.raises(InputError, match=r"act 2 of the log \(add\) gives another mask"):
        replayed(told, RegionGrowing(tolerance=1000.0), IMAGE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda told: told.pop("acts"), "no log of a refinement"),
        (lambda told: told.update(version=9), "version 9"),
        (lambda told: told.update(engine=None), "which engine"),
        (lambda told: told["acts"].pop(0), "starts with the act 'begin'"),
        (lambda told: told["acts"][1].update(act="explode"), "act 'explode'"),
        (lambda told: told["acts"][1].pop("prompt"), "lacks 'prompt'"),
        (lambda told: told["acts"][1].update(id=7), "prompt 7 where 1 comes"),
        (lambda told: told["acts"][3].update(within=[1, 2]), "no part of a grid"),
        (lambda told: told["acts"][3].update(within=[[0, 1], [0, 1], [0, 999]]), "no part of a grid"),
        (lambda told: told["acts"][1]["prompt"].update(kind="wish"), "kind 'wish'"),
        (lambda told: told["acts"].append({"act": "remove", "id": 12}), "no prompt 12"),
        (lambda told: told["acts"].append({"act": "go_to", "state": 12}), "no state 12"),
        (lambda told: told["acts"].append({"act": "go_to", "state": "x"}), "no state 'x'"),
        (lambda told: told["acts"].append("undo"), "act 'undo'"),
        (lambda told: told["masks"].clear(), "not stored with it"),
        (lambda told: next(iter(told["masks"].values())).update(deflated_bits="AAAA"), "damaged"),
        (lambda told: next(iter(told["masks"].values())).update(box=[[0, 1], [0, 1], [0, 1]]), "holds"),
        (lambda told: next(iter(told["masks"].values())).update(shape_kji="x"), "malformed"),
        (lambda told: next(iter(told["masks"].values())).update(box=None), "another fingerprint"),
    ],
)
def test_what_is_wrong_with_a_document_is_said(told, change, said) -> None:
    change(told)
    with pytest.raises(InputError, match=said):
        replayed(told, RegionGrowing(), IMAGE)


def test_acts_are_checked_only_when_asked(told) -> None:
    acts, masks = copy.deepcopy(told["acts"]), {name: packed_from(one, name) for name, one in told["masks"].items()}
    other = replay(acts[:2], RegionGrowing(tolerance=1000.0), IMAGE, masks=masks, check=False)
    assert other.mask.all()


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_masks_come_back_from_json(data) -> None:
    shape = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
    bits = data.draw(st.lists(st.booleans(), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    mask = np.array(bits, bool).reshape(shape)
    stored = Packed.of(mask)
    found = packed_from(json.loads(json.dumps(stored.as_dict())), stored.sha256)
    assert found == stored and (found.mask() == mask).all() and stored.sha256 == fingerprint_of(mask)


def test_fingerprints_tell_shapes_apart() -> None:
    assert fingerprint_of(np.zeros((1, 2, 8), bool)) != fingerprint_of(np.zeros((1, 8, 2), bool))
    assert fingerprint_of(np.zeros((1, 1, 7), bool)) != fingerprint_of(np.zeros((1, 1, 8), bool))

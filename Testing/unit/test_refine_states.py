"""A session against the plainest model of it, whole copies of the mask; and twenty segments at a time against their replays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from helpers_refine import RegionGrowing, center_ras, scene_of_blocks
from OncoLib.errors import InputError
from OncoSegmentLib.refine.lesion import LesionRound
from OncoSegmentLib.refine.log import document, replay, replayed
from OncoSegmentLib.refine.masks import fingerprint_of
from OncoSegmentLib.refine.prompts import Point
from OncoSegmentLib.refine.raster import ras_of
from OncoSegmentLib.refine.session import Session

IMAGE, BLOCKS = scene_of_blocks()
NUMBERS = st.integers(0, len(BLOCKS) - 1)


class Sessions(RuleBasedStateMachine):
    """Blocks are apart, so a click adds or takes away exactly one block: the model is a set of blocks, kept whole at each act."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = RegionGrowing()
        self.session = Session(self.engine, IMAGE, start=BLOCKS[0])
        self.line, self.at, self.next_id = [((), 1, frozenset({0}), frozenset())], 0, 1

    def go_on(self, prompts, since, start, protected) -> None:
        self.line = [*self.line[: self.at + 1], (prompts, since, start, protected)]
        self.at += 1

    @property
    def blocks(self) -> set[int]:
        """What the model says is in the mask."""
        prompts, since, start, protected = self.line[self.at]
        found = set(start)
        asked = [one for one in prompts if one[0] >= since]
        for _id, number, positive in asked:
            found = found | {number} if positive else found - {number}
        return found - protected if asked else found

    @rule(number=NUMBERS, positive=st.booleans())
    def add(self, number, positive) -> None:
        prompts, *rest = self.line[self.at]
        self.session.add(Point(center_ras(IMAGE, BLOCKS[number]), positive))
        self.go_on((*prompts, (self.next_id, number, positive)), *rest)
        self.next_id += 1

    @rule(numbers=st.lists(NUMBERS, min_size=1, max_size=4))
    def add_all(self, numbers) -> None:
        prompts, *rest = self.line[self.at]
        self.session.add_all([Point(center_ras(IMAGE, BLOCKS[number])) for number in numbers])
        placed = tuple((self.next_id + at, number, True) for at, number in enumerate(numbers))
        self.go_on((*prompts, *placed), *rest)
        self.next_id += len(numbers)

    @precondition(lambda self: self.line[self.at][0])
    @rule(data=st.data())
    def remove(self, data) -> None:
        prompts, *rest = self.line[self.at]
        gone = data.draw(st.sampled_from(prompts))
        self.session.remove(gone[0])
        self.go_on(tuple(one for one in prompts if one != gone), *rest)

    @rule(numbers=st.frozensets(NUMBERS, max_size=4))
    def protect(self, numbers) -> None:
        prompts, since, start, protected = self.line[self.at]
        self.session.set_protected(mask_of(numbers))
        if numbers != protected:
            self.go_on(prompts, since, start, numbers)

    @rule(numbers=st.frozensets(NUMBERS, max_size=6))
    def edit(self, numbers) -> None:
        prompts, _since, _start, protected = self.line[self.at]
        same = self.blocks == numbers
        self.session.edited(mask_of(numbers))
        if not same:
            self.go_on(prompts, self.next_id, numbers, protected)

    @rule()
    def reset(self) -> None:
        self.session.reset()
        self.go_on((), self.next_id, frozenset({0}), self.line[self.at][3])

    @precondition(lambda self: self.at > 0)
    @rule()
    def undo(self) -> None:
        self.session.undo()
        self.at -= 1

    @precondition(lambda self: self.at + 1 < len(self.line))
    @rule()
    def redo(self) -> None:
        self.session.redo()
        self.at += 1

    @rule(data=st.data())
    def go_to(self, data) -> None:
        self.at = data.draw(st.integers(0, len(self.line) - 1))
        self.session.go_to(self.at)

    @rule()
    def outside(self) -> None:
        session = Session(self.engine, IMAGE)
        with pytest.raises(InputError):
            session.add(Point((1e6, 0.0, 0.0)))
        assert session.state == 0 and len(session.log) == 1

    @invariant()
    def is_what_the_model_says(self) -> None:
        expected = mask_of(self.blocks)
        assert (self.session.mask == expected).all() and self.session.fingerprint == fingerprint_of(expected)
        assert self.session.state == self.at
        assert [one.id for one in self.session.prompts] == [one[0] for one in self.line[self.at][0]]
        assert self.session.can_undo == (self.at > 0) and self.session.can_redo == (self.at + 1 < len(self.line))

    def teardown(self) -> None:
        again = replay(self.session.log, RegionGrowing(), IMAGE, masks=self.session.masks)
        assert (again.mask == self.session.mask).all() and again.log == self.session.log


def mask_of(numbers) -> np.ndarray:
    """The union of blocks."""
    return np.logical_or.reduce([np.zeros(IMAGE.shape_kji, bool), *(BLOCKS[one] for one in numbers)])


Sessions.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestSessions = Sessions.TestCase


@pytest.mark.parametrize("seed", [1, 2])
def test_500_acts_on_a_scene_of_20_segments_that_protect_each_other(seed) -> None:
    """Prompts, undos and redos in turn on twenty segments; each equals its replay, bit for bit, and none took from another."""
    rng = np.random.default_rng(seed)
    work = LesionRound(RegionGrowing(), IMAGE)
    for number in range(20):
        work.next_lesion()
        work.click(Point(center_ras(IMAGE, BLOCKS[number])))
    for _ in range(500):
        session = work.go_to(int(rng.integers(1, 21))).session
        kind = rng.random()
        if kind < 0.25 and session.can_undo and session.state > 1:
            unless_taken(work, session, session.undo, session.redo)
        elif kind < 0.45 and session.can_redo:
            unless_taken(work, session, session.redo, session.undo)
        else:
            block = np.argwhere(BLOCKS[rng.integers(20)])
            place = ras_of(IMAGE, block[rng.integers(len(block), size=1)] + rng.normal(0, 0.3, (1, 3)))[0]
            work.click(Point(tuple(place), bool(rng.random() < 0.7)))
    total = np.sum([one.session.mask for one in work.lesions], axis=0)
    assert total.max() == 1, "no voxel belongs to two segments"
    for one in work.lesions:
        again = replayed(document(one.session), RegionGrowing(), IMAGE)
        assert (again.mask == one.session.mask).all() and again.log == one.session.log
        assert again.fingerprint == one.session.fingerprint == fingerprint_of(one.session.mask)


def unless_taken(work: LesionRound, session: Session, do, back) -> None:
    """Undo and redo bring back voxels that another segment may have taken since; then it is done the other way again."""
    do()
    if any((one.session.mask & session.mask).any() for one in work.lesions if one.session is not session):
        back()

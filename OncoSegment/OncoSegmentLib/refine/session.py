"""A session of clicks on one image: prompts, the mask that an engine answers, and undo. No node, no window, no clock.

Every act is planned, asked and settled; only settling changes anything, so that an error or a Cancel leaves all as it was. An
act that waits for an engine elsewhere can be planned now and settled later (`plan_add`, `settle`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from OncoLib.errors import InputError, OncoError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, part_of, silent
from OncoLib.segmentation import BoxProbability
from OncoSegmentLib.refine.history import Difference, History, Placed, State, digest
from OncoSegmentLib.refine.masks import (
    Fingerprint,
    Packed,
    Shelf,
    checked_mask,
    checked_part,
    joint,
    part_as_list,
    placed_in,
    whole,
)
from OncoSegmentLib.refine.prompts import Prompt, as_dict
from OncoSegmentLib.refine.protocol import Answer, Capabilities, Engine, Part, Question, usable
from OncoSegmentLib.refine.steps import BEFORE_EDIT, UNCHANGED, Change, Step, held_to_promise, name_of


class Session:
    """Prompts on one image and the mask that they give. Not thread-safe.

    engine: asked one question at a time; it is given the image before the first one. start: the mask to begin with.
    protected: voxels that stay out of what engines add. within: the part of the grid in which the mask may change.
    Masks are bool `[k, j, i]` on the image's grid; InputError for any other. Nothing is asked here.
    """

    def __init__(
        self,
        engine: Engine,
        image: Image,
        *,
        start: np.ndarray | None = None,
        protected: np.ndarray | None = None,
        within: Part | None = None,
    ) -> None:
        self.engine, self.image = engine, image
        self._shelf = Shelf(image.shape_kji)
        first = State(
            start=self._shelf.packed(start, "the start mask"),
            protected=self._shelf.packed(protected, "the mask of protected voxels"),
            within=checked_part(within, image.shape_kji),
        )
        self._mask = np.zeros(image.shape_kji, bool) if first.start is None else first.start.mask()
        self._fingerprint = Fingerprint(self._mask)
        self._history = History(replace(first, fingerprint=self._fingerprint.sha256))
        self._next_id, self._acts, self._has_image = 1, 0, False
        self._probability: BoxProbability | None = None
        self._shelf.keep(first.start, first.protected)
        begin = {"act": "begin", "engine": engine.name, "start": name_of(first.start), "protected": name_of(first.protected)}
        self.log: list[dict] = [{**begin, "within": part_as_list(first.within), "fingerprint": self.fingerprint}]

    # What is known.

    @property
    def masks(self) -> dict[str, Packed]:
        """What the log names, by fingerprint: start masks, protected voxels, masks of other tools."""
        return self._shelf.named

    @property
    def mask(self) -> np.ndarray:
        """bool `[k, j, i]`, read-only, the session's own array: copy what shall outlive the next act."""
        found = self._mask.view()
        found.setflags(write=False)
        return found

    @property
    def next_id(self) -> int:
        """What the next prompt will be called."""
        return self._next_id

    @property
    def prompts(self) -> tuple[Placed, ...]:
        """All that hold now, in the order in which they were given."""
        return self._history.present.prompts

    @property
    def capabilities(self) -> Capabilities:
        """Of the engine."""
        return self.engine.capabilities

    @property
    def probability(self) -> BoxProbability | None:
        """What the engine said with the present mask; None when it says none, and after undo, redo and the like."""
        return self._probability

    @property
    def notes(self) -> tuple[str, ...]:
        """What the engine said with the present mask."""
        return self._history.present.notes

    @property
    def within(self) -> Part | None:
        """The part in which the mask may change; None for the whole image."""
        return self._history.present.within

    @property
    def protects(self) -> str:
        """Fingerprint of the protected voxels; "" when there are none."""
        return digest(self._history.present.protected)

    @property
    def can_undo(self) -> bool:
        """True when there is an act to take back."""
        return self._history.at > 0

    @property
    def can_redo(self) -> bool:
        """True when an act was taken back."""
        return self._history.at + 1 < len(self._history.states)

    @property
    def state(self) -> int:
        """Number of the present state: 0 at the beginning, one more with each act, less with each undo."""
        return self._history.at

    @property
    def fingerprint(self) -> str:
        """Of the present mask, `masks.fingerprint_of`."""
        return self._fingerprint.sha256

    def find(self, fingerprint: str) -> int | None:
        """The state, present ones and undone ones, whose mask has that fingerprint; the nearest of several; None for none."""
        return self._history.find(fingerprint)

    @property
    def memory_bytes(self) -> int:
        """What undo takes: packed boxes and masks; not the present mask, which takes a byte a voxel."""
        return self._history.bytes + self._shelf.bytes

    # Acts.

    def add(
        self,
        prompt: Prompt,
        *,
        protected=UNCHANGED,
        within=UNCHANGED,
        progress: Progress = silent,
        cancel: CancelToken | None = None,
    ) -> Change:
        """One more prompt, and what the engine makes of it.

        protected, within: change with it, as one act. InputError for a prompt that the engine cannot use; what the engine
        raises passes, Cancelled too, and nothing has changed then.
        """
        return self.do(self.plan_add(prompt, protected=protected, within=within), progress=progress, cancel=cancel)

    def add_all(self, prompts: Sequence[Prompt], *, progress: Progress = silent, cancel: CancelToken | None = None) -> Change:
        """Several prompts as one act, asked at once. Raises as `add`."""
        return self.do(self.plan_add_all(prompts), progress=progress, cancel=cancel)

    def remove(self, prompt_id: int, *, progress: Progress = silent, cancel: CancelToken | None = None) -> Change:
        """Without one prompt, as if it had never been given. InputError for an id that is not there."""
        return self.do(self.plan_remove(prompt_id), progress=progress, cancel=cancel)

    def set_within(self, part: Part | None, *, progress: Progress = silent, cancel: CancelToken | None = None) -> Change:
        """Another limit; what the prompts give is asked anew. No act when it is the same."""
        return self.do(self.plan_set(within=part), progress=progress, cancel=cancel)

    def set_protected(self, mask: np.ndarray | None, *, progress: Progress = silent, cancel: CancelToken | None = None) -> Change:
        """Other protected voxels; what the prompts give is asked anew. No act when they are the same."""
        return self.do(self.plan_set(protected=mask), progress=progress, cancel=cancel)

    def edited(self, mask: np.ndarray) -> Change:
        """The reader changed the segment by other tools: its mask is the start of what follows.

        The prompts before stay listed, but engines are asked with later ones only. No act when nothing changed.
        """
        found = checked_mask(mask, self.image.shape_kji, "the edited mask")
        now = self._shelf.packed(found, "the edited mask")
        if now.sha256 == self.fingerprint:
            return Change(None)
        state = replace(self._history.present, start=now, since=self._next_id, part=None, notes=())
        return self.settle(self._step({"act": "edited", "mask": now.sha256}, state, masks=(now,), content=found))

    def reset(self) -> Change:
        """No prompt, and the mask that the session began with; limit and protected voxels stay. Undo brings all back."""
        first = self._history.states[0].start
        state = replace(self._history.present, prompts=(), since=self._next_id, start=first, part=None, notes=())
        return self.settle(self._step({"act": "reset"}, state))

    def undo(self) -> Change:
        """Takes the last act back; InputError when there is none."""
        if not self.can_undo:
            raise InputError("there is nothing to undo")
        return self._move({"act": "undo"}, self.state - 1)

    def redo(self) -> Change:
        """Does again what was undone last; InputError when there is none."""
        if not self.can_redo:
            raise InputError("there is nothing to redo")
        return self._move({"act": "redo"}, self.state + 1)

    def go_to(self, state: int) -> Change:
        """To a state that `find` gave: undo or redo of several acts at once. No act when it is the present one."""
        if not isinstance(state, int) or not 0 <= state < len(self._history.states):
            raise InputError(f"there is no state {state!r}; wanted 0 to {len(self._history.states) - 1}")
        return Change(None) if state == self.state else self._move({"act": "go_to", "state": state}, state)

    # An act in three parts: planned, asked, settled.

    def plan_add(self, prompt: Prompt, *, protected=UNCHANGED, within=UNCHANGED) -> Step:
        """The step that adds a prompt; nothing changes yet. Raises as `add`."""
        usable((prompt,), self.capabilities)
        act = {"act": "add", "id": self._next_id, "prompt": as_dict(prompt)}
        state, facts, masks = self._limits(protected, within)
        state = replace(state, prompts=(*state.prompts, Placed(self._next_id, prompt)))
        return self._step({**act, **facts}, state, masks=masks)

    def plan_add_all(self, prompts: Sequence[Prompt]) -> Step:
        """The step that adds several prompts; InputError when there is none."""
        if not prompts:
            raise InputError("there is no prompt to add")
        usable(prompts, self.capabilities)
        placed = tuple(Placed(number, one) for number, one in enumerate(prompts, self._next_id))
        act = {"act": "add_all", "ids": [one.id for one in placed], "prompts": [as_dict(one) for one in prompts]}
        present = self._history.present
        return self._step(act, replace(present, prompts=(*present.prompts, *placed)))

    def plan_remove(self, prompt_id: int) -> Step:
        """The step that removes a prompt."""
        present = self._history.present
        left = tuple(one for one in present.prompts if one.id != prompt_id)
        if len(left) == len(present.prompts):
            known = ", ".join(str(one.id) for one in present.prompts) or "none"
            raise InputError(f"there is no prompt {prompt_id}; there are: {known}")
        notes = (BEFORE_EDIT,) if prompt_id < present.since else ()
        return self._step({"act": "remove", "id": prompt_id}, replace(present, prompts=left), notes=notes)

    def plan_set(self, *, protected=UNCHANGED, within=UNCHANGED) -> Step:
        """The step that changes limit or protected voxels."""
        state, facts, masks = self._limits(protected, within)
        if state.asks_as(self._history.present):
            return Step({}, self._acts, moves_to=self.state)
        return self._step({"act": "limits", **facts}, state, masks=masks)

    def do(self, step: Step, *, progress: Progress = silent, cancel: CancelToken | None = None) -> Change:
        """Asks what a step has to ask, and settles it."""
        cancel = cancel or CancelToken()
        if step.question is None:
            return self.settle(step)
        share = 0.0 if self._has_image else 0.5
        self.prepare(progress=part_of(progress, 0.0, share), cancel=cancel)
        answer = self.engine.answer(step.question, progress=part_of(progress, share, 1.0), cancel=cancel)
        cancel.check()
        return self.settle(step, answer)

    def prepare(self, *, progress: Progress = silent, cancel: CancelToken | None = None) -> None:
        """Gives the engine the image, once; before the first click, where there is time for it."""
        if not self._has_image:
            self.engine.set_image(self.image, progress=progress, cancel=cancel or CancelToken())
            self._has_image = True

    def settle(self, step: Step, answer: Answer | None = None) -> Change:
        """Makes a step with its answer the present. InputError when another act came between plan and answer."""
        if step.after != self._acts:
            raise InputError("another act came in between; the answer belongs to a state that is gone")
        if step.state is None:
            return self._settle_move(step)
        part, notes, box, content = self._outcome(step, answer)
        before = None if box is None else self._mask[box]
        way = Difference() if box is None else Difference.between(before, content, box)
        change = self._changed(way, (*step.notes, *notes))
        state = replace(step.state.with_answer(part, notes), fingerprint=self.fingerprint)
        self._history.go_on(state, way)
        self._shelf.keep(*step.masks)
        self._next_id = max([self._next_id, *(one.id + 1 for one in state.prompts[-1:])])
        return self._told(step, change, answer)

    # Inside.

    def _limits(self, protected, within) -> tuple[State, dict, tuple[Packed, ...]]:
        """The present state with other limits, what the log says of them, and masks that it names."""
        state, facts, masks = self._history.present, {}, ()
        if protected is not UNCHANGED:
            found = self._shelf.packed(protected, "the mask of protected voxels")
            state, facts["protected"] = replace(state, protected=found), name_of(found)
            masks = () if found is None else (found,)
        if within is not UNCHANGED:
            state = replace(state, within=checked_part(within, self.image.shape_kji))
            facts["within"] = part_as_list(state.within)
        return state, facts, masks

    def _step(self, act: dict, state: State, *, masks: tuple[Packed, ...] = (), content=None, notes=()) -> Step:
        step = Step(act, self._acts, state, masks=masks, content=content, notes=notes)
        if content is not None or not state.asked:
            return step
        like = self._history.same_question(state)
        return replace(step, like=like) if like is not None else replace(step, question=self._question(state))

    def _question(self, state: State) -> Question:
        start = state.start if self.capabilities.start else None
        return Question(state.asked, self._shelf.plain(start), self._shelf.plain(state.protected), state.within)

    def _outcome(self, step: Step, answer: Answer | None):
        """What a step brings: part, notes, and a box outside of which nothing changes, with its content."""
        state, present = step.state, self._history.present
        everything = whole(self.image.shape_kji)
        if step.content is not None:
            return None, (), everything, step.content
        if step.like is not None:
            like = self._history.states[step.like]
            return like.part, like.notes, *self._history.content(step.like, self._mask)
        if step.question is not None:
            part, found, notes = self._checked(answer, state)
        else:
            part, found, notes = None, None, ()
        same_start = state.start is present.start
        box = joint(present.part, part) if same_start else everything
        if box is None:
            return part, notes, None, None
        start = self._shelf.plain(state.start)
        content = np.zeros([one.stop - one.start for one in box], bool) if start is None else start[box].copy()
        if part is not None:
            content[placed_in(part, box)] = found
        return part, notes, box, content

    def _checked(self, answer: Answer | None, state: State) -> tuple[Part | None, np.ndarray | None, tuple[str, ...]]:
        if answer is None:
            raise OncoError("a step that asks an engine was settled without its answer")
        answer = replace(answer, part=checked_part(answer.part, self.image.shape_kji))
        start, protected = self._shelf.plain(state.start), self._shelf.plain(state.protected)
        return held_to_promise(answer, state, start, protected, takes_start=self.capabilities.start, engine=self.engine.name)

    def _move(self, act: dict, state: int) -> Change:
        return self.settle(Step(act, self._acts, moves_to=state))

    def _settle_move(self, step: Step) -> Change:
        if step.moves_to == self.state:
            return Change(None)
        box, content = self._history.content(step.moves_to, self._mask)
        way = Difference() if box is None else Difference.between(self._mask[box], content, box)
        self._history.at = step.moves_to
        return self._told(step, self._changed(way, self.notes), None)

    def _changed(self, way: Difference, notes: tuple[str, ...]) -> Change:
        """Applies a difference to the mask."""
        if way.box is None:
            return Change(None, notes=notes)
        before = self._mask[way.box].copy()
        way.apply(self._mask[way.box], way.box)
        self._fingerprint.update(self._mask, way.box)
        return Change(way.box, self._mask[way.box].copy(), before, notes)

    def _told(self, step: Step, change: Change, answer: Answer | None) -> Change:
        """Keeps probability and log of an act that is done."""
        self._probability = None
        if answer is not None and answer.probability is not None:
            start = tuple(one.start for one in answer.part)
            self._probability = BoxProbability(start, np.asarray(answer.probability, np.float16), 0.0)
            if change.box is not None:
                change = replace(change, probability=self._probability.within(change.box).astype(np.float16))
        self._acts += 1
        self.log.append({**step.act, "fingerprint": self.fingerprint})
        return change

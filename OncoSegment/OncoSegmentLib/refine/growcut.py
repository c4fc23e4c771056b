"""The engine `growcut`, without any weights: marks are taken in one by one, and what each made of the mask is kept.

A mark either describes the structure anew together with those before it, when what is wrong is large, or corrects the mask
near itself. A positive mark never takes voxels away and a negative one never adds any.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndimage

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, silent
from OncoSegmentLib.refine.growing.correct import corrected, depth_mm, with_sure
from OncoSegmentLib.refine.growing.marks import Mark, mark_of
from OncoSegmentLib.refine.growing.patch import EMPTY, Patch, hull
from OncoSegmentLib.refine.growing.shape import structure
from OncoSegmentLib.refine.growing.star import Limits
from OncoSegmentLib.refine.growing.volume import Volume
from OncoSegmentLib.refine.prompts import KINDS, Prompt
from OncoSegmentLib.refine.protocol import Answer, Capabilities, Part, Question, usable

CAPABILITIES = Capabilities(prompts=KINDS, negative=KINDS, start=True, probabilities=False, within=True)

LARGE, LEAST_VOXELS = 0.25, 2.0
"""A mark is seen as large when it lies deeper than this share of the mask's radius (of a ball of its volume), and than so many
voxels (of the mean spacing)."""

DEEP = 3.0
"""What a new description adds or takes may be this many times as deep as the click; more is a leak, and not taken."""

KEPT = 64
"""States of the mask that are kept."""

NO_EDGE = "No edge was found around the click: the answer is a guess of its size. Another click, a box or a stroke tells more."
ALL_OUT = "No prompt lies in the part of the image that may change, so nothing was segmented."


@dataclass(frozen=True, eq=False)
class State:
    """After some marks. mask: so far. large: marks that describe the structure. small: marks that corrected it since.

    guessed: no edge was seen. used: all marks. outside: numbers of prompts that were left out.
    """

    mask: Patch
    large: tuple[Mark, ...] = ()
    small: tuple[Mark, ...] = ()
    guessed: bool = False
    used: tuple[Mark, ...] = ()
    outside: tuple[int, ...] = ()


class GrowCut:
    """Engine `growcut`; see `Resources/Documentation/refine-growcut.md`."""

    name = "growcut"
    capabilities = CAPABILITIES

    def __init__(self) -> None:
        self._volume: Volume | None = None
        self._states: OrderedDict[tuple, State] = OrderedDict()

    def set_image(self, image: Image, *, progress: Progress = silent, cancel: CancelToken | None = None) -> None:
        """Takes the image; nothing is computed yet, so this takes no time."""
        if self._volume is None or self._volume.image is not image:
            self.close()
            self._volume = Volume(image)

    def answer(self, question: Question, *, progress: Progress = silent, cancel: CancelToken | None = None) -> Answer:
        """The mask for a question. InputError without an image, without prompts and start, or for masks of another grid."""
        cancel = cancel or CancelToken()
        part = self._checked(question)
        limits = Limits(part, question.protected)
        begin = begun(question, limits)
        key = fingerprint(question, part)
        state = State(begin)
        for number, prompt in enumerate(question.prompts, 1):
            cancel.check()
            key = (key, prompt)
            if key in self._states:
                state = self._states[key]
                self._states.move_to_end(key)
                continue
            progress((number - 1) / len(question.prompts), "Growing the region")
            state = self._step(state, number, prompt, limits, bool(question.start is not None), cancel)
            self._keep(key, state)
        cancel.check()
        return answered(state, begin, question, part)

    def close(self) -> None:
        """Lets go of the image and of all states."""
        self._volume = None
        self._states.clear()

    def _checked(self, question: Question) -> Part:
        if self._volume is None:
            raise InputError("the engine was given no image; wanted one before the first question")
        usable(question.prompts, self.capabilities)
        shape = self._volume.shape
        if not question.prompts and question.start is None:
            raise InputError("there is neither a prompt nor a mask to begin with; wanted one of them")
        for name in ("start", "protected"):
            mask = getattr(question, name)
            if mask is not None and (mask.shape != shape or mask.dtype != bool):
                raise InputError(f"the {name} mask is {mask.dtype} of shape {mask.shape}; wanted bool of the image's {shape}")
        part = question.within or tuple(slice(0, size) for size in shape)
        if any(not 0 <= span.start < span.stop <= size for span, size in zip(part, shape)):
            raise InputError(f"the part that may change is {part}; wanted a box inside the image's {shape}")
        return part

    def _keep(self, key: tuple, state: State) -> None:
        self._states[key] = state
        while len(self._states) > KEPT:
            self._states.popitem(last=False)

    def _step(self, state: State, number: int, prompt: Prompt, limits: Limits, started: bool, cancel: CancelToken) -> State:
        mark = mark_of(self._volume.image, prompt, limits.part)
        if mark is None:
            return State(state.mask, state.large, state.small, state.guessed, state.used, (*state.outside, number))
        used = (*state.used, mark)
        described = self._described(state, mark, limits, started, cancel)
        if described is not None:
            mask, guessed = described
            for one in state.small:
                mask = corrected(self._volume, mask, one, used, limits)
            mask = obeyed(mask, used, limits)
            return State(mask, (*state.large, mark), state.small, guessed, used, state.outside)
        mask = obeyed(corrected(self._volume, state.mask, mark, used[:-1], limits), used, limits)
        # Before there is any mask, a negative mark is remembered as one that describes.
        if not state.mask and not mark.positive:
            return State(mask, (*state.large, mark), state.small, state.guessed, used, state.outside)
        return State(mask, state.large, (*state.small, mark), state.guessed, used, state.outside)

    def _described(self, state: State, mark: Mark, limits: Limits, started: bool, cancel: CancelToken):
        """The mask by all marks that describe it, and whether it is a guess; None when the mark is a correction."""
        marks = (*state.large, mark)
        if not any(one.positive for one in marks) or (mark.drawn and state.mask):
            return None
        if not state.mask:
            found, seen = structure(self._volume, marks, limits, cancel)
            return obeyed(found, marks, limits), not seen
        if started and not mark.positive:
            return None
        depth = depth_mm(self._volume, state.mask, mark, limits) if len(mark.sure) else np.inf
        radius = (state.mask.voxels * self._volume.spacing.prod() * 0.75 / np.pi) ** (1 / 3)
        if depth <= max(LARGE * radius, LEAST_VOXELS * self._volume.mean_mm):
            return None
        found, seen = structure(self._volume, marks, limits, cancel)
        if not all(found.at(voxel) == one.positive for one in marks for voxel in one.sure):
            return None
        changed = state.mask.union(found) if mark.positive else state.mask.common(found)
        return (changed, not seen) if self._plausible(state.mask, changed, depth) else None

    def _plausible(self, before: Patch, after: Patch, depth: float) -> bool:
        """Whether a change is about as deep as the click that asked for it."""
        box = hull(before.box, after.box) if before and after else (before or after).box
        difference = np.pad(before.on(box) ^ after.on(box), 1)
        if not np.isfinite(depth) or not difference.any():
            return True
        deepest = float(ndimage.distance_transform_edt(difference, sampling=self._volume.spacing).max())
        return deepest <= DEEP * depth + self._volume.mean_mm


def make(**options) -> GrowCut:
    """The engine; it has no options. Raises InputError for one."""
    if options:
        raise InputError(f"the engine growcut has no option {sorted(options)[0]!r}; it takes none")
    return GrowCut()


def obeyed(mask: Patch, marks, limits: Limits) -> Patch:
    """All marks' own voxels as told, later ones last; never a protected voxel."""
    for one in marks:
        mask = with_sure(mask, one, limits)
    if limits.protected is not None and mask:
        mask = Patch.of(mask.mask & ~limits.protected[mask.box], mask.box)
    return mask


def begun(question: Question, limits: Limits) -> Patch:
    """The start mask within the part that may change, without protected voxels."""
    if question.start is None:
        return Patch()
    mask = question.start[limits.part]
    if question.protected is not None:
        mask = mask & ~question.protected[limits.part]
    return Patch.of(mask, limits.part)


def fingerprint(question: Question, part: Part) -> tuple:
    """Of all but the prompts: masks by their content, for the caller may change them."""
    masks = (question.start, question.protected)
    bounds = tuple((span.start, span.stop) for span in part)
    return (bounds, *(None if one is None else hashlib.sha256(np.packbits(one[part])).hexdigest() for one in masks))


def answered(state: State, begin: Patch, question: Question, part: Part) -> Answer:
    """The answer, in the box of all that may differ from the start."""
    first = Patch.of(question.start[part], part) if question.start is not None else Patch()
    boxes = [one.box for one in (first, begin, state.mask) if one]
    box = EMPTY if not boxes else boxes[0]
    for one in boxes[1:]:
        box = hull(box, one)
    if box == EMPTY:
        box = tuple(slice(span.start, span.start + 1) for span in part)
    notes = [f"Prompt {number} lies outside of the part that may change and was left out." for number in state.outside]
    if state.outside and len(state.outside) == len(question.prompts):
        notes = [ALL_OUT]
    if state.guessed:
        notes.append(NO_EDGE)
    return Answer(box, state.mask.on(box), notes=tuple(notes))

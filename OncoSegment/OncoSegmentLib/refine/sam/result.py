"""From logits by slice to a mask on the image's grid: clean-up, limits, and what a start mask keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from OncoSegmentLib.refine.protocol import Answer, Part, Question
from OncoSegmentLib.refine.sam.sam2_network import spread
from OncoSegmentLib.refine.sam.slice_prompts import Told
from OncoSegmentLib.refine.sam.stack import Stack
from OncoSegmentLib.refine.sam.views import View

NEIGHBORS = np.ones((3, 3, 3), bool)
"""Voxels that touch at a face, an edge or a corner belong together."""


@dataclass(frozen=True, eq=False)
class Found:
    """A structure in a box of the stack. part: the box. mask: bool, probability: float16, both of its shape."""

    part: Part
    mask: np.ndarray
    probability: np.ndarray


def assembled(stack: Stack, view: View, logits: dict[int, object]) -> Found | None:
    """Slices together on the stack's grid; None when there is nothing in any of them."""
    numbers = sorted(number for number, one in logits.items() if bool((one > 0).any()))
    if not numbers:
        return None
    inside, there = view.overlap(stack.shape[1:])
    shape = (numbers[-1] - numbers[0] + 1, *(one.stop - one.start for one in inside))
    probability = np.zeros(shape, np.float16)
    mask = np.zeros(shape, bool)
    for number in numbers:
        plane = spread(logits[number], view.rows, view.columns)[there]
        np.greater(plane, 0, out=mask[number - numbers[0]])
        probability[number - numbers[0]] = chance(plane)
    part = (slice(numbers[0], numbers[-1] + 1), *inside)
    return Found(part, mask, probability) if mask.any() else None


def chance(logits: np.ndarray) -> np.ndarray:
    """Logistic function."""
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


def touches_edge(found: Found | None, stack: Stack, view: View) -> bool:
    """True when a structure reaches the edge of the view where the slice goes on: it was seen in part."""
    if found is None:
        return False
    starts, sizes = (view.row, view.column), (view.rows, view.columns)
    for axis, (start, size) in enumerate(zip(starts, sizes), 1):
        faces = np.moveaxis(found.mask, axis, 0)
        if start > 0 and faces[0].any():
            return True
        if start + size < stack.shape[axis] and faces[-1].any():
            return True
    return False


def kept(found: Found, told: Told, prior: np.ndarray | None = None) -> Found:
    """Without pieces that hold no positive prompt and nothing of a mask before; all of them where none does."""
    box = tight(found.mask)
    labels, count = ndimage.label(found.mask[box], NEIGHBORS)
    if count < 2:
        return found
    origin = [one.start + inner.start for one, inner in zip(found.part, box)]
    wanted: set[int] = set()
    for voxels in told.places(positive=True):
        places = voxels - origin
        places = places[((places >= 0) & (places < labels.shape)).all(1)]
        wanted |= set(np.unique(labels[tuple(places.T)]).tolist())
    if prior is not None:
        was = prior[tuple(slice(at, at + size) for at, size in zip(origin, labels.shape))]
        wanted |= set(np.unique(labels[was]).tolist())
    wanted.discard(0)
    if not wanted:
        return found
    mask = np.zeros_like(found.mask)
    mask[box] = np.isin(labels, list(wanted))
    return Found(found.part, mask, found.probability)


def with_rest(found: Found | None, prior: np.ndarray | None, numbers) -> Found | None:
    """With slices of a mask before, `[slice, row, column]`, that the way did not come to."""
    numbers = [] if prior is None else sorted(numbers)
    if not numbers:
        return found
    rest = np.zeros(prior.shape, bool)
    rest[numbers] = prior[numbers]
    boxes = [tight(rest), *([] if found is None else [found.part])]
    part = around(boxes)
    mask = rest[part].copy()
    probability = mask.astype(np.float16)
    if found is not None:
        here = tuple(slice(one.start - whole.start, one.stop - whole.start) for one, whole in zip(found.part, part))
        mask[here] |= found.mask
        probability[here] = np.maximum(probability[here], found.probability)
    return Found(part, mask, probability)


def around(boxes: list[Part]) -> Part:
    """The smallest box that holds all of these."""
    return tuple(slice(min(one[axis].start for one in boxes), max(one[axis].stop for one in boxes)) for axis in range(3))


def holds(found: Found | None, place, near: int = 0) -> bool:
    """True when a place (slice, row, column) belongs to the structure, or one so many rows and columns beside it."""
    if found is None or not found.part[0].start <= place[0] < found.part[0].stop:
        return False
    at = [axis - one.start for axis, one in zip(place, found.part)]
    rows, columns = (slice(max(axis - near, 0), max(axis + near + 1, 0)) for axis in at[1:])
    return bool(found.mask[at[0], rows, columns].any())


def tight(mask: np.ndarray) -> Part:
    """The smallest box around what is true in a mask that is not empty."""
    spans = (np.flatnonzero(mask.any(tuple(one for one in range(3) if one != axis))) for axis in range(3))
    return tuple(slice(int(one[0]), int(one[-1]) + 1) for one in spans)


def answer_of(stack: Stack, found: Found | None, question: Question, base: np.ndarray | None, notes) -> Answer:
    """The answer on the image's grid `[k, j, i]`, cut to what differs from the start.

    base: what of the start stays, or None without a start. found: the structure to add.
    """
    boxes = [] if found is None else [stack.part_back(found.part)]
    if question.start is not None:
        changed = question.start & ~base
        if question.protected is not None:
            changed |= question.start & question.protected
        if changed.any():
            boxes.append(tight(changed))
    if not boxes:
        return nothing(question, notes)
    part = around(boxes)
    mask = np.zeros([one.stop - one.start for one in part], bool) if base is None else base[part].copy()
    probability = mask.astype(np.float16)
    if found is not None:
        here = tuple(slice(one.start - whole.start, one.stop - whole.start) for one, whole in zip(boxes[0], part))
        mask[here] |= stack.back(found.mask)
        probability[here] = np.maximum(probability[here], stack.back(found.probability))
    limited(mask, probability, part, question)
    return cut(part, mask, probability, question, notes)


def limited(mask: np.ndarray, probability: np.ndarray, part: Part, question: Question) -> None:
    """Takes out what is protected; outside of the limit the start stays."""
    if question.protected is not None:
        mask &= ~question.protected[part]
        probability[question.protected[part]] = 0
    if question.within is None:
        return
    outside = np.ones(mask.shape, bool)
    outside[tuple(overlap(one, limit) for one, limit in zip(part, question.within))] = False
    start = question.start[part] if question.start is not None else np.zeros(mask.shape, bool)
    mask[outside], probability[outside] = start[outside], start[outside]


def overlap(span: slice, limit: slice) -> slice:
    """What two spans share, counted from the start of the first."""
    first = max(span.start, limit.start)
    return slice(first - span.start, max(min(span.stop, limit.stop), first) - span.start)


def cut(part: Part, mask: np.ndarray, probability: np.ndarray, question: Question, notes) -> Answer:
    """Only the box that differs from the start."""
    differs = mask if question.start is None else mask != question.start[part]
    if not differs.any():
        return nothing(question, notes)
    box = tight(differs)
    moved = tuple(slice(one.start + inner.start, one.start + inner.stop) for one, inner in zip(part, box))
    return Answer(moved, mask[box].copy(), probability[box].copy(), tuple(notes))


def nothing(question: Question, notes) -> Answer:
    """No voxel differs from the start: one voxel of it stands for the answer."""
    part = (slice(0, 1),) * 3
    mask = np.zeros((1, 1, 1), bool) if question.start is None else question.start[part].copy()
    return Answer(part, mask, mask.astype(np.float16), tuple(notes))

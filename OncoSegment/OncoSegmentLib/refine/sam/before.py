"""What a start mask is to a question: pieces that a prompt lies in are made anew, all others stay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from OncoSegmentLib.refine.protocol import Question
from OncoSegmentLib.refine.sam.slice_prompts import Told
from OncoSegmentLib.refine.sam.stack import Stack

NEIGHBORS = np.ones((3, 3, 3), bool)


@dataclass(frozen=True, eq=False)
class Before:
    """base: what stays, bool `[k, j, i]`, None without a start. prior: the pieces to make anew, `[slice, row, column]`, or None.

    numbers: slices that the pieces lie in.
    """

    base: np.ndarray | None = None
    prior: np.ndarray | None = None
    numbers: tuple[int, ...] = ()

    def holds(self, number: int) -> bool:
        """True when a slice has a piece."""
        return number in self.numbers

    def plane(self, number: int) -> np.ndarray:
        """The pieces in a slice, bool `[row, column]`."""
        return self.prior[number]

    def voxels(self) -> np.ndarray:
        """Some voxels of the pieces, slice, row, column."""
        return np.argwhere(self.prior)


def before(stack: Stack, question: Question, asked: Told) -> Before:
    """Takes a start mask apart by the prompts: clicked points, strokes, and boxes and lassos in their slice."""
    if question.start is None:
        return Before()
    start = stack.view(question.start)
    spans = ndimage.find_objects(start.astype(np.uint8))
    if not spans or spans[0] is None:
        return Before(question.start)
    box = spans[0]
    labels, _count = ndimage.label(start[box], NEIGHBORS)
    origin = [one.start for one in box]
    touched: set[int] = set()
    for places in asked.places():
        places = places - origin
        places = places[((places >= 0) & (places < labels.shape)).all(1)]
        touched |= set(np.unique(labels[tuple(places.T)]).tolist())
    touched.discard(0)
    if not touched:
        return Before(question.start)
    prior = np.zeros(start.shape, bool)
    prior[box] = np.isin(labels, list(touched))
    numbers = tuple(np.flatnonzero(prior.any((1, 2))).tolist())
    return Before(question.start & ~stack.back(prior), prior, numbers)

"""The part of the slices that a network sees: a square of the patient around the structure, and pixels in it.

A small structure in a whole slice is a few pixels of a network's mask, which is four times coarser than its picture. So the
first prompt looks into the smallest square first and into larger ones until one shows all that it finds, and the answer is made
in the smallest square with room around that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from OncoSegmentLib.refine.sam.stack import Stack
from OncoSegmentLib.refine.sam.windows import Window

ROOM = 2.5
"""A square is at least so many times as wide as what was found in it; our own choice, that of the training, too."""

HALVINGS = 2
"""The smallest square is that many times halved."""

LEAST_MM = 80.0
"""The smallest square is at least so wide, for a network wants to see what surrounds a structure; our own choice. In a scan that
was cut to 180 mm, a quarter of it hid that a metastasis of 27 mm was one: Dice 0.06, with this limit 0.8."""

STEPS = 8
"""Squares lie in steps of an eighth of their side, so that clicks near each other see the same pictures."""


@dataclass(frozen=True)
class View:
    """A rectangle of a stack's rows and columns, square in mm; it may reach over the slice's edge, where it is black."""

    row: int
    column: int
    rows: int
    columns: int

    def picture(self, plane: np.ndarray, window: Window) -> np.ndarray:
        """uint8 `[rows, columns]` of a slice `[row, column]`."""
        found = np.zeros((self.rows, self.columns), np.uint8)
        inside, there = self.overlap(plane.shape)
        found[there] = window.gray(plane[inside])
        return found

    def overlap(self, shape: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """What view and slice share: in the slice, and in the view."""
        inside, there = [], []
        for start, size, whole in zip((self.row, self.column), (self.rows, self.columns), shape):
            first, last = max(start, 0), min(start + size, whole)
            inside.append(slice(first, max(last, first)))
            there.append(slice(first - start, max(last, first) - start))
        return tuple(inside), tuple(there)

    def to_network(self, xy: np.ndarray, size: int) -> np.ndarray:
        """Pixels `[n, 2]` (column, row) of the slice, whole numbers at their centers, as pixels of a network's picture."""
        scale = size / np.array([self.columns, self.rows])
        return (np.asarray(xy, np.float64) - (self.column, self.row) + 0.5) * scale - 0.5

    def box_to_network(self, box: tuple[int, int, int, int], size: int) -> np.ndarray:
        """First and last column and row (x0, y0, x1, y1) as the outermost pixels of a network's picture that they cover."""
        low = self.to_network([(box[0] - 0.5, box[1] - 0.5)], size)[0] + 0.5
        high = self.to_network([(box[2] + 0.5, box[3] + 0.5)], size)[0] - 0.5
        return np.concatenate([low, np.maximum(high, low)])

    def holds(self, xy) -> bool:
        """True when a pixel lies in it."""
        return 0 <= xy[0] - self.column < self.columns and 0 <= xy[1] - self.row < self.rows


def whole(stack: Stack) -> View:
    """The smallest square that holds a slice."""
    (rows, columns), steps = stack.shape[1:], stack.spacing_mm[1:]
    side_mm = max(rows * steps[0], columns * steps[1])
    tall, wide = (max(size, round(side_mm / step)) for size, step in zip((rows, columns), steps))
    return View(-((tall - rows) // 2), -((wide - columns) // 2), tall, wide)


def around(stack: Stack, xy, extent_mm: float, most: int = HALVINGS) -> View:
    """The smallest square of the ladder (whole, half, quarter) with `ROOM` around a structure of that size at a pixel."""
    full = whole(stack)
    side_mm = max(full.rows * stack.spacing_mm[1], full.columns * stack.spacing_mm[2])
    halvings = 0
    while halvings < most and side_mm / 2 ** (halvings + 1) >= max(ROOM * extent_mm, LEAST_MM):
        halvings += 1
    if not halvings:
        return full
    spans = zip((xy[1], xy[0]), (full.row, full.column), (full.rows, full.columns))
    (row, rows), (column, columns) = (placed(at, start, size, halvings) for at, start, size in spans)
    return View(row, column, rows, columns)


def placed(at: float, start: int, size: int, halvings: int) -> tuple[int, int]:
    """Start and size of a part of a span, around a pixel, in steps, inside of the span."""
    part = max(1, round(size / 2**halvings))
    step = max(1, part // STEPS)
    first = start + round((at - part / 2 - start) / step) * step
    return min(max(first, start), start + size - part), part


def extent_mm(mask: np.ndarray, stack: Stack) -> float:
    """The longer side of the box around a mask `[row, column]`; 0 when it is empty."""
    sides = []
    for axis, step in ((1, stack.spacing_mm[1]), (0, stack.spacing_mm[2])):
        found = np.flatnonzero(mask.any(axis))
        sides.append((found[-1] - found[0] + 1) * step if found.size else 0.0)
    return max(sides)

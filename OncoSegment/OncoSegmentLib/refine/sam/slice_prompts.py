"""Prompts as slices have them: pixels of points, one box a slice; and as a network has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoSegmentLib.refine.prompts import Box, Lasso, Prompt
from OncoSegmentLib.refine.raster import part_of_box, voxels_of
from OncoSegmentLib.refine.sam.stack import Stack
from OncoSegmentLib.refine.sam.views import View

MOST_POINTS = 5
"""Of one stroke in one slice: SAM's networks were trained with few clicks."""


@dataclass(frozen=True, eq=False)
class NetworkPrompts:
    """In pixels of a network's picture. points `[n, 2]` (x, y), labels `[n]` 1 inside and 0 outside, box (x0, y0, x1, y1)."""

    points: np.ndarray
    labels: np.ndarray
    box: np.ndarray | None = None

    def as_points(self) -> tuple[np.ndarray, np.ndarray]:
        """The box as two points of labels 2 and 3, before the others, as SAM 2 was trained."""
        if self.box is None:
            return self.points, self.labels
        return np.concatenate([self.box.reshape(2, 2), self.points]), np.concatenate([[2, 3], self.labels])


@dataclass
class SlicePrompts:
    """What was told about one slice. points: (column, row); box: first and last column and row."""

    points: list[tuple[int, int]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    box: tuple[int, int, int, int] | None = None

    @property
    def positive(self) -> bool:
        """True when something says that the structure is here."""
        return self.box is not None or 1 in self.labels

    def seen(self, view: View, size: int) -> NetworkPrompts:
        """As a network with pictures of that size sees them in a view."""
        points = view.to_network(np.array(self.points, np.float64).reshape(-1, 2), size)
        box = None if self.box is None else view.box_to_network(self.box, size)
        return NetworkPrompts(points, np.array(self.labels, np.int64), box)

    def in_view(self, view: View) -> bool:
        """True when the view holds all of it."""
        corners = [] if self.box is None else [self.box[:2], self.box[2:]]
        return all(view.holds(one) for one in [*self.points, *corners])


@dataclass
class Told:
    """All prompts by slice, in the order in which slices were first named.

    reach: slices that boxes allow, first and last but one, None for all.
    """

    slices: dict[int, SlicePrompts] = field(default_factory=dict)
    reach: tuple[int, int] | None = None
    notes: list[str] = field(default_factory=list)

    def at(self, number: int) -> SlicePrompts:
        """Of one slice, empty at first."""
        return self.slices.setdefault(int(number), SlicePrompts())

    def places(self, positive: bool = False) -> list[np.ndarray]:
        """Slice, row, column `[n, 3]` of all points, and of all pixels of boxes. positive: only what is in the structure."""
        found = []
        for number, one in self.slices.items():
            pixels = [(row, column) for (column, row), label in zip(one.points, one.labels) if label or not positive]
            places = [np.array(pixels, np.intp).reshape(-1, 2)]
            if one.box is not None:
                x0, y0, x1, y1 = one.box
                places.append(np.stack(np.mgrid[y0 : y1 + 1, x0 : x1 + 1], -1).reshape(-1, 2))
            found += [np.insert(part, 0, number, axis=1) for part in places if len(part)]
        return found


def flat_axis(image: Image, prompts: Sequence[Prompt]) -> int | None:
    """Array axis (of k, j, i) across the first box or lasso when it lies in one layer of voxels; None otherwise."""
    for one in prompts:
        if isinstance(one, (Box, Lasso)):
            voxels = voxels_of(image, one)
            if len(voxels):
                sides = np.ptp(voxels, axis=0)
                return int(np.argmin(sides)) if np.count_nonzero(sides == 0) == 1 else None
    return None


def told(image: Image, stack: Stack, prompts: Sequence[Prompt]) -> Told:
    """Prompts on the slices of a stack; those outside of the image are left out with a note. InputError for a box that is flat
    across the slices."""
    found = Told()
    for number, one in enumerate(prompts, 1):
        voxels = stack.places(voxels_of(image, one)) if not isinstance(one, Box) else box_corners(image, stack, one)
        if not len(voxels):
            found.notes.append(f"prompt {number} lies outside of the image and was left out")
            continue
        if isinstance(one, Box):
            add_box(found, voxels, number, stack)
        elif isinstance(one, Lasso):
            add_lasso(found, voxels)
        else:
            add_points(found, voxels, one.positive)
    if found.reach is not None:
        first, last = min(found.slices), max(found.slices)
        found.reach = (min(found.reach[0], first), max(found.reach[1], last + 1))
    return found


def box_corners(image: Image, stack: Stack, box: Box) -> np.ndarray:
    """First and last slice, row and column of a box; empty when it lies outside."""
    part = part_of_box(image, box)
    if part is None:
        return np.zeros((0, 3), np.intp)
    return np.array([[one.start for one in stack.part(part)], [one.stop - 1 for one in stack.part(part)]])


def add_box(found: Told, corners: np.ndarray, number: int, stack: Stack) -> None:
    """A box is told to its middle slice, and limits the slices to its own."""
    (first, row0, column0), (last, row1, column1) = corners.tolist()
    if row0 == row1 or column0 == column1:
        raise InputError(
            f"box {number} is flat across the {stack.name} slices; draw it in them, or choose the axis of the drawing"
        )
    found.at((first + last) // 2).box = (column0, row0, column1, row1)
    if first != last:
        low, high = found.reach or (first, last + 1)
        found.reach = (min(low, first), max(high, last + 1))


def add_lasso(found: Told, voxels: np.ndarray) -> None:
    """A lasso in one or two slices is its box and its innermost pixel; one across them an innermost pixel in each."""
    numbers, counts = np.unique(voxels[:, 0], return_counts=True)
    if len(numbers) > 2:
        for number in numbers:
            add_inner(found.at(number), voxels[voxels[:, 0] == number, 1:])
        return
    number = numbers[counts.argmax()]
    plane = voxels[voxels[:, 0] == number, 1:]
    found.at(number).box = (*plane.min(0)[::-1].tolist(), *plane.max(0)[::-1].tolist())
    add_inner(found.at(number), plane)


def add_inner(slice_prompts: SlicePrompts, plane: np.ndarray) -> None:
    """The pixel (of rows and columns `[n, 2]`) that lies farthest from the edge, as a positive point."""
    slice_prompts.points.append(innermost(plane))
    slice_prompts.labels.append(1)


def innermost(plane: np.ndarray) -> tuple[int, int]:
    """Column and row of the pixel of `[n, 2]` (row, column) that lies farthest from the others' edge; the first of equals."""
    from scipy import ndimage

    low = plane.min(0)
    mask = np.zeros(plane.max(0) - low + 3, bool)
    mask[tuple((plane - low + 1).T)] = True
    depth = ndimage.distance_transform_edt(mask)
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return int(column + low[1] - 1), int(row + low[0] - 1)


def add_points(found: Told, voxels: np.ndarray, positive: bool) -> None:
    """A click, or some pixels of a stroke in each of its slices, evenly along it."""
    for number in dict.fromkeys(voxels[:, 0].tolist()):
        plane = voxels[voxels[:, 0] == number, 1:]
        chosen = plane[np.unique(np.linspace(0, len(plane) - 1, min(MOST_POINTS, len(plane))).round().astype(int))]
        found.at(number).points += [(int(column), int(row)) for row, column in chosen]
        found.at(number).labels += [int(positive)] * len(chosen)

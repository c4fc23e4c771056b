"""The image as a stack of pictures, laid as radiologists hang them, whatever the order of its voxels.

A stack's axes are slice, row, column. Each runs towards left, posterior or inferior, as far as the grid allows: axial
pictures have the patient's front at the top and his right at the left, sagittal and coronal ones his head at the top. So a
grid that is flipped or permuted gives the same pictures, and the same answer.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoSegmentLib.refine.protocol import Part

AXES = ("axial", "coronal", "sagittal")
ACROSS = {"axial": 2, "coronal": 1, "sagittal": 0}
"""Patient axis (R, A, S) that the slices of a stack follow each other along."""

THICKER = 1.1
"""Slices are those that were scanned when they lie this much further apart than pixels; axial where no axis does."""


@dataclass(frozen=True)
class Stack:
    """How slices, rows and columns lie in an image's array.

    name: of `AXES`. order: array axis (of k, j, i) of slices, rows, columns. flipped: of these, which run against the array.
    shape and spacing_mm: of slices, rows, columns.
    """

    name: str
    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]

    def view(self, array: np.ndarray) -> np.ndarray:
        """`[k, j, i]` as `[slice, row, column]`, without a copy."""
        return array.transpose(self.order)[tuple(slice(None, None, -1 if one else 1) for one in self.flipped)]

    def back(self, array: np.ndarray) -> np.ndarray:
        """`[slice, row, column]` as `[k, j, i]`, without a copy."""
        turned = array[tuple(slice(None, None, -1 if one else 1) for one in self.flipped)]
        return turned.transpose(np.argsort(self.order))

    def places(self, kji: np.ndarray) -> np.ndarray:
        """Coordinates `[n, 3]` (k, j, i), whole or not, as slice, row, column."""
        found = np.asarray(kji)[:, self.order]
        return np.where(self.flipped, np.array(self.shape) - 1 - found, found)

    def places_back(self, places: np.ndarray) -> np.ndarray:
        """Slice, row, column `[n, 3]` as coordinates (k, j, i)."""
        places = np.asarray(places)
        return np.where(self.flipped, np.array(self.shape) - 1 - places, places)[:, np.argsort(self.order)]

    def part(self, part: Part) -> Part:
        """A box of the array as a box of the stack."""
        spans = (part[axis] for axis in self.order)
        return self._mirrored(spans)

    def part_back(self, part: Part) -> Part:
        """A box of the stack as a box of the array."""
        spans = self._mirrored(part)
        return tuple(spans[self.order.index(axis)] for axis in range(3))

    def _mirrored(self, spans) -> Part:
        ends = zip(spans, self.flipped, self.shape)
        return tuple(slice(size - one.stop, size - one.start) if flip else one for one, flip, size in ends)


def patient_axes(image: Image) -> tuple[int, int, int]:
    """For the array axes k, j, i the patient axis (0 R, 1 A, 2 S) that each lies along most."""
    cosines = np.abs(image.ijk_to_ras[:3, :3] / np.linalg.norm(image.ijk_to_ras[:3, :3], axis=0)).T[::-1]
    fit = {one: sum(cosines[axis, one[axis]] for axis in range(3)) for one in itertools.permutations((2, 1, 0))}
    return max(fit, key=lambda one: round(fit[one], 9))


def natural_axis(image: Image) -> str:
    """The stack as it was scanned: along the axis with the largest distance of voxels; axial where they are alike."""
    along = dict(zip(patient_axes(image), image.spacing_kji_mm))
    name = max(AXES, key=lambda one: along[ACROSS[one]])
    others = [step for axis, step in along.items() if axis != ACROSS[name]]
    return name if along[ACROSS[name]] > THICKER * max(others) else "axial"


def stack_of(image: Image, name: str) -> Stack:
    """The image's stack of that name; InputError for another name."""
    if name not in AXES:
        raise InputError(f"slices along {name!r} are unknown; wanted {', '.join(AXES)}, or auto")
    along = patient_axes(image)
    first = ACROSS[name]
    order = tuple(along.index(axis) for axis in (first, *(one for one in (2, 1, 0) if one != first)))
    directions = image.ijk_to_ras[:3, :3].T[::-1]
    flipped = tuple(bool(directions[axis][along[axis]] > 0) for axis in order)
    shape = tuple(image.shape_kji[axis] for axis in order)
    return Stack(name, order, flipped, shape, tuple(image.spacing_kji_mm[axis] for axis in order))

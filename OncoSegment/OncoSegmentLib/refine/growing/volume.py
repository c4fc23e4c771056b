"""The image as the engine sees it: smoothed a little where it is looked at, without what is no number."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import scipy.ndimage as ndimage

from OncoLib.image import Image
from OncoSegmentLib.refine.growing.patch import shape_of
from OncoSegmentLib.refine.protocol import Part

SMOOTHING = 0.6
"""Standard deviation of the Gaussian in the smallest spacing: more smears small nodules, less leaves the noise of thin slices."""

REACH = 2
"""Voxels that the Gaussian looks at on each side, cut there."""

TILE, TILES = 64, 320
"""Voxels a side of what is smoothed at a time, and how many are kept (1 MiB each)."""

LARGEST = 1e30
"""Values beyond are no measurement; with them differences would overflow."""


class Volume:
    """Smoothed voxels of any box, the same whichever way they are asked for."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.spacing = np.array(image.spacing_kji_mm)
        self.shape = image.shape_kji
        self.mean_mm = float(self.spacing.prod() ** (1 / 3))
        self.widths = SMOOTHING * self.spacing.min() / self.spacing
        self._tiles: OrderedDict[tuple, np.ndarray] = OrderedDict()

    def part(self, box: Part) -> np.ndarray:
        """float32 of the box's shape."""
        found = np.empty(shape_of(box), np.float32)
        for tile in np.ndindex(*(-(-span.stop // TILE) - span.start // TILE for span in box)):
            number = tuple(at + span.start // TILE for at, span in zip(tile, box))
            low = [max(span.start, n * TILE) for span, n in zip(box, number)]
            high = [min(span.stop, (n + 1) * TILE) for span, n in zip(box, number)]
            here = tuple(slice(a - span.start, b - span.start) for a, b, span in zip(low, high, box))
            found[here] = self._tile(number)[tuple(slice(a - n * TILE, b - n * TILE) for a, b, n in zip(low, high, number))]
        return found

    def bad(self, box: Part) -> np.ndarray | None:
        """Voxels of a box that hold no number; None when all do."""
        if self.image.voxels.dtype.kind != "f":
            return None
        with np.errstate(invalid="ignore"):
            found = ~(np.abs(self.image.voxels[box]) < LARGEST)
        return found if found.any() else None

    def _tile(self, number: tuple) -> np.ndarray:
        if number in self._tiles:
            self._tiles.move_to_end(number)
            return self._tiles[number]
        first = [n * TILE for n in number]
        last = [min(size, start + TILE) for size, start in zip(self.shape, first)]
        wide = tuple(slice(max(0, a - REACH), min(size, b + REACH)) for a, b, size in zip(first, last, self.shape))
        values = self.image.voxels[wide].astype(np.float32)
        bad = self.bad(wide)
        if bad is not None:
            values[bad] = values[~bad].min() if not bad.all() else 0.0
        for axis, width in enumerate(self.widths):
            if width > 0.1 and values.shape[axis] > 1:
                values = ndimage.gaussian_filter1d(values, width, axis=axis, mode="nearest", radius=REACH)
        kept = values[tuple(slice(a - w.start, b - w.start) for a, b, w in zip(first, last, wide))].copy()
        self._tiles[number] = kept
        while len(self._tiles) > TILES:
            self._tiles.popitem(last=False)
        return kept

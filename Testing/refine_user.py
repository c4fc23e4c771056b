"""A simulated reader: clicks the largest error, not quite in its middle, and what becomes of the mask click by click.

As in the interactive challenges, a click goes where the error is largest; unlike there, it misses the middle by a random
distance, because readers do worse than ideal clicks (RadioActive, arXiv 2411.07885, and arXiv 2404.01816 speak of it).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.ndimage as ndimage

from OncoLib.image import Image
from OncoLib.measure import dice
from OncoLib.progress import CancelToken, silent
from OncoLib.surface_distance import surface_distances
from OncoSegmentLib.refine.prompts import Point
from OncoSegmentLib.refine.protocol import Engine, Part, Question
from OncoSegmentLib.refine.raster import ras_of

JITTER = 0.6
"""Of the depth of the click's place below the edge of the error: the farthest that it is missed by."""

ENOUGH = 0.85
"""Dice that counts as reached."""

CLICKS = 5


@dataclass
class Course:
    """What one engine made of one case. dice, nsd_1mm, nsd_2mm: after each click. clicks: what was told."""

    dice: list[float] = field(default_factory=list)
    nsd_1mm: list[float] = field(default_factory=list)
    nsd_2mm: list[float] = field(default_factory=list)
    clicks: list[Point] = field(default_factory=list)

    @property
    def needed(self) -> int | None:
        """Clicks until Dice `ENOUGH` for the first time; None when it was not reached."""
        return next((number for number, value in enumerate(self.dice, 1) if value >= ENOUGH), None)


def course(engine: Engine, image: Image, truth: np.ndarray, *, seed: int = 0, clicks: int = CLICKS, within: Part | None = None):
    """Clicks `clicks` times and scores each answer. seed: of the jitter, the same for all engines. `set_image` was called."""
    found, mask = Course(), np.zeros(truth.shape, bool)
    for number in range(clicks):
        point = next_click(image, truth, mask, np.random.default_rng([seed, number]))
        if point is not None:
            found.clicks.append(point)
            mask = asked(engine, image, found.clicks, within)
        score(found, mask, truth, image)
    return found


def asked(engine: Engine, image: Image, clicks: Sequence[Point], within: Part | None) -> np.ndarray:
    """The whole mask that an engine answers."""
    answer = engine.answer(Question(tuple(clicks), within=within), progress=silent, cancel=CancelToken())
    mask = np.zeros(image.shape_kji, bool)
    mask[answer.part] = answer.mask
    return mask


def score(found: Course, mask: np.ndarray, truth: np.ndarray, image: Image) -> None:
    """Adds the measures of a mask."""
    box = around(mask | truth)
    distances = surface_distances(mask[box], truth[box], image.ijk_to_ras)
    found.dice.append(float(dice(mask[box], truth[box])))
    found.nsd_1mm.append(float(distances.surface_dice[1.0]))
    found.nsd_2mm.append(float(distances.surface_dice[2.0]))


def around(mask: np.ndarray, margin: int = 1) -> Part:
    """The box of a mask that is not empty, with a margin of voxels."""
    spans = []
    for axis in range(3):
        present = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        spans.append(slice(max(0, int(present[0]) - margin), min(mask.shape[axis], int(present[-1]) + 1 + margin)))
    return tuple(spans)


def next_click(image: Image, truth: np.ndarray, mask: np.ndarray, random: np.random.Generator) -> Point | None:
    """Where a reader clicks next: None when nothing is wrong.

    The largest component of what is missing or too much, its deepest place, and from there a random step of at most `JITTER`
    of its depth, within the component: who misses the error altogether sees it and clicks again.
    """
    error = mask ^ truth
    if not error.any():
        return None
    box = around(error)
    part = largest(error[box], truth[box])
    depth = ndimage.distance_transform_edt(np.pad(part, 1), sampling=image.spacing_kji_mm)[1:-1, 1:-1, 1:-1]
    deepest = np.array(np.unravel_index(int(depth.argmax()), depth.shape))
    at = missed(part, deepest, depth.max() * JITTER, image, random)
    place = ras_of(image, [at + [span.start for span in box]])[0]
    return Point(tuple(place), positive=bool(truth[box][tuple(deepest)]))


def largest(error: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The largest 6-connected component of one kind of error."""
    best, size = error, 0
    for kind in (error & truth, error & ~truth):
        labels, count = ndimage.label(kind)
        if count:
            sizes = np.bincount(labels.ravel())[1:]
            if sizes.max() > size:
                best, size = labels == int(sizes.argmax()) + 1, int(sizes.max())
    return best


def missed(part: np.ndarray, deepest: np.ndarray, reach_mm: float, image: Image, random: np.random.Generator) -> np.ndarray:
    """A place (voxel coordinates k, j, i, not rounded) in the component, uniform in a ball around its deepest voxel."""
    for _try in range(20):
        step = random.standard_normal(3)
        step *= reach_mm * random.random() ** (1 / 3) / np.linalg.norm(step)
        at = deepest + step / image.spacing_kji_mm
        nearest = np.floor(at + 0.5).astype(int)
        if ((nearest >= 0) & (nearest < part.shape)).all() and part[tuple(nearest)]:
            return at
    return deepest.astype(float)


def seed_of(name: str, number: int) -> int:
    """Of a case and a repetition; the same on every machine."""
    return zlib.crc32(f"{name}/{number}".encode())

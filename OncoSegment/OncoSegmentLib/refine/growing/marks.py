"""Prompts as marks on the grid: which voxels are surely so, where to look from, and what bounds the structure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from OncoLib.image import Image
from OncoSegmentLib.refine.prompts import Box, Lasso, Point, Prompt, Scribble
from OncoSegmentLib.refine.protocol import Part
from OncoSegmentLib.refine.raster import kji_of, part_of_box, voxels_of

MOST_CENTERS = 5
"""Places along a stroke from which the structure is looked at."""

CORE, RIM, RING = 0.7, 1.15, 1.6
"""Of a lasso, drawn around a structure: scaled by `CORE` it surely lies inside; between `RIM` and `RING` surely not."""


@dataclass(frozen=True, eq=False)
class Mark:
    """A prompt on the grid.

    sure: voxels `[n, 3]` that are of the structure (positive), or not. centers: places (k, j, i) to look from. apart: voxels that
    are surely not of it, although the prompt is positive. bounds: a box that the structure does not leave, or None.
    drawn: the prompt says how far it goes (negative box or lasso), nothing grows from it.
    """

    positive: bool
    sure: np.ndarray
    centers: tuple[np.ndarray, ...]
    apart: np.ndarray
    bounds: Part | None = None
    drawn: bool = False


NONE = np.zeros((0, 3), np.intp)


def mark_of(image: Image, prompt: Prompt, part: Part) -> Mark | None:
    """The mark of a prompt within a part of the grid; None when it lies outside."""
    found = clipped(voxels_of(image, prompt), part)
    if not len(found):
        return None
    if isinstance(prompt, Point):
        return Mark(prompt.positive, found, (within(kji_of(image, [prompt.ras])[0], part),), NONE)
    if not prompt.positive and not isinstance(prompt, Scribble):
        return Mark(False, found, (), NONE, drawn=True)
    if isinstance(prompt, Scribble):
        return Mark(prompt.positive, found, along(image, prompt, part), NONE)
    if isinstance(prompt, Lasso):
        return lassoed(image, prompt, found, part)
    bounds = bounds_of(image, prompt, part)
    return Mark(True, NONE, (np.array([(span.start + span.stop - 1) / 2 for span in bounds]),), NONE, bounds)


def clipped(voxels: np.ndarray, part: Part) -> np.ndarray:
    """Those inside of a part."""
    low, high = ([getattr(span, end) for span in part] for end in ("start", "stop"))
    return voxels[((voxels >= low) & (voxels < high)).all(axis=1)]


def within(place: np.ndarray, part: Part) -> np.ndarray:
    """A place moved to the centers of the outermost voxels of a part where it lies beyond them."""
    return np.clip(place, [span.start for span in part], [span.stop - 1 for span in part])


def along(image: Image, scribble: Scribble, part: Part) -> tuple[np.ndarray, ...]:
    """Up to `MOST_CENTERS` places in equal steps along a stroke, those inside of the part."""
    path = np.asarray(scribble.path)
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    steps = (np.arange(MOST_CENTERS) + 0.5) / MOST_CENTERS * lengths[-1]
    places = kji_of(image, np.stack([np.interp(steps, lengths, path[:, axis]) for axis in range(3)], axis=1))
    kept = [one for one in places if len(clipped(np.floor(one + 0.5)[None], part))]
    return tuple(kept) or (within(places[MOST_CENTERS // 2], part),)


def lassoed(image: Image, lasso: Lasso, found: np.ndarray, part: Part) -> Mark:
    """A positive lasso: its inner part is sure, and a ring around it is surely not."""
    outline = np.asarray(lasso.outline)
    middle = outline.mean(axis=0)

    def scaled(share: float) -> np.ndarray:
        bigger = replace(lasso, outline=tuple(map(tuple, middle + share * (outline - middle))))
        return clipped(voxels_of(image, bigger), part)

    core = scaled(CORE)
    core = core if len(core) else found
    center = core[np.argmin(((core - found.mean(axis=0)) ** 2).sum(axis=1))].astype(float)
    around, rim = scaled(RING), {tuple(one) for one in np.concatenate([scaled(RIM), found]).tolist()}
    apart = np.array([one for one in around.tolist() if tuple(one) not in rim], np.intp).reshape(-1, 3)
    return Mark(True, core, (center,), apart)


def bounds_of(image: Image, box: Box, part: Part) -> Part:
    """The voxels of a box; a flat one goes on to both sides by half of its longer side, for a structure is about as deep."""
    found = part_of_box(image, box)
    sizes = [(span.stop - span.start) * step for span, step in zip(found, image.spacing_kji_mm)]
    flat = [axis for axis in range(3) if found[axis].stop - found[axis].start == 1]
    spans = list(found)
    if len(flat) == 1:
        axis = flat[0]
        more = int(np.ceil(max(sizes) / 2 / image.spacing_kji_mm[axis]))
        spans[axis] = slice(found[axis].start - more, found[axis].stop + more)
    return tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(spans, part))

"""A structure from its clicks: region of interest, seeds of both sides, GrowCut, cleanup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndimage

from OncoLib.progress import CancelToken
from OncoSegmentLib.refine.growing.directions import ratio_map
from OncoSegmentLib.refine.growing.marks import Mark
from OncoSegmentLib.refine.growing.patch import Patch, box_around, hull, shape_of
from OncoSegmentLib.refine.growing.star import Limits, Star, star_at
from OncoSegmentLib.refine.growing.values import SCALE, UNLIKELY, Likelihood, likelihood
from OncoSegmentLib.refine.growing.volume import Volume
from OncoSegmentLib.refine.protocol import Part

STRUCTURE, BACKGROUND = 1, 2

CORE, OUTSIDE, FAR = 0.35, 1.8, 3.0
"""In radii of the star: nearer than `CORE` with a likely value is seed of the structure; farther than `OUTSIDE` with an unlikely
value, and farther than `FAR` with any, is seed of the background."""

BESIDE = 1.15
"""Values count as outside from here on, in radii of the nearest star."""

MOST_VOXELS = 3_000_000
"""Of a region of interest; a larger one is looked at on every second (third, ...) voxel and smoothed back."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Stars of the marks, positive and negative, and the box around what they reach."""

    positive: tuple[Star, ...]
    negative: tuple[Star, ...]
    bounds: tuple[Part | None, ...]
    box: Part

    @property
    def found(self) -> bool:
        """False when no star saw an edge."""
        return any(one.found for one in self.positive)


def look(volume: Volume, marks: Sequence[Mark], limits: Limits) -> Seen | None:
    """What the marks see; None without a positive one."""
    places = [(center, mark.positive) for mark in marks for center in mark.centers]
    stars: dict[bool, list[Star]] = {True: [], False: []}
    bounds, box = [], None
    for mark in marks:
        within = limits if mark.bounds is None else Limits(mark.bounds, limits.protected)
        for center in mark.centers:
            others = [(place, side == mark.positive) for place, side in places if place is not center]
            star = star_at(volume, center, within, others)
            stars[mark.positive].append(star)
            if mark.positive:
                bounds.append(mark.bounds)
                around = box_around(star.center, star.reach_mm, volume.spacing, within.part)
                box = around if box is None else hull(box, around)
        if mark.positive and len(mark.sure):
            box = hull(box, spanned(mark.sure))
    return None if box is None else Seen(tuple(stars[True]), tuple(stars[False]), tuple(bounds), box)


def spanned(voxels: np.ndarray) -> Part:
    """The box around voxels `[n, 3]`."""
    return tuple(slice(int(a), int(b) + 1) for a, b in zip(voxels.min(axis=0), voxels.max(axis=0)))


def structure(volume: Volume, marks: Sequence[Mark], limits: Limits, cancel: CancelToken) -> tuple[Patch, bool]:
    """The mask that positive and negative marks describe, and whether an edge was seen around it."""
    seen = look(volume, marks, limits)
    if seen is None:
        return Patch(), True
    cancel.check()
    stride = stride_for(seen.box, volume.spacing)
    field = Field.of(volume, seen, limits, stride)
    seeds, blocked = field.seeds(marks)
    cancel.check()
    found = field.grown(seeds, blocked, marks)
    return Patch.of(found, seen.box), seen.found


def stride_for(box: Part, spacing) -> tuple[int, int, int]:
    """Every how many voxels a region is looked at, finest axis first, so that it holds at most `MOST_VOXELS`."""
    stride = np.ones(3, int)
    while np.prod(-(-np.array(shape_of(box)) // stride), dtype=float) > MOST_VOXELS:
        stride[int(np.argmin(spacing * stride))] += 1
    return tuple(int(one) for one in stride)


@dataclass(frozen=True, eq=False)
class Field:
    """A region of interest, maybe on every few voxels only (`stride`): likelihood, distance in radii, closed voxels."""

    box: Part
    stride: tuple[int, int, int]
    spacing: np.ndarray
    likely: np.ndarray
    near: np.ndarray
    against: np.ndarray | None
    closed: np.ndarray | None

    @classmethod
    def of(cls, volume: Volume, seen: Seen, limits: Limits, stride) -> Field:
        """Looked up in the image."""
        steps = tuple(slice(None, None, one) for one in stride)
        near = nearest(seen.positive, seen.bounds, seen.box, volume.spacing, stride)
        against = None
        if seen.negative:
            against = nearest(seen.negative, (None,) * len(seen.negative), seen.box, volume.spacing, stride)
        likely = model(seen, near, stride).of(volume.part(seen.box)[steps])
        closed = limits.closed(volume, seen.box)
        closed = None if closed is None else closed[steps]
        return cls(seen.box, stride, volume.spacing * stride, likely, near, against, closed)

    def places(self, voxels: np.ndarray) -> tuple[np.ndarray, ...]:
        """Voxels of the image `[n, 3]` as indices of this region, those inside of it."""
        at = (voxels - [span.start for span in self.box]) // self.stride
        return tuple(at[((at >= 0) & (at < self.likely.shape)).all(axis=1)].T)

    def seeds(self, marks: Sequence[Mark]) -> tuple[np.ndarray, np.ndarray]:
        """Seeds of both sides, and voxels that the filter leaves out: those deep in what is background anyway."""
        likely = self.likely > SCALE // 2
        outside = (self.near > OUTSIDE) & ~likely
        outside |= (self.near > FAR) | (self.likely < UNLIKELY)
        if self.closed is not None:
            outside |= self.closed
        core = (self.near < CORE) & likely & ~outside
        if self.against is not None:
            outside |= (self.against < CORE) & (self.against < self.near)
            core &= ~outside & (self.near < self.against)
        seeds = outside.astype(np.uint8)
        seeds *= BACKGROUND
        seeds[core] = STRUCTURE
        for mark in marks:
            seeds[self.places(mark.apart)] = BACKGROUND
            seeds[self.places(mark.sure)] = STRUCTURE if mark.positive else BACKGROUND
        if self.closed is not None:
            seeds[self.closed] = BACKGROUND
        return seeds, enclosed(seeds == BACKGROUND)

    def grown(self, seeds: np.ndarray, blocked: np.ndarray, marks: Sequence[Mark]) -> np.ndarray:
        """The structure on all voxels of the region."""
        from OncoSegmentLib.filters.growcut import grow_cut

        found = grow_cut(self.likely, seeds, tuple(self.spacing), blocked=blocked) == STRUCTURE
        found = cleaned(found, seeds, [self.places(mark.sure) for mark in marks if mark.positive])
        if self.stride != (1, 1, 1):
            found = refined(found, self.stride, shape_of(self.box))
        return found


def seen_in(bound: Part, box: Part) -> Part:
    """A bound in the indices of a box, clipped to it."""
    return tuple(slice(max(0, b.start - s.start), max(0, min(b.stop, s.stop) - s.start)) for b, s in zip(bound, box))


def sampled(span: slice, step: int) -> slice:
    """Which of every `step` voxels lie in a span."""
    return slice(-(-span.start // step), -(-span.stop // step))


def nearest(stars: Sequence[Star], bounds: Sequence[Part | None], box: Part, spacing, stride) -> np.ndarray:
    """float32: distance from the nearest star in its radii; infinite where its bounds end."""
    steps = tuple(range(span.start, span.stop, one) for span, one in zip(box, stride))
    grid = tuple(slice(0, len(one)) for one in steps)
    found = None
    for star, bound in zip(stars, bounds):
        center = (star.center - [one.start for one in steps]) / stride
        one = ratio_map(center, star.radii, grid, spacing * stride)
        if bound is not None:
            beyond = np.ones(one.shape, bool)
            beyond[tuple(map(sampled, seen_in(bound, box), stride))] = False
            one[beyond] = np.inf
        found = one if found is None else np.minimum(found, one, out=found)
    return found


def model(seen: Seen, near: np.ndarray, stride) -> Likelihood:
    """Likelihood of values: inside of the positive stars against around them and inside of the negative ones."""
    mine = [(one.inside[0], one.inside[1] / one.inside[1].sum()) for one in seen.positive]
    others = []
    low = [span.start for span in seen.box]
    for one in seen.positive:
        at = (one.places - low) // stride
        kept = ((at >= 0) & (at < near.shape)).all(axis=1)
        kept[kept] = near[tuple(at[kept].T)] > BESIDE
        others.append((one.outside[0][kept], one.outside[1][kept] / max(one.outside[1].sum(), 1e-9)))
    others += [(one.inside[0], one.inside[1] / one.inside[1].sum()) for one in seen.negative]
    joint = [tuple(np.concatenate(part) for part in zip(*kind)) for kind in (mine, others)]
    return likelihood(*joint, float(np.median([one.noise for one in seen.positive])))


def enclosed(mask: np.ndarray) -> np.ndarray:
    """Voxels all of whose 26 neighbors are set too; outside of the array counts as set."""
    found = mask
    for axis in range(3):
        before, after = (
            tuple(slice(a, b) if one == axis else slice(None) for one in range(3)) for a, b in ((1, None), (None, -1))
        )
        narrow = found.copy()
        narrow[before] &= found[after]
        narrow[after] &= found[before]
        found = narrow
    return found


def cleaned(found: np.ndarray, seeds: np.ndarray, clicked) -> np.ndarray:
    """Components (6-connected) that hold a click, or a seed where none does, with enclosed cavities filled."""
    small = Patch.of(found, tuple(slice(0, size) for size in found.shape))
    if not small:
        return found
    labels, count = ndimage.label(small.mask)
    at = [tuple(one - span.start for one, span in zip(places, small.box)) for places in clicked]
    at = [tuple(axis[fit] for axis in one) for one in at for fit in [fitting(one, labels.shape)]]
    kept = np.zeros(count + 1, bool)
    for places in at:
        kept[labels[places]] = True
    if not kept[1:].any():
        kept[labels[seeds[small.box] == STRUCTURE]] = True
    kept[0] = False
    found[small.box] = ndimage.binary_fill_holes(kept[labels])
    return found


def fitting(places, shape) -> np.ndarray:
    """Which indices, one array an axis, lie inside of a shape."""
    found = np.ones(len(places[0]), bool)
    for axis, size in zip(places, shape):
        found &= (axis >= 0) & (axis < size)
    return found


def refined(found: np.ndarray, stride, shape: tuple[int, int, int]) -> np.ndarray:
    """A mask of every few voxels on all of them, by linear interpolation along each axis."""
    share = found.astype(np.float32)
    for axis, (step, size) in enumerate(zip(stride, shape)):
        if step > 1:
            at = np.arange(size) / step
            low = np.minimum(at.astype(int), share.shape[axis] - 1)
            high = np.minimum(low + 1, share.shape[axis] - 1)
            part = (at - low).astype(np.float32).reshape([-1 if one == axis else 1 for one in range(3)])
            share = share.take(low, axis) * (1 - part) + share.take(high, axis) * part
    return share >= 0.5

"""A correction: one more mark changes the mask near itself and nowhere else.

How far it may reach goes with the depth of the click: a reader clicks near the middle of what is missing or too much, so the
error is about as deep as the click is far from the mask that it corrects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndimage

from OncoSegmentLib.refine.growing.directions import ratio_map
from OncoSegmentLib.refine.growing.marks import Mark
from OncoSegmentLib.refine.growing.patch import Patch, box_around, hull, shape_of
from OncoSegmentLib.refine.growing.shape import BACKGROUND, STRUCTURE, enclosed, spanned, stride_for
from OncoSegmentLib.refine.growing.star import Limits, star_at
from OncoSegmentLib.refine.growing.values import SCALE, UNLIKELY, likelihood
from OncoSegmentLib.refine.growing.volume import Volume
from OncoSegmentLib.refine.protocol import Part

ZONE = 3.0
"""Depths of the click that a correction reaches."""

LEAST = 2.0
"""Voxels (of the mean spacing) that it reaches at least."""

MOST_MM = 60.0
"""Depth that is looked for at most."""

NEAR = 1.0
"""Depths of the click: values up to here are those of what is clicked, and are not held back as unlikely."""

EDGE, LAST = 0.85, 0.95
"""Of the zone: beyond, unlikely values, and all values, stay as they are."""

PENALTY = 20.0
"""Cost of a mm of way (likelihood is 0 to 1000): between equal values the border lies halfway."""


def depth_mm(volume: Volume, mask: Patch, mark: Mark, limits: Limits) -> float:
    """How far the mark's voxel lies from the nearest voxel that is already as it wants; 0 when it is so itself."""
    depth = 0.0
    for voxel in middle_of(mark):
        if mask.at(voxel) != mark.positive:
            box = box_around(voxel, MOST_MM, volume.spacing, limits.part)
            there = np.argwhere(edge_of(mask, box, mark.positive))
            offsets = (there + [span.start for span in box] - voxel) * volume.spacing
            depth = max(depth, float(np.sqrt((offsets**2).sum(axis=1).min())) if len(there) else MOST_MM)
    return depth


def middle_of(mark: Mark) -> np.ndarray:
    """The voxels of a mark that its depth is taken at: that of a click, every few of a stroke."""
    return mark.sure[:: max(1, len(mark.sure) // 8)]


def edge_of(mask: Patch, box: Part, positive: bool) -> np.ndarray:
    """Voxels of a box that are set (or, for a negative mark, not), but for those deep inside: the nearest is at the edge."""
    if positive:
        found = mask.on(box)
        return found & ~ndimage.binary_erosion(found, border_value=1)
    grown = tuple(slice(max(0, s.start), s.stop) for s in box)
    found = ~mask.on(grown)
    return found & ~ndimage.binary_erosion(found, border_value=1)


@dataclass(frozen=True, eq=False)
class Zone:
    """Where a correction may change something. far: mm from the mark. free: voxels that may take the mark's side."""

    box: Part
    reach: float
    far: np.ndarray
    free: np.ndarray
    mask: np.ndarray


def zone_of(volume: Volume, mask: Patch, mark: Mark, depth: float, limits: Limits) -> Zone:
    """Around all voxels of a mark."""
    reach = max(ZONE * depth, LEAST * volume.mean_mm)
    around = spanned(mark.sure)
    corners = [[getattr(span, end) - (end == "stop") for span in around] for end in ("start", "stop")]
    box = hull(*(box_around(one, reach, volume.spacing, limits.part) for one in corners))
    before = mask.on(box)
    far = distance_mm(mark.sure, box, volume.spacing)
    free = (before != mark.positive) & (far <= reach)
    closed = limits.closed(volume, box)
    if closed is not None:
        free &= ~closed
    return Zone(box, reach, far, free, before)


def distance_mm(voxels: np.ndarray, box: Part, spacing) -> np.ndarray:
    """float32: distance of each voxel of a box to the nearest of some."""
    if len(voxels) == 1:
        axes = np.ogrid[box]
        return np.sqrt(sum((((axis - at) * step) ** 2) for axis, at, step in zip(axes, voxels[0], spacing))).astype(np.float32)
    away = np.ones(shape_of(box), bool)
    away[tuple((voxels - [span.start for span in box]).T)] = False
    return ndimage.distance_transform_edt(away, sampling=spacing).astype(np.float32)


def corrected(volume: Volume, mask: Patch, mark: Mark, before: Sequence[Mark], limits: Limits) -> Patch:
    """The mask with a mark obeyed; earlier marks of the other side stay obeyed where this one does not contradict them."""
    depth = depth_mm(volume, mask, mark, limits)
    if mark.drawn or depth == 0:
        return with_sure(mask, mark, limits)
    zone = zone_of(volume, mask, mark, depth, limits)
    if stride_for(zone.box, volume.spacing) != (1, 1, 1):
        return with_sure(mask, mark, limits)
    grown = taken(volume, zone, mark, before, depth, limits)
    found = zone.mask.copy()
    found[grown] = mark.positive
    if mark.positive:
        closed = limits.closed(volume, zone.box)
        holes = ndimage.binary_fill_holes(found) & zone.free
        for other in before:
            if not other.positive:
                holes[inside_of(other.sure, zone.box)] = False
        found |= holes if closed is None else holes & ~closed
    return with_sure(mask.replaced(zone.box, found), mark, limits)


def taken(volume: Volume, zone: Zone, mark: Mark, before: Sequence[Mark], depth: float, limits: Limits) -> np.ndarray:
    """What the mark takes, of the zone: it competes with all that lies at the zone's rim."""
    from OncoSegmentLib.filters.growcut import grow_cut

    values = volume.part(zone.box)
    star = star_at(volume, mark.centers[len(mark.centers) // 2], limits)
    beyond = ratio_map([c - s.start for c, s in zip(star.center, zone.box)], star.radii, whole(values), volume.spacing)
    likely = model(values, zone, beyond, mark.positive, depth, star.noise, volume.mean_mm)
    stays = (zone.far > LAST * zone.reach) | ((likely < UNLIKELY) & (zone.far > NEAR * depth))
    if mark.positive:
        stays |= ((zone.far > EDGE * zone.reach) | (beyond > 1.6)) & (likely < 0.7 * SCALE)
    else:
        stays |= (zone.far > 1.5 * depth) & (likely < SCALE // 2)
    seeds = np.where(zone.free & stays, BACKGROUND, 0).astype(np.uint8)
    seeds[zone.free & (zone.far <= 0.5 * depth) & (likely > 0.3 * SCALE)] = STRUCTURE
    for one in before:
        if one.positive != mark.positive:
            seeds[inside_of(one.sure, zone.box)] = BACKGROUND
    own = inside_of(mark.sure, zone.box)
    seeds[own] = STRUCTURE
    blocked = ~zone.free | enclosed(seeds == BACKGROUND)
    blocked[own] = False
    found = grow_cut(likely, seeds, tuple(volume.spacing), blocked=blocked, distance_penalty=PENALTY) == STRUCTURE
    found &= zone.free
    labels, _count = ndimage.label(found)
    kept = np.unique(labels[own])
    return np.isin(labels, kept[kept > 0])


def model(values, zone: Zone, beyond, positive: bool, depth: float, noise: float, mean_mm: float) -> np.ndarray:
    """Likelihood that a voxel belongs to what was clicked rather than to what stays as it is."""
    mine = values[(zone.far <= max(NEAR * depth, 1.2 * mean_mm)) & zone.free]
    if positive:
        others = values[~zone.mask & ((zone.far > 0.9 * zone.reach) | ((beyond > 1.3) & (zone.far > depth)))]
    else:
        others = values[zone.mask & (zone.far > 1.2 * depth)]
    if not mine.size:
        mine = values[zone.far <= zone.far.min() + 1e-3]
    if others.size <= 20:
        middle = float(np.median(mine))
        width = 3 * max(noise, 1.4826 * float(np.median(np.abs(mine - middle))))
        return (SCALE * np.exp(-0.5 * ((values - middle) / width) ** 2)).astype(np.int16)
    return likelihood(*((one, np.ones(len(one))) for one in (mine, others)), noise).of(values)


def with_sure(mask: Patch, mark: Mark, limits: Limits) -> Patch:
    """The mask with the mark's own voxels as it wants them, but for protected ones."""
    sure = mark.sure
    if limits.protected is not None and mark.positive and len(sure):
        sure = sure[~limits.protected[tuple(sure.T)]]
    if not len(sure) or (not mark.positive and not mask):
        return mask
    box = spanned(sure)
    found = mask.on(box)
    found[tuple((sure - [span.start for span in box]).T)] = mark.positive
    return mask.replaced(box, found)


def inside_of(voxels: np.ndarray, box: Part) -> tuple[np.ndarray, ...]:
    """Those of a box, as its indices."""
    at = voxels - [span.start for span in box]
    return tuple(at[((at >= 0) & (at < shape_of(box))).all(axis=1)].T)


def whole(values: np.ndarray) -> Part:
    """The box of an array in its own indices."""
    return tuple(slice(0, size) for size in values.shape)

"""What was clicked, as seen from the click: rays in all directions, and how far the structure reaches along each.

A first reach comes from thresholds of the difference to the clicked value: of all, the one that gives the clearest edge
(contrast over scatter inside, few rays that never end, a smooth surface). Then each ray decides between inside and its own
outside, together with its neighbors. All numbers below were chosen on phantoms and on the cases that
`Resources/Documentation/refine-growcut.md` names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndimage

from OncoSegmentLib.refine.growing.directions import STEP, among_neighbors, neighbors, radii_mm, sphere
from OncoSegmentLib.refine.growing.patch import box_around
from OncoSegmentLib.refine.growing.surface import best_surface
from OncoSegmentLib.refine.growing.volume import Volume
from OncoSegmentLib.refine.protocol import Part

REACH_MM, MOST_VOXELS = 110.0, 16_000_000
"""Length of the rays; shorter where a cube of that half side would hold more voxels (63 mm at 0.5 mm)."""

NOISE_MM = 20.0
THRESHOLDS = (3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96)
"""In units of the noise."""

ESCAPED, GOOD_ENOUGH, JUMP = 0.25, 0.8, 0.3
"""Share of rays that never end above which a threshold is none; of the best score, how much a higher threshold needs, and by how
much (logarithm) the surface may grow from one to the next: a leak grows at once."""

MOST_BINS = 8192
"""Of a weighted median: with steps of a 32nd of the noise they reach 256 times the noise."""

ROUNDS, STIFFNESS, GONE = 3, 0.5, 4.0
"""`GONE`: evidence against the structure after which a ray has left it for good."""


@dataclass(frozen=True, eq=False)
class Limits:
    """Where an answer may lie. part: of the grid. protected: bool of the image's shape, or None; these voxels are not its own."""

    part: Part
    protected: np.ndarray | None = None

    def closed(self, volume: Volume, box: Part) -> np.ndarray | None:
        """Voxels of a box within `part` that nothing may enter: protected ones, and those that hold no number. None for none."""
        bad = volume.bad(box)
        if self.protected is None:
            return bad
        return self.protected[box] if bad is None else self.protected[box] | bad


@dataclass(frozen=True, eq=False)
class Star:
    """A click's surroundings.

    center: voxel coordinates. radii: mm `[162]`. noise: of the smoothed image near the click. inside, outside: values on the
    rays within the structure and around it (to 1.8 times its radius) with their weights; places: voxels of those outside.
    found: False when no edge was seen; then radii are a guess.
    """

    center: np.ndarray
    radii: np.ndarray
    noise: float
    inside: tuple[np.ndarray, np.ndarray]
    outside: tuple[np.ndarray, np.ndarray]
    places: np.ndarray
    found: bool = True

    @property
    def reach_mm(self) -> float:
        """How far the region around it has to go: three times the long radii, twice the longest."""
        return float(min(3 * np.percentile(self.radii, 90), 2 * self.radii.max()))


@dataclass(frozen=True, eq=False)
class Rays:
    """values, closed: `[162, radii]`; closed ones belong to nothing. clicked: median value at the click."""

    radii: np.ndarray
    values: np.ndarray
    closed: np.ndarray
    clicked: float
    noise: float
    scale: float

    @property
    def count(self) -> int:
        """Of radii."""
        return len(self.radii)

    def within(self, ends: np.ndarray, low: float = 0, high: float = 0) -> np.ndarray:
        """bool `[162, radii]`: open samples from `ends + low` on and before `ends + high` (`low` None: from the click on)."""
        at = np.arange(self.count)
        found = (at < ends[:, None] + high) & ~self.closed
        return found if low is None else found & (at >= ends[:, None] + low)


def star_at(volume: Volume, center, limits: Limits, others: Sequence[tuple[np.ndarray, bool]] = ()) -> Star:
    """Of a click at voxel coordinates `center`. others: places that are known to be of the same structure (True), or not."""
    center = np.asarray(center, np.float64)
    rays = cast(volume, center, limits)
    known = told(rays, center, volume.spacing, others)
    first = first_ends(rays, known)
    ends = (first if first is not None else np.full(len(sphere()), np.searchsorted(rays.radii, 4 * volume.mean_mm))).astype(float)
    for _round in range(ROUNDS if first is not None else 0):
        ends = settled(rays, ends, known, volume.mean_mm)
    return summed(rays, ends, center, volume.spacing, first is not None)


def cast(volume: Volume, center: np.ndarray, limits: Limits) -> Rays:
    """The rays of a click, each until `REACH_MM`."""
    reach = min(REACH_MM, (MOST_VOXELS * volume.spacing.prod()) ** (1 / 3) / 2)
    box = box_around(center, reach, volume.spacing, limits.part)
    values, at = volume.part(box), center - [span.start for span in box]
    radii = radii_mm(max(0.7 * volume.spacing.min(), 0.5), reach)
    places = at[:, None, None] + sphere().T[:, :, None] * radii / volume.spacing[:, None, None]
    found = ndimage.map_coordinates(values, places, order=1, mode="nearest")
    nearest = np.floor(places + 0.5).astype(np.intp)
    sizes = np.array(values.shape)[:, None, None]
    closed = ((nearest < 0) | (nearest >= sizes)).any(0)
    barred = limits.closed(volume, box)
    if barred is not None:
        closed |= barred[tuple(np.clip(nearest, 0, sizes - 1))]
    noise, scale = noise_near(values, at, volume.spacing)
    return Rays(radii, found, closed, median_near(values, at, volume), noise, scale)


def near(values: np.ndarray, at: np.ndarray, reach_mm: float, spacing) -> np.ndarray:
    """Values within a distance of a place."""
    box = box_around(at, reach_mm, spacing, tuple(slice(0, size) for size in values.shape), margin=0)
    axes = np.ogrid[box]
    far = sum(((axis - c) * step) ** 2 for axis, c, step in zip(axes, at, spacing))
    return values[box][far <= reach_mm**2]


def median_near(values: np.ndarray, at: np.ndarray, volume: Volume) -> float:
    """Robust value of the click: the median of some 19 voxels, within 1.2 mm at least."""
    found = near(values, at, max(1.2, 1.45 * volume.mean_mm, 1.05 * volume.spacing.min()), volume.spacing)
    return float(np.median(found)) if found.size else float(values[tuple(np.clip(np.round(at).astype(int), 0, None))])


def noise_near(values: np.ndarray, at: np.ndarray, spacing) -> tuple[float, float]:
    """Noise near a click, and the range of values there (5th to 95th percentile).

    The noise is 1.4826 times the median of the absolute second differences along the finest axis over the square root of 6:
    that of white Gaussian noise, for edges are few.
    """
    box = box_around(np.round(at), NOISE_MM, spacing, tuple(slice(0, size) for size in values.shape), margin=0)
    part = values[box].astype(np.float64)
    scale = float(np.subtract(*np.percentile(part, (95, 5))))
    axis = int(np.argmin(spacing))
    noise = 0.0
    if part.shape[axis] > 3:
        noise = 1.4826 * float(np.median(np.abs(np.diff(part, n=2, axis=axis)))) / 6**0.5
    return max(noise, 0.004 * scale, 1e-6 * max(1.0, abs(float(part.mean())))), scale


def told(rays: Rays, center: np.ndarray, spacing, others) -> list[tuple[int, int, bool]]:
    """Other places as (direction, index of the radius, whether the structure reaches there)."""
    found = []
    for place, same in others:
        offset = (np.asarray(place) - center) * spacing
        distance = float(np.linalg.norm(offset))
        if distance > rays.radii[1]:
            index = int(np.clip(np.searchsorted(rays.radii, distance), 2, rays.count - 2))
            found.append((int(np.argmax(sphere() @ (offset / distance))), index, same))
    return found


def first_ends(rays: Rays, known) -> np.ndarray | None:
    """Where the rays leave the structure, by the best threshold; None when none gives an edge."""
    difference = ndimage.median_filter(np.abs(rays.values - rays.clicked), (1, 3), mode="nearest")
    tried: list[tuple[float, np.ndarray]] = []
    for threshold in THRESHOLDS:
        if threshold * rays.noise > 1.2 * rays.scale and tried:
            break
        out = (difference > threshold * rays.noise) | rays.closed
        ends = among_neighbors(np.maximum(np.where(out.any(1), out.argmax(1), rays.count - 1), 2))
        score = clearness(rays, ends)
        if score is not None:
            kept = sum((ends[at] >= index) if same else (ends[at] <= index) for at, index, same in known)
            tried.append((score * 10.0 ** (kept - len(known)), ends))
    if not tried:
        return None
    best = max(score for score, _ends in tried)
    at = next(number for number, (score, _ends) in enumerate(tried) if score == best)
    while at + 1 < len(tried) and tried[at + 1][0] >= GOOD_ENOUGH * best:
        if np.median(tried[at + 1][1] - tried[at][1]) * np.log(STEP) >= JUMP:
            break
        at += 1
    return tried[at][1]


def clearness(rays: Rays, ends: np.ndarray) -> float | None:
    """How well a surface parts inside from outside; None for one that is none."""
    shell = rays.within(ends, 2, 7)
    last = np.minimum(ends.astype(int), rays.count - 1)
    escaped = float((ends >= rays.count - 8).mean())
    escaped += 0.5 * float(rays.closed[np.arange(len(ends)), np.minimum(last + 1, rays.count - 1)].mean())
    if shell.sum() < len(ends) or escaped > ESCAPED:
        return None
    difference = np.abs(rays.values - rays.clicked)
    inside = rays.within(ends, None)
    if not inside.any():
        return None
    weights = np.broadcast_to(rays.radii, difference.shape)
    scatter = 1.4826 * weighted_median(difference[inside], weights[inside] ** 2, rays.noise / 32) + 1.5 * rays.noise
    contrast = float(np.median(difference[shell]))
    if contrast < 2 * rays.noise:
        return None
    rough = float(np.std(ends)) * np.log(STEP)
    size = float(np.median(rays.radii[last])) ** 0.3
    return contrast / scatter * max(1 - escaped, 0.01) / (1 + rough) * size


def settled(rays: Rays, ends: np.ndarray, known, mean_mm: float) -> np.ndarray:
    """One round: each direction learns its outside, then all settle on the best surface."""
    inside = rays.within(ends, None, -1)
    within = rays.values[inside]
    middle = 0.5 * (rays.clicked + (float(np.median(within)) if within.size else rays.clicked))
    scatter = max(rays.noise, 1.4826 * float(np.median(np.abs(within - middle)))) if within.size else rays.noise
    evidence = for_inside(rays, middle, outside_values(rays, ends, middle), scatter)
    index, _real, _back = neighbors()
    evidence = 0.5 * evidence + 0.5 * evidence[index].mean(axis=1)
    early = rays.radii < 1.2 * mean_mm
    evidence[:, early] = np.maximum(evidence[:, early], 0.5)
    score = np.cumsum(evidence, axis=1)
    gone = np.maximum.accumulate((np.maximum.accumulate(score, axis=1) - score) > GONE, axis=1)
    score = np.cumsum(np.where(gone, -0.5, evidence), axis=1)
    for at, where, same in known:
        ring = index[at]
        if same:
            score[at, :where] -= 8
            score[ring, : int(0.9 * where)] -= 2
        else:
            score[at, where:] -= 8
            score[ring, where:] -= 4
    return best_surface(score, STIFFNESS).astype(float) + 1


def outside_values(rays: Rays, ends: np.ndarray, middle: float) -> np.ndarray:
    """The value that each direction meets behind the surface `[162]`, smoothed over neighbors; `middle` where it is closed."""
    shell = rays.within(ends, 2, 9)
    found = np.full(len(ends), middle)
    some = shell.any(axis=1)
    if some.any():
        # Medians of a few of each row: the others are sorted to its end.
        ordered, last = np.sort(np.where(shell[some], rays.values[some], np.inf), axis=1), shell[some].sum(axis=1)
        rows = np.arange(len(last))
        found[some] = (ordered[rows, (last - 1) // 2] + ordered[rows, last // 2]) / 2
    return among_neighbors(found)


def for_inside(rays: Rays, middle: float, outside: np.ndarray, scatter: float) -> np.ndarray:
    """Evidence `[162, radii]` that a sample is inside: near +1 at the structure's value, near -1 at that behind the surface.

    Linear between both (so the edge lies halfway), fading out where they do not differ; less for values that lie far off on the
    other side; -1 for what is closed.
    """
    across = (outside - middle)[:, None]
    found = -2 * (rays.values - (middle + outside[:, None]) / 2) * across / (across**2 + 2 * scatter**2)
    found = np.clip(found, -1.5, 1.0)
    off = np.abs(rays.values - middle) / np.maximum(np.abs(across), 3 * scatter)
    found = np.where((off > 1) & (found > 0), np.clip(2 - off, -1, 1) * found, found)
    return np.where(rays.closed, -1.0, found)


def summed(rays: Rays, ends: np.ndarray, center: np.ndarray, spacing, found: bool) -> Star:
    """The star of a surface."""
    last = rays.radii[np.minimum(ends.astype(int), rays.count - 1)]
    weights = np.broadcast_to(rays.radii, rays.values.shape)
    inside, outside = rays.within(ends, None, -1), rays.within(ends, 3, rays.count) & (rays.radii < 1.8 * last[:, None])
    if not inside.any():
        inside[:, 0] = True
    places = center + (sphere()[:, None, :] * rays.radii[None, :, None])[outside] / spacing
    kept = [(rays.values[one], weights[one]) for one in (inside, outside)]
    return Star(center, last * STEP**-0.5, rays.noise, *kept, np.floor(places + 0.5).astype(np.intp), found)


def weighted_median(values: np.ndarray, weights: np.ndarray, step: float) -> float:
    """The value, 0 at least, below which half of the weight lies, in steps (up to `MOST_BINS` of them): counted, not sorted."""
    reached = np.cumsum(np.bincount(np.minimum(values / step, MOST_BINS).astype(np.intp), weights=weights))
    return step * (int(np.searchsorted(reached, reached[-1] / 2)) + 0.5)

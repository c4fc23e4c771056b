"""Draws placed shapes into a grid, later ones over earlier ones, with partial volume and with truth labels.

A voxel that no surface crosses takes the material at its center. A voxel that one may cross is sampled at sub-voxel
points spread evenly over its box (pixel by pixel by slice thickness), and takes the mean: the slice profile is a
box. Labels are those at the voxel's center, so they are exactly "center inside the analytic shape".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import checked_geometry, spacing_of
from OncoLib.phantom.solids import mapped
from OncoLib.progress import CancelToken, Progress, silent

SLAB_SLICES = 16
"""Slices drawn at a time: keeps the temporary arrays in the cache."""

MOST_MATERIALS = 255


@dataclass(frozen=True, eq=False)
class Paint:
    """One shape of one material; material "" only marks.

    marks: (layer, label) pairs that voxels take whose center is inside; label 0 takes a label away.
    frame: 4x4 from the shape's frame to RAS of the grid; None for the frame that `draw` is given.
    """

    solid: object
    material: str
    marks: tuple[tuple[int, int], ...] = ()
    frame: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Grid:
    """Where to draw. ijk_to_ras: 4x4. thickness_mm: extent of a slice along k, which may exceed the slice distance."""

    shape_kji: tuple[int, int, int]
    ijk_to_ras: np.ndarray
    thickness_mm: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "ijk_to_ras", checked_geometry(self.ijk_to_ras))
        if not (np.isfinite(self.thickness_mm) and self.thickness_mm > 0):
            raise InputError(f"the slice thickness is {self.thickness_mm} mm; wanted a positive number")

    @property
    def reach_mm(self) -> float:
        """Half diagonal of the box that a voxel averages over."""
        i, j, _ = spacing_of(self.ijk_to_ras)
        return float(np.linalg.norm((i, j, self.thickness_mm))) / 2


@dataclass(eq=False)
class Canvas:
    """What is drawn: mean values per table, and label layers."""

    images: list[np.ndarray]
    layers: list[np.ndarray]


@dataclass(eq=False)
class _Job:
    """One paint in one slab: where, and which voxels are inside or crossed."""

    paint: Paint
    box: tuple[slice, ...]
    matrix: np.ndarray
    inside: np.ndarray
    crossed: np.ndarray


@dataclass(eq=False)
class _Slab:
    start: int
    background: int
    centers: np.ndarray
    crossed: np.ndarray
    jobs: list = field(default_factory=list)


def draw(
    paints: Sequence[Paint],
    to_ras: np.ndarray,
    grid: Grid,
    tables: Sequence[dict[str, float]],
    *,
    background: str = "air",
    layers: int = 1,
    samples: tuple[int, int, int] = (3, 3, 3),
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> Canvas:
    """Draws `paints` in order.

    to_ras: 4x4 from the paints' frame to RAS. tables: one a wanted image, from material to value. samples: sub-voxel
    points along i, j, k of a crossed voxel. Images are float32 `[k, j, i]`, layers uint16.
    """
    materials = sorted({background, *(paint.material for paint in paints if paint.material)})
    if len(materials) > MOST_MATERIALS:
        raise InputError(f"{len(materials)} materials are to be drawn; at most {MOST_MATERIALS} can be")
    number = {name: at for at, name in enumerate(materials)}
    values = [np.array([table[name] for name in materials], dtype=np.float32) for table in tables]
    canvas = Canvas([np.empty(grid.shape_kji, np.float32) for _ in tables], [])
    canvas.layers = [np.zeros(grid.shape_kji, np.uint16) for _ in range(layers)]
    placed = [place(paint, to_ras, grid) for paint in paints]
    for start in range(0, grid.shape_kji[0], SLAB_SLICES):
        if cancel is not None:
            cancel.check()
        progress(start / grid.shape_kji[0], "Drawing the phantom")
        slab = draw_centers(placed, canvas, grid, start, number, number[background])
        fill(slab, canvas, grid, number, values, samples)
    return canvas


def place(paint: Paint, to_ras: np.ndarray, grid: Grid) -> tuple[Paint, np.ndarray, np.ndarray]:
    """The paint, the matrix from voxel index to its own frame, and its index box (3x2, over i, j, k)."""
    frame = to_ras if paint.frame is None else paint.frame
    ijk_to_own = np.linalg.inv(frame) @ grid.ijk_to_ras
    own_to_ijk = np.linalg.inv(ijk_to_own)
    bounds = paint.solid.bounds_mm
    center = own_to_ijk[:3, :3] @ bounds.mean(axis=1) + own_to_ijk[:3, 3]
    half = np.abs(own_to_ijk[:3, :3]) @ (np.diff(bounds, axis=1)[:, 0] / 2)
    extra = np.array([0.5, 0.5, grid.thickness_mm / spacing_of(grid.ijk_to_ras)[2] / 2])
    low = np.clip(np.floor(center - half - extra), 0, grid.shape_kji[::-1]).astype(int)
    high = np.clip(np.ceil(center + half + extra) + 1, 0, grid.shape_kji[::-1]).astype(int)
    return paint, ijk_to_own, np.stack([low, high], axis=1)


def draw_centers(placed: list, canvas: Canvas, grid: Grid, start: int, number: dict[str, int], background: int) -> _Slab:
    """Material and labels at the voxel centers of one slab; notes which voxels each surface may cross."""
    stop = min(start + SLAB_SLICES, grid.shape_kji[0])
    shape = (stop - start, *grid.shape_kji[1:])
    slab = _Slab(start, background, np.full(shape, background, np.uint8), np.zeros(shape, bool))
    for paint, matrix, box in placed:
        (i0, i1), (j0, j1), (k0, k1) = box
        k0, k1 = max(k0, start), min(k1, stop)
        if i0 >= i1 or j0 >= j1 or k0 >= k1:
            continue
        at = (slice(k0 - start, k1 - start), slice(j0, j1), slice(i0, i1))
        found = signed_at(paint.solid, matrix, *index_axes(i0, i1, j0, j1, k0, k1))
        inside, crossed = found <= 0, np.abs(found) <= grid.reach_mm
        if not (inside.any() or crossed.any()):
            continue
        if paint.material:
            slab.centers[at][inside] = number[paint.material]
            slab.crossed[at] |= crossed
            slab.jobs.append(_Job(paint, at, matrix, inside, crossed))
        for layer, label in paint.marks:
            canvas.layers[layer][start:stop][at][inside] = label
    return slab


def index_axes(i0: int, i1: int, j0: int, j1: int, k0: int, k1: int) -> tuple[np.ndarray, ...]:
    """Indices i, j, k as float32 that broadcast to `[k, j, i]`."""
    i, j, k = (np.arange(*ends, dtype=np.float32) for ends in ((i0, i1), (j0, j1), (k0, k1)))
    return i[None, None, :], j[None, :, None], k[:, None, None]


def signed_at(solid, matrix: np.ndarray, i, j, k) -> np.ndarray:
    """`signed` of a solid at voxel indices, full shape."""
    shape = np.broadcast_shapes(i.shape, j.shape, k.shape)
    return np.broadcast_to(solid.signed(*mapped(matrix, i, j, k)), shape)


def fill(slab: _Slab, canvas: Canvas, grid: Grid, number: dict, values: list, samples: tuple[int, int, int]) -> None:
    """Writes the values of one slab: at the center, or the mean over the sub-voxel points where a surface crosses."""
    rows = np.full(slab.crossed.shape, -1, np.int32)
    count = int(np.count_nonzero(slab.crossed))
    rows[slab.crossed] = np.arange(count, dtype=np.int32)
    points = sub_voxel_points(grid, samples)
    buffer = np.full((count, len(points)), slab.background, np.uint8)
    for job in slab.jobs:
        paint_samples(job, rows[job.box], buffer, slab.start, points, number[job.paint.material])
    stop = slab.start + len(slab.centers)
    for image, table in zip(canvas.images, values):
        part = table[slab.centers]
        part[slab.crossed] = table[buffer].mean(axis=1, dtype=np.float32)
        image[slab.start : stop] = part


def sub_voxel_points(grid: Grid, samples: tuple[int, int, int]) -> np.ndarray:
    """Index offsets `[n, 3]` over i, j, k: midpoints of equal parts of the pixel and of the slice thickness."""
    extents = (1.0, 1.0, grid.thickness_mm / spacing_of(grid.ijk_to_ras)[2])
    axes = [((np.arange(count) + 0.5) / count - 0.5) * extent for count, extent in zip(samples, extents)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.float32)


def paint_samples(job: _Job, rows: np.ndarray, buffer: np.ndarray, start: int, points: np.ndarray, material: int) -> None:
    """Paints one shape into the sub-voxel points: all of them where it fills the voxel, those inside where it does not."""
    whole = rows[job.inside & ~job.crossed]
    buffer[whole[whole >= 0]] = material
    k, j, i = np.nonzero(job.crossed)
    at = rows[k, j, i]
    ijk = [axis.astype(np.float32) for axis in (i + job.box[2].start, j + job.box[1].start, k + job.box[0].start + start)]
    turn = job.matrix[:3, :3].astype(np.float32)
    centers, steps = mapped(job.matrix, *ijk), points @ turn.T
    found = job.paint.solid.signed(*(center[:, None] + steps[:, axis] for axis, center in enumerate(centers)))
    part = buffer[at]
    part[found <= 0] = material
    buffer[at] = part

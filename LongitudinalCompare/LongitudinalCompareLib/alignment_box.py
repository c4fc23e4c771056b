"""What two scans show around one place: both sampled on a small working grid, the second one through a transform.

The grid lies along the axes of the fixed scan's RAS, its voxels are cubes of `STEP_MM`; arrays are `[z, y, x]`. The moving scan
is sampled on a larger one, so that a shift by whole steps only takes another part of the same array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndimage

from OncoLib.errors import GeometryError, InputError
from OncoLib.image import Image
from OncoLib.segmentation import Segmentation
from OncoLib.terminology import is_lesion

STEP_MM = 2.0
BLUR_MM = 1.5
"""Standard deviation of the blur that both scans are brought to where their voxels are finer: noise and the finest detail,
which the other date does not have with thicker slices, do not count."""

VOXEL_BLUR = 0.4
"""A voxel and the linear interpolation around it blur by about this share of its size (a box: 1 / sqrt(12) = 0.29, a tent:
0.41)."""

CT_LIMITS_HU = (-1000.0, 1000.0)
"""Metal and what lies outside of the scanned circle (-3024 in some files) do not count as structure."""

CHANGE_MM = 4.0
"""So far around a lesion the tissue is left out, for a lesion changes and what it presses on changes with it."""


@dataclass(frozen=True, eq=False)
class Region:
    """A place of the fixed scan whose alignment is to be judged: a lesion, or any ball.

    name: as the reader knows it. center_ras: in mm, RAS of the fixed scan. radius_mm: of the ball that holds the lesion.
    mask: bool `[k, j, i]` on the fixed scan's grid of what changes there: the lesion, or all lesions in one array; None takes the
    ball.
    Raises InputError for a place or a radius that is none.
    """

    name: str
    center_ras: tuple[float, float, float]
    radius_mm: float
    mask: np.ndarray | None = None

    def __post_init__(self) -> None:
        center = np.asarray(self.center_ras, dtype=float)
        if center.shape != (3,) or not np.isfinite(center).all():
            raise InputError(f"region {self.name!r} lies at {self.center_ras}; wanted three numbers, RAS in mm")
        if not (np.isfinite(self.radius_mm) and self.radius_mm > 0):
            raise InputError(f"region {self.name!r} has the radius {self.radius_mm} mm; wanted a positive number")
        object.__setattr__(self, "center_ras", tuple(float(one) for one in center))

    @classmethod
    def of_mask(cls, name: str, mask: np.ndarray, ijk_to_ras: np.ndarray) -> Region:
        """The region of a lesion mask `[k, j, i]`: center of mass, and the ball of its volume. InputError for an empty mask."""
        places = np.argwhere(mask)
        if not len(places):
            raise InputError(f"region {name!r} holds no voxels")
        center = ijk_to_ras[:3, :3] @ places.mean(axis=0)[::-1] + ijk_to_ras[:3, 3]
        volume = len(places) * abs(float(np.linalg.det(ijk_to_ras[:3, :3])))
        return cls(name, tuple(center), float((0.75 * volume / np.pi) ** (1 / 3)), mask)


@dataclass(frozen=True, eq=False)
class Changing:
    """All of a scan that may have changed between the dates: its lesions.

    mask: bool `[k, j, i]` on `ijk_to_ras`, or None. balls: `[n, 4]`, center in RAS and radius in mm.
    """

    mask: np.ndarray | None
    ijk_to_ras: np.ndarray
    balls: np.ndarray

    @classmethod
    def of(cls, regions: Sequence[Region], fixed: Image) -> Changing:
        """Of all regions; GeometryError when a mask has another shape than the scan."""
        union = None
        for one in {id(one.mask): one for one in regions if one.mask is not None}.values():
            if one.mask.shape != fixed.shape_kji:
                raise GeometryError(f"the mask of region {one.name!r} has shape {one.mask.shape}; wanted {fixed.shape_kji}")
            mask = one.mask.astype(bool, copy=False)
            union = mask if union is None else union | mask
        balls = [(*one.center_ras, one.radius_mm) for one in regions if one.mask is None]
        return cls(union, fixed.ijk_to_ras, np.array(balls, dtype=float).reshape(-1, 4))

    @classmethod
    def of_lesions(cls, segmentation: Segmentation | None) -> Changing | None:
        """Of all segments that are coded as lesions; None without any."""
        lesions = [one for one in segmentation.segments if is_lesion(one.entry)] if segmentation is not None else []
        if not lesions:
            return None
        union = np.zeros(segmentation.shape_kji, bool)
        for one in lesions:
            union |= segmentation.mask(one)
        return cls(union, segmentation.ijk_to_ras, np.zeros((0, 4)))

    def on(self, points: np.ndarray) -> np.ndarray:
        """Where it may have changed: bool, of the shape of the grid `points[z, y, x, 3]` with steps of `STEP_MM`."""
        shape = points.shape[:3]
        found = np.zeros(shape, bool)
        for x, y, z, radius in self.balls:
            found |= ((points - (x, y, z)) ** 2).sum(axis=-1) <= (radius + CHANGE_MM) ** 2
        if self.mask is not None:
            part = Blurred.around(Image(self.mask.view(np.uint8), self.ijk_to_ras), points.reshape(-1, 3), blur_mm=0.0)
            share, shown = part.at(points)
            inside = (share > 0.2) & shown
            if inside.any():
                found |= ndimage.distance_transform_edt(~inside, sampling=STEP_MM) <= CHANGE_MM
        return found


def grid_points(center_ras, half_steps: int) -> np.ndarray:
    """RAS of a cube of working voxels, `[z, y, x, 3]`, `2 * half_steps + 1` along each axis."""
    axis = np.arange(-half_steps, half_steps + 1) * STEP_MM
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    return np.stack([x, y, z], axis=-1) + np.asarray(center_ras)


@dataclass(frozen=True, eq=False)
class Blurred:
    """A part of a scan, blurred, to be sampled many times. values: float32 `[k, j, i]` from voxel `low` on."""

    values: np.ndarray
    low: np.ndarray
    to_ijk: np.ndarray
    shape_kji: tuple[int, int, int]

    @classmethod
    def around(cls, image: Image, points_ras: np.ndarray, *, blur_mm: float = BLUR_MM) -> Blurred:
        """The part that holds what it shows of points `[n, 3]`, blurred to `blur_mm` where its voxels are finer."""
        to_ijk, counts = np.linalg.inv(image.ijk_to_ras), np.array(image.shape_kji)
        ends = np.stack([points_ras.min(axis=0), points_ras.max(axis=0)])
        corners = np.array([(x, y, z) for x in ends[:, 0] for y in ends[:, 1] for z in ends[:, 2]])
        kji = (corners @ to_ijk[:3, :3].T + to_ijk[:3, 3])[:, ::-1]
        spacing = np.array(image.spacing_kji_mm)
        sigma = np.sqrt(np.maximum(blur_mm**2 - (VOXEL_BLUR * spacing) ** 2, 0)) / spacing
        near = np.ceil(3 * sigma).astype(int) + 1
        low = np.clip(np.floor(kji.min(axis=0)).astype(int) - near, 0, counts - 1)
        high = np.clip(np.ceil(kji.max(axis=0)).astype(int) + near + 1, low + 1, counts)
        part = cleaned(image.voxels[tuple(slice(a, b) for a, b in zip(low, high))], image.units)
        if (sigma > 0.1).any():
            part = ndimage.gaussian_filter(part, sigma, mode="nearest", truncate=3.0)
        return cls(part, low, to_ijk, image.shape_kji)

    def at(self, points_ras: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values float32 at points `[..., 3]` in RAS, linearly between voxels, and whether the scan shows them.

        What it does not show takes the value of its nearest voxel.
        """
        shape = points_ras.shape[:-1]
        kji = (self.to_ijk[2::-1, :3] @ points_ras.reshape(-1, 3).T) + self.to_ijk[2::-1, 3:]
        inside = np.ones(kji.shape[1], bool)
        for row, count in zip(kji, self.shape_kji):  # a tenth of the time of one array with `all(axis=...)`
            inside &= (row >= -0.5) & (row <= count - 0.5)
        values = ndimage.map_coordinates(self.values, kji - self.low[:, None], order=1, mode="nearest", output=np.float32)
        return values.reshape(shape), inside.reshape(shape)


def cleaned(voxels: np.ndarray, units: str) -> np.ndarray:
    """float32; what is not finite takes the smallest finite value, HU are kept to `CT_LIMITS_HU`."""
    found = voxels.astype(np.float32)
    finite = np.isfinite(found)
    if not finite.all():
        found[~finite] = found[finite].min() if finite.any() else 0.0
    return np.clip(found, *CT_LIMITS_HU) if units == "HU" else found

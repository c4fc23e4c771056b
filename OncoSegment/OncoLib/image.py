"""`Image`: one scalar volume with its place in the patient, as it travels between the rooms.

Arrays are `[k, j, i]` (slice, row, column), the order of MRML and SimpleITK arrays. Geometry is one 4x4
matrix `ijk_to_ras` in mm; RAS is Slicer's and NIfTI's patient frame (right-to-left negative, that is
x to the Right, y to the Anterior, z to the Superior). LPS exists only at the edge of ITK and DICOM.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from OncoLib.errors import GeometryError, InputError

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Turns RAS into LPS and back: the same matrix both ways."""

SHEAR_TOLERANCE = 1e-4
"""Largest cosine between two grid axes that still counts as rounding, not shear.

NIfTI stores its affine in float32 (about 1e-7 relative), DICOM direction cosines often carry six decimals."""

VOXEL_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")


@dataclass(frozen=True, eq=False)
class Image:
    """One scalar volume on a rectangular grid.

    voxels: array `[k, j, i]`, one of `VOXEL_TYPES`, shared with its maker (no copy is made here).
    ijk_to_ras: 4x4 float64, voxel index (i, j, k) to RAS in mm; not sheared, not singular. Left-handed
        grids and non-uniform spacing are welcome.
    modality: DICOM modality code ("CT", "MR", "PT") or "" when nobody said.
    units: "HU", "SUV", "a.u." or "" when nobody said.
    source_uids: DICOM UIDs of what it was made from; identifiers, so never printed or logged.
    notes: sentences on what was found while reading that a reader should know.

    Raises InputError for an array that is no scalar volume, GeometryError for an unusable matrix.
    """

    voxels: np.ndarray
    ijk_to_ras: np.ndarray
    modality: str = ""
    units: str = ""
    name: str = ""
    source_uids: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        check_voxels(self.voxels)
        object.__setattr__(self, "ijk_to_ras", checked_geometry(self.ijk_to_ras))

    @property
    def shape_kji(self) -> tuple[int, int, int]:
        """Number of slices, rows, columns."""
        return self.voxels.shape

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of neighboring voxel centers along i, j, k in mm."""
        return spacing_of(self.ijk_to_ras)

    @property
    def spacing_kji_mm(self) -> tuple[float, float, float]:
        """`spacing_mm` in array order."""
        return self.spacing_mm[::-1]

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in ml (determinant of the grid, so right for any orientation)."""
        return voxel_volume_ml(self.ijk_to_ras)

    @property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest finite value, slice by slice; (inf, -inf) when none is finite."""
        if self.voxels.dtype.kind != "f":
            return float(self.voxels.min()), float(self.voxels.max())
        low, high = np.inf, -np.inf
        for plane in self.voxels:
            finite = np.isfinite(plane)
            low = min(low, float(plane.min(where=finite, initial=np.inf)))
            high = max(high, float(plane.max(where=finite, initial=-np.inf)))
        return low, high

    def with_notes(self, *notes: str) -> Image:
        """The same image with more notes."""
        return replace(self, notes=self.notes + notes)


def check_voxels(voxels: np.ndarray) -> None:
    """Raises InputError unless `voxels` is a non-empty scalar volume of a known type."""
    if voxels.ndim == 4 and voxels.shape[-1] in (3, 4) and voxels.dtype == np.uint8:
        raise InputError(f"this is a color image with {voxels.shape[-1]} values a voxel; wanted one scalar value")
    if voxels.ndim != 3:
        raise InputError(f"the image has {voxels.ndim} dimensions (shape {voxels.shape}); wanted one 3-D volume")
    if voxels.size == 0:
        raise InputError(f"the image holds no voxels (shape {voxels.shape})")
    if voxels.dtype.fields is not None:
        raise InputError("this is a color image (RGB); wanted one scalar value a voxel")
    if voxels.dtype.name not in VOXEL_TYPES:
        raise InputError(f"voxel type {voxels.dtype} is not supported; wanted one of {', '.join(VOXEL_TYPES)}")


def checked_geometry(ijk_to_ras: np.ndarray) -> np.ndarray:
    """A read-only float64 copy of a usable matrix; raises GeometryError with the reason otherwise."""
    matrix = np.array(ijk_to_ras, dtype=np.float64)
    if matrix.shape != (4, 4):
        raise GeometryError(f"the geometry matrix has shape {matrix.shape}; wanted 4x4")
    if not np.isfinite(matrix).all():
        raise GeometryError("the geometry holds values that are not finite numbers (NaN or infinite)")
    if not np.array_equal(matrix[3], (0, 0, 0, 1)):
        raise GeometryError(f"the last row of the geometry matrix is {matrix[3].tolist()}; wanted 0 0 0 1")
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if (lengths == 0).any():
        axis = "ijk"[int(np.flatnonzero(lengths == 0)[0])]
        raise GeometryError(f"the voxel spacing along {axis} is 0 mm; wanted a positive spacing")
    directions = matrix[:3, :3] / lengths
    cosines = np.abs(directions.T @ directions - np.eye(3))
    if abs(np.linalg.det(directions)) < 1e-3:
        raise GeometryError("the grid axes do not span space (singular direction); wanted three independent axes")
    if cosines.max() > SHEAR_TOLERANCE:
        angle = float(np.degrees(np.arcsin(min(1.0, cosines.max()))))
        raise GeometryError(f"the grid is sheared by {angle:.2f} degrees (gantry tilt?); wanted right angles")
    matrix.setflags(write=False)
    return matrix


def spacing_of(ijk_to_ras: np.ndarray) -> tuple[float, float, float]:
    """Spacing along i, j, k in mm of a 4x4 matrix."""
    return tuple(float(length) for length in np.linalg.norm(ijk_to_ras[:3, :3], axis=0))


def voxel_volume_ml(ijk_to_ras: np.ndarray) -> float:
    """Volume of one voxel in ml (1 ml = 1000 mm3)."""
    return float(abs(np.linalg.det(ijk_to_ras[:3, :3]))) / 1000.0


def inside_box(shape_kji: tuple[int, ...], ijk_to_box: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Boolean `[k, j, i]` of voxels whose center lies in a box.

    ijk_to_box: 4x4 from voxel index to the frame in which the box is aligned. bounds: 3x2 lower and upper, inclusive.
    Only the part of the grid around the box is looked at, slice by slice.
    """
    inside = np.zeros(shape_kji, dtype=bool)
    corners = np.array([(x, y, z, 1.0) for x in bounds[0] for y in bounds[1] for z in bounds[2]]).T
    ijk = (np.linalg.inv(ijk_to_box) @ corners)[:3]
    low = np.clip(np.floor(ijk.min(axis=1)) - 1, 0, shape_kji[::-1]).astype(int)
    high = np.clip(np.ceil(ijk.max(axis=1)) + 2, 0, shape_kji[::-1]).astype(int)
    i, j = np.arange(low[0], high[0])[None, :], np.arange(low[1], high[1])[:, None]
    for k in range(low[2], high[2]):
        part = inside[k, low[1] : high[1], low[0] : high[0]]
        part[:] = True
        for row, (least, most) in zip(ijk_to_box[:3], bounds):
            position = row[0] * i + row[1] * j + (row[2] * k + row[3])
            part &= (position >= least) & (position <= most)
    return inside


def grid_difference_mm(
    first: np.ndarray, first_shape_kji: tuple[int, ...], second: np.ndarray, second_shape_kji: tuple[int, ...]
) -> float:
    """Largest distance in mm between the same corner voxel of two grids; infinite when the shapes differ."""
    if tuple(first_shape_kji) != tuple(second_shape_kji):
        return float("inf")
    nk, nj, ni = first_shape_kji
    corners = np.array([(i, j, k, 1) for i in (0, ni - 1) for j in (0, nj - 1) for k in (0, nk - 1)]).T
    return float(np.linalg.norm(((first - second) @ corners)[:3], axis=0).max())


SAME_GRID_TOLERANCE_MM = 0.01
"""Grids whose corners differ by less are one grid: float32 headers of a 500 mm volume round to about 3e-5 mm."""


def require_same_grid(
    first: np.ndarray,
    first_shape_kji: tuple[int, ...],
    second: np.ndarray,
    second_shape_kji: tuple[int, ...],
    what: str,
    beside: str = "the image",
) -> None:
    """Raises GeometryError, naming `what` (the second) and `beside` (the first), unless both grids are one."""
    if tuple(first_shape_kji) != tuple(second_shape_kji):
        raise GeometryError(
            f"{what} has {second_shape_kji[::-1]} voxels (i, j, k) but {beside} has {first_shape_kji[::-1]};"
            f" wanted the grid of {beside}"
        )
    off = grid_difference_mm(first, first_shape_kji, second, second_shape_kji)
    if off > SAME_GRID_TOLERANCE_MM:
        raise GeometryError(f"{what} lies {off:.2f} mm off {beside}'s grid; wanted the grid of {beside}")

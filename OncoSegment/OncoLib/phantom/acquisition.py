"""How the patient is scanned: pose, couch, grid, slice thickness, blur, noise and what the lesions have become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from OncoLib.errors import InputError
from OncoLib.phantom.anatomy import Organ, at
from OncoLib.phantom.raster import Grid
from OncoLib.phantom.shapes import EllipticCylinder
from OncoLib.phantom.solids import moved_bounds, rigid, rotation

REGIONS_MM = {
    "body": ((-190.0, 190.0), (-145.0, 160.0), (-150.0, 620.0)),
    "trunk": ((-190.0, 190.0), (-145.0, 150.0), (-150.0, 490.0)),
    "chest": ((-190.0, 190.0), (-145.0, 145.0), (150.0, 490.0)),
    "abdomen": ((-190.0, 190.0), (-145.0, 150.0), (-150.0, 280.0)),
    "spine": ((-70.0, 70.0), (-110.0, 70.0), (-120.0, 610.0)),
}
"""Boxes in the patient frame (right-left, posterior-anterior, inferior-superior) that a scan covers."""

MOST_VOXELS = 1_500_000_000

COUCH_HALF_MM, COUCH_LENGTH_MM = (220.0, 24.0), 4000.0


@dataclass(frozen=True, eq=False)
class Acquisition:
    """One scan.

    date: YYYYMMDD. turn_degrees, shift_mm: rigid pose of the patient in the scanner (about x, then y, then z, around the
        origin of the patient frame; then the shift).
    region: name in `REGIONS_MM`, or a box ((x0, x1), (y0, y1), (z0, z1)) in the patient frame; the grid covers it.
    spacing_mm: along i, j, and the distance of slices along k. thickness_mm: of the slices; None is their distance.
    grid_turn_degrees: turn of the grid's axes in the scanner, for oblique series. samples: see `raster.draw`.
    blur_mm: standard deviation of the in-plane Gaussian blur. noise_hu: standard deviation of the white noise.
    couch: draws a couch under the patient. growth: volume factor of a lesion by its id, 0 where it is absent; 1 if not
        named.
    """

    date: str = "20260105"
    turn_degrees: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    region: str | tuple = "body"
    spacing_mm: tuple[float, float, float] = (1.5, 1.5, 3.0)
    thickness_mm: float | None = None
    grid_turn_degrees: tuple[float, float, float] = (0.0, 0.0, 0.0)
    blur_mm: float = 0.6
    noise_hu: float = 12.0
    couch: bool = True
    samples: tuple[int, int, int] = (3, 3, 3)
    growth: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (isinstance(self.date, str) and len(self.date) == 8 and self.date.isdigit()):
            raise InputError(f"the date of a scan is {self.date!r}; wanted eight digits, YYYYMMDD")
        for step in self.spacing_mm:
            if not (np.isfinite(step) and 0.05 <= step <= 50):
                raise InputError(f"the voxel spacing is {step} mm; wanted 0.05 to 50 mm")
        for name in ("blur_mm", "noise_hu"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise InputError(f"{name} is {getattr(self, name)}; wanted 0 or more")
        if isinstance(self.region, str) and self.region not in REGIONS_MM:
            raise InputError(f"region {self.region!r} is unknown; wanted {', '.join(REGIONS_MM)}, or a box")
        if any(not (isinstance(count, int) and 1 <= count <= 9) for count in self.samples):
            raise InputError(f"{self.samples} sub-voxel samples; wanted 1 to 9 along each axis")
        for name, factor in self.growth.items():
            if not (np.isfinite(factor) and factor >= 0):
                raise InputError(f"growth {factor} of lesion {name!r}; wanted a volume factor of 0 (absent) or more")

    @property
    def pose(self) -> np.ndarray:
        """4x4 rigid matrix from the patient frame to RAS of the scan."""
        return rigid(self.turn_degrees, self.shift_mm)

    @property
    def slice_thickness_mm(self) -> float:
        """Thickness of a slice."""
        return self.spacing_mm[2] if self.thickness_mm is None else self.thickness_mm

    @property
    def box_mm(self) -> np.ndarray:
        """3x2 region in the patient frame."""
        return np.array(REGIONS_MM[self.region] if isinstance(self.region, str) else self.region, dtype=float)

    def grid(self) -> Grid:
        """The voxels of the scan: they cover the region as the patient lies. i runs to the left, j to the back, k up.

        So the array is in the order in which CT is stored in DICOM, before the grid is turned.
        """
        turn = rotation(self.grid_turn_degrees) @ np.diag([-1.0, -1.0, 1.0])
        box = np.eye(4)
        box[:3, :3] = turn.T
        bounds = moved_bounds(self.box_mm, box @ self.pose)
        counts = [max(1, int(np.ceil(size / step))) for size, step in zip(np.diff(bounds, axis=1)[:, 0], self.spacing_mm)]
        if np.prod(counts, dtype=float) > MOST_VOXELS:
            raise InputError(f"the scan would have {counts} voxels; wanted a wider spacing or a smaller region")
        matrix = np.eye(4)
        matrix[:3, :3] = turn * np.array(self.spacing_mm)
        # Positions and directions are kept as DICOM keeps them: few decimals in the origin read back without a rounding.
        first = bounds.mean(axis=1) - (np.array(counts) - 1) / 2 * self.spacing_mm
        matrix[:3, 3] = np.round(turn @ first, 4)
        return Grid(tuple(counts[::-1]), matrix, self.slice_thickness_mm)


def couch(acquisition: Acquisition, back_mm: float) -> list[Organ]:
    """A couch along the scanner's axis, in the frame of the scan: an elliptic shell filled with foam, below the patient.

    back_mm: lowest y of the patient in that frame.
    """
    middle = (float(acquisition.shift_mm[0]), back_mm - COUCH_HALF_MM[1], 0.0)
    sizes = [tuple(half - less for half in COUCH_HALF_MM) for less in (0.0, 3.0)]
    shell, foam = (at(EllipticCylinder(*size, COUCH_LENGTH_MM), middle) for size in sizes)
    return [Organ("", shell, "couch shell"), Organ("", foam, "couch foam")]


def follow_up(count: int, **changes) -> list[Acquisition]:
    """A course of `count` dates, 56 days apart, each with its own pose, grid and growth of the default lesions.

    Liver metastases shrink, one nodule grows, another lesion is gone from the third date on and one is new from the
    second date on. changes: fields that all dates share.
    """
    return [replace(one_date(number, day), **changes) for number, day in enumerate(days(count))]


def days(count: int) -> list[str]:
    """Dates YYYYMMDD, 56 days apart from 5 January 2026; InputError unless 1 to 60 are asked for."""
    if not 1 <= count <= 60:
        raise InputError(f"{count} dates; wanted 1 to 60")
    first = np.datetime64("2026-01-05")
    return [str(first + np.timedelta64(56 * number, "D")).replace("-", "") for number in range(count)]


POSES = (((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), ((3.0, -4.0, 6.0), (12.0, -8.0, 25.0)), ((-4.0, 3.0, -5.0), (-9.0, 5.0, -18.0)))
THICKNESS_MM = (3.0, 2.5, 5.0)


def one_date(number: int, day: str) -> Acquisition:
    """The date of a number from 0: three poses and slice thicknesses take turns."""
    turn, shift = POSES[number % 3]
    growth = {
        "lung_1": min(1.4**number, 3.0),
        "lung_2": 1.0 if number < 2 else 0.0,
        "liver_1": 0.7**number,
        "liver_2": 0.85**number,
        "liver_3": 0.0 if number == 0 else min(1.0 * 1.2 ** (number - 1), 2.0),
        "node_1": 0.8**number,
    }
    step = THICKNESS_MM[number % 3]
    return Acquisition(day, turn, shift, spacing_mm=(1.5, 1.5, step), growth=growth)

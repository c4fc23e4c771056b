"""Geometry that a NIfTI header states, read from its bytes: the same for every library that reads the voxels.

Layouts: nifti1.h (348 bytes) and nifti2.h (540 bytes). The sform comes before the qform; without either, the grid is
centered as nibabel centers it, and left and right are a guess.
"""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from OncoLib.errors import GeometryError, InputError
from OncoLib.image import grid_difference_mm

NO_ORIENTATION = "the file gives no patient orientation: left and right are a guess"
METER, MICROMETER = 1, 3
FIELDS = ("dim", "pixdim", "units", "codes", "quatern", "srow")
LAYOUTS = {
    348: (("8h", 40), ("8f", 76), ("B", 123), ("2h", 252), ("6f", 256), ("12f", 280)),
    540: (("8q", 16), ("8d", 104), ("i", 500), ("2i", 344), ("6d", 352), ("12d", 400)),
}
"""Type and offset of each field by the size of the header; codes are those of qform and sform."""


@dataclass(frozen=True, eq=False)
class NiftiHeader:
    """What the header says of the grid; `qform` is None when it is void or not there, `sform` when it is not there."""

    shape_ijk: tuple[int, ...]
    pixdim_mm: np.ndarray
    units: int
    sform: np.ndarray | None
    qform: np.ndarray | None
    qform_void: bool

    def check(self) -> None:
        """Raises GeometryError for a voxel size that libraries would mend or ignore in silence."""
        sizes = np.abs(self.pixdim_mm)
        if self.sform is None and (not np.isfinite(sizes).all() or (sizes == 0).any()):
            raise GeometryError(f"the header's voxel size is {tuple(sizes.tolist())} mm; wanted three positive numbers")
        if self.units & 0x07 in (METER, MICROMETER):
            unit = "meters" if self.units & 0x07 == METER else "micrometers"
            raise GeometryError(f"the header states its voxel size in {unit}; wanted millimeters")
        if self.sform is None and self.qform_void:
            raise GeometryError("the header's geometry (qform) is void; wanted a rotation")

    def matrix(self) -> np.ndarray:
        """4x4 `ijk_to_ras`."""
        if self.sform is not None:
            return self.sform
        if self.qform is not None:
            return self.qform
        steps = self.pixdim_mm * (-1, 1, 1)
        matrix = np.diag([*steps, 1.0])
        matrix[:3, 3] = -(np.array(self.shape_ijk) - 1) / 2 * steps
        return matrix

    def notes(self) -> tuple[str, ...]:
        """What a reader should know."""
        if self.sform is None and self.qform is None:
            return (NO_ORIENTATION,)
        if self.sform is not None and self.qform_void:
            return ("the header's second geometry (qform) is void; sform is used",)
        if self.sform is None or self.qform is None:
            return ()
        shape = self.shape_ijk[::-1]
        off = grid_difference_mm(self.sform, shape, self.qform, shape)
        return (f"the header's two geometries (sform, qform) differ by {off:.0f} mm; sform is used",) if off > 1.0 else ()


def read_header(path: Path) -> NiftiHeader:
    """Header of a NIfTI-1 or NIfTI-2 file; InputError when it is none."""
    with (gzip.open if path.name.lower().endswith(".gz") else open)(path, "rb") as stream:
        head = stream.read(540)
    for order in "<>":
        for size, layout in LAYOUTS.items():
            if len(head) >= size and head[:4] == struct.pack(order + "i", size):
                values = [struct.unpack_from(order + kind, head, at) for kind, at in layout]
                return _parsed(dict(zip(FIELDS, values)))
    raise InputError("cannot be read as NIfTI; it is truncated, damaged, or another format")


def _parsed(fields: dict[str, tuple]) -> NiftiHeader:
    qform_code, sform_code = fields["codes"]
    pixdim = np.array(fields["pixdim"], dtype=float)
    qform = _qform(pixdim, fields["quatern"]) if qform_code > 0 else None
    sform = np.vstack([np.array(fields["srow"], dtype=float).reshape(3, 4), [0, 0, 0, 1]]) if sform_code > 0 else None
    shape = tuple(int(size) for size in fields["dim"][1:4])
    return NiftiHeader(shape, pixdim[1:4], fields["units"][0], sform, qform, qform_code > 0 and qform is None)


def _qform(pixdim: np.ndarray, quatern: tuple) -> np.ndarray | None:
    """Matrix of the quaternion (a, b, c, d) with a = sqrt(1 - b2 - c2 - d2) >= 0, as nifti1.h defines it; None when void."""
    b, c, d, *offset = (float(value) for value in quatern)
    square = 1.0 - (b * b + c * c + d * d)
    if not np.isfinite([square, *offset]).all() or square < -1e-5:
        return None
    a = np.sqrt(max(square, 0.0))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * (np.abs(pixdim[1:4]) * (1, 1, -1 if pixdim[0] < 0 else 1))
    matrix[:3, 3] = offset
    return matrix

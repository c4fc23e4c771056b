"""Wavefront OBJ with MTL: one file for several segments, one group and one material a segment.

Written here because VTK's exporter needs a render window, names its groups grp1, grp2 ..., and states the opacity as
`Tr 1`, which other programs read as invisible; VTK's writer has neither groups nor comments.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from OncoLib.file_names import safe_names
from OncoLib.filters.mesh import point_normals
from OncoLib.filters.surfaces import SegmentSurface
from OncoLib.image import RAS_TO_LPS

UNIT_COMMENT = "vertex coordinates are measured in units, where 1 unit = 1.000000 mm"
"""The sentence by which Slicer finds the unit of an OBJ (vtkMRMLModelStorageNode)."""

ROWS_AT_ONCE = 1 << 16


def write_obj(path: Path, surfaces: Sequence[SegmentSurface], frame: str) -> None:
    """Writes `path` and the `.mtl` beside it; empty surfaces are left out. frame: "LPS" or "RAS". Raises OSError."""
    shown = [surface for surface in surfaces if not surface.mesh.is_empty]
    groups = safe_names([surface.segment.name for surface in shown])
    materials = path.with_suffix(".mtl")
    signs = np.diag(RAS_TO_LPS)[:3] if frame == "LPS" else np.ones(3)
    with open(path, "w", encoding="utf-8", newline="\n") as stream:
        # Slicer reads the comment on the first lines only.
        stream.write(f"# OncoSegment SPACE={frame}\n# {UNIT_COMMENT}\n\nmtllib {materials.name}\n")
        first = 1
        for surface, group in zip(shown, groups):
            write_group(stream, surface, group, first, signs)
            first += len(surface.mesh.points_ras_mm)
    with open(materials, "w", encoding="utf-8", newline="\n") as stream:
        stream.write("# OncoSegment\n")
        for surface, group in zip(shown, groups):
            red, green, blue = (f"{part / 255:.6f}" for part in surface.segment.color)
            stream.write(f"\nnewmtl {group}\nKa 0 0 0\nKd {red} {green} {blue}\nKs 0 0 0\nd 1\nillum 1\n")


def write_group(stream, surface: SegmentSurface, group: str, first: int, signs: np.ndarray) -> None:
    """Points, normals and triangles of one segment; `first` is the number of its first point in the file."""
    stream.write(f"\ng {group}\nusemtl {group}\n")
    write_rows(stream, "v %.6f %.6f %.6f\n", surface.mesh.points_ras_mm * signs)
    write_rows(stream, "vn %.5f %.5f %.5f\n", point_normals(surface.mesh) * signs)
    write_rows(stream, "f %d//%d %d//%d %d//%d\n", np.repeat(surface.mesh.triangles + first, 2, axis=1))


def write_rows(stream, row: str, values: np.ndarray) -> None:
    """Formats many rows at once, which is several times faster than one by one."""
    for start in range(0, len(values), ROWS_AT_ONCE):
        part = values[start : start + ROWS_AT_ONCE]
        stream.write(row * len(part) % tuple(part.ravel().tolist()))

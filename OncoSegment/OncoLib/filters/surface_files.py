"""Surfaces as files: binary STL, PLY with colors, OBJ with materials; in LPS or RAS, in mm; all files or none.

The frame stands in each file as `SPACE=LPS` or `SPACE=RAS`, which is how Slicer's own model storage node
(vtkMRMLModelStorageNode) writes and reads it; a file without it is LPS to Slicer. Beside the surfaces lies
`surfaces.json`, which says what is what. No file holds anything about the patient.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from OncoLib.errors import InputError, OutputError
from OncoLib.file_names import safe_names
from OncoLib.filters.mesh import Mesh, point_normals, poly_data
from OncoLib.filters.surface_obj import write_obj
from OncoLib.filters.surfaces import SegmentSurface
from OncoLib.image import RAS_TO_LPS
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.segmentation_files import RESEARCH_USE, write_json
from OncoLib.staged import staged_files
from OncoLib.surface_settings import DESCRIPTION, FILE_FORMATS, FRAMES, SurfaceSettings

FORMAT = "oncosegment.surfaces/1"
STEM = "surfaces"
"""File name of the one OBJ that holds all segments."""

STL_HEADER_BYTES, STL_TRIANGLE_BYTES = 84, 50


def write_surfaces(
    surfaces: Sequence[SegmentSurface],
    folder: Path,
    *,
    file_format: str,
    frame: str = "LPS",
    settings: SurfaceSettings | None = None,
    provenance: dict | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> tuple[dict, list[Path]]:
    """Writes one STL or PLY a segment, or one OBJ with its MTL; returns what `surfaces.json` holds and all paths.

    Empty segments get no file; the description says so. settings, provenance: told in the description when given.
    overwrite: replaces an earlier result and takes away those of its files that the new one does not have; only those that
    are byte for byte what it wrote (`earlier_files`).

    Raises InputError for an unknown format or frame and when no segment has a surface, OutputError when it cannot be
    written: then nothing was changed.
    """
    check_choice("format", file_format, FILE_FORMATS)
    check_choice("frame", frame, FRAMES)
    if all(surface.mesh.is_empty for surface in surfaces):
        raise InputError("none of the chosen segments has a voxel; wanted at least one to make a surface of")
    names = file_names(surfaces, file_format)
    family = (DESCRIPTION, *earlier_files(Path(folder)))
    with staged_files(Path(folder), overwrite=overwrite, family=family) as staging:
        if file_format == "obj":
            progress(None, "Writing the surfaces")
            write_obj(staging / f"{STEM}.obj", surfaces, frame)
        else:
            write_each(staging, surfaces, names, frame, progress, cancel)
        described = description(surfaces, names, file_format, frame, settings, provenance)
        described["sha256"] = {path.name: sha256_of(path) for path in sorted(staging.iterdir())}
        write_json(staging / DESCRIPTION, described)
        written = sorted(path.name for path in staging.iterdir())
        if cancel is not None:
            cancel.check()
    return described, [Path(folder) / name for name in written]


def write_each(staging: Path, surfaces, names, frame: str, progress: Progress, cancel: CancelToken | None) -> None:
    """One file a segment that is not empty."""
    for number, (surface, name) in enumerate(zip(surfaces, names)):
        if cancel is not None:
            cancel.check()
        progress(number / len(surfaces), f"Writing the surfaces ({surface.segment.name})")
        if name:
            write = write_stl if name.endswith(".stl") else write_ply
            write(staging / name, surface, frame)


def check_choice(what: str, value: str, known: tuple[str, ...]) -> None:
    """Raises InputError unless the value is one of those known."""
    if value not in known:
        raise InputError(f"the {what} is {value!r}; wanted one of {', '.join(known)}")


def file_names(surfaces: Sequence[SegmentSurface], file_format: str) -> list[str]:
    """The file of each surface, "" for an empty one."""
    safe = safe_names([surface.segment.name for surface in surfaces])
    if file_format == "obj":
        safe = [STEM] * len(safe)
    return ["" if surface.mesh.is_empty else f"{name}.{file_format}" for surface, name in zip(surfaces, safe)]


def earlier_files(folder: Path) -> list[str]:
    """Files of an earlier result in the folder that are ours beyond doubt: the name is the one that we would give to a
    segment that the description names, and the content has the SHA-256 that it states. A description from elsewhere, or a
    file that was changed since, takes nothing away."""
    try:
        described = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if described["format"] != FORMAT:
            return []
        stated, given = described["sha256"], given_names(described)
        return sorted(name for name in given if name in stated and _holds(folder / name, stated[name]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def given_names(described: dict) -> set[str]:
    """Names that `file_names` gives to the segments of a description; empty ones have none."""
    if described["file_format"] == "obj":
        return {f"{STEM}.obj", f"{STEM}.mtl"}
    if described["file_format"] not in FILE_FORMATS:
        return set()
    safe = safe_names([item["name"] for item in described["surfaces"]])
    given = [f"{name}.{described['file_format']}" for name in safe]
    return {name for name, item in zip(given, described["surfaces"]) if item["file"] == name}


def _holds(path: Path, sha256: str) -> bool:
    """True for a file, not a link, of that content."""
    return path.is_file() and not path.is_symlink() and sha256_of(path) == sha256


def sha256_of(path: Path) -> str:
    """Of a file's content, in hex, read in blocks."""
    found = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def description(surfaces, names, file_format: str, frame: str, settings, provenance) -> dict:
    """JSON-ready: which file is which segment, with its codes and volumes."""
    return {
        "format": FORMAT,
        "notice": RESEARCH_USE,
        "frame": frame,
        "unit": "mm",
        "file_format": file_format,
        "settings": settings.as_dict() if settings else None,
        "materials": [f"{STEM}.mtl"] if file_format == "obj" else [],
        "surfaces": [surface_json(surface, name) for surface, name in zip(surfaces, names)],
        "provenance": provenance,
    }


def surface_json(surface: SegmentSurface, name: str) -> dict:
    """JSON-ready facts of one surface."""
    return {
        "file": name,
        "name": surface.segment.name,
        "codes": surface.segment.entry.as_dict(),
        "color": list(surface.segment.color),
        "triangles": len(surface.mesh.triangles),
        "watertight": surface.watertight,
        "surface_volume_ml": float(f"{surface.volume.value:.9g}"),
        "voxel_volume_ml": float(f"{surface.voxels.value:.9g}"),
        "difference_ml": float(f"{surface.difference.value:.9g}"),
        "area_mm2": float(f"{surface.area_mm2:.9g}"),
        "notes": list(surface.notes),
    }


def in_frame(mesh: Mesh, frame: str) -> Mesh:
    """The mesh with its points in LPS or RAS; a half turn about the z axis, so triangles keep their outside."""
    if frame == "RAS":
        return mesh
    return Mesh(mesh.points_ras_mm * np.diag(RAS_TO_LPS)[:3], mesh.triangles)


def write_stl(path: Path, surface: SegmentSurface, frame: str) -> None:
    """Binary STL: 80 bytes of header that state frame and unit, then triangles with their normals in float32.

    Raises OutputError when the file is not whole.
    """
    writer = vtk.vtkSTLWriter()
    writer.SetFileTypeToBinary()
    writer.SetHeader(f"OncoSegment SPACE={frame} UNIT=mm")
    _write(writer, path, poly_data(in_frame(surface.mesh, frame)))
    require_size(path, STL_HEADER_BYTES + STL_TRIANGLE_BYTES * len(surface.mesh.triangles))


def write_ply(path: Path, surface: SegmentSurface, frame: str) -> None:
    """Binary PLY: points with normals in float32 and the segment's color in 8 bits (red, green, blue), and triangles.

    Raises OutputError when the file is not whole.
    """
    mesh = in_frame(surface.mesh, frame)
    data = poly_data(mesh)
    normals = numpy_to_vtk(point_normals(mesh).astype(np.float32), deep=True)
    colors = numpy_to_vtk(np.tile(np.uint8(surface.segment.color), (len(mesh.points_ras_mm), 1)), deep=True)
    colors.SetName("RGB")
    data.GetPointData().SetNormals(normals)
    data.GetPointData().AddArray(colors)
    writer = vtk.vtkPLYWriter()
    writer.SetFileTypeToBinary()
    writer.SetDataByteOrderToLittleEndian()
    writer.SetArrayName("RGB")
    writer.AddComment(f"SPACE={frame}")
    writer.AddComment("UNIT=mm")
    writer.AddComment("OncoSegment")
    _write(writer, path, data)
    require_size(path, ply_header_bytes(path) + 27 * len(mesh.points_ras_mm) + 13 * len(mesh.triangles))


def _write(writer, path: Path, data: vtk.vtkPolyData) -> None:
    """Lets VTK write without its messages; the outcome is checked by the file's size."""
    writer.SetFileName(str(path))
    writer.SetInputData(data)
    shown = vtk.vtkObject.GetGlobalWarningDisplay()
    vtk.vtkObject.GlobalWarningDisplayOff()
    try:
        writer.Write()
    finally:
        vtk.vtkObject.SetGlobalWarningDisplay(shown)


def ply_header_bytes(path: Path) -> int:
    """Length of a PLY header with its last line's end; 0 when there is none."""
    end = b"end_header\n"
    head = path.read_bytes()[:4096] if path.is_file() else b""
    return head.index(end) + len(end) if end in head else 0


def require_size(path: Path, size: int) -> None:
    """Raises OutputError unless the file has that many bytes: VTK's writers say nothing when a disk is full."""
    if not path.is_file() or path.stat().st_size != size:
        raise OutputError(f"{path.name}: could not be written whole; is the folder writable and the disk not full?")

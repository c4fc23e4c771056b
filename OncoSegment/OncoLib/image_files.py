"""Reads and writes one image file: NIfTI by nibabel; NRRD and MetaImage by SimpleITK. DICOM lives on floor 2.

Slicer brings no nibabel: there, NIfTI goes through SimpleITK too. ITK prefers the qform where the two geometries of a
header have certain codes, nibabel the sform: so there the geometry is read from the header itself, and both hosts place
an image alike.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import logging
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from OncoLib.errors import GeometryError, InputError, OncoError, OutputError
from OncoLib.image import Image, checked_geometry
from OncoLib.image_convert import from_nibabel, from_sitk, to_nibabel, to_sitk
from OncoLib.nifti_header import NO_ORIENTATION, NiftiHeader, read_header

NIFTI = (".nii", ".nii.gz")
ITK = (".nrrd", ".nhdr", ".mha", ".mhd")
READABLE = NIFTI + ITK


def suffix_of(path: Path) -> str:
    """The image suffix of a file name in lower case: `.nii.gz` counts as one; "" when it is none we know."""
    name = path.name.lower()
    return next((suffix for suffix in sorted(READABLE, key=len, reverse=True) if name.endswith(suffix)), "")


def read_image(path: Path | str, *, modality: str = "", units: str = "") -> Image:
    """The image in a NIfTI, NRRD or MetaImage file.

    modality, units: what the caller knows; these formats do not say.
    Raises InputError (GeometryError for its grid) with one sentence that names the file.
    """
    path = Path(path)
    check_readable(path)
    reader = read_nifti if suffix_of(path) in NIFTI and has_nibabel() else read_itk
    try:
        return reader(path, modality=modality, units=units, name=path.name[: -len(suffix_of(path))])
    except (GeometryError, InputError) as error:
        raise type(error)(f"{path.name}: {error}") from error.__cause__


def has_nibabel() -> bool:
    """True where nibabel is installed."""
    return importlib.util.find_spec("nibabel") is not None


def check_readable(path: Path) -> None:
    """Raises InputError unless `path` is a non-empty file of a known image format."""
    if not path.exists():
        raise InputError(f"{path.name}: no such file; wanted an image ({', '.join(READABLE)}) or a folder of DICOM")
    if not suffix_of(path):
        found = "".join(path.suffixes[-2:]) or "no extension"
        raise InputError(f"{path.name}: {found} is not an image format read here; wanted {', '.join(READABLE)}")
    if path.stat().st_size == 0:
        raise InputError(f"{path.name}: the file is empty (0 bytes)")


def read_nifti(path: Path, **facts) -> Image:
    """A NIfTI-1 or NIfTI-2 file; sform before qform, and a note when the two place the image differently."""
    import nibabel

    try:
        with quiet_nibabel(nibabel):
            return _read_nifti(path, nibabel, facts)
    except OncoError:
        raise
    except MemoryError as error:
        raise InputError("the header states more voxels than this machine's memory holds") from error
    except Exception as error:  # nibabel meets damaged headers with many kinds of error
        raise InputError("cannot be read as NIfTI; it is truncated, damaged, or another format") from error


@contextlib.contextmanager
def quiet_nibabel(nibabel) -> Iterator[None]:
    """Keeps nibabel's header checks from logging: what they find is told in our own sentence."""
    logger = nibabel.imageglobals.logger
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _read_nifti(path: Path, nibabel, facts: dict) -> Image:
    check_packed(path)
    file = nibabel.load(path)
    if not hasattr(file.header, "get_sform"):
        raise InputError("this is no NIfTI file but another format of the same suffix")
    header = read_header(path)
    header.check()
    return from_nibabel(file, **facts).with_notes(*header.notes())


def check_packed(path: Path) -> None:
    """Reads a .gz to its end, where its checksum stands; reading the image alone never gets there."""
    if path.name.lower().endswith(".gz"):
        with gzip.open(path) as stream:
            while stream.read(1 << 20):
                pass


def read_itk(path: Path, **facts) -> Image:
    """A file that ITK reads through SimpleITK."""
    fields = nrrd_fields(path) if suffix_of(path) in (".nrrd", ".nhdr") else {}
    notes = nrrd_notes(fields) if fields else meta_notes(path)
    header = checked_nifti(path) if suffix_of(path) in NIFTI else None
    try:
        with quiet_stderr():
            image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        text = str(error).lower()
        if "spacing" in text:
            raise GeometryError("the header's voxel spacing is 0 or negative; wanted positive spacings") from error
        if "determinant" in text or "direction" in text:
            raise GeometryError("the grid axes do not span space (singular direction)") from error
        raise InputError("cannot be read; it is truncated, damaged, or another format") from error
    except MemoryError as error:
        raise InputError("the header states more voxels than this machine's memory holds") from error
    found = from_sitk(image, **facts).with_notes(*notes)
    if suffix_of(path) in NIFTI:
        return replace(found, ijk_to_ras=checked_geometry(header.matrix())).with_notes(*header.notes())
    return replace(found, ijk_to_ras=las_geometry(fields)) if is_las(fields) else found


def checked_nifti(path: Path) -> NiftiHeader:
    """Header of a whole NIfTI file whose grid can be used; InputError otherwise."""
    try:
        check_packed(path)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError("cannot be read as NIfTI; it is truncated, damaged, or another format") from error
    header = read_header(path)
    header.check()
    return header


def meta_notes(path: Path) -> tuple[str, ...]:
    """A note when a MetaImage header states no orientation."""
    if suffix_of(path) not in (".mha", ".mhd"):
        return ()
    with open(path, "rb") as stream:
        head = stream.read(1 << 14).decode("latin-1")
    return () if re.search(r"(?m)^\s*(TransformMatrix|Rotation|Orientation)\s*=", head) else (NO_ORIENTATION,)


def nrrd_fields(path: Path) -> dict[str, str]:
    """Fields of an NRRD header as text."""
    with open(path, "rb") as stream:
        head = stream.read(1 << 16).split(b"\n\n")[0].decode("utf-8", errors="replace")
    return dict(line.split(": ", 1) for line in head.replace("\r", "").splitlines() if ": " in line)


def nrrd_notes(fields: dict[str, str]) -> tuple[str, ...]:
    """A note when an NRRD header names no patient frame; GeometryError when its unit is not mm."""
    units = set(re.findall(r'"([^"]*)"', fields.get("space units", "")))
    if units - {"mm", "millimeter", "millimeters", ""}:
        raise GeometryError(f"the header states its voxel size in {sorted(units)[0]!r}; wanted millimeters")
    if not re.match(r"(?i)(right|left)-(anterior|posterior)-superior|[rl][ap]s\b", fields.get("space", "")):
        return (NO_ORIENTATION,)
    return ()


def is_las(fields: dict[str, str]) -> bool:
    """True for the frame that ITK up to SimpleITK 2.5.5 (Slicer 5.12) takes for another one."""
    return fields.get("space", "").strip().lower() in ("left-anterior-superior", "las")


def las_geometry(fields: dict[str, str]) -> np.ndarray:
    """4x4 `ijk_to_ras` of an NRRD header in the left-anterior-superior frame."""
    vectors = re.findall(r"\(([^)]*)\)", fields.get("space directions", "") + fields.get("space origin", ""))
    try:
        columns = np.array([[float(part) for part in vector.split(",")] for vector in vectors]).T
        matrix = np.vstack([np.diag([-1.0, 1.0, 1.0]) @ columns, [0, 0, 0, 1]])
    except ValueError as error:
        raise GeometryError("the header gives no usable directions and origin") from error
    return checked_geometry(matrix)


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keeps the C++ readers from printing: what they print is told in our own sentence."""
    try:
        kept = os.dup(2)
    except OSError:  # a program without console has no such stream
        yield
        return
    try:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 2)
        os.close(sink)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def files_of(path: Path) -> list[Path]:
    """The file, and the data file that a detached header (.nhdr, .mhd) names; only the header when it cannot be told."""
    text = path.read_bytes()[: 1 << 16].decode("utf-8", errors="replace") if suffix_of(path) in (".nhdr", ".mhd") else ""
    named = re.search(r"(?im)^(?:data ?file|ElementDataFile)\s*[:=]\s*(.+?)\s*$", text)
    data = path.parent / named.group(1) if named else path
    return [path, data] if data != path and data.is_file() else [path]


def write_image(path: Path | str, voxels: np.ndarray, ijk_to_ras: np.ndarray) -> None:
    """Writes `voxels[k, j, i]`, compressed where the format can; the suffix chooses the format."""
    path = Path(path)
    if suffix_of(path) in NIFTI and has_nibabel():
        to_nibabel(voxels, ijk_to_ras).to_filename(path)
    else:
        write_itk(path, voxels, ijk_to_ras)


def write_itk(path: Path, voxels: np.ndarray, ijk_to_ras: np.ndarray) -> None:
    """Writes by SimpleITK and reads the file back, because some of ITK's writers say nothing when a disk is full."""
    told = f"{path.name}: could not be written whole; is the disk full?"
    try:
        with quiet_stderr():
            sitk.WriteImage(to_sitk(voxels, ijk_to_ras), str(path), useCompression=True)
    except RuntimeError as error:
        raise OutputError(told) from error
    if not is_whole_image(path):
        raise OutputError(told)


def is_whole_image(path: Path) -> bool:
    """True when ITK reads the file to its end."""
    try:
        with quiet_stderr():
            sitk.ReadImage(str(path))
    except RuntimeError:
        return False
    return True

"""One DICOM image series from a folder: headers by pydicom, pixels by GDCM through SimpleITK (JPEG 2000, RLE, ...).

Only the plain case: one series of single-frame slices, equally spaced, without gantry tilt. Anything else is
refused with the reason, and no file is left out in silence. Values are rescaled slice by slice, each with its own
slope and intercept (DICOM PS3.3 C.11.1); places follow PS3.3 C.7.6.2.1.1.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from OncoLib.errors import GeometryError, InputError
from OncoLib.image import RAS_TO_LPS, Image
from OncoSegmentLib.dicom.files import Slice, image_files, no_tag_warnings

SPACING_TOLERANCE = 0.01
"""Slice distances may differ by 1 % of their mean: rounding in the header, not a missing slice."""

ONE_OF_EACH = {
    "Modality": "modality",
    "PatientID": "patient",
    "StudyInstanceUID": "study",
    "FrameOfReferenceUID": "frame of reference",
    "Rows": "image size",
    "Columns": "image size",
    "RescaleType": "rescale type",
}
"""What all slices of one volume share, and how a difference is told (never with the values: one is a patient's id)."""


@no_tag_warnings()
def series_files(folder: Path) -> dict[str, list[Path]]:
    """Image files of each series in a folder (not in its subfolders), by series UID."""
    slices, _ = image_files(Path(folder))
    found: dict[str, list[Path]] = {}
    for item in slices:
        found.setdefault(item.series, []).append(item.path)
    return found


@no_tag_warnings()
def read_series(folder: Path | str, *, series: str = "") -> Image:
    """The image of one series; HU for CT that says so.

    series: UID to choose when the folder holds several. Raises InputError or GeometryError naming the folder.
    """
    folder = Path(folder)
    slices, notes = image_files(folder)
    chosen = chosen_series(folder, slices, series)
    check_one_volume(folder, chosen)
    ordered = in_order(folder, chosen)
    matrix = geometry(folder, ordered)
    voxels = pixels(folder, ordered)
    first = ordered[0].header
    modality = str(first.get("Modality", ""))
    units, doubts = units_of(first, modality)
    uids = tuple(str(first.get(name, "")) for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"))
    try:
        image = Image(voxels, matrix, modality=modality, units=units, name=folder.name, source_uids=uids)
    except InputError as error:
        raise type(error)(f"{folder.name}: {error}") from error
    return image.with_notes(*notes, *doubts)


def chosen_series(folder: Path, slices: list[Slice], wanted: str) -> list[Slice]:
    """The slices to read; refuses a folder without images, and a choice that nobody made."""
    if not slices:
        raise InputError(f"{folder.name}: no DICOM images in this folder; wanted one series of slices")
    sizes: dict[str, int] = {}
    for item in slices:
        sizes[item.series] = sizes.get(item.series, 0) + 1
    if wanted:
        if wanted not in sizes:
            raise InputError(f"{folder.name}: no series with that UID; the folder holds {len(sizes)} series")
        return [item for item in slices if item.series == wanted]
    if len(sizes) > 1:
        listed = ", ".join(f"{uid or 'no UID'} ({count} files)" for uid, count in sizes.items())
        raise InputError(f"{folder.name}: the folder holds {len(sizes)} series; choose one with --series: {listed}")
    return slices


def check_one_volume(folder: Path, slices: list[Slice]) -> None:
    """Refuses what is no single scalar volume of one patient."""
    first = slices[0].header
    for item in slices:
        for name in ("NumberOfFrames", "RescaleSlope", "RescaleIntercept"):
            require_number(folder, item, name)
    if any(number_of(item, "NumberOfFrames", 1.0) != 1 for item in slices):
        raise InputError(f"{folder.name}: this is a multi-frame DICOM file, which is not read yet; wanted one slice a file")
    if any(item.header.get("SamplesPerPixel", 1) != 1 for item in slices):
        raise InputError(f"{folder.name}: these are color images; wanted one scalar value a voxel")
    if any(item.header.get("PhotometricInterpretation", "MONOCHROME2") != "MONOCHROME2" for item in slices):
        kind = next(k for k in (i.header.get("PhotometricInterpretation") for i in slices) if k != "MONOCHROME2")
        raise InputError(f"{folder.name}: pixels are stored as {kind}, which is not read yet; wanted MONOCHROME2")
    for name, told in ONE_OF_EACH.items():
        if any(item.header.get(name) != first.get(name) for item in slices):
            raise InputError(f"{folder.name}: the slices of this series differ in {told}; wanted one")


def numbers(item: Slice, name: str, count: int) -> np.ndarray:
    """Numbers of a tag; empty when absent, malformed, or not `count` of them."""
    try:
        found = np.array([float(part) for part in item.header.get(name) or ()])
    except (TypeError, ValueError):
        return np.array([])
    return found if found.size == count and np.isfinite(found).all() else np.array([])


def in_order(folder: Path, slices: list[Slice]) -> list[Slice]:
    """The slices sorted along their common normal; refuses what is missing, unequal, repeated or not parallel."""
    positions = [numbers(item, "ImagePositionPatient", 3) for item in slices]
    orientations = [numbers(item, "ImageOrientationPatient", 6) for item in slices]
    spacings = [numbers(item, "PixelSpacing", 2) for item in slices]
    if any(item.size == 0 for item in (*positions, *orientations)):
        raise GeometryError(f"{folder.name}: a slice states no position and orientation in the patient")
    if any(item.size == 0 or (item <= 0).any() for item in spacings):
        raise GeometryError(f"{folder.name}: a slice states no positive pixel spacing")
    if max(np.abs(item - orientations[0]).max() for item in orientations) > 1e-3:
        raise GeometryError(f"{folder.name}: the slices are not parallel; wanted one orientation")
    if max(np.abs(item - spacings[0]).max() for item in spacings) > 1e-4:
        raise GeometryError(f"{folder.name}: the slices differ in pixel spacing; wanted one")
    along = np.array(positions) @ np.cross(orientations[0][:3], orientations[0][3:])
    return [slices[at] for at in np.argsort(along, kind="stable")]


def geometry(folder: Path, slices: list[Slice]) -> np.ndarray:
    """4x4 `ijk_to_ras`; the step between slices is taken over the whole stack."""
    orientation = numbers(slices[0], "ImageOrientationPatient", 6)
    rows, columns = numbers(slices[0], "PixelSpacing", 2)
    positions = np.array([numbers(item, "ImagePositionPatient", 3) for item in slices])
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1] = orientation[:3] * columns, orientation[3:] * rows
    normal = np.cross(orientation[:3], orientation[3:])
    if len(slices) > 1:
        check_steps(folder, positions, normal)
        lps[:3, 2] = (positions[-1] - positions[0]) / (len(slices) - 1)
    else:
        thickness = number_of(slices[0], "SliceThickness", 0.0)
        lps[:3, 2] = normal * (thickness if thickness > 0 else 1.0)
    lps[:3, 3] = positions[0]
    return RAS_TO_LPS @ lps


def number_of(item: Slice, name: str, absent: float) -> float:
    """A single number of a tag; `absent` when it is not there or is none."""
    try:
        found = item.header.get(name)
        return absent if found in (None, "") else float(found)
    except (TypeError, ValueError):
        return absent


def require_number(folder: Path, item: Slice, name: str) -> None:
    """Raises InputError when a tag holds text that is no number: ITK would read 0 or 1 in its place."""
    if np.isnan(number_of(item, name, 1.0)) or number_of(item, name, 0.0) != number_of(item, name, 1.0):
        if item.header.get(name) in (None, ""):
            return
        raise InputError(f"{folder.name}: {item.path.name} states a {name} that is no number")


def check_steps(folder: Path, positions: np.ndarray, normal: np.ndarray) -> None:
    """Refuses slices that repeat, are missing, are unequally spaced, or are shifted by a gantry tilt."""
    steps = np.diff(positions, axis=0)
    along = steps @ normal
    mean = float(np.mean(along))
    if along.min() < 1e-4:
        raise GeometryError(f"{folder.name}: two slices lie at the same place; wanted each position once")
    if float(np.abs(along - mean).max()) > SPACING_TOLERANCE * mean:
        low, high = float(along.min()), float(along.max())
        raise GeometryError(
            f"{folder.name}: slice distances range from {low:.3f} to {high:.3f} mm (a slice missing?); wanted equal ones"
        )
    sideways = float(np.linalg.norm(steps - np.outer(along, normal), axis=1).max())
    if sideways > SPACING_TOLERANCE * mean:
        raise GeometryError(f"{folder.name}: slices shift by {sideways:.2f} mm sideways each (gantry tilt); wanted none")


def pixels(folder: Path, slices: list[Slice]) -> np.ndarray:
    """Rescaled voxels `[k, j, i]`; the widest type that any slice needs."""
    planes = []
    for item in slices:
        try:
            image = sitk.ReadImage(str(item.path), imageIO="GDCMImageIO")
        except RuntimeError as error:
            raise InputError(
                f"{folder.name}: {item.path.name} cannot be decoded; it is truncated, damaged, or in another format"
            ) from error
        plane = sitk.GetArrayFromImage(image)
        planes.append(plane[0] if plane.ndim == 3 else plane)
    return np.stack(planes)


def units_of(header, modality: str) -> tuple[str, tuple[str, ...]]:
    """Units that the header vouches for, and what is doubtful about them.

    Rescale types are those of PS3.3 C.11.1.1.2. A CT that states a rescale but no type is taken for HU, which is our own
    choice; another type, or no rescale at all, is not.
    """
    if modality != "CT":
        return "", ()
    stated = str(header.get("RescaleType") or "HU")
    if header.get("RescaleSlope") is None or header.get("RescaleIntercept") is None:
        return "", ("the series states no rescale slope and intercept: its values may not be Hounsfield units",)
    if stated.upper() != "HU":
        return stated, (f"the series states its values as {stated!r}, not as Hounsfield units",)
    return "HU", ()

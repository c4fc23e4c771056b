"""One DICOM image series from a folder, read by GDCM through SimpleITK (JPEG, JPEG 2000, RLE included).

Only the plain case: one series of single-frame slices, equally spaced, without gantry tilt. Anything else is
refused with the reason; it is never guessed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from OncoLib.errors import GeometryError, InputError
from OncoLib.image import Image
from OncoLib.image_convert import from_sitk

MODALITY, RESCALE_TYPE, FRAMES = "0008|0060", "0028|1054", "0028|0008"
STUDY_UID, SERIES_UID, FRAME_OF_REFERENCE_UID = "0020|000d", "0020|000e", "0020|0052"
POSITION, ORIENTATION, SAMPLES = "0020|0032", "0020|0037", "0028|0002"
UIDS = (STUDY_UID, SERIES_UID, FRAME_OF_REFERENCE_UID)

SPACING_TOLERANCE = 0.01
"""Slice distances may differ by 1 % of their mean: rounding in the header, not a missing slice."""


def series_files(folder: Path) -> dict[str, list[Path]]:
    """Image files of each series in a folder (not in its subfolders), by series UID, in slice order."""
    uids = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    return {uid: [Path(name) for name in sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)] for uid in uids}


def read_series(folder: Path | str, *, series: str = "") -> Image:
    """The image of one series; HU for CT.

    series: UID to choose when the folder holds several. Raises InputError or GeometryError naming the folder.
    """
    folder = Path(folder)
    found = series_files(folder)
    files = chosen_series(folder, found, series)
    headers = [read_header(path) for path in files]
    check_headers(folder, headers)
    try:
        image = sitk.ReadImage([str(path) for path in files])
    except RuntimeError as error:
        raise InputError(f"{folder.name}: a slice cannot be decoded; it is truncated, damaged, or in another format") from error
    modality = value(headers[0], MODALITY)
    units = "HU" if modality == "CT" else ""
    uids = tuple(value(headers[0], tag) for tag in UIDS)
    try:
        return from_sitk(with_direction(image, headers), modality=modality, units=units, name=folder.name, source_uids=uids)
    except InputError as error:
        raise type(error)(f"{folder.name}: {error}") from error


def chosen_series(folder: Path, found: dict[str, list[Path]], wanted: str) -> list[Path]:
    """The files to read; refuses a folder without images, and a choice that nobody made."""
    if not found:
        raise InputError(f"{folder.name}: no DICOM images in this folder; wanted one series of slices")
    if wanted:
        if wanted not in found:
            raise InputError(f"{folder.name}: no series with that UID; the folder holds {len(found)} series")
        return found[wanted]
    if len(found) > 1:
        sizes = ", ".join(f"{uid} ({len(files)} files)" for uid, files in found.items())
        raise InputError(f"{folder.name}: the folder holds {len(found)} series; choose one with --series: {sizes}")
    return next(iter(found.values()))


def read_header(path: Path) -> sitk.ImageFileReader:
    """The header of one file."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(f"{path.name}: cannot be read as DICOM; it is truncated or damaged") from error
    return reader


def value(header: sitk.ImageFileReader, tag: str) -> str:
    """Text of a tag, "" when it is not there."""
    return header.GetMetaData(tag).strip("\0 ") if header.HasMetaDataKey(tag) else ""


def numbers(header: sitk.ImageFileReader, tag: str) -> np.ndarray:
    """Numbers of a multi-valued tag; empty when absent or malformed."""
    try:
        return np.array([float(part) for part in value(header, tag).split("\\")])
    except ValueError:
        return np.array([])


def check_headers(folder: Path, headers: list[sitk.ImageFileReader]) -> None:
    """Refuses what the simple reader would get wrong."""
    if any(value(header, FRAMES) not in ("", "1") for header in headers):
        raise InputError(f"{folder.name}: this is a multi-frame DICOM file, which is not read yet; wanted one slice a file")
    if value(headers[0], SAMPLES) not in ("", "1"):
        raise InputError(f"{folder.name}: these are color images; wanted one scalar value a voxel")
    orientations = [numbers(header, ORIENTATION) for header in headers]
    positions = [numbers(header, POSITION) for header in headers]
    if any(item.size != 6 for item in orientations) or any(item.size != 3 for item in positions):
        raise GeometryError(f"{folder.name}: a slice states no position and orientation in the patient")
    if max(np.abs(item - orientations[0]).max() for item in orientations) > 1e-3:
        raise GeometryError(f"{folder.name}: the slices are not parallel; wanted one orientation")
    if len(headers) > 1:
        check_steps(folder, np.array(positions), orientations[0])


def check_steps(folder: Path, positions: np.ndarray, orientation: np.ndarray) -> None:
    """Refuses slices that repeat, are missing, are unequally spaced, or are shifted by a gantry tilt."""
    normal = np.cross(orientation[:3], orientation[3:])
    steps = np.diff(positions, axis=0)
    along = steps @ normal
    mean = float(np.mean(along))
    if abs(mean) < 1e-6 or np.abs(along).min() < 1e-4:
        raise GeometryError(f"{folder.name}: two slices lie at the same place; wanted each position once")
    worst = float(np.abs(along - mean).max())
    if worst > SPACING_TOLERANCE * abs(mean):
        low, high = float(np.abs(along).min()), float(np.abs(along).max())
        raise GeometryError(
            f"{folder.name}: slice distances range from {low:.3f} to {high:.3f} mm (a slice missing?); wanted equal ones"
        )
    sideways = float(np.linalg.norm(steps - np.outer(along, normal), axis=1).max())
    if sideways > SPACING_TOLERANCE * abs(mean):
        raise GeometryError(f"{folder.name}: slices shift by {sideways:.2f} mm sideways each (gantry tilt); wanted none")


def with_direction(image: sitk.Image, headers: list[sitk.ImageFileReader]) -> sitk.Image:
    """Sets spacing and direction of the slice axis from the first and last position, exact over the whole volume."""
    if len(headers) < 2:
        return image
    first, last = numbers(headers[0], POSITION), numbers(headers[-1], POSITION)
    orientation = numbers(headers[0], ORIENTATION)
    step = (last - first) / (len(headers) - 1)
    distance = float(np.linalg.norm(step))
    image.SetOrigin(first.tolist())
    image.SetSpacing((*image.GetSpacing()[:2], distance))
    columns = np.column_stack([orientation[:3], orientation[3:], step / distance])
    image.SetDirection(columns.ravel().tolist())
    return image

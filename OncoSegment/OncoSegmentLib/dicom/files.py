"""Which files of a folder are DICOM images, with their headers; what is damaged is refused, what is left out is told."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from OncoLib.errors import InputError

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
"""A file that calls itself DICOM and cannot be read is damaged, not something else."""


LOOKED_AT = (
    *("Modality", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "FrameOfReferenceUID"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("RescaleType", "RescaleSlope", "RescaleIntercept"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"),
)
"""The tags that decide how a slice is read."""


@dataclass(frozen=True, eq=False)
class Slice:
    """One image file and its header (a pydicom data set without pixels)."""

    path: Path
    header: object

    @property
    def series(self) -> str:
        """Series instance UID; "" where an anonymizer emptied it."""
        return str(self.header.get("SeriesInstanceUID", ""))


@contextlib.contextmanager
def no_tag_warnings() -> Iterator[None]:
    """pydicom warns of values that break a rule of the standard when they are looked at; what matters is checked here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@no_tag_warnings()
def image_files(folder: Path) -> tuple[list[Slice], tuple[str, ...]]:
    """Image files of a folder in the order of their names, and a note on files that were left out.

    Raises InputError for a file that must be a DICOM image but is damaged.
    """
    slices, left_out = [], 0
    for path in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
        header = read_header(folder, path)
        if header is not None and is_image(folder, path, header):
            slices.append(Slice(path, header))
        elif header is not None or path.suffix.lower() not in (".txt", ".md", ".json", ".csv", ".pdf", ".xml"):
            left_out += 1
    if not left_out or not slices:
        return slices, ()
    return slices, (f"{left_out} files of the folder are no DICOM images and were left out",)


def read_header(folder: Path, path: Path):
    """Header of one file, None when it is no DICOM file at all."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    damaged = f"{folder.name}: {path.name} cannot be read as DICOM; it is empty, truncated or damaged"
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        for name in LOOKED_AT:  # pydicom reads a tag when it is first looked at: what is damaged shows here
            header.get(name)
        return header
    except InvalidDicomError as error:
        if path.suffix.lower() in DICOM_SUFFIXES:
            raise InputError(damaged) from error
        return None
    except OSError as error:
        raise InputError(damaged) from error
    except Exception as error:  # pydicom raises many kinds on damaged headers
        raise InputError(damaged) from error


def is_image(folder: Path, path: Path, header) -> bool:
    """True for an image; False for another DICOM object (report, presentation state, DICOMDIR).

    Raises InputError for a file whose class is an image's but whose image is not there.
    """
    if header.get("Rows") and header.get("Columns"):
        return True
    meta = getattr(header, "file_meta", None)
    kind = getattr(header.get("SOPClassUID") or (meta.get("MediaStorageSOPClassUID") if meta else ""), "name", "")
    if "Image Storage" in str(kind):
        raise InputError(f"{folder.name}: {path.name} holds no image; it is truncated or damaged")
    return False

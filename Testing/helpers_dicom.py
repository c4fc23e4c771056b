"""Writes small DICOM series with pydicom, whose every tag a test may change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
AXIAL = (1, 0, 0, 0, 1, 0)
NAME, IDENTITY = "DOE^JOHN", "PID-4711"


def stored_values(count: int = 6, rows: int = 12, columns: int = 10) -> np.ndarray:
    """Unsigned stored values `[slice, row, column]`: a tissue block with a bone core, at HU + 1024."""
    hu = np.full((count, rows, columns), -1000)
    hu[:, 2:-2, 2:-2] = 50
    hu[:, 4:-4, 4:-4] = 600 + np.arange(count)[:, None, None]
    return (hu + 1024).astype(np.uint16)


def write_series(
    folder: Path, values: np.ndarray | None = None, *, edit: Callable | None = None, positions=None, orientation=AXIAL
) -> Path:
    """Writes one CT series, one file a slice, 0.8 mm between rows, 0.9 mm between columns, 3 mm between slices.

    edit: called with (slice number, data set) before each file is written. positions: LPS of each first voxel.
    The patient's name and id are `NAME` and `IDENTITY`.
    """
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    values = stored_values() if values is None else values
    folder.mkdir(parents=True, exist_ok=True)
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    if positions is None:
        normal = np.cross(orientation[:3], orientation[3:])
        positions = [np.array((-10.0, -20.0, 30.0)) + 3.0 * number * normal for number in range(len(values))]
    for number, plane in enumerate(values):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CT_STORAGE, generate_uid()
        data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = CT_STORAGE, meta.MediaStorageSOPInstanceUID
        data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = study, series, frame
        data.Modality, data.InstanceNumber, data.ImageType = "CT", number + 1, ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.PatientName, data.PatientID, data.PatientBirthDate = NAME, IDENTITY, "19500101"
        data.StudyDate, data.StudyTime, data.PatientSex = "20260102", "030405", "O"
        data.Rows, data.Columns = plane.shape
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated = data.BitsStored = plane.dtype.itemsize * 8
        data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(plane.dtype.kind == "i")
        data.PixelSpacing, data.SliceThickness = [0.8, 0.9], 3
        data.ImageOrientationPatient, data.ImagePositionPatient = list(orientation), [float(x) for x in positions[number]]
        data.RescaleSlope, data.RescaleIntercept, data.RescaleType = 1, -1024, "HU"
        data.PixelData = plane.tobytes()
        if edit:
            edit(number, data)
        data.save_as(folder / f"{number:03d}.dcm", enforce_file_format=True)
    return folder

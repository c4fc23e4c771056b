"""Writes a scan of the reference patient as a DICOM CT or MR series, one file a slice, explicit VR little endian.

Attributes are those of the CT Image and MR Image IODs of PS3.3; `dciodvfy` (dicom3tools) finds nothing to say about
them. Nothing is taken from a clock or a random source: all UIDs come from a seed under the 2.25 root (PS3.5 B.2), so a
series is the same bytes each time it is written. The patient is named as synthetic in every file.
"""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np

from OncoLib import __version__
from OncoLib.errors import InputError
from OncoLib.image import RAS_TO_LPS, Image, spacing_of
from OncoLib.phantom.patient import PATIENT_ID

CT_STORAGE, MR_STORAGE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
"""SOP classes CT Image Storage and MR Image Storage, as pydicom.uid lists them."""

CT_INTERCEPT = -1024
"""Stored values of CT are unsigned, HU + 1024."""

RIGHT_HAND_TOLERANCE = 1e-6
"""Distance of the determinant of the grid's directions from 1 that still counts as rounding."""


def seeded_uid(*parts: object) -> str:
    """A UID under 2.25: the number of the name-based UUID (uuid5) of the parts."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, '/'.join(str(part) for part in parts)).int}"


def write_series(folder: Path, image: Image, facts: dict, *, seed: int = 0, number: int = 1, sequence: str = "") -> list[str]:
    """Writes `image` into `folder` as IM0001.dcm and on; returns the file names.

    facts: of the scan (date, slice thickness). seed: of the UIDs. number: of the series in its study. sequence: T1, T1c,
    T2 or FLAIR for MR. All series of one date share study and frame of reference. Raises InputError for another
    modality, for values that do not fit 16 bits, and for a left-handed grid.
    """
    check(image)
    folder.mkdir(parents=True, exist_ok=True)
    make = ct_attributes if image.modality == "CT" else mr_attributes
    names = []
    for at in range(len(image.voxels)):
        data = common(image, facts, at, seed, number, sequence)
        make(data, sequence)
        pixels(data, image.voxels[at], image.modality)
        names.append(f"IM{at + 1:04d}.dcm")
        data.save_as(folder / names[-1], enforce_file_format=True)
    return names


def check(image: Image) -> None:
    """Raises InputError for what cannot be written."""
    if image.modality not in ("CT", "MR"):
        raise InputError(f"modality {image.modality!r} cannot be written as DICOM here; wanted CT or MR")
    low, high = (-1024, 64511) if image.modality == "CT" else (0, 65535)
    if image.voxels.dtype.kind not in "iu" or image.voxels.min() < low or image.voxels.max() > high:
        raise InputError(f"the values of this {image.modality} are not whole numbers from {low} to {high}")
    turn = image.ijk_to_ras[:3, :3] / spacing_of(image.ijk_to_ras)
    if abs(np.linalg.det(turn) - 1) > RIGHT_HAND_TOLERANCE:
        raise InputError("the grid is left-handed, so its slices run against their order in DICOM; wanted a right-handed grid")


def decimals(values) -> list[str]:
    """Decimal strings of at most 16 characters (PS3.5 6.2), as precise as they allow."""
    from pydicom.valuerep import format_number_as_ds

    return [format_number_as_ds(float(value)) for value in values]


def common(image: Image, facts: dict, at: int, seed: int, number: int, sequence: str):
    """Patient, study, series, frame of reference, equipment, image plane and SOP common modules."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    date = facts["date"]
    storage = CT_STORAGE if image.modality == "CT" else MR_STORAGE
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, storage
    meta.MediaStorageSOPInstanceUID = seeded_uid(PATIENT_ID, seed, date, image.modality, number, "image", at)
    meta.ImplementationClassUID, meta.ImplementationVersionName = seeded_uid("OncoSegment", "phantom"), "ONCOSEGMENT"
    data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = storage, meta.MediaStorageSOPInstanceUID
    data.PatientName, data.PatientID, data.PatientBirthDate, data.PatientSex = "Reference^Patient", PATIENT_ID, "", ""
    data.PatientIdentityRemoved, data.DeidentificationMethod = "YES", "Synthetic: made by a program"
    data.StudyInstanceUID = seeded_uid(PATIENT_ID, seed, date, image.modality, "study")
    data.StudyDate = data.SeriesDate = data.AcquisitionDate = data.ContentDate = date
    data.StudyTime = data.SeriesTime = data.AcquisitionTime = data.ContentTime = "090000"
    data.StudyID, data.AccessionNumber, data.ReferringPhysicianName = "1", "", ""
    data.StudyDescription = "Digital reference patient, no person"
    data.Modality, data.SeriesNumber = image.modality, number
    data.SeriesInstanceUID = seeded_uid(PATIENT_ID, seed, date, image.modality, number, "series")
    data.SeriesDescription = f"Reference patient {sequence or image.modality}"
    data.FrameOfReferenceUID = seeded_uid(PATIENT_ID, seed, date, image.modality, "frame of reference")
    data.PositionReferenceIndicator, data.PatientPosition = "", "HFS"
    data.Manufacturer, data.ManufacturerModelName, data.SoftwareVersions = "OncoSegment", "Digital phantom", __version__
    data.ImageType = ["DERIVED", "PRIMARY", "AXIAL" if image.modality == "CT" else "OTHER"]
    data.DerivationDescription = "Drawn from analytic shapes; no patient"
    data.InstanceNumber, data.AcquisitionNumber = at + 1, 1
    place(data, image, facts, at)
    return data


def place(data, image: Image, facts: dict, at: int) -> None:
    """Image plane module, in LPS."""
    lps = RAS_TO_LPS @ image.ijk_to_ras
    i, j, k = spacing_of(lps)
    turn = lps[:3, :3] / (i, j, k)
    data.PixelSpacing, data.SliceThickness = decimals((j, i)), decimals((facts["slice_thickness_mm"],))[0]
    data.ImageOrientationPatient = decimals([*turn[:, 0], *turn[:, 1]])
    data.ImagePositionPatient = decimals((lps @ (0, 0, at, 1))[:3])
    if data.Modality == "MR":
        data.SpacingBetweenSlices = decimals((k,))[0]


def pixels(data, plane: np.ndarray, modality: str) -> None:
    """Image pixel module: 16 bits unsigned."""
    data.Rows, data.Columns = plane.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 0
    offset = CT_INTERCEPT if modality == "CT" else 0
    data.PixelData = (plane.astype(np.int32) - offset).astype("<u2").tobytes()


def ct_attributes(data, sequence: str) -> None:
    """CT image module."""
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = CT_INTERCEPT, 1, "HU"
    data.KVP, data.WindowCenter, data.WindowWidth = "120", "40", "400"
    data.BodyPartExamined = "CHESTABDPELVIS"


MR_TIMES = {
    # repetition, echo and inversion time in ms: usual orders of magnitude, our own choice
    "T1": (600, 12, None),
    "T1c": (600, 12, None),
    "T2": (4500, 100, None),
    "FLAIR": (9000, 120, 2500),
}


def mr_attributes(data, sequence: str) -> None:
    """MR image module; inversion recovery for FLAIR, spin echo for the others."""
    repetition, echo, inversion = MR_TIMES.get(sequence, MR_TIMES["T1"])
    data.ScanningSequence = ["SE", "IR"] if inversion else "SE"
    data.SequenceVariant, data.ScanOptions, data.MRAcquisitionType = "NONE", "", "2D"
    data.RepetitionTime, data.EchoTime, data.EchoTrainLength = repetition, echo, 1
    if inversion:
        data.InversionTime = inversion
    if sequence == "T1c":
        data.ContrastBolusAgent = "Gadolinium (simulated)"
    data.MagneticFieldStrength, data.BodyPartExamined = "3", "BRAIN"
    data.WindowCenter, data.WindowWidth = "450", "900"

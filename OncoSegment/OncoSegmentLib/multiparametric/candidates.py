"""The images of a case's folder: files, and DICOM series in it and in its subfolders, each with what it may be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from OncoLib.errors import InputError
from OncoLib.image_files import suffix_of
from OncoSegmentLib.dicom.files import image_files, no_tag_warnings, read_header
from OncoSegmentLib.inputs import is_folder
from OncoSegmentLib.multiparametric.dicom_tags import guess_of_header, text_of
from OncoSegmentLib.multiparametric.names import Guess, guess

DEEPEST = 2
"""Folders below the case's that are looked into: case/study/series is common, more is another patient's archive."""

MOST_FOLDERS = 200
MODALITIES = {"CT": "ct", "PT": "pt", "SEG": "mask", "RTDOSE": "dose"}


@dataclass(frozen=True, eq=False)
class Candidate:
    """One image that may be a channel.

    label: for messages to the user, such as a file name or "series 5 'AX T1 POST'"; it may name a patient, so it stays out of
    notes and provenance. text: where words of a model's card are looked for. key: how it is opened: (path, series UID) of a
    file or series, or what its maker puts there. source: what `found` was read from. number: of the series. patient: the
    header's patient ID, only to compare.
    """

    label: str
    found: Guess
    text: str
    key: object = None
    source: str = "file name"
    number: str = ""
    patient: str = ""


def candidates_in(folder: Path) -> list[Candidate]:
    """All images of the folder. InputError for a damaged DICOM file, or when there is none at all."""
    found = [file_candidate(path) for path in sorted(folder.iterdir()) if is_image_file(path)]
    for one in folders_of(folder):
        found += series_candidates(one)
    if not found:
        raise InputError(f"{folder.name}: neither image files nor DICOM series are in this folder")
    return found


def is_image_file(path: Path) -> bool:
    """True for an image file; not for what a system hides beside it."""
    return not path.name.startswith(".") and bool(suffix_of(path)) and path.is_file()


def file_candidate(path: Path) -> Candidate:
    """A file, by its name alone."""
    return Candidate(path.name, guess(path.name), path.name, (path, ""))


def folders_of(folder: Path) -> list[Path]:
    """The folder and those below, not too deep; InputError when there are far more than one patient's study has."""
    found, level = [folder], [folder]
    for _ in range(DEEPEST):
        level = [one for above in level for one in sorted(above.iterdir()) if one.is_dir() and not one.name.startswith(".")]
        found += level
        if len(found) > MOST_FOLDERS:
            raise InputError(f"{folder.name}: it holds over {MOST_FOLDERS} folders; wanted the folder of one study")
    return found


@no_tag_warnings()
def series_candidates(folder: Path) -> list[Candidate]:
    """The DICOM series of one folder."""
    firsts: dict[str, object] = {}
    for item in image_files(folder)[0]:
        firsts.setdefault(item.series, item.header)
    return [series_candidate(folder, uid, header) for uid, header in firsts.items()]


@no_tag_warnings()
def patient_in(path: Path) -> str:
    """The patient ID in the first DICOM image of a folder, only to compare; "" for other files and for what has none."""
    if not (path.name and is_folder(path)):
        return ""
    for one in sorted(path.iterdir()):
        header = read_header(path, one) if one.is_file() and not one.name.startswith(".") else None
        if header is not None and header.get("PatientID"):
            return text_of(header, "PatientID")
    return ""


def require_one_patient(patients: Iterable[str]) -> None:
    """InputError when headers name several patients; their names and numbers are not told. "" is nobody known."""
    if len({one for one in patients if one}) > 1:
        raise InputError("the series taken for the channels are of different patients by their headers; wanted one patient's")


def series_candidate(folder: Path, uid: str, header) -> Candidate:
    """A series, by its description, times and contrast agent."""
    modality, number = text_of(header, "Modality"), text_of(header, "SeriesNumber")
    description = text_of(header, "SeriesDescription") or text_of(header, "ProtocolName")
    other = MODALITIES.get(modality)
    found = Guess(frozenset({other}), "its modality") if other else guess_of_header(header)
    label = f"series {number or uid} {description!r}" if description else f"series {number or uid}"
    return Candidate(label, found, description, (folder, uid), "DICOM header", number, text_of(header, "PatientID"))

"""`Timepoint`: what was scanned of a patient at one date; from 1 to n of them, in order, the first one the baseline.

Who the patient is never enters: DICOM's patient ID is turned into a key with a salt that lives as long as one comparison, so
that two dates can be compared and nobody can be found again.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date as calendar
from datetime import time as clock
from pathlib import Path

from OncoLib.errors import InputError
from OncoLib.image import Image, require_same_grid
from OncoLib.segmentation import Segmentation

FROM_DICOM = "dicom"
"""In place of a date: the one that DICOM states."""
DATES = ("AcquisitionDate", "SeriesDate", "StudyDate")
TIMES = ("AcquisitionTime", "SeriesTime", "StudyTime")
"""In this order: the acquisition's own first."""


@dataclass(frozen=True, eq=False)
class Timepoint:
    """One date. images: by the channel's name, the first one is registered. segmentation: on the first one's grid, or None.

    date: YYYY-MM-DD. time: HH:MM:SS or "". frame_of_reference_uid: DICOM's, an identifier: never printed or logged.
    patient_key: equal for equal patients within one comparison, "" when the files do not say. sha256: of the files, by channel.
    notes: what a reader should know. segmented_by: "given", or the model. organs: a further segmentation that knows the organs.
    experts: what several experts segmented on their own, by their names. searched: lesions were looked for in all of the scan;
    else a lesion that is not in the segmentation may be there all the same.
    Raises InputError for a date without image, GeometryError for a segmentation elsewhere.
    """

    images: Mapping[str, Image]
    date: str
    time: str = ""
    segmentation: Segmentation | None = None
    frame_of_reference_uid: str = field(default="", repr=False)
    patient_key: str = field(default="", repr=False)
    sha256: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    segmented_by: str = "given"
    organs: Segmentation | None = None
    experts: Mapping[str, Segmentation] = field(default_factory=dict)
    searched: bool = True

    def __post_init__(self) -> None:
        if not self.images:
            raise InputError(f"there is no image at {self.date}; wanted one at least")
        told = {"the segmentation": self.segmentation, "the segmentation of the organs": self.organs}
        for what, one in {**told, **{f"the segmentation by {name}": one for name, one in self.experts.items()}}.items():
            if one is not None:
                image = self.image.ijk_to_ras, self.image.shape_kji
                require_same_grid(*image, one.ijk_to_ras, one.shape_kji, f"{what} of {self.when}")

    @property
    def image(self) -> Image:
        """The first channel."""
        return next(iter(self.images.values()))

    @property
    def when(self) -> str:
        """Date, and time where there is one, for sentences."""
        return when_of(self.date, self.time)

    @property
    def stem(self) -> str:
        """The same for names of files."""
        return stem_of(self.date, self.time)

    def as_dict(self) -> dict:
        """For files: no identifiers."""
        channels = [
            {"name": name, "modality": image.modality, "files_sha256": self.sha256.get(name, "")}
            for name, image in self.images.items()
        ]
        return {"date": self.date, "time": self.time, "channels": channels, "segmentation": self.segmentation is not None,
                "notes": list(self.notes)}  # fmt: skip


def when_of(date: str, time: str) -> str:
    """Date, and time where there is one, for sentences; it names a date in readings too."""
    return f"{date} {time}".rstrip()


def stem_of(date: str, time: str) -> str:
    """The same for names of files."""
    return f"{date}{'T' + time.replace(':', '') if time else ''}"


def day_and_time(text: str) -> tuple[str, str]:
    """YYYY-MM-DD and HH:MM:SS (or "") of "2026-03-02", "20260302", "2026-03-02T14:30" or with seconds; InputError otherwise."""
    match = re.fullmatch(r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d):?(\d\d)(?::?(\d\d))?)?", text.strip())
    try:
        if match is None:
            raise ValueError(text)
        day = calendar(*map(int, match.groups()[:3])).isoformat()
        return day, clock(*(int(part or 0) for part in match.groups()[3:])).isoformat() if match[4] else ""
    except ValueError as error:
        raise InputError(f"{text[:40]!r} is no date; wanted YYYY-MM-DD, with THH:MM where a date comes twice") from error


def ordered(timepoints: Sequence[Timepoint]) -> tuple[Timepoint, ...]:
    """By date and time, the baseline first. InputError for none, and for one date twice without two different times."""
    if not timepoints:
        raise InputError("there is no timepoint; wanted one at least")
    for one in timepoints:
        twins = [other for other in timepoints if other.date == one.date]
        if len(twins) > 1 and (any(not other.time for other in twins) or len({other.time for other in twins}) < len(twins)):
            raise InputError(f"{one.date} is there {len(twins)} times; give each its time, as in {one.date}T14:30")
    return tuple(sorted(timepoints, key=lambda one: (one.date, one.time)))


def check_patient(timepoints: Sequence[Timepoint], *, same_patient: bool = False) -> tuple[str, ...]:
    """Notes on what is not known of whose scans these are.

    InputError when DICOM names different patients, unless `same_patient` confirms that they are one.
    """
    keys = {one.patient_key for one in timepoints if one.patient_key}
    if len(keys) > 1 and not same_patient:
        dates = " and ".join(one.when for one in timepoints if one.patient_key)
        raise InputError(f"DICOM names different patients at {dates}; when they are one, confirm it with --same-patient")
    if len(keys) > 1:
        return ("DICOM names different patients; that they are one was confirmed by hand",)
    unknown = [one.when for one in timepoints if not one.patient_key]
    return (f"the files of {', '.join(unknown)} do not say whose scans they are",) if unknown and len(timepoints) > 1 else ()


def nadir(sums: Sequence[float]) -> int:
    """Position of the smallest sum of measures up to now, the baseline's included; the first of equal ones (RECIST 1.1)."""
    if not sums:
        raise InputError("there is no measure; wanted one at least")
    return min(range(len(sums)), key=lambda at: (sums[at], at))


def new_salt() -> bytes:
    """For the patient keys of one comparison; kept nowhere."""
    return secrets.token_bytes(32)


def patient_key(patient_id: str, salt: bytes) -> str:
    """A key that equals another of the same salt when the patient IDs do; "" for none."""
    identity = patient_id.strip().casefold()
    return hashlib.blake2b(identity.encode(), key=salt, digest_size=16).hexdigest() if identity else ""


@dataclass(frozen=True)
class Named:
    """A timepoint as a user names it: paths, not yet read. date: a date, or `FROM_DICOM`. channels: path by name, in order."""

    date: str
    channels: Mapping[str, Path]
    segmentation: Path | None = None


def read_timepoint(named: Named, salt: bytes, *, modality: str = "", units: str = "", segmentation=None) -> Timepoint:
    """Opens what a user named. segmentation: already read, or None. InputError or GeometryError with one sentence."""
    from OncoLib.same_voxels import on_grid_of
    from OncoSegmentLib.inputs import open_image

    opened = {name: open_image(path, modality=modality, units=units) for name, path in named.channels.items()}
    first, path = next(iter(opened.values())), next(iter(named.channels.values()))
    stated = dicom_facts(path, salt) if first.kind == "DICOM" else {}
    day, hour, notes = date_of(named.date, stated, first.name)
    images = {name: one.image for name, one in opened.items()}
    if segmentation is not None:
        segmentation = on_grid_of(segmentation, first.image)
    return Timepoint(
        images, day, hour, segmentation, stated.get("frame", ""), stated.get("patient", ""),
        {name: one.sha256 for name, one in opened.items()}, (*first.image.notes, *notes),
    )  # fmt: skip


def date_of(asked: str, stated: Mapping[str, str], name: str) -> tuple[str, str, tuple[str, ...]]:
    """Date, time, and a note where DICOM states another date than was asked for; InputError for no date at all."""
    own = stated.get("date", "")
    if asked.lower() == FROM_DICOM:
        if not own:
            raise InputError(f"{name}: no acquisition date is stated there; give the date itself")
        return *day_and_time(own), ()
    day, hour = day_and_time(asked)
    other = own and day_and_time(own)[0] != day
    return day, hour, (f"DICOM states another date than {day}; the one that was given is used",) if other else ()


def dicom_facts(folder: Path, salt: bytes) -> dict[str, str]:
    """Date with time, frame of reference and patient key of a DICOM folder, each "" where it is not stated."""
    from OncoSegmentLib.dicom.files import image_files, no_tag_warnings

    with no_tag_warnings():
        header = image_files(Path(folder))[0][0].header

        def first(names) -> str:
            return next((str(header.get(name)) for name in names if header.get(name)), "")

        day, hour = first(DATES), re.match(r"\d{6}|\d{4}", first(TIMES))
        stated = f"{day}T{hour[0]}" if day and hour else day
        try:
            stated = stated and "T".join(filter(None, day_and_time(stated)))
        except InputError:  # an anonymizer's "UNKNOWN" is no date
            stated = ""
        frame, patient = str(header.get("FrameOfReferenceUID", "")), str(header.get("PatientID", ""))
    return {"date": stated, "frame": frame, "patient": patient_key(patient, salt)}

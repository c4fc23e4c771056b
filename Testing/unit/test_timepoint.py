"""Dates in order, whose they are, what DICOM says of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import RADIOLOGICAL, segment, segmentation
from LongitudinalCompareLib.timepoint import (
    Named,
    Timepoint,
    check_patient,
    date_of,
    day_and_time,
    nadir,
    new_salt,
    ordered,
    patient_key,
    read_timepoint,
)
from OncoLib.errors import GeometryError, InputError
from OncoLib.image import Image
from OncoLib.image_files import write_image
from OncoLib.phantom.dicom_series import write_series

IMAGE = Image(np.zeros((4, 5, 6), np.int16), RADIOLOGICAL, "CT", "HU")


def at(day, hour="", **facts) -> Timepoint:
    return Timepoint({"image": IMAGE}, day, hour, **facts)


@given(st.dates(), st.times())
def test_dates_as_people_and_dicom_write_them(day, hour):
    wanted = day.isoformat(), hour.replace(microsecond=0).isoformat()
    assert day_and_time(f"{day:%Y-%m-%d}".rjust(10, "0")) == (wanted[0], "")
    assert day_and_time(f"{wanted[0]}T{wanted[1]}") == wanted
    assert day_and_time((wanted[0] + "T" + wanted[1]).replace("-", "").replace(":", "")) == wanted


@pytest.mark.parametrize("text", ["", "2026-02-30", "2. 3. 2026", "2026-03-02T25:00", "20260302T"])
def test_what_is_no_date_is_refused(text):
    with pytest.raises(InputError, match="is no date"):
        day_and_time(text)


def test_the_first_date_is_the_baseline():
    found = ordered([at("2026-03-02"), at("2026-01-05", "14:00:00"), at("2026-01-05", "09:30:00")])
    assert [one.when for one in found] == ["2026-01-05 09:30:00", "2026-01-05 14:00:00", "2026-03-02"]
    assert found[0].stem == "2026-01-05T093000"
    for twice in ([at("2026-03-02")] * 2, [at("2026-03-02"), at("2026-03-02", "09:00:00")], [at("2026-03-02", "09:00:00")] * 2):
        with pytest.raises(InputError, match="2026-03-02 is there 2 times; give each its time"):
            ordered(twice)
    with pytest.raises(InputError, match="no timepoint"):
        ordered([])


def test_another_patient_must_be_confirmed():
    salt = new_salt()
    one, other = (patient_key(name, salt) for name in ("A-1", "B-2"))
    assert one == patient_key(" a-1 ", salt) != other and patient_key("", salt) == "" and patient_key("A-1", new_salt()) != one
    same = [at("2026-01-05", patient_key=one), at("2026-03-02", patient_key=one)]
    assert check_patient(same) == ()
    mixed = [same[0], at("2026-03-02", patient_key=other)]
    with pytest.raises(InputError, match="different patients at 2026-01-05 and 2026-03-02; .* --same-patient"):
        check_patient(mixed)
    assert "confirmed by hand" in check_patient(mixed, same_patient=True)[0]
    assert check_patient([same[0], at("2026-03-02")]) == ("the files of 2026-03-02 do not say whose scans they are",)
    assert one not in repr(same[0]) and one not in str(same[0].as_dict())


def test_the_nadir_is_the_smallest_sum_so_far():
    assert nadir([50, 30, 30, 45]) == 1 and nadir([10]) == 0
    with pytest.raises(InputError):
        nadir([])


def test_a_segmentation_must_lie_on_the_first_image():
    labels = np.zeros((4, 5, 6), np.uint8)
    labels[1, 1, 1] = 1
    assert at("2026-01-05", segmentation=segmentation([labels], RADIOLOGICAL, [segment(1)])).segmentation is not None
    moved = RADIOLOGICAL.copy()
    moved[0, 3] += 5
    with pytest.raises(GeometryError, match="the segmentation of 2026-01-05 lies 5.00 mm off"):
        at("2026-01-05", segmentation=segmentation([labels], moved, [segment(1)]))
    with pytest.raises(InputError, match="no image at 2026-01-05"):
        Timepoint({}, "2026-01-05")


def series(folder: Path, name: str, patient: str, day: str) -> Path:
    """A real series of 6 slices, with a patient ID and an acquisition date."""
    folder = folder / name
    image = replace(IMAGE, voxels=np.zeros((6, 8, 8), np.int16), ijk_to_ras=np.diag([2.0, 2, 2, 1]))
    facts = {"date": day.replace("-", ""), "region": "chest", "slice_thickness_mm": 2.0}
    write_series(folder, image, facts)
    for path in folder.iterdir():
        header = pydicom.dcmread(path)
        header.PatientID, header.AcquisitionDate, header.AcquisitionTime = patient, day.replace("-", ""), "101500.25"
        header.save_as(path)
    return folder


def test_dicom_says_date_frame_and_whose_it_is(tmp_path):
    salt = new_salt()
    folder = series(tmp_path, "one", "P-77", "2026-01-05")
    found = read_timepoint(Named("dicom", {"image": folder}), salt)
    assert (found.date, found.time) == ("2026-01-05", "10:15:00") and found.patient_key == patient_key("P-77", salt)
    assert found.frame_of_reference_uid == str(pydicom.dcmread(next(folder.iterdir())).FrameOfReferenceUID)
    assert "P-77" not in str(found.as_dict()) and len(found.sha256["image"]) == 64
    other = read_timepoint(Named("2026-02-01", {"image": folder}), salt)
    assert other.date == "2026-02-01"
    assert other.notes == ("DICOM states another date than 2026-02-01; the one that was given is used",)


def test_files_of_several_channels(tmp_path):
    write_image(tmp_path / "a.nii.gz", IMAGE.voxels, IMAGE.ijk_to_ras)
    write_image(tmp_path / "b.nrrd", IMAGE.voxels[:2], IMAGE.ijk_to_ras)
    channels = {"T1c": tmp_path / "a.nii.gz", "FLAIR": tmp_path / "b.nrrd"}
    found = read_timepoint(Named("2026-01-05", channels), new_salt(), modality="MR")
    assert list(found.images) == ["T1c", "FLAIR"] and found.image.modality == "MR" and found.patient_key == ""
    assert [one["name"] for one in found.as_dict()["channels"]] == ["T1c", "FLAIR"]
    with pytest.raises(InputError, match="a.nii.gz: no acquisition date is stated there"):
        read_timepoint(Named("dicom", channels), new_salt())
    assert date_of("20260105", {}, "x") == ("2026-01-05", "", ())

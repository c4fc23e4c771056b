"""DICOM series of the reference patient: read back by our reader and by GDCM, equal bytes, all files or none."""

from __future__ import annotations

import json

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from helpers import tree
from OncoLib.errors import InputError, OutputError
from OncoLib.image import RAS_TO_LPS, Image
from OncoLib.image_files import read_image
from OncoLib.phantom.acquisition import Acquisition, follow_up
from OncoLib.phantom.brain import BrainAcquisition, scan_brain
from OncoLib.phantom.dicom_series import seeded_uid, write_series
from OncoLib.phantom.patient import reference_patient
from OncoLib.phantom.scan import scan
from OncoLib.phantom.write import write_scans
from OncoLib.segmentation_files import read_label_maps
from OncoSegmentLib.dicom.series import read_series

BOX = ((-30.0, 30.0), (-30.0, 50.0), (60.0, 110.0))


def scanned(**facts):
    asked = Acquisition(region=BOX, spacing_mm=(2.5, 2.1, 4.0), thickness_mm=5.0, turn_degrees=(3, -4, 6), **facts)
    return scan(reference_patient(), asked, seed=9)


@pytest.fixture(scope="module")
def oblique():
    return scanned(grid_turn_degrees=(7.0, -5.0, 11.0))


@pytest.fixture(scope="module")
def brain():
    return scan_brain(BrainAcquisition(spacing_mm=(4, 4, 6)), sequences=("T1c", "FLAIR"))


def test_our_reader_gives_the_same_hu_and_place(tmp_path, oblique):
    write_series(tmp_path / "ct", oblique.image, oblique.facts)
    found = read_series(tmp_path / "ct")
    np.testing.assert_array_equal(found.voxels, oblique.image.voxels)
    np.testing.assert_allclose(found.ijk_to_ras, oblique.image.ijk_to_ras, atol=1e-6)
    assert (found.modality, found.units, found.notes) == ("CT", "HU", ())


def test_gdcm_gives_the_same_hu_and_place(tmp_path, oblique):
    write_series(tmp_path, oblique.image, oblique.facts)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path))
    found = sitk.ReadImage(names)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found), oblique.image.voxels)
    lps = RAS_TO_LPS @ oblique.image.ijk_to_ras
    np.testing.assert_allclose(found.GetOrigin(), lps[:3, 3], atol=1e-4)
    np.testing.assert_allclose(found.GetSpacing(), oblique.image.spacing_mm, atol=1e-4)
    np.testing.assert_allclose(np.reshape(found.GetDirection(), (3, 3)), lps[:3, :3] / oblique.image.spacing_mm, atol=1e-4)


def test_mr_series_hold_their_signals(tmp_path, brain):
    for number, (name, one) in enumerate(brain.items(), 1):
        write_series(tmp_path / name, one.image, one.facts, number=number, sequence=name)
        np.testing.assert_array_equal(read_series(tmp_path / name).voxels, one.image.voxels)
    first, second = (pydicom.dcmread(tmp_path / name / "IM0001.dcm") for name in brain)
    assert first.StudyInstanceUID == second.StudyInstanceUID and first.FrameOfReferenceUID == second.FrameOfReferenceUID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    assert first.ContrastBolusAgent and "ContrastBolusAgent" not in second and second.InversionTime == 2500


def test_the_header_says_what_it_is(tmp_path, oblique):
    names = write_series(tmp_path, oblique.image, oblique.facts)
    assert len(names) == len(oblique.image.voxels)
    headers = [pydicom.dcmread(tmp_path / name) for name in names]
    first = headers[0]
    assert first.PatientID == "REFERENCE-PATIENT" and first.StudyDate == oblique.facts["date"]
    assert float(first.SliceThickness) == 5.0 and [float(x) for x in first.PixelSpacing] == pytest.approx([2.1, 2.5])
    assert first.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    uids = [one.SOPInstanceUID for one in headers]
    assert len(set(uids)) == len(uids) and all(uid.startswith("2.25.") and len(uid) <= 64 and uid.is_valid for uid in uids)
    for one in headers:
        for element in one:
            assert element.VR != "DS" or all(len(str(part)) <= 16 for part in np.atleast_1d(element.value))


def test_the_same_seed_gives_the_same_bytes_another_other_uids(tmp_path, oblique):
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        write_series(tmp_path / name, oblique.image, oblique.facts, seed=seed)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    one, three = (pydicom.dcmread(tmp_path / name / "IM0001.dcm") for name in ("one", "three"))
    assert one.StudyInstanceUID != three.StudyInstanceUID and one.pixel_array.tolist() == three.pixel_array.tolist()
    assert seeded_uid("a", 1) == seeded_uid("a", 1) != seeded_uid("a", 2)


def test_what_dicom_cannot_hold_is_refused(tmp_path, oblique):
    floats = Image(oblique.image.voxels + 0.5, oblique.image.ijk_to_ras, modality="CT")
    mirrored = Image(oblique.image.voxels, oblique.image.ijk_to_ras @ np.diag([1, 1, -1, 1]), modality="CT")
    other = Image(oblique.image.voxels, oblique.image.ijk_to_ras, modality="PT")
    for image, told in ((floats, "whole numbers"), (mirrored, "left-handed"), (other, "'PT'")):
        with pytest.raises(InputError, match=told):
            write_series(tmp_path / "x", image, oblique.facts)
    assert not (tmp_path / "x").exists()


def test_all_dates_are_written_with_their_truth(tmp_path):
    course = [scan(reference_patient(), one) for one in follow_up(2, region=BOX, spacing_mm=(4, 4, 4))]
    files = write_scans(tmp_path / "out", course, dicom=True)
    index = json.loads((tmp_path / "out" / "phantom.json").read_text())
    assert [row["date"] for row in index["scans"]] == ["20260105", "20260302"]
    assert all(path.exists() for path in files)
    for row, made in zip(index["scans"], course):
        np.testing.assert_array_equal(read_image(tmp_path / "out" / row["image"]).voxels, made.image.voxels)
        np.testing.assert_array_equal(read_series(tmp_path / "out" / row["dicom"]).voxels, made.image.voxels)
        truth = read_label_maps(tmp_path / "out" / row["truth"])
        for one, two in zip(truth.layers, made.truth.layers):
            np.testing.assert_array_equal(one, two)
        assert json.loads((tmp_path / "out" / row["facts"]).read_text()) == json.loads(json.dumps(made.facts))
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="phantom.json"):
        write_scans(tmp_path / "out", course)
    assert tree(tmp_path) == before


def test_overwriting_leaves_no_file_of_a_longer_course(tmp_path, brain):
    course = [scan(reference_patient(), one) for one in follow_up(2, region=BOX, spacing_mm=(6, 6, 6), samples=(1, 1, 1))]
    (tmp_path / "note.txt").write_text("mine")
    write_scans(tmp_path, [*course, *brain.values()])
    files = write_scans(tmp_path, course[:1], overwrite=True)
    assert {path.name for path in files} | {"note.txt"} == {path.name for path in tmp_path.iterdir()}


def test_an_error_on_the_way_leaves_nothing(tmp_path):
    def broken():
        yield scanned()
        raise InputError("stopped")

    with pytest.raises(InputError, match="stopped"):
        write_scans(tmp_path / "out", broken(), dicom=True)
    assert tree(tmp_path) == {}

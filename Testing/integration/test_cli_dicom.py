"""Folders of DICOM on the command line: refused cases, damage, and that nobody's name leaves the input."""

from __future__ import annotations

import shutil
import zipfile

import numpy as np
import pytest

from helpers import tree
from helpers_cli import run_cli, run_here
from helpers_dicom import IDENTITY, NAME, stored_values, write_series

pydicom = pytest.importorskip("pydicom")

WORDS = ("DOE", "JOHN", IDENTITY, "19500101", "20260102", "Traceback", "unexpected")


def large_series(folder, **facts):
    """Twelve slices of 40 x 40, enough for the body mask's opening."""
    values = np.repeat(np.repeat(stored_values(12, 20, 20), 2, axis=1), 2, axis=2)
    return write_series(folder, values, **facts)


def run(folder, *words, by=run_here):
    return by("segment", "s", "--profile", "bones", "--output", "new/out", *words, cwd=folder)


def test_nothing_of_the_patient_is_in_any_result_or_message(tmp_path):
    """Name, id, birth date and study date are in every slice and in the folder above; UIDs of the study too."""
    folder = tmp_path / NAME
    large_series(folder / "s")
    header = pydicom.dcmread(next((folder / "s").iterdir()))
    uids = (header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID, header.FrameOfReferenceUID)
    outcome = run(folder, "--nifti", "--nrrd", "--mrb", by=run_cli)
    assert outcome.code == 0, outcome
    texts = {"stdout": outcome.out.encode(), "stderr": outcome.err.encode()}
    for path in (folder / "new" / "out").iterdir():
        texts[path.name] = path.read_bytes()
        if path.suffix == ".mrb":
            with zipfile.ZipFile(path) as bundle:
                texts |= {f"{path.name}/{name}": bundle.read(name) + name.encode() for name in bundle.namelist()}
    assert len(texts) > 9
    for name, text in texts.items():
        for word in (*WORDS, *uids):
            assert word.encode() not in text, (name, word)


@pytest.mark.parametrize("words", [(), ("--json",), ("--debug",)])
def test_no_message_names_the_patient_of_a_series_that_is_refused(tmp_path, words):
    folder = large_series(tmp_path / NAME / "s")
    (folder / "004.dcm").unlink()
    outcome = run(tmp_path / NAME, *words, by=run_cli)
    assert outcome.code == 2 and "a slice missing?" in outcome.out + outcome.err
    for word in WORDS:
        assert word not in outcome.out + outcome.err, word


def edited(**tags):
    def edit(number, data):
        for name, value in tags.items():
            setattr(data, name, value)

    return edit


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("two series", "holds 2 series; choose one with --series"),
        ("missing slice", r"a slice missing?"),
        ("gantry tilt", "gantry tilt"),
        ("no images", "no DICOM images in this folder"),
        ("MR", "modality is MR"),
        ("RGB", "color images"),
        ("one slice", "single slice"),
    ],
)
def test_folders_that_hold_no_plain_series_are_told(tmp_path, what, told):
    folder = tmp_path / "s"
    if what == "gantry tilt":
        large_series(folder, positions=[(0, 0.6 * n, 3 * n) for n in range(12)])
    elif what == "no images":
        folder.mkdir()
        (folder / "readme.txt").write_text("nothing here")
    elif what == "RGB":
        rgb = dict(SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0, BitsAllocated=8, BitsStored=8)
        large_series(folder, edit=edited(**rgb, HighBit=7, PixelData=b"\x01" * 4800))
    else:
        large_series(folder, edit=edited(Modality="MR") if what == "MR" else None)
    if what == "two series":
        large_series(tmp_path / "more")
        for path in (tmp_path / "more").iterdir():
            shutil.move(path, folder / f"more-{path.name}")
        (tmp_path / "more").rmdir()
    for path in sorted(folder.glob("*.dcm")):
        if (what == "missing slice" and path.name == "005.dcm") or (what == "one slice" and path.name != "000.dcm"):
            path.unlink()
    before = tree(tmp_path)
    outcome = run(tmp_path)
    assert outcome.code == 2 and told in outcome.sentence and outcome.sentence.startswith("s: ")
    assert tree(tmp_path) == before


def test_a_series_is_chosen_by_its_uid(tmp_path):
    folder = large_series(tmp_path / "s")
    large_series(tmp_path / "more")
    for path in (tmp_path / "more").iterdir():
        shutil.move(path, folder / f"more-{path.name}")
    uid = pydicom.dcmread(folder / "more-000.dcm").SeriesInstanceUID
    outcome = run(tmp_path, "--series", uid, "--json")
    assert outcome.code == 0 and outcome.json["input"]["files"] == 12
    assert outcome.json["input"]["kind"] == "DICOM"


MALFORMED = (
    "MR_truncated.dcm", "no_meta.dcm", "meta_missing_tsyntax.dcm", "ExplVR_BigEnd.dcm", "empty_charset_LEI.dcm",
    "nested_priv_SQ.dcm", "UN_sequence.dcm", "CT_small.dcm", "MR_small.dcm", "MR_small_padded.dcm", "image_dfl.dcm",
    "test-SR.dcm", "bad_sequence.dcm", "emri_small.dcm", "emri_small_jpeg_2k_lossless_too_short.dcm",
)  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_real_odd_files_alone_in_a_folder_are_told_in_one_sentence(tmp_path, test_data, name):
    """None of them is a CT volume, whatever else is wrong with it."""
    (tmp_path / "s").mkdir()
    shutil.copy(test_data / "dicom_malformed" / name, tmp_path / "s")
    before = tree(tmp_path)
    outcome = run(tmp_path)
    assert outcome.code == 2 and outcome.sentence and tree(tmp_path) == before
    assert "Traceback" not in outcome.err and "unexpected" not in outcome.err


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "test-SR.dcm", "emri_small_jpeg_2k_lossless_too_short.dcm", "no_meta.dcm"])
def test_a_real_odd_file_among_good_slices_is_told_or_left_out_with_a_note(tmp_path, test_data, name):
    large_series(tmp_path / "s")
    shutil.copy(test_data / "dicom_malformed" / name, tmp_path / "s")
    outcome = run(tmp_path, "--json")
    assert outcome.err == ""
    if outcome.code == 0:
        assert outcome.json["input"]["files"] == 12 and outcome.json["input"]["notes"]
    else:
        assert outcome.code == 2 and "unexpected" not in outcome.out

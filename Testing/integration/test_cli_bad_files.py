"""Files that cannot be used: one sentence that names the file, a code other than 0, nothing left, nothing changed."""

from __future__ import annotations

import gzip
import re

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from helpers import OBLIQUE, ct_phantom, tree
from helpers_cli import Outcome, run_cli, run_here
from OncoLib.image_convert import to_nibabel, to_sitk
from OncoLib.image_files import write_image

SCAN = ct_phantom()
NAME = "DOE^JOHN"


def nifti_bytes(changes: dict[int, bytes] | None = None, matrix=None) -> bytes:
    """A good NIfTI of the phantom with some header bytes replaced."""
    content = bytearray(to_nibabel(SCAN.voxels, SCAN.ijk_to_ras if matrix is None else matrix).to_bytes())
    for offset, value in (changes or {}).items():
        content[offset : offset + len(value)] = value
    return bytes(content)


def nrrd_bytes(folder, compressed: bool) -> bytes:
    sitk.WriteImage(to_sitk(SCAN.voxels, SCAN.ijk_to_ras), str(folder / "made.nrrd"), compressed)
    content = (folder / "made.nrrd").read_bytes()
    (folder / "made.nrrd").unlink()
    return content


def nrrd_with(directions: str, origin: str = "(0,0,0)") -> bytes:
    nk, nj, ni = SCAN.shape_kji
    header = f"NRRD0005\ntype: short\ndimension: 3\nspace: LPS\nsizes: {ni} {nj} {nk}\nendian: little\nencoding: raw\n"
    return f"{header}space directions: {directions}\nspace origin: {origin}\n\n".encode() + SCAN.voxels.tobytes()


def numbers(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


def made_by_nibabel(array):
    return lambda folder: nibabel.Nifti1Image(array, np.eye(4)).to_bytes()


def made_by_itk(image, suffix):
    def make(folder):
        path = folder / f"made{suffix}"
        sitk.WriteImage(image(), str(path))
        content = path.read_bytes()
        path.unlink()
        return content

    return make


def written(voxels, matrix=None):
    return lambda folder: to_nibabel(voxels, np.diag([2.0, 2, 2, 1]) if matrix is None else matrix).to_bytes()


RGB = np.zeros((5, 6, 7), [("R", "u1"), ("G", "u1"), ("B", "u1")])
SHEARED = np.array([[1, 0, 0, 0], [0, 1, 0.3, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])

CASES = {
    "empty": ("a.nii.gz", lambda folder: b"", "is empty"),
    "empty nrrd": ("a.nrrd", lambda folder: b"", "is empty"),
    "truncated gz": ("a.nii.gz", lambda folder: gzip.compress(nifti_bytes())[:-400], "truncated"),
    "truncated nii": ("a.nii", lambda folder: nifti_bytes()[:5000], "truncated"),
    "header only": ("a.nii", lambda folder: nifti_bytes()[:348], "truncated"),
    "truncated nrrd": ("a.nrrd", lambda folder: nrrd_bytes(folder, False)[:-999], "truncated"),
    "truncated gzip nrrd": ("a.nrrd", lambda folder: nrrd_bytes(folder, True)[:-99], "truncated"),
    "truncated mha": ("a.mha", made_by_itk(lambda: to_sitk(SCAN.voxels, SCAN.ijk_to_ras), ".mha"), "truncated"),
    "wrong extension": ("a.jpg", lambda folder: nifti_bytes(), "not an image format"),
    "no extension": ("a", lambda folder: nifti_bytes(), "not an image format"),
    "text": ("a.nii", lambda folder: b"Dear colleague, thank you for referring this patient.\n" * 20, "cannot be read"),
    "text as gz": ("a.nii.gz", lambda folder: b"Dear colleague,\n" * 50, "cannot be read"),
    "nifti as nrrd": ("a.nrrd", lambda folder: nifti_bytes(), "cannot be read"),
    "all NaN": ("a.nii", written(np.full((5, 6, 7), np.nan, np.float32)), "no finite value"),
    "one value": ("a.nii", written(np.zeros((5, 6, 7), np.int16)), "all voxels have the value 0"),
    "one slice": ("a.nii", written(SCAN.voxels[:1]), "single slice"),
    "zero spacing": ("a.nii", lambda folder: nifti_bytes({254: b"\0\0", 80: numbers(0)}), "voxel size|spacing"),
    "zero spacing nrrd": ("a.nrrd", lambda folder: nrrd_with("(0,0,0) (0,2,0) (0,0,2)"), "spacing"),
    "singular": ("a.nii", lambda folder: nifti_bytes({280: numbers(1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0)}), "singular|sheared"),
    "singular nrrd": ("a.nrrd", lambda folder: nrrd_with("(2,0,0) (2,0,0) (0,0,2)"), "singular"),
    "sheared": ("a.nii", written(SCAN.voxels, SHEARED), "sheared by"),
    "NaN geometry": ("a.nii", lambda folder: nifti_bytes({280: numbers(float("nan"))}), "not finite"),
    "NaN origin nrrd": ("a.nrrd", lambda folder: nrrd_with("(2,0,0) (0,2,0) (0,0,2)", "(nan,0,0)"), "."),
    "void qform": ("a.nii", lambda folder: nifti_bytes({254: b"\0\0", 256: numbers(1, 1, 1)}), "."),
    "unknown voxel type": ("a.nii", lambda folder: nifti_bytes({70: b"\x0f\x27"}), "."),
    "4D": ("a.nii", made_by_nibabel(np.zeros((5, 6, 7, 3), np.int16)), "4 dimensions"),
    "RGB nifti": ("a.nii", made_by_nibabel(RGB), "color"),
    "RGB nrrd": ("a.nrrd", made_by_itk(lambda: sitk.Image((5, 6, 7), sitk.sitkVectorUInt8, 3), ".nrrd"), "3 values a voxel"),
    "RGBA mha": ("a.mha", made_by_itk(lambda: sitk.Image((5, 6, 7), sitk.sitkVectorUInt8, 4), ".mha"), "4 values a voxel"),
    "8-bit CT": ("a.nii", written((np.arange(210) % 250).reshape(5, 6, 7).astype(np.uint8)), "8-bit"),
    "unsigned CT": ("a.nii", written((SCAN.voxels + 1024).astype(np.uint16)), "not Hounsfield units"),
    "complex": ("a.nii", made_by_nibabel(np.zeros((5, 6, 7), np.complex64)), "."),
}


PROCESSES = ("empty", "truncated gz", "truncated mha", "zero spacing", "unknown voxel type", "4D", "8-bit CT", "NaN origin nrrd")
"""Cases tried in a process of their own as well: those in which a library prints by itself, and one of each kind."""


def refused(folder, *arguments, run=run_here) -> Outcome:
    """Runs where every promise on bad input must hold, and checks those that need no knowledge of the case."""
    before = tree(folder)
    outcome = run("segment", *arguments, "--profile", "bones", "--output", "new/out", cwd=folder)
    assert outcome.code in (1, 2, 3, 4), outcome
    assert tree(folder) == before
    assert outcome.out == ""
    for word in ("Traceback", NAME, "DOE", str(folder), "unexpected", "site-packages"):
        assert word not in outcome.err, (word, outcome.err)
    return outcome


@pytest.mark.parametrize("case", PROCESSES)
def test_a_file_that_cannot_be_used_is_told_in_one_sentence_by_the_process(tmp_path, case):
    told_in_one_sentence(tmp_path, case, run_cli)


@pytest.mark.parametrize("case", CASES)
def test_a_file_that_cannot_be_used_is_told_in_one_sentence(tmp_path, case):
    told_in_one_sentence(tmp_path, case, run_here)


def told_in_one_sentence(tmp_path, case, run):
    """The file lies in a folder with the patient's name, as in many archives."""
    name, make, told = CASES[case]
    folder = tmp_path / NAME
    folder.mkdir()
    content = make(folder)
    (folder / name).write_bytes(content[:-999] if case == "truncated mha" else content)
    outcome = refused(tmp_path, f"{NAME}/{name}", run=run)
    assert outcome.code == 2
    assert outcome.sentence.startswith(f"{name}: ")
    assert re.search(told, outcome.sentence), outcome.sentence


def test_a_missing_file_is_told(tmp_path):
    outcome = refused(tmp_path, "absent.nii.gz")
    assert outcome.code == 2 and outcome.sentence.startswith("absent.nii.gz: no such file; wanted an image")


def test_a_file_name_that_no_system_allows_is_told(tmp_path):
    outcome = refused(tmp_path, "x" * 300 + ".nii.gz")
    assert outcome.code == 2 and outcome.sentence


@pytest.mark.parametrize("case", ["4D", "truncated gz", "unsigned CT"])
def test_with_json_the_error_is_json_on_stdout_and_stderr_is_silent(tmp_path, case):
    name, make, told = CASES[case]
    (tmp_path / name).write_bytes(make(tmp_path))
    outcome = run_here("segment", name, "--profile", "bones", "--output", "out", "--json", cwd=tmp_path)
    assert outcome.err == "" and outcome.code == 2
    assert outcome.json.keys() == {"error", "kind", "exit_code"}
    assert (outcome.json["exit_code"], told in outcome.json["error"]) == (2, True)
    assert not (tmp_path / "out").exists()


def test_a_mr_in_dicom_is_refused_by_its_modality(tmp_path, test_data):
    outcome = refused(tmp_path, test_data / "dicom_mr_vs_seg")
    assert outcome.code == 2
    assert outcome.sentence == "dicom_mr_vs_seg: the image's modality is MR; the profile 'bones' is for CT"


def test_the_same_file_without_fault_passes(tmp_path):
    """The control: what the cases above change is what is refused."""
    write_image(tmp_path / "a.nii.gz", SCAN.voxels, OBLIQUE)
    assert run_here("segment", "a.nii.gz", "--profile", "bones", "--output", "out", cwd=tmp_path).code == 0

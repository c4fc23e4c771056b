"""`oncosegment segment` as a process: files, numbers by arithmetic, texts, JSON, exit codes, what exists is kept."""

from __future__ import annotations

import hashlib
import json

import nibabel
import numpy as np
import pytest

from helpers import GRIDS, RADIOLOGICAL, ct_phantom, image, tree
from helpers_cli import run_cli, run_here
from OncoLib.image_files import write_image
from OncoLib.scene.host import new_host
from OncoLib.scene.storage import load_segmentation
from OncoLib.segmentation_files import read_label_maps
from OncoLib.terminology import structure
from OncoSegmentLib.request import Request
from OncoSegmentLib.segment import segment as run_segment

HOST = new_host()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """One run with every format, on a left-handed grid as most NIfTI files have it: outcome, folder, image."""
    folder = tmp_path_factory.mktemp("done")
    scan = ct_phantom(ijk_to_ras=RADIOLOGICAL)
    write_image(folder / "ct.nii.gz", scan.voxels, scan.ijk_to_ras)
    arguments = ("segment", folder / "ct.nii.gz", "--profile", "bones", "--nifti", "--nrrd", "--mrb", "--output", folder / "out")
    return run_cli(*arguments), folder, scan


def description_of(folder) -> dict:
    return json.loads((folder / "out" / "segmentation.json").read_text(encoding="utf-8"))


def test_it_ends_well_and_writes_these_files(done):
    outcome, folder, _ = done
    assert outcome.code == 0 and outcome.complaints == []
    wanted = ["segmentation.json", "segmentation.mrb", "segmentation.nii.gz", "segmentation.nrrd", "segmentation.seg.nrrd"]
    assert sorted(path.name for path in (folder / "out").iterdir()) == wanted
    for name in wanted:
        assert str(folder / "out" / name) in outcome.out


def test_the_volumes_are_those_of_the_phantom_by_hand(done):
    """Cortical: 20 x 14 x 14 voxels less 16 x 8 x 8 within = 2896 voxels of 0.008 ml = 23.168 ml."""
    outcome, folder, scan = done
    cortical = description_of(folder)["segments"][0]
    assert cortical["voxels"] == int((scan.voxels == 700).sum()) == 20 * 14 * 14 - 16 * 8 * 8
    assert cortical["volume_ml"] == pytest.approx(23.168, abs=1e-6)
    assert "23.2 ml" in outcome.out


def test_the_json_says_what_the_issue_asks_for(done):
    _, folder, scan = done
    said = description_of(folder)
    for part in said["segments"]:
        assert {"label", "name", "codes", "volume_ml", "confidence", "flags"} <= part.keys()
    assert [part["codes"]["type"]["value"] for part in said["segments"]] == [
        structure(name).entry.type.value for name in ("cortical_bone", "trabecular_bone")
    ]
    assert said["input"]["sha256"] == hashlib.sha256((folder / "ct.nii.gz").read_bytes()).hexdigest()
    provenance = said["provenance"]
    for fact in ("model", "model_version", "parameters", "device", "seconds", "peak_memory_mb", "packages", "input_sha256"):
        assert provenance[fact], fact
    assert (provenance["model"], provenance["device"]) == ("thresholds", "cpu")
    assert said["geometry"]["shape_ijk"] == list(scan.shape_kji[::-1])
    np.testing.assert_allclose(said["geometry"]["ijk_to_ras"], scan.ijk_to_ras)


def test_all_files_hold_the_same_labels_at_the_same_places(done):
    """The .seg.nrrd by Slicer, the NIfTI by nibabel, the NRRD by SimpleITK, against the run in this process."""
    import SimpleITK as sitk

    _, folder, scan = done
    wanted = run_segment(image(scan.voxels, RADIOLOGICAL, modality="", units=""), Request("thresholds", "bones")).segmentation
    slicers = load_segmentation(HOST.scene, folder / "out" / "segmentation.seg.nrrd")
    for one, two in zip(wanted.segments, slicers.segments):
        np.testing.assert_array_equal(wanted.mask(one), slicers.mask(two))
        assert (one.name, one.entry, one.flags, one.color) == (two.name, two.entry, two.flags, two.color)
    np.testing.assert_allclose(slicers.ijk_to_ras, scan.ijk_to_ras, atol=1e-6)
    nifti = nibabel.load(folder / "out" / "segmentation.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(nifti.dataobj).T, wanted.layers[0])
    np.testing.assert_allclose(nifti.affine, scan.ijk_to_ras, atol=1e-6)
    nrrd = sitk.ReadImage(str(folder / "out" / "segmentation.nrrd"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(nrrd), wanted.layers[0])
    np.testing.assert_array_equal(read_label_maps(folder / "out" / "segmentation.json").layers[0], wanted.layers[0])


def test_it_says_for_research_only_on_screen_and_in_the_file(done):
    outcome, folder, _ = done
    assert "Research use only" in outcome.out and "Research use only" in description_of(folder)["notice"]


def test_a_bundle_can_be_read_back_by_us(done):
    from OncoLib.scene.segmentations import segmentation_of
    from OncoLib.scene.storage import read_mrb

    _, folder, _ = done
    host = new_host()
    read_mrb(host.scene, folder / "out" / "segmentation.mrb")
    back = segmentation_of(host.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode"))
    assert [part.name for part in back.segments] == ["Cortical bone", "Trabecular bone"]
    assert int(back.mask(back.segments[0]).sum()) == 2896


@pytest.fixture
def work(tmp_path):
    """A folder with one good CT."""
    scan = ct_phantom()
    write_image(tmp_path / "ct.nrrd", scan.voxels, scan.ijk_to_ras)
    return tmp_path


def test_json_on_stdout_is_the_file_and_nothing_else_is_printed(work):
    outcome = run_cli("segment", "ct.nrrd", "--profile", "bones", "--output", "out", "--json", cwd=work)
    assert (outcome.code, outcome.err) == (0, "")
    said = outcome.json
    assert [path.rpartition("segmentation.")[2] for path in said.pop("files")] == ["json", "seg.nrrd"]
    assert said == description_of(work)


def test_an_existing_result_is_kept_unless_told_otherwise(work):
    run_here("segment", "ct.nrrd", "--profile", "bones", "--output", "out", cwd=work)
    before = tree(work)
    outcome = run_here("segment", "ct.nrrd", "--profile", "body", "--output", "out", cwd=work)
    assert outcome.code == 3
    assert outcome.sentence == (
        "segmentation.seg.nrrd is in the output folder already and was kept;"
        " choose another folder, or give --overwrite to replace it"
    )
    assert tree(work) == before
    assert run_here("segment", "ct.nrrd", "--profile", "body", "--output", "out", "--overwrite", cwd=work).code == 0
    assert description_of(work)["segments"][0]["name"] == structure("body").name


def test_overwriting_with_fewer_formats_leaves_no_stale_file_that_says_otherwise(work):
    """Bones with NIfTI, then body without: a segmentation.nii.gz of the bones beside a JSON of the body misleads."""
    run_here("segment", "ct.nrrd", "--profile", "bones", "--nifti", "--output", "out", cwd=work)
    run_here("segment", "ct.nrrd", "--profile", "body", "--output", "out", "--overwrite", cwd=work)
    assert not (work / "out" / "segmentation.nii.gz").exists()


def test_files_of_the_user_in_the_output_folder_stay(work):
    (work / "out").mkdir()
    (work / "out" / "notes.txt").write_text("mine")
    assert run_here("segment", "ct.nrrd", "--profile", "bones", "--output", "out", cwd=work).code == 0
    assert (work / "out" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["oblique", "permuted"])
def test_a_box_limits_the_result_in_patient_space(tmp_path, name):
    scan = ct_phantom(ijk_to_ras=GRIDS[name])
    write_image(tmp_path / "ct.nii", scan.voxels, scan.ijk_to_ras)
    i, j, k = np.meshgrid(*[np.arange(side) for side in scan.shape_kji[::-1]], indexing="ij")
    centers = nibabel.affines.apply_affine(nibabel.load(tmp_path / "ct.nii").affine, np.stack([i, j, k], -1))
    low, high = np.percentile(centers.reshape(-1, 3), (20, 70), axis=0)
    box = "box:" + ",".join(f"{value:.3f}" for pair in zip(low, high) for value in pair)
    arguments = ("segment", "ct.nii", "--profile", "body", "--roi", box, "--nifti", "--output", "out")
    assert run_here(*arguments, cwd=tmp_path).code == 0
    labels = np.asanyarray(nibabel.load(tmp_path / "out" / "segmentation.nii.gz").dataobj)
    inside = ((centers >= np.round(low, 3)) & (centers <= np.round(high, 3))).all(axis=-1)
    assert labels.any() and not labels[~inside].any()


def test_a_file_of_unknown_units_can_be_declared(tmp_path):
    """A CT cropped to soft tissue has no negative value; the user may say that it is in HU."""
    write_image(tmp_path / "ct.nii", np.clip(ct_phantom().voxels, 0, None), ct_phantom().ijk_to_ras)
    arguments = ("segment", "ct.nii", "--profile", "bones", "--output", "out")
    refused = run_here(*arguments, cwd=tmp_path)
    assert refused.code == 2 and "units" in refused.sentence
    assert run_here(*arguments, "--units", "HU", cwd=tmp_path).code == 0


@pytest.mark.parametrize("words", [("--modality", "ct"), ("--modality", "CT", "--units", "hu")])
def test_what_the_user_declares_may_be_in_small_letters(work, words):
    assert run_here("segment", "ct.nrrd", "--profile", "bones", "--output", "out", *words, cwd=work).code == 0


def test_notes_on_the_file_reach_the_user_and_the_json(tmp_path):
    header = nibabel.Nifti1Image(ct_phantom().voxels.T, None)
    header.header["pixdim"][1:4] = 2
    header.to_filename(tmp_path / "ct.nii")
    outcome = run_here("segment", "ct.nii", "--profile", "bones", "--output", "out", cwd=tmp_path)
    assert outcome.code == 0 and "left and right are a guess" in outcome.out
    assert any("left and right are a guess" in note for note in description_of(tmp_path)["input"]["notes"])


@pytest.mark.parametrize("suffix", [".nhdr", ".mhd"])
def test_the_hash_of_the_input_covers_the_voxels_of_a_detached_file(tmp_path, suffix):
    """The header file alone does not tell two scans apart."""
    hashes = set()
    for name, shift in (("a", 0), ("b", 1)):
        (tmp_path / name).mkdir()
        write_image(tmp_path / name / f"ct{suffix}", ct_phantom().voxels + np.int16(shift), ct_phantom().ijk_to_ras)
        outcome = run_here("segment", f"{name}/ct{suffix}", "--profile", "bones", "--output", f"{name}/o", "--json", cwd=tmp_path)
        hashes.add(outcome.json["input"]["sha256"])
    assert len(hashes) == 2


@pytest.mark.parametrize("words", [(), ("--help",), ("--version",), ("segment", "--help"), ("profiles", "list")])
def test_help_version_and_lists(words):
    outcome = run_cli(*words)
    assert outcome.code == (0 if words else 2) and outcome.err == "" and outcome.out.strip()


def test_verbs_and_options_that_are_not_there_are_told():
    for words in (("segmnt",), ("segment",), ("segment", "x.nii", "--output", "o", "--devise", "cpu"), ("profiles",)):
        outcome = run_cli(*words)
        assert outcome.code == 2 and outcome.out == "" and "oncosegment" in outcome.err and "Traceback" not in outcome.err

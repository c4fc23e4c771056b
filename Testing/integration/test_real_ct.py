"""The shared real CT through the command line: names, codes, geometry, and the masks held against the reference beside it.

The reference masks are those of TotalSegmentator, not manual truth (README of the test data).
"""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest

from helpers_cli import run_cli
from OncoLib.image_files import read_image
from OncoLib.measure import dice
from OncoLib.scene.host import new_host
from OncoLib.scene.storage import load_segmentation
from OncoLib.terminology import candidate_entry, structure

BONE_LABELS = (*range(25, 34), *range(75, 79), *range(92, 116))
LIVER_LABEL = 5
HOST = new_host()


@pytest.fixture(scope="module")
def spine(test_data):
    return test_data / "ct_spine_totalseg"


def segmented(folder, image, *words) -> dict:
    """Runs `segment` into a folder; the description that it wrote."""
    outcome = run_cli("segment", image, *words, "--output", folder)
    assert outcome.code == 0, outcome
    return json.loads((folder / "segmentation.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def bones(spine, tmp_path_factory):
    """Folder of the bones of the whole CT, and its description."""
    folder = tmp_path_factory.mktemp("bones") / "out"
    return folder, segmented(folder, spine / "example_ct.nii.gz", "--profile", "bones", "--nifti")


def test_the_bones_of_the_nifti_ct_agree_with_the_reference_bones(spine, bones):
    folder, _ = bones
    reference = nibabel.load(spine / "example_seg_fast_force_split.nii.gz")
    wanted = np.isin(np.asanyarray(reference.dataobj), BONE_LABELS)
    found = nibabel.load(folder / "segmentation.nii.gz")
    np.testing.assert_allclose(found.affine, reference.affine, atol=1e-4)
    score = dice(np.asanyarray(found.dataobj) > 0, wanted)
    print(f"\nDice of bones on example_ct.nii.gz against the union of the reference bones: {score:.3f}")
    assert score >= 0.80


def test_it_loads_back_with_names_codes_and_geometry(spine, bones):
    folder, said = bones
    back = load_segmentation(HOST.scene, folder / "segmentation.seg.nrrd")
    source = nibabel.load(spine / "example_ct.nii.gz")
    assert [part.name for part in back.segments] == ["Cortical bone", "Trabecular bone"]
    for part, name in zip(back.segments, ("cortical_bone", "trabecular_bone")):
        assert part.entry == structure(name).entry and part.structure == name
    assert back.shape_kji == source.shape[::-1]
    np.testing.assert_allclose(back.ijk_to_ras, source.affine, atol=1e-4)
    labels = np.asanyarray(nibabel.load(folder / "segmentation.nii.gz").dataobj).T
    voxel_ml = abs(np.linalg.det(source.affine[:3, :3])) / 1000
    for part, row in zip(back.segments, said["segments"]):
        np.testing.assert_array_equal(back.mask(part), labels == row["label"])
        assert row["volume_ml"] == pytest.approx(np.count_nonzero(labels == row["label"]) * voxel_ml, rel=1e-5)


def test_cortical_bone_is_within_its_range_and_trabecular_below_400_hu(spine, bones):
    folder, said = bones
    hu = np.asanyarray(nibabel.load(spine / "example_ct.nii.gz").dataobj)
    labels = np.asanyarray(nibabel.load(folder / "segmentation.nii.gz").dataobj)
    first, second = (hu[labels == row["label"]] for row in said["segments"])
    assert 300 <= first.min() and first.max() <= 1500
    assert second.max() <= 400


def test_the_shared_number_by_numpy_3159_ml_between_40_and_100_hu(spine):
    """The raw range on this CT: why a liver by HU alone may carry no organ code."""
    image = read_image(spine / "example_ct.nii.gz")
    count = int(((image.voxels >= 40) & (image.voxels <= 100)).sum())
    assert count * image.voxel_volume_ml == pytest.approx(3159.027, abs=0.001)


def test_the_vertebrae_of_the_reference_have_their_published_volumes_on_our_grid(spine):
    """S1 46.5, L5 65.6, L4 65.0, L3 63.0, L2 60.5, L1 57.9, T12 47.9, T11 2.1 ml (README of the test data)."""
    image = read_image(spine / "spine_report" / "totalseg.nii.gz")
    found = [int((image.voxels == label).sum()) * image.voxel_volume_ml for label in range(26, 34)]
    assert found == pytest.approx([46.5, 65.6, 65.0, 63.0, 60.5, 57.9, 47.9, 2.1], abs=0.06)


def test_a_liver_by_hu_alone_is_a_candidate_without_organ_code(spine, tmp_path):
    said = segmented(tmp_path / "out", spine / "example_ct.nii.gz", "--profile", "liver")
    tissue = said["segments"][0]
    assert tissue["name"] == "tissue 40-100 HU (candidate)"
    assert tissue["codes"] == candidate_entry().as_dict()
    assert not any("liver" in json.dumps(part["codes"]).lower() for part in said["segments"])
    assert any("no organ" in flag for flag in tissue["flags"])
    assert tissue["volume_ml"] > 1500


def test_with_the_liver_mask_as_region_it_carries_the_code_and_stays_inside(spine, tmp_path):
    mask_file = spine / "example_seg_fast_force_split.nii.gz"
    words = ("--profile", "liver", "--roi", f"{mask_file}:{LIVER_LABEL}", "--nifti")
    said = segmented(tmp_path / "out", spine / "example_ct.nii.gz", *words)
    assert said["segments"][0]["name"] == "Liver"
    assert said["segments"][0]["codes"] == structure("liver").entry.as_dict()
    liver = np.asanyarray(nibabel.load(mask_file).dataobj) == LIVER_LABEL
    labels = np.asanyarray(nibabel.load(tmp_path / "out" / "segmentation.nii.gz").dataobj)
    assert not labels[~liver].any()
    share = np.count_nonzero(labels) / np.count_nonzero(liver)
    print(f"\nShare of the reference liver that the ranges hold: {share:.3f}")
    assert share > 0.5


def test_a_region_on_the_trap_scan_is_told_to_lie_246_mm_off(spine, tmp_path):
    """example_ct_sm is a part of example_ct whose header keeps the whole volume's origin; its mask has another shape."""
    words = ("--profile", "liver", "--roi", f"{spine / 'example_seg_fast_force_split.nii.gz'}:{LIVER_LABEL}")
    outcome = run_cli("segment", spine / "example_ct_sm.nii.gz", *words, "--output", tmp_path / "out")
    assert outcome.code == 2 and "voxels (i, j, k) but the image has" in outcome.sentence
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("profile", ["brain", "heart", "kidneys", "pancreas", "lungs", "body"])
@pytest.mark.slow
def test_every_other_profile_runs_on_the_real_ct(spine, tmp_path, profile):
    said = segmented(tmp_path / "out", spine / "example_ct.nii.gz", "--profile", profile)
    assert len(said["segments"]) >= 1
    if profile in ("brain", "heart", "kidneys", "pancreas"):
        assert all(part["structure"] == "tissue" for part in said["segments"])


def test_the_body_mask_is_the_patient_without_the_table(spine, tmp_path):
    """Against the reference body segmentation of the lower part (example_seg_fast_body_seg), if it is on the grid."""
    segmented(tmp_path / "out", spine / "example_ct.nii.gz", "--profile", "body", "--nifti")
    labels = np.asanyarray(nibabel.load(tmp_path / "out" / "segmentation.nii.gz").dataobj) > 0
    hu = np.asanyarray(nibabel.load(spine / "example_ct.nii.gz").dataobj)
    everything = np.asanyarray(nibabel.load(spine / "example_seg_fast_force_split.nii.gz").dataobj) > 0
    assert np.count_nonzero(everything & ~labels) / np.count_nonzero(everything) < 0.001
    assert np.count_nonzero(labels & (hu < -800)) / np.count_nonzero(labels) < 0.05

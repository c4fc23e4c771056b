"""A mask made on a converted copy of a DICOM series: the same voxels, rows stored from the other end."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk

from helpers_cli import run_here


def test_a_nifti_mask_of_a_dicom_series_is_measured_on_it(test_data, tmp_path):
    folder = test_data / "ct_spine_totalseg"
    done = run_here(
        "measure", folder / "example_ct_dicom", folder / "example_seg_dicom.nii.gz", "--output", tmp_path / "m.json", cwd=tmp_path
    )
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "m.json").read_text())["segments"]
    mask = sitk.ReadImage(str(folder / "example_seg_dicom.nii.gz"))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder / "example_ct_dicom")))
    moved = sitk.GetArrayFromImage(sitk.Resample(reader.Execute(), mask, sitk.Transform(), sitk.sitkNearestNeighbor, -2000))
    labels = sitk.GetArrayFromImage(mask)
    for item in found:
        inside = moved[labels == item["label"]]
        assert item["measurements"]["voxels"]["value"] == inside.size
        assert item["measurements"]["intensity_mean"]["value"] == pytest.approx(inside.mean(), abs=0.01)


@pytest.mark.parametrize("axes", [(True, False, False), (False, True, False), (True, True, True)])
def test_a_turned_region_limits_the_same_voxels(tmp_path, axes):
    rng = np.random.default_rng(1)
    voxels = rng.normal(0, 100, (20, 30, 40)).astype(np.int16)
    voxels[:, :, :10] = -900
    scan = sitk.GetImageFromArray(voxels)
    scan.SetSpacing((1.5, 1.5, 3.0))
    organ = np.zeros(voxels.shape, np.uint8)
    organ[4:16, 5:20, 12:33] = 1
    mask = sitk.GetImageFromArray(organ)
    mask.CopyInformation(scan)
    sitk.WriteImage(scan, str(tmp_path / "ct.nii.gz"))
    sitk.WriteImage(mask, str(tmp_path / "straight.nii.gz"))
    sitk.WriteImage(sitk.Flip(mask, axes), str(tmp_path / "turned.nii.gz"))
    volumes = {}
    for name in ("straight", "turned"):
        done = run_here(
            "segment", "ct.nii.gz", "--profile", "liver", "--roi", f"{name}.nii.gz", "--units", "HU", "--output", name, "--json",
            cwd=tmp_path,
        )  # fmt: skip
        assert done.code == 0, done.err
        volumes[name] = [segment["voxels"] for segment in done.json["segments"]]
    assert volumes["straight"] == volumes["turned"] and sum(volumes["straight"]) > 0

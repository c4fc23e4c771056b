"""Regions of interest: boxes in RAS against nibabel's affine, masks by file, and what is refused."""

from __future__ import annotations

import hashlib

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import GRIDS, LEFT_HANDED, OBLIQUE, grid, grids, image
from OncoLib.errors import GeometryError, InputError
from OncoLib.image_files import write_image
from OncoSegmentLib.request import Region, Request, read_region

LABELS = (np.arange(60) % 4).reshape(3, 4, 5).astype(np.uint8)


def centers_ras_mm(scan) -> np.ndarray:
    """RAS of every voxel center, shape [k, j, i, 3], by nibabel."""
    k, j, i = np.meshgrid(*map(np.arange, scan.shape_kji), indexing="ij")
    return nibabel.affines.apply_affine(scan.ijk_to_ras, np.stack([i, j, k], axis=-1))


@settings(max_examples=60, deadline=None)
@given(grids(), st.data())
def test_a_box_holds_the_voxels_whose_center_is_inside(matrix, data):
    scan = image(np.zeros((5, 6, 7), np.int16), matrix)
    centers = centers_ras_mm(scan)
    low, high = centers.reshape(-1, 3).min(axis=0), centers.reshape(-1, 3).max(axis=0)
    box = []
    for axis in range(3):
        ends = sorted(data.draw(st.floats(-0.2, 1.2)) for _ in range(2))
        box += [low[axis] + ends[0] * (high - low)[axis] - 0.01, low[axis] + ends[1] * (high - low)[axis] + 0.01]
    bounds = np.array(box).reshape(3, 2)
    wanted = ((centers >= bounds[:, 0]) & (centers <= bounds[:, 1])).all(axis=-1)
    unsure = (np.abs(centers[..., None] - bounds) < 1e-6).any(axis=(-1, -2))
    region = Region("box", box_ras_mm=tuple(box))
    if not wanted.any():
        if not unsure.any():
            with pytest.raises(InputError, match="holds no voxel of the image"):
                region.inside(scan)
        return
    np.testing.assert_array_equal(region.inside(scan)[~unsure], wanted[~unsure])


def test_a_box_in_ras_takes_the_patients_right_side_whatever_the_storage_order():
    """x to the Right: the box 5..15 holds the voxels at R = 10, stored first here and last in the mirrored grid."""
    for matrix, column in ((grid((10, 10, 10), (10, 0, 0), flips=(-1, 1, 1)), 0), (grid((10, 10, 10), (-10, 0, 0)), 2)):
        inside = read_region("box:5,15,-100,100,-100,100").inside(image(np.zeros((2, 2, 3), np.int16), matrix))
        assert inside[:, :, column].all() and inside.sum() == 4


def test_bounds_belong_to_the_box():
    inside = read_region("box:1,2,0,0.5,0,0.5").inside(image(np.zeros((1, 1, 4), np.int16)))
    assert inside.tolist() == [[[False, True, True, False]]]


NO_BOXES = ("", "1,2,3,4,5", "1,2,3,4,5,6,7", "a,b,c,d,e,f", "1,2,3,4,5,nan", "1;2;3;4;5;6", "0,inf,0,1,0,1")


@pytest.mark.parametrize("numbers", NO_BOXES)
def test_text_that_is_no_box_is_told_with_the_form(numbers):
    with pytest.raises(InputError, match="wanted box:R0,R1,A0,A1,S0,S1 with six numbers in mm"):
        read_region(f"box:{numbers}")


@pytest.mark.parametrize("text", ["box:2,1,0,9,0,9", "box:0,9,0,9,3,3"])
def test_a_box_that_is_upside_down_is_told(text):
    with pytest.raises(InputError, match="each lower bound must be under its upper bound"):
        read_region(text).inside(image(np.zeros((5, 5, 5), np.int16)))


def test_a_box_outside_of_the_image_is_told():
    with pytest.raises(InputError, match="holds no voxel of the image"):
        read_region("box:100,200,100,200,100,200").inside(image(np.zeros((5, 5, 5), np.int16)))


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
@pytest.mark.parametrize("name", GRIDS)
def test_a_mask_by_file_with_and_without_label(tmp_path, suffix, name):
    path = tmp_path / f"roi{suffix}"
    write_image(path, LABELS, GRIDS[name])
    scan = image(np.zeros(LABELS.shape, np.int16), GRIDS[name])
    np.testing.assert_array_equal(read_region(f"{path}:2").inside(scan), LABELS == 2)
    with pytest.raises(InputError, match=f"^roi{suffix}: the label map holds 3 labels; name one"):
        read_region(str(path))
    write_image(path, LABELS * (LABELS == 2), GRIDS[name])
    np.testing.assert_array_equal(read_region(str(path)).inside(scan), LABELS == 2)


def test_what_provenance_says_of_a_mask_is_its_hash_and_never_its_name(tmp_path):
    path = tmp_path / "DOE_JOHN_liver.nii.gz"
    write_image(path, LABELS, OBLIQUE)
    said = read_region(f"{path}:2").as_dict()
    assert said == {"source": "mask, label 2", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_a_file_whose_name_holds_a_colon_is_a_file(tmp_path):
    path = tmp_path / "a:2.nii"
    try:
        write_image(path, LABELS * (LABELS == 2), np.eye(4))
    except OSError:
        pytest.skip("this file system allows no colon")
    assert read_region(str(path)).source == "mask"


@pytest.mark.parametrize("label", ["9", "0"])
def test_a_label_that_is_not_there_is_told(tmp_path, label):
    write_image(tmp_path / "roi.nii.gz", LABELS + 1, np.eye(4))
    with pytest.raises(InputError, match=rf"^roi\.nii\.gz: the region of interest holds no voxel with label {label}"):
        read_region(f"{tmp_path}/roi.nii.gz:{label}")


def test_voxels_of_a_mask_that_are_no_number_are_not_inside(tmp_path):
    """Float masks of other programs hold NaN outside of what they computed."""
    values = np.full((2, 3, 4), np.nan, np.float32)
    values[0, 0, 0], values[0, 0, 1] = 1.0, 0.0
    write_image(tmp_path / "roi.nii.gz", values, np.eye(4))
    assert read_region(str(tmp_path / "roi.nii.gz")).inside(image(np.zeros((2, 3, 4), np.int16))).sum() == 1


def test_a_mask_on_another_grid_is_refused_never_resampled(tmp_path):
    write_image(tmp_path / "roi.nrrd", LABELS, LEFT_HANDED)
    region = read_region(str(tmp_path / "roi.nrrd:2"))
    with pytest.raises(GeometryError, match=r"region of interest \(mask, label 2\) lies .* mm off the image's grid"):
        region.inside(image(np.zeros(LABELS.shape, np.int16), OBLIQUE))
    with pytest.raises(GeometryError, match=r"has \(5, 4, 3\) voxels"):
        region.inside(image(np.zeros((3, 4, 6), np.int16), LEFT_HANDED))


@pytest.mark.parametrize("text", ["absent.nii.gz", "absent.nii.gz:3", "notes.txt", "roi.nii.gz:liver", ""])
def test_a_mask_that_is_not_there_is_told(tmp_path, text, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError):
        read_region(text)


def test_an_unknown_device_is_told():
    with pytest.raises(InputError, match="device 'gpu' is unknown; wanted auto, cpu, cuda"):
        Request("thresholds", device="gpu")

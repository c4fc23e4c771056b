"""Slicer brings no nibabel, so there a NIfTI file goes through SimpleITK: it must lie where it lies in plain Python.

Both readers are given the same files. Where they cannot agree, the one without nibabel must refuse, or say so in a note.
"""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from helpers import ALL_TYPES, GRIDS, OBLIQUE, grids, world_of
from OncoLib import image_files
from OncoLib.errors import InputError
from OncoLib.image_convert import to_nibabel
from OncoLib.image_files import read_image

VOXELS = np.arange(20 * 15 * 4, dtype=np.int16).reshape(20, 15, 4)
PIXDIM, SLOPE, UNITS, QFORM_CODE, SFORM_CODE, QUATERN = 76, 112, 123, 252, 254, 256
SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)


def floats(*numbers: float) -> bytes:
    return np.array(numbers, "<f4").tobytes()


def shorts(*numbers: int) -> bytes:
    return np.array(numbers, "<i2").tobytes()


def write(path, changes: dict[int, bytes], matrix=OBLIQUE, voxels=VOXELS):
    """A NIfTI file with some header bytes replaced."""
    content = bytearray(to_nibabel(voxels, matrix).to_bytes())
    for offset, value in changes.items():
        content[offset : offset + len(value)] = value
    path.write_bytes(bytes(content))
    return path


def read_both(path):
    """What each reader gives: an image, or the error that refused the file."""
    found = []
    for present in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(image_files, "has_nibabel", lambda present=present: present)
            try:
                found.append(read_image(path))
            except InputError as error:
                found.append(error)
    return found


def assert_same_place(first, second):
    far = [side - 1 for side in first.shape_kji[::-1]]
    assert first.shape_kji == second.shape_kji
    for ijk in ((0, 0, 0), far):
        np.testing.assert_allclose(world_of(first.ijk_to_ras, ijk), world_of(second.ijk_to_ras, ijk), rtol=0, atol=0.01)


@SHARED_FOLDER
@given(matrix=grids())
def test_the_same_place_for_any_grid(tmp_path, matrix):
    first, second = read_both(write(tmp_path / "image.nii", {}, matrix))
    np.testing.assert_array_equal(first.voxels, second.voxels)
    assert_same_place(first, second)


@pytest.mark.parametrize("kind", ALL_TYPES)
@pytest.mark.parametrize("name", GRIDS)
def test_the_same_values_for_any_type(tmp_path, kind, name):
    first, second = read_both(write(tmp_path / "image.nii", {}, GRIDS[name], (VOXELS % 120).astype(kind)))
    np.testing.assert_array_equal(first.voxels, second.voxels)
    assert first.voxels.dtype == second.voxels.dtype
    assert_same_place(first, second)


def test_scaled_values_agree_to_the_rounding_of_float32(tmp_path):
    first, second = read_both(write(tmp_path / "image.nii", {SLOPE: floats(0.1, -1024)}))
    np.testing.assert_allclose(first.voxels, second.voxels, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("sform_code", [1, 2, 3, 4])
@pytest.mark.parametrize("qform_code", [1, 2, 3])
def test_a_header_with_two_geometries_is_read_at_one_place(tmp_path, qform_code, sform_code):
    """Registration tools write an aligned or atlas sform (codes 2 to 4) beside the scanner's qform, here 246 mm apart."""
    shifted = floats(*(OBLIQUE[:3, 3] + (0, 0, 246.0)))
    changes = {QUATERN + 12: shifted, QFORM_CODE: shorts(qform_code, sform_code)}
    first, second = read_both(write(tmp_path / "image.nii", changes))
    if isinstance(second, InputError):
        return
    assert_same_place(first, second)
    assert any("differ by 246 mm" in note for note in second.notes), second.notes


def test_no_orientation_at_all_is_noted(tmp_path):
    first, second = read_both(write(tmp_path / "image.nii", {QFORM_CODE: shorts(0, 0)}))
    assert isinstance(second, InputError) or any("left and right are a guess" in note for note in second.notes)
    assert any("left and right are a guess" in note for note in first.notes)


@pytest.mark.parametrize(
    "changes",
    [
        {SFORM_CODE: shorts(0), PIXDIM + 4: floats(0, 2, 2)},
        {SFORM_CODE: shorts(0), PIXDIM + 4: floats(2, 2, float("nan"))},
    ],
    ids=["zero", "not a number"],
)
def test_a_voxel_size_that_is_none_is_refused_by_both(tmp_path, changes):
    for found in read_both(write(tmp_path / "image.nii", changes)):
        assert isinstance(found, InputError)


@pytest.mark.parametrize("code", [1, 3])
def test_other_units_are_refused_or_converted(tmp_path, code):
    factor = {1: 1000.0, 3: 0.001}[code]
    for found in read_both(write(tmp_path / "image.nii", {UNITS: bytes([code])}, np.diag([2.0, 2.0, 2.0, 1.0]))):
        assert isinstance(found, InputError) or found.spacing_mm == pytest.approx((2 * factor,) * 3, rel=1e-6)


@pytest.mark.parametrize("with_qform", [False, True])
def test_a_sheared_grid_is_refused_by_both(tmp_path, with_qform):
    """A gantry tilt of 10 degrees; the qform beside it can only hold right angles and would hide it."""
    sheared = np.diag([1.0, 1.0, 3.0, 1.0])
    sheared[1, 2] = 3.0 * np.tan(np.radians(10.0))
    made = nibabel.Nifti1Image(VOXELS.T, sheared)
    made.set_sform(sheared, code=1)
    if with_qform:
        made.set_qform(sheared, code=1)
    made.to_filename(tmp_path / "image.nii")
    for found in read_both(tmp_path / "image.nii"):
        assert isinstance(found, InputError), found.ijk_to_ras


def test_a_gz_with_a_wrong_checksum_is_refused_by_both(tmp_path):
    to_nibabel(VOXELS, OBLIQUE).to_filename(tmp_path / "image.nii.gz")
    content = bytearray((tmp_path / "image.nii.gz").read_bytes())
    content[-8:-4] = bytes(byte ^ 0xFF for byte in content[-8:-4])
    (tmp_path / "image.nii.gz").write_bytes(bytes(content))
    for found in read_both(tmp_path / "image.nii.gz"):
        assert isinstance(found, InputError)

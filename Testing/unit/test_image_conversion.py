"""`Image` to SimpleITK and nibabel and back: voxels exact, geometry within the rounding of the target's header.

The bounds: SimpleITK keeps float64, so 1e-9 mm over 2 m. A NIfTI header keeps its affine in float32, whose
relative rounding is 2**-24, so every entry is off by at most 6e-8 of itself.
"""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from helpers import ALL_TYPES, GRIDS, grids, image, voxel_arrays, world_of
from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.image_convert import from_nibabel, from_sitk, to_nibabel, to_sitk

RAS_OF_LPS = np.array([-1.0, -1.0, 1.0])


@given(voxel_arrays(), grids())
def test_simpleitk_round_trip(voxels, matrix):
    back = from_sitk(to_sitk(voxels, matrix))
    assert back.voxels.dtype == voxels.dtype
    np.testing.assert_array_equal(back.voxels, voxels)
    np.testing.assert_allclose(back.ijk_to_ras, matrix, rtol=0, atol=1e-9)


@given(voxel_arrays(), grids())
def test_nibabel_round_trip(voxels, matrix):
    back = from_nibabel(to_nibabel(voxels, matrix))
    assert back.voxels.dtype == voxels.dtype
    np.testing.assert_array_equal(back.voxels, voxels)
    np.testing.assert_allclose(back.ijk_to_ras, matrix, rtol=0, atol=2000 * 2.0**-23)


@given(voxel_arrays(smallest=2), grids(), st.data())
def test_a_voxel_has_the_same_place_and_value_in_simpleitk_nibabel_and_here(voxels, matrix, data):
    k, j, i = (data.draw(st.integers(0, side - 1)) for side in voxels.shape)
    wanted = world_of(matrix, (i, j, k))
    itk, nifti = to_sitk(voxels, matrix), to_nibabel(voxels, matrix)
    in_itk = np.array(itk.TransformIndexToPhysicalPoint((i, j, k))) * RAS_OF_LPS
    in_nifti = nibabel.affines.apply_affine(nifti.affine, (i, j, k))
    np.testing.assert_allclose(in_itk, wanted, rtol=0, atol=1e-8)
    np.testing.assert_allclose(in_nifti, wanted, rtol=0, atol=1e-3)
    assert itk.GetPixel((i, j, k)) == voxels[k, j, i]
    assert np.asanyarray(nifti.dataobj)[i, j, k] == voxels[k, j, i]


@given(grids())
def test_the_qform_of_our_nifti_places_the_image_where_its_sform_does(matrix):
    header = to_nibabel(np.zeros((3, 4, 5), np.int16), matrix).header
    assert int(header["sform_code"]) == 1
    assert header.get_xyzt_units()[0] == "mm"
    if int(header["qform_code"]):  # else marked as unknown, and every reader takes the sform
        corner = (4, 3, 2, 1)
        np.testing.assert_allclose(header.get_qform() @ corner, header.get_sform() @ corner, rtol=0, atol=0.011)


@pytest.mark.parametrize("kind", ALL_TYPES)
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("name", GRIDS)
def test_files_that_simpleitk_wrote_read_the_same_by_both_libraries(tmp_path, kind, suffix, name):
    """Written by SimpleITK, read here: value and place of every voxel agree with what SimpleITK reads itself."""
    from OncoLib.image_files import read_image

    voxels = np.arange(24).reshape(2, 3, 4).astype(kind)
    path = tmp_path / f"image{suffix}"
    sitk.WriteImage(to_sitk(voxels, GRIDS[name]), str(path))
    ours, theirs = read_image(path), sitk.ReadImage(str(path))
    np.testing.assert_array_equal(ours.voxels, voxels)
    assert ours.voxels.dtype == voxels.dtype
    for ijk in ((0, 0, 0), (3, 2, 1)):
        place = np.array(theirs.TransformIndexToPhysicalPoint(ijk)) * RAS_OF_LPS
        np.testing.assert_allclose(world_of(ours.ijk_to_ras, ijk), place, rtol=0, atol=1e-3)


@pytest.mark.parametrize("kind", ["uint16", "int16", "int32", "float32", "float64"])
def test_big_endian_files_come_in_this_machines_order(kind):
    voxels = np.arange(24, dtype=kind).reshape(2, 3, 4)
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.dtype(kind).newbyteorder(">"))
    written = nibabel.Nifti1Image(voxels.T, np.eye(4), header).to_bytes()
    assert written[:4] == (348).to_bytes(4, "big")
    found = from_nibabel(nibabel.Nifti1Image.from_bytes(written))
    assert found.voxels.dtype.isnative
    np.testing.assert_array_equal(found.voxels, voxels)
    assert to_sitk(found.voxels, found.ijk_to_ras).GetSize() == (4, 3, 2)


def test_scaled_integers_come_as_the_scaled_values():
    """Stored 0..23 with slope 2 and intercept -1024 are -1024..-978."""
    stored = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(4, 3, 2), np.eye(4))
    stored.header.set_slope_inter(2, -1024)
    raw = bytearray(stored.to_bytes())
    raw[112:120] = np.array([2, -1024], "<f4").tobytes()
    found = from_nibabel(nibabel.Nifti1Image.from_bytes(bytes(raw)))
    np.testing.assert_array_equal(found.voxels, -1024 + 2 * np.arange(24).reshape(4, 3, 2).T)


def test_bool_masks_become_uint8():
    mask = np.zeros((2, 3, 4), bool)
    mask[1, 2, 3] = True
    assert from_sitk(to_sitk(mask, np.eye(4))).voxels.dtype == np.uint8
    found = from_nibabel(to_nibabel(mask, np.eye(4))).voxels
    assert found.dtype == np.uint8 and found.sum() == 1 and found[1, 2, 3] == 1


def test_a_fourth_axis_of_length_one_is_dropped_and_a_longer_one_refused():
    single = nibabel.Nifti1Image(np.zeros((4, 3, 2, 1), np.int16), np.eye(4))
    assert from_nibabel(single).shape_kji == (2, 3, 4)
    with pytest.raises(InputError, match="4 dimensions"):
        from_nibabel(nibabel.Nifti1Image(np.zeros((4, 3, 2, 5), np.int16), np.eye(4)))
    series = sitk.JoinSeries([sitk.Image(4, 3, 2, sitk.sitkInt16)] * 2)
    with pytest.raises(InputError, match="4 dimensions"):
        from_sitk(series)
    assert from_sitk(series[:, :, :, 0:1]).shape_kji == (2, 3, 4)


def test_color_and_vectors_are_refused():
    with pytest.raises(InputError, match="3 values a voxel"):
        from_sitk(sitk.Image((4, 3, 2), sitk.sitkVectorUInt8, 3))
    color = np.zeros((4, 3, 2), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(InputError, match="color"):
        from_nibabel(nibabel.Nifti1Image(color, np.eye(4)))
    with pytest.raises(InputError, match="dimensions"):
        from_sitk(sitk.Image((4, 3), sitk.sitkInt16))


def test_facts_travel_into_the_image():
    found = from_sitk(sitk.Image((4, 3, 2), sitk.sitkInt16), modality="CT", units="HU", name="scan", source_uids=("1.2",))
    assert (found.modality, found.units, found.name, found.source_uids) == ("CT", "HU", "scan", ("1.2",))


def test_the_copy_from_simpleitk_outlives_its_image():
    source = sitk.GetImageFromArray(np.full((2, 3, 4), 7, np.int16))
    found = from_sitk(source)
    source[0, 0, 0] = 1
    del source
    assert isinstance(found, Image) and (found.voxels == 7).all()


def test_our_arrays_are_not_changed_by_what_is_done_to_the_conversion():
    voxels = np.full((2, 3, 4), 7, np.int16)
    converted = to_sitk(voxels, np.eye(4))
    converted[0, 0, 0] = 1
    assert (image(voxels).voxels == 7).all()

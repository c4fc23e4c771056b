"""Headers that lie, leave out, or contradict themselves: what NIfTI and NRRD say about place and size.

Expected places are computed from the formats' definitions (NIfTI-1: nifti1.h at nifti.nimh.nih.gov; NRRD: "Definition of
NRRD File Format", teem.sourceforge.net) or taken from SimpleITK.
"""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from helpers import GRIDS, LEFT_HANDED, OBLIQUE
from OncoLib.errors import GeometryError, InputError, OncoError
from OncoLib.image_convert import to_nibabel
from OncoLib.image_files import read_image

VOXELS = np.arange(20 * 15 * 4, dtype=np.int16).reshape(20, 15, 4)
DIM, DATATYPE, PIXDIM, VOX_OFFSET, UNITS = 40, 70, 76, 108, 123
QFORM_CODE, SFORM_CODE, QUATERN, SROW = 252, 254, 256, 280


def floats(*numbers: float) -> bytes:
    return np.array(numbers, "<f4").tobytes()


def shorts(*numbers: int) -> bytes:
    return np.array(numbers, "<i2").tobytes()


def nifti(folder, changes: dict[int, bytes], matrix=OBLIQUE, name="image.nii"):
    """A NIfTI file of ours with some header bytes replaced."""
    content = bytearray(to_nibabel(VOXELS, matrix).to_bytes())
    for offset, value in changes.items():
        content[offset : offset + len(value)] = value
    (folder / name).write_bytes(bytes(content))
    return folder / name


@pytest.mark.parametrize(("code", "millimeters"), [(0, 1.0), (2, 1.0), (1, 1000.0), (3, 0.001)])
def test_a_header_in_meters_or_micrometers_is_never_read_as_millimeters(tmp_path, code, millimeters):
    """NIfTI-1 xyzt_units: 1 meter, 2 mm, 3 micrometer. Read as mm a volume would be wrong by a factor of 1e9."""
    path = nifti(tmp_path, {UNITS: bytes([code])}, np.diag([2.0, 2.0, 2.0, 1.0]))
    try:
        found = read_image(path)
    except InputError as error:
        assert millimeters != 1.0, error
        return
    assert found.spacing_mm == pytest.approx((2.0 * millimeters,) * 3, rel=1e-6)
    assert found.spacing_mm == pytest.approx(sitk.ReadImage(str(path)).GetSpacing(), rel=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("spacing", [0.0, float("nan"), float("inf")])
def test_a_voxel_size_of_zero_or_not_a_number_is_refused_where_it_sets_the_grid(tmp_path, axis, spacing, capfd):
    """With the qform alone, pixdim is the only statement of the spacing: it must not be replaced by 1 mm."""
    sizes = [2.0, 2.0, 2.0]
    sizes[axis] = spacing
    path = nifti(tmp_path, {SFORM_CODE: shorts(0), PIXDIM + 4: floats(*sizes)})
    with pytest.raises(InputError, match=r"^image\.nii: "):
        read_image(path)
    assert capfd.readouterr().err == ""


def test_the_sform_wins_over_the_qform_and_a_difference_is_noted(tmp_path):
    shifted = floats(*(OBLIQUE[:3, 3] + (0, 0, 246.0)))
    found = read_image(nifti(tmp_path, {QUATERN + 12: shifted}))
    np.testing.assert_allclose(found.ijk_to_ras, OBLIQUE, atol=1e-4)
    assert len(found.notes) == 1 and "differ by 246 mm; sform is used" in found.notes[0]


@pytest.mark.parametrize("name", GRIDS)
def test_the_qform_is_used_when_there_is_no_sform(tmp_path, name):
    path = nifti(tmp_path, {SFORM_CODE: shorts(0), SROW: floats(*[0] * 12)}, GRIDS[name])
    found = read_image(path)
    np.testing.assert_allclose(found.ijk_to_ras, GRIDS[name], rtol=0, atol=2e-4)
    itk = sitk.ReadImage(str(path))
    place = np.array(itk.TransformIndexToPhysicalPoint((3, 14, 19))) * (-1, -1, 1)
    np.testing.assert_allclose((found.ijk_to_ras @ (3, 14, 19, 1))[:3], place, rtol=0, atol=1e-3)


def test_no_orientation_at_all_is_noted(tmp_path):
    found = read_image(nifti(tmp_path, {QFORM_CODE: shorts(0, 0)}))
    assert len(found.notes) == 1 and "left and right are a guess" in found.notes[0]


@pytest.mark.parametrize("quaternion", [(1.0, 1.0, 1.0), (float("nan"), 0.0, 0.0), (9e9, 0.0, 0.0)])
def test_a_broken_qform_beside_a_good_sform_does_no_harm(tmp_path, quaternion):
    """|b, c, d| may not exceed 1: such a qform is void, but the image has its place from the sform."""
    try:
        found = read_image(nifti(tmp_path, {QUATERN: floats(*quaternion)}))
    except InputError as error:
        assert str(error).startswith("image.nii: ")
    else:
        np.testing.assert_allclose(found.ijk_to_ras, OBLIQUE, atol=1e-4)


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("unknown voxel type", {DATATYPE: shorts(9999)}),
        ("negative dimension", {DIM + 2: shorts(-4)}),
        ("data before the header's end", {VOX_OFFSET: floats(-1)}),
        ("data beyond any file", {VOX_OFFSET: floats(1e30)}),
        ("more voxels than memory", {DIM + 2: shorts(30000, 30000, 30000)}),
        ("sform not a number", {SROW: floats(float("nan"))}),
        ("sform all zero", {SROW: floats(*[0] * 12)}),
        ("no dimension", {DIM: shorts(0)}),
    ],
)
@pytest.mark.parametrize("packed", [False, True], ids=["nii", "nii.gz"])
def test_headers_that_cannot_be_are_told_by_name(tmp_path, what, changes, packed):
    path = nifti(tmp_path, changes)
    if packed:
        path = tmp_path / "image.nii.gz"
        nibabel.openers.Opener(path, "wb").write((tmp_path / "image.nii").read_bytes())
    with pytest.raises(OncoError, match=rf"^{path.name}: "):
        read_image(path)


def nrrd(folder, fields: str, name="image.nrrd"):
    header = f"NRRD0005\ntype: short\ndimension: 3\nsizes: 4 15 20\nendian: little\nencoding: raw\n{fields}\n\n"
    (folder / name).write_bytes(header.encode() + VOXELS.tobytes())
    return folder / name


AXES = "space directions: (2,0,0) (0,3,0) (0,0,5)\nspace origin: (10,20,30)"


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("right-anterior-superior", (1, 1, 1)),
        ("RAS", (1, 1, 1)),
        ("left-anterior-superior", (-1, 1, 1)),
        ("LAS", (-1, 1, 1)),
        ("left-posterior-superior", (-1, -1, 1)),
        ("LPS", (-1, -1, 1)),
    ],
)
def test_the_patient_frames_of_nrrd(tmp_path, space, signs):
    """The frame names the positive directions of its axes, so RAS is reached by the signs alone."""
    found = read_image(nrrd(tmp_path, f"space: {space}\n{AXES}"))
    wanted = np.diag([*signs, 1.0]) @ np.array([[2, 0, 0, 10], [0, 3, 0, 20], [0, 0, 5, 30], [0, 0, 0, 1.0]])
    np.testing.assert_allclose(found.ijk_to_ras, wanted, atol=1e-12)
    assert found.notes == ()


@pytest.mark.parametrize("fields", ["", "spacings: 2 3 5", f"space: scanner-xyz\n{AXES}", f"space: 3D-left-handed\n{AXES}"])
def test_an_nrrd_without_a_patient_frame_is_noted_as_nifti_is(tmp_path, fields):
    """Without `space`, or with one that names no side, right and left of the patient are unknown."""
    found = read_image(nrrd(tmp_path, fields))
    assert any("guess" in note or "orientation" in note for note in found.notes), found.notes


def test_an_nrrd_in_micrometers_is_never_read_as_millimeters(tmp_path):
    path = nrrd(tmp_path, f'space: LPS\nspace units: "um" "um" "um"\n{AXES}')
    try:
        found = read_image(path)
    except InputError:
        return
    assert found.spacing_mm == pytest.approx((0.002, 0.003, 0.005))


@pytest.mark.parametrize(
    ("directions", "origin", "kind"),
    [
        ("(0,0,0) (0,2,0) (0,0,2)", "(0,0,0)", GeometryError),
        ("(2,0,0) (2,0,0) (0,0,2)", "(0,0,0)", GeometryError),
        ("(2,0,0) (0.4,2,0) (0,0,2)", "(0,0,0)", GeometryError),
        ("(nan,0,0) (0,2,0) (0,0,2)", "(0,0,0)", GeometryError),
        ("(2,0,0) (0,2,0) (0,0,2)", "(nan,0,0)", InputError),
    ],
    ids=["zero spacing", "singular", "sheared", "nan spacing", "nan origin"],
)
def test_an_nrrd_with_an_unusable_grid_is_refused_by_name(tmp_path, directions, origin, kind):
    path = nrrd(tmp_path, f"space: LPS\nspace directions: {directions}\nspace origin: {origin}")
    with pytest.raises(kind, match=r"^image\.nrrd: "):
        read_image(path)


def test_a_left_handed_file_stays_left_handed(tmp_path):
    """Determinant of the directions is negative in the file and here: nothing was mirrored on the way."""
    found = read_image(nifti(tmp_path, {}, LEFT_HANDED))
    assert np.linalg.det(found.ijk_to_ras[:3, :3]) == pytest.approx(np.linalg.det(LEFT_HANDED[:3, :3]), rel=1e-5)
    assert np.linalg.det(found.ijk_to_ras[:3, :3]) < 0


def test_the_scanner_pitch_head_reads_as_nibabel_and_simpleitk_read_it(test_data):
    """A real head CT with an oblique affine and uint8 voxels."""
    path = test_data / "nifti_oddities" / "CT_pitch.nii.gz"
    found, itk = read_image(path), sitk.ReadImage(str(path))
    np.testing.assert_array_equal(found.voxels, sitk.GetArrayFromImage(itk))
    np.testing.assert_allclose(found.ijk_to_ras, nibabel.load(path).affine, atol=1e-6)
    far = tuple(side - 1 for side in itk.GetSize())
    place = np.array(itk.TransformIndexToPhysicalPoint(far)) * (-1, -1, 1)
    np.testing.assert_allclose((found.ijk_to_ras @ (*far, 1))[:3], place, atol=0.01)

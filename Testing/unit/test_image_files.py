"""Reading and writing single image files: values and places against nibabel and SimpleITK, damage told in a sentence."""

from __future__ import annotations

import gzip
import sys

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import ALL_TYPES, GRIDS, OBLIQUE, grids, no_file_over, voxel_arrays, world_of
from OncoLib.errors import GeometryError, InputError, OncoError, OutputError
from OncoLib.image_convert import to_nibabel, to_sitk
from OncoLib.image_files import READABLE, check_readable, read_image, suffix_of, write_image

SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
VOXELS = np.arange(20 * 15 * 4, dtype=np.int16).reshape(20, 15, 4)


@SHARED_FOLDER
@given(voxels=voxel_arrays(), matrix=grids(), suffix=st.sampled_from([".nii", ".nii.gz", ".nrrd", ".mha"]))
def test_what_we_write_we_read(tmp_path, voxels, matrix, suffix):
    path = tmp_path / f"image{suffix}"
    write_image(path, voxels, matrix)
    back = read_image(path)
    np.testing.assert_array_equal(back.voxels, voxels)
    assert back.voxels.dtype == voxels.dtype
    far = [side - 1 for side in voxels.shape[::-1]]
    np.testing.assert_allclose(world_of(back.ijk_to_ras, far), world_of(matrix, far), rtol=0, atol=1e-3)
    assert back.notes == ()


@pytest.mark.parametrize("kind", ALL_TYPES)
@pytest.mark.parametrize("name", GRIDS)
def test_nibabel_and_simpleitk_read_our_nifti_alike(tmp_path, kind, name):
    """An independent reader finds the same value at the same place in patient space, and so do we."""
    voxels = (VOXELS % 120).astype(kind)
    path = tmp_path / "image.nii.gz"
    write_image(path, voxels, GRIDS[name])
    ours, itk, nifti = read_image(path), sitk.ReadImage(str(path)), nibabel.load(path)
    for ijk in ((0, 0, 0), (3, 14, 19), (2, 5, 7)):
        place = world_of(ours.ijk_to_ras, ijk)
        np.testing.assert_allclose(np.array(itk.TransformIndexToPhysicalPoint(ijk)) * (-1, -1, 1), place, rtol=0, atol=1e-3)
        np.testing.assert_allclose(nibabel.affines.apply_affine(nifti.affine, ijk), place, rtol=0, atol=1e-6)
        assert itk.GetPixel(ijk) == nifti.dataobj[ijk] == ours.voxels[ijk[::-1]]


def test_facts_and_name_come_from_the_caller_and_the_file_name(tmp_path):
    path = tmp_path / "scan.nii.gz"
    write_image(path, VOXELS, np.eye(4))
    found = read_image(path, modality="CT", units="HU")
    assert (found.name, found.modality, found.units) == ("scan", "CT", "HU")


@pytest.mark.parametrize("name", ["a.nii", "A.NII.GZ", "a.b.nii.gz", "x.nrrd", "x.NHDR", "x.mha", "x.mhd"])
def test_suffixes_that_are_read(name, tmp_path):
    assert suffix_of(tmp_path / name) in READABLE
    assert name.lower().endswith(suffix_of(tmp_path / name))


@pytest.mark.parametrize("name", ["a", "a.gz", "a.dcm", "a.nii.zip", "nii", "a.png"])
def test_other_suffixes_are_told_with_those_wanted(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"some bytes")
    with pytest.raises(InputError, match=r"not an image format read here; wanted \.nii, \.nii\.gz"):
        read_image(path)


def test_missing_and_empty_files_are_told_by_name(tmp_path):
    with pytest.raises(InputError, match=r"^scan\.nii\.gz: no such file"):
        check_readable(tmp_path / "scan.nii.gz")
    (tmp_path / "scan.nrrd").touch()
    with pytest.raises(InputError, match=r"^scan\.nrrd: the file is empty \(0 bytes\)$"):
        check_readable(tmp_path / "scan.nrrd")


def files_of(folder) -> dict[str, bytes]:
    """One good file of each kind, plain and compressed."""
    made = {}
    for name, compressed in (("raw.nrrd", False), ("gzip.nrrd", True), ("raw.mha", False), ("zlib.mha", True)):
        sitk.WriteImage(to_sitk(VOXELS, OBLIQUE), str(folder / name), compressed)
        made[name] = (folder / name).read_bytes()
    made["plain.nii"] = to_nibabel(VOXELS, OBLIQUE).to_bytes()
    made["packed.nii.gz"] = gzip.compress(made["plain.nii"])
    return made


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("name", ["raw.nrrd", "gzip.nrrd", "raw.mha", "zlib.mha", "plain.nii", "packed.nii.gz"])
def test_truncated_files_are_told_by_name(tmp_path, name, share):
    good = files_of(tmp_path)[name]
    (tmp_path / name).write_bytes(good[: int(len(good) * share)])
    with pytest.raises(InputError, match=rf"^{name}: .*truncated"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("name", ["gzip.nrrd", "packed.nii.gz"])
def test_a_compressed_file_whose_checksum_is_wrong_is_refused(tmp_path, name):
    """gzip ends with the CRC-32 of what was packed (RFC 1952): four wrong bytes there mean that voxels were damaged."""
    content = bytearray(files_of(tmp_path)[name])
    content[-8:-4] = bytes(byte ^ 0xFF for byte in content[-8:-4])
    (tmp_path / name).write_bytes(bytes(content))
    with pytest.raises(InputError, match=f"^{name}: "):
        read_image(tmp_path / name)


@pytest.mark.parametrize("name", ["raw.mha", "zlib.mha", "raw.nrrd", "gzip.nrrd", "packed.nii.gz"])
def test_a_truncated_file_prints_nothing_beside_the_sentence(tmp_path, name, capfd):
    good = files_of(tmp_path)[name]
    (tmp_path / name).write_bytes(good[: len(good) * 3 // 4])
    with pytest.raises(InputError):
        read_image(tmp_path / name)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["text.nii", "text.nii.gz", "text.nrrd", "text.mha"])
def test_text_under_an_image_name_is_told(tmp_path, name):
    (tmp_path / name).write_text("The patient was seen on Monday.\n" * 40)
    with pytest.raises(InputError, match=rf"^{name}: cannot be read"):
        read_image(tmp_path / name)


def test_a_file_of_another_format_under_a_wrong_name_is_told(tmp_path):
    made = files_of(tmp_path)
    for wrong, content in {"a.nrrd": made["plain.nii"], "b.nii": made["raw.nrrd"], "c.nii.gz": made["raw.mha"]}.items():
        (tmp_path / wrong).write_bytes(content)
        with pytest.raises(InputError, match=f"^{wrong}: "):
            read_image(tmp_path / wrong)


@settings(SHARED_FOLDER, max_examples=200)
@given(data=st.data())
@pytest.mark.parametrize("name", ["plain.nii", "raw.nrrd", "raw.mha"])
def test_a_damaged_header_is_either_read_or_told_in_a_sentence(tmp_path, name, data):
    """Up to six bytes of the header are replaced; nothing but our own errors may come out."""
    content = bytearray(files_of(tmp_path)[name])
    length = 352 if name == "plain.nii" else content.index(b"\n\n") if name == "raw.nrrd" else content.index(b"LOCAL")
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, length - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / f"damaged-{name}"
    path.write_bytes(bytes(content))
    try:
        found = read_image(path)
    except OncoError as error:
        assert str(error).startswith(f"{path.name}: ") and "\n" not in str(error)
    else:
        assert found.voxels.ndim == 3 and np.isfinite(found.ijk_to_ras).all()


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("four.nii.gz", lambda: nibabel.Nifti1Image(np.zeros((4, 3, 2, 5), np.int16), np.eye(4))),
        (
            "rgb.nii.gz",
            lambda: nibabel.Nifti1Image(np.zeros((4, 3, 2), [("R", "u1"), ("G", "u1"), ("B", "u1")]), np.eye(4)),
        ),
        ("complex.nii.gz", lambda: nibabel.Nifti1Image(np.zeros((4, 3, 2), np.complex64), np.eye(4))),
    ],
)
def test_nifti_that_is_no_scalar_volume_is_refused_by_name(tmp_path, name, made):
    made().to_filename(tmp_path / name)
    with pytest.raises(InputError, match=f"^{name}: "):
        read_image(tmp_path / name)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_rgb_and_4d_files_of_itk_are_refused_by_name(tmp_path, suffix):
    sitk.WriteImage(sitk.Image((4, 3, 2), sitk.sitkVectorUInt8, 3), str(tmp_path / f"rgb{suffix}"))
    sitk.WriteImage(sitk.JoinSeries([sitk.Image(4, 3, 2, sitk.sitkInt16)] * 2), str(tmp_path / f"time{suffix}"))
    with pytest.raises(InputError, match=rf"^rgb\{suffix}: the image has 3 values a voxel"):
        read_image(tmp_path / f"rgb{suffix}")
    with pytest.raises(InputError, match=rf"^time\{suffix}: the image has 4 dimensions|values a voxel"):
        read_image(tmp_path / f"time{suffix}")


def test_a_sheared_nifti_is_refused_with_its_angle(tmp_path):
    """A gantry tilt of 10 degrees leaves the slice axis 10 degrees off the normal."""
    sheared = np.diag([1.0, 1.0, 3.0, 1.0])
    sheared[1, 2] = 3.0 * np.tan(np.radians(10.0))
    nibabel.Nifti1Image(VOXELS.T, sheared).to_filename(tmp_path / "tilted.nii.gz")
    with pytest.raises(GeometryError, match=r"^tilted\.nii\.gz: the grid is sheared by 10\.00 degrees"):
        read_image(tmp_path / "tilted.nii.gz")


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on file sizes of POSIX")
@pytest.mark.parametrize("missing", [50, 300, 6000])
@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".nii", ".mha"])
def test_a_full_disk_is_told_however_little_is_missing(tmp_path, suffix, missing):
    """The NRRD writer flushes its last bytes when it closes the file: a failure there must not pass for success."""
    noise = np.random.default_rng(2).integers(-1000, 1000, (20, 40, 40)).astype(np.int16)
    write_image(tmp_path / f"whole{suffix}", noise, OBLIQUE)
    with no_file_over((tmp_path / f"whole{suffix}").stat().st_size - missing):
        with pytest.raises((OutputError, OSError)):
            write_image(tmp_path / f"a{suffix}", noise, OBLIQUE)


def test_reading_changes_no_file(tmp_path):
    write_image(tmp_path / "plain.nii", VOXELS, OBLIQUE)
    before = (tmp_path / "plain.nii").read_bytes()
    found = read_image(tmp_path / "plain.nii")
    if found.voxels.flags.writeable:
        found.voxels[...] = 0
    assert (tmp_path / "plain.nii").read_bytes() == before

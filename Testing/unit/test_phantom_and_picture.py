"""The digital torso against its own arithmetic, and pictures in radiological orientation."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import GRIDS, image
from OncoLib.phantom import torso as made
from OncoLib.picture import fullest, patient_spacing_mm, sheet, slice_picture, to_patient
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure


def test_drawn_bones_have_the_volume_that_is_stated():
    """Counted at 1 mm without blur and noise: the staircase of a curved surface averages out to under 1 %."""
    x, y, z, _ = made.coordinates((350.0, 250.0, 210.0), (1.0, 1.0, 1.0))
    voxels = np.zeros(np.broadcast(x, y, z).shape, np.float32)
    made.draw_bones(voxels, x, y, z)
    truth = made.true_volumes_ml()
    assert np.count_nonzero(voxels) / 1000 == pytest.approx(truth["vertebral_bodies"] + truth["ribs"], rel=0.01)


def test_stated_volumes_are_those_of_the_formulas():
    """Six elliptic cylinders 22 x 16 mm half axes, 26 mm high; twelve tubes of 6 mm over 150 degrees of 92 mm."""
    truth = made.true_volumes_ml()
    assert truth["vertebral_bodies"] == pytest.approx(6 * 3.14159265 * 22 * 16 * 26 / 1000)
    assert truth["ribs"] == pytest.approx(12 * 3.14159265 * 36 * (150 / 180 * 3.14159265) * 92 / 1000)


def test_the_torso_is_the_same_again_and_its_noise_is_as_asked():
    one, two = made.torso(spacing_mm=(5, 5, 6)).image, made.torso(spacing_mm=(5, 5, 6)).image
    np.testing.assert_array_equal(one.voxels, two.voxels)
    other = made.torso(spacing_mm=(5, 5, 6), seed=8).image
    air = (slice(2, -2), slice(0, 3), slice(0, 3))
    assert (one.voxels[air] != other.voxels[air]).any()
    assert one.voxels[air].std() == pytest.approx(12, rel=0.2) and one.voxels[air].mean() == pytest.approx(-1000, abs=3)


def marked(name, ras_direction):
    """A scan whose only bright voxel lies far to one side of the patient."""
    matrix = GRIDS[name]
    shape = (9, 11, 13)
    k, j, i = np.indices(shape)
    along = np.tensordot(ras_direction, matrix[:3, :3] @ np.stack([i.ravel(), j.ravel(), k.ravel()]), axes=1)
    voxels = np.full(shape, -1000, np.int16)
    voxels.flat[int(np.argmax(along))] = 1000
    return image(voxels, matrix)


def empty(scan):
    bone = structure("bone")
    layer = np.zeros(scan.shape_kji, np.uint8)
    return Segmentation((layer,), scan.ijk_to_ras, (Segment(1, "Bone", bone.entry, bone.color),), Provenance("hand", ""))


@pytest.mark.parametrize("name", ["radiological", "permuted", "left-handed"])
@pytest.mark.parametrize(
    ("direction", "plane", "half"),
    [
        ((1, 0, 0), "axial", ("x", 0)),
        ((-1, 0, 0), "axial", ("x", 1)),
        ((0, 1, 0), "axial", ("y", 0)),
        ((1, 0, 0), "coronal", ("x", 0)),
        ((0, 0, 1), "coronal", ("y", 0)),
        ((0, 1, 0), "sagittal", ("x", 0)),
        ((0, 0, -1), "sagittal", ("y", 1)),
    ],
)
def test_right_is_left_on_the_picture_front_and_head_are_up(name, direction, plane, half):
    """Patient's right on the left side, front up in axial and left in sagittal slices, head up in the others."""
    scan = marked(name, direction)
    turned = to_patient(scan.voxels, scan.ijk_to_ras)
    axis = ("axial", "coronal", "sagittal").index(plane)
    at = int(np.argwhere(turned == 1000)[0][axis])
    picture = slice_picture(scan, empty(scan), plane, at)[..., 0]
    row, column = np.argwhere(picture == 255)[0]
    place, size = (column, picture.shape[1]) if half[0] == "x" else (row, picture.shape[0])
    assert (place > size / 2) == bool(half[1])


def test_spacing_follows_the_axes():
    scan = marked("permuted", (1, 0, 0)) if "permuted" in GRIDS else marked("radiological", (1, 0, 0))
    shape = to_patient(scan.voxels, scan.ijk_to_ras).shape
    extent = {round(size * step, 6) for size, step in zip(shape, patient_spacing_mm(scan.ijk_to_ras))}
    assert extent == {round(size * step, 6) for size, step in zip(scan.shape_kji, scan.spacing_kji_mm)}


def test_the_slices_shown_are_those_with_most_of_the_segments():
    scan = marked("radiological", (1, 0, 0))
    parts = empty(scan)
    parts.layers[0][4, 5:8, 6:9] = 1
    at = fullest(parts)
    turned = to_patient(parts.layers[0], parts.ijk_to_ras)
    for axis in range(3):
        assert turned.take(at[axis], axis=axis).any()


def test_a_sheet_can_be_drawn_of_an_empty_result():
    scan = marked("radiological", (1, 0, 0))
    assert sheet(scan, empty(scan), title="Nothing found", lines=[]).size[0] > 1000

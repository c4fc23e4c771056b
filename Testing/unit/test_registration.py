"""Rigid registration against the reference patient's own poses; transforms and resampling against arithmetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import GRIDS
from OncoLib.errors import Cancelled, GeometryError
from OncoLib.image import Image
from OncoLib.phantom.brain import BrainAcquisition, scan_brain
from OncoLib.phantom.solids import rigid
from OncoLib.progress import CancelToken
from OncoLib.registration.resampling import resampled
from OncoLib.registration.simple_itk import register_rigid
from OncoLib.registration.transform import IDENTITY, LinearTransform, shown_share

angles = st.tuples(*[st.floats(-170, 170)] * 3)
shifts = st.tuples(*[st.floats(-300, 300)] * 3)


def landmarks() -> np.ndarray:
    """Points `[n, 3]` all over the brain of the reference patient, in its own frame."""
    axes = [np.linspace(-60, 60, 7) * size for size in (1.0, 1.2, 1.0)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    return points[((points / (68, 87, 70)) ** 2).sum(axis=1) < 0.95]


def brain(sequence, shift=(0, 0, 0), turn=(0, 0, 0), spacing=(3.0, 3.0, 3.0), seed=0) -> tuple[Image, np.ndarray]:
    """One sequence of the reference patient, and its pose in the scanner."""
    scanned = BrainAcquisition(shift_mm=shift, turn_degrees=turn, spacing_mm=spacing, samples=(1, 1, 1))
    return scan_brain(scanned, sequences=(sequence,), seed=seed)[sequence].image, scanned.pose


def errors_mm(found, fixed_pose, moving_pose) -> np.ndarray:
    """How far each landmark of the fixed scan ends from its true place in the moving one."""
    fixed, moving = (landmarks() @ pose[:3, :3].T + pose[:3, 3] for pose in (fixed_pose, moving_pose))
    return np.linalg.norm(found.transform.moved(fixed) - moving, axis=1)


@given(angles, shifts, angles, shifts)
@settings(max_examples=40, deadline=None)
def test_inverse_and_composition(turn, shift, turn2, shift2):
    one, two = LinearTransform(rigid(turn, shift)), LinearTransform(rigid(turn2, shift2))
    points = landmarks()
    np.testing.assert_allclose(one.inverse().moved(one.moved(points)), points, atol=1e-8)
    np.testing.assert_allclose(one.then(two).moved(points), two.moved(one.moved(points)), atol=1e-8)


@pytest.mark.parametrize("degrees", [0.0, 0.001, 7.0, 90.0, 179.0])
def test_the_angle_is_that_of_the_rotation(degrees):
    assert LinearTransform(rigid((0, 0, degrees), (5, 6, 7))).degrees == pytest.approx(degrees, abs=1e-6)


def test_what_is_no_rigid_transform_is_refused():
    with pytest.raises(GeometryError, match="changes distances"):
        LinearTransform(np.diag([1.01, 1, 1, 1]))
    with pytest.raises(GeometryError, match="without mirroring"):
        LinearTransform(np.diag([-1.0, 1, 1, 1]), "affine")
    assert LinearTransform(np.diag([1.01, 1, 1, 1]), "affine").then(IDENTITY).kind == "affine"


def test_resampling_by_whole_voxels_is_exact_and_says_what_lies_outside():
    voxels = np.random.default_rng(3).normal(size=(6, 7, 8)).astype(np.float32)
    matrix = np.array([[-2.0, 0, 0, 5], [0, 1.5, 0, -9], [0, 0, 3, 4], [0, 0, 0, 1]])
    image = Image(voxels, matrix, modality="MR")
    shift = np.eye(4)
    shift[:3, 3] = (-4.0, 1.5, 0.0)  # two voxels along i, one along j
    found = resampled(image, image, LinearTransform(shift), outside=-7.0)
    np.testing.assert_allclose(found.voxels[:, :-1, :-2], voxels[:, 1:, 2:], atol=1e-5)
    assert (found.voxels[:, -1] == -7.0).all() and (found.voxels[:, :, -2:] == -7.0).all()
    assert found.modality == "MR" and shown_share(image, image) == 1.0
    broken = voxels.copy()
    broken[2, 2, 2] = np.nan
    assert np.isfinite(resampled(replace(image, voxels=broken), image, outside=0.0).voxels).all()


@given(st.sampled_from(sorted(GRIDS)), st.sampled_from(sorted(GRIDS)), st.tuples(*[st.floats(-20, 20)] * 3))
@settings(max_examples=30, deadline=None)
def test_resampling_follows_the_transform_on_any_two_grids(fixed_grid, moving_grid, turn):
    """Values that are linear in RAS come back exactly: what is seen at p is the moving image's value at T(p)."""
    slope = np.array([1.0, -2.0, 3.0])

    def values(matrix, shape):
        ijk = np.stack(np.meshgrid(*[np.arange(size) for size in shape], indexing="ij"), -1)[..., ::-1]
        return ijk @ matrix[:3, :3].T + matrix[:3, 3]

    moving_matrix, fixed_matrix = np.array(GRIDS[moving_grid]), np.array(GRIDS[fixed_grid])
    moving = Image((values(moving_matrix, (20, 22, 24)) @ slope).astype(np.float32), moving_matrix)
    fixed = Image(np.zeros((9, 8, 7), np.float32), fixed_matrix)
    middles = [values(matrix, shape)[tuple(size // 2 for size in shape)] for matrix, shape in
               ((fixed_matrix, fixed.shape_kji), (moving_matrix, moving.shape_kji))]  # fmt: skip
    turned = rigid(turn)
    turned[:3, 3] = middles[1] - turned[:3, :3] @ middles[0]
    found = resampled(moving, fixed, LinearTransform(turned), outside=np.nan).voxels
    places = LinearTransform(turned).moved(values(fixed_matrix, fixed.shape_kji).reshape(-1, 3))
    ijk = (places - moving_matrix[:3, 3]) @ np.linalg.inv(moving_matrix[:3, :3]).T
    last = np.array(moving.shape_kji[::-1]) - 1
    inside, outside = ((ijk >= 0) & (ijk <= last)).all(axis=1), ((ijk < -0.51) | (ijk > last + 0.51)).any(axis=1)
    assert inside.sum() > 20 and np.isnan(found.ravel()[outside]).all()
    np.testing.assert_allclose(found.ravel()[inside], (places @ slope)[inside], atol=0.01)


@pytest.mark.parametrize("grid", [pytest.param("oblique", marks=pytest.mark.slow), "left-handed"])
def test_a_turned_grid_is_no_move(grid):
    """The same head on a grid with other axes: nothing is to be found."""
    fixed, _ = brain("T1c")
    turned = np.array(GRIDS[grid])
    turned[:3, :3] *= 3.0 / np.linalg.norm(turned[:3, :3], axis=0)
    turned[:3, 3] = -turned[:3, :3] @ (30, 30, 30)
    other = resampled(fixed, Image(np.zeros((60, 60, 60), np.float32), turned), outside=0.0)
    found = register_rigid(fixed, other)
    assert found.moved_mm[1] < 0.5 and found.degrees < 0.5


def test_another_contrast_turned_and_shifted_is_found_to_under_a_millimeter():
    fixed, fixed_pose = brain("T1c")
    moving, moving_pose = brain("FLAIR", (9, -7, 6), (6, -5, 9), seed=5)
    found = register_rigid(fixed, moving)
    errors = errors_mm(found, fixed_pose, moving_pose)
    assert found.improved and not found.doubts and found.metric_after > found.metric_before
    assert errors.mean() < 1.0 and errors.max() < 1.5
    true = LinearTransform(moving_pose @ np.linalg.inv(fixed_pose))
    assert found.degrees == pytest.approx(true.degrees, abs=1.0)
    assert found.moved_mm[0] == pytest.approx(true.moved_mm(fixed)[0], abs=1.0)
    again = register_rigid(fixed, moving)
    np.testing.assert_array_equal(again.transform.fixed_to_moving_ras, found.transform.fixed_to_moving_ras)
    assert again.as_dict() == found.as_dict()


def test_images_in_place_stay_where_they_are():
    fixed, _ = brain("T1c")
    moving, _ = brain("FLAIR", seed=5)
    found = register_rigid(fixed, moving)
    assert found.moved_mm[1] < 0.5 and found.degrees < 0.5
    same = register_rigid(fixed, fixed)
    assert not same.improved and same.transform is IDENTITY and same.moved_mm == (0.0, 0.0)


def test_noise_is_not_said_to_be_aligned():
    fixed, _ = brain("T1c")
    noise = np.random.default_rng(1).normal(size=(24, 24, 24)).astype(np.float32)
    found = register_rigid(replace(fixed, voxels=fixed.voxels[:30]), Image(noise, np.diag([6.0, 6.0, 6.0, 1.0])))
    assert not found.improved and found.transform is IDENTITY
    assert found.doubts == ("the two images have next to nothing in common",)


def test_cancel_and_what_is_too_thin():
    fixed, _ = brain("T1c")
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        register_rigid(fixed, fixed, cancel=token)
    with pytest.raises(GeometryError, match="fewer than 4 voxels"):
        register_rigid(fixed, replace(fixed, voxels=fixed.voxels[:2]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shift", "turn", "spacing", "change", "mean_mm"),
    [
        ((15, 0, 0), (15, 0, 0), (1, 1, 1), "", 1.0),
        ((-8, 9, 9), (-5, 12, -8), (1, 1, 1), "inverted", 1.0),
        ((9, 7, -9), (-9, 8, 8), (1, 1, 5), "", 1.5),
        ((3, -2, 4), (4, -3, 6), (1, 1, 1), "cropped", 1.0),
    ],
)
def test_fine_grids_thick_slices_inverted_contrast_and_half_a_head(shift, turn, spacing, change, mean_mm):
    fixed, fixed_pose = brain("T1c", spacing=(1, 1, 1))
    moving, moving_pose = brain("FLAIR", shift, turn, spacing, seed=5)
    if change == "inverted":
        moving = replace(moving, voxels=(1000 - moving.voxels).astype(np.int16))
    if change == "cropped":
        matrix, start = moving.ijk_to_ras.copy(), moving.shape_kji[0] // 3
        matrix[:3, 3] += matrix[:3, 2] * start
        moving = replace(moving, voxels=moving.voxels[start:], ijk_to_ras=matrix)
    found = register_rigid(fixed, moving)
    errors = errors_mm(found, fixed_pose, moving_pose)
    assert found.improved and errors.mean() < mean_mm and errors.max() < 2 * mean_mm


def test_a_header_that_names_a_wrong_orientation_is_seen_through_and_told():
    """Before, the search ended 1 degree off the identity with a metric that nobody doubted."""
    fixed, pose = brain("T1c", spacing=(4.0, 4.0, 4.0))
    moving, own = brain("FLAIR", spacing=(4.0, 4.0, 4.0), seed=5)
    wrong = rigid((0, 0, 90), (0, 0, 0))
    found = register_rigid(fixed, replace(moving, ijk_to_ras=wrong @ moving.ijk_to_ras))
    assert errors_mm(found, pose, wrong @ own).mean() < 1.0 and found.start == "turned"
    assert found.doubts == ("a turn by 90 degrees is more than a patient makes between two series of one day",)
    assert not register_rigid(fixed, moving).doubts

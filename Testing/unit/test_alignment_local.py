"""A refinement around a lesion is used where it is better than the whole scan's transform, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers_alignment import region, scene, shift
from LongitudinalCompareLib.alignment import alignment, transform_at, with_manual_point
from LongitudinalCompareLib.alignment_local import with_refinements
from OncoLib.errors import Cancelled
from OncoLib.phantom.solids import rigid
from OncoLib.progress import CancelToken
from OncoLib.registration.presets import PRESETS
from OncoLib.registration.transform import LinearTransform

FIXED = scene(lesion_mm=8.0, seed=1)
POSE = rigid((4, -3, 6), (5, 9, -7))
MOVING = scene(POSE, spacing_mm=(2.0, 2.0, 4.0), seed=2)
TRUE = LinearTransform(POSE)


def refined(transform, moving=MOVING, **given):
    """The verdict before and after."""
    first = alignment(FIXED, moving, transform, [region()])
    return first.regions[0], with_refinements(FIXED, moving, transform, [region()], first, PRESETS["any"], **given)


@pytest.mark.parametrize("off", [(7.0, 0.0, 0.0), (0.0, -6.0, 5.0)])
def test_a_transform_that_is_off_at_the_lesion_is_refined_there(off):
    wrong = TRUE.then(shift(*off))
    before, after = refined(wrong)
    one = after.regions[0]
    assert before.verdict != "good"
    assert (one.verdict, one.placed_by, after.overall) == ("good", "local", "good") and one.automatic_change_allowed
    np.testing.assert_allclose(one.moved_ras_mm, POSE[:3, 3], atol=1.0)
    at = transform_at(after, one.name, wrong).moved(np.array([one.center_ras_mm]))[0]
    np.testing.assert_allclose(at, one.moved_ras_mm, atol=1e-9)
    off_mm = np.linalg.norm(np.subtract(one.moved_ras_mm, before.moved_ras_mm))
    assert one.reasons[0] == f"Placed by a refinement around it, {off_mm:.1f} mm from where the whole scan's transform puts it."
    np.testing.assert_array_equal(one.as_dict()["local_fixed_to_moving_ras"], one.local.fixed_to_moving_ras)


def test_a_good_transform_stays():
    before, after = refined(TRUE)
    assert before.verdict == "good" and after.regions[0] is not None
    assert (after.regions[0].placed_by, after.regions[0].local) == ("registration", None)
    assert after.regions[0].as_dict() == before.as_dict()


def test_where_nothing_is_alike_the_verdict_stays():
    noise = replace(MOVING, voxels=np.random.default_rng(3).normal(size=MOVING.shape_kji).astype(np.float32))
    before, after = refined(TRUE, noise)
    assert before.verdict != "good" and after.regions[0].as_dict() == before.as_dict()


def test_a_point_by_hand_counts_from_the_refinement():
    wrong = TRUE.then(shift(7.0, 0.0, 0.0))
    _, after = refined(wrong)
    placed = with_manual_point(after, after.regions[0].name, (1.0, 2.0, 3.0))
    one = placed.regions[0]
    assert one.placed_by == "manual" and not one.automatic_change_allowed
    at = transform_at(placed, one.name, wrong).moved(np.array([one.center_ras_mm]))[0]
    np.testing.assert_allclose(at, (1.0, 2.0, 3.0), atol=1e-6)


def test_cancel():
    token = CancelToken()
    token.cancel()
    first = alignment(FIXED, MOVING, TRUE, [region()])
    with pytest.raises(Cancelled):
        with_refinements(FIXED, MOVING, TRUE, [region()], first, PRESETS["any"], cancel=token)

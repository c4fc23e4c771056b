"""Presets, the copies that are registered, all kinds of SimpleITK against known maps, and the same result twice."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from helpers import PACKAGE_PARENTS, ROOT, ball
from helpers_registration import POSE, error_mm, landmarks, pair, smooth_warp, soft_tissue
from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.phantom.solids import rigid
from OncoLib.registration.engine import FAST, FAST_TOLERANCE_MM, Choice, register
from OncoLib.registration.limits import jacobian_range, limited
from OncoLib.registration.preparing import body, prepared
from OncoLib.registration.presets import PRESETS, preset_for, preset_named
from OncoLib.registration.transform import LinearTransform

PRESET = PRESETS["ct-abdomen"]
STRETCH = LinearTransform(np.diag([1.05, 0.96, 1.03, 1]) @ rigid((3, -2, 4), (5, -6, 4)), "affine")


def test_a_preset_is_chosen_and_told():
    ct = soft_tissue()
    assert preset_for(ct)[0].id == "ct-torso" and "no part of the body was named" in preset_for(ct)[1]
    mr = replace(ct, modality="MR")
    assert preset_for(mr)[0].id == "mr-brain" and preset_for(replace(mr, ijk_to_ras=np.diag([8.0, 8, 8, 1])))[0].id == "mr-body"
    assert preset_for(replace(ct, modality=""))[0].id == "any" and preset_for(ct, "ct-spine")[0].id == "ct-spine"
    with pytest.raises(InputError, match="the preset mr-brain is for MR, and the image is CT"):
        preset_for(ct, "mr-brain")
    with pytest.raises(InputError, match="no preset 'knee'; there are auto, mr-brain"):
        preset_named("knee")
    with pytest.raises(InputError, match="has no registration 'deformable'"):
        Choice(PRESETS["ct-spine"], "deformable")
    with pytest.raises(InputError, match="no registration engine 'niftyreg'"):
        Choice(PRESET, engine="niftyreg")


def test_the_copy_has_neither_couch_nor_far_values_and_the_scan_is_as_it_was():
    voxels = np.full((30, 60, 60), -1000, np.int16)
    voxels[ball((30, 60, 60), (15, 25, 30), 16, (2.0, 2.0, 2.0))] = 50
    voxels[15, 25, 30] = 3000
    voxels[:, 40:42, :] = -80  # a shell of the couch, 4 mm thick
    image = Image(voxels, np.diag([2.0, 2.0, 2.0, 1.0]), "CT", "HU")
    before = voxels.copy()
    copy = prepared(image, replace(PRESET, grid_mm=2.0))
    assert (voxels == before).all() and copy.voxels.max() == 240 and copy.voxels.min() == -160
    assert (copy.voxels[:, 40:42] == -160).all() and 0.97 < (copy.voxels > -160).sum() / (voxels >= 50).sum() <= 1
    coarse = prepared(image, PRESETS["any"], mask=np.arange(60)[None, None, :].repeat(60, 1).repeat(30, 0) < 30)
    assert coarse.voxels[:, :, coarse.shape_kji[2] // 2 :].max() == coarse.voxels.min() == -1000
    assert body(replace(image, voxels=np.full((9, 9, 9), -1000, np.int16)), -400).all()


def test_the_bias_of_a_coil_is_taken_from_the_copy():
    random = np.random.default_rng(0)
    head = ball((48, 48, 48), (24, 24, 24), 40, (2.0, 2.0, 2.0))
    bias = np.linspace(0.6, 1.4, 48)[:, None, None]
    voxels = np.where(head, 400.0, 5.0) * bias + random.normal(0, 3, head.shape)
    image = Image(voxels.astype(np.float32), np.diag([2.0, 2, 2, 1]), "MR")
    even = prepared(image, PRESETS["mr-brain"]).voxels

    def ratio(voxels):
        inner = ball((48, 48, 48), (24, 24, 24), 34, (2.0, 2.0, 2.0))
        return voxels[34:40][inner[34:40]].mean() / voxels[8:14][inner[8:14]].mean()

    assert ratio(image.voxels) > 1.4 and abs(ratio(even) - 1) < 0.15


@pytest.mark.parametrize("kind", ["rigid", pytest.param("affine", marks=pytest.mark.slow)])
def test_the_map_is_found(kind):
    true = POSE if kind == "rigid" else STRETCH
    found = register(*pair(true), Choice(PRESET, kind))
    assert found.transform.kind == kind and not found.doubts and found.improved
    assert error_mm(found.transform, true).mean() < 0.5
    assert found.parameters["preset"]["id"] == "ct-abdomen" and found.parameters["mode"] == "deterministic"


@pytest.mark.slow
def test_a_deformation_is_followed_and_a_lesion_does_not_lead_it():
    true = smooth_warp()
    fixed, moving = pair(true)
    plain = register(fixed, moving, Choice(PRESET, "deformable"))
    stiff = error_mm(plain.transform.linear, true).mean()
    assert plain.transform.kind == "deformable" and error_mm(plain.transform, true).mean() < 0.6 * stiff
    low, high = jacobian_range(plain.transform, fixed)
    assert 0.5 <= low < high <= 2.0
    mask = np.zeros(fixed.shape_kji, bool)
    mask[18:26, 18:26, 18:26] = True
    left = register(fixed, moving, Choice(PRESET, "deformable"), exclude=mask)
    assert left.parameters["excluded_voxels"] > 0
    assert left.transform.kind == "deformable" and error_mm(left.transform, true).mean() < 0.8 * stiff


def test_a_squeeze_beyond_the_limits_is_left_out():
    fixed = soft_tissue()
    strong = smooth_warp(most_mm=60.0)
    kept, doubts = limited(strong, fixed)
    assert kept is strong.linear and "was left out; the rigid part is used" in doubts[0]
    assert limited(POSE, fixed) == (POSE, ()) and limited(smooth_warp(most_mm=3.0), fixed)[1] == ()


@pytest.mark.slow
def test_a_looser_kind_does_not_stretch_what_is_only_posed():
    found = register(*pair(POSE), Choice(PRESET, "similarity")).transform
    assert found.kind in ("rigid", "similarity") and abs(found.jacobian(landmarks()[:1])[0] - 1) < 0.02
    assert error_mm(found, POSE).mean() < 0.5


TWICE = """
import sys
sys.path[:0] = {path!r}
from helpers_registration import pair, POSE
from OncoLib.registration.engine import Choice, register
from OncoLib.registration.presets import PRESETS
print(register(*pair(POSE), Choice(PRESETS["ct-abdomen"])).transform.fixed_to_moving_ras.tobytes().hex())
"""


@pytest.mark.slow
def test_two_processes_give_the_same_bit_for_bit():
    code = TWICE.format(path=[*PACKAGE_PARENTS, str(ROOT / "Testing")])
    one, two = (subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert one == two and len(one.strip()) == 16 * 8 * 2


@pytest.mark.slow
def test_the_fast_mode_keeps_its_tolerance():
    fixed, moving = pair(POSE)
    points = landmarks()
    ends = [register(fixed, moving, Choice(PRESET, mode=FAST)).transform.moved(points) for _ in range(2)]
    assert np.linalg.norm(ends[0] - ends[1], axis=1).max() < FAST_TOLERANCE_MM

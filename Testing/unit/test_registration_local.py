"""Refinement around one place: an organ that moved against the rest is found, and nothing is invented in even tissue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage as ndimage

from OncoLib.errors import GeometryError
from OncoLib.image import Image
from OncoLib.phantom.solids import rigid
from OncoLib.registration.local import cropped, refined, rigid_at
from OncoLib.registration.presets import PRESETS
from OncoLib.registration.resampling import resampled
from OncoLib.registration.transform import IDENTITY, LinearTransform

PRESET = PRESETS["ct-abdomen"]
MATRIX = np.array([[-2.0, 0, 0, 60], [0, 2, 0, -50], [0, 0, 2, 100], [0, 0, 0, 1]])


def pattern(seed=0) -> Image:
    """Soft tissue with blobs of a centimeter and some noise, HU."""
    random = np.random.default_rng(seed)
    blobs = ndimage.gaussian_filter(random.normal(size=(60, 60, 60)), 3.0)
    voxels = 50 + 60 * blobs / blobs.std() + random.normal(0, 3, blobs.shape)
    return Image(voxels.astype(np.float32), MATRIX, "CT", "HU")


@pytest.mark.parametrize("with_mask", [False, True])
def test_a_part_that_moved_by_itself_is_found(with_mask):
    """Half of the volume lies 6 mm further and 4 degrees turned; the start knows nothing of it."""
    fixed = pattern()
    true = LinearTransform(rigid((0, 0, 4), (4, -4, 2)))
    moving = resampled(fixed, fixed, true.inverse(), outside=0.0)
    center = np.array([[10.0, 0.0, 160.0]])
    mask = np.zeros(fixed.shape_kji, bool)
    mask[20:40, 15:35, 15:35] = True
    found = refined(fixed, moving, IDENTITY, center[0], 25.0, preset=PRESET, mask=mask if with_mask else None)
    around = center + np.array([(0, 0, 0), (10, 0, 0), (0, 10, 0), (0, 0, -10)])
    assert found.improved and not found.doubts and found.transform.kind == "rigid"
    assert np.linalg.norm(found.transform.moved(around) - true.moved(around), axis=1).max() < 0.7
    assert found.metric_after > found.metric_before


def test_nothing_is_invented():
    fixed = pattern()
    even = replace(fixed, voxels=np.random.default_rng(2).normal(100, 10, fixed.shape_kji).astype(np.float32))
    start = LinearTransform(rigid((0, 0, 3), (1, 2, 3)))
    found = refined(even, even, start, (0, 0, 160), 20.0, preset=PRESET)
    assert found.transform is start and found.doubts == ("the region holds nothing but one even tissue; not refined",)
    other = refined(fixed, pattern(seed=9), start, (0, 0, 160), 20.0, preset=PRESET)
    assert other.transform is start and not other.improved
    far = refined(fixed, fixed, LinearTransform(rigid((0, 0, 0), (500, 0, 0))), (0, 0, 160), 20.0, preset=PRESET)
    assert far.doubts == ("the other scan does not show this place; not refined",)
    few = np.zeros(fixed.shape_kji, bool)
    few[0, 0, 0] = True
    small = refined(fixed, fixed, start, (0, 0, 160), 20.0, preset=PRESET, mask=few)
    assert small.doubts == ("only 0 voxels are in the region; not refined",)
    same = refined(fixed, fixed, IDENTITY, (0, 0, 160), 20.0, preset=PRESET)
    assert same.transform is IDENTITY and not same.improved and not same.doubts
    with pytest.raises(GeometryError, match="outside of the fixed image"):
        refined(fixed, fixed, start, (900, 0, 0), 20.0, preset=PRESET)


def test_a_crop_stays_in_its_place_and_the_rigid_start_meets_the_point():
    fixed = pattern()
    part = cropped(fixed, np.array([10.0, 0.0, 160.0]), 8.0)
    place = part.ijk_to_ras @ (1, 2, 3, 1)
    i, j, k = np.round(np.linalg.inv(fixed.ijk_to_ras) @ place).astype(int)[:3]
    assert part.voxels[3, 2, 1] == fixed.voxels[k, j, i] and part.shape_kji == (9, 9, 9)
    stretched = LinearTransform(np.diag([1.2, 1, 1, 1]) @ rigid((0, 0, 20), (5, 6, 7)), "affine")
    near = rigid_at(stretched, np.array([30.0, 40.0, 50.0]))
    np.testing.assert_allclose(near.moved([[30.0, 40.0, 50.0]]), stretched.moved([[30.0, 40.0, 50.0]]), atol=1e-9)

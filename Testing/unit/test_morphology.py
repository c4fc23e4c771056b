"""Mask operations against brute force in mm, scipy's own functions, and the laws of mathematical morphology.

A ball of `radius_mm` is a set of whole voxels, so an operation may differ from the exact one by up to one voxel at the
surface. The tests pin both: the exact element by its definition, and the distance in mm by the definition of a distance.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage as ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import ball
from OncoLib import morphology
from OncoLib.errors import InputError

SPACINGS = [(1.0, 1.0, 1.0), (3.0, 0.7, 0.7), (0.8, 0.8, 2.5), (5.0, 1.0, 0.5)]
QUICK = settings(max_examples=40, deadline=None)


@st.composite
def masks(draw, largest: int = 12) -> np.ndarray:
    """Speckle of any density, from empty to full."""
    shape = draw(st.tuples(*[st.integers(2, largest)] * 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return random.random(shape) < draw(st.sampled_from((0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 1.0)))


def distances_mm(mask: np.ndarray, spacing) -> np.ndarray:
    """Distance of every voxel center to the nearest center of the mask, by looking at every pair."""
    places = np.argwhere(np.ones(mask.shape, bool)) * spacing
    inside = np.argwhere(mask) * spacing
    squares = ((places[:, None, :] - inside[None, :, :]) ** 2).sum(axis=2)
    return np.sqrt(squares.min(axis=1)).reshape(mask.shape)


@QUICK
@given(masks(8), st.sampled_from(SPACINGS), st.floats(0.3, 12.0))
def test_within_is_exact_in_mm(mask, spacing, reach):
    found = morphology.within(mask, reach, spacing)
    if not mask.any():
        assert not found.any()
        return
    distance = distances_mm(mask, spacing)
    sure = np.abs(distance - reach) > 1e-3
    np.testing.assert_array_equal(found[sure], (distance <= reach)[sure])


@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
def test_within_counts_the_border_itself(spacing):
    """Two voxels exactly 3 steps apart are within exactly 3 steps."""
    mask = np.zeros((9, 9, 9), bool)
    mask[4, 4, 4] = True
    for axis in range(3):
        found = morphology.within(mask, 3 * spacing[axis], spacing)
        at = [4, 4, 4]
        at[axis] = 7
        assert found[tuple(at)]
        at[axis] = 8
        assert not found[tuple(at)]


def test_within_of_a_full_mask_is_full():
    assert morphology.within(np.ones((4, 5, 6), bool), 2.0, (1.0, 1.0, 1.0)).all()


def element(radius_mm: float, spacing) -> np.ndarray:
    """ITK's ball: grid points in the ellipsoid whose half axes are half a voxel longer than the whole-voxel radius."""
    radius = [int(round(radius_mm / step)) for step in spacing]
    axes = [((np.arange(-r, r + 1)) / (r + 0.5)) ** 2 for r in radius]
    return axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :] <= 1.0


@QUICK
@given(masks(), st.sampled_from(SPACINGS), st.floats(0.3, 6.0))
def test_dilation_is_that_of_the_stated_element(mask, spacing, radius):
    wanted = ndimage.binary_dilation(mask, element(radius, spacing))
    np.testing.assert_array_equal(morphology.dilation(mask, radius, spacing), wanted)


@QUICK
@given(masks(), st.sampled_from(SPACINGS), st.floats(0.3, 6.0))
def test_erosion_is_that_of_the_stated_element_and_spares_the_field_of_view(mask, spacing, radius):
    wanted = ndimage.binary_erosion(mask, element(radius, spacing), border_value=1)
    np.testing.assert_array_equal(morphology.erosion(mask, radius, spacing), wanted)


@QUICK
@given(masks(), st.sampled_from(SPACINGS), st.floats(0.3, 4.0))
def test_closing_is_that_of_an_unbounded_image(mask, spacing, radius):
    """Padded by more than the element, closed there, cut back."""
    ball_of_voxels = element(radius, spacing)
    pad = [(side, side) for side in ball_of_voxels.shape]
    closed = ndimage.binary_closing(np.pad(mask, pad), ball_of_voxels)
    wanted = closed[tuple(slice(side, -side) for side in ball_of_voxels.shape)]
    np.testing.assert_array_equal(morphology.closing(mask, radius, spacing), wanted | mask)


@QUICK
@given(masks(), st.sampled_from(SPACINGS), st.floats(0.3, 6.0))
def test_the_laws_of_morphology(mask, spacing, radius):
    """Dilation and closing hold the mask, erosion and opening lie in it; opening and closing change nothing twice."""
    dilated, eroded = (operation(mask, radius, spacing) for operation in (morphology.dilation, morphology.erosion))
    opened, closed = (operation(mask, radius, spacing) for operation in (morphology.opening, morphology.closing))
    assert not (mask & ~dilated).any() and not (mask & ~closed).any()
    assert not (eroded & ~mask).any() and not (opened & ~mask).any()
    np.testing.assert_array_equal(morphology.opening(opened, radius, spacing), opened)
    np.testing.assert_array_equal(morphology.closing(closed, radius, spacing), closed)


@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
@pytest.mark.parametrize("radius", [1.0, 2.5, 4.0, 10.0])
def test_dilation_reaches_what_lies_within_its_radius_and_no_voxel_further(spacing, radius):
    """In mm: everything up to the radius is reached, nothing beyond it by more than one voxel's longest side."""
    shape = tuple(int(2 * np.ceil((radius + 6) / step) + 1) for step in spacing)
    center = [side // 2 for side in shape]
    mask = np.zeros(shape, bool)
    mask[tuple(center)] = True
    found = morphology.dilation(mask, radius, spacing)
    assert not (ball(shape, center, radius - 1e-6, spacing) & ~found).any()
    assert not (found & ~ball(shape, center, radius + max(spacing) + 1e-6, spacing)).any()


@pytest.mark.parametrize("radius", [1.0, 2.0, 3.0, 5.0])
def test_a_ball_grows_and_shrinks_by_the_stated_millimeters(radius):
    """A ball of 12 mm at 1 mm voxels grown by r has the volume of a ball of 12 + r mm, within half a voxel."""
    mask = ball((41, 41, 41), (20, 20, 20), 12.0)
    for operation, wanted in ((morphology.dilation, 12.0 + radius), (morphology.erosion, 12.0 - radius)):
        found = (3 * operation(mask, radius, (1.0, 1.0, 1.0)).sum() / (4 * np.pi)) ** (1 / 3)
        assert found == pytest.approx(wanted, abs=0.5)


def test_opening_cuts_a_bridge_that_is_thinner_than_the_ball():
    mask = ball((30, 30, 60), (15, 15, 14), 8.0) | ball((30, 30, 60), (15, 15, 45), 8.0)
    mask[14:17, 14:17, 14:46] = True
    opened = morphology.opening(mask, 3.0, (1.0, 1.0, 1.0))
    assert ndimage.label(mask)[1] == 1 and ndimage.label(opened)[1] == 2


@QUICK
@given(masks(), st.integers(1, 3))
def test_median_is_scipys_median_filter(mask, radius):
    wanted = ndimage.median_filter(mask.astype(np.uint8), size=2 * radius + 1, mode="nearest").astype(bool)
    np.testing.assert_array_equal(morphology.median(mask, radius), wanted)


@QUICK
@given(masks())
def test_holes_in_3d_are_those_of_scipy(mask):
    np.testing.assert_array_equal(morphology.fill_holes(mask), ndimage.binary_fill_holes(mask))


@QUICK
@given(masks(), st.sampled_from([(0,), (1,), (2,), (0, 1, 2)]))
def test_holes_in_slices_are_those_of_scipy_slice_by_slice(mask, axes):
    wanted = mask.copy()
    for axis in axes:
        filled = [ndimage.binary_fill_holes(plane) for plane in np.moveaxis(mask, axis, 0)]
        wanted |= np.moveaxis(np.stack(filled), 0, axis)
    np.testing.assert_array_equal(morphology.fill_holes_in_slices(mask, axes), wanted)


def islands_by_flood(mask: np.ndarray) -> list[np.ndarray]:
    """26-connected components, one by one, by growing a seed: largest first."""
    left, islands = mask.copy(), []
    while left.any():
        seed = np.zeros(mask.shape, bool)
        seed[tuple(np.argwhere(left)[0])] = True
        island = ndimage.binary_propagation(seed, np.ones((3, 3, 3)), mask)
        islands.append(island)
        left &= ~island
    return sorted(islands, key=lambda island: -island.sum())


@QUICK
@given(masks(9), st.integers(1, 4))
def test_largest_islands(mask, keep):
    islands = islands_by_flood(mask)
    found = morphology.largest_islands(mask, keep)
    assert sorted(map(np.sum, islands_by_flood(found))) == sorted(island.sum() for island in islands[:keep])
    assert not (found & ~mask).any()


@QUICK
@given(masks(9), st.integers(1, 30))
def test_islands_of_at_least_a_volume(mask, voxels):
    """0.7 x 0.8 x 2.5 mm voxels of 0.0014 ml; an island of exactly the volume stays."""
    found = morphology.islands_of_at_least(mask, voxels * 0.0014, 0.7 * 0.8 * 2.5 / 1000)
    wanted = np.zeros(mask.shape, bool)
    for island in islands_by_flood(mask):
        wanted |= island if island.sum() >= voxels else False
    np.testing.assert_array_equal(found, wanted)


@QUICK
@given(masks())
def test_the_bounding_box_holds_the_mask_and_nothing_is_smaller(mask):
    if not mask.any():
        with pytest.raises(InputError, match="the mask is empty"):
            morphology.bounding_box(mask)
        return
    box = morphology.bounding_box(mask)
    places = np.argwhere(mask)
    assert [(part.start, part.stop) for part in box] == list(zip(places.min(axis=0), places.max(axis=0) + 1))


@pytest.mark.parametrize("name", ["dilation", "erosion", "opening", "closing", "within"])
def test_the_given_mask_is_never_changed_and_never_shared(name):
    mask = ball((9, 9, 9), (4, 4, 4), 2.0)
    for given_mask in (mask, np.zeros_like(mask), np.ones_like(mask)):
        before = given_mask.copy()
        for radius in (0.1, 2.0):
            found = getattr(morphology, name)(given_mask, radius, (1.0, 1.0, 1.0))
            assert found.dtype == bool and not np.shares_memory(found, given_mask)
        np.testing.assert_array_equal(given_mask, before)

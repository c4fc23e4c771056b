"""The same voxels in another order: put in order without resampling, or not at all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from helpers import GRIDS
from OncoLib.same_voxels import in_order_of

SHAPE = (4, 5, 6)


def turned(array, matrix, axes, flips):
    """The same voxels stored with exchanged and turned axes: array and matrix by arithmetic on indices."""
    out = array.transpose(axes)[tuple(slice(None, None, flip) for flip in flips)]
    # index (i, j, k) of `out` -> index of `array`
    index = np.zeros((4, 4))
    index[3, 3] = 1
    for new_axis in range(3):
        old_axis = axes[new_axis]
        new, old = 2 - new_axis, 2 - old_axis
        index[old, new] = flips[new_axis]
        index[old, 3] = 0 if flips[new_axis] > 0 else array.shape[old_axis] - 1
    return out, matrix @ index


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", list(itertools.product((1, -1), repeat=3)))
def test_any_order_comes_back(grid, axes, flips):
    array = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    stored, matrix = turned(array, GRIDS[grid], axes, flips)
    found = in_order_of(stored, matrix, GRIDS[grid], SHAPE)
    np.testing.assert_array_equal(found, array)


def test_other_voxels_are_not_taken_for_the_same():
    array, matrix = np.zeros(SHAPE, np.uint8), GRIDS["oblique"]
    for change in (np.diag([1.01, 1, 1, 1]), np.array([[1, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])):
        assert in_order_of(array, matrix @ change, matrix, SHAPE) is None
    assert in_order_of(array, matrix, matrix, (4, 5, 7)) is None
    assert in_order_of(np.zeros((4, 6, 5)), matrix, matrix, SHAPE) is None


def test_rounding_of_files_is_allowed():
    array, matrix = np.zeros(SHAPE, np.uint8), GRIDS["left-handed"]
    assert in_order_of(array, matrix.astype(np.float32).astype(float), matrix, SHAPE) is not None

"""Connected components found block by block are those of the whole mask."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from OncoLib.components import NEIGHBORS, components


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(1, 30)] * 3), st.floats(0.005, 0.35), st.integers(0, 2**31), st.integers(1, 5))
def test_pieces_are_scipys_components(shape, density, seed, least):
    mask = np.random.default_rng(seed).random(shape) < density
    pieces, specks = components(mask, least)
    labels, count = ndimage.label(mask, NEIGHBORS)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    assert sorted(one.voxels for one in pieces) == sorted(size for size in sizes if size >= least)
    assert sum(one.count for one in specks) == int((sizes < least).sum())
    again = np.zeros(shape, int)
    for one in pieces:
        assert len(np.unique(labels[one.box][one.mask])) == 1, "a piece is of one component"
        assert all(one.mask.any(axis=tuple(x for x in range(3) if x != axis))[[0, -1]].all() for axis in range(3)), "tight box"
    for one in (*pieces, *specks):
        again[one.box] += one.mask
    np.testing.assert_array_equal(again, mask), "each voxel once"


def test_pieces_that_touch_at_a_corner_of_two_blocks_are_one():
    mask = np.zeros((16, 16, 16), bool)
    mask[7, 7, 7] = mask[8, 8, 8] = mask[0, 15, 0] = True
    pieces, _specks = components(mask)
    assert sorted(one.voxels for one in pieces) == [1, 2]
    assert components(np.zeros((3, 4, 5), bool)) == ([], [])

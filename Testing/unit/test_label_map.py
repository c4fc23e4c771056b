"""Plain label maps as segmentations: every value a segment, nothing made up; images are refused."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import LEFT_HANDED, image
from OncoLib.errors import InputError
from OncoLib.label_map import distinct_color, segmentation_of_labels


@pytest.mark.parametrize("kind", ["uint8", "int8", "uint16", "int32", "int64", "uint64", "float32", "float64"])
def test_each_value_becomes_a_segment_with_its_voxels(kind):
    voxels = np.zeros((3, 4, 5), kind)
    voxels[0, 0, :2], voxels[2, 3, 4] = 7, 100
    found = segmentation_of_labels(image(voxels, LEFT_HANDED))
    assert [(segment.label, segment.name) for segment in found.segments] == [(7, "Label 7"), (100, "Label 100")]
    assert [int(found.mask(segment).sum()) for segment in found.segments] == [2, 1]
    assert np.array_equal(found.ijk_to_ras, LEFT_HANDED)
    assert all("no names and no codes" in segment.flags[0] for segment in found.segments)


def test_large_labels_are_kept():
    voxels = np.zeros((2, 2, 2), np.int64)
    voxels[0, 0, 0] = 70000
    found = segmentation_of_labels(image(voxels))
    assert found.mask(found.segments[0]).sum() == 1


@pytest.mark.parametrize(
    ("voxels", "told"),
    [
        (np.zeros((2, 2, 2), np.uint8), "empty"),
        (np.full((2, 2, 2), -1, np.int16), "-1"),
        (np.full((2, 2, 2), 0.5, np.float32), "no whole numbers"),
        (np.full((2, 2, 2), np.nan, np.float32), "wanted"),
        (np.full((2, 2, 2), 2**40, np.int64), "wanted labels"),
        (np.arange(1500, dtype=np.int16).reshape(10, 10, 15), "not an image"),
    ],
)
def test_what_is_no_label_map_is_refused(voxels, told):
    with pytest.raises(InputError, match=told):
        segmentation_of_labels(image(voxels))


def test_colors_of_neighbors_differ():
    colors = [distinct_color(number) for number in range(40)]
    assert len(set(colors)) == 40
    for first, second in zip(colors, colors[1:]):
        assert np.abs(np.subtract(first, second)).sum() > 60

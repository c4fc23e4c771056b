"""Lesions of a date from segmentations and masks, with their measures on the native grid."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import BONE, MASS, OBLIQUE, segment, segmentation
from LongitudinalCompareLib.lesion_track import LesionKey
from LongitudinalCompareLib.lesions_of import lesions_of, lesions_of_mask
from OncoLib.diameters import in_plane_diameters
from OncoLib.errors import InputError
from OncoLib.terminology import CodedConcept

LUNG = CodedConcept("SCT", "39607008", "Lung")


def boxes() -> np.ndarray:
    """Three boxes of 2x3x4, 1x1x1 and 3x3x3 voxels (k, j, i)."""
    layer = np.zeros((12, 14, 16), np.uint8)
    layer[1:3, 1:4, 1:5], layer[8, 8, 8], layer[8:11, 1:4, 10:13] = 1, 2, 3
    return layer


def test_each_segment_that_is_a_lesion_is_one_with_its_measures():
    segments = (segment(1, "one", entry=MASS), segment(2, "two", entry=MASS), segment(3, "bone", entry=BONE))
    found = lesions_of(segmentation([boxes()], OBLIQUE, segments), 2, sites={"one": ("Lung, left", LUNG)})
    assert [item.key for item in found] == [LesionKey(2, "one"), LesionKey(2, "two")]
    one = found[0]
    assert one.volume_ml == pytest.approx(24 * 0.7 * 0.9 * 3.0 / 1000)
    assert one.measurements["volume_ml"].value == pytest.approx(one.volume_ml)
    assert one.measurements["longest_diameter_mm"].value == pytest.approx(np.hypot(3 * 0.7, 3 * 0.9), rel=0.15)
    assert (one.site, one.site_code, one.entry) == ("Lung, left", LUNG, MASS)
    assert one.centroid_ras_mm == pytest.approx((OBLIQUE @ (2.5, 2.0, 1.5, 1.0))[:3])
    assert one.radius_mm == pytest.approx((3 * one.volume_ml * 1000 / (4 * np.pi)) ** (1 / 3))


def test_a_chosen_segment_need_not_be_a_lesion_and_an_empty_one_is_left_out():
    segments = (segment(1, "one"), segment(9, "empty"))
    found = lesions_of(segmentation([boxes()], OBLIQUE, segments), 0, segments)
    assert [item.key.name for item in found] == ["one"]


def test_two_lesions_of_one_name_are_refused():
    segments = (segment(1, "same", entry=MASS), segment(2, "same", entry=MASS))
    with pytest.raises(InputError, match="2 lesions of date 1 are called 'same'"):
        lesions_of(segmentation([boxes()], OBLIQUE, segments), 0)


def test_components_of_a_mask_are_numbered_by_size():
    found = lesions_of_mask(boxes() > 0, np.eye(4), 1)
    sizes = {item.key.name: round(1000 * item.volume_ml) for item in found}
    assert sizes == {"Lesion 1": 27, "Lesion 2": 24, "Lesion 3": 1}
    assert set(found[0].measurements) == {"volume_ml", "longest_diameter_mm", "short_axis_mm"}
    large = lesions_of_mask(boxes() > 0, np.eye(4), 1, least_voxels=2, diameters=False)
    assert [sorted(item.measurements) for item in large] == [["volume_ml"], ["volume_ml"]]


def test_points_are_held_by_the_voxels_that_they_lie_in():
    one = lesions_of_mask(boxes() > 0, OBLIQUE, 0)[1]
    corners = np.array([(0.51, 0.51, 0.51), (4.49, 3.49, 2.49), (0.49, 1.0, 1.0), (1.0, 1.0, 2.51)])
    points = corners @ OBLIQUE[:3, :3].T + OBLIQUE[:3, 3]
    assert one.holds(points).tolist() == [True, True, False, False]
    ends = np.array([(-0.49, 0, 0), (-0.51, 0, 0), (15.49, 13.49, 11.49), (15.51, 0, 0)])
    assert one.in_field(ends @ OBLIQUE[:3, :3].T + OBLIQUE[:3, 3]).tolist() == [True, False, True, False]


def test_lines_lie_in_the_whole_grid_and_have_the_lengths_of_the_measures():
    layer = np.zeros((9, 10, 12), np.uint8)
    layer[6, 2:5, 3:9] = 1  # three rows of six voxels in the slice k = 6
    grid = np.array([[0.8, 0, 0, -40], [0, 0.8, 0, 7], [0, 0, 3, 100], [0, 0, 0, 1.0]])
    (one,) = lesions_of(segmentation([layer], grid, (segment(1, "bar", entry=MASS),)), 0)
    assert set(one.lines) == {"longest", "perpendicular"}
    for name, measure in (("longest", "longest_diameter_mm"), ("perpendicular", "short_axis_mm")):
        assert one.lines[name].length_mm == pytest.approx(one.measurements[measure].value)
        assert (one.lines[name].slice_axis, one.lines[name].slice_index) == ("k", 6)
        ends = np.array([one.lines[name].start_ras_mm, one.lines[name].end_ras_mm])
        low, high = grid[:3, :3] @ (2.5, 1.5, 6) + grid[:3, 3], grid[:3, :3] @ (8.5, 4.5, 6) + grid[:3, 3]
        assert (ends >= low - 1e-6).all() and (ends <= high + 1e-6).all()
    along = np.abs(np.subtract(one.lines["longest"].end_ras_mm, one.lines["longest"].start_ras_mm))
    assert along.argmax() == 0 and along[2] == pytest.approx(0)
    whole = in_plane_diameters(layer == 1, grid)
    for name in one.lines:
        assert one.lines[name].start_ras_mm == pytest.approx(getattr(whole, name).start_ras_mm)
        assert one.lines[name].end_ras_mm == pytest.approx(getattr(whole, name).end_ras_mm)


def test_an_inner_point_lies_in_a_lesion_whose_centroid_does_not():
    layer = np.zeros((3, 12, 12), np.uint8)
    layer[1, 1:11, 1:11] = 1
    layer[1, 3:9, 3:11] = 0  # a C
    (one,) = lesions_of(segmentation([layer], OBLIQUE, (segment(1, "C", entry=MASS),)), 0)
    assert not one.holds(one.centroid_ras_mm[None])[0]
    assert one.holds(np.array([one.inner_point_ras_mm]))[0]

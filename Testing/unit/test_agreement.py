"""Agreement with the consensus, by arithmetic on boxes and balls; bands."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from helpers import GRIDS, segmentation
from helpers_fusion import opinions, organs
from OncoLib.overlap import agreement as independent
from OncoSegmentLib.agreement import agreement_json, agreement_of, centroid_distance_mm
from OncoSegmentLib.consensus.bands import HIGH, LOW, MODERATE, band_of
from OncoSegmentLib.fusion import UNKNOWN, Opinion, fuse


def box(*spans, value=1) -> np.ndarray:
    """A box in a 20 x 20 x 20 array."""
    layer = np.zeros((20, 20, 20), np.uint8)
    layer[tuple(slice(*span) for span in spans)] = value
    return layer


SAME = box((2, 12), (2, 12), (2, 12))
SHIFTED = box((2, 12), (2, 12), (4, 14))


def test_numbers_of_a_shifted_box_by_hand():
    """Two of three are 10 x 10 x 10; the third lies 2 voxels of 1 mm further: 800 shared, Dice 0.8, centroid 2 mm off."""
    fusion = fuse(opinions([SAME, SAME, SHIFTED], organs(1)))
    (one,) = agreement_of(fusion)
    assert one.in_consensus and one.score.band == MODERATE
    assert one.score.pairs == pytest.approx((1 + 0.8 + 0.8) / 3)
    assert {name: found.value for name, found in one.experts["A"].items()} == {
        "dice": 1, "nsd_1mm": 1, "nsd_2mm": 1, "volume_difference_ml": 0, "volume_difference_percent": 0, "centroid_mm": 0,
    }  # fmt: skip
    third = {name: found.value for name, found in one.experts["C"].items()}
    assert third["dice"] == pytest.approx(0.8) and third["centroid_mm"] == pytest.approx(2.0)
    assert third["volume_difference_ml"] == 0
    assert third["nsd_2mm"] == pytest.approx(1.0) and third["nsd_1mm"] < 1


def test_volume_differences_have_a_sign_and_a_share():
    larger = box((2, 12), (2, 12), (2, 14))
    (one,) = agreement_of(fuse(opinions([SAME, SAME, larger], organs(1))))
    assert one.experts["C"]["volume_difference_ml"].value == pytest.approx(0.2)
    assert one.experts["C"]["volume_difference_percent"].value == pytest.approx(20.0)


@pytest.mark.parametrize("name", sorted(GRIDS))
def test_surfaces_and_centroids_hold_on_any_grid(name):
    made = [segmentation([layer], GRIDS[name], organs(1)) for layer in (SAME, SAME, SHIFTED)]
    (one,) = agreement_of(fuse([Opinion(letter, found) for letter, found in zip("ABC", made)]))
    other = independent(SHIFTED > 0, SAME > 0, GRIDS[name]).measurements
    for key in ("dice", "nsd_1mm", "nsd_2mm"):
        assert one.experts["C"][key].value == pytest.approx(other[key].value)
    step = np.linalg.norm(GRIDS[name][:3, 0]) * 2
    assert one.experts["C"]["centroid_mm"].value == pytest.approx(step)
    assert centroid_distance_mm(SAME > 0, SHIFTED > 0, GRIDS[name]) == pytest.approx(step)


def test_what_is_not_there_has_no_distance_and_says_so():
    empty = np.zeros_like(SAME)
    fusion = fuse(opinions([SAME, empty, empty], organs(1)))
    (one,) = agreement_of(fusion)
    assert not one.in_consensus and one.score.band == LOW and one.score.found_by == ("A",)
    assert one.experts["A"]["dice"].value == 0 and math.isnan(one.experts["B"]["dice"].value)
    assert math.isnan(one.experts["A"]["centroid_mm"].value)
    assert one.experts["A"]["centroid_mm"].method.startswith("not defined")
    told = agreement_json(fusion, [one])
    assert told["structures"][0]["experts"]["A"]["centroid_mm"] is None
    assert told["definitions"]["centroid_mm"] == "distance between the means of the voxel centers"
    json.dumps(told, allow_nan=False)


def test_who_was_not_asked_has_no_row():
    listed, silent = segmentation([SAME], segments=organs(1)), segmentation([SAME], segments=organs(2)[1:])
    fusion = fuse([Opinion("A", listed), Opinion("B", listed), Opinion("C", silent)], unlisted=UNKNOWN)
    (one, _) = agreement_of(fusion)
    assert set(one.experts) == {"A", "B"} and one.score.asked == 2 and one.score.band == HIGH


def test_bands_have_their_stated_limits():
    assert [band_of(value) for value in (1.0, 0.9, 0.8999, 0.8, 0.7999, 0.0)] == [HIGH, HIGH, MODERATE, MODERATE, LOW, LOW]
    assert band_of(float("nan")) == "one expert only"


def test_the_band_is_the_segments_confidence():
    for layers, wanted in (([SAME] * 3, "high"), ([SAME, SAME, SHIFTED], "medium"), ([SAME, SHIFTED, SHIFTED * 0], "low")):
        fusion = fuse(opinions(layers, organs(1)))
        assert {one.confidence for one in fusion.segmentation.segments} == {wanted}

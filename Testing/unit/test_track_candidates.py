"""What a model's result keeps beside its lesions: at the place of one that is missing it keeps it from being called gone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers_assess import evidence, seen
from LongitudinalCompareLib import reading_acts as act
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.lesion_segments import candidates_in
from LongitudinalCompareLib.reading import Reading, Ref
from OncoLib.measure import segment_boxes
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure

A, B = ((12, 12, 12), 5.0), ((28, 28, 12), 5.0)


def kept(date, *places):
    """The date with candidates of 0.05 ml at places."""
    told = tuple({"name": "Lesion, candidate", "at_ras_mm": list(map(float, place)), "volume_ml": 0.05} for place in places)
    return replace(date, facts=replace(date.facts, candidates=told))


def category(found) -> str:
    return found.criterion("recist11").proposals[-1].category


def test_a_lesion_is_not_gone_where_a_candidate_is_left():
    """Reach: 5 mm of the lesion and 3 mm of the alignment."""
    first = seen(0, {"A": A, "B": B})
    gone = seen(1, {"B": B})
    assert assess(evidence(first, gone)).track("A").status == "resolved"
    near = assess(evidence(first, kept(gone, (12, 12, 19.5))))
    assert near.track("A").status == "not evaluable" and near.track("A").entries[1].value("volume_ml") is None
    assert category(near) == "NE" and any("Lesion, candidate of 0.05 ml" in flag.text for flag in near.flags)
    assert assess(evidence(first, kept(gone, (12, 12, 20.5)))).track("A").status == "resolved"


def test_a_reader_decides_what_the_candidate_is():
    """Too small counts 5 mm; gone counts nothing."""
    dates = evidence(seen(0, {"A": A, "B": B}), kept(seen(1, {"B": B}), A[0]))
    at = [one.facts.when for one in dates.dates]
    gone = assess(dates, Reading((act.gone(Ref(at[0], "A"), at[1]),)))
    assert gone.track("A").status == "resolved" and category(gone) == "PR"
    small = assess(dates, Reading((act.size(Ref(at[0], "A"), at[1], state="too small to measure"),)))
    assert small.criterion("recist11").proposals[0].figure("sum of diameters") == pytest.approx(
        5.0 + small.track("B").entries[1].value("longest_diameter_mm")
    )


def test_what_grew_out_of_a_candidate_is_not_new_by_itself():
    first, second = seen(0, {"A": A}), seen(1, {"A": A, "B": B})
    assert category(assess(evidence(first, second))) == "PD"
    found = assess(evidence(kept(first, B[0]), second))
    assert category(found) == "SD" and found.track("B").status == "not evaluable"
    at = found.timepoints[1].when
    sure = assess(evidence(kept(first, B[0]), second), Reading((act.new(Ref(at, "B")),)))
    assert category(sure) == "PD" and sure.track("B").status == "new"


def test_each_piece_of_a_candidate_has_its_center_and_volume():
    """Voxels of 2 x 1 x 3 mm: 0.006 ml each; two voxels beside each other along i have their center between them."""
    layer = np.zeros((6, 6, 6), np.uint8)
    layer[1, 2, 3:5] = 1
    layer[5, 5, 0] = 1
    layer[3, 3, 3] = 2
    grid = np.diag([2.0, 1.0, 3.0, 1.0])
    grid[:3, 3] = (10, 20, 30)
    entry = structure("lesion").entry
    segments = (
        Segment(1, "Lesion, candidate, 2 pieces", entry, (255, 0, 0), flags=("candidate, no lesion of the result: small",)),
        Segment(2, "Lesion 1", entry, (255, 0, 0)),
    )
    segmentation = Segmentation((layer,), grid, segments, Provenance("test", "1"))
    found = candidates_in(segmentation, segments[1:], segment_boxes(segmentation))
    assert [one["volume_ml"] for one in found] == pytest.approx([0.012, 0.006])
    assert [one["at_ras_mm"] for one in found] == [pytest.approx([17.0, 22.0, 33.0]), pytest.approx([10.0, 25.0, 45.0])]

"""Lines and points of readers far from their lesion, or outside of the scan: distances by arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from helpers_assess import day, evidence, ref, seen
from LongitudinalCompareLib import reading_acts as act
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.comparison import LONGEST_MM
from LongitudinalCompareLib.comparison_flags import KINDS
from LongitudinalCompareLib.reading import Reading, Ref

A = ((20, 20, 20), 5.0)


def told(*acts, moved=(20, 20, 20)):
    """The comparison, and its flags on lines."""
    found = assess(evidence(seen(0, {"A": A}), seen(1, {"A": (moved, 5.0)})), Reading(acts))
    return found, [(one.text, one.timepoint) for one in found.flags if one.kind == "line"]


def line(start, end, name="longest_line"):
    return act.size(ref(1, "A"), by="R", **{name: (start, end)})


@pytest.mark.parametrize("ends", [
    ((15, 20, 20), (25, 20, 20)), ((20, 20, 35), (20, 20, 45)), ((2, 20, 20), (45, 20, 20)),
], ids=["within", "10 mm above", "through it from far to far"])  # fmt: skip
def test_a_line_in_or_near_its_lesion_says_nothing(ends):
    assert told(line(*ends))[1] == []


@pytest.mark.parametrize("name", ["longest_line", "perpendicular_line"])
def test_a_line_far_from_its_mask_counts_and_is_to_be_looked_at(name):
    found, flags = told(line((20, 20, 37), (24, 20, 37), name))  # the mask ends at 25
    text = "The reader's line of A on {} lies 12 mm from its mask: it counts, but is it the right lesion and place?"
    assert flags == [(text.format(day(1)), 1)]
    if name == "longest_line":
        assert found.track("A").entries[1].value(LONGEST_MM) == 4.0
    assert KINDS.index("line") < KINDS.index("confirmation")


def test_a_line_with_an_end_outside_of_the_scan_is_told_so():
    flags = told(line((500, 15, 15), (510, 15, 15)))[1]
    assert flags == [(f"The reader's line of A on {day(1)} lies outside of the scan: it counts, but look at it again.", 1)]
    assert len(told(line((20, 20, 20), (500, 20, 20)))[1]) == 1


def test_a_line_of_what_has_no_mask_is_looked_at_for_the_scan_only():
    by_hand = (act.lesion("Effusion"), act.size(Ref("", "Effusion"), day(1), longest_line=((1, 1, 1), (9, 1, 1)), by="R"))
    assert told(*by_hand)[1] == []
    outside = act.size(Ref("", "Effusion"), day(1), longest_line=((-50, 1, 1), (9, 1, 1)), by="R")
    assert "Effusion" in told(by_hand[0], outside)[1][0][0]


def test_a_point_far_from_the_mask_of_its_date_is_to_be_looked_at():
    (text, at), = told(act.point(ref(0, "A"), day(1), (20.0, 20.0, 45.0)), act.link(ref(0, "A"), ref(1, "A")))[1]
    assert (text.startswith(f"The reader's point of A on {day(1)} lies 20 mm from its mask"), at) == (True, 1)
    assert told(act.point(ref(0, "A"), day(1), (20.0, 20.0, 22.0)))[1] == []


def test_distances_are_in_the_world_of_the_scan():
    grid = np.diag([-2.0, 1.0, 1.0, 1.0])
    first = seen(0, {"A": ((-20, 20, 20), 5.0)}, grid=grid)
    said = act.size(ref(0, "A"), by="R", longest_line=((-45, 20, 20), (-45, 24, 20)))
    found = assess(evidence(first), Reading((said,)))
    (text,) = (one.text for one in found.flags if one.kind == "line")
    assert "lies 21 mm" in text  # the outermost voxel's center is at -24

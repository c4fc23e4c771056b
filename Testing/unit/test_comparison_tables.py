"""Tables of a comparison: what nobody can say is empty, sums stand only where they are whole, each line is drawn once."""

from __future__ import annotations

import numpy as np

from helpers_assess import day, evidence, ref, seen
from helpers_tracking import ball_lesion
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.comparison import READER, Comparison, CriterionResult
from LongitudinalCompareLib.comparison_lines import drawn_lines
from LongitudinalCompareLib.comparison_tables import (
    chart_names,
    lesion_table,
    notes_table,
    response_table,
    sum_over_time,
    volume_table,
)
from LongitudinalCompareLib.reading import LINK, MERGE, SIZE, Act, Reading
from LongitudinalCompareLib.response.proposal import Figure, Proposal

PLACE = (20.0, 20.0, 20.0)
OTHER = (40.0, 40.0, 40.0)


def proposal(at: int, *numbers: float) -> Proposal:
    """The sum, the smallest before and the percent from the baseline; only the sum where a target is missing."""
    names = (("sum of diameters", "mm"), ("smallest sum before", "mm"), ("percent from baseline", "%"))
    figures = tuple(Figure(name, value, unit) for (name, unit), value in zip(names, numbers))
    return Proposal("RECIST 1.1", 60 * at, "SD", "Because.", ("Look.",), figures)


def with_response(*told: Proposal, problem: str = "") -> Comparison:
    dates = tuple(seen(at, {}).facts for at in range(4))
    return Comparison(dates, (), (), (CriterionResult("recist11", "RECIST 1.1", told, problem=problem),), (), Reading())


def test_a_date_on_which_a_target_is_missing_has_no_sum_and_does_not_lower_the_nadir():
    found = sum_over_time(with_response(proposal(1, 40.0, 50.0, -20.0), proposal(2, 10.0), proposal(3, 45.0, 40.0, -10.0)))
    assert found.table.column("Sum of diameters (mm)") == [50.0, 40.0, None, 45.0]
    assert found.table.column("Smallest so far (mm)") == [50.0, 40.0, 40.0, 40.0] and found.table.column("Day")[3] == 180


def test_the_baselines_sum_is_told_by_a_later_date_where_the_first_one_misses_a_target():
    found = sum_over_time(with_response(proposal(1, 10.0), proposal(2, 40.0, 50.0, -20.0)))
    assert found.table.column("Sum of diameters (mm)") == [50.0, None, 40.0, None]


def test_no_sum_no_chart_and_a_problem_is_told():
    told = with_response(problem="There is no target.")
    assert sum_over_time(told) is None and response_table(told).rows[0][:2] == ("RECIST 1.1", "")
    assert response_table(told).column("Explanation") == ["There is no target."]


def test_a_category_stands_with_its_explanation_cautions_and_state():
    told = with_response(proposal(1, 40.0, 50.0, -20.0).confirmed("Dr. X", "PR"))
    (row,) = response_table(told).rows
    assert row[:8] == ("RECIST 1.1", day(1), 60, "", "SD", "confirmed", "PR", "Dr. X") and row[8:10] == ("Because.", "Look.")
    assert row[10] == "sum of diameters 40 mm; smallest sum before 50 mm; percent from baseline -20 %"


def test_what_is_out_of_the_field_is_an_empty_cell_with_its_reason():
    small = (60, 60, 15)
    dates = (seen(0, {"A": (PLACE, 5), "B": (OTHER, 5)}), seen(1, {"A": ((10.0, 20.0, 20.0), 5)}, shape=small))
    found = lesion_table(assess(evidence(*dates, verdicts={1: {"A": "refuse"}})))
    at = next(number for number, row in enumerate(found.rows) if row[0] == "B" and row[2] == day(1))
    assert found.column("Status")[at] == "out of field" and found.column("Volume (ml)")[at] is None
    assert found.column("Remarks")[at]


def test_a_readers_size_counts_and_the_masks_stands_beside_it():
    act = Act(SIZE, later=(ref(1, "A"),), values={"longest_line": [[20.0, 14.0, 20.0], [20.0, 26.5, 20.0]]}, by="Dr. X")
    seen_twice = evidence(seen(0, {"A": (PLACE, 5)}), seen(1, {"A": (PLACE, 5)}))
    plain, said = assess(seen_twice), assess(seen_twice, Reading((act,)))
    table = lesion_table(said)
    assert table.column("Longest diameter (mm)")[1] == 12.5 and table.column("Measured by")[1] == "reader"
    of_mask = lesion_table(plain).column("Longest diameter (mm)")[1]
    assert table.column("Longest diameter of the mask (mm)") == [None, of_mask]
    lines = [(one.kind, one.source) for one in drawn_lines(said, seen_twice) if one.timepoint == 1]
    assert lines == [("longest", "mask"), ("perpendicular", "mask"), ("longest", READER)]
    assert len({one.key for one in drawn_lines(said, seen_twice)}) == 5


def test_lesions_that_merged_have_one_pair_of_lines():
    first = seen(0, {"A": ((20.0, 20.0, 20.0), 4), "B": ((28.0, 20.0, 20.0), 4)})
    merged = ball_lesion(1, "M", [(20.0, 20.0, 20.0), (28.0, 20.0, 20.0)], 5, np.eye(4))
    both = evidence(first, seen(1, {"M": merged}))
    said = assess(both, Reading((Act(MERGE, (ref(0, "A"), ref(0, "B")), (ref(1, "M"),)),)))
    assert [one.status for track in said.tracks for one in track.entries[1:]] == ["merged", "merged"]
    assert [one.kind for one in drawn_lines(said, both) if one.timepoint == 1] == ["longest", "perpendicular"]


def test_tables_of_charts_and_notes():
    far = evidence(seen(0, {"A": (PLACE, 5)}), seen(1, {"B": (OTHER, 5)}))
    told = assess(far, Reading((Act(LINK, (ref(0, "A"),), (ref(1, "nowhere"),)),)))
    table = volume_table(told)
    assert table.columns[:5] == ("Day", "Date", "A (ml)", "A low (ml)", "A high (ml)") and table.column("Day") == [0, 60]
    assert table.column("B (ml)")[0] is None and table.column("A (ml)")[1] == 0.0 and table.column("A high (ml)")[1] is None
    assert len(notes_table(told).rows) == len(told.flags) and any("nowhere" in row[3] for row in notes_table(told).rows)
    same = told.tracks[0]
    assert set(chart_names([same]).values()) == {"A"}

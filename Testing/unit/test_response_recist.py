"""RECIST 1.1: one case on each side of every threshold; expected values from the guideline's numbers by arithmetic."""

from __future__ import annotations

import pytest

from helpers_response import categories, course
from LongitudinalCompareLib.response.change import percent_text, reaches
from LongitudinalCompareLib.response.inputs import (
    ABSENT,
    MERGED,
    NOT_EVALUABLE,
    OUT_OF_FIELD,
    PRESENT,
    PROGRESSED,
    SPLIT,
    TOO_SMALL,
    Assessment,
    ClinicalContext,
    ClinicalStatus,
    Course,
    Finding,
    NewLesion,
    Size,
    Target,
)
from LongitudinalCompareLib.response.proposal import CONFIRMED, PROPOSED
from LongitudinalCompareLib.response.recist11 import NON_CR_NON_PD, recist11
from OncoLib.errors import InputError

NORMAL_MARKERS = ClinicalContext(status={day: ClinicalStatus(markers_normal=True) for day in (56, 112, 168)})


@pytest.mark.parametrize(
    ("sums", "expected"),
    [
        ((100, 70.1), ["SD"]),  # -29.9 %
        ((100, 70.0), ["PR"]),  # -30.0 %
        ((58.5, 40.95), ["PR"]),  # -30 % in decimals, less in binary
        ((100, 119.9), ["SD"]),  # +19.9 %
        ((100, 120.0), ["PD"]),  # +20.0 %
        ((58.5, 70.2), ["PD"]),  # +20 % in decimals, less in binary
        ((20, 24.9), ["SD"]),  # +24.5 %, but +4.9 mm
        ((20, 25.0), ["PD"]),  # +25 % and +5.0 mm
        ((24.6, 29.5), ["SD"]),  # +19.9 %, +4.9 mm
        ((26, 31.0), ["SD"]),  # +5.0 mm, but +19.2 %
        ((100, 100), ["SD"]),
    ],
)
def test_the_sum_is_judged_by_percent_and_by_mm(sums, expected):
    assert categories(recist11(course({"A": sums}))) == expected


@pytest.mark.parametrize(
    ("sums", "expected"),
    [
        ((100, 50, 59.9), ["PR", "PR"]),  # +19.8 % from the smallest sum, -40 % from baseline
        ((100, 50, 60), ["PR", "PD"]),  # +20 % from the smallest sum, though -40 % from baseline
        ((100, 80, 60, 72), ["SD", "PR", "PD"]),  # the smallest sum lies in the middle
        ((100, 80, 96), ["SD", "PD"]),  # +20 % of 80; the baseline is larger
        ((100, 20, 24.9), ["PR", "PR"]),  # +24.5 %, but +4.9 mm
        ((100, 90, 70, 80, 80), ["SD", "PR", "PR", "PR"]),  # goes on as PR until progression
        ((100, 110, 119.9), ["SD", "SD"]),  # the baseline is the smallest sum
        ((100, 110, 120), ["SD", "PD"]),
    ],
)
def test_progression_is_counted_from_the_smallest_sum_and_response_from_baseline(sums, expected):
    assert categories(recist11(course({"A": sums}))) == expected


def test_the_example_of_the_working_group_goes_on_as_partial_response():
    assert categories(recist11(course({"A": (165, 63, 65)}))) == ["PR", "PR"]
    assert categories(recist11(course({"A": (100, 70, 70, 80, 80, 80)}))) == ["PR"] * 5


def test_without_confirmation_where_it_is_asked_for_a_response_does_not_go_on():
    row = {"A": (100, 70, 80)}
    assert categories(recist11(course(row), confirm=False)) == ["PR", "PR"]
    assert categories(recist11(course(row), confirm=True)) == ["PR", "SD"]
    assert categories(recist11(course({"A": (100, 70, 70, 80)}), confirm=True)) == ["PR", "PR", "PR"]
    early = course({"A": (100, 70, 70, 80)}, days=(0, 56, 83, 140))
    assert categories(recist11(early, confirm=True)) == ["PR", "PR", "SD"], "27 days are no four weeks"


@pytest.mark.parametrize(
    ("short", "other", "expected"),
    [(9.9, ABSENT, "CR"), (10.0, ABSENT, "PR"), (9.9, TOO_SMALL, "PR"), (0.0, ABSENT, "CR"), (12.0, ABSENT, "PR")],
)
def test_a_node_below_10_mm_is_gone_and_another_lesion_only_when_it_is_absent(short, other, expected):
    found = recist11(course({"N": (20, short), "A": (40, Size(other))}, nodes=["N"]))
    assert categories(found) == [expected]


def test_nodes_that_grow_within_the_normal_are_no_progression():
    found = recist11(course({"N": (16, 4, 9.9)}, nodes=["N"]), NORMAL_MARKERS)
    assert categories(found) == ["CR", "CR"], "+5.9 mm and +148 %, but below 10 mm"


def test_a_node_counts_its_short_axis_and_another_lesion_its_longest_diameter():
    both = Size(longest_mm=40, short_mm=15)
    found = recist11(course({"N": (both, both), "A": (both, both)}, nodes=["N"]))
    assert found[0].figure("sum of diameters") == 15 + 40
    assert "N: 15.0 (short axis)" in found[0].sentence and "A: 40.0" in found[0].sentence


def test_too_small_to_measure_counts_5_mm_unless_there_is_a_measure():
    found = recist11(course({"A": (50, Size(TOO_SMALL), Size(TOO_SMALL, longest_mm=3.0), Size(ABSENT))}))
    assert [one.figure("sum of diameters") for one in found] == [5.0, 3.0, 0.0]
    assert categories(found) == ["PR", "PR", "CR"]
    assert "A: too small to measure, 5 mm by rule." in found[0].cautions


def test_the_parts_of_a_lesion_that_split_are_added():
    split = Size(SPLIT, parts=(Size(longest_mm=40), Size(TOO_SMALL), Size(longest_mm=14.9)))
    found = recist11(course({"A": (50, split)}))
    assert found[0].figure("sum of diameters") == pytest.approx(59.9)
    assert categories(found) == ["SD"]
    split = Size(SPLIT, parts=(Size(longest_mm=40), Size(longest_mm=20)))
    assert categories(recist11(course({"A": (50, split)}))) == ["PD"], "40 + 20 = 60, +20 %"


def test_lesions_that_merged_count_once():
    found = recist11(course({"A": (30, 70), "B": (20, Size(MERGED, into="A"))}))
    assert found[0].figure("sum of diameters") == 70
    assert categories(found) == ["PD"]
    assert "B: one lesion with A now, which counts for both." in found[0].cautions
    gone = recist11(course({"A": (30, Size(ABSENT)), "B": (20, Size(MERGED, into="A"))}))
    assert categories(gone) == ["CR"]
    lost = recist11(course({"A": (30, Size(NOT_EVALUABLE)), "B": (20, Size(MERGED, into="A"))}))
    assert categories(lost) == ["NE"]


@pytest.mark.parametrize("state", [NOT_EVALUABLE, OUT_OF_FIELD])
def test_a_missing_target_makes_the_date_not_evaluable_unless_the_rest_is_progression(state):
    assert categories(recist11(course({"A": (50, 20), "B": (50, Size(state))}))) == ["NE"]
    assert categories(recist11(course({"A": (50, 119.9), "B": (50, Size(state))}))) == ["NE"], "119.9 of 100 mm"
    assert categories(recist11(course({"A": (50, 120), "B": (50, Size(state))}))) == ["PD"], "120 of 100 mm, B not counted"
    text = recist11(course({"A": (50, 20), "B": (50, Size(state))}))[0].sentence
    assert f"B ({state}) cannot be judged" in text


def test_a_date_without_a_sum_is_no_smallest_sum():
    found = recist11(course({"A": (50, 10, 60), "B": (50, Size(OUT_OF_FIELD), 55)}))
    assert categories(found) == ["NE", "SD"], "115 mm of 100 at baseline; 10 mm of day 56 are no sum"


def test_nothing_entered_is_not_evaluable():
    assert "no size was entered" in recist11(course({"A": (50, None)}))[0].sentence


SEEN = {"CR": ABSENT, NON_CR_NON_PD: PRESENT, "PD": PROGRESSED, "NE": NOT_EVALUABLE}
SIZES = {"CR": Size(ABSENT), "PR": 50.0, "SD": 90.0, "PD": 130.0, "NE": Size(NOT_EVALUABLE)}
TABLE_1 = [
    ("CR", "CR", False, "CR"),
    ("CR", NON_CR_NON_PD, False, "PR"),
    ("CR", "NE", False, "PR"),
    *[("PR", other, False, "PR") for other in ("CR", NON_CR_NON_PD, "NE")],
    *[("SD", other, False, "SD") for other in ("CR", NON_CR_NON_PD, "NE")],
    *[("NE", other, False, "NE") for other in ("CR", NON_CR_NON_PD, "NE")],
    *[("PD", other, new, "PD") for other in SEEN for new in (False, True)],
    *[(target, "PD", new, "PD") for target in SIZES for new in (False, True)],
    *[(target, other, True, "PD") for target in SIZES for other in SEEN],
]
"""Eisenhauer et al. 2009, Table 1: targets, non-targets, new lesions, overall."""


@pytest.mark.parametrize(("target", "other", "new", "expected"), TABLE_1)
def test_the_overall_response_follows_the_table_of_the_guideline(target, other, new, expected):
    made = course(
        {"A": (100.0, SIZES[target])},
        findings={"E": (PRESENT, SEEN[other])},
        new={1: [NewLesion("X")]} if new else {},
    )
    found = recist11(made, NORMAL_MARKERS)[0]
    assert found.category == expected
    assert found.state == PROPOSED and found.criterion == "RECIST 1.1"


@pytest.mark.parametrize(
    ("other", "new", "expected"),
    [
        ("CR", False, "CR"),
        (NON_CR_NON_PD, False, NON_CR_NON_PD),
        ("NE", False, "NE"),
        ("PD", False, "PD"),
        *[(other, True, "PD") for other in SEEN],
    ],
)
def test_without_targets_the_second_table_counts(other, new, expected):
    made = course({}, findings={"E": (PRESENT, SEEN[other])}, new={1: [NewLesion("X")]} if new else {})
    assert categories(recist11(made, NORMAL_MARKERS)) == [expected]


@pytest.mark.parametrize(("short", "expected"), [(9.9, "CR"), (10.0, "PR"), (None, "PR")])
def test_a_non_target_node_below_10_mm_is_normal(short, expected):
    made = course({"A": (50, Size(ABSENT))}, nodes=["N"], findings={"N": (PRESENT, Finding(PRESENT, short_mm=short))})
    assert categories(recist11(made, NORMAL_MARKERS)) == [expected]


@pytest.mark.parametrize(("short", "expected", "told"), [
    (None, "CR", "Normal now: N (too small to measure)."),  # 5 mm by rule
    (9.3, "CR", "Normal now: N (9.3 mm)."), (9.96, "CR", "Normal now: N (9.96 mm)."),
    (12.0, "PR", "Still there, without unequivocal progression: N."),
])  # fmt: skip
def test_a_node_that_is_too_small_to_measure_is_normal_unless_a_number_says_otherwise(short, expected, told):
    finding = Finding(PRESENT, short_mm=short, too_small=True)
    found = recist11(course({"A": (50, Size(ABSENT))}, nodes=["N"], findings={"N": (PRESENT, finding)}), NORMAL_MARKERS)[0]
    assert found.category == expected and told in found.sentence
    other = recist11(course({"A": (50, Size(ABSENT))}, findings={"N": (PRESENT, Finding(too_small=True))}), NORMAL_MARKERS)[0]
    assert other.category == "PR", "what is no node is still there"


def test_a_target_node_that_is_too_small_to_measure_counts_5_mm_and_is_normal():
    found = recist11(course({"N": (20, Size(TOO_SMALL))}, nodes=["N"]), NORMAL_MARKERS)[0]
    assert found.category == "CR" and found.figure("sum of diameters") == 5.0
    assert "N: 5.0 (short axis, too small to measure)" in found.sentence and "nodes below 10 mm are normal" in found.sentence


def test_a_new_node_that_is_too_small_to_measure_is_normal():
    new = NewLesion("N", node=True, size=Size(TOO_SMALL))
    found = recist11(course({"A": (50, 50)}, new={1: [new]}))[0]
    assert found.category == "SD" and "N is a node below 10 mm, which is normal." in found.cautions


@pytest.mark.parametrize(("effusion", "lead"), [
    (PRESENT, "Still there, without unequivocal progression: Effusion."),
    (ABSENT, "No non-target is left (nodes below 10 mm are normal)."),
    (NOT_EVALUABLE, "Not judged: Effusion."), (PROGRESSED, "Unequivocal progression of Effusion."),
])  # fmt: skip
def test_no_non_target_vanishes_without_a_word(effusion, lead):
    rows = {"Effusion": (PRESENT, effusion), "N": (PRESENT, Finding(short_mm=9.3)), "Nodule": (PRESENT, ABSENT)}
    sentence = recist11(course({"A": (50, 50)}, nodes=["N"], findings=rows), NORMAL_MARKERS)[0].sentence
    gone = "Effusion and Nodule" if effusion == ABSENT else "Nodule"
    assert f"{lead} Normal now: N (9.3 mm). Gone: {gone}. No new lesion." in sentence


@pytest.mark.parametrize(("normal", "expected", "asked"), [(True, "CR", False), (False, "PR", False), (None, "CR", True)])
def test_complete_response_of_non_targets_needs_normal_markers(normal, expected, asked):
    made = course({"A": (50, Size(ABSENT))}, findings={"E": (PRESENT, ABSENT)})
    found = recist11(made, ClinicalContext(status={56: ClinicalStatus(markers_normal=normal)}))[0]
    assert found.category == expected
    assert any("tumor markers" in one for one in found.cautions) == asked


@pytest.mark.parametrize(
    ("short", "expected", "wait"), [(9.9, "SD", False), (10.0, "PD", True), (14.9, "PD", True), (15.0, "PD", False)]
)
def test_a_new_node_counts_from_10_mm_and_is_doubtful_below_15(short, expected, wait):
    new = NewLesion("N", node=True, size=Size(short_mm=short))
    found = recist11(course({"A": (50, 50)}, new={1: [new]}))[0]
    assert found.category == expected
    assert any("below 15 mm" in one for one in found.cautions) == wait
    both = recist11(course({"A": (50, 50)}, new={1: [new, NewLesion("X")]}))[0]
    assert both.category == "PD" and not any("below 15 mm" in one for one in both.cautions)


def test_an_equivocal_new_lesion_waits_and_says_so():
    found = recist11(course({"A": (50, 50)}, new={1: [NewLesion("X", unequivocal=False)]}))[0]
    assert found.category == "SD"
    assert "X may be new: look again at the next date; if it is, progression began on day 56." in found.cautions


@pytest.mark.parametrize(("after", "expected"), [(Size(ABSENT), "CR"), (2.0, "PD"), (Size(TOO_SMALL), "PD")])
def test_any_disease_after_complete_response_is_progression(after, expected):
    found = recist11(course({"A": (50, Size(ABSENT), after)}))
    assert categories(found) == ["CR", expected]


def test_what_comes_back_after_a_response_that_was_not_complete_is_no_progression_by_itself():
    made = course({"A": (50, Size(ABSENT), 4.0)}, findings={"E": (PRESENT, PRESENT, PRESENT)})
    assert categories(recist11(made)) == ["PR", "PR"], "4 mm from 0 mm are less than 5 mm"
    made = course({"A": (50, Size(ABSENT), 5.0)}, findings={"E": (PRESENT, PRESENT, PRESENT)})
    assert categories(recist11(made)) == ["PR", "PD"]


def test_a_node_is_back_from_10_mm_on_and_a_date_that_cannot_be_judged_changes_nothing():
    rows = {"N": (16, 8, Size(NOT_EVALUABLE), 9.9, 10.0)}
    assert categories(recist11(course(rows, nodes=["N"]))) == ["CR", "NE", "CR", "PD"]
    seen = course({"A": (50, Size(ABSENT), Size(ABSENT))}, findings={"E": (PRESENT, ABSENT, PRESENT)})
    assert categories(recist11(seen, NORMAL_MARKERS)) == ["CR", "PD"]


def test_a_date_that_cannot_be_judged_does_not_end_a_complete_response():
    assert categories(recist11(course({"A": (50, Size(ABSENT), Size(NOT_EVALUABLE), 2.0)}))) == ["CR", "NE", "PD"]


def test_normal_nodes_beside_a_missing_target_are_no_progression():
    rows = {"N": (16, 1.0, 9.9), "M": (16, 1.0, Size(NOT_EVALUABLE))}
    assert categories(recist11(course(rows, nodes=["N", "M"]))) == ["CR", "NE"], "+7.9 mm, but M may be normal, too"
    rows["N"] = (16, 1.0, 10.0)
    assert categories(recist11(course(rows, nodes=["N", "M"]))) == ["CR", "PD"]


def test_a_part_that_nobody_measured_makes_a_split_lesion_unknown():
    split = Size(SPLIT, parts=(Size(longest_mm=10), Size(volume_ml=3)))
    assert categories(recist11(course({"A": (50, split)}))) == ["NE"]


def test_a_sentence_names_lesions_numbers_and_thresholds():
    found = recist11(
        course({"Liver 1": (80, 60.5), "Node 1": (20, 12)}, nodes=["Node 1"], findings={"Fluid": (PRESENT, PRESENT)})
    )[0]
    for part in (
        "72.5 mm",
        "Liver 1: 60.5",
        "Node 1: 12.0 (short axis)",
        "-27.5 % from 100.0 mm",
        "-30 %",
        "+20 %",
        "+5 mm",
        "Fluid",
    ):
        assert part in found.sentence
    assert found.figure("percent from baseline") == pytest.approx(-27.5)


@pytest.mark.parametrize(("start", "told"), [(None, ""), (0, ""), (28, ""), (29, "29 days before"), (-1, "after therapy began")])
def test_a_baseline_should_be_less_than_four_weeks_before_therapy(start, told):
    found = recist11(course({"A": (100, 70)}), ClinicalContext(therapy_start_day=start))[0]
    assert [one for one in found.cautions if "baseline" in one] == ([] if not told else [found.cautions[-1]])
    assert not told or told in found.cautions[-1]


def test_a_reader_confirms_and_what_was_proposed_stays():
    found = recist11(course({"A": (100, 70)}))[0]
    read = found.confirmed("reader 1", "SD")
    assert (read.state, read.category, read.read_as, read.by) == (CONFIRMED, "PR", "SD", "reader 1")
    assert found.state == PROPOSED and found.confirmed("reader 1").read_as == "PR"
    with pytest.raises(InputError, match="no name"):
        found.confirmed(" ")


@pytest.mark.parametrize(
    ("value", "limit", "shown"),
    [(19.96, 20, "+19.96 %"), (20.0, 20, "+20.0 %"), (-29.96, 30, "-29.96 %"), (-30.04, 30, "-30.0 %"), (0.0, 20, "+0.0 %")],
)
def test_a_percentage_is_never_shown_on_the_other_side_of_its_threshold(value, limit, shown):
    assert percent_text(value, [limit]) == shown


def test_only_the_rounding_of_binary_numbers_is_forgiven():
    assert reaches(100 * (70.2 - 58.5) / 58.5, 20) and not reaches(19.9999, 20) and not reaches(29.999999, 30)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Size("gone"), "The state of a lesion is 'gone'"),
        (lambda: Size(longest_mm=-1), "longest_mm is -1"),
        (lambda: Size(longest_mm=float("nan")), "longest_mm is nan"),
        (lambda: Size(longest_mm=10, short_mm=12), "longer than the longest"),
        (lambda: Size(SPLIT), "needs its parts"),
        (lambda: Size(SPLIT, parts=(Size(longest_mm=3),)), "needs its parts"),
        (lambda: Size(SPLIT, parts=(Size(ABSENT), Size(longest_mm=3))), "Each part"),
        (lambda: Size(MERGED), "needs the name"),
        (lambda: Finding("larger"), "The state of a non-target lesion is 'larger'"),
        (lambda: ClinicalStatus(condition="good"), "The clinical condition is 'good'"),
        (lambda: ClinicalStatus(steroids="much"), "The dose of steroids is 'much'"),
        (lambda: Course((), (), ()), "at least one"),
        (lambda: Course((), (), (Assessment(3), Assessment(3))), "each later"),
        (lambda: Course((Target("A"), Target("A")), (), (Assessment(0),)), "same name"),
        (lambda: Course((), (), (Assessment(0, {"A": Size(longest_mm=3)}),)), "no lesion of this course"),
        (lambda: course({"A": (9, 9)}, new={1: [NewLesion("A")]}), "new lesion twice"),
        (lambda: course({"A": (9, 9)}, new={1: [NewLesion("X"), NewLesion("X")]}), "new lesion twice"),
        (lambda: course({"A": (9, 9)}, new={0: [NewLesion("X")]}), "The baseline on day 0 has a new lesion"),
        (lambda: course({"A": (9, Size(MERGED, into="B"))}), "merged with 'B'"),
        (lambda: course({"A": (9, Size(MERGED, into="A"))}), "merged with 'A'"),
        (lambda: recist11(course({"A": (Size(NOT_EVALUABLE), 9)})), "at baseline lacks A"),
        (lambda: recist11(course({"A": (0.0, 9)})), "at baseline is 0"),
        (lambda: recist11(course({"A": (Size(volume_ml=3), 9)})), "not measured for the sum of diameters"),
        (
            lambda: recist11(course({"N": (20, Size(SPLIT, parts=(Size(short_mm=3), Size(short_mm=4))))}, nodes=["N"])),
            "N is a node that split",
        ),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(make, message):
    with pytest.raises(InputError, match=message):
        make()

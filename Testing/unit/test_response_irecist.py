"""iRECIST: rows of the tables of Seymour et al. 2017, the answers of the working group, and each limit."""

from __future__ import annotations

import pytest

from helpers_response import categories, course
from LongitudinalCompareLib.response.inputs import (
    ABSENT,
    NOT_EVALUABLE,
    PRESENT,
    PROGRESSED,
    ClinicalContext,
    ClinicalStatus,
    Finding,
    NewLesion,
    Size,
)
from LongitudinalCompareLib.response.irecist import best_irecist, irecist
from LongitudinalCompareLib.response.proposal import Proposal
from OncoLib.errors import InputError

DAYS = (0, 56, 91, 126, 161)


def found(rows, **more) -> list[str]:
    count = len(next(iter({**rows, **more.get("findings", {})}.values())))
    return categories(irecist(course(rows, days=DAYS[:count], **more)))


def new(mm: float | None = None, name: str = "X", **more) -> NewLesion:
    return NewLesion(name, size=None if mm is None else Size(longest_mm=mm), followed=mm is not None, **more)


@pytest.mark.parametrize(
    ("sums", "expected"),
    [
        ((100, 120, 124.9), ["iUPD", "iUPD"]),  # +4.9 mm since iUPD
        ((100, 120, 125), ["iUPD", "iCPD"]),  # +5.0 mm
        ((100, 120, 124, 126), ["iUPD", "iUPD", "iCPD"]),  # 4 + 2 mm add up
        ((100, 120, 119.9), ["iUPD", "iSD"]),  # no longer +20 % of the smallest sum
        ((100, 120, 70), ["iUPD", "iPR"]),
        ((100, 120, 110, 120), ["iUPD", "iSD", "iUPD"]),  # the bar is reset
        ((100, 120, 110, 125), ["iUPD", "iSD", "iUPD"]),  # +5 mm, but nothing waits any more
        ((100, 120, 130, 50), ["iUPD", "iCPD", "iCPD"]),  # what is confirmed stays
        ((100, 70, 80), ["iPR", "iPR"]),
        ((100, 90), ["iSD"]),
        ((100, 119.9), ["iSD"]),
    ],
)
def test_progression_of_targets_waits_for_5_mm_more(sums, expected):
    assert found({"A": sums}) == expected


def test_a_missing_date_leaves_progression_waiting():
    assert found({"A": (100, 120, Size(NOT_EVALUABLE), 125)}) == ["iUPD", "NE", "iCPD"]


@pytest.mark.parametrize(("day", "expected"), [(81, "iUPD"), (82, "iCPD"), (84, "iCPD"), (112, "iCPD"), (140, "iCPD")])
def test_a_scan_confirms_from_four_weeks_less_two_days_on(day, expected):
    made = course({"A": (100, 120, 130)}, days=(0, 56, day))
    proposals = irecist(made)
    assert categories(proposals) == ["iUPD", expected]


def test_a_late_scan_that_confirms_nothing_says_so():
    made = course({"A": (100, 120, 121)}, days=(0, 56, 113))
    assert any("More than 8 weeks since iUPD on day 56" in one for one in irecist(made)[1].cautions)
    made = course({"A": (100, 120, 121)}, days=(0, 56, 112))
    assert not any("8 weeks" in one for one in irecist(made)[1].cautions)


@pytest.mark.parametrize(
    ("symptoms", "second", "expected"),
    [
        (True, [new(name="X"), new(name="Y")], "iCPD"),
        (False, [new(name="X"), new(name="Y")], "iUPD"),
        (True, [new(name="X", grown=True)], "iUPD"),
    ],
)
def test_an_early_scan_confirms_only_by_another_new_lesion_and_new_symptoms(symptoms, second, expected):
    made = course({"A": (50, 50, 50)}, days=(0, 56, 70), new={1: [new(name="X")], 2: second})
    context = ClinicalContext(status={70: ClinicalStatus(new_symptoms=symptoms)})
    assert categories(irecist(made, context)) == ["iUPD", expected]


def test_an_early_scan_is_disregarded_and_the_new_lesion_counts_at_the_next_one():
    made = course(
        {"A": (50, 50, 50, 50)},
        days=(0, 56, 70, 90),
        new={1: [new(name="X")], 2: [new(name="X"), new(name="Y")], 3: [new(name="X"), new(name="Y")]},
    )
    assert categories(irecist(made)) == ["iUPD", "iUPD", "iCPD"]


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ([new(12.0)], "iUPD"),
        ([new(16.9)], "iUPD"),
        ([new(17.0)], "iCPD"),
        ([new(12.0), new(name="Y")], "iCPD"),
        ([new(None, grown=True)], "iCPD"),
        ([], "iSD"),
    ],
)
def test_new_lesions_confirm_by_5_mm_by_growth_or_by_number(later, expected):
    assert found({"A": (50, 50, 50)}, new={1: [new(12.0)], 2: later}) == ["iUPD", expected]


def test_growth_of_targets_confirms_new_lesions_only_when_it_is_progression_itself():
    stays = {1: [new()], 2: [new()]}
    assert found({"A": (50, 50, 55)}, new=stays) == ["iUPD", "iUPD"]
    assert found({"A": (50, 50, 60)}, new=stays) == ["iUPD", "iCPD"]


def test_small_steps_of_new_lesions_add_up_over_all_of_them():
    one, two = new(12.0), new(10.0, "Y")
    dates = {1: [one, two], 2: [new(14.0), new(12.0, "Y")], 3: [new(15.0), new(12.0, "Y")]}
    assert found({"A": (50, 50, 50, 50)}, new=dates) == ["iUPD", "iUPD", "iCPD"]


def test_new_lesions_are_not_added_to_the_sum_of_the_targets():
    made = course({"A": (50, 50)}, new={1: [new(30.0)]})
    assert irecist(made)[0].figure("sum of diameters") == 50


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (Finding(PROGRESSED), "iUPD"),
        (Finding(PROGRESSED, grown=True), "iCPD"),
        (Finding(PRESENT, grown=True), "iCPD"),
        (Finding(PRESENT), "iSD"),
        (Finding(NOT_EVALUABLE), "NE"),
    ],
)
def test_non_targets_confirm_by_any_growth(later, expected):
    assert found({"A": (50, 50, 50)}, findings={"E": (PRESENT, PROGRESSED, later)}) == ["iUPD", expected]


def test_progression_of_another_kind_confirms():
    assert found({"A": (100, 120, 120)}, new={2: [new()]}) == ["iUPD", "iCPD"]
    assert found({"A": (100, 120, 120)}, findings={"E": (PRESENT, PRESENT, PROGRESSED)}) == ["iUPD", "iCPD"]
    assert found({"A": (100, 100, 120)}, new={1: [new()], 2: [new()]}) == ["iUPD", "iCPD"]


def test_shrinkage_after_a_new_lesion_is_response_but_no_change_after_a_response_is_not():
    """Scenarios B, D and F of the working group."""
    stays = {1: [new()], 2: [new()]}
    assert found({"A": (100, 90, 65)}, new=stays) == ["iUPD", "iPR"]
    assert found({"A": (100, 90, 130, 65)}) == ["iSD", "iUPD", "iPR"]
    assert found({"A": (100, 65, 65, 65)}, new={2: [new()], 3: [new()]}) == ["iPR", "iUPD", "iUPD"]


def test_complete_response_needs_that_new_lesions_are_gone():
    rows = {"A": (100, 90, Size(ABSENT), Size(ABSENT))}
    assert found(rows, new={1: [new()], 2: [new()]}) == ["iUPD", "iPR", "iCR"]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (["iCR", "iPR", "iPR", "iUPD", "iCPD"], "iCR"),
        (["iUPD", "iSD", "iCR", "iUPD", "iCPD"], "iCR"),
        (["iUPD", "iPR", "iSD", "NE", "iCPD"], "iPR"),
        (["iUPD", "NE", "iPR", "iUPD", "NE"], "iPR"),
        (["iUPD", "iSD", "iUPD", "NE", "iCPD"], "iSD"),
        (["iUPD", "iCPD", "iPR", "iCR", "iCR"], "iCPD"),
        (["iUPD", "iUPD", "iCPD", "iSD", "iSD"], "iCPD"),
        (["iUPD", "NE", "NE", "NE", "NE"], "iUPD"),
        (["NE", "NE"], "NE"),
    ],
)
def test_the_best_response_follows_the_eight_examples_of_the_paper(row, expected):
    assert best_irecist([Proposal("iRECIST", at, one, "") for at, one in enumerate(row)]) == expected


def test_a_category_that_irecist_has_not_is_told():
    with pytest.raises(InputError, match="A category of iRECIST is 'PD'"):
        best_irecist([Proposal("iRECIST", 56, "PD", "")])


def test_every_answer_says_why_and_is_proposed():
    proposals = irecist(course({"A": (100, 120, 126)}, days=(0, 56, 90)))
    assert "iUPD: progression by targets, to be confirmed 4 to 8 weeks later." in proposals[0].sentence
    assert "iCPD: confirms iUPD of day 56 by +6.0 mm of the sum of targets since then (from +5 mm)." in proposals[1].sentence
    assert {one.state for one in proposals} == {"proposed"}

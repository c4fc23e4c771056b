"""RANO 2.0: limits of products and volumes, the clinic, the weeks after radiotherapy, and tumors with both components."""

from __future__ import annotations

import pytest

from helpers_response import categories, course
from LongitudinalCompareLib.response.inputs import (
    ABSENT,
    NOT_EVALUABLE,
    PRESENT,
    PROGRESSED,
    Assessment,
    ClinicalContext,
    ClinicalStatus,
    Course,
    Finding,
    NewLesion,
    NonTarget,
    Size,
    Target,
)
from LongitudinalCompareLib.response.proposal import Proposal
from LongitudinalCompareLib.response.rano2 import AREA, ENHANCING, NO_MINOR, NON_ENHANCING, VOLUME, measurable, mixed, rano2
from OncoLib.errors import InputError

STEADY = ClinicalContext(
    recurrent=True, status={day: ClinicalStatus("stable", "stable") for day in (14, 27, 28, 56, 84, 112, 140, 168)}
)
"""Nothing of the clinic stands in the way."""


def area(value: float) -> Size:
    """A lesion whose product is a number of mm^2: 20 mm long or wide."""
    return Size(longest_mm=max(value / 20, 20), short_mm=min(value / 20, 20))


def judged(*values: Size, tumor=ENHANCING, by=AREA, context=STEADY, **more) -> list[str]:
    return [
        one.removeprefix("preliminary ") for one in categories(rano2(course({"A": values}, **more), context, by=by, tumor=tumor))
    ]


@pytest.mark.parametrize(
    ("products", "enhancing", "other"),
    [
        ((1000, 500.0), ["PR"], ["PR"]),  # -50.0 %
        ((1000, 500.1), ["SD"], ["MR"]),  # -49.99 %
        ((1000, 750.0), ["SD"], ["MR"]),  # -25.0 %
        ((1000, 750.1), ["SD"], ["SD"]),  # -24.99 %
        ((1000, 1249.9), ["SD"], ["SD"]),  # +24.99 %
        ((1000, 1250.0), ["PD"], ["PD"]),  # +25.0 %
        ((1000, 400, 499.9), ["PR", "PR"], ["PR", "PR"]),
        ((1000, 400, 500.0), ["PR", "PD"], ["PR", "PD"]),  # +25 % of the smallest, -50 % of the baseline
        ((1000, 400, 499.9, 520), ["PR", "PR", "PD"], ["PR", "PR", "PD"]),
    ],
)
def test_products_of_diameters(products, enhancing, other):
    assert judged(*map(area, products)) == enhancing
    assert judged(*map(area, products), tumor=NON_ENHANCING) == other


@pytest.mark.parametrize(
    ("volumes", "expected"),
    [
        ((20, 7.0), ["PR"]),  # -65.0 %
        ((20, 7.01), ["SD"]),  # -64.95 %
        ((20, 27.99), ["SD"]),  # +39.95 %
        ((20, 28.0), ["PD"]),  # +40.0 %
        ((20, 5, 6.99), ["PR", "PR"]),
        ((20, 5, 7.0), ["PR", "PD"]),  # +40 % of the smallest, -65 % of the baseline
        ((20, 10), ["SD"]),  # -50 % is a response by products only
    ],
)
def test_volumes(volumes, expected):
    for tumor in (ENHANCING, NON_ENHANCING):
        assert judged(*(Size(volume_ml=one) for one in volumes), by=VOLUME, tumor=tumor) == expected


def test_a_minor_response_by_volume_is_not_told_and_that_is_said():
    made = course({"A": (Size(volume_ml=20), Size(volume_ml=10))})
    assert NO_MINOR in rano2(made, STEADY, by=VOLUME, tumor=NON_ENHANCING)[0].cautions
    assert NO_MINOR not in rano2(made, STEADY, by=VOLUME)[0].cautions


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((10, 10, None), True), ((10, 9.9, None), False), ((10, 10, 5), True), ((11.9, 11.9, 6), False), ((12, 12, 6), True)],
)
def test_both_diameters_make_a_lesion_measurable(sizes, expected):
    assert measurable(*sizes) == expected


@pytest.mark.parametrize(
    ("days", "expected"),
    [((0, 56, 83), ["preliminary PR", "preliminary PR"]), ((0, 56, 84), ["preliminary PR", "PR"])],
)
def test_a_response_is_preliminary_for_four_weeks(days, expected):
    made = course({"A": (area(1000), area(400), area(400))}, days=days)
    assert categories(rano2(made, STEADY)) == expected


def test_a_response_that_was_lost_between_is_preliminary_again():
    made = course({"A": [area(one) for one in (1000, 500, 510, 500)]})
    assert categories(rano2(made, STEADY)) == ["preliminary PR", "SD", "preliminary PR"]
    made = course({"A": [area(1000), area(500), Size(ABSENT), Size(ABSENT)]})
    context = ClinicalContext(recurrent=True, status={day: ClinicalStatus("stable", "none") for day in (56, 112, 168)})
    assert categories(rano2(made, context)) == ["preliminary PR", "preliminary CR", "CR"]


def grown(*days: int) -> Course:
    return course({"A": [area(1000), *[area(1300) for _ in days[1:]]]}, days=days)


@pytest.mark.parametrize(
    ("day", "more", "expected"),
    [
        (84, {}, "preliminary PD"),
        (85, {}, "PD"),
        (84, {"recurrent": True}, "PD"),
        (84, {"status": {84: ClinicalStatus("worse")}}, "PD"),
        (84, {"status": {84: ClinicalStatus("stable")}}, "preliminary PD"),
        (84, {"status": {84: ClinicalStatus(histology_tumor=True)}}, "PD"),
    ],
)
def test_progression_in_the_12_weeks_after_radiotherapy_must_be_confirmed(day, more, expected):
    found = rano2(grown(1, day), ClinicalContext(radiotherapy_end_day=0, **more))
    assert categories(found) == [expected]
    assert ("second MR or tissue" in found[0].sentence) == (expected != "PD")


def test_what_the_clinic_did_not_say_is_asked_for():
    cautions = " ".join(rano2(grown(0, 56))[0].cautions)
    assert "clinical condition and dose of steroids" in cautions and "when it ended is not stated" in cautions
    assert rano2(course({"A": (area(9), area(9))}), STEADY)[0].cautions == ()
    early = rano2(grown(0, 200), ClinicalContext(radiotherapy_end_day=60))[0]
    assert any("first MR after radiotherapy" in one for one in early.cautions) and early.category == "PD"


@pytest.mark.parametrize(
    ("now", "condition", "steroids", "expected"),
    [
        (area(1000), "stable", "stable", "SD"),
        (area(1000), "improved", "decreased", "SD"),
        (area(1000), "worse", "stable", "PD"),
        (area(400), "worse", "none", "PD"),
        (area(1000), "stable", "increased", "NE"),
        (area(400), "stable", "increased", "NE"),
        (area(1300), "stable", "increased", "PD"),
        (area(400), "stable", "stable", "preliminary PR"),
        (Size(ABSENT), "stable", "none", "preliminary CR"),
        (Size(ABSENT), "stable", "stable", "preliminary PR"),
        (Size(ABSENT), "stable", "decreased", "preliminary PR"),
        (Size(NOT_EVALUABLE), "stable", "stable", "NE"),
        (Size(NOT_EVALUABLE), "worse", "stable", "PD"),
    ],
)
def test_condition_and_steroids(now, condition, steroids, expected):
    context = ClinicalContext(recurrent=True, status={56: ClinicalStatus(condition, steroids)})
    assert categories(rano2(course({"A": (area(1000), now)}), context)) == [expected]


def test_a_new_lesion_is_progression():
    assert judged(area(1000), area(300), new={1: [NewLesion("X")]}) == ["PD"]
    assert judged(area(1000), area(300), new={1: [NewLesion("X", unequivocal=False)]}) == ["PR"]


@pytest.mark.parametrize(
    ("state", "expected"),
    [(ABSENT, "preliminary CR"), (PRESENT, "preliminary PR"), (NOT_EVALUABLE, "preliminary PR"), (PROGRESSED, "PD")],
)
def test_non_targets_that_are_followed_by_eye(state, expected):
    made = course({"A": (area(1000), Size(ABSENT))}, findings={"E": (PRESENT, state)})
    context = ClinicalContext(recurrent=True, status={56: ClinicalStatus("stable", "none", markers_normal=True)})
    assert categories(rano2(made, context)) == [expected]


def with_sized(target: tuple[float, float], other: tuple[Size, Size]) -> list[str]:
    """A target and a non-target with sizes at two dates."""
    dates = [Assessment(day, {"A": area(a), "E": e}, {"E": Finding(PRESENT)}) for day, a, e in zip((0, 56), target, other)]
    return categories(rano2(Course((Target("A"),), (NonTarget("E"),), tuple(dates)), STEADY))


@pytest.mark.parametrize(
    ("target", "other", "expected"),
    [
        ((1000, 1100), (area(400), area(649.9)), "SD"),  # E +62 %, together 1749.9 of 1400: +24.99 %
        ((1000, 1100), (area(400), area(650.0)), "PD"),  # together 1750 of 1400: +25 %
        ((1000, 1240), (area(400), area(499.9)), "SD"),  # E +24.98 %: it does not progress, A +24 %
        ((1000, 500), (area(400), area(1000)), "preliminary PR"),  # together 1500 of 1400
    ],
)
def test_a_non_target_with_sizes_progresses_only_together_with_the_targets(target, other, expected):
    assert with_sized(target, other) == [expected]


def test_a_readers_word_on_a_non_target_with_sizes_is_not_lost():
    dates = [Assessment(0, {"A": area(1000), "E": area(400)}, {"E": Finding()})]
    dates.append(Assessment(56, {"A": area(1000), "E": area(500)}, {"E": Finding(PROGRESSED)}))
    found = rano2(Course((Target("A"),), (NonTarget("E"),), tuple(dates)), STEADY)[0]
    assert found.category == "SD", "1500 of 1400"
    assert any("as the reader sees it" in one for one in found.cautions)


def test_components_of_different_dates_are_told():
    with pytest.raises(InputError, match="both components of one date"):
        mixed(Proposal("a", 0, "SD", ""), Proposal("b", 56, "SD", ""))


def test_a_non_target_without_a_size_at_baseline_is_judged_by_eye():
    assert with_sized((1000, 1000), (Size(ABSENT), area(900))) == ["SD"]


def test_without_targets_only_progression_can_be_told():
    made = course({}, findings={"E": (PRESENT, PRESENT)})
    assert categories(rano2(made, STEADY)) == ["NE"]
    made = course({}, findings={"E": (PRESENT, PRESENT)}, new={1: [NewLesion("X")]})
    assert categories(rano2(made, STEADY)) == ["PD"]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        *[("PD", other, "PD") for other in ("CR", "PR", "MR", "SD", "PD", "NE")],
        ("PR", "SD", "PR"),
        ("MR", "SD", "MR"),
        ("CR", "SD", "SD"),
        ("CR", "MR", "MR"),
        ("CR", "PR", "PR"),
        ("SD", "SD", "SD"),
        ("CR", "CR", "CR"),
        ("PR", "PR", "PR"),
        ("PR", "MR", "MR"),
        ("SD", "NE", "NE"),
        ("CR", "NE", "NE"),
        ("preliminary PR", "SD", "preliminary PR"),
        ("preliminary PR", "PR", "PR"),
        ("preliminary PD", "SD", "preliminary PD"),
        ("preliminary PD", "PD", "PD"),
        ("preliminary CR", "SD", "SD"),
    ],
)
def test_both_components_are_joined_by_the_table(one, other, expected):
    first, second = Proposal("a", 56, one, "One."), Proposal("b", 56, other, "Other.")
    assert mixed(first, second).category == expected
    assert mixed(second, first).category == expected
    caution = "PR of one component with a minor response of the other is not in the table; the lesser was taken."
    assert (caution in mixed(first, second).cautions) == ({one, other} == {"PR", "MR"})


@pytest.mark.parametrize("wrong", [{"by": "length"}, {"tumor": "dark"}])
def test_unknown_words_are_told(wrong):
    with pytest.raises(InputError, match="wanted one of"):
        rano2(course({"A": (area(9), area(9))}), **wrong)

"""What must hold for any course: order, scale, new lesions, growth, missing targets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_response import scaled
from LongitudinalCompareLib.response.bands import band
from LongitudinalCompareLib.response.best_response import best_response
from LongitudinalCompareLib.response.inputs import (
    ABSENT,
    FINDINGS,
    NOT_EVALUABLE,
    SPLIT,
    TOO_SMALL,
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
from LongitudinalCompareLib.response.irecist import ICPD, IUPD, irecist
from LongitudinalCompareLib.response.mrecist import mrecist
from LongitudinalCompareLib.response.rano2 import NON_ENHANCING, VOLUME, rano2
from LongitudinalCompareLib.response.recist11 import NON_CR_NON_PD, recist11
from LongitudinalCompareLib.response.volumetric import volumetric

CRITERIA = {
    "RECIST 1.1": recist11,
    "RECIST 1.1, confirmed": lambda course, context: recist11(course, context, confirm=True),
    "iRECIST": irecist,
    "mRECIST": mrecist,
    "volumes": volumetric,
    "RANO 2.0, area": rano2,
    "RANO 2.0, area, non-enhancing": lambda course, context: rano2(course, context, tumor=NON_ENHANCING),
    "RANO 2.0, volume": lambda course, context: rano2(course, context, by=VOLUME),
}
SCALE_FREE = ("mRECIST", "volumes", "RANO 2.0, area", "RANO 2.0, area, non-enhancing", "RANO 2.0, volume")
"""Criteria of percentages alone; those with limits in mm are not."""

WORSE_LATER = {"CR": 0, "PR": 1, "MR": 2, "SD": 3, NON_CR_NON_PD: 3, "NE": 3, "PD": 4}
tenths = st.integers(1, 900).map(lambda value: value / 10)


@st.composite
def measured(draw, least: float = 0.1) -> Size:
    """A lesion with all its sizes, which need not fit each other: each criterion looks at its own."""
    longest = max(draw(tenths), least)
    return Size(
        longest_mm=longest, short_mm=longest * draw(st.sampled_from((0.5, 0.75, 1.0))), volume_ml=draw(tenths), viable_mm=longest
    )


later = st.one_of(
    measured(),
    measured(),
    measured(),
    st.sampled_from((Size(ABSENT), Size(TOO_SMALL), Size(NOT_EVALUABLE))),
)


@st.composite
def courses(draw, *, nodes: bool = True, seen: bool = False) -> tuple[Course, ClinicalContext]:
    """Two to four dates of one to four targets and up to two non-targets. seen: nothing is missing or too small."""
    targets = tuple(Target(f"T{at}", node=nodes and draw(st.booleans())) for at in range(draw(st.integers(1, 4))))
    others = tuple(NonTarget(f"E{at}", node=draw(st.booleans())) for at in range(draw(st.integers(0, 2))))
    days = [0]
    for _ in range(draw(st.integers(1, 3))):
        days.append(days[-1] + draw(st.sampled_from((14, 27, 28, 56))))
    dates = []
    for day in days:
        how = measured(10) if day == 0 or seen else later
        sizes = {one.name: draw(how) for one in targets}
        findings = {one.name: Finding(draw(st.sampled_from(FINDINGS)), grown=draw(st.booleans())) for one in others}
        new = tuple(NewLesion(f"X{at}", grown=draw(st.booleans())) for at in range(draw(st.sampled_from((0, 0, 0, 1, 2)))))
        dates.append(Assessment(day, sizes, findings, new if day else ()))
    status = {
        day: ClinicalStatus(
            draw(st.sampled_from((None, "stable", "worse"))), draw(st.sampled_from((None, "none", "stable", "increased")))
        )
        for day in days
    }
    context = ClinicalContext(
        radiotherapy_end_day=draw(st.sampled_from((None, 0, 30))), recurrent=draw(st.booleans()), status=status
    )
    return Course(targets, others, tuple(dates)), context


def told(criterion: str, course: Course, context: ClinicalContext) -> list[str]:
    return [one.category for one in CRITERIA[criterion](course, context)]


@pytest.mark.parametrize("criterion", CRITERIA)
@settings(max_examples=10, deadline=None)
@given(courses(), st.randoms(use_true_random=False))
def test_the_order_of_the_lesions_does_not_matter(criterion, made, random):
    course, context = made

    def mixed_up(row):
        return tuple(random.sample(list(row), len(row)))

    dates = [
        replace(
            one,
            sizes={name: one.sizes[name] for name in mixed_up(one.sizes)},
            findings={name: one.findings[name] for name in mixed_up(one.findings)},
            new_lesions=mixed_up(one.new_lesions),
        )
        for one in course.assessments
    ]
    other = Course(mixed_up(course.targets), mixed_up(course.non_targets), tuple(dates))
    assert told(criterion, other, context) == told(criterion, course, context)


@pytest.mark.parametrize("criterion", SCALE_FREE)
@settings(max_examples=10, deadline=None)
@given(courses(nodes=False), st.sampled_from((0.25, 0.7, 1.3, 3.0)))
def test_percentages_do_not_depend_on_scale(criterion, made, factor):
    course, context = made
    dates = [replace(one, sizes={name: scaled(size, factor) for name, size in one.sizes.items()}) for one in course.assessments]
    other = replace(course, assessments=tuple(dates))
    assert told(criterion, other, context) == told(criterion, course, context)


@settings(max_examples=25, deadline=None)
@given(measured(), measured(), st.sampled_from((0.25, 0.7, 1.3, 3.0)))
def test_bands_do_not_depend_on_scale(before, now, factor):
    target = Target("A")
    expected = band(target, before, now, 9).category
    assert band(target, scaled(before, factor), scaled(now, factor), 9).category == expected


@pytest.mark.parametrize("criterion", CRITERIA)
@settings(max_examples=10, deadline=None)
@given(courses(), st.integers(-20_000, 20_000))
def test_the_first_day_does_not_matter(criterion, made, days):
    course, context = made
    dates = tuple(replace(one, day=one.day + days) for one in course.assessments)
    end = context.radiotherapy_end_day
    other = replace(
        context,
        radiotherapy_end_day=None if end is None else end + days,
        status={day + days: status for day, status in context.status.items()},
    )
    assert told(criterion, replace(course, assessments=dates), other) == told(criterion, course, context)


def with_new_lesion(course: Course, at: int) -> Course:
    dates = list(course.assessments)
    dates[at] = replace(dates[at], new_lesions=(*dates[at].new_lesions, NewLesion("New")))
    return replace(course, assessments=tuple(dates))


@pytest.mark.parametrize("criterion", [one for one in CRITERIA if one != "iRECIST"])
@settings(max_examples=10, deadline=None)
@given(courses(), st.integers(0, 9))
def test_a_new_lesion_is_progression_whatever_else_happens(criterion, made, which):
    course, context = made
    at = 1 + which % (len(course.assessments) - 1)
    assert told(criterion, with_new_lesion(course, at), context)[at - 1].endswith("PD")


@settings(max_examples=25, deadline=None)
@given(courses(), st.integers(0, 9))
def test_a_new_lesion_never_makes_irecist_better(made, which):
    course, context = made
    at = 1 + which % (len(course.assessments) - 1)
    before, after = (told("iRECIST", one, context)[at - 1] for one in (course, with_new_lesion(course, at)))
    assert after in (IUPD, ICPD)
    assert before != ICPD or after == ICPD


@settings(max_examples=25, deadline=None)
@given(courses(), st.integers(0, 9), st.booleans())
def test_a_new_lesion_never_makes_the_best_response_better(made, which, confirm):
    course, context = made
    at = 1 + which % (len(course.assessments) - 1)
    before, after = (
        best_response(recist11(one, context, confirm=confirm), 0, confirm=confirm).category
        for one in (course, with_new_lesion(course, at))
    )
    assert WORSE_LATER[after] >= WORSE_LATER[before]


@pytest.mark.parametrize("criterion", [one for one in CRITERIA if one != "iRECIST"])
@settings(max_examples=10, deadline=None)
@given(courses(seen=True), st.integers(0, 9), st.sampled_from((1.1, 2.0, 5.0)))
def test_growth_of_a_target_never_makes_a_date_better(criterion, made, which, factor):
    course, context = made
    name = course.targets[which % len(course.targets)].name
    last = course.assessments[-1]
    grown = replace(last, sizes={**last.sizes, name: scaled(last.sizes[name], factor)})
    other = replace(course, assessments=(*course.assessments[:-1], grown))
    before, after = (told(criterion, one, context)[-1].removeprefix("preliminary ") for one in (course, other))
    assert WORSE_LATER[after] >= WORSE_LATER[before]


@pytest.mark.parametrize("criterion", ["RECIST 1.1", "mRECIST", "volumes", "RANO 2.0, volume"])
@settings(max_examples=25, deadline=None)
@given(courses(seen=True), st.integers(0, 9))
def test_progression_with_a_target_missing_is_progression_whatever_it_measures(criterion, made, which):
    course, context = made
    name = course.targets[which % len(course.targets)].name
    last = course.assessments[-1]
    hidden = replace(last, sizes={**last.sizes, name: Size(NOT_EVALUABLE)})
    without = told(criterion, replace(course, assessments=(*course.assessments[:-1], hidden)), context)[-1]
    if without.endswith("PD"):
        for size in (last.sizes[name], Size(ABSENT)):
            seen = replace(last, sizes={**last.sizes, name: size})
            assert told(criterion, replace(course, assessments=(*course.assessments[:-1], seen)), context)[-1] == without
    else:
        assert without == "NE"


@settings(max_examples=25, deadline=None)
@given(courses())
def test_irecist_confirms_only_what_waits_and_then_for_good(made):
    found = told("iRECIST", *made)
    assert found[0] != ICPD
    if ICPD in found:
        first = found.index(ICPD)
        assert IUPD in found[:first] and set(found[first:]) == {ICPD}


@settings(max_examples=25, deadline=None)
@given(courses())
def test_irecist_progresses_first_where_recist_does(made):
    recist, immune = told("RECIST 1.1", *made), told("iRECIST", *made)
    first = next((at for at, one in enumerate(immune) if one in (IUPD, ICPD)), len(immune))
    back = next((at for at, one in enumerate(recist) if one == "PD"), len(recist))
    assert back <= first, "disease that is back after CR is PD in RECIST 1.1 alone"
    assert back == first or "CR" in recist[:back]


@pytest.mark.parametrize("criterion", CRITERIA)
@settings(max_examples=6, deadline=None)
@given(courses())
def test_every_answer_is_proposed_and_explained(criterion, made):
    for one in CRITERIA[criterion](*made):
        assert one.state == "proposed" and one.sentence.endswith(".") and one.category in one.sentence


@settings(max_examples=25, deadline=None)
@given(st.lists(measured(), min_size=2, max_size=5))
def test_a_lesion_that_split_counts_as_much_as_its_parts_as_lesions(parts):
    whole = Course(
        (Target("A"),), (), (Assessment(0, {"A": Size(longest_mm=50)}), Assessment(56, {"A": Size(SPLIT, parts=tuple(parts))}))
    )
    alone = {f"A{at}": part for at, part in enumerate(parts)}
    each = Size(longest_mm=50 / len(parts))
    apart = Course(tuple(Target(name) for name in alone), (), (Assessment(0, dict.fromkeys(alone, each)), Assessment(56, alone)))
    assert recist11(whole)[0].figure("sum of diameters") == pytest.approx(recist11(apart)[0].figure("sum of diameters"))

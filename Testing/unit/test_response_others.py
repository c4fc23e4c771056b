"""mRECIST, PERCIST, volumes with RECIST's thresholds, and bands: one case on each side of every limit."""

from __future__ import annotations

import pytest

from helpers_response import categories, course
from LongitudinalCompareLib.response import bands, mrecist, percist, volumetric
from LongitudinalCompareLib.response.inputs import ABSENT, MERGED, NOT_EVALUABLE, PRESENT, TOO_SMALL, NewLesion, Size, Target
from LongitudinalCompareLib.response.percist import Pet, Uptake
from OncoLib.errors import InputError


@pytest.mark.parametrize(
    ("sums", "expected"),
    [
        ((50, 35.1), ["SD"]),  # -29.8 %
        ((50, 35.0), ["PR"]),
        ((50, 59.9), ["SD"]),
        ((50, 60.0), ["PD"]),
        ((20, 24.0), ["PD"]),  # +4 mm: no growth in mm is asked for
        ((50, 20, 24.0), ["PR", "PD"]),
        ((50, 0.0), ["CR"]),
    ],
)
def test_mrecist_judges_the_part_that_enhances(sums, expected):
    assert categories(mrecist.mrecist(course({"A": sums}))) == expected


def test_mrecist_takes_the_viable_diameter_and_not_the_longest():
    dead = Size(longest_mm=50, viable_mm=0.0)
    made = course({"A": (Size(longest_mm=50, viable_mm=40), dead)}, findings={"E": (PRESENT, PRESENT)})
    found = mrecist.mrecist(made)
    assert categories(found) == ["PR"], "targets CR, a non-target still enhances"
    assert mrecist.READER in found[0].cautions
    with pytest.raises(InputError, match="sum of viable diameters at baseline lacks A"):
        mrecist.mrecist(course({"A": (Size(longest_mm=50), dead)}))


@pytest.mark.parametrize(
    ("mm", "enhances", "expected"), [(10.0, True, True), (9.9, True, False), (30, False, False), (None, True, False)]
)
def test_mrecist_measurable(mm, enhances, expected):
    assert mrecist.measurable(mm, enhances=enhances) == expected


def volumes(*values: float) -> list[Size]:
    return [Size(volume_ml=one) for one in values]


@pytest.mark.parametrize(
    ("sums", "ball", "lung"),
    [
        ((100, 34.31), ["SD"], ["PR"]),
        ((100, 34.3), ["PR"], ["PR"]),  # 0.7^3
        ((100, 65.1), ["SD"], ["SD"]),
        ((100, 65.0), ["SD"], ["PR"]),
        ((100, 154.9), ["SD"], ["SD"]),
        ((100, 155.0), ["SD"], ["PD"]),
        ((100, 172.7), ["SD"], ["PD"]),
        ((100, 172.8), ["PD"], ["PD"]),  # 1.2^3
        ((100, 20, 34.56), ["PR", "PD"], ["PR", "PD"]),
    ],
)
def test_volumes_take_the_cubes_of_the_thresholds(sums, ball, lung):
    made = course({"A": volumes(*sums)})
    assert categories(volumetric.volumetric(made)) == ball
    assert categories(volumetric.volumetric(made, lung=True)) == lung
    assert all("not a RECIST category" in one.criterion for one in volumetric.volumetric(made))


def test_volumes_count_new_lesions_and_no_number_for_what_is_too_small():
    assert categories(volumetric.volumetric(course({"A": volumes(9, 9)}, new={1: [NewLesion("X")]}))) == ["PD"]
    assert categories(volumetric.volumetric(course({"A": [*volumes(9), Size(TOO_SMALL)]}))) == ["NE"]
    assert categories(volumetric.volumetric(course({"A": [*volumes(9), Size(TOO_SMALL, volume_ml=0.1)]}))) == ["PR"]
    assert categories(volumetric.volumetric(course({"A": [*volumes(9), Size(TOO_SMALL, volume_ml=0.0)]}))) == ["PR"], (
        "it is there"
    )


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        (25.0, bands.GROWN),
        (24.99, bands.LARGER),
        (5.0, bands.LARGER),
        (4.99, bands.SAME),
        (0.0, bands.SAME),
        (-4.99, bands.SAME),
        (-5.0, bands.SMALLER),
        (-24.99, bands.SMALLER),
        (-25.0, bands.SHRUNK),
    ],
)
def test_each_change_has_one_band(percent, expected):
    found = bands.band(Target("A"), Size(volume_ml=8.0), Size(volume_ml=8.0 * (1 + percent / 100)), 56)
    assert found.category == expected
    assert "not a RECIST category" in found.criterion and bands.CAUTION in found.cautions


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (Size(volume_ml=2), Size(ABSENT), bands.GONE),
        (Size(ABSENT), Size(volume_ml=2), bands.NEW),
        (Size(ABSENT), Size(ABSENT), "NE"),
        (Size(volume_ml=2), Size(NOT_EVALUABLE), "NE"),
        (Size(volume_ml=2), Size(longest_mm=9), "NE"),
        (Size(volume_ml=2), Size(MERGED, into="B"), "NE"),
    ],
)
def test_bands_of_lesions_that_come_go_or_cannot_be_judged(before, now, expected):
    assert bands.band(Target("A"), before, now, 56).category == expected


def pet(day: int, *peaks: float, liver=2.0, **more) -> Pet:
    return Pet(day, tuple(Uptake(f"L{at}", one) for at, one in enumerate(peaks)), liver, 0.25, **more)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (5.0, 3.5, "PMR"),  # -30 %, -1.5
        (5.0, 3.51, "SMD"),  # -29.8 %
        (5.0, 6.5, "PMD"),  # +30 %, +1.5
        (5.0, 6.49, "SMD"),  # +29.8 %
        (4.0, 2.8, "PMR"),  # -30 %, -1.2
    ],
)
def test_percist_judges_the_hottest_lesion(before, now, expected):
    found = percist.percist([pet(0, before, 3.6), pet(56, 2.5, now)])
    assert categories(found) == [expected]
    assert percist.NOT_TRIED in found[0].cautions


@pytest.mark.parametrize(("now", "expected"), [(2.6 - 0.79, "SMD"), (2.6 - 0.8, "PMR"), (2.6 + 0.79, "SMD"), (2.6 + 0.8, "PMD")])
def test_percist_needs_08_units_too(now, expected):
    pets = [pet(0, 2.6, liver=1.0), pet(56, now, liver=1.0)]
    assert categories(percist.percist(pets)) == [expected], "0.79 of 2.6 are more than 30 %"


@pytest.mark.parametrize(("peak", "expected"), [(3.5, "NE"), (3.51, "SMD")])
def test_percist_needs_a_lesion_above_the_liver_at_baseline(peak, expected):
    """1.5 x 2.0 + 2 x 0.25 = 3.5."""
    assert categories(percist.percist([pet(0, peak), pet(56, peak)])) == [expected]


def test_percist_without_anything_measurable_still_tells_new_lesions():
    assert categories(percist.percist([pet(0), pet(56, new=("X",))])) == ["PMD"]


@pytest.mark.parametrize(
    ("peaks", "more", "expected"),
    [
        ((1.9,), {"as_background": True}, "CMR"),
        ((2.0,), {"as_background": True}, "PMR"),
        ((1.9,), {"as_background": False}, "PMR"),
        ((1.9,), {}, "PMR"),
        ((), {"as_background": True}, "CMR"),
        ((), {}, "PMR"),
        ((5.0,), {"wider": True}, "PMD"),
        ((1.9,), {"as_background": True, "new": ("X",)}, "PMD"),
    ],
)
def test_percist_complete_response_and_what_a_reader_sees(peaks, more, expected):
    found = percist.percist([pet(0, 5.0), pet(56, *peaks, **more)])[0]
    assert found.category == expected
    assert any("CMR if a reader" in one for one in found.cautions) == (expected == "PMR" and "as_background" not in more)


@pytest.mark.parametrize(("glycolysis", "expected"), [(174.9, "SMD"), (175.0, "PMD"), (None, "SMD")])
def test_percist_counts_the_glycolysis_of_the_five_hottest(glycolysis, expected):
    before = [Uptake(f"L{at}", 9.0 - at, 20.0) for at in range(5)] + [Uptake("cold", 0.1, 999.0)]
    each = None if glycolysis is None else glycolysis / 5
    now = [Uptake(f"L{at}", 9.0 - at, each) for at in range(5)]
    assert categories(percist.percist([Pet(0, tuple(before), 2, 0.2), Pet(56, tuple(now), 2, 0.2)])) == [expected]


@pytest.mark.parametrize(
    ("before", "now", "told"), [(2.0, 2.29, False), (2.0, 2.3, True), (1.0, 1.2, False), (1.0, 1.21, True), (2.0, 1.7, True)]
)
def test_percist_says_when_the_liver_differs(before, now, told):
    found = percist.percist([pet(0, 9, liver=before), pet(56, 9, liver=now)])[0]
    assert any("The liver changed" in one for one in found.cautions) == told


def test_percist_checks_its_input():
    with pytest.raises(InputError, match="each later"):
        percist.percist([pet(5, 4), pet(5, 4)])
    with pytest.raises(InputError, match="The peak SUL is -1"):
        Uptake("A", -1)

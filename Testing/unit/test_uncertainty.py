"""Intervals of sizes and changes: values from arithmetic and published tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.uncertainty import WORLDS, World, coverage
from LongitudinalCompareLib.growth import BEYOND, UNKNOWN, WITHIN, change_of
from LongitudinalCompareLib.intervals import Component, half_width_ln, spread_of
from LongitudinalCompareLib.repeatability import (
    LONGEST_DIAMETER,
    NONE_PUBLISHED,
    PUBLISHED,
    READERS,
    RESCAN,
    SHORT_AXIS,
    VOLUME,
    published,
)
from LongitudinalCompareLib.uncertainty import Setting, Size, interval_of
from OncoLib.errors import InputError
from OncoLib.quantities import LONG_AXIS
from OncoLib.quantities import VOLUME as VOLUME_CODE

FINE = (0.5, 0.5, 0.5)
LUNG = Setting(VOLUME, "CT", "lung", "solid")
BRAIN = Setting(VOLUME, "MR", "brain")


def size(value: float, **more) -> Size:
    return Size(value, FINE, **more)


def test_one_component_of_known_width_gives_the_factor_of_1_96_deviations():
    assert half_width_ln([Component("a", 0.1, "")]) == pytest.approx(0.195996, abs=1e-6)
    assert half_width_ln([Component("a", 0.3, ""), Component("b", 0.4, "")]) == pytest.approx(1.959964 * 0.5, abs=1e-6)
    assert half_width_ln([]) == 0.0


@pytest.mark.parametrize(("degrees", "quantile"), [(2, 4.303), (4, 2.776), (9, 2.262), (30, 2.042)])
def test_few_degrees_of_freedom_take_student_s_t(degrees, quantile):
    """Any table of Student's t, two-sided 95 %."""
    assert half_width_ln([Component("a", 1.0, "", degrees)]) == pytest.approx(quantile, abs=5e-4)


def test_degrees_of_freedom_combine_as_welch_and_satterthwaite_have_it():
    """Two equal parts of 4 degrees each have 8 together: t = 2.306. With one of them known exactly: 16, t = 2.120."""
    assert half_width_ln([Component("a", 1, "", 4), Component("b", 1, "", 4)]) == pytest.approx(2.306 * np.sqrt(2), abs=1e-3)
    assert half_width_ln([Component("a", 1, "", 4), Component("b", 1, "")]) == pytest.approx(2.120 * np.sqrt(2), abs=1e-3)


def test_the_spread_of_three_is_widened_for_what_they_share():
    logs = [0.0, 0.1, 0.2]  # standard deviation 0.1
    assert spread_of(logs, 0.0) == (pytest.approx(0.1 / np.sqrt(3)), 2.0)
    assert spread_of(logs, 0.5) == (pytest.approx(0.1 * np.sqrt(4 / 3)), 2.0)
    with pytest.raises(InputError, match="two or more"):
        spread_of([0.0])
    with pytest.raises(InputError, match="below 1"):
        spread_of(logs, 1.0)


def test_published_limits_become_deviations_of_one_measurement():
    """-25.1 to +28.9 %: ln 1.289 - ln 0.749 = 0.5429; over 2 * 1.96 * sqrt 2 = 0.0979."""
    found = published(VOLUME, RESCAN, "ct", "Lung, left upper lobe", "solid", 30.0)
    assert found.sd_ln == pytest.approx((np.log(1.289) - np.log(0.749)) / (2 * 1.959964 * np.sqrt(2)), rel=1e-6)
    assert found.source == "PMC3043750" and found.degrees == 19
    around_mean = published(VOLUME, READERS, "MR", "vestibular schwannoma", "", 30.0)
    assert around_mean.sd_ln == pytest.approx((np.log(1.073) - np.log(0.927)) / (2 * 1.959964) / np.sqrt(0.8), rel=1e-6)


def test_the_widest_counts_where_several_fit():
    solid, unknown = (published(VOLUME, RESCAN, "CT", "lung", kind, 8.0) for kind in ("solid", ""))
    assert (solid.low, solid.high) == (-0.27, 0.27)
    assert (unknown.low, unknown.high) == (-0.354, 0.286)


@pytest.mark.parametrize(
    "asked",
    [
        (VOLUME, RESCAN, "MR", "lung", "", 20.0),
        (VOLUME, RESCAN, "CT", "liver", "", 20.0),
        (VOLUME, RESCAN, "CT", "lung", "solid", 50.0),
        (VOLUME, RESCAN, "CT", "", "", 20.0),
        (SHORT_AXIS, RESCAN, "CT", "lung", "", 20.0),
        (LONGEST_DIAMETER, RESCAN, "CT", "lung", "solid", 9.9),
    ],
)
def test_nothing_is_made_up_where_nothing_is_published(asked):
    assert published(*asked) is None


def test_every_published_row_names_its_source_and_can_be_found():
    for row in PUBLISHED:
        assert row.source and row.low < 0 < row.high and 0 < row.sd_ln < 0.2
        assert published(row.quantity, row.what, row.modality, row.organ, row.kind, min(row.most_mm, 1000.0)) is not None


def test_the_limit_of_diameters_is_the_published_quantile():
    """3 % of changes are +20 % or more: the 97 % point of the difference of two is ln 1.2."""
    found = published(LONGEST_DIAMETER, RESCAN, "CT", "lung", "solid", 20.0)
    assert 1.880794 * np.sqrt(2) * found.sd_ln == pytest.approx(np.log(1.2), rel=1e-6)


def test_an_interval_has_all_parts_and_travels_as_a_measurement():
    found = interval_of(size(4.0, experts={"a": 4.2, "b": 3.9, "c": 4.0}), LUNG)
    assert {one.name for one in found.components} == {"repeatability", "experts", "grid"}
    assert found.left_out == () and found.complete
    assert np.log(found.high / found.value) == pytest.approx(np.log(found.value / found.low))
    travels = found.measurement()
    assert (travels.value, travels.unit, travels.code, travels.interval) == (4.0, "ml", VOLUME_CODE, (found.low, found.high))
    assert travels.method == "95 % interval on the log of the volume from repeatability, experts, grid"


def test_an_interval_says_what_it_leaves_out():
    found = interval_of(size(4.0), BRAIN)
    assert {one.name for one in found.components} == {"grid"}
    assert found.left_out == (
        f"{NONE_PUBLISHED} of the volume (MR brain, 20 mm): what another scan would change is left out",
        "one segmentation only: how far another one would differ is left out",
    )
    assert NONE_PUBLISHED in found.method and not found.complete


def test_readers_decide_the_value_and_their_spread_the_width():
    experts = {"a": 1.0, "b": 9.0}
    two = interval_of(size(4.0, experts=experts, readers={"r1": 2.0, "r2": 8.0}), BRAIN)
    assert two.value == pytest.approx(4.0)
    assert {one.name for one in two.components} == {"readers", "grid"}
    one = interval_of(size(4.0, experts=experts, readers={"r1": 2.0}), LUNG)
    assert one.value == pytest.approx(2.0)
    reader = next(part for part in one.components if part.name == "readers")
    assert reader.sd_ln == pytest.approx((np.log(1.186) - np.log(0.74)) / (2 * 1.959964 * np.sqrt(2)), rel=1e-6)
    alone = interval_of(size(4.0, readers={"r1": 2.0}), BRAIN)
    assert "no published spread of readers" in alone.left_out[1]


def test_thicker_slices_widen():
    thin, thick = (interval_of(Size(0.5, (0.7, 0.7, step)), LUNG) for step in (1.0, 5.0))
    assert thick.high > thin.high and thick.low < thin.low


def test_a_diameter_has_its_own_published_limits():
    found = interval_of(Size(20.0, (0.7, 0.7, 1.0)), Setting(LONGEST_DIAMETER, "CT", "lung", "solid"))
    assert (found.unit, found.measurement().code) == ("mm", LONG_AXIS)
    assert found.complete
    deviation = np.hypot(np.log(1.2) / 1.880794 / np.sqrt(2), 0.7 / np.sqrt(6) / 20)
    assert np.log(found.high / found.value) == pytest.approx(1.96 * deviation, rel=2e-3)


def test_growth_of_a_doubling_in_100_days_is_that_of_mehrara():
    """SGR = ln 2 / DT: 0.693 % a day for a doubling time of 100 days (Mehrara 2007)."""
    found = change_of(size(4.0), size(8.0), 100.0, LUNG)
    value, low, high = found.sgr_percent_per_day
    assert value == pytest.approx(0.693147, abs=1e-6)
    assert found.doubling_days[0] == pytest.approx(100.0)
    assert found.doubling_days[1] == pytest.approx(100 * np.log(2) / high) and low > 0
    assert found.percent[0] == pytest.approx(100.0)
    assert found.verdict == BEYOND


def test_half_the_volume_in_50_days_halves_in_50():
    found = change_of(size(8.0), size(4.0), 50.0, LUNG)
    assert found.doubling_days[0] == pytest.approx(-50.0)
    assert found.doubling_days[1] < -50 < found.doubling_days[2] < 0


def test_a_change_within_the_limits_is_told_as_such_with_the_limit():
    found = change_of(size(14.0), size(14.0 * 1.2), 60.0, LUNG)
    assert found.verdict == WITHIN and found.doubling_days is None
    low, high = found.limit_percent
    assert (1 + low / 100) * (1 + high / 100) == pytest.approx(1.0)
    assert high == pytest.approx(100 * np.expm1(2.093 * np.sqrt(2) * 0.0979), abs=0.3)  # t with 19 degrees of freedom
    assert found.sentence == f"+20 % is within measurement error (95 % limits {low:+.0f} to {high:+.0f} %)"


def test_without_a_published_repeatability_a_change_is_not_called_real():
    found = change_of(size(4.0), size(12.0), 60.0, BRAIN)
    assert found.verdict == UNKNOWN and found.doubling_days is None
    assert found.sentence.startswith("+200 %: error not known (no published repeatability); what is known (grid) gives ")
    assert change_of(size(4.0), size(4.0), 60.0, BRAIN).verdict == WITHIN


def test_what_an_expert_always_does_alike_cancels_in_a_change():
    steady = change_of(size(4.0, experts={"a": 2.0, "b": 8.0}), size(8.0, experts={"a": 4.0, "b": 16.0}), 60.0, LUNG)
    erratic = change_of(size(4.0, experts={"a": 2.0, "b": 8.0}), size(8.0, experts={"a": 16.0, "b": 4.0}), 60.0, LUNG)
    others = change_of(size(4.0, experts={"a": 2.0, "b": 8.0}), size(8.0, experts={"c": 4.0, "d": 16.0}), 60.0, LUNG)
    assert steady.half_width < 0.35 < others.half_width < erratic.half_width


@given(st.floats(0.02, 500.0), st.integers(1, 4))
def test_what_was_said_is_given_back_to_the_last_digit(value, readers):
    """By one, or by several alike; exp(log(30)) is 30.000000000000004."""
    told = size(7.0, readers={f"r{number}": value for number in range(readers)})
    assert told.counted == interval_of(told, LUNG).value == interval_of(size(value, experts={"a": 9.0}), BRAIN).value == value
    both = size(7.0, readers={"a": value, "b": 4 * value})
    assert interval_of(both, LUNG).value == pytest.approx(2 * value), "the geometric mean of two"


@given(st.floats(0.02, 200.0), st.floats(0.02, 200.0), st.sampled_from([LUNG, BRAIN]))
def test_swapped_dates_mirror_the_change(first, second, setting):
    there, back = (change_of(size(a), size(b), 30.0, setting) for a, b in ((first, second), (second, first)))
    assert there.log == pytest.approx(-back.log)
    assert there.half_width == pytest.approx(back.half_width)
    assert there.verdict == back.verdict


@given(st.lists(st.floats(0.5, 5.0), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_experts_does_not_matter(values, random):
    named = [(f"e{number}", value) for number, value in enumerate(values)]
    mixed = random.sample(named, len(named))
    first, second = (interval_of(size(2.0, experts=dict(one)), LUNG) for one in (named, mixed))
    assert first.high == pytest.approx(second.high)


@pytest.mark.parametrize("world", [WORLDS[0], World("leaks", leaks=0.1), World("skew", skew=1.4), World("study", study=20)])
def test_intervals_cover_on_errors_that_are_not_assumed(world):
    """600 draws know a coverage of 95 % to 1.7 %, so 93 to 97 % is asked for with that beside it."""
    shares = coverage(world, 600, 0.5)
    assert all(0.913 <= share <= 0.987 for share in shares)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: size(0.0), "the lesion measured 0; wanted more than 0"),
        (lambda: size(1.0, experts={"a": float("nan")}), "a measured nan"),
        (lambda: change_of(size(1.0), size(2.0), 0.0, LUNG), "0 days after the earlier one"),
        (lambda: Setting("area"), "'area' is unknown"),
    ],
)
def test_what_has_no_interval_is_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()

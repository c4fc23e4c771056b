"""Which lesion is which: statuses, links and UIDs on balls whose fate is known."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import grid
from helpers_tracking import ball_lesion, dated, shift, statuses
from LongitudinalCompareLib.lesion_pairs import MatchSettings
from LongitudinalCompareLib.lesion_track import LesionKey, tracking_uid
from LongitudinalCompareLib.tracking import track_lesions
from OncoLib.errors import Cancelled, InputError
from OncoLib.progress import CancelToken
from OncoLib.registration.transform import LinearTransform
from tracking_cases import case

small_case = lru_cache(partial(case, count=6))

A, B, C = ((15, 15, 15), 5), ((40, 15, 15), 6), ((15, 42, 40), 4)


def test_what_stays_is_persistent_what_goes_is_resolved_and_what_comes_is_new():
    found = track_lesions([dated(0, {"a": A, "b": B}), dated(1, {"x": A, "y": C})], "study")
    assert statuses(found) == {"a": ("baseline", "persistent"), "b": ("baseline", "resolved"), "y": ("not yet", "new")}
    (link,) = found.links
    assert (link.earlier, link.later, link.made_by) == (LesionKey(0, "a"), LesionKey(1, "x"), "matched")
    assert link.overlap == pytest.approx(1.0) and link.distance_mm == pytest.approx(0.0)
    assert found.tracks[1].volumes_ml() == (pytest.approx(found.tracks[1].states[0].lesions[0].volume_ml), 0.0)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_lesion_that_grew_or_shrank_eight_times_is_the_same(factor):
    found = track_lesions([dated(0, {"a": ((30, 30, 30), 8)}), dated(1, {"x": ((30, 30, 30), 8 * factor)})], "study")
    assert statuses(found) == {"a": ("baseline", "persistent")}


def test_the_transform_carries_points_from_the_baseline_to_the_other_date():
    later = {"x": ((25, 15, 15), 5)}
    right = track_lesions([dated(0, {"a": A}), dated(1, later, shift(10, 0, 0))], "study")
    wrong = track_lesions([dated(0, {"a": ((15, 15, 15), 2)}), dated(1, {"x": ((25, 15, 15), 2)}, shift(-10, 0, 0))], "study")
    assert right.links[0].distance_mm == pytest.approx(0.0, abs=1e-9)
    assert statuses(wrong)["a"][1] == "resolved"


def test_native_grids_of_any_direction_are_compared_where_they_lie():
    turned = grid((1.5, 1.0, 3.0), (-5.0, 60.0, -3.0), (0.2, 0.3, 0.9), 25.0, (1, -1, 1))
    earlier = dated(0, {"a": ((20, 20, 20), 8), "b": ((40, 35, 20), 5)})
    later = dated(1, {"b2": ((40, 35, 20), 5), "a2": ((20, 20, 20), 8)}, grid=turned, shape=(50, 90, 70))
    links = {(link.earlier.name, link.later.name): link.overlap for link in track_lesions([earlier, later], "study").links}
    assert set(links) == {("a", "a2"), ("b", "b2")}
    assert min(links.values()) > 0.8  # rounding on 3 mm slices


def test_two_that_grow_into_one_are_merged_and_keep_their_uids():
    earlier = dated(0, {"a": ((20, 30, 30), 6), "b": ((36, 30, 30), 5)})
    later = dated(1, {"both": ([(20, 30, 30), (34, 30, 30)], 9)})
    after = dated(2, {"one": ([(20, 30, 30), (34, 30, 30)], 10)})
    found = track_lesions([earlier, later, after], "study")
    assert statuses(found) == {"a": ("baseline", "merged", "merged"), "b": ("baseline", "merged", "merged")}
    first, second = found.tracks
    assert first.states[1].merged_with == (second.tracking_uid,)
    assert first.states[1].lesions == second.states[1].lesions
    assert {one.name for one in found.track_of(LesionKey(1, "both"))} == {"a", "b"}


def test_one_that_falls_apart_is_split_and_one_again_when_its_parts_rejoin():
    centers = [(20, 30, 30), (34, 30, 30)]
    whole, parts = {"a": (centers, 8)}, {"left": (centers[0], 5), "right": (centers[1], 5)}
    found = track_lesions([dated(0, whole), dated(1, parts), dated(2, whole)], "study")
    assert statuses(found) == {"a": ("baseline", "split", "persistent")}
    track = found.tracks[0]
    assert {one.key.name for one in track.states[1].lesions} == {"left", "right"}
    assert track.volumes_ml()[1] == pytest.approx(sum(one.volume_ml for one in track.states[1].lesions))


def test_a_place_that_was_not_scanned_is_out_of_field_and_not_resolved():
    half = dated(1, {"x": A}, shape=(60, 60, 30))
    found = track_lesions([dated(0, {"a": A, "b": B}), half], "study")
    assert statuses(found) == {"a": ("baseline", "persistent"), "b": ("baseline", "out of field")}
    assert found.tracks[1].volumes_ml()[1] is None
    assert found.tracks[1].states[1].expected_ras_mm == pytest.approx((40, 15, 15))


def test_a_new_lesion_where_nobody_looked_before_says_so():
    found = track_lesions([dated(0, {"a": A}, shape=(60, 60, 30)), dated(1, {"x": A, "y": B})], "study")
    assert statuses(found)["y"] == ("out of field", "new")
    assert found.tracks[1].states[1].flags == ("its place was not in the field of view of date 1",)
    named = (dated(0, {"a": A}, shape=(60, 60, 30), when="2026-01-05"), dated(1, {"x": A, "y": B}, when="2026-03-02"))
    assert track_lesions(named, "study").tracks[1].states[1].flags == ("its place was not in the field of view of 2026-01-05",)


def test_a_lesion_cut_by_the_field_of_view_is_flagged():
    found = track_lesions([dated(0, {"a": A}), dated(1, {"x": A}, shape=(60, 60, 18))], "study")
    assert found.tracks[0].states[1].flags == ("it lies partly outside of the field of view of this date",)


def test_where_the_alignment_is_refused_nothing_is_resolved_or_new():
    refused = frozenset({LesionKey(0, "a")})
    found = track_lesions([dated(0, {"a": A, "b": B}), dated(1, {"x": A, "y": B}, refused=refused)], "study")
    assert statuses(found) == {
        "a": ("baseline", "not evaluable"), "b": ("baseline", "persistent"), "x": ("not yet", "not evaluable")
    }  # fmt: skip
    assert found.tracks[2].states[1].flags == ("may be lesion 'a', whose alignment is refused here",)


def test_a_lesion_far_from_a_refused_one_is_new():
    refused = frozenset({LesionKey(0, "a")})
    found = track_lesions([dated(0, {"a": A}), dated(1, {"y": C}, refused=refused)], "study")
    assert statuses(found) == {"a": ("baseline", "not evaluable"), "y": ("not yet", "new")}


def test_each_date_is_compared_with_the_last_at_which_the_lesion_was_seen():
    places = [(10, 30, 30), (22, 30, 30), (34, 30, 30), (46, 30, 30)]
    dates = [dated(at, {f"l{at}": (place, 6)}) for at, place in enumerate(places)]
    near = track_lesions(dates, "study", settings=MatchSettings(unmatched_cost=1.0))
    first = track_lesions(dates, "study", settings=MatchSettings(unmatched_cost=1.0, against="first"))
    assert statuses(near) == {"l0": ("baseline", "persistent", "persistent", "persistent")}
    assert "resolved" in statuses(first)["l0"]


def test_a_lesion_that_comes_back_is_flagged():
    found = track_lesions([dated(0, {"a": A}), dated(1, {}), dated(2, {"x": A})], "study")
    assert statuses(found) == {"a": ("baseline", "resolved", "persistent")}
    assert found.tracks[0].states[2].flags == ("seen again after it was resolved",)
    assert found.tracks[0].links[0].earlier == LesionKey(0, "a")


def test_dates_after_the_first_are_reached_through_the_baseline_frame():
    second, third = dated(1, {"a": ((25, 20, 20), 5)}, shift(5, 0, 0)), dated(2, {"b": ((20, 30, 20), 5)}, shift(0, 10, 0))
    found = track_lesions([dated(0, {}), second, third], "study")
    assert statuses(found) == {"a": ("not yet", "new", "persistent")}
    assert found.links[0].distance_mm == pytest.approx(0.0, abs=1e-9)


def test_a_uid_depends_on_seed_date_and_place_and_not_on_names():
    dates = [dated(0, {"a": A}, when="2026-01-05"), dated(1, {"x": A})]
    first, again, other = (track_lesions(dates, seed).tracks[0].tracking_uid for seed in ("study", "study", "another"))
    assert first == again == tracking_uid("study", "2026-01-05", dates[0].lesions[0]) != other
    assert first.startswith("2.25.") and len(first) <= 64 and first[5:].isdecimal()
    renamed = track_lesions([dated(0, {"b": A}, when="2026-01-05")], "study").tracks[0].tracking_uid
    another_day = track_lesions([dated(0, {"a": A}, when="2026-01-06")], "study").tracks[0].tracking_uid
    elsewhere = track_lesions([dated(0, {"a": B}, when="2026-01-05")], "study").tracks[0].tracking_uid
    assert renamed == first and len({first, another_day, elsewhere}) == 3


def test_a_date_added_before_leaves_the_uid_of_a_new_lesion():
    two = [dated(0, {}, when="2026-01-05"), dated(1, {"n": C}, when="2026-03-02")]
    three = [two[0], dated(1, {}, when="2026-02-02"), dated(2, {"n": C}, when="2026-03-02")]
    assert track_lesions(two, "s").tracks[0].tracking_uid == track_lesions(three, "s").tracks[0].tracking_uid


def test_two_lesions_in_one_place_have_uids_of_their_own():
    found = track_lesions([dated(0, {"a": A, "same": A})], "study")
    assert len({one.tracking_uid for one in found.tracks}) == 2


def test_tracks_get_names_of_their_own():
    found = track_lesions([dated(0, {"Lesion 1": A}), dated(1, {"Lesion 1": C})], "study")
    assert [one.name for one in found.tracks] == ["Lesion 1", "Lesion 1 (date 2)"]
    ordered = track_lesions([dated(0, {"Lesion 10": A, "Lesion 2": B})], "study")
    assert [one.name for one in ordered.tracks] == ["Lesion 2", "Lesion 10"]


def as_sets(found) -> tuple:
    """What must not depend on order or names: links, and statuses by UID."""
    return {(one.earlier, one.later) for one in found.links}, {one.tracking_uid: one.statuses for one in found.tracks}


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_order_of_lesions_does_not_matter(seed, random):
    dates = small_case(seed, 3.0).dates
    mixed = [replace(one, lesions=tuple(random.sample(one.lesions, len(one.lesions)))) for one in dates]
    assert as_sets(track_lesions(mixed, "study")) == as_sets(track_lesions(dates, "study"))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 5), st.sampled_from([0.0, 3.0, 6.0]))
def test_swapped_dates_mirror_new_and_gone(seed, error_mm):
    first, second = small_case(seed, error_mm).dates
    there = track_lesions([first, second], "study")
    back = track_lesions([on_date(second, 0, None), on_date(first, 1, second.from_baseline.inverse())], "study")
    links = {(one.earlier.name, one.later.name) for one in there.links}
    assert links == {(one.later.name, one.earlier.name) for one in back.links}
    assert names_of(there, 0, "resolved") == names_of(back, 1, "new")
    assert names_of(there, 1, "new") == names_of(back, 0, "resolved")


def on_date(date, at: int, transform):
    """The same lesions under another date."""
    lesions = tuple(replace(one, key=LesionKey(at, one.key.name)) for one in date.lesions)
    return replace(date, lesions=lesions, from_baseline=transform)


def names_of(found, at: int, status: str) -> set[str]:
    """Names of the lesions, at the date where they are seen, of tracks that are "resolved" or "new" at date 2."""
    return {one.states[at].lesions[0].key.name for one in found.tracks if one.statuses[1] == status}


def test_links_are_found_at_3_mm_error_on_patients_with_a_known_truth():
    right = made = true = 0
    for seed in range(5):
        patient = case(seed, 3.0, local=seed % 2 == 1)
        links, wanted = {(one.earlier, one.later) for one in track_lesions(patient.dates, "x").links}, patient.true_links()
        right, made, true = right + len(links & wanted), made + len(links), true + len(wanted)
    assert true > 70
    assert right / made >= 0.95 and right / true >= 0.95


def test_three_dates_of_a_patient_keep_one_uid_a_lesion():
    patient = case(3, 0.0, dates=3, count=10)
    found = track_lesions(patient.dates, "study")
    steps = {(one.earlier, one.later) for one in found.links if one.later.timepoint == one.earlier.timepoint + 1}
    wanted = patient.true_links()
    assert len(steps & wanted) >= 0.9 * len(wanted)
    assert len({one.tracking_uid for one in found.tracks}) == len(found.tracks)
    assert all(len(one.states) == 3 for one in found.tracks)


class OneWay:
    """A transform that cannot be turned round, as a deformation that is only known in one direction."""

    def moved(self, points):
        return np.asarray(points) + (5.0, 0.0, 0.0)


def test_a_transform_without_inverse_serves_against_the_first_date():
    dates = [dated(0, {"a": A}), dated(1, {"x": ((20, 15, 15), 5)}, OneWay()), dated(2, {"y": ((20, 15, 15), 5)}, OneWay())]
    found = track_lesions(dates, "s", settings=MatchSettings(against="first"))
    assert statuses(found)["a"] == ("baseline", "persistent", "persistent")
    with pytest.raises(InputError, match="date 2 has no inverse"):
        track_lesions(dates, "s")


def test_one_voxel_is_a_lesion():
    found = track_lesions([dated(0, {"a": ((30, 30, 30), 0.4)}), dated(1, {"x": ((30, 30, 30), 0.4)})], "study")
    assert statuses(found) == {"a": ("baseline", "persistent")}


def test_no_lesions_at_all_make_no_tracks():
    assert track_lesions([dated(0, {}), dated(1, {})], "study").tracks == ()


@pytest.mark.parametrize(
    ("dates", "words"),
    [
        ([], "there is no date"),
        ([dated(1, {"a": A})], "'a' at date 2 stands under date 1"),
        ([replace(dated(0, {"a": A}), lesions=dated(0, {"a": A}).lesions * 2)], "twice"),
    ],
)
def test_lesions_of_another_date_or_of_one_name_are_refused(dates, words):
    with pytest.raises(InputError, match=words):
        track_lesions(dates, "study")


def test_bad_settings_and_errors_are_refused():
    with pytest.raises(InputError, match="settings of matching"):
        MatchSettings(against="all")
    with pytest.raises(InputError, match="settings of matching"):
        MatchSettings(volume_weight=float("nan"))
    with pytest.raises(InputError, match="wanted 0 or more"):
        dated(0, {}, error_mm=-1.0)
    with pytest.raises(InputError, match="empty"):
        replace(ball_lesion(0, "a", (5, 5, 5), 2, np.eye(4)), mask=np.zeros((5, 5, 5), bool))


def test_tracking_can_be_canceled():
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        track_lesions([dated(0, {"a": A})], "study", cancel=token)


def test_progress_ends_at_one():
    told = []
    track_lesions([dated(0, {"a": A}), dated(1, {})], "study", progress=lambda share, _text: told.append(share))
    assert told == [0.0, 0.5, 1.0]


def test_a_pose_that_is_turned_is_followed():
    turned = LinearTransform(grid((1, 1, 1), (3.0, -4.0, 2.0), (0, 0, 1), 30.0))
    place = turned.moved(np.array([[30.0, 10.0, 20.0]]))[0]
    found = track_lesions([dated(0, {"a": ((30, 10, 20), 4)}), dated(1, {"x": (place, 4)}, turned)], "study")
    assert found.links[0].distance_mm < 0.5

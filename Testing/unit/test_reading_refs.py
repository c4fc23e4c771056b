"""What a reader said holds in another run: lesions numbered anew, dates that come in between or go, lesions that vanish."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_reading import FIRST, SECOND, THIRD, A, B, C, dates_of, ref, seen
from LongitudinalCompareLib import reading_acts as acts
from LongitudinalCompareLib.dated_lesions import DatedLesions
from LongitudinalCompareLib.lesion_track import LesionKey
from LongitudinalCompareLib.reading import Reading, Ref
from LongitudinalCompareLib.reading_refs import REACH_MM, anchored, edits_of, found, inner_point, notes_of, renamed, resolve
from LongitudinalCompareLib.tracking import track_lesions
from LongitudinalCompareLib.tracking_edits import Edit, gone, link, merge, new, split

DATES = dates_of(first={"a": A, "b": B}, second={"x": A, "y": C})
BETWEEN = "2026-02-02"


def key(at: int, name: str) -> LesionKey:
    return LesionKey(at, name)


def tracked(dates, reading: Reading):
    edits, notes = edits_of(reading, dates)
    return track_lesions([DatedLesions(one.lesions, one.ijk_to_ras, one.shape_kji) for one in dates], "study", edits), notes


def test_without_a_point_the_name_decides():
    assert resolve(ref(FIRST, "b"), DATES) == key(0, "b")
    assert resolve(ref(SECOND, "b"), DATES) is resolve(ref(THIRD, "a"), DATES) is resolve(Ref("", "a"), DATES) is None


def test_the_lesion_that_holds_the_point_is_meant_whatever_its_name():
    assert resolve(ref(FIRST, "b", A[0]), DATES) == key(0, "a")
    assert resolve(ref(FIRST, "no such", A[0]), DATES) == key(0, "a")


def test_the_name_helps_out_to_the_reach_and_no_farther():
    border = A[0][0] + A[1]  # the last voxel center of the ball along R
    near, far = (border + REACH_MM, 15, 15), (border + REACH_MM + 0.01, 15, 15)
    assert resolve(ref(FIRST, "a", near), DATES) == key(0, "a")
    assert resolve(ref(FIRST, "a", far), DATES) is None
    assert resolve(ref(FIRST, "other", near), DATES) is None


def test_of_two_lesions_that_hold_the_point_the_one_of_that_name_is_meant_else_the_smaller():
    both = (seen(0, FIRST, {"large": ((15, 15, 15), 7), "small": ((15, 15, 15), 3)}),)
    assert resolve(ref(FIRST, "large", (15, 15, 15)), both) == key(0, "large")
    assert resolve(ref(FIRST, "else", (15, 15, 15)), both) == key(0, "small")


@pytest.mark.parametrize(("asked", "there", "number"), [
    (SECOND, (FIRST, SECOND), 1), (SECOND, (FIRST, f"{SECOND} 09:30:00"), 1), (f"{SECOND} 09:30:00", (FIRST, SECOND), 1),
    (SECOND, (f"{SECOND} 09:30:00", f"{SECOND} 11:00:00"), None), (f"{SECOND} 11:00:00", (f"{SECOND} 09:30:00",), None),
    (f"{SECOND} 11:00:00", (f"{SECOND} 09:30:00", f"{SECOND} 11:00:00"), 1), (THIRD, (FIRST, SECOND), None),
])  # fmt: skip
def test_a_date_is_found_by_day_and_where_needed_by_time(asked, there, number):
    dates = tuple(seen(at, when, {"a": A}) for at, when in enumerate(there))
    assert resolve(ref(asked, "a"), dates) == (None if number is None else key(number, "a"))


def test_the_inner_point_lies_deep_in_the_lesion_even_of_a_dumbbell():
    ball, = dates_of(first={"a": A})[0].lesions
    assert inner_point(ball) == (15.0, 15.0, 15.0)
    dumbbell, = dates_of(first={"a": ([(10, 20, 20), (40, 20, 20)], 6)})[0].lesions
    assert not dumbbell.holds(dumbbell.centroid_ras_mm[None])[0]
    assert inner_point(dumbbell) in ((10.0, 20.0, 20.0), (40.0, 20.0, 20.0))


@given(st.integers(0, 9))
def test_the_inner_point_lies_in_a_lesion_of_any_shape_on_a_grid_of_any_place(seed):
    from LongitudinalCompareLib.lesions_of import lesions_of_mask

    random = np.random.default_rng(seed)
    grid = np.eye(4)
    grid[:3] = np.c_[np.linalg.qr(random.normal(size=(3, 3)))[0] * (0.7, 1.1, 4.0), random.uniform(-99, 99, 3)]
    for one in lesions_of_mask(random.random((5, 6, 7)) < 0.2, grid, 0, diameters=False):
        assert one.holds(np.array([inner_point(one)]))[0]


def test_anchoring_fills_in_points_and_leaves_those_that_are_there():
    said = Reading((
        acts.link(ref(FIRST, "b"), ref(SECOND, "x", (1.0, 2.0, 3.0))), acts.role(ref(FIRST, "a"), "target"),
        acts.lesion("Effusion"), acts.role(ref(FIRST, "nobody"), "ignored"),
    ))  # fmt: skip
    found = anchored(said, DATES)
    assert found.acts[0].earlier[0].at_ras_mm == B[0] and found.acts[0].later[0].at_ras_mm == (1.0, 2.0, 3.0)
    assert found.acts[1].lesion.at_ras_mm == A[0]
    assert found.acts[2:] == said.acts[2:]
    assert anchored(found, DATES) == found


def test_every_act_of_tracking_becomes_its_edit():
    more = dates_of(first={"a": A, "b": B}, second={"x": A, "y": C, "z": B})
    a, b, x, y = ref(FIRST, "a"), ref(FIRST, "b"), ref(SECOND, "x"), ref(SECOND, "y")
    said = Reading((acts.link(a, x), acts.new(y), acts.gone(b, SECOND), acts.merge((a, b), x), acts.split(a, (x, y))))
    keys = key(0, "a"), key(0, "b"), key(1, "x"), key(1, "y")
    wanted = link(keys[0], keys[2]), new(keys[3]), gone(keys[1], 1), merge(keys[:2], keys[2]), split(keys[0], keys[2:])
    assert edits_of(said, more) == (wanted, ())


def test_a_later_act_beats_an_earlier_one_about_the_same_lesion():
    b, x = ref(FIRST, "b"), ref(SECOND, "x")
    states = {}
    for said in ((acts.link(b, x), acts.gone(b, SECOND)), (acts.gone(b, SECOND), acts.link(b, x))):
        found, notes = tracked(DATES, Reading(said))
        states[said[-1].kind] = {one.name: one.statuses[1] for one in found.tracks}["b"]
        assert notes == ()
    assert states == {"gone": "resolved", "link": "persistent"}


def test_another_run_with_other_numbers_a_date_between_and_a_lesion_less():
    """The same scans, drawn smaller by another model that numbers its lesions the other way round; "b" is not found again."""
    said = anchored(Reading((
        acts.link(ref(FIRST, "a"), ref(SECOND, "y")), acts.new(ref(SECOND, "x")), acts.gone(ref(FIRST, "b"), SECOND),
        acts.size(ref(FIRST, "a"), longest_mm=11.0), acts.size(ref(FIRST, "b"), longest_mm=13.0),
        acts.role(ref(FIRST, "b"), "ignored"),
    )), DATES)  # fmt: skip
    again = (
        seen(0, FIRST, {"b": ((15.4, 15.2, 15), 4)}),
        seen(1, BETWEEN, {"y": A, "x": C}),
        seen(2, SECOND, {"x": ((15, 42, 40.3), 3.5), "y": ((15, 15, 15), 4.5)}),
    )
    edits, notes = edits_of(said, again)
    assert edits == (Edit("link", (key(0, "b"),), (key(2, "x"),), 2), Edit("new", (), (key(2, "y"),), 2))
    assert notes == (
        "the reader's act 'gone' was not applied: the lesion that is now 'b' of 2026-01-05 lies 21 mm from the point that was"
        " meant, and no other one holds it; the act stays in the list without effect",
    )
    assert [resolve(one.lesion, again) for one in said.acts[3:]] == [key(0, "b"), None, None]
    assert [note.split(":")[0] for note in notes_of(said, again)] == [
        "the reader's act 'size' was not applied", "the reader's act 'role' was not applied",
    ]  # fmt: skip
    found, _ = tracked(again, said)
    track, = found.track_of(key(0, "b"))
    assert [state.lesions[0].key.name for state in track.states] == ["b", "y", "x"]
    assert [state.made_by for state in track.states][1:] == ["matched", "confirmed"]
    assert [state.made_by for one in found.track_of(key(2, "y")) for state in one.states] == ["matched", "matched", "confirmed"]
    assert renamed(said.acts[0], again) == ("'a' of 2026-01-05 is now 'b'", "'y' of 2026-03-02 is now 'x'")
    assert renamed(said.acts[4], again) == renamed(said.acts[0], DATES) == ()
    back, kept = edits_of(said, DATES)
    assert len(back) == 3 and kept == () and notes_of(said, DATES) == ()


def test_a_date_that_is_gone_takes_its_acts_with_it_and_no_other_ones():
    dates = dates_of(first={"a": A}, second={"a": A}, third={"a": C})
    said = anchored(Reading((
        acts.gone(ref(FIRST, "a"), SECOND), acts.new(ref(THIRD, "a")), acts.link(ref(SECOND, "a"), ref(THIRD, "a")),
        acts.context(SECOND, condition="worse"), acts.context(recurrent=True),
    )), dates)  # fmt: skip
    left = (dates[0], seen(1, THIRD, {"a": C}))
    assert edits_of(said, left) == ((new(key(1, "a")),), (
        "the reader's act 'gone' was not applied: there is no date 2026-03-02; the act stays in the list without effect",
        "the reader's act 'link' was not applied: there is no date 2026-03-02; the act stays in the list without effect",
    ))  # fmt: skip
    assert notes_of(said, left) == (
        "the reader's act 'context' was not applied: there is no date 2026-03-02; the act stays in the list without effect",
    )


def test_parts_that_another_run_drew_as_one_lesion_are_linked():
    dates = dates_of(first={"a": ((15, 15, 15), 5), "b": ((25, 15, 15), 4)}, second={"x": ((20, 15, 15), 9)})
    merged = anchored(Reading((acts.merge((ref(FIRST, "a"), ref(FIRST, "b")), ref(SECOND, "x")),)), dates)
    one = dates_of(first={"c": ((20, 15, 15), 9)}, second={"x": ((20, 15, 15), 9)})
    assert edits_of(merged, one) == ((link(key(0, "c"), key(1, "x")),), ())


def test_acts_about_lesions_by_hand_are_there_as_long_as_the_lesion_is():
    said = Reading((acts.lesion("Effusion"), acts.finding(Ref("", "Effusion"), SECOND, state="present")))
    assert notes_of(said, DATES) == ()
    assert notes_of(Reading(said.acts[1:]), DATES) == (
        "the reader's act 'finding' was not applied: no lesion 'Effusion' was entered by hand; the act stays in the list without"
        " effect",
    )


@settings(max_examples=12, deadline=None)
@given(st.permutations(["a", "b", "c"]), st.booleans(), st.floats(0.6, 1.0))
def test_anchored_lesions_are_found_whatever_they_are_called(names, between, shrunk):
    balls = dict(zip("abc", (A, B, C)))
    said = anchored(Reading(tuple(acts.role(ref(THIRD, name), "target") for name in balls)), (seen(0, THIRD, balls),))
    again = {new: (center, shrunk * radius) for new, (center, radius) in zip(names, balls.values())}
    dates = (*([seen(0, FIRST, {"a": C})] if between else []), seen(int(between), THIRD, again))
    assert [resolve(one.lesion, dates) for one in said.acts] == [key(int(between), name) for name in names]


def test_a_name_that_is_not_there_is_told_with_those_that_are_the_most_alike_first():
    names = ("Lung nodule 1", "Liver metastasis 2", "Liver metastasis 1", "Bone", "Node", "Spleen")
    balls = {name: ((8 + 9 * at, 15, 15), 3) for at, name in enumerate(names)}
    assert found(ref(FIRST, "Liver metastase 1"), dates_of(first=balls)) == (None, (
        "there is no lesion 'Liver metastase 1' of 2026-01-05; there are 'Liver metastasis 1', 'Liver metastasis 2', "
        "'Lung nodule 1', 'Spleen', 'Bone' and 1 more"
    ))  # fmt: skip
    assert found(ref(FIRST, "bone"), dates_of(first=balls))[1].startswith(
        "there is no lesion 'bone' of 2026-01-05; there are 'Bone', "
    )
    assert found(ref(FIRST, "a"), dates_of(first={}))[1] == "there is no lesion 'a' of 2026-01-05; there is none"

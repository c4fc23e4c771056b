"""What a reader says about who is who always wins, and is still so after another run."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_tracking import dated, statuses
from LongitudinalCompareLib.lesion_track import CONFIRMED, MATCHED, LesionKey
from LongitudinalCompareLib.tracking import track_lesions
from LongitudinalCompareLib.tracking_edits import Edit, gone, link, merge, new, split
from OncoLib.errors import InputError
from tracking_cases import case

A, B, C = ((15, 15, 15), 5), ((40, 15, 15), 6), ((15, 42, 40), 4)
EARLIER = {"a": A, "b": B}


def key(at: int, name: str) -> LesionKey:
    return LesionKey(at, name)


def tracked(later: dict, *edits, earlier=None, **more):
    return track_lesions([dated(0, earlier or EARLIER), dated(1, later, **more)], "study", edits)


def links(found) -> dict[tuple[str, str], str]:
    return {(one.earlier.name, one.later.name): one.made_by for one in found.links}


def test_a_link_of_the_reader_replaces_that_of_the_program():
    found = tracked({"x": A, "y": C}, link(key(0, "b"), key(1, "x")))
    assert links(found) == {("b", "x"): CONFIRMED}
    assert statuses(found) == {"a": ("baseline", "resolved"), "b": ("baseline", "persistent"), "y": ("not yet", "new")}
    assert found.tracks[1].states[1].made_by == CONFIRMED


def test_a_link_may_join_what_no_cost_would():
    found = tracked({"far": C}, link(key(0, "b"), key(1, "far")))
    assert links(found) == {("b", "far"): CONFIRMED}


def test_a_link_that_the_program_made_too_is_confirmed():
    found = tracked({"x": A, "y": B}, link(key(0, "a"), key(1, "x")))
    assert links(found) == {("a", "x"): CONFIRMED, ("b", "y"): MATCHED}


def test_new_cuts_a_link():
    found = tracked({"x": A}, new(key(1, "x")))
    assert links(found) == {}
    assert statuses(found) == {"a": ("baseline", "resolved"), "b": ("baseline", "resolved"), "x": ("not yet", "new")}
    assert found.tracks[2].states[1].made_by == CONFIRMED


def test_gone_leaves_the_later_lesion_to_others():
    found = tracked({"x": A}, gone(key(0, "a"), 1))
    assert statuses(found)["a"] == ("baseline", "resolved")
    assert statuses(found)["x"] == ("not yet", "new")


def test_gone_wins_over_out_of_field():
    found = tracked({"x": A}, gone(key(0, "b"), 1), shape=(60, 60, 30))
    state = found.tracks[1].states[1]
    assert (state.status, state.made_by) == ("resolved", CONFIRMED)


def test_merge_and_split_by_the_reader():
    found = tracked({"x": A}, merge((key(0, "a"), key(0, "b")), key(1, "x")))
    assert statuses(found) == {"a": ("baseline", "merged"), "b": ("baseline", "merged")}
    found = tracked({"x": A, "y": C}, split(key(0, "a"), (key(1, "x"), key(1, "y"))))
    assert statuses(found) == {"a": ("baseline", "split"), "b": ("baseline", "resolved")}


def test_one_of_two_merged_lesions_can_be_said_to_be_gone():
    centers = [(20, 30, 30), (34, 30, 30)]
    dates = [dated(0, {"a": (centers[0], 6), "b": (centers[1], 5)}), dated(1, {"m": (centers, 9)}), dated(2, {"n": (centers, 9)})]
    found = track_lesions(dates, "study", [gone(key(0, "a"), 2)])
    assert statuses(found) == {"a": ("baseline", "merged", "resolved"), "b": ("baseline", "merged", "persistent")}
    found = track_lesions(dates, "study", [gone(key(1, "m"), 2)])
    assert [one[2] for one in statuses(found).values()] == ["resolved", "resolved", "new"]


def test_a_link_settles_a_refused_alignment():
    found = tracked({"x": A}, link(key(0, "a"), key(1, "x")), refused=frozenset({key(0, "a")}))
    assert statuses(found) == {"a": ("baseline", "persistent"), "b": ("baseline", "resolved")}


def test_the_later_of_two_edits_wins():
    found = tracked({"x": A}, new(key(1, "x")), link(key(0, "b"), key(1, "x")))
    assert links(found) == {("b", "x"): CONFIRMED}
    found = tracked({"x": A}, link(key(0, "b"), key(1, "x")), new(key(1, "x")))
    assert links(found) == {}
    found = tracked({"x": A}, link(key(0, "b"), key(1, "x")), gone(key(0, "b"), 1))
    assert links(found) == {("a", "x"): MATCHED}


def test_an_edit_may_name_the_lesion_at_any_earlier_date():
    dates = [dated(0, {"a": A}), dated(1, {"x": A}), dated(2, {"far": C})]
    for earlier in (key(0, "a"), key(1, "x")):
        found = track_lesions(dates, "study", [link(earlier, key(2, "far"))])
        assert statuses(found) == {"a": ("baseline", "persistent", "persistent")}


def test_an_edit_about_a_lesion_that_is_not_there_is_told_and_kept():
    edit = link(key(0, "a"), key(1, "vanished"))
    found = tracked({"x": A}, edit)
    assert statuses(found)["a"] == ("baseline", "persistent")
    assert found.notes == ("the reader's edit 'link' was not applied: there is no lesion 'vanished' at date 2; it is kept",)
    assert found.settings["edits"] == [edit.as_dict()]
    assert "no date 6" in tracked({"x": A}, gone(key(0, "a"), 5)).notes[0]


@lru_cache
def patient(seed: int, error_mm: float):
    return case(seed, error_mm, count=5)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 3), st.data())
def test_edits_hold_after_another_run_with_another_registration(seed, data):
    """The masks of both runs are the same; the registration, and with it the program's own links, are not."""
    first, second = patient(seed, 0.0).dates, patient(seed, 8.0).dates
    moved = [first[0], replace(first[1], from_baseline=second[1].from_baseline)]
    earlier = data.draw(st.permutations([one.key for one in first[0].lesions]))
    later = data.draw(st.permutations([one.key for one in first[1].lesions]))
    edits = [Edit.from_dict(json.loads(json.dumps(one.as_dict()))) for one in (link(earlier[0], later[0]), new(later[1]))]
    for dates in (first, moved):
        found = track_lesions(dates, "study", edits)
        confirmed = [one for one in found.links if one.made_by == CONFIRMED]
        assert [(one.earlier, one.later) for one in confirmed] == [(earlier[0], later[0])]
        assert [one for one in found.links if one.later == later[1]] == []
        assert len({one.tracking_uid for one in found.track_of(later[1])}) == 1


keys = st.builds(LesionKey, st.integers(0, 2), st.text(min_size=1, max_size=8))
late_keys = st.builds(LesionKey, st.just(3), st.text(min_size=1, max_size=8))
edits_of_all_kinds = st.one_of(
    st.builds(link, keys, late_keys),
    st.builds(new, late_keys),
    st.builds(gone, keys, st.just(3)),
    st.builds(merge, st.lists(keys, min_size=2, max_size=3), late_keys),
    st.builds(split, keys, st.lists(late_keys, min_size=2, max_size=3)),
)


@given(edits_of_all_kinds)
def test_an_edit_travels_as_json(edit):
    assert Edit.from_dict(json.loads(json.dumps(edit.as_dict()))) == edit


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Edit("swap"), "'swap' is unknown"),
        (lambda: Edit("link", (key(0, "a"),)), "names 0 later lesions; wanted one"),
        (lambda: merge([key(0, "a")], key(1, "x")), "names 1 earlier lesions; wanted two or more"),
        (lambda: link(key(1, "a"), key(1, "x")), "at dates before it"),
        (lambda: gone(key(0, "a"), 0), "at dates before it"),
        (lambda: split(key(0, "a"), (key(1, "x"), key(2, "y"))), "wanted one date"),
        (lambda: Edit.from_dict({"kind": "link"}), "is no edit of tracking"),
    ],
)
def test_edits_that_make_no_sense_are_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_nothing_automatic_joins_what_the_reader_decided():
    earlier = {"a": ((20, 30, 30), 6), "b": ((36, 30, 30), 5)}
    later = {"both": ([(20, 30, 30), (34, 30, 30)], 9)}
    assert statuses(tracked(later, earlier=earlier))["b"] == ("baseline", "merged")
    found = tracked(later, link(key(0, "a"), key(1, "both")), earlier=earlier)
    assert statuses(found) == {"a": ("baseline", "persistent"), "b": ("baseline", "resolved")}


def test_a_link_across_the_body_tells_how_far_it_goes():
    far = np.array([500.0, 20.0, 20.0])
    dates = [dated(0, {"a": A}), dated(1, {"x": (far, 3)}, grid=shifted_grid(480.0))]
    found = track_lesions(dates, "study", [link(key(0, "a"), key(1, "x"))])
    assert found.links[0].overlap == 0.0
    assert found.links[0].distance_mm == pytest.approx(np.linalg.norm(far - (15, 15, 15)))


def shifted_grid(x_mm: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[0, 3] = x_mm
    return matrix

"""The map of changes: which voxels, counted by hand; which lesions are left out; that it is no lesion itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import rotation
from helpers_comparison import box_lesion, compared, pair, seen, track
from helpers_tracking import shift
from LongitudinalCompareLib.alignment import MANUAL, RegionAlignment
from LongitudinalCompareLib.change_map import CODES, COLORS, GONE, GROWN, KINDS, NEW, SHRUNK, UNCHANGED, change_map, segment_of
from LongitudinalCompareLib.lesion_track import BASELINE, MERGED, NOT_EVALUABLE, NOT_YET, OUT_OF_FIELD, PERSISTENT, RESOLVED
from LongitudinalCompareLib.lesion_track import NEW as NEW_STATUS
from OncoLib.errors import InputError
from OncoLib.registration.transform import IDENTITY, LinearTransform
from OncoLib.terminology import is_lesion

CUBE = ((10, 13), (10, 13), (10, 13))
"""4 x 4 x 4 voxels."""


def counts(found) -> dict[str, int]:
    return {kind: int(found.mask(kind).sum()) for kind in KINDS if found.mask(kind).any()}


def one_lesion(later, transform=IDENTITY, grid=None, status=PERSISTENT, regions=()):
    """The cube at the baseline and what there is of it later; the map."""
    lesions = [] if later is None else [box_lesion(1, "b", *later, grid=grid)]
    dates = [seen(0, box_lesion(0, "a", *CUBE)), seen(1, *lesions, grid=grid)]
    named = track("A", (BASELINE, "a"), (status, *(one.key.name for one in lesions)))
    return change_map(*compared(dates, [pair(1, transform, regions)], named), 1)


def judged(verdict: str, **more) -> RegionAlignment:
    return RegionAlignment("a", (11.5, 11.5, 11.5), (16.5, 11.5, 11.5), verdict, (), **more)


def test_a_lesion_that_was_moved_and_grew_shows_its_new_voxels_only():
    found = one_lesion(((15, 20), CUBE[1], CUBE[2]), shift(5, 0, 0))
    assert counts(found) == {GROWN: 2 * 16, UNCHANGED: 64}
    assert found.start_kji == (10, 10, 15) and found.labels.shape == (4, 4, 6) and found.shown == ("A",)


def test_a_lesion_that_shrank_shows_what_is_no_more():
    assert counts(one_lesion(((11, 13), CUBE[1], CUBE[2]))) == {SHRUNK: 16, UNCHANGED: 48}


def test_on_thicker_slices_only_the_centers_of_the_later_grid_are_looked_up():
    """Slices 2 mm apart at 0, 2, ...: those at 10 and 12 lie in the cube."""
    found = one_lesion((CUBE[0], CUBE[1], (5, 7)), grid=np.diag([1.0, 1.0, 2.0, 1.0]))
    assert counts(found) == {GROWN: 16, UNCHANGED: 32}


def test_a_new_lesion_and_one_that_is_gone():
    dates = [seen(0, box_lesion(0, "a", *CUBE)), seen(1, box_lesion(1, "n", (20, 22), (20, 21), (20, 20)))]
    tracks = (track("A", (BASELINE, "a"), (RESOLVED,)), track("N", (NOT_YET,), (NEW_STATUS, "n")))
    found = change_map(*compared(dates, [pair(1)], *tracks), 1)
    assert counts(found) == {NEW: 6, GONE: 64} and found.shown == ("A", "N")


def test_a_lesion_that_is_gone_between_two_thick_slices_leaves_one_voxel_at_its_place():
    dates = [seen(0, box_lesion(0, "a", (10, 10), (10, 10), (13, 14))), seen(1, grid=np.diag([1.0, 1.0, 9.0, 1.0]))]
    found = change_map(*compared(dates, [pair(1)], track("A", (BASELINE, "a"), (RESOLVED,))), 1)
    assert counts(found) == {GONE: 1} and found.start_kji == (2, 10, 10)  # 13.5 mm is nearer to 18 mm by half a voxel's edge
    assert "smaller than the voxels" in found.description


def test_lesions_that_merged_are_one_thing_and_their_gap_is_growth():
    first = seen(0, box_lesion(0, "a", *CUBE), box_lesion(0, "b", (16, 19), *CUBE[1:]))
    dates = [first, seen(1, box_lesion(1, "m", (10, 19), *CUBE[1:]))]
    tracks = [track(name, (BASELINE, name.lower()), (MERGED, "m")) for name in "AB"]
    assert counts(change_map(*compared(dates, [pair(1)], *tracks), 1)) == {GROWN: 2 * 16, UNCHANGED: 128}


def test_what_a_later_mask_holds_is_drawn_over_what_another_lesion_left():
    dates = [seen(0, box_lesion(0, "a", *CUBE)), seen(1, box_lesion(1, "n", (12, 15), *CUBE[1:]))]
    tracks = (track("N", (NOT_YET,), (NEW_STATUS, "n")), track("A", (BASELINE, "a"), (RESOLVED,)))
    assert counts(change_map(*compared(dates, [pair(1)], *tracks), 1)) == {NEW: 64, GONE: 32}


@pytest.mark.parametrize("status", [OUT_OF_FIELD, NOT_EVALUABLE])
@pytest.mark.parametrize("at", [0, 1])
def test_what_cannot_be_compared_is_left_out_and_named(status, at):
    entries = [(BASELINE, "a"), (PERSISTENT, "b")]
    entries[at] = (status,)
    lesions = [box_lesion(0, "a", *CUBE), box_lesion(1, "b", *CUBE)]
    dates = [seen(number, *([] if number == at else [lesions[number]])) for number in (0, 1)]
    found = change_map(*compared(dates, [pair(1)], track("A", *entries)), 1)
    assert counts(found) == {} and found.segments == () and found.shown == ()
    assert found.left_out == {"A": f"{status} {'on this date' if at else 'at the baseline'}"}
    assert "A is left out: " + status in found.description


@pytest.mark.parametrize("at", [0, 1])
def test_a_lesion_that_a_reader_measured_without_a_mask_is_left_out_and_named(at):
    entries = [(BASELINE, "a"), (PERSISTENT, "b")]
    entries[at] = entries[at][:1]
    dates = [seen(0, box_lesion(0, "a", *CUBE)), seen(1, box_lesion(1, "b", *CUBE))]
    found = change_map(*compared(dates, [pair(1)], track("A", *entries)), 1)
    assert found.left_out == {"A": f"it has no mask {'on this date' if at else 'at the baseline'}"} and not found.shown


def test_a_lesion_that_a_reader_calls_gone_is_gone_whatever_the_mask_shows():
    dates = [seen(0, box_lesion(0, "a", *CUBE)), seen(1, box_lesion(1, "b", *CUBE))]
    found = change_map(*compared(dates, [pair(1)], track("A", (BASELINE, "a"), (RESOLVED, "b"))), 1)
    assert counts(found) == {GONE: 64}


def test_no_map_where_the_alignment_is_refused_unless_a_reader_set_a_point():
    assert one_lesion(CUBE, regions=[judged("refuse")]).left_out == {"A": "the alignment is refused there"}
    by_hand = judged("refuse", placed_by=MANUAL, manual_shift_mm=(5.0, 0.0, 0.0))
    assert counts(one_lesion(((15, 18), *CUBE[1:]), regions=[by_hand])) == {UNCHANGED: 64}


def test_a_refinement_around_a_lesion_moves_that_lesion():
    local = replace(judged("good"), local=shift(3, 0, 0))
    assert counts(one_lesion(((13, 16), *CUBE[1:]), regions=[local])) == {UNCHANGED: 64}


def test_no_map_of_the_baseline():
    dates = [seen(0, box_lesion(0, "a", *CUBE)), seen(1)]
    with pytest.raises(InputError, match="after the baseline"):
        change_map(*compared(dates, [pair(1)], track("A", (BASELINE, "a"), (RESOLVED,))), 0)


def test_its_segments_are_coded_colored_and_no_lesions():
    every = [segment_of(kind) for kind in KINDS]
    assert not any(is_lesion(one.entry) for one in every) and len({one.color for one in every}) == len(KINDS)
    assert all("native grids" in one.flags[0] for one in every)
    from pydicom.sr.codedict import codes

    known = {code.value: code.meaning for code in (codes.SCT.IncreaseInSize, codes.SCT.DecreaseInSize, codes.SCT.NewFinding)}
    assert {CODES[kind].value: CODES[kind].meaning for kind in (GROWN, SHRUNK, NEW)} == known and set(COLORS) == set(KINDS)


@settings(max_examples=25, deadline=None)
@given(st.floats(-40, 40), st.tuples(*[st.floats(-4, 4)] * 3), st.floats(1.0, 3.0))
def test_voxels_of_the_later_mask_are_all_there_and_the_others_lie_in_the_baselines(degrees, move, thick):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation((0.3, 0.2, 1.0), degrees), move
    transform, grid = LinearTransform(matrix), np.diag([1.0, 1.2, thick, 1.0])
    later = box_lesion(1, "b", (8, 14), (7, 12), (4, 7), grid=grid)
    earlier = box_lesion(0, "a", *CUBE)
    dates = [seen(0, earlier), seen(1, later, grid=grid)]
    found = change_map(*compared(dates, [pair(1, transform)], track("A", (BASELINE, "a"), (PERSISTENT, "b"))), 1)
    counted = counts(found)
    assert counted.get(GROWN, 0) + counted.get(UNCHANGED, 0) == 7 * 6 * 4
    every = np.indices(found.labels.shape).reshape(3, -1).T + found.start_kji
    centers = every[:, ::-1] @ grid[:3, :3].T
    inside = earlier.holds(transform.inverse().moved(centers)).reshape(found.labels.shape)
    np.testing.assert_array_equal(inside, found.mask(SHRUNK) | found.mask(UNCHANGED))

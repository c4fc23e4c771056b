"""Evidence as tracking takes it: each lesion by its own transform, refused places, lesions first seen later."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import rotation
from helpers_evidence import DAYS, evidence, pair, region, seen
from helpers_tracking import shift
from LongitudinalCompareLib.alignment import with_manual_point
from LongitudinalCompareLib.evidence_dates import Place, PlacedTransform, dated_lesions, judged_at, region_name
from LongitudinalCompareLib.lesion_track import LesionKey
from LongitudinalCompareLib.pair_outcome import PairOutcome
from LongitudinalCompareLib.tracking import track_lesions
from LongitudinalCompareLib.tracking_edits import link, new
from OncoLib.registration.transform import LinearTransform

A, B = (20.0, 20.0, 20.0), (20.0, 20.0, 45.0)


def statuses(found, **edits) -> dict:
    return {one.name: one.statuses for one in track_lesions(found, "seed", **edits).tracks}


def two_dates(verdict="good", second=None, **more):
    """Two lesions; at the second date A lies 12 mm off in front, B where it was."""
    dates = [seen(0, {"a": (A, 4), "b": (B, 4)}), seen(1, {"x": ((20, 32, 20), 4), "y": (B, 4)} if second is None else second)]
    return evidence(dates, [pair(1, [region("a", A, verdict, **more), region("b", B)])])


def test_without_a_transform_of_its_own_the_pairs_is_used():
    found = two_dates()
    assert dated_lesions(found)[1].from_baseline is found.pairs[0].transform
    assert dated_lesions(found)[0].from_baseline is None
    assert [one.when for one in dated_lesions(found)] == list(DAYS[:2])


def test_a_local_refinement_moves_its_lesion_and_no_other():
    found = two_dates("check", local=shift(0, 12, 0), placed_by="local")
    transform = dated_lesions(found)[1].from_baseline
    assert transform.moved(np.array([A, B])) == pytest.approx(np.array([(20, 32, 20), B]))
    assert transform.inverse().moved(np.array([(20, 32, 20), B])) == pytest.approx(np.array([A, B]))
    assert statuses(dated_lesions(found)) == {"a": ("baseline", "persistent"), "b": ("baseline", "persistent")}


def test_a_refused_lesion_is_not_matched_until_a_reader_gives_its_place():
    found = two_dates("refuse")
    assert dated_lesions(found)[1].refused == {LesionKey(0, "a")}
    assert statuses(dated_lesions(found))["a"] == ("baseline", "not evaluable")
    placed = with_manual_point(found.pairs[0].alignment, "a", (20, 32, 20))
    pairs = [PairOutcome(1, found.pairs[0].transform, placed)]
    dates = dated_lesions(found, pairs)
    assert dates[1].refused == frozenset()
    assert statuses(dates) == {"a": ("baseline", "persistent"), "b": ("baseline", "persistent")}


def test_a_link_by_hand_leads_a_refused_lesion_on_to_the_next_date():
    """The alignment of date 2 is 30 mm off at the lesion, that of date 3 is right."""
    dates = [seen(0, {"a": (A, 4)}), seen(1, {"x": ((20, 50, 20), 4)}), seen(2, {"z": (A, 4)})]
    found = evidence(dates, [pair(1, [region("a", A, "refuse")]), pair(2, [region("a", A)])])
    key, later = LesionKey(0, "a"), LesionKey(1, "x")
    edits = {"edits": (link(key, later),)}
    assert statuses(dated_lesions(found), **edits)["a"] == ("baseline", "persistent", "resolved")  # carried from a wrong place
    with_link = dated_lesions(found, linked=((key, later),))
    assert statuses(with_link, **edits) == {"a": ("baseline", "persistent", "persistent")}
    assert with_link[1].refused == {key}  # nothing automatic is made of it


def test_a_lesion_first_seen_later_is_refused_where_it_was_judged_so():
    dates = [seen(0, {"a": (A, 4)}), seen(1, {"a": (A, 4), "n": (B, 4)}), seen(2, {"a": (A, 4), "n": (B, 4)})]
    name = f"n ({DAYS[1]})"
    good = [pair(1, [region("a", A), region(name, B)]), pair(2, [region("a", A), region(name, B)])]
    refused = [good[0], pair(2, [region("a", A), region(name, B, "refuse")])]
    unknown = [pair(1, [region("a", A), region(name, B, "refuse")]), good[1]]
    key = LesionKey(1, "n")
    assert region_name(key, evidence(dates, good)) == name
    assert judged_at(evidence(dates, refused), key, 2).verdict == "refuse"
    assert judged_at(evidence(dates, refused), LesionKey(2, "n"), 2).name == name  # it lies in the same place
    assert [one.refused for one in dated_lesions(evidence(dates, good))] == [frozenset()] * 3
    assert dated_lesions(evidence(dates, refused))[2].refused == {key}
    found = dated_lesions(evidence(dates, unknown))  # where it lies in the baseline's frame is then not known
    assert (found[1].refused, found[2].refused) == (frozenset(), {key})
    assert statuses(dated_lesions(evidence(dates, refused)))["n"] == ("not yet", "new", "not evaluable")


def test_a_matched_lesion_that_a_reader_takes_for_new_has_the_verdict_of_its_place():
    dates = [seen(0, {"a": (A, 4)}), seen(1, {"x": (A, 4), "far": (B, 4)}), seen(2, {"y": (A, 4)})]
    found = evidence(dates, [pair(1, [region("a", A)]), pair(2, [region("a", A, "refuse")])])
    key = LesionKey(1, "x")
    assert judged_at(found, key, 2).name == "a" and judged_at(found, LesionKey(1, "far"), 2) is None
    assert dated_lesions(found)[2].refused == {LesionKey(0, "a"), key}
    edits = (link(LesionKey(0, "a"), LesionKey(1, "far")), new(key))
    assert statuses(dated_lesions(found), edits=edits)["x"] == ("not yet", "new", "not evaluable")


def test_no_two_regions_have_one_name():
    dates = [seen(0, {f"n ({DAYS[1]})": (A, 4)}), seen(1, {"n": (B, 4)})]
    assert region_name(LesionKey(1, "n"), evidence(dates, [])) == f"n ({DAYS[1]}) later"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_way_back_leads_every_lesion_back_to_where_it_was(seed):
    """Lesions 30 mm apart with turns and shifts of their own of up to 8 mm, as refinements have them."""
    random = np.random.default_rng(seed)

    def turned(degrees, far):
        matrix = np.eye(4)
        matrix[:3, :3] = rotation(random.normal(size=3), random.uniform(-degrees, degrees))
        matrix[:3, 3] = random.uniform(-far, far, 3)
        return matrix

    common = LinearTransform(turned(20, 50))
    places = []
    for x in range(3):
        center, local = np.array([x * 30.0, 0, 0]), turned(5, 4)
        about = np.eye(4)
        about[:3, 3] = -center
        own = np.linalg.inv(about) @ local @ about
        places.append(Place(tuple(center), 6.0, common if x == 1 else LinearTransform(common.fixed_to_moving_ras @ own)))
    transform = PlacedTransform(common, tuple(places))
    for place in places:
        points = np.array(place.center_ras_mm) + random.uniform(-3, 3, (20, 3))
        there = transform.moved(points)
        assert there == pytest.approx(place.transform.moved(points))
        assert transform.inverse().moved(there) == pytest.approx(points, abs=1e-6)
    far = np.array([[0.0, 500.0, 0.0]])
    assert transform.moved(far) == pytest.approx(common.moved(far))
    assert transform.inverse().moved(common.moved(far)) == pytest.approx(far)
    assert transform.inverse().inverse() is transform

"""From evidence and a reading to tracks with sizes and changes; expected numbers are counted voxels and arithmetic."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from helpers_assess import day, evidence, pair, ref, seen
from helpers_tracking import ball_lesion
from LongitudinalCompareLib import reading_acts as act
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.comparison import FROM_PREVIOUS, LONGEST_MM, SHORT_MM, VOLUME_ML
from LongitudinalCompareLib.evidence import Evidence, Identity
from LongitudinalCompareLib.reading import Reading

A, B = ((20, 20, 20), 8.0), ((42, 40, 30), 6.0)
SMALLER, LARGER = ((20, 20, 20), 5.0), ((20, 20, 20), 8.5)


def voxels(radius: float) -> int:
    """Points of the unit grid within a ball around one of them."""
    reach = np.arange(-20, 21)
    return int((sum(one**2 for one in np.meshgrid(reach, reach, reach)) <= radius**2).sum())


def flags(comparison, kind: str) -> list[str]:
    """Texts of the flags of a kind."""
    return [one.text for one in comparison.flags if one.kind == kind]


def test_sizes_and_changes_of_three_dates_with_the_smallest_in_the_middle():
    found = assess(evidence(seen(0, {"A": A}), seen(1, {"A": SMALLER}), seen(2, {"A": LARGER})))
    track = found.track("A")
    counts = [voxels(radius) for radius in (8.0, 5.0, 8.5)]
    assert [one.value(VOLUME_ML) for one in track.entries] == pytest.approx([one / 1000 for one in counts])
    assert [one.status for one in track.entries] == ["baseline", "persistent", "persistent"]
    assert track.change(2).change.percent[0] == pytest.approx(100 * (counts[2] / counts[0] - 1))
    assert track.change(2, reference=FROM_PREVIOUS).change.percent[0] == pytest.approx(100 * (counts[2] / counts[1] - 1))
    assert (track.change(1).change.days, track.change(2).change.days) == (60, 120)
    assert track.entries[1].value(LONGEST_MM) == pytest.approx(11.0)  # 5 voxels either way and the middle one
    assert [one.category for one in found.criterion("recist11").proposals] == ["PR", "PD"]
    assert found.criterion("recist11").best.category == "PR"
    assert found.state == "draft"


def test_every_size_has_an_interval_around_it_and_says_how_it_was_made():
    entry = assess(evidence(seen(0, {"A": A}), seen(1, {"A": A}))).track("A").entries[0]
    for one in entry.measures.values():
        low, high = one.interval
        assert 0 < low < one.value < high
        assert one.method.startswith("from the mask on the native grid; 95 % interval on the log of the ")
    assert entry.left_out and entry.source == "mask"


def test_no_change_is_within_measurement_error():
    change = assess(evidence(seen(0, {"A": A}), seen(1, {"A": A}))).track("A").change(1)
    assert change.change.percent[0] == pytest.approx(0.0, abs=1e-9)
    assert change.verdict == "within measurement error"


def test_experts_spread_goes_into_the_interval_of_the_volume():
    experts = {"A": {"a": 2.0, "b": 2.2, "c": 2.4}}
    dates = (seen(0, {"A": A}, experts=experts), seen(1, {"A": A}))
    entry = assess(evidence(*dates)).track("A").entries[0]
    assert entry.experts == {VOLUME_ML: {"a": 2.0, "b": 2.2, "c": 2.4}}
    assert "experts" in entry.measures[VOLUME_ML].method
    low, high = entry.measures[VOLUME_ML].interval
    assert high / low > 1.5  # t of two degrees of freedom is 4.3, and the logs scatter by 0.09


def test_what_is_gone_is_zero_without_an_upper_limit_and_has_no_change():
    found = assess(evidence(seen(0, {"A": A, "B": B}), seen(1, {"A": A})))
    entry = found.track("B").as_dict()["measurements"][1]
    assert entry["status"] == "resolved"
    for name in (VOLUME_ML, LONGEST_MM, SHORT_MM):
        assert [entry[name][part] for part in ("value", "low", "high")] == [0.0, 0.0, None]
    change = found.track("B").change(1)
    assert change.change is None and day(1) in change.reason and "not there" in change.reason


def test_what_is_new_has_no_size_before_and_changes_from_the_date_at_which_it_was_first_seen():
    late = ((42, 12, 40), 6.0)
    found = assess(evidence(seen(0, {"A": A}), seen(1, {"A": A, "C": ((42, 12, 40), 4.0)}), seen(2, {"A": A, "C": late})))
    track = found.track("C")
    assert [one.status for one in track.entries] == ["not yet", "new", "persistent"]
    assert track.entries[0].as_dict()[VOLUME_ML] == {
        "value": None, "low": None, "high": None, "unit": "ml", "method": "not seen yet",
    }  # fmt: skip
    assert {(one.earlier, one.later) for one in track.changes} == {(1, 2)}
    assert track.change(2).change.percent[0] == pytest.approx(100 * (voxels(6.0) / voxels(4.0) - 1))
    assert flags(found, "new") == [f"C is new on {day(1)}: confirm it, or take it back."]


def test_parts_of_a_split_lesion_are_added():
    parts = {"A1": ((20, 20, 15), 5.0), "A2": ((20, 20, 27), 5.0)}
    first = ball_lesion(0, "A", [(20, 20, 15), (20, 20, 21), (20, 20, 27)], 5.0, np.eye(4))
    found = assess(evidence(seen(0, {"A": first}), seen(1, parts)))
    entry = found.track("A").entries[1]
    assert (entry.status, sorted(entry.lesions)) == ("split", ["A1", "A2"])
    assert entry.value(VOLUME_ML) == pytest.approx(2 * voxels(5.0) / 1000)
    assert entry.value(LONGEST_MM) == pytest.approx(22.0)
    assert entry.value(SHORT_MM) is None and "no short axis" in entry.reason
    assert "2 parts added" in entry.measures[VOLUME_ML].method
    assert found.track("A").change(1).change.percent[0] == pytest.approx(100 * (2 * voxels(5.0) / 1000 / first.volume_ml - 1))
    assert len(flags(found, "split")) == 1
    assert found.criterion("recist11").proposals[0].figure("sum of diameters") == pytest.approx(22.0)


def test_what_merged_has_its_measures_once_and_is_compared_with_the_sum_of_both():
    both = ball_lesion(1, "M", [(20, 20, 15), (20, 20, 21), (20, 20, 27)], 5.0, np.eye(4))
    parts = {"A1": ((20, 20, 15), 5.0), "A2": ((20, 20, 27), 5.0)}
    found = assess(evidence(seen(0, parts), seen(1, {"M": both})))
    first, other = found.track("A1"), found.track("A2")
    assert [one.status for one in (first, other)] == ["merged", "merged"]
    assert first.entries[1].value(VOLUME_ML) == pytest.approx(both.volume_ml)
    assert other.entries[1].measures == {} and other.entries[1].reason.startswith("merged into A1")
    assert first.change(1).change.percent[0] == pytest.approx(100 * (both.volume_ml / (2 * voxels(5.0) / 1000) - 1))
    assert any("sum of its 2 lesions" in text for text in first.change(1).change.left_out)
    assert first.change(1, LONGEST_MM).change is None and "cannot be compared" in first.change(1, LONGEST_MM).reason
    assert other.change(1).change is None
    assert flags(found, "merged") == [f"A1 and A2 are one lesion on {day(1)}."]
    proposal = found.criterion("recist11").proposals[0]
    assert proposal.figure("sum of diameters") == pytest.approx(first.entries[1].value(LONGEST_MM))  # once
    assert "from 22.0 mm at baseline" in proposal.sentence


def test_a_place_outside_of_the_field_is_not_zero():
    found = assess(evidence(seen(0, {"A": A, "B": B}), seen(1, {"A": A}, shape=(60, 60, 34))))
    entry = found.track("B").entries[1]
    assert (entry.status, entry.measures) == ("out of field", {})
    assert entry.as_dict()[VOLUME_ML]["value"] is None and "outside" in entry.as_dict()[VOLUME_ML]["method"]
    assert found.track("B").change(1).change is None
    assert found.criterion("recist11").proposals[0].category == "NE"
    assert len(flags(found, "out of field")) == 1


def test_a_refused_alignment_gives_no_change_until_a_reader_links_or_places_the_lesion():
    dates = evidence(seen(0, {"A": A}), seen(1, {"A": SMALLER}), verdicts={1: {"A": "refuse"}})
    found = assess(dates)
    assert [one.status for one in found.track("A").entries] == ["baseline", "not evaluable"]
    assert found.track("A").change(1).change is None and "refused" in found.track("A").change(1).reason
    assert found.criterion("recist11").proposals[0].category == "NE"
    assert len(flags(found, "refused")) == 2  # of the pair as a whole, and at the lesion
    assert "may be lesion 'A'" in flags(found, "not evaluable")[0]
    for said in (act.link(ref(0, "A"), ref(1, "A")), act.point(ref(0, "A"), day(1), (20, 20, 20))):
        again = assess(dates, Reading((said,)))
        assert again.track("A").change(1).change.percent[0] == pytest.approx(100 * (voxels(5.0) / voxels(8.0) - 1))
        assert len(again.tracks) == 1
        assert "refused; a reader said" in flags(again, "check")[0]


def test_a_change_at_an_alignment_to_be_checked_is_flagged():
    found = assess(evidence(seen(0, {"A": A}), seen(1, {"A": SMALLER}), verdicts={1: {"A": "check"}}))
    assert found.track("A").change(1).change is not None
    assert flags(found, "check") == [f"Check the alignment at A on {day(1)}: check here."]


def test_an_edit_that_cannot_be_applied_is_told():
    said = Reading((act.link(ref(0, "A"), ref(1, "Nobody")), act.finding(ref(1, "Nobody"), state="present")))
    texts = flags(assess(evidence(seen(0, {"A": A}), seen(1, {"A": A})), said), "not applied")
    assert len(texts) == 2 and all("Nobody" in text for text in texts)
    assert all(text.endswith("; there is 'A'; the act stays in the list without effect.") for text in texts)


def test_the_order_of_lesions_changes_nothing():
    balls = {"A": A, "B": B, "C": ((42, 12, 40), 4.0), "D": ((12, 45, 45), 5.0)}
    dates = [seen(at, balls, sites={"A": "lung", "B": "lung"}) for at in range(3)]
    wanted = assess(evidence(*dates)).as_dict()
    shuffled = []
    for one in dates:
        lesions = list(one.lesions)
        random.Random(3).shuffle(lesions)
        shuffled.append(replace(one, lesions=tuple(lesions)))
    again = assess(Evidence(tuple(shuffled), evidence(*dates).pairs, "seed", (), {"made_by": "a test"})).as_dict()
    assert again == wanted


def test_a_known_track_keeps_its_uid_and_name_whatever_its_lesion_is_called():
    known = (Identity("2.25.77", "Old A", day(0), (20, 20, 22)), Identity("2.25.78", "Old B", day(0), (1, 1, 1)))
    found = assess(evidence(seen(0, {"7": A, "8": B}), seen(1, {"9": A}), known=known))
    assert [(one.tracking_uid, one.name) for one in found.tracks if one.name == "Old A"] == [("2.25.77", "Old A")]
    assert "2.25.78" not in [one.tracking_uid for one in found.tracks] and len(found.tracks) == 2


def test_a_shift_between_the_dates_is_carried_by_the_transform():
    moved = ((30, 20, 20), 5.0)
    dates = (seen(0, {"A": A}), seen(1, {"Z": moved}))
    shifted = pair(1, {"A": ("good", (20, 20, 20))}, (10.0, 0.0, 0.0))
    found = assess(Evidence(dates, (shifted,), "seed"))
    assert found.track("A").entries[1].lesions == ("Z",)
    assert found.track("A").entries[1].expected_ras_mm == pytest.approx((30, 20, 20))
    assert found.track("A").links[0]["distance_mm"] == pytest.approx(0.0, abs=0.01)


def test_what_intervals_leave_out_is_told_once_for_all_lesions():
    balls = {"A": A, "B": B}
    found = assess(evidence(*(seen(at, balls, sites={"A": "lung", "B": "liver"}) for at in range(3))))
    texts = flags(found, "left out")
    lead = "Intervals are too narrow: "
    assert texts == [
        f"{lead}published errors exist for none of: CT liver; what another scan would change is not in theirs.",
        f"{lead}each date has one segmentation only: how far another one would differ is in no interval.",
    ]  # of the lung there are published limits, and short axes count of nodes only
    assert len({(one.kind, one.text) for one in found.flags}) == len(found.flags)


def test_a_size_that_nobody_entered_says_so():
    said = Reading((act.size(ref(0, "B"), day(1), viable_mm=7.0, by="R"),))
    entry = assess(evidence(seen(0, {"A": A, "B": B}), seen(1, {"A": A})), said).track("B").entries[1]
    assert (entry.status, entry.measures, entry.reason) == ("persistent", {}, "no reader entered it, and there is no mask")

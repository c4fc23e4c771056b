"""What a reader must be told of odd cases: normal nodes that turn up, lesions that are cut, drawn twice, or in pieces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from helpers_assess import day, evidence, ref, seen
from helpers_tracking import ball_lesion
from LongitudinalCompareLib import reading_acts as act
from LongitudinalCompareLib.alignment import put_together
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.known_tracks import known_of
from LongitudinalCompareLib.lesion_sites import EDGE, PIECES, shared_flags
from LongitudinalCompareLib.lesion_track import LesionKey
from LongitudinalCompareLib.reading import Reading

LIVER = {"Lesion 1": ((20.0, 20.0, 20.0), 8.0)}


def test_a_normal_node_that_turns_up_is_not_called_new():
    small, large = ({**LIVER, "Node": ((45.0, 45.0, 45.0), radius)} for radius in (3.0, 8.0))
    dates = evidence(seen(0, LIVER), seen(1, small), seen(2, large))
    found = assess(dates, Reading((act.role(ref(1, "Node"), node=True),)))
    assert found.track("Node").entries[1].value("short_axis_mm") < 10
    first, second = found.criterion("recist11").proposals
    assert first.category == "SD" and not any("counts as new" in one for one in first.cautions)
    assert second.category == "PD" and any("Node counts as new" in one for one in second.cautions)
    assert [one.timepoint for one in found.flags if one.kind == "new"] == [2]


def test_a_node_that_was_normal_and_is_enlarged_says_what_the_change_is_worth():
    small, large = ({**LIVER, "Node": ((45.0, 45.0, 45.0), radius)} for radius in (3.0, 6.0))
    node = act.role(ref(0, "Node"), node=True)
    text, = [one.text for one in assess(evidence(seen(0, small), seen(1, large)), Reading((node,))).flags if one.kind == "new"]
    assert text == (
        f"Node was a normal node (7.0 mm) and has a short axis of 13.0 mm on {day(1)} (+86 %, error not known): say whether it is"
        " new disease."
    )
    numbers = ((0, 7, "R"), (0, 9, "S"), (1, 9, "R"), (1, 13, "S"))
    sizes = [act.size(ref(at, "Node"), short_mm=mm, by=by) for at, mm, by in numbers]
    found = assess(evidence(seen(0, small), seen(1, large)), Reading((node, *sizes)))
    text, = [one.text for one in found.flags if one.kind == "new"]
    assert "(7.9 mm) and" in text and "(+36 %, within measurement error): say" in text  # the roots of 7 * 9 and of 9 * 13


def test_a_node_that_a_reader_finds_too_small_to_measure_is_normal():
    balls = {**LIVER, "Node": ((45.0, 45.0, 45.0), 6.0)}
    node, small = act.role(ref(0, "Node"), node=True), act.size(ref(1, "Node"), state="too small to measure", by="R")
    dates = evidence(seen(0, balls), seen(1, balls))
    gone = act.size(ref(1, "Lesion 1"), state="absent", by="R")

    def first(*acts):
        return assess(dates, Reading((node, gone, *acts))).criterion("recist11").proposals[0]

    assert first().category == "PR" and "Still there, without unequivocal progression: Node." in first().sentence
    assert first(small).category == "CR" and "Normal now: Node (too small to measure)." in first(small).sentence
    late = evidence(seen(0, LIVER), seen(1, balls))
    acts = act.role(ref(1, "Node"), node=True), small
    assert assess(late, Reading(acts[:1])).criterion("recist11").proposals[0].category == "PD"
    found = assess(late, Reading(acts))
    assert found.criterion("recist11").proposals[0].category == "SD"
    assert not [one for one in found.flags if one.kind == "new"]


def flagged(date, name: str, *flags: str):
    """A date whose lesion of a name has flags of its own."""
    lesions = tuple(replace(one, flags=flags) if one.key.name == name else one for one in date.lesions)
    return replace(date, lesions=lesions)


def test_a_lesion_that_the_image_cuts_has_no_change_and_its_sums_say_so():
    cut = flagged(seen(1, {"Lesion 1": ((20.0, 20.0, 20.0), 6.0)}), "Lesion 1", EDGE)
    found = assess(evidence(seen(0, LIVER), cut, seen(2, LIVER)), criteria=("recist11", "bands"))
    track = found.track("Lesion 1")
    assert "edge of the image" in track.change(1).reason and track.change(1).change is None
    assert "edge of the image" in track.change(2, reference="previous").reason and track.change(2).change is not None
    first, second = found.criterion("recist11").proposals
    assert any("at least as large" in one for one in first.cautions) and not any("edge" in one for one in second.cautions)
    assert any("at least as large" in one for one in found.criterion("bands").proposals[0].cautions)
    assert [(one.kind, one.timepoint) for one in found.flags if "edge of the image" in one.text] == [("mask", 1)]
    own = assess(evidence(seen(0, LIVER), cut), Reading((act.size(ref(1, "Lesion 1"), longest_mm=14.0),)))
    assert own.track("Lesion 1").change(1, "longest_diameter_mm").change is not None
    assert own.track("Lesion 1").change(1).change is None  # the volume is still the mask's
    assert not any("edge" in one for one in own.criterion("recist11").proposals[0].cautions)


def test_lesions_that_are_drawn_twice_say_how_much_they_share():
    date = seen(1, {**LIVER, "Core": ((20.0, 20.0, 20.0), 4.0), "Far": ((45.0, 45.0, 45.0), 4.0)})
    flags = shared_flags(date.lesions)
    assert flags["Core"] == ("shares 100 % of its voxels with 'Lesion 1', which counts them, too",)
    share = 100 * next(one.volume_ml for one in date.lesions if one.key.name == "Core") / date.lesions[0].volume_ml
    assert flags["Lesion 1"] == (f"shares {share:.0f} % of its voxels with 'Core', which counts them, too",)
    assert flags["Far"] == ()
    for name in flags:
        date = flagged(date, name, *flags[name]) if flags[name] else date
    found = assess(evidence(seen(0, LIVER), date))
    assert any("draw each voxel once" in one for one in found.criterion("recist11").proposals[0].cautions)


def test_a_lesion_in_pieces_is_told():
    date = flagged(seen(1, LIVER), "Lesion 1", PIECES.format(count=2))
    found = assess(evidence(seen(0, LIVER), date))
    assert [one.timepoint for one in found.flags if one.kind == "mask" and "across a gap" in one.text] == [1]


def test_a_lesion_that_the_scan_does_not_show_is_out_of_field_and_not_misaligned():
    two = {**LIVER, "Lesion 2": ((45.0, 45.0, 45.0), 6.0)}
    dates = evidence(seen(0, two), seen(1, LIVER), verdicts={1: {"Lesion 2": "refuse"}})
    first, second = dates.pairs[0].alignment.regions
    assert assess(dates).track("Lesion 2").status == "not evaluable"

    def told(shown: float, other: str = "good"):
        regions = (replace(first, verdict=other, numbers={"shown": 1.0}), replace(second, numbers={"shown": shown}))
        return assess(replace(dates, pairs=(replace(dates.pairs[0], alignment=put_together(regions)),)))

    found = told(0.0)
    assert found.track("Lesion 2").status == "out of field" and found.track("Lesion 2").entries[1].value("volume_ml") is None
    assert [one.text for one in found.flags if "Lesion 2" in one.text and one.kind in ("refused", "out of field")] == [
        f"Lesion 2 lies outside of the field of view on {found.timepoints[1].when}; it is not gone."
    ]
    assert found.criterion("recist11").proposals[0].category == "NE"
    assert told(0.3).track("Lesion 2").status == "not evaluable"  # a part of it is there to be seen
    assert told(0.0, "refuse").track("Lesion 2").status == "not evaluable"  # then its place is not known


def test_what_may_be_new_is_dated_to_the_scan_that_first_showed_it():
    more = {**LIVER, "Lesion 9": ((45.0, 45.0, 45.0), 4.0)}
    said = Reading((act.newness(ref(1, "Lesion 9"), unequivocal=False),))
    found = assess(evidence(seen(0, LIVER), seen(1, more), seen(2, more)), said)
    for one in found.criterion("recist11").proposals:
        assert [text.rpartition(" ")[2] for text in one.cautions if "may be new" in text] == ["60."]


def test_one_image_for_two_dates_is_told():
    dates = evidence(seen(0, LIVER), seen(1, LIVER))
    assert not [one for one in assess(dates).flags if one.kind == "same image"]
    twin = replace(dates.dates[1], facts=replace(dates.dates[1].facts, sha256=dates.dates[0].facts.sha256))
    found = assess(replace(dates, dates=(dates.dates[0], twin))).flags[0]
    assert (found.kind, found.timepoint) == ("same image", 1) and "named by mistake" in found.text


def test_two_scans_of_one_day_have_no_response_and_say_what_to_do():
    dates = evidence(seen(0, LIVER), seen(1, LIVER))
    same = {"date": "2026-01-01", "day": 0}
    whens = zip(dates.dates, ("08:00:00", "09:00:00"))
    both = tuple(replace(one, facts=replace(one.facts, time=time, **same)) for one, time in whens)
    problem = assess(replace(dates, dates=both)).criterion("recist11").problem
    assert "are of one day" in problem and "leave one of them out" in problem


def test_a_track_keeps_its_uid_when_the_baseline_is_left_out():
    first = assess(evidence(*(seen(at, LIVER) for at in range(3))))
    known = known_of(first.as_dict())
    assert [when for when, _point in known[0].places] == [one.when for one in first.timepoints]
    later = tuple(
        replace(one, lesions=tuple(replace(lesion, key=LesionKey(at, "7")) for lesion in one.lesions))
        for at, one in enumerate((seen(1, LIVER), seen(2, LIVER)))
    )
    again = assess(evidence(*later, known=known))
    assert [(one.tracking_uid, one.name) for one in again.tracks] == [(one.tracking_uid, one.name) for one in first.tracks]


def test_a_reader_who_gives_a_short_axis_beyond_the_masks_longest_diameter_is_told():
    dates = evidence(seen(0, LIVER), seen(1, LIVER))
    found = assess(dates, Reading((act.size(ref(1, "Lesion 1"), short_mm=40.0),)))
    assert [one.timepoint for one in found.flags if one.kind == "check" and "give both" in one.text] == [1]
    both = assess(dates, Reading((act.size(ref(1, "Lesion 1"), longest_mm=41.0, short_mm=40.0),)))
    assert not [one for one in both.flags if "give both" in one.text]


def test_what_counts_as_gone_though_a_part_of_its_place_was_not_scanned_is_told():
    edge = {"Lesion 1": ((20.0, 20.0, 20.0), 8.0), "Low": ((30.0, 30.0, 30.0), 7.0)}
    short = replace(seen(1, LIVER), shape_kji=(34, 60, 60))
    found = assess(evidence(seen(0, edge), short))
    assert found.track("Low").status == "resolved"
    assert any("may be there" in one for one in found.criterion("recist11").proposals[0].cautions)


def test_the_best_response_by_irecist_of_progression_alone_is_no_response():
    more = {**LIVER, "Lesion 9": ((45.0, 45.0, 45.0), 6.0)}
    best = assess(evidence(seen(0, LIVER), seen(1, more)), criteria=("irecist",)).criterion("irecist").best
    assert best.sentence == "iUPD: progression that was not confirmed, and nothing better before."


def test_what_merged_and_came_apart_again_is_not_called_one_lesion():
    two = {"A": ((20.0, 20.0, 20.0), 6.0), "B": ((34.0, 20.0, 20.0), 6.0)}
    one = ball_lesion(1, "M", [(20, 20, 20), (27, 20, 20), (34, 20, 20)], 6.0, np.eye(4))
    found = assess(evidence(seen(0, two), seen(1, {"M": one}), seen(2, two)))
    texts = {one.timepoint: one.text for one in found.flags if one.kind == "merged"}
    assert texts[1].startswith("A and B are one lesion")
    assert "2 lesions" in texts[2] and "counted together" in texts[2] and "are one lesion" not in texts[2]
    assert "2 lesions here, counted together with B" in found.track("A").entries[2].flags

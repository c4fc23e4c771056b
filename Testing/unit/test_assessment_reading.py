"""Readers' sizes beside the mask's, categories, and a confirmation that holds for just these numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

import LongitudinalCompareLib.comparison as module
from helpers_assess import day, evidence, ref, seen
from helpers_tracking import ball_lesion
from LongitudinalCompareLib import reading_acts as act
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.comparison import LONGEST_MM, SHORT_MM, VOLUME_ML
from LongitudinalCompareLib.confirmation import digest_of
from LongitudinalCompareLib.reading import Reading, Ref
from LongitudinalCompareLib.response_of import CRITERIA
from OncoLib.resources import resource_path

A, B, SMALL = ((20, 20, 20), 8.0), ((42, 40, 30), 6.0), ((42, 12, 40), 4.0)


def dates():
    """Three dates: A shrinks, B goes, C comes."""
    return evidence(seen(0, {"A": A, "B": B}), seen(1, {"A": (A[0], 6.0), "B": B}), seen(2, {"A": A, "C": SMALL}))


def test_a_reader_s_line_counts_and_the_mask_s_diameter_stays_beside_it():
    line = ((12.0, 20.0, 20.0), (12.0, 20.0, 40.0))
    found = assess(dates(), Reading((act.size(ref(1, "A"), longest_line=line, by="R"),)))
    entry = found.track("A").entries[1]
    assert entry.value(LONGEST_MM) == 20.0 and entry.of_mask[LONGEST_MM].value == pytest.approx(13.0)
    assert entry.measures[LONGEST_MM].method.startswith("measured by R; 95 % interval")
    assert (entry.lines["longest"].start_ras_mm, entry.lines["longest"].end_ras_mm) == line
    assert entry.source == "reader" and list(entry.of_mask) == [LONGEST_MM]
    assert entry.value(VOLUME_ML) == pytest.approx(0.925)  # of the mask
    assert found.track("A").change(1, LONGEST_MM).change.percent[0] == pytest.approx(100 * (20 / 17 - 1))
    assert found.criterion("recist11").proposals[0].figure("sum of diameters") == pytest.approx(20 + 13)  # and B


def test_two_readers_count_by_their_geometric_mean_and_a_later_word_of_one_replaces_the_earlier():
    said = [act.size(ref(1, "A"), longest_mm=mm, by=name) for name, mm in (("R", 99.0), ("S", 25.0), ("R", 16.0))]
    entry = assess(dates(), Reading(tuple(said))).track("A").entries[1]
    assert entry.value(LONGEST_MM) == pytest.approx(20.0)  # the root of 16 * 25
    assert entry.measures[LONGEST_MM].method.startswith("measured by R, S; ")


def test_a_reader_who_sees_what_the_mask_does_not_is_right_and_the_other_way_round():
    said = Reading((act.size(ref(0, "B"), day(2), longest_mm=6.0, by="R"), act.size(ref(2, "A"), state="absent", by="R")))
    found = assess(dates(), said)
    there, gone = found.track("B").entries[2], found.track("A").entries[2]
    assert (there.status, there.made_by, there.value(LONGEST_MM)) == ("persistent", "confirmed", 6.0)
    assert (gone.status, gone.made_by, gone.value(VOLUME_ML)) == ("resolved", "confirmed", 0.0)
    assert gone.of_mask[VOLUME_ML].value == pytest.approx(2.109)
    unseen = Reading((act.size(ref(2, "A"), state="not evaluable", reason="motion", by="R"),))
    entry = assess(dates(), unseen).track("A").entries[2]
    assert entry.measures == {} and entry.reason == "not evaluable, as a reader says: motion"


def test_a_short_axis_of_the_mask_that_is_longer_than_a_reader_s_diameter_is_left_out():
    found = assess(dates(), Reading((act.size(ref(1, "A"), longest_mm=9.0, by="R"),)), ("recist11", "rano2"))
    assert found.criterion("recist11").proposals[0].figure("sum of diameters") == pytest.approx(9 + 13)
    assert "not measured for the sum of products" in found.criterion("rano2").proposals[0].sentence


def test_a_reader_s_category_stands_beside_the_proposed_one_and_counts_for_the_best_response():
    said = Reading((act.category(day(1), "recist11", "cr", by="R"), act.category(day(2), "bands", "grown", ref(0, "A"), by="R")))
    found = assess(dates(), said, ("recist11", "bands"))
    first, second = found.criterion("recist11").proposals
    assert (first.category, first.read_as, first.by, first.state) == ("SD", "CR", "R", "confirmed")
    assert second.state == "proposed" and found.criterion("recist11").best.category == "CR"
    bands = dict(zip(zip(found.criterion("bands").lesions, [60, 120, 60, 120]), found.criterion("bands").proposals))
    assert bands["A", 120].read_as == "grown" and bands["A", 60].read_as == ""
    assert found.state == "draft"


@pytest.mark.parametrize(("name", "by", "told"), [("XX", "R", "'XX' is no category of recist11"), ("PR", "", "no name")])
def test_a_category_that_cannot_be_is_told_and_changes_nothing(name, by, told):
    found = assess(dates(), Reading((act.category(day(1), "recist11", name, by=by),)))
    assert found.criterion("recist11").proposals[0].state == "proposed"
    assert [one for one in found.flags if one.kind == "not applied" and told in one.text]


@pytest.mark.parametrize(("name", "by"), [("XX", "R"), ("PR", "")])
def test_a_category_that_cannot_be_leaves_an_earlier_one_and_is_told_until_another_one_comes(name, by):
    acts = [act.category(day(1), "recist11", one, by=who) for one, who in (("CR", "R"), (name, by), ("pd", "S"))]
    found = assess(dates(), Reading(tuple(acts[:2])))
    first = found.criterion("recist11").proposals[0]
    assert (first.category, first.read_as, first.by) == ("SD", "CR", "R") and found.criterion("recist11").best.category == "CR"
    assert [one.timepoint for one in found.flags if one.kind == "not applied"] == [1]
    later = assess(dates(), Reading(tuple(acts)))
    assert later.criterion("recist11").proposals[0].read_as == "PD"
    assert not [one for one in later.flags if one.kind == "not applied"]


def test_a_category_from_before_other_acts_that_is_not_what_is_proposed_now_is_flagged():
    given, size = act.category(day(1), "recist11", "SD", by="R"), act.size(ref(1, "A"), longest_mm=40.0, by="R")
    band = act.category(day(1), "bands", "grown", ref(0, "B"), by="S")

    def told(*acts) -> list[str]:
        found = assess(dates(), Reading(acts), ("recist11", "bands"))
        return [one.text for one in found.flags if one.kind == "confirmation" and one.timepoint == 1]

    assert told(given) == [] and told(size, given) == [] and told(given, act.category(day(1), "recist11", "PR", by="R")) == []
    assert told(given, size) == [f"R's SD for {day(1)} (RECIST 1.1) was given before later acts; PD is proposed now: look again."]
    assert told(given, size, given) == [] and told(act.category(day(1), "recist11", "PD", by="R"), size) == []
    text, = told(band, size)
    assert text.startswith(f"S's grown for {day(1)} (Volume of each lesion in bands, B) was given before")


def test_a_confirmation_is_of_just_these_numbers():
    draft = assess(dates())
    assert draft.digest == digest_of(draft)
    said = Reading((act.confirm("R", draft.digest),))
    found = assess(dates(), said)
    assert found.state == "confirmed" and found.digest == draft.digest
    assert {one.by for one in found.criterion("recist11").proposals} == {"R"} == {found.criterion("recist11").best.by}
    other = evidence(seen(0, {"A": A, "B": B}), seen(1, {"A": (A[0], 6.1), "B": B}), seen(2, {"A": A, "C": SMALL}))
    assert assess(other).criterion("recist11").proposals[0].category == "SD"  # the same category from other sizes
    stale = assess(other, said)
    assert stale.state == "draft" and {one.state for one in stale.criterion("recist11").proposals} == {"proposed"}
    assert stale.flags[0].kind == "confirmation" and "not these numbers" in stale.flags[0].text
    assert stale.as_dict()["state"] == "draft"
    without = assess(dates(), Reading((act.confirm("R"),)))
    assert without.state == "draft" and without.flags[0].kind == "confirmation"


def test_a_confirmation_keeps_a_reader_s_own_category_and_ends_with_the_next_word():
    own = act.category(day(1), "recist11", "SD", by="S")
    digest = assess(dates(), Reading((own,))).digest
    found = assess(dates(), Reading((own, act.confirm("R", digest))))
    assert [one.by for one in found.criterion("recist11").proposals] == ["S", "R"] and found.state == "confirmed"
    more = assess(dates(), Reading((own, act.confirm("R", digest), act.role(ref(0, "B"), "non-target"))))
    assert more.state == "draft" and [one.by for one in more.criterion("recist11").proposals] == ["S", ""]


def test_every_change_of_what_is_confirmed_changes_the_digest():
    draft = assess(dates()).digest
    words = (
        act.role(ref(0, "B"), "non-target"), act.size(ref(1, "A"), longest_mm=14.0, by="R"),
        act.newness(ref(2, "C"), unequivocal=False), act.gone(ref(0, "B"), day(1)), act.lesion("Effusion"),
    )  # fmt: skip
    assert len({draft, *(assess(dates(), Reading((one,))).digest for one in words)}) == 6
    assert assess(dates(), Reading((act.category(day(1), "recist11", "PR", by="R"),))).digest != draft


def cases():
    """Comparisons of every kind of lesion, word and criterion."""
    both = ball_lesion(1, "M", [(20, 20, 15), (20, 20, 21), (20, 20, 27)], 5.0, np.eye(4))
    parts = {"A1": ((20, 20, 15), 5.0), "A2": ((20, 20, 27), 5.0)}
    experts = {"A": {"a": 2.0, "b": 2.2}}
    said = (
        act.lesion("Effusion", kind="fluid"), act.finding(Ref("", "Effusion"), day(1), state="present"),
        act.size(ref(0, "A"), longest_line=((0, 0, 0), (0, 0, 20)), viable_mm=15.0, by="R"),
        act.size(ref(1, "A"), state="too small to measure"), act.category(day(1), "irecist", "iSD", by="R"),
        act.gone(ref(0, "B"), day(2)), act.context(day(1), condition="stable"),
    )  # fmt: skip
    yield assess(dates(), Reading(said), tuple(CRITERIA))
    yield assess(evidence(seen(0, parts), seen(1, {"M": both})), None, ("recist11", "bands"))
    yield assess(evidence(seen(0, {"A": A}, experts=experts), seen(1, {"A": A, "B": B}), verdicts={1: {"A": "refuse"}}))
    yield assess(evidence(seen(0, {"A": A, "B": B}), seen(1, {"A": A}, shape=(60, 60, 34))))
    yield assess(evidence(seen(0, {})))


def test_every_comparison_keeps_its_schema():
    jsonschema = pytest.importorskip("jsonschema", reason="the extra dev is not installed")
    schema = json.loads(resource_path(module.__file__, "Schemas", "comparison.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    for found in cases():
        written = json.loads(json.dumps(found.as_dict(), allow_nan=False))
        jsonschema.validate(written, schema)
        assert Reading.from_dict(written["reading"]) == found.reading


def test_the_schema_refuses_what_must_not_be_there():
    jsonschema = pytest.importorskip("jsonschema", reason="the extra dev is not installed")
    schema = json.loads(resource_path(module.__file__, "Schemas", "comparison.schema.json").read_text("utf-8"))
    written = json.loads(json.dumps(assess(dates()).as_dict()))
    written["timepoints"][0]["patient"] = "x"
    with pytest.raises(jsonschema.ValidationError, match="'patient' was unexpected"):
        jsonschema.validate(written, schema)
    assert SHORT_MM in written["tracks"][0]["measurements"][0]

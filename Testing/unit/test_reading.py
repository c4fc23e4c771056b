"""What a reader may say, how a file says it, and the sentence for everything that is wrong in one."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers_reading import FIRST, SECOND, THIRD, ref
from LongitudinalCompareLib import reading_acts as acts
from LongitudinalCompareLib.reading import CONFIRMED, DRAFT, FIELDS, FINDING, KINDS, SIZE, TRACKING, Act, Reading, Ref
from LongitudinalCompareLib.reading_fields import FORMS, SIZE_STATES
from LongitudinalCompareLib.reading_settled import settled
from LongitudinalCompareLib.reading_template import edits_in
from LongitudinalCompareLib.response import inputs
from LongitudinalCompareLib.response.percist import Uptake
from OncoLib.errors import InputError
from OncoLib.resources import resource_path

ONE, TWO = ref(FIRST, "Lesion 1"), ref(SECOND, "Lesion 2")
ALL = (
    acts.link(ONE, TWO, by="Reader 1", when="2026-06-01T10:00:00+00:00"),
    acts.new(TWO),
    acts.gone(ONE, SECOND),
    acts.merge((ONE, ref(FIRST, "Lesion 3")), TWO),
    acts.split(ONE, (TWO, ref(SECOND, "Lesion 3"))),
    acts.role(ONE, "target", organ="liver", node=False, kind="cystic metastasis", reproducible=True),
    acts.size(TWO, longest_line=((0, 0, 0), (3, 4, 12)), perpendicular_line=((0, 0, 0), (0, 5, 0)), volume_ml=2.5),
    acts.lesion("Effusion", organ="pleura", kind="fluid", role="non-target"),
    acts.finding(Ref("", "Effusion"), SECOND, state="unequivocal progression", grown=True),
    acts.newness(TWO, unequivocal=False, followed=True),
    acts.point(ONE, SECOND, (1.0, -2.0, 3.5)),
    acts.context(therapy_start="20260110", recurrent=False),
    acts.context(SECOND, condition="worse", steroids="none", markers_normal=False, new_symptoms=True, histology_tumor=False),
    acts.pet(SECOND, liver_sul=2.0, liver_sd=0.2, lesions=[{"name": "A", "peak_sul": 5.5}], as_background=False, new=["x"]),
    acts.category(SECOND, "recist11", "PR"),
    acts.confirm("Reader 1", "0123", "2026-06-01T10:05:00Z", named=[1, 2]),
)


def by_hand(*said: dict) -> Reading:
    return Reading.from_dict(list(said))


def schema() -> dict:
    import LongitudinalCompareLib.reading as module

    return json.loads(resource_path(module.__file__, "Schemas", "reading.schema.json").read_text(encoding="utf-8"))


def test_there_is_one_act_of_each_kind_above():
    assert {one.kind for one in ALL} == set(KINDS) == set(FIELDS)
    assert set(FORMS) == set(KINDS) - set(TRACKING)


def test_every_act_comes_back_from_its_file_and_keeps_the_schema():
    jsonschema = pytest.importorskip("jsonschema", reason="the extra dev is not installed")
    reading = Reading(ALL)
    written = json.loads(json.dumps(reading.as_dict(), allow_nan=False))
    assert Reading.from_dict(written) == reading and reading.state == CONFIRMED
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(written, schema())


def test_the_schema_knows_the_same_values_and_words_as_the_program():
    told = {one["if"]["properties"]["act"]["const"]: one["then"]["properties"] for one in schema()["$defs"]["act"]["allOf"]}
    assert list(told) == list(FIELDS)
    for kind, fields in FIELDS.items():
        properties = told[kind]["values"]["properties"]
        assert list(properties) == list(fields)
        assert {name: tuple(one["enum"]) for name, one in properties.items() if "enum" in one} == {
            name: one.words for name, one in fields.items() if one.words
        }
        required = [name for name, one in fields.items() if one.required]
        assert told[kind]["values"].get("required", []) == (required or (["state"] if kind == SIZE else []))


@pytest.mark.parametrize("number", range(len(ALL)))
def test_the_schema_refuses_what_the_program_refuses(number):
    jsonschema = pytest.importorskip("jsonschema", reason="the extra dev is not installed")
    strange = Reading(ALL[number : number + 1]).as_dict()
    strange["acts"][0]["values"]["strange"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(strange, schema())
    with pytest.raises(InputError, match=rf"^act 1, {ALL[number].kind}: 'strange' is no value of it; wanted "):
        Reading.from_dict(strange)


def test_a_file_by_hand_says_the_same_in_fewer_words():
    short = by_hand(
        {"act": "link", "earlier": {"date": FIRST, "lesion": "Lesion 1"}, "later": {"date": "20260302", "lesion": "Lesion 2"}},
        {"act": "new", "lesion": "Lesion 2", "date": SECOND},
        {"act": "gone", "lesion": {"date": FIRST, "lesion": "Lesion 1"}, "date": SECOND},
        {"act": "role", "lesion": "Lesion 1", "date": FIRST, "role": "Target"},
        {"act": "size", "lesion": "Lesion 2", "date": SECOND, "longest_mm": 12, "short_mm": None},
        {"act": "lesion", "lesion": "Effusion", "kind": "fluid"},
        {"act": "finding", "lesion": "Effusion", "date": SECOND, "values": {"state": "present"}},
    )
    assert short.acts == (
        acts.link(ONE, TWO), acts.new(TWO), acts.gone(ONE, SECOND), acts.role(ONE, "target"), acts.size(TWO, longest_mm=12),
        acts.lesion("Effusion", kind="fluid"), acts.finding(Ref("", "Effusion"), SECOND, state="present"),
    )  # fmt: skip
    assert Reading.from_dict({"acts": [one.as_dict() for one in short.acts]}) == short
    said = [{"act": "finding", "lesion": "Effusion", "date": SECOND, "state": "absent"}]
    assert Reading.from_dict(said, manual=("Effusion",)).acts[0].lesion == Ref("", "Effusion")


def test_a_line_beats_a_number_and_gives_its_length():
    lines = {"longest_line": ((0, 0, 0), (3, 4, 12)), "perpendicular_line": [(1, 1, 1), (1, 1, 6)]}
    found = acts.size(TWO, longest_mm=99.0, short_mm=98.0, **lines)
    assert (found.values["longest_mm"], found.values["short_mm"], found.values["state"]) == (13.0, 5.0, "measured")
    assert found.date == SECOND


LIVER = {"act": "pet", "date": SECOND, "liver_sul": 2, "liver_sd": 1}
SIZED = {"act": "size", "lesion": "L", "date": SECOND}
(L1, M1), (L2, M2) = ([{"date": date, "lesion": name} for name in "LM"] for date in (FIRST, SECOND))

WRONG = [
    ({"act": "measure"}, "act is 'measure'; wanted one of: link, new, "),
    ({}, "act is None; wanted one of: "),
    ({**SIZED, "longest_mm": "12"}, "longest_mm is '12'; wanted a number above 0 (mm)"),
    ({**SIZED, "longest_mm": True}, "longest_mm is True; wanted a number above 0"),
    ({**SIZED, "volume_ml": 0}, "volume_ml is 0; wanted a number above 0 (ml)"),
    ({**SIZED, "volume_ml": math.nan}, "volume_ml is nan; wanted a number"),
    ({**SIZED, "volume_ml": 10**400}, "volume_ml is 1000"),
    (SIZED, "no size is there; wanted one at least of longest_line, "),
    ({**SIZED, "reason": "moved"}, "no size is there; wanted one at least of "),
    ({**SIZED, "state": "absent", "longest_mm": 3}, "state is 'absent' beside longest_mm; "),
    ({**SIZED, "state": "split"}, "state is 'split'; wanted one of: measured, too small"),
    ({**SIZED, "longest_mm": 5, "short_mm": 6}, "short_mm is 6; wanted no more than longest_mm"),
    ({**SIZED, "longest_line": [[0, 0, 0], [0, 0, 0]]}, "longest_line is [[0, 0, 0], [0, 0, 0]]"),
    ({**SIZED, "longest_line": [[0, 0], [1, 1]]}, "longest_line is [[0, 0], [1, 1]]; wanted two"),
    ({"act": "size", "lesion": {"date": "", "lesion": "L"}, "longest_mm": 5}, "it says no date; wanted the one it is about"),
    ({"act": "size", "lesion": "L", "date": "2026-02-30", "longest_mm": 5}, "'2026-02-30' is no date; wanted YYYY-MM-DD"),
    ({"act": "size", "lesion": "L", "date": 20260302, "longest_mm": 5}, "date is 20260302; wanted a text"),
    ({"act": "size", "lesion": " ", "date": SECOND, "longest_mm": 5}, "lesion is ' '; wanted a text of 200 letters at most"),
    ({"act": "size", "lesion": ["A", "B"], "date": SECOND, "longest_mm": 5}, "it names 2 lesions; wanted one lesion"),
    ({"act": "size", "date": SECOND, "longest_mm": 5}, "it names no lesion; wanted one lesion"),
    ({**SIZED, "longest": 5}, "'longest' is no value of it; wanted state, longest_line, "),
    ({**SIZED, "longest_mm": 5, "values": {"short_mm": 4}}, "'longest_mm' stands beside values"),
    ({**SIZED, "values": 5}, "values is 5; wanted names and values"),
    ({"act": "role", "lesion": "L", "role": "target"}, "lesion 'L' has no date; wanted "),
    ({"act": "role", "lesion": "L", "date": FIRST, "role": "goal"}, "role is 'goal'; wanted one of: target, non-target, ignored"),
    ({"act": "role", "lesion": "L", "date": FIRST}, "it says nothing; wanted one at least of role, organ, node, kind, "),
    ({"act": "role", "lesion": L1, "date": SECOND, "node": True}, "it says the date 2026-03-02; wanted none"),
    ({"act": "role", "lesion": "L", "date": FIRST, "kind": "bone"}, "kind is 'bone'; wanted one of: "),
    ({"act": "lesion", "lesion": L1}, "'L' of 2026-01-05 has a date; wanted none"),
    ({"act": "lesion"}, "it names no lesion; wanted one lesion"),
    ({"act": "link", "earlier": L2, "later": M1}, "'L' of 2026-03-02 is not before"),
    ({"act": "link", "later": M1}, "it names no earlier lesion; wanted one"),
    ({"act": "link", "earlier": "L", "later": M1}, "lesion 'L' has no date; wanted "),
    ({"act": "link", "earlier": {"date": FIRST}, "later": M2}, "{'date': '2026-01-05'} names no lesion; "),
    ({"act": "link", "earlier": 7, "later": M2}, "7 names no lesion; wanted date and lesion"),
    ({"act": "new", "lesion": M2, "date": FIRST}, "its later lesions are of several dates"),
    ({"act": "gone", "lesion": L1}, "it says no date; wanted the one at which the lesion is no longer there"),
    ({"act": "merge", "earlier": [L1], "later": M2}, "it names 1 earlier lesion; "),
    ({"act": "point", "lesion": L2, "date": FIRST, "point_ras_mm": [0, 0, 0]}, "the lesion is 'L' of 2026-03-02"),
    ({"act": "point", "lesion": L1, "date": SECOND}, "point_ras_mm is missing; wanted three numbers"),
    ({"act": "context", "condition": "worse"}, "condition holds at one date; wanted that date"),
    ({"act": "context", "date": SECOND, "recurrent": True}, "recurrent holds for all dates; wanted it without date"),
    ({"act": "context", "therapy_start": "soon"}, "therapy_start is 'soon'; wanted a date as YYYY-MM-DD"),
    ({"act": "finding", "lesion": "L", "date": SECOND, "state": "there"}, "state is 'there'; wanted one of: absent, present, "),
    ({"act": "pet", "date": SECOND, "liver_sul": 2, "lesions": []}, "liver_sd is missing; wanted a number of 0 or more (SUL)"),
    ({**LIVER, "liver_sul": -2, "lesions": []}, "liver_sul is -2; wanted a number of 0 or more"),
    ({**LIVER, "lesions": [{"name": "L"}]}, "lesions is [{'name': 'L'}]; wanted a list"),
    ({"act": "category", "date": SECOND, "criterion": "recist11"}, "category is missing; wanted a category"),
    ({"act": "category", "criterion": "recist11", "category": "PR"}, "it says no date; wanted the one it is about"),
    ({"act": "confirm"}, "by is empty; wanted the name of who confirms"),
    ({"act": "new", "lesion": "L", "date": SECOND, "when": "now"}, "when is 'now'; wanted a time as in "),
    ({"act": "new", "lesion": "L", "date": SECOND, "by": 3}, "by is 3; wanted a text"),
    ({"act": "new", "lesion": {"date": SECOND, "lesion": "L", "at_ras_mm": [1, 2]}}, "names no lesion; wanted date and lesion"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "sentence"), WRONG)
def test_what_is_wrong_is_told_in_one_sentence(said, sentence):
    good = {"act": "new", "lesion": "L", "date": SECOND}
    with pytest.raises(InputError) as caught:
        by_hand(good, said)
    text = str(caught.value)
    kind = f", {said['act']}" if said.get("act") in KINDS else ""
    assert text.startswith(f"act 2{kind}: ") and sentence in text
    assert "\n" not in text and len(text) < 330


@pytest.mark.parametrize(("said", "sentence"), [
    (3, "3 is no list of acts"), ({}, "None is no list"), ([3], "act 1 is 3; wanted an object"), (None, "None is no list"),
    ({"format": "other/1", "acts": []}, "format is 'other/1'; wanted 'oncosegment.reading/1'"),
    ({"state": "confirmed", "acts": []}, "state is 'confirmed'; wanted 'draft', as its acts make it"),
])  # fmt: skip
def test_a_file_that_is_no_reading(said, sentence):
    with pytest.raises(InputError, match=f"^{sentence}".replace("[", r"\[")):
        Reading.from_dict(said)


def test_the_words_are_those_of_the_criteria():
    assert set(SIZE_STATES) | {inputs.SPLIT, inputs.MERGED} == set(inputs.STATES)
    for word in SIZE_STATES[1:]:
        assert inputs.Size(**acts.size(TWO, state=word).values).state == word
    for word in inputs.FINDINGS:
        assert inputs.Finding(**acts.finding(TWO, state=word).values).state == word
    facts = {"markers_normal": True, "new_symptoms": True, "histology_tumor": True}
    told = acts.context(SECOND, condition="stable", steroids="increased", **facts)
    assert inputs.ClinicalStatus(**told.values).steroids == "increased"
    pet = acts.pet(SECOND, liver_sul=2, liver_sd=0.5, lesions=[{"name": "L", "peak_sul": 3, "glycolysis_ml": 7}])
    assert [Uptake(**one) for one in pet.values["lesions"]] == [Uptake("L", 3.0, 7.0)]


def test_a_confirmed_reading_becomes_a_draft_by_the_next_word():
    reading = Reading(ALL)
    assert (reading.state, reading.confirmed_by) == (CONFIRMED, "Reader 1")
    more = reading.with_acts(acts.new(TWO))
    assert (more.state, more.confirmed_by) == (DRAFT, "")
    assert more.without_last() == reading and Reading().without_last() == Reading()
    assert reading.manual == ("Effusion",)


def test_an_undone_confirmation_takes_back_the_names_that_it_lent_and_no_others():
    said = (acts.new(TWO, by="A"), acts.size(TWO, longest_mm=20, by="A"), acts.gone(ONE, SECOND, by="B"))
    reading = Reading((*said, acts.confirm("A", "d", named=[1, 3, 7])))
    assert [one.by for one in reading.without_last().acts] == ["", "A", "B"], "B said the third act, whatever the list tells"
    reading = Reading((*said, acts.confirm("A", "d", named=[1, 2])))
    assert [one.by for one in reading.without_last().acts] == ["", "", "B"]
    more = Reading((*said, acts.size(TWO, volume_ml=3, by="A"), acts.confirm("A", "d", named=[1, 2])))
    assert [one.by for one in more.without_last().acts] == ["", "A", "B", "A"], "two sizes of A stay those of one reader"
    for wrong in ([0], [1, 1], [True], ["1"], 1):
        with pytest.raises(InputError, match="named is .* wanted a list of whole numbers above 0, each once"):
            Act("confirm", values={"named": wrong}, by="A")


def test_an_act_is_taken_out_by_its_number_and_a_confirmation_goes_with_it():
    said = (acts.new(TWO, by="A"), acts.gone(ONE, SECOND, by="A"), acts.size(TWO, longest_mm=20, by="B"))
    plain = Reading(said)
    assert [acts.without_act(plain, at).acts for at in (1, 2, 3)] == [said[1:], (said[0], said[2]), said[:2]]
    confirmed = plain.with_acts(acts.confirm("A", "d", named=[2]))
    left = acts.without_act(confirmed, 1)
    assert left.state == DRAFT and left.acts == (acts.gone(ONE, SECOND), said[2]), "the name was lent by the confirmation"
    assert acts.without_act(confirmed, 4) == confirmed.without_last()
    for wrong in (0, -1, 5):
        with pytest.raises(InputError, match=f"there is no act {wrong}; wanted a number from 1 to 4"):
            acts.without_act(confirmed, wrong)
    with pytest.raises(InputError, match="there is no act to take out"):
        acts.without_act(Reading(), 1)


def test_an_earlier_confirmation_still_names_the_acts_that_it_lent_its_name_to():
    """1 and 3 were nameless, 2 is A's own: with 1 or 2 gone, undoing back to the confirmation frees just what it lent."""
    said = (acts.new(TWO, by="A"), acts.gone(ONE, SECOND, by="A"), acts.lesion("Effusion", by="A"))
    later = Reading((*said, acts.confirm("A", "d", named=[1, 3]), acts.context(recurrent=True)))
    for number, named, kept in ((1, (2,), ["A", ""]), (2, (1, 2), ["", ""]), (3, (1,), ["", "A"])):
        left = acts.without_act(later, number)
        assert left.acts[2].values["named"] == named
        assert [one.by for one in left.without_last().without_last().acts] == kept
    only = acts.without_act(Reading((said[0], acts.confirm("A", "d", named=[1]), said[1])), 1)
    assert "named" not in only.acts[0].values


def count(*said: Act) -> dict:
    return settled(said, lambda act: (act.lesion, act.date, act.by if act.kind == SIZE else ""))


def test_a_later_size_of_one_reader_counts_and_those_of_two_stand_side_by_side():
    found = count(
        acts.size(TWO, longest_line=((0, 0, 0), (10, 0, 0)), volume_ml=1.0, by="A"), acts.size(TWO, longest_mm=12.0, by="A"),
        acts.size(TWO, longest_mm=14.0, by="B"),
    )  # fmt: skip
    told = {key[1][2]: dict(act.values) for key, act in found.items()}
    assert told["A"] == {"state": "measured", "volume_ml": 1.0, "longest_mm": 12.0}
    assert told["B"] == {"state": "measured", "longest_mm": 14.0}


def test_another_state_starts_anew_and_a_contradiction_leaves_the_later_word_alone():
    gone = list(count(acts.size(TWO, longest_mm=12.0), acts.size(TWO, state="absent")).values())
    assert [dict(one.values) for one in gone] == [{"state": "absent"}]
    thin = list(count(acts.size(TWO, longest_mm=12.0, short_mm=9.0), acts.size(TWO, longest_mm=8.0)).values())
    assert [dict(one.values) for one in thin] == [{"state": "measured", "longest_mm": 8.0}]
    seen = list(count(acts.finding(TWO, state="present"), acts.finding(TWO, grown=True)).values())
    assert [(one.kind, dict(one.values)) for one in seen] == [(FINDING, {"state": "present", "grown": True})]


def test_a_thing_that_is_not_there_does_not_count():
    assert settled([acts.new(TWO)], lambda act: None) == {}


names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)
points = st.tuples(*[st.floats(-500, 500, allow_nan=False)] * 3)
refs = st.builds(Ref, st.sampled_from([FIRST, SECOND]), names, st.none() | points)
lengths = st.none() | st.floats(1e-3, 500)


@given(refs, lengths, lengths, st.none() | st.tuples(points, points), st.sampled_from([None, inputs.TOO_SMALL]), names)
def test_sizes_come_back_from_their_file_as_they_were(lesion, volume, viable, line, state, by):
    try:
        act = acts.size(lesion, THIRD, volume_ml=volume, viable_mm=viable, longest_line=line, state=state, by=by)
    except InputError:
        assert (volume is viable is state is None) and (line is None or math.dist(*line) == 0) or math.dist(*line) == 0
        return
    assert line is None or act.values["longest_mm"] == pytest.approx(math.sqrt(sum((a - b) ** 2 for a, b in zip(*line))))
    reading = Reading((act,))
    assert Reading.from_dict(json.loads(json.dumps(reading.as_dict(), allow_nan=False))) == reading


@given(st.lists(st.tuples(refs, st.lists(names, min_size=2, max_size=4), names), max_size=4))
def test_acts_of_tracking_come_back_from_their_file_as_they_were(said):
    made = []
    for earlier, later, by in said:
        parts = [Ref(THIRD, name) for name in later]
        made += [acts.link(earlier, parts[0], by=by), acts.split(earlier, parts), acts.gone(earlier, THIRD), acts.new(parts[1])]
    reading = Reading(tuple(made))
    assert Reading.from_dict(json.loads(json.dumps(reading.as_dict()))) == reading


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([*KINDS, FIRST, "act"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
        "act", "lesion", "later", "earlier", "date", "values", "by", "when", "longest_mm", "at_ras_mm", "acts", "role", "lesions",
    ]), inner, max_size=6),
    max_leaves=20,
)  # fmt: skip


@given(anything)
def test_nothing_that_a_file_can_hold_ends_in_anything_but_a_reading_or_a_sentence(value):
    for read in (Reading.from_dict, edits_in):
        try:
            found = read(value)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert Reading.from_dict(json.loads(json.dumps(found.as_dict(), allow_nan=False))) == found


near = st.dictionaries(
    st.sampled_from(["act", "lesion", "date", "longest_mm", "state", "later", "kind", "about"]),
    st.sampled_from([*KINDS, FIRST, SECOND, "L", 3, None, "absent", {"date": FIRST, "lesion": "L"}]),
)


@given(st.lists(near, max_size=3))
def test_nor_does_anything_that_comes_close_to_an_act(value):
    test_nothing_that_a_file_can_hold_ends_in_anything_but_a_reading_or_a_sentence.hypothesis.inner_test(value)

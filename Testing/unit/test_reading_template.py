"""The file to be filled in, and what acts changed in sentences; both on comparisons as their JSON has them."""

from __future__ import annotations

import json

import pytest

from helpers_reading import FIRST, SECOND, ref
from LongitudinalCompareLib import reading_acts as acts
from LongitudinalCompareLib.reading import Ref
from LongitudinalCompareLib.reading_changes import changes_between, told
from LongitudinalCompareLib.reading_template import edits_in, template_of, template_text
from OncoLib.errors import InputError

UNITS = {"volume_ml": "ml", "longest_diameter_mm": "mm", "short_axis_mm": "mm"}


def entry(at: int, status: str, *lesions: str, values=(None, None, None), source="mask", made_by="matched") -> dict:
    measures = {name: {"value": value, "unit": UNITS[name]} for name, value in zip(UNITS, values)}
    return {"timepoint": at, "status": status, "lesions": list(lesions), "source": source, "made_by": made_by, **measures}


def track(name: str, *entries: dict, role="target", **more) -> dict:
    facts = {"role": role, "role_reason": "", "organ": "", "node": False, "kind": ""}
    return {"tracking_uid": f"uid of {name}", "name": name, **facts, "measurements": list(entries), **more}


def proposal(category: str, sentence="S.", **more) -> dict:
    return {"day": 56, "category": category, "sentence": sentence, "state": "proposed", "by": "", "read_as": "", **more}


def comparison(*tracks: dict, proposals=(), problem="") -> dict:
    dates = [{"date": when, "time": "", "day": day} for when, day in ((FIRST, 0), (SECOND, 56))]
    response = [{"criterion": "recist11", "title": "RECIST 1.1", "problem": problem, "proposals": list(proposals)}]
    return {"timepoints": dates, "tracks": list(tracks), "response": response}


SEEN = entry(0, "baseline", "Lesion 1", values=(1.5, 14.0, 9.0))
WHOLE = comparison(
    track("A", SEEN, entry(1, "resolved", values=(0.0, 0.0, 0.0))),
    track("B", entry(0, "baseline", "Lesion 2"), entry(1, "split", "Lesion 3", "Lesion 4"), role="non-target"),
    track("Effusion", entry(0, "baseline"), entry(1, "persistent"), role="non-target", manual=True),
    track("C", entry(0, "not yet"), entry(1, "new", "Lesion 5"), role="new"),
    proposals=[proposal("PD"), proposal("larger", lesion="A")],
)


def test_the_template_has_the_lesions_at_their_dates_and_says_nothing():
    text = template_text(template_of(WHOLE))
    template = json.loads(text)
    assert template == template_of(WHOLE)
    sizes = [(one["lesion"]["date"], one["lesion"]["lesion"], one["date"]) for one in template["acts"] if one["act"] == "size"]
    assert sizes == [
        (FIRST, "Lesion 1", FIRST), (FIRST, "Lesion 1", SECOND), (FIRST, "Lesion 2", FIRST), (SECOND, "Lesion 3", SECOND),
        (SECOND, "Lesion 4", SECOND), ("", "Effusion", FIRST), ("", "Effusion", SECOND), (SECOND, "Lesion 5", SECOND),
    ]  # fmt: skip
    assert [one["lesion"]["lesion"] for one in template["acts"] if one["act"] == "finding"] == ["Lesion 3", "Effusion"]
    assert [one["lesion"]["lesion"] for one in template["acts"] if one["act"] == "newness"] == ["Lesion 5"]
    assert [one["category"] for one in template["acts"] if one["act"] == "category"] == [None]
    assert "A at 2026-01-05: baseline, 1.5 ml, 14.0 mm, 9.0 mm across" in [one["about"] for one in template["acts"]]
    assert edits_in(template).acts == ()
    assert len(edits_in({"acts": template["examples"]}).acts) == len(template["examples"]) == 7


@pytest.mark.parametrize(("kind", "values"), [
    ("role", {"role": "ignored"}), ("size", {"longest_mm": 3}), ("newness", {"followed": True}), ("lesion", {"lesion": "Bone"}),
    ("finding", {"state": "absent"}), ("category", {"category": "SD"}), ("context", {"recurrent": False}),
])  # fmt: skip
def test_what_is_filled_in_is_said_and_nothing_else(kind, values):
    template = template_of(WHOLE)
    next(one for one in template["acts"] if one["act"] == kind).update(values)
    said, = edits_in(template).acts
    assert said.kind == kind and "about" not in said.as_dict()


def test_faults_are_told_by_the_number_in_the_file_also_after_acts_that_say_nothing():
    template = template_of(WHOLE)
    number = next(at for at, one in enumerate(template["acts"], 1) if one["act"] == "context")
    template["acts"][number - 1]["therapy_start"] = "soon"
    with pytest.raises(InputError, match=f"^act {number}, context: therapy_start is 'soon'"):
        edits_in(template)
    with pytest.raises(InputError, match="^act 2 is 3; wanted an object"):
        edits_in([{"act": "lesion", "lesion": None}, 3])


def test_a_template_of_one_date_has_no_examples():
    only = {**comparison(track("A", SEEN)), "response": []}
    only["timepoints"] = only["timepoints"][:1]
    assert template_of(only)["examples"] == []


def test_nothing_changed():
    assert changes_between(WHOLE, json.loads(json.dumps(WHOLE))) == []


def test_changes_of_lesions_are_told_with_what_was_there_before():
    now = entry(1, "persistent", "Lesion 1", values=(2.0, 15.0, 9.0))
    before = comparison(track("A", SEEN, now), track("B", SEEN, now), track("C", SEEN, now))
    after = comparison(
        track("A", SEEN, entry(1, "persistent", "Lesion 1", values=(2.0, 30.0, 9.0), source="reader"), role="ignored", node=True),
        track("B", SEEN, entry(1, "resolved", values=(0.0, 0.0, 0.0), made_by="confirmed")),
        track("D", entry(0, "not yet"), entry(1, "new", "Lesion 1"), role="new"),
    )  # fmt: skip
    assert changes_between(before, after) == [
        "A: role 'ignored', was 'target'",
        "A: node yes, was no",
        "A at 2026-03-02: longest diameter 30 mm (reader), was 15 mm (mask)",
        "B at 2026-03-02: resolved, was persistent",
        "D is a lesion of its own (new; not yet, new)",
        "C is no lesion of its own any more",
    ]
    linked = comparison(track("A", SEEN, entry(1, "persistent", "Lesion 2", values=(None, 15.0, 9.0), made_by="confirmed")))
    assert changes_between(comparison(track("A", SEEN, now)), linked) == [
        "A at 2026-03-02: it is 'Lesion 2', was 'Lesion 1'", "A at 2026-03-02: volume not known (mask), was 2 ml (mask)",
    ]  # fmt: skip
    sure = comparison(track("A", SEEN, {**now, "made_by": "confirmed"}))
    told_so = ["A at 2026-03-02: persistent, confirmed and no longer matched"]
    assert changes_between(comparison(track("A", SEEN, now)), sure) == told_so


@pytest.mark.parametrize(("was", "now", "text"), [
    (proposal("SD"), proposal("PD", "Grown."), "RECIST 1.1 at 2026-03-02: PD (proposed), was SD (proposed). Grown."),
    (proposal("SD"), proposal("SD", "Grown."), "RECIST 1.1 at 2026-03-02: still SD (proposed). Grown."),
    (proposal("SD"), proposal("SD", state="confirmed", by="R", read_as="SD"),
     "RECIST 1.1 at 2026-03-02: SD (confirmed by R), was SD (proposed)"),
    (proposal("SD"), proposal("SD", state="confirmed", by="R", read_as="PR"),
     "RECIST 1.1 at 2026-03-02: PR (confirmed by R; SD was proposed), was SD (proposed)"),
    (proposal("same", lesion="A"), proposal("larger", lesion="A"),
     "RECIST 1.1 A at 2026-03-02: larger (proposed), was same (proposed)"),
])  # fmt: skip
def test_changes_of_categories(was, now, text):
    assert changes_between(comparison(proposals=[was]), comparison(proposals=[now])) == [text]


def test_a_criterion_that_answers_no_more_or_again():
    answered, silent = comparison(proposals=[proposal("SD")]), comparison(problem="There is no target.")
    assert changes_between(answered, silent) == ["RECIST 1.1: no answer any more: There is no target."]
    assert changes_between(silent, answered) == ["RECIST 1.1 at 2026-03-02: SD (proposed). S."]


def test_acts_in_a_few_words():
    one, two = ref(FIRST, "Lesion 1"), ref(SECOND, "Lesion 2")
    size = acts.size(two, longest_line=((0, 0, 0), (3, 4, 0)), volume_ml=2.5, by="R")
    assert [told(act) for act in (
        acts.link(one, two), acts.gone(one, SECOND, by="R"), size, acts.finding(Ref("", "E"), SECOND, grown=True),
        acts.pet(SECOND, liver_sul=2, liver_sd=0.5, lesions=[{"name": "L", "peak_sul": 3}]), acts.confirm("R", "0123"),
    )] == [
        "link of 'Lesion 1' of 2026-01-05 to 'Lesion 2' of 2026-03-02",
        "gone of 'Lesion 1' of 2026-01-05 at 2026-03-02, by R",
        "size of 'Lesion 2' of 2026-03-02: state measured, volume_ml 2.5, longest_mm 5 by line, by R",
        "finding of 'E' at 2026-03-02: grown yes",
        "pet at 2026-03-02: liver_sul 2, liver_sd 0.5, lesions (L 3)",
        "confirm, by R",
    ]  # fmt: skip

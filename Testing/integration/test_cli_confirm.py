"""`oncosegment confirm` as a reader uses it: said, applied, kept, told, confirmed, taken back; and nothing lost in between."""

from __future__ import annotations

import csv
import json
import os
import shutil
from datetime import datetime
from types import SimpleNamespace

import pytest

from helpers import tree
from helpers_cli import run_here
from helpers_confirm import FIRST, SECOND, comparison_in, evidence
from LongitudinalCompareLib import reading_acts as acts
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.reading import Reading
from LongitudinalCompareLib.reading_template import edits_in
from LongitudinalCompareLib.scene.comparison_files import read_folder
from OncoAppLib.confirm import state_text
from OncoAppLib.confirm_files import Now, state_in, write
from OncoLib.errors import OutputError

GROWN = {"act": "size", "lesion": "Lesion 2", "date": SECOND, "longest_mm": 30.0, "volume_ml": 9.0}
NOTHING = "edits.json: nothing is filled in yet: replace null in it by what you say"
LOST = {"act": "role", "lesion": "Lesion 9", "date": FIRST, "role": "ignored"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    comparison_in(folder)
    return folder


@pytest.fixture
def place(made, tmp_path):
    """A folder with a comparison in `out`."""
    shutil.copytree(made, tmp_path / "out")
    return tmp_path


def edits(place, *acts) -> str:
    (place / "edits.json").write_text(json.dumps(acts), encoding="utf-8")
    return "edits.json"


def confirm(place, *words):
    return run_here("confirm", "out/comparison.json", *words, cwd=place)


def written(place, folder="out") -> tuple[dict, dict]:
    return tuple(json.loads((place / folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("comparison", "reading"))


def entry(comparison: dict, name: str, at: int) -> dict:
    track, = [one for one in comparison["tracks"] if one["name"] == name]
    return track["measurements"][at]


def test_edits_are_applied_kept_and_told_and_stay_a_draft(place):
    done = confirm(place, "--edits", edits(place, GROWN, LOST))
    assert done.code == 0, done.err
    assert "Changed: Lesion 2 at 2026-03-02: longest diameter 30 mm (reader), was" in done.out
    assert "Changed: RECIST 1.1 at 2026-03-02: still PD (proposed). The sum of diameters is" in done.out.replace("\n  ", " ")
    assert "there is no lesion 'Lesion 9' of 2026-01-05; there are 'Lesion 1', 'Lesion 2', 'Les" in done.out.replace("\n  ", " ")
    assert "A draft: nobody stands for it yet. Confirm it with --by NAME." in done.out
    comparison, reading = written(place)
    assert (comparison["state"], reading["state"]) == ("draft", "draft") and comparison["reading"] == reading
    assert [one["act"] for one in reading["acts"]] == ["size", "role"]
    assert reading["acts"][0]["later"][0]["at_ras_mm"] == [15.0, 15.0, 15.0]
    assert datetime.fromisoformat(reading["acts"][0]["when"]).tzinfo is not None
    found = entry(comparison, "Lesion 2", 1)
    assert [found[name]["value"] for name in ("longest_diameter_mm", "volume_ml")] == pytest.approx([30.0, 9.0])
    assert found["longest_diameter_mm"]["value"] == 30, "as said, to the last digit"
    assert found["source"] == "reader" and found["of_mask"]["longest_diameter_mm"]["value"] == pytest.approx(13.0)
    assert {one["state"] for result in comparison["response"] for one in result["proposals"]} == {"proposed"}


def test_only_a_name_confirms_and_the_next_word_makes_a_draft_again(place):
    confirm(place, "--edits", edits(place, GROWN))
    done = confirm(place, "--by", "  Reader   1 ")
    assert done.code == 0 and "Confirmed by Reader 1 with 4 questions open:" in done.out
    comparison, reading = written(place)
    assert (comparison["state"], reading["state"]) == ("confirmed", "confirmed")
    assert [(one["act"], one["by"]) for one in reading["acts"]] == [("size", "Reader 1"), ("confirm", "Reader 1")]
    assert {one["by"] for result in comparison["response"] for one in result["proposals"]} == {"Reader 1"}
    kept, _, again = read_folder(place / "out")
    assert assess(kept, again).state == "confirmed"
    confirm(place, "--edits", edits(place, {"act": "new", "lesion": "Lesion 1", "date": SECOND}))
    comparison, reading = written(place)
    assert (comparison["state"], reading["state"]) == ("draft", "draft")
    assert {one["state"] for result in comparison["response"] for one in result["proposals"]} == {"proposed"}
    assert confirm(place, "--edits", edits(place, GROWN), "--by", "Reader 2").code == 0
    assert written(place)[0]["state"] == "confirmed"


@pytest.mark.slow
def test_to_confirm_changes_no_number(place):
    """A nameless size beside one of the reader who confirms: both count, before and after."""
    confirm(place, "--edits", edits(place, GROWN, {**GROWN, "longest_mm": 20.0, "by": "Reader 1"}))
    before = entry(written(place)[0], "Lesion 2", 1)
    assert before["longest_diameter_mm"]["value"] == pytest.approx((30.0 * 20.0) ** 0.5)
    confirm(place, "--by", "Reader 1")
    comparison, reading = written(place)
    assert entry(comparison, "Lesion 2", 1) == before and comparison["state"] == "confirmed"
    assert [one["by"] for one in reading["acts"]] == ["", "Reader 1", "Reader 1"]
    confirm(place, "--edits", edits(place, {**GROWN, "longest_mm": 25.0}), "--by", "Reader 1")
    comparison, _ = written(place)
    assert entry(comparison, "Lesion 2", 1)["longest_diameter_mm"]["value"] == pytest.approx(25.0)


@pytest.mark.slow
def test_the_last_act_is_taken_back_until_none_is_left(place):
    before = written(place)
    confirm(place, "--edits", edits(place, GROWN), "--by", "Reader 1")
    assert "Taken back: confirm, by Reader 1" in confirm(place, "--undo").out
    assert "Taken back: size of 'Lesion 2' of 2026-03-02" in confirm(place, "--undo").out
    assert written(place) == before
    assert confirm(place, "--undo").sentence == "there is no act to take back: nobody said anything about this comparison"


def test_with_a_confirmation_its_name_goes_from_what_it_was_lent_to(place):
    """Reader 1 said the third act, not the first; and no number follows from taking a confirmation back."""
    other = {**GROWN, "longest_mm": 20.0, "by": "Reader 2"}
    confirm(place, "--edits", edits(place, GROWN, other))
    before = written(place)
    confirm(place, "--by", "Reader 1")
    assert written(place)[1]["acts"][2]["values"]["named"] == [1]
    shown = confirm(place, "--undo")
    assert "No status, number or category changed." not in shown.out, "categories are proposed again"
    assert written(place) == before
    role = {"act": "role", "lesion": "Lesion 3", "date": FIRST, "role": "ignored"}
    confirm(place, "--edits", edits(place, role), "--by", "Reader 1")
    confirm(place, "--undo")
    assert [one["by"] for one in written(place)[1]["acts"]] == ["", "Reader 2", "Reader 1"]


@pytest.mark.slow
def test_a_size_keeps_a_lent_name_where_a_number_would_change(place):
    """Who says a second size and confirms took the nameless one for his own: without the name both would count."""
    confirm(place, "--edits", edits(place, GROWN))
    confirm(place, "--edits", edits(place, {**GROWN, "longest_mm": 20.0}), "--by", "Reader 1")
    value = entry(written(place)[0], "Lesion 2", 1)["longest_diameter_mm"]["value"]
    confirm(place, "--undo")
    assert value == entry(written(place)[0], "Lesion 2", 1)["longest_diameter_mm"]["value"] == 20
    assert [one["by"] for one in written(place)[1]["acts"]] == ["Reader 1"] * 2


def test_a_confirmation_tells_what_is_open_and_makes_roles_a_readers_word(place):
    """A new lesion is asked about until somebody answers; whose word a role is changes no number and no hash."""
    (place / "out" / "comparison.csv").write_bytes(b"old")
    before = written(place)[0]
    done = confirm(place, "--by", "Reader 1")
    asked = done.out[done.out.index("Confirmed by Reader 1 with ") :].splitlines()
    assert asked[0] == "Confirmed by Reader 1 with 4 questions open:"  # the images of the test are one and the same
    assert [line[:40] for line in asked if line.startswith("- ")] == [
        "- The images of 2026-01-05 and 2026-03-0", "- The images of 2026-01-05 and 2026-05-0",
        "- Lesion 4 is new on 2026-03-02: confirm", "- The organ of Lesion 1, Lesion 2, Lesio",
    ]  # fmt: skip
    comparison = written(place)[0]
    assert (comparison["state"], comparison["digest"]) == ("confirmed", before["digest"])
    assert {one["role_by"] for one in before["tracks"]} == {"proposed"}
    assert {one["role_by"] for one in comparison["tracks"]} == {"confirmed"}
    rows = list(csv.DictReader((place / "out" / "comparison.csv").read_text(encoding="utf-8").splitlines()))
    assert rows and {row["role_by"] for row in rows} == {"confirmed"}
    sure = {"act": "newness", "lesion": "Lesion 4", "date": SECOND, "unequivocal": True}
    organs = [{"act": "role", "lesion": f"Lesion {at}", "date": FIRST, "organ": "liver"} for at in (1, 2, 3)]
    done = confirm(place, "--edits", edits(place, sure, *organs))
    assert {one["role_by"] for one in written(place)[0]["tracks"] if one["name"] != "Lesion 4"} == {"proposed"}
    assert "Confirmed by Reader 1 with 2 questions open:" in confirm(place, "--by", "Reader 1").out
    assert "Confirmed by Reader 1 with 2 questions open:" in confirm(place).out


def test_what_asks_nothing_is_no_open_question():
    reading = Reading((acts.confirm("A", "d"),))
    tells = [("left out", "Intervals are too narrow."), ("date", "A note."), ("merged", "A and B are one lesion.")]
    assert state_text("confirmed", reading, tells) == "Confirmed by A."
    asks = [("merged", "Their 2 lesions are counted together: say which is which."), ("bone", "B " * 100)]
    first, *lines = state_text("confirmed", reading, [*tells, *asks]).splitlines()
    assert first == "Confirmed by A with 2 questions open:" and lines[0].startswith("- Their 2 lesions")
    assert lines[-1].endswith(" ...") and sum(map(len, lines[1:])) < 150
    many = state_text("confirmed", reading, [("small", f"Lesion {at}.") for at in range(23)]).splitlines()
    assert len(many) == 22 and many[-1] == "- and 3 more: see flags in comparison.json"


def test_an_act_is_dropped_by_its_number(place):
    done = confirm(place, "--edits", edits(place, GROWN, LOST), "--by", "Reader 1")
    assert "An act is taken out of the list by --drop NUMBER" in done.out and "2. role" in confirm(place).out
    assert confirm(place, "--drop", "4").sentence == "there is no act 4; wanted a number from 1 to 3, as the list of acts has it"
    done = confirm(place, "--drop", "2")
    assert done.code == 0 and "Taken back: role of 'Lesion 9' of 2026-01-05: role ignored" in done.out
    assert "Taken back: confirm, by Reader 1" in done.out and "A draft: nobody stands for it yet." in done.out
    comparison, reading = written(place)
    assert (comparison["state"], [one["act"] for one in reading["acts"]]) == ("draft", ["size"])
    assert [one for one in comparison["flags"] if one["kind"] == "not applied"] == []
    assert entry(comparison, "Lesion 2", 1)["volume_ml"]["value"] == 9
    assert confirm(place, "--drop", "1").code == 0 and written(place)[1]["acts"] == []


def test_what_was_said_so_far_is_shown_and_nothing_is_written(place):
    assert "Nobody said anything about this comparison." in confirm(place).out
    confirm(place, "--edits", edits(place, GROWN, LOST), "--by", "Reader 1")
    before = tree(place)
    shown = confirm(place).out.replace("\n  ", " ")
    assert "1. size of 'Lesion 2' of 2026-03-02: state measured, volume_ml 9, longest_mm 30, by Reader 1" in shown
    assert "3. confirm, by Reader 1" in shown and "Look: " in shown and "Confirmed by Reader 1 with" in shown
    assert confirm(place, "--json").json["reading"] == written(place)[1]
    assert tree(place) == before


def test_the_template_names_every_lesion_says_nothing_and_takes_what_is_filled_in(place):
    printed = confirm(place, "--template")
    template = printed.json
    assert list(template) == ["help", "words", "examples", "acts"] and max(map(len, printed.out.splitlines())) < 260
    named = {(one["lesion"]["date"], one["lesion"]["lesion"]) for one in template["acts"] if one["act"] == "size"}
    assert named == {(date.facts.when, one.key.name) for date in evidence().dates for one in date.lesions}
    (place / "edits.json").write_text(printed.out, encoding="utf-8")
    assert confirm(place, "--edits", "edits.json").sentence == NOTHING
    assert edits_in({"acts": template["examples"]}).acts
    for one in template["acts"]:
        if one["act"] == "role" and one["lesion"]["lesion"] == "Lesion 3":
            one["role"] = "ignored"
        if one["act"] == "lesion":
            one["lesion"] = "Effusion"
    (place / "edits.json").write_text(json.dumps(template), encoding="utf-8-sig")
    assert confirm(place, "--edits", "edits.json").code == 0
    comparison, reading = written(place)
    assert [one["act"] for one in reading["acts"]] == ["role", "lesion"]
    assert {one["name"]: one["role"] for one in comparison["tracks"]}["Lesion 3"] == "ignored"
    assert confirm(place, "--template").json["acts"][-1]["act"] == "category"


@pytest.mark.slow
def test_another_folder_gets_the_whole_comparison_and_the_first_stays(place):
    before = tree(place / "out")
    assert confirm(place, "--edits", edits(place, GROWN), "--output", "second").code == 0
    assert tree(place / "out") == before
    assert read_folder(place / "second")[2].acts[0].kind == "size"
    again = confirm(place, "--edits", "edits.json", "--output", "second")
    assert again.code == 3 and "was kept" in again.sentence
    assert confirm(place, "--edits", "edits.json", "--output", "second", "--overwrite").code == 0
    assert run_here("confirm", "second", "--by", "Reader 1", cwd=place).code == 0
    assert written(place, "second")[0]["state"] == "confirmed"


def test_table_and_curves_beside_it_are_kept_up_to_date(place):
    for name in ("comparison.csv", "response.csv", "volumes.png"):
        (place / "out" / name).write_bytes(b"old")
    done = confirm(place, "--edits", edits(place, GROWN))
    assert done.code == 0 and "Note:" not in done.out and not (place / "out" / "comparison.mrb").exists()
    assert b"30" in (place / "out" / "comparison.csv").read_bytes()
    assert (place / "out" / "response.csv").read_text().startswith('"criterion"')
    assert (place / "out" / "volumes.png").read_bytes().startswith(b"\x89PNG")


def test_json_has_the_comparison_and_what_changed(place):
    told = confirm(place, "--edits", edits(place, GROWN), "--json").json
    assert told["format"] == "oncosegment.comparison/1" and told["state"] == "draft"
    assert any(text.startswith("Lesion 2 at 2026-03-02: volume 9 ml (reader)") for text in told["changed"])
    assert [os.path.basename(one) for one in told["files"]] == ["comparison.json", "reading.json"]


WRONG = [
    ("not json", "edits.json: it is no JSON (line 1, column 1); wanted a list of acts, as --template prints one"),
    ("[{}]", "edits.json: act 1: act is None; wanted one of: link, new, "),
    (json.dumps([GROWN, {**GROWN, "longest_mm": "big"}]), "edits.json: act 2, size: longest_mm is 'big'; wanted a number "),
    (json.dumps([GROWN, {"act": "confirm", "by": "Somebody"}]), "edits.json: it confirms by itself; wanted "),
    ("[" * 100_000, "edits.json: it is no JSON"), ("[]", "edits.json: it has no act; wanted one at least"), ('"\ud800"', None),
    ('[\n {"act": "x"},\n]', "edits.json: it is no JSON (line 2, column 14: a comma stands behind the last entry, take it out)"),
    ('{"acts": [],}', "edits.json: it is no JSON (line 1, column 12: a comma stands behind the last entry, take it out); wanted"),
    ('[\n {"act" "new"}]', "edits.json: it is no JSON (line 2, column 9); wanted a list of acts, as --template prints one"),
    ('["a, ]", 1 ,, 2]', "edits.json: it is no JSON (line 1, column 13); wanted"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), WRONG)
def test_a_wrong_file_changes_nothing(place, text, sentence):
    (place / "edits.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    before = tree(place)
    done = confirm(place, "--edits", "edits.json", "--by", "Reader 1")
    assert done.code == 2 and done.sentence.startswith(sentence or "edits.json: it is no JSON")
    assert tree(place) == before


def test_a_category_that_its_criterion_has_not_is_refused_with_those_that_it_has(place):
    said = {"act": "category", "date": "2026-03-02", "criterion": "recist11", "category": "Stable", "by": "Reader 1"}
    before = tree(place)
    done = confirm(place, "--edits", edits(place, GROWN, said))
    (place / "edits.json").unlink()
    assert done.code == 2 and tree(place) == before
    assert done.sentence == (
        "edits.json: category at 2026-03-02: 'Stable' is no category of recist11;"
        " wanted one of: CR, PR, SD, non-CR/non-PD, PD, NE"
    )
    assert confirm(place, "--edits", edits(place, {**said, "criterion": "irecist"})).code == 0, "not in this comparison"


@pytest.mark.parametrize("path", ["nowhere", "nowhere/comparison.json", "out/reading.json", "."])
def test_what_is_no_comparison(place, path):
    done = run_here("confirm", path, "--by", "Reader 1", cwd=place)
    assert done.code == 2 and done.sentence.endswith("there is no comparison; wanted comparison.json or the folder that holds it")


@pytest.mark.parametrize(("words", "sentence"), [
    (("--edits", "none.json"), "none.json: it cannot be read (no such file or directory)"),
    (("--edits", "out"), "out: it cannot be read (is a directory)"),
    (("--undo", "--by", "A"), "--by does not go with --undo; confirm it afterwards"),
    (("--undo", "--no-scene"), "--no-scene does not go with --undo; comparison.mrb would keep the act that is taken back"),
    (("--output", "x"), "--output needs something that is said: --edits FILE, --by NAME, --undo or --drop NUMBER"),
    (("--by", ""), "--by has no name; wanted the name of who confirms"),
    (("--edits", "none.json", "--by", " \t "), "--by has no name; wanted the name of who confirms"),
    (("--drop", "0", "--by", "A"), "--by does not go with --drop; confirm it afterwards"),
    (("--drop", "1", "--no-scene"), "--no-scene does not go with --drop; comparison.mrb would keep the act that is taken back"),
    (("--drop", "0"), "there is no act to take out: nobody said anything about this comparison"),
    (("--by", "A", "--overwrite"), "--overwrite belongs to --output; in place the comparison is replaced anyway"),
])  # fmt: skip
def test_calls_that_cannot_work(place, words, sentence):
    done = confirm(place, *words)
    assert (done.code, done.sentence) == (2, sentence)


def test_a_disk_that_fails_at_any_move_leaves_everything_as_it_was(place, monkeypatch):
    """Each file is moved away and replaced: the fault comes at each of these moves in turn, and once more at none."""
    kept, _, _ = read_folder(place / "out")
    after = assess(kept, Reading(edits_in([GROWN]).acts))
    options, found = SimpleNamespace(comparison=place / "out", output=None), state_in(place / "out")
    now = Now(kept, after, Reading())
    before, real, calls = tree(place), os.replace, []

    def replace(source, goal):
        calls.append(source)
        if len(calls) == failing:
            raise OSError(28, "No space left on device")
        return real(source, goal)

    monkeypatch.setattr("OncoLib.staged.os.replace", replace)
    for failing in range(1, 5):
        calls.clear()
        with pytest.raises(OutputError, match="could not be written"):
            write(options, now, found)
        assert len(calls) >= failing and tree(place) == before
    failing = 5
    assert len(write(options, now, found)["files"]) == 2 and tree(place) != before


def test_a_full_disk_is_told_in_one_sentence(place, monkeypatch):
    before = tree(place / "out")
    monkeypatch.setattr("OncoLib.staged.os.replace", refuse)
    done = confirm(place, "--edits", edits(place, GROWN), "--by", "Reader 1")
    assert done.code == 3 and "could not be written (no space left on device); nothing was changed" in done.sentence
    monkeypatch.undo()
    assert tree(place / "out") == before


def refuse(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stage", ["LongitudinalCompareLib.assessment.assess", "OncoLib.segmentation_files.write_json"])
def test_an_interrupt_at_any_stage_leaves_everything_as_it_was(place, monkeypatch, stage):
    before = tree(place / "out")

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(stage, interrupted)
    assert confirm(place, "--edits", edits(place, GROWN)).code == 130
    assert tree(place / "out") == before


def test_what_somebody_else_wrote_meanwhile_is_not_overwritten(place, monkeypatch):
    """Another reader confirms between reading and writing."""
    import OncoAppLib.confirm_files as files

    real = files.put_shown

    def meanwhile(*arguments):
        text = (place / "out" / "reading.json").read_text(encoding="utf-8")
        (place / "out" / "reading.json").write_text(text + "\n", encoding="utf-8")
        return real(*arguments)

    monkeypatch.setattr(files, "put_shown", meanwhile)
    done = confirm(place, "--edits", edits(place, GROWN))
    assert done.code == 3 and "somebody else changed it meanwhile" in done.sentence
    assert written(place)[1]["acts"] == []

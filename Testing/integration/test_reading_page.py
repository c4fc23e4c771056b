"""The pages on what a reader says, run as they are printed: commands in order, every act, and the blocks of Python."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from helpers_cli import run_here
from helpers_reading import FIRST, SECOND, seen
from LongitudinalCompareLib.alignment import RegionAlignment, put_together
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.pair_outcome import PairOutcome
from LongitudinalCompareLib.reading import KINDS, Reading
from LongitudinalCompareLib.reading_template import edits_in
from LongitudinalCompareLib.scene.comparison_files import put
from OncoLib.registration.transform import IDENTITY

THIRD = "2026-04-27"
BALLS = {
    "Liver metastasis 1": ((12, 12, 15), 7, "liver"), "Liver metastasis 2": ((30, 12, 15), 6, "liver"),
    "Lung nodule 1": ((48, 12, 15), 6, "lung"), "Lung nodule 2": ((12, 30, 15), 5.5, "lung"),
    "Lytic lesion, L3": ((30, 30, 15), 6, "bone"), "Sclerotic lesion, T9": ((48, 30, 15), 4, "bone"),
    "Mediastinal lymph node": ((12, 48, 15), 4, "lymph node"), "Retroperitoneal lymph node": ((30, 48, 15), 7, "lymph node"),
    "Liver metastasis 3": ((48, 48, 45), 6, "liver"),
}  # fmt: skip
"""Center, radius and organ of balls that are called as the lesions of the patient of comparison.md, with the same fates."""
NEW, GONE = "Liver metastasis 3", "Lung nodule 2"


def evidence() -> Evidence:
    """Three dates in one frame with every alignment good: the first without the new one, the last without the lost one."""
    dates = []
    for at, (when, without, days) in enumerate(((FIRST, NEW, 0), (SECOND, "", 56), (THIRD, GONE, 112))):
        date = seen(at, when, {name: one[:2] for name, one in BALLS.items() if name != without}, days)
        dates.append(replace(date, lesions=tuple(replace(one, site=BALLS[one.key.name][2]) for one in date.lesions)))
    centers = {one.key.name: tuple(map(float, one.centroid_ras_mm)) for one in dates[0].lesions}
    regions = [RegionAlignment(name, center, center, "good", ("good here.",)) for name, center in centers.items()]
    pairs = tuple(PairOutcome(at, IDENTITY, put_together(regions)) for at in (1, 2))
    return Evidence(tuple(dates), pairs, "seed", (), {"made_by": "a test"})


@pytest.fixture
def place(tmp_path):
    """A folder with that comparison in `comparison`."""
    found = evidence()
    put(tmp_path / "comparison", found, assess(found))
    return tmp_path


def blocks(root, name: str, language: str) -> list[str]:
    page = (root / "Resources" / "Documentation" / name).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def told(comparison) -> tuple:
    """What of a comparison tells which lesion is which, its numbers and its categories."""
    every = comparison.as_dict()
    return every["tracks"], every["response"]


def test_the_patient_is_that_of_the_page_on_comparisons(repository_root):
    text = "".join(blocks(repository_root, "comparison.md", "")[:2])
    assert all(f"--timepoint {when}" in text for when in (FIRST, SECOND, THIRD))
    assert "Liver metastasis 3 (new)" in text and re.search(r"Lung nodule 2.*\n.*\n.*\n.* resolved", text)
    fates = {one.name: one.status for one in assess(evidence()).tracks}
    assert fates == {**dict.fromkeys(BALLS, "persistent"), GONE: "resolved"}


def test_every_act_of_the_page_works(repository_root):
    found, kinds = evidence(), set()
    plain = told(assess(found))
    for block in blocks(repository_root, "reading.md", "json"):
        acts = edits_in(json.loads(block)).acts
        after = assess(found, Reading(acts))
        assert [one.text for one in after.flags if one.kind == "not applied"] == []
        said_only = {one.kind for one in acts} <= {"context", "pet", "point"}  # nothing of RECIST 1.1 follows from them here
        assert said_only or told(after) != plain
        kinds |= {one.kind for one in acts}
    assert kinds == set(KINDS) - {"confirm"}


@pytest.mark.slow
def test_the_commands_of_the_page_work_in_order_once_the_file_is_filled_in(place, repository_root):
    lines = blocks(repository_root, "reading.md", "")[0].splitlines()
    commands = [line.partition(" #")[0].split("confirm ")[1] for line in lines if not line.startswith("#")]
    assert len(commands) == 5 and lines[1].startswith("# now open edits.json")
    for words in commands:
        words, _, into = words.partition(" > ")
        asked = [one.strip('"') for one in re.findall(r'"[^"]*"|\S+', words)]
        if into:
            template = run_here("confirm", *asked, cwd=place).json
            (place / into.strip()).write_text(json.dumps(template), encoding="utf-8")
            refused = run_here("confirm", "comparison", "--edits", into.strip(), cwd=place)
            assert refused.sentence == "edits.json: nothing is filled in yet: replace null in it by what you say"
            template["acts"][0]["organ"] = "lung"
            (place / into.strip()).write_text(json.dumps(template), encoding="utf-8")
            continue
        done = run_here("confirm", *asked, cwd=place)
        assert done.code == 0, done.err
    assert json.loads((place / "comparison" / "comparison.json").read_text(encoding="utf-8"))["state"] == "confirmed"


@pytest.mark.parametrize(("page", "printed"), [("assessment.md", "is new on 2026-03-02"), ("tracking.md", "('not yet', 'new')")])
def test_the_python_of_the_pages_works(place, repository_root, monkeypatch, capsys, page, printed):
    monkeypatch.chdir(place)
    block, = blocks(repository_root, page, "python")
    exec(compile(block, page, "exec"), {})
    assert printed in capsys.readouterr().out

"""What is wrong with a profile is told with its file and the line on which a user finds it, in JSON and in YAML."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import ROOT
from OncoLib.errors import InputError
from OncoSegmentLib.profile_reading import MAX_BYTES, check_profile, read_profile
from OncoSegmentLib.profiles import builtin_folder

GOOD = """{
  "id": "spleen",
  "title": "Spleen (CT)",
  "modality": "CT",
  "units": "HU",
  "body_mask": {
    "above": -800,
    "steps": [
      {"op": "opening", "mm": 4}
    ]
  },
  "structures": [
    {
      "structure": "spleen",
      "range": [40, 130],
      "steps": [
        {"op": "median", "voxels": 1},
        {"op": "islands", "min_ml": 5}
      ]
    },
    {
      "structure": "liver",
      "range": [40, 100],
      "steps": [
        {"op": "near", "structure": "spleen", "mm": 10},
        {"op": "limit", "range": [0, 100]}
      ]
    }
  ]
}
"""
GOOD_YAML = """# a comment
id: spleen
title: Spleen (CT)
modality: CT
units: HU
body_mask:
  above: -800
  steps:
    - {op: opening, mm: 4}
structures:
  - structure: spleen
    range: [40, 130]
    steps:
      - op: median
        voxels: 1
      - op: islands
        min_ml: 5
  - structure: liver
    range: [40, 100]
"""


def problems_of(folder, text: str, name: str = "spleen.json") -> list[str]:
    """Problems of a profile with this text; each must start with the file's name and a line that is in the file."""
    (folder / name).write_text(text, encoding="utf-8")
    found = check_profile(folder / name)[1]
    lines = max(1, text.count("\n") + 1)
    for problem in found:
        stated = re.match(rf"{re.escape(name)}:(\d+): \S", problem)
        assert stated and 1 <= int(stated.group(1)) <= lines, problem
        assert "\n" not in problem
    return found


def line_of(text: str, part: str) -> int:
    """Line of the first occurrence, 1-based."""
    return text[: text.index(part)].count("\n") + 1


def test_the_good_ones_are_good(tmp_path):
    pytest.importorskip("yaml")
    assert problems_of(tmp_path, GOOD) == []
    assert problems_of(tmp_path, GOOD_YAML, "spleen.yaml") == []
    assert problems_of(tmp_path, "\ufeff" + GOOD) == []
    assert problems_of(tmp_path, GOOD.replace("\n", "\r\n")) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"id": "spleen"', '"id": "My Spleen"', "wanted lower-case letters"),
        ('"id": "spleen"', '"id": 12', "id is a non-empty text; found 12"),
        ('"title": "Spleen (CT)"', '"title": ""', "title is a non-empty text"),
        ('"units": "HU"', '"units": "HU", "unit": "HU"', "unknown key 'unit'; wanted id, title"),
        ('"above": -800', '"above": "-800"', "above is a number; found a text"),
        ('"above": -800', '"above": true', "above is a number; found true or false"),
        ('"above": -800', '"above": NaN', "above is a number"),
        ('"op": "opening", "mm": 4', '"op": "opening", "mm": -4', "opening: mm is a number over 0"),
        ('"op": "opening", "mm": 4', '"op": "opening", "radius": 4', "unknown key 'radius'; wanted mm"),
        ('"op": "opening", "mm": 4', '"op": "opening"', "opening: mm is a number over 0"),
        ('"op": "opening", "mm": 4', '"op": "open", "mm": 4', "one of closing, opening, .*; found 'open'"),
        ('"op": "opening", "mm": 4', '"op": ["opening"], "mm": 4', "a step has an op"),
        ('"op": "opening", "mm": 4', '"op": {"a": 1}, "mm": 4', "a step has an op"),
        ('"op": "opening", "mm": 4', '"op": "join", "structure": "liver"', "earlier in this profile"),
        ('"structure": "spleen",\n', '"structure": "spleeen",\n', "structure 'spleeen' is unknown; close: spleen"),
        ('"structure": "spleen",\n', '"structure": 7,\n', "found 7"),
        ('"range": [40, 130]', '"range": [130, 40]', r"range \[130, 40\] is upside down"),
        ('"range": [40, 130]', '"range": [40]', "range is two numbers"),
        ('"range": [40, 130]', '"range": [40, "130"]', "range is two numbers"),
        ('"range": [40, 130]', '"range": [40, Infinity]', "range is two numbers"),
        ('"range": [40, 130]', '"range": [40, 1e999]', "range is two numbers"),
        ('"range": [40, 130]', f'"range": [40, 1{"0" * 400}]', "range is two numbers"),
        ('"range": [40, 130]', '"range": [40, 130], "alone": "yes"', "alone is true or false"),
        ('"op": "median", "voxels": 1', '"op": "median", "voxels": 1.5', "voxels is a whole number from 1 to 5"),
        ('"op": "median", "voxels": 1', '"op": "median", "voxels": 6', "voxels is a whole number from 1 to 5"),
        ('"op": "median", "voxels": 1', '"op": "median", "voxels": true', "voxels is a whole number from 1 to 5"),
        ('"op": "islands", "min_ml": 5', '"op": "islands", "keep": 1, "min_ml": 5', "wanted (either|one of) keep"),
        ('"op": "islands", "min_ml": 5', '"op": "islands", "keep": 0', "keep is a whole number, 1 or more"),
        ('"op": "islands", "min_ml": 5', '"op": "fill_holes", "in": "cube"', "in is one of axial, slices, volume"),
        ('"op": "near", "structure": "spleen"', '"op": "near", "structure": "liver"', "earlier in this profile"),
        ('"range": [0, 100]', '"range": [100, 0]', "limit: range is two numbers, low first"),
    ],
)
def test_a_mistake_in_json_is_told_on_its_line(tmp_path, old, new, told):
    assert GOOD.count(old) == 1
    text = GOOD.replace(old, new)
    found = problems_of(tmp_path, text)
    assert any(re.search(told, problem) for problem in found), found
    assert f"spleen.json:{line_of(text, new)}: " in found[0]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("id: spleen", "id: My Spleen", "wanted lower-case letters"),
        ("  above: -800", "  above: [1]", "above is a number; found a list"),
        ("  above: -800", "  over: -800", "unknown key 'over'"),
        ("    - {op: opening, mm: 4}", "    - {op: opening, mm: four}", "mm is a number"),
        ("range: [40, 130]", "range: 40-130", "range is two numbers"),
        ("range: [40, 130]", "range: [40, 1e3]", "range is two numbers"),
        ("        voxels: 1", "        voxel: 1", "unknown key 'voxel'; wanted voxels"),
        ("structure: liver", "structure: lever", "structure 'lever' is unknown"),
    ],
)
def test_a_mistake_in_yaml_is_told_on_its_line(tmp_path, old, new, told):
    pytest.importorskip("yaml")
    assert GOOD_YAML.count(old) == 1
    text = GOOD_YAML.replace(old, new)
    found = problems_of(tmp_path, text, "spleen.yaml")
    line = line_of(text, new)
    assert any(re.search(told, problem) and problem.startswith(f"spleen.yaml:{line}: ") for problem in found), found


def test_every_problem_is_told_at_once(tmp_path):
    text = GOOD.replace('"spleen",\n  "title"', '"S",\n  "title"').replace("[40, 130]", "[40]").replace('"mm": 10', '"mm": 0')
    assert [problem.split(":")[1] for problem in problems_of(tmp_path, text)] == ["2", "15", "25"]
    with pytest.raises(InputError) as raised:
        read_profile(tmp_path / "spleen.json")
    assert len(str(raised.value).splitlines()) == 3


def test_a_structure_that_stands_twice_is_told_where_it_stands_again(tmp_path):
    found = problems_of(tmp_path, GOOD.replace('"structure": "liver"', '"structure": "spleen"'))
    assert found[0] == f"spleen.json:{line_of(GOOD, 'liver')}: structure 'spleen' stands twice in this profile"


@pytest.mark.parametrize("missing", ["id", "title", "modality", "units", "structures"])
def test_a_missing_key_is_told(tmp_path, missing):
    value = json.loads(GOOD)
    del value[missing]
    assert any(missing in problem for problem in problems_of(tmp_path, json.dumps(value, indent=2)))


@pytest.mark.parametrize(("text", "line"), [("", 1), ("{\n  'id': 1\n}", 2), ('{\n\n"id": 1,\n}', 4), (GOOD + "}", 31)])
def test_broken_json_is_told_on_the_line_where_it_breaks(tmp_path, text, line):
    found = problems_of(tmp_path, text)
    assert len(found) == 1 and "not valid JSON" in found[0]
    if "trailing comma" in found[0]:  # Python 3.13 names the comma, earlier ones the bracket on the next line
        line -= 1
    assert found[0].startswith(f"spleen.json:{line}: ")


@pytest.mark.parametrize(("text", "line"), [("id: [1, 2\ntitle: x\n", 2), ("id: 1\n\ttitle: x\n", 2), ("a: b: c\n", 1)])
def test_broken_yaml_is_told_on_the_line_where_it_breaks(tmp_path, text, line):
    pytest.importorskip("yaml")
    found = problems_of(tmp_path, text, "spleen.yml")
    assert len(found) == 1 and "not valid YAML" in found[0]
    assert found[0].startswith(f"spleen.yml:{line}: ")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('  "units": "HU",\n', '  "units": "HU",\n  "units": "HU",\n'),
        ('      "range": [40, 130],\n', '      "range": [40, 130],\n      "range": [0, 1],\n'),
        ('{"op": "median", "voxels": 1}', '{"op": "median",\n "voxels": 1,\n "voxels": 2}'),
    ],
    ids=["used once more nowhere", "used again in a later structure", "in one step"],
)
def test_a_key_that_stands_twice_is_told_on_its_second_line(tmp_path, old, new):
    text = GOOD.replace(old, new)
    found = problems_of(tmp_path, text)
    key = re.findall(r'"(\w+)":', new)[-1]
    second = line_of(text, new) + new.rstrip("\n").count("\n")
    assert found == [f"spleen.json:{second}: the key {key!r} stands twice in one object"]


@pytest.mark.parametrize("key", ["größe", "a\\u0062c", "ключ"])
def test_a_key_of_any_letters_that_stands_twice_is_told(tmp_path, key):
    found = problems_of(tmp_path, f'{{\n"{key}": 1,\n"{key}": 2\n}}')
    assert len(found) == 1 and found[0].startswith("spleen.json:3: ") and "stands twice" in found[0]


def test_a_key_that_stands_twice_in_yaml_is_told_too(tmp_path):
    """YAML 1.2 section 3.2.1.3: keys of a mapping are unique; the last one winning in silence would hide a range."""
    pytest.importorskip("yaml")
    text = GOOD_YAML.replace("    range: [40, 130]\n", "    range: [40, 130]\n    range: [0, 1]\n")
    found = problems_of(tmp_path, text, "spleen.yaml")
    assert len(found) == 1 and found[0].startswith("spleen.yaml:13: ") and "range" in found[0]


@pytest.mark.parametrize("value", ["[]", "7", '"text"', "null", "[{}]"])
def test_what_is_no_object_is_told(tmp_path, value):
    assert "a profile is an object with id, title" in problems_of(tmp_path, value)[0]


def test_files_that_are_no_text_or_too_large_are_told(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00{")
    assert check_profile(tmp_path / "a.json")[1] == ["a.json: not a text file in UTF-8"]
    (tmp_path / "b.json").write_text(" " * (MAX_BYTES + 1))
    assert "too large for a profile" in check_profile(tmp_path / "b.json")[1][0]
    assert check_profile(tmp_path / "c.json")[1] == ["c.json: no such profile file"]
    (tmp_path / "d.json").mkdir()
    assert check_profile(tmp_path / "d.json")[1][0].startswith("d.json: ")


@pytest.mark.parametrize("name", ["deep.json", "deep.yaml"])
@pytest.mark.parametrize("depth", [500, 100_000])
def test_nesting_without_end_is_told(tmp_path, name, depth):
    if name.endswith("yaml"):
        pytest.importorskip("yaml")
    (tmp_path / name).write_text("[" * depth + "]" * depth)
    assert check_profile(tmp_path / name)[1][0].startswith(name)


def test_a_yaml_that_holds_itself_is_told(tmp_path):
    pytest.importorskip("yaml")
    assert problems_of(tmp_path, "id: &here\n  - *here\n", "loop.yaml")


SPOILED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SPOILED
@given(data=st.data())
def test_any_spoiled_profile_is_read_or_told(tmp_path, data):
    """A part of a built-in profile is replaced by something else: only problems with a line, never a trace."""
    text = (builtin_folder() / "bones.json").read_text()
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, min(len(text), start + 30)))
    parts = ['"', "{", "}", "[", "]", ",", ":", "null", "true", "-1", "1e9", '"id"', "\\", "\n", "é", "{}", "[]"]
    problems_of(tmp_path, text[:start] + data.draw(st.sampled_from(parts)) + text[stop:], "bones.json")


def test_the_documents_of_this_project_state_profiles_that_pass(tmp_path):
    """Every JSON profile shown in the documentation is one that `profiles check` accepts."""
    page = ROOT / "Resources" / "Documentation" / "profiles.md"
    for number, text in enumerate(re.findall(r"```json\n(\{.*?\n\})\n```", page.read_text(encoding="utf-8"), re.DOTALL)):
        assert problems_of(tmp_path, text, f"shown{number}.json") == []

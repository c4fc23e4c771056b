"""`oncosegment models list|search|show`, with a store of the test's own."""

from __future__ import annotations

import json

import pytest

from helpers_cli import run_cli, run_here
from ModelManagerLib.catalog import find_card


@pytest.fixture
def models(tmp_path):
    """Runs `models ACTION ...` with an empty store."""
    return lambda action, *arguments: run_here("models", action, *arguments, "--store", tmp_path, cwd=tmp_path)


def test_the_list_has_what_runs_now_and_says_how_much_more_there_is(models):
    done = models("list")
    assert done.code == 0 and [line.split()[0] for line in done.out.splitlines() if line[0] != " "][:2] == [
        "thresholds",
        "totalsegmentator",
    ]
    assert "more can be installed: `oncosegment models search WORDS`" in done.out
    everything = models("list", "--all", "--json").json
    assert len(everything) > 150 and {row["restricted"] for row in everything} == {True, False}


def test_searching_by_words_and_conditions(models):
    rows = models("search", "liver", "lesion", "--json").json
    assert [row["id"] for row in rows[:2]] == ["totalsegmentator-591", "totalsegmentator-589"]
    assert rows[0]["download_bytes"] == 230940114 and rows[0]["installed"] is False and isinstance(rows[0]["unfit"], list)
    only = models("search", "spine", "--modality", "CT", "--commercial", "--engine", "cads", "--json").json
    assert [row["id"] for row in only] == ["cads-552-open"]
    text = models("search", "vertebrae", "--body-part", "spine").out
    assert "restricted: no license of the weights is stated" in text and "size not known" in text
    assert models("search", "zebra").out.startswith("Nothing in the catalogue meets all of that")


def test_a_wrong_structure_or_id_is_one_sentence(models):
    done = models("search", "--structure", "livr")
    assert done.code == 2 and done.sentence == "structure 'livr' is unknown; close: liver"
    done = models("show", "totalsegmentator-29")
    assert done.code == 4 and done.sentence.startswith("the catalogue has no 'totalsegmentator-29'; close: totalsegmentator-29")


def test_showing_tells_license_address_hash_and_how_they_are_known(models):
    text = models("show", "totalsegmentator-297").out
    card = find_card("totalsegmentator-297")
    for wanted in (card.sources[0].urls[0], card.sources[0].sha256, "135386075 bytes", card.license.url, card.citation):
        assert wanted in text
    assert "sources.sha256 recorded by third-party manifest" in text
    assert "SHA-256 not published" in models("show", "totalsegmentator-292").out
    assert "Whole tumor (Brain neoplasm)" in models("show", "monai-brats_mri_segmentation").out
    facts = models("show", "nninteractive-v1.0", "--json").json
    assert facts["restricted_reason"] == "not for commercial use" and facts["installed"] is False


def test_every_row_can_be_shown(models):
    for row in models("list", "--all", "--json").json:
        assert models("show", row["id"]).code == 0


def test_rows_of_the_user_are_marked_and_a_broken_file_of_theirs_is_told(models, tmp_path):
    row = {"id": "ours", "title": "Ours", "version": "1", "engine": "nnunetv2", "license": "cc-by-4.0", "marks": {}}
    (tmp_path / "catalog.json").write_text(json.dumps({"schema": 1, "cards": [row]}), "utf-8")
    assert [found["id"] for found in models("search", "--own", "--json").json] == ["ours"]
    assert "your own row" in models("search", "ours").out
    assert models("show", "ours", "--json").json["origin"] == "user"
    (tmp_path / "catalog.json").write_text("{", "utf-8")
    done = models("list")
    assert done.code == 0 and "thresholds" in done.out
    assert done.sentence.startswith("catalog.json, line 1: ") and done.sentence.endswith("your own models are left out")


def test_the_command_runs_as_a_process_and_makes_no_store(tmp_path):
    done = run_cli("models", "search", "glioma", "MR", "--store", tmp_path / "none", "--json")
    assert done.code == 0 and done.json[0]["id"] == "monai-brats_mri_segmentation"
    assert list(tmp_path.iterdir()) == []

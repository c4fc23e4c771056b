"""The generated rows of TotalSegmentator, against the installed package."""

from __future__ import annotations

import json

import pytest

from ModelManagerLib.catalog import all_cards
from tools import make_totalsegmentator_cards as tool

REASON = "the rows are generated from the package TotalSegmentator, which is not installed"


@pytest.fixture(scope="module")
def package():
    """The package; the test skips without it."""
    return pytest.importorskip("totalsegmentator.map_tasks_config", reason=REASON)


def test_the_file_is_what_the_installed_package_says(package, capsys):
    """A new version of the package fails here until the script has been run."""
    text = json.loads(tool.CATALOG.read_text("utf-8"))["package"]
    import importlib.metadata

    if text != f"TotalSegmentator {importlib.metadata.version('TotalSegmentator')}":
        pytest.skip(f"the file was generated from {text}")
    assert tool.main(["--check"]) == 0, capsys.readouterr().err


def test_a_stale_file_is_told_and_one_run_mends_it(package, tmp_path, capsys):
    path = tmp_path / "totalsegmentator.json"
    assert tool.main(["--check", "--output", str(path)]) == 1
    assert "is stale; run python Testing/tools/make_totalsegmentator_cards.py" in capsys.readouterr().err
    assert tool.main(["--output", str(path)]) == 0 and tool.main(["--check", "--output", str(path)]) == 0
    path.write_text(path.read_text("utf-8").replace("vertebrae_L5", "vertebrae_L4", 1), "utf-8")
    assert tool.main(["--check", "--output", str(path)]) == 1


def test_every_task_of_the_package_that_has_weights_has_a_row_for_each_of_them(package):
    from OncoSegmentLib.experts.total_segmentator.tasks import tasks, weights_of

    places = {one.place for one in all_cards()}
    unpublished = {"test", "total_highres_test"}
    for task in tasks().values():
        if task.id not in unpublished:
            for speed in task.speeds:
                assert {f"nnunet/results/{one.folder}" for one in weights_of(task, speed)} <= places


def test_the_files_of_a_row_are_those_that_a_run_reads(package):
    from pathlib import Path

    from OncoSegmentLib.experts.total_segmentator.tasks import tasks, weights_of
    from OncoSegmentLib.experts.total_segmentator.weights import files_of

    by_place = {one.place: {file.path for file in one.files} for one in all_cards()}
    for task in tasks().values():
        if task.id not in ("test", "total_highres_test"):
            for one in weights_of(task):
                wanted = {path.relative_to(one.folder).as_posix() for path in files_of(one, Path())}
                assert wanted <= by_place[f"nnunet/results/{one.folder}"]


def test_weights_of_which_nothing_is_known_get_a_row_without_size_and_hash(package):
    facts = json.loads(tool.FACTS.read_text("utf-8"))
    facts["weights"], facts["tasks"] = {}, {}
    rows = {row["id"]: row for row in tool.rows_of(facts, "9.9")}
    row = rows["totalsegmentator-591"]
    assert row["title"] == "TotalSegmentator: liver_lesions" and row["body_parts"] == [] and row["seed_ids"] == []
    assert (row["sources"][0]["bytes"], row["sources"][0]["sha256"]) == (None, None)
    assert row["requires"]["packages"] == ["TotalSegmentator>=9.9"] and row["marks"]["sources.bytes"] == "not found"


def test_without_the_package_it_says_so(monkeypatch, capsys):
    import sys

    for name in [name for name in sys.modules if name.startswith("totalsegmentator")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "totalsegmentator", None)
    assert tool.main(["--check"]) == 1
    assert "the package TotalSegmentator is needed" in capsys.readouterr().err

"""What a run leaves in the log: no name of anybody, no failure of the run, and a sentence when there is nothing."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from helpers import MASS, ct_phantom, segment, segmentation
from OncoLib.audit import image_sha256
from OncoLib.errors import InputError
from OncoLib.segmentation import Provenance
from OncoLib.terminology import CodedConcept, TerminologyEntry
from OncoSegmentLib.evaluation import evaluate
from OncoSegmentLib.evaluation_log import read
from OncoSegmentLib.evaluation_pairs import pairs_of
from OncoSegmentLib.evaluation_record import log_evaluation, log_run, logging_on, run_of, structure_text
from OncoSegmentLib.request import Request
from OncoSegmentLib.segment import segment as segmented

NAME = "Mustermann"


@pytest.fixture(scope="module")
def scan():
    return ct_phantom()


@pytest.fixture(scope="module")
def result(scan):
    return segmented(scan, Request("thresholds", "bones")).segmentation


@pytest.fixture
def path(tmp_path):
    return tmp_path / "evaluation.sqlite"


@pytest.fixture
def settings(tmp_path):
    """Writes a setting file."""

    def write(content):
        file = tmp_path / "settings.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return file

    return write


def test_a_run_is_one_row_with_what_it_cost(scan, result, path):
    assert log_run(result, path=path) == "" and log_run(result, path=path) == ""
    (run,) = read(path)[0]
    facts = result.provenance
    assert (run.case, run.model, run.version, run.task) == (image_sha256(scan), "thresholds", facts.model_version, "bones")
    assert (run.seconds, run.peak_memory_mb, run.device, run.segments) == (facts.seconds, facts.peak_memory_mb, "cpu", 2)
    assert run.agreement is None and run.started == facts.started


def test_a_later_run_is_another_row_and_an_edit_is_not(result, path):
    log_run(result, path=path)
    log_run(result.with_provenance(edits=("moved",)), path=path)
    log_run(result.with_provenance(started="2031-01-01T00:00:00+00:00"), agreement=0.75, path=path)
    assert [run.agreement for run in read(path)[0]] == [None, 0.75]


def test_nothing_that_may_be_a_name_is_kept(result, path):
    entry = TerminologyEntry(MASS.category, CodedConcept("99LOCAL", NAME.upper(), "Tumor"))
    foreign = replace(
        result,
        name=NAME,
        segments=tuple(replace(one, name=f"{NAME} {one.label}", structure="") for one in result.segments),
        provenance=replace(
            result.provenance,
            model=f"{NAME}, Erika",
            model_version=f"of {NAME}",
            weights_sha256=NAME,
            device=f"{NAME}'s machine",
            parameters={"profile": f"{NAME.lower()}-liver", "note": NAME},
            edits=(),
        ),
    )
    found = evaluate(foreign, foreign, pairs_of(foreign, foreign).pairs)
    assert log_evaluation(foreign, foreign, found, "f" * 64, corrected=True, path=path) == ""
    (run,) = read(path)[0]
    assert (run.model, run.version, run.task, run.device, run.weights) == ("other", "other", "other", "other", "")
    assert NAME.lower().encode() not in path.read_bytes().lower()
    assert structure_text(segment(1, NAME, entry=entry)) == "99LOCAL:MUSTERMANN", "a code is a code"


def test_numbers_that_a_file_made_up_do_not_stop_the_log(result, path):
    for number, seconds in enumerate(("soon", float("inf"), -1, True, 10**400)):
        odd = result.with_provenance(seconds=seconds, started=f"2030-{number}")
        assert log_run(odd, path=path) == ""
    assert [run.seconds for run in read(path)[0]] == [None] * 5


@pytest.mark.parametrize(
    "provenance",
    [Provenance("label map", ""), Provenance("reader", "", input_sha256="a" * 64), Provenance("x", "1", started="2026")],
)
def test_a_mask_that_no_run_made_is_no_row(provenance, path):
    mask = segmentation([np.ones((2, 2, 2), np.uint8)], provenance=provenance)
    assert run_of(mask) is None and log_run(mask, path=path) == "" and not path.exists()
    assert log_evaluation(mask, mask, (), "f" * 64, path=path) == "the result holds no provenance of a run"


def test_the_log_can_be_turned_off(result, path, settings):
    off = settings({"evaluation": {"log": False}, "engine": {"kind": "auto"}})
    assert not logging_on(off)
    assert log_run(result, path=path, settings=off) == "" and not path.exists()
    assert log_evaluation(result, result, (), "f" * 64, path=path, settings=off) == "the log is turned off in settings.json"
    for on in ({}, {"evaluation": {}}, {"evaluation": {"log": True}}):
        assert logging_on(settings(on))


@pytest.mark.parametrize("content", ['{"evaluation": {"log": "no"}}', '{"evaluation": false}', "{", "[]"])
def test_a_setting_that_cannot_be_read_logs_nothing_and_is_told(result, path, settings, content):
    told = log_run(result, path=path, settings=settings(content))
    assert told.startswith("This run is not in the evaluation log: settings.json") and told.endswith("it.")
    assert not path.exists()
    with pytest.raises(InputError, match="settings.json"):
        logging_on(settings(content))


def test_a_log_that_cannot_be_kept_is_told_and_stops_nothing(result, path):
    path.write_bytes(b"not a database" * 50)
    told = log_run(result, path=path)
    assert told.startswith("This run is not in the evaluation log: evaluation.sqlite: it is damaged")
    assert "\n" not in told and str(path.parent) not in told


def test_an_evaluation_belongs_to_its_run_with_numbers_or_nothing(result, path):
    found = evaluate(result, result, pairs_of(result, result).pairs)
    assert (
        log_evaluation(result, result, found, "f" * 64, corrected=True, path=path, now=lambda: "2026-03-01T00:00:00+00:00") == ""
    )
    runs, rows = read(path)
    assert [row.run for row in rows] == [runs[0].run] * 2 and {row.kind for row in rows} == {"corrected"}
    assert [(row.structure, row.place, row.dice, row.volume_error_ml) for row in rows] == [
        ("cortical_bone", 0, 1.0, 0.0),
        ("trabecular_bone", 1, 1.0, 0.0),
    ]
    assert {row.compared for row in rows} == {"2026-03-01T00:00:00+00:00"} and rows[0].lesions_found is None
    edited = result.with_provenance(edits=("moved",))
    assert log_evaluation(edited, result, found, "f" * 64, path=path) == "the result was edited by hand since its run"


def test_what_is_not_defined_is_null_in_the_file(result, path):
    empty = replace(result, layers=tuple(np.zeros_like(layer) for layer in result.layers))
    found = evaluate(empty, empty, pairs_of(empty, empty).pairs)
    assert log_evaluation(empty, empty, found, "f" * 64, corrected=True, path=path) == ""
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT DISTINCT status, dice, hd95_mm, volume_error_percent FROM comparisons").fetchall() == [
            ("both empty", None, None, None)
        ]
    database.close()


def test_what_a_reference_is_shows_in_its_own_provenance(result, path):
    found = evaluate(result, result, pairs_of(result, result).pairs)
    assert "the reference is the result itself" in log_evaluation(result, result, found, "a" * 64, path=path)
    assert not path.exists()
    changed = replace(result, layers=tuple(np.where(layer == 1, 0, layer) for layer in result.layers))
    other = result.with_provenance(started="2031-01-01T00:00:00+00:00")
    reader = replace(result, provenance=Provenance("label map", ""))
    for number, reference in enumerate((changed, other, reader)):
        assert log_evaluation(result, reference, found, f"{number}" * 64, path=path) == ""
    assert {row.reference[0]: row.kind for row in read(path)[1]} == {"0": "corrected", "1": "expert", "2": "independent"}
    assert len(read(path)[0]) == 1, "the other expert's run is none of this machine"

"""`oncosegment evaluate` and `oncosegment experts stats` as a user runs them, and the rows that runs leave."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import subprocess

import numpy as np
import pytest

from helpers import ct_phantom, tree
from helpers_cli import command, environment, run_cli, run_here
from OncoLib.image_files import write_image
from OncoLib.segmentation import Provenance, Segmentation
from OncoSegmentLib.evaluation_log import Run, add_run, read
from OncoSegmentLib.scene.results import Formats, write_results


@pytest.fixture
def log(tmp_path, monkeypatch):
    """A log of the test's own."""
    path = tmp_path / "evaluation.sqlite"
    monkeypatch.setenv("ONCOSEGMENT_EVALUATION", str(path))
    return path


@pytest.fixture
def folder(tmp_path, log):
    """An image, its bones, and the same with five slices of the first structure taken away by a reader."""
    scan = ct_phantom()
    write_image(tmp_path / "ct.nrrd", scan.voxels, scan.ijk_to_ras)
    arguments = ("ct.nrrd", "--modality", "CT", "--units", "HU", "--profile", "bones", "--nrrd", "--output")
    done = run_here("segment", *arguments, "first", cwd=tmp_path)
    assert done.code == 0, done.err
    labels = labels_of(tmp_path / "first" / "segmentation.nrrd")
    labels[:5][labels[:5] == 1] = 0
    (tmp_path / "corrected").mkdir()
    described = json.loads((tmp_path / "first" / "segmentation.json").read_text())
    (tmp_path / "corrected" / "segmentation.json").write_text(json.dumps(described))
    write_image(tmp_path / "corrected" / "segmentation.nrrd", labels, scan.ijk_to_ras)
    return tmp_path


def labels_of(path) -> np.ndarray:
    from OncoLib.image_files import read_image

    return read_image(path).voxels.copy()


RESULT, CORRECTED = "first/segmentation.seg.nrrd", "corrected/segmentation.json"


def test_segment_leaves_one_row_and_evaluate_adds_to_it(folder, log):
    (run,), compared = read(log)
    told = json.loads((folder / "first" / "segmentation.json").read_text())["provenance"]
    assert (run.case, run.seconds, run.task, compared) == (told["input_sha256"], told["seconds"], "bones", [])
    done = run_here("evaluate", RESULT, CORRECTED, "--corrected", "--image", "ct.nrrd", cwd=folder)
    assert done.code == 0 and done.complaints == [] and "Added to the evaluation log." in done.out
    runs, compared = read(log)
    assert runs == [run] and [(row.structure, row.kind) for row in compared] == [
        ("cortical_bone", "corrected"),
        ("trabecular_bone", "corrected"),
    ]
    labels = [labels_of(folder / name / "segmentation.nrrd") for name in ("first", "corrected")]
    sizes = [int((one == 1).sum()) for one in labels]
    assert compared[0].dice == pytest.approx(2 * sizes[1] / sum(sizes)) and compared[1].dice == 1
    assert compared[0].volume_error_ml == pytest.approx((sizes[0] - sizes[1]) * 0.008)
    again = run_here("evaluate", "first/segmentation.json", CORRECTED, cwd=folder)
    assert again.code == 0 and len(read(log)[0]) == 1, "the same run, whichever of its files was read"
    assert len(read(log)[1]) == 2 and {row.kind for row in read(log)[1]} == {"corrected"}
    itself = run_here("evaluate", CORRECTED, CORRECTED, cwd=folder)
    assert itself.code == 0 and "Not in the evaluation log: the reference is the result itself" in itself.out


def test_numbers_as_table_json_and_csv_are_the_same(folder):
    named = ("--lesion-structure", "Cortical bone", "--lesion-structure", "Trabecular bone")
    arguments = ("evaluate", RESULT, CORRECTED, "--lesions", *named, "--min-lesion-ml", "0.05", "--no-log")
    done = run_here(*arguments, "--csv", "numbers.csv", cwd=folder)
    assert done.code == 0 and "Not in the evaluation log: --no-log was given." in done.out
    assert "Research use only" in done.out and "pairs with an intersection over union of at least 0.1" in done.out
    told = run_here(*arguments, "--json", cwd=folder).json
    with open(folder / "numbers.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["structure"] for row in rows] == ["Cortical bone", "Trabecular bone"]
    for row, one in zip(rows, told["structures"]):
        for name, number in one["measurements"].items():
            assert float(row[name]) == number["value"]
        assert int(row["lesions_reference"]) == one["lesions"]["reference"] >= 1
        assert f"{one['measurements']['dice']['value']:.3f}" in done.out
    assert told["logged"] is False and read()[1] == []
    assert set(told["sources"]) == {"result", "reference"}


def test_bones_are_no_lesions_unless_they_are_named(folder):
    arguments = ("evaluate", RESULT, CORRECTED, "--no-log", "--lesions")
    none = run_here(*arguments, cwd=folder)
    left = "Not counted as lesions: Cortical bone, Trabecular bone (not coded as lesions counted one by one;"
    assert none.code == 0 and left in none.out and "Recall" not in none.out
    told = run_here(*arguments, "--json", cwd=folder).json
    assert [one["lesions"] for one in told["structures"]] == [None, None]
    assert told["lesions_not_counted"] == ["Cortical bone", "Trabecular bone"]
    one = run_here(*arguments, "--lesion-structure", "Cortical bone", "--json", cwd=folder).json
    assert [each["lesions"] is None for each in one["structures"]] == [False, True]
    assert one["lesions_not_counted"] == ["Trabecular bone"]
    assert run_here(*arguments[:-1], "--json", cwd=folder).json["lesions_not_counted"] is None
    wrong = run_here(*arguments, "--lesion-structure", "Lesion", cwd=folder)
    assert wrong.code == 2 and wrong.sentence == "no structure 'Lesion' is compared; there are Cortical bone, Trabecular bone"


def test_a_plain_label_map_needs_to_be_told_what_is_what(folder):
    refused = run_here("evaluate", RESULT, "first/segmentation.nrrd", cwd=folder)
    assert refused.code == 2 and "--pair" in refused.sentence
    done = run_here("evaluate", RESULT, "first/segmentation.nrrd", "--pair", "Cortical bone", "Label 1", "--json", cwd=folder)
    (one,) = done.json["structures"]
    assert one["measurements"]["dice"]["value"] == 1 and one["matched_by"] == "the user"
    assert done.json["only_result"] == ["Trabecular bone"] and done.json["only_reference"] == ["Label 2"]


@pytest.fixture
def plain(tmp_path, log):
    """Label maps of one lesion, and of none; a result that found nothing, as our own verbs write it."""
    layer = np.zeros((6, 7, 8), np.uint8)
    write_image(tmp_path / "none.nii.gz", layer, np.eye(4))
    nothing = Segmentation((layer.copy(),), np.eye(4), (), Provenance("nnunet", "2.8.1"))
    (tmp_path / "found-none").mkdir()
    write_results(tmp_path / "found-none", None, nothing, Formats(), {})
    layer[2:4, 2:5, 2:6] = 1
    write_image(tmp_path / "lesion.nii.gz", layer, np.eye(4))
    return tmp_path


@pytest.mark.parametrize(
    ("pair", "status", "lesions", "error_ml", "note"),
    [
        (("none.nii.gz", "lesion.nii.gz"), "first empty", (1, 0, 0.0, None), -0.024, "the result is empty: every"),
        (("found-none/segmentation.seg.nrrd", "lesion.nii.gz"), "first empty", (1, 0, 0.0, None), -0.024, "the result is empty:"),
        (("found-none/segmentation.json", "lesion.nii.gz"), "first empty", (1, 0, 0.0, None), -0.024, "the result is empty:"),
        (("lesion.nii.gz", "none.nii.gz"), "second empty", (0, 1, None, 0.0), 0.024, "the reference is empty: every"),
    ],
)
def test_a_label_map_without_labels_is_an_answer(plain, pair, status, lesions, error_ml, note):
    done = run_here("evaluate", *pair, "--lesions", "--lesion-structure", "Label 1", "--json", cwd=plain)
    assert done.code == 0, done.err
    told = json.loads(done.out)
    (one,) = told["structures"]
    assert one["status"] == status and one["measurements"]["dice"]["value"] == 0
    assert one["measurements"]["volume_error_ml"]["value"] == pytest.approx(error_ml)
    assert tuple(one["lesions"][name] for name in ("reference", "result", "recall", "precision")) == lesions
    assert told["notes"][0].startswith(note) and told["only_result"] == told["only_reference"] == []


def test_two_label_maps_without_labels_cannot_be_compared(plain):
    done = run_here("evaluate", "none.nii.gz", "none.nii.gz", cwd=plain)
    assert done.code == 2 and "nothing was there and nothing found" in done.err


def test_what_is_left_out_is_named_and_can_count_as_missed(folder):
    labels = labels_of(folder / "first" / "segmentation.nrrd")
    (folder / "half").mkdir()
    told = json.loads((folder / "first" / "segmentation.json").read_text())
    told["segments"] = told["segments"][:1]
    (folder / "half" / "segmentation.json").write_text(json.dumps(told))
    write_image(folder / "half" / "segmentation.nrrd", np.where(labels == 1, labels, 0), ct_phantom().ijk_to_ras)
    done = run_here("evaluate", "half/segmentation.json", RESULT, "--no-log", cwd=folder)
    assert done.code == 0, done.err
    assert "Not compared, since the result does not have it: Trabecular bone" in done.out
    named = ("--lesions", "--lesion-structure", "Trabecular bone")
    missed = run_here("evaluate", "half/segmentation.json", RESULT, "--missing-is-empty", *named, "--json", cwd=folder).json
    second = missed["structures"][1]
    assert (second["status"], second["matched_by"]) == ("first empty", "nothing")
    assert second["measurements"]["dice"]["value"] == 0 and second["measurements"]["hd95_mm"]["value"] is None
    assert second["lesions"]["recall"] == 0 and second["lesions"]["precision"] is None


def test_what_the_reference_does_not_have_can_count_as_false(folder, log):
    """The first structure alone as the reference: the second one's volume is all error, and its row in the log says so."""
    from OncoSegmentLib.evaluation_stats import stats_of

    told = json.loads((folder / "corrected" / "segmentation.json").read_text())
    told["segments"] = told["segments"][:1]
    (folder / "part").mkdir()
    (folder / "part" / "segmentation.json").write_text(json.dumps(told))
    labels = labels_of(folder / "first" / "segmentation.nrrd")
    write_image(folder / "part" / "segmentation.nrrd", np.where(labels == 1, labels, 0), ct_phantom().ijk_to_ras)
    arguments = ("evaluate", RESULT, "part/segmentation.json", "--corrected")
    plain = run_here(*arguments, "--no-log", cwd=folder)
    assert "Not compared, since the reference does not have it: Trabecular bone" in plain.out
    done = run_here(*arguments, "--extra-is-false", cwd=folder)
    assert done.code == 0 and "! the reference does not have this structure; it counts as false" in done.out
    assert "distances and the error in per cent are not defined" in done.out and "Not compared" not in done.out
    compared = read(log)[1]
    assert [(row.structure, row.status, row.dice, row.hd95_mm) for row in compared][1] == (
        "trabecular_bone",
        "second empty",
        0,
        None,
    )
    assert compared[1].volume_error_ml == pytest.approx(int((labels == 2).sum()) * 0.008)
    rows = {row.structure: row.numbers for row in stats_of(*read(log)).structures}
    assert rows["trabecular_bone"]["dice"].median == 0 and rows["trabecular_bone"]["hd95_mm"].n == 0


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are a thing of POSIX")
def test_in_a_terminal_of_80_columns_the_table_fits_and_in_a_pipe_it_has_all_its_width(folder):
    piped = run_here("evaluate", RESULT, CORRECTED, "--no-log", cwd=folder).out.splitlines()
    heads = next(line for line in piped if line.startswith("Structure"))
    assert len(heads) > 80 and heads.endswith("Error ml  Error %")
    shown = in_terminal("evaluate", RESULT, CORRECTED, "--no-log", cwd=folder, columns=80).splitlines()
    rules = [line for line in shown if set(line) == {"-", " "}]
    rows = [line for line in shown if line.startswith("Cortical bone")]
    assert len(rules) == len(rows) == 2 and max(map(len, (*rules, *rows))) <= 80
    whole = next(line for line in piped if line.startswith("Cortical bone"))
    assert " ".join(rows).replace("Cortical bone", "").split() == whole.replace("Cortical bone", "").split()


def in_terminal(*arguments, cwd, columns: int) -> str:
    """What the command shows on the stdout of a terminal."""
    import pty

    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as screen:
        running = subprocess.Popen(
            command(*arguments), cwd=cwd, env={**environment(), "COLUMNS": str(columns)}, stdout=theirs, stderr=subprocess.DEVNULL
        )
        os.close(theirs)
        found = b""
        with contextlib.suppress(OSError):  # Linux says so at the end
            while part := screen.read(65536):
                found += part
        assert running.wait(60) == 0
    return found.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("gone.seg.nrrd", CORRECTED), 2, "gone.seg.nrrd"),
        ((RESULT, CORRECTED, "--csv", "numbers.txt"), 2, "wanted a name that ends in .csv"),
        ((RESULT, CORRECTED, "--min-lesion-ml", "1"), 2, "belong to --lesions"),
        ((RESULT, CORRECTED, "--lesions", "--lesion-iou", "2"), 2, "least overlap"),
        ((RESULT, CORRECTED, "--csv", "there.csv"), 3, "there.csv is in the output folder already"),
        ((RESULT, "other.json"), 2, "grid"),
        ((RESULT, CORRECTED, "--image", "small.nrrd"), 2, "grid"),
    ],
)
def test_refusals_are_one_sentence_and_change_nothing(folder, arguments, code, words):
    (folder / "there.csv").write_text("kept")
    scan = ct_phantom()
    write_image(folder / "small.nrrd", scan.voxels[:-1], scan.ijk_to_ras)
    told = json.loads((folder / "corrected" / "segmentation.json").read_text())
    told["label_maps"], told["geometry"]["shape_ijk"][2] = ["other.nrrd"], 23
    (folder / "other.json").write_text(json.dumps(told))
    write_image(folder / "other.nrrd", labels_of(folder / "corrected" / "segmentation.nrrd")[:-1], scan.ijk_to_ras)
    before = tree(folder)
    done = run_here("evaluate", *arguments, cwd=folder)
    assert done.code == code and words in done.sentence
    assert tree(folder) == before


def test_an_image_that_is_not_the_one_of_the_result_is_noted(folder):
    scan = ct_phantom()
    write_image(folder / "later.nrrd", scan.voxels + 1, scan.ijk_to_ras)
    done = run_here("evaluate", RESULT, CORRECTED, "--image", "later.nrrd", "--no-log", cwd=folder)
    assert done.code == 0 and "Note: the result says that it was made of an image with other voxels" in done.out
    assert "Note:" not in run_here("evaluate", RESULT, CORRECTED, "--image", "ct.nrrd", "--no-log", cwd=folder).out


def test_a_log_that_cannot_be_written_costs_no_result_and_is_told(tmp_path, folder, log):
    log.write_bytes(b"no database " * 100)
    arguments = ("segment", "ct.nrrd", "--modality", "CT", "--units", "HU", "--profile", "bones", "--output", "second")
    done = run_here(*arguments, cwd=folder)
    assert done.code == 0 and (folder / "second" / "segmentation.seg.nrrd").exists()
    assert "Note: This run is not in the evaluation log: evaluation.sqlite: it is damaged" in done.out
    told = run_here(*arguments, "--overwrite", "--json", cwd=folder)
    assert told.code == 0 and told.json["not_logged"].startswith("This run is not in")
    compared = run_here("evaluate", RESULT, CORRECTED, cwd=folder)
    assert compared.code == 0 and "Not in the evaluation log: evaluation.sqlite: it is damaged" in compared.out
    stats = run_here("experts", "stats", cwd=folder)
    assert stats.code == 2 and "left as it is" in stats.sentence
    assert log.read_bytes() == b"no database " * 100


def test_the_setting_turns_it_off(tmp_path, folder, log, monkeypatch):
    log.unlink()
    home = tmp_path / "home"
    (home / ".oncosegment").mkdir(parents=True)
    (home / ".oncosegment" / "settings.json").write_text('{"evaluation": {"log": false}}')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    arguments = ("segment", "ct.nrrd", "--modality", "CT", "--units", "HU", "--profile", "bones", "--output", "second")
    done = run_here(*arguments, "--json", cwd=folder)
    assert done.code == 0 and "not_logged" not in done.json and not log.exists()
    compared = run_here("evaluate", RESULT, CORRECTED, cwd=folder)
    assert "Not in the evaluation log: the log is turned off in settings.json." in compared.out and not log.exists()


def test_stats_say_n_and_draw(folder):
    empty = run_here("experts", "stats", "--plot", "dice.png", cwd=folder)
    assert empty.code == 2 and "no comparison to draw" in empty.sentence
    run_here("evaluate", RESULT, CORRECTED, "--corrected", "--lesions", cwd=folder)
    done = run_here("experts", "stats", "--plot", "dice.png", cwd=folder)
    assert done.code == 0 and "thresholds 0.1.0 bones" in done.out and "starts from the result" in done.out
    assert (folder / "dice.png").read_bytes().startswith(b"\x89PNG")
    told = run_here("experts", "stats", "--json", cwd=folder).json
    assert [row["cases"] for row in told["structures"]] == [1, 1] and told["rankings"] == []
    assert told["runs"][0]["runs"] == 1
    kept = run_here("experts", "stats", "--plot", "dice.png", cwd=folder)
    assert kept.code == 3 and "dice.png" in kept.sentence
    assert run_here("experts", "stats", "--plot", "dice.gif", cwd=folder).code == 2


def test_stats_name_the_weights_of_a_model_that_is_known(tmp_path, log):
    """The bundle that comes along by its only file of weights; a hash that nobody knows by its first digits."""
    from ModelManagerLib.work import card_named

    (weights,) = [one.sha256 for one in card_named("demo-glioma-mr", tmp_path).files if one.path == "models/model.pt"]
    for number, sha256 in enumerate((weights, "ab" * 32)):
        add_run(Run(f"{number}", "c" * 64, "monai_bundle", "1.6.0", sha256, "", "cpu", "2026-01-01", 1.0, 500.0, 3))
    told = run_here("experts", "stats", "--json", cwd=tmp_path).json
    assert [row["expert"] for row in told["runs"]] == ["monai_bundle 1.6.0 demo-glioma-mr", "monai_bundle 1.6.0 weights abababab"]
    assert told["weights"] == dict(zip((row["expert"] for row in told["runs"]), (weights, "ab" * 32)))
    shown = run_here("experts", "stats", cwd=tmp_path).out
    assert "monai_bundle 1.6.0 demo-glioma-mr" in shown and weights[:8] not in shown


def test_an_empty_log_is_said_as_a_process_of_its_own(tmp_path, log):
    done = run_cli("experts", "stats", cwd=tmp_path)
    assert done.code == 0 and done.out.startswith("The evaluation log is empty") and not log.exists()

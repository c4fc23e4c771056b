"""`oncosegment panel`: files, tables, what is refused; a killed process, networks that average, a network that fails."""

from __future__ import annotations

import json
import os
import signal
import time

import numpy as np
import pytest

from helpers import tree
from helpers_cli import run_cli, run_here
from helpers_experts import DICE, INNER, LESION, NARROW, OUTER, SPOT, WIDE, boxes, by_range
from OncoAppLib.panel import parsed
from OncoAppLib.reading import read_segmentation
from OncoLib.errors import Cancelled, InputError
from OncoLib.image_files import read_image, write_image
from OncoSegmentLib.engine import jobs
from OncoSegmentLib.engine.panel_job import PREFIX, PanelJob
from OncoSegmentLib.engine.process import ProcessEngine
from OncoSegmentLib.evaluation_log import read
from OncoSegmentLib.evaluation_record import run_of
from OncoSegmentLib.panel import Settings, members_of
from OncoSegmentLib.request import Request
from OncoSegmentLib.segment import segment


@pytest.fixture
def case(tmp_path):
    """The boxes as a file, and three profiles."""
    write_image(tmp_path / "ct.nii.gz", boxes().voxels, boxes().ijk_to_ras)
    by_range(tmp_path, "wide", liver=WIDE)
    by_range(tmp_path, "both", liver=WIDE, liver_lesion=LESION)
    by_range(tmp_path, "narrow", liver=NARROW)
    return tmp_path


EXPERTS = [part for name in ("wide", "both", "narrow") for part in ("--expert", f"thresholds:profile={name}.json")]


def voxels(path) -> dict[str, int]:
    found = read_segmentation(path)
    return {one.name: int(found.mask(one).sum()) for one in found.segments}


def test_a_panel_writes_the_consensus_and_what_each_expert_said(case):
    done = run_cli("panel", "ct.nii.gz", *EXPERTS, "--unlisted", "absent", "--nifti", "--output", "out", cwd=case, timeout=600)
    assert done.code == 0, done.err
    assert sorted(path.name for path in (case / "out").iterdir()) == [
        "agreement.json", "disagreement.nii.gz", "expert-1.seg.nrrd", "expert-2.seg.nrrd", "expert-3.seg.nrrd",
        "segmentation-layer2.nii.gz", "segmentation.json", "segmentation.nii.gz", "segmentation.seg.nrrd",
    ]  # fmt: skip
    assert voxels(case / "out" / "segmentation.seg.nrrd") == {"Liver": OUTER - SPOT, "Liver lesion, candidate 1": SPOT}
    assert voxels(case / "out" / "expert-3.seg.nrrd") == {"Liver": INNER - SPOT}
    assert voxels(case / "out" / "expert-2.seg.nrrd")["Liver lesion"] == SPOT
    found = read_image(case / "out" / "disagreement.nii.gz")
    assert np.count_nonzero(found.voxels) == OUTER - INNER + SPOT
    stored = json.loads((case / "out" / "agreement.json").read_text())
    assert stored["structures"][0]["experts"]["3 thresholds narrow"]["dice"] == pytest.approx(DICE)
    facts = json.loads((case / "out" / "segmentation.json").read_text())
    assert [one["file"] for one in facts["experts"]] == [f"expert-{n}.seg.nrrd" for n in (1, 2, 3)]
    assert str(case) not in (case / "out" / "segmentation.json").read_text()
    liver = next(line for line in done.out.splitlines() if line.startswith("Liver "))
    assert liver.split()[1:] == ["low", "3", "of", "3", "0.728", "1.000", "1.000", "0.592"]
    assert "candidate" in done.out and "2 thresholds both" in done.out and "Research use only" in done.out
    rows = {one.run: one for one in read()[0]}
    runs = [run_of(read_segmentation(case / "out" / f"expert-{n}.seg.nrrd")).run for n in (1, 2, 3)]
    assert rows[runs[2]].agreement == pytest.approx(DICE), "the file of an expert is known in the log"
    again = run_here("panel", "ct.nii.gz", *EXPERTS, "--output", "out", cwd=case)
    assert again.code == 3 and "is in the output folder already and was kept" in again.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--expert", "thresholds:profile=wide.json"], "the panel has 1 expert; wanted two or more"),
        ([*EXPERTS, "--expert", "nothing:at=all"], "no model 'nothing'"),
        ([*EXPERTS, "--expert", "thresholds"], "expert 4 thresholds: the model 'thresholds' needs a profile"),
        ([*EXPERTS, "--expert", "thresholds:profile=gone.json"], "gone.json"),
        ([*EXPERTS, "--expert", "thresholds:bones"], "'bones' is no KEY=VALUE"),
        ([*EXPERTS, "--method", "mean"], "1 thresholds wide gives no probabilities"),
        ([*EXPERTS, "--weights", "1", "2"], "there are 2 weights for 3 experts"),
        ([*EXPERTS, "--weights", "one", "2", "3"], "the weight 'one' is no number"),
        ([*EXPERTS, "--weights", "1", "2", "3", "--method", "staple"], "weights belong to the methods weights and mean"),
        ([*EXPERTS, "--at-least", "4"], "wanted 1 to 3"),
        ([*EXPERTS, "--modality", "MR"], "modality is MR"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_writes_nothing(case, arguments, told):
    before = tree(case)
    done = run_here("panel", "ct.nii.gz", *arguments, "--output", "out", cwd=case)
    lines = [line for line in done.err.splitlines() if line.startswith("oncosegment: ")]
    assert done.code != 0 and len(lines) == 1 and told in lines[0], done.err
    assert tree(case) == before


def test_parameters_have_their_kinds():
    model, given = parsed("nnunet:weights=/models/a,b,folds=0+1,step=0.7,channel.FLAIR=f.nii.gz,extra=true,confirm=12")
    assert model == "nnunet" and given == {
        "weights": "/models/a,b", "folds": ["0", "1"], "step": 0.7, "channel.FLAIR": "f.nii.gz", "extra": True, "confirm": "12",
    }  # fmt: skip
    assert parsed("thresholds") == ("thresholds", {})
    for text in (":a=b", "m:", "m:a", "m:a=1,a=2"):
        with pytest.raises(InputError):
            parsed(text)


def finished(job, seconds: float = 120.0):
    """Waits for a panel."""
    end = time.monotonic() + seconds
    while not job.poll().finished:
        assert time.monotonic() < end, "the panel did not end"
        time.sleep(0.02)
    return job


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_an_expert_whose_process_is_killed_is_told_and_nothing_stays_behind(case, tmp_path):
    from pathlib import Path

    engine = ProcessEngine(results=tmp_path / "results")
    members = members_of([by_range(case, name, liver=span) for name, span in (("x", WIDE), ("y", WIDE), ("z", NARROW))])
    job = PanelJob(boxes(), members, Settings(), engine, free_bytes=lambda: None, most=3)
    job.poll()
    shared = job._folder
    os.kill(job.seats[1].job._process.pid, signal.SIGKILL)
    result = finished(job).result()
    assert [bool(one.prediction) for one in result.experts] == [True, False, True]
    assert "ended without a result" in result.experts[1].problem
    assert result.notes[0].startswith("2 thresholds y is not in the panel: ")
    found = result.consensus.prediction.segmentation
    assert int((found.layers[0] == 1).sum()) == INNER - SPOT and len(result.kept) == 2
    job.close()
    assert not shared.exists() and all(Path(folder).exists() for folder in result.kept)
    engine.close()
    assert not any(Path(folder).exists() for folder in result.kept) and PREFIX in str(shared)


def test_cancel_ends_the_processes_and_leaves_nothing(case, tmp_path):
    engine = ProcessEngine(results=tmp_path / "results")
    members = members_of([by_range(case, name, liver=WIDE) for name in "xy"])
    job = PanelJob(boxes(), members, Settings(), engine, free_bytes=lambda: None, most=1)
    job.poll()
    assert [seat.job is None for seat in job.seats] == [False, True]
    job.cancel()
    with pytest.raises(Cancelled):
        finished(job).result()
    assert job.seats[1].job is None, "what had not begun never begins"
    job.close()
    engine.close()
    assert not any((tmp_path / "results").iterdir())


SURE = 40.0
"""Times the scores of the tiny networks, whose probabilities would be nearly even otherwise."""


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Two tiny nnU-Nets with other values for liver, and one whose checkpoint is damaged."""
    pytest.importorskip("nnunetv2")
    from tiny_nnunet import hounsfield_labels, write_model

    folder = tmp_path_factory.mktemp("networks")
    paths = []
    for name, centers in (("first", (60, 500)), ("second", (90, 500)), ("broken", (60, 500))):
        factors, biases = hounsfield_labels(centers, below=160.0)
        factors, biases = [[SURE * one for one in row] for row in factors], [SURE * one for one in biases]
        facts = {"labels": {"liver": 1, "bone": 2}, "spacing": (2.0, 2.0, 2.0), "mirroring": None}
        paths.append(write_model(folder / name, factors=factors, biases=biases, **facts))
    (paths[2] / "fold_0" / "checkpoint_final.pth").write_bytes(b"no checkpoint")
    return [Request("nnunet", device="cpu", parameters={"weights": str(path)}) for path in paths]


@pytest.mark.slow
def test_networks_are_averaged_and_one_that_fails_is_left_out(networks):
    """The mean of the probabilities of both, as each gives them alone, voxel by voxel."""
    image = boxes()
    image.voxels[4:20, 4:20, 4:12] = 10  # the two networks differ here: the middle between liver and nothing
    result = jobs.run_panel(image, members_of(networks), Settings("mean"))
    assert [bool(one.prediction) for one in result.experts] == [True, True, False]
    assert result.experts[2].problem and result.notes[0].startswith("3 nnunet ")
    assert all(one.prediction.probabilities is None for one in result.heard)
    from dataclasses import replace

    alone = [segment(image, replace(one, parameters={**one.parameters, "probabilities": True})) for one in networks[:2]]
    boxes_of = [
        {part.structure: box.on_grid(image.shape_kji) for part, box in zip(one.segmentation.segments, one.probabilities)}
        for one in alone
    ]
    liver = (boxes_of[0]["liver"] + boxes_of[1]["liver"]) / 2
    found = result.consensus.prediction.segmentation
    mask = found.mask(found.segment_named("Liver"))
    sure = np.abs(liver - 0.5) > 1e-3
    assert np.array_equal(mask[sure], (liver > 0.5)[sure]) and mask.any() and (liver[sure] < 0.5).any()
    first, second = (one.segmentation.layers[0] == 1 for one in alone)
    assert (first != second).any(), "they differ somewhere, or the mean is no test"

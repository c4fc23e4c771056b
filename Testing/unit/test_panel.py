"""A panel of experts on one image: consensus, failures, Cancel, memory, weights, log. The experts are real value ranges."""

from __future__ import annotations

import numpy as np
import pytest

from helpers_experts import DICE, INNER, LESION, NARROW, OUTER, SPOT, WIDE, HeldEngine, boxes, by_range, missing
from OncoLib import background
from OncoLib.errors import Cancelled, InputError
from OncoLib.progress import CancelToken
from OncoSegmentLib.engine import jobs
from OncoSegmentLib.engine.panel_job import PanelJob
from OncoSegmentLib.evaluation_log import read
from OncoSegmentLib.panel import Settings, check_settings, log_panel, members_of
from OncoSegmentLib.request import Request


@pytest.fixture
def three(tmp_path):
    """Two experts that draw the outer box, and one that draws the inner; the second also sees the lesion."""
    return members_of([
        by_range(tmp_path, "a", liver=WIDE),
        by_range(tmp_path, "b", liver=WIDE, liver_lesion=LESION),
        by_range(tmp_path, "c", liver=NARROW),
    ])  # fmt: skip


def voxels(segmentation) -> dict[str, int]:
    return {one.name: int(segmentation.mask(one).sum()) for one in segmentation.segments}


def test_three_experts_give_one_consensus_and_keep_what_each_said(three):
    told = []
    result = jobs.run_panel(boxes(), three, Settings(), progress=lambda fraction, message: told.append((fraction, message)))
    consensus = result.consensus.prediction.segmentation
    assert voxels(consensus)["Liver"] == OUTER - SPOT
    assert [voxels(one.prediction.segmentation)["Liver"] for one in result.experts] == [OUTER - SPOT] * 2 + [INNER - SPOT]
    assert consensus.provenance.parameters["method"] == "majority"
    liver = result.consensus.agreement["structures"][0]
    names = [one.member.name for one in result.experts]
    assert names == ["1 thresholds a", "2 thresholds b", "3 thresholds c"]
    assert liver["mean_pairwise_dice"] == pytest.approx((1 + 2 * DICE) / 3) and liver["agreement"] == "low"
    assert liver["experts"][names[2]]["dice"] == pytest.approx(DICE) and liver["experts"][names[0]]["dice"] == 1
    assert consensus.segments[0].confidence == "low"
    two_one = (2 / 3 * np.log(3 / 2) + 1 / 3 * np.log(3)) / np.log(3)
    found = result.consensus.disagreement
    assert np.count_nonzero(found) == OUTER - INNER and found.max() == pytest.approx(two_one, abs=1e-6)
    fractions = [fraction for fraction, _message in told]
    assert fractions == sorted(fractions) and told[0][1].startswith("1 thresholds a: ") and fractions[-1] > 0.9


def test_what_an_expert_does_not_look_for_is_unknown_to_it_or_absent(three):
    """The lesion: nobody but the second looks for it, so it is taken as it is, or stays a candidate beside the consensus."""
    unknown = jobs.run_panel(boxes(), three, Settings()).consensus
    assert voxels(unknown.prediction.segmentation)["Liver lesion"] == SPOT
    assert any("only one expert looks for Liver lesion" in note for note in unknown.agreement["notes"])
    absent = jobs.run_panel(boxes(), three, Settings(unlisted="absent")).consensus
    assert voxels(absent.prediction.segmentation) == {"Liver": OUTER - SPOT, "Liver lesion, candidate 1": SPOT}
    assert absent.agreement["candidates"][0]["found_by"] == ["2 thresholds b"]


def test_weights_decide(three):
    found = jobs.run_panel(boxes(), three, Settings("weights", (1.0, 1.0, 3.0)))
    assert voxels(found.consensus.prediction.segmentation)["Liver"] == INNER - SPOT
    assert [one["weight"] for one in found.consensus.prediction.segmentation.provenance.parameters["inputs"]] == [1, 1, 3]


def test_learned_weights_without_a_log_are_equal_and_a_damaged_log_costs_no_result(three, tmp_path):
    wide = OUTER - SPOT
    found = jobs.run_panel(boxes(), three, Settings("weights", learned=True), log=tmp_path / "none.sqlite")
    assert any(note.startswith("all weights are equal: the evaluation log has no structure") for note in found.notes)
    assert voxels(found.consensus.prediction.segmentation)["Liver"] == wide
    (tmp_path / "torn.sqlite").write_bytes(b"no database" * 100)
    found = jobs.run_panel(boxes(), three, Settings("weights", learned=True), log=tmp_path / "torn.sqlite")
    assert any(note.startswith("all weights are equal: torn.sqlite: ") for note in found.notes)
    assert voxels(found.consensus.prediction.segmentation)["Liver"] == wide


def test_measures_come_with_the_consensus(three):
    found = jobs.run_panel(boxes(), three, Settings(measure=True)).consensus.prediction
    liver = found.measures[0]
    assert liver.segment.name == "Liver" and liver.measurements["intensity_mean"].value == pytest.approx(
        (60 * (OUTER - INNER) + 100 * (INNER - SPOT)) / (OUTER - SPOT)
    )


def test_an_expert_that_fails_is_told_and_the_others_go_on(three, tmp_path):
    members = members_of([*(one.request for one in three[:2]), missing(tmp_path)])
    result = jobs.run_panel(boxes(), members, Settings("weights", (1.0, 2.0, 9.0)))
    assert [bool(one.prediction) for one in result.experts] == [True, True, False]
    assert "gone.json: no such profile file" in result.experts[2].problem
    assert result.notes[0].startswith("3 thresholds gone is not in the panel: ")
    weights = [one["weight"] for one in result.consensus.prediction.segmentation.provenance.parameters["inputs"]]
    assert weights == [1, 2], "weights stay with their experts"


def test_too_few_experts_are_an_error_unless_one_is_enough(three, tmp_path):
    members = members_of([three[1].request, missing(tmp_path)])
    with pytest.raises(InputError, match=r"1 of 2 experts gave a result; wanted 2 for a consensus \(2 thresholds gone: "):
        jobs.run_panel(boxes(), members, Settings())
    result = jobs.run_panel(boxes(), members, Settings(least=1, measure=True))
    assert voxels(result.consensus.prediction.segmentation) == {"Liver": OUTER - SPOT, "Liver lesion": SPOT}
    rows = result.consensus.agreement["structures"]
    assert [one["agreement"] for one in rows] == ["one expert only"] * 2 and result.consensus.disagreement is None
    assert len(result.consensus.prediction.measures) == 2 and result.experts[0].agreement is None


def test_staple_of_two_that_are_left_becomes_the_majority_and_says_so(three, tmp_path):
    members = members_of([three[0].request, missing(tmp_path), three[2].request])
    result = jobs.run_panel(boxes(), members, Settings("staple"))
    assert "staple needs 3 experts and 2 gave a result: the majority was taken" in result.notes
    assert voxels(result.consensus.prediction.segmentation)["Liver"] == INNER - SPOT, "what both say"


@pytest.mark.parametrize("method", ["staple", "multilabel-staple", "confidence"])
def test_every_method_that_labels_allow_comes_to_the_same_liver(three, method):
    """Two of three draw the outer box; the lesion of one of them is in no consensus of STAPLE, and stays a candidate."""
    found = jobs.run_panel(boxes(), three, Settings(method)).consensus
    sizes = voxels(found.prediction.segmentation)
    assert sizes["Liver"] == OUTER - SPOT and found.prediction.segmentation.provenance.parameters["method"] == method
    assert ("Liver lesion, candidate 1" in sizes) == ("staple" in method)


def test_cancel_ends_all(three):
    token = CancelToken()
    engine = HeldEngine()
    job = PanelJob(boxes(), three, Settings(), engine)
    job.poll()
    assert len(engine.running) == 3
    token.cancel()
    job.cancel()
    assert job.poll().finished and all(one.cancel_token.cancelled for one in engine.jobs)
    with pytest.raises(Cancelled):
        job.result()
    with pytest.raises(Cancelled):
        jobs.run_panel(boxes(), three, Settings(), cancel=token)


@pytest.mark.parametrize(("free_gb", "together"), [(None, 3), (1.2, 3), (0.6, 2), (0.2, 1)])
def test_predicted_memory_decides_how_many_run_at_once(three, free_gb, together):
    """Each needs 0.2 GB, a quarter more to be safe."""
    engine = HeldEngine()
    job = PanelJob(boxes(), three, Settings(), engine, free_bytes=lambda: None if free_gb is None else free_gb * 1e9)
    most = 0
    while not job.poll().finished:
        most = max(most, len(engine.running))
        engine.running[0].finish()
    assert most == together and len(job.result().heard) == 3
    job.close()


def test_experts_of_unknown_memory_run_alone_and_one_gpu_serves_one(three, monkeypatch):
    from OncoSegmentLib.engine import panel_seats

    monkeypatch.setattr(panel_seats, "bytes_needed", lambda image, request: None)
    engine = HeldEngine()
    job = PanelJob(boxes(), three, Settings(), engine)
    job.poll()
    assert len(engine.running) == 1
    monkeypatch.setattr(panel_seats, "bytes_needed", lambda image, request: 1)
    monkeypatch.setattr(panel_seats, "gpus", lambda: ["0"])
    monkeypatch.setattr(jobs, "gpu_of", lambda request: "wanted" if request.profile.endswith(("a.json", "b.json")) else "")
    engine = HeldEngine()
    engine.name = "process"
    job = PanelJob(boxes(), three, Settings(), engine, most=3)
    job.poll()
    assert [one.arguments[1].profile[-6:] for one in engine.running] == ["a.json", "c.json"]
    engine.running[0].finish()
    job.poll()
    assert len(engine.running) == 2, "the second that wants the GPU begins when the first is done"
    job.close()


def test_the_image_travels_once(three):
    engine = HeldEngine()
    job = PanelJob(boxes(), three, Settings(measure=True), engine)
    job.poll()
    files = {one.arguments[0].path for one in engine.jobs}
    assert len(files) == 1
    while not job.poll().finished:
        engine.running[0].finish()
    assert {one.arguments[-1].path for one in engine.jobs if "fuse_panel" in one.function} == files
    folder = job._folder
    job.close()
    assert not folder.exists()


def test_on_other_machines_neither_files_nor_memory_of_this_one_count(three):
    engine = HeldEngine()
    engine.elsewhere = True
    job = PanelJob(boxes(), three, Settings(), engine, free_bytes=lambda: 1.0)
    job.poll()
    assert len(engine.running) == 3 and all(one.arguments[0] is job._image for one in engine.jobs)
    while not job.poll().finished:
        engine.running[0].finish()
    assert len(job.result().heard) == 3
    with pytest.raises(InputError, match="works on this machine only"):
        jobs.start_panel(boxes(), three, Settings(), engine=engine)


def test_what_a_model_looks_for_is_known_before_it_finds_any():
    pytest.importorskip("totalsegmentator")
    from OncoSegmentLib.experts.registry import looked_for

    some = {"task": "total", "structures": ["liver", "vertebrae_L1"]}
    found = looked_for(Request("totalsegmentator", parameters=some))
    assert {"liver", "vertebra_l1"} <= found and "spleen" not in found
    assert "spleen" in looked_for(Request("totalsegmentator", parameters={"task": "total"}))
    assert looked_for(Request("totalsegmentator", parameters={"task": "no task"})) == frozenset()


def test_every_run_is_logged_with_its_agreement(three, tmp_path):
    result = jobs.run_panel(boxes(), three, Settings())
    log = tmp_path / "log.sqlite"
    assert log_panel(result, path=log) == ""
    runs, _comparisons = read(log)
    assert sorted(one.agreement for one in runs) == pytest.approx(sorted(one.agreement for one in result.experts))
    assert result.experts[2].agreement == pytest.approx(DICE) and result.experts[0].agreement == 1
    assert len({one.case for one in runs}) == 1


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (Settings("best"), "method 'best' is unknown"),
        (Settings("mean"), "1 thresholds a gives no probabilities, which the mean needs of every expert"),
        (Settings("weights"), "needs them: one number for each expert, or learned"),
        (Settings("weights", (1.0,)), "there are 1 weights for 3 experts"),
        (Settings("weights", (1.0, 0.0, 1.0)), "wanted numbers over 0"),
        (Settings("majority", (1.0, 1.0, 1.0)), "weights belong to the methods"),
        (Settings("mean", learned=True), "learned weights belong to the method weights"),
        (Settings(least=4), "wanted 1 to 3"),
    ],
)
def test_what_cannot_be_fused_is_refused_before_any_expert_runs(three, settings, told):
    with pytest.raises(InputError, match=told):
        check_settings(three, settings)


def test_one_expert_is_no_panel_and_two_cannot_be_judged_by_staple(three):
    with pytest.raises(InputError, match="the panel has 1 expert"):
        check_settings(three[:1], Settings())
    with pytest.raises(InputError, match="staple judges experts by each other and needs 3; the panel has 2"):
        check_settings(three[:2], Settings("staple"))


def test_names_tell_experts_apart_without_whole_paths():
    requests = [
        Request("totalsegmentator", parameters={"task": "total", "speed": "fast"}),
        Request("nnunet", parameters={"weights": "/data/Dataset7_x/nnUNetTrainer__nnUNetPlans__3d_fullres"}),
        Request("nnunet", parameters={"weights": "my-model"}),
        Request("thresholds", "bones"),
    ]
    assert [one.name for one in members_of(requests)] == [
        "1 totalsegmentator total fast", "2 nnunet Dataset7_x", "3 nnunet my-model", "4 thresholds bones",
    ]  # fmt: skip


def test_a_result_has_no_identity(three):
    from dataclasses import replace

    image = replace(boxes(), name="Patient", source_uids=("1.2.3",))
    engine = HeldEngine()
    job = jobs.start_panel(image, three, Settings(), engine=engine)
    job.poll()
    assert job._image.name != "Patient" and not job._image.source_uids
    job.close()
    assert background  # the module that waits for jobs

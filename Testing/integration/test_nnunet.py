"""The nnU-Net expert on tiny networks: the package's real code, compared with its own predictor on the same weights."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from helpers import GRIDS
from helpers_total_segmentator import blocks
from OncoLib.errors import Cancelled, GeometryError, InputError, ModelError
from OncoLib.image import Image
from OncoLib.progress import CancelToken
from OncoSegmentLib.request import Region, Request
from OncoSegmentLib.segment import segment

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed (extra 'ai'), so its tests cannot run")

import tiny_nnunet as tiny  # noqa: E402
from OncoSegmentLib.experts.nnunet import loading  # noqa: E402
from OncoSegmentLib.experts.nnunet.expert import NnUNetExpert  # noqa: E402
from OncoSegmentLib.warm import models  # noqa: E402

ORGANS = {"lung": 1, "liver": 2, "spleen": 3, "flux_capacitor": 4}
HU = (-700, 60, 140, 350)


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    """A store of the test, and no network kept from the test before."""
    monkeypatch.setenv("ONCOSEGMENT_MODELS", str(tmp_path / "store"))
    yield
    models.release()


@pytest.fixture
def organs(tmp_path):
    """A CT model of four labels, of which the terminology knows three."""
    factors, biases = tiny.hounsfield_labels(HU)
    return tiny.write_model(tmp_path / "Dataset900_Organs", labels=ORGANS, factors=factors, biases=biases)


def brain(tmp_path, **options):
    """Nested regions of two MR channels: FLAIR over 1 is the whole tumor, T1c over 1 its core, T1c over 2 enhances."""
    labels = {"whole_tumor": [1, 2, 3], "tumor_core": [2, 3], "enhancing": [3]}
    return tiny.write_model(
        tmp_path / "Dataset901_Brain", labels=labels, order=(1, 2, 3), channels=("T1c", "FLAIR"),
        factors=[[0.0, 4.0], [4.0, 0.0], [4.0, 0.0]], biases=[-4.0, -4.0, -8.0], **options,
    )  # fmt: skip


def mr_pair(matrix=None) -> tuple[Image, Image]:
    """T1c and FLAIR on one grid with three nested boxes."""
    flair, t1c = np.zeros((36, 40, 44), np.float32), np.zeros((36, 40, 44), np.float32)
    flair[6:30, 6:34, 6:38] = 3.0
    t1c[10:26, 10:30, 10:32] = 1.5
    t1c[14:22, 14:24, 14:26] = 3.5
    matrix = np.diag([1.5, 1.5, 1.5, 1.0]) if matrix is None else matrix
    return Image(t1c, matrix, modality="MR"), Image(flair, matrix, modality="MR")


def run(image, model, channels=(), **parameters):
    """The segmentation that a request gives."""
    request = Request("nnunet", device="cpu", parameters={"weights": str(model), **parameters}, channels=tuple(channels))
    return segment(image, request).segmentation


def same(found, model, image, **options):
    """Fails unless the labels are those of nnU-Net's own predictor."""
    reference = tiny.own_labels(model, image.voxels[None], image.spacing_kji_mm, **options)
    assert reference.any()
    np.testing.assert_array_equal(found.layers[0], reference)


def test_labels_are_those_of_nnu_nets_own_predictor(organs):
    image = blocks(noise=200.0)
    same(run(image, organs), organs, image)


@pytest.mark.parametrize("grid", sorted(GRIDS))
def test_on_oblique_and_left_handed_grids(organs, grid):
    image = replace(blocks(noise=200.0), ijk_to_ras=GRIDS[grid])
    found = run(image, organs)
    np.testing.assert_allclose(found.ijk_to_ras, GRIDS[grid])
    same(found, organs, image)


def test_names_codes_and_provenance(organs):
    found = run(blocks(), organs)
    liver, strange = found.segments[1], found.segments[3]
    assert (liver.label, liver.structure, liver.entry.type.value) == (2, "liver", "10200004")
    assert strange.name == "Flux capacitor" and "No code is known" in strange.flags[0]
    facts = found.provenance.parameters
    assert facts["weights"] == "Dataset900_Organs" and facts["folds"] == [0] and facts["trainer"] == "nnUNetTrainer"
    assert facts["mirroring"] == "on" and facts["mirroring_axes"] == [0, 1, 2] and facts["step"] == 0.5
    assert len(found.provenance.weights_sha256) == 64
    assert str(organs.parent.parent) not in json.dumps(found.provenance.as_dict())


def test_a_folder_around_the_model_is_enough_and_several_ask_for_a_choice(organs, tmp_path):
    assert run(blocks(), organs.parent).layers[0].any()
    factors, biases = tiny.hounsfield_labels(HU)
    tiny.write_model(organs.parent, labels=ORGANS, factors=factors, biases=biases, configuration="2d_other")
    with pytest.raises(InputError, match="holds 2 nnU-Net models; name one: .*2d_other, .*3d_fullres"):
        run(blocks(), organs.parent)


def test_mirroring_and_step_change_the_run_and_are_recorded(tmp_path):
    """A network whose answer depends on the side shows whether it was mirrored: the mean of both sides is symmetric."""
    factors, biases = tiny.hounsfield_labels(HU)
    options = {"labels": ORGANS, "factors": factors, "biases": biases}
    model = tiny.write_model(tmp_path / "Dataset903_One", mirroring=(0,), **options)
    image = blocks(noise=200.0)
    off = run(image, model, mirroring="off", step=0.9)
    assert off.provenance.parameters["mirroring_axes"] == [] and off.provenance.parameters["step"] == 0.9
    same(off, model, image, mirroring=False, step=0.9)
    assert run(image, model).provenance.parameters["mirroring_axes"] == [0]
    never = tiny.write_model(tmp_path / "Dataset904_Never", mirroring=None, **options)
    assert run(image, never).provenance.parameters["mirroring_axes"] == []


def test_folds_and_checkpoints(tmp_path):
    """Each further fold favors the background more: so every choice has an answer of its own."""
    factors, biases = tiny.hounsfield_labels(HU)
    options = {"labels": ORGANS, "factors": factors, "biases": biases, "fold_shift": 0.6, "folds": (0, 1, 2)}
    model = tiny.write_model(tmp_path / "Dataset905_Folds", checkpoints=("best",), **options)
    image = blocks(noise=200.0)
    with pytest.raises(ModelError, match="no fold has checkpoint_final.pth; it has the other one, choose checkpoint best"):
        run(image, model)
    for path in model.glob("fold_*/checkpoint_best.pth"):
        (path.parent / "checkpoint_final.pth").write_bytes(path.read_bytes())
    for asked, used in (([2, 1], (2, 1)), ([], (0, 1, 2))):
        found = run(image, model, folds=asked)
        assert found.provenance.parameters["folds"] == list(used)
        same(found, model, image, folds=used)
    assert run(image, model, checkpoint="best").provenance.parameters["checkpoint"] == "checkpoint_best.pth"
    with pytest.raises(ModelError, match="fold 4 has no checkpoint_final.pth; there are 0, 1, 2"):
        run(image, model, folds=[4])
    with pytest.raises(InputError, match="fold '../x' is none"):
        run(image, model, folds=["../x"])


def test_nested_regions_become_layers_that_overlap(tmp_path):
    model = brain(tmp_path)
    t1c, flair = mr_pair()
    found = run(t1c, model, [("FLAIR", flair)])
    by_name = {segment.name: found.mask(segment) for segment in found.segments}
    assert [int(mask.sum()) for mask in by_name.values()] == [24 * 28 * 32, 16 * 20 * 22, 8 * 10 * 12]
    assert sorted(segment.layer for segment in found.segments) == [0, 1, 2]
    assert "a region: it covers the labels 1, 2, 3 of the model" in found.segments[0].flags
    own = tiny.own_labels(model, np.stack([t1c.voxels, flair.voxels]), t1c.spacing_kji_mm)
    composed = sum(mask.astype(int) for mask in by_name.values())
    np.testing.assert_array_equal(composed, own)


@pytest.mark.parametrize("given", ["FLAIR", "t2-flair", "1"])
def test_the_image_is_the_channel_that_is_not_named(tmp_path, given):
    model = brain(tmp_path)
    t1c, flair = mr_pair()
    wanted = run(t1c, model, [("FLAIR", flair)])
    other_way = run(flair, model, [("T1ce", t1c)])
    named = run(t1c, model, [(given, flair)])
    for one, other, third in zip(wanted.layers, other_way.layers, named.layers):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, third)


@pytest.mark.parametrize(
    ("channels", "told"),
    [
        ([], r"needs 2 channels \(T1c, FLAIR\) and got 1; give 1 more of T1c or FLAIR"),
        (["FLAIR", "T1c"], r"has 2 channels \(T1c, FLAIR\) and got 3 images; leave one out"),
        (["FLAIR", "flair"], "the channel 'FLAIR' is given twice"),
        (["ADC"], "has no channel 'ADC'; it has T1c, FLAIR"),
    ],
)
def test_wrong_channels_are_told(tmp_path, channels, told):
    t1c, flair = mr_pair()
    with pytest.raises(InputError, match=told):
        run(t1c, brain(tmp_path), [(name, flair) for name in channels])


def test_channels_elsewhere_or_of_another_modality_are_refused(tmp_path):
    """Another grid is no reason to refuse: see test_multiparametric.py."""
    model = brain(tmp_path)
    t1c, flair = mr_pair()
    moved = flair.ijk_to_ras.copy()
    moved[0, 3] += 200.0
    with pytest.raises(GeometryError, match="the image of the channel 'FLAIR' does not overlap with the main image"):
        run(t1c, model, [("FLAIR", replace(flair, ijk_to_ras=moved))])
    with pytest.raises(InputError, match="the image's modality is CT; the channel 'T1c' of Dataset901_Brain is for MR"):
        run(replace(t1c, modality="CT"), model, [("FLAIR", flair)])


def test_a_channel_stored_in_another_order_is_turned_not_refused(tmp_path):
    model = brain(tmp_path)
    t1c, flair = mr_pair()
    turned = flair.ijk_to_ras.copy()
    turned[:3, 3] += turned[:3, 1] * (flair.shape_kji[1] - 1)
    turned[:3, 1] *= -1
    found = run(t1c, model, [("FLAIR", Image(flair.voxels[:, ::-1], turned, modality="MR"))])
    wanted = run(t1c, model, [("FLAIR", flair)])
    np.testing.assert_array_equal(found.layers[0], wanted.layers[0])


def test_ct_models_refuse_what_is_no_ct(organs):
    image = blocks()
    with pytest.raises(InputError, match="modality is MR; the channel 'CT' of Dataset900_Organs is for CT"):
        run(replace(image, modality="MR"), organs)
    with pytest.raises(InputError, match="not Hounsfield units"):
        run(Image(np.abs(image.voxels), image.ijk_to_ras), organs)


def test_a_reader_that_turns_images_gets_them_turned(tmp_path):
    """The image stored from the other end gives the same patient's labels, as nnU-Net's reader makes it."""
    factors, biases = tiny.hounsfield_labels(HU)
    model = tiny.write_model(
        tmp_path / "Dataset906_Turned", labels=ORGANS, factors=factors, biases=biases, reader="NibabelIOWithReorient",
        transpose=(2, 0, 1), spacing=(2.0, 2.5, 2.2),
    )  # fmt: skip
    image = blocks(noise=200.0)
    found = run(image, model)
    assert found.provenance.parameters["axes"] == "RAS"
    same(found, model, image)
    backward = image.ijk_to_ras.copy()
    backward[:3, 3] += backward[:3, 0] * (image.shape_kji[2] - 1)
    backward[:3, 0] *= -1
    mirrored = run(Image(image.voxels[:, :, ::-1], backward, modality="CT", units="HU"), model)
    np.testing.assert_array_equal(mirrored.layers[0][:, :, ::-1], found.layers[0])


def test_structures_and_region(organs):
    image = blocks()
    only = run(image, organs, structures=["spleen"])
    assert set(np.unique(only.layers[0])) == {0, 3} and [one.name for one in only.segments] == ["Spleen"]
    box = Region("box", box_ras_mm=(-60.0, 0.0, -40.0, 60.0, 100.0, 200.0), rough=True)
    request = Request("nnunet", region=box, device="cpu", parameters={"weights": str(organs)})
    inside = segment(image, request).segmentation
    assert inside.layers[0].any() and not inside.layers[0][:, :, 31:].any()
    with pytest.raises(InputError, match="no structure 'livre'; there are lung, liver"):
        run(image, organs, structures=["livre"])


def test_a_cascade_runs_both_stages(tmp_path):
    """The last stage adds what the first found to its own score: alone it would find nothing."""
    factors, biases = tiny.hounsfield_labels((60,))
    first = tiny.write_model(
        tmp_path / "Dataset907_Cascade", labels={"liver": 1}, factors=factors, biases=biases, configuration="3d_lowres",
        spacing=(3.0, 3.0, 3.0),
    )  # fmt: skip
    last = tiny.write_model(
        tmp_path / "Dataset907_Cascade", labels={"liver": 1}, factors=[[0.0, 0.0], [0.0, 4.0]], biases=[0.0, -2.0],
        configuration="3d_cascade_fullres", previous="3d_lowres", channels=("CT",),
    )  # fmt: skip
    image = blocks()
    found = run(image, last)
    early = tiny.own_labels(first, image.voxels[None], image.spacing_kji_mm)
    late = tiny.own_labels(last, image.voxels[None], image.spacing_kji_mm, before=early[None].astype(np.float32))
    assert late.any()
    np.testing.assert_array_equal(found.layers[0], late)
    assert found.provenance.parameters["first_stage"] == "3d_lowres"
    assert run(image, last.parent).layers[0].any()
    first.rename(tmp_path / "gone")
    with pytest.raises(ModelError, match="last stage of a cascade and needs .*3d_lowres beside it"):
        run(image, last)


def test_trainers_of_totalsegmentator_are_known_and_others_refused(tmp_path):
    factors, biases = tiny.hounsfield_labels(HU)
    options = {"labels": ORGANS, "factors": factors, "biases": biases}
    strange = tiny.write_model(tmp_path / "Dataset908_Strange", trainer="nnUNetTrainerOfNobody", **options)
    with pytest.raises(ModelError, match="names the trainer nnUNetTrainerOfNobody, which neither nnU-Net nor TotalSegm"):
        run(blocks(), strange)
    pytest.importorskip("totalsegmentator", reason="TotalSegmentator is not installed")
    known = tiny.write_model(tmp_path / "Dataset909_Known", trainer="nnUNetTrainer_MOSAIC_1k_QuarterLR_NoMirroring", **options)
    assert run(blocks(), known).provenance.parameters["trainer"] == "nnUNetTrainer_MOSAIC_1k_QuarterLR_NoMirroring"


def changed_plans(model, change):
    """Rewrites plans.json."""
    plans = json.loads((model / "plans.json").read_text())
    change(plans, plans["configurations"]["3d_fullres"])
    (model / "plans.json").write_text(json.dumps(plans))


@pytest.mark.parametrize(
    "change",
    [
        lambda plans, one: one["architecture"].update(network_class_name="os.system"),
        lambda plans, one: one["architecture"]["arch_kwargs"].update(nonlin="subprocess.Popen"),
        lambda plans, one: one.update(preprocessor_name="maybe_mkdir_p"),
        lambda plans, one: one.update(resampling_fn_probabilities="deepcopy"),
        lambda plans, one: plans.update(label_manager="TYPE_CHECKING"),
        lambda plans, one: plans.update(image_reader_writer="sitk"),
        lambda plans, one: one.update(normalization_schemes=["abstractmethod"]),
    ],
)
def test_plans_that_name_anything_else_are_refused_before_anything_is_built(organs, monkeypatch, change):
    monkeypatch.setattr(loading, "initialize", lambda *_: pytest.fail("built"))
    changed_plans(organs, change)
    with pytest.raises(ModelError, match="plans.json names .*; if you know its source and trust it, confirm its plans.json"):
        run(blocks(), organs)


@pytest.mark.slow
def test_confirmed_plans_are_built_in_a_worker_only_and_a_wrong_hash_is_not(organs, tmp_path):
    from OncoLib.audit import file_sha256
    from OncoSegmentLib.engine import jobs
    from OncoSegmentLib.engine.paths import worker_path
    from OncoSegmentLib.engine.process import ProcessEngine

    (tmp_path / "networks_of_the_test.py").write_text(
        "import os, pathlib\n"
        f"pathlib.Path({str(tmp_path / 'ran')!r}).write_text(str(os.getpid()))\n"
        "from dynamic_network_architectures.architectures.unet import PlainConvUNet as Network\n"
    )
    name = "networks_of_the_test.Network"
    changed_plans(organs, lambda plans, one: one["architecture"].update(network_class_name=name))
    with pytest.raises(ModelError, match="which is not the one confirmed"):
        run(blocks(), organs, confirm="0" * 64)
    with pytest.raises(ModelError, match=f"names '{name}'"):
        run(blocks(), organs)
    confirm = file_sha256(organs / "plans.json")
    with pytest.raises(ModelError, match="holds a program of its publisher's and runs in a worker process only"):
        run(blocks(), organs, confirm=confirm)
    assert not (tmp_path / "ran").exists()
    request = Request("nnunet", device="cpu", parameters={"weights": str(organs), "confirm": confirm})
    found = jobs.run(blocks(), request, engine=ProcessEngine(path=[*worker_path(()), str(tmp_path)])).segmentation
    assert found.layers[0].any() and found.provenance.parameters["plans_confirmed"] is True
    assert int((tmp_path / "ran").read_text()) != os.getpid()


def test_a_checkpoint_with_code_is_refused_and_nothing_runs(organs, tmp_path):
    import torch

    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "boom"), "w"))

    path = organs / "fold_0" / "checkpoint_final.pth"
    content = torch.load(path, weights_only=False)
    torch.save({**content, "extra": Bomb()}, path)
    with pytest.raises(ModelError, match="Dataset900_Organs cannot be loaded: checkpoint_final.pth"):
        run(blocks(), organs)
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("plans.json", "{", "plans.json or dataset.json cannot be read"),
        ("plans.json", '{"configurations": {"2d": {}}}', "named after '3d_fullres', its plans.json has only 2d"),
        ("dataset.json", '{"labels": {"background": 0}, "channel_names": {"0": "CT"}}', "cannot be read"),
        ("dataset.json", '{"labels": {"background": 0, "x": 1}, "channel_names": {"0": "CT", "1": "CT"}}', "2 channels"),
        ("dataset.json", '{"labels": {"background": 0, "x": Infinity}, "channel_names": {"0": "CT"}}', "cannot be read"),
        ("fold_0/checkpoint_final.pth", "not a checkpoint", "cannot be loaded"),
        ("fold_0/checkpoint_final.pth", "", "cannot be loaded"),
    ],
)
def test_damaged_files_are_told_in_one_sentence(organs, file, content, told):
    (organs / file).write_text(content)
    with pytest.raises(ModelError, match=told):
        run(blocks(), organs)


@pytest.mark.parametrize("spacing", [[0, 1, 1], [1, float("nan"), 1], [1, 1, -2], [1]])
def test_a_spacing_that_no_image_can_have_is_told(organs, spacing):
    plans = json.loads((organs / "plans.json").read_text())
    plans["configurations"]["3d_fullres"]["spacing"] = spacing
    (organs / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(ModelError, match="plans.json or dataset.json cannot be read"):
        NnUNetExpert().check(blocks(), Request("nnunet", device="cpu", parameters={"weights": str(organs)}))


@pytest.mark.parametrize("name", ["", "liver\x1b[2J", "liver\nspleen", "x" * 300])
def test_names_of_labels_that_no_table_can_hold_are_refused(organs, name):
    dataset = json.loads((organs / "dataset.json").read_text())
    dataset["labels"] = {"background": 0, name: 1}
    (organs / "dataset.json").write_text(json.dumps(dataset))
    with pytest.raises(ModelError, match="plans.json or dataset.json cannot be read"):
        NnUNetExpert().check(blocks(), Request("nnunet", device="cpu", parameters={"weights": str(organs)}))


def test_folds_that_are_no_list_are_told(organs):
    with pytest.raises(InputError, match="the folds are 5; wanted a list"):
        NnUNetExpert().check(blocks(), Request("nnunet", device="cpu", parameters={"weights": str(organs), "folds": 5}))


def test_a_lack_of_memory_is_told_with_what_helps(organs):
    plans = json.loads((organs / "plans.json").read_text())
    plans["configurations"]["3d_fullres"]["spacing"] = [1e-5] * 3
    (organs / "plans.json").write_text(json.dumps(plans))
    (note,) = NnUNetExpert().check(blocks(), Request("nnunet", device="cpu", parameters={"weights": str(organs)}))
    assert "GB of memory" in note and note.endswith("cut the image to the part that matters, or use a machine with more")


def test_missing_files_folders_and_ids(organs, tmp_path):
    (organs / "fold_0" / "checkpoint_final.pth").unlink()
    with pytest.raises(ModelError, match="no fold has checkpoint_final.pth; get the model"):
        run(blocks(), organs)
    with pytest.raises(ModelError, match="nothing: no folder of an nnU-Net model is there"):
        run(blocks(), tmp_path / "nothing")
    with pytest.raises(ModelError, match="no model 'no-such-card' in the catalogue"):
        run(blocks(), "no-such-card")
    with pytest.raises(InputError, match="thresholds is no nnU-Net model: it is a model of its own;.*--model thresholds,"):
        run(blocks(), "thresholds")
    with pytest.raises(InputError, match="run it with --model monai_bundle --weights demo-glioma-mr$"):
        run(blocks(), "demo-glioma-mr")
    with pytest.raises(ModelError, match="cads-551-open is missing"):
        run(blocks(), "cads-551-open")


def test_cancel_between_two_tiles_leaves_nothing_behind(organs):
    token, seen = CancelToken(), []

    def progress(fraction, message):
        seen.append(message)
        if message == "Predicting" and seen.count("Predicting") == 2:
            token.cancel()

    request = Request("nnunet", device="cpu", parameters={"weights": str(organs)})
    with pytest.raises(Cancelled):
        segment(blocks(), request, progress=progress, cancel=token)
    assert seen.count("Predicting") == 2 and models.in_use == 0
    assert run(blocks(), organs).layers[0].any()


def test_the_network_stays_loaded_and_the_image_does_not(organs, monkeypatch):
    first = run(blocks(), organs)
    monkeypatch.setattr(loading, "load", lambda *_: pytest.fail("loaded again"))
    np.testing.assert_array_equal(run(blocks(), organs).layers[0], first.layers[0])


def test_probabilities_are_kept_in_boxes_and_agree_with_nnu_nets(organs):
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    image = blocks(noise=100.0)
    request = Request("nnunet", device="cpu", parameters={"weights": str(organs), "probabilities": True})
    found = segment(image, request)
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(organs), use_folds=(0,))
    _, own = predictor.predict_single_npy_array(
        image.voxels[None].astype(np.float32), {"spacing": list(image.spacing_kji_mm)}, None, None, True
    )
    for one, box in zip(found.segmentation.segments, found.probabilities):
        assert box.values.dtype == np.float16
        np.testing.assert_allclose(box.values, own[one.label][box.box], atol=4e-3)
        outside = own[one.label].copy()
        outside[box.box] = 0
        assert outside.max() < 0.05
    assert segment(image, replace(request, parameters={"weights": str(organs)})).probabilities is None

"""Memory of a run: arithmetic of the arrays, published figures, and the peaks of real runs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from helpers import PACKAGE_PARENTS
from ModelManagerLib import predict
from ModelManagerLib.predict import Network, needs_of_run, needs_of_runs, network_of, network_of_card, shortage
from OncoLib.errors import InputError, ModelError

PART = Network(heads=27, spacing_mm=(1.5, 1.5, 1.5))
WHOLE = Network(heads=118, spacing_mm=(3.0, 3.0, 3.0))


def test_class_scores_of_every_label_and_voxel_are_counted():
    """100 x 200 x 300 voxels at the network's own spacing: 5 bytes a label and voxel while overflows are looked for."""
    need = needs_of_run((100, 200, 300), (3.0, 3.0, 3.0), replace(WHOLE, patch=(32, 32, 32)))
    assert need.shape == (100, 200, 300)
    assert need.ram_bytes - predict.BASE_BYTES == pytest.approx(5 * 118 * 6e6, rel=0.05)


def test_resampled_scores_are_counted_with_their_copies():
    """Within and outside the network; resampling holds them in 2 and 8 bytes and 2 bytes, the largest is then taken from two
    copies of 2 bytes outside."""
    network = replace(WHOLE, patch=(32, 32, 32))
    much_finer = needs_of_run((400, 400, 400), (1.5, 1.5, 1.5), network)  # 8e6 voxels within, 64e6 outside
    assert much_finer.step == "class scores to labels"
    assert much_finer.ram_bytes - predict.BASE_BYTES == pytest.approx(118 * (2 * 8e6 + 4 * 64e6), rel=0.03)
    finer = needs_of_run((240, 240, 240), (2.5, 2.5, 2.5), network)  # 8e6 voxels within, 13.8e6 outside
    assert finer.ram_bytes - predict.BASE_BYTES == pytest.approx(118 * (10 * 8e6 + 2 * 13.824e6), rel=0.05)
    need = much_finer
    assert needs_of_run((400, 400, 400), (1.5, 1.5, 1.5), network, resampled_before=True).ram_bytes < need.ram_bytes / 3


@pytest.mark.parametrize("change", [{"heads": 60}, {"folds": 2}, {"features": 320}, {"regions": True}, {"weights_bytes": 10**9}])
def test_more_of_anything_never_needs_less(change):
    small = Network(heads=30, spacing_mm=(2.0, 2.0, 2.0), patch=(96, 96, 96))
    grid = (120, 240, 240), (2.0, 1.0, 1.0)
    grown = 0
    for device, resampled in (("cpu", False), ("cpu", True), ("cuda", True)):
        options = {"device": device, "resampled_before": resampled}
        before, after = (needs_of_run(*grid, one, **options) for one in (small, replace(small, **change)))
        assert after.ram_bytes >= before.ram_bytes and after.gpu_bytes >= before.gpu_bytes
        grown += after.ram_bytes + after.gpu_bytes - before.ram_bytes - before.gpu_bytes
    assert grown > 0


def test_the_cpu_needs_no_gpu_memory_and_a_gpu_takes_the_scores_of_the_window():
    grid = (280, 512, 512), (1.5, 0.8, 0.8)
    assert needs_of_run(*grid, PART).gpu_bytes == 0
    on_gpu = needs_of_run(*grid, PART, device="cuda:0", resampled_before=True)
    assert 0 < on_gpu.ram_bytes < needs_of_run(*grid, PART, resampled_before=True).ram_bytes


@pytest.mark.parametrize(
    ("slices", "network", "ram_gb", "gpu_gb"),
    [(280, PART, 7.6, 6.1), (458, PART, 10.6, 8.5), (824, PART, 11.8, 11.4), (280, WHOLE, 7.4, 5.2), (458, WHOLE, 8.4, 7.4)],
)
def test_the_order_of_magnitude_is_that_of_totalsegmentator_s_own_table(slices, network, ram_gb, gpu_gb):
    """Its table of 512 x 512 CTs on an RTX 3090 (1.5 mm and 3 mm models) names no spacing: 0.8 mm in plane and 1.5 mm are
    taken here. Its RAM counts nnU-Net's worker processes, which our runs do not start; so a factor of 3 is asked for."""
    need = needs_of_run((slices, 512, 512), (1.5, 0.8, 0.8), network, device="cuda", resampled_before=True)
    assert ram_gb / 4 < need.ram_gb < ram_gb * 3
    assert gpu_gb / 3 < need.gpu_gb < gpu_gb * 3


def test_several_networks_need_what_the_largest_needs_and_keep_all_weights():
    grid = (100, 100, 100), (1.5, 1.5, 1.5)
    networks = [replace(PART, weights_bytes=10**8), replace(PART, heads=19, weights_bytes=10**8)]
    alone, both = needs_of_run(*grid, networks[0]), needs_of_runs(*grid, networks)
    assert both.ram_bytes == alone.ram_bytes + 2 * 10**8
    assert needs_of_runs(*grid, networks, labels=100).ram_bytes > both.ram_bytes
    with pytest.raises(InputError, match="no network"):
        needs_of_runs(*grid, [])


@pytest.mark.parametrize(
    ("shape", "spacing"), [((0, 5, 5), (1, 1, 1)), ((5, 5), (1, 1)), ((5, 5, 5), (1, float("nan"), 1)), ((5, 5, 5), (1, -1, 1))]
)
def test_a_grid_that_is_none_is_told(shape, spacing):
    with pytest.raises(InputError, match="wanted three numbers over 0"):
        needs_of_run(shape, spacing, PART)


def test_the_sentence_names_what_is_needed_what_is_free_and_what_to_do():
    need = predict.Need(ram_bytes=9 * 10**9, gpu_bytes=6 * 10**9, shape=(1, 1, 1), step="")
    assert shortage(need, 8.0) == "needs about 9 GB of memory; this machine has 8 free: choose fast or a region"
    assert shortage(need, 10.0) == "may need about 11 GB of memory; this machine has 10 free: choose fast or a region"
    assert (
        shortage(need, 64.0, 2.0)
        == "needs about 6 GB of GPU memory; this machine has 2.0 free: choose fast, a region, or the CPU"
    )
    assert shortage(need, 64.0, 16.0) == shortage(need, None, None) == ""


# Facts of networks


def plans(**changes) -> dict:
    """The parts of nnU-Net's plans that are read."""
    one = {
        "spacing": [1.5, 1.0, 1.0],
        "patch_size": [64, 128, 128],
        "architecture": {"arch_kwargs": {"features_per_stage": [32, 64]}},
    }
    return {
        "configurations": {
            "3d_fullres": {**one, **changes},
            "3d_small": {"inherits_from": "3d_fullres", "patch_size": [32, 32, 32]},
        }
    }


def model(folder: Path, document: dict, dataset: dict) -> Path:
    """A model folder without weights."""
    folder.mkdir()
    (folder / "plans.json").write_text(json.dumps(document))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    return folder


def test_a_network_is_read_from_its_folder(tmp_path):
    folder = model(
        tmp_path / "T__P__3d_small", plans(), {"channel_names": {"0": "CT"}, "labels": {"background": 0, "a": 1, "ignore": 2}}
    )
    for fold in range(2):
        (folder / f"fold_{fold}").mkdir()
        (folder / f"fold_{fold}" / "checkpoint_final.pth").write_bytes(bytes(1000))
    found = network_of(folder)
    assert found == Network(2, (1.5, 1.0, 1.0), (32, 32, 32), channels=1, folds=2, features=32, weights_bytes=1000)
    assert network_of(folder, configuration="3d_fullres").patch == (64, 128, 128)


def test_regions_old_plans_and_slices_are_understood(tmp_path):
    regions = {"background": 0, "whole": [1, 2], "core": [2]}
    old = plans(architecture=None, UNet_base_num_features=24)
    found = network_of(model(tmp_path / "a", old, {"modality": {"0": "T1", "1": "T2"}, "labels": regions}))
    assert found.regions and found.heads == 2 and found.features == 24 and found.channels == 2
    flat = network_of(
        model(tmp_path / "b", plans(spacing=[0.8, 0.8], patch_size=[512, 512]), {"labels": {"background": 0, "a": 1}})
    )
    assert flat.patch == (1, 512, 512) and flat.spacing_mm == (1.0, 0.8, 0.8)


@pytest.mark.parametrize("document", [{}, {"configurations": {}}, {"configurations": {"x": {"spacing": "no"}}}, []])
def test_plans_that_cannot_be_used_are_told(tmp_path, document):
    with pytest.raises(ModelError, match=r"^a: its plans.json or dataset.json cannot be read"):
        network_of(model(tmp_path / "a", document, {"labels": {}}))


def test_a_card_of_the_catalogue_is_enough():
    from ModelManagerLib.catalog import Label, ModelCard

    labels = tuple(Label(value, f"l{value}") for value in range(1, 118))
    found = network_of_card(ModelCard("a", "A", "1", "nnunet", labels=labels, spacing_mm=(1.0, 2.0, 3.0)))
    assert found.heads == 118 and found.spacing_mm == (3.0, 2.0, 1.0)
    assert network_of_card(ModelCard("a", "A", "1", "nnunet")) is None


# Real runs

PEAK = """
import json, sys
import numpy as np, torch
from pathlib import Path
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape as export
torch.set_num_threads(1)
folder, shape, spacing = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
predictor = nnUNetPredictor(device=torch.device("cpu"), use_mirroring=False, allow_tqdm=False)
predictor.initialize_from_trained_model_folder(folder, use_folds=None)
plans, configuration = predictor.plans_manager, predictor.configuration_manager
image = np.random.default_rng(0).normal(0, 300, (1, *shape)).astype(np.float32)
preprocessor = configuration.preprocessor_class(verbose=False)
data, _, properties = preprocessor.run_case_npy(image, None, {"spacing": spacing}, plans, configuration, predictor.dataset_json)
logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(data)).cpu()
export(logits, plans, configuration, predictor.label_manager, properties, False)
print("peak", next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.parametrize(
    ("size", "step_mm", "measured_gb"), [(150, 3.0, 3.18), (200, 1.5, 1.82), (320, 0.8, 1.89), (420, 0.7, 3.09)]
)
def test_a_whole_expert_peaked_where_it_is_predicted(size, step_mm, measured_gb):
    """Peaks of `oncosegment segment` with TotalSegmentator (total, fast, CPU) and weights of 117 labels, two features and
    patches of 64 on cubes of random numbers, read from ru_maxrss."""
    network = replace(WHOLE, patch=(64, 64, 64), features=2)
    need = needs_of_run((size,) * 3, (step_mm,) * 3, network, resampled_before=True)
    assert 0.97 < measured_gb / need.ram_gb < 1.08


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from Linux's /proc")
@pytest.mark.parametrize(
    ("labels", "shape", "spacing", "target", "patch", "folds", "features"),
    [
        (117, (96, 96, 96), (1.5, 1.5, 1.5), (1.5, 1.5, 1.5), 96, 1, 2),
        pytest.param(60, (96, 96, 96), (2.0, 2.0, 2.0), (1.5, 1.5, 1.5), 64, 2, 2, marks=pytest.mark.slow),
        pytest.param(30, (60, 180, 180), (3.0, 1.0, 1.0), (1.5, 1.5, 1.5), 64, 1, 8, marks=pytest.mark.slow),
        pytest.param(117, (70, 256, 256), (4.0, 0.9, 0.9), (3.0, 3.0, 3.0), 64, 1, 4, marks=pytest.mark.slow),
        pytest.param(60, (160, 160, 160), (1.0, 1.0, 1.0), (2.0, 2.0, 2.0), 64, 1, 2, marks=pytest.mark.slow),
        pytest.param(10, (128, 128, 128), (1.5, 1.5, 1.5), (1.5, 1.5, 1.5), 128, 1, 32, marks=pytest.mark.slow),
    ],
)
def test_a_real_run_peaks_where_it_was_predicted(tmp_path, labels, shape, spacing, target, patch, folds, features):
    pytest.importorskip("nnunetv2", reason="nnU-Net is not installed (extra 'ai')")
    from helpers_models_tiny import tiny_model

    folder = tiny_model(tmp_path / "model", labels=labels, patch=patch, spacing_mm=target, folds=folds, features=features)
    need = needs_of_run(shape, spacing, network_of(folder))
    call = [sys.executable, "-c", PEAK, str(folder), json.dumps(shape), json.dumps(spacing)]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-1500:]
    measured = int(done.stdout.split("peak")[1]) * 1024
    print(f"predicted {need.ram_gb:.2f} GB ({need.step}), measured {measured / 1e9:.2f} GB")
    low, high = predict.BAND
    nnunet_alone = need.ram_bytes - predict.EXPERT_BYTES  # this process has nothing of an expert's
    assert low * nnunet_alone < measured < high * nnunet_alone


def test_nothing_heavy_is_loaded_to_predict():
    import os

    code = "import sys, ModelManagerLib.predict; print([m for m in ('torch', 'scipy', 'nnunetv2') if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PACKAGE_PARENTS))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"

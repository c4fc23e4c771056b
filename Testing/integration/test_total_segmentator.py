"""The TotalSegmentator expert on tiny networks: the package's real code from array to labels."""

from __future__ import annotations

import json
import os
import socket
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers_total_segmentator import NUMBER, blocks, command, require_package
from OncoLib.errors import Cancelled, InputError, ModelError
from OncoLib.progress import CancelToken

require_package()
pytest.importorskip("torch")

import tiny_totalsegmentator as tiny  # noqa: E402
from OncoSegmentLib.experts.nnunet import loading  # noqa: E402
from OncoSegmentLib.experts.total_segmentator import session, tasks  # noqa: E402
from OncoSegmentLib.experts.total_segmentator.license_number import VARIABLE  # noqa: E402
from OncoSegmentLib.request import Region, Request  # noqa: E402
from OncoSegmentLib.segment import segment  # noqa: E402
from OncoSegmentLib.warm import models  # noqa: E402


@pytest.fixture(scope="module")
def all_weights(tmp_path_factory) -> Path:
    """Tiny networks for every task that has weights."""
    folder = tmp_path_factory.mktemp("weights")
    for name, task in tasks.tasks().items():
        for speed in task.speeds if name != "test" else ():
            tiny.build(folder, tasks.weights_of(task, speed))
    return folder


@pytest.fixture
def weights(all_weights, monkeypatch) -> Path:
    """The environment names the tiny networks; no license number, no home folder of the package."""
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(all_weights))
    monkeypatch.delenv("TOTALSEG_HOME_DIR", raising=False)
    monkeypatch.delenv(VARIABLE, raising=False)
    return all_weights


def run(image, **parameters):
    """The segmentation that a request gives."""
    return segment(image, Request("totalsegmentator", device="cpu", parameters=parameters)).segmentation


def share(segmentation, name: str, corner, size=(14, 16, 18)) -> float:
    """Share of a block, without its rim that smoothing blurs, that carries the structure of that TotalSegmentator name."""
    value = {label: number for number, label in tasks.task("total").labels.items()}[name]
    core = tuple(slice(start + 3, start + length - 3) for start, length in zip(corner, size))
    return float(np.mean(segmentation.layers[0][core] == value))


def test_each_block_gets_the_structure_whose_hu_it_has(weights):
    found = run(blocks())
    for name, corner in (
        ("lung_upper_lobe_left", (4, 6, 6)),
        ("liver", (4, 24, 6)),
        ("spleen", (4, 6, 26)),
        ("vertebrae_L1", (4, 24, 26)),
    ):
        assert share(found, name, corner) == 1.0, name


def test_labels_carry_names_codes_and_provenance(weights):
    found = run(blocks(), structures=["vertebrae_L1", "vertebrae_L2"])
    first, second = found.segments
    assert (first.label, second.label) == (30, 31)
    assert second.structure == "vertebra_l1"
    assert "L1" in second.name
    assert second.entry.type.scheme == "SCT"
    assert first.flags[0] == "empty: the model found none in this image"
    assert set(np.unique(found.layers[0])) == {0, 31}
    assert found.provenance.parameters["networks"] == [
        "Dataset292_TotalSegmentator_part2_vertebrae_1532subj",
        "Dataset298_TotalSegmentator_total_6mm_1559subj",
    ]
    assert found.provenance.parameters["not_found"] == ["vertebrae_L2"]
    assert len(found.provenance.weights_sha256) == 64


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        (("-ta", "total", "-ff"), {"speed": "fastest"}),
        pytest.param(("-rs", "vertebrae_L1", "aorta"), {"structures": ["vertebrae_L1", "aorta"]}, marks=pytest.mark.slow),
        pytest.param(("-ta", "total"), {}, marks=pytest.mark.slow),
        pytest.param(("-ta", "liver_lesions"), {"task": "liver_lesions"}, marks=pytest.mark.slow),
        pytest.param(("-ta", "lung_nodules"), {"task": "lung_nodules"}, marks=pytest.mark.slow),
        pytest.param(("-ta", "vertebrae_pp_refined"), {"task": "vertebrae_pp_refined"}, marks=pytest.mark.slow),
        pytest.param(("-ta", "body"), {"task": "body"}, marks=pytest.mark.slow),
        pytest.param(("-ta", "tissue_types"), {"task": "tissue_types"}, marks=pytest.mark.slow),
        pytest.param(("-ta", "pleural_pericard_effusion"), {"task": "pleural_pericard_effusion"}, marks=pytest.mark.slow),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_bit_identical_to_the_command(weights, tmp_path, monkeypatch, arguments, parameters):
    monkeypatch.setenv(VARIABLE, NUMBER)
    image = blocks(noise=200.0)
    reference = command(image, tmp_path, weights, *arguments)
    found = run(image, **parameters)
    np.testing.assert_array_equal(found.layers[0], reference)
    if "liver_lesions" not in arguments:
        assert reference.any()


@pytest.mark.slow
def test_bit_identical_on_oblique_left_handed_grids(weights, tmp_path):
    from helpers import GRIDS

    for name, matrix in GRIDS.items():
        image = replace(blocks(noise=200.0), ijk_to_ras=matrix)
        folder = tmp_path / name
        folder.mkdir()
        reference = command(image, folder, weights, "-ff")
        np.testing.assert_array_equal(run(image, speed="fastest").layers[0], reference, err_msg=name)


def test_no_network_and_no_usage_statistics(weights, monkeypatch):
    called = []

    def refuse(*arguments, **_):
        called.append(arguments)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    run(blocks(), speed="fastest")
    assert called == []


def test_no_worker_pools_and_nothing_printed(weights, monkeypatch, capfd):
    import multiprocessing.process

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", lambda self: pytest.fail("a process was started"))
    run(blocks(), speed="fastest")
    assert capfd.readouterr().out == ""


def test_surroundings_are_put_back(weights, tmp_path, monkeypatch):
    import tempfile

    import torch
    import totalsegmentator.nnunet as package

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    environment, threads, function = dict(os.environ), torch.get_num_threads(), package.nnUNetv2_predict
    run(blocks(), speed="fastest")
    with pytest.raises(Cancelled):
        cancelled_after(1)
    assert dict(os.environ) == environment
    assert torch.get_num_threads() == threads
    assert package.nnUNetv2_predict is function
    assert list(tmp_path.iterdir()) == []


def cancelled_after(reports: int):
    """A run whose token is set at that report of a tile."""
    token, seen = CancelToken(), []

    def progress(fraction, message):
        if "predicting" in message:
            seen.append(message)
        if len(seen) == reports:
            token.cancel()

    request = Request("totalsegmentator", device="cpu", parameters={"speed": "fastest"})
    return segment(blocks(), request, progress=progress, cancel=token)


def test_progress_counts_networks_and_never_goes_back(weights):
    told = []
    request = Request("totalsegmentator", device="cpu", parameters={"structures": ["liver"]})
    segment(blocks(), request, progress=lambda fraction, message: told.append((fraction, message)))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert any(message == "Network 2 of 2: predicting" for _, message in told)


def test_networks_are_loaded_once(weights, monkeypatch):
    models.release()
    run(blocks(), speed="fastest")
    monkeypatch.setattr(loading, "load", lambda *_: pytest.fail("loaded again"))
    run(blocks(), speed="fastest")
    assert models.names == ("Dataset298_TotalSegmentator_total_6mm_1559subj",)


def test_exchanged_weights_are_loaded_anew(weights, tmp_path, monkeypatch):
    """A new file under an old name must not answer with the old network."""
    folder = tmp_path / "own"
    needed = tasks.weights_of(tasks.task("total"), "fastest")
    tiny.build(folder, needed)
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(folder))
    assert run(blocks(), speed="fastest").layers[0].any()
    import torch

    (checkpoint,) = folder.glob("*/*/fold_0/*.pth")
    state = torch.load(checkpoint, weights_only=False)
    state["network_weights"] = {name: torch.zeros_like(value) for name, value in state["network_weights"].items()}
    torch.save({**state, "note": "all classes score zero, so the first one, background, wins"}, checkpoint)
    assert not run(blocks(), speed="fastest").layers[0].any()


def test_license_number_reaches_the_package_in_a_private_home(weights, monkeypatch):
    monkeypatch.setenv(VARIABLE, NUMBER)
    seen = {}
    from totalsegmentator import config

    original = config.setup_totalseg

    def look(*arguments):
        home = Path(os.environ["TOTALSEG_HOME_DIR"])
        seen["home"] = home
        seen["modes"] = [stat.S_IMODE(path.stat().st_mode) for path in (home, home / "config.json")]
        seen["config"] = json.loads((home / "config.json").read_text())
        return original(*arguments)

    monkeypatch.setattr("totalsegmentator.python_api.setup_totalseg", look)
    found = run(blocks(), task="tissue_types")
    assert seen["config"]["license_number"] == NUMBER
    assert seen["config"]["send_usage_stats"] is False
    if os.name == "posix":
        assert seen["modes"] == [0o700, 0o600]
    assert not seen["home"].exists()
    assert NUMBER not in json.dumps(found.provenance.as_dict())


def test_licensed_task_without_a_number_says_so_before_anything_runs(weights):
    with pytest.raises(ModelError, match="'tissue_types' needs a license number"):
        run(blocks(), task="tissue_types")


def test_missing_weights_are_told_before_anything_runs(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))
    with pytest.raises(ModelError, match="'total' are not installed: Dataset298_TotalSegmentator_total_6mm_1559subj"):
        run(blocks(), speed="fastest")
    assert list(tmp_path.iterdir()) == []


def test_damaged_weights_are_named(weights, tmp_path, monkeypatch):
    tiny.build(tmp_path, tasks.weights_of(tasks.task("total"), "fastest"))
    (checkpoint,) = tmp_path.glob("*/*/fold_0/*.pth")
    checkpoint.write_bytes(checkpoint.read_bytes()[:200])
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))
    with pytest.raises(ModelError, match="Dataset298_TotalSegmentator_total_6mm_1559subj cannot be loaded"):
        run(blocks(), speed="fastest")


def test_old_weights_of_the_user_are_not_deleted(weights, tmp_path, monkeypatch):
    """The package removes folders of old versions before it runs; here nothing of the user's is removed."""
    tiny.build(tmp_path, tasks.weights_of(tasks.task("total"), "fastest"))
    old = tmp_path / "Dataset302_vertebrae_body_1559subj"
    old.mkdir()
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))
    run(blocks(), speed="fastest")
    assert old.is_dir()


def test_region_keeps_labels_inside(weights):
    box = Region("box", box_ras_mm=(-60.5, -20.0, -40.25, 100.0, 100.0, 200.0), rough=True)
    request = Request("totalsegmentator", device="cpu", region=box, parameters={"speed": "fastest"})
    found = segment(blocks(), request).segmentation
    everywhere = run(blocks(), speed="fastest")
    inside = box.inside(blocks())
    np.testing.assert_array_equal(found.layers[0], np.where(inside, everywhere.layers[0], 0))


def test_voxels_without_a_value_belong_to_no_structure(weights):
    image = blocks()
    voxels = image.voxels.astype(np.float32)
    voxels[4:12, 24:30, 26:40] = np.nan
    found = run(replace(image, voxels=voxels), speed="fastest")
    assert found.layers[0].any()
    assert not found.layers[0][~np.isfinite(voxels)].any()


def test_another_modality_is_refused_with_the_task_for_it(weights):
    magnetic = replace(blocks(), modality="MR", units="a.u.")
    with pytest.raises(InputError, match="modality is MR; the task 'total' is for CT; the task 'total_mr' is for MR"):
        run(magnetic)
    assert run(magnetic, task="total_mr", speed="fastest").layers[0].shape == magnetic.shape_kji


def test_profiles_and_unknown_parameters_are_refused(weights):
    with pytest.raises(InputError, match="takes a task, no profile"):
        segment(blocks(), Request("totalsegmentator", profile="bones"))
    with pytest.raises(InputError, match="no parameter 'roi'"):
        run(blocks(), roi="liver")


def test_a_structure_outside_of_the_image_gives_an_empty_segment(weights):
    image = blocks()
    found = run(replace(image, voxels=np.where(image.voxels > 200, 50, image.voxels)), structures=["vertebrae_L1"])
    (segment_found,) = found.segments
    assert not found.layers[0].any()
    assert segment_found.flags[0].startswith("empty")


def test_one_vertebra_needs_no_weights_of_the_other_parts(weights, tmp_path, monkeypatch):
    """The command would download all five parts first."""
    needed = tasks.weights_of(tasks.task("total"), "normal", ("vertebrae_L1",))
    tiny.build(tmp_path, needed)
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))
    assert run(blocks(), structures=["vertebrae_L1"]).layers[0].any()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(one.folder for one in needed)


def test_a_network_that_goes_missing_meanwhile_is_named(tmp_path):
    with pytest.raises(ModelError, match="weights Dataset291.* are not installed"):
        loading.load(tmp_path / "Dataset291_gone" / "model", [0], None)


def test_in_a_process_of_its_own(weights):
    from OncoSegmentLib.engine import jobs
    from OncoSegmentLib.engine.process import ProcessEngine

    request = Request("totalsegmentator", device="cpu", parameters={"speed": "fastest"})
    found = jobs.run(blocks(), request, engine=ProcessEngine()).segmentation
    np.testing.assert_array_equal(found.layers[0], run(blocks(), speed="fastest").layers[0])


@pytest.mark.slow
def test_teeth_runs_on_the_cpu(weights):
    """The package's own command stops at this task on the CPU: it loses the device where one task calls another."""
    found = run(blocks(), task="teeth")
    assert "Dataset115_mandible" in found.provenance.parameters["networks"] or not found.layers[0].any()


def test_a_structure_that_the_crop_model_does_not_know_is_refused(weights):
    with pytest.raises(InputError, match="cannot be limited to 'vertebrae_L6'"):
        run(blocks(), task="total_v3", structures=["vertebrae_L6"])


def test_an_image_smaller_than_the_networks_voxels_is_refused(weights):
    image = blocks()
    tiny_spacing = image.ijk_to_ras @ np.diag([0.05, 0.05, 0.05, 1])
    with pytest.raises(InputError, match="covers 5.6 x 5.28 x 5 mm; wanted at least 12 mm"):
        run(replace(image, ijk_to_ras=tiny_spacing), speed="fastest")


def test_changed_plans_are_another_network_with_another_hash(weights, tmp_path, monkeypatch):
    tiny.build(tmp_path, tasks.weights_of(tasks.task("total"), "fastest"))
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))
    before = run(blocks(), speed="fastest")
    (plans,) = tmp_path.glob("*/*/plans.json")
    text = plans.read_text()
    assert '"std": 1000.0' in text
    plans.write_text(text.replace('"std": 1000.0', '"std": 500.0'))
    after = run(blocks(), speed="fastest")
    assert before.provenance.weights_sha256 != after.provenance.weights_sha256
    assert (before.layers[0] != after.layers[0]).any()


def test_provenance_names_the_packages_that_decide(weights):
    import importlib.metadata

    packages = run(blocks(), speed="fastest").provenance.packages
    for name in ("TotalSegmentator", "nnunetv2", "torch"):
        assert packages[name] == importlib.metadata.version(name)


def test_a_kept_network_keeps_no_image(weights):
    import gc
    import weakref

    image = blocks()
    voxels = weakref.ref(image.voxels)
    segment(image, Request("totalsegmentator", device="cpu", parameters={"speed": "fastest"}))
    assert models.names
    del image
    gc.collect()
    assert voxels() is None


@pytest.mark.slow
def test_folds_and_cases_never_take_progress_back(weights, monkeypatch):
    monkeypatch.setenv(VARIABLE, NUMBER)
    told = []
    request = Request("totalsegmentator", device="cpu", parameters={"task": "aorta_annulus"})
    segment(blocks(), request, progress=lambda fraction, message: told.append(fraction))
    assert len(told) > 6 and told == sorted(told)


def test_waiting_for_another_run_can_be_cancelled(weights, tmp_path):
    token = CancelToken()
    token.cancel()
    with session.session(tmp_path), pytest.raises(Cancelled):
        with session.session(tmp_path, cancel=token):
            pass


def test_the_check_does_not_load_torch(weights):
    """It runs on Slicer's main thread when the user presses Apply."""
    import subprocess
    import sys

    code = (
        "import sys; from helpers_total_segmentator import blocks; from OncoSegmentLib.request import Request;"
        "from OncoSegmentLib.segment import check_request;"
        "check_request(blocks(), Request('totalsegmentator', parameters={'speed': 'fastest'}));"
        "sys.exit('torch' in sys.modules)"
    )
    from helpers import PACKAGE_PARENTS, ROOT

    path = os.pathsep.join([*PACKAGE_PARENTS, str(ROOT / "Testing")])
    environment = {**os.environ, "PYTHONPATH": path}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


def test_weights_of_the_store_are_found_and_compared_with_their_manifest(weights, tmp_path, monkeypatch):
    from ModelManagerLib import store
    from ModelManagerLib.catalog import find_card

    mine, root = tmp_path / "mine", tmp_path / "store"
    tiny.build(mine, tasks.weights_of(tasks.task("total"), "fastest"))
    card = find_card("totalsegmentator-298")
    store.import_from(mine, accept_license=lambda license: True, cards=[card], root=root)
    monkeypatch.delenv("TOTALSEG_WEIGHTS_PATH")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ONCOSEGMENT_MODELS", str(root))
    assert run(blocks(), speed="fastest").layers[0].any()
    (checkpoint,) = (root / "nnunet" / "results").glob("*/*/fold_0/*.pth")
    checkpoint.write_bytes(checkpoint.read_bytes() + b"x")
    with pytest.raises(ModelError, match="fold_0/checkpoint_final.pth is not the one that was installed"):
        run(blocks(), speed="fastest")
    assert not store.verify(card, root=root).sound
    with pytest.raises(ModelError, match="are damaged; `oncosegment models install totalsegmentator-298`"):
        run(blocks(), speed="fastest")


def test_a_checkpoint_that_would_run_code_runs_nothing(weights, tmp_path, monkeypatch):
    import pickle

    tiny.build(tmp_path / "w", tasks.weights_of(tasks.task("total"), "fastest"))
    (checkpoint,) = (tmp_path / "w").glob("*/*/fold_0/*.pth")
    marker = tmp_path / "ran"

    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {marker}",)

    checkpoint.write_bytes(pickle.dumps(Hostile()))
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path / "w"))
    with pytest.raises(ModelError, match="cannot be loaded"):
        run(blocks(), speed="fastest")
    assert not marker.exists()

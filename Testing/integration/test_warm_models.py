"""Networks kept between runs of the TotalSegmentator expert: shared by content, bounded, freed, and without the patient."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers import PACKAGE_PARENTS, ROOT
from helpers_total_segmentator import blocks, require_package
from OncoLib.errors import Cancelled, ModelError
from OncoLib.progress import CancelToken

require_package()
pytest.importorskip("torch")

import tiny_totalsegmentator as tiny  # noqa: E402
from OncoSegmentLib.experts.nnunet import loading  # noqa: E402
from OncoSegmentLib.experts.total_segmentator import tasks  # noqa: E402
from OncoSegmentLib.request import Request  # noqa: E402
from OncoSegmentLib.segment import segment  # noqa: E402
from OncoSegmentLib.warm import WarmModels  # noqa: E402

FASTEST = Request("totalsegmentator", device="cpu", parameters={"speed": "fastest"})
LIVER = Request("totalsegmentator", device="cpu", parameters={"structures": ["liver"]})
"""Two networks: a crop model, then a part at full resolution, with many tiles."""


@pytest.fixture(scope="module")
def tiny_weights(tmp_path_factory) -> Path:
    """The networks of both requests."""
    folder = tmp_path_factory.mktemp("weights")
    task = tasks.task("total")
    tiny.build(folder, tasks.weights_of(task, "fastest"))
    tiny.build(folder, tasks.weights_of(task, "normal", ("liver",)))
    return folder


@pytest.fixture
def warm(tiny_weights, monkeypatch) -> WarmModels:
    """What this process keeps, empty, with room for all."""
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tiny_weights))
    kept = WarmModels(10**9)
    monkeypatch.setattr(loading, "models", kept)
    return kept


def labels(request: Request, **options) -> np.ndarray:
    """Label map of the request on the blocks."""
    return segment(blocks(), request, **options).segmentation.layers[0]


@pytest.fixture
def loads(monkeypatch) -> list:
    """Names of the weights that are loaded from files."""
    names, load = [], loading.load

    def counted(folder, *arguments, **options):
        names.append(folder.parent.name)
        return load(folder, *arguments, **options)

    monkeypatch.setattr(loading, "load", counted)
    return names


def test_copies_of_the_same_weights_share_one_network(warm, loads, tiny_weights, tmp_path, monkeypatch):
    before = labels(FASTEST)
    shutil.copytree(tiny_weights, tmp_path / "copy")
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path / "copy"))
    np.testing.assert_array_equal(labels(FASTEST), before)
    assert len(loads) == 1 and len(warm) == 1


def test_a_changed_checkpoint_of_the_same_size_and_time_is_another_network(warm, loads, tmp_path, monkeypatch):
    import torch

    tiny.build(tmp_path, tasks.weights_of(tasks.task("total"), "fastest"))
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))
    assert labels(FASTEST).any()
    (path,) = tmp_path.glob("*/*/fold_0/*.pth")
    state, content = path.stat(), torch.load(path, weights_only=False)
    content["network_weights"] = {name: torch.zeros_like(value) for name, value in content["network_weights"].items()}
    torch.save(content, path)
    assert path.stat().st_size == state.st_size
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert not labels(FASTEST).any()
    assert len(loads) == 2 and len(warm) == 2


def test_weights_exchanged_while_they_are_read_are_refused_and_not_kept(warm, tmp_path, monkeypatch):
    tiny.build(tmp_path, tasks.weights_of(tasks.task("total"), "fastest"))
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))
    (plans,) = tmp_path.glob("*/*/plans.json")
    load_unchanged = loading.load_unchanged

    def exchanged(*arguments):
        plans.write_text(plans.read_text() + " ")
        return load_unchanged(*arguments)

    monkeypatch.setattr(loading, "load_unchanged", exchanged)
    with pytest.raises(ModelError, match="weights Dataset298.* changed while they were loaded; start the run again"):
        labels(FASTEST)
    assert len(warm) == 0


def test_with_no_budget_every_network_of_a_run_is_used_and_none_kept(warm, loads, monkeypatch):
    wanted = labels(LIVER)
    assert len(warm) == 2
    none = WarmModels(0)
    monkeypatch.setattr(loading, "models", none)
    np.testing.assert_array_equal(labels(LIVER), wanted)
    assert len(none) == 0 and len(loads) == 4


def test_a_network_holds_its_weights_once(warm):
    labels(FASTEST)
    (held,), (entry,) = warm.held(), warm._entries.values()
    parameters = list(entry.model.network.parameters())
    assert held.bytes_on == {"cpu": sum(value.numel() * value.element_size() for value in parameters)}


def test_each_fold_of_several_keeps_its_own_weights(warm, tmp_path):
    import torch

    (weights,) = tasks.weights_of(tasks.task("total"), "fastest")
    tiny.build(tmp_path, [replace(weights, folds=(0, 1))])
    model = tmp_path / weights.folder / weights.model_folder
    second = model / "fold_1" / "checkpoint_final.pth"
    content = torch.load(second, weights_only=False)
    content["network_weights"] = {name: value * 0.5 for name, value in content["network_weights"].items()}
    torch.save(content, second)
    name, cpu = "decoder.seg_layers.0.weight", torch.device("cpu")
    with loading.leased(model, (0, 1), cpu) as both:
        one, two = both.list_of_parameters
        assert one[name].any() and torch.equal(one[name] * 0.5, two[name])
    with loading.leased(model, (0,), cpu) as first, loading.leased(model, (1,), cpu) as other:
        assert torch.equal(first.list_of_parameters[0][name], one[name])
        assert torch.equal(other.network.state_dict()[name], two[name])
    assert len(warm) == 3


def test_a_dropped_network_is_freed(warm):
    labels(FASTEST)
    (entry,) = warm._entries.values()
    network = weakref.ref(entry.model.network)
    del entry
    gc.disable()
    try:
        assert warm.release() > 0
    finally:
        gc.enable()
    assert network() is None


def wait_for_threads(before: set) -> None:
    """Until no other threads run than before, and tqdm's one for the process; fails after ten seconds."""
    deadline = time.monotonic() + 10
    while (left := [one.name for one in set(threading.enumerate()) - before if one.name != "tqdm_monitor"]):
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def test_a_run_that_is_cancelled_between_tiles_leaves_no_image_and_no_thread(warm):
    """nnU-Net cuts tiles in a thread that would wait for ever with the image."""
    image, token, before = blocks(), CancelToken(), set(threading.enumerate())
    voxels, tiles = weakref.ref(image.voxels), []

    def progress(fraction, message):
        if message == "Network 2 of 2: predicting":
            tiles.append(fraction)
        if len(tiles) == 2:
            token.cancel()

    with pytest.raises(Cancelled):
        segment(image, LIVER, progress=progress, cancel=token)
    del image
    assert len(tiles) == 2 and warm.in_use == 0
    wait_for_threads(before)
    gc.collect()
    assert voxels() is None


def test_a_kept_network_keeps_no_image_no_progress_and_no_token(warm):
    image, token = blocks(), CancelToken()

    def progress(fraction, message):
        pass

    watched = [weakref.ref(one) for one in (image.voxels, token, progress)]
    segment(image, LIVER, progress=progress, cancel=token)
    assert len(warm) == 2
    del image, token, progress
    gc.collect()
    assert [one() for one in watched] == [None] * 3


def make_greedy(network) -> None:
    """Its second tile asks for a petabyte, so that torch's own error comes from where it would."""
    import torch

    calls = []

    def greedy(module, arguments):
        calls.append(1)
        if len(calls) == 2:
            torch.empty(1 << 50, dtype=torch.uint8)

    network.register_forward_pre_hook(greedy)


def test_running_out_of_memory_in_a_run_frees_all_and_says_what_to_do(warm, monkeypatch):
    from OncoSegmentLib.warm import models

    monkeypatch.setattr(loading, "models", models)
    models.release()
    wanted = labels(LIVER)
    assert len(models) == 2
    networks = [entry.model.network for entry in models._entries.values()]
    make_greedy(networks[1])
    networks = [weakref.ref(network) for network in networks]
    image, before = blocks(), set(threading.enumerate())
    voxels = weakref.ref(image.voxels)
    with pytest.raises(ModelError, match="this machine ran out of memory during the run; choose the speed 'fast', crop") as told:
        segment(image, LIVER)
    assert "DefaultCPUAllocator" in str(told.value.__cause__)
    assert len(models) == 0
    assert [one() for one in networks] == [None, None]
    del image, told  # the error's own trace goes through `segment`, whose argument is the image
    wait_for_threads(before)
    gc.collect()
    assert voxels() is None
    np.testing.assert_array_equal(labels(LIVER), wanted)
    models.release()


def test_running_out_of_memory_while_loading_is_not_told_as_damage(warm, monkeypatch):
    import torch

    def greedy(self, *arguments, **options):
        torch.empty(1 << 50, dtype=torch.uint8)

    monkeypatch.setattr(torch.nn.Module, "load_state_dict", greedy)
    with pytest.raises(ModelError, match="^this machine ran out of memory during the run"):
        labels(FASTEST)
    assert len(warm) == 0


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")
def test_the_memory_of_a_large_network_goes_back_to_the_system(tmp_path):
    """In a process of its own, against its size after a first run and release."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*PACKAGE_PARENTS, str(ROOT / "Testing")])}
    call = [sys.executable, "-m", "benchmarks.warm", "memory", str(tmp_path)]
    done = subprocess.run(call, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["held"] > 100e6
    assert found["warm"] - found["before"] >= 0.9 * found["held"]
    assert abs(found["after"] - found["before"]) <= 0.05 * found["before"]

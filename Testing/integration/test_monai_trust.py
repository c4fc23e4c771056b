"""Hostile bundles: nothing of theirs runs before the user confirmed them, and then in a process of its own only."""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from OncoLib.errors import InputError, ModelError
from OncoLib.image_files import write_image
from OncoSegmentLib.segment import segment

pytest.importorskip("monai", reason="MONAI is not installed (extra 'ai'), so its tests cannot run")
pytest.importorskip("torch", reason="PyTorch is not installed (extra 'ai'), so its tests cannot run")

import tiny_monai as tiny  # noqa: E402
from helpers_monai import hostile, noise, request, scripted, system  # noqa: E402
from OncoSegmentLib.experts.monai_bundle.trust import bundle_sha256, own_modules  # noqa: E402

pytestmark = pytest.mark.usefixtures("own_store", "networks_released")


@pytest.fixture
def trap(tmp_path):
    """A file that a program of the bundle would leave behind."""
    return tmp_path / "it ran"


def popen(trap: Path) -> dict:
    """A component that starts a program."""
    return {"_target_": "subprocess.Popen", "args": [sys.executable, "-c", f"open({str(trap)!r}, 'w')"]}


CHANGES = {
    "expression for a value": lambda trap: lambda one: one.update(image_key=system(trap)),
    "expression in the network": lambda trap: lambda one: one["network_def"].update(in_channels=system(trap)),
    "component for the network": lambda trap: lambda one: one.update(network_def=popen(trap)),
    "component in an argument": lambda trap: lambda one: one["network_def"].update(act=popen(trap)),
    "requires": lambda trap: lambda one: one["inferer"].update(_requires_=system(trap)),
    "requires a component": lambda trap: lambda one: one["inferer"].update(_requires_=[popen(trap)]),
    "mode": lambda trap: lambda one: one["inferer"].update(_mode_="debug"),
    "disabled by expression": lambda trap: lambda one: one["inferer"].update(_disabled_=system(trap)),
    "macro of a file": lambda trap: lambda one: one.update(inferer="%configs/evil.json::inferer"),
    "macro in the place of a transform": lambda trap: lambda one: one["preprocessing"]["transforms"].append("%evil"),
    "script of its own": lambda trap: lambda one: one["preprocessing"]["transforms"].append({"_target_": "scripts.steps.Step"}),
    "package named like a real one": lambda trap: lambda one: one["network_def"].update(_target_="monai.networks.nets.evil.Net"),
    "function between steps": lambda trap: lambda one: one["preprocessing"]["transforms"].append(
        {"_target_": "Lambdad", "keys": "image", "func": "$lambda x: x"}
    ),
    "function after labels": lambda trap: lambda one: one["postprocessing"]["transforms"].insert(
        -1, {"_target_": "Lambdad", "keys": "pred", "func": "$lambda x: x"}
    ),
    "method of a value": lambda trap: lambda one: one.update(inferer="$@network_def.__class__"),
    "file that is loaded from elsewhere": lambda trap: lambda one: one["network_def"].update(
        _target_="torch.hub.load", repo_or_dir="a/b"
    ),
}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_hostile_configurations_are_refused_with_their_hash_and_nothing_runs(name, tmp_path, trap, monkeypatch):
    bundle = hostile(tmp_path / "tiny", CHANGES[name](trap))
    (bundle / "scripts").mkdir()
    (bundle / "scripts" / "__init__.py").write_text(f"open({str(trap)!r}, 'w')")
    (bundle / "monai").mkdir()
    (bundle / "monai" / "__init__.py").write_text(f"open({str(trap)!r}, 'w')")
    monkeypatch.chdir(bundle)
    with pytest.raises(ModelError, match=f"could run any program.*by their SHA-256 {bundle_sha256(bundle)}") as told:
        segment(noise(), request(bundle))
    assert str(tmp_path) not in str(told.value) and "\n" not in str(told.value)
    assert not trap.exists()


def test_what_inference_does_not_need_does_not_matter_and_does_not_run(tmp_path, trap):
    def change(one):
        one.update(initialize=[system(trap)], run=[system(trap)], imports=[system(trap)], datalist=system(trap))
        one["handlers"].append(popen(trap))
        one["evaluator"].update(key_val_metric=popen(trap))
        one["postprocessing"]["transforms"][-1].update(output_dir=system(trap))
        one["preprocessing"]["transforms"][0].update(reader=popen(trap))

    assert segment(noise(), request(hostile(tmp_path / "tiny", change))).segmentation.layers[0].any()
    assert not trap.exists()


def test_a_pickled_checkpoint_and_paths_out_of_the_bundle(tmp_path, trap):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (trap,))

    import torch

    bundle = tiny.labels_bundle(tmp_path / "tiny")
    weights = bundle / "models" / "model.pt"
    torch.save({"a": Bomb()}, weights)
    with pytest.raises(ModelError, match="model.pt was not loaded"):
        segment(noise(), request(bundle))
    weights.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelError, match="bare pickle"):
        segment(noise(), request(bundle))
    torch.save({"a": torch.zeros(1)}, tmp_path / "outside.pt")
    away = hostile(tmp_path / "away", lambda one: one["network_def"].update(in_channels="$torch.load('../outside.pt')['a']"))
    with pytest.raises(ModelError, match="reads outside.pt, which is not in the bundle"):
        segment(noise(), request(away))
    assert not trap.exists()


def test_a_bundle_behind_a_link_that_names_its_weights(tmp_path):
    """A home on another disk; what the checkpoint's loader names is resolved, the folder is not."""
    bundle = hostile(
        tmp_path / "disk" / "tiny",
        lambda one: one.update(load={"_target_": "CheckpointLoader", "load_path": "$@bundle_root + '/models/model.pt'"}),
    )
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    linked = segment(noise(), request(tmp_path / "home" / "tiny")).segmentation.provenance
    assert sorted(linked.parameters["files_sha256"])[2] == "models/model.pt"
    assert linked.weights_sha256 == segment(noise(), request(bundle)).segmentation.provenance.weights_sha256


@pytest.mark.slow
def test_torchscript_only_is_told_and_runs_confirmed(tmp_path):
    import torch
    from monai.networks.nets import UNet

    bundle = tiny.labels_bundle(tmp_path / "tiny")
    wanted = segment(noise(), request(bundle)).segmentation.layers[0]
    network = UNet(in_channels=1, out_channels=3, **tiny.NETWORKS["UNet"]).eval()
    network.load_state_dict(torch.load(bundle / "models" / "model.pt", weights_only=True))
    torch.jit.trace(network, torch.zeros(1, 1, 32, 32, 32)).save(str(bundle / "models" / "model.ts"))
    (bundle / "models" / "model.pt").unlink()
    with pytest.raises(ModelError, match=f"only weights are model.ts, a TorchScript archive.*{bundle_sha256(bundle)}"):
        segment(noise(), request(bundle))
    np.testing.assert_array_equal(in_a_process(bundle).layers[0], wanted)


def in_a_process(bundle):
    """The segmentation by the process engine, with the bundle's own hash confirmed."""
    from OncoSegmentLib.engine import jobs
    from OncoSegmentLib.engine.process import ProcessEngine

    return jobs.run(noise(), request(bundle, confirm=bundle_sha256(bundle)), engine=ProcessEngine()).segmentation


def test_a_confirmed_bundle_does_not_run_in_this_process(tmp_path, trap):
    bundle = scripted(tmp_path / "tiny", trap)
    confirm = bundle_sha256(bundle)
    with pytest.raises(InputError, match="no SHA-256"):
        segment(noise(), request(bundle, confirm="yes"))
    with pytest.raises(ModelError, match=f"have the SHA-256 {confirm} together, which is not the one confirmed"):
        segment(noise(), request(bundle, confirm="0" * 64))
    with pytest.raises(ModelError, match="holds a program of its publisher's and runs in a worker process only"):
        segment(noise(), request(bundle, confirm=confirm))
    assert not trap.exists()


@pytest.mark.slow
def test_a_confirmed_bundle_runs_in_a_process_of_its_own(tmp_path, trap):
    bundle = scripted(tmp_path / "tiny", trap)
    plain = tiny.labels_bundle(tmp_path / "plain")
    confirm = bundle_sha256(bundle)
    found = in_a_process(bundle)
    assert int(trap.read_text()) != os.getpid()
    assert found.provenance.parameters["confirmed"] is True
    np.testing.assert_array_equal(found.layers[0], segment(noise(), request(plain)).segmentation.layers[0])
    assert not list(bundle.rglob("__pycache__")) and bundle_sha256(bundle) == confirm


@pytest.mark.slow
def test_the_command_takes_a_process_by_itself_and_says_so(tmp_path, trap, capsys):
    from OncoAppLib.cli import main

    bundle = scripted(tmp_path / "tiny", trap)
    image = noise()
    write_image(tmp_path / "ct.nii.gz", image.voxels, image.ijk_to_ras)
    call = ["segment", str(tmp_path / "ct.nii.gz"), "--model", "monai_bundle", "--weights", str(bundle), "--modality", "CT"]
    call += ["--units", "HU", "--output", str(tmp_path / "out"), "--device", "cpu", "--json"]
    assert main(call) == 4
    told = json.loads(capsys.readouterr().out)["error"]
    assert "the class 'scripts.steps.Step', which could run any program" in told
    assert not trap.exists() and not (tmp_path / "out").exists()
    assert main([*call, "--confirm", told.rpartition(" ")[2]]) == 0
    told = json.loads(capsys.readouterr().out)
    assert any("in a process of its own" in note for note in told["input"]["notes"])
    assert int(trap.read_text()) != os.getpid() and told["provenance"]["parameters"]["confirmed"] is True


def test_the_hash_covers_every_file_and_no_link(tmp_path):
    bundle = tiny.labels_bundle(tmp_path / "tiny")
    seen = {bundle_sha256(bundle)}
    for name, content in (("scripts.py", ""), ("scripts.pyc", "x"), ("docs.txt", "x"), ("models/other.pt", "x")):
        (bundle / name).write_text(content)
        seen.add(bundle_sha256(bundle))
    (bundle / "docs.txt").rename(bundle / "dogs.txt")
    assert len(seen | {bundle_sha256(bundle)}) == 6
    (bundle / "link").symlink_to(tmp_path)
    with pytest.raises(ModelError, match="link is a link"):
        bundle_sha256(bundle)


def test_modules_of_one_bundle_are_not_those_of_the_next(tmp_path):
    import importlib

    for name in ("one", "other"):
        (tmp_path / name / "scripts_of_a_test").mkdir(parents=True)
        (tmp_path / name / "scripts_of_a_test" / "__init__.py").write_text(f"NAME = {name!r}")
        with own_modules(tmp_path / name):
            assert importlib.import_module("scripts_of_a_test").NAME == name
        assert "scripts_of_a_test" not in sys.modules and str(tmp_path / name) not in sys.path
    (tmp_path / "one" / "json").mkdir()
    (tmp_path / "one" / "json" / "__init__.py").write_text("raise SystemError('the bundle hides a package')")
    with own_modules(tmp_path / "one"):
        importlib.reload(json)

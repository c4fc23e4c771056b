"""Files of a model that somebody exchanges between the moment they were checked and the moment they are used never run."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile

import numpy as np
import pytest

from helpers_total_segmentator import blocks
from ModelManagerLib import checkpoint
from ModelManagerLib.own_models import import_own
from OncoLib.errors import Cancelled, ModelError
from OncoLib.progress import CancelToken
from OncoSegmentLib.request import Request
from OncoSegmentLib.segment import segment
from OncoSegmentLib.warm import models

pytest.importorskip("torch", reason="PyTorch is not installed (extra 'ai'), so its tests cannot run")

pytestmark = pytest.mark.usefixtures("own_store", "networks_released")


@pytest.fixture
def in_a_worker(monkeypatch):
    """This process counts as a worker: what runs here runs where the test sees it."""
    monkeypatch.setattr("OncoSegmentLib.worker._marks", ["process"])


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder in which private copies are made."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def before(monkeypatch, place, name: str, change) -> None:
    """`change()` happens once, just before `place.name(...)` is called."""
    real, todo = getattr(place, name), [change]

    def called(*arguments, **options):
        if todo:
            todo.pop()()
        return real(*arguments, **options)

    monkeypatch.setattr(place, name, called)


# MONAI bundles


@pytest.fixture
def bundle(tmp_path, in_a_worker):
    """A bundle with a step of its own, confirmed, and what exchanges that step and adds an expression of its own."""
    pytest.importorskip("monai", reason="MONAI is not installed (extra 'ai'), so its tests cannot run")
    from helpers_monai import scripted
    from OncoSegmentLib.experts.monai_bundle.trust import bundle_sha256

    folder, evil = scripted(tmp_path / "tiny", tmp_path / "confirmed ran"), tmp_path / "evil ran"

    def exchange():
        step = folder / "scripts" / "steps.py"
        step.write_text(step.read_text().replace("confirmed ran", "evil ran"))
        config = folder / "configs" / "inference.json"
        changed = {**json.loads(config.read_text()), "image_key": f"$open({str(evil)!r}, 'w') and 'image'"}
        changed["inferer"] = {**changed["inferer"], "_requires_": f"$open({str(evil)!r}, 'w')"}
        config.write_text(json.dumps(changed))
        (folder / "models" / "model.pt").write_bytes(b"no weights")

    return folder, bundle_sha256(folder), exchange


def run_bundle(folder, confirm, **options):
    from helpers_monai import noise, request

    return segment(noise(), request(folder, confirm=confirm), **options).segmentation


@pytest.mark.parametrize("moment", ["made", "predicted"])
def test_files_of_a_confirmed_bundle_that_are_exchanged_after_its_hash_never_run(
    moment, bundle, tmp_path, temporary, monkeypatch
):
    from OncoSegmentLib.experts.monai_bundle import expert

    folder, confirm, exchange = bundle
    wanted = run_bundle(folder, confirm).layers[0]
    (tmp_path / "confirmed ran").unlink()
    before(monkeypatch, expert, moment, exchange)
    found = run_bundle(folder, confirm)
    assert (tmp_path / "confirmed ran").exists() and not (tmp_path / "evil ran").exists()
    np.testing.assert_array_equal(found.layers[0], wanted)
    assert found.provenance.parameters["confirmed"] is True
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("moment", ["private_bundle", "place_of"])
def test_files_that_are_exchanged_between_the_check_and_the_copy_are_refused(moment, bundle, tmp_path, temporary, monkeypatch):
    from OncoSegmentLib.experts.monai_bundle import expert

    folder, confirm, exchange = bundle
    wanted_by_run = expert.MonaiBundleExpert._prediction

    def late(self, *arguments):  # the request was checked
        before(monkeypatch, expert, moment, exchange)
        return wanted_by_run(self, *arguments)

    monkeypatch.setattr(expert.MonaiBundleExpert, "_prediction", late)
    with pytest.raises(ModelError, match="together, which is not the one confirmed"):
        run_bundle(folder, confirm)
    assert not (tmp_path / "evil ran").exists() and not (tmp_path / "confirmed ran").exists()
    assert list(temporary.iterdir()) == []


def test_a_copy_holds_no_link_no_pipe_and_goes_after_a_cancel(bundle, tmp_path, temporary, monkeypatch):
    from OncoSegmentLib.experts.monai_bundle import trust

    folder, confirm, _exchange = bundle
    cancel, told = CancelToken(), []

    def progress(_fraction, message):
        told.append(message)
        if message.startswith("Copying the confirmed model"):
            assert [place.stat().st_mode & 0o077 for place in temporary.iterdir()] == [0]
            cancel.cancel()

    with pytest.raises(Cancelled):
        run_bundle(folder, confirm, progress=progress, cancel=cancel)
    assert any(message.startswith("Copying the confirmed model, file 1 of") for message in told)
    assert list(temporary.iterdir()) == []

    def linked():
        (folder / "scripts" / "steps.py").unlink()
        (folder / "scripts" / "steps.py").symlink_to(tmp_path / "elsewhere.py")

    shutil.copy(folder / "scripts" / "steps.py", tmp_path / "elsewhere.py")
    before(monkeypatch, trust, "private_place", linked)  # after the files were listed
    with pytest.raises(ModelError, match="steps.py cannot be copied"):
        run_bundle(folder, confirm)
    assert list(temporary.iterdir()) == [] and not (tmp_path / "evil ran").exists()


# nnU-Net


HOSTILE = (
    "import pathlib\n"
    "pathlib.Path({trap!r}).touch()\n"
    "from dynamic_network_architectures.architectures.unet import PlainConvUNet as Network\n"
)


@pytest.fixture
def organs(tmp_path, monkeypatch):
    """A model of one label; modules `confirmed_network` and `evil_network` that leave a file when they are imported."""
    pytest.importorskip("nnunetv2", reason="nnU-Net is not installed (extra 'ai'), so its tests cannot run")
    for name in ("confirmed", "evil"):
        (tmp_path / "modules").mkdir(exist_ok=True)
        (tmp_path / "modules" / f"{name}_network.py").write_text(HOSTILE.format(trap=str(tmp_path / f"{name} ran")))
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    models.release()  # what is kept from another test is not made anew
    yield one_label(tmp_path / "Dataset950_Exchanged")
    import sys

    for name in ("confirmed", "evil"):
        sys.modules.pop(f"{name}_network", None)


def one_label(folder, **options):
    import tiny_nnunet as tiny

    factors, biases = tiny.hounsfield_labels((60,))
    return tiny.write_model(folder, labels={"liver": 1}, factors=factors, biases=biases, **options)


def name_network(model, name: str) -> str:
    """Lets the plans name a class; returns the SHA-256 of the file."""
    path = model / "plans.json"
    plans = json.loads(path.read_text())
    for one in plans["configurations"].values():
        one["architecture"]["network_class_name"] = name
    path.write_text(json.dumps(plans))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_model(model, **parameters):
    return segment(blocks(), Request("nnunet", device="cpu", parameters={"weights": str(model), **parameters})).segmentation


@pytest.mark.parametrize("confirmed", [True, False])
def test_plans_that_are_exchanged_after_they_were_checked_never_run(
    confirmed, organs, in_a_worker, tmp_path, temporary, monkeypatch
):
    from OncoSegmentLib.experts.nnunet import loading

    parameters = {"confirm": name_network(organs, "confirmed_network.Network")} if confirmed else {}
    before(monkeypatch, loading, "initialize", lambda: name_network(organs, "evil_network.Network"))
    found = run_model(organs, **parameters)
    assert (tmp_path / "confirmed ran").exists() is confirmed and not (tmp_path / "evil ran").exists()
    assert found.layers[0].any() and found.provenance.parameters["plans_confirmed"] is confirmed
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("moment", ["leased", "load_unchanged"])
@pytest.mark.parametrize("confirmed", [True, False])
def test_plans_that_are_exchanged_between_the_check_and_the_copy_are_refused(
    moment, confirmed, organs, in_a_worker, tmp_path, temporary, monkeypatch
):
    from OncoSegmentLib.experts.nnunet import loading, prediction

    parameters = {"confirm": name_network(organs, "confirmed_network.Network")} if confirmed else {}
    place = prediction if moment == "leased" else loading
    before(monkeypatch, place, moment, lambda: name_network(organs, "evil_network.Network"))
    with pytest.raises(ModelError, match="Dataset950_Exchanged changed while they were loaded; start the run again"):
        run_model(organs, **parameters)
    assert not (tmp_path / "evil ran").exists() and list(temporary.iterdir()) == []


@pytest.mark.slow
def test_a_confirmed_last_stage_does_not_vouch_for_other_plans_of_its_first(organs, in_a_worker, tmp_path):
    import tiny_nnunet as tiny

    first = one_label(tmp_path / "Dataset951_Cascade", configuration="3d_lowres")
    last = tiny.write_model(
        tmp_path / "Dataset951_Cascade", labels={"liver": 1}, factors=[[0.0, 0.0], [0.0, 4.0]], biases=[0.0, -2.0],
        configuration="3d_cascade_fullres", previous="3d_lowres", channels=("CT",),
    )  # fmt: skip
    confirm = name_network(last, "confirmed_network.Network")
    assert run_model(last, confirm=confirm).layers[0].any() and (tmp_path / "confirmed ran").exists()
    name_network(first, "evil_network.Network")
    with pytest.raises(ModelError, match="names 'evil_network.Network'"):
        run_model(last, confirm=confirm)
    assert not (tmp_path / "evil ran").exists()


@pytest.mark.parametrize("file", ["plans.json", "dataset.json"])
def test_files_of_an_installed_model_must_be_those_of_its_manifest(file, organs, own_store):
    import_own(organs.parent, "my-organs", accept_license=lambda license: True, root=own_store)
    assert run_model("my-organs").layers[0].any()
    (path,) = own_store.rglob(file)
    path.write_text(path.read_text().replace(" ", "\t", 1))  # of the same size, which the store looks at
    with pytest.raises(ModelError, match=f"its {file} is not the one that was installed .*damaged or was exchanged"):
        run_model("my-organs")


def test_files_of_an_installed_bundle_must_be_those_of_its_manifest(own_store, tmp_path):
    pytest.importorskip("monai", reason="MONAI is not installed (extra 'ai'), so its tests cannot run")
    import tiny_monai
    from helpers_monai import noise, run

    import_own(tiny_monai.labels_bundle(tmp_path / "tiny"), "my-bundle", accept_license=lambda license: True, root=own_store)
    assert run(noise(), "my-bundle").layers[0].any()
    (path,) = own_store.rglob("inference.json")
    path.write_text(path.read_text().replace(" ", "\t", 1))  # of the same size, which the store looks at
    with pytest.raises(ModelError, match="its configs/inference.json is not the one that was installed"):
        run(noise(), "my-bundle")


# Checkpoints


@pytest.mark.parametrize("moment", ["open_archive", "examine", "torch_load"])
def test_numbers_that_are_written_over_after_the_hash_are_not_those_that_are_loaded(moment, tmp_path, monkeypatch):
    """In place, so that the open file is the exchanged one; and no twin with the good name keeps the bad numbers."""
    import torch

    path, other = tmp_path / "a.pth", tmp_path / "other.pth"
    torch.save({"w": torch.ones(1000)}, path)
    torch.save({"w": torch.zeros(1000)}, other)
    good, sha256 = path.read_bytes(), hashlib.sha256(path.read_bytes()).hexdigest()

    def exchange():
        with open(path, "r+b") as stream:
            stream.write(other.read_bytes())

    before(monkeypatch, checkpoint, moment, exchange)
    assert float(checkpoint.inference_checkpoint(path, sha256, cache=tmp_path / "twins")["w"].sum()) == 1000.0
    assert path.read_bytes() != good
    path.write_bytes(good)
    assert float(checkpoint.inference_checkpoint(path, sha256, cache=tmp_path / "twins")["w"].sum()) == 1000.0

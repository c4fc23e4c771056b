"""nnU-Net models in the store: brought in as a user's own, run by their id from the command line, offered in the panel."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from helpers_total_segmentator import blocks
from ModelManagerLib import store
from ModelManagerLib.own_models import import_own
from ModelManagerLib.user_catalog import user_cards
from ModelManagerLib.work import card_named
from OncoAppLib.cli import main
from OncoLib.errors import InputError, OncoError
from OncoLib.image import Image
from OncoLib.image_files import read_image, write_image
from OncoSegmentLib import goals
from OncoSegmentLib.known_weights import weights_names

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed (extra 'ai'), so its tests cannot run")

import tiny_nnunet as tiny  # noqa: E402
from OncoSegmentLib.warm import models  # noqa: E402

LABELS = {"liver": 1, "bone": 2}


@pytest.fixture
def own(tmp_path, monkeypatch):
    """An empty store of the test."""
    monkeypatch.setenv("ONCOSEGMENT_MODELS", str(tmp_path / "store"))
    yield tmp_path / "store"
    models.release()


@pytest.fixture
def trained(tmp_path):
    """A dataset's folder with one training."""
    factors, biases = tiny.hounsfield_labels((60, 350))
    return tiny.write_model(tmp_path / "Dataset910_Own", labels=LABELS, factors=factors, biases=biases)


def yes(_license) -> bool:
    return True


def zipped(model, path):
    """As nnU-Net's export packs it: dataset's folder, training, files."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(model.rglob("*")):
            archive.write(file, file.relative_to(model.parent.parent))
    return path


def image_file(path, image: Image):
    write_image(path, image.voxels, image.ijk_to_ras)
    return path


@pytest.mark.parametrize("as_zip", [True, False])
def test_own_models_get_a_row_and_run_by_their_id(own, trained, tmp_path, capsys, as_zip):
    source = zipped(trained, tmp_path / "export.zip") if as_zip else trained.parent
    assert main(["models", "import", str(source), "--new", "my-liver", "--accept-license"]) == 0
    card = card_named("my-liver", own)
    assert (card.modality, [one.name for one in card.channels]) == ("CT", ["CT"])
    assert {one.value: one.name for one in card.labels} == {1: "liver", 2: "bone"}
    image = image_file(tmp_path / "ct.nii.gz", blocks(noise=200.0))
    capsys.readouterr()
    call = ["segment", str(image), "--model", "nnunet", "--weights", "my-liver", "--output", str(tmp_path / "out"), "--nifti"]
    assert main([*call, "--mirroring", "off", "--device", "cpu", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["provenance"]["parameters"]["weights"] == "my-liver"
    assert weights_names()[told["provenance"]["weights_sha256"]] == "my-liver"
    assert [one["structure"] for one in told["segments"]] == ["liver", "bone"]
    found = read_image(tmp_path / "out" / "segmentation.nii.gz")
    own_answer = tiny.own_labels(trained, read_image(image).voxels[None], (2.5, 2.2, 2.0), mirroring=False)
    np.testing.assert_array_equal(found.voxels, own_answer)


def test_a_failed_import_leaves_no_row(own, trained, tmp_path):
    (trained / "fold_0" / "checkpoint_final.pth").write_bytes(b"no checkpoint")
    with pytest.raises(OncoError, match="no checkpoint of torch"):
        import_own(trained.parent, "my-liver", accept_license=yes, root=own)
    assert user_cards(own) == ()
    with pytest.raises(InputError, match="give the folder around it"):
        import_own(trained, "my-liver", accept_license=yes, root=own)
    with pytest.raises(InputError, match="has 'cads-551-open' already"):
        import_own(trained.parent, "cads-551-open", accept_license=yes, root=own)
    with pytest.raises(InputError, match="cannot be used; wanted small letters"):
        import_own(trained.parent, "../x", accept_license=yes, root=own)
    (tmp_path / "empty.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    with pytest.raises(OncoError):
        import_own(tmp_path / "empty.zip", "my-liver", accept_license=yes, root=own)


def test_the_panel_offers_installed_models_and_knows_their_channels(own, trained, tmp_path):
    import_own(trained.parent, "my-liver", accept_license=yes, root=own)
    pair = tiny.write_model(
        tmp_path / "Dataset911_Pair", labels={"whole": [1, 2], "core": [2]}, order=(1, 2), channels=("T1c", "FLAIR"),
        factors=[[0.0, 1.0], [1.0, 0.0]], biases=[-1.0, -1.0],
    )  # fmt: skip
    import_own(pair.parent, "my-pair", accept_license=yes, root=own)
    found = {goal.id: goal for goal in goals.goals()[0]}
    assert found["nnunet:my-liver"].structures == (("liver", "Liver"), ("bone", "Bone"))
    assert "2 structures, CT, nnU-Net" in found["nnunet:my-liver"].title
    assert goals.problem_of("nnunet:my-liver") == ""
    assert goals.problem_of("nnunet:my-pair") == ""
    of_several = {goal: goals.model_with_channels(goals.request_of(goal)) for goal in found}
    assert [goal for goal, model in of_several.items() if model] == ["nnunet:my-pair", "monai:demo-glioma-mr"]
    assert of_several["nnunet:my-pair"].channels == ("T1c", "FLAIR")
    request = goals.request_of("nnunet:my-liver", structures=["bone"], device="cpu")
    assert request.model == "nnunet" and request.parameters == {"weights": "my-liver", "structures": ["bone"]}
    folder = store.where(card_named("my-liver", own), own)
    next(folder.rglob("plans.json")).write_text("{")
    assert "nnunet:my-liver" not in {goal.id for goal in goals.goals()[0]}


def test_the_panel_runs_an_installed_model(own, trained, slicer_stubs):
    from helpers_panel import finish
    from OncoLib.scene.segmentations import segmentation_of
    from OncoLib.scene.volumes import add_volume

    import_own(trained.parent, "my-liver", accept_license=yes, root=own)
    add_volume(slicer_stubs.scene, blocks(), name="CT")
    widget = slicer_stubs.open_widget("OncoSegment")
    widget.ui.findEdit.text = "dataset910"
    assert widget.ui.goalSelector.currentData == "nnunet:my-liver"
    widget.ui.applyButton.click()
    finish(slicer_stubs, widget)
    assert widget.progress.sentence == "Done: CT: nnU-Net Dataset910_Own"
    found = segmentation_of(slicer_stubs.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode"))
    assert [one.name for one in found.segments] == ["Liver", "Bone"]
    assert found.mask(found.segments[1])[4 + 3 : 18 - 3, 24 + 3 : 40 - 3, 26 + 3 : 44 - 3].all()


def test_two_channels_from_the_command_line(own, tmp_path, capsys):
    model = tiny.write_model(
        tmp_path / "Dataset912_Pair", labels={"whole": [1, 2], "core": [2]}, order=(1, 2), channels=("T1c", "FLAIR"),
        factors=[[0.0, 4.0], [4.0, 0.0]], biases=[-4.0, -4.0],
    )  # fmt: skip
    flair, t1c = np.zeros((2, 20, 22, 24), np.float32)
    flair[4:16, 4:16, 4:20] = t1c[8:12, 8:12, 8:12] = 2.0
    matrix = np.diag([1.5, 1.5, 1.5, 1.0])
    first = image_file(tmp_path / "t1c.nii.gz", Image(t1c, matrix))
    second = image_file(tmp_path / "flair.nii.gz", Image(flair, matrix))
    call = ["segment", str(first), "--model", "nnunet", "--weights", str(model), "--modality", "MR", "--json"]
    assert main([*call, "--channel", f"FLAIR={second}", "--output", str(tmp_path / "out")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["voxels"] for one in told["segments"]] == [12 * 12 * 16, 64]
    assert len(told["provenance"]["parameters"]["channels"]["FLAIR"]) == 64
    assert str(tmp_path) not in json.dumps(told["provenance"])
    assert main([*call, "--output", str(tmp_path / "other")]) == 2
    assert "give 1 more of T1c or FLAIR" in json.loads(capsys.readouterr().out)["error"]
    assert main([*call, "--channel", "FLAIR", "--output", str(tmp_path / "other")]) == 2
    assert "wanted NAME=FILE" in json.loads(capsys.readouterr().out)["error"]
    moved = image_file(tmp_path / "moved.nii.gz", Image(flair[:-1], matrix))
    other = ["--channel", f"FLAIR={moved}", "--channels-grid", "refuse", "--output", str(tmp_path / "other")]
    assert main([*call, *other]) == 2
    assert "the image of the channel 'FLAIR' lies on another grid (24 x 22 x 19" in json.loads(capsys.readouterr().out)["error"]
    assert not (tmp_path / "other").exists()


def test_options_of_nnunet_belong_to_it(tmp_path, capsys):
    image = image_file(tmp_path / "ct.nii.gz", blocks())
    base = ["segment", str(image), "--output", str(tmp_path / "out"), "--json"]
    assert main([*base, "--profile", "bones", "--folds", "all"]) == 2
    assert json.loads(capsys.readouterr().out)["error"] == "--folds belongs to --model nnunet"
    assert main([*base, "--model", "nnunet"]) == 2
    assert "needs weights" in json.loads(capsys.readouterr().out)["error"]
    assert main([*base, "--model", "nnunet", "--weights", str(image)]) == 2
    assert "bring an archive into the store first" in json.loads(capsys.readouterr().out)["error"]


def test_in_a_process_of_its_own_with_channels(own, tmp_path):
    """What a worker gets: the request with its further images."""
    from OncoSegmentLib.engine import jobs
    from OncoSegmentLib.engine.process import ProcessEngine
    from OncoSegmentLib.request import Request

    model = tiny.write_model(
        tmp_path / "Dataset913_Pair", labels={"core": 1}, channels=("T1c", "FLAIR"),
        factors=[[0.0, 0.0], [4.0, 4.0]], biases=[0.0, -12.0],
    )  # fmt: skip
    flair, t1c = np.zeros((2, 20, 22, 24), np.float32)
    flair[4:16, 4:16, 4:20] = t1c[8:12, 8:12, 8:12] = 2.0
    matrix = np.diag([1.5, 1.5, 1.5, 1.0])
    parameters = {"weights": str(model), "probabilities": True}
    request = Request("nnunet", device="cpu", parameters=parameters, channels=(("FLAIR", Image(flair, matrix, name="Doe")),))
    found = jobs.run(Image(t1c, matrix), request, engine=ProcessEngine())
    assert int(found.segmentation.layers[0].sum()) == 64
    assert found.probabilities[0].values.dtype == np.float16
    assert found.probabilities[0].on_grid((20, 22, 24))[10, 10, 10] > 0.9
    assert jobs.anonymous(request).channels[0][1].name == ""

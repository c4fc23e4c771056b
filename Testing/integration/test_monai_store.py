"""MONAI bundles in the store: brought in as a user's own, run by their id from the command line, offered in the panel."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from helpers import GRIDS
from ModelManagerLib import store
from ModelManagerLib.own_models import import_own
from ModelManagerLib.user_catalog import user_cards
from ModelManagerLib.work import card_named
from OncoAppLib.cli import main
from OncoLib.errors import InputError
from OncoLib.image_files import write_image
from OncoSegmentLib import goals
from OncoSegmentLib.known_weights import weights_names

pytest.importorskip("monai", reason="MONAI is not installed (extra 'ai'), so its tests cannot run")
pytest.importorskip("torch", reason="PyTorch is not installed (extra 'ai'), so its tests cannot run")

import tiny_auto3dseg  # noqa: E402
import tiny_monai as tiny  # noqa: E402

SHAPE = (32, 34, 36)


def yes(_license) -> bool:
    return True


def zipped(folder, path):
    """As the model zoo packs bundles: one folder in a zip."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent))
    return path


def ct_file(path):
    """A CT of noise."""
    write_image(path, np.random.default_rng(1).normal(0, 300, SHAPE).astype(np.float32), GRIDS["oblique"])
    return path


@pytest.mark.parametrize("as_zip", [True, False])
def test_own_bundles_get_a_row_and_run_by_their_id(own_store, tmp_path, capsys, as_zip):
    bundle = tiny.labels_bundle(tmp_path / "tiny_organs")
    source = zipped(bundle, tmp_path / "bundle.zip") if as_zip else bundle
    assert main(["models", "import", str(source), "--new", "my-organs", "--accept-license"]) == 0
    assert "run it with --model monai_bundle --weights my-organs" in capsys.readouterr().out
    card = card_named("my-organs", own_store)
    assert (card.engine, card.modality, card.overlapping) == ("monai_bundle", "CT", False)
    assert {one.value: one.structure for one in card.labels} == {1: "liver", 2: "spleen"}
    call = ["segment", str(ct_file(tmp_path / "ct.nii.gz")), "--model", "monai_bundle", "--weights", "my-organs", "--json"]
    call += ["--modality", "CT", "--units", "HU", "--device", "cpu", "--output", str(tmp_path / "out")]
    assert main(call) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["provenance"]["parameters"]["weights"] == "my-organs"
    assert weights_names()[told["provenance"]["weights_sha256"]] == "my-organs"
    assert [one["structure"] for one in told["segments"]] == ["liver", "spleen"]
    assert main([*call, "--overwrite", "--folds", "0"]) == 2
    assert json.loads(capsys.readouterr().out)["error"] == "--folds belongs to --model nnunet"


def test_four_channels_from_the_command_line(own_store, tmp_path, capsys):
    bundle = tiny.regions_bundle(tmp_path / "brats")
    files = [ct_file(tmp_path / f"{name}.nii.gz") for name in tiny.BRATS]
    call = ["segment", str(files[0]), "--model", "monai_bundle", "--weights", str(bundle), "--modality", "MR", "--json"]
    call += ["--device", "cpu", "--output", str(tmp_path / "out")]
    assert main(call) == 2
    assert "needs 4 channels (T1c, T1, T2, FLAIR) and got 1" in json.loads(capsys.readouterr().out)["error"]
    for name, file in zip(tiny.BRATS[1:], files[1:]):
        call += ["--channel", f"{name}={file}"]
    assert main(call) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told["provenance"]["parameters"]["channels"]) == list(tiny.BRATS)
    assert str(tmp_path) not in json.dumps(told["provenance"])


def test_a_bundle_that_says_too_little_leaves_no_row(own_store, tmp_path):
    bundle = tiny.labels_bundle(tmp_path / "tiny")
    (bundle / "configs" / "metadata.json").write_text("{}")
    with pytest.raises(InputError, match="tiny: its metadata.json names no channels or no labels"):
        import_own(bundle, "my-organs", accept_license=yes, root=own_store)
    assert user_cards(own_store) == ()
    with pytest.raises(InputError, match="no dataset's folder of nnU-Net and no MONAI bundle"):
        import_own(tmp_path / "tiny" / "models", "my-organs", accept_license=yes, root=own_store)


def test_the_panel_offers_installed_bundles_and_says_what_stands_in_the_way(own_store, tmp_path):
    import_own(tiny.labels_bundle(tmp_path / "tiny_organs"), "my-organs", accept_license=yes, root=own_store)
    import_own(tiny.regions_bundle(tmp_path / "tiny_brats"), "my-brats", accept_license=yes, root=own_store)
    network, state = tiny_auto3dseg.one_convolution([[0.0], [1.0]], [0.0, 0.0])
    names = dict(enumerate((one.name for one in card_named("auto3dseg-aorta-v1.1.0", own_store).labels), 1))
    aorta = tiny_auto3dseg.write_model(tmp_path / "aorta-v1.1.0", names, network, state)
    store.import_from(aorta, accept_license=yes, card=card_named("auto3dseg-aorta-v1.1.0", own_store), root=own_store)
    found, problems = goals.goals()
    found = {goal.id: goal for goal in found}
    assert not [one for one in problems if "organs" in one]
    assert found["monai:my-organs"].structures == (("liver", "Liver"), ("spleen", "Spleen"))
    assert "2 structures, CT, MONAI" in found["monai:my-organs"].title
    assert found["monai:auto3dseg-aorta-v1.1.0"].structures == (("Aorta", "Aorta"),)
    assert goals.problem_of("monai:my-organs") == "" == goals.problem_of("monai:auto3dseg-aorta-v1.1.0")
    assert goals.model_with_channels(goals.request_of("monai:my-brats")).channels == tiny.BRATS
    request = goals.request_of("monai:my-organs", structures=["liver"], device="cpu")
    assert (request.model, request.parameters) == ("monai_bundle", {"weights": "my-organs", "structures": ["liver"]})
    foreign = tiny.labels_bundle(tmp_path / "tiny_foreign")
    config = foreign / "configs" / "inference.json"
    config.write_text(config.read_text().replace("EnsureTyped", "scripts.evil.Step"))
    import_own(foreign, "my-foreign", accept_license=yes, root=own_store)
    assert "monai:my-foreign" in {goal.id for goal in goals.goals()[0]}
    assert "could run any program" in goals.problem_of("monai:my-foreign")

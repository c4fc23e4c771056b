"""A bundle written around real pretrained weights: a T1 brain tissue network of 24 kB, on the real head MR beside it.

The network (MeshNet of brainchop, 5 channels) is made by the bundle's configuration alone: ten convolutions of torch.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from OncoLib.image import Image
from OncoLib.image_files import read_image
from OncoSegmentLib.request import Request
from OncoSegmentLib.segment import segment

pytest.importorskip("monai", reason="MONAI is not installed (extra 'ai'), so its tests cannot run")
pytest.importorskip("torch", reason="PyTorch is not installed (extra 'ai'), so its tests cannot run")

import tiny_monai as tiny  # noqa: E402
from OncoSegmentLib.warm import models  # noqa: E402

LABELS = {"0": "background", "1": "white matter", "2": "gray matter"}
REFERENCE = {"white matter": 518_540, "gray matter": 735_212}
"""Voxels of the whole head, measured by who collected the data (shared/data/README.md), in torch without MONAI."""


@pytest.fixture(scope="module")
def weights(test_data):
    """The folder of the weights; skips without it."""
    folder = test_data / "weights"
    if not (folder / "meshnet_model5_gw_ae.safetensors").is_file():
        pytest.skip("the weights meshnet_model5_gw_ae are not among the shared test data")
    yield folder
    models.release()


@pytest.fixture(scope="module")
def bundle(weights, tmp_path_factory):
    """The bundle: layers from the publisher's list, numbers under the names that a Sequential of torch has."""
    from safetensors.torch import load_file, save_file

    layers = json.loads((weights / "meshnet_model5_gw_ae.json").read_text())["layers"]
    parts: list[dict] = []
    for layer in layers:
        parts += [{"_target_": "torch.nn.Conv3d", **layer}, {"_target_": "torch.nn.ReLU"}]
    config = {
        "layers": parts[:-1],
        "network_def": "$torch.nn.Sequential(*@layers)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                {"_target_": "ScaleIntensityd", "keys": "image", "minv": 0.0, "maxv": 1.0},
            ],
        },
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
    }
    folder = tmp_path_factory.mktemp("real") / "brain_tissue"
    about = tiny.metadata(("T1",), LABELS, modality="MR")
    tiny.write_bundle(folder, config, about, state={})
    (folder / "models" / "model.pt").unlink()
    state = load_file(weights / "meshnet_model5_gw_ae.safetensors")
    save_file({name.removeprefix("model."): value for name, value in state.items()}, folder / "models" / "model.safetensors")
    return folder


def direct(weights, voxels: np.ndarray) -> np.ndarray:
    """Labels `[k, j, i]` by torch alone, on the values scaled to 0..1."""
    import torch
    from safetensors.torch import load_file

    state = load_file(weights / "meshnet_model5_gw_ae.safetensors")
    layers = json.loads((weights / "meshnet_model5_gw_ae.json").read_text())["layers"]
    found = torch.from_numpy(np.ascontiguousarray(voxels.transpose(2, 1, 0))).float()[None, None]
    found = (found - found.min()) / (found.max() - found.min())
    with torch.no_grad():
        for at, layer in enumerate(layers):
            weight, bias = state[f"model.{2 * at}.weight"], state[f"model.{2 * at}.bias"]
            found = torch.nn.functional.conv3d(found, weight, bias, padding=layer["padding"], dilation=layer["dilation"])
            found = found.relu() if at + 1 < len(layers) else found
    return found.argmax(1)[0].numpy().transpose(2, 1, 0)


def run(bundle, image: Image):
    """The segmentation; the bundle needs no confirmation."""
    return segment(image, Request("monai_bundle", device="cpu", parameters={"weights": str(bundle)})).segmentation


def test_a_part_of_the_head_is_what_torch_alone_gives(weights, bundle):
    whole = read_image(weights / "t1_crop.nii.gz", modality="MR")
    part = Image(np.ascontiguousarray(whole.voxels[110:158, 100:148, 100:148]), whole.ijk_to_ras, modality="MR")
    found = run(bundle, part)
    reference = direct(weights, part.voxels)
    assert set(np.unique(reference)) == {0, 1, 2}
    np.testing.assert_array_equal(found.layers[0], reference)


@pytest.mark.slow
def test_the_whole_head_has_plausible_tissue(weights, bundle):
    image = read_image(weights / "t1_crop.nii.gz", modality="MR")
    found = run(bundle, image)
    for one in found.segments:
        held = int(found.mask(one).sum())
        name = next(name for name in REFERENCE if name.split()[0] in one.name.casefold())
        assert abs(held / REFERENCE[name] - 1) < 0.01, (one.name, held)
    assert [one.name for one in found.segments] == ["White matter", "Gray matter"]
    ratio = REFERENCE["gray matter"] / REFERENCE["white matter"]
    assert 1.0 < ratio < 2.0  # of adults; 1 mm voxels, so the two are 1.25 liters together

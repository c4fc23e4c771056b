"""Auto3DSeg models as SlicerMONAIAuto3DSeg publishes them: labels, nested masks, channels, settings, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import GRIDS
from OncoLib.errors import InputError, ModelError
from OncoLib.image import Image

pytest.importorskip("monai", reason="MONAI is not installed (extra 'ai'), so its tests cannot run")
pytest.importorskip("torch", reason="PyTorch is not installed (extra 'ai'), so its tests cannot run")

import tiny_auto3dseg as tiny  # noqa: E402
from helpers_monai import run  # noqa: E402

pytestmark = pytest.mark.usefixtures("own_store", "networks_released")

SHAPE = (34, 36, 38)
BRATS_LABELS = {1: "Neoplasm, Primary in Neoplasm, Primary", 2: "Edema in Edema", 3: "Necrosis in Necrosis"}


def boxes(grid: str = "oblique") -> Image:
    """Air, a body of 40 HU and in it a box of 300 HU."""
    voxels = np.full(SHAPE, -1000, np.int16)
    voxels[4:30, 4:32, 4:34] = 40
    voxels[10:20, 8:22, 10:28] = 300
    return Image(voxels, GRIDS[grid], modality="CT", units="HU")


def organs(folder, **settings):
    """Background under -400, then liver, spleen from 170 on; scores are tangents of a parabola, so that the nearest wins."""
    centers = (-0.84, 0.04, 0.3)
    network, state = tiny.one_convolution([[10 * one] for one in centers], [-5 * one * one for one in centers])
    scale = {"normalize_mode": "none"} | settings
    state["weight"] /= 1000.0 if scale["normalize_mode"] == "none" else 1.0
    return tiny.write_model(folder, {1: "Liver", 2: "Spleen"}, network, state, **settings)


@pytest.mark.parametrize("grid", sorted(GRIDS))
def test_exclusive_labels_on_every_grid(grid, tmp_path):
    image = boxes(grid)
    found = run(image, organs(tmp_path / "own-v1"))
    assert [(one.label, one.structure) for one in found.segments] == [(1, "liver"), (2, "spleen")]
    np.testing.assert_array_equal(found.layers[0] == 2, image.voxels == 300)
    np.testing.assert_array_equal(found.layers[0] == 1, image.voxels == 40)
    assert found.provenance.parameters["kind"] == "auto3dseg" and len(found.provenance.weights_sha256) == 64


def test_foreground_and_spacing_lead_back(tmp_path):
    """The foreground is what is over 0 HU with 10 voxels around; outside of it nothing is found."""
    image = boxes()
    cropped = organs(tmp_path / "own-v1", crop_foreground=True, resample_resolution=[0.72, 0.88, 3.1])
    np.testing.assert_array_equal(run(image, cropped).layers[0] == 2, image.voxels == 300)  # near enough: left as it is
    coarse = organs(tmp_path / "own-v2", crop_foreground=True, resample_resolution=[1.4, 1.4, 3.0])
    found = run(image, coarse).layers[0] == 2
    wanted = image.voxels == 300
    assert 2 * (found & wanted).sum() / (found.sum() + wanted.sum()) > 0.85


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [
        ("none", lambda x: x),
        ("ct", lambda x: 1 / (1 + np.exp(-(2 * (x + 100) / 300 - 1)))),
        ("mri", lambda x: (x - x[x != 0].mean()) / x[x != 0].std()),
        ("meanstdtanh", lambda x: 3 * np.tanh((x - x[x != 0].mean()) / x[x != 0].std() / 3)),
        ("pet", lambda x: 1 / (1 + np.exp(-((x - x.min()) / x.std(ddof=1))))),
    ],
)
def test_normalizations(mode, wanted):
    """Formulas of the publisher's script, by numpy."""
    import torch

    from OncoSegmentLib.experts.monai_bundle.auto3dseg import normalized

    values = np.random.default_rng(0).normal(40, 90, (1, 6, 7, 8)).astype(np.float32)
    expected = wanted(values.astype(float))
    if mode in ("mri", "meanstdtanh"):  # voxels that are exactly 0 stay
        assert (values != 0).all()
    found = normalized(torch.from_numpy(values), mode, (-100.0, 200.0)).numpy()
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


def brats(folder, **settings):
    """Whole tumor where T2F is over .5, core where T1C is, enhancing where both T1N and T2W are: four channels, three masks."""
    factors = [[100, 0, 0, 0], [0, 100, 0, 0], [0, 0, 50, 50]]
    network, state = tiny.one_convolution(factors, [-50, -50, -75])
    return tiny.write_model(folder, BRATS_LABELS, network, state, sigmoid=True, **settings)


def test_nested_masks_become_labels_and_channels_are_matched_by_name(tmp_path):
    """As the publisher merges them: edema 2 is what only the whole tumor covers, 1 the core, 3 its inner part."""
    voxels = np.zeros((4, *SHAPE), np.float32)
    voxels[0, 4:30, 4:32, 4:34] = voxels[1, 8:24, 8:24, 8:24] = voxels[2:, 10:16, 10:16, 10:16] = 1.0
    images = [Image(one, GRIDS["left-handed"], modality="MR") for one in voxels]
    folder = brats(tmp_path / "brats-gli-v1.0.0")
    names = {"FLAIR": images[0], "T1ce": images[1], "T2": images[3]}
    found = run(images[2], folder, list(names.items()))
    expected = np.zeros(SHAPE, int)
    for mask, value in ((voxels[0], 2), (voxels[1], 1), (voxels[2], 3)):
        expected[mask > 0] = value
    np.testing.assert_array_equal(found.layers[0], expected)
    assert [one.structure for one in found.segments][:2] == ["brain_neoplasm", "brain_edema"]
    assert list(found.provenance.parameters["channels"]) == ["T2F", "T1C", "T1N", "T2W"]
    with pytest.raises(InputError, match="needs 4 channels .T2F, T1C, T1N, T2W. and got 1"):
        run(images[2], folder)


def test_further_modalities_have_their_own_normalization(tmp_path):
    """Channel 0 as it is, channel 1 by range: 1 + 7.31 passes 7.8, 7.31 and 1 + 2.69 do not."""
    network, state = tiny.one_convolution([[0.0, 0.0], [1.0, 10.0]], [0.0, -7.8])
    folder = tiny.write_model(tmp_path / "pair-v1", {1: "Prostate"}, network, state, extra_modalities={"image2": "range"})
    voxels = np.zeros((2, *SHAPE), np.float32)
    voxels[0, 4:20] = 1.0
    voxels[1] = -1000.0
    voxels[1, 10:30] = 1000.0  # the ends of the range: sigmoid of -1 and 1, .27 and .73
    images = [Image(one, GRIDS["permuted"], modality="MR") for one in voxels]
    found = run(images[0], folder, [("image 2", images[1])])
    np.testing.assert_array_equal(found.layers[0] > 0, (voxels[0] == 1) & (voxels[1] == 1000))


def test_what_is_refused(tmp_path):
    network, state = tiny.one_convolution([[0.0], [1.0]], [0.0, 0.0])
    evil = tiny.write_model(tmp_path / "evil", {1: "Liver"}, {"_target_": "os.system", "command": "true"}, state)
    with pytest.raises(ModelError, match="its settings hold the class 'os.system', which could run any program"):
        run(boxes(), evil)
    with pytest.raises(InputError, match="no program that could be confirmed"):
        run(boxes(), evil, confirm="0" * 64)
    strange = tiny.write_model(tmp_path / "strange", {1: "Liver"}, network, state, normalize_mode="$__import__('os')")
    with pytest.raises(ModelError, match="normalized by .* which is not known here"):
        run(boxes(), strange)
    table = tiny.write_model(tmp_path / "table", {1: "Liver"}, network, state)
    (table / "labels.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ModelError, match="wanted columns LabelValue and Name"):
        run(boxes(), table)
    nested = tiny.write_model(tmp_path / "nested", {1: "Liver"}, network, state, sigmoid=True)
    with pytest.raises(ModelError, match="three nested masks"):
        run(boxes(), nested)
    import torch

    (table / "labels.csv").write_text("LabelValue,Name\n1,Liver\n")
    torch.save({"weights": state}, table / "model.pt")
    with pytest.raises(ModelError, match="no settings beside the weights"):
        run(boxes(), table)


def test_settings_of_numpy_and_tuples_are_plain(tmp_path):
    network, state = tiny.one_convolution([[0.0], [1.0]], [0.0, -200.0])
    settings = {"roi_size": (32, 32, 32), "resample_resolution": np.array([0.7, 0.9, 3.0]), "class_names": ("a", "b")}
    folder = tiny.write_model(tmp_path / "own", {1: "Liver"}, network, state, **settings)
    found = run(boxes(), folder)
    np.testing.assert_array_equal(found.layers[0] > 0, boxes().voxels == 300)

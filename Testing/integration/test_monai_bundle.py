"""MONAI bundles on tiny random networks: labels identical to MONAI's own workflow on the same image, file by file."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from helpers import GRIDS
from OncoLib.errors import Cancelled, InputError, ModelError
from OncoLib.image import Image
from OncoLib.progress import CancelToken
from OncoSegmentLib.request import Region, Request
from OncoSegmentLib.segment import segment

pytest.importorskip("monai", reason="MONAI is not installed (extra 'ai'), so its tests cannot run")
pytest.importorskip("torch", reason="PyTorch is not installed (extra 'ai'), so its tests cannot run")

import tiny_monai as tiny  # noqa: E402
from helpers_monai import run  # noqa: E402
from OncoSegmentLib.warm import models  # noqa: E402

pytestmark = pytest.mark.usefixtures("own_store", "networks_released")

SHAPE = (36, 40, 44)
STORED = {name: matrix.astype(np.float32).astype(float) for name, matrix in GRIDS.items()}
"""As NIfTI stores them, in single precision: MONAI's Spacing places its grid differently after the last digit of an affine."""


def noise(seed: int = 0, modality: str = "CT", matrix=None) -> Image:
    """A CT or MR of noise; on an oblique grid by default."""
    voxels = np.random.default_rng(seed).normal(0, 300, SHAPE).astype(np.float32)
    units = "HU" if modality == "CT" else ""
    return Image(voxels, STORED["oblique"] if matrix is None else matrix, modality=modality, units=units)


def edited(bundle, **entries):
    """The bundle with other entries in its configuration; None takes one out."""
    path = bundle / "configs" / "inference.json"
    config = json.loads(path.read_text()) | entries
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
    return bundle


def same(bundle, image, tmp_path):
    """Fails unless the labels are those that MONAI writes."""
    pytest.importorskip("ignite", reason="pytorch-ignite is not installed, which MONAI's own evaluator needs")
    found = run(image, bundle)
    reference = tiny.own_answer(bundle, [image.voxels], image.ijk_to_ras, tmp_path / "own")[0]
    assert np.unique(reference).size > 1
    np.testing.assert_array_equal(found.layers[0], reference)
    np.testing.assert_array_equal(found.ijk_to_ras, image.ijk_to_ras)
    return found


@pytest.mark.parametrize("network", sorted(tiny.NETWORKS))
def test_each_network_gives_the_labels_of_monais_own_workflow(network, tmp_path):
    bundle = tiny.labels_bundle(tmp_path / "tiny", network, spacing=(2.0, 2.0, 2.5))
    same(bundle, noise(), tmp_path)


@pytest.mark.parametrize("grid", sorted(GRIDS))
def test_on_oblique_and_left_handed_grids(grid, tmp_path):
    bundle = tiny.labels_bundle(tmp_path / "tiny", spacing=(2.0, 2.0, 2.5))
    same(bundle, noise(matrix=STORED[grid]), tmp_path)


def test_a_searched_architecture_is_read_from_a_file_of_the_bundle(tmp_path):
    """As the zoo's DiNTS bundles have it: `torch.load` of a second file, which here is the safe reading of it."""
    import torch

    bundle = tiny.labels_bundle(tmp_path / "tiny", "DiNTS")
    blocks, edges = tiny.SPACE["num_blocks"], 3 * tiny.SPACE["num_depths"] - 2
    code = {"a": np.ones((blocks, edges)), "c": np.ones((blocks, edges)), "node": np.ones((blocks + 1, 2))}
    torch.save(code, bundle / "models" / "search_code.pt")
    config = json.loads((bundle / "configs" / "inference.json").read_text())
    network = tiny.network_of("DiNTS", 1, 3) | {"node_a": "$torch.from_numpy(@arch['node'])"}
    config |= {
        "arch": f"$torch.load({str(bundle / 'models' / 'search_code.pt')!r}, weights_only=False)",
        "dints_space": tiny.SPACE | {"arch_code": ["$@arch['a']", "$@arch['c']"]},
        "network_def": network,
    }
    tiny.write_bundle(bundle, config, tiny.metadata())
    reference = run(noise(), bundle).layers[0]
    space = config["dints_space"] | {"device": "$torch.device('cuda')"}
    path = "$torch.load(@bundle_root + '/models/search_code.pt', map_location=torch.device('cuda'))"
    edited(bundle, arch=path, dints_space=space)
    found = same(bundle_for_monai(bundle, config), noise(), tmp_path)
    np.testing.assert_array_equal(found.layers[0], reference)
    np.testing.assert_array_equal(run(noise(), bundle).layers[0], reference)


def bundle_for_monai(bundle, config):
    """The same with paths and devices that MONAI itself can use here."""
    other = bundle.parent / "for monai" / "tiny"
    tiny.write_bundle(other, config, tiny.metadata(), {})
    for name in ("model.pt", "search_code.pt"):
        (other / "models" / name).write_bytes((bundle / "models" / name).read_bytes())
    return edited(other, arch=config["arch"].replace(str(bundle), str(other)))


def over(level: float, channels: int, outputs: int, picks) -> dict:
    """State of a network of one 1x1x1 convolution: output `o` is channel `picks[o]` less `level`, times 100."""
    import torch

    weight = torch.zeros(outputs, channels, 1, 1, 1)
    for output, channel in enumerate(picks):
        weight[output, channel] = 100.0
    return {"weight": weight, "bias": torch.full((outputs,), -100.0 * level)}


def picking(folder, channels, picks, *, spacing=None, labels=None, level=0.5):
    """A bundle whose mask `o` is where channel `picks[o]` is over a level; no normalization, regions by sigmoid."""
    network = {"_target_": "torch.nn.Conv3d", "in_channels": len(channels), "out_channels": len(picks), "kernel_size": 1}
    config = tiny.inference(network, spacing=spacing, sigmoid=True)
    before = config["preprocessing"]["transforms"]
    before[:] = [one for one in before if one["_target_"] not in ("NormalizeIntensityd", "EnsureChannelFirstd")]
    if len(channels) == 1:
        before[0]["ensure_channel_first"] = True
    labels = labels or {str(at): f"structure {at}" for at in range(len(picks))}
    about = tiny.metadata(channels, labels, modality="MR")
    return tiny.write_bundle(folder, config, about, over(level, len(channels), len(picks), picks))


@pytest.mark.parametrize("grid", sorted(GRIDS))
def test_the_way_back_is_exact_where_a_box_lies(grid, tmp_path):
    """A box well inside comes back through orientation and resampling where it was; no face moves by more than half a voxel of
    the network's grid, 1.35 mm along its longest, and one of the image's."""
    bundle = picking(tmp_path / "box", ("T1",), (0,), spacing=(1.1, 1.3, 2.7))
    voxels = np.zeros(SHAPE, np.float32)
    voxels[10:26, 8:31, 9:34] = 1.0
    found = run(Image(voxels, STORED[grid], modality="MR"), bundle).layers[0]
    held = np.argwhere(found)
    spacing = np.linalg.norm(STORED[grid][:3, :3], axis=0)[::-1]
    assert (np.abs(held.mean(0) - [17.5, 19.0, 21.0]) <= 0.5).all()
    faces = np.stack([held.min(0), held.max(0)]) - [[10, 8, 9], [25, 30, 33]]
    assert (np.abs(faces) * spacing <= 1.35 + spacing).all()


def test_channels_go_where_each_bundle_wants_them(tmp_path):
    """The orders of BraTS differ: MONAI's bundle wants T1c, T1, T2, FLAIR, Auto3DSeg's models T2F, T1C, T1N, T2W."""
    names = {"t1c": 0, "t1": 1, "t2": 2, "flair": 3}
    voxels = np.zeros((4, *SHAPE), np.float32)
    for at in range(4):
        voxels[at, 4:30, 4:30, 4 + 9 * at : 10 + 9 * at] = 1.0
    images = {name: Image(voxels[at], STORED["oblique"], modality="MR") for name, at in names.items()}
    for order in (("T1c", "T1", "T2", "FLAIR"), ("T2F", "T1C", "T1N", "T2W")):
        bundle = picking(tmp_path / order[0], order, (0, 1, 2, 3))
        plain = {"T2F": "flair", "T1C": "t1c", "T1N": "t1", "T2W": "t2"}
        others = [(name, image) for name, image in images.items() if name != "flair"]
        found = run(images["flair"], bundle, others)
        for segment_found, channel in zip(found.segments, order):
            wanted = voxels[names[plain.get(channel, channel.casefold())]] > 0
            np.testing.assert_array_equal(found.mask(segment_found), wanted)
        assert list(found.provenance.parameters["channels"]) == list(order)


def test_overlapping_masks_are_coded_segments_in_layers(tmp_path):
    bundle = picking(tmp_path / "brats_mri_segmentation", tiny.BRATS, (1, 3, 0), labels=tiny.REGIONS)
    voxels = np.zeros((4, *SHAPE), np.float32)
    voxels[3, 4:30, 4:34, 4:40] = voxels[1, 8:24, 8:28, 8:30] = voxels[0, 10:20, 10:20, 10:20] = 1.0
    images = [Image(one, STORED["left-handed"], modality="MR") for one in voxels]
    found = run(images[0], bundle, list(zip(tiny.BRATS[1:], images[1:])))
    by_name = {one.structure: found.mask(one) for one in found.segments}
    assert [one.structure for one in found.segments] == ["brain_neoplasm", "brain_neoplasm", "brain_tumor_enhancing"]
    assert found.segments[0].entry.type.value == "108369006" and len(found.layers) == 3
    np.testing.assert_array_equal(by_name["brain_tumor_enhancing"], voxels[0] > 0)
    assert [int(found.mask(one).sum()) for one in found.segments] == [16 * 20 * 22, 26 * 30 * 36, 1000]
    chosen = run(images[0], bundle, list(zip(tiny.BRATS[1:], images[1:])), structures=["Whole tumor"])
    assert len(chosen.segments) == 1 and int(chosen.layers[0].astype(bool).sum()) == 26 * 30 * 36


def test_regions_are_those_of_monais_own_workflow(tmp_path):
    pytest.importorskip("ignite", reason="pytorch-ignite is not installed, which MONAI's own evaluator needs")
    bundle = tiny.regions_bundle(tmp_path / "tiny", spacing=(2.0, 2.0, 2.5))
    images = [noise(seed, "MR") for seed in range(4)]
    found = run(images[0], bundle, list(zip(tiny.BRATS[1:], images[1:])))
    reference = tiny.own_answer(bundle, [one.voxels for one in images], images[0].ijk_to_ras, tmp_path / "own")
    assert reference.any()
    for one in found.segments:
        np.testing.assert_array_equal(found.mask(one), reference[one.label - 1] > 0)


def test_the_form_that_the_zoo_gives_the_file_is_left_out(tmp_path):
    """The zoo's BraTS bundle merges its masks by a function before it saves them; masks are wanted here, and no function."""
    bundle = picking(tmp_path / "merging", ("T1c", "FLAIR"), (0, 1))
    path = bundle / "configs" / "inference.json"
    config = json.loads(path.read_text())
    merge = {"_target_": "Lambdad", "keys": "pred", "func": "$lambda x: torch.where(x[[1]] > 0, 4, 0)"}
    config["postprocessing"]["transforms"].insert(-1, merge)
    path.write_text(json.dumps(config))
    voxels = np.zeros((2, *SHAPE), np.float32)
    voxels[0, 4:20, 4:20, 4:20] = voxels[1, 8:30, 8:30, 8:30] = 1.0
    t1c, flair = (Image(one, STORED["oblique"], modality="MR") for one in voxels)
    found = run(t1c, bundle, [("FLAIR", flair)])
    assert [int(found.mask(one).sum()) for one in found.segments] == [16**3, 22**3]
    assert found.provenance.parameters["left_out"] == ["Lambdad before the file"]


def test_without_invertd_the_way_back_is_ours(tmp_path):
    bundle = picking(tmp_path / "no way back", ("T1",), (0,), spacing=(1.1, 1.3, 2.7))
    with_back = run(noise(modality="MR"), bundle)
    path = bundle / "configs" / "inference.json"
    config = json.loads(path.read_text())
    steps = config["postprocessing"]["transforms"]
    steps[:] = [one for one in steps if one["_target_"] != "Invertd"]
    path.write_text(json.dumps(config))
    without = run(noise(modality="MR"), bundle)
    assert without.layers[0].shape == SHAPE
    assert (without.layers[0] == with_back.layers[0]).mean() > 0.7  # nearest in place of linear, on noise


@pytest.mark.parametrize("axes", ["ARS", "SRA"])
def test_exchanged_axes_of_a_cube_are_brought_back_without_invertd(axes, tmp_path):
    """First and last corner of a cube lie where they should after two axes were exchanged; the patient does not."""
    voxels = np.random.default_rng(3).normal(0, 300, (36, 36, 36)).astype(np.float32)
    image = Image(voxels, np.diag([2.0, 2.0, 2.0, 1.0]), modality="CT", units="HU")
    labels = []
    for with_way_back in (True, False):
        bundle = tiny.labels_bundle(tmp_path / f"{axes}{with_way_back}")
        config = json.loads((bundle / "configs" / "inference.json").read_text())
        before, after = config["preprocessing"]["transforms"], config["postprocessing"]["transforms"]
        next(one for one in before if one["_target_"] == "Orientationd")["axcodes"] = axes
        if not with_way_back:
            after[:] = [one for one in after if one["_target_"] != "Invertd"]
        labels.append(run(image, edited(bundle, **config)).layers[0])
    assert labels[0].any()
    np.testing.assert_array_equal(*labels)


def test_provenance_is_complete_and_has_no_path(tmp_path):
    bundle = tiny.labels_bundle(tmp_path / "tiny")
    found = run(noise(), bundle)
    facts = found.provenance.parameters
    assert set(facts["files_sha256"]) == {"models/model.pt", "configs/inference.json", "configs/metadata.json"}
    assert found.provenance.weights_sha256 == facts["files_sha256"]["models/model.pt"]
    assert facts["weights"] == "Tiny bundle" and facts["confirmed"] is False and facts["channels"] == {"CT": "the image"}
    assert found.provenance.packages["monai"] and str(tmp_path) not in json.dumps(found.provenance.as_dict())
    assert [(one.name, one.structure) for one in found.segments] == [("Liver", "liver"), ("Spleen", "spleen")]


def test_the_network_stays_warm_until_its_files_change(tmp_path):
    models.release()
    bundle = tiny.labels_bundle(tmp_path / "tiny")
    first = run(noise(), bundle).layers[0]
    assert models.names == ("Tiny bundle",)
    np.testing.assert_array_equal(run(noise(), bundle).layers[0], first)
    assert len(models) == 1
    edited(bundle, inferer={"_target_": "SlidingWindowInferer", "roi_size": [32, 32, 32], "sw_batch_size": 1, "overlap": 0.5})
    run(noise(), bundle)
    assert len(models) == 2


def test_progress_and_cancel_between_windows(tmp_path):
    bundle = tiny.labels_bundle(tmp_path / "tiny")
    edited(bundle, inferer={"_target_": "SlidingWindowInferer", "roi_size": [24, 24, 24], "sw_batch_size": 1, "overlap": 0.25})
    request = Request("monai_bundle", device="cpu", parameters={"weights": str(bundle)})
    told: list[float] = []
    segment(noise(), request, progress=lambda fraction, message: told.append(fraction) if message == "Predicting" else None)
    assert len(told) == 2 * 2 * 3 and told == sorted(told)  # steps of 18 voxels along 36, 40 and 44
    token, seen = CancelToken(), []

    def stop(_fraction, message):
        seen.append(message)
        if seen.count("Predicting") == 2:
            token.cancel()

    with pytest.raises(Cancelled):
        segment(noise(), request, progress=stop, cancel=token)
    assert seen.count("Predicting") == 2


def test_a_region_limits_the_labels(tmp_path):
    bundle = tiny.labels_bundle(tmp_path / "tiny")
    mask = np.zeros(SHAPE, bool)
    mask[10:20] = True
    request = Request(
        "monai_bundle", device="cpu", parameters={"weights": str(bundle)},
        region=Region("mask", mask=mask, ijk_to_ras=STORED["oblique"]),
    )  # fmt: skip
    found = segment(noise(), request).segmentation.layers[0]
    assert found[10:20].any() and not found[:10].any() and not found[20:].any()


def about(bundle, change):
    """Changes the metadata."""
    path = bundle / "configs" / "metadata.json"
    told = json.loads(path.read_text())
    change(told["network_data_format"])
    path.write_text(json.dumps(told))
    return bundle


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda told: told.clear(), "does not say what the network takes and gives"),
        (lambda told: told["inputs"].update(points={"type": "tuples"}), "takes points beside or instead of one image"),
        (lambda told: told["inputs"]["image"].update(spatial_shape=[1, 2]), "takes images of 2 dimensions"),
        (lambda told: told["inputs"]["image"].update(num_channels=3), "does not name its 3 channels"),
        (lambda told: told["inputs"]["image"].update(num_channels=3, channel_def={}), "does not name its 3 channels"),
        (lambda told: told["outputs"]["pred"].update(format="boxes"), "its result is boxes; wanted a segmentation"),
        (lambda told: told["outputs"]["pred"].pop("channel_def"), "does not name what it finds"),
        (lambda told: told["inputs"]["image"].update(modality="MR"), "modality is CT; the channel 'CT' of Tiny bundle is for"),
    ],
)
def test_metadata_that_do_not_fit_are_told_in_a_sentence(tmp_path, change, sentence):
    bundle = about(tiny.labels_bundle(tmp_path / "tiny"), change)
    if "modality" in sentence:
        about(bundle, lambda told: told["inputs"]["image"].update(channel_def={"0": "T1"}))
        sentence = "modality is CT; the channel 'T1' of Tiny bundle is for MR"
    with pytest.raises((InputError, ModelError), match=sentence):
        run(noise(), bundle)


def test_folders_weights_and_parameters_that_do_not_fit(tmp_path):
    bundle = tiny.labels_bundle(tmp_path / "tiny")
    with pytest.raises(InputError, match="needs weights"):
        segment(noise(), Request("monai_bundle"))
    with pytest.raises(ModelError, match="nothing: no folder"):
        run(noise(), tmp_path / "nothing")
    with pytest.raises(InputError, match="has no parameter 'folds'"):
        run(noise(), bundle, folds=[0])
    with pytest.raises(InputError, match="has no structure 'lung'"):
        run(noise(), bundle, structures=["lung"])
    with pytest.raises(InputError, match="has no channel 'FLAIR'"):
        run(noise(), bundle, [("FLAIR", noise(1))])
    (bundle / "models" / "model.pt").write_bytes(b"\x80\x04no checkpoint")
    with pytest.raises(ModelError, match="bare pickle"):
        run(noise(), bundle)
    config = json.loads((bundle / "configs" / "inference.json").read_text())
    tiny.write_bundle(bundle, config, tiny.metadata(), over(0, 1, 1, (0,)))
    with pytest.raises(ModelError, match="weights in model.pt are not those of the network"):
        run(noise(), bundle)
    (bundle / "models" / "model.pt").unlink()
    with pytest.raises(ModelError, match="no weights are there"):
        run(noise(), bundle)
    (bundle / "configs" / "metadata.json").unlink()
    with pytest.raises(ModelError, match="no configs/metadata.json"):
        run(noise(), bundle)


def test_a_wrapped_folder_and_safetensors(tmp_path):
    from safetensors.torch import save_file

    inner = tiny.labels_bundle(tmp_path / "outer" / "tiny")
    first = run(noise(), tmp_path / "outer").layers[0]
    import torch

    state = torch.load(inner / "models" / "model.pt", weights_only=True)
    save_file(state, inner / "models" / "model.safetensors")
    (inner / "models" / "model.pt").unlink()
    np.testing.assert_array_equal(run(noise(), inner).layers[0], first)


def test_a_class_that_does_not_take_its_arguments_is_named(tmp_path):
    bundle = tiny.labels_bundle(tmp_path / "tiny")
    edited(bundle, network_def={**tiny.network_of("UNet", 1, 3), "flux": 3})
    with pytest.raises(ModelError, match="does not make: UNet .TypeError"):
        run(noise(), bundle)


def test_images_of_another_grid_are_refused(tmp_path):
    bundle = picking(tmp_path / "pair", ("T1c", "FLAIR"), (0, 1))
    image = noise(modality="MR")
    moved = replace(image, ijk_to_ras=STORED["left-handed"])
    with pytest.raises(InputError, match="the image of the channel 'FLAIR'"):
        run(image, bundle, [("FLAIR", moved)])

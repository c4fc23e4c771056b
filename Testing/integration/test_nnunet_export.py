"""From class scores to labels: each bounded way gives what nnU-Net's resampling of everything and its comparison give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed (extra 'ai'), so its tests cannot run")

import tiny_nnunet as tiny  # noqa: E402
from helpers_total_segmentator import blocks  # noqa: E402
from OncoSegmentLib.experts.nnunet import cells, export, slabs  # noqa: E402
from OncoSegmentLib.request import Request  # noqa: E402
from OncoSegmentLib.segment import segment  # noqa: E402


def scores_of(seed: int, classes: int, shape, smooth: float):
    """Random half-precision scores; smooth ones have borders as those of a network."""
    import torch
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    found = [ndimage.gaussian_filter(rng.normal(size=shape), smooth) * 20 * max(smooth, 0.5) for _ in range(classes)]
    return torch.from_numpy(np.stack(found)).half()


def own_resampling(scores, shape, have, wanted, order=1, order_z=0):
    """nnU-Net's default function on all classes at once."""
    from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape

    options = {"is_seg": False, "order": order, "order_z": order_z, "force_separate_z": None}
    return resample_data_or_seg_to_shape(scores.numpy(), shape, have, wanted, **options)


def way(scores, shape, have, wanted, order=1, order_z=0) -> export.Way:
    """As the plans of such a model say."""
    kwargs = {"is_seg": False, "order": order, "order_z": order_z, "force_separate_z": None}
    plans = {"resampling_fn_probabilities": "resample_data_or_seg_to_shape", "resampling_fn_probabilities_kwargs": kwargs}
    linear, nearest, as_half = export.linear_of(plans, have, wanted)
    return export.Way(shape, lambda one: own_resampling(one, shape, have, wanted, order, order_z), linear, nearest, as_half)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    classes=st.integers(2, 9),
    nodes=st.tuples(*[st.integers(2, 19)] * 3),
    samples=st.tuples(*[st.integers(2, 40)] * 3),
    thick=st.booleans(),
    smooth=st.sampled_from([0.0, 1.0, 2.5]),
)
def test_by_cell_is_what_interpolating_every_class_gives(seed, classes, nodes, samples, thick, smooth):
    """Voxels may differ only where two classes have the same score in half precision, in single precision nowhere."""
    import torch

    scores = scores_of(seed, classes, nodes, smooth)
    axes = cells.axes_of(nodes, samples, 0 if thick else None)
    everything = cells.interpolated(scores.float(), axes, (0, 0, 0), (slice(None),) * 3)
    out = np.zeros(samples, np.uint8)
    cells.labels_by_cells(scores, axes, out, as_half=False)
    best = everything.max(0).values
    chosen = torch.gather(everything, 0, torch.from_numpy(out.astype(np.int64))[None])[0]
    np.testing.assert_allclose(chosen.numpy(), best.numpy(), atol=1e-4)
    assert np.mean(out != everything.argmax(0).numpy()) < 1e-3


@pytest.mark.parametrize(
    ("nodes", "samples", "have", "wanted"),
    [
        ((20, 26, 31), (33, 41, 52), (1.5, 1.5, 1.5), (0.9, 0.95, 0.9)),
        ((9, 26, 31), (15, 41, 52), (5.0, 1.5, 1.5), (3.0, 0.95, 0.9)),
        ((26, 31, 9), (41, 52, 15), (1.5, 1.5, 5.0), (0.95, 0.9, 3.0)),
        ((33, 41, 52), (20, 26, 31), (1.0, 1.0, 1.0), (1.6, 1.6, 1.7)),
        ((1, 26, 31), (2, 41, 52), (1.5, 1.5, 1.5), (0.75, 0.95, 0.9)),
    ],
)
@pytest.mark.parametrize("smooth", [0.0, 2.0])
def test_by_cell_against_nnu_nets_own_function(nodes, samples, have, wanted, smooth):
    scores = scores_of(3, 12, nodes, smooth)
    one = way(scores, samples, have, wanted)
    assert one.linear
    reference = own_resampling(scores, samples, have, wanted).argmax(0)
    found = export.labels_of(scores, one, None, export.CELLS)
    assert np.mean(found != reference) < 2e-4
    np.testing.assert_array_equal(export.labels_of(scores, one, None, export.CLASSES), reference)


@pytest.mark.parametrize(("order", "order_z"), [(3, 0), (0, 0), (1, 3)])
def test_other_resamplings_go_class_by_class_and_are_identical(order, order_z):
    scores = scores_of(4, 7, (9, 20, 22), 1.0)
    have, wanted, shape = (5.0, 1.5, 1.5), (3.0, 0.9, 0.9), (15, 33, 36)
    one = way(scores, shape, have, wanted, order, order_z)
    assert not one.linear and export.method_of(one, 10_000, (9, 200, 220)) == export.CLASSES
    found = export.labels_of(scores, one, None, export.CLASSES)
    np.testing.assert_array_equal(found, own_resampling(scores, shape, have, wanted, order, order_z).argmax(0))


def test_regions_by_cell():
    scores = scores_of(5, 3, (12, 18, 22), 1.5)
    have, wanted, shape = (1.5, 1.5, 1.5), (0.9, 0.9, 0.9), (20, 30, 37)
    own = 1 / (1 + np.exp(-own_resampling(scores, shape, have, wanted).astype(np.float32))) > 0.5
    for mask, reference in zip(export.regions_of(scores, way(scores, shape, have, wanted), None, export.CELLS), own):
        assert reference.any() and np.mean(mask != reference) < 2e-4


def test_torch_resampling_of_plans_is_linear_too():
    import torch
    from nnunetv2.preprocessing.resampling.resample_torch import resample_torch_fornnunet

    scores = scores_of(6, 6, (9, 20, 22), 1.0)
    have, wanted, shape = (5.0, 1.5, 1.5), (3.0, 0.9, 0.9), (15, 33, 36)
    plans = {"resampling_fn_probabilities": "resample_torch_fornnunet", "resampling_fn_probabilities_kwargs": {}}
    linear, nearest, as_half = export.linear_of(plans, have, wanted)
    assert (linear, nearest, as_half) == (True, 0, False)
    one = export.Way(shape, None, linear, nearest, as_half)
    reference = resample_torch_fornnunet(scores.float(), shape, have, wanted, num_threads=torch.get_num_threads()).argmax(0)
    assert np.mean(export.labels_of(scores, one, None, export.CELLS) != reference.numpy()) < 2e-4


@pytest.mark.parametrize("transpose", [(0, 1, 2), (2, 0, 1)])
def test_the_expert_by_cell_against_nnu_nets_export(tmp_path, monkeypatch, transpose):
    """The issue's measure: Dice of each label at least 0.995, volume within 1 %."""
    monkeypatch.setattr(export, "SMALL_BYTES", 0)
    factors, biases = tiny.hounsfield_labels((-700, 60, 140, 350))
    labels = {"lung": 1, "liver": 2, "spleen": 3, "bone": 4}
    model = tiny.write_model(tmp_path / "Dataset920_Big", labels=labels, factors=factors, biases=biases, transpose=transpose)
    image = blocks(noise=200.0)
    image.voxels[:, :, :3] = 0  # what nnU-Net crops away before it resamples
    image.voxels[:2] = 0
    found = segment(image, Request("nnunet", device="cpu", parameters={"weights": str(model)})).segmentation
    assert found.provenance.parameters["resampling"] == export.CELLS
    own = tiny.own_labels(model, image.voxels[None], image.spacing_kji_mm)
    for value in labels.values():
        first, second = own == value, found.layers[0] == value
        assert 2 * np.count_nonzero(first & second) / (first.sum() + second.sum()) >= 0.995
        assert abs(int(second.sum()) - int(first.sum())) <= 0.01 * first.sum()
    assert not found.layers[0][:, :, :3].any()


def test_scores_of_many_labels_never_lie_in_full_resolution(tmp_path):
    """At 512x512x800 with 118 classes the way is by cell, whose largest array is the labels."""
    one = export.Way((800, 512, 512), None, True)
    assert export.method_of(one, 118, (533, 341, 341)) == export.CELLS
    assert export.method_of(export.Way((64, 64, 64), None, True), 5, (40, 40, 40)) == export.WHOLE


@pytest.mark.parametrize("spacing", [(1.5, 1.5, 1.5), (2.5, 2.2, 2.0)])
@pytest.mark.parametrize("folds", [(0,), (0, 1)])
def test_slabs_give_the_very_same_labels(tmp_path, monkeypatch, spacing, folds):
    """In slabs and at once: the same sums in the same order, on the image's own grid and on a finer one."""
    monkeypatch.setattr(export, "SMALL_BYTES", 0)
    factors, biases = tiny.hounsfield_labels((-700, 60, 140, 350))
    labels = {"lung": 1, "liver": 2, "spleen": 3, "bone": 4}
    model = tiny.write_model(
        tmp_path / "Dataset921_Slabs", labels=labels, factors=factors, biases=biases, spacing=spacing, folds=folds,
        fold_shift=0.4, patch=(16, 32, 32),
    )  # fmt: skip
    request = Request("nnunet", device="cpu", parameters={"weights": str(model)})
    image = blocks(noise=200.0)
    at_once = segment(image, request).segmentation
    monkeypatch.setattr(slabs, "LARGE_BYTES", 0)
    seen = []
    in_slabs = segment(image, request, progress=lambda fraction, _text: seen.append(fraction)).segmentation
    assert in_slabs.provenance.parameters["resampling"] == "by cell, in slabs"
    np.testing.assert_array_equal(in_slabs.layers[0], at_once.layers[0])
    assert seen == sorted(seen) and len(seen) > 10
    if spacing != (1.5, 1.5, 1.5):
        own = tiny.own_labels(model, image.voxels[None], image.spacing_kji_mm, folds=folds)
        np.testing.assert_array_equal(in_slabs.layers[0], own)


def test_slabs_of_regions_and_of_images_smaller_than_a_tile(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "SMALL_BYTES", 0)
    model = tiny.write_model(
        tmp_path / "Dataset922_Regions", labels={"soft": [1, 2], "bright": [2]}, order=(1, 2), factors=[[8.0], [8.0]],
        biases=[0.0, -1.0], patch=(16, 64, 32),
    )  # fmt: skip
    request = Request("nnunet", device="cpu", parameters={"weights": str(model)})
    image = blocks(noise=200.0)
    at_once = segment(image, request).segmentation
    monkeypatch.setattr(slabs, "LARGE_BYTES", 0)
    in_slabs = segment(image, request).segmentation
    assert len(in_slabs.layers) == 2 and "slabs" in in_slabs.provenance.parameters["resampling"]
    for one, other in zip(in_slabs.layers, at_once.layers):
        assert one.any()
        np.testing.assert_array_equal(one, other)


def test_cancel_within_slabs(tmp_path, monkeypatch):
    from OncoLib.errors import Cancelled
    from OncoLib.progress import CancelToken

    monkeypatch.setattr(export, "SMALL_BYTES", 0)
    monkeypatch.setattr(slabs, "LARGE_BYTES", 0)
    factors, biases = tiny.hounsfield_labels((60, 350))
    labels = {"liver": 1, "bone": 2}
    model = tiny.write_model(tmp_path / "Dataset923_Stop", labels=labels, factors=factors, biases=biases, patch=(16, 32, 32))
    token, told = CancelToken(), []

    def progress(fraction, message):
        told.append(message)
        if told.count("Predicting") == 3:
            token.cancel()

    with pytest.raises(Cancelled):
        segment(blocks(), Request("nnunet", device="cpu", parameters={"weights": str(model)}), progress=progress, cancel=token)
    assert told.count("Predicting") == 3


def test_large_cases_are_done_in_slabs():
    """118 classes on the network's grid of 512x512x800 at 0.8 mm: 49 GB at once, 7.9 GB of one tile's depth."""
    from types import SimpleNamespace

    configuration, labels = SimpleNamespace(patch_size=[128, 128, 128]), SimpleNamespace(num_segmentation_heads=118)
    predictor = SimpleNamespace(configuration_manager=configuration, label_manager=labels)
    assert slabs.worthwhile(predictor, (800, 512, 512), 1) and slabs.worthwhile(predictor, (800, 512, 512), 5)
    assert not slabs.worthwhile(predictor, (120, 512, 512), 1)
    assert not slabs.worthwhile(predictor, (64, 128, 128), 1)

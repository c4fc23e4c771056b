"""STAPLE by counted patterns is that of SimpleITK; the traps that were measured with it are told or refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import ball
from helpers_fusion import layer_of, opinions, organs
from OncoSegmentLib.consensus.staple import binary_staple, multilabel_staple
from OncoSegmentLib.fusion import fuse

ONE = organs(1)


def counted(layers) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows of answers, and how often each occurs."""
    return np.unique(np.stack([layer.ravel() for layer in layers], axis=1).astype(int), axis=0, return_counts=True)


def blurred_truth(random, shape=(10, 12, 14), errors=(0.05, 0.1, 0.2)) -> list[np.ndarray]:
    """One truth seen by experts who err independently, each voxel with the expert's own rate."""
    truth = ball(shape, np.array(shape) / 2, 4)
    return [(truth ^ (random.random(shape) < rate)).astype(np.uint8) for rate in errors]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(((0.05, 0.1, 0.2), (0.3, 0.02, 0.02, 0.1), (0.0, 0.05, 0.4))))
def test_binary_staple_gives_simpleitks_numbers(seed, errors):
    layers = blurred_truth(np.random.default_rng(seed), errors=errors)
    theirs = sitk.STAPLEImageFilter()
    theirs.SetMaximumIterations(2000)
    image = theirs.Execute([sitk.GetImageFromArray(layer) for layer in layers])
    rows, counts = counted(layers)
    ours = binary_staple(rows == 1, counts)
    np.testing.assert_allclose(ours.sensitivity, theirs.GetSensitivity(), atol=1e-4)
    np.testing.assert_allclose(ours.specificity, theirs.GetSpecificity(), atol=1e-4)
    stacked = np.stack([layer.ravel() for layer in layers], axis=1)
    place = (stacked[:, None, :] == rows[None]).all(axis=2).argmax(axis=1)
    np.testing.assert_allclose(ours.posterior[place], sitk.GetArrayFromImage(image).ravel(), atol=1e-3)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_multilabel_staple_gives_simpleitks_labels(seed):
    random = np.random.default_rng(seed)
    truth = np.zeros((8, 10, 12), np.uint8)
    truth[1:4, 1:9, 1:11], truth[4:7, 1:9, 1:6], truth[4:7, 1:9, 6:11] = 1, 2, 3
    noise = [(random.random(truth.shape) < rate, random.integers(0, 4, truth.shape)) for rate in (0.05, 0.1, 0.25)]
    layers = [np.where(wrong, other, truth).astype(np.uint8) for wrong, other in noise]
    theirs = sitk.MultiLabelSTAPLEImageFilter()
    theirs.SetTerminationUpdateThreshold(1e-9)
    theirs.SetMaximumNumberOfIterations(2000)
    wanted = sitk.GetArrayFromImage(theirs.Execute([sitk.GetImageFromArray(layer) for layer in layers]))
    rows, counts = counted(layers)
    found, _ = multilabel_staple(rows, counts, 3)
    stacked = np.stack([layer.ravel() for layer in layers], axis=1)
    place = (stacked[:, None, :] == rows[None]).all(axis=2).argmax(axis=1)
    assert (wanted < 4).all()
    assert np.count_nonzero(found[place] != wanted.ravel()) == 0


@pytest.mark.parametrize("method", ["staple", "multilabel-staple"])
def test_staple_follows_two_of_three_with_one_mistake_and_says_so(method):
    """Two experts from one source are wrong alike: no vote of three can see it, so the result has to tell it."""
    right, wrong = ball((20, 24, 24), (10, 12, 8), 6).astype(np.uint8), ball((20, 24, 24), (10, 12, 13), 6).astype(np.uint8)
    fusion = fuse(opinions([right, wrong, wrong], ONE), method=method)
    assert np.array_equal(layer_of(fusion), wrong)
    told = fusion.segmentation.segments[0]
    assert told.confidence == "low"
    assert "STAPLE follows B and C, who agree with each other only; experts of one origin are one opinion" in told.flags
    alike = fuse(opinions([right, right, right], ONE), method=method).segmentation.segments[0]
    assert alike.confidence == "high" and not any("STAPLE follows" in flag for flag in alike.flags)


def test_the_field_of_view_does_not_change_what_staple_says():
    """SimpleITK's specificity grows with empty space around; ours looks at the box of the structure."""
    layers = [ball((14, 14, 14), (7, 7, 7), radius).astype(np.uint8) for radius in (4.0, 4.6, 5.2)]
    wide = [np.pad(layer, 15) for layer in layers]
    small, large = (fuse(opinions(item, ONE), method="staple").performance for item in (layers, wide))
    (first,), (second,) = small.values(), large.values()
    np.testing.assert_allclose(first.specificity, second.specificity, atol=1e-12)
    filters = []
    for item in (layers, wide):
        filters.append(sitk.STAPLEImageFilter())
        filters[-1].Execute([sitk.GetImageFromArray(layer) for layer in item])
    assert filters[1].GetSpecificity()[2] > filters[0].GetSpecificity()[2] + 0.01


def test_two_empty_of_three_leave_nothing_silently():
    empty, ball_of = np.zeros((10, 10, 10), np.uint8), ball((10, 10, 10), (5, 5, 5), 3).astype(np.uint8)
    fusion = fuse(opinions([ball_of, empty, empty], ONE), method="staple")
    assert not layer_of(fusion).any()
    (score,) = fusion.scores.values()
    assert score.band == "low" and score.found_by == ("A",) and fusion.segmentation.segments == ()


def test_structures_that_nobody_drew_are_no_division_by_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fusion = fuse(opinions([np.zeros((4, 5, 6), np.uint8)] * 3, ONE), method="multilabel-staple")
    assert not layer_of(fusion).any()


def test_a_structure_of_many_gets_each_voxel_once():
    random = np.random.default_rng(5)
    base = random.integers(0, 4, (8, 8, 8))
    noise = [(random.random(base.shape) < 0.2, random.integers(0, 4, base.shape)) for _ in range(3)]
    layers = [np.where(wrong, other, base).astype(np.uint8) for wrong, other in noise]
    found = layer_of(fuse(opinions(layers), method="staple"))
    assert (found == base).mean() > 0.9

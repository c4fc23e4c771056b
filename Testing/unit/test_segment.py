"""Phase two of the main job: what is refused before any work, what provenance says, progress and Cancel."""

from __future__ import annotations

import datetime
import json
import re

import numpy as np
import pytest

from helpers import ct_phantom, image
from OncoLib.audit import image_sha256
from OncoLib.errors import Cancelled, InputError, ModelError
from OncoLib.progress import CancelToken
from OncoSegmentLib.experts.registry import experts
from OncoSegmentLib.request import Request
from OncoSegmentLib.segment import check_segmentable, segment

BONES = Request("thresholds", "bones")


@pytest.mark.parametrize("shape", [(1, 5, 5), (5, 1, 5), (5, 5, 1)])
def test_a_single_slice_is_refused(shape):
    with pytest.raises(InputError, match="a single slice; wanted a volume"):
        check_segmentable(image(np.arange(25).reshape(shape).astype(np.int16)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_image_without_any_finite_value_is_refused(value):
    with pytest.raises(InputError, match="no finite value"):
        check_segmentable(image(np.full((3, 4, 5), value, np.float32)))


@pytest.mark.parametrize("value", [0, -1024, 3000])
@pytest.mark.parametrize("kind", [np.int16, np.float64])
def test_an_image_of_one_value_is_refused_with_it(value, kind):
    with pytest.raises(InputError, match=f"all voxels have the value {value}"):
        check_segmentable(image(np.full((3, 4, 5), value, kind)))


def test_an_image_of_one_value_and_holes_is_refused_too():
    """NaN is no content: what is left has one value."""
    voxels = np.full((3, 4, 5), 7.0, np.float32)
    voxels[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="all voxels have the value 7"):
        check_segmentable(image(voxels))


def test_missing_values_are_counted_in_a_note():
    voxels = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    voxels[0, 0, :2] = np.nan, np.inf
    assert check_segmentable(image(voxels)).notes == ("2 voxels are NaN or infinite; they belong to no structure",)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_missing_values_belong_to_no_structure(value):
    """The middle of the bone is missing: no segment may hold it, whatever closing and filling do."""
    scan = ct_phantom()
    voxels = scan.voxels.astype(np.float32)
    voxels[10:14, 17:20, 17:20] = value
    result = segment(image(voxels, scan.ijk_to_ras), Request("thresholds", "bones")).segmentation
    assert not result.layers[0][~np.isfinite(voxels)].any()


def test_missing_values_within_the_lung_belong_to_no_structure_either():
    """A block that is not a number, in the middle of aerated lung, which the lung profile closes and fills."""
    voxels = np.full((30, 60, 60), -1000, np.float32)
    voxels[:, 3:57, 3:57] = 40
    voxels[4:26, 12:48, 12:48] = -850
    voxels[12:15, 29:32, 29:32] = np.nan
    result = segment(image(voxels, np.diag([3.0, 3.0, 3.0, 1.0])), Request("thresholds", "lungs")).segmentation
    assert np.count_nonzero(result.layers[0]) > 20_000
    assert not result.layers[0][np.isnan(voxels)].any()


def test_unknown_models_are_told_with_those_there_are():
    with pytest.raises(ModelError, match="^no model 'no-such'; there are thresholds, totalsegmentator, nnunet, monai_bundle$"):
        segment(ct_phantom(), Request("no-such"))
    assert [found.id for found in experts()] == ["thresholds", "totalsegmentator", "nnunet", "monai_bundle"]


def test_provenance_says_how_to_make_it_again():
    scan = ct_phantom()
    result = segment(scan, BONES)
    said = result.segmentation.provenance
    assert (said.model, said.device, said.weights_sha256) == ("thresholds", "cpu", "")
    assert said.model_version and said.input_sha256 == image_sha256(scan)
    assert datetime.datetime.fromisoformat(said.started).tzinfo is not None
    assert said.seconds > 0 and said.peak_memory_mb > 10
    assert said.packages["numpy"] == np.__version__ and {"python", "scipy", "SimpleITK"} <= said.packages.keys()
    assert said.parameters["structures"][0]["range"] == [300, 1500]
    json.dumps(said.as_dict(), allow_nan=False)


def test_seconds_are_those_of_the_clock_that_was_given():
    ticks = iter([100.0, 112.5])
    assert segment(ct_phantom(), BONES, clock=lambda: next(ticks)).segmentation.provenance.seconds == 12.5


def test_the_result_lies_on_the_images_own_grid_and_the_image_is_untouched():
    scan = ct_phantom()
    before = scan.voxels.copy()
    result = segment(scan, BONES).segmentation
    np.testing.assert_array_equal(result.ijk_to_ras, scan.ijk_to_ras)
    assert result.shape_kji == scan.shape_kji
    np.testing.assert_array_equal(scan.voxels, before)


def test_a_read_only_image_can_be_segmented():
    scan = ct_phantom()
    scan.voxels.setflags(write=False)
    assert segment(scan, BONES).segmentation.layers[0].any()


def test_progress_rises_from_0_to_1_in_words():
    told = []
    segment(ct_phantom(), BONES, progress=lambda fraction, message: told.append((fraction, message)))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert all(re.fullmatch(r"[A-Z][a-z ]+", message) for _, message in told)


def test_cancel_stops_it_at_every_stage():
    stages = []
    segment(ct_phantom(), BONES, progress=lambda fraction, message: stages.append(message))
    for stage in stages[:-1]:
        token = CancelToken()

        def stop(fraction, message, wanted=stage, token=token):
            if message == wanted:
                token.cancel()

        with pytest.raises(Cancelled):
            segment(ct_phantom(), BONES, progress=stop, cancel=token)


def test_two_runs_are_equal():
    first, second = (segment(ct_phantom(), BONES).segmentation for _ in range(2))
    np.testing.assert_array_equal(first.layers[0], second.layers[0])
    assert first.segments == second.segments

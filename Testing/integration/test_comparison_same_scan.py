"""The same scan turned by 7 degrees and shifted by 9 mm, resampled: the whole comparison must find no change."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import scipy.ndimage as ndimage

from helpers import rotation
from LongitudinalCompareLib.comparing import CompareOptions, compare_with_evidence
from LongitudinalCompareLib.comparison import LONGEST_MM, VOLUME_ML
from LongitudinalCompareLib.grid_rounding import volume_sd_ln
from LongitudinalCompareLib.growth import WITHIN
from LongitudinalCompareLib.timepoint import Timepoint
from OncoLib.image import Image
from OncoLib.phantom.acquisition import Acquisition
from OncoLib.phantom.patient import reference_patient
from OncoLib.phantom.scan import lesions_at, scan
from OncoLib.phantom.truth_check import vertebrae_and_lesions
from OncoLib.progress import CancelToken, silent
from OncoLib.segmentation import Segmentation
from OncoLib.terminology import is_lesion

pytestmark = pytest.mark.slow

STEP_MM = 2.0
LIVER_MM = ((30.3, 145.0), (-40.7, 110.0), (125.0, 255.9))
"""Around the metastases; no center of them lies on the grid."""
TURN_DEGREES, SHIFT_MM = 7.0, np.array((6.0, -3.0, 6.0))
"""The shift is 9 mm long."""


def pose_about(middle: np.ndarray) -> np.ndarray:
    """4x4: the patient turned about a point and shifted."""
    pose = np.eye(4)
    pose[:3, :3] = rotation(tuple(np.array((2, -1, 2)) / 3), TURN_DEGREES)
    pose[:3, 3] = SHIFT_MM + middle - pose[:3, :3] @ middle
    return pose


def resampled(image: Image, pose: np.ndarray) -> Image:
    """The patient in another pose, by linear interpolation onto the same grid; air beyond what was scanned."""
    swap = np.eye(4)[[2, 1, 0, 3]]
    there = swap @ np.linalg.inv(image.ijk_to_ras) @ np.linalg.inv(pose) @ image.ijk_to_ras @ swap  # kji to kji
    values = ndimage.affine_transform(image.voxels.astype(np.float32), there[:3, :3], there[:3, 3], order=1, cval=-1000.0)
    return replace(image, voxels=np.rint(values).astype(np.int16))


def redrawn(segmentation: Segmentation, lesions, pose: np.ndarray) -> Segmentation:
    """The lesions where they then lie: voxels whose center is in the shape. A mask that is resampled would shrink."""
    ijk = np.indices(segmentation.shape_kji)[::-1].reshape(3, -1)
    matrix = np.linalg.inv(pose) @ segmentation.ijk_to_ras
    places = (matrix[:3, :3] @ ijk + matrix[:3, 3:]).reshape(3, *segmentation.shape_kji)
    layers, segments = [np.zeros_like(layer) for layer in segmentation.layers], []
    for one in segmentation.segments:
        if is_lesion(one.entry):
            shape = next(lesion.solid for lesion in lesions if lesion.name == one.name)
            layers[one.layer][shape.signed(*places) <= 0] = one.label
            segments.append(one)
    return replace(segmentation, layers=tuple(layers), segments=tuple(segments))


@lru_cache(maxsize=1)
def compared():
    """Liver metastases of 20, 10 and 8 mm radius or so on voxels of 2 mm."""
    patient, growth = reference_patient(), {"liver_1": (20 / 15) ** 3, "liver_3": (8 / 6) ** 3}
    how = Acquisition(region=LIVER_MM, spacing_mm=(STEP_MM,) * 3, samples=(1, 1, 1), growth=growth)
    first = scan(patient, how)
    truth = vertebrae_and_lesions(first)
    pose = pose_about(np.mean(LIVER_MM, axis=1))
    later = resampled(first.image, pose), redrawn(truth, lesions_at(patient, how), pose)
    dates = (first.image, truth, "2026-01-05"), (*later, "2026-03-02")
    timepoints = tuple(Timepoint({"CT": image}, day, "", masks) for image, masks, day in dates)
    return compare_with_evidence(timepoints, CompareOptions(way_back=False), silent, CancelToken())


def test_the_transform_is_the_one_that_was_made():
    evidence, _ = compared()
    matrix = evidence.pairs[0].transform.fixed_to_moving_ras
    angle = np.degrees(np.arccos((np.trace(matrix[:3, :3]) - 1) / 2))
    assert angle == pytest.approx(TURN_DEGREES, abs=0.3)


def test_no_lesion_is_new_or_gone_and_none_changed_beyond_measurement_error():
    _, comparison = compared()
    assert {one.name: one.status for one in comparison.tracks} == {
        f"Liver metastasis {number}": "persistent" for number in (1, 2, 3)
    }
    for track in comparison.tracks:
        assert track.change(1).verdict == WITHIN, track.change(1).sentence


def test_volumes_and_diameters_stay():
    """33.5 ml to 1 %; smaller ones to four deviations of the rounding by the grid, which is 3.3 % at 8 mm radius."""
    _, comparison = compared()
    for track in comparison.tracks:
        before, after = (one.value(VOLUME_ML) for one in track.entries)
        rounding = np.sqrt(2) * volume_sd_ln(before, (STEP_MM,) * 3)
        allowed = 0.01 if track.name == "Liver metastasis 1" else 4 * rounding
        assert abs(after / before - 1) <= allowed, (track.name, after / before - 1)
        longest = [one.value(LONGEST_MM) for one in track.entries]
        assert abs(longest[1] - longest[0]) <= STEP_MM, track.name


def test_it_is_stable_disease():
    _, comparison = compared()
    (proposal,) = comparison.criterion("recist11").proposals
    assert proposal.category == "SD" and "No new lesion" in proposal.sentence

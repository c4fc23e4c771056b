"""The verdict on the alignment where a lesion was first seen after the baseline, with the phantom's own poses as transforms."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from helpers_tracking import shift
from LongitudinalCompareLib.compare_options import CompareOptions
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.evidence_dates import dated_lesions, judged_at
from LongitudinalCompareLib.evidence_later import NOT_JUDGED, REFUSED_THERE, with_later_lesions
from LongitudinalCompareLib.evidence_of import chosen_of, outcomes, seen_date
from LongitudinalCompareLib.lesion_track import LesionKey
from LongitudinalCompareLib.registration import Pair
from LongitudinalCompareLib.timepoint import Timepoint
from OncoLib.errors import Cancelled
from OncoLib.image import Image
from OncoLib.phantom.acquisition import follow_up
from OncoLib.phantom.patient import reference_patient
from OncoLib.phantom.scan import scan
from OncoLib.progress import CancelToken, silent
from OncoLib.registration.presets import PRESETS
from OncoLib.registration.transform import LinearTransform, Registration

DAYS = ("2026-01-05", "2026-03-02", "2026-04-27")
NEW = LesionKey(1, "Liver metastasis 3")
BOX = ((30.0, 150.0), (-90.0, 60.0), (130.0, 240.0))
"""The liver, in the patient's frame."""


@lru_cache(maxsize=1)
def course():
    """Three dates of the liver, and the pose of each."""
    timepoints, poses = [], []
    for number, taken in enumerate(follow_up(3, spacing_mm=(4.0, 4.0, 4.0), region=BOX, samples=(1, 1, 1))):
        one = scan(reference_patient(), taken, seed=number)
        timepoints.append(Timepoint({"image": one.image}, DAYS[number], segmentation=one.truth))
        poses.append(taken.pose)
    return tuple(timepoints), poses


def registered(timepoints, wrong=None) -> tuple[Evidence, tuple[Pair, ...]]:
    """Evidence with the true transforms, or with a further shift for the date of a number."""
    poses, pairs, fixed = course()[1], [], timepoints[0]
    for at, moving in enumerate(timepoints[1:], 1):
        true = LinearTransform(poses[at] @ np.linalg.inv(poses[0]))
        true = true.then(shift(*wrong[at])) if wrong and at in wrong else true
        found = Registration(true, "phantom", "none", 0.0, 1.0, True, (0.0, 0.0), 0.0, 1.0, "known", 0.0)
        pairs.append(Pair(fixed, moving, found, None, None))  # lesions of the baseline are judged elsewhere
    chosen = chosen_of(timepoints, CompareOptions())
    token = CancelToken()
    dates = [seen_date(at, one, of, fixed, token) for at, (one, of) in enumerate(zip(timepoints, chosen))]
    return Evidence(tuple(dates), outcomes(pairs), "seed"), tuple(pairs)


def judged(timepoints, wrong=None) -> Evidence:
    return with_later_lesions(*registered(timepoints, wrong), False, PRESETS["ct-abdomen"], silent, CancelToken())


def lesion_at(found: Evidence, at: int):
    return next(one for one in found.dates[at].lesions if one.key.name == NEW.name)


@pytest.mark.slow
def test_a_true_alignment_is_accepted_at_its_own_date_and_later():
    found = judged(course()[0])
    regions = [judged_at(found, NEW, at) for at in (1, 2)]
    assert [one.verdict for one in regions] == ["good", "good"]
    assert regions[0].moved_ras_mm == pytest.approx(tuple(lesion_at(found, 1).centroid_ras_mm))
    assert np.linalg.norm(np.subtract(regions[1].moved_ras_mm, lesion_at(found, 2).centroid_ras_mm)) < 2.0
    assert [one.refused for one in dated_lesions(found)] == [frozenset()] * 3
    assert not {NOT_JUDGED, REFUSED_THERE} & set(lesion_at(found, 1).flags)


@pytest.mark.slow
def test_a_wrong_one_of_a_later_date_is_refused_there():
    found = judged(course()[0], {2: (0.0, 9.0, 0.0)})
    assert (judged_at(found, NEW, 1).verdict, judged_at(found, NEW, 2).verdict) == ("good", "refuse")
    assert NEW in dated_lesions(found)[2].refused and NEW not in dated_lesions(found)[1].refused


def test_a_wrong_one_of_its_own_date_leaves_it_nowhere_to_be_carried_from():
    found = judged(course()[0], {1: (0.0, 9.0, 0.0)})
    assert judged_at(found, NEW, 1).verdict == "refuse" and NEW in dated_lesions(found)[2].refused
    assert REFUSED_THERE in lesion_at(found, 1).flags


def test_what_the_baseline_does_not_show_is_not_judged_and_says_so():
    first, *later = course()[0]
    (lesion,) = [one for one in registered(course()[0])[0].dates[1].lesions if one.key == NEW]
    center = np.linalg.inv(course()[1][1] @ np.linalg.inv(course()[1][0])) @ (*lesion.centroid_ras_mm, 1)
    k = int(round((np.linalg.inv(first.image.ijk_to_ras) @ center)[2]))
    image = Image(first.image.voxels[: k - 3], first.image.ijk_to_ras, modality="CT", units="HU")
    truth = replace(first.segmentation, layers=tuple(one[: k - 3] for one in first.segmentation.layers))
    found = judged((replace(first, images={"image": image}, segmentation=truth), *later))
    assert judged_at(found, NEW, 1) is None and judged_at(found, NEW, 2) is None
    assert NOT_JUDGED in lesion_at(found, 1).flags


def test_it_can_be_cancelled_and_does_nothing_without_pairs():
    evidence, pairs = registered(course()[0])
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        with_later_lesions(evidence, pairs, False, PRESETS["ct-abdomen"], silent, token)
    alone = Evidence(evidence.dates[:1], (), "seed")
    assert with_later_lesions(alone, (), False, PRESETS["ct-abdomen"], silent, token) is alone

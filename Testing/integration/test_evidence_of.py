"""Evidence of real scans of the reference patient: registered, measured, told what cannot be used."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from helpers import image, segment
from helpers_timepoints import brain_pair
from LongitudinalCompareLib.alignment import put_together
from LongitudinalCompareLib.compare_options import CompareOptions
from LongitudinalCompareLib.evidence_dates import dated_lesions, judged_at
from LongitudinalCompareLib.evidence_of import evidence_of
from LongitudinalCompareLib.lesion_track import LesionKey
from LongitudinalCompareLib.registration import Pair
from LongitudinalCompareLib.timepoint import Timepoint
from LongitudinalCompareLib.tracking import track_lesions
from OncoLib.errors import Cancelled, InputError
from OncoLib.label_map import segmentation_of_labels
from OncoLib.phantom.acquisition import follow_up
from OncoLib.phantom.patient import reference_patient
from OncoLib.phantom.scan import scan
from OncoLib.progress import CancelToken
from OncoLib.registration.engine import Choice
from OncoLib.registration.presets import PRESETS

DAYS = ("2026-01-05", "2026-03-02", "2026-04-27")
COARSE = replace(PRESETS["mr-brain"], levels_mm=(8.0,), grid_mm=4.0, coarse_samples=3000, samples=5000, bias=False, turns=False)
"""The same search as a user's, in a twentieth of its time."""


@lru_cache(maxsize=1)
def brains() -> tuple[Timepoint, ...]:
    """Two dates in an order that is not that of time, each with its tumor and an expert who outlines it otherwise."""
    (first, truth, _), (second, later, _) = brain_pair(6.0)
    wider = replace(truth, layers=(np.ones_like(truth.layers[0]),), segments=(segment(1, "all"),))
    return (
        Timepoint({"T1c": second}, DAYS[1], segmentation=later, segmented_by="a model"),
        Timepoint({"T1c": first}, DAYS[0], "14:30:00", truth, notes=("a note",), experts={"E": wider}),
    )


@lru_cache(maxsize=1)
def brain_evidence():
    told = []
    options = CompareOptions(choice=Choice(COARSE), way_back=False, local=False)
    return evidence_of(brains(), options, lambda fraction, message: told.append((fraction, message))), told


def test_two_dates_are_registered_and_measured_on_their_own_grids():
    found, told = brain_evidence()
    first, second = found.dates
    assert [one.facts.when for one in found.dates] == [f"{DAYS[0]} 14:30:00", DAYS[1]]
    assert [one.facts.day for one in found.dates] == [0, 56]
    assert (first.facts.segmented_by, second.facts.segmented_by) == ("given", "a model")
    assert first.facts.modality == "MR" and first.facts.slice_mm == pytest.approx(6.0) and first.facts.notes[0] == "a note"
    for date, timepoint in zip(found.dates, brains()[::-1]):
        truth = timepoint.segmentation
        voxels = int(truth.mask(truth.segments[0]).sum())
        (lesion,) = date.lesions
        assert lesion.measurements["volume_ml"].value == pytest.approx(voxels * 0.216)
        assert lesion.site == "brain" and set(lesion.lines) == {"longest", "perpendicular"}
        assert np.array_equal(date.ijk_to_ras, timepoint.image.ijk_to_ras)
    assert found.seed == first.facts.sha256 != second.facts.sha256
    assert first.experts == {"Whole tumor": {"E": pytest.approx(wider_ml())}}
    assert [one.follow_up for one in found.pairs] == [1] and found.provenance["choice"]["kind"] == "rigid"
    (track,) = track_lesions(dated_lesions(found), found.seed).tracks
    assert track.statuses == ("baseline", "persistent")
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert f"Measuring the lesions of {DAYS[1]}" in dict(told[:3]).values()


def wider_ml() -> float:
    """Of the expert who takes the whole scan for the lesion."""
    first = brains()[1].image
    return first.voxels.size * first.voxel_volume_ml


def test_one_date_alone_needs_no_registration_and_no_lesion_later_is_an_answer():
    found = evidence_of(brains()[1:])
    assert found.pairs == () and len(found.dates) == 1 and len(dated_lesions(found)) == 1


def empty(timepoint: Timepoint) -> Timepoint:
    return replace(timepoint, segmentation=replace(timepoint.segmentation, segments=()))


def test_what_cannot_be_compared_is_refused_in_one_sentence():
    later, first = brains()
    plain = segmentation_of_labels(image(first.segmentation.layers[0], first.image.ijk_to_ras))
    cases = [
        ([replace(first, segmentation=None), later], f"{DAYS[0]} 14:30:00: there is no segmentation"),
        ([replace(first, segmentation=plain), later], f"{DAYS[0]} 14:30:00: no segment is coded as a lesion; there are Label 1"),
        ([empty(first), empty(later)], "no date has a lesion: there is nothing to compare"),
        ([first, replace(later, images={"CT": replace(later.image, modality="CT")})], "different modalities (CT, MR)"),
        ([first, replace(later, date=DAYS[0], time="")], "give each its time"),
        ([], "there is no timepoint"),
    ]
    for timepoints, told in cases:
        with pytest.raises(InputError) as error:
            evidence_of(timepoints)
        assert told in str(error.value)
    with pytest.raises(InputError, match="no date has a segment 'x'; there are Whole tumor"):
        evidence_of([first], CompareOptions(lesion_names=("x",)))


def test_pairs_that_were_registered_with_other_lesions_are_refused():
    later, first = brains()
    pair = Pair(first, later, None, None, put_together(()))
    with pytest.raises(InputError, match=f"{DAYS[1]} was registered without a verdict at 'Whole tumor'"):
        evidence_of(brains(), CompareOptions(choice=Choice(COARSE)), pairs=(pair,))


def test_it_can_be_cancelled():
    token = CancelToken()

    def stop(fraction, message):
        if fraction and fraction > 0.2:
            token.cancel()

    with pytest.raises(Cancelled):
        evidence_of(brains(), CompareOptions(choice=Choice(COARSE), way_back=False), stop, token)


@pytest.mark.slow
def test_three_dates_of_the_torso_with_a_lesion_first_seen_later_judged_there():
    timepoints = []
    for number, acquisition in enumerate(follow_up(3, spacing_mm=(5.0, 5.0, 5.0), samples=(1, 1, 1))):
        one = scan(reference_patient(), acquisition, seed=number)
        timepoints.append(Timepoint({"image": one.image}, DAYS[number], segmentation=one.truth))
    found = evidence_of(timepoints)
    assert {one.site for one in found.dates[0].lesions} == {"lung", "liver", "bone", "lymph node"}
    new = LesionKey(1, "Liver metastasis 3")
    assert all(judged_at(found, new, at) is not None for at in (1, 2)) and judged_at(found, new, 0) is None
    for at in (1, 2):  # the poses of the phantom are known: what is not refused lies within 5 mm
        poses = [acquisition.pose for acquisition in follow_up(3, spacing_mm=(5.0, 5.0, 5.0), samples=(1, 1, 1))]
        true = poses[at] @ np.linalg.inv(poses[0])
        for region in found.pairs[at - 1].alignment.regions:
            if region.verdict != "refuse":
                where = (true @ (*region.center_ras_mm, 1))[:3]
                assert np.linalg.norm(where - region.moved_ras_mm) < 5.0
    statuses = {one.name: one.statuses for one in track_lesions(dated_lesions(found), found.seed).tracks}
    assert statuses["Liver metastasis 3"][:2] == ("not yet", "new") and statuses["Lung nodule 1"][0] == "baseline"

"""`compare` from scans to a comparison, kept as a folder, assessed again without the scans, and run again under other names."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from helpers_timepoints import brain_pair
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.comparing import CompareOptions, compare, compare_with_evidence
from LongitudinalCompareLib.reading import Reading
from LongitudinalCompareLib.scene.comparison_files import known_of, put, read_folder
from LongitudinalCompareLib.timepoint import Timepoint
from OncoLib.errors import InputError
from OncoLib.registration.engine import Choice
from OncoLib.registration.presets import PRESETS
from OncoLib.segmentation import Segmentation

DAYS = ("2026-01-05", "2026-03-02")
COARSE = replace(PRESETS["mr-brain"], levels_mm=(8.0,), grid_mm=4.0, coarse_samples=3000, samples=5000, bias=False, turns=False)
CRITERIA = ("recist11", "bands")


def options(**more) -> CompareOptions:
    return CompareOptions(choice=Choice(COARSE), way_back=False, local=False, criteria=CRITERIA, **more)


def halves(truth: Segmentation) -> Segmentation:
    """The tumor, and as a lesion of its own a cube in a corner of the grid."""
    layer = truth.layers[truth.segments[0].layer] == truth.segments[0].label
    labels = layer.astype(np.uint8)
    labels[3:6, 3:6, 3:6] = 2
    tumor = replace(truth.segments[0], label=1, layer=0)
    return replace(truth, layers=(labels,), segments=(tumor, replace(tumor, label=2, name="Second")))


@lru_cache(maxsize=1)
def dates() -> tuple[Timepoint, ...]:
    (first, truth, _), (second, later, _) = brain_pair(6.0)
    one = replace(later, layers=(later.layers[later.segments[0].layer],), segments=(replace(later.segments[0], layer=0),))
    return Timepoint({"T1c": first}, DAYS[0], segmentation=halves(truth)), Timepoint({"T1c": second}, DAYS[1], segmentation=one)


def renamed(timepoint: Timepoint) -> Timepoint:
    """The same voxels, numbered and called otherwise, as another run of a model may do."""
    names = {one.name: f"Finding {number}" for number, one in enumerate(timepoint.segmentation.segments[::-1], 1)}
    segments = tuple(replace(one, name=names[one.name]) for one in timepoint.segmentation.segments)
    return replace(timepoint, segmentation=replace(timepoint.segmentation, segments=segments))


@lru_cache(maxsize=1)
def compared():
    return compare_with_evidence(dates(), options())


def plain_json(comparison) -> dict:
    return json.loads(json.dumps(comparison.as_dict(), allow_nan=False))


def test_what_is_read_back_and_assessed_again_gives_the_same_json(tmp_path):
    evidence, comparison = compared()
    put(tmp_path, evidence, comparison)
    again, told, reading = read_folder(tmp_path)
    assert told == plain_json(comparison) == plain_json(assess(again, reading, CRITERIA))
    assert [one["date"] for one in told["timepoints"]] == list(DAYS)
    for path in tmp_path.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes() and b"/home" not in path.read_bytes()


@pytest.mark.parametrize("count", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_run_under_other_names_keeps_the_tracking_uids_and_the_names(count):
    evidence, comparison = compare_with_evidence(dates()[:count], options())
    before = {one.tracking_uid: (one.name, one.entries[0].value("volume_ml")) for one in comparison.tracks}
    known = known_of(comparison.as_dict(), evidence)
    assert len(known) == len(comparison.tracks) >= 2
    again = [renamed(one) for one in dates()[:count]]
    found = compare(again, options(known=known))
    assert {one.tracking_uid: (one.name, one.entries[0].value("volume_ml")) for one in found.tracks} == before
    assert {name for one in found.tracks for name in one.entries[0].lesions} == {"Finding 1", "Finding 2"}
    fresh = compare(again, options())  # the UIDs come from date and place: without an earlier run they are the same
    assert {one.tracking_uid for one in fresh.tracks} == set(before)


def test_one_date_alone_is_a_table_without_change():
    found = compare(dates()[:1], options())
    assert [one.status for one in found.tracks] == ["baseline", "baseline"] and found.pairs == ()
    assert all(one.change is None for track in found.tracks for one in track.changes)


def test_an_unknown_criterion_is_refused_before_anything_is_registered():
    told = []
    with pytest.raises(InputError, match="'recist9'"):
        compare(dates(), CompareOptions(criteria=("recist9",)), lambda fraction, message: told.append(message))
    assert not told


@pytest.mark.slow
def test_a_reading_is_applied_at_once():
    act = {"act": "gone", "earlier": [{"date": DAYS[0], "lesion": "Second"}], "date": DAYS[1]}
    found = compare(dates(), options(reading=Reading.from_dict([act])))
    assert next(one for one in found.tracks if one.name == "Second").entries[1].made_by == "confirmed"

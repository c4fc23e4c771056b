"""What nobody said: the modality of the images, and how good the border of a proposal is."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

import LongitudinalCompareLib.comparison as module
from helpers_assess import day, evidence, ref, seen
from LongitudinalCompareLib import reading_acts as act
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.carried_lesions import PROPOSAL
from LongitudinalCompareLib.comparison import FROM_PREVIOUS, LONGEST_MM, VOLUME_ML
from LongitudinalCompareLib.comparison_csv import comparison_csv
from LongitudinalCompareLib.comparison_flags import KINDS
from LongitudinalCompareLib.image_facts import LIKE_CT, value_notes
from LongitudinalCompareLib.reading import Reading
from LongitudinalCompareLib.volume_plot import curve_of, volume_plot
from OncoAppLib.compare_print import text_of
from OncoLib.image import Image
from OncoLib.resources import resource_path

A, LARGER = ((20, 20, 20), 5.0), ((20, 20, 20), 8.0)
NO_INTERVAL = "from the mask on the native grid; a proposal from carried prompts: no interval is known"


def of(modalities, notes=()):
    """Flags on the modality, of dates of these."""
    dates = [seen(at, {"A": A}) for at in range(len(modalities))]
    dates = [replace(one, facts=replace(one.facts, modality=what, notes=notes)) for one, what in zip(dates, modalities)]
    return assess(evidence(*dates))


def texts(found, kind="modality"):
    return [one.text for one in found.flags if one.kind == kind]


def test_what_no_file_says_is_told_once_and_early():
    assert texts(of(["CT", "CT"])) == []
    found = of(["", "", ""])
    (text,) = texts(found)
    assert text == (
        "The files do not say what they are (CT, MR). Until that is told published errors are left out, and intervals are too"
        " narrow."
    )
    assert found.flags[0].kind == "modality" and KINDS.index("modality") < KINDS.index("refused")
    printed = " ".join(text_of(found).split())
    assert f"Look: {text} Give --modality." in printed and printed.count("--modality") == 1


def test_the_dates_are_named_where_others_are_known():
    assert texts(of(["CT", ""]))[0].startswith(f"The files of {day(1)} do not say what they are (CT, MR). Until")


def test_values_like_air_are_a_hint_and_no_more():
    found = of(["", ""], (LIKE_CT,))
    assert " They look like CT. Until" in texts(found)[0] and texts(found, "date") == []
    assert found.timepoints[0].modality == "" and any("none of: liver;" in one for one in texts(found, "left out"))
    air, voxels = np.full((8, 8, 8), -1000.0), np.full((8, 8, 8), 40.0)
    assert value_notes(Image(air, np.eye(4))) == (LIKE_CT,) and value_notes(Image(voxels, np.eye(4))) == ()
    assert value_notes(Image(air, np.eye(4), "CT", "HU")) == ()


def proposed(*acts, later=True):
    """Three dates; the second one is a proposal of an engine."""
    second = seen(1, {"A": LARGER})
    flags = (f"{PROPOSAL} growcut from a prompt carried from {day(0)}; it awaits a reader",)
    second = replace(second, lesions=tuple(replace(one, flags=flags) for one in second.lesions))
    return assess(evidence(seen(0, {"A": A}), second, *([seen(2, {"A": A})] if later else [])), Reading(acts))


def test_a_proposal_has_its_size_and_no_interval_and_no_change():
    found = proposed()
    track = found.track("A")
    for one in track.entries[1].measures.values():
        assert one.value > 0 and one.interval is None and one.method == NO_INTERVAL
    assert track.entries[1].left_out == ()
    why = f"on {day(1)}: it is a proposal from carried prompts and awaits a reader, so that no interval is known"
    assert all(track.change(1, name).reason == why and track.change(1, name).change is None for name in (VOLUME_ML, LONGEST_MM))
    assert track.change(2, reference=FROM_PREVIOUS).reason == why and track.change(2).change is not None  # given at both dates


def test_a_category_that_rests_on_proposals_says_so():
    told = "The sizes of A on this date are proposals from carried prompts that no reader saw."
    first, second = proposed().criterion("recist11").proposals
    assert told in first.cautions and told not in second.cautions
    linked = proposed(act.link(ref(0, "A"), ref(1, "A"), by="R")).criterion("recist11").proposals[0]
    assert told not in linked.cautions


def test_files_terminal_and_plot_show_a_proposal_without_limits():
    found = proposed()
    row = list(csv.DictReader(io.StringIO(comparison_csv(found))))[1]
    assert row["volume_ml"] and (row["volume_ml_low"], row["volume_ml_high"], row["volume_ml_method"]) == ("", "", NO_INTERVAL)
    assert "awaits a reader" in row["volume_ml_from_baseline_verdict"] and row["volume_ml_from_baseline_percent"] == ""
    told = found.as_dict()["tracks"][0]["measurements"][1]["volume_ml"]
    assert told["value"] and told["low"] is told["high"] is None
    printed = text_of(found).splitlines()
    at = next(number for number, one in enumerate(printed) if day(1) in one and "persistent" in one)
    assert "PROPOSAL" in printed[at + 1] and not any(sign in one for one in printed[at : at + 2] for sign in "[%")
    mark = curve_of(found.track("A"), [0, 60, 120]).marks[1]
    assert mark.volume_ml > 0 and (mark.low, mark.high, mark.hollow) == (None, None, False)
    assert volume_plot(found).size
    jsonschema = pytest.importorskip("jsonschema", reason="the extra dev is not installed")
    schema = json.loads(resource_path(module.__file__, "Schemas", "comparison.schema.json").read_text("utf-8"))
    jsonschema.validate(json.loads(json.dumps(found.as_dict())), schema)


@pytest.mark.parametrize("said", [
    act.link(ref(0, "A"), ref(1, "A"), by="R"), act.size(ref(1, "A"), longest_mm=15.0, by="R"),
], ids=["linked", "measured"])  # fmt: skip
def test_what_a_reader_linked_or_measured_is_as_any_other(said):
    track = proposed(said).track("A")
    low, high = track.entries[1].measures[VOLUME_ML].interval
    assert low < track.entries[1].value(VOLUME_ML) < high
    assert all(track.change(1, name).change is not None for name in (VOLUME_ML, LONGEST_MM))


def test_a_reader_who_says_that_it_cannot_be_seen_leaves_no_measure():
    entry = proposed(act.size(ref(1, "A"), state="not evaluable", by="R")).track("A").entries[1]
    assert entry.measures == {} and all(one.interval is None for one in entry.of_mask.values())

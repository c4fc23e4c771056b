"""Which organ the catalogue's cards limit their lesions to, and faults in a card's hosts."""

from __future__ import annotations

import json

import pytest

from ModelManagerLib.catalog import all_cards
from ModelManagerLib.catalog_reading import read_catalog
from ModelManagerLib.labels import structure_of_label
from ModelManagerLib.lesion_hosts import hosts_of
from OncoLib.errors import InputError
from OncoLib.terminology import structure
from OncoSegmentLib.lesion.anatomy import is_counted, is_part_of, region_id, without_side
from OncoSegmentLib.lesion.groups import Segment


def told(found) -> dict:
    return {lesion: (host.structures, host.margin_mm) for lesion, host in found.items()}


@pytest.mark.parametrize(
    ("model", "parameters", "wanted"),
    [
        ("totalsegmentator", {"task": "liver_lesions"}, {"liver_lesion": (("liver",), 10)}),
        ("totalsegmentator", {"task": "liver_vessels"}, {"liver_neoplasm": (("liver",), 10)}),
        ("totalsegmentator", {"task": "lung_nodules"}, {"lung_nodule": (("lung",), 10)}),
        ("nnunet", {"weights": "totalsegmentator-913"}, {"lung_nodule": (("lung",), 10)}),
        ("totalsegmentator", {"task": "vertebrae_body"}, {}),
        ("nnunet", {"weights": "my-own"}, {}),
        ("unknown", {}, {}),
    ],
)
def test_hosts_come_from_the_card_of_the_result(model, parameters, wanted):
    assert told(hosts_of(model, parameters)) == wanted


def test_sides_overlapping_regions_and_fusions_have_theirs():
    cysts = told(hosts_of("totalsegmentator", {"task": "kidney_cysts"}))
    assert cysts == {f"kidney_cyst_{side}": ((f"kidney_{side}",), 20) for side in ("left", "right")}
    brats = told(hosts_of("monai_bundle", {"bundle": "monai-brats_mri_segmentation"}))
    assert brats == {name: (("brain",), 10) for name in ("brain_neoplasm", "brain_tumor_enhancing")}
    inputs = [{"provenance": {"model": "totalsegmentator", "parameters": {"task": task}}} for task in ("liver_lesions", "total")]
    assert set(hosts_of("fusion", {"inputs": inputs})) == {"liver_lesion", "kidney_cyst_left", "kidney_cyst_right"}


@pytest.mark.parametrize("card", [one for one in all_cards() if one.hosts], ids=lambda one: one.id)
def test_the_host_of_each_card_is_the_region_that_the_lesion_is_coded_with(card):
    for host in card.hosts:
        lesion = structure_of_label(card.family or card.engine, card.task, host.label)
        region = region_id(lesion.entry)
        assert all(is_part_of(name, region) for name in host.structures), (host.label, region)


def test_every_lesion_of_an_unrestricted_model_that_is_counted_has_a_host():
    """Those without are hemorrhages and effusions, which are not split."""
    for card in all_cards():
        named = {one.label for one in card.hosts}
        for label in card.labels if not card.restricted else ():
            found = structure_of_label(card.family or card.engine, card.task, label.name)
            if is_counted(Segment(1, found.name, found.entry, found.color, structure=found.id)):
                assert label.name in named, (card.id, label.name)


@pytest.mark.parametrize(
    ("hosts", "sentence"),
    [
        ([{"label": "lesions", "structures": ["liver"], "margin_mm": 5}], "there is a host for 'lesions'"),
        ([{"label": "tumor", "structures": ["lever"], "margin_mm": 5}], "structure 'lever' is unknown; close: liver"),
        ([{"label": "tumor", "structures": ["liver"], "margin_mm": -1}], "margin_mm"),
        ([{"label": "tumor", "structures": ["liver"], "margin_mm": 5}] * 2, "wanted one for a label of the card, once"),
        ([{"label": "tumor", "structures": [], "margin_mm": 5}], "structures"),
    ],
)
def test_faults_in_hosts_are_one_sentence(tmp_path, hosts, sentence):
    license_text = {"id": "MIT", "title": "MIT", "commercial": True, "share_alike": False, "text": "MIT"}
    row = {"id": "mine", "title": "Mine", "version": "1", "engine": "nnunetv2", "license": license_text, "marks": {}}
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"schema": 1, "cards": [{**row, "labels": {"1": "tumor"}, "hosts": hosts}]}))
    with pytest.raises(InputError, match="own.json") as caught:
        read_catalog(path)
    assert sentence in str(caught.value)


def test_parts_are_told_by_ids_of_the_terminology():
    assert is_part_of("upper_lobe_of_lung_left", "lung") and is_part_of("upper_lobe_of_lung_left", "lung_left")
    assert not is_part_of("upper_lobe_of_lung_left", "lung_right") and not is_part_of("middle_lobe_of_right_lung", "lung_left")
    assert is_part_of("vertebra_l3", "vertebra") and is_part_of("vertebra_l3", "bone") and not is_part_of("bone", "vertebra_l3")
    assert is_part_of("liver_segment_4", "liver") and not is_part_of("liver", "lung")
    from OncoSegmentLib.lesion.anatomy import NOT_ONE_BY_ONE, PARTS, TOO_WIDE

    for name in (*TOO_WIDE, *NOT_ONE_BY_ONE, *PARTS, *(part for parts in PARTS.values() for part in parts)):
        assert structure(name).id == name
    assert without_side("kidney_left") == ("kidney", "left") and without_side("aorta") == ("aorta", "")

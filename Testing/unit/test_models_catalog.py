"""The built-in catalogue: whole, honest about what is not known, and agreeing with the sources that it names."""

from __future__ import annotations

import json
import re

import pytest

from ModelManagerLib.catalog import MARKS, all_cards, card, cards, find_card
from ModelManagerLib.catalog_reading import BUILT_IN_FILES
from OncoLib.errors import ModelError
from OncoLib.resources import resource_path
from OncoLib.terminology import structure

CARDS = all_cards()
IDS = [one.id for one in CARDS]
WEIGHTS = [one for one in CARDS if one.sources]


def catalog_documents() -> list[dict]:
    import ModelManagerLib.catalog_reading as module

    return [json.loads(resource_path(module.__file__, "Catalog", name).read_text("utf-8")) for name in BUILT_IN_FILES]


def test_what_can_be_named_in_a_request_are_the_models_of_our_experts():
    assert [one.id for one in cards()] == ["thresholds", "totalsegmentator", "nnunet", "monai_bundle"]
    assert card("thresholds").needs == "CT in HU; no weights, no GPU"
    told = "^no model 'totalsegmentator-292'; there are thresholds, totalsegmentator, nnunet, monai_bundle$"
    with pytest.raises(ModelError, match=told):
        card("totalsegmentator-292")


def test_any_row_is_found_by_its_id_and_a_wrong_one_gets_close_ones():
    assert find_card("totalsegmentator-292").place == "nnunet/results/Dataset292_TotalSegmentator_part2_vertebrae_1532subj"
    with pytest.raises(ModelError, match="the catalogue has no 'sam2.1-hiera-tinny'; close: sam2.1-hiera-tiny"):
        find_card("sam2.1-hiera-tinny")


def test_ids_and_places_are_unique_and_no_place_lies_in_another():
    assert len(set(IDS)) == len(IDS)
    places = sorted(f"{one.place.casefold()}/" for one in CARDS if one.place)
    assert len(set(places)) == len(places)
    assert [(one, two) for one, two in zip(places, places[1:]) if two.startswith(one)] == []


@pytest.mark.parametrize("item", WEIGHTS, ids=lambda item: item.id)
def test_addresses_and_hashes_have_their_form(item):
    for source in item.sources:
        assert all(re.fullmatch(r"https://[a-z0-9.]+/\S+", url) for url in source.urls)
        assert source.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", source.sha256)
        assert (source.sha256 is None) == (source.sha256_source == "")
        assert source.bytes is None or source.bytes > 1000 or source.save_as
    assert len({source.save_as for source in item.sources}) == len(item.sources)


@pytest.mark.parametrize("item", CARDS, ids=lambda item: item.id)
def test_marks_say_of_sizes_and_hashes_what_is_true(item):
    assert set(item.marks.values()) <= set(MARKS.values())
    for field, values in (("bytes", [s.bytes for s in item.sources]), ("sha256", [s.sha256 for s in item.sources])):
        if values:
            assert (item.marks[f"sources.{field}"] == MARKS["?"]) == (None in values)


@pytest.mark.parametrize("item", CARDS, ids=lambda item: item.id)
def test_whatever_is_not_plainly_free_for_everybody_or_for_demonstration_is_restricted_with_its_reason(item):
    free = item.license.commercial is True and not (item.license.gated or item.license.number_needed or item.caution)
    assert item.restricted is not free
    assert bool(item.restricted_reason) is item.restricted
    assert item.license.text and (item.license.url.startswith("https://") or item.license.commercial is None)


@pytest.mark.parametrize("item", CARDS, ids=lambda item: item.id)
def test_every_structure_of_a_label_is_one_of_our_terminology(item):
    for label in item.labels:
        assert label.structure == "" or structure(label.structure).id == label.structure


def test_every_table_of_labels_names_structures_that_exist():
    import ModelManagerLib.labels as module

    tables = sorted(resource_path(module.__file__, "Labels").glob("*.json"))
    assert {one.stem for one in tables} >= {"auto3dseg", "cads", "monai", "spineps", "totalsegmentator", "totalspineseg"}
    for path in tables:
        table = json.loads(path.read_text("utf-8"))
        named = [*table["labels"].values()]
        named += [one["structure"] for task in table.get("tasks", {}).values() for one in task.values() if "structure" in one]
        assert [one for one in named if structure(one) is None] == []


def channels(id: str) -> list[str]:
    return [channel.name for channel in find_card(id).channels]


def test_the_two_brain_tumor_models_take_their_sequences_in_different_orders():
    """MONAI bundle: configs/metadata.json, channel_def. Auto3DSeg: Models.json, inputs. Both are right."""
    assert channels("monai-brats_mri_segmentation") == ["T1c", "T1", "T2", "FLAIR"]
    for kind in ("gli", "men", "met", "ped", "ssa"):
        assert channels(f"auto3dseg-brats-{kind}-v1.0.0") == ["T2F", "T1C", "T1N", "T2W"]
    first = {name: channel for channel in find_card("monai-brats_mri_segmentation").channels for name in channel.patterns}
    assert first["t1c"].title == "T1 with contrast" and first["flair"].title == "T2 FLAIR"


def label(id: str, value: int) -> str:
    return next(one.structure for one in find_card(id).labels if one.value == value)


@pytest.mark.parametrize(
    ("id", "value", "wanted"),
    [
        ("totalsegmentator-292", 3, "vertebra_l5"),
        ("totalsegmentator-292", 2, "vertebra_s1"),
        ("totalsegmentator-292", 26, "vertebra_c1"),
        ("totalsegmentator-803", 1, "vertebra_c1"),
        ("totalsegmentator-803", 24, "vertebra_l5"),
        ("totalsegmentator-756", 2, "vertebra_l5"),
        ("totalsegmentator-756", 25, "vertebra_c1"),
        ("spineps-ct-labeling", 28, "vertebra_t13"),
        ("spineps-ct-labeling", 25, "vertebra_l6"),
        ("totalspineseg-step2", 45, "vertebra_l5"),
        ("cads-552-open", 1, "vertebra_l5"),
        ("monailabel-vertebra", 24, "vertebra_l5"),
        ("monai-vista3d", 131, "vertebra_l6"),
        ("monai-vista3d", 128, "bone_lesion"),
        ("monai-vista3d", 23, "lung_neoplasm"),
        ("mrsegmentator", 2, "kidney_right"),
    ],
)
def test_vertebrae_and_others_are_numbered_as_each_source_says(id, value, wanted):
    assert label(id, value) == wanted


def test_the_third_version_of_the_whole_body_task_knows_l6_and_no_s1():
    found = {one.structure for one in find_card("totalsegmentator-832").labels}
    assert "vertebra_l6" in found and "vertebra_s1" not in found


def test_licensed_weights_have_no_address_and_open_ones_have():
    numbered = [one for one in CARDS if one.license.number_needed]
    assert {one.task for one in numbered} >= {"heartchambers_highres", "tissue_types", "brain_structures", "coronary_arteries"}
    assert all(not one.sources and one.restricted for one in numbered)
    open_ones = [one for one in CARDS if one.family == "totalsegmentator" and not one.license.number_needed]
    assert all(len(one.sources) == 1 and one.sources[0].urls[0].endswith(f"{one.sources[0].root}.zip") for one in open_ones)


def test_sha1_and_md5_never_stand_where_sha256_belongs():
    bundle = find_card("monai-brats_mri_segmentation")
    assert bundle.sources[0].sha256 is None
    assert ("archive", "sha1") in {(one.of, one.algorithm) for one in bundle.other_hashes}
    for item in CARDS:
        assert all(len(one.value) == {"sha1": 40, "md5": 32}[one.algorithm] for one in item.other_hashes)


WANTED = """monai-brats_mri_segmentation monai-pancreas_ct_dints_segmentation monai-wholebody_ct_segmentation monai-vista3d
monai-lung_nodule_ct_detection monailabel-localization-spine monailabel-localization-vertebra monailabel-vertebra
auto3dseg-vertebrae-v2.0.1 auto3dseg-whole-body-v2.0.1 auto3dseg-brats-gli-v1.0.0 spineps-t2w spineps-ct spineps-ct-labeling
totalspineseg-step1 totalspineseg-step2 cads-552-open cads-552-research mrsegmentator nninteractive-v1.0 sam2.1-hiera-tiny
sam2.1-hiera-small sam2.1-hiera-base-plus sam2.1-hiera-large mobilesam medsam-vit-b medsam2 sam-med3d-turbo sam3
medgemma-1.5-4b-it""".split()


def test_the_models_that_users_ask_for_are_there_and_the_delicate_ones_restricted():
    assert set(WANTED) <= set(IDS)
    for id in ("nninteractive-v1.0", "monai-vista3d", "sam3", "medgemma-1.5-4b-it", "medsam2", "cads-552-research"):
        assert find_card(id).restricted, id
    for id in ("sam2.1-hiera-tiny", "mobilesam", "cads-552-open", "monai-brats_mri_segmentation", "totalsegmentator-591"):
        assert not find_card(id).restricted, id


def test_every_row_of_the_notes_on_sources_is_represented_with_its_facts(test_data):
    """Addresses, sizes and hashes of the notes stand in the catalogue unchanged; what they lack, it may have found."""
    notes = json.loads((test_data / "model_registry_seed.json").read_text("utf-8"))["rows"]
    by_seed = {seed: one for one in CARDS for seed in one.seed_ids}
    assert {row["id"] for row in notes} == set(by_seed)
    for row in notes:
        found = by_seed[row["id"]]
        if row.get("files") and row["engine"] == "nninteractive":
            facts = {one.save_as: {"bytes": one.bytes, "sha256": one.sha256} for one in found.sources}
            assert facts == row["files"]
            continue
        if row["url"] is None:
            assert not found.sources
            continue
        source = found.sources[0]
        assert source.urls[0] == row["url"]
        assert row["bytes"] in (None, source.bytes) and row["sha256"] in (None, source.sha256)


def test_the_files_name_one_license_once_and_use_every_one():
    for document in catalog_documents():
        used = {row["license"] for row in document["cards"]}
        assert used == set(document["licenses"])

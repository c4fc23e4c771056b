"""The user's own rows: read, marked, never in the way of a built-in one."""

from __future__ import annotations

import json

import pytest

from ModelManagerLib.catalog import all_cards, find_card
from ModelManagerLib.user_catalog import add_rows, remove_row, user_cards, user_file, whole_catalog
from OncoLib.errors import InputError

ROW = {
    "id": "our-spleen",
    "title": "Spleen of our hospital",
    "version": "1",
    "engine": "nnunetv2",
    "license": "apache-2.0",
    "marks": {},
    "labels": {"1": "spleen"},
    "family": "totalsegmentator",
    "sources": [{"urls": ["https://models.example.org/spleen.zip"], "bytes": None, "sha256": None, "format": "zip"}],
    "place": "nnunet/results/Dataset901_Spleen",
}


def document(*rows, **values) -> dict:
    return {"schema": 1, "cards": list(rows), **values}


def put(path, *rows, **values):
    path.write_text(json.dumps(document(*rows, **values)), "utf-8")
    return path


def test_without_a_file_there_are_no_rows(tmp_path):
    assert user_cards(tmp_path) == () and user_cards(tmp_path / "none") == ()


def test_a_row_is_marked_as_the_users_and_may_name_a_built_in_license(tmp_path):
    put(user_file(tmp_path), ROW)
    (own,) = user_cards(tmp_path)
    assert own.origin == "user" and own.license.id == "Apache-2.0" and own.labels[0].structure == "spleen"
    assert find_card("our-spleen", user_cards(tmp_path)) == own
    assert whole_catalog(tmp_path) == (all_cards([own]), "")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"id": "totalsegmentator-292"}, "row 1 (totalsegmentator-292) uses an id that is taken"),
        ({"id": "thresholds"}, "row 1 (thresholds) uses an id that is taken"),
        ({"place": find_card("totalsegmentator-292").place}, "the place of the built-in totalsegmentator-292"),
        ({"place": find_card("totalsegmentator-292").place.upper().replace("NNUNET/RESULTS", "nnunet/results")}, "the place of"),
        ({"place": "bundles/vista3d/models"}, "the place of the built-in monai-vista3d"),
        ({"place": "files/../bundles/x"}, "leads out of its folder"),
        ({"origin": "built in"}, "origin is not known"),
    ],
)
def test_a_row_may_not_take_the_id_or_the_place_of_a_built_in_one(tmp_path, changes, sentence):
    put(user_file(tmp_path), {**ROW, **changes})
    with pytest.raises(InputError) as caught:
        user_cards(tmp_path)
    assert sentence in str(caught.value) and str(caught.value).startswith("catalog.json")
    found, problem = whole_catalog(tmp_path)
    assert found == all_cards() and problem == str(caught.value)


def test_rows_are_added_replaced_and_removed(tmp_path):
    root, other = tmp_path / "store", tmp_path / "theirs.json"
    assert [one.id for one in add_rows(root, put(other, ROW, {**ROW, "id": "our-liver", "place": "files/liver"}))] == [
        "our-spleen",
        "our-liver",
    ]
    add_rows(root, put(other, {**ROW, "version": "2"}))
    assert {one.id: one.version for one in user_cards(root)} == {"our-spleen": "2", "our-liver": "1"}
    remove_row(root, "our-spleen")
    assert [one.id for one in user_cards(root)] == ["our-liver"]
    with pytest.raises(InputError, match="no row 'thresholds'; built-in rows cannot be removed"):
        remove_row(root, "thresholds")
    assert [path.name for path in root.iterdir()] == ["catalog.json"]


def test_a_bad_addition_changes_nothing_and_names_its_own_file(tmp_path):
    root, other = tmp_path / "store", tmp_path / "theirs.json"
    add_rows(root, put(other, ROW))
    before = user_file(root).read_bytes()
    with pytest.raises(InputError, match=r"^theirs.json: row 2 \(sam3\) uses an id that is taken"):
        add_rows(root, put(other, {**ROW, "version": "3"}, {**ROW, "id": "sam3"}))
    assert user_file(root).read_bytes() == before


def test_a_license_of_the_users_own_comes_along_and_may_not_change_its_meaning(tmp_path):
    root, other = tmp_path / "store", tmp_path / "theirs.json"
    ours = {"id": "LicenseRef-ours", "title": "Ours", "commercial": None, "share_alike": None, "text": "Ask us."}
    add_rows(root, put(other, {**ROW, "license": "ours"}, licenses={"ours": ours}))
    assert user_cards(root)[0].license.title == "Ours"
    with pytest.raises(InputError, match="describes the license 'ours' otherwise"):
        add_rows(root, put(other, {**ROW, "license": "ours"}, licenses={"ours": {**ours, "commercial": True}}))

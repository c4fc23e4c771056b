"""Models that come with OncoSegment: whole, small, licensed, said to be for demonstration, and never changed by the store."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from helpers import ROOT
from helpers_cli import run_here
from ModelManagerLib import embedded, store
from ModelManagerLib.catalog import all_cards
from ModelManagerLib.catalog_reading import read_catalog
from ModelManagerLib.catalog_search import default_for, search
from ModelManagerLib.embedded import card_at, embedded_cards, folder_of
from ModelManagerLib.known_files import known_sha256
from ModelManagerLib.labels import structure_of_label
from ModelManagerLib.manager import Manager
from OncoLib.errors import InputError, ModelError

CARDS = embedded_cards()
LARGEST_BYTES = 5_000_000


def files_of(card) -> dict[str, Path]:
    folder = folder_of(card)
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def copied(monkeypatch, tmp_path):
    """The first model's files in a place where a test may change them."""
    shutil.copytree(folder_of(CARDS[0]), tmp_path / "copy")
    monkeypatch.setattr(embedded, "folder_of", lambda card: tmp_path / "copy")
    return CARDS[0], tmp_path / "copy"


def test_there_is_one_of_each_kind():
    kinds = {"demo-torso-ct": "nnunetv2", "demo-glioma-mr": "monai_bundle", "demo-sam": "sam2"}
    assert {card.id: card.engine for card in CARDS} == kinds


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
def test_the_card_names_every_file_with_its_size_and_hash(card):
    there = files_of(card)
    assert sorted(there) == sorted(one.path for one in card.files)
    for one in card.files:
        content = there[one.path].read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (one.bytes, one.sha256), one.path
    assert sum(one.bytes for one in card.files) <= LARGEST_BYTES


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
def test_the_card_says_what_it_is_for(card):
    assert card.title.startswith("Demonstration: ")
    assert "not for patients" in card.caution
    assert card.restricted and "digital patients" in card.limits
    assert card.license.id == "Apache-2.0"
    assert files_of(card)["LICENSE"].read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
def test_every_label_has_a_structure(card):
    assert all(label.structure for label in card.labels)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
def test_its_evaluation_lies_beside_it(card):
    found = json.loads(files_of(card)["evaluation.json"].read_text(encoding="utf-8"))
    if card.labels:  # what takes clicks finds whatever is clicked
        assert set(found["structures"]) == {label.name for label in card.labels}
    assert found["structures"]
    assert "says nothing about people" in found["about"]


def test_weights_are_plain_numbers_in_half_precision():
    torch = pytest.importorskip("torch", reason="reading weights needs the package torch: install the extra 'ai'")
    torso = "nnUNetTrainer__nnUNetPlans__3d_fullres/fold_all/checkpoint_final.pth"
    names = {"demo-torso-ct": torso, "demo-glioma-mr": "models/model.pt", "demo-sam": "demo_sam.pt"}
    for card in CARDS:
        content = torch.load(folder_of(card) / names[card.id], weights_only=True, map_location="cpu")
        weights = content.get("network_weights") or content.get("model") or content
        assert {value.dtype for value in weights.values()} == {torch.float16}
        assert all(bool(torch.isfinite(value).all()) for value in weights.values())
        assert "optimizer_state" not in content


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
def test_it_is_always_there_and_whole(card, tmp_path):
    assert store.state(card, tmp_path) == "installed"
    assert store.where(card, tmp_path) == folder_of(card)
    report = store.verify(card, root=tmp_path)
    assert report.sound and report.verified and report.sentence == f"{card.id} is whole ({report.bytes / 1e6:.1f} MB)."
    assert list(tmp_path.iterdir()) == []


def test_a_changed_file_is_found_and_a_missing_one_too(copied, tmp_path):
    card, folder = copied
    path = folder / card.files[0].path
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    assert store.verify(card, root=tmp_path).changed == (card.files[0].path,)
    path.unlink()
    assert store.verify(card, root=tmp_path).missing == (card.files[0].path,)
    assert store.state(card, tmp_path) == "damaged"
    with pytest.raises(ModelError, match=f"^{card.id} is damaged: it has no folder with files that can be used$"):
        store.where(card, tmp_path)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda card, root: store.remove(card, root=root), "removed"),
        (lambda card, root: store.remove(card, root=root, dry_run=True), "removed"),
        (lambda card, root: store.install(card, root=root, accept_license=lambda _: True), "installed again"),
        (lambda card, root: store.pin(card, root=root), "pinned or unpinned"),
        (lambda card, root: store.confirm(card, "0" * 64, root=root), "confirmed by another hash"),
        (lambda card, root: store.export([card], root / "all.zip", root=root), "exported"),
    ],
)
def test_the_store_leaves_it_alone(call, word, tmp_path):
    card = CARDS[0]
    with pytest.raises(ModelError, match=f"^{card.id} comes with OncoSegment, always there as it is; it cannot be {word}$"):
        call(card, tmp_path)
    assert store.state(card, tmp_path) == "installed"


def test_a_place_is_known_as_that_of_a_model_and_its_files_by_their_hash(tmp_path):
    card = CARDS[0]
    one = card.files[-1]
    assert card_at(folder_of(card)) == card == card_at(folder_of(card) / one.path)
    assert card_at(tmp_path) is None
    assert known_sha256(folder_of(card) / one.path, tmp_path) == one.sha256
    assert known_sha256(tmp_path / "other", tmp_path) is None


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"place": "files/own"}, "neither fetched nor put into the store"),
        ({"files": []}, "each file that comes with OncoSegment has its size and its hash"),
        ({}, "only rows of OncoSegment itself have files that come with it"),
    ],
)
def test_a_row_that_claims_to_come_along_is_checked(change, fault, tmp_path):
    file = {"path": "a.bin", "bytes": 1, "sha256": "0" * 64, "source": "own"}
    row = {
        "id": "own", "title": "Own", "version": "", "engine": "nnunetv2", "marks": {}, "embedded": True, "files": [file],
        "license": {"id": "MIT", "title": "MIT", "commercial": True, "share_alike": False, "text": "MIT"},
        **change,
    }  # fmt: skip
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps({"schema": 1, "cards": [row]}), encoding="utf-8")
    with pytest.raises(InputError, match=fault):
        read_catalog(path, origin="user" if not change else "built in")


def test_it_is_never_proposed_and_never_found_before_a_model_for_patients():
    there = {card.id for card in CARDS}
    for structure in ("liver", "lung", "vertebra", "liver_lesion"):
        proposed = default_for(structure, "CT", installed=there)
        assert proposed is None or not proposed.embedded
    hits = search("liver", installed=there, cards=all_cards())
    free = [number for number, hit in enumerate(hits) if not hit.card.restricted]
    own = [number for number, hit in enumerate(hits) if hit.card.embedded]
    assert own and free and max(free) < min(own)


def test_the_panel_of_models_lists_it_as_there_with_nothing_to_install_or_remove(tmp_path):
    manager = Manager(tmp_path, environ={})
    for card in CARDS:
        row = manager.row(card.id)
        assert (row.embedded, row.stored, row.state) == (True, False, "installed")
        assert row in manager.rows("demonstration", installed_only=True)


def test_the_command_line_lists_shows_finds_verifies_and_keeps_it(tmp_path):
    root = ["--store", str(tmp_path)]
    listed = run_here("models", "list", *root, cwd=tmp_path).out
    for card in CARDS:
        assert f"{card.id} " in listed and "comes with OncoSegment" in listed
        shown = run_here("models", "show", card.id, *root, cwd=tmp_path).out
        assert card.caution in shown and "comes with OncoSegment" in shown
        assert Path(run_here("models", "where", card.id, *root, cwd=tmp_path).out.strip()) == folder_of(card)
        removed = run_here("models", "remove", card.id, *root, cwd=tmp_path)
        assert removed.code == ModelError.exit_code and "cannot be removed" in removed.err
    verified = run_here("models", "verify", *root, cwd=tmp_path)
    assert verified.code == 0
    assert [line.split()[0] for line in verified.out.splitlines()] == [card.id for card in CARDS]


def test_the_page_names_each_structure_as_the_network_and_as_the_segment_do(repository_root):
    """Readers look for either; codes beside them are those of the segment."""
    page = (repository_root / "Resources" / "Documentation" / "demo-models.md").read_text(encoding="utf-8")
    cards = embedded_cards()
    assert sum(len(card.labels) for card in cards) == 6
    for card in cards:
        for label in card.labels:
            found = structure_of_label(card.family, card.task, label.name)
            code = found.entry.type
            row = f"| `{card.id}` | {label.name} | {found.name} | {code.scheme} {code.value} {code.meaning}"
            assert row in page

"""Models without internet: exported, imported from every kind of thing that a user has, always through the verifier."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from helpers import PACKAGE_PARENTS, no_file_over, tree
from helpers_models_archives import (
    LICENSE,
    below,
    bundle_files,
    card_of,
    checkpoint,
    facts_of,
    nnunet_card,
    nnunet_files,
    noise,
    sha256,
    yes,
    zip_of,
)
from ModelManagerLib import store
from ModelManagerLib.catalog import Source, built_in_cards
from ModelManagerLib.install import is_same
from OncoLib.errors import Cancelled, InputError, ModelError, OutputError
from OncoLib.progress import CancelToken

VERTEBRAE = "Dataset292_TotalSegmentator_part2_vertebrae_1532subj"
URL = "https://models.example/{}.zip"


def lay(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def bring(path, root, cards, **values):
    return store.import_from(path, root=root, **{"cards": cards, "accept_license": yes, **values})


def files_at(root, place):
    return {name.replace(os.sep, "/"): one for name, one in tree(Path(root) / place).items() if one is not None}


@pytest.fixture
def cards():
    return [
        nnunet_card(URL.format("a"), name="Dataset901_A", id="a", files=facts_of(nnunet_files(seed=1))),
        nnunet_card(URL.format("b"), name="Dataset902_B", id="b"),
        card_of("bundle", "bundles/tiny_bundle", URL.format("tiny_bundle")),
        card_of(
            "sam",
            "files/sam",
            sources=(Source(("https://x.example/sam.pt",), None, sha256(noise(999)), format="file", save_as="sam.pt"),),
        ),
        card_of("thresholds", ""),
    ]


@pytest.fixture
def filled(tmp_path, cards):
    """A store with all of them."""
    root = tmp_path / "one"
    results = lay(tmp_path / "results", below("Dataset901_A", nnunet_files(seed=1)))
    lay(results, below("Dataset902_B", nnunet_files(seed=2)))
    bring(results, root, cards)
    bring(lay(tmp_path / "tiny_bundle", bundle_files()), root, cards)
    (tmp_path / "sam.pt").write_bytes(noise(999))
    bring(tmp_path / "sam.pt", root, cards)
    return root


# ---------------------------------------------------------------------------------------------- what a user has


@pytest.mark.parametrize("where", ["", "nnunet/results", "results"])
def test_totalsegmentator_s_folder_of_many_models(tmp_path, cards, where):
    home = tmp_path / "home"
    files = {"Dataset901_A": nnunet_files(seed=1), "Dataset902_B": nnunet_files(seed=2), "Dataset777_Mine": nnunet_files(seed=3)}
    for name, content in files.items():
        lay(home / where / name, content)
    lay(home, {"config.json": b"{}", ".DS_Store": b"x"})
    before = tree(home)
    found = bring(home, tmp_path / "store", cards)
    assert {one.card for one in found.manifests} == {"a", "b"}
    assert [name for name, _ in found.skipped] == ["Dataset777_Mine"]
    assert files_at(tmp_path / "store", "nnunet/results/Dataset901_A") == files["Dataset901_A"]
    assert store.state(cards[0], tmp_path / "store") == "installed", "its files have published hashes"
    assert store.state(cards[1], tmp_path / "store") == "unverified", "nobody published a hash of it"
    assert tree(home) == before, "the originals are as they were"


def test_one_of_many_that_is_damaged_does_not_keep_the_others_out(tmp_path, cards):
    lay(tmp_path / "results" / "Dataset901_A", nnunet_files(seed=9))
    lay(tmp_path / "results" / "Dataset902_B", nnunet_files(seed=2))
    found = bring(tmp_path / "results", tmp_path / "store", cards)
    assert [one.card for one in found.manifests] == ["b"]
    assert found.skipped[0][0] == "a" and "another SHA-256" in found.skipped[0][1]
    with pytest.raises(ModelError, match="another SHA-256"):
        bring(tmp_path / "results" / "Dataset901_A", tmp_path / "store", cards)


def test_one_nnunet_folder_and_one_bundle(tmp_path, cards):
    bring(lay(tmp_path / "Dataset902_B", nnunet_files()), tmp_path / "store", cards)
    assert files_at(tmp_path / "store", cards[1].place) == nnunet_files()
    bring(lay(tmp_path / "renamed by the user", bundle_files()), tmp_path / "store", cards)
    assert files_at(tmp_path / "store", "bundles/tiny_bundle") == bundle_files()


def test_a_folder_whose_name_says_nothing_is_named_by_the_user(tmp_path, cards):
    folder = lay(tmp_path / "weights", nnunet_files())
    with pytest.raises(InputError, match="weights: no model of the catalogue was recognized"):
        bring(folder, tmp_path / "store", cards)
    assert bring(folder, tmp_path / "store", cards, card=cards[1]).manifests[0].card == "b"
    with pytest.raises(InputError, match="not the layout of bundle"):
        bring(folder, tmp_path / "store", cards, card=cards[2])


def test_the_publisher_s_zip_is_known_by_its_hash_whatever_it_is_called(tmp_path):
    archive = zip_of(tmp_path / "download (3).zip", below("Dataset903_C", nnunet_files()))
    card = nnunet_card(URL.format("c"), archive.read_bytes(), name="Dataset903_C", id="c")
    manifest = bring(archive, tmp_path / "store", [card]).manifests[0]
    assert manifest.verified and store.state(card, tmp_path / "store") == "installed"
    assert archive.exists()


def test_a_zip_without_published_hash_is_known_by_its_folder(tmp_path, cards):
    archive = zip_of(tmp_path / "x.zip", below("Dataset902_B", nnunet_files()))
    assert bring(archive, tmp_path / "store", cards).manifests[0].card == "b"
    assert store.state(cards[1], tmp_path / "store") == "unverified"


def test_a_hostile_zip_is_refused_here_too(tmp_path, cards):
    with zipfile.ZipFile(tmp_path / "Dataset902_B.zip", "w") as opened:
        opened.writestr("../evil", b"x")
    with pytest.raises(InputError, match="leads out of its folder"):
        bring(tmp_path / "Dataset902_B.zip", tmp_path / "store", cards)
    assert not (tmp_path / "evil").exists()


def test_a_single_file_is_known_by_its_hash(tmp_path, cards):
    (tmp_path / "whatever.bin").write_bytes(noise(999))
    bring(tmp_path / "whatever.bin", tmp_path / "store", cards)
    assert files_at(tmp_path / "store", "files/sam") == {"sam.pt": noise(999)}
    assert store.state(cards[3], tmp_path / "store") == "installed"
    (tmp_path / "sam.pt").write_bytes(noise(998))
    with pytest.raises(InputError, match="sam.pt: no model of the catalogue was recognized"):
        bring(tmp_path / "sam.pt", tmp_path / "store", cards)
    with pytest.raises(InputError, match="absent.pt is neither"):
        bring(tmp_path / "absent.pt", tmp_path / "store", cards)


def test_a_folder_of_single_files_is_known_by_their_hashes(tmp_path, cards):
    """Whatever it is called: nnInteractive's folder, for example."""
    facts = facts_of({"fold_0/x.pth": noise(50), "plans.json": b"{}"})
    sources = tuple(Source((f"https://x.example/{one.path}",), format="file", save_as=one.path) for one in facts)
    card = card_of("several", "files/several", sources=sources, files=facts)
    folder = lay(tmp_path / "any name", {"fold_0/x.pth": noise(50), "plans.json": b"{}", "notes.txt": b"mine"})
    bring(folder, tmp_path / "store", [*cards, card])
    assert (tmp_path / "store" / "files" / "several" / "fold_0" / "x.pth").read_bytes() == noise(50)
    lay(folder, {"plans.json": b"[]"})
    with pytest.raises(InputError, match="any name: no model of the catalogue was recognized"):
        bring(folder, tmp_path / "store", [*cards, card])


def test_a_file_given_by_hand_for_a_card_is_only_unverified(tmp_path, cards):
    (tmp_path / "mine.pt").write_bytes(noise(5))
    bring(tmp_path / "mine.pt", tmp_path / "store", cards, card=cards[3])
    assert store.state(cards[3], tmp_path / "store") == "unverified"


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_hard_links_on_request_and_contents_of_linked_files(tmp_path, cards):
    folder = lay(tmp_path / "Dataset902_B", nnunet_files())
    weights = next(folder.rglob("*.pth"))
    blob = folder / "blobs" / "one"
    blob.parent.mkdir()
    weights.rename(blob)
    weights.symlink_to(blob)
    bring(folder, tmp_path / "store", cards, link=True)
    brought = next((tmp_path / "store").rglob("*.pth"))
    assert brought.stat().st_ino == blob.stat().st_ino and not brought.is_symlink()
    store.remove(cards[1], root=tmp_path / "store")
    assert blob.read_bytes() == nnunet_files()[weights.relative_to(folder).as_posix()]
    bring(folder, tmp_path / "store", cards)
    assert next((tmp_path / "store").rglob("*.pth")).stat().st_ino != blob.stat().st_ino


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_out_of_the_folder_is_refused(tmp_path, cards):
    (tmp_path / "secret").write_bytes(b"mine")
    folder = lay(tmp_path / "Dataset902_B", nnunet_files())
    (folder / "notes.txt").symlink_to(tmp_path / "secret")
    for link in (False, True):
        with pytest.raises(InputError, match="holds the link 'notes.txt', which leaves it"):
            bring(folder, tmp_path / "store", cards, link=link)
    assert not (tmp_path / "store" / cards[1].place).exists()


def test_what_lies_at_its_place_already_only_gets_its_manifest(tmp_path, cards):
    """A user points the store at the folder that TotalSegmentator fills."""
    root = tmp_path / "store"
    place = lay(root / cards[0].place, nnunet_files(seed=1))
    inode = next(place.rglob("*.pth")).stat().st_ino
    assert store.state(cards[0], root) == "unverified"
    bring(root / "nnunet" / "results", root, cards)
    assert store.state(cards[0], root) == "installed"
    assert next(place.rglob("*.pth")).stat().st_ino == inode


def test_the_license_is_asked_for_here_too(tmp_path, cards):
    shown = []
    with pytest.raises(ModelError, match="was not accepted"):
        folder = lay(tmp_path / "Dataset902_B", nnunet_files())
        bring(folder, tmp_path / "store", cards, accept_license=lambda license: shown.append(license))
    assert shown == [LICENSE] and store.state(cards[1], tmp_path / "store") == "missing"


def test_importing_the_same_again_changes_nothing(tmp_path, cards, filled):
    before = tree(filled)
    bring(tmp_path / "results", filled, cards)
    bring(tmp_path / "sam.pt", filled, cards)
    assert tree(filled) == before


def test_a_pinned_model_is_not_replaced_by_an_import(tmp_path, cards, filled):
    store.pin(cards[1], root=filled)
    other = lay(tmp_path / "other" / "Dataset902_B", nnunet_files(seed=8))
    with pytest.raises(ModelError, match="pinned"):
        bring(other, filled, cards)
    assert store.verify(cards[1], root=filled).sound


# ---------------------------------------------------------------------------------------------- export


def test_a_store_travels_in_one_file(tmp_path, cards, filled):
    chosen = cards[:4]
    file = store.export(chosen, tmp_path / "models.zip", root=filled, now=lambda: "2026-01-02T03:04:05+00:00")
    found = bring(file, tmp_path / "two", cards)
    assert {one.card for one in found.manifests} == {"a", "b", "bundle", "sam"} and found.skipped == ()
    for card in chosen:
        assert files_at(tmp_path / "two", card.place) == files_at(filled, card.place)
        assert store.verify(card, root=tmp_path / "two").sound
    assert [store.state(card, tmp_path / "two") for card in chosen] == [store.state(card, filled) for card in chosen[:3]] + [
        "unverified"
    ], "the hash of a download does not prove what another store says of it"
    with zipfile.ZipFile(file) as opened:
        assert opened.namelist()[0] == "oncosegment-models.json" and opened.testzip() is None
        assert {info.compress_type for info in opened.infolist()} == {zipfile.ZIP_STORED}
        assert str(tmp_path) not in opened.read("oncosegment-models.json").decode()


def test_an_unknown_model_in_an_export_is_told(tmp_path, cards, filled):
    file = store.export(cards[:2], tmp_path / "models.zip", root=filled)
    found = bring(file, tmp_path / "two", cards[:1])
    assert [one.card for one in found.manifests] == ["a"] and [name for name, _ in found.skipped] == ["b"]


def change_export(file, change):
    """The file again, with changed entries: name -> bytes."""
    with zipfile.ZipFile(file) as opened:
        entries = {name: opened.read(name) for name in opened.namelist()}
    change(entries)
    return zip_of(file, entries, method=zipfile.ZIP_STORED)


def test_a_changed_export_is_refused(tmp_path, cards, filled):
    weights = "models/b/nnUNetTrainer__nnUNetPlans__3d_fullres/fold_0/checkpoint_final.pth"
    index = "oncosegment-models.json"

    def longer_list(entries):
        values = json.loads(entries[index])
        values["models"][0]["files"].append({"path": "../../evil", "bytes": 1, "sha256": "0" * 64})
        entries[index] = json.dumps(values).encode()

    for change, error, words in (
        (lambda entries: entries.update({weights: entries[weights][:-1] + b"x"}), InputError, "differ from its list"),
        (lambda entries: entries.update({"models/b/more.txt": b"x"}), InputError, "differ from its list"),
        (lambda entries: entries.pop(weights), InputError, "differ from its list"),
        (longer_list, InputError, "differ from its list"),
        (lambda entries: entries.update({"models/b/../../evil": b"x"}), InputError, "leads out of its folder"),
        (lambda entries: entries.update({index: b"{"}), InputError, "list of models cannot be read"),
        (lambda entries: entries.update({index: b'{"models": [1]}'}), InputError, "list of models cannot be read"),
    ):
        file = store.export([cards[1]], tmp_path / "models.zip", root=filled, overwrite=True)
        with pytest.raises(error, match=words):
            bring(change_export(file, change), tmp_path / "two", cards)
        assert store.state(cards[1], tmp_path / "two") == "missing"
        assert not any((tmp_path / "two" / "staging").iterdir())


def test_an_export_never_packs_what_is_damaged_or_absent(tmp_path, cards, filled):
    with pytest.raises(ModelError, match="thresholds|not installed"):
        store.export([nnunet_card(id="absent")], tmp_path / "x.zip", root=filled)
    weights = next((filled / cards[1].place).rglob("*.pth"))
    data = bytearray(weights.read_bytes())
    data[100] ^= 1
    weights.write_bytes(data)
    (tmp_path / "x.zip").write_bytes(b"mine")
    with pytest.raises(OutputError, match="is there already and was kept"):
        store.export(cards[:2], tmp_path / "x.zip", root=filled)
    with pytest.raises(ModelError, match="was changed since it was installed"):
        store.export(cards[:2], tmp_path / "x.zip", root=filled, overwrite=True)
    assert (tmp_path / "x.zip").read_bytes() == b"mine"
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
def test_a_full_disk_and_cancel_leave_no_export(tmp_path, cards, filled):
    with no_file_over(2000), pytest.raises(OutputError, match="x.zip could not be written .the disk is full"):
        store.export(cards[:2], tmp_path / "x.zip", root=filled)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        store.export(cards[:2], tmp_path / "x.zip", root=filled, cancel=token)
    assert not [path for path in tmp_path.iterdir() if "x.zip" in path.name]


# ---------------------------------------------------------------------------------------------- where it lies


def test_the_store_s_place_by_environment_and_setting(tmp_path):
    settings = tmp_path / "settings.json"
    home = Path.home() / ".oncosegment" / "models"
    assert store.store_root({}, settings) == home
    settings.write_text('{"theme": "dark"}')
    store.set_store_root(tmp_path / "disk", settings)
    assert store.store_root({}, settings) == tmp_path / "disk"
    assert store.store_root({"ONCOSEGMENT_MODELS": str(tmp_path / "env")}, settings) == tmp_path / "env"
    store.set_store_root(None, settings)
    assert store.store_root({}, settings) == home and json.loads(settings.read_text()) == {"theme": "dark"}
    with pytest.raises(InputError, match="wanted an absolute path"):
        store.store_root({"ONCOSEGMENT_MODELS": "models"}, settings)
    for text in ("{", "[]", '{"models_folder": 3}'):
        settings.write_text(text)
        with pytest.raises(InputError, match="settings.json"):
            store.store_root({}, settings)


def test_every_card_of_the_catalogue_has_a_place_and_an_id_that_the_store_takes(tmp_path):
    places = {}
    for card in built_in_cards():
        if card.place:
            place = store.place_of(card, tmp_path)
            store.Store(tmp_path).manifest(card.id)
            assert places.setdefault(place, card.id) == card.id
            assert not any(place in other.parents for other in places)


def test_totalsegmentator_and_nnunet_find_the_weights_without_copies(tmp_path):
    pytest.importorskip("totalsegmentator", reason="needs TotalSegmentator")
    card = next(one for one in built_in_cards() if one.id == "totalsegmentator-292")
    files = {one.path: b"{}" for one in card.files}
    files.update({name: checkpoint() for name in files if name.endswith(".pth")})
    bring(lay(tmp_path / VERTEBRAE, files), tmp_path / "store", [card])
    code = (
        "from totalsegmentator.config import get_weights_dir\n"
        "from nnunetv2.utilities.file_path_utilities import get_output_folder\n"
        "print(get_weights_dir()); print(get_output_folder(292, 'nnUNetTrainerNoMirroring', 'nnUNetPlans', '3d_fullres'))"
    )
    environment = {**os.environ, **store.environment_of(tmp_path / "store"), "PYTHONPATH": os.pathsep.join(PACKAGE_PARENTS)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    weights, model = done.stdout.strip().splitlines()[-2:]
    assert Path(weights) == tmp_path / "store" / "nnunet" / "results"
    assert Path(model) == store.where(card, tmp_path / "store") / Path(next(iter(files))).parts[0]
    assert (Path(model) / "fold_0" / "checkpoint_final.pth").is_file()


def test_what_an_exported_file_claims_of_its_downloads_proves_nothing(tmp_path, cards, filled):
    """Anybody can write an index: its hash of a download is neither confirmed nor taken for the catalogue's."""
    index, wanted = "oncosegment-models.json", sha256(b"the publisher's archive")
    file = store.export(cards[1:2], tmp_path / "models.zip", root=filled)

    def claim(entries):
        values = json.loads(entries[index])
        values["models"][0].update(verified=True, origin={"sources": [{"url": URL.format("b"), "bytes": 23, "sha256": wanted}]})
        entries[index] = json.dumps(values).encode()

    change_export(file, claim)
    published = nnunet_card(URL.format("b"), name="Dataset902_B", id="b", sources=(Source((URL.format("b"),), 23, wanted),))
    root = tmp_path / "two"
    (manifest,) = bring(file, root, [published]).manifests
    assert not manifest.verified and manifest.origin["claimed"][0]["sha256"] == wanted
    with pytest.raises(ModelError, match="came as . files; one hash cannot confirm them all"):
        store.confirm(published, wanted, root=root)
    assert not is_same(manifest, published) and is_same(manifest, cards[1])

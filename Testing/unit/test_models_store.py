"""The store: a model arrives whole and verified, or not at all; it can be checked, pinned and taken away."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from helpers import no_file_over, tree
from helpers_models_archives import (
    HOSTILE,
    below,
    bundle_files,
    card_of,
    facts_of,
    nnunet_card,
    nnunet_files,
    noise,
    sha256,
    tar_of,
    yes,
    zip_of,
)
from helpers_models_server import Answer, ModelServer
from ModelManagerLib import store
from ModelManagerLib.catalog import FileFact, LicenseFacts, Source
from ModelManagerLib.licenses import acceptances
from ModelManagerLib.store_places import Store
from ModelManagerLib.transfer_settings import TransferSettings
from OncoLib.errors import Cancelled, InputError, ModelError, OncoError, OutputError
from OncoLib.progress import CancelToken

SETTINGS = TransferSettings(proxies={}, backoff_s=0.01, attempts=2)
NAME = "Dataset999_Tiny"


@pytest.fixture
def server():
    with ModelServer({}) as running:
        yield running


@pytest.fixture
def root(tmp_path):
    """A store in memory where there is such a place: each install pushes a dozen files to the disk."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path / "store"
        return
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name) / "store"


def offer(server, tmp_path, files, path="/tiny.zip", make=zip_of):
    """Puts an archive of these files on the server; its address and bytes."""
    content = make(tmp_path / path.strip("/"), files).read_bytes()
    server.contents[path] = content
    return server.url(path), content


def bring(card, root, **values):
    return store.install(card, root=root, **{"accept_license": yes, "settings": SETTINGS, **values})


def files_at(root, place):
    return {name.replace(os.sep, "/"): one for name, one in tree(root / place).items() if one is not None}


def nothing_left(root):
    """No transaction, no trash, no lock; parts may stay for the next start."""
    locks = list((root / "parts").glob("*.lock"))
    return not any((root / "staging").iterdir()) and not any((root / "trash").iterdir()) and not locks


@pytest.mark.parametrize("wrap", ["", NAME, f"nnunet/results/{NAME}", "some/where"])
def test_an_install_brings_every_file_whether_the_archive_holds_the_folder_or_its_content(tmp_path, server, root, wrap):
    files = nnunet_files()
    url, content = offer(server, tmp_path, {**(below(wrap, files) if wrap else files), "__MACOSX/._x": b"junk"})
    card = nnunet_card(url, content)
    assert store.state(card, root) == "missing"
    manifest = bring(card, root)
    assert files_at(root, card.place) == files
    assert {one.path: (one.bytes, one.sha256) for one in manifest.files} == {
        name: (len(one), sha256(one)) for name, one in files.items()
    }
    assert manifest.verified and store.state(card, root) == "installed"
    assert store.where(card, root) == root / "nnunet" / "results" / NAME
    assert [one.card for one in store.installed(root)] == ["tiny-999"]
    assert store.verify(card, root=root).sound
    assert nothing_left(root) and not any((root / "parts").iterdir())


def test_the_manifest_tells_where_it_came_from_and_under_what_license(tmp_path, server, root):
    url, content = offer(server, tmp_path, nnunet_files())
    card = nnunet_card(url + "?token=secret", content)
    bring(card, root, now=lambda: "2026-01-02T03:04:05+00:00")
    text = (root / "manifests" / "tiny-999.json").read_text(encoding="utf-8")
    values = json.loads(text)
    assert values["origin"]["sources"] == [{"url": url, "bytes": len(content), "sha256": sha256(content)}]
    assert values["installed_at"] == "2026-01-02T03:04:05+00:00" and values["license"]["id"] == "CC-BY-4.0"
    assert "secret" not in text and str(tmp_path) not in text


def test_a_tar_and_a_bundle(tmp_path, server, root):
    files = bundle_files()
    url, content = offer(server, tmp_path, below("tiny_bundle", files), "/tiny.tar.gz", tar_of)
    card = card_of("bundle-1", "bundles/tiny_bundle", sources=(Source((url,), len(content), sha256(content), format="tar.gz"),))
    bring(card, root)
    assert files_at(root, "bundles/tiny_bundle") == files
    assert store.state(card, root) == "installed"


def test_single_files_land_where_the_catalogue_says(tmp_path, server, root):
    files = {"fold_0/weights.pth": noise(5000), "plans.json": b"{}"}
    server.contents.update({f"/{name}": content for name, content in files.items()})
    sources = tuple(
        Source((server.url(f"/{name}"),), len(content), sha256(content), format="file", save_as=name)
        for name, content in files.items()
    )
    card = card_of("plain", "files/plain", sources=sources, files=facts_of(files))
    assert bring(card, root).verified_by == "published hashes of its files"
    assert files_at(root, "files/plain") == files
    assert not any((root / "parts").iterdir())


def test_a_second_install_finds_the_first_and_asks_nobody(tmp_path, server, root):
    url, content = offer(server, tmp_path, nnunet_files())
    card = nnunet_card(url, content)
    first = bring(card, root)
    asked = len(server.requests())
    assert bring(card, root) == first
    assert len(server.requests()) == asked


# ---------------------------------------------------------------------------------------------- license


def test_the_license_is_shown_and_recorded_before_the_first_byte(tmp_path, server, root):
    url, content = offer(server, tmp_path, nnunet_files())
    card, shown = nnunet_card(url, content), []

    def ask(license):
        shown.append((license.id, license.text, len(server.requests())))
        return True

    bring(card, root, accept_license=ask, now=lambda: "2026-01-02T03:04:05+00:00")
    text = "\n".join((card.license.title, card.license.url, card.license.text))
    assert shown == [("CC-BY-4.0", "Text.", 0)]
    assert acceptances(Store(root)) == [
        {
            "card": "tiny-999",
            "license": "CC-BY-4.0",
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "time": "2026-01-02T03:04:05+00:00",
        }
    ]
    store.remove(card, root=root)
    bring(card, root, accept_license=ask)
    assert len(shown) == 1, "an accepted text is not asked again"
    changed = replace(card, license=replace(card.license, text="Another text."))
    store.remove(card, root=root)
    bring(changed, root, accept_license=ask)
    assert len(shown) == 2, "another text is"


def test_without_acceptance_nothing_is_fetched(tmp_path, server, root):
    url, content = offer(server, tmp_path, nnunet_files())
    with pytest.raises(ModelError, match="was not accepted; nothing was installed"):
        bring(nnunet_card(url, content), root, accept_license=lambda license: False)
    assert server.requests() == [] and acceptances(Store(root)) == []


def test_weights_that_need_a_license_number_are_left_to_their_package(root):
    card = nnunet_card(license=LicenseFacts("LicenseRef-x", "x", number_needed=True))
    with pytest.raises(ModelError, match="license number"):
        bring(card, root)


# ---------------------------------------------------------------------------------------------- what must not come in


def refused_install(card, root, error, words, **values):
    """The install raises one clear sentence and the store holds nothing new and nothing half."""
    before = tree(root / "nnunet") if (root / "nnunet").exists() else {}
    manifests = tree(root / "manifests") if (root / "manifests").exists() else {}
    with pytest.raises(error) as caught:
        bring(card, root, **values)
    message = str(caught.value)
    assert words in message and "\n" not in message and str(root) not in message
    assert tree(root / "nnunet").keys() >= before.keys() and {**tree(root / "nnunet"), **before} == tree(root / "nnunet")
    assert tree(root / "manifests") == manifests
    assert nothing_left(root)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "many.zip"])
def test_a_hostile_archive_leaves_the_store_as_it_was(tmp_path, server, root, name):
    """Even with the hash that the catalogue names: an archive is never trusted."""
    words, make = HOSTILE[name]
    make(tmp_path / "x")
    url, content = server.url("/evil.zip"), (tmp_path / "x").read_bytes()
    server.contents["/evil.zip"] = content
    old_url, old = offer(server, tmp_path, nnunet_files(seed=1), "/old.zip")
    bring(nnunet_card(old_url, old), root)
    expected = OncoError if not content else InputError
    refused_install(nnunet_card(url, content, version="2"), root, expected, "", accept_changed=True)
    assert store.verify(nnunet_card(old_url, old), root=root).sound


@pytest.mark.parametrize(
    ("end", "content", "words"),
    [
        ("plans.json", None, "lacks plans.json"),
        ("dataset.json", b"{", "dataset.json that cannot be read"),
        ("plans.json", b"[]", "plans.json without settings"),
        (".pth", None, "lacks fold_*/checkpoint_final.pth"),
        (".pth", b"<html>", "is no checkpoint of torch"),
        ("", None, "has no folder <trainer>"),
    ],
)
def test_an_archive_of_another_layout_is_refused(tmp_path, server, root, end, content, words):
    files = {name: one for name, one in nnunet_files().items() if not name.endswith(end)} | {"readme.txt": b"x"}
    files |= {name: content for name in nnunet_files() if name.endswith(end) and content is not None}
    url, content = offer(server, tmp_path, below(NAME, files))
    refused_install(nnunet_card(url, content), root, InputError, words)


def test_a_bundle_without_metadata_is_refused(tmp_path, server, root):
    files = bundle_files()
    del files["configs/metadata.json"]
    url, content = offer(server, tmp_path, files)
    refused_install(card_of("b", "bundles/b", url, content), root, InputError, "lacks configs/metadata.json")


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (lambda name, one: FileFact(name, len(one) + 1, None), "bytes, wanted"),
        (lambda name, one: FileFact(name, len(one), sha256(b"other")), "another SHA-256"),
        (lambda name, one: FileFact("absent.json"), "lacks the file absent.json"),
    ],
)
def test_a_file_that_differs_from_the_catalogue_is_refused(tmp_path, server, root, fact, words):
    files = nnunet_files()
    url, content = offer(server, tmp_path, files)
    name = next(name for name in files if name.endswith(".pth"))
    refused_install(nnunet_card(url, content, files=(fact(name, files[name]),)), root, OncoError, words)


def test_a_download_with_another_hash_is_refused(tmp_path, server, root):
    url, content = offer(server, tmp_path, nnunet_files())
    card = nnunet_card(url, content)
    server.contents["/tiny.zip"] = content[:-1] + bytes([content[-1] ^ 1])
    refused_install(card, root, ModelError, "SHA-256")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=403),
        Answer(status=404),
        Answer(status=500),
        Answer(cut_after=500),
        Answer(length=100),
        Answer(body=b"x" * 9),
    ],
    ids=["403", "404", "500", "cut", "shorter", "other"],
)
def test_a_server_that_misbehaves_leaves_the_old_version(tmp_path, server, root, answer):
    old_url, old = offer(server, tmp_path, nnunet_files(seed=1), "/old.zip")
    old_card = nnunet_card(old_url, old)
    bring(old_card, root)
    url, content = offer(server, tmp_path, nnunet_files(seed=2))
    server.script("/tiny.zip", answer, answer, answer, answer)
    refused_install(nnunet_card(url, content, version="2"), root, ModelError, "")
    assert store.verify(old_card, root=root).sound and store.state(old_card, root) == "installed"


# ---------------------------------------------------------------------------------------------- trust on first use


def test_without_a_published_hash_it_is_unverified_until_compared(tmp_path, server, root):
    url, content = offer(server, tmp_path, nnunet_files())
    card = nnunet_card(url)
    assert not bring(card, root).verified
    assert store.state(card, root) == "unverified"
    assert "not compared" in store.verify(card, root=root).sentence
    with pytest.raises(ModelError, match="not the one given"):
        store.confirm(card, sha256(b"other"), root=root)
    store.confirm(card, sha256(content).upper(), root=root)
    assert store.state(card, root) == "installed"


def test_a_host_that_sends_another_file_later_is_found_out(tmp_path, server, root):
    url, _ = offer(server, tmp_path, nnunet_files(seed=1))
    card = nnunet_card(url)
    bring(card, root)
    store.remove(card, root=root)
    offer(server, tmp_path, nnunet_files(seed=2))
    refused_install(card, root, ModelError, "now sends another file")
    assert not bring(card, root, accept_changed=True).verified
    assert store.verify(card, root=root).sound


def test_hashes_of_some_files_do_not_vouch_for_the_others(tmp_path, server, root):
    files = nnunet_files()
    url, _ = offer(server, tmp_path, files)
    card = nnunet_card(url, files=facts_of(files)[2:])
    assert not bring(card, root).verified
    known = nnunet_card(url, files=facts_of(files))
    store.remove(card, root=root)
    assert bring(known, root, accept_changed=True).verified_by == "published hashes of its files"


# ---------------------------------------------------------------------------------------------- versions


def two_versions(server, tmp_path):
    cards = []
    for version in ("1", "2"):
        url, content = offer(server, tmp_path, nnunet_files(seed=int(version)), f"/v{version}.zip")
        cards.append(nnunet_card(url, content, version=version))
    return cards


@pytest.mark.parametrize("exchanges", [True, False], ids=["one step", "two renames"])
def test_a_new_version_takes_the_place_of_the_old(tmp_path, server, root, exchanges, monkeypatch):
    """Also where the file system cannot exchange two folders in one step, as on Windows and macOS."""
    if not exchanges:
        monkeypatch.setattr("ModelManagerLib.disk.sys.platform", "win32")
    old, new = two_versions(server, tmp_path)
    bring(old, root)
    assert bring(new, root).version == "2"
    assert files_at(root, new.place) == nnunet_files(seed=2)
    assert store.verify(new, root=root).sound and nothing_left(root)


def test_a_place_belongs_to_one_model(tmp_path, server, root):
    """A row of the user's own that names the place of another model, or a folder in it, harms neither."""
    old, new = two_versions(server, tmp_path)
    bring(old, root)
    for place in (old.place, old.place.replace("Tiny", "TINY"), f"{old.place}/inside"):
        other = replace(new, id="mine", place=place)
        refused_install(other, root, ModelError, "belongs to tiny-999")
        with pytest.raises(ModelError, match="belongs to tiny-999"):
            store.remove(other, root=root)
    assert store.verify(old, root=root).sound


def test_a_version_that_lies_elsewhere_leaves_nothing_at_the_old_place(tmp_path, server, root):
    old, new = two_versions(server, tmp_path)
    bring(old, root)
    moved = replace(new, place="nnunet/results/Dataset999_Moved")
    assert store.state(moved, root) == "damaged"
    bring(moved, root)
    assert not (root / old.place).exists() and store.verify(moved, root=root).sound
    assert store.remove(old, root=root).place == moved.place and not (root / moved.place).exists()


def test_a_pinned_version_is_neither_replaced_nor_removed(tmp_path, server, root):
    old, new = two_versions(server, tmp_path)
    bring(old, root)
    store.pin(old, root=root)
    refused_install(new, root, ModelError, "is pinned to version 1 and stays")
    with pytest.raises(ModelError, match="is pinned"):
        store.remove(old, root=root)
    assert bring(old, root).pinned
    store.unpin(old, root=root)
    assert bring(new, root).version == "2"


def test_a_pinned_version_that_is_damaged_can_be_repaired(tmp_path, server, root):
    old, _ = two_versions(server, tmp_path)
    bring(old, root)
    store.pin(old, root=root)
    next((root / old.place).rglob("*.pth")).unlink()
    assert store.state(old, root) == "damaged"
    assert bring(old, root).pinned
    assert store.verify(old, root=root).sound


def test_fields_of_a_newer_version_of_oncosegment_are_kept(tmp_path, server, root):
    old, new = two_versions(server, tmp_path)
    bring(old, root)
    path = root / "manifests" / "tiny-999.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2, "signature": {"by": "x"}}))
    store.pin(old, root=root)
    values = json.loads(path.read_text())
    assert values["signature"] == {"by": "x"} and values["pinned"] and values["format"] == 2
    store.unpin(old, root=root)
    bring(new, root)
    assert json.loads(path.read_text())["signature"] == {"by": "x"}


# ---------------------------------------------------------------------------------------------- verify, state


def test_verify_names_what_is_missing_changed_and_extra(tmp_path, server, root):
    url, content = offer(server, tmp_path, nnunet_files())
    card = nnunet_card(url, content)
    bring(card, root)
    place = root / card.place
    training = next(place.iterdir())
    name = training.name
    (training / "plans.json").unlink()
    weights = training / "fold_0" / "checkpoint_final.pth"
    data = bytearray(weights.read_bytes())
    data[1000] ^= 1
    weights.write_bytes(data)
    (training / "notes.txt").write_text("mine")
    (training / "fold_0" / "checkpoint_final.twin.json").write_text("{}")
    report = store.verify(card, root=root)
    assert report.missing == (f"{name}/plans.json",)
    assert report.changed == (f"{name}/fold_0/checkpoint_final.pth",)
    assert report.extra == (f"{name}/notes.txt",)
    assert not report.sound and "is damaged" in report.sentence
    assert store.state(card, root) == "damaged"
    with pytest.raises(ModelError, match="damaged"):
        store.where(card, root)
    bring(card, root)
    assert store.verify(card, root=root).sound and store.state(card, root) == "installed"


def test_one_changed_bit_is_remembered_until_the_repair(tmp_path, server, root):
    url, content = offer(server, tmp_path, nnunet_files())
    card = nnunet_card(url, content)
    bring(card, root)
    weights = next((root / card.place).rglob("*.pth"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert store.state(card, root) == "installed", "a look at sizes cannot see it"
    assert not store.verify(card, root=root).sound
    assert store.state(card, root) == "damaged"


def test_a_damaged_manifest_is_told_and_repaired_by_an_install(tmp_path, server, root):
    url, content = offer(server, tmp_path, nnunet_files())
    card = nnunet_card(url, content)
    bring(card, root)
    for text in ("", "[]", "{}", '{"card": 1}', json.dumps({"files": [{}]})):
        (root / "manifests" / "tiny-999.json").write_text(text)
        assert store.state(card, root) == "damaged"
        with pytest.raises(ModelError, match="tiny-999.json: the manifest is damaged"):
            store.verify(card, root=root)
        assert store.installed(root) == []
    assert bring(card, root).verified and store.state(card, root) == "installed"


def test_a_part_that_was_kept_shows_as_partial(tmp_path, server, root):
    url, content = offer(server, tmp_path, nnunet_files(900_000))
    card = nnunet_card(url, content)
    token = CancelToken()

    def stop(fraction, message):
        if fraction and fraction > 0.2:
            token.cancel()

    server.script("/tiny.zip", Answer(stall_after=600_000))
    with pytest.raises(Cancelled):
        bring(card, root, progress=stop, cancel=token)
    assert store.state(card, root) == "partial" and nothing_left(root)
    bring(card, root)
    assert "range" in server.requests("/tiny.zip")[-1].headers
    assert store.state(card, root) == "installed"


def test_a_folder_that_another_program_put_there_is_not_replaced(tmp_path, server, root):
    url, content = offer(server, tmp_path, nnunet_files())
    card = nnunet_card(url, content)
    place = root / card.place
    for name, one in nnunet_files(seed=7).items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(one)
    assert store.state(card, root) == "unverified"
    refused_install(card, root, OutputError, "was not installed by OncoSegment")
    assert files_at(root, card.place) == nnunet_files(seed=7)
    next(place.rglob("plans.json")).unlink()
    assert store.state(card, root) == "partial"


def test_a_model_without_files_is_always_there(root):
    card = card_of("built-in", "")
    assert store.state(card, root) == "installed"
    with pytest.raises(ModelError, match="no files to fetch"):
        bring(card, root)


# ---------------------------------------------------------------------------------------------- remove


def test_remove_says_what_it_frees_and_frees_it(tmp_path, server, root):
    url, content = offer(server, tmp_path, nnunet_files())
    card = nnunet_card(url, content)
    other_url, other = offer(server, tmp_path, nnunet_files(seed=5), "/other.zip")
    other_card = nnunet_card(other_url, other, name="Dataset998_Other", id="tiny-998")
    bring(card, root)
    bring(other_card, root)
    part = root / "parts" / "tiny-999-0.part"
    part.write_bytes(b"x" * 100)
    (root / "parts" / "tiny-999-10b-0.part").write_bytes(b"another card's")
    before = tree(root)
    planned = store.remove(card, dry_run=True, root=root)
    assert tree(root) == before and not planned.done
    assert planned.freed_bytes == sum(len(one) for one in nnunet_files().values()) + 100 and planned.files == 3
    done = store.remove(card, root=root)
    assert (done.freed_bytes, done.files, done.done) == (planned.freed_bytes, 3, True)
    assert not (root / card.place).exists() and store.state(card, root) == "missing" and not part.exists()
    assert (root / "parts" / "tiny-999-10b-0.part").exists()
    assert store.verify(other_card, root=root).sound and nothing_left(root)
    with pytest.raises(ModelError, match="nothing to remove"):
        store.remove(card, root=root)


@pytest.mark.parametrize(
    "place", ["../outside", "nnunet/results", "nnunet/results/../../..", "", "/etc", "manifests/x", "files/a//b"]
)
def test_nothing_outside_of_the_store_is_ever_touched(tmp_path, root, place):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "mine").write_text("mine")
    root.mkdir()
    for call in (store.remove, store.verify):
        with pytest.raises(InputError, match="is not below"):
            call(card_of("evil", place, "http://x/y.zip"), root=root)
    with pytest.raises(InputError, match="is not below"):
        bring(card_of("evil", place, "http://x/y.zip"), root)
    assert (tmp_path / "outside" / "mine").read_text() == "mine"


@pytest.mark.parametrize("id", ["../evil", "a/b", "", ".hidden", "CON", "a" * 200, "a~b"])
def test_an_id_that_is_no_file_name_is_refused(root, id):
    with pytest.raises(InputError, match="cannot be used"):
        bring(card_of(id, "files/x", "http://x/y.zip"), root)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
@pytest.mark.parametrize("at", ["nnunet/results/Dataset999_Tiny", "nnunet/results", "nnunet", "trash", "staging"])
def test_a_link_in_the_store_is_refused_and_its_target_kept(tmp_path, server, root, at):
    url, content = offer(server, tmp_path, nnunet_files())
    outside = tmp_path / "outside"
    (outside / "results" / NAME).mkdir(parents=True)
    (outside / "mine").write_text("mine")
    (root / at).parent.mkdir(parents=True, exist_ok=True)
    (root / at).symlink_to(outside)
    before = tree(outside)
    for call in (lambda: bring(nnunet_card(url, content), root), lambda: store.remove(nnunet_card(url, content), root=root)):
        with pytest.raises(OutputError, match="link in the model store leads elsewhere"):
            call()
    assert tree(outside) == before


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_the_root_itself_may_be_a_link(tmp_path, server):
    (tmp_path / "disk").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "disk")
    url, content = offer(server, tmp_path, nnunet_files())
    bring(nnunet_card(url, content), tmp_path / "store")
    assert store.verify(nnunet_card(url, content), root=tmp_path / "disk").sound


# ---------------------------------------------------------------------------------------------- disk


def test_space_is_asked_for_before_the_first_byte(tmp_path, server, root):
    url, content = offer(server, tmp_path, nnunet_files())
    card = nnunet_card(url, content)
    card = replace(card, sources=(replace(card.sources[0], bytes=1 << 60),))
    refused_install(card, root, OutputError, "GB of free space in the model store and")
    assert server.requests() == []


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
@pytest.mark.parametrize("most", [3_000, 100_000, 330_000])
def test_a_disk_that_fills_during_an_install_leaves_the_old_version(tmp_path, server, root, most):
    """The limit on a file's size acts as a full disk: during the download, or during unpacking."""
    old_url, old = offer(server, tmp_path, nnunet_files(200, seed=1), "/old.zip")
    bring(nnunet_card(old_url, old), root)
    files = nnunet_files(300_000)
    files[next(name for name in files if name.endswith("dataset.json"))] = json.dumps({"x": "y" * 400_000}).encode()
    url, content = offer(server, tmp_path, files)
    with no_file_over(most):
        refused_install(nnunet_card(url, content, version="2"), root, OutputError, "")
    assert store.verify(nnunet_card(old_url, old), root=root).sound
    bring(nnunet_card(url, content, version="2"), root)
    assert store.verify(nnunet_card(url, content, version="2"), root=root).sound


@pytest.mark.skipif(os.name == "nt", reason="POSIX rights")
def test_a_store_that_cannot_be_written_is_told(tmp_path, server):
    url, content = offer(server, tmp_path, nnunet_files())
    root = tmp_path / "store"
    root.mkdir()
    root.chmod(0o555)
    code = (
        "import sys; sys.path[:0] = sys.argv[3:]\n"
        "import os\n"
        "from ModelManagerLib import store\n"
        "from helpers_models_archives import nnunet_card, yes\n"
        "from pathlib import Path\n"
        "os.geteuid() or os.setuid(65534)\n"
        "try: store.install(nnunet_card(sys.argv[2]), accept_license=yes, root=Path(sys.argv[1]))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    for folder in (tmp_path, *(one for one in tmp_path.parents if "pytest-of-" in str(one))):
        folder.chmod(0o755)
    answer = subprocess.run([sys.executable, "-c", code, root, url, *sys.path], capture_output=True, text=True)
    assert answer.stdout.startswith("OutputError the model store: the model store could not be changed"), answer
    root.chmod(0o755)


def test_a_folder_that_the_catalogue_names_outside_of_the_archive_is_never_taken(tmp_path, server, root):
    """Read past the catalogue's own check: the store must hold by itself."""
    documents = root.parent / "Documents"
    documents.mkdir(parents=True)
    (documents / "thesis.txt").write_text("years of work")
    url, content = offer(server, tmp_path, {"weights.pth": noise(100)})
    for hint in ("../../../../Documents", str(documents), "../../../Documents"):
        source = Source((url,), len(content), sha256(content), format="zip", root=hint)
        card = card_of("plain", "files/plain", sources=(source,))
        bring(card, root)
        assert (documents / "thesis.txt").read_text() == "years of work"
        assert files_at(root, "files/plain") == {"weights.pth": noise(100)}
        store.remove(card, root=root)
        assert (documents / "thesis.txt").is_file()


def test_an_install_without_any_file_is_none(tmp_path, server, root):
    url, content = offer(server, tmp_path, {"weights.pth": noise(100)})
    card = card_of("plain", "files/plain", sources=(Source((url,), len(content), sha256(content), format="zip"),))
    bring(card, root)
    path = root / "manifests" / "plain.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "files": []}))
    assert store.state(card, root) == "damaged"


@pytest.mark.parametrize(
    "changes",
    [
        {"checked": None},
        {"origin": None},
        {"origin": {"sources": [5]}},
        {"license": None},
        {"card": "another"},
        {"verified": "yes"},
        {"files": [{"path": "a", "bytes": float("inf"), "sha256": ""}]},
    ],
    ids=str,
)
def test_a_manifest_of_wrong_kinds_is_damaged_and_an_install_repairs_it(tmp_path, server, root, changes):
    url, content = offer(server, tmp_path, nnunet_files())
    card = nnunet_card(url, content)
    bring(card, root)
    path = root / "manifests" / "tiny-999.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    assert store.state(card, root) == "damaged"
    with pytest.raises(ModelError, match="tiny-999.json: the manifest is damaged"):
        store.verify(card, root=root)
    assert store.installed(root) == []
    bring(card, root)
    assert store.state(card, root) == "installed"


@pytest.mark.parametrize(
    "journal",
    [
        "",
        "[5]",
        "{}",
        "[" * 100_000,
        json.dumps({"card": "tiny-999", "place": "/etc", "operation": "remove"}),
        json.dumps({"card": "tiny-999", "place": "files/x", "operation": "burn"}),
        json.dumps({"card": "other", "place": f"nnunet/results/{NAME}", "operation": "remove"}),
    ],
    ids=["empty", "list", "no keys", "deep", "place", "operation", "another card"],
)
def test_a_journal_that_cannot_be_read_stops_nobody(tmp_path, server, root, journal):
    url, content = offer(server, tmp_path, nnunet_files())
    card = nnunet_card(url, content)
    bring(card, root)
    for name in ("tiny-999~bad", "stranger~bad"):
        (root / "staging" / name).mkdir()
        (root / "staging" / name / "journal.json").write_text(journal)
    assert store.verify(card, root=root).sound
    store.recover(Store(root))
    assert nothing_left(root) and store.state(card, root) == "installed"


def test_the_old_version_comes_back_from_under_a_journal_that_cannot_be_read(tmp_path, server, root):
    url, content = offer(server, tmp_path, nnunet_files())
    card = nnunet_card(url, content)
    bring(card, root)
    (root / "staging" / "tiny-999~bad").mkdir()
    (root / "staging" / "tiny-999~bad" / "journal.json").write_text("")
    os.replace(root / card.place, root / "trash" / "tiny-999~bad.old")
    assert store.verify(card, root=root).sound and not any((root / "staging").iterdir())
    store.recover(Store(root))
    assert nothing_left(root)


def test_a_transaction_of_a_newer_format_is_left_alone(tmp_path, server, root):
    url, content = offer(server, tmp_path, nnunet_files())
    card = nnunet_card(url, content)
    bring(card, root)
    folder = root / "staging" / "tiny-999~new"
    folder.mkdir()
    (folder / "journal.json").write_text(
        json.dumps({"format": 2, "card": "tiny-999", "place": card.place, "operation": "exchange"})
    )
    assert store.verify(card, root=root).sound and (folder / "journal.json").is_file()

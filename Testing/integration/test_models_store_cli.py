"""`oncosegment models install|verify|remove|import|export|pin|path|where` against a real server on loopback."""

from __future__ import annotations

import zipfile

import pytest

from helpers_cli import run_here
from helpers_models_archives import nnunet_files
from helpers_models_shop import PLACE, shop


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Runs `models ACTION ...` on a store with one row of the user's."""
    with shop(tmp_path) as (root, environment, server):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

        def run(*arguments):
            return run_here("models", *arguments, cwd=tmp_path)

        run.root, run.server = root, server
        yield run


def files_in(folder) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_install_where_verify_remove(models):
    done = models("install", "our-spleen", "--accept-license")
    assert done.code == 0 and done.out.startswith("our-spleen: installed, ") and "published hashes" in done.out
    assert models("where", "our-spleen").out.strip() == str(models.root / PLACE)
    assert files_in(models.root / PLACE) == nnunet_files()
    assert "is whole" in models("verify").out
    assert "1 models, " in models("path").out
    listed = {row["id"]: row for row in models("list", "--json").json}
    assert listed["our-spleen"]["installed"] is True
    would = models("remove", "our-spleen", "--dry-run")
    assert "would be removed" in would.out and (models.root / PLACE).is_dir()
    assert "our-spleen: removed" in models("remove", "our-spleen").out
    assert not (models.root / PLACE).exists()


def test_no_license_no_byte(models):
    done = models("install", "our-spleen")
    assert done.code == 4 and "was not accepted; nothing was installed" in done.err
    assert "Apache License 2.0" in done.err and "--accept-license" in done.err
    assert models.server.requests() == []


def test_a_changed_file_is_found(models):
    models("install", "our-spleen", "--accept-license")
    (plans,) = (models.root / PLACE).rglob("plans.json")
    plans.write_bytes(plans.read_bytes() + b" ")
    done = models("verify", "our-spleen")
    assert done.code == 4 and "plans.json was changed" in done.out
    assert models("where", "our-spleen").code == 4
    assert models("install", "our-spleen").code == 0
    assert models("verify").code == 0


def test_a_pinned_model_stays(models):
    models("install", "our-spleen", "--accept-license")
    assert models("pin", "our-spleen").out.strip() == "our-spleen: pinned"
    done = models("remove", "our-spleen")
    assert done.code == 4 and "pinned" in done.err and (models.root / PLACE).is_dir()
    models("unpin", "our-spleen")
    assert models("remove", "our-spleen").code == 0


def test_export_and_import_on_a_machine_without_internet(models, tmp_path):
    models("install", "our-spleen", "--accept-license")
    packed = tmp_path / "for the ward.zip"
    assert models("export", "our-spleen", "--output", packed).code == 0
    assert zipfile.is_zipfile(packed)
    assert models("export", "our-spleen", "--output", packed).code == 3
    models("remove", "our-spleen")
    asked = len(models.server.requests())
    done = models("import", packed, "--accept-license")
    assert done.code == 0 and done.out.startswith("our-spleen: imported")
    assert files_in(models.root / PLACE) == nnunet_files()
    assert len(models.server.requests()) == asked


def test_offline_is_told_before_anything_is_asked(models):
    done = models("install", "our-spleen", "--accept-license", "--offline")
    assert done.code == 4 and "offline mode is on" in done.err and models.server.requests() == []


def test_an_unknown_model_is_one_sentence(models):
    done = models("install", "nothing-of-the-sort", "--accept-license")
    assert done.code == 4 and "no model 'nothing-of-the-sort' in the catalogue" in done.err


def test_a_hash_of_the_users_own_confirms_a_model_without_a_published_one(models, tmp_path):
    import hashlib

    for name, content in nnunet_files().items():
        path = tmp_path / "Dataset901_Spleen" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    done = models("import", tmp_path / "Dataset901_Spleen", "--accept-license", "--json")
    assert done.code == 0 and done.json["models"][0]["verified"] is False
    wrong = hashlib.sha256(b"other").hexdigest()
    assert models("confirm", "our-spleen", wrong).code == 4


@pytest.fixture
def own_folder(tmp_path):
    """The model as a folder of the user's."""
    for name, content in nnunet_files().items():
        path = tmp_path / "mine" / "Dataset901_Spleen" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "mine" / "Dataset901_Spleen"


def test_other_weights_do_not_take_the_place_of_those_that_came_first(models, own_folder):
    assert models("import", own_folder, "--accept-license").code == 0
    assert "installed, unverified" in models("list").out
    (checkpoint,) = own_folder.rglob("*.pth")
    before = checkpoint.read_bytes()
    checkpoint.write_bytes(before + b"other")
    done = models("import", own_folder)
    assert done.code == 4 and "under the same version" in done.err
    assert files_in(models.root / PLACE) == nnunet_files()
    models("remove", "our-spleen")
    assert models("import", own_folder).code == 0


def test_a_damaged_model_is_listed_as_such_and_mended_by_its_own_files(models, own_folder):
    models("import", own_folder, "--accept-license")
    (stored,) = (models.root / PLACE).rglob("*.pth")
    stored.write_bytes(stored.read_bytes() + b"x")
    assert models("verify").code == 4
    row = next(row for row in models("list", "--json").json if row["id"] == "our-spleen")
    assert row["state"] == "damaged"
    assert models("import", own_folder).code == 0 and models("verify").code == 0


def test_an_import_without_the_license_brings_nothing_and_says_so_by_its_exit_code(models, own_folder):
    done = models("import", own_folder.parent)
    assert done.code == 4 and not (models.root / PLACE).exists()

"""Unpacking: honest archives come out byte for byte, hostile ones leave nothing behind and say why."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
import tarfile
import unicodedata
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import no_file_over, tree
from helpers_models_archives import HOSTILE, below, nnunet_files, noise, tar_of, zip_of
from ModelManagerLib.archive import Limits, unpack, unpack_files, unpacked_bytes
from ModelManagerLib.archive_names import Names, problem_of_name, same_file_key
from OncoLib.errors import Cancelled, InputError, OutputError
from OncoLib.progress import CancelToken

FILES = {"a.json": b"{}", "fold_0/weights.pth": noise(3_000_000), "fold_0/empty": b"", "Übung/läuft.txt": "ä".encode()}


def files_of(folder):
    return {name.replace(os.sep, "/"): content for name, content in tree(folder).items() if content is not None}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_comes_out_byte_for_byte(tmp_path, method):
    archive = zip_of(tmp_path / "a.zip", FILES, method=method)
    assert unpacked_bytes(archive) == sum(len(content) for content in FILES.values())
    found = unpack_files(archive, tmp_path / "out")
    assert files_of(tmp_path / "out") == FILES
    assert {one.path: (one.bytes, one.sha256) for one in found} == {
        name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in FILES.items()
    }


def test_a_tar_comes_out_byte_for_byte(tmp_path):
    archive = tar_of(tmp_path / "a.tar.gz", {f"./{name}": content for name, content in FILES.items()})
    assert sorted(unpack(archive, tmp_path / "out")) == sorted(FILES)
    assert files_of(tmp_path / "out") == FILES
    assert unpacked_bytes(archive) is None


@pytest.mark.skipif(not shutil.which("zip"), reason="needs the program zip")
def test_an_archive_of_another_program_comes_out(tmp_path):
    """Info-ZIP writes Unix modes, extra fields and folder entries."""
    for name, content in FILES.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(content)
    subprocess.run(["zip", "-qr", "../a.zip", "."], cwd=tmp_path / "in", check=True)
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert files_of(tmp_path / "out") == FILES


def test_a_zip_written_as_a_stream_comes_out(tmp_path):
    """Sizes and checksum stand behind the data then, and zip64 fields are there without need."""
    path = tmp_path / "a.zip"

    class Pipe:
        def __init__(self, stream):
            self.write, self.flush, self.close = stream.write, stream.flush, stream.close

    with open(path, "wb") as stream, zipfile.ZipFile(Pipe(stream), "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in FILES.items():
            with opened.open(name, "w", force_zip64=True) as entry:
                entry.write(content)
    unpack(path, tmp_path / "out")
    assert files_of(tmp_path / "out") == FILES


def test_the_unicode_path_field_is_checked_like_a_name(tmp_path):
    """Newer Pythons take the field's name without a word: it must not lead out either."""
    field = struct.pack("<BL", 1, zlib.crc32(b"plain")) + b"../evil"
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        info = zipfile.ZipInfo("plain")
        info.extra = struct.pack("<HH", 0x7075, len(field)) + field
        opened.writestr(info, b"x")
    with pytest.raises(InputError, match="leads out of its folder"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_in_one_sentence_and_leaves_nothing(tmp_path, name):
    words, make = HOSTILE[name]
    (tmp_path / "inside").mkdir()
    archive = tmp_path / "inside" / name
    make(archive)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError) as caught:
        unpack(archive, tmp_path / "inside" / "out")
    message = str(caught.value)
    assert any(one in message for one in words.split("|")) and name in message and "nothing was unpacked" in message
    assert "\n" not in message and str(tmp_path) not in message and len(message) < 250
    assert sorted(tmp_path.rglob("*")) == before


def test_there_are_at_least_thirty_hostile_archives():
    assert len(HOSTILE) >= 30


def test_what_macos_and_windows_add_is_left_out(tmp_path):
    junk = {"__MACOSX/a/._plans.json": b"x", "a/._plans.json": b"x", "a/.DS_Store": b"x", "Thumbs.db": b"x", "._Icon\r": b"x"}
    unpack(zip_of(tmp_path / "a.zip", {"a/plans.json": b"{}", **junk}), tmp_path / "out")
    assert files_of(tmp_path / "out") == {"a/plans.json": b"{}"}
    unpack(tar_of(tmp_path / "a.tar.gz", {"a/plans.json": b"{}", **junk}), tmp_path / "tar")
    assert files_of(tmp_path / "tar") == {"a/plans.json": b"{}"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_modes_of_the_archive_are_not_taken_over(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        info = zipfile.ZipInfo("tool")
        info.create_system, info.external_attr = 3, 0o104777 << 16
        opened.writestr(info, b"#!/bin/sh")
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert (tmp_path / "out" / "tool").stat().st_mode & 0o7111 == 0


def test_limits_are_held(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"a": noise(5000), "b": noise(5000)})
    with pytest.raises(InputError, match="at most 1 are allowed"):
        unpack(archive, tmp_path / "out", limits=Limits(files=1))
    with pytest.raises(InputError, match="at most 0.0 GB"):
        unpack(archive, tmp_path / "out", limits=Limits(unpacked_bytes=9999))
    assert unpack(archive, tmp_path / "out", limits=Limits(files=2, unpacked_bytes=10000)) == ["a", "b"]


def test_a_list_of_contents_without_end_never_reaches_memory(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {f"{number}": b"" for number in range(100)})
    with pytest.raises(InputError, match="list of contents of"):
        unpack(archive, tmp_path / "out", limits=Limits(directory_bytes=1000))


def test_a_folder_that_holds_something_is_not_unpacked_into(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"a": b"new"})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_bytes(b"mine")
    with pytest.raises(OutputError, match="new or empty"):
        unpack(archive, tmp_path / "out")
    assert files_of(tmp_path / "out") == {"mine": b"mine"}


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_target_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="new or empty"):
        unpack(zip_of(tmp_path / "a.zip", {"a": b"x"}), tmp_path / "out")
    assert not any((tmp_path / "elsewhere").iterdir())


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
def test_a_disk_that_fills_up_leaves_nothing(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"small": b"x", "large": noise(3_000_000)})
    with no_file_over(1_500_000), pytest.raises(OutputError, match="disk of the model store is full"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_cancel_stops_between_chunks_and_leaves_nothing(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"large": noise(6_000_000)}, method=zipfile.ZIP_STORED)
    token, seen = CancelToken(), []

    def progress(fraction, message):
        seen.append(fraction)
        token.cancel()

    with pytest.raises(Cancelled):
        unpack(archive, tmp_path / "out", progress=progress, cancel=token)
    assert len(seen) == 1 and 0 < seen[0] < 0.5
    assert not (tmp_path / "out").exists()


def test_progress_runs_from_nothing_to_all(tmp_path):
    seen = []
    unpack(zip_of(tmp_path / "a.zip", FILES), tmp_path / "out", progress=lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen) and seen[-1] == 1.0 and len(seen) >= 3


def test_a_real_model_s_names_are_accepted(tmp_path):
    name = "Dataset292_TotalSegmentator_part2_vertebrae_1532subj"
    archive = zip_of(tmp_path / "a.zip", below(name, nnunet_files()))
    assert len(unpack(archive, tmp_path / "out")) == 3


@given(st.text(min_size=1, max_size=40))
def test_an_accepted_name_stays_inside_on_both_kinds_of_systems(name):
    import ntpath
    import posixpath

    if problem_of_name(name, 16):
        return
    for paths, root in ((posixpath, "/store/new"), (ntpath, "C:\\store\\new")):
        full = paths.normpath(paths.join(root, name))
        assert full.startswith(root + paths.sep)
    assert not any(part.upper() in ("CON", "NUL", "AUX") for part in name.split("/"))


@given(st.text(alphabet="aAéE\u0301ßsſ", min_size=1, max_size=6), st.text(alphabet="aAéE\u0301ßsſ", min_size=1, max_size=6))
def test_names_that_a_file_system_takes_for_one_collide(first, second):
    names = Names()
    assert names.problem_of_adding(first, folder=False) == ""
    same = unicodedata.normalize("NFD", first.casefold()) == unicodedata.normalize("NFD", second.casefold())
    if same:
        assert names.problem_of_adding(second, folder=False)
    if first.upper() == second.upper() or unicodedata.normalize("NFC", first) == unicodedata.normalize("NFC", second):
        assert same_file_key(first) == same_file_key(second)


@given(st.binary(max_size=400), st.integers(0, 300))
def test_no_bytes_make_it_fail_otherwise(tmp_path_factory, junk, at):
    """Any change of an archive's bytes either leaves its content as it was or is refused in one sentence."""
    folder = tmp_path_factory.mktemp("fuzz")
    data = zip_of(folder / "a.zip", {"a/b": b"content" * 20, "c": b"more"}).read_bytes()
    (folder / "a.zip").write_bytes(data[:at] + junk + data[at + len(junk) :])
    try:
        unpack(folder / "a.zip", folder / "out")
    except InputError as error:
        assert "\n" not in str(error)
        assert not (folder / "out").exists()
    else:
        assert set(files_of(folder / "out").values()) <= {b"content" * 20, b"more"}
    assert {path.name for path in folder.iterdir()} <= {"a.zip", "out"}


def test_a_gzip_that_is_no_tar_is_refused(tmp_path):
    import gzip

    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(noise(5000)))
    with pytest.raises(InputError, match="damaged or cut off"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")


def test_a_tar_with_holes_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as opened:
        member = tarfile.TarInfo("sparse")
        member.pax_headers = {"GNU.sparse.map": "0,1,1000000000000,1", "GNU.sparse.size": "1000000000001"}
        opened.addfile(member)
    with pytest.raises(InputError, match="file with holes"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")

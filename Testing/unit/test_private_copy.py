"""Private copies: whose they are, what is not copied, and that none stays."""

from __future__ import annotations

import hashlib
import os
import tempfile

import pytest

from OncoLib.errors import Cancelled, ModelError
from OncoLib.private_copy import copied, private_place


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The temporary folder of the test."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def test_a_place_is_its_owners_alone_and_goes_with_the_block(temporary):
    with pytest.raises(KeyError), private_place("x-") as place:
        (place / "file").write_text("1")
        if os.name == "posix":
            assert [one.stat().st_mode & 0o777 for one in (place, place.parent)] == [0o700, 0o700]
        assert place.parent.parent == temporary
        raise KeyError
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next_place(temporary):
    left = temporary / "x-left"
    left.mkdir()
    (left / "copy").mkdir()
    os.utime(left, (1000, 1000))
    with private_place("x-") as place:
        os.utime(place.parent, (1000, 1000))
        assert not left.exists()
        with private_place("x-"):
            assert place.exists()  # in use, however old
    assert list(temporary.iterdir()) == []


def test_a_place_without_room_is_told(temporary):
    told = "GB left and a private copy of the model needs 1000000.0 GB"
    with pytest.raises(ModelError, match=told), private_place("x-", 10**15):
        pass
    assert list(temporary.iterdir()) == []


def test_a_copy_is_hashed_as_it_is_written(tmp_path):
    content = os.urandom(3 * (1 << 20) + 17)
    (tmp_path / "source").write_bytes(content)
    target = tmp_path / "new" / "folder" / "target"
    assert copied(tmp_path / "source", target, len(content)) == hashlib.sha256(content).hexdigest()
    assert target.read_bytes() == content
    if os.name == "posix":
        assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
def test_links_pipes_folders_and_large_files_are_not_copied(tmp_path):
    (tmp_path / "file").write_bytes(bytes(100))
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, told in (("link", "cannot be copied"), ("pipe", "no plain file"), ("folder", "cannot be copied|no plain file")):
        with pytest.raises(ModelError, match=f"{name} .*({told})"):
            copied(tmp_path / name, tmp_path / "target" / name, 1000)
    with pytest.raises(ModelError, match="file has more than 99 bytes"):
        copied(tmp_path / "file", tmp_path / "target" / "file", 99)
    with pytest.raises(ModelError, match="gone cannot be copied \\(no such file"):
        copied(tmp_path / "gone", tmp_path / "target" / "gone", 99)
    with pytest.raises(ModelError, match="cannot be copied \\(file exists"):
        copied(tmp_path / "file", tmp_path / "link", 100)  # nothing that is there is written to


def test_a_copy_can_be_cancelled(tmp_path):
    def check():
        raise Cancelled

    (tmp_path / "file").write_bytes(bytes(100))
    with pytest.raises(Cancelled):
        copied(tmp_path / "file", tmp_path / "target", 100, check)

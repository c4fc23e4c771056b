"""Result files appear all together or not at all, with real failures: folders and files in the way, refused moves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import tree
from helpers_cli import environment
from OncoLib.errors import Cancelled, OutputError
from OncoLib.staged import refuse_existing, staged_files

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="file modes of POSIX")


def write(folder: Path, overwrite: bool = False, **files: str) -> None:
    """Stages one text file an argument; `a_txt` becomes a.txt."""
    with staged_files(folder, overwrite=overwrite) as staging:
        for name, text in files.items():
            (staging / name.replace("_", ".")).write_text(text)


def test_files_appear_at_the_end_and_not_before(tmp_path):
    target = tmp_path / "deep" / "er" / "results"
    with staged_files(target) as staging:
        (staging / "a.txt").write_text("one")
        (staging / "b.txt").write_text("two")
        assert list(staging.iterdir()) and not (target / "a.txt").exists()
        assert staging.parent == target
    assert tree(target) == {"a.txt": b"one", "b.txt": b"two"}


@POSIX
def test_what_is_staged_can_be_seen_by_nobody_else_and_results_have_the_usual_mode(tmp_path):
    mask = os.umask(0o022)
    try:
        with staged_files(tmp_path / "out") as staging:
            assert staging.stat().st_mode & 0o777 == 0o700
            (staging / "a.txt").write_text("one")
        assert (tmp_path / "out" / "a.txt").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(mask)


@pytest.mark.parametrize("error", [RuntimeError("x"), Cancelled(), KeyboardInterrupt(), MemoryError(), SystemExit(3)])
def test_on_any_error_nothing_appears_and_made_folders_go(tmp_path, error):
    with pytest.raises(type(error)):
        with staged_files(tmp_path / "deep" / "er") as staging:
            (staging / "a.txt").write_text("one")
            (staging / "sub").mkdir()
            raise error
    assert tree(tmp_path) == {}


def test_on_an_error_what_was_there_stays_as_it_was(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "mine.txt").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(RuntimeError):
        with staged_files(tmp_path, overwrite=True) as staging:
            (staging / "a.txt").write_text("new")
            raise RuntimeError
    assert tree(tmp_path) == before


def test_an_existing_result_is_kept_unless_told_otherwise(tmp_path):
    write(tmp_path, a_txt="old", b_txt="old")
    before = tree(tmp_path)
    with pytest.raises(OutputError, match=r"^b\.txt is in the output folder already and was kept; .*--overwrite"):
        write(tmp_path, b_txt="new", c_txt="new")
    assert tree(tmp_path) == before
    write(tmp_path, overwrite=True, b_txt="new", c_txt="new")
    assert tree(tmp_path) == {"a.txt": b"old", "b.txt": b"new", "c.txt": b"new"}


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    with pytest.raises(OutputError, match="was kept"):
        with staged_files(tmp_path) as staging:
            (staging / "a.txt").write_text("ours")
            (tmp_path / "a.txt").write_text("theirs")
    assert tree(tmp_path) == {"a.txt": b"theirs"}


def test_refusal_before_the_work_names_the_first_file(tmp_path):
    (tmp_path / "b.txt").touch()
    refuse_existing(tmp_path, ["a.txt"])
    refuse_existing(tmp_path / "absent", ["a.txt"])
    with pytest.raises(OutputError, match=r"^b\.txt is in the output folder"):
        refuse_existing(tmp_path, ["a.txt", "b.txt"])


def test_a_dangling_link_under_a_result_name_is_something_that_exists(tmp_path):
    """Replacing the link without --overwrite would lose it."""
    try:
        (tmp_path / "a.txt").symlink_to(tmp_path / "elsewhere.txt")
    except OSError:
        pytest.skip("this system lets us make no links")
    with pytest.raises(OutputError):
        write(tmp_path, a_txt="new")
    assert os.readlink(tmp_path / "a.txt") == str(tmp_path / "elsewhere.txt")


def test_a_file_in_place_of_the_output_folder(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="^out: the output folder is a file; wanted a folder$"):
        write(tmp_path / "out", a_txt="x")
    assert tree(tmp_path) == {"out": b"a file"}


def test_a_file_in_place_of_a_parent_folder(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="^inner: "):
        write(tmp_path / "out" / "inner", a_txt="x")
    assert tree(tmp_path) == {"out": b"a file"}


def test_a_name_that_the_file_system_refuses_is_told_in_a_sentence(tmp_path):
    with pytest.raises(OutputError):
        write(tmp_path / "made" / ("x" * 300), a_txt="x")
    assert tree(tmp_path) == {}
    with pytest.raises(OutputError):
        refuse_existing(tmp_path / ("x" * 300), ["a.txt"])


@POSIX
def test_a_folder_without_write_permission(tmp_path):
    target = tmp_path / "out"
    target.mkdir(mode=0o500)
    if os.access(target, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(OutputError, match="^out: the output folder cannot be written"):
        write(target, a_txt="x")
    assert tree(tmp_path) == {"out": None}


def test_a_users_folder_under_a_result_name_is_never_replaced(tmp_path):
    """--overwrite replaces results; a folder with the user's own files in it is none."""
    write(tmp_path, a_txt="old")
    (tmp_path / "b.txt").mkdir()
    (tmp_path / "b.txt" / "thesis.doc").write_text("three years of work")
    before = tree(tmp_path)
    with pytest.raises(OutputError, match=r"b\.txt"):
        write(tmp_path, overwrite=True, a_txt="new", b_txt="new")
    assert tree(tmp_path) == before


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("chattr"), reason="needs root and chattr")
def test_when_the_second_move_is_refused_the_first_is_taken_back(tmp_path):
    """An immutable file can be neither renamed nor replaced, not even by root."""
    write(tmp_path, a_txt="old", b_txt="old")
    if subprocess.run(["chattr", "+i", tmp_path / "b.txt"], capture_output=True).returncode:
        pytest.skip("this file system knows no immutable files")
    try:
        before = tree(tmp_path)
        with pytest.raises(OutputError, match="could not be written"):
            write(tmp_path, overwrite=True, a_txt="new", b_txt="new", c_txt="new")
        assert tree(tmp_path) == before
    finally:
        subprocess.run(["chattr", "-i", tmp_path / "b.txt"], check=True)


DISK_ERROR = """
import errno, sys
from pathlib import Path
from OncoLib.errors import OutputError
from OncoLib.staged import staged_files

times = int(sys.argv[2])

def fail(event, arguments):
    global times
    if event == "os.rename" and Path(arguments[0]).name == "b.txt" and Path(arguments[1]).parent == folder and times:
        times -= 1
        raise OSError(errno.EIO, "Input/output error")

folder = Path(sys.argv[1])
try:
    with staged_files(folder, overwrite=True) as staging:
        for name in ("a.txt", "b.txt", "c.txt"):
            (staging / name).write_text("new")
        (staging / "a-series").mkdir()  # its name comes before b.txt: it is moved in first
        (staging / "a-series" / "slice.dcm").write_text("new")
        sys.addaudithook(fail)
except OutputError as error:
    print(error)
"""


def write_on_a_failing_disk(folder: Path, times: int) -> str:
    """Overwrites three files where moving b.txt into the folder fails `times` times; returns what was told.

    Python's audit hook makes the one system call fail, in a process of its own; all else runs as it is.
    """
    command = [sys.executable, "-c", DISK_ERROR, str(folder), str(times)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_when_the_disk_fails_at_the_second_move_everything_comes_back(tmp_path):
    write(tmp_path, a_txt="old a", b_txt="old b")
    before = tree(tmp_path)
    told = write_on_a_failing_disk(tmp_path, 1)
    assert told == f"{tmp_path.name}: the results could not be written (input/output error); nothing was changed"
    assert tree(tmp_path) == before


def test_when_the_disk_fails_for_good_the_old_results_are_not_deleted(tmp_path):
    """They could not be moved back, so wherever they lie, they must still be there, and the sentence must not say otherwise."""
    write(tmp_path, a_txt="old a", b_txt="old b")
    told = write_on_a_failing_disk(tmp_path, -1)
    assert {b"old a", b"old b"} <= set(tree(tmp_path).values()), told
    assert "nothing was changed" not in told

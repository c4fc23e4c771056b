"""The evaluation log as a file: what it holds, who may read it, and what no fault may do to it."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from helpers import no_file_over
from helpers_cli import environment
from OncoLib.errors import InputError, OutputError
from OncoSegmentLib.evaluation_log import APPLICATION_ID, Comparison, Run, add_run, log_path, read

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs signals and file modes of POSIX")


def run_row(number: int = 1, **facts) -> Run:
    values = dict(
        run=f"{number:064x}",
        case="c" * 64,
        model="thresholds",
        version="0.1.0",
        weights="",
        task="bones",
        device="cpu",
        started=f"2026-01-01T00:00:{number % 60:02}+00:00",
        seconds=1.5,
        peak_memory_mb=300.0,
        segments=2,
    )
    return Run(**{**values, **facts})


def comparison(run: Run, **facts) -> Comparison:
    names = ("dice", "iou", "nsd_1mm", "nsd_2mm", "hd95_mm", "assd_mm", "volume_ml", "reference_ml")
    numbers = dict.fromkeys((*names, "volume_error_ml", "volume_error_percent"), 0.5)
    values = dict(run=run.run, kind="independent", reference="e" * 64, structure="liver", place=0, status="defined", **numbers)
    return Comparison(**{**values, "compared": "2026-01-02T00:00:00+00:00", **facts})


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "new folder" / "evaluation.sqlite"


def test_rows_come_back_as_they_went_in_and_a_run_is_one_row(path):
    first, second = run_row(1), run_row(2, seconds=None, peak_memory_mb=None)
    add_run(second, path)
    add_run(first, path, comparisons=(comparison(first), comparison(first, structure="spleen", dice=None)))
    add_run(first, path)
    runs, compared = read(path)
    assert runs == [first, second]
    assert compared == [comparison(first), comparison(first, structure="spleen", dice=None)]
    add_run(replace(first, agreement=0.8), path, comparisons=(comparison(first, dice=0.9),))
    runs, compared = read(path)
    assert runs[0].agreement == 0.8 and sorted(one.dice or 0 for one in compared) == [0, 0.9]


def test_where_it_lies(tmp_path):
    assert log_path({}, home=tmp_path) == tmp_path / ".oncosegment" / "evaluation.sqlite"
    assert log_path({"ONCOSEGMENT_EVALUATION": str(tmp_path / "my.sqlite")}) == tmp_path / "my.sqlite"
    assert log_path({"ONCOSEGMENT_EVALUATION": str(tmp_path)}) == tmp_path / "evaluation.sqlite"


def test_without_a_file_there_are_no_rows_and_reading_makes_none(path):
    assert read(path) == ([], []) and not path.parent.exists()


@POSIX
def test_file_and_journal_are_their_owners_alone_whatever_the_umask(path):
    before = os.umask(0)
    try:
        add_run(run_row(1), path)
        with sqlite3.connect(path) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("UPDATE runs SET seconds = 2")
            modes = {one.name: one.stat().st_mode & 0o777 for one in path.parent.iterdir()}
            database.rollback()
    finally:
        os.umask(before)
    assert modes == {"evaluation.sqlite": 0o600, "evaluation.sqlite-journal": 0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.chmod(0o644)
    add_run(run_row(2), path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == ["evaluation.sqlite"], "at rest the log is one file"


def refused(path: Path, error: type, words: str) -> None:
    """Reading and writing are refused in one sentence that names the file; the file keeps its bytes."""
    before = path.read_bytes()
    for attempt in (lambda: read(path), lambda: add_run(run_row(9), path)):
        with pytest.raises(error, match=words) as caught:
            attempt()
        assert str(caught.value).startswith(f"{path.name}: ") and "\n" not in str(caught.value)
        assert str(path.parent) not in str(caught.value)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_what_is_no_log_stays_as_it_is(tmp_path):
    path = tmp_path / "evaluation.sqlite"
    path.write_text("Dear Sir or Madam, " * 100)
    refused(path, InputError, "damaged or no evaluation log")


def test_a_database_of_another_program_stays_as_it_is(tmp_path):
    path = tmp_path / "evaluation.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE bookmarks (url TEXT)")
    database.close()
    refused(path, InputError, "another program")


def test_a_newer_log_stays_as_it_is(path):
    add_run(run_row(1), path)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 7")
    database.close()
    refused(path, InputError, r"newer OncoSegment wrote it \(format 7; this one reads up to 1\)")


def test_a_log_without_its_tables_stays_as_it_is(path):
    add_run(run_row(1), path)
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE comparisons")
    database.close()
    refused(path, InputError, "lacks a table")


@pytest.mark.parametrize("harm", ["cut", "page", "header"])
def test_a_damaged_log_stays_as_it_is(path, harm):
    for number in range(60):
        add_run(run_row(number), path)
    content = bytearray(path.read_bytes())
    if harm == "cut":
        content = content[: len(content) - 5000]
    elif harm == "page":
        content[8192:12288] = random.Random(0).randbytes(4096)
    else:
        content[:16] = bytes(16)
    path.write_bytes(content)
    refused(path, InputError, "damaged")


def test_an_empty_file_is_a_log_that_begins(tmp_path):
    path = tmp_path / "evaluation.sqlite"
    path.touch()
    assert read(path) == ([], [])
    add_run(run_row(1), path)
    assert read(path)[0] == [run_row(1)]


def test_a_place_where_nothing_can_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="evaluation.sqlite: the evaluation log cannot be written"):
        add_run(run_row(1), tmp_path / "file" / "evaluation.sqlite")
    (tmp_path / "evaluation.sqlite").mkdir()
    with pytest.raises(OutputError, match="evaluation.sqlite: the evaluation log cannot be read or written"):
        add_run(run_row(1), tmp_path / "evaluation.sqlite")


def test_a_log_that_another_program_holds_is_a_sentence_after_the_wait(path):
    add_run(run_row(1), path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(OutputError, match="another program is writing"):
        add_run(run_row(2), path, wait_s=0.3)
    assert 0.2 < time.monotonic() - began < 3
    assert read(path)[0] == [run_row(1)], "who reads does not wait for a writer that has not finished"
    other.execute("ROLLBACK")
    other.close()
    add_run(run_row(2), path)
    assert len(read(path)[0]) == 2


@POSIX
@pytest.mark.parametrize("extra", [0, 3000, 9000])
def test_a_full_disk_adds_nothing_and_takes_nothing(path, extra):
    for number in range(40):
        add_run(run_row(number), path)
    before = read(path)
    full = path.stat().st_size + extra
    rows = tuple(comparison(run_row(99), structure=f"structure_{number}") for number in range(2000))
    with no_file_over(full), pytest.raises(OutputError, match="evaluation.sqlite: .*; nothing was added"):
        add_run(run_row(99), path, comparisons=rows)
    assert read(path) == before
    add_run(run_row(99), path, comparisons=rows)
    assert len(read(path)[1]) == 2000


@POSIX
def test_a_full_disk_at_the_first_row_leaves_no_log_that_hinders_the_next(path):
    with no_file_over(100), pytest.raises(OutputError, match="nothing was added"):
        add_run(run_row(1), path)
    assert read(path) == ([], [])
    add_run(run_row(1), path)
    assert read(path)[0] == [run_row(1)]


WRITER = """
import sys
from pathlib import Path
from OncoSegmentLib.evaluation_log import Comparison, Run, add_run
path, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for number in range(first, first + count):
    run = Run(f"{number:064x}", "c" * 64, "m", "1", "", "", "cpu", "2026", 1.0, 1.0, 1)
    rows = [Comparison(run.run, "independent", "e" * 64, f"s{at}", at, "defined", *[0.5] * 10) for at in range(30)]
    add_run(run, path, comparisons=tuple(rows), wait_s=60)
    print(number, flush=True)
"""


def writer(path: Path, first: int, count: int) -> subprocess.Popen:
    command = [sys.executable, "-c", WRITER, str(path), str(first), str(count)]
    return subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)


def test_several_processes_write_into_one_new_log_and_lose_nothing(path):
    writers = [writer(path, first, 25) for first in (0, 1000, 2000)]
    for one in writers:
        assert len(one.communicate(timeout=120)[0].split()) == 25 and one.returncode == 0
    runs, compared = read(path)
    assert {int(run.run, 16) for run in runs} == {first + at for first in (0, 1000, 2000) for at in range(25)}
    assert len(compared) == 75 * 30


@POSIX
def test_a_writer_that_is_killed_loses_no_row_that_it_told_of_and_leaves_no_half(path):
    chance = random.Random(1)
    told: set[int] = set()
    for attempt in range(6):
        one = writer(path, attempt * 1000, 1000)
        told.add(int(one.stdout.readline()))
        time.sleep(chance.uniform(0, 0.15))
        os.kill(one.pid, signal.SIGKILL)
        told |= {int(line) for line in one.stdout.read().split()}
        assert one.wait(timeout=20) == -signal.SIGKILL
        one.stdout.close()
        runs, compared = read(path)
        kept = {int(run.run, 16) for run in runs}
        assert told <= kept and len(kept) <= len(told) + attempt + 1
        assert len(compared) == 30 * len(runs), "a run comes with all of its comparisons"
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    database.close()


@POSIX
def test_a_writer_killed_within_a_transaction_is_taken_back(path):
    """Killed with pages already written over: what SQLite's journal is for."""
    add_run(run_row(1), path)
    code = f"""
import os, signal, sqlite3
database = sqlite3.connect({str(path)!r}, isolation_level=None)
database.execute("PRAGMA cache_size = 1")
database.execute("BEGIN IMMEDIATE")
database.execute("DELETE FROM runs")
for number in range(3000):
    database.execute("INSERT INTO runs SELECT hex(randomblob(32)), 'c', 'm', '1', '', '', 'cpu', '2026', 1, 1, 1, NULL")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    assert path.stat().st_size > 100_000 and Path(f"{path}-journal").stat().st_size > 0
    assert read(path)[0] == [run_row(1)] and os.listdir(path.parent) == [path.name]


def test_every_column_is_a_field_and_every_field_a_column(path):
    add_run(run_row(1), path)
    with sqlite3.connect(path) as database:
        for table, row in (("runs", run_row(1)), ("comparisons", comparison(run_row(1)))):
            assert [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")] == list(asdict(row))
    database.close()

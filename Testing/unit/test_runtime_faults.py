"""SIGKILL at the changes of an installation and of a removal, and a disk that is full: the old set, the new one, or none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers_runtime import TINY, shop_in
from ModelManagerLib import runtime
from ModelManagerLib.runtime_sets import SETS
from OncoLib.errors import OutputError

PROGRAM = Path(__file__).resolve().parents[1] / "helpers_runtime_faults.py"

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks and looks into /proc")


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.setitem(SETS, "tiny", TINY)
    return shop_in(tmp_path)


def run(shop, tmp_path, **job) -> list[dict]:
    """The lines of the program that kills."""
    facts = {"root": str(shop.root), "wheels": str(shop.wheels), "locks": str(shop.locks), "exchange": True, "points": None}
    path = tmp_path / "job.json"
    path.write_text(json.dumps({**facts, **job}))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    done = subprocess.run([sys.executable, str(PROGRAM), str(path)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def with_old_set(shop, tmp_path) -> Path:
    """A root that holds version 1.0, while the shop sells 2.0."""
    shop.stock()
    runtime.install("tiny", wheels=shop.wheels, **shop.common)
    before = tmp_path / "before"
    shutil.move(shop.root, before)
    shop.stock("2.0")
    return before


def check_install(lines, old, exchange=True):
    """The demands on each point."""
    assert any(line["what"] for line in lines)
    for line in lines:
        allowed = {old, "2.0"} if exchange else {old, "2.0", None}
        assert line["version"] in allowed, line
        assert line["version"] is None or line["sound"], line
        assert line["version"] is not None or not line["there"], line  # none is none: no half folder in its place
        assert line["ended"], line
        if line["what"]:
            assert line["again"] == "done" and line["left"] == [], line
            assert line["after"] == {"version": "2.0", "sound": True, "there": True}, line


def test_killed_at_some_points_a_repair_keeps_the_old_set_or_has_the_new_one(shop, tmp_path):
    before = with_old_set(shop, tmp_path)
    check_install(run(shop, tmp_path, operation="install", before=str(before), points=[8, -0.7]), "1.0")


@pytest.mark.slow
@pytest.mark.parametrize("exchange", [True, False])
def test_killed_at_every_change_from_the_manifest_on(shop, tmp_path, exchange):
    before = with_old_set(shop, tmp_path)
    lines = run(shop, tmp_path, operation="install", before=str(before), exchange=exchange, since="oncosegment-set")
    check_install(lines, "1.0", exchange)
    assert len(lines) > 5 and {line["version"] for line in lines} >= {"1.0", "2.0"}


@pytest.mark.slow
def test_killed_at_many_changes_and_moments_of_a_first_installation(shop, tmp_path):
    shop.stock("2.0")
    check_install(run(shop, tmp_path, operation="install", before="", step=6), None)
    times = [-0.15 * number for number in range(1, 11)]
    check_install(run(shop, tmp_path, operation="install", before="", points=times), None)


def test_killed_at_every_change_of_a_removal(shop, tmp_path):
    before = with_old_set(shop, tmp_path)
    lines = run(shop, tmp_path, operation="remove", before=str(before))
    assert {line["version"] for line in lines} == {"1.0", None}
    for line in lines:
        assert line["version"] is None or line["sound"], line
        assert line["version"] is not None or not line["there"], line
        if line["what"]:
            assert line["again"] in ("done", "tiny is not installed"), line
            assert line["after"] == {"version": None, "there": False}, line


def mounted(folder: Path, size: str) -> bool:
    """A small disk of its own, where we may mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return shutil.which("mount") is not None and subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.parametrize("size", ["200k", "1000k"])
def test_a_full_disk_is_one_sentence_and_the_old_set_stays(shop, tmp_path, size, monkeypatch):
    disk = tmp_path / "disk"
    if not mounted(disk, "1400k"):
        pytest.skip("no small disk can be mounted here")
    try:
        small = type(shop)(disk / "runtime", shop.wheels, shop.locks)
        small.stock()
        runtime.install("tiny", wheels=small.wheels, **small.common)
        good = small.states_of_files()
        ballast = disk / "ballast"
        ballast.write_bytes(b"0" * (1000 * (1400 - int(size[:-1]))))
        noise = os.urandom(700_000).hex()
        small.stock("2.0", oncotiny_first={"oncotiny_first/__init__.py": "", "oncotiny_first/data.bin": noise})
        from ModelManagerLib import runtime_places

        monkeypatch.setattr(runtime_places, "free_bytes", lambda folder: 10**9)  # the look ahead was wrong
        with pytest.raises(OutputError, match="the disk .*is full"):
            runtime.install("tiny", wheels=small.wheels, **small.common)
        assert small.states_of_files() == good and runtime.verify("tiny", root=small.root).sound
        ballast.unlink()
        small.stock("3.0")
        assert runtime.install("tiny", wheels=small.wheels, **small.common).versions["oncotiny-first"] == "3.0"
    finally:
        subprocess.run(["umount", str(disk)], check=True)

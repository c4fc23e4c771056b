"""`oncosegment runtime`: what it prints, its exit codes, and that Ctrl-C leaves nothing half."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from helpers_cli import command, environment, run_cli, run_here
from helpers_runtime import TINY, index_of, make_wheel, only_index, shop_in
from ModelManagerLib import runtime_locks
from ModelManagerLib.runtime_sets import SETS


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.setitem(SETS, "tiny", TINY)
    made = shop_in(tmp_path)
    monkeypatch.setenv("ONCOSEGMENT_RUNTIME", str(made.root))
    monkeypatch.setattr(runtime_locks, "resource_path", lambda *_parts: made.locks)
    return made


def test_show_names_every_set_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("ONCOSEGMENT_RUNTIME", str(tmp_path / "runtime"))
    outcome = run_cli("runtime", "show", "--json")
    assert outcome.code == 0
    assert [one["name"] for one in outcome.json] == ["registration", "engine", "segmentation"]
    assert all(one["why"].endswith(".") and one["title"] for one in outcome.json)
    assert not (tmp_path / "runtime").exists()  # looking makes no folder
    text = run_cli("runtime", "show", "registration").out
    assert text.startswith("registration ")


def test_install_verify_remove_with_text(shop, tmp_path):
    shop.stock()
    outcome = run_here("runtime", "install", "tiny", "--wheels", shop.wheels, cwd=tmp_path)
    assert outcome.code == 0 and "oncotiny-first 1.0, oncotiny-second 1.0" in outcome.out
    assert run_here("runtime", "verify", "tiny", cwd=tmp_path).out == "tiny: every file is as it came\n"
    (shop.folder / "oncotiny_second.py").write_text("")
    outcome = run_here("runtime", "verify", "tiny", cwd=tmp_path)
    assert (outcome.code, outcome.out) == (4, "tiny: files of the set are not as they came: 1 changed (oncotiny_second.py)\n")
    assert run_here("runtime", "install", "tiny", "--wheels", shop.wheels, cwd=tmp_path).code == 0
    assert run_here("runtime", "verify", "tiny", cwd=tmp_path).code == 0
    outcome = run_here("runtime", "remove", "tiny", cwd=tmp_path)
    assert outcome.code == 0 and outcome.out.startswith("tiny: removed, ")
    outcome = run_here("runtime", "remove", "tiny", cwd=tmp_path)
    assert (outcome.code, outcome.sentence) == (4, "tiny is not installed")


def test_install_verify_remove_with_json(shop, tmp_path):
    shop.stock()
    made = run_here("runtime", "install", "tiny", "--wheels", shop.wheels, "--json", cwd=tmp_path).json
    assert (made["kind"], made["folder"]) == ("isolated", str(shop.folder))
    (shop.folder / "more.py").write_text("")
    outcome = run_here("runtime", "verify", "tiny", "--json", cwd=tmp_path)
    assert outcome.code == 4
    assert outcome.json[0]["problems"] == [{"what": "additional", "path": "more.py"}] and outcome.json[0]["sound"] is False
    assert run_here("runtime", "remove", "tiny", "--json", cwd=tmp_path).json["freed_bytes"] > 5000


def test_log_shows_what_pip_prints(shop, tmp_path):
    shop.stock()
    assert "oncotiny-second" in run_here("runtime", "install", "tiny", "--wheels", shop.wheels, "--log", cwd=tmp_path).err


@pytest.mark.parametrize(
    "arguments, code, sentence",
    [
        (("install", "nothing"), 2, "no set of packages 'nothing'; there are registration, engine, segmentation"),
        (("install", "engine", "--kind", "isolated"), 2, "engine cannot be isolated"),
        (("install", "tiny", "--offline"), 4, "offline mode is on"),
        (("install", "tiny", "--wheels", "nowhere"), 2, "nowhere is no folder of wheels"),
        (("verify", "tiny"), 4, "tiny is not installed; `oncosegment runtime install tiny` brings it"),
    ],
)
def test_mistakes_are_one_sentence(shop, tmp_path, arguments, code, sentence):
    shop.stock()
    outcome = run_here("runtime", *arguments, cwd=tmp_path)
    assert outcome.code == code and sentence in outcome.sentence
    answer = run_here("runtime", *arguments, "--json", cwd=tmp_path)
    assert answer.code == code and sentence in answer.json["error"]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for another process")
def test_ctrl_c_ends_it_with_130_and_leaves_no_set(tmp_path, monkeypatch):
    wheels = tmp_path / "wheels"
    if not runtime_locks.lock_path("registration").exists():
        pytest.skip("no list of packages for this Python and system")
    make_wheel(wheels, "antspyx", "0.6.3", {"ants.bin": os.urandom(200_000).hex()})
    with index_of(wheels) as index:
        only_index(monkeypatch, index)
        index.slow_s = 0.1
        monkeypatch.setenv("ONCOSEGMENT_RUNTIME", str(tmp_path / "runtime"))
        process = subprocess.Popen(
            command("runtime", "install", "registration", "--kind", "isolated", "--json"),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        end = time.monotonic() + 60
        while not any(path.endswith(".whl") for path in index.asked) and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        out, _ = process.communicate(timeout=30)
        assert time.monotonic() - began < 5
    assert process.returncode == 130 and json.loads(out)["kind"] == "Cancelled"
    left = [path for path in (tmp_path / "runtime").rglob("*") if path.is_file()]
    assert left == []
    shutil.rmtree(tmp_path / "runtime")

"""Locks with a heartbeat, among real processes: one at a time, the dead are cleared away once, the living never."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from helpers_cli import environment
from ModelManagerLib.locks import RECORD_BYTES, Lock, _sign, _Waiter, held
from OncoLib.errors import Cancelled, ModelError, OutputError
from OncoLib.progress import CancelToken, silent

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

# Adds one to a number in a file, so many times, each time under the lock: a lost update shows that two were in at once.
COUNT = """
import sys, time
from pathlib import Path
from ModelManagerLib.locks import held
lock, number, times = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
for _ in range(times):
    with held(lock, beat_s=0.1, missed_beats=5, poll_s=0.005):
        value = int(number.read_text())
        time.sleep(0.01)
        number.write_text(str(value + 1))
"""

HOLD = """
import sys, time
from pathlib import Path
from ModelManagerLib.locks import held
with held(Path(sys.argv[1]), beat_s=float(sys.argv[2])):
    print("held", flush=True)
    time.sleep(float(sys.argv[3]))
"""


def start(code: str, *arguments) -> subprocess.Popen:
    program = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(program, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def holder(lock: Path, *, beat_s: float = 0.1, seconds: float = 30) -> subprocess.Popen:
    """A process that holds the lock; returns once it does."""
    process = start(HOLD, lock, beat_s, seconds)
    assert process.stdout.readline() == "held\n", process.communicate()
    return process


def dead_lock(path: Path, beat_s: float = 0.05, owner: str = "a" * 32) -> None:
    """The lock file of an owner that is gone."""
    record = {"pid": 4_000_000, "host": "ward-7", "owner": owner, "beat": 3, "beat_s": beat_s, "time": 0}
    path.write_bytes(json.dumps(record).encode().ljust(RECORD_BYTES))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_is_held_inside_and_gone_after(tmp_path):
    path = tmp_path / "deep" / "a.lock"
    with held(path, now=lambda: 1234.5) as lock:
        record = json.loads(path.read_bytes())
        assert (record["pid"], record["owner"], record["beat"], record["time"]) == (os.getpid(), lock.owner, 1, 1234.5)
        lock.check()
    assert names(path.parent) == []
    with held(path) as again:
        assert again.owner != lock.owner


def test_it_is_gone_after_an_error(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        with held(tmp_path / "a.lock"):
            raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_the_owner_shows_that_it_lives(tmp_path):
    with held(tmp_path / "a.lock", beat_s=0.02):
        time.sleep(0.3)
        content = (tmp_path / "a.lock").read_bytes()
    assert json.loads(content)["beat"] > 3
    assert len(content) == RECORD_BYTES


def test_the_same_process_cannot_hold_it_twice(tmp_path):
    with held(tmp_path / "a.lock"):
        with pytest.raises(ModelError, match="a.lock is in use by this same process"):
            with held(tmp_path / "." / "a.lock"):
                pass
        with held(tmp_path / "b.lock"):
            pass
    with held(tmp_path / "a.lock"):
        pass


def test_several_processes_are_in_one_at_a_time(tmp_path):
    (tmp_path / "number").write_text("0")
    workers = [start(COUNT, tmp_path / "a.lock", tmp_path / "number", 8) for _ in range(4)]
    assert [worker.communicate(timeout=180)[1] for worker in workers] == [""] * 4
    assert (tmp_path / "number").read_text() == "32"
    assert names(tmp_path) == ["number"]


@pytest.mark.parametrize("left", ["record", "empty", "junk"])
def test_of_several_that_wait_for_a_dead_owner_one_comes_in_at_a_time(tmp_path, left):
    (tmp_path / "number").write_text("0")
    if left == "record":
        dead_lock(tmp_path / "a.lock", beat_s=0.05)
    else:  # the owner died between making the file and writing to it, or something else wrote there
        (tmp_path / "a.lock").write_bytes(b"" if left == "empty" else b'{"beat_s": 0.05, "owner": "../x", "pid": 1}')
    if left == "empty":  # then nothing tells its beat, and 30 s are waited: too long here
        with pytest.raises(ModelError, match="a.lock is in use by another process; waited 0 s for it"):
            with held(tmp_path / "a.lock", timeout_s=0.3, poll_s=0.05):
                pass
        return
    workers = [start(COUNT, tmp_path / "a.lock", tmp_path / "number", 4) for _ in range(4)]
    assert [worker.communicate(timeout=180)[1] for worker in workers] == [""] * 4
    assert (tmp_path / "number").read_text() == "16"
    assert names(tmp_path) == ["number"]


def test_an_empty_file_is_waited_out_with_the_usual_beat(tmp_path):
    (tmp_path / "a.lock").write_bytes(b"")
    slept = Slept()
    with held(tmp_path / "a.lock", clock=slept.clock, sleep=slept.sleep):
        pass
    assert 30 < slept.seconds < 31


class Slept:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def clock(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@POSIX
def test_a_killed_owner_is_waited_out_and_named(tmp_path):
    process = holder(tmp_path / "a.lock", beat_s=0.1)
    process.kill()
    process.communicate()
    said, began = [], time.monotonic()
    with held(tmp_path / "a.lock", what="the spine model", missed_beats=5, poll_s=0.02, progress=lambda *told: said.append(told)):
        assert 0.5 < time.monotonic() - began < 5
    assert said[0][0] is None
    assert re.fullmatch(rf"the spine model is in use by process {process.pid} on \S+; waiting", said[0][1])
    assert names(tmp_path) == []


def test_a_living_owner_is_never_broken_however_long_it_takes(tmp_path):
    process = holder(tmp_path / "a.lock", beat_s=0.05, seconds=1.5)
    began = time.monotonic()
    with held(tmp_path / "a.lock", missed_beats=8, poll_s=0.02):  # 0.4 s of silence would do
        assert time.monotonic() - began > 1.2
        assert process.wait(timeout=10) == 0


@POSIX
def test_an_owner_that_slept_too_long_learns_that_it_lost_the_lock(tmp_path):
    code = HOLD.replace("as lock", "").replace("time.sleep(float(sys.argv[3]))", "sys.stdin.readline()\n    lock.check()")
    code = code.replace("beat_s=float(sys.argv[2])):", "beat_s=float(sys.argv[2])) as lock:")
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "a.lock"), "0.1", "0"],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    process.send_signal(signal.SIGSTOP)
    with held(tmp_path / "a.lock", beat_s=0.1, missed_beats=5, poll_s=0.02) as lock:
        process.send_signal(signal.SIGCONT)
        time.sleep(0.3)  # it beats again, and must not write into our file
        error = process.communicate("\n", timeout=10)[1]
        assert "another process took it over" in error.splitlines()[-1]
        lock.check()
        assert json.loads((tmp_path / "a.lock").read_bytes())["owner"] == lock.owner
    assert names(tmp_path) == []


def test_a_waiter_can_be_cancelled_within_a_second(tmp_path):
    dead_lock(tmp_path / "a.lock", beat_s=60)
    token = CancelToken()
    threading.Timer(0.3, token.cancel).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        with held(tmp_path / "a.lock", cancel=token):
            pass
    assert 0.3 <= time.monotonic() - began < 1.3
    assert names(tmp_path) == ["a.lock"]


def test_clocks_of_two_machines_are_not_compared(tmp_path):
    dead_lock(tmp_path / "a.lock", beat_s=1)
    os.utime(tmp_path / "a.lock", (0, 0))  # a file time decades ago makes nobody dead
    with pytest.raises(ModelError, match="a.lock is in use by process 4000000 on ward-7"):
        with held(tmp_path / "a.lock", timeout_s=0.4, poll_s=0.05):
            pass
    os.utime(tmp_path / "a.lock", (2**32, 2**32))  # and one in the future keeps nobody alive
    slept = Slept()
    with held(tmp_path / "a.lock", clock=slept.clock, sleep=slept.sleep, missed_beats=6):
        assert 6 < slept.seconds < 7


def test_a_machine_that_slept_does_not_take_the_others_for_dead(tmp_path):
    dead_lock(tmp_path / "a.lock", beat_s=5)
    slept = Slept()

    def nap(seconds: float) -> None:
        slept.sleep(3600.0 if slept.seconds == 0 else seconds)  # the lid was closed for an hour

    with held(tmp_path / "a.lock", clock=slept.clock, sleep=nap, missed_beats=6):
        assert slept.seconds > 3600 + 28


def test_a_guard_whose_maker_died_is_waited_out_too(tmp_path):
    dead_lock(tmp_path / "a.lock", beat_s=1)
    (tmp_path / f"a.lock.{'a' * 32}.0").write_text("")
    slept = Slept()
    with held(tmp_path / "a.lock", clock=slept.clock, sleep=slept.sleep, missed_beats=6):
        assert 12 < slept.seconds < 13.5
    assert names(tmp_path) == []


def test_a_waiter_that_is_late_by_a_moment_does_not_take_the_next_owner_s_file(tmp_path, monkeypatch):
    path = tmp_path / "a.lock"
    dead_lock(path)
    seen = _sign(path)
    late = _Waiter(path, "a", silent, 6, time.monotonic)
    with held(path, beat_s=60, missed_beats=1, poll_s=0.01) as lock:  # another waiter was faster
        monkeypatch.setattr("ModelManagerLib.locks.os.rename", lambda *_paths: pytest.fail("it took the file"))
        late._break(seen)
        lock.check()
        assert names(tmp_path) == ["a.lock"]
    late._break(seen)  # and when the file is gone nothing happens
    assert names(tmp_path) == []


def test_a_file_that_is_another_s_by_now_is_left_alone(tmp_path):
    with held(tmp_path / "a.lock") as lock:
        dead_lock(tmp_path / "new", owner="b" * 32)
        os.replace(tmp_path / "new", tmp_path / "a.lock")
        with pytest.raises(OutputError, match="a.lock: another process took it over"):
            lock.check()
    assert json.loads((tmp_path / "a.lock").read_bytes())["owner"] == "b" * 32


def test_a_file_that_somebody_removed_is_told(tmp_path):
    with held(tmp_path / "a.lock") as lock:
        (tmp_path / "a.lock").unlink()
        with pytest.raises(OutputError):
            lock.check()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process that forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_forked_child_has_no_right_to_its_parent_s_lock(tmp_path):
    with held(tmp_path / "a.lock") as lock:
        child = os.fork()
        if child == 0:
            lock.release()
            os._exit(0)
        os.waitpid(child, 0)
        lock.check()


def test_a_lock_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"a.lock: the lock file could not be written \((not a directory|file exists)\)"):
        with held(tmp_path / "file" / "a.lock"):
            pass


def test_a_full_disk_leaves_no_empty_lock(tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ModelManagerLib.locks.os.write", full)
    with pytest.raises(OutputError, match="the disk is full"):
        Lock(tmp_path / "a.lock", "a").take()
    assert names(tmp_path) == []

"""The guess of the time left: expected numbers come from the speeds of the runs."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from OncoLib.background import Job
from OncoLib.progress import TimeLeft, time_left_text

STEP_S = 0.1
"""How often a panel looks."""


def told(fraction_at, seconds, *, guess=None):
    """What is told at each look of a run; fraction_at(t) is its fraction after t seconds."""
    guess = guess or TimeLeft()
    times = np.arange(round(seconds / STEP_S) + 1) * STEP_S
    return dict(zip((round(float(time), 1) for time in times), [guess.update(fraction_at(time), float(time)) for time in times]))


def steady(speed, start=0.0):
    return lambda time: min(start + speed * time, 1.0)


@pytest.mark.parametrize(("total_s", "start"), [(10.0, 0.0), (600.0, 0.0), (10.0, 0.6)])
def test_at_one_speed_it_is_exact(total_s, start):
    speed = (1.0 - start) / total_s
    found = told(steady(speed, start), total_s)
    believed = {time: left for time, left in found.items() if time > 2.0 and speed * time > 0.031}
    assert len(believed) > 70
    assert believed == pytest.approx({time: total_s - time for time in believed}, abs=1e-6 * total_s)


def test_nothing_is_told_before_two_seconds_and_three_percent():
    quick, slow = told(steady(0.1), 3.0), told(steady(0.001), 40.0)
    assert quick[1.9] is None and quick[2.0] == pytest.approx(8.0)
    assert slow[29.9] is None and slow[30.1] == pytest.approx(1000 - 30.1)


def test_after_a_change_of_speed_it_is_between_the_old_speed_and_the_new():
    """20 s at 2.5 % a second, then 1.25 %. From 20 s on the window is a quarter of the time t, so that what was learned at the
    old speed counts for (20 / t)^4; before, it was complete but for exp(-4), as the window was 5 s."""
    guess, old, new = TimeLeft(smoothing_s=0.0), 0.025, 0.0125
    found = told(lambda time: min(old * min(time, 20.0) + new * max(time - 20.0, 0.0), 1.0), 60.0, guess=guess)
    assert found[20.0] == pytest.approx(20.0)
    for time in (22.0, 30.0, 40.0, 55.0):
        share = (20.0 / time) ** 4
        recent = (new * (1 - share) + old * (1 - math.exp(-4)) * share) / (1 - math.exp(-4) * share)
        done = 0.5 + new * (time - 20.0)
        assert found[time] == pytest.approx((1 - done) / ((done / time + recent) / 2), rel=0.01)
        assert time / done * (1 - done) < found[time] < (1 - done) / new
    assert found[60.0] == pytest.approx(0.0, abs=1e-6)


def test_what_is_told_after_a_change_of_speed_does_not_jump():
    found = told(lambda time: 0.025 * min(time, 20.0) + 0.0125 * max(time - 20.0, 0.0), 60.0)
    values = [left for left in found.values() if left is not None]
    assert max(abs(after - before) for before, after in zip(values, values[1:])) < 0.5
    assert found[59.0] < 2.0


def test_a_stall_makes_it_longer_and_never_endless():
    """At most double of what the speed since the start would say, because that one is half of the mean."""
    found = told(lambda time: 0.05 * min(time, 10.0), 300.0)
    assert found[10.0] == pytest.approx(10.0, abs=1e-6)
    assert found[300.0] == pytest.approx(2 * 300.0, rel=0.1)
    late = [found[time] for time in found if time > 12]
    assert all(after >= before for before, after in zip(late, late[1:]))
    assert all(left <= 2 * time for time, left in found.items() if time >= 10)


def test_rare_steps_do_not_make_it_swing():
    """A tenth each 60 s, 600 s in all: after four steps it stays within a factor of two of the truth."""
    found = told(lambda time: math.floor(time / 60.0) / 10, 590.0)
    ratios = [left / (600.0 - time) for time, left in found.items() if 240 <= time <= 480]
    assert 0.5 < min(ratios) and max(ratios) < 2.0


def test_a_fraction_that_falls_begins_anew():
    guess = TimeLeft()
    told(steady(0.1), 8.0, guess=guess)
    assert guess.update(0.1, 8.1) is None
    again = [guess.update(0.1 + 0.02 * step * STEP_S, 8.1 + step * STEP_S) for step in range(1, 101)]
    assert again[18] is None and again[19] == pytest.approx(0.86 / 0.02)
    assert again[99] == pytest.approx(0.7 / 0.02)


def test_a_fraction_that_was_rounded_down_changes_little():
    guess = TimeLeft()
    told(steady(0.1), 5.0, guess=guess)
    assert guess.update(0.495, 5.1) == pytest.approx(5.0, rel=0.05)


def test_without_a_fraction_nothing_is_told_and_the_time_goes_on():
    """5 s at 10 %, 5 s unknown, then 10 % again: since the start it was 55 of 100 in 10.5 s, lately less than 10 %."""
    guess = TimeLeft()
    told(steady(0.1), 5.0, guess=guess)
    assert [guess.update(None, 5.0 + step) for step in range(1, 6)] == [None] * 5
    found = guess.update(0.55, 10.5)
    assert 0.45 / 0.1 < found < 2 * 0.45 * 10.5 / 0.55
    assert guess.update(math.nan, 10.6) is None


def test_two_looks_at_the_same_moment_are_one():
    guess = TimeLeft()
    told(steady(0.1), 5.0, guess=guess)
    assert guess.update(0.5, 5.0) == guess.update(0.55, 5.0) == pytest.approx(5.0)


@given(st.lists(st.tuples(st.one_of(st.none(), st.floats(-1, 2)), st.floats(0, 100)), max_size=60))
def test_it_is_never_negative_and_never_endless(looks):
    guess, now = TimeLeft(), 0.0
    for fraction, wait in looks:
        now += wait
        left = guess.update(fraction, now)
        assert left is None or (0.0 <= left and math.isfinite(left))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.0, "a few seconds left"),
        (9.9, "a few seconds left"),
        (10.0, "about 10 s left"),
        (25.0, "about 30 s left"),
        (54.9, "about 50 s left"),
        (55.0, "about 1 min left"),
        (89.0, "about 1 min left"),
        (90.0, "about 2 min left"),
        (5399.0, "about 90 min left"),
        (5400.0, "about 1.5 h left"),
        (7200.0, "about 2 h left"),
        (360000.0, "about 100 h left"),
    ],
)
def test_the_text_is_as_coarse_as_the_guess(seconds, text):
    assert time_left_text(seconds) == text


def test_the_text_can_be_translated():
    words = {"about {count} min left": "noch etwa {count} min"}
    assert time_left_text(120.0, words.__getitem__) == "noch etwa 2 min"


def test_a_job_tells_the_time_left_while_it_runs_and_none_after(tmp_path):
    """2 % a second: after 10 s, 40 s are left."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    moments = iter(range(100))
    job = Job(tmp_path, process, clock=lambda: float(next(moments)))
    with open(tmp_path / "progress.jsonl", "a", encoding="utf-8", buffering=1) as stream:
        for second in range(11):
            stream.write(json.dumps({"fraction": 0.02 * second, "message": "Working"}) + "\n")
            status = job.poll()
    assert (status.fraction, status.message, status.finished) == (0.2, "Working", False)
    assert status.seconds_left == pytest.approx(40.0)
    process.communicate(b"\n")
    assert job.poll().finished and job.poll().seconds_left is None
    job.close()

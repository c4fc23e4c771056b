"""The simulated reader, the baselines and the paired comparison of the benchmark on click refinement."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.refine_lines import Courses, bootstrap_interval, courses, paired_line
from helpers import OBLIQUE, ball, image
from OncoLib.progress import CancelToken, silent
from OncoSegmentLib.refine.protocol import Answer, Question
from OncoSegmentLib.refine.raster import kji_of
from refine_baselines import FixedThreshold, PlainGrowCut, region_of
from refine_cases import Case
from refine_user import Course, course, next_click

SHAPE = (30, 32, 34)


def clicked(picture, truth, mask, seed=0):
    """Place (voxel) and sign of the next click."""
    point = next_click(picture, truth, mask, np.random.default_rng(seed))
    return np.round(kji_of(picture, [point.ras])[0]).astype(int), point.positive


@pytest.mark.parametrize("matrix", [np.eye(4), OBLIQUE])
def test_the_largest_error_is_clicked_inside_of_it_and_not_always_in_its_middle(matrix):
    picture = image(np.zeros(SHAPE, np.int16), matrix)
    large, small = ball(SHAPE, (10, 10, 10), 7.0), ball(SHAPE, (24, 24, 26), 4.0)
    missing = [clicked(picture, large | small, small, seed) for seed in range(20)]
    assert all(large[tuple(at)] and positive for at, positive in missing)
    assert len({tuple(at) for at, _positive in missing}) > 5
    too_much = [clicked(picture, small, large | small, seed) for seed in range(20)]
    assert all(large[tuple(at)] and not positive for at, positive in too_much)


def test_a_right_mask_is_not_clicked():
    truth = ball(SHAPE, (10, 10, 10), 7.0)
    assert next_click(image(np.zeros(SHAPE, np.int16)), truth, truth, np.random.default_rng(0)) is None


class Oracle:
    """Answers the truth at the second click; before, a half of it."""

    name = "oracle"

    def __init__(self, truth):
        self.truth = truth

    def set_image(self, *_image, **_kept):
        pass

    def close(self):
        pass

    def answer(self, question: Question, **_kept) -> Answer:
        mask = self.truth.copy()
        if len(question.prompts) < 2:
            mask[:, :, 10:] = False
        return Answer(tuple(slice(0, size) for size in SHAPE), mask)


def test_a_course_scores_each_click_and_counts_those_needed():
    truth = np.zeros(SHAPE, bool)
    truth[5:15, 5:15, 5:15] = True
    found = course(Oracle(truth), image(np.zeros(SHAPE, np.int16)), truth)
    # Half of a cube against the cube: 2 * 500 / 1500.
    assert found.dice == pytest.approx([2 / 3, 1, 1, 1, 1])
    assert found.nsd_2mm[1:] == [1, 1, 1, 1] and found.nsd_1mm[0] < 1
    assert found.needed == 2 and len(found.clicks) == 2


@pytest.mark.parametrize("engine", [PlainGrowCut(), FixedThreshold(hu=30)])
def test_baselines_find_a_ball_without_noise_and_stay_in_their_region(engine):
    truth = ball(SHAPE, (14, 15, 16), 8.0)
    picture = image(np.where(truth, 100, 0).astype(np.int16), modality="CT")
    engine.set_image(picture)
    point = next_click(picture, truth, np.zeros_like(truth), np.random.default_rng(0))
    part = region_of(truth, picture)
    found = engine.answer(Question((point,), within=part), progress=silent, cancel=CancelToken())
    assert found.part == part and (found.mask == truth[part]).all()


def test_pairs_are_compared_case_by_case():
    def of(name, values):
        return Courses(name, dict.fromkeys("abcd", "g"), {key: [Course(dice=[0, 0, one])] for key, one in zip("abcd", values)})

    line = paired_line(of("new", (0.9, 0.8, 0.7, 0.6)), of("old", (0.8, 0.7, 0.6, 0.5)))
    assert "+0.100 (95 % interval +0.100 to +0.100, paired bootstrap over n = 4 cases)" in line and "met" in line
    assert "MISSED" in paired_line(of("new", (0.9, 0.1, 0.9, 0.1)), of("old", (0.5,) * 4))


def test_the_interval_of_the_mean_is_that_of_a_normal_law():
    values = np.random.default_rng(0).normal(0.3, 1.0, 400)
    low, high = bootstrap_interval(values)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_any_engine_runs_through_the_protocol():
    truth = np.zeros(SHAPE, bool)
    truth[5:15, 5:15, 5:15] = True
    case = Case("cube", "shape", image(np.zeros(SHAPE, np.int16)), truth, real=False)
    found = courses(Oracle(truth), [case], repeats=2)
    assert found.values("dice").shape == (1, 5)

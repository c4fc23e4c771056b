"""Who does best on what: by arithmetic on logs made for it, and the picture by its pixels."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from OncoLib.label_map import distinct_color
from OncoSegmentLib.evaluation_log import CORRECTED, INDEPENDENT, Comparison, Run
from OncoSegmentLib.evaluation_plot import LEFT, PLOT, dice_plot
from OncoSegmentLib.evaluation_stats import sign_test, stats_of, summary

NAMES = ("dice", "iou", "nsd_1mm", "nsd_2mm", "hd95_mm", "assd_mm", "volume_ml", "reference_ml", "volume_error_ml")


class Log:
    """Rows of a log that is being written."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.comparisons: list[Comparison] = []

    def add(self, model: str, case: int, dice=None, *, kind=INDEPENDENT, structure="liver", day=1, seconds=1.0, place=0, **facts):
        """A run with one comparison; without Dice both masks were empty."""
        run = Run(f"run {len(self.runs)}", f"case {case}", model, "1", "", "", "cpu", f"2026-01-{day:02}", seconds, 100.0, 1)
        self.runs.append(run)
        numbers = dict.fromkeys((*NAMES, "volume_error_percent"), dice)
        status = "both empty" if dice is None else "defined"
        compared = f"2026-02-{day:02}"
        self.comparisons.append(
            Comparison(run.run, kind, "r", structure, place, status, **{**numbers, **facts}, compared=compared)
        )
        return run

    @property
    def stats(self):
        return stats_of(self.runs, self.comparisons)


@pytest.fixture
def log() -> Log:
    return Log()


def test_median_and_quartiles_by_arithmetic():
    found = summary([4.0, None, 1.0, 3.0, 2.0])
    assert (found.n, found.median, found.lower, found.upper) == (4, 2.5, 1.75, 3.25)
    assert summary([None]).n == 0 and summary([]).median is None


def test_runs_are_counted_by_expert_and_device(log):
    for case, seconds in enumerate((1.0, 2.0, 9.0)):
        log.add("A", case % 2, 0.9, seconds=seconds)
    log.add("B", 0, 0.9)
    first, second = log.stats.runs
    assert (first.expert, first.runs, first.cases, first.seconds.median) == ("A 1", 3, 2, 2.0)
    assert (second.expert, second.runs, second.cases, second.agreement.n) == ("B 1", 1, 1, 0)


def test_of_several_runs_on_a_case_the_last_counts_once(log):
    log.add("A", 1, 0.9, day=5)
    log.add("A", 1, 0.1, day=3)
    log.add("A", 2, 0.5)
    (row,) = log.stats.structures
    assert row.cases == row.numbers["dice"].n == 2 and row.numbers["dice"].median == pytest.approx(0.7)


def test_networks_of_one_program_are_experts_of_their_own(log):
    for case in range(5):
        for weights, dice in (("ab" * 32, 0.9), ("cd" * 32, 0.5)):
            log.add("nnunet", case, dice)
            log.runs[-1] = replace(log.runs[-1], weights=weights)
    first, second = log.stats.structures
    assert (first.expert, first.cases, first.numbers["dice"].median) == ("nnunet 1 weights abababab", 5, 0.9)
    assert (second.expert, second.cases, second.numbers["dice"].median) == ("nnunet 1 weights cdcdcdcd", 5, 0.5)
    (best,) = log.stats.rankings
    assert (best.expert, best.wins) == (first.expert, 5)


def test_weights_that_are_known_are_named_and_stay_experts_of_their_own(log):
    for case, weights in enumerate(("ab" * 32, "cd" * 32, "ef" * 32)):
        log.add("nnunet", case, 0.5)
        log.runs[-1] = replace(log.runs[-1], weights=weights)
    log.add("totalsegmentator", 4, 0.5)
    log.runs[-1] = replace(log.runs[-1], weights="ab" * 32, task="total")
    names = {"ab" * 32: "demo-torso-ct", "cd" * 32: "demo-torso-ct folds 0 1"}
    found = stats_of(log.runs, log.comparisons, names)
    named = ("demo-torso-ct", "demo-torso-ct folds 0 1", "weights efefefef")
    wanted = [*(f"nnunet 1 {name}" for name in named), "totalsegmentator 1 total"]
    assert [row.expert for row in found.runs] == [row.expert for row in found.structures] == wanted
    assert found.weights == dict(zip(wanted, ("ab" * 32, "cd" * 32, "ef" * 32)))


def test_several_segments_of_a_structure_count_as_their_mean(log):
    run = log.add("A", 1, 0.8)
    numbers = dict.fromkeys((*NAMES, "volume_error_percent"), 0.4)
    again = Comparison(run.run, INDEPENDENT, "r", "liver", 1, "defined", **numbers, compared="2026-02-01")
    log.comparisons.append(again)
    (row,) = log.stats.structures
    assert row.cases == 1 and row.dice == pytest.approx((0.6,))


def test_what_is_not_defined_is_counted_and_stays_out_of_the_median(log):
    log.add("A", 1, 0.8)
    log.add("A", 2, None)
    (row,) = log.stats.structures
    assert (row.cases, row.numbers["dice"].n, row.numbers["dice"].median) == (2, 1, 0.8)


def test_corrected_results_never_count_with_independent_references(log):
    log.add("A", 1, 0.5)
    log.add("A", 2, 1.0, kind=CORRECTED)
    assert [(row.kind, row.cases, row.dice) for row in log.stats.structures] == [(INDEPENDENT, 1, (0.5,)), (CORRECTED, 1, (1.0,))]


def test_the_best_is_named_by_shared_cases_only(log):
    """A has easy cases of its own, with which its median would be higher than that of B; on the shared ones B is better."""
    for case in range(6):
        log.add("A", case, 0.6)
        log.add("B", case, 0.7 if case else 0.5)
    for case in range(100, 120):
        log.add("A", case, 0.99)
    stats = log.stats
    assert [round(row.numbers["dice"].median, 2) for row in stats.structures] == [0.99, 0.7]
    (found,) = stats.rankings
    assert (found.expert, found.cases, found.wins, found.beyond_chance) == ("B 1", 6, 5, False)
    assert found.why == "median Dice 0.700 against 0.600 (A 1)"


@pytest.mark.parametrize(("cases_of_b", "why"), [(range(4), "fewer than two"), (range(2, 8), "share 3 cases")])
def test_too_few_shared_cases_are_no_ranking_and_say_so(log, cases_of_b, why):
    for case in range(5):
        log.add("A", case, 0.6)
    for case in cases_of_b:
        log.add("B", case, 0.9)
    (found,) = log.stats.rankings
    assert found.expert == "" and found.why.startswith(("the experts " if "share" in why else "") + why)


def test_an_expert_with_few_cases_takes_the_ranking_from_nobody(log):
    for case in range(5):
        log.add("A", case, 0.6)
        log.add("B", case, 0.5)
    log.add("C", 0, 1.0)
    (found,) = log.stats.rankings
    assert (found.expert, found.cases, found.wins, found.beyond_chance) == ("A 1", 5, 5, True)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=20))
def test_the_sign_test_is_that_of_scipy(pairs):
    decided = [one > other for one, other in pairs if one != other]
    wanted = binomtest(sum(decided), len(decided), alternative="greater").pvalue if decided else 1.0
    assert sign_test(pairs) == pytest.approx(wanted)


def test_with_two_others_five_of_five_are_not_beyond_chance_and_six_are(log):
    for case in range(5):
        for model, dice in (("A", 0.9), ("B", 0.8), ("C", 0.7)):
            log.add(model, case, dice)
    assert not log.stats.rankings[0].beyond_chance
    for model, dice in (("A", 0.9), ("B", 0.8), ("C", 0.7)):
        log.add(model, 5, dice)
    assert log.stats.rankings[0].beyond_chance and log.stats.rankings[0].expert == "A 1"


def test_equal_medians_have_no_winner(log):
    for case in range(5):
        log.add("A", case, 0.6)
        log.add("B", case, 0.6)
    (found,) = log.stats.rankings
    assert found.expert == "" and "same median" in found.why


def test_one_expert_is_not_ranked_and_json_holds_everything(log):
    log.add("A", 1, 0.8, lesions_reference=4, lesions_result=3, lesions_found=2)
    stats = log.stats
    assert stats.rankings == ()
    row = stats.structures[0]
    assert (row.lesions_reference, row.lesions_result, row.lesions_found) == (4, 3, 2)
    assert json.loads(json.dumps(stats.as_dict(), allow_nan=False))["structures"][0]["numbers"]["dice"]["n"] == 1


def test_an_empty_log_has_empty_tables():
    assert stats_of([], []).structures == ()


def column(picture, color) -> np.ndarray:
    """Columns of the plot that hold a color, rows of the legend left out."""
    pixels = np.asarray(picture).astype(int)[60:82]
    return np.flatnonzero((np.abs(pixels - color).sum(axis=2) < 30).any(axis=0))


def test_the_picture_has_a_dot_where_the_case_is_and_a_bar_from_five_cases_on(log):
    log.add("A", 0, 0.25)
    (row,) = log.stats.structures
    picture = dice_plot([row], {"liver": "Liver"}, "Title")
    assert column(picture, distinct_color(0)).mean() == pytest.approx(LEFT + 0.25 * PLOT, abs=2)
    bar = tuple(part // 3 for part in distinct_color(0))
    assert not len(column(picture, bar))
    for case, dice in enumerate((0.35, 0.45, 0.55, 0.65), 1):
        log.add("A", case, dice)
    picture = dice_plot(log.stats.structures, {}, "Title")
    found = column(picture, bar)
    assert found.min() == pytest.approx(LEFT + 0.35 * PLOT, abs=4) and found.max() == pytest.approx(LEFT + 0.55 * PLOT, abs=4)


def test_a_long_log_is_drawn_in_part_and_says_so(log):
    for number in range(130):
        log.add("A", 1, 0.5, structure=f"structure {number:03}")
    assert dice_plot(log.stats.structures, {}, "Title").height < 3000

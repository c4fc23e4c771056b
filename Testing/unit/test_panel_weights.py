"""Weights learned from the evaluation log, by arithmetic, and what they do in a vote."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers import segmentation
from helpers_fusion import known, layer_of, opinions
from OncoLib.segmentation import Provenance
from OncoSegmentLib.evaluation_log import CORRECTED, EXPERT, INDEPENDENT, Comparison, Run
from OncoSegmentLib.evaluation_record import run_of
from OncoSegmentLib.fusion import UNKNOWN, Opinion, fuse
from OncoSegmentLib.panel_weights import learned_weights

HERE = "ab" * 32
SEGMENTS = [known(1, "liver"), known(2, "spleen")]


def made_by(name: str, segments=None):
    """What an expert said of the image here; its log rows are found by model, version, task and weights."""
    provenance = Provenance(name, "1", {"task": "total"}, HERE, started="2026-01-01T00:00:00+00:00", seconds=1.0)
    return segmentation([np.ones((2, 3, 4), np.uint8)], segments=segments or SEGMENTS, provenance=provenance)


class Log:
    """Rows of a log."""

    def __init__(self) -> None:
        self.runs, self.comparisons = [], []

    def add(self, name: str, case: str, structure: str, dice: float, kind=INDEPENDENT, compared="2026-02-01"):
        run = Run(f"{len(self.runs)}", case, name, "1", "", "total", "cpu", "2026-01-01", 1.0, 1.0, 2)
        self.runs.append(run)
        numbers = (dice, *[None] * 9)
        self.comparisons.append(Comparison(run.run, kind, "r", structure, 0, "defined", *numbers, compared=compared))

    def weights(self, *made):
        return learned_weights(made, self.runs, self.comparisons)


@pytest.fixture
def log():
    """Six cases on the liver with Dice 0.9 and 0.7; four on the spleen."""
    found = Log()
    for case in range(6):
        found.add("a", f"case {case}", "liver", 0.9)
        found.add("b", f"case {case}", "liver", 0.7)
    for case in range(4):
        found.add("a", f"case {case}", "spleen", 0.9)
        found.add("b", f"case {case}", "spleen", 0.5)
    return found


def test_the_mean_is_drawn_to_that_of_all(log):
    """(6 x 0.9 + 5 x 0.8) / 11 and (6 x 0.7 + 5 x 0.8) / 11; four cases are too few for the spleen."""
    found = log.weights(made_by("a"), made_by("b"))
    assert found.weights[0] == pytest.approx({"liver": 9.4 / 11, "spleen": 1.0})
    assert found.weights[1] == pytest.approx({"liver": 8.2 / 11, "spleen": 1.0})
    assert found.notes == (
        "the weights of 1 structure rest on 6 shared cases with independent references",
        "1 other structure has equal weights: fewer than 5 shared cases",
    )


def test_the_more_cases_the_closer_to_the_own_mean(log):
    for case in range(6, 995 + 6):
        log.add("a", f"case {case}", "liver", 0.9)
        log.add("b", f"case {case}", "liver", 0.7)
    first, second = log.weights(made_by("a"), made_by("b")).weights
    assert first["liver"] == pytest.approx(0.9, abs=1e-3) and second["liver"] == pytest.approx(0.7, abs=1e-3)


def test_only_shared_cases_count_and_never_the_one_here(log):
    for case in ("easy 1", "easy 2"):
        log.add("b", case, "liver", 1.0)
    for name in "ab":
        log.add(name, HERE, "liver", 0.1)
    assert log.weights(made_by("a"), made_by("b")).weights[0]["liver"] == pytest.approx(9.4 / 11)


def test_references_of_experts_never_count_and_kinds_are_not_mixed():
    log = Log()
    for case in range(9):
        for name in "ab":
            log.add(name, f"case {case}", "liver", 0.9, EXPERT)
    for case in range(4):
        for name in "ab":
            log.add(name, f"case {case}", "liver", 0.9, INDEPENDENT)
    for case in range(4, 7):
        for name in "ab":
            log.add(name, f"case {case}", "liver", 0.9, CORRECTED)
    found = log.weights(made_by("a"), made_by("b"))
    assert set(found.weights[0].values()) == {1.0} and found.notes[0].startswith("all weights are equal: ")
    for case in range(7, 9):
        log.add("a", f"case {case}", "liver", 0.9, CORRECTED)
        log.add("b", f"case {case}", "liver", 0.3, CORRECTED)
    found = log.weights(made_by("a"), made_by("b"))
    own, other = 0.9, (3 * 0.9 + 2 * 0.3) / 5
    assert found.weights[1]["liver"] == pytest.approx((5 * other + 5 * (own + other) / 2) / 10)
    assert "5 shared cases with corrected references" in found.notes[0]


def test_of_several_runs_of_a_case_the_one_compared_last_counts(log):
    log.add("a", "case 0", "liver", 0.3, compared="2026-03-01")
    mean = (5 * 0.9 + 0.3) / 6
    assert log.weights(made_by("a"), made_by("b")).weights[0]["liver"] == pytest.approx(
        (6 * mean + 5 * (mean + 0.7) / 2) / 11
    )


def test_who_does_not_look_for_it_weighs_as_the_mean(log):
    found = log.weights(made_by("a"), made_by("b"), made_by("c", [known(2, "spleen")]))
    assert found.weights[2]["liver"] == pytest.approx(0.8)
    third = log.weights(made_by("a"), made_by("b"), made_by("c")).weights
    assert [one["liver"] for one in third] == [1.0] * 3, "an expert that draws it and has no cases leaves all equal"


def test_experts_whose_names_are_not_kept_have_equal_weights(log):
    """Own profiles are "other" in the log: rows of two of them are no cases of one expert."""
    for case in range(9):
        log.add("b", f"case {case}", "liver", 0.7)
        log.runs[-1] = replace(log.runs[-1], task="other")
    own = made_by("b").with_provenance(parameters={"profile": "my own"})
    assert run_of(own).task == "other"
    assert [one["liver"] for one in log.weights(made_by("a"), own).weights] == [1.0, 1.0]


def test_the_rows_are_those_that_a_run_leaves():
    run = run_of(made_by("a"))
    assert (run.model, run.version, run.task, run.weights, run.case) == ("a", "1", "total", "", HERE)


def test_weights_of_structures_break_ties_each_by_itself():
    """Two experts, two structures: the first is better on the liver, the second on the spleen."""
    layers = [np.array([[[1, 0, 2, 0]]], np.uint8), np.array([[[0, 1, 0, 2]]], np.uint8)]
    first, second = opinions(layers, SEGMENTS)
    first = Opinion("A", first.segmentation, by_structure={"liver": 0.9, "spleen": 0.5})
    second = Opinion("B", second.segmentation, by_structure={"liver": 0.8, "spleen": 0.6})
    fusion = fuse([first, second], method="weights")
    assert layer_of(fusion).tolist() == [[[1, 0, 0, 2]]]
    assert fusion.segmentation.provenance.parameters["inputs"][0]["weights_by_structure"] == {"liver": 0.9, "spleen": 0.5}


def test_who_looks_for_a_structure_and_lists_none_votes_against_it():
    liver = [np.ones((1, 2, 2), np.uint8), np.full((1, 2, 2), 2, np.uint8), np.full((1, 2, 2), 2, np.uint8)]
    lists = [[known(1, "liver_lesion")], [known(2, "spleen")], [known(2, "spleen")]]
    made = [segmentation([layer], segments=names) for layer, names in zip(liver, lists)]
    looked = frozenset({"liver_lesion"})
    plain = fuse([Opinion(name, one) for name, one in zip("ABC", made)], unlisted=UNKNOWN)
    asked = fuse([Opinion(n, one, looked_for=looked) for n, one in zip("ABC", made)], unlisted=UNKNOWN)
    lesion = {key[1]: score for key, score in asked.scores.items()}["liver_lesion"]
    assert lesion.asked == 3 and lesion.band == "low" and not asked.segmentation.segment_named("Spleen").flags[1:]
    assert {key[1]: score for key, score in plain.scores.items()}["liver_lesion"].asked == 1


def test_one_outvotes_two_only_where_it_weighs_more_than_both():
    """Mean Dice on 20 cases: 0.95 against 0.3 and 0.3, then against 0.6 and 0.6; as the documentation says."""
    layers = [np.array([[[1, 0]]], np.uint8), np.array([[[0, 1]]], np.uint8), np.array([[[0, 1]]], np.uint8)]
    for others, wanted in ((0.3, [1, 0]), (0.6, [0, 1])):
        log = Log()
        for case in range(20):
            for name, score in (("a", 0.95), ("b", others), ("c", others)):
                log.add(name, f"case {case}", "liver", score)
        weights = log.weights(made_by("a"), made_by("b"), made_by("c")).weights
        middle = (0.95 + 2 * others) / 3
        assert [one["liver"] for one in weights] == pytest.approx([(20 * d + 5 * middle) / 25 for d in (0.95, others, others)])
        heard = [Opinion(one.name, one.segmentation, by_structure=by) for one, by in zip(opinions(layers, SEGMENTS), weights)]
        assert fuse(heard, method="weights").segmentation.layers[0].ravel().tolist() == wanted

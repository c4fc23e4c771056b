"""Rules of voting: from the answers of all experts at a voxel to one structure. A tie is nobody's: it stays unlabeled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from OncoLib.segmentation import Segment

BAND_WEIGHTS = {"high": 3.0, "medium": 2.0, "low": 1.0, "not estimated": 2.0}
"""Weights of a vote by the confidence band of its segment, where no probabilities are there: our choice. They only rank; a
band that was not estimated is neither trusted nor distrusted."""

EQUAL = 1e-9
"""Sums of weights that differ by less are a tie: decimal weights such as 0.1 + 0.2 do not add up exactly."""


@dataclass(frozen=True, eq=False)
class Electorate:
    """Who may vote on what, and with which weight.

    weights: `[expert, number]`. knows: the same shape, False where the expert does not look for that structure: it then
    votes neither for nor against it.
    """

    weights: np.ndarray
    knows: np.ndarray

    @property
    def strength(self) -> np.ndarray:
        """Weight of each vote, 0 where the expert has none."""
        return self.weights * self.knows


def vote(answers: np.ndarray, electorate: Electorate) -> tuple[np.ndarray, np.ndarray]:
    """The structure that each pattern gets (0: none), and where that is so because of a tie.

    The support of a structure is the weight of the experts who name it, as a share of all who know it. It wins with more
    support than any other, and more than those who know it and see nothing there.
    """
    experts = answers.shape[1]
    strength = electorate.strength
    total = np.maximum(strength.sum(axis=0), EQUAL)
    support, against = np.zeros(answers.shape), np.zeros(answers.shape)
    for one in range(experts):
        named = answers[:, one]
        for other in range(experts):
            voice = strength[other, named] / total[named]
            support[:, one] += voice * (answers[:, other] == named)
            against[:, one] += voice * (answers[:, other] == 0)
    support[answers == 0] = -1.0
    return _winners(answers, support, against)


def _winners(answers: np.ndarray, support: np.ndarray, against: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    beaten = support < against - EQUAL
    best = np.where(beaten, -1.0, support).max(axis=1, keepdims=True)
    top = (support >= best - EQUAL) & ~beaten & (best > 0)
    first = np.where(top.any(axis=1), answers[np.arange(len(answers)), top.argmax(axis=1)], 0)
    rivals = (top & (answers != first[:, None])).any(axis=1)
    even = (top & (support <= against + EQUAL)).any(axis=1)
    tied = (first > 0) & (rivals | even)
    return np.where(tied, 0, first), tied


def band_weight(segments: list[Segment]) -> float:
    """Weight of an expert's vote on a structure by the lowest band of its segments."""
    return min((BAND_WEIGHTS[segment.confidence] for segment in segments), default=BAND_WEIGHTS["not estimated"])


def entropy(answers: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
    """Normalized vote entropy of each pattern: minus the sum of p log p over the answers, divided by log(experts).

    p is the share of the experts who give an answer, "nothing" being one. 0 when all agree, 1 when all differ (Shannon
    entropy; dividing by its largest value makes panels of different size comparable). counted: bool `[pattern, expert]`, who
    has a say; all when None. Where one alone has, nobody differs: 0.
    """
    counted = np.ones(answers.shape, bool) if counted is None else counted
    number = counted.sum(axis=1)
    alike = ((answers[:, :, None] == answers[:, None, :]) & counted[:, None, :]).sum(axis=2)
    share = np.where(counted, alike / np.maximum(number, 1)[:, None], 1.0)
    several = number > 1
    total = -np.log(share).sum(axis=1) / np.maximum(number, 1)
    return np.where(several, total / np.log(np.where(several, number, 2)), 0.0)


def having_a_say(answers: np.ndarray, knows: np.ndarray) -> np.ndarray:
    """Bool `[pattern, expert]`: false for an expert who says "nothing" where others give structures that it does not look for.

    answers: `[pattern, expert]`, numbers of structures, 0 for nothing. knows: `[expert, number]`.
    """
    asked = knows[:, answers].transpose(1, 0, 2) & (answers > 0)[:, None, :]  # of the structures that each pattern holds
    return (answers > 0) | asked.any(axis=2) | ~(answers > 0).any(axis=1, keepdims=True)

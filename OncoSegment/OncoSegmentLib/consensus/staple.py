"""STAPLE on counted patterns: the same iteration as SimpleITK's filters, without a number for each voxel.

Binary: Warfield, Zou and Wells, "Simultaneous truth and performance level estimation (STAPLE)", IEEE TMI 23(7), 2004, without
spatial term. Several labels: Rohlfing, Russakoff and Maurer, IEEE TMI 23(8), 2004. Both are functions of how often each
combination of answers occurs, so the sums run over these instead of over voxels and give the same numbers (the tests compare
with SimpleITK). SimpleITK's filters themselves keep 8 bytes a voxel for each structure, or walk labels x voxels in each round.

What the models assume matters more than the arithmetic: experts that err independently of each other. Two that learned from
the same data do not, and STAPLE believes them over a third that is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_EXPERTS = 3
"""With two, nothing tells who is right: STAPLE then returns the smaller outline (measured), as if that were an estimate."""

START = 0.99999
MOST_ROUNDS = 1000
SETTLED = 1e-9


@dataclass(frozen=True, eq=False)
class Performance:
    """Estimated sensitivity and specificity of each expert for one structure, and P(structure) of each pattern."""

    sensitivity: np.ndarray
    specificity: np.ndarray
    posterior: np.ndarray


def binary_staple(votes: np.ndarray, counts: np.ndarray) -> Performance:
    """STAPLE of one structure. votes: bool `[pattern, expert]`; counts: voxels of each pattern in the region looked at.

    The prior is the share of the structure over all experts and voxels.
    """
    counts = counts.astype(float)
    share = float(counts @ votes.mean(axis=1) / max(counts.sum(), 1.0))
    sensitivity, specificity = np.full(votes.shape[1], START), np.full(votes.shape[1], START)
    posterior = np.zeros(len(votes))
    for _ in range(MOST_ROUNDS):
        inside = share * np.prod(np.where(votes, sensitivity, 1 - sensitivity), axis=1)
        outside = (1 - share) * np.prod(np.where(votes, 1 - specificity, specificity), axis=1)
        posterior = _divided(inside, inside + outside)
        before = np.concatenate([sensitivity, specificity])
        weight, rest = counts * posterior, counts * (1 - posterior)
        sensitivity = _divided(weight @ votes, weight.sum())
        specificity = _divided(rest @ ~votes, rest.sum())
        if np.abs(np.concatenate([sensitivity, specificity]) - before).max() < SETTLED:
            break
    return Performance(sensitivity, specificity, posterior)


def _divided(above, below):
    """above / below, 0 where there is nothing to divide by."""
    return np.divide(above, below, out=np.zeros_like(np.asarray(above, float)), where=np.asarray(below) > 0)


def multilabel_staple(answers: np.ndarray, counts: np.ndarray, number_count: int) -> tuple[np.ndarray, np.ndarray]:
    """The most probable number of each pattern (0 for a tie) and the experts' confusion `[expert, said, true]`.

    The priors are the shares of the numbers over all experts. The first confusion is that with the plurality vote, and there,
    as in SimpleITK, what an expert says adds to 1 over what is true.
    """
    counts = counts.astype(float)
    experts, width = answers.shape[1], number_count + 1
    prior = sum(np.bincount(answers[:, one], counts, width) for one in range(experts))
    prior = prior / max(prior.sum(), 1.0)  # without a voxel there is no share of any number
    truth = _plurality(answers, width)
    confusion = _confusion(answers, truth * counts[:, None], axis=2)
    for _ in range(MOST_ROUNDS):
        truth = np.broadcast_to(prior, truth.shape).copy()
        for one in range(experts):
            truth *= confusion[one, answers[:, one]]
        truth = _divided(truth, np.broadcast_to(truth.sum(axis=1, keepdims=True), truth.shape))
        renewed = _confusion(answers, truth * counts[:, None], axis=1)
        change, confusion = np.abs(renewed - confusion).max(), renewed
        if change < SETTLED:
            break
    best = truth.max(axis=1)
    tied = (truth >= best[:, None] * (1 - 1e-9)).sum(axis=1) > 1
    return np.where(tied | (best <= 0), 0, truth.argmax(axis=1)), confusion


def _plurality(answers: np.ndarray, width: int) -> np.ndarray:
    """1 at the number that most experts give, nothing at all where two are even: `[pattern, number]`."""
    votes = np.zeros((len(answers), width))
    for one in range(answers.shape[1]):
        votes[np.arange(len(answers)), answers[:, one]] += 1
    top = votes == votes.max(axis=1, keepdims=True)
    return (top & (top.sum(axis=1, keepdims=True) == 1)).astype(float)


def _confusion(answers: np.ndarray, weight: np.ndarray, axis: int) -> np.ndarray:
    """How much each expert says a number where another is true `[expert, said, true]`, adding to 1 along an axis."""
    width = weight.shape[1]
    found = np.zeros((answers.shape[1], width, width))
    for one in range(answers.shape[1]):
        np.add.at(found[one], answers[:, one], weight)
    return _divided(found, np.broadcast_to(found.sum(axis=axis, keepdims=True), found.shape))

"""From counted patterns to decisions, by the method that was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from OncoLib.errors import InputError
from OncoSegmentLib.consensus.mean import boxes_of, check_probabilities, soft_dice_confidence
from OncoSegmentLib.consensus.opinions import Opinion, structure_id
from OncoSegmentLib.consensus.rules import Electorate, band_weight, vote
from OncoSegmentLib.consensus.staple import LEAST_EXPERTS, Performance, binary_staple, multilabel_staple
from OncoSegmentLib.consensus.targets import Panel
from OncoSegmentLib.consensus.votes import Patterns

METHODS = ("majority", "weights", "confidence", "staple", "multilabel-staple", "mean")
WEIGHTED = ("weights", "mean")
"""Methods in which the experts' weights count."""

EVEN = 1e-6
"""Posterior probabilities that differ by less are a tie: the iteration settles to about that."""

STAPLES = ("staple", "multilabel-staple")


@dataclass(frozen=True, eq=False)
class Decision:
    """numbers: the structure of each pattern, 0 for none. tied: where that is because of a tie.

    performance: what STAPLE estimated, by number of the structure.
    """

    numbers: np.ndarray
    tied: np.ndarray
    performance: dict[int, Performance] = field(default_factory=dict)


def check_method(method: str, opinions: tuple[Opinion, ...], unlisted_unknown: bool) -> None:
    """Raises InputError for a method that is unknown or that these experts cannot be fused by."""
    if method not in METHODS:
        raise InputError(f"method {method!r} is unknown; wanted one of {', '.join(METHODS)}")
    if method == "mean":
        check_probabilities(opinions)
    if method in STAPLES and len(opinions) < LEAST_EXPERTS:
        raise InputError(
            f"STAPLE was asked to judge {len(opinions)} segmentations by each other; wanted {LEAST_EXPERTS} or more: with two,"
            " nothing tells which is right"
        )
    if method in STAPLES and unlisted_unknown:
        raise InputError("STAPLE judges answers, so a structure that is not listed cannot be unknown to it; use majority")
    if method not in WEIGHTED and any(one.weighted for one in opinions):
        raise InputError(f"weights were given, which {method} does not use; use weights or mean")


def electorate_of(panel: Panel, method: str) -> Electorate:
    """Weights and knowledge for a vote. Weights of single structures are those of votes: a mean of probabilities has one
    weight an expert, or what is left for "nothing" would not be a probability.
    """
    weights = np.ones(panel.knows.shape)
    if method in WEIGHTED:
        weights *= np.array([one.weight for one in panel.opinions])[:, None]
    if method == "weights":
        for at, opinion in enumerate(panel.opinions):
            for number, target in enumerate(panel.targets, 1):
                weights[at, number] = opinion.by_structure.get(structure_id(target.segment), opinion.weight)
    if method == "confidence":
        for at in range(len(panel.opinions)):
            weights[at] = _confidence_weights(panel, at)
    return Electorate(weights, panel.knows)


def _confidence_weights(panel: Panel, at: int) -> np.ndarray:
    """Of one expert for each structure: soft Dice confidence where all have probabilities, else its bands.

    Where it sees nothing it is as sure as on average of what it sees.
    """
    soft = all(one.probability is not None for one in panel.opinions)
    found = np.full(len(panel.targets) + 1, np.nan)
    for number, target in enumerate(panel.targets, 1):
        segments = target.members[at]
        if segments:
            found[number] = soft_dice_confidence(panel.opinions[at], segments) if soft else band_weight(list(segments))
    usual = float(np.nanmean(found)) if np.isfinite(found).any() else 1.0
    return np.maximum(np.where(np.isnan(found), usual, found), 1e-3)


def decide(panel: Panel, layer: int, patterns: Patterns, method: str) -> Decision:
    """What each pattern of one layer becomes. Voxels on which all agree are no pattern: they keep their structure."""
    if method == "staple":
        return _by_binary_staple(panel, layer, patterns)
    if method == "multilabel-staple":
        return _by_multilabel_staple(panel, layer, patterns)
    return Decision(*vote(patterns.answers, electorate_of(panel, method)))


def _by_binary_staple(panel: Panel, layer: int, patterns: Patterns) -> Decision:
    """STAPLE for each structure in the joint box of its outlines; of several probable structures the most probable.

    The box makes the answer independent of the field of view: empty voxels far away raise every expert's specificity.
    """
    boxes = boxes_of(panel, margin=0)
    best, numbers = np.full(len(patterns.codes), 0.5), np.zeros(len(patterns.codes), np.int64)
    tied = np.zeros(len(patterns.codes), bool)
    performance = {}
    for number, target in enumerate(panel.targets, 1):
        if target.segment.layer != layer or target not in boxes:
            continue
        votes = patterns.answers == number
        some = votes.any(axis=1)
        everyone = np.vstack([votes[some], np.ones(votes.shape[1], bool), np.zeros(votes.shape[1], bool)])
        named = patterns.counts[some].sum() + patterns.agreed[number]
        volume = int(np.prod([span.stop - span.start for span in boxes[target]]))
        counts = np.concatenate([patterns.counts[some], [patterns.agreed[number], max(volume - named, 0)]])
        performance[number] = binary_staple(everyone, counts)
        posterior = np.zeros(len(patterns.codes))
        posterior[some] = performance[number].posterior[:-2]
        same = (np.abs(posterior - best) <= EVEN) & (posterior > 0.5 - EVEN)
        better = posterior > best + EVEN
        tied = (tied | same) & ~better
        best, numbers = np.where(better, posterior, best), np.where(better, number, numbers)
    return Decision(np.where(tied, 0, numbers), tied, performance)


def _by_multilabel_staple(panel: Panel, layer: int, patterns: Patterns) -> Decision:
    """STAPLE of all structures of a layer at once, in the joint box of all of them.

    Its model can find a structure probable that no expert names at a voxel: that is left empty, and counted as undecided.
    """
    chosen = [number for number, one in enumerate(panel.targets, 1) if one.segment.layer == layer]
    short = np.zeros(len(panel.targets) + 1, np.int64)
    short[chosen] = np.arange(1, len(chosen) + 1)
    answers = np.vstack([short[patterns.answers], np.repeat(np.arange(len(chosen) + 1)[:, None], len(panel.opinions), axis=1)])
    boxes = [box for target, box in boxes_of(panel, margin=0).items() if target.segment.layer == layer]
    volume = _volume_of_union(boxes)
    agreed = patterns.agreed[[0, *chosen]].copy()
    agreed[0] = max(volume - patterns.counts.sum() - agreed[1:].sum(), 0)
    found, _ = multilabel_staple(answers, np.concatenate([patterns.counts, agreed]), len(chosen))
    numbers = np.array([0, *chosen])[found[: len(patterns.codes)]]
    unsaid = (numbers > 0) & (numbers[:, None] != patterns.answers).all(axis=1)
    return Decision(np.where(unsaid, 0, numbers), unsaid)


def _volume_of_union(boxes: list) -> int:
    """Voxels of the smallest box around all boxes."""
    if not boxes:
        return 0
    return int(np.prod([max(one.stop for one in spans) - min(one.start for one in spans) for spans in zip(*boxes)]))

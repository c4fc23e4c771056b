"""Mean probability: for each voxel the structure whose mean probability over the experts is highest, if it beats "nothing"."""

from __future__ import annotations

import numpy as np

from OncoLib.errors import InputError
from OncoLib.measure import Box, segment_boxes
from OncoLib.overlap import joint_box
from OncoLib.progress import CancelToken
from OncoSegmentLib.consensus.opinions import Opinion
from OncoSegmentLib.consensus.targets import Panel, Target
from OncoSegmentLib.consensus.votes import slabs

EVEN = 1e-6
"""Mean probabilities that differ by less are a tie: float16 and float32 hold no more."""

MARGIN_VOXELS = 8
"""How far around the experts' outlines probabilities are looked at: beyond its own outline an expert gives less than another
structure or nothing, so the mean can exceed one half only near one of the outlines."""


def check_probabilities(opinions: tuple[Opinion, ...]) -> None:
    """Raises InputError unless all experts have probabilities."""
    without = [one.name for one in opinions if one.probability is None]
    if without:
        raise InputError(f"{without[0]} has no probabilities; the mean needs those of every segmentation (majority does not)")


def soft_dice_confidence(opinion: Opinion, segments: tuple) -> float:
    """2 sum(p m) / (sum p + sum m) with the outline m and the probabilities p near it (arXiv 2402.10665); NaN for no outline."""
    boxes = segment_boxes(opinion.segmentation)
    inside = everywhere = voxels = 0.0
    for segment in segments:
        if segment in boxes:
            box = grown(boxes[segment], opinion.segmentation.shape_kji)
            mask = opinion.segmentation.layers[segment.layer][box] == segment.label
            p = np.asarray(opinion.probability(segment, box), dtype=np.float32)
            inside += float(p[mask].sum(dtype=np.float64))
            everywhere += float(p.sum(dtype=np.float64))
            voxels += float(np.count_nonzero(mask))
    return 2 * inside / (everywhere + voxels) if voxels else float("nan")


def grown(box: Box, shape_kji: tuple[int, ...], margin: int = MARGIN_VOXELS) -> Box:
    """The box with a margin in voxels, inside the grid."""
    return tuple(slice(max(0, span.start - margin), min(size, span.stop + margin)) for span, size in zip(box, shape_kji))


def boxes_of(panel: Panel, margin: int = MARGIN_VOXELS) -> dict[Target, Box]:
    """The joint box of each target over all experts, grown by a margin; targets that nobody drew have none."""
    boxes = [segment_boxes(one.segmentation) for one in panel.opinions]
    shape = panel.opinions[0].segmentation.shape_kji
    found: dict[Target, Box] = {}
    for target in panel.targets:
        box = None
        for at, of_one in enumerate(target.members):
            for segment in of_one:
                if segment in boxes[at]:
                    box = joint_box(box, boxes[at][segment])
        if box is not None:
            found[target] = grown(box, shape, margin)
    return found


def mean_layer(panel: Panel, layer: int, weights: np.ndarray, into: np.ndarray, cancel: CancelToken | None = None) -> int:
    """Fills `into[k, j, i]` with the labels of one layer; returns the number of voxels left empty because of a tie.

    weights: of the experts. Only one slab of three float32 arrays and one probability box exist at a time.
    """
    boxes = boxes_of(panel)
    chosen = [(number, one) for number, one in enumerate(panel.targets, 1) if one.segment.layer == layer and one in boxes]
    ties = 0
    for span in slabs(into.shape):
        if cancel is not None:
            cancel.check()
        shape = into[span].shape
        best, second, total = (np.zeros(shape, np.float32) for _ in range(3))
        label = np.zeros(shape, into.dtype)
        for number, target in chosen:
            part = _cut(boxes[target], span)
            if part is not None:
                mean = _mean(panel, number, target, weights, part)
                here = (slice(part[0].start - span.start, part[0].stop - span.start), *part[1:])
                _enter(mean, target.segment.label, best[here], second[here], total[here], label[here])
        second = np.maximum(second, 1 - total)
        tied = (best > 0) & (np.abs(best - second) <= EVEN)
        label[(best < second) | tied] = 0
        into[span] = label
        ties += int(np.count_nonzero(tied))
    return ties


def _cut(box: Box, span: slice) -> Box | None:
    start, stop = max(box[0].start, span.start), min(box[0].stop, span.stop)
    return (slice(start, stop), *box[1:]) if start < stop else None


def _mean(panel: Panel, number: int, target: Target, weights: np.ndarray, part: Box) -> np.ndarray:
    """Weighted mean over the experts who know the structure; who knows it and has no segment gives 0."""
    total = np.zeros(tuple(span.stop - span.start for span in part), np.float32)
    strength = weights * panel.knows[:, number]
    for at, segments in enumerate(target.members):
        for segment in segments:
            p = np.asarray(panel.opinions[at].probability(segment, part), np.float32)
            total += np.float32(strength[at] / strength.sum()) * p
    return total


def _enter(mean, value: int, best, second, total, label) -> None:
    """Takes one structure into the running first, second and sum, in place."""
    better = mean > best
    np.maximum(second, np.where(better, best, mean), out=second)
    np.copyto(best, mean, where=better)
    label[better] = value
    total += mean

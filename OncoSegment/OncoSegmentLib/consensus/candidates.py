"""Lesions that only some experts see: kept beside the consensus, flagged, so that a reader decides and nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from OncoLib.measure import Box, segment_boxes
from OncoLib.overlap import joint_box
from OncoLib.segmentation import Segment
from OncoLib.terminology import is_lesion
from OncoSegmentLib.consensus.nested import REGIONS
from OncoSegmentLib.consensus.opinions import Key
from OncoSegmentLib.consensus.targets import Panel, Target

MOST_NAMED = 20
"""Candidates of one structure that get a segment each, the largest; all others share one more. Specks come in hundreds."""

NEIGHBORS = np.ones((3, 3, 3), bool)
"""26-connected: voxels that touch at a corner belong together."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A lesion that is not in the consensus. found_by: names of the experts who see it. box, mask: where it lies."""

    segment: Segment
    found_by: tuple[str, ...]
    box: Box
    mask: np.ndarray


def lesion_families(panel: Panel) -> dict[Key, list[Target]]:
    """Lesions of one structure together; the parts of a nested tumor together, as one family."""
    found: dict[Key, list[Target]] = {}
    for target in panel.targets:
        nested = target.key in REGIONS or target.key in panel.part_keys
        if nested or is_lesion(target.segment.entry):
            found.setdefault(("nested",) if nested else target.key[:2], []).append(target)
    return found


def find_candidates(panel: Panel, layers: list[np.ndarray]) -> list[Candidate]:
    """Connected pieces of what single experts call a lesion, of which no voxel is lesion in the consensus.

    layers: the result's label arrays, in the order of the panel's layers. Labels are 0 until the caller places them.
    """
    boxes = [segment_boxes(one.segmentation) for one in panel.opinions]
    found = []
    for targets in lesion_families(panel).values():
        box = _box(targets, boxes)
        if box is not None:
            consensus = np.zeros(tuple(span.stop - span.start for span in box), bool)
            for target in targets:
                if not target.helper:
                    consensus |= layers[target.segment.layer][box] == target.segment.label
            found += _of_family(panel, targets, box, consensus)
    return found


def _box(targets: list[Target], boxes: list[dict[Segment, Box]]) -> Box | None:
    box = None
    for target in targets:
        for at, segments in enumerate(target.members):
            for segment in segments:
                if segment in boxes[at]:
                    box = joint_box(box, boxes[at][segment])
    return box


def _of_family(panel: Panel, targets: list[Target], box: Box, consensus: np.ndarray) -> list[Candidate]:
    votes = [_lone_pieces(panel, at, targets, box, consensus) for at in range(len(panel.opinions))]
    union = np.logical_or.reduce(votes)
    if not union.any():
        return []
    labels, count = ndimage.label(union, NEIGHBORS)
    places = ndimage.find_objects(labels)
    sizes = np.bincount(labels.ravel())[1:]
    order = sorted(range(count), key=lambda at: (-sizes[at], [span.start for span in places[at]]))
    named = enumerate(order[:MOST_NAMED], 1)
    found = [_candidate(panel, targets, box, places[at], labels, [at + 1], votes, rank) for rank, at in named]
    if count > MOST_NAMED:
        rest = [at + 1 for at in order[MOST_NAMED:]]
        whole = tuple(slice(0, size) for size in union.shape)
        found.append(_candidate(panel, targets, box, whole, labels, rest, votes, 0))
    return found


def _lone_pieces(panel: Panel, at: int, targets: list[Target], box: Box, consensus: np.ndarray) -> np.ndarray:
    """An expert's connected pieces that share no voxel with the consensus."""
    mask = np.zeros(consensus.shape, bool)
    for segment in {segment for target in targets for segment in target.members[at]}:
        mask |= panel.opinions[at].segmentation.layers[segment.layer][box] == segment.label
    labels, count = ndimage.label(mask, NEIGHBORS)
    lone = np.ones(count + 1, bool)
    lone[np.unique(labels[consensus])] = False
    lone[0] = False
    return lone[labels]


def _candidate(panel: Panel, targets: list[Target], box: Box, place, labels, wanted: list[int], votes, rank: int) -> Candidate:
    mask = np.isin(labels[place], wanted)
    finders = [at for at, vote in enumerate(votes) if (vote[place] & mask).any()]
    of_experts = len(panel.opinions)
    names = tuple(sorted(panel.opinions[at].name for at in finders))
    like = _like(targets, finders)
    head = f"{like.name}, candidate {rank}" if rank else f"{like.name}, smaller candidates"
    told = f"candidate, not in the consensus: seen by {len(finders)} of {of_experts} ({', '.join(names)})"
    if len(finders) > 1 and 2 * len(finders) >= of_experts:
        told += "; their outlines have no common part with enough votes"
    segment = Segment(1, head, like.entry, like.color, structure=like.structure, confidence="low", flags=(*like.flags, told))
    at = tuple(slice(outer.start + inner.start, outer.start + inner.stop) for outer, inner in zip(box, place))
    return Candidate(segment, names, at, mask)


def _like(targets: list[Target], finders: list[int]) -> Segment:
    """What its finders call it: the first of the family's structures, in the order of the result, that they have."""
    for target in targets:
        if any(target.members[at] for at in finders) and not target.helper:
            return target.segment
    return targets[0].segment

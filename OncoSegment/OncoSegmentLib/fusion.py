"""Fuses the segmentations of several experts on one grid into one, with what it costs to believe it.

Structures are matched by what they mean, vertebrae by body first, nested tumors region by region, and structures that
overlap stay in layers of their own. A tie is never a new label: it stays empty, and how much that is, is told.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from OncoLib import __version__, audit
from OncoLib.errors import InputError
from OncoLib.measure import label_histogram, volume_text
from OncoLib.progress import CancelToken, Progress, part_of, silent
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoSegmentLib.consensus.bands import CONFIDENCE, LEAST_HIGH, LEAST_MODERATE, LOW, band_of, mean_pairwise_dice, pair_dice
from OncoSegmentLib.consensus.candidates import Candidate, find_candidates
from OncoSegmentLib.consensus.decide import METHODS, STAPLES, WEIGHTED, check_method
from OncoSegmentLib.consensus.opinions import Key, Opinion, check_opinions, opinion_of
from OncoSegmentLib.consensus.staple import Performance
from OncoSegmentLib.consensus.targets import Panel, Target, panel_of
from OncoSegmentLib.consensus.work import Work

__all__ = ["ABSENT", "METHODS", "UNKNOWN", "UNLISTED", "Fusion", "Opinion", "Score", "fuse", "opinion_of"]

ABSENT, UNKNOWN = "absent", "unknown"
UNLISTED = (ABSENT, UNKNOWN)
"""What a segmentation says of a structure that it does not list: that it is not there, or nothing."""


@dataclass(frozen=True, eq=False)
class Score:
    """How far the experts agree on one structure.

    pairs: mean Dice of all pairs of experts (NaN with one). band: high, moderate, low, or "one expert only". found_by:
    names of the experts who have voxels of it. asked: how many look for it.
    """

    pairs: float
    band: str
    found_by: tuple[str, ...]
    asked: int


@dataclass(frozen=True, eq=False)
class Fusion:
    """A consensus and how it came to be.

    segmentation: the result; candidates, if any, in its last layer. panel: what was voted on. scores: by target's key.
    undecided_ml: volume that stayed empty because of ties. performance: of STAPLE, by key. disagreement: normalized vote
    entropy `[k, j, i]`, float32 in 0..1, when asked for. notes: sentences that a reader should know.
    """

    segmentation: Segmentation
    panel: Panel
    method: str
    scores: dict[Key, Score]
    undecided_ml: float
    candidates: tuple[Candidate, ...] = ()
    performance: dict[Key, Performance] = field(default_factory=dict)
    disagreement: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def segment_of(self, target: Target) -> Segment | None:
        """The target's segment in the result; None when the consensus has no voxel of it."""
        place = target.segment.layer, target.segment.label
        return next((one for one in self.segmentation.segments if (one.layer, one.label) == place), None)


def fuse(
    opinions: Sequence[Opinion],
    *,
    method: str = "majority",
    unlisted: str = ABSENT,
    disagreement: bool = False,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
    clock=time.monotonic,
    now=audit.now_iso,
) -> Fusion:
    """One segmentation of two or more. Thread-safe and process-safe; the inputs are not changed.

    method: "majority" (most votes, "nothing" being one), "weights" (the opinions' own), "confidence" (soft Dice confidence
    or bands as weights), "staple" (binary, structure by structure), "multilabel-staple", "mean" (of probabilities).
    unlisted: one of `UNLISTED`. disagreement: also make the map.

    Memory beyond the inputs: one label array for each layer of the result and of the vote, 4 bytes a voxel for the map, and
    less than 500 MB. Raises InputError, GeometryError when the grids differ, Cancelled.
    """
    started, began = now(), clock()
    opinions = tuple(sorted(opinions, key=lambda one: natural(one.name)))  # sums round alike in whichever order they come
    check_opinions(opinions)
    if unlisted not in UNLISTED:
        raise InputError(f"unlisted is {unlisted!r}; wanted {' or '.join(UNLISTED)}")
    check_method(method, opinions, unlisted == UNKNOWN)
    panel = panel_of(opinions, weighted=method in WEIGHTED, unlisted_unknown=unlisted == UNKNOWN)
    work = Work(panel, method, cancel or CancelToken())
    count = panel.layer_count
    for layer in range(count):
        work.fuse_layer(layer, disagreement, part_of(progress, 0.8 * layer / count, 0.8 * (layer + 1) / count))
    work.nest()
    progress(0.8, "Looking for what only some experts see")
    candidates = find_candidates(panel, work.layers)
    found = finished(work, candidates, provenance_of(opinions, method, unlisted, started, round(clock() - began, 3)))
    progress(1.0, "Done")
    return found


def natural(name: str) -> list:
    """Sorts "2 b" before "10 a"."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def provenance_of(opinions: tuple[Opinion, ...], method: str, unlisted: str, started: str, seconds: float) -> Provenance:
    """Method and weights, and the whole provenance of each input."""
    inputs = [
        {
            "weight": one.weight,
            **({"weights_by_structure": dict(one.by_structure)} if one.by_structure else {}),
            "provenance": one.segmentation.provenance.as_dict(),
        }
        for one in opinions
    ]
    images = {one.segmentation.provenance.input_sha256 for one in opinions}
    return Provenance(
        "fusion",
        __version__,
        {"method": method, "unlisted": unlisted, "inputs": inputs},
        input_sha256=images.pop() if len(images) == 1 else "",
        packages=audit.package_versions(),
        started=started,
        seconds=seconds,
        peak_memory_mb=audit.peak_memory_mb(),
    )


def finished(work: Work, candidates: list[Candidate], provenance: Provenance) -> Fusion:
    """The result with bands, flags and candidates."""
    panel = work.panel
    scores = {one.key: score_of(work, number) for number, one in enumerate(panel.targets, 1)}
    used = {one.segment.layer for one in panel.targets if not one.helper}
    layers = [work.layers[at] for at in sorted(used)]  # helpers come last, so the layers that stay keep their numbers
    segments = told_segments(work, layers, scores)
    if candidates:
        layers.append(candidate_layer(candidates, work.shape))
        segments += [replace(one.segment, label=at, layer=len(layers) - 1) for at, one in enumerate(candidates, 1)]
    first = panel.opinions[0].segmentation
    made = Segmentation(tuple(layers), first.ijk_to_ras, tuple(unique_names(segments)), provenance, name="Consensus")
    undecided_ml = work.undecided * first.voxel_volume_ml
    notes = (*panel.column.notes, *notes_of(panel, scores, undecided_ml), *twins(work))
    return Fusion(made, panel, work.method, scores, undecided_ml, tuple(candidates), work.performance, work.map, notes)


def score_of(work: Work, number: int) -> Score:
    """How far the experts agree on one structure."""
    shared, asked = work.shared[number], work.panel.knows[:, number]
    pairs = mean_pairwise_dice(shared, asked)
    found_by = tuple(one.name for one, size in zip(work.panel.opinions, np.diag(shared)) if size)
    return Score(pairs, band_of(pairs), found_by, int(asked.sum()))


def told_segments(work: Work, layers: list[np.ndarray], scores: dict[Key, Score]) -> list[Segment]:
    """Segments of the consensus that have voxels, or that are empty for everybody, with their bands and flags."""
    counts = [label_histogram(layer) for layer in layers]
    found = []
    for number, one in enumerate(work.panel.targets, 1):
        score = scores[one.key]
        if one.helper or (score.found_by and not counts[one.segment.layer].get(one.segment.label)):
            continue
        told = [f"seen by {len(score.found_by)} of {score.asked} experts"] if 0 < len(score.found_by) < score.asked else []
        if work.method in STAPLES:
            told += pair_texts(work, number)
        band = LOW if one.key in work.panel.column.disputed else score.band
        found.append(replace(one.segment, confidence=CONFIDENCE[band], flags=(*one.segment.flags, *told)))
    return found


def pair_texts(work: Work, number: int) -> list[str]:
    """For STAPLE: two experts that agree with each other and with no one else are perhaps one opinion."""
    names, dice = [one.name for one in work.panel.opinions], pair_dice(work.shared[number])
    for a in range(len(names)):
        for b in range(a + 1, len(names)):
            others = [dice[one, other] for one in (a, b) for other in range(len(names)) if other not in (a, b)]
            if dice[a, b] >= LEAST_HIGH and max(others) < LEAST_MODERATE:
                both = " and ".join(sorted((names[a], names[b])))
                return [f"STAPLE follows {both}, who agree with each other only; experts of one origin are one opinion"]
    return []


def notes_of(panel: Panel, scores: dict[Key, Score], undecided_ml: float) -> list[str]:
    """What a reader should know of the whole."""
    notes = []
    if undecided_ml:
        notes.append(f"{volume_text(undecided_ml)} ml stayed without a label because the votes were even")
    if len({one.segmentation.provenance.input_sha256 for one in panel.opinions} - {""}) > 1:
        notes.append("the segmentations were made from images of different content; check that they show the same scan")
    lone = [one.segment.name for one in panel.targets if scores[one.key].asked < 2 and not one.helper]
    if lone:
        names = ", ".join(lone[:5]) + (" and others" if len(lone) > 5 else "")
        notes.append(f"only one expert looks for {names}: taken as it is where no other expert gives another structure")
    return notes


def twins(work: Work) -> list[str]:
    """Experts who say the same at every voxel: one opinion that votes twice."""
    names, total = [one.name for one in work.panel.opinions], work.shared.sum(axis=0)
    pairs = zip(*np.triu_indices(len(names), 1))
    same = [(a, b) for a, b in pairs if total[a, b] == total[a, a] == total[b, b]]
    return [f"{names[a]} and {names[b]} are the same in every voxel, and count as two" for a, b in same]


def candidate_layer(candidates: list[Candidate], shape: tuple[int, ...]) -> np.ndarray:
    """One label array of all candidates; of two of different structures that overlap, the smaller one lies on top."""
    into = np.zeros(shape, np.uint8 if len(candidates) < 256 else np.uint16)
    for at in sorted(range(len(candidates)), key=lambda at: -int(candidates[at].mask.sum())):
        into[candidates[at].box][candidates[at].mask] = at + 1
    return into


def unique_names(segments: list[Segment]) -> list[Segment]:
    """Each name once: a result whose segments cannot be told apart by name cannot be asked for one."""
    seen: dict[str, int] = {}
    found = []
    for one in segments:
        seen[one.name] = seen.get(one.name, 0) + 1
        found.append(one if seen[one.name] == 1 else replace(one, name=f"{one.name} ({seen[one.name]})"))
    return found

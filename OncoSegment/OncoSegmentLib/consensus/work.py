"""One fusion on its way: layer by layer votes are counted, decided and written, and it is summed up who agreed with whom."""

from __future__ import annotations

import numpy as np

from OncoLib.progress import CancelToken, Progress, part_of
from OncoLib.segmentation import Segment
from OncoSegmentLib.consensus.decide import Decision, decide, electorate_of
from OncoSegmentLib.consensus.mean import mean_layer
from OncoSegmentLib.consensus.nested import REGIONS, compose, cut_to_nest
from OncoSegmentLib.consensus.opinions import Key
from OncoSegmentLib.consensus.rules import entropy, having_a_say
from OncoSegmentLib.consensus.staple import Performance
from OncoSegmentLib.consensus.targets import Panel
from OncoSegmentLib.consensus.votes import Patterns, apply_decisions, count_patterns


class Work:
    """Label arrays of the vote, filled one by one.

    layers: one a layer of the panel. shared: `[number, expert, expert]` voxels in both of two experts (of one: its own).
    undecided: voxels that stayed empty because of a tie. map: normalized vote entropy, when it was asked for.
    """

    def __init__(self, panel: Panel, method: str, cancel: CancelToken) -> None:
        self.panel, self.method, self.cancel = panel, method, cancel
        self.shape = panel.opinions[0].segmentation.shape_kji
        experts = len(panel.opinions)
        self.shared = np.zeros((len(panel.targets) + 1, experts, experts), np.int64)
        self.labels = np.array([0, *(one.segment.label for one in panel.targets)])
        self.layers: list[np.ndarray] = []
        self.performance: dict[Key, Performance] = {}
        self.undecided = 0
        self.map: np.ndarray | None = None

    def fuse_layer(self, layer: int, disagreement: bool, progress: Progress) -> None:
        """Counts, decides, writes one layer of the vote."""
        panel = self.panel
        numbers = [number for number, one in enumerate(panel.targets, 1) if one.segment.layer == layer]
        helper = all(panel.targets[number - 1].helper for number in numbers)
        readers = panel.readers(layer)
        patterns = count_patterns(readers, self.shape, len(panel.targets), progress=part_of(progress, 0, 0.6), cancel=self.cancel)
        self._sum_up(patterns, numbers)
        progress(0.6, "Writing the consensus")
        into = np.zeros(self.shape, np.uint8 if self.labels[numbers].max() < 256 else np.int32)
        ties = self._write(layer, readers, patterns, into)
        self.undecided += 0 if helper else ties
        self.layers.append(into)
        if disagreement and not helper:
            self._add_to_map(readers, patterns)

    def _write(self, layer: int, readers, patterns: Patterns, into: np.ndarray) -> int:
        """Fills a layer; returns how many voxels a tie left empty."""
        if self.method == "mean":
            weights = electorate_of(self.panel, "mean").weights[:, 0]
            return mean_layer(self.panel, layer, weights, into, self.cancel)
        decision = decide(self.panel, layer, patterns, self.method)
        apply_decisions(readers, patterns, self.labels, self.labels[decision.numbers], into)
        return self._took(decision, patterns)

    def _took(self, decision: Decision, patterns: Patterns) -> int:
        self.performance |= {self.panel.targets[number - 1].key: one for number, one in decision.performance.items()}
        return int(patterns.counts[decision.tied].sum())

    def _sum_up(self, patterns: Patterns, numbers: list[int]) -> None:
        for number in numbers:
            votes = (patterns.answers == number).astype(np.int64)
            self.shared[number] = votes.T @ (votes * patterns.counts[:, None]) + patterns.agreed[number]

    def _add_to_map(self, readers, patterns: Patterns) -> None:
        """Of several layers the largest entropy at a voxel counts."""
        into = np.zeros(self.shape, np.float32)
        values = entropy(patterns.answers, having_a_say(patterns.answers, self.panel.knows))
        apply_decisions(readers, patterns, np.zeros(len(patterns.agreed)), values, into)
        self.map = into if self.map is None else np.maximum(self.map, into, out=self.map)

    def nest(self) -> None:
        """Cuts the regions of a tumor to lie within each other, and makes its parts of them where parts are wanted."""
        regions = {one.key: one.segment.layer for one in self.panel.targets if one.key in REGIONS}
        if not regions:
            return
        masks = [self.layers[regions[key]] > 0 if key in regions else np.zeros(self.shape, bool) for key in REGIONS]
        cut_to_nest(masks)
        for key, mask in zip(REGIONS, masks):
            if key in regions:
                self.layers[regions[key]] *= mask
        listed = [one for one in self.panel.targets if one.key in self.panel.part_keys]
        parts = {one.key[:2]: one.segment for one in listed}
        # Several segments of one part, or parts in several layers, are no tumor that can be composed: their own votes stay.
        if len(parts) == len(listed) and len({one.layer for one in parts.values()}) == 1:
            layer = self.layers[next(iter(parts.values())).layer]
            compose(layer, masks, {key: one.label for key, one in parts.items()}, self._core_label(parts))

    def _core_label(self, parts: dict[Key, Segment]) -> int:
        """The part of the core that the experts draw most of: where a vote on the core's parts was even."""
        numbers = {one.key[:2]: number for number, one in enumerate(self.panel.targets, 1)}
        core = [key for key in parts if key[1] not in ("brain_edema", "brain_tumor_enhancing")] or list(parts)
        return parts[max(core, key=lambda key: (np.trace(self.shared[numbers[key]]), str(key)))].label

"""From the clicked slices to the others: by the memory of SAM 2.1, or by what one slice tells the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from OncoLib.measure import dice
from OncoLib.progress import CancelToken, Progress
from OncoSegmentLib.refine.sam.slice_prompts import NetworkPrompts, SlicePrompts, innermost
from OncoSegmentLib.refine.sam.views import View

EMPTY_ENDS = 2
"""So many slices without the structure end it; a single one may be a partial volume that the network missed."""

AGREES = 0.9
"""Dice with the mask that was there from which a correction goes no further; our own choice."""

LEAST_SHARE = 0.2
"""Of the smaller mask of two neighboring slices that the other holds, where one is told from the other: less is no way on."""

LEAST_CELLS = 4
"""Of the network's mask, where a slice is told from another: fewer are no structure to go on from."""

GROWN = 0.05
"""Of its side, by which the box of one slice is larger for the next, and one cell of the mask at least."""


@dataclass(frozen=True, eq=False)
class Way:
    """What there is to follow.

    slices: prompts by number, in the order told. prior: the mask before by number, bool `[rows, columns]` of the view.
    limit: first and last but one slice that may hold anything. reach: how many slices a correction goes.
    features: kept feature maps of a slice. view, network: how prompts get into its pictures.
    """

    network: object
    view: View
    slices: dict[int, SlicePrompts]
    prior: dict[int, np.ndarray]
    limit: tuple[int, int]
    reach: int
    count: int
    features: Callable[[int], tuple]
    progress: Progress
    cancel: CancelToken
    found: dict[int, object] = field(default_factory=dict)

    def prompts(self, number: int) -> NetworkPrompts:
        """Of a slice, as the network takes them."""
        return self.slices[number].seen(self.view, self.network.size)

    def starts(self) -> list[int]:
        """Slices in which the structure is known to be, by a prompt or by the mask before."""
        return [number for number, one in self.slices.items() if one.positive or number in self.prior]

    def onward(self, start: int, step: int) -> Iterator[int]:
        """Slices after one, as far as they may hold anything; tells progress and looks for a cancellation at each."""
        first, last = self.limit
        for number in range(start + step, last if step > 0 else first - 1, step):
            self.cancel.check()
            self.progress(None, "Following the structure through the slices")
            yield number

    def settled(self, number: int, start: int, logits) -> bool:
        """True where a correction of a mask has come to an end: it agrees with what was there, or went far enough."""
        if not self.prior:
            return False
        return abs(number - start) > self.reach or self.agrees(number, logits)

    def agrees(self, number: int, logits) -> bool:
        """True when a slice's logits are the mask that was there."""
        if number not in self.prior:
            return False
        was = cells_of(self.prior[number], logits.shape)
        return dice((logits > 0).cpu().numpy(), was) >= AGREES


def by_memory(way: Way) -> dict[int, object]:
    """Logits by slice: prompts in their order, then onward and back from the first, as SAM 2.1 follows objects in films.

    A slice that was named later is told from memory first, and then corrected by its prompts, as a reader does it there.
    """
    starts = way.starts()
    first = starts[0]
    follower = way.network.follow(way.count, way.features)
    for number in [first, *(one for one in way.slices if one != first)]:
        way.cancel.check()
        if number in way.prior:
            follower.masked(number, way.prior[number])
        elif number != first:
            follower.tracked(number, number < first)
        way.found[number] = follower.prompted(number, way.prompts(number))
    for step in (1, -1):
        ends = farthest(way.slices, first, step)
        empty = 0
        for number in way.onward(first, step):
            logits = follower.tracked(number, step < 0)
            beyond = (number - ends) * step > 0
            if beyond and way.settled(number, ends, logits):
                break
            way.found[number] = logits
            empty = 0 if bool((logits > 0).any()) else empty + 1
            if beyond and empty >= EMPTY_ENDS:
                break
    return way.found


def farthest(numbers: Iterable[int], start: int, step: int) -> int:
    """The last slice in a direction that has prompts."""
    return max(numbers, key=lambda one: (one - start) * step)


def by_neighbors(way: Way) -> dict[int, object]:
    """Logits by slice: each is told the mask of the one before as box, innermost point and logits, until it vanishes.

    From each slice where the structure is known to be, in both directions, up to the next that is known.
    """
    for number in way.starts():
        way.cancel.check()
        prior = logits_of(way.prior.get(number), way.network.size // 4)
        way.found[number] = way.network.decoded(way.features(number), way.prompts(number), prior)
    starts = set(way.found)
    for start in sorted(starts, key=list(way.found).index):
        for step in (1, -1):
            before = way.found[start]
            for number in way.onward(start, step):
                if number in starts:
                    break
                logits = told_from(way, number, before)
                if logits is None or way.settled(number, start, logits):
                    break
                way.found[number] = joined(way.found.get(number), logits)
                before = logits
    return way.found


def told_from(way: Way, number: int, before):
    """Logits of a slice from those of its neighbor; None where the structure ends."""
    import torch

    mask = (before > 0).cpu().numpy()
    if mask.sum() < LEAST_CELLS:
        return None
    prompts = inherited(mask, way.network)
    if number in way.slices:
        own = way.prompts(number)
        points, labels = np.concatenate([prompts.points, own.points]), np.concatenate([prompts.labels, own.labels])
        prompts = NetworkPrompts(points, labels, prompts.box if own.box is None else own.box)
    prior = before if "mask" in way.network.chained else None
    logits = way.network.decoded(way.features(number), prompts, prior)
    found = logits > 0
    count, shared = int(found.sum()), int(torch.logical_and(found, before > 0).sum())
    if count < LEAST_CELLS or shared < LEAST_SHARE * min(count, int(mask.sum())):
        return None
    return logits


def inherited(mask: np.ndarray, network) -> NetworkPrompts:
    """Box and innermost point of a mask of the network's cells, in pixels of its picture."""
    scale = network.size / mask.shape[0]
    rows, columns = np.nonzero(mask)
    low, high = np.array([columns.min(), rows.min()]), np.array([columns.max(), rows.max()]) + 1
    more = np.maximum(1, GROWN * (high - low))
    box = np.concatenate([np.maximum(low - more, 0), np.minimum(high + more, mask.shape[0])]) * scale - (0, 0, 1, 1)
    points, labels = np.zeros((0, 2)), np.zeros(0, np.int64)
    if "point" in network.chained:
        inner = np.array(innermost(np.stack([rows, columns], 1)))
        points, labels = ((inner + 0.5) * scale - 0.5)[None], np.ones(1, np.int64)
    return NetworkPrompts(points, labels, box if "box" in network.chained else None)


def joined(first, second):
    """Of two ways that met in a slice: what either of them found."""
    return second if first is None else first.maximum(second)


def cells_of(mask: np.ndarray, shape) -> np.ndarray:
    """A mask of a view in a network's cells: those that it covers by half."""
    import torch
    from torch.nn.functional import interpolate

    tensor = torch.from_numpy(np.ascontiguousarray(mask, np.float32))[None, None]
    return interpolate(tensor, tuple(shape), mode="bilinear", antialias=True, align_corners=False)[0, 0].numpy() >= 0.5


def logits_of(mask: np.ndarray | None, cells: int):
    """A mask as logits of -10 and 10, as the package makes them of masks; None stays None."""
    if mask is None:
        return None
    import torch

    return torch.from_numpy(np.where(cells_of(mask, (cells, cells)), np.float32(10), np.float32(-10)))

"""Linear resampling of class scores straight to labels, without the scores of the fine grid.

Between the nodes of the coarse grid a linear interpolation is a mean with weights. So where one class has the highest score at
all corners of a cell, it has it everywhere in the cell; and a class can only win in a cell where its highest corner reaches what
some class has at least in all corners. Both hold exactly, so only cells on borders are interpolated, for the few classes
that can win there, and the answer is that of interpolating everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BLOCK = 8
"""Cells in each direction that are worked on at once. With 118 classes, twice as many take twice as long: more classes can win
somewhere in a larger block (3.9 s at 8, 7.6 s at 16, 4.0 s at 4, one case of 180x180x150)."""


CACHED = 1 << 15
"""Voxels whose scores of one class, single precision, stay in the cache of a core."""


@dataclass(frozen=True)
class Axis:
    """Where the output samples along one axis lie: between nodes `low` and `high`, at `weight` of the way. nodes: count."""

    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray
    nodes: int
    linear: bool

    def outputs(self, first: int, last: int) -> slice:
        """Output samples whose lower node is in first..last-1."""
        return slice(*(int(one) for one in np.searchsorted(self.low, (first, last))))


def axis_of(nodes: int, samples: int, linear: bool) -> Axis:
    """Samples at the centers of equal parts of the same length, as nnU-Net resamples; not linear: the nearest node."""
    places = (np.arange(samples) + 0.5) * (nodes / samples)
    if not linear:
        nearest = np.clip(np.floor(places).astype(np.intp), 0, nodes - 1)
        return Axis(nearest, nearest, np.zeros(samples, np.float32), nodes, False)
    places = np.clip(places - 0.5, 0, nodes - 1)
    low = np.minimum(np.floor(places).astype(np.intp), nodes - 1)
    high = np.minimum(low + 1, nodes - 1)
    return Axis(low, high, (places - low).astype(np.float32), nodes, True)


def axes_of(nodes: tuple[int, ...], samples: tuple[int, ...], nearest_axis: int | None) -> tuple[Axis, ...]:
    """One for each direction; nearest_axis: along which nothing is interpolated."""
    return tuple(axis_of(few, many, at != nearest_axis) for at, (few, many) in enumerate(zip(nodes, samples)))


def interpolated(scores, axes: tuple[Axis, ...], first: tuple[int, ...], at: tuple[slice, ...]):
    """Scores `[class, ...]` of nodes from `first` on, at the output samples `at`; float32 torch tensors."""
    import torch

    for number, (axis, start, part) in enumerate(zip(axes, first, at), start=1):
        low = scores.index_select(number, torch.from_numpy(axis.low[part] - start))
        if not axis.linear:
            scores = low
            continue
        high = scores.index_select(number, torch.from_numpy(axis.high[part] - start))
        shape = [1] * scores.ndim
        shape[number] = -1
        scores = torch.lerp(low, high, torch.from_numpy(axis.weight[part]).view(shape))
    return scores


def highest(scores, kind) -> np.ndarray:
    """The class of the highest score of each voxel, the first of equal ones. scores: torch `[class, k, ...]`.

    One class after the other in blocks of rows that stay in the cache: a quarter of the time of NumPy's argmax on half
    precision with 118 classes, and no copy of all.
    """
    labels = np.zeros(scores.shape[1:], kind)
    rows = max(CACHED // max(int(np.prod(scores.shape[2:])), 1), 1)
    for start in range(0, labels.shape[0], rows):
        block, out = scores[:, start : start + rows], labels[start : start + rows]
        best = block[0].float().numpy().copy()
        for number in range(1, block.shape[0]):
            one = block[number].float().numpy()
            np.copyto(out, np.asarray(number, kind), where=one > best)
            np.maximum(best, one, out=best)
    return labels


def corners(values: np.ndarray, axes: tuple[Axis, ...], pick) -> np.ndarray:
    """`pick` (such as np.minimum) over the corners of the cell that begins at each node."""
    for number, axis in enumerate(axes):
        if axis.linear and axis.nodes > 1:
            ahead = np.concatenate([values.take(range(1, axis.nodes), number), values.take([-1], number)], number)
            values = pick(values, ahead)
    return values


def spread(values: np.ndarray, axes: tuple[Axis, ...], out: np.ndarray) -> None:
    """Gives each output sample the value of its cell, plane by plane."""
    rows, columns = axes[1].low[:, None], axes[2].low[None, :]
    for plane, node in zip(out, axes[0].low):
        plane[...] = values[node][rows, columns]


def blocks(mixed: np.ndarray) -> Iterator[tuple[slice, ...]]:
    """Parts of the cells that hold one that must be interpolated."""
    for k in range(0, mixed.shape[0], BLOCK):
        for j in range(0, mixed.shape[1], BLOCK):
            for i in range(0, mixed.shape[2], BLOCK):
                part = tuple(slice(one, min(one + BLOCK, size)) for one, size in zip((k, j, i), mixed.shape))
                if mixed[part].any():
                    yield part


def block_scores(scores, axes: tuple[Axis, ...], part: tuple[slice, ...]):
    """Scores of the nodes of a block of cells, float32, and its output samples."""
    nodes = tuple(slice(one.start, min(one.stop + 1, axis.nodes)) for one, axis in zip(part, axes))
    return scores[(slice(None), *nodes)].float(), tuple(axis.outputs(one.start, one.stop) for one, axis in zip(part, axes))


def able_to_win(scores, axes: tuple[Axis, ...], part: tuple[slice, ...], mixed: np.ndarray):
    """Indices of the classes that can have the highest score in a mixed cell of the block."""
    import torch

    flat = scores.flatten(1)
    near_enough = torch.nonzero(flat.amax(1) >= flat.amin(1).max()).flatten()  # the same rule for the block as one cell
    scores = scores[near_enough]
    least, most = scores, scores
    sizes = [one.stop - one.start for one in part]
    for number, (axis, size) in enumerate(zip(axes, sizes), start=1):
        near = least.narrow(number, 0, size), most.narrow(number, 0, size)
        if axis.linear and least.shape[number] > 1:
            beyond = least.shape[number] - 1
            ahead = torch.arange(1, size + 1).clamp(max=beyond)
            far = least.index_select(number, ahead), most.index_select(number, ahead)
            near = torch.minimum(near[0], far[0]), torch.maximum(near[1], far[1])
        least, most = near
    reaches = (most >= least.amax(0)) & torch.from_numpy(mixed)
    return near_enough[reaches.flatten(1).any(1)]


def labels_by_cells(scores, axes: tuple[Axis, ...], out: np.ndarray, *, as_half: bool, check=lambda: None) -> None:
    """Writes the class of the highest score at each output sample into `out`.

    scores: torch `[class, k, j, i]`. as_half: interpolated scores are rounded to half precision before they are
    compared, as nnU-Net's default does; then equal ones go to the first class. check: called now and then.
    """
    nodes = highest(scores, out.dtype)
    mixed = corners(nodes, axes, np.minimum) != corners(nodes, axes, np.maximum)
    spread(nodes, axes, out)
    for part in blocks(mixed):
        check()
        values, at = block_scores(scores, axes, part)
        able = able_to_win(values, axes, part, mixed[part])
        found = interpolated(values[able], axes, tuple(one.start for one in part), at)
        found = found.half().float() if as_half else found
        write_mixed(out[at], able[found.argmax(0)].numpy(), mixed, axes, at)


def regions_by_cells(scores, axes: tuple[Axis, ...], out: np.ndarray, *, as_half: bool, check=lambda: None) -> None:
    """The same for one region: true where the sigmoid of its score `[1, k, j, i]` is over a half."""
    inside = over_half(scores[0].float()).numpy()
    mixed = corners(inside, axes, np.minimum) != corners(inside, axes, np.maximum)
    spread(inside, axes, out)
    for part in blocks(mixed):
        check()
        values, at = block_scores(scores, axes, part)
        found = interpolated(values, axes, tuple(one.start for one in part), at)
        write_mixed(out[at], over_half(found.half().float() if as_half else found)[0].numpy(), mixed, axes, at)


def over_half(scores):
    """As nnU-Net decides for regions."""
    return scores.sigmoid() > 0.5


def write_mixed(out: np.ndarray, found: np.ndarray, mixed: np.ndarray, axes: tuple[Axis, ...], at: tuple[slice, ...]) -> None:
    """Puts what was interpolated where the cell is mixed."""
    cells = mixed[np.ix_(*(axis.low[part] for axis, part in zip(axes, at)))]
    np.copyto(out, found, where=cells, casting="unsafe")

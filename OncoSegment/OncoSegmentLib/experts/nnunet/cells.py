"""Linear resampling of class scores straight to labels, without the scores of the fine grid.

Between the nodes of the coarse grid a linear interpolation is a mean with weights. So where one class has the highest score at
all corners of a cell, it has it everywhere in the cell; and a class can only win in a cell where its highest corner reaches what
some class has at least in all corners. Both hold exactly, so each class is interpolated only in the box around the cells on
borders where it can win, and the answer is that of interpolating everything. The box costs a whole class nothing but time: what
is compared is decided cell by cell, so that the answer does not depend on how the work is divided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

ROWS, VOXELS = 8, 1 << 21
"""Rows of cells that are worked on at once: at least so many, and as many as make so many voxels of the result."""

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

    for number in (3, 2, 1):  # the last axis first: picking along it costs most, and it is done while the array is small
        axis, start, part = axes[number - 1], first[number - 1], at[number - 1]
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


Part = tuple[slice, ...]


def chunks(axes: Sequence[Axis], columns: int) -> Iterator[Part]:
    """Rows of cells, one slice after the other. columns: voxels of one row of samples."""
    samples = max(len(axes[0].low), 1)
    rows = max(ROWS, VOXELS * axes[0].nodes // (samples * max(columns, 1)))
    for start in range(0, axes[0].nodes, rows):
        yield slice(start, min(start + rows, axes[0].nodes))


def cells_of(values, axes: Sequence[Axis], pick, rows: int):
    """`pick` (torch.minimum or maximum) over the corners of the first `rows` rows of cells; torch `[k, j, i]`."""
    import torch

    for number, axis in enumerate(axes):
        last = values.shape[number] - 1
        if axis.linear and last > 0:
            ahead = torch.cat([values.narrow(number, 1, last), values.narrow(number, last, 1)], number)
            values = pick(values, ahead)
    return values[:rows]


def box_around(mask) -> Part | None:
    """The smallest box that holds all of a torch mask `[k, j, i]`; None when there is nothing."""
    values = mask.numpy()
    planes = values.any(2)
    found = []
    for line in (planes.any(1), planes.any(0), values.any((0, 1))):
        at = np.flatnonzero(line)
        if not len(at):
            return None
        found.append(slice(int(at[0]), int(at[-1]) + 1))
    return tuple(found)


def samples_of(part: Part, axes: Sequence[Axis], first_row: int) -> Part:
    """Samples of the cells in a box whose rows count from `first_row`."""
    starts = (first_row, 0, 0)
    return tuple(axis.outputs(one.start + start, one.stop + start) for one, axis, start in zip(part, axes, starts))


def box_scores(rows, axes: Sequence[Axis], part: Part, first_row: int, as_half: bool):
    """One class at the samples of a box of cells. rows: its nodes from `first_row` on, torch float32 `[k, j, i]`."""
    nodes = tuple(slice(one.start, min(one.stop + 1, size)) for one, size in zip(part, rows.shape))
    at = samples_of(part, axes, first_row)
    found = interpolated(rows[nodes][None], axes, (part[0].start + first_row, part[1].start, part[2].start), at)[0]
    return found.half().float() if as_half else found


def at_samples(cells, axes: Sequence[Axis], part: Part, first_row: int):
    """What a torch mask of cells says at the samples of a box."""
    import torch

    at, starts = samples_of(part, axes, first_row), (first_row, 0, 0)
    for number, (axis, one, start) in enumerate(zip(axes, at, starts)):
        cells = cells.index_select(number, torch.from_numpy(axis.low[one] - start))
    return cells


def labels_by_cells(scores, axes: tuple[Axis, ...], out: np.ndarray, *, as_half: bool, check=lambda: None) -> None:
    """Writes the class of the highest score at each output sample into `out`.

    scores: torch `[class, k, j, i]`. as_half: interpolated scores are rounded to half precision before they are
    compared, as nnU-Net's default does; then equal ones go to the first class. check: called now and then.
    """
    import torch

    nodes = highest(scores, out.dtype)
    mixed = corners(nodes, axes, np.minimum) != corners(nodes, axes, np.maximum)
    spread(nodes, axes, out)
    for rows in chunks(axes, out.shape[1] * out.shape[2]):
        if mixed[rows].any():
            check()
            held = scores[:, rows.start : rows.stop + 1]
            write_borders(held, axes, rows, torch.from_numpy(mixed[rows]), out, as_half, check)


def write_borders(scores, axes: tuple[Axis, ...], rows: slice, mixed, out: np.ndarray, as_half: bool, check) -> None:
    """The labels in the mixed cells of some rows. scores: torch `[class, ...]` of their nodes and of the row after."""
    import torch

    count = rows.stop - rows.start
    least = None  # what the best class has at all corners of a cell
    for one in scores:
        low = cells_of(one.float(), axes, torch.minimum, count)
        least = low if least is None else torch.maximum(least, low, out=least)
    lowest = least[mixed].min()
    at = axes[0].outputs(rows.start, rows.stop)
    best = torch.full(out[at].shape, -torch.inf)
    winner = torch.zeros(best.shape, dtype=torch.int32)
    for number, one in enumerate(scores):
        if one.max() < lowest:
            continue
        check()
        values = one.float()
        able = (cells_of(values, axes, torch.maximum, count) >= least) & mixed
        part = box_around(able)
        if part is not None:
            found = box_scores(values, axes, part, rows.start, as_half)
            place = samples_of(part, axes, rows.start)
            here = (slice(place[0].start - at.start, place[0].stop - at.start), *place[1:])
            better = (found > best[here]) & at_samples(able, axes, part, rows.start)
            best[here] = torch.where(better, found, best[here])
            winner[here].masked_fill_(better, number)
    np.copyto(out[at], winner.numpy(), where=(best > -torch.inf).numpy(), casting="unsafe")


def regions_by_cells(scores, axes: tuple[Axis, ...], out: np.ndarray, *, as_half: bool, check=lambda: None) -> None:
    """The same for one region: true where the sigmoid of its score `[1, k, j, i]` is over a half."""
    import torch

    inside = over_half(scores[0].float()).numpy()
    mixed = torch.from_numpy(corners(inside, axes, np.minimum) != corners(inside, axes, np.maximum))
    spread(inside, axes, out)
    for rows in chunks(axes, out.shape[1] * out.shape[2]):
        check()
        part = box_around(mixed[rows])
        if part is not None:
            values = scores[0, rows.start : rows.stop + 1].float()
            found = over_half(box_scores(values, axes, part, rows.start, as_half))
            border = at_samples(mixed[rows], axes, part, rows.start)
            np.copyto(out[samples_of(part, axes, rows.start)], found.numpy(), where=border.numpy())


def over_half(scores):
    """As nnU-Net decides for regions."""
    return scores.sigmoid() > 0.5

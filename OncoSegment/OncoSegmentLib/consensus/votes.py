"""Reads what all experts say, slab by slab, and counts which combinations of answers occur.

A combination ("pattern") is one answer of each expert: what a rule decides depends on it alone, so a rule looks at the
few thousand patterns that occur and not at 100 million voxels, and nothing of the size labels x volume ever exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from OncoLib.errors import InputError
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.segmentation import Segment
from OncoSegmentLib.consensus.opinions import Opinion

SLAB_VOXELS = 1 << 22
"""About as many voxels are looked at together: temporary arrays stay below 200 MB."""


def slabs(shape_kji: tuple[int, int, int]) -> Iterator[slice]:
    """Spans of slices that cover the grid."""
    step = max(1, SLAB_VOXELS // max(1, shape_kji[1] * shape_kji[2]))
    for start in range(0, shape_kji[0], step):
        yield slice(start, min(start + step, shape_kji[0]))


class Reader:
    """Gives, for one expert, the number of the structure at each voxel (0: none), as far as `numbers` knows its segments."""

    def __init__(self, opinion: Opinion, numbers: dict[Segment, int]) -> None:
        self._layers = opinion.segmentation.layers
        self._tables = []
        for at, layer in enumerate(self._layers):
            wanted = {segment.label: number for segment, number in numbers.items() if segment.layer == at}
            if wanted:
                self._tables.append((at, _table(wanted, layer.dtype)))

    def read(self, span: slice) -> np.ndarray:
        """Numbers uint16 `[k, j, i]` of some slices."""
        found = np.zeros(self._layers[0][span].shape, np.uint16)
        for at, table in self._tables:
            np.maximum(found, table(self._layers[at][span]), out=found)
        return found


def _table(wanted: dict[int, int], kind: np.dtype):
    """A function from labels to numbers; labels that are not wanted give 0, however large they are."""
    if kind in (np.uint8, np.uint16):
        numbers = np.zeros(np.iinfo(kind).max + 1, np.uint16)
        for label, number in wanted.items():
            numbers[label] = number
        return lambda part: numbers[part]
    labels = np.array(sorted(wanted))
    values = np.array([wanted[label] for label in labels.tolist()], np.uint16)

    def look_up(part: np.ndarray) -> np.ndarray:
        at = np.minimum(np.searchsorted(labels, part), len(labels) - 1)
        return np.where(labels[at] == part, values[at], 0).astype(np.uint16)

    return look_up


@dataclass(frozen=True, eq=False)
class Patterns:
    """Combinations of answers that are not the same of all experts, and how often they occur.

    codes: int64, ascending, one for each. answers: `[pattern, expert]` numbers of structures. counts: voxels of each.
    agreed: `[number]` voxels on which all experts give that number.
    """

    codes: np.ndarray
    answers: np.ndarray
    counts: np.ndarray
    agreed: np.ndarray


def check_count(number_count: int, experts: int) -> None:
    """Raises InputError when combinations of so many structures and experts have no 64-bit number."""
    if (number_count + 1) ** experts >= 1 << 63:
        raise InputError(f"{experts} segmentations with {number_count} structures are too many to be fused at once")


def encoded(read: list[np.ndarray], differ: np.ndarray, base: int) -> np.ndarray:
    """One int64 for the answers of all experts at each voxel where they differ."""
    codes = np.zeros(int(np.count_nonzero(differ)), np.int64)
    for part in read:
        codes *= base
        codes += part[differ]
    return codes


def where_different(read: list[np.ndarray]) -> np.ndarray:
    """True where the experts do not all say the same."""
    differ = read[0] != read[1]
    for part in read[2:]:
        differ |= part != read[0]
    return differ


def count_patterns(
    readers: list[Reader],
    shape_kji: tuple[int, int, int],
    number_count: int,
    *,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> Patterns:
    """All combinations of answers with the numbers 0 to `number_count`."""
    check_count(number_count, len(readers))
    base, agreed = number_count + 1, np.zeros(number_count + 1, np.int64)
    codes, counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for span in slabs(shape_kji):
        if cancel is not None:
            cancel.check()
        progress(span.start / shape_kji[0], "Comparing the segmentations")
        read = [reader.read(span) for reader in readers]
        differ = where_different(read)
        agreed += np.bincount(read[0][~differ], minlength=base)
        found, often = np.unique(encoded(read, differ, base), return_counts=True)
        codes, counts = _joined(codes, counts, found, often)
    return Patterns(codes, _answers(codes, base, len(readers)), counts, agreed)


def _joined(codes, counts, more_codes, more_counts) -> tuple[np.ndarray, np.ndarray]:
    """Two tables of codes and counts as one."""
    joined, place = np.unique(np.concatenate([codes, more_codes]), return_inverse=True)
    total = np.bincount(place, weights=np.concatenate([counts, more_counts]), minlength=len(joined))
    return joined, np.rint(total).astype(np.int64)


def _answers(codes: np.ndarray, base: int, experts: int) -> np.ndarray:
    answers = np.zeros((len(codes), experts), np.int64)
    rest = codes.copy()
    for expert in range(experts - 1, -1, -1):
        rest, answers[:, expert] = np.divmod(rest, base)
    return answers


def apply_decisions(readers: list[Reader], patterns: Patterns, agreed: np.ndarray, decided: np.ndarray, into: np.ndarray) -> None:
    """Fills `into[k, j, i]`: `agreed[number]` where all experts give that number, else `decided[pattern]`."""
    base = len(patterns.agreed)
    for span in slabs(into.shape):
        read = [reader.read(span) for reader in readers]
        differ = where_different(read)
        part = agreed[read[0]].astype(into.dtype)
        part[differ] = decided[np.searchsorted(patterns.codes, encoded(read, differ, base))]
        into[span] = part


def overlap_counts(first: Reader, second: Reader, shape_kji, counts: tuple[int, int]) -> np.ndarray:
    """`[first number, second number]` voxels in both, with number 0 for neither."""
    width = counts[1] + 1
    total = np.zeros((counts[0] + 1) * width, np.int64)
    for span in slabs(shape_kji):
        a, b = first.read(span), second.read(span)
        either = (a > 0) | (b > 0)
        total += np.bincount(a[either].astype(np.int64) * width + b[either], minlength=total.size)
    return total.reshape(-1, width)

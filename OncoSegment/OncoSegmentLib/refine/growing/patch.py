"""A mask that is false outside of a box: what an answer costs goes with the structure, not with the image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from OncoSegmentLib.refine.protocol import Part

EMPTY: Part = (slice(0, 0), slice(0, 0), slice(0, 0))


@dataclass(frozen=True, eq=False)
class Patch:
    """box: where on the grid. mask: bool, of the box's shape; false everywhere else."""

    box: Part = EMPTY
    mask: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0), bool))

    @classmethod
    def of(cls, mask: np.ndarray, box: Part) -> Patch:
        """Of a mask of a box, shrunk to what is set."""
        # Along the first axis whole planes are joined at once, and what lies beside them is not looked at again.
        plane = mask.any(axis=0)
        if not plane.any():
            return cls()
        spans = [present(plane.any(axis=1)), present(plane.any(axis=0))]
        inside = (present(mask[:, spans[0], spans[1]].any(axis=(1, 2))), *spans)
        return cls(tuple(slice(b.start + s.start, b.start + s.stop) for b, s in zip(box, inside)), mask[inside].copy())

    def __bool__(self) -> bool:
        return self.mask.size > 0

    @property
    def voxels(self) -> int:
        """How many are set."""
        return int(np.count_nonzero(self.mask))

    def on(self, box: Part) -> np.ndarray:
        """bool of another box's shape."""
        found = np.zeros(shape_of(box), bool)
        low = [max(a.start, b.start) for a, b in zip(self.box, box)]
        high = [min(a.stop, b.stop) for a, b in zip(self.box, box)]
        if self and all(a < b for a, b in zip(low, high)):
            here, there = (tuple(slice(a - s.start, b - s.start) for a, b, s in zip(low, high, base)) for base in (box, self.box))
            found[here] = self.mask[there]
        return found

    def at(self, voxel) -> bool:
        """Whether a voxel (k, j, i) is set."""
        inside = all(s.start <= int(v) < s.stop for v, s in zip(voxel, self.box))
        return bool(inside and self.mask[tuple(int(v) - s.start for v, s in zip(voxel, self.box))])

    def replaced(self, box: Part, mask: np.ndarray) -> Patch:
        """With other content in a box."""
        whole = hull(self.box, box) if self else box
        found = self.on(whole)
        found[inside(box, whole)] = mask
        return Patch.of(found, whole)

    def union(self, other: Patch) -> Patch:
        """Either."""
        return self.replaced(other.box, self.on(other.box) | other.mask) if other else self

    def common(self, other: Patch) -> Patch:
        """Both."""
        return Patch.of(self.mask & other.on(self.box), self.box) if self else self


def present(line: np.ndarray) -> slice:
    """From the first to the last that is set, of a line where some are."""
    found = np.flatnonzero(line)
    return slice(int(found[0]), int(found[-1]) + 1)


def shape_of(box: Part) -> tuple[int, int, int]:
    """Voxels along each axis."""
    return tuple(span.stop - span.start for span in box)


def hull(first: Part, second: Part) -> Part:
    """The smallest box around both."""
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second))


def inside(box: Part, whole: Part) -> Part:
    """A box in the indices of one that holds it."""
    return tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, whole))


def box_around(center_kji, reach_mm: float, spacing_kji_mm, limits: Part, margin: int = 1) -> Part:
    """All voxels within a distance of a center and a margin of voxels, clipped to `limits`; may be empty."""
    spans = []
    for at, step, limit in zip(center_kji, spacing_kji_mm, limits):
        low = max(limit.start, int(np.floor(at - reach_mm / step)) - margin)
        high = min(limit.stop, int(np.ceil(at + reach_mm / step)) + margin + 1)
        spans.append(slice(low, max(low, high)))
    return tuple(spans)

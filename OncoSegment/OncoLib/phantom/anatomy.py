"""What the files of the anatomy share: an organ, and shapes put in place or mirrored."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from OncoLib.phantom.solids import Placed, Union, exact_or_numeric


@dataclass(frozen=True, eq=False)
class Organ:
    """One structure, or one thing that is only drawn.

    solid: its outer surface. fillings: (solid, material) drawn inside of it, in this order. structure: id in our
    terminology, "" when it is drawn without a truth label. layer: 1 for a structure that lies in another one.
    """

    structure: str
    solid: object
    material: str
    fillings: tuple = ()
    layer: int = 0

    @cached_property
    def volume(self) -> tuple[float, str]:
        """Volume in ml and how it was found."""
        return exact_or_numeric(self.solid)


def at(shape, shift_mm, matrix: np.ndarray | None = None) -> Placed:
    """A shape with its origin at a point, unturned, then moved by a matrix."""
    own = np.eye(4)
    own[:3, 3] = shift_mm
    return Placed(shape, own if matrix is None else matrix @ own)


def mirrored(solid):
    """The same on the other side of the midline (x becomes -x)."""
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    if isinstance(solid, Placed):
        return solid.moved(flip)
    if isinstance(solid, Union):
        return Union(tuple(mirrored(part) for part in solid.parts), solid.overlap_mm3)
    return Placed(solid, flip)

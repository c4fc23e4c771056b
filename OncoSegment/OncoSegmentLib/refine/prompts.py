"""What a reader tells an engine: points, boxes, scribbles, lassos. All lie in RAS, so that they outlive a reload and can move.

A prompt is one act of the reader. It says where, and whether that place belongs to the structure (`positive`) or not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from OncoLib.errors import InputError

Ras = tuple[float, float, float]

KINDS = ("point", "box", "scribble", "lasso")


@dataclass(frozen=True)
class Point:
    """A click. ras: mm."""

    ras: Ras
    positive: bool = True

    kind = "point"

    def __post_init__(self) -> None:
        object.__setattr__(self, "ras", place(self.ras))

    def moved(self, to: Callable[[np.ndarray], np.ndarray]) -> Point:
        """At the place that `to` gives; `to` takes and returns RAS points `[n, 3]` in mm."""
        return replace(self, ras=tuple(to(np.array([self.ras]))[0]))


@dataclass(frozen=True)
class Box:
    """A box around the structure, flat (a box drawn in one slice) where one of its edges has no length.

    corners: its eight corners, or four of a flat one, RAS in mm, in any order; so it may lie obliquely. What counts on a grid is
    the smallest box of whole voxels whose centers the corners reach.
    """

    corners: tuple[Ras, ...]
    positive: bool = True

    kind = "box"

    def __post_init__(self) -> None:
        if len(self.corners) not in (4, 8):
            raise InputError(f"a box has {len(self.corners)} corners; wanted 8, or 4 for a flat one")
        object.__setattr__(self, "corners", tuple(place(one) for one in self.corners))

    @classmethod
    def between(cls, low: Ras, high: Ras, positive: bool = True) -> Box:
        """The box with edges along R, A and S between two opposite corners."""
        low, high = place(low), place(high)
        return cls(tuple((x, y, z) for z in (low[2], high[2]) for y in (low[1], high[1]) for x in (low[0], high[0])), positive)

    def moved(self, to: Callable[[np.ndarray], np.ndarray]) -> Box:
        """With its corners where `to` (as of `Point.moved`) gives them."""
        return replace(self, corners=tuple(map(tuple, to(np.array(self.corners)))))


@dataclass(frozen=True)
class Scribble:
    """A stroke. path: RAS points in mm as drawn, two at least. radius_mm: half its width; 0 marks the voxels it crosses."""

    path: tuple[Ras, ...]
    radius_mm: float = 0.0
    positive: bool = True

    kind = "scribble"

    def __post_init__(self) -> None:
        if len(self.path) < 2:
            raise InputError(f"a scribble has {len(self.path)} points; wanted 2 or more")
        if not (math.isfinite(self.radius_mm) and self.radius_mm >= 0):
            raise InputError(f"a scribble has a radius of {self.radius_mm} mm; wanted 0 or more")
        object.__setattr__(self, "path", tuple(place(one) for one in self.path))

    def moved(self, to: Callable[[np.ndarray], np.ndarray]) -> Scribble:
        """Along the path that `to` (as of `Point.moved`) gives."""
        return replace(self, path=tuple(map(tuple, to(np.array(self.path)))))


@dataclass(frozen=True)
class Lasso:
    """A closed line around the structure in one slice, obliquely too. outline: RAS points in mm, three at least."""

    outline: tuple[Ras, ...]
    positive: bool = True

    kind = "lasso"

    def __post_init__(self) -> None:
        if len(self.outline) < 3:
            raise InputError(f"a lasso has {len(self.outline)} points; wanted 3 or more")
        object.__setattr__(self, "outline", tuple(place(one) for one in self.outline))

    def moved(self, to: Callable[[np.ndarray], np.ndarray]) -> Lasso:
        """With the outline that `to` (as of `Point.moved`) gives."""
        return replace(self, outline=tuple(map(tuple, to(np.array(self.outline)))))


Prompt = Point | Box | Scribble | Lasso


def place(values) -> Ras:
    """Three finite numbers, in mm; InputError otherwise."""
    try:
        found = tuple(float(one) for one in values)
    except (TypeError, ValueError):
        found = ()
    if len(found) != 3 or not all(map(math.isfinite, found)):
        raise InputError(f"{values!r} is no place in the patient; wanted three numbers R, A, S in mm")
    return found


def as_dict(prompt: Prompt) -> dict:
    """JSON-ready; `from_dict` reads it."""
    values = {key: getattr(prompt, key) for key in prompt.__dataclass_fields__}
    return {"kind": prompt.kind, **{key: listed(value) for key, value in values.items()}}


def listed(value):
    """Tuples as lists, as JSON has them."""
    return [listed(one) for one in value] if isinstance(value, tuple) else value


def from_dict(values: dict) -> Prompt:
    """The prompt that `as_dict` described; InputError for anything else."""
    kinds = {kind.kind: kind for kind in (Point, Box, Scribble, Lasso)}
    kind = kinds.get(values.get("kind")) if isinstance(values, dict) else None
    if kind is None:
        told = values.get("kind") if isinstance(values, dict) else values
        raise InputError(f"a prompt is of kind {told!r}; wanted one of {', '.join(KINDS)}")
    fields = {key: value for key, value in values.items() if key != "kind"}
    strange = sorted(set(fields) - set(kind.__dataclass_fields__))
    if strange:
        raise InputError(f"a {kind.kind} prompt has {strange[0]!r}; wanted {', '.join(kind.__dataclass_fields__)}")
    if not isinstance(fields.get("positive", True), bool):
        raise InputError(f"a {kind.kind} prompt is positive: {fields['positive']!r}; wanted true or false")
    try:
        return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()})
    except TypeError as error:
        raise InputError(f"a {kind.kind} prompt lacks values; wanted {', '.join(kind.__dataclass_fields__)}") from error

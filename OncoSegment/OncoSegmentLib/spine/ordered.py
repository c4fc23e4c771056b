"""The column in the order of its curve, with the spacing and volume that the surroundings of each vertebra lead to expect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, wraps

import numpy as np

from OncoSegmentLib.spine.bodies import Body, Column
from OncoSegmentLib.spine.curve import Curve, fit_curve
from OncoSegmentLib.spine.levels import rank

ODD = ("C1", "C2")
"""A ring without body, and a body with the dens: their sizes say nothing of their neighbors'."""

REACH = 3
"""Vertebrae on each side that are the surroundings."""

SAME_BODY, ROOM = 0.5, 1.5
"""Share of the spacing below which two centroids are of one vertebra, and from which there is room for one in between."""


@dataclass(frozen=True, eq=False)
class Ordered:
    """bodies: from the head down along `curve`. memory: what `once` keeps."""

    column: Column
    bodies: tuple[Body, ...]
    curve: Curve
    memory: dict = field(default_factory=dict)

    @cached_property
    def gaps_mm(self) -> np.ndarray:
        """Distance of each centroid to the next one below."""
        centers = np.array([one.center_ras_mm for one in self.bodies])
        return np.linalg.norm(np.diff(centers, axis=0), axis=1)

    def usable_gap(self, at: int) -> bool:
        """True for a gap between two vertebrae that are whole and not C1."""
        pair = self.bodies[at : at + 2]
        return not any(one.cut or one.level == "C1" for one in pair)

    def expected_gap_mm(self, at: int) -> float | None:
        """Median of the gaps around one (itself left out), those that are one step; None when there is none."""
        near = [
            float(self.gaps_mm[other])
            for other in range(max(0, at - REACH), min(len(self.gaps_mm), at + REACH + 1))
            if other != at and self.usable_gap(other)
        ]
        return float(np.median(near)) if near else None

    def gap_ratio(self, at: int) -> float | None:
        """A gap over what its surroundings lead to expect; None when they tell nothing, as where each body is there twice."""
        expected = self.expected_gap_mm(at)
        return None if not expected else float(self.gaps_mm[at]) / expected

    def expected_volume_ml(self, *places: int) -> float | None:
        """Median volume of whole vertebrae around these; None when there is none."""
        low, high = min(places) - REACH + 1, max(places) + REACH
        near = [
            self.bodies[at].volume_ml
            for at in range(max(0, low), min(len(self.bodies), high))
            if at not in places and not self.bodies[at].cut and self.bodies[at].level not in ODD
        ]
        return float(np.median(near)) if near else None

    @cached_property
    def spacing_mm(self) -> float | None:
        """Median of all usable gaps, else of all."""
        usable = [gap for at, gap in enumerate(self.gaps_mm) if self.usable_gap(at)] or list(self.gaps_mm)
        return float(np.median(usable)) if usable else None


def once(work: Callable[[Ordered], object]):
    """Work on a column that several checks need and that is done once."""

    @wraps(work)
    def kept(found: Ordered):
        if work not in found.memory:
            found.memory[work] = work(found)
        return found.memory[work]

    return kept


def ordered_of(column: Column) -> Ordered:
    """The column along its curve; it has at least two vertebrae."""
    centers = np.array([one.center_ras_mm for one in column.bodies])
    curve = fit_curve(centers, np.array([rank(one.level) for one in column.bodies]))
    return Ordered(column, tuple(column.bodies[at] for at in curve.order), curve)


@dataclass(frozen=True, eq=False)
class Slot:
    """One vertebra in space, whatever labels it has: several where it has two, none where there is room for one."""

    bodies: tuple[Body, ...]

    @property
    def levels(self) -> tuple[str, ...]:
        """Labels that are there."""
        return tuple(one.level for one in self.bodies)


def slots_of(found: Ordered) -> list[Slot]:
    """From the head down: bodies on one place together, an empty slot for each vertebra that there is room for."""
    slots = [Slot((found.bodies[0],))]
    for at, body in enumerate(found.bodies[1:]):
        ratio = found.gap_ratio(at) if found.usable_gap(at) else None
        if ratio is not None and ratio < SAME_BODY:
            slots[-1] = Slot((*slots[-1].bodies, body))
            continue
        empty = 0 if ratio is None or ratio < ROOM else min(int(round(ratio)), 6) - 1
        slots += [Slot(())] * empty + [Slot((body,))]
    return slots

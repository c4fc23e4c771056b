"""Analytic shapes: membership, bounding box, exact volume and longest diameter. Composites are in `solids.py`.

Every shape has a function `signed(x, y, z)` in mm: at most 0 inside, above 0 outside, and 1-Lipschitz (two points d mm
apart differ by at most d), so that |signed| never exceeds the distance to the surface. A voxel whose value is farther
from 0 than its half diagonal therefore lies wholly inside or wholly outside. The largest or smallest of such functions
has the same property, which is what makes cuts and unions simple.

Coordinates are mm in the shape's own frame, centered on its origin; arrays broadcast. Volumes are mm3.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import acos, atan2, cos, hypot, pi, radians, sin, sqrt

import numpy as np

from OncoLib.errors import InputError


def require_positive(what: str, *sizes: float) -> None:
    """Raises InputError unless all sizes are finite and above 0."""
    for size in sizes:
        if not (np.isfinite(size) and size > 0):
            raise InputError(f"the {what} has a size of {size} mm; wanted a positive number")


def radius(x, y, half_x: float, half_y: float):
    """1-Lipschitz function of an elliptic cylinder: the scaled radius less 1, times the smaller half axis."""
    return (np.sqrt((x * (1 / half_x)) ** 2 + (y * (1 / half_y)) ** 2) - 1) * min(half_x, half_y)


@dataclass(frozen=True)
class Ellipsoid:
    """Half axes along x, y, z; a sphere when they are equal."""

    half_mm: tuple[float, float, float]

    def __post_init__(self) -> None:
        require_positive("ellipsoid", *self.half_mm)

    def signed(self, x, y, z):
        """See the module; the map to the unit sphere stretches by at most 1 / smallest half axis."""
        a, b, c = self.half_mm
        return (np.sqrt((x * (1 / a)) ** 2 + (y * (1 / b)) ** 2 + (z * (1 / c)) ** 2) - 1) * min(self.half_mm)

    @property
    def bounds_mm(self) -> np.ndarray:
        """3x2 lower and upper corner."""
        return np.outer(self.half_mm, (-1.0, 1.0))

    @property
    def volume_mm3(self) -> float:
        """4/3 pi a b c."""
        return 4 / 3 * pi * float(np.prod(self.half_mm))

    @property
    def longest_diameter_mm(self) -> float:
        """Twice the largest half axis."""
        return 2 * max(self.half_mm)


def sphere(radius_mm: float) -> Ellipsoid:
    """A sphere."""
    return Ellipsoid((radius_mm,) * 3)


@dataclass(frozen=True)
class EllipticCylinder:
    """Elliptic cylinder along z, from -height/2 to height/2, with a flat back at y = -back * half_y (1: no flat)."""

    half_x_mm: float
    half_y_mm: float
    height_mm: float
    back: float = 1.0

    def __post_init__(self) -> None:
        require_positive("cylinder", self.half_x_mm, self.half_y_mm, self.height_mm)
        if not -1 < self.back <= 1:
            raise InputError(f"the flat back of a cylinder is at {self.back} half axes; wanted more than -1, at most 1")

    def signed(self, x, y, z):
        """See the module."""
        inside = np.maximum(radius(x, y, self.half_x_mm, self.half_y_mm), np.abs(z) - self.height_mm / 2)
        return inside if self.back == 1 else np.maximum(inside, -self.back * self.half_y_mm - y)

    @property
    def bounds_mm(self) -> np.ndarray:
        """3x2 lower and upper corner."""
        a, b, half = self.half_x_mm, self.half_y_mm, self.height_mm / 2
        return np.array([(-a, a), (-self.back * b, b), (-half, half)])

    @property
    def volume_mm3(self) -> float:
        """Area of the ellipse less the segment behind the flat back, times height.

        A chord at distance c from the center of the unit circle cuts off acos(c) - c sqrt(1 - c^2); the ellipse scales it.
        """
        segment = acos(self.back) - self.back * sqrt(1 - self.back**2)
        return self.half_x_mm * self.half_y_mm * (pi - segment) * self.height_mm

    @property
    def longest_diameter_mm(self) -> float | None:
        """Between opposite points of the two rims; None with a flat back that cuts the longest axis of the ellipse."""
        if self.back != 1 and (self.half_y_mm > self.half_x_mm or self.back < 0):
            return None
        return hypot(2 * max(self.half_x_mm, self.half_y_mm), self.height_mm)


@dataclass(frozen=True)
class EllipticFrustum:
    """Half axes that change linearly along z, from `lower_mm` (x, y) at -height/2 to `upper_mm` at height/2."""

    lower_mm: tuple[float, float]
    upper_mm: tuple[float, float]
    height_mm: float

    def __post_init__(self) -> None:
        require_positive("frustum", *self.lower_mm, *self.upper_mm, self.height_mm)

    def signed(self, x, y, z):
        """See the module: the scaled radius times the smallest half axis, made smaller by the slope of the wall."""
        share = np.clip(z * (1 / self.height_mm) + 0.5, 0, 1)
        a = self.lower_mm[0] + share * (self.upper_mm[0] - self.lower_mm[0])
        b = self.lower_mm[1] + share * (self.upper_mm[1] - self.lower_mm[1])
        q = np.minimum(np.sqrt((x / a) ** 2 + (y / b) ** 2), 2.0)
        return np.maximum((q - 1) * self._scale, np.abs(z) - self.height_mm / 2)

    @property
    def _scale(self) -> float:
        """1 / largest gradient of min(q, 2): across it is at most 1/m, along z at most q <= 2 times slope / half axis."""
        smallest = min(*self.lower_mm, *self.upper_mm)
        slopes = [abs(up - low) / self.height_mm / min(low, up) for low, up in zip(self.lower_mm, self.upper_mm)]
        return 1 / hypot(1 / smallest, 2 * max(slopes))

    @property
    def bounds_mm(self) -> np.ndarray:
        """3x2 lower and upper corner."""
        a, b = (max(pair) for pair in zip(self.lower_mm, self.upper_mm))
        return np.outer((a, b, self.height_mm / 2), (-1.0, 1.0))

    @property
    def volume_mm3(self) -> float:
        """Integral of pi a(z) b(z): pi h / 6 (2 a0 b0 + a0 b1 + a1 b0 + 2 a1 b1)."""
        (a0, b0), (a1, b1) = self.lower_mm, self.upper_mm
        return pi * self.height_mm / 6 * (2 * a0 * b0 + a0 * b1 + a1 * b0 + 2 * a1 * b1)

    @property
    def longest_diameter_mm(self) -> float | None:
        """Across the wider rim or from rim to rim; None when the longer axis changes from one rim to the other."""
        (a0, b0), (a1, b1) = self.lower_mm, self.upper_mm
        if (a0 - b0) * (a1 - b1) < 0:
            return None
        low, up = max(a0, b0), max(a1, b1)
        return max(2 * low, 2 * up, hypot(low + up, self.height_mm))


@dataclass(frozen=True)
class Box:
    """Half sides along x, y, z of a core that is rounded by `rounding_mm` (outside of the half sides)."""

    half_mm: tuple[float, float, float]
    rounding_mm: float = 0.0

    def __post_init__(self) -> None:
        require_positive("box", *self.half_mm)
        if not self.rounding_mm >= 0:
            raise InputError(f"the rounding of a box is {self.rounding_mm} mm; wanted 0 or more")

    def signed(self, x, y, z):
        """See the module: exact distance of a box (outside the length of what exceeds the half sides)."""
        over = [np.abs(axis) - half for axis, half in zip((x, y, z), self.half_mm)]
        nearest = np.maximum(np.maximum(over[0], over[1]), over[2])
        if self.rounding_mm == 0:
            return nearest
        outside = np.sqrt(sum(np.maximum(axis, 0) ** 2 for axis in over))
        return outside + np.minimum(nearest, 0) - self.rounding_mm

    @property
    def bounds_mm(self) -> np.ndarray:
        """3x2 lower and upper corner."""
        return np.outer(np.add(self.half_mm, self.rounding_mm), (-1.0, 1.0))

    @property
    def volume_mm3(self) -> float:
        """Steiner's formula for a box of sides a, b, c rounded by r: abc + 2(ab+bc+ca)r + pi(a+b+c)r^2 + 4/3 pi r^3."""
        (a, b, c), r = (2 * half for half in self.half_mm), self.rounding_mm
        return a * b * c + 2 * (a * b + b * c + c * a) * r + pi * (a + b + c) * r**2 + 4 / 3 * pi * r**3

    @property
    def longest_diameter_mm(self) -> float:
        """Diagonal of the core and the rounding at both ends."""
        return 2 * float(np.linalg.norm(self.half_mm)) + 2 * self.rounding_mm


@dataclass(frozen=True)
class HalfRing:
    """Half of an annulus around z on the side y <= 0, from -height/2 to height/2."""

    inner_mm: float
    outer_mm: float
    height_mm: float

    def __post_init__(self) -> None:
        require_positive("half ring", self.inner_mm, self.outer_mm - self.inner_mm, self.height_mm)

    def signed(self, x, y, z):
        """See the module."""
        rho = np.sqrt(x**2 + y**2)
        middle, half = (self.outer_mm + self.inner_mm) / 2, (self.outer_mm - self.inner_mm) / 2
        return np.maximum(np.maximum(np.abs(rho - middle) - half, y), np.abs(z) - self.height_mm / 2)

    @property
    def bounds_mm(self) -> np.ndarray:
        """3x2 lower and upper corner."""
        outer, half = self.outer_mm, self.height_mm / 2
        return np.array([(-outer, outer), (-outer, 0.0), (-half, half)])

    @property
    def volume_mm3(self) -> float:
        """Half of pi (R^2 - r^2) h."""
        return pi / 2 * (self.outer_mm**2 - self.inner_mm**2) * self.height_mm

    @property
    def longest_diameter_mm(self) -> float:
        """From end to end of the half ring, top to bottom."""
        return hypot(2 * self.outer_mm, self.height_mm)


@dataclass(frozen=True)
class TorusArc:
    """A tube of `tube_mm` along a circle of `ring_mm` in the xy plane, between two angles (degrees from x towards y)."""

    ring_mm: float
    tube_mm: float
    start_degrees: float
    stop_degrees: float

    def __post_init__(self) -> None:
        require_positive("torus", self.tube_mm, self.ring_mm - self.tube_mm)
        if not 0 < self.stop_degrees - self.start_degrees <= 360:
            raise InputError(f"a torus arc from {self.start_degrees} to {self.stop_degrees} degrees; wanted 0 to 360 in all")

    def signed(self, x, y, z):
        """See the module: exact distance to the full tube, cut by the planes of both ends."""
        tube = np.sqrt((np.sqrt(x**2 + y**2) - self.ring_mm) ** 2 + z**2) - self.tube_mm
        span = self.stop_degrees - self.start_degrees
        if span == 360:
            return tube
        first, last = radians(self.start_degrees), radians(self.stop_degrees)
        before, after = x * sin(first) - y * cos(first), y * cos(last) - x * sin(last)
        return np.maximum(tube, np.maximum(before, after) if span <= 180 else np.minimum(before, after))

    @property
    def bounds_mm(self) -> np.ndarray:
        """3x2 lower and upper corner: the ends, and where the arc passes an axis."""
        turns = range(int(np.ceil(self.start_degrees / 90)), int(np.floor(self.stop_degrees / 90)) + 1)
        angles = np.radians([self.start_degrees, self.stop_degrees, *(90 * turn for turn in turns)])
        points = np.outer((self.ring_mm - self.tube_mm, self.ring_mm + self.tube_mm), np.stack([np.cos(angles), np.sin(angles)]))
        x, y = points[:, : len(angles)], points[:, len(angles) :]
        return np.array([(x.min(), x.max()), (y.min(), y.max()), (-self.tube_mm, self.tube_mm)])

    @property
    def volume_mm3(self) -> float:
        """Pappus: area of the section times the way of its center."""
        return pi * self.tube_mm**2 * self.ring_mm * radians(self.stop_degrees - self.start_degrees)

    @property
    def longest_diameter_mm(self) -> float:
        """From 180 degrees on across the ring; below, between points of the two end discs, found by setting the slope to 0.

        Points at radius p and heights +-z of the discs (p - R)^2 + z^2 = r^2, 2 alpha apart, are
        2 sqrt(p^2 sin^2 alpha + r^2 - (p - R)^2) from each other: largest at p = R / cos^2 alpha, at most R + r.
        """
        ring, tube = self.ring_mm, self.tube_mm
        alpha = radians(self.stop_degrees - self.start_degrees) / 2
        if alpha >= pi / 2:
            return 2 * (ring + tube)
        p = min(ring / cos(alpha) ** 2, ring + tube)
        return 2 * sqrt((p * sin(alpha)) ** 2 + tube**2 - (p - ring) ** 2)


def segment_area(radius_mm: float, half_chord_mm: float) -> float:
    """Area in mm2 between a chord of a circle and its shorter arc: R^2 asin(w/R) - w sqrt(R^2 - w^2)."""
    sagitta = sqrt(radius_mm**2 - half_chord_mm**2)
    return radius_mm**2 * atan2(half_chord_mm, sagitta) - half_chord_mm * sagitta

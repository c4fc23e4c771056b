"""The spine: C1 to L5 with body, pedicles, arch, transverse and spinous process, discs, and a sacrum.

Lengths and angles are round values of our own choice in the range of adults, made to grow caudally; they stand for no
person and no atlas. All pieces of a vertebra meet in planes or overlap in a known segment, so that its volume is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from OncoLib.errors import InputError
from OncoLib.phantom.anatomy import Organ, at
from OncoLib.phantom.shapes import Box, EllipticCylinder, EllipticFrustum, HalfRing, segment_area
from OncoLib.phantom.solids import Placed, Union, along, rigid

BACK = 0.45
"""Flat posterior wall of a body, in half depths behind its center."""

SACRAL_SLOPE_DEGREES = 40.0
SHELL_MM = 1.3
SACRUM_MM, S1_MM = 105.0, 30.0

SIZES = {
    # level: half width, half depth, height, disc below, tilt in degrees (the upper end leans to the front), arch height
    "C2": (12.0, 8.0, 17.0, 5.0, -2.0, 9.0),
    "C3": (12.2, 8.2, 13.0, 5.0, 1.0, 9.0),
    "C7": (14.2, 9.0, 14.5, 5.0, 22.0, 11.0),
    "T1": (14.6, 9.2, 16.0, 4.0, 22.0, 12.0),
    "T6": (15.5, 12.5, 19.5, 4.5, 4.0, 14.0),
    "T12": (20.0, 15.0, 24.0, 6.0, -17.0, 17.0),
    "L1": (21.0, 15.5, 25.5, 8.0, -14.0, 18.0),
    "L3": (23.0, 16.5, 27.0, 10.0, 0.0, 19.0),
    "L5": (25.5, 17.5, 28.0, 11.0, 25.0, 19.0),
}
PROCESSES = {
    # level: inner radius of the arch, its thickness, pedicle length, transverse length, its slope to the back,
    # spinous length, half width, height, droop (mm down a mm back)
    "C2": (8.5, 4.0, 5.0, 7.0, 0.1, 17.0, 4.0, 7.0, 0.3),
    "C6": (8.5, 4.0, 5.0, 9.0, 0.1, 15.0, 2.5, 6.0, 0.4),
    "T1": (8.3, 4.2, 5.5, 14.0, 0.5, 24.0, 2.8, 8.0, 0.4),
    "T6": (8.0, 4.5, 6.0, 15.0, 0.6, 24.0, 2.6, 8.0, 1.1),
    "T12": (9.5, 5.5, 7.0, 9.0, 0.4, 22.0, 3.0, 13.0, 0.3),
    "L1": (10.5, 6.5, 7.5, 16.0, 0.1, 25.0, 3.2, 15.0, 0.15),
    "L5": (11.0, 7.5, 7.5, 20.0, 0.1, 21.0, 3.4, 14.0, 0.15),
}
COUNTS = {"C": 7, "T": 12, "L": 5}


@dataclass(frozen=True)
class Vertebra:
    """One level with its sizes in mm and its frame: the origin in the middle of the body, z along its axis."""

    level: str
    matrix: np.ndarray
    half_x: float
    half_y: float
    height: float

    @property
    def structure(self) -> str:
        """Id in our terminology."""
        return f"vertebra_{self.level.lower()}"

    @property
    def center_mm(self) -> np.ndarray:
        """Middle of the body in the patient frame."""
        return self.matrix[:3, 3]


def levels(thoracic: int = 12, lumbar: int = 5) -> list[str]:
    """Levels from C1 down; InputError for a count that is not seen in people (11 to 13 thoracic, 4 to 6 lumbar)."""
    if not (11 <= thoracic <= 13 and 4 <= lumbar <= 6):
        raise InputError(f"{thoracic} thoracic and {lumbar} lumbar vertebrae; wanted 11 to 13 and 4 to 6")
    counts = {**COUNTS, "T": thoracic, "L": lumbar}
    return [f"{region}{number}" for region, count in counts.items() for number in range(1, count + 1)]


def position(level: str) -> float:
    """Place of a level on one scale from C1 = 0 down to L5 = 23; T13 lies between T12 and L1, L6 is as L5."""
    region, number = level[0], int(level[1:])
    if region == "T" and number == 13:
        return 18.5
    return {"C": 0, "T": 7, "L": 19}[region] + min(number, 5 if region == "L" else number) - 1


def between(table: dict[str, tuple[float, ...]], level: str) -> tuple[float, ...]:
    """Values of a level, interpolated between the levels of a table."""
    knots = [position(name) for name in table]
    return tuple(float(np.interp(position(level), knots, column)) for column in zip(*table.values()))


def vertebrae(thoracic: int = 12, lumbar: int = 5) -> list[Vertebra]:
    """All levels from C1 down, set up from the sacrum: the upper end plate of S1 is the origin of the patient frame."""
    found, foot, squeeze = [], np.zeros(3), length_mm(12, 5) / length_mm(thoracic, lumbar)
    tilt_below = SACRAL_SLOPE_DEGREES
    for level in reversed(levels(thoracic, lumbar)[1:]):
        half_x, half_y, height, disc, tilt, _ = between(SIZES, level)
        height, disc = height * squeeze, disc * squeeze
        foot = foot + disc * axis_of((tilt + tilt_below) / 2)
        center = foot + height / 2 * axis_of(tilt)
        found.append(Vertebra(level, rigid((-tilt, 0, 0), tuple(center)), half_x, half_y, height))
        foot, tilt_below = foot + height * axis_of(tilt), tilt
    found.append(atlas(found[-1]))
    return found[::-1]


def length_mm(thoracic: int, lumbar: int) -> float:
    """Length of all bodies and discs below C1; a spine with more of them has lower ones, so that the trunk stays as it is."""
    return sum(sum(between(SIZES, level)[2:4]) for level in levels(thoracic, lumbar)[1:])


def axis_of(tilt_degrees: float) -> np.ndarray:
    """Unit vector up the axis of a vertebra that leans to the front by an angle."""
    angle = np.radians(tilt_degrees)
    return np.array([0.0, np.sin(angle), np.cos(angle)])


ATLAS_RING = (13.0, 18.5, 10.0)
"""Inner and outer radius and height of C1."""

DENS = (5.0, 5.0, 16.0)
"""Half width, half depth and height of the dens of C2."""


def atlas(axis: Vertebra) -> Vertebra:
    """C1: its frame is the middle of its ring, which holds the dens in its front part."""
    inner, _, height = ATLAS_RING
    shift = np.eye(4)
    shift[:3, 3] = (0, DENS[1] + 2 - inner, axis.height / 2 + 3 + height / 2)
    return Vertebra("C1", axis.matrix @ shift, ATLAS_RING[1], ATLAS_RING[1], height)


def organs(column: list[Vertebra]) -> list[Organ]:
    """Vertebrae with their cortical shell, discs below them (drawn only), sacrum and S1."""
    discs = [disc(lower, upper) for upper, lower in zip(column[1:], column[2:])]
    vertebral = [vertebra_organ(one) for one in column]
    return [*canal(column), *discs, lumbosacral_disc(column[-1]), *sacrum(), *vertebral]


def canal(column: list[Vertebra]) -> list[Organ]:
    """Thecal sac with the cord down to L1, from arch to arch; drawn only."""
    centers = [(one.matrix @ (0, -BACK * one.half_y - between(PROCESSES, one.level)[2], 0, 1))[:3] for one in column[1:]]
    centers = [column[0].center_mm + (0, -4, 6), *centers]
    found = []
    for one, top, foot in zip(column, centers, centers[1:]):
        sac = EllipticCylinder(8.0, 7.0, float(np.linalg.norm(foot - top)) + 2)
        found.append(Organ("", Placed(sac, along(top, foot)), "cerebrospinal fluid"))
        if one.level[0] != "L":
            cord = EllipticCylinder(5.5, 4.0, sac.height_mm)
            found.append(Organ("", Placed(cord, along(top, foot)), "brain"))
    return found


def vertebra_organ(one: Vertebra) -> Organ:
    """A vertebra: bone, with trabecular bone inside its body."""
    if one.level == "C1":
        return Organ(one.structure, Union(atlas_parts(one), atlas_overlap()), "bone")
    inner = EllipticCylinder(one.half_x - SHELL_MM, one.half_y - SHELL_MM, one.height - 2 * SHELL_MM, BACK)
    parts, overlap = vertebra_parts(one)
    return Organ(one.structure, Union(parts, overlap), "bone", ((Placed(inner, one.matrix), "trabecular bone"),))


def body(one: Vertebra) -> Placed:
    """The vertebral body: a lesion's host."""
    return Placed(EllipticCylinder(one.half_x, one.half_y, one.height, BACK), one.matrix)


def vertebra_parts(one: Vertebra) -> tuple[tuple[Placed, ...], float]:
    """Pieces of C2 and below, and the volume in mm3 that the sum of theirs counts twice."""
    inner, thick, pedicle, transverse, slope, length, half_width, spinous_height, droop = between(PROCESSES, one.level)
    arch = between(SIZES, one.level)[5]
    wall, outer, lift = -BACK * one.half_y, inner + thick, one.height * 0.12
    middle = wall - pedicle
    parts = [body(one), at(HalfRing(inner, outer, arch), (0, middle, lift), one.matrix)]
    for side in (-1, 1):
        own = Box((thick / 2, pedicle / 2, arch * 0.4))
        parts.append(at(own, (side * (inner + thick / 2), wall - pedicle / 2, lift), one.matrix))
        own = Box((transverse / 2, pedicle * 0.45, arch * 0.22))
        start = np.array((side * outer, wall - pedicle / 2, lift))
        parts.append(sheared(own, start, side * transverse / 2, 0, 1, -slope * side, one.matrix))
    chord = np.sqrt(outer**2 - half_width**2)
    own, start = Box((half_width, length / 2, spinous_height / 2)), np.array((0, middle - chord, lift))
    parts.append(sheared(own, start, -length / 2, 1, 2, droop, one.matrix))
    if one.level == "C2":
        parts.append(at(EllipticCylinder(*DENS), (0, 0, (one.height + DENS[2]) / 2), one.matrix))
    return tuple(parts), segment_area(outer, half_width) * spinous_height


def sheared(shape: Box, start: np.ndarray, half: float, axis: int, drift: int, slope: float, frame: np.ndarray) -> Placed:
    """A box that grows from a face at `start` along an axis, and drifts by `slope` mm a mm along another: volume unchanged."""
    shear = np.eye(4)
    shear[drift, axis] = slope
    out, to_start = np.eye(4), np.eye(4)
    out[axis, 3], to_start[:3, 3] = half, start
    return Placed(shape, frame @ to_start @ shear @ out)


LATERAL_MASS = (7.0, 14.0, 8.0)
"""Half depth, length and height of the masses at both sides of C1."""


def atlas_parts(one: Vertebra) -> tuple[Placed, ...]:
    """Two half rings, and a lateral mass on each side that sits on them by a chord."""
    ring = HalfRing(*ATLAS_RING)
    half_depth, length, height = LATERAL_MASS
    chord = np.sqrt(ATLAS_RING[1] ** 2 - half_depth**2)
    own = Box((length / 2, half_depth, height / 2))
    masses = [at(own, (side * (chord + length / 2), 0, 0), one.matrix) for side in (-1, 1)]
    return (Placed(ring, one.matrix), Placed(ring, one.matrix @ np.diag([-1.0, -1, 1, 1])), *masses)


def atlas_overlap() -> float:
    """Both masses overlap the ring in a segment of a circle, in mm3."""
    return 2 * segment_area(ATLAS_RING[1], LATERAL_MASS[0]) * LATERAL_MASS[2]


def disc(lower: Vertebra, upper: Vertebra) -> Organ:
    """The disc between two bodies: drawn before them, so it fills the wedge."""
    top, foot = end_plate(lower, 1), end_plate(upper, -1)
    middle, height = (top + foot) / 2, float(np.linalg.norm(foot - top))
    return disc_at(middle, foot - top, (upper.half_x + lower.half_x) / 2, (upper.half_y + lower.half_y) / 2, height)


def disc_at(middle, direction, half_x: float, half_y: float, height: float) -> Organ:
    """A disc of two thirds of a wedge more than its height: the bodies are drawn over what is too much."""
    tilt = np.degrees(np.arctan2(direction[1], direction[2]))
    shape = EllipticCylinder(half_x - 0.5, half_y - 0.5, height + 3.0, BACK)
    return Organ("", Placed(shape, rigid((-tilt, 0, 0), tuple(middle))), "disc")


def lumbosacral_disc(lowest: Vertebra) -> Organ:
    """The disc on S1."""
    top = end_plate(lowest, -1)
    return disc_at(top / 2, top, lowest.half_x, lowest.half_y, float(np.linalg.norm(top)))


def end_plate(one: Vertebra, side: int) -> np.ndarray:
    """Middle of the upper (1) or lower (-1) end plate in the patient frame."""
    return (one.matrix @ np.array([0, 0, side * one.height / 2, 1]))[:3]


def sacrum() -> list[Organ]:
    """The sacrum, a tapered elliptic frustum below the origin, and S1, its upper part, as a structure inside of it."""
    top, bottom = (48.0, 18.0), (13.0, 6.0)
    share = S1_MM / SACRUM_MM
    middle = tuple(up + share * (low - up) for up, low in zip(top, bottom))
    frame = rigid((-SACRAL_SLOPE_DEGREES, 0, 0))
    whole = at(EllipticFrustum(bottom, top, SACRUM_MM), (0, 0, -SACRUM_MM / 2), frame)
    first = at(EllipticFrustum(middle, top, S1_MM), (0, 0, -S1_MM / 2), frame)
    inner = at(EllipticFrustum((11.0, 4.5), (46.0, 16.5), SACRUM_MM - 3), (0, 0, -SACRUM_MM / 2), frame)
    return [
        Organ("sacrum", whole, "bone", ((inner, "trabecular bone"),)),
        Organ("vertebra_s1", first, "", layer=1),
    ]

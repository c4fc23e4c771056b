"""Rib cage, lungs, heart and great vessels. Sizes are round values of our own choice; see `spine.py`.

The rib cage of each side is an ellipsoid. A rib follows the ellipse in which a tilted plane cuts it; the lung is a
smaller ellipsoid of the same center, without mediastinum, heart and the dome of the diaphragm.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from OncoLib.errors import InputError
from OncoLib.phantom.anatomy import Organ, at, mirrored
from OncoLib.phantom.shapes import Box, Ellipsoid, EllipticCylinder, TorusArc, sphere
from OncoLib.phantom.solids import Difference, HalfSpace, Placed, Union, along, rigid, scaled

CAGE_CENTER_MM, CAGE_HALF_MM = (46.0, 16.0, 205.0), (98.0, 82.0, 290.0)
"""Right side; the left is its mirror image."""

PLEURA_MM = 10.0
"""The lung's half axes are smaller than the cage's by this, so that ribs stay outside of it."""

RIB_TUBE_MM, RIB_FLATNESS = 3.4, 1.7
"""Half thickness of a rib, and how much higher than thick it is."""

RIB_TILT_DEGREES = (24.0, 28.0)
"""Descent of the first and the twelfth rib from back to front."""

RIB_STOP_DEGREES = (62, 66, 68, 70, 68, 64, 58, 50, 40, 28, -8, -42)
"""Where the bone of each rib ends in front, as an angle from lateral on its ellipse."""

RIB_START_DEGREES = -104.0
PARASPINAL = (46.0, 47.0)
"""Half width and half depth of the column that holds spine and muscles, free of lung."""

HEART_CENTER_MM, HEART_HALF_MM, HEART_TURN = (-26.0, 67.0, 312.0), (50.0, 32.0, 46.0), (0.0, 28.0, 20.0)
AORTA_MM, AORTA_ARCH_Z_MM = 11.5, 385.0
RIGHT_DOME = ((64.0, 34.0, 178.0), (84.0, 76.0, 98.0))
LEFT_DOME = ((-72.0, 22.0, 172.0), (82.0, 82.0, 96.0))
MIDDLE_DOME = ((4.0, 72.0, 205.0), (60.0, 40.0, 48.0))
LUNG_BASE_MM = 165.0


def ribs(heights_mm: dict[int, float], missing: tuple[str, ...] = ()) -> list[Organ]:
    """Ribs of both sides.

    heights_mm: height of the vertebra of each number in the patient frame. missing: ids of ribs to leave out.
    """
    found = []
    for number, height in heights_mm.items():
        for side in ("right", "left"):
            tube, marrow = rib(number, height, RIB_TUBE_MM), rib(number, height, RIB_TUBE_MM * 0.55)
            if side == "left":
                tube, marrow = mirrored(tube), mirrored(marrow)
            found.append(Organ(f"rib_{number}_{side}", tube, "bone", ((marrow, "trabecular bone"),)))
    ids = {one.structure for one in found}
    unknown = [name for name in missing if name not in ids]
    if unknown:
        raise InputError(f"{unknown[0]!r} cannot be missing: there is no such rib; wanted one of rib_1_right to rib_12_left")
    return [one for one in found if one.structure not in missing]


def rib(number: int, height_mm: float, tube_mm: float) -> Placed:
    """A right rib: an arc of a torus, stretched to the ellipse in which its plane cuts the cage.

    The plane falls to the front by `slope`: z = back + slope (y - y0). In it the cage's ellipsoid is an ellipse around
    the point where the gradient of its equation is 0; that solves a linear equation in y.
    """
    (cx, cy, cz), (a, b, c) = CAGE_CENTER_MM, CAGE_HALF_MM
    slope = -np.tan(np.radians(np.interp(number, (1, 12), RIB_TILT_DEGREES)))
    start_y = cy - 0.8 * b * np.sqrt(max(0.05, 1 - ((height_mm - cz) / c) ** 2))
    offset = height_mm - cz - slope * (start_y - cy)
    curve = 1 / b**2 + slope**2 / c**2
    y0 = -slope * offset / c**2 / curve
    rest = 1 - (offset / c) ** 2 + y0**2 * curve
    if rest <= 0.02:
        raise InputError(f"the rib at {height_mm:.0f} mm lies outside of the rib cage; wanted a lower vertebra")
    half_x, half_y = a * np.sqrt(rest), np.sqrt(rest / curve)
    frame = np.eye(4)
    frame[2, 1] = slope
    frame[:3, 3] = (cx, cy + y0, cz + offset + slope * y0)
    ring = TorusArc(half_x, tube_mm, RIB_START_DEGREES, RIB_STOP_DEGREES[min(number, 12) - 1])
    return Placed(ring, frame @ scaled((1, half_y / half_x, RIB_FLATNESS)))


def sternum() -> Organ:
    """Manubrium and body as one rounded box."""
    return Organ("", Placed(Box((15.0, 3.0, 80.0), 3.0), rigid((7, 0, 0), (0, 109, 322))), "trabecular bone")


@lru_cache(maxsize=1)
def lungs() -> tuple[Organ, ...]:
    """Both lungs; their volumes have no formula."""
    half = tuple(size - PLEURA_MM for size in CAGE_HALF_MM)
    found = []
    for side, sign in (("right", 1), ("left", -1)):
        center = (sign * CAGE_CENTER_MM[0], *CAGE_CENTER_MM[1:])
        dome_center, dome_half = RIGHT_DOME if side == "right" else LEFT_DOME
        taken = (
            HalfSpace((sign, 0, 0), 19.0),
            HalfSpace((0, 0, 1), LUNG_BASE_MM),
            at(EllipticCylinder(*PARASPINAL, 700.0), (0, -31, 330)),
            at(EllipticCylinder(36.0, 40.0, 700.0), (0, 36, 330)),
            heart_shape(5.0),
            at(Ellipsoid(dome_half), dome_center),
            at(Ellipsoid(MIDDLE_DOME[1]), MIDDLE_DOME[0]),
        )
        found.append(Organ(f"lung_{side}", Difference(at(Ellipsoid(half), center), taken), "lung"))
    return tuple(found)


def heart_shape(margin_mm: float = 0.0) -> Placed:
    """The heart's ellipsoid, larger by a margin for its sac."""
    return Placed(Ellipsoid(tuple(half + margin_mm for half in HEART_HALF_MM)), rigid(HEART_TURN, HEART_CENTER_MM))


def heart() -> Organ:
    """Myocardium with blood inside; one structure."""
    inner = Placed(Ellipsoid(tuple(half - 9.0 for half in HEART_HALF_MM)), rigid(HEART_TURN, HEART_CENTER_MM))
    return Organ("heart", heart_shape(), "myocardium", ((inner, "blood"),))


def aorta(bifurcation_mm: tuple[float, float, float]) -> Organ:
    """Ascending aorta, arch, and descending aorta along the spine down to its bifurcation."""
    z = AORTA_ARCH_Z_MM
    back, front = np.array((-17.0, 20.0, z)), np.array((14.0, 52.0, z))
    ring = float(np.linalg.norm(front - back)) / 2
    frame = np.eye(4)
    frame[:3, 0], frame[:3, 1] = (front - back) / (2 * ring), (0, 0, 1)
    frame[:3, 2], frame[:3, 3] = np.cross(frame[:3, 0], frame[:3, 1]), (front + back) / 2
    parts = (
        Placed(TorusArc(ring, AORTA_MM, 0, 180), frame),
        pipe(back + (0, 0, 1), (-16, 20, 300), AORTA_MM),
        pipe((-16, 20, 302), (-13, 38, 215), AORTA_MM),
        pipe((-13, 38, 218), (-12, 54, 128), AORTA_MM * 0.9),
        pipe((-12, 54, 129), bifurcation_mm, AORTA_MM * 0.9),
        pipe(front + (0, 0, 0.5), (8, 56, 358), AORTA_MM),
    )
    return Organ("aorta", Union(parts), "blood")


def pipe(start_mm, stop_mm, radius_mm: float) -> Placed:
    """A round cylinder from point to point."""
    length = float(np.linalg.norm(np.subtract(stop_mm, start_mm)))
    return Placed(EllipticCylinder(radius_mm, radius_mm, length), along(start_mm, stop_mm))


def mediastinum() -> list[Organ]:
    """What is drawn before the organs of the chest: fat between the lungs, and veins."""
    return [
        Organ("", at(Box((26.0, 56.0, 125.0), 8.0), (0, 35, 340)), "fat"),
        Organ("", pipe((20, 48, 335), (22, 44, 420), 9.0), "blood"),
        Organ("", pipe((-4, 24, 255), (-2, 16, 400), 6.0), "soft tissue"),
    ]


def airways() -> list[Organ]:
    """Trachea and main bronchi: air in a wall; drawn only."""
    carina = (0, 30, 385)
    ways = [((0, 52, 520), carina, 9.0), (carina, (34, 22, 352), 6.5), (carina, (-40, 22, 355), 6.0)]
    walls = [Organ("", pipe(start, stop, size + 1.6), "soft tissue") for start, stop, size in ways]
    return walls + [Organ("", pipe(start, stop, size), "air") for start, stop, size in ways]


def lung_vessels() -> list[Organ]:
    """A few branching vessels in each lung, drawn only; they keep clear of the places of the lesions."""
    hila = {1: np.array((34.0, 26.0, 348.0)), -1: np.array((-42.0, 20.0, 352.0))}
    ends = [(40, 20, 62), (58, 30, 5), (36, -14, -62), (30, -16, 30), (52, 2, -58), (28, 34, 24)]
    found = []
    for side, hilum in hila.items():
        for dx, dy, dz in ends:
            tip = hilum + np.array((side * dx, dy, dz)) * (1.0 if side > 0 else 0.85)
            found += [pipe(hilum, tip, 2.6)]
            found += [pipe(tip, tip + np.array((side * 12, dy * 0.4, dz * 0.4)), 1.6)]
        found.append(at(sphere(9.0), hilum))
    return [Organ("", one, "blood") for one in found]

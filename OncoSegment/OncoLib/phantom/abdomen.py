"""Abdomen, pelvis and the outline of the body with subcutaneous fat. Sizes are round values of our own choice."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from OncoLib.phantom.anatomy import Organ, at, mirrored
from OncoLib.phantom.shapes import Ellipsoid, EllipticCylinder, EllipticFrustum, TorusArc, sphere
from OncoLib.phantom.solids import Difference, HalfSpace, Placed, Union, rigid
from OncoLib.phantom.thorax import pipe

OUTLINE = (
    # z, half width, half depth and y of the center of the skin, and thickness of the fat below it
    (-190.0, 172.0, 108.0, 8.0, 20.0),
    (-110.0, 182.0, 118.0, 6.0, 24.0),
    (-20.0, 172.0, 115.0, 14.0, 24.0),
    (60.0, 158.0, 108.0, 22.0, 20.0),
    (140.0, 162.0, 112.0, 20.0, 17.0),
    (260.0, 172.0, 118.0, 16.0, 14.0),
    (360.0, 178.0, 112.0, 8.0, 13.0),
    (430.0, 176.0, 92.0, 2.0, 12.0),
    (470.0, 120.0, 72.0, 10.0, 10.0),
    (500.0, 66.0, 62.0, 20.0, 6.0),
    (615.0, 60.0, 68.0, 40.0, 5.0),
)
HEAD_CENTER_MM, HEAD_HALF_MM = (0.0, 56.0, 702.0), (76.0, 98.0, 105.0)

LIVER_CENTER_MM, LIVER_HALF_MM = (64.0, 36.0, 175.0), (64.0, 66.0, 88.0)
LEFT_LOBE_CENTER_MM, LEFT_LOBE_HALF_MM = (4.0, 72.0, 205.0), (54.0, 34.0, 42.0)
KIDNEY_HALF_MM, RIGHT_KIDNEY_MM = (26.0, 21.0, 54.0), 92.0


def outline() -> list[Organ]:
    """Body from mid thigh to the head: skin and fat, then muscle, as a chain of elliptic frustums."""
    skin = [Organ("", piece(low, up, 0.0), "fat") for low, up in zip(OUTLINE, OUTLINE[1:])]
    muscle = [Organ("", piece(low, up, 1.0), "muscle") for low, up in zip(OUTLINE, OUTLINE[1:])]
    return [*skin, Organ("", at(Ellipsoid(HEAD_HALF_MM), HEAD_CENTER_MM), "soft tissue"), *muscle, *head()]


def skin_points() -> np.ndarray:
    """Points `[4, n]` on the rims of the outline, of which it is the hull piece by piece; the last row is 1."""
    turn = np.radians(np.arange(0, 360, 5))
    rims = [(a * np.cos(turn), y + b * np.sin(turn), np.full(turn.size, z), np.ones(turn.size)) for z, a, b, y, _ in OUTLINE]
    return np.concatenate(rims, axis=1)


def piece(low: tuple, up: tuple, fat: float) -> Placed:
    """One frustum of the outline, sheared so that its axis follows the centers; fat: share of the fat taken off."""
    (z0, *half0, y0, thick0), (z1, *half1, y1, thick1) = low, up
    sizes = [tuple(size - fat * thick for size in half) for half, thick in ((half0, thick0), (half1, thick1))]
    frame = np.eye(4)
    frame[1, 2] = (y1 - y0) / (z1 - z0)
    frame[:3, 3] = (0, (y0 + y1) / 2, (z0 + z1) / 2)
    return Placed(EllipticFrustum(*sizes, z1 - z0), frame)


def head() -> list[Organ]:
    """Skull and brain, drawn only."""
    shells = ((7.0, "bone"), (14.0, "brain"))
    half = [(tuple(size - less for size in HEAD_HALF_MM), name) for less, name in shells]
    return [Organ("", at(Ellipsoid(size), HEAD_CENTER_MM), name) for size, name in half]


def cavity() -> list[Organ]:
    """Fat inside the abdominal wall, psoas muscles, inferior vena cava: drawn before the organs."""
    upper = EllipticFrustum((122.0, 60.0), (122.0, 68.0), 190.0)
    lower = EllipticFrustum((70.0, 52.0), (122.0, 60.0), 120.0)
    psoas = [pipe((side * 34, 8, 130), (side * 62, 52, -60), 19.0) for side in (1, -1)]
    back = [pipe((side * 30, -52, 420), (side * 28, -40, -60), 20.0) for side in (1, -1)]
    return [
        Organ("", at(upper, (0, 36, 135)), "fat"),
        Organ("", at(lower, (0, 36, -20)), "fat"),
        *(Organ("", one, "muscle") for one in (*psoas, *back)),
        Organ("", pipe((20, 56, 60), (20, 42, 255), 10.5), "blood"),
    ]


def liver() -> Organ:
    """Right and left lobe, cut by one plane from below left, with room for spine, stomach and right kidney."""
    lobes = Union((at(Ellipsoid(LIVER_HALF_MM), LIVER_CENTER_MM), at(Ellipsoid(LEFT_LOBE_HALF_MM), LEFT_LOBE_CENTER_MM)))
    behind = at(EllipticCylinder(42.0, 64.0, 300.0), (2, 0, 180))
    near = (stomach(3.0)[0], kidney(1, RIGHT_KIDNEY_MM, "kidney_right", 3.0).solid)
    return Organ("liver", Difference(lobes, (HalfSpace((-0.75, -0.35, 1.0), 52.0), behind, *near)), "liver")


def kidney(side: int, height_mm: float, structure: str, margin_mm: float = 0.0) -> Organ:
    """An ellipsoid, its upper pole leaning to the spine, with the pelvis as a filling; larger by a margin for others."""
    matrix = rigid((-8, -side * 12, 0), (side * 64.0, 0.0, height_mm))
    pelvis = Placed(Ellipsoid((9.0, 8.0, 22.0)), matrix @ rigid(shift_mm=(-side * 11.0, 4.0, 0.0)))
    return Organ(
        structure, Placed(Ellipsoid(tuple(half + margin_mm for half in KIDNEY_HALF_MM)), matrix), "kidney", ((pelvis, "urine"),)
    )


@lru_cache(maxsize=1)
def organs() -> tuple[Organ, ...]:
    """Organs of the abdomen and pelvis that carry a truth, and bowel that does not."""
    bowel = [
        Organ("", Placed(TorusArc(60.0, 15.0, 190, 350), rigid((90, 0, 0), (0, 78, 78))), "bowel"),
        Organ("", pipe((88, 50, -20), (84, 48, 80), 19.0), "bowel"),
        Organ("", pipe((-92, 30, -30), (-94, 22, 110), 15.0), "bowel"),
        *(Organ("", at(Ellipsoid((17.0, 14.0, 15.0)), (x, 70 - abs(x) / 4, z)), "bowel") for x, z in LOOPS),
        *(Organ("", at(sphere(7.0), (x, 76 - abs(x) / 4, z)), "air") for x, z in LOOPS[::3]),
    ]
    pancreas = Placed(Ellipsoid((50.0, 10.0, 13.0)), rigid((0, 14, 0), (-14, 78, 122)))
    return (
        *bowel,
        liver(),
        Organ("gallbladder", Placed(Ellipsoid((13.0, 14.0, 26.0)), rigid((25, 0, 0), (50, 86, 88))), "bile"),
        Organ("spleen", Placed(Ellipsoid((23.0, 40.0, 52.0)), rigid((12, 8, 15), (-102, -4, 192))), "spleen"),
        Organ("stomach", *stomach()),
        Organ("pancreas", pancreas, "pancreas"),
        kidney(1, RIGHT_KIDNEY_MM, "kidney_right"),
        kidney(-1, RIGHT_KIDNEY_MM + 12.0, "kidney_left"),
        Organ("urinary_bladder", at(Ellipsoid((36.0, 30.0, 26.0)), (0, 48, -68)), "urine"),
    )


LOOPS = tuple((x, z) for z in (-30, 5, 40) for x in (-56, -18, 20, 56))


def stomach(margin_mm: float = 0.0) -> tuple:
    """Wall, contents and a bubble of gas at the front; larger by a margin for its neighbors."""
    matrix = rigid((0, -28, 0), (-56, 60, 196))
    inner = Placed(Ellipsoid((26.0, 26.0, 46.0)), matrix)
    bubble = at(Ellipsoid((15.0, 8.0, 18.0)), (-58, 74, 206))
    wall = Ellipsoid((30.0 + margin_mm, 30.0 + margin_mm, 50.0 + margin_mm))
    return Placed(wall, matrix), "stomach wall", ((inner, "stomach contents"), (bubble, "air"))


@lru_cache(maxsize=1)
def pelvis() -> tuple[Organ, ...]:
    """Hip bones and femora of both sides; their volumes have no formula."""
    wing = Placed(Ellipsoid((7.0, 62.0, 64.0)), rigid((0, -24, -38), (86, 8, -2)))
    socket = at(Ellipsoid((20.0, 26.0, 30.0)), (92, 22, -82))
    ball = at(sphere(25.5), (104, 26, -96))
    rami = (pipe((84, 38, -86), (10, 70, -112), 8.0), pipe((84, 8, -90), (58, -12, -136), 11.0))
    loop = pipe((58, -12, -136), (12, 62, -122), 7.0)
    hip = Difference(Union((wing, socket, *rami, loop)), (ball,))
    core = Union((Placed(Ellipsoid((5.0, 58.0, 60.0)), wing.matrix), Placed(Ellipsoid((17.0, 23.0, 27.0)), socket.matrix)))
    thigh = Union(
        (
            at(sphere(23.0), (104, 26, -96)),
            pipe((104, 26, -96), (140, 18, -122), 14.0),
            pipe((140, 18, -110), (126, 16, -230), 16.0),
        )
    )
    marrow = pipe((138.8, 17.8, -120), (126.1, 16.0, -229), 9.0)
    hollow = Difference(core, (ball,))
    right = [
        Organ("hip_bone_right", hip, "bone", ((hollow, "trabecular bone"),)),
        Organ("femur_right", thigh, "trabecular bone", ((marrow, "marrow fat"),)),
    ]
    left = [
        Organ(one.structure.replace("right", "left"), mirrored(one.solid), one.material, mirrored_fillings(one)) for one in right
    ]
    return (*right, *left)


def mirrored_fillings(one: Organ) -> tuple:
    """Fillings on the other side."""
    return tuple((mirrored(solid), material) for solid, material in one.fillings)

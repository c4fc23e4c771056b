"""Simulated patients whose lesions are known at each date: growth, shrinkage, new, gone, merged, split, and a registration that
is off by a known amount. Masks are drawn on the native grid of each date, which differ in spacing, place and direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from helpers import rotation
from LongitudinalCompareLib.lesion_track import Lesion, LesionKey
from LongitudinalCompareLib.lesions_of import lesions_of_mask
from LongitudinalCompareLib.tracking import DatedLesions
from OncoLib.registration.transform import LinearTransform

REGION_MM = np.array((150.0, 120.0, 120.0))
"""Where lesions lie: about a liver, or a half of a brain."""

SPACINGS_MM = ((1.0, 1.0, 1.0), (0.8, 0.8, 3.0), (0.7, 0.7, 5.0))
MARGIN_MM = 20.0

@dataclass(frozen=True)
class Ball:
    """An ellipsoid in the patient: center and half axes in mm. lesion: its number; a part of a split one shares it."""

    lesion: int
    center_mm: tuple[float, float, float]
    half_axes_mm: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Case:
    """dates: for the tracker. numbers: by lesion key, which true lesions it shows (two for a merged one)."""

    dates: tuple[DatedLesions, ...]
    numbers: dict[LesionKey, frozenset[int]]

    def true_links(self) -> set[tuple[LesionKey, LesionKey]]:
        """Pairs of lesions of two dates following each other that show the same true lesion."""
        keys = list(self.numbers)
        return {(a, b) for a in keys for b in keys if b.timepoint == a.timepoint + 1 and self.numbers[a] & self.numbers[b]}


def case(seed: int, error_mm: float, count: int = 20, local: bool = False, told_mm: float = 3.0, dates: int = 2) -> Case:
    """A patient of `count` lesions or so.

    error_mm: length of the registration's error. local: each lesion is off in a direction of its own, as in an organ that
    moves, beside the whole that is off as one. told_mm: what the tracker is told of it.
    """
    random = np.random.default_rng(seed)
    now = baseline(random, count)
    made, numbers = [], {}
    for at in range(dates):
        if at:
            now = followed(random, now)
        shown = shifted(random, now, error_mm) if local and at else now
        pose = rigid_pose(random) if at else LinearTransform(np.eye(4))
        grid, shape = grid_of(random)
        mask = drawn(shown, pose, grid, shape)
        found = named(mask, grid, at)
        numbers |= {one.key: owners(one, shown, pose) for one in found}
        told = pose if local or not at else pose.then(error(random, error_mm))
        made.append(DatedLesions(found, grid, shape, told if at else None, told_mm))
    return Case(tuple(made), {key: owned for key, owned in numbers.items() if owned})


def baseline(random, count: int) -> list[Ball]:
    """Ellipsoids of 3 to 14 mm radius, small ones more often, at least 3 mm apart; half of them beside another one."""
    found: list[Ball] = []
    for _ in range(60 * count):
        if len(found) == count:
            break
        beside = found[random.integers(len(found))] if found and random.random() < 0.5 else None
        add(random, found, len(found), beside)
    return found


def add(random, found: list[Ball], number: int, beside: Ball | None = None) -> bool:
    """One more, where there is room: anywhere, or 3 to 8 mm beside another one."""
    radius = 3.0 * np.exp(random.uniform(0, np.log(14 / 3)))
    axes = radius * np.exp(random.normal(0, 0.15, 3))
    center = random.uniform(axes.max(), REGION_MM - axes.max())
    if beside is not None:
        away = max(beside.half_axes_mm) + axes.max() + random.uniform(3, 8)
        center = beside.center_mm + away * direction(random)
    inside = (center > axes.max()).all() and (center < REGION_MM - axes.max()).all()
    if not inside or any(np.linalg.norm(center - one.center_mm) < axes.max() + max(one.half_axes_mm) + 3 for one in found):
        return False
    found.append(Ball(number, tuple(center), tuple(axes)))
    return True


def followed(random, before: list[Ball]) -> list[Ball]:
    """The next date: one in eight is gone, one in eight splits when it is large, one in four grows into a neighbor that is near,
    the others change by a factor of 0.3 to 3.3 in volume. One in six is new: half of those beside a lesion that is gone."""
    after: list[Ball] = []
    done: set[int] = set()
    for one in before:
        fate = random.random()
        if one.lesion in done or fate < 1 / 8:
            continue
        near = [other for other in before if other.lesion not in done | {one.lesion} and gap_mm(one, other) < 8]
        if fate < 2 / 8 and max(one.half_axes_mm) > 7:
            after += halves(one)
        elif fate < 4 / 8 and near:
            done.add(near[0].lesion)
            after += grown_together(one, near[0])
        else:
            after.append(scaled(one, np.exp(random.uniform(np.log(0.3), np.log(3.3)) / 3)))
        done.add(one.lesion)
    number = 1000 + max([one.lesion for one in before], default=0)
    lost = [one for one in before if one.lesion not in done]
    for new in range(max(1, len(before) // 6)):
        beside = lost[new // 2] if new % 2 and new // 2 < len(lost) else None
        for _ in range(50):
            if add(random, after, number + new, beside):
                break
    return apart(after)


def gap_mm(one: Ball, other: Ball) -> float:
    """Between their surfaces, as if they were balls of their longest half axis."""
    return float(np.linalg.norm(np.subtract(one.center_mm, other.center_mm)) - max(one.half_axes_mm) - max(other.half_axes_mm))


def halves(one: Ball) -> list[Ball]:
    """Two balls of a quarter of its volume at the ends of its longest axis."""
    axis = int(np.argmax(one.half_axes_mm))
    radius = one.half_axes_mm[axis] * 0.44
    ends = [np.array(one.center_mm) + sign * np.eye(3)[axis] * (one.half_axes_mm[axis] - radius) for sign in (-1, 1)]
    return [Ball(one.lesion, tuple(end), (radius,) * 3) for end in ends]


def grown_together(one: Ball, other: Ball) -> list[Ball]:
    """Both with their surfaces moved out until they overlap by 2 mm."""
    more = max(0.0, gap_mm(one, other) + 4.0) / 2 + 1.0
    return [Ball(item.lesion, item.center_mm, tuple(side + more for side in item.half_axes_mm)) for item in (one, other)]


def scaled(one: Ball, factor: float) -> Ball:
    """Grown or shrunk about its center; nothing shrinks below 2 mm."""
    return Ball(one.lesion, one.center_mm, tuple(max(2.0, side * factor) for side in one.half_axes_mm))


def apart(found: list[Ball]) -> list[Ball]:
    """What grew into another by chance, without being meant to, is shrunk to what fits."""
    kept: list[Ball] = []
    for one in found:
        room = [gap_mm(one, other) for other in kept if other.lesion != one.lesion]
        meant = [gap for gap in room if gap < -1.5]
        if room and min(room) < 1.5 and not meant:
            one = Ball(one.lesion, one.center_mm, tuple(max(2.0, side + min(room) - 1.5) for side in one.half_axes_mm))
        kept.append(one)
    return kept


def shifted(random, found: list[Ball], error_mm: float) -> list[Ball]:
    """Each lesion moved by `error_mm` in a direction of its own."""
    return [Ball(one.lesion, tuple(one.center_mm + error_mm * direction(random)), one.half_axes_mm) for one in found]


def direction(random) -> np.ndarray:
    """Of length 1, any."""
    found = random.normal(size=3)
    return found / np.linalg.norm(found)


def rigid_pose(random) -> LinearTransform:
    """How the patient lies at another date: up to 10 degrees and 15 mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(tuple(direction(random)), random.uniform(0, 10))
    matrix[:3, 3] = random.uniform(-15, 15, 3)
    return LinearTransform(matrix)


def error(random, error_mm: float) -> LinearTransform:
    """A shift of that length in any direction."""
    matrix = np.eye(4)
    matrix[:3, 3] = error_mm * direction(random)
    return LinearTransform(matrix)


def grid_of(random) -> tuple[np.ndarray, tuple[int, int, int]]:
    """A grid that shows the region with a margin, axes a little turned, one of `SPACINGS_MM`."""
    spacing = np.array(SPACINGS_MM[random.integers(len(SPACINGS_MM))])
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(tuple(direction(random)), random.uniform(0, 8)) * spacing
    count = np.ceil((REGION_MM + 2 * MARGIN_MM) / spacing).astype(int)
    matrix[:3, 3] = REGION_MM / 2 - matrix[:3, :3] @ ((count - 1) / 2)
    return matrix, tuple(int(side) for side in count[::-1])


def drawn(found: list[Ball], pose: LinearTransform, grid: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Boolean `[k, j, i]`: voxels whose center lies in an ellipsoid, the patient lying as `pose` says."""
    mask = np.zeros(shape, bool)
    home = pose.inverse()
    for one in found:
        place = np.linalg.inv(grid) @ (*pose.moved(np.array([one.center_mm]))[0], 1.0)
        reach = np.ceil(max(one.half_axes_mm) / np.linalg.norm(grid[:3, :3], axis=0)).astype(int) + 1
        low = np.clip(np.floor(place[:3]).astype(int) - reach, 0, shape[::-1])
        high = np.clip(np.ceil(place[:3]).astype(int) + reach + 1, 0, shape[::-1])
        ijk = np.stack(np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high)], indexing="ij"), -1)
        points = home.moved(ijk.reshape(-1, 3) @ grid[:3, :3].T + grid[:3, 3])
        inside = (((points - one.center_mm) / one.half_axes_mm) ** 2).sum(axis=1) <= 1
        mask[tuple(ijk.reshape(-1, 3)[inside].T[::-1])] = True
    return mask


def named(mask: np.ndarray, grid: np.ndarray, at: int) -> tuple[Lesion, ...]:
    """Its components of two voxels or more."""
    return lesions_of_mask(mask, grid, at, least_voxels=2, diameters=False)


def owners(lesion: Lesion, shown: list[Ball], pose: LinearTransform) -> frozenset[int]:
    """Which true lesions a component shows: those of whose volume at least a fifth of it consists, or that lie in it."""
    points = pose.inverse().moved(lesion.voxels_ijk @ lesion.ijk_to_ras[:3, :3].T + lesion.ijk_to_ras[:3, 3])
    low, high = points.min(axis=0) - 20, points.max(axis=0) + 20
    shown = [one for one in shown if (one.center_mm > low).all() and (one.center_mm < high).all()]
    inside = [(((points - one.center_mm) / one.half_axes_mm) ** 2).sum(axis=1) <= 1 for one in shown]
    held = lesion.holds(pose.moved(np.array([one.center_mm for one in shown])))
    return frozenset(one.lesion for one, part, center in zip(shown, inside, held) if center or part.mean() > 0.2)

"""Where around one place the second scan fits the first best: the perturbation test.

Both scans are told by their self-similarity in a box around the place, without what may have changed, and compared at every
shift of up to `SEARCH_STEPS` working voxels along each axis. If the given alignment is right, likeness falls in every
direction; the place of the best shift is the estimated error of the alignment here, in mm. What lies around may not tell the
place, as deep inside of a liver: then other shifts fit nearly as well, and the box is enlarged step by step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.ndimage as ndimage
from scipy.spatial.transform import Rotation

from LongitudinalCompareLib.alignment_box import CHANGE_MM, STEP_MM, Blurred, Changing, Region, grid_points
from LongitudinalCompareLib.alignment_similarity import differences, distance_at_shifts, mind_of, nmi, noise_of
from OncoLib.image import Image

SEARCH_STEPS = 12
MARGINS_MM = (12.0, 24.0, 40.0)
"""How far the box reaches beyond the lesion: tried in this order, until what is in it tells the place."""

MOST_RADIUS_MM = 30.0
FAR_MM, APART_MM = 8.0, 4.0
"""Shifts of over `FAR_MM` from none give the level of chance; one that is over `APART_MM` from the best is another place."""

TELLING = 0.04
"""Another place must be worse than the best by this share of what the best gains over chance. Our own choice: see
`alignment_verdict`."""

HALVES_MM = 2.0
"""Two halves of the box, a checkerboard of cubes, must find the same shift to this distance."""

ALIKE = 0.5
"""Least likeness at the best shift."""

NEARNESS = 0.6
"""What is nearer to the lesion counts more: weights fall as a normal curve with this share of the margin as its deviation."""

CUBE_STEPS = 4
TURN_DEGREES = 6.0
STRUCTURE_TIMES = 5.0
LEAST_SEEN = 0.3
"""A shift counts where the follow-up shows at least this share of the box."""


@dataclass(frozen=True, eq=False)
class Search:
    """What the perturbation test found at one place.

    likeness: 1 - S / S_chance of the mean squared difference of descriptors S, at the given alignment; 1 is the same, 0 is
    chance. best_likeness: at the best shift. shift_mm: `[3]` from the given alignment to the best, in RAS of the fixed scan;
    nearest_mm: length of the shortest shift that fits about as well. margin: how much worse other places fit (see `TELLING`).
    halves_apart_mm: between the shifts that two halves of the box find. falls: drop of likeness by shifts of 3 and 5 mm along
    each axis to both sides and by turns, by name; nmi_falls: the same of NMI. half_mm: half of the box. told: whether the box
    tells the place. unsure_axis: direction (unit vector) of the other place that fits best. structure: share of the box that
    stands out of the noise. shown: share of the box that the follow-up shows.
    """

    half_mm: float = 0.0
    shown: float = 0.0
    structure: float = 0.0
    likeness: float = float("nan")
    best_likeness: float = float("nan")
    shift_mm: np.ndarray | None = None
    nearest_mm: float = float("nan")
    margin: float = float("nan")
    halves_apart_mm: float = float("nan")
    unsure_axis: np.ndarray | None = None
    falls: dict[str, float] | None = None
    nmi: float = float("nan")
    nmi_falls: dict[str, float] | None = None

    @property
    def compared(self) -> bool:
        """True when the follow-up shows enough to compare."""
        return self.shift_mm is not None

    @property
    def told(self) -> bool:
        """True when what is in the box tells the place."""
        alone = self.margin >= TELLING and self.halves_apart_mm <= HALVES_MM
        return self.compared and alone and self.best_likeness >= ALIKE


def searched(
    fixed: Image,
    moving: Image,
    moved: Callable[[np.ndarray], np.ndarray],
    region: Region,
    changing: Changing,
    later: Changing | None = None,
) -> Search:
    """The test in the first box that tells the place, or in the largest.

    changing, later: what is left out of the fixed scan and of the moving one.
    """
    for margin in MARGINS_MM:
        box = Box(fixed, moving, moved, region, changing, margin, later)
        found = box.search()
        if found.told:
            break
    return box.perturbed(found)


class Box:
    """Both scans in one box, the moving one with room for the shifts."""

    def __init__(self, fixed, moving, moved, region: Region, changing: Changing, margin_mm: float, later: Changing | None = None):
        reach = min(region.radius_mm, MOST_RADIUS_MM) + CHANGE_MM + margin_mm
        self.steps = int(np.ceil(reach / STEP_MM))
        self.center, self.moved = np.array(region.center_ras), moved
        points = grid_points(region.center_ras, self.steps + SEARCH_STEPS)
        self.inner = (slice(SEARCH_STEPS, -SEARCH_STEPS),) * 3
        self.points = points[self.inner]
        values, here = Blurred.around(fixed, points.reshape(-1, 3)).at(points)
        there = moved(points.reshape(-1, 3)).reshape(points.shape)
        self.follow_up = Blurred.around(moving, there.reshape(-1, 3))
        self.moving, self.shown = self.follow_up.at(there)
        if later is not None:
            self.shown &= ~later.on(there)
        self.fixed = values[self.inner]
        apart = differences(values)
        mean, level = apart.mean(axis=0), noise_of(apart)
        self.descriptors = mind_of(apart, level)[(slice(None), *self.inner)]
        still = (here & ~changing.on(points))[self.inner]
        beyond = np.linalg.norm(self.points - self.center, axis=-1) - (reach - margin_mm)
        nearness = np.exp(-((np.maximum(beyond, 0) / (NEARNESS * margin_mm)) ** 2) / 2)
        self.weights = (still * nearness).astype(np.float32)
        stands_out = mean[self.inner] > STRUCTURE_TIMES * level
        self.structure = float(stands_out[still].mean()) if still.any() else 0.0

    def search(self) -> Search:
        """All shifts."""
        self.shared = self.shown[self.inner] * self.weights
        seen = float(self.shared.sum() / max(self.weights.sum(), 1.0))
        empty = Search(self.steps * STEP_MM, seen, self.structure)
        if seen < LEAST_SEEN or not self.weights.any():
            return empty
        apart = differences(self.moving)
        self.level = noise_of(apart)
        board = cubes(self.fixed.shape)
        halves = np.stack([self.weights * (board == side) for side in (0, 1)])
        sums, totals = distance_at_shifts(self.descriptors, halves, mind_of(apart, self.level), self.shown)
        self.field = field = Landscape(sums.sum(axis=0), totals.sum(axis=0))
        if not field.usable:
            return empty
        ends = [Landscape(one, total).best_mm for one, total in zip(sums, totals)]
        return replace(
            empty,
            likeness=field.likeness_at(np.zeros(3)),
            best_likeness=field.best_likeness,
            shift_mm=field.best_mm,
            nearest_mm=field.nearest_mm,
            margin=field.margin,
            halves_apart_mm=float(np.linalg.norm(ends[0] - ends[1])),
            unsure_axis=field.unsure_axis,
        )

    def perturbed(self, found: Search) -> Search:
        """With what small shifts and turns cost."""
        if not found.compared:
            return found
        return replace(found, falls={**self.field.falls(), **self.turn_falls(self.field)}, **self.by_nmi())

    def turn_falls(self, field: Landscape) -> dict[str, float]:
        """Drop of likeness when the follow-up is turned about the place, by axis and sense."""
        found = {}
        for axis, name in enumerate("xyz"):
            for sign in (1, -1):
                turn = Rotation.from_rotvec(sign * TURN_DEGREES * np.eye(3)[axis], degrees=True).as_matrix()
                there = (self.points - self.center) @ turn.T + self.center
                values, shown = self.follow_up.at(self.moved(there.reshape(-1, 3)).reshape(there.shape))
                weights = self.shared * shown
                apart = ((mind_of(differences(values), self.level) - self.descriptors) ** 2).sum(axis=0)
                mean = float((apart * weights).sum() / max(weights.sum(), 1.0))
                found[f"turn {'+' if sign > 0 else '-'}{name}"] = field.likeness_at(np.zeros(3)) - field.likeness(mean)
        return found

    def by_nmi(self) -> dict:
        """Normalized mutual information, and its drops; in every second row and column, which is a quarter of the time."""
        part = (slice(None), slice(None, None, 2), slice(None, None, 2))
        points, fixed, weights, size = self.points[part], self.fixed[part], self.shared[part], {}
        for name, shift in {"": np.zeros(3), **axis_shifts()}.items():
            there = self.moved((points + shift).reshape(-1, 3)).reshape(points.shape)
            values, shown = self.follow_up.at(there)
            size[name] = nmi(fixed, values, weights * shown)
        here = size.pop("")
        return {"nmi": here, "nmi_falls": {name: here - value for name, value in size.items()}}


class Landscape:
    """Mean difference at all shifts; `[z, y, x]`, the middle is no shift."""

    def __init__(self, sums: np.ndarray, totals: np.ndarray):
        seen = totals >= LEAST_SEEN * max(float(totals.max()), 1e-6)
        self.values = np.where(seen, np.maximum(sums, 0) / np.maximum(totals, 1e-6), np.inf)
        self.steps = sums.shape[0] // 2
        axis = np.arange(-self.steps, self.steps + 1) * STEP_MM
        self.axis = axis
        far = np.isfinite(self.values) & (self.distance_from(np.zeros(3)) >= FAR_MM)
        self.chance = float(np.median(self.values[far])) if far.any() else float("nan")
        self.index = np.unravel_index(int(np.argmin(self.values)), self.values.shape)
        self.least = float(self.values[self.index])
        self.usable = bool(np.isfinite(self.values[(self.steps,) * 3]) and self.chance > 1e-6)

    def distance_from(self, shift_xyz: np.ndarray) -> np.ndarray:
        """mm, of each shift to this one."""
        x, y, z = shift_xyz
        parts = (self.axis[:, None, None] - z, self.axis[None, :, None] - y, self.axis[None, None, :] - x)
        return np.sqrt(sum(part**2 for part in parts))

    def likeness(self, difference: float) -> float:
        """1 for no difference, 0 for that of chance."""
        return 1.0 - difference / self.chance

    @property
    def best_likeness(self) -> float:
        """At the best shift."""
        return self.likeness(self.least)

    @property
    def best_mm(self) -> np.ndarray:
        """x, y, z; between the steps by a parabola along each axis."""
        found = []
        for axis in range(3):
            place = float(self.index[axis])
            if 0 < self.index[axis] < self.values.shape[axis] - 1:
                before, at, after = (self.values[shifted(self.index, axis, step)] for step in (-1, 0, 1))
                bend = before - 2 * at + after
                if np.isfinite(bend) and bend > 0:
                    place += 0.5 * (before - after) / bend
            found.append((place - self.steps) * STEP_MM)
        return np.array(found[::-1])

    @property
    def gain(self) -> float:
        """What the best has over chance."""
        return max(self.chance - self.least, 1e-9)

    @property
    def elsewhere(self) -> tuple[int, ...]:
        """Index of the best shift that is another place."""
        away = self.distance_from(self.best_mm) > APART_MM
        return np.unravel_index(int(np.argmin(np.where(away, self.values, np.inf))), self.values.shape)

    @property
    def margin(self) -> float:
        """How much worse another place fits, as a share of the gain."""
        return float((self.values[self.elsewhere] - self.least) / self.gain)

    @property
    def unsure_axis(self) -> np.ndarray:
        """Unit vector from the best shift to the best other place."""
        there = self.axis[list(self.elsewhere)][::-1] - self.best_mm
        return there / max(float(np.linalg.norm(there)), 1e-9)

    @property
    def nearest_mm(self) -> float:
        """Shortest shift that fits about as well as the best."""
        alike = self.values <= self.least + TELLING * self.gain
        return float(min(self.distance_from(np.zeros(3))[alike].min(), np.linalg.norm(self.best_mm)))

    def likeness_at(self, shift_xyz: np.ndarray) -> float:
        """Between the steps linearly."""
        place = np.asarray(shift_xyz)[::-1] / STEP_MM + self.steps
        values = np.where(np.isfinite(self.values), self.values, self.chance)
        return self.likeness(float(ndimage.map_coordinates(values, place[:, None], order=1)[0]))

    def falls(self) -> dict[str, float]:
        """Drop of likeness by shifts of 3 and 5 mm along the axes."""
        here = self.likeness_at(np.zeros(3))
        return {name: here - self.likeness_at(shift) for name, shift in axis_shifts().items()}


def axis_shifts() -> dict[str, np.ndarray]:
    """3 and 5 mm along each axis to both sides, by a name such as "+3 mm x"."""
    found = {}
    for size in (3, 5):
        for axis, name in enumerate("xyz"):
            for sign in (1, -1):
                shift = np.zeros(3)
                shift[axis] = sign * size
                found[f"{'+' if sign > 0 else '-'}{size} mm {name}"] = shift
    return found


def cubes(shape: tuple[int, ...]) -> np.ndarray:
    """0 or 1 for each voxel, a checkerboard of cubes of `CUBE_STEPS`."""
    k, j, i = (np.arange(size) // CUBE_STEPS for size in shape)
    return (k[:, None, None] + j[None, :, None] + i[None, None, :]) % 2


def shifted(index: tuple[int, ...], axis: int, step: int) -> tuple[int, ...]:
    """The neighbor along an axis."""
    return tuple(value + step * (number == axis) for number, value in enumerate(index))

"""Coverage of the intervals of a size and of its change, on errors that are not those the estimator assumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LongitudinalCompareLib.grid_rounding import volume_sd_ln
from LongitudinalCompareLib.growth import change_of
from LongitudinalCompareLib.repeatability import RESCAN, VOLUME, published
from LongitudinalCompareLib.uncertainty import Setting, Size, interval_of

AIM = (0.93, 0.97)
RATER_SD = 0.10
"""Standard deviation of one expert's error, of the log; that of the scan is what the published limits stand for."""


@dataclass(frozen=True)
class World:
    """How errors really are. experts: their number; shared: correlation of their errors at one date; habit: share of their own
    part that stays the same at both dates. leaks: chance that a mask leaks, to 1.6 times the volume. skew: of the scan's error
    (that of a gamma distribution), tails: degrees of freedom of its t distribution (0: normal). study: patients from whom the
    published limits are known (0: exactly). spacing_mm: of the voxels. known: whether there is a published repeatability."""

    name: str
    experts: int = 3
    shared: float = 0.5
    habit: float = 0.3
    leaks: float = 0.0
    skew: float = 0.0
    tails: int = 0
    study: int = 0
    spacing_mm: tuple[float, float, float] = (0.7, 0.7, 1.0)
    known: bool = True


WORLDS = (
    World("errors as assumed"),
    World("five experts", experts=5),
    World("experts independent (0.5 assumed)", shared=0.0),
    World("experts correlated by 0.7", shared=0.7),
    World("one mask in ten leaks to 1.6 times", leaks=0.1),
    World("scan error skewed (gamma, skewness 1.4)", skew=1.4),
    World("scan error with heavy tails (t, 4)", tails=4),
    World("published limits from 20 patients", study=20),
    World("5 mm slices", spacing_mm=(0.7, 0.7, 5.0)),
    World("correlated by 0.7, leaks, skew, limits from 20 patients", shared=0.7, leaks=0.1, skew=1.4, study=20),
    World("no published repeatability, as the interval says", known=False),
)


def figures(data, *, full: bool):
    """Lines of this subject."""
    count = 4000 if full else 1000
    for world in WORLDS:
        for correlation in (0.5, 0.0) if world.shared != 0.5 or world.name == WORLDS[0].name else (0.5,):
            yield line(world, count, correlation)


def line(world: World, count: int, correlation: float) -> str:
    """One world."""
    size, change = coverage(world, count, correlation)
    told = "" if correlation == 0.5 else f", if {correlation:g} is assumed"
    error = 1.96 * np.sqrt(0.05 * 0.95 / count)
    return (
        f"95 % intervals, {world.name}{told}: size {size:.1%} ({judged(size)}), change {change:.1%} ({judged(change)})"
        f" of {count}, known to {error:.1%}"
    )


def judged(share: float) -> str:
    """Against the aim."""
    return "aim 93 to 97 %: met" if AIM[0] <= share <= AIM[1] else "aim 93 to 97 %: MISSED"


def coverage(world: World, count: int, correlation: float, seed: int = 0) -> tuple[float, float]:
    """Share of intervals that hold the truth: of sizes, and of changes."""
    random = np.random.default_rng(seed)
    place = ("CT", "lung", "solid") if world.known else ("MR", "brain", "")
    setting = Setting(VOLUME, *place, correlation)
    hits = np.zeros((count, 2), bool)
    for number in range(count):
        truth = np.log(random.uniform(0.8, 12.0)) + np.array([0.0, random.normal(0, 0.4)])
        truth[1] = np.clip(truth[1], np.log(0.7), np.log(30.0))
        sizes = measured(random, world, truth)
        found = interval_of(sizes[0], setting)
        change = change_of(*sizes, 90.0, setting)
        hits[number] = (
            found.low <= np.exp(truth[0]) <= found.high,
            abs(change.log - (truth[1] - truth[0])) <= change.half_width,
        )
    return tuple(hits.mean(axis=0))


def measured(random, world: World, truth: np.ndarray) -> list[Size]:
    """Both dates as they would be measured; truth: logs of the volumes in ml."""
    own = (1 - world.shared) * RATER_SD**2
    habits = random.normal(0, np.sqrt(world.habit * own), world.experts)
    factor = np.sqrt((world.study - 1) / random.chisquare(world.study - 1)) if world.study else 1.0
    sizes = []
    for log in truth:
        limits = published(VOLUME, RESCAN, "CT", "lung", "solid", 20.0)
        scan = limits.sd_ln * factor * drawn(random, world) + random.normal(0, np.sqrt(world.shared) * RATER_SD)
        rounding = volume_sd_ln(np.exp(log), world.spacing_mm) * np.sqrt(3) * random.uniform(-1, 1)
        experts = habits + random.normal(0, np.sqrt((1 - world.habit) * own), world.experts)
        experts = experts + np.log(1.6) * (random.random(world.experts) < world.leaks)
        logs = log + scan + rounding + experts
        named = {f"expert {number}": float(np.exp(value)) for number, value in enumerate(logs)}
        sizes.append(Size(float(np.exp(logs.mean())), world.spacing_mm, named))
    return sizes


def drawn(random, world: World) -> float:
    """A number of mean 0 and standard deviation 1."""
    if world.skew:
        shape = 4 / world.skew**2
        return (random.gamma(shape) - shape) / np.sqrt(shape)
    if world.tails:
        return random.standard_t(world.tails) / np.sqrt(world.tails / (world.tails - 2))
    return random.normal()

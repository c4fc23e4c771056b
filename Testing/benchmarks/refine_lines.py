"""Any engine of click refinement on any cases by the simulated reader, as lines: Dice and NSD by click, two engines paired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from OncoLib.progress import CancelToken, silent
from refine_baselines import region_of
from refine_cases import Case
from refine_user import CLICKS, ENOUGH, Course, course, seed_of

DRAWS = 10_000
AT = 3
"""Clicks after which engines are compared."""


@dataclass(frozen=True)
class Courses:
    """What an engine did. groups: of each case. runs: courses by case, one a repetition."""

    engine: str
    groups: dict[str, str]
    runs: dict[str, list[Course]]

    def values(self, measure: str) -> np.ndarray:
        """`[case, click]`: mean over the repetitions of each case."""
        return np.array([np.mean([getattr(one, measure) for one in runs], axis=0) for runs in self.runs.values()])

    def of(self, names: Sequence[str]) -> Courses:
        """The same on some of the cases."""
        return replace(self, groups={one: self.groups[one] for one in names}, runs={one: self.runs[one] for one in names})


def courses(engine, cases: Sequence[Case], repeats: int = 1, *, clicks: int = CLICKS, in_region: bool = False) -> Courses:
    """Runs an engine. in_region: tell it the box around the wanted mask (and a margin), as the baselines need it."""
    runs = {}
    for case in cases:
        engine.set_image(case.image, progress=silent, cancel=CancelToken())
        part = region_of(case.truth, case.image) if in_region else None
        runs[case.name] = [
            course(engine, case.image, case.truth, seed=seed_of(case.name, number), clicks=clicks, within=part)
            for number in range(repeats)
        ]
    engine.close()
    return Courses(engine.name, {case.name: case.group for case in cases}, runs)


def engine_lines(found: Courses, *, by_group: bool = False):
    """Means over cases by click, and clicks needed."""
    dice = found.values("dice")
    told = f"{found.engine}, {len(dice)} cases, clicks 1 to {dice.shape[1]}"
    yield f"{told}: mean Dice {row(dice)}; NSD at 1 mm {row(found.values('nsd_1mm'))}, at 2 mm {row(found.values('nsd_2mm'))}"
    needed = [one.needed for runs in found.runs.values() for one in runs]
    reached = [one for one in needed if one]
    yield (
        f"{found.engine}: Dice {ENOUGH:g} reached in {len(reached)} of {len(needed)} courses within {dice.shape[1]} clicks,"
        f" median {np.median(reached) if reached else float('nan'):g} click(s) where reached"
    )
    if by_group:
        for group in dict.fromkeys(found.groups.values()):
            picked = [one == group for one in found.groups.values()]
            yield f"{found.engine}, {group} ({sum(picked)} cases): mean Dice {row(dice[picked])}"


def row(values: np.ndarray) -> str:
    """Means of the columns."""
    return " ".join(f"{one:.3f}" for one in np.nanmean(values, axis=0))


def paired_line(first: Courses, second: Courses, *, only: Sequence[str] | None = None, told: str = "", aim: bool = True) -> str:
    """Mean difference of Dice at `AT` clicks with its 95 % interval over cases, and (aim) whether it is above 0."""
    picked = [only is None or name in only for name in first.runs]
    difference = (first.values("dice") - second.values("dice"))[picked, AT - 1]
    low, high = bootstrap_interval(difference)
    line = (
        f"{first.engine} less {second.engine}, Dice at {AT} clicks{told}: {difference.mean():+.3f} (95 % interval {low:+.3f} to"
        f" {high:+.3f}, paired bootstrap over n = {len(difference)} cases)"
    )
    return f"{line}; aim above 0: {'met' if low > 0 else 'MISSED'}" if aim else line


def bootstrap_interval(values: np.ndarray, draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """2.5th and 97.5th percentile of the mean of cases drawn with replacement (Efron and Tibshirani, 1993)."""
    picked = np.random.default_rng(seed).integers(0, len(values), (draws, len(values)))
    low, high = np.percentile(values[picked].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)

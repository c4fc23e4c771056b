"""Who does best on what: medians and quartiles of the evaluation log, each with its n.

The unit is the case, not the run: of several runs of one expert on one case the one compared last counts, and what it has
of one structure (several lesions, several references) counts as its mean. An expert is a model with version and
task; one that runs any network (`nnunet`) has no task, there the weights tell experts apart.

Experts are ranked on a structure only by the cases that they share, from five on: five wins of five are the fewest that a
one-sided sign test calls unlikely under chance (1/32 < 0.05; four of four: 1/16). The highest median Dice is called best only
when that test says so against every other expert, at 0.05 divided by their number (Bonferroni).
Median, quartiles: linear between ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import comb

import numpy as np

from OncoSegmentLib.evaluation_log import KINDS, Comparison, Run

FEWEST = 5
"""Shared cases that a ranking needs."""

CHANCE = 0.05

HASH_SHOWN = 8
"""Hexadecimal digits of the weights' SHA-256 in an expert's name."""

QUANTITIES = ("dice", "iou", "nsd_1mm", "nsd_2mm", "hd95_mm", "assd_mm", "volume_error_ml", "volume_error_percent")


@dataclass(frozen=True)
class Summary:
    """Of `n` numbers; median and quartiles are None without any."""

    n: int
    median: float | None
    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class RunRow:
    """What an expert costs on a device: runs, cases, seconds, memory of the process in MiB, agreement in panels."""

    expert: str
    device: str
    runs: int
    cases: int
    seconds: Summary
    peak_memory_mb: Summary
    agreement: Summary


@dataclass(frozen=True)
class StructureRow:
    """An expert on a structure. kind: of the references. cases: compared; numbers: by name, those of `QUANTITIES` that are
    defined; dice: of each case, for a picture. lesions_found of lesions_reference and of lesions_result: sums over all cases
    whose lesions were counted.
    """

    structure: str
    kind: str
    expert: str
    cases: int
    numbers: dict[str, Summary]
    dice: tuple[float, ...]
    lesions_reference: int
    lesions_result: int
    lesions_found: int


@dataclass(frozen=True)
class Ranking:
    """Who has the highest median Dice of the shared cases of a structure; expert is "" where nobody can say.

    wins: of those cases, the ones in which it was better than all others. beyond_chance: by the sign test above.
    """

    structure: str
    kind: str
    expert: str
    cases: int
    wins: int
    beyond_chance: bool
    why: str


@dataclass(frozen=True)
class Stats:
    """All tables. weights: of the experts that are named by their weights, the whole hashes by name."""

    runs: tuple[RunRow, ...]
    structures: tuple[StructureRow, ...]
    rankings: tuple[Ranking, ...]
    weights: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict:
        """JSON-ready copy."""
        return asdict(self)


def by_weights(run: Run) -> bool:
    """True for an expert that its weights alone tell apart."""
    return bool(run.weights) and not run.task


def expert_of(run: Run, names: Mapping[str, str]) -> str:
    """Model, version and task; without a task the weights by their name, or the begin of their hash, or all networks of one
    program were one expert. names: of weights, no two alike."""
    weights = names.get(run.weights, f"weights {run.weights[:HASH_SHOWN]}") if by_weights(run) else ""
    return " ".join(part for part in (run.model, run.version, run.task or weights) if part)


def stats_of(runs: Sequence[Run], comparisons: Sequence[Comparison], names: Mapping[str, str] | None = None) -> Stats:
    """The tables of a log, as `evaluation_log.read` gives it. names: of weights by their hash, as `weights_names` gives them."""
    named = {run.run: expert_of(run, names or {}) for run in runs}
    by_key = {run.run: run for run in runs}
    groups = _grouped(comparisons, lambda one: (one.structure, one.kind))
    structures, rankings = [], []
    for structure, kind in sorted(groups, key=lambda key: (KINDS.index(key[1]), key[0])):
        experts = _by_expert(groups[structure, kind], by_key, named)
        structures += [_structure_row(structure, kind, expert, cases) for expert, cases in sorted(experts.items())]
        if len(experts) > 1:
            rankings.append(_ranking(structure, kind, {name: _dice(cases) for name, cases in experts.items()}))
    weights = {named[run.run]: run.weights for run in runs if by_weights(run)}
    return Stats(_run_rows(runs, named), tuple(structures), tuple(rankings), weights)


def summary(values: Iterable[float | None]) -> Summary:
    """Median and quartiles of the values that are defined."""
    numbers = [value for value in values if value is not None]
    if not numbers:
        return Summary(0, None, None, None)
    lower, median, upper = (float(value) for value in np.percentile(numbers, (25, 50, 75)))
    return Summary(len(numbers), median, lower, upper)


def _grouped(items: Iterable, key: Callable) -> dict:
    found: dict = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def _run_rows(runs: Sequence[Run], named: dict[str, str]) -> tuple[RunRow, ...]:
    groups = _grouped(runs, lambda run: (named[run.run], run.device))
    rows = []
    for (expert, device), group in sorted(groups.items()):
        numbers = (summary(getattr(run, name) for run in group) for name in ("seconds", "peak_memory_mb", "agreement"))
        rows.append(RunRow(expert, device, len(group), len({run.case for run in group}), *numbers))
    return tuple(rows)


def _by_expert(
    comparisons: Sequence[Comparison], runs: dict[str, Run], named: dict[str, str]
) -> dict[str, dict[str, list[Comparison]]]:
    """Expert, case, and the comparisons of the run that was compared last."""
    found: dict[str, dict[str, list[Comparison]]] = {}
    for run_key, group in _grouped(comparisons, lambda one: one.run).items():
        run = runs[run_key]
        cases = found.setdefault(named[run_key], {})
        before = cases.get(run.case)
        if before is None or max(one.compared for one in group) >= max(one.compared for one in before):
            cases[run.case] = group
    return found


def _mean(group: Sequence[Comparison], name: str) -> float | None:
    values = [getattr(one, name) for one in group if getattr(one, name) is not None]
    return float(np.mean(values)) if values else None


def _dice(cases: dict[str, list[Comparison]]) -> dict[str, float]:
    """Dice by case, where it is defined."""
    means = {case: _mean(group, "dice") for case, group in cases.items()}
    return {case: value for case, value in means.items() if value is not None}


def _structure_row(structure: str, kind: str, expert: str, cases: dict[str, list[Comparison]]) -> StructureRow:
    numbers = {name: summary(_mean(group, name) for group in cases.values()) for name in QUANTITIES}
    rows = [one for group in cases.values() for one in group]
    sums = (sum(getattr(one, f"lesions_{name}") or 0 for one in rows) for name in ("reference", "result", "found"))
    return StructureRow(structure, kind, expert, len(cases), numbers, tuple(_dice(cases).values()), *sums)


def _ranking(structure: str, kind: str, experts: dict[str, dict[str, float]]) -> Ranking:
    """Experts with fewer cases than a ranking needs stand aside, or one of them would take the ranking from all."""
    enough = {name: dice for name, dice in experts.items() if len(dice) >= FEWEST}
    if len(enough) < 2:
        return Ranking(structure, kind, "", 0, 0, False, f"fewer than two experts have {FEWEST} cases")
    shared = sorted(set.intersection(*(set(dice) for dice in enough.values())))
    if len(shared) < FEWEST:
        return Ranking(structure, kind, "", len(shared), 0, False, f"the experts share {len(shared)} cases; wanted {FEWEST}")
    medians = {name: float(np.median([dice[case] for case in shared])) for name, dice in enough.items()}
    best, second = sorted(medians, key=lambda name: -medians[name])[:2]
    if medians[best] == medians[second]:
        return Ranking(structure, kind, "", len(shared), 0, False, f"{best} and {second} have the same median Dice")
    wins = sum(all(enough[best][case] > dice[case] for name, dice in enough.items() if name != best) for case in shared)
    others = [[(enough[best][case], dice[case]) for case in shared] for name, dice in enough.items() if name != best]
    beyond = all(sign_test(pairs) < CHANCE / len(others) for pairs in others)
    why = f"median Dice {medians[best]:.3f} against {medians[second]:.3f} ({second})"
    return Ranking(structure, kind, best, len(shared), wins, beyond, why)


def sign_test(pairs: Sequence[tuple[float, float]]) -> float:
    """Chance that the first of a pair is larger at least as often, were both equally good; equal pairs are left out."""
    wins = sum(one > other for one, other in pairs)
    decided = sum(one != other for one, other in pairs)
    return sum(comb(decided, count) for count in range(wins, decided + 1)) / 2**decided

"""Weights of experts learned from the evaluation log of this machine, structure by structure.

The weight of an expert on a structure is its mean Dice over the n cases that all experts of the panel share, drawn to the mean
m of these experts as if K more cases had been seen there: w = (n d + K m) / (n + K). Shrinking noisy means to a common one is
that of James and Stein (Proc. Fourth Berkeley Symposium, 1961); the fixed K = 5 is our choice, and so is the Dice itself as a
weight: it tells a better expert from a worse one where votes are even, and one outvotes two others only where its weight is more
than both of theirs together (0.95 against 0.3 and 0.3). Nobody is told of that vote by vote: the disagreement map shows it.

A reference made by another expert is no truth and never counts. Independent references and results that a reader corrected
are never mixed: the first are taken where there are enough cases, else the second. The case that is being fused is left out.
Experts whose name the log does not keep ("other", such as a user's own profile) cannot be told apart: their weights are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from OncoLib.segmentation import Segmentation
from OncoSegmentLib.consensus.opinions import structure_id
from OncoSegmentLib.evaluation_log import CORRECTED, INDEPENDENT, Comparison, Run
from OncoSegmentLib.evaluation_record import OTHER, run_of
from OncoSegmentLib.evaluation_stats import FEWEST

PRIOR_CASES = 5.0
LEAST_WEIGHT = 1e-3
"""Of an expert that never found it: a vote of no weight at all cannot be told from none."""

Identity = tuple[str, str, str, str]
"""Model, version, task and weights: two nnU-Nets are two experts."""


@dataclass(frozen=True)
class Learned:
    """weights: for each expert of the panel, by structure id; 1 for all where too few cases are known. notes: for the reader."""

    weights: tuple[dict[str, float], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Basis:
    """What the weights of one structure rest on: kind of the references, shared cases, mean Dice of each who has them."""

    kind: str
    cases: int
    dice: dict[Identity, float]


def identity_of(run: Run) -> Identity:
    """Who made a run."""
    return run.model, run.version, run.task, run.weights


def learned_weights(
    segmentations: Sequence[Segmentation], runs: Sequence[Run], comparisons: Sequence[Comparison]
) -> Learned:
    """Weights of the experts that made these segmentations of one image, from a log as `evaluation_log.read` gives it."""
    made = [run_of(one) for one in segmentations]
    experts = [identity_of(run) if run and OTHER not in (run.model, run.task) else None for run in made]
    cases = {run.case for run in made if run}
    listed = [{structure_id(segment) for segment in one.segments} - {""} for one in segmentations]
    table = dice_table(runs, comparisons, leave_out=cases)
    weights: list[dict[str, float]] = [{} for _ in experts]
    bases: dict[str, Basis | None] = {}
    for structure in sorted(set().union(*listed)):
        involved = {one for one, names in zip(experts, listed) if structure in names}
        involved |= {one for one in experts if any(one in table.get((structure, kind), {}) for kind in (INDEPENDENT, CORRECTED))}
        bases[structure] = basis_of(table, structure, involved)
        for at, expert in enumerate(experts):
            weights[at][structure] = weight_of(bases[structure], expert)
    return Learned(tuple(weights), notes_of(bases))


def dice_table(runs: Sequence[Run], comparisons: Sequence[Comparison], *, leave_out: set[str]) -> dict:
    """`{(structure, kind): {expert: {case: Dice}}}`; of several runs of an expert on a case the one compared last counts."""
    by_key = {run.run: run for run in runs}
    latest: dict[tuple, list[Comparison]] = {}
    for one in sorted(comparisons, key=lambda one: one.compared):
        run = by_key[one.run]
        if run.case in leave_out or one.dice is None:
            continue
        place = (one.structure, one.kind, identity_of(run), run.case)
        kept = latest.get(place, [])
        latest[place] = [*kept, one] if kept and kept[0].run == one.run else [one]
    table: dict[tuple[str, str], dict[Identity, dict[str, float]]] = {}
    for (structure, kind, expert, case), rows in latest.items():
        table.setdefault((structure, kind), {}).setdefault(expert, {})[case] = float(np.mean([row.dice for row in rows]))
    return table


def basis_of(table: dict, structure: str, involved: set) -> Basis | None:
    """The cases that all involved experts share; None when they are too few, or when there is one expert only."""
    if len(involved) < 2:
        return None
    for kind in (INDEPENDENT, CORRECTED):
        known = [table.get((structure, kind), {}).get(one, {}) for one in involved]
        shared = set.intersection(*(set(cases) for cases in known))
        if len(shared) >= FEWEST:
            dice = {one: float(np.mean([cases[case] for case in sorted(shared)])) for one, cases in zip(involved, known)}
            return Basis(kind, len(shared), dice)
    return None


def weight_of(basis: Basis | None, expert: Identity | None) -> float:
    """The formula above; the mean for an expert that has nothing to say on the structure, 1 where nothing is known."""
    if basis is None:
        return 1.0
    middle = float(np.mean(list(basis.dice.values())))
    own = basis.dice.get(expert, middle)
    return max((basis.cases * own + PRIOR_CASES * middle) / (basis.cases + PRIOR_CASES), LEAST_WEIGHT)


def notes_of(bases: dict[str, Basis | None]) -> tuple[str, ...]:
    """How many cases the weights rest on."""
    found = [basis for basis in bases.values() if basis]
    if not found:
        return (
            f"all weights are equal: the evaluation log has no structure with {FEWEST} cases that all experts share (references"
            " made by another expert do not count)",
        )
    notes = []
    for kind in (INDEPENDENT, CORRECTED):
        counts = sorted(basis.cases for basis in found if basis.kind == kind)
        if counts:
            span = f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
            many = f"{len(counts)} structures" if len(counts) > 1 else "1 structure"
            notes.append(f"the weights of {many} rest on {span} shared cases with {kind} references")
    equal = len(bases) - len(found)
    if equal:
        have = "structures have" if equal > 1 else "structure has"
        notes.append(f"{equal} other {have} equal weights: fewer than {FEWEST} shared cases")
    return tuple(notes)

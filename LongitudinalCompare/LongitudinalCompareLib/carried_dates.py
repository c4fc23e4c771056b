"""Later dates without a segmentation, filled by prompts carried from the baseline: registered once, for `evidence_of` too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from LongitudinalCompareLib.carried_lesions import NOTHING, PROPOSED, Carried, carried_lesions
from LongitudinalCompareLib.compare_options import CompareOptions
from LongitudinalCompareLib.evidence_of import chosen_of
from LongitudinalCompareLib.lesion_segments import Chosen
from LongitudinalCompareLib.lesions_of import lesions_of
from LongitudinalCompareLib.registration import Pair, register_dates
from LongitudinalCompareLib.timepoint import Timepoint, ordered
from OncoLib.errors import InputError
from OncoLib.progress import CancelToken, Progress, part_of, silent
from OncoSegmentLib.refine.protocol import Engine

REGISTERED = 0.8
"""Share of the progress at which the dates are registered."""

NOTE = (
    "segmented by {engine} from prompts carried from {when}: each lesion is a proposal that waits for a reader; until one"
    " links or measures it, it has no interval and no change"
)


@dataclass(frozen=True, eq=False)
class CarriedDates:
    """What `compare_with_evidence` takes. timepoints: all with a segmentation. pairs: their registrations. options: without the
    names of lesions, which are told in the segmentations now. asked: the options as they were. carried: by the date's place,
    what became of each lesion."""

    timepoints: tuple[Timepoint, ...]
    pairs: tuple[Pair, ...]
    options: CompareOptions
    asked: CompareOptions
    carried: dict[int, tuple[Carried, ...]]

    def as_dict(self) -> dict:
        """For provenance: how the lesions were chosen, and at dates from prompts each lesion with its prompts and outcome."""
        dates = []
        for at, lesions in self.carried.items():
            date, made = self.timepoints[at], self.timepoints[at].segmentation.provenance.parameters
            told = [{**asdict(one), **made["lesions"].get(one.name, {})} for one in lesions]
            dates.append({"when": date.when, "engine": made["engine"], "lesions": told})
        return {"options": self.asked.as_dict(), "carried": dates}


def carried_dates(
    timepoints: Sequence[Timepoint],
    options: CompareOptions,
    engine: Engine | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
    *,
    inside: np.ndarray | None = None,
    exclude: np.ndarray | None = None,
) -> CarriedDates:
    """Registers all dates and fills those without a segmentation. engine: None where no date is to be filled; it is not closed.

    inside, exclude: as of `register_dates`; without `exclude` the baseline's lesions are left out.
    Raises InputError for a baseline without segmentation or without lesions, and what `chosen_of` and `register_dates` raise.
    """
    cancel = cancel or CancelToken()
    timepoints = ordered(timepoints)
    empty = [at for at, one in enumerate(timepoints) if one.segmentation is None]
    check(timepoints, empty, engine)
    there = [at for at in range(len(timepoints)) if at not in empty]
    chosen = dict(zip(there, chosen_of([timepoints[at] for at in there], options)))  # refused before the registration
    if empty and not chosen[0].lesions:
        raise InputError(f"{timepoints[0].when}, the baseline, has no lesion; there is nothing to carry prompts from")
    judged = [told(one, chosen.get(at)) for at, one in enumerate(timepoints)]
    more = {"inside": inside, "exclude": chosen[0].changing if exclude is None else exclude}
    choice, _why = options.choice_for(timepoints)
    pairs = register_dates(
        judged, choice, **more, way_back=options.way_back, local=options.local, progress=part_of(progress, 0.0, REGISTERED),
        cancel=cancel,
    )  # fmt: skip
    carried, baseline = {}, lesions_of(judged[0].segmentation, 0, chosen[0].lesions)
    for number, at in enumerate(empty):
        parts = [REGISTERED + (1 - REGISTERED) * step / len(empty) for step in (number, number + 1)]
        judged[at], carried[at] = filled(pairs[at - 1], baseline, engine, part_of(progress, *parts), cancel)
    plain = replace(options, lesion_names=(), all_segments=False, split=False)
    return CarriedDates(tuple(judged), pairs, plain, options, carried)


def check(timepoints: Sequence[Timepoint], empty: Sequence[int], engine: Engine | None) -> None:
    """Raises InputError for a date that nothing can fill."""
    if 0 in empty:
        what = "prompts are carried from its lesions" if engine is not None else "wanted one of the lesions, it may be empty"
        raise InputError(f"{timepoints[0].when}, the baseline, has no segmentation; {what}")
    if empty and engine is None:
        raise InputError(f"{timepoints[empty[0]].when}: there is no segmentation; wanted one of the lesions, it may be empty")


def told(timepoint: Timepoint, chosen: Chosen | None) -> Timepoint:
    """With its lesions coded as such, each under its own name."""
    if chosen is None:
        return timepoint
    return replace(timepoint, segmentation=chosen.segmentation, notes=(*timepoint.notes, *chosen.notes))


def filled(pair: Pair, baseline: Sequence, engine: Engine, progress: Progress, cancel: CancelToken):
    """The date with proposals, and what became of each lesion."""

    def at_lesions(fraction: float | None, message: str) -> None:
        progress(fraction, f"Looking for the lesions by carried prompts {pair.moving.when}")

    way, more = pair.registration.transform, {"progress": at_lesions, "cancel": cancel}
    found = carried_lesions(pair.fixed, pair.moving, way, pair.verdict, baseline, engine, **more)
    notes = [NOTE.format(engine=engine.name, when=pair.fixed.when)]
    notes += [f"{one.name}: nothing is proposed; {one.text}" for one in found.lesions if one.outcome == NOTHING]
    count = sum(one.outcome == PROPOSED for one in found.lesions)
    notes += [] if count else ["no lesion could be proposed"]
    date = replace(
        pair.moving, segmentation=found.segmentation, segmented_by=f"{engine.name} from carried prompts", searched=False,
        notes=(*pair.moving.notes, *notes),
    )  # fmt: skip
    return date, found.lesions

"""`evidence_of`: registers the dates and measures the lesions of each on its own grid. The slow part of a comparison."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date as calendar

import numpy as np

from LongitudinalCompareLib.alignment import put_together
from LongitudinalCompareLib.compare_options import CompareOptions
from LongitudinalCompareLib.comparison import DateFacts
from LongitudinalCompareLib.evidence import Evidence, SeenDate
from LongitudinalCompareLib.evidence_later import with_later_lesions
from LongitudinalCompareLib.expert_volumes import expert_volumes, unseen_flags
from LongitudinalCompareLib.image_facts import value_notes
from LongitudinalCompareLib.lesion_segments import Chosen, lesions_at
from LongitudinalCompareLib.lesion_sites import shared_flags, sites_of
from LongitudinalCompareLib.lesions_of import lesions_of
from LongitudinalCompareLib.pair_outcome import PairOutcome
from LongitudinalCompareLib.registration import Pair, register_dates
from LongitudinalCompareLib.timepoint import Timepoint, ordered
from OncoLib import audit
from OncoLib.diameters import acquisition_axis
from OncoLib.errors import InputError
from OncoLib.progress import CancelToken, Progress, part_of, silent

MEASURED, REGISTERED = 0.05, 0.9
"""Shares of the progress at which the lesions are measured and the dates are registered."""


def evidence_of(
    timepoints: Sequence[Timepoint],
    options: CompareOptions | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
    *,
    pairs: Sequence[Pair] | None = None,
    now=audit.now_iso,
    clock=time.monotonic,
) -> Evidence:
    """What is seen and registered; pure but for the time in its provenance.

    timepoints: 1 to n, in any order, each with a segmentation (one without lesions says that all are gone).
    pairs: when the dates are registered already, see `carried_dates`.
    Raises InputError naming the date for a missing segmentation, for one without codes when no option says which segments are
    lesions, for dates of several modalities and when no date has a lesion; GeometryError and what `register_dates` raises;
    Cancelled.
    """
    options, cancel = options or CompareOptions(), cancel or CancelToken()
    started, began = now(), clock()
    timepoints = ordered(timepoints)
    choice, why = options.choice_for(timepoints)
    chosen = chosen_of(timepoints, options)
    told = part_of(progress, 0.0, MEASURED)
    dates = []
    for at, (timepoint, one) in enumerate(zip(timepoints, chosen)):
        cancel.check()
        told(at / len(timepoints), f"Measuring the lesions of {timepoint.when}")
        dates.append(seen_date(at, timepoint, one, timepoints[0], cancel))
    judged = tuple(replace(one, segmentation=of.segmentation) for one, of in zip(timepoints, chosen))
    if pairs is None:
        telling = part_of(progress, MEASURED, REGISTERED)
        pairs = registered(judged, chosen[0].changing, choice, options, telling, cancel)
    else:
        check_judged(pairs, dates[0])
        pairs = tuple(replace(one, fixed=judged[0], moving=later) for one, later in zip(pairs, judged[1:]))
    evidence = Evidence(tuple(dates), outcomes(pairs), dates[0].facts.sha256, tuple(options.known))
    if options.later:
        evidence = with_later_lesions(evidence, pairs, options.local, choice.preset, part_of(progress, REGISTERED, 1.0), cancel)
    progress(1.0, "Registered and measured")
    facts = {"preset": why, "choice": choice.as_dict(), "options": options.as_dict(), "versions": audit.package_versions()}
    facts |= {"segmentations": [segmentation_facts(one) for one in timepoints]}
    return replace(evidence, provenance={**facts, "started": started, "seconds": round(clock() - began, 1)})


def chosen_of(timepoints: Sequence[Timepoint], options: CompareOptions) -> list[Chosen]:
    """The lesions of each date; InputError for a name that no date knows, and when there is no lesion at all."""
    found = [lesions_at(one, options) for one in timepoints]
    names = {segment.name for one in timepoints for segment in one.segmentation.segments}
    missing = [name for name in options.lesion_names if name not in names]
    if missing:
        raise InputError(f"no date has a segment {missing[0]!r}; there are {', '.join(sorted(names)) or 'none'}")
    if not any(one.lesions for one in found):
        raise InputError("no date has a lesion: there is nothing to compare")
    return found


def seen_date(at: int, timepoint: Timepoint, chosen: Chosen, baseline: Timepoint, cancel: CancelToken) -> SeenDate:
    """One date, measured. Each lesion carries its organ and what a reader should know of it."""
    sites, flags = sites_of(timepoint, chosen)
    cancel.check()
    lesions = lesions_of(chosen.segmentation, at, chosen.lesions, sites)
    experts = expert_volumes(timepoint.experts, lesions, cancel)
    shared = shared_flags(lesions)
    lesions = tuple(
        replace(one, flags=(*flags[one.key.name], *shared[one.key.name], *unseen_flags(timepoint.experts, experts, one)))
        for one in lesions
    )
    image = timepoint.image
    return SeenDate(facts_of(timepoint, chosen, baseline), lesions, image.ijk_to_ras, image.shape_kji, experts)


def facts_of(timepoint: Timepoint, chosen: Chosen, baseline: Timepoint) -> DateFacts:
    """Of one date, without identity. slice_mm: the spacing across the slices, which is not always their thickness."""
    image = timepoint.image
    day = (calendar.fromisoformat(timepoint.date) - calendar.fromisoformat(baseline.date)).days
    slices = dict(zip("ijk", image.spacing_mm))[acquisition_axis(image.ijk_to_ras)]
    return DateFacts(
        timepoint.date, timepoint.time, day, image.modality, image.spacing_mm, slices, timepoint.segmented_by,
        audit.image_sha256(image), tuple(timepoint.as_dict()["channels"]), (*timepoint.notes, *chosen.notes, *value_notes(image)),
        timepoint.searched, chosen.candidates,
    )  # fmt: skip


def segmentation_facts(timepoint: Timepoint) -> dict:
    """Which model made a segmentation, and which edits came after; nothing of whose it is."""
    found = timepoint.segmentation.provenance
    names = ("model", "model_version", "weights_sha256", "input_sha256", "seed", "edits")
    return {"when": timepoint.when, **{name: found.as_dict()[name] for name in names}}


def registered(
    timepoints: Sequence[Timepoint], changing: np.ndarray | None, choice, options: CompareOptions, progress, cancel
) -> tuple[Pair, ...]:
    """Each later date with the baseline; () for one date alone. What may be a lesion does not lead a deformation."""
    if len(timepoints) < 2:
        return ()
    more = {"exclude": changing, "way_back": options.way_back, "local": options.local}
    return register_dates(timepoints, choice, **more, progress=progress, cancel=cancel)


def check_judged(pairs: Sequence[Pair], baseline: SeenDate) -> None:
    """InputError for pairs that were registered with other lesions: nobody would know how well these are aligned."""
    for pair in pairs:
        names = () if pair.verdict is None else [one.name for one in pair.verdict.regions]
        missing = [one.key.name for one in baseline.lesions if one.key.name not in names]
        if missing:
            raise InputError(f"{pair.moving.when} was registered without a verdict at {missing[0]!r}; wanted one at each lesion")


def outcomes(pairs: Sequence[Pair]) -> tuple[PairOutcome, ...]:
    """What is kept of the pairs: no images."""
    return tuple(
        PairOutcome(at, one.registration.transform, one.verdict or put_together(()), one.registration.as_dict())
        for at, one in enumerate(pairs, 1)
    )

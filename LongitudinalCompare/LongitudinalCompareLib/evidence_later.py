"""The verdict on the alignment where a lesion was first seen after the baseline: `register_dates` looks at baseline lesions only.

The place of such a lesion is carried back to the baseline's frame, and each date from its own on is judged there as at any
other region. Which lesions are first seen later is what tracking says before any reader; a lesion that a reader later takes
for a new one has no verdict of its own, and `evidence_dates.judged_at` says None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from LongitudinalCompareLib.alignment import Region, RegionAlignment, alignment, put_together
from LongitudinalCompareLib.alignment_local import refined_at
from LongitudinalCompareLib.alignment_verdict import GOOD
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.evidence_dates import dated_lesions, region_name
from LongitudinalCompareLib.lesion_track import Lesion, inside_grid
from LongitudinalCompareLib.pair_outcome import PairOutcome
from LongitudinalCompareLib.registration import Pair, regions_of
from LongitudinalCompareLib.tracking import track_lesions
from OncoLib.progress import CancelToken, Progress
from OncoLib.registration.presets import Preset


def with_later_lesions(
    evidence: Evidence, pairs: Sequence[Pair], local: bool, preset: Preset, progress: Progress, cancel: CancelToken
) -> Evidence:
    """The evidence with a verdict of each later date at the place of each lesion that tracking begins after the baseline.

    A place that the baseline or the date does not show gets none. local: refinements where the alignment is not good.
    """
    if not pairs:
        return evidence
    later = first_seen_later(evidence)
    steps = sum(1 for one in later for pair in evidence.pairs if pair.follow_up >= one.key.timepoint)
    outcomes, done = list(evidence.pairs), 0
    for lesion in later:
        center = None
        for at in range(lesion.key.timepoint - 1, len(outcomes)):
            cancel.check()
            progress(done / steps, f"Judging the alignment at lesions first seen later {pairs[at].moving.when}")
            done += 1
            if center is None:
                center = centers(outcomes[at], lesion)
            region = Region(region_name(lesion.key, evidence), center, lesion.radius_mm)
            found = judged(pairs[at], region, local, preset, cancel)
            if found is None:
                continue
            outcomes[at] = with_region(outcomes[at], found)
            if at == lesion.key.timepoint - 1 and found.local is not None:  # the place in the baseline by what fits here
                center = tuple(map(float, found.local.inverse().moved(lesion.centroid_ras_mm[None])[0]))
    return replace(evidence, pairs=tuple(outcomes))


def first_seen_later(evidence: Evidence) -> list[Lesion]:
    """The first lesion of each track that begins after the baseline, in the order of dates."""
    found = []
    for track in track_lesions(dated_lesions(evidence), evidence.seed).tracks:
        first = next(state.lesions for state in track.states if state.lesions)[0]
        if first.key.timepoint > 0:
            found.append(first)
    return sorted(found, key=lambda one: (one.key.timepoint, one.place))


def centers(outcome: PairOutcome, lesion: Lesion) -> tuple[float, float, float]:
    """Where a lesion of a later date lies in the baseline's frame."""
    return tuple(map(float, outcome.transform.inverse().moved(lesion.centroid_ras_mm[None])[0]))


def judged(pair: Pair, region: Region, local: bool, preset: Preset, cancel: CancelToken) -> RegionAlignment | None:
    """The verdict at a place; None where one of both scans does not show it."""
    fixed, moving, transform = pair.fixed, pair.moving, pair.registration.transform
    place = np.array([region.center_ras])
    shown = [inside_grid(points, one.image.ijk_to_ras, one.image.shape_kji)[0]
             for one, points in ((fixed, place), (moving, transform.moved(place)))]  # fmt: skip
    if not all(shown):
        return None
    regions = (*regions_of(fixed.segmentation, fixed.image), region)
    told = {"fixed_segmentation": fixed.segmentation, "moving_segmentation": moving.segmentation, "cancel": cancel}
    backward = None if pair.backward is None else pair.backward.transform
    images = fixed.image, moving.image
    found = alignment(*images, transform, regions, backward=backward, only=region.name, **told).regions[0]
    if local and found.verdict != GOOD:
        found = refined_at(*images, transform, regions, region, found, preset, told)
    return found


def with_region(outcome: PairOutcome, found: RegionAlignment) -> PairOutcome:
    """One more region, and the verdict of the pair with it."""
    return replace(outcome, alignment=put_together((*outcome.alignment.regions, found), outcome.alignment.limits))

"""The verdict on the alignment where a lesion was first seen after the baseline: `register_dates` looks at baseline lesions only.

The place of such a lesion is carried back to the baseline's frame, and each date from its own on is judged there as at any
other region. Which lesions are first seen later is what tracking says before any reader; a lesion that a reader later takes
for a new one has no verdict of its own, and `evidence_dates.judged_at` says None. What cannot be judged is said in a flag.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from LongitudinalCompareLib.alignment import Region, RegionAlignment, alignment, put_together
from LongitudinalCompareLib.alignment_local import refined_at
from LongitudinalCompareLib.alignment_verdict import GOOD, REFUSE
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.evidence_dates import dated_lesions, judged_at, region_name
from LongitudinalCompareLib.lesion_track import Lesion, LesionKey, inside_grid
from LongitudinalCompareLib.registration import Pair, lesions_mask
from LongitudinalCompareLib.tracking import track_lesions
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress
from OncoLib.registration.presets import Preset

REFUSED_THERE = "the alignment with the first date is refused at its place: whether it is new is not sure"
NOT_JUDGED = "the first date does not show its place: how well the dates are aligned there is not known"
BASELINE_LESIONS = "lesions of the baseline"
"""Name of all of them together, which only are left out of the surroundings."""


def with_later_lesions(
    evidence: Evidence, pairs: Sequence[Pair], local: bool, preset: Preset, progress: Progress, cancel: CancelToken
) -> Evidence:
    """The evidence with a verdict of each later date at the place of each lesion that tracking begins after the baseline.

    A place that the baseline or the date does not show gets none. local: refinements where the alignment is not good.
    """
    later = first_seen_later(evidence) if pairs else []
    if not later:
        return evidence
    judge, found = _Judge(pairs, local, preset, cancel), {one.follow_up: [] for one in evidence.pairs}
    for number, lesion in enumerate(later):
        name, told = region_name(lesion.key, evidence), f"Judging the alignment at {lesion.key.name}, first seen"
        progress(number / len(later), f"{told} {evidence.dates[lesion.key.timepoint].facts.when}")
        for at, one in judge.at_each_date(lesion, name):
            found[at].append(one)
    outcomes = [
        replace(one, alignment=put_together((*one.alignment.regions, *found[one.follow_up]), one.alignment.limits))
        if found[one.follow_up] else one
        for one in evidence.pairs
    ]  # fmt: skip
    return flagged(replace(evidence, pairs=tuple(outcomes)), [one.key for one in later])


def first_seen_later(evidence: Evidence) -> list[Lesion]:
    """The first lesion of each track that begins after the baseline, in the order of dates."""
    found = []
    for track in track_lesions(dated_lesions(evidence), evidence.seed).tracks:
        first = next(state.lesions for state in track.states if state.lesions)[0]
        if first.key.timepoint > 0:
            found.append(first)
    return sorted(found, key=lambda one: (one.key.timepoint, one.place))


class _Judge:
    """Looks at places of the baseline's frame that are no lesion there."""

    def __init__(self, pairs: Sequence[Pair], local: bool, preset: Preset, cancel: CancelToken) -> None:
        self.pairs, self.local, self.preset, self.cancel = pairs, local, preset, cancel
        baseline = pairs[0].fixed
        mask = lesions_mask(baseline.segmentation)
        there = mask is not None and mask.any()
        self.around = (Region.of_mask(BASELINE_LESIONS, mask, baseline.image.ijk_to_ras),) if there else ()

    def at_each_date(self, lesion: Lesion, name: str) -> list[tuple[int, RegionAlignment]]:
        """Number of the date and its verdict, from the lesion's own date on.

        The place in the baseline is what its own date's transform says, or the refinement where that date needed one.
        """
        own = lesion.key.timepoint
        center, found = back(self.pairs[own - 1].registration.transform, lesion), []
        for at in range(own, len(self.pairs) + 1):
            self.cancel.check()
            one = self.at(self.pairs[at - 1], Region(name, center, lesion.radius_mm))
            if one is None:
                continue
            found.append((at, one))
            if at == own and one.local is not None:
                center = back(one.local, lesion)
        return found

    def at(self, pair: Pair, region: Region) -> RegionAlignment | None:
        """The verdict of a pair at a place; None where one of both scans does not show it."""
        fixed, moving, transform = pair.fixed, pair.moving, pair.registration.transform
        place = np.array([region.center_ras])
        if not (shows(fixed.image, place) and shows(moving.image, transform.moved(place))):
            return None
        regions, images = (*self.around, region), (fixed.image, moving.image)
        told = {"fixed_segmentation": fixed.segmentation, "moving_segmentation": moving.segmentation, "cancel": self.cancel}
        backward = None if pair.backward is None else pair.backward.transform
        found = alignment(*images, transform, regions, backward=backward, only=region.name, **told).regions[0]
        if self.local and found.verdict != GOOD:
            found = refined_at(*images, transform, regions, region, found, self.preset, told)
        return found


def back(transform, lesion: Lesion) -> tuple[float, float, float]:
    """Where a lesion of a later date lies in the baseline's frame."""
    return tuple(map(float, transform.inverse().moved(lesion.centroid_ras_mm[None])[0]))


def shows(image: Image, point_ras_mm: np.ndarray) -> bool:
    """A point lies in the field of view."""
    return bool(inside_grid(point_ras_mm, image.ijk_to_ras, image.shape_kji)[0])


def flagged(evidence: Evidence, keys: Sequence[LesionKey]) -> Evidence:
    """Lesions first seen later say where their own date is not aligned, or where nobody can tell."""
    said = {}
    for key in keys:
        region = judged_at(evidence, key, key.timepoint)
        if region is None or region.verdict == REFUSE:
            said[key] = NOT_JUDGED if region is None else REFUSED_THERE
    dates = [
        replace(date, lesions=tuple(
            replace(one, flags=(*one.flags, said[one.key])) if one.key in said else one for one in date.lesions
        ))
        for date in evidence.dates
    ]  # fmt: skip
    return replace(evidence, dates=tuple(dates))

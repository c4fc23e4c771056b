"""All later dates registered to the baseline, each with the way back and a verdict at every lesion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from LongitudinalCompareLib.alignment import Alignment, Region, alignment
from LongitudinalCompareLib.alignment_local import with_refinements
from LongitudinalCompareLib.timepoint import Timepoint
from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.measure import Box, segment_boxes
from OncoLib.progress import CancelToken, Progress, part_of, silent
from OncoLib.registration.engine import Choice, register
from OncoLib.registration.transform import Registration
from OncoLib.segmentation import Segmentation
from OncoLib.terminology import is_lesion

WHOLE = "whole scan"
FORWARD, BACK, JUDGED = 0.45, 0.9, 0.95
"""Shares of a pair's progress at which the registration, the way back and the verdict are done."""


@dataclass(frozen=True, eq=False)
class Pair:
    """The baseline and a later date. registration: baseline to later date. backward: the other way round, registered by itself;
    None when it was left out. verdict: None when there is no lesion to judge it at.
    """

    fixed: Timepoint
    moving: Timepoint
    registration: Registration
    backward: Registration | None
    verdict: Alignment | None

    @property
    def stem(self) -> str:
        """For names of files: both dates."""
        return f"{self.moving.stem}_to_{self.fixed.stem}"

    def as_dict(self) -> dict:
        """For `alignment.json`."""
        verdict = None if self.verdict is None else self.verdict.as_dict()
        return {"baseline": self.fixed.when, "later": self.moving.when, "transform": f"{self.stem}.json", "alignment": verdict}


def register_dates(
    timepoints: Sequence[Timepoint],
    choice: Choice,
    *,
    inside: np.ndarray | None = None,
    exclude: np.ndarray | None = None,
    way_back: bool = True,
    local: bool = True,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> tuple[Pair, ...]:
    """A pair for each date after the first. timepoints: in order, see `timepoint.ordered`.

    inside, exclude: masks `[k, j, i]` on the baseline's grid: what counts, and what a deformation must not be led by.
    way_back: also registers each later date's image with the baseline as the moving one, for the verdict. local: lesions where
    the result is not good are refined on their own, see `alignment_local`.
    Raises InputError for fewer than two dates, and what `register` raises.
    """
    if len(timepoints) < 2:
        raise InputError(f"{len(timepoints)} timepoint; wanted two or more to be registered")
    fixed, *later = timepoints
    pairs = []
    for number, moving in enumerate(later):
        told = part_of(progress, number / len(later), (number + 1) / len(later))
        pairs.append(register_pair(fixed, moving, choice, inside, exclude, way_back, local, dated(told, moving.when), cancel))
    return tuple(pairs)


def dated(progress: Progress, when: str) -> Progress:
    """Progress that says which date is worked at."""
    return lambda fraction, message: progress(fraction, f"{message} {when}")


def register_pair(
    fixed: Timepoint, moving: Timepoint, choice: Choice, inside, exclude, way_back: bool, local: bool, progress, cancel
) -> Pair:
    """One later date."""
    images = fixed.image, moving.image
    options = {"masks": (inside, None), "exclude": exclude, "cancel": cancel}
    found = register(*images, choice, **options, progress=part_of(progress, 0.0, FORWARD if way_back else BACK))
    back = None
    if way_back:
        back = register(*images[::-1], choice, masks=(None, inside), progress=part_of(progress, FORWARD, BACK), cancel=cancel)
    regions = regions_of(fixed.segmentation, fixed.image)
    verdict = None
    if regions:
        told = {"fixed_segmentation": fixed.segmentation, "moving_segmentation": moving.segmentation, "cancel": cancel}
        backward, judging = None if back is None else back.transform, part_of(progress, BACK, JUDGED)
        verdict = alignment(*images, found.transform, regions, backward=backward, **told, progress=judging)
        if local:
            refining = part_of(progress, JUDGED, 1.0)
            verdict = with_refinements(*images, found.transform, regions, verdict, choice.preset, **told, progress=refining)
    return Pair(fixed, moving, found, back, verdict)


def regions_of(segmentation: Segmentation | None, image: Image) -> tuple[Region, ...]:
    """The lesions of a segmentation, one region each; organs and plain labels without a code are none.

    20 lesions at 512x512x300 took 7.6 s and 1.5 GB with a mask of the whole grid for each.
    """
    if segmentation is None:
        return ()
    boxes, together = segment_boxes(segmentation), lesions_mask(segmentation)
    found, names = [], set()
    for segment in (one for one in segmentation.segments if is_lesion(one.entry)):
        name = segment.name if segment.name not in names else f"{segment.name} ({segment.label})"
        names.add(name)
        if segment in boxes:
            found.append(region_in(name, segmentation, segment, boxes[segment], image, together))
    return tuple(found)


def region_in(name: str, segmentation: Segmentation, segment, box: Box, image: Image, together: np.ndarray) -> Region:
    """The region of one lesion, looked at in its box; its mask is that of all lesions, in memory once."""
    matrix = np.array(image.ijk_to_ras)
    matrix[:3, 3] += matrix[:3, :3] @ [span.start for span in box[::-1]]
    own = Region.of_mask(name, segmentation.layers[segment.layer][box] == segment.label, matrix)
    return replace(own, mask=together)


def lesions_mask(segmentation: Segmentation | None) -> np.ndarray | None:
    """bool `[k, j, i]` of all lesions together; None when there is none."""
    lesions = [] if segmentation is None else [one for one in segmentation.segments if is_lesion(one.entry)]
    found = None
    for one in lesions:
        found = segmentation.mask(one) if found is None else np.logical_or(found, segmentation.mask(one), out=found)
    return found

"""Every later date registered to the baseline, and the alignment judged at the baseline's lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from LongitudinalCompareLib.alignment import alignment
from LongitudinalCompareLib.lesion_regions import regions_of
from LongitudinalCompareLib.pair_outcome import PairOutcome
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, part_of, silent
from OncoLib.registration.simple_itk import register_rigid
from OncoLib.segmentation import Segmentation

FORTH, BACK = 0.45, 0.85
"""Shares of a pair's progress: registered, and registered the other way round."""


@dataclass(frozen=True)
class Wanted:
    """How to register. See `OncoLib.registration`."""

    engine: str = "simpleitk"
    kind: str = "rigid"
    preset: str = "auto"
    deterministic: bool = False


def register_dates(
    images: Sequence[Image],
    segmentations: Sequence[Segmentation | None],
    wanted: Wanted,
    *,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> tuple[PairOutcome, ...]:
    """One outcome a follow-up, in their order. images: one a date, the baseline first. segmentations: beside them.

    Each pair is registered both ways, for the way back is a part of the verdict. Raises what the engine and `alignment` raise.
    """
    cancel = cancel or CancelToken()
    found = []
    for at in range(1, len(images)):
        share = part_of(progress, (at - 1) / (len(images) - 1), at / (len(images) - 1))
        found.append(register_one(images, segmentations, at, wanted, share, cancel))
    return tuple(found)


def register_one(images, segmentations, at: int, wanted: Wanted, progress: Progress, cancel: CancelToken) -> PairOutcome:
    """One follow-up."""
    fixed, moving = images[0], images[at]
    forth = register_rigid(fixed, moving, progress=part_of(progress, 0.0, FORTH), cancel=cancel)
    back = register_rigid(moving, fixed, progress=part_of(progress, FORTH, BACK), cancel=cancel)
    judged = alignment(
        fixed,
        moving,
        forth.transform,
        regions_of(segmentations[0]),
        backward=back.transform,
        fixed_segmentation=segmentations[0],
        moving_segmentation=segmentations[at],
        progress=part_of(progress, BACK, 1.0),
        cancel=cancel,
    )
    return PairOutcome(at, forth.transform, judged, forth.as_dict())

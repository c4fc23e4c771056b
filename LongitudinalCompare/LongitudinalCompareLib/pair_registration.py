"""Every later date registered to the baseline, and the alignment judged at the baseline's lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from LongitudinalCompareLib.alignment import alignment
from LongitudinalCompareLib.lesion_regions import lesions_of, regions_of
from LongitudinalCompareLib.pair_outcome import PairOutcome
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, part_of, silent
from OncoLib.registration.engine import DETERMINISTIC, FAST, Choice, register
from OncoLib.registration.presets import AUTO, preset_for
from OncoLib.segmentation import Segmentation

FORTH, BACK = 0.45, 0.85
"""Shares of a pair's progress: registered, and registered the other way round."""


@dataclass(frozen=True)
class Wanted:
    """How to register, see `OncoLib.registration.engine.Choice`. preset: an id, or "auto" for the one that fits the baseline.

    worker_path: folders that come first for an engine that has packages of its own.
    """

    engine: str = "simpleitk"
    kind: str = "rigid"
    preset: str = AUTO
    deterministic: bool = False
    worker_path: tuple[str, ...] = ()

    def choice(self, fixed: Image) -> Choice:
        """For a baseline. Raises InputError for what does not go together, such as a preset of another modality."""
        mode = DETERMINISTIC if self.deterministic else FAST
        return Choice(preset_for(fixed, self.preset)[0], self.kind, self.engine, mode, worker_path=self.worker_path)


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
    cancel, choice, last = cancel or CancelToken(), wanted.choice(images[0]), len(images) - 1
    found = []
    for at in range(1, len(images)):
        share = numbered(part_of(progress, (at - 1) / last, at / last), at, last)
        found.append(register_one(images, segmentations, at, choice, share, cancel))
    return tuple(found)


def numbered(progress: Progress, at: int, count: int) -> Progress:
    """Says which of several pairs it is about."""
    return progress if count == 1 else lambda fraction, message: progress(fraction, f"{at} of {count}: {message}")


def register_one(images, segmentations, at: int, choice: Choice, progress: Progress, cancel: CancelToken) -> PairOutcome:
    """One follow-up."""
    fixed, moving = images[0], images[at]
    lesions = [lesion_mask(one) for one in (segmentations[0], segmentations[at])]
    forth = register(
        fixed, moving, choice, exclude=lesions[0], progress=part_of(progress, 0.0, FORTH), cancel=cancel
    )
    back = register(moving, fixed, choice, exclude=lesions[1], progress=part_of(progress, FORTH, BACK), cancel=cancel)
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


def lesion_mask(segmentation: Segmentation | None) -> np.ndarray | None:
    """All lesions together, bool `[k, j, i]`: a deformation must not be led by what changes. None without a segmentation."""
    if segmentation is None:
        return None
    masks = [segmentation.mask(one) for one in lesions_of(segmentation)]
    return np.logical_or.reduce(masks) if masks else None

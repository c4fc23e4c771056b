"""Lesions where the scan's transform is not good get one of their own: a rigid refinement around each, judged like the first.

In the trunk no single rigid transform fits everything. The refinement is taken only where its verdict is better than that of
the pair's transform; the verdict, the perturbations among it, is then that of the refinement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from LongitudinalCompareLib.alignment import LOCAL, Alignment, Region, RegionAlignment, alignment, put_together
from LongitudinalCompareLib.alignment_verdict import GOOD, VERDICTS
from OncoLib.errors import GeometryError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.registration.local import refined
from OncoLib.registration.presets import Preset
from OncoLib.registration.transform import LinearTransform
from OncoLib.segmentation import Segmentation

AROUND_MM = 24.0
"""Of the surroundings that are registered with a lesion, whose own size changes. Our own choice, the verdict's middle box."""


def with_refinements(
    fixed: Image,
    moving: Image,
    transform,
    regions: Sequence[Region],
    judgement: Alignment,
    preset: Preset,
    *,
    fixed_segmentation: Segmentation | None = None,
    moving_segmentation: Segmentation | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> Alignment:
    """The judgement, with a refinement wherever that is better than `transform`; arguments as of `alignment`.

    A refined region is judged without the pair's way back, which is another transform's; a refinement the other way round takes
    its place.
    """
    cancel = cancel or CancelToken()
    told = {"fixed_segmentation": fixed_segmentation, "moving_segmentation": moving_segmentation, "cancel": cancel}
    found, worse = [], [one.name for one in judgement.regions if one.verdict != GOOD]
    for region, one in zip(regions, judgement.regions):
        cancel.check()
        if one.name in worse:
            progress(worse.index(one.name) / len(worse), "Refining around lesions")
            one = refined_at(fixed, moving, transform, regions, region, one, preset, told)
        found.append(one)
    return put_together(found, judgement.limits)


def refined_at(fixed, moving, transform, regions, region: Region, old: RegionAlignment, preset: Preset, told) -> RegionAlignment:
    """The verdict by a refinement, or the old one where that is as good."""
    local = refinement(fixed, moving, transform, region.center_ras, region.radius_mm, preset, told["cancel"])
    if local is None:
        return old
    there = tuple(local.moved(np.array([region.center_ras]))[0])
    back = refinement(moving, fixed, local.inverse(), there, region.radius_mm, preset, told["cancel"])
    new = alignment(fixed, moving, local, regions, backward=back or local.inverse(), only=region.name, **told).regions[0]
    if VERDICTS.index(new.verdict) >= VERDICTS.index(old.verdict):
        return old
    off = float(np.linalg.norm(np.subtract(there, old.moved_ras_mm)))
    told_of = f"Placed by a refinement around it, {off:.1f} mm from where the whole scan's transform puts it."
    return replace(new, placed_by=LOCAL, local=local, reasons=(told_of, *new.reasons))


def refinement(fixed, moving, start, center_ras, radius_mm: float, preset: Preset, cancel: CancelToken) -> LinearTransform | None:
    """A better rigid transform around a place; None where none was found."""
    try:
        found = refined(fixed, moving, start, center_ras, radius_mm + AROUND_MM, preset=preset, cancel=cancel)
    except GeometryError:  # the place lies outside
        return None
    return found.transform if found.improved else None

"""A rigid refinement around one place: a lesion's box, an organ or a vertebra, begun at the transform of the whole scan.

In the trunk no single rigid transform fits everything: organs shift with breath, vertebrae turn one by one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from OncoLib.errors import GeometryError
from OncoLib.image import Image
from OncoLib.image_convert import to_sitk
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.registration.preparing import clipped
from OncoLib.registration.presets import Preset
from OncoLib.registration.resampling import resampled
from OncoLib.registration.simple_itk import (
    ENGINE,
    LEAST_GAIN,
    LEAST_LIKENESS,
    METRIC,
    Settings,
    at_level,
    metric_at,
    optimized,
)
from OncoLib.registration.transform import LinearTransform, Registration, moved_mm, shown_share
from OncoLib.registration.warp import Transform

MARGIN_MM = 8.0
"""Around the region: without its surroundings the edge of a lesion is not in the box."""
MOST_SHIFT_MM, MOST_DEGREES = 15.0, 15.0
"""Beyond what the whole scan's transform says. Our own limits: more is another structure that looks alike."""
LEAST_CONTENT = 2.0
"""Spread of the values in the box over the noise between neighbors: 1 is noise alone. Our own limit."""
LEAST_LOCAL_VOXELS = 400
"""In the box on its grid, or in the mask: fewer make a joint histogram of chance. Our own limit."""


def refined(
    fixed: Image,
    moving: Image,
    start: Transform,
    center_ras,
    radius_mm: float,
    *,
    preset: Preset,
    mask: np.ndarray | None = None,
    settings: Settings | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> Registration:
    """A rigid transform that fits around one place, begun at `start`; on the scans' own voxels, averaged to 1.5 mm or coarser.

    center_ras, radius_mm: the place in the fixed image's RAS and the half side of its box, to which `MARGIN_MM` is added.
    mask: bool `[k, j, i]` on the fixed image's grid, of an organ or a vertebra: only it and `MARGIN_MM` around it are compared,
    still within the box.
    Nothing is invented where there is too little to go by, or where the end lies far off or is no better: then `transform`
    is `start`, `improved` False, and a doubt says why. Raises GeometryError for a place outside of the fixed image, Cancelled.
    """
    settings, cancel = settings or Settings(samples=40_000, between="two dates"), cancel or CancelToken()
    center = np.asarray(center_ras, float).reshape(1, 3)
    reach = radius_mm + MARGIN_MM
    box = cropped(fixed, center[0], reach)
    goal = start.moved(center)[0]
    if box is None:
        raise GeometryError("the place to refine lies outside of the fixed image")
    there = cropped(moving, goal, reach + MOST_SHIFT_MM) if np.isfinite(goal).all() else None
    if there is None or min(there.shape_kji) < 4 or min(box.shape_kji) < 4:
        return left(fixed, moving, start, "the other scan does not show this place", settings)
    progress(0.1, "Refining")
    pair = tuple(at_level(clipped(one, preset), 1.5) for one in (box, there))
    inside = None if mask is None else mask_in(mask, fixed, pair[0])
    lacking = too_little(pair[0], inside)
    if lacking:
        return left(fixed, moving, start, lacking, settings)
    begin = rigid_at(start, center[0])
    before = metric_at(pair, begin, settings, inside)
    found = optimized(pair, begin, settings, cancel, inside)
    progress(0.9, "Refining")
    after = float("nan") if found is None else metric_at(pair, found, settings, inside)
    return judged(fixed, moving, start, begin, found, (before, after), center, settings)


def judged(fixed, moving, start, begin, found, metrics, center, settings: Settings) -> Registration:
    """The refined transform, or the start where it is not to be believed."""
    before, after = metrics
    if found is None or not after >= LEAST_LIKENESS:
        return left(fixed, moving, start, "the two scans have next to nothing in common here", settings, metrics)
    shift = float(np.linalg.norm(found.moved(center) - begin.moved(center)))
    turn = begin.inverse().then(found).degrees
    if shift > MOST_SHIFT_MM or turn > MOST_DEGREES:
        return left(fixed, moving, start, f"the refinement went {shift:.0f} mm and {turn:.0f} degrees off", settings, metrics)
    if not after >= before + LEAST_GAIN:
        return left(fixed, moving, start, "", settings, metrics)
    return outcome(fixed, moving, found, metrics, True, (), settings)


def left(fixed, moving, start, doubt: str, settings: Settings, metrics=(float("nan"),) * 2) -> Registration:
    """The start, as it was. doubt: "" when it is as good as it can be."""
    return outcome(fixed, moving, start, (metrics[0], metrics[0]), False, (f"{doubt}; not refined",) if doubt else (), settings)


def outcome(fixed, moving, transform, metrics, improved: bool, doubts: tuple[str, ...], settings: Settings) -> Registration:
    """All numbers of a registration."""
    return Registration(
        transform, ENGINE, METRIC, *metrics, improved, moved_mm(transform, fixed), transform.linear.degrees,
        shown_share(fixed, moving, transform), "whole scan", 0.0, doubts, {**settings.as_dict(), "local": True},
    )  # fmt: skip


def rigid_at(start: Transform, center_ras: np.ndarray) -> LinearTransform:
    """The rigid transform nearest to a transform at one point, which it moves to the same place."""
    left_, _, right = np.linalg.svd(start.linear.fixed_to_moving_ras[:3, :3])
    matrix = np.eye(4)
    matrix[:3, :3] = left_ @ right
    matrix[:3, 3] = start.moved(center_ras[None])[0] - matrix[:3, :3] @ center_ras
    return LinearTransform(matrix)


def cropped(image: Image, center_ras: np.ndarray, reach_mm: float) -> Image | None:
    """The part of the image around a point, a view; None when the point lies outside of it."""
    inverse = np.linalg.inv(image.ijk_to_ras)
    kji = (inverse[:3, :3] @ center_ras + inverse[:3, 3])[::-1]
    sizes, steps = np.array(image.shape_kji), reach_mm / np.array(image.spacing_kji_mm)
    if (kji < -0.5).any() or (kji > sizes - 0.5).any():
        return None
    low = np.clip(np.floor(kji - steps), 0, sizes - 1).astype(int)
    high = np.clip(np.ceil(kji + steps) + 1, 1, sizes).astype(int)
    matrix = np.array(image.ijk_to_ras)
    matrix[:3, 3] += matrix[:3, :3] @ low[::-1]
    return replace(image, voxels=image.voxels[tuple(map(slice, low, high))], ijk_to_ras=matrix)


def mask_in(mask: np.ndarray, image: Image, box: sitk.Image) -> sitk.Image:
    """A mask of the image, and `MARGIN_MM` around it, on the box's grid."""
    from OncoLib.image_convert import from_sitk

    place = from_sitk(box)
    there = resampled(replace(image, voxels=mask.astype(np.uint8)), place, outside=0.0, nearest=True)
    wide = sitk.DanielssonDistanceMap(sitk.Cast(to_sitk(there.voxels, place.ijk_to_ras) > 0.5, sitk.sitkUInt8), True, False, True)
    return sitk.Cast(wide <= MARGIN_MM, sitk.sitkUInt8) if there.voxels.any() else sitk.Cast(wide < -1, sitk.sitkUInt8)


def too_little(box: sitk.Image, mask: sitk.Image | None) -> str:
    """Why a box cannot be registered by itself; "" when it can."""
    voxels = sitk.GetArrayViewFromImage(box)
    inside = np.ones(voxels.shape, bool) if mask is None else sitk.GetArrayViewFromImage(mask) > 0
    if inside.sum() < LEAST_LOCAL_VOXELS:
        return f"only {int(inside.sum())} voxels are in the region"
    steps = [np.diff(voxels, axis=axis)[inside.take(range(1, voxels.shape[axis]), axis=axis)] for axis in range(3)]
    # Median of |difference of neighbors| is 0.6745 * sqrt(2) times the standard deviation of white noise: edges hardly enter.
    noise = float(np.median(np.abs(np.concatenate(steps)))) / (0.6745 * np.sqrt(2))
    spread = float(voxels[inside].std())
    return "" if spread > LEAST_CONTENT * noise and spread > 0 else "the region holds nothing but one even tissue"

"""What else speaks for or against an alignment at a place: field of view, the way back, local volume change, organs and bones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LongitudinalCompareLib.alignment_box import Region
from OncoLib.image import Image
from OncoLib.segmentation import Segment, Segmentation
from OncoLib.surface_distance import nearest_mm, surface_elements
from OncoLib.terminology import is_lesion

NEAR_MM, BEYOND_MM = 30.0, 25.0
"""Surfaces count within `NEAR_MM` of the place; their partners are looked for up to `BEYOND_MM` further away."""

LEAST_AREA_MM2 = 200.0
"""A structure with less surface near the place says nothing of its alignment."""

TOLERANCE_MM = 2.0
"""Of the normalized surface Dice."""

STENCIL_MM = 1.0
SHELLS = 26


@dataclass(frozen=True)
class SurfaceAgreement:
    """structures: names of those compared. mean_mm: between their surfaces, both ways, weighted by area. surface_dice: share of
    the surface within `TOLERANCE_MM` of the other. Both NaN without structures."""

    structures: tuple[str, ...] = ()
    mean_mm: float = float("nan")
    surface_dice: float = float("nan")


def ball(region: Region, count: int = SHELLS) -> np.ndarray:
    """The center of a region, and points spread over the ball's surface and over one of half its size, `[n, 3]`."""
    height = 1 - 2 * (np.arange(count) + 0.5) / count
    turn = np.pi * (1 + np.sqrt(5)) * np.arange(count)
    ring = np.sqrt(1 - height**2)
    unit = np.stack([ring * np.cos(turn), ring * np.sin(turn), height], axis=1)
    parts = np.concatenate([np.zeros((1, 3)), unit / 2, unit])
    return parts * region.radius_mm + np.array(region.center_ras)


def shown_share(image: Image, points_ras: np.ndarray) -> float:
    """Share of points `[n, 3]` that lie in a scan's voxels, to their outer edges."""
    to_ijk = np.linalg.inv(image.ijk_to_ras)
    ijk = points_ras @ to_ijk[:3, :3].T + to_ijk[:3, 3]
    return float(((ijk >= -0.5) & (ijk <= np.array(image.shape_kji[::-1]) - 0.5)).all(axis=1).mean())


def way_back_mm(transform, backward, region: Region) -> tuple[float, float]:
    """Mean and most of the distance between points of the ball and where forth and back leads them; NaN without a way back."""
    if backward is None:
        return float("nan"), float("nan")
    points = ball(region)
    apart = np.linalg.norm(backward.moved(transform.moved(points)) - points, axis=1)
    return float(apart.mean()), float(apart.max())


def volume_change(transform, region: Region) -> tuple[float, float]:
    """Least and most local factor of volume (determinant of the Jacobian) in the ball: 1 keeps it, 0 or less folds space."""
    points = ball(region)
    if hasattr(transform, "jacobian"):
        found = np.asarray(transform.jacobian(points))
    else:
        steps = np.eye(3) * STENCIL_MM / 2
        columns = [(transform.moved(points + step) - transform.moved(points - step)) / STENCIL_MM for step in steps]
        found = np.linalg.det(np.stack(columns, axis=-1))
    return float(found.min()), float(found.max())


def surface_agreement(transform, region: Region, fixed: Segmentation | None, moving: Segmentation | None) -> SurfaceAgreement:
    """Distance of the surfaces of structures that both dates have, near the place; lesions are left out, for they change.

    Structures are one when their codes agree. Surface elements and areas are those of `OncoLib.surface_distance`.
    """
    if fixed is None or moving is None:
        return SurfaceAgreement()
    center = np.array([region.center_ras])
    reach = NEAR_MM + BEYOND_MM
    first = surfaces_near(fixed, center[0], reach)
    second = surfaces_near(moving, transform.moved(center)[0], reach)
    names, distances, areas = [], [], []
    for key, (name, points, area) in first.items():
        if key not in second:
            continue
        there = transform.moved(points)
        _, others, other_area = second[key]
        middle = transform.moved(center)
        sides = [(there, area, others, points, center), (others, other_area, there, others, middle)]
        near = [(np.linalg.norm(places - around, axis=1) <= NEAR_MM) for _, _, _, places, around in sides]
        if min(float(weights[chosen].sum()) for (_, weights, _, _, _), chosen in zip(sides, near)) < LEAST_AREA_MM2:
            continue
        names.append(name)
        for (own, weights, partner, _, _), chosen in zip(sides, near):
            distances.append(nearest_mm(own[chosen], partner))
            areas.append(weights[chosen])
    if not names:
        return SurfaceAgreement()
    apart, weights = np.concatenate(distances), np.concatenate(areas)
    total = float(weights.sum())
    return SurfaceAgreement(
        tuple(names), float((apart * weights).sum() / total), float(weights[apart <= TOLERANCE_MM].sum() / total)
    )


def surfaces_near(segmentation: Segmentation, center_ras: np.ndarray, reach_mm: float) -> dict:
    """By code: name, points `[n, 3]` in RAS and areas in mm2 of the surface of each structure within a cube around a place.

    Where the cube cuts a structure there is no surface.
    """
    to_ijk = np.linalg.inv(segmentation.ijk_to_ras)
    spacing = np.linalg.norm(segmentation.ijk_to_ras[:3, :3], axis=0)
    middle = (to_ijk[:3, :3] @ center_ras + to_ijk[:3, 3])[::-1]
    counts = np.array(segmentation.shape_kji)
    reach = reach_mm / spacing[::-1]
    low = np.clip(np.floor(middle - reach).astype(int), 0, counts)
    high = np.clip(np.ceil(middle + reach).astype(int) + 1, 0, counts)
    if (low >= high).any():
        return {}
    box = tuple(slice(a, b) for a, b in zip(low, high))
    masks: dict[tuple, tuple[str, np.ndarray]] = {}
    labels = [set(np.unique(layer[box]).tolist()) for layer in segmentation.layers]
    for one in segmentation.segments:
        if is_lesion(one.entry) or one.label not in labels[one.layer]:
            continue
        mask = segmentation.layers[one.layer][box] == one.label
        name, before = masks.get(key_of(one), (one.name, False))
        masks[key_of(one)] = (name, mask | before)
    found = {}
    for key, (name, mask) in masks.items():
        places, areas = surface_elements(mask, tuple(spacing[::-1]))
        kji = places / spacing[::-1]
        kept = ((kji > -0.4) & (kji < np.array(mask.shape) - 0.6)).all(axis=1)
        ijk = (kji + low)[kept][:, ::-1]
        found[key] = (name, ijk @ segmentation.ijk_to_ras[:3, :3].T + segmentation.ijk_to_ras[:3, 3], areas[kept])
    return found


def key_of(segment: Segment) -> tuple:
    """Codes; the structure of our terminology where there is one, since sides and levels may share a code elsewhere."""
    return (segment.structure, *segment.entry.key())

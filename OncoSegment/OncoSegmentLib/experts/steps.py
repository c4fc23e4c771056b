"""The mask operations that a profile may name, bound to `OncoLib.morphology`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from OncoLib import morphology
from OncoSegmentLib.profiles import Step


@dataclass(frozen=True, eq=False)
class Workspace:
    """What a step may look at: voxel values `[k, j, i]`, spacing, and the masks made so far by structure id."""

    voxels: np.ndarray
    spacing_kji_mm: tuple[float, float, float]
    voxel_ml: float
    axial_axis: int
    masks: dict[str, np.ndarray]


def apply(step: Step, mask: np.ndarray, work: Workspace) -> np.ndarray:
    """The mask after one step."""
    return OPERATIONS[step.op](mask, step.values, work)


def _fill_holes(mask: np.ndarray, values: dict, work: Workspace) -> np.ndarray:
    if values["in"] == "volume":
        return morphology.fill_holes(mask)
    axes = (work.axial_axis,) if values["in"] == "axial" else (0, 1, 2)
    return morphology.fill_holes_in_slices(mask, axes)


def _islands(mask: np.ndarray, values: dict, work: Workspace) -> np.ndarray:
    if "keep" in values:
        return morphology.largest_islands(mask, values["keep"])
    if "median" in values:
        return morphology.islands_with_median(mask, work.voxels, *values["median"])
    return morphology.islands_of_at_least(mask, values["min_ml"], work.voxel_ml)


def _near(mask: np.ndarray, values: dict, work: Workspace) -> np.ndarray:
    return mask & morphology.within(work.masks[values["structure"]], values["mm"], work.spacing_kji_mm)


def _limit(mask: np.ndarray, values: dict, work: Workspace) -> np.ndarray:
    low, high = values["range"]
    return mask & (work.voxels >= low) & (work.voxels <= high)


OPERATIONS: dict[str, Callable[[np.ndarray, dict, Workspace], np.ndarray]] = {
    "closing": lambda mask, values, work: morphology.closing(mask, values["mm"], work.spacing_kji_mm),
    "opening": lambda mask, values, work: morphology.opening(mask, values["mm"], work.spacing_kji_mm),
    "dilation": lambda mask, values, work: morphology.dilation(mask, values["mm"], work.spacing_kji_mm),
    "erosion": lambda mask, values, work: morphology.erosion(mask, values["mm"], work.spacing_kji_mm),
    "median": lambda mask, values, work: morphology.median(mask, values["voxels"]),
    "fill_holes": _fill_holes,
    "islands": _islands,
    "join": lambda mask, values, work: mask | work.masks[values["structure"]],
    "near": _near,
    "limit": _limit,
}

"""Gray values of pictures: windows of CT by what lies at the clicks, percentiles of everything else."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import Image

WINDOWS = {"soft tissue": (40.0, 400.0), "lung": (-160.0, 1500.0), "brain": (40.0, 80.0), "bone": (400.0, 1800.0)}
"""Level and width in HU. Soft tissue, lung and brain are those that MedSAM was trained with (Ma et al., Nature
Communications 15:654, 2024, methods); the one of bone is the usual one of viewers."""

PERCENTILES = (0.5, 99.5)
"""Of the values over zero, as MedSAM prepares MR (pre_CT_MR.py of its repository)."""

MOST_SAMPLES = 2_000_000
"""Values that percentiles are taken of: every so many-th, the same ones each time."""

AIR_HU, LEAST_AIR = (-1100, -850), 0.01
"""Values of air in CT, with noise, and their least share. Our own choice: MR and PET have no such values."""

NEAR_MM = 2.5
"""Half of the box around a click whose median decides the window."""


@dataclass(frozen=True)
class Window:
    """Values from black to white."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InputError(f"a window goes from {self.low:g} to {self.high:g}; wanted two numbers, the larger last")

    @classmethod
    def of_level(cls, level: float, width: float) -> Window:
        """By level (the middle) and width, as viewers name it."""
        return cls(level - width / 2, level + width / 2)

    def gray(self, values: np.ndarray) -> np.ndarray:
        """uint8 of the same shape; values that are not finite are black."""
        scaled = (values.astype(np.float32) - np.float32(self.low)) * np.float32(255 / (self.high - self.low))
        with np.errstate(invalid="ignore"):
            return np.nan_to_num(np.rint(scaled), nan=0.0, posinf=0.0, neginf=0.0).clip(0, 255).astype(np.uint8)


def told_window(told) -> Window | None:
    """What an option `window` says: "auto", a name of `WINDOWS`, or level and width; InputError for anything else."""
    if told is None or told == "auto" or isinstance(told, Window):
        return told if isinstance(told, Window) else None
    if isinstance(told, str) and told in WINDOWS:
        return Window.of_level(*WINDOWS[told])
    try:
        level, width = (float(one) for one in told)
    except (TypeError, ValueError):
        raise InputError(f"window {told!r}; wanted auto, {', '.join(WINDOWS)}, or level and width") from None
    return Window.of_level(level, width)


def is_ct(image: Image) -> bool:
    """True for values in HU: as anybody said, else by the air in them."""
    return image.units.strip().upper() == "HU" or (image.modality == "CT" and not image.units) or taken_for_ct(image)


def taken_for_ct(image: Image) -> bool:
    """True where nobody said what an image is (volumes of NIfTI and NRRD) and its values look like air in HU."""
    if image.modality or image.units:
        return False
    values = image.voxels.ravel()[:: max(1, image.voxels.size // MOST_SAMPLES)]
    low, high = AIR_HU
    return bool(values.size and np.count_nonzero((values >= low) & (values <= high)) >= LEAST_AIR * values.size)


def window_at(image: Image, kji: np.ndarray, percentiles: Window | None = None) -> Window:
    """The window for a structure with these voxels `[n, 3]` (k, j, i), inside of the image.

    CT: soft tissue where its window shows the median around them, lung below of it, bone above. percentiles: the window of
    `percentile_window`, when it is known already.
    """
    if not is_ct(image):
        return percentiles or percentile_window(image)
    level, width = WINDOWS["soft tissue"]
    median = median_near(image, kji)
    name = "lung" if median < level - width / 2 else "bone" if median > level + width / 2 else "soft tissue"
    return Window.of_level(*WINDOWS[name])


def median_near(image: Image, kji: np.ndarray) -> float:
    """Median of the finite values within `NEAR_MM` of voxels, along each axis; 0 where there are none."""
    reach = [int(NEAR_MM // step) for step in image.spacing_kji_mm]
    found: list[np.ndarray] = []
    for place in np.asarray(kji)[:: max(1, len(kji) // 64)]:
        box = tuple(slice(max(at - far, 0), at + far + 1) for at, far in zip(place, reach))
        found.append(image.voxels[box].ravel())
    values = np.concatenate(found)
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else 0.0


def percentile_window(image: Image) -> Window:
    """By `PERCENTILES` of the finite values over zero; of all finite ones where they are not spread over zero."""
    values = image.voxels.ravel()[:: max(1, image.voxels.size // MOST_SAMPLES)]
    values = values[np.isfinite(values)]
    for chosen in (values[values > 0], values):
        if chosen.size:
            low, high = (float(one) for one in np.percentile(chosen, PERCENTILES))
            if low < high:
                return Window(low, high)
    middle = float(values[0]) if values.size else 0.0
    return Window(middle - 0.5, middle + 0.5)



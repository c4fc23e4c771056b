"""Statistics of an image's values inside a mask; voxels that are not finite are left out and counted."""

from __future__ import annotations

import numpy as np

from OncoLib.measure import Measurement
from OncoLib.quantities import (
    MAXIMUM,
    MEAN,
    MEDIAN,
    MINIMUM,
    PERCENTILE_5,
    PERCENTILE_95,
    STANDARD_DEVIATION,
    ucum_of,
)

INSIDE = "of the values of the voxels whose center is inside"
STATISTICS = {
    "intensity_mean": (f"arithmetic mean {INSIDE}", MEAN),
    "intensity_sd": (f"standard deviation {INSIDE}, divided by their number (population)", STANDARD_DEVIATION),
    "intensity_median": (f"median {INSIDE}", MEDIAN),
    "intensity_min": (f"smallest {INSIDE}", MINIMUM),
    "intensity_max": (f"largest {INSIDE}", MAXIMUM),
    "intensity_p5": (f"5th percentile {INSIDE}, linear between neighboring ranks", PERCENTILE_5),
    "intensity_p95": (f"95th percentile {INSIDE}, linear between neighboring ranks", PERCENTILE_95),
}
"""Method and code by name, in the order in which they are printed."""

BLOCK = 1 << 20
"""Values of which the standard deviation is summed at once: a copy of 8 MB instead of one of the whole segment."""


def intensity_statistics(values: np.ndarray, units: str = "") -> dict[str, Measurement]:
    """`STATISTICS` of the finite ones of `values` (any shape), by name; empty when none is finite.

    units: those of the image, in words or UCUM (`quantities.ucum_of`), printed as UCUM.
    Percentiles interpolate linearly between ranks, numpy's default. How many values were left out, and that some were,
    stands in the method, and so does that nobody stated the units. The values are never copied into another type as a whole.
    """
    flat = np.asarray(values).ravel()
    finite = finite_values(flat)
    if finite.size == 0:
        return {}
    mean = float(np.mean(finite, dtype=np.float64))
    low, median, high = percentiles(finite, (5, 50, 95))
    found = (mean, standard_deviation(finite, mean), median, finite.min(), finite.max(), low, high)
    left_out = flat.size - finite.size
    note = f"; {left_out} voxels that are not finite were left out" if left_out else ""
    unit, told = ucum_of(units)
    note += f"; {told}" if told else ""
    return {
        name: Measurement(float(value), unit, method + note, code)
        for (name, (method, code)), value in zip(STATISTICS.items(), found)
    }


def finite_values(flat: np.ndarray) -> np.ndarray:
    """The values that are finite; `flat` itself when all are."""
    if flat.dtype.kind != "f":
        return flat
    finite = np.isfinite(flat)
    return flat if finite.all() else flat[finite]


def standard_deviation(flat: np.ndarray, mean: float) -> float:
    """Of the population, in float64, block by block."""
    total = 0.0
    for start in range(0, flat.size, BLOCK):
        off = flat[start : start + BLOCK].astype(np.float64) - mean
        total += float(off @ off)
    return float(np.sqrt(total / flat.size))


def percentiles(flat: np.ndarray, percents: tuple[float, ...]) -> list[float]:
    """Linear between the two nearest ranks, in float64: on integers, NumPy's own takes their difference in their type,
    which can overflow."""
    places = [percent / 100 * (flat.size - 1) for percent in percents]
    below = [int(place) for place in places]
    above = [min(rank + 1, flat.size - 1) for rank in below]
    ordered = np.partition(flat, sorted({*below, *above}))
    return [
        float(ordered[low]) + (place - low) * (float(ordered[high]) - float(ordered[low]))
        for place, low, high in zip(places, below, above)
    ]

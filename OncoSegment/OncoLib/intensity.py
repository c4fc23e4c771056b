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
    UCUM,
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


def intensity_statistics(values: np.ndarray, units: str = "") -> dict[str, Measurement]:
    """`STATISTICS` of the finite ones of `values` (any shape), by name; empty when none is finite.

    units: those of the image ("HU", "SUV", "a.u." or ""), printed as UCUM.
    Percentiles interpolate linearly between ranks, numpy's default. How many values were left out, and that some were,
    stands in the method.
    """
    flat = np.asarray(values).ravel()
    finite = flat[np.isfinite(flat)] if flat.dtype.kind == "f" else flat
    if finite.size == 0:
        return {}
    finite = finite.astype(np.float64)
    low, median, high = np.percentile(finite, (5, 50, 95))
    found = (finite.mean(), finite.std(), median, finite.min(), finite.max(), low, high)
    left_out = flat.size - finite.size
    note = f"; {left_out} voxels that are not finite were left out" if left_out else ""
    unit = UCUM.get(units, "1")
    return {
        name: Measurement(float(value), unit, method + note, code)
        for (name, (method, code)), value in zip(STATISTICS.items(), found)
    }

"""How likely a value belongs to what was clicked: two histograms, of inside and of outside, smoothed by the noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndimage

BINS = 512
WIDE = 0.1
"""Weight of a second, wide smoothing: what was never seen is decided by the nearer side."""

SCALE = 1000
"""The filter works on whole numbers: likelihood 1 is this."""

UNLIKELY = 30
"""Below, a voxel is never taken in by growing."""


@dataclass(frozen=True, eq=False)
class Likelihood:
    """table: int16 `[BINS]`, 0..`SCALE`, for equal steps of value from `low`."""

    low: float
    step: float
    table: np.ndarray

    def of(self, values: np.ndarray) -> np.ndarray:
        """int16 of the values' shape."""
        at = ((values - np.float32(self.low)) * np.float32(1 / self.step)).astype(np.int32)
        return self.table[np.clip(at, 0, BINS - 1, out=at)]


def likelihood(inside, outside, noise: float) -> Likelihood:
    """From values with weights (two arrays each) and the noise. With nothing outside, every value seen inside is likely."""
    mine, others = inside[0], outside[0]
    both = [np.percentile(one, (1, 99)) for one in (mine, others) if one.size]
    low, high = min(one[0] for one in both) - 4 * noise, max(one[1] for one in both) + 4 * noise
    step = (high - low) / BINS
    apart = abs(float(np.median(mine)) - float(np.median(others))) if others.size else 10 * noise
    wide = max(apart, 4 * noise) / 2
    share = [
        smoothed(one, low, step, 1.5 * width(one[0], noise), wide) if one[0].size else np.full(BINS, 1 / BINS)
        for one in (inside, outside)
    ]
    return Likelihood(low, step, np.floor(SCALE * share[0] / (share[0] + share[1] + 1e-7)).astype(np.int16))


def width(values: np.ndarray, noise: float) -> float:
    """Silverman's rule with a robust spread, the noise at least (Density Estimation for Statistics and Data Analysis, 1986)."""
    spread = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    return max(noise, 1.06 * spread * len(values) ** -0.2)


def smoothed(one, low: float, step: float, narrow: float, wide: float) -> np.ndarray:
    """The histogram, smoothed narrowly, and widely with the weight `WIDE`; sums to 1 + `WIDE`."""
    at = np.clip((one[0] - low) / step, 0, BINS - 1).astype(np.intp)
    counts = np.bincount(at, weights=one[1], minlength=BINS)
    found = np.zeros(BINS)
    for sigma, weight in ((narrow, 1.0), (wide, WIDE)):
        smooth = ndimage.gaussian_filter1d(counts, max(sigma / step, 0.5), mode="nearest")
        found += weight * smooth / max(smooth.sum(), 1e-12)
    return found

"""How alike two scans are where their contrast may differ: mutual information, self-similarity, and the latter at all shifts.

NMI: normalized mutual information (H(A) + H(B)) / H(A, B) of Studholme, Hill and Hawkes, "An overlap invariant entropy measure
of 3D medical image alignment", Pattern Recognition 32(1), 71-86, 1999: 1 for values that tell nothing of each other, 2 for
values that determine each other.

MIND: modality independent neighborhood descriptor of Heinrich et al., "MIND: Modality independent neighbourhood descriptor for
multi-modal deformable registration", Medical Image Analysis 16(7), 1423-1435, 2012, with six neighbors: each voxel is told by
how much its patch differs from the six patches around it, exp(-D / V). Squared differences do not change when contrast is
turned round. Differently from the paper, V is the mean of the six differences plus the noise (`noise_of`), so that tissue
without structure is told alike everywhere and adds less chance to the sum.
"""

from __future__ import annotations

import numpy as np
import scipy.fft as fft
import scipy.ndimage as ndimage

BINS = 16
PATCH_STEPS = 0.8
"""Standard deviation of the patch in working voxels."""

REACH = 2
"""Distance of the neighbors in working voxels."""

QUIET = 25.0


def nmi(first: np.ndarray, second: np.ndarray, weights: np.ndarray | None = None, bins: int = BINS) -> float:
    """Normalized mutual information, 1..2, of values at the same places; arrays of one shape.

    Values are sorted into `bins` of equal width between their 1st and 99th percentile. NaN for no values; 1 where either is the
    same everywhere, since then it tells nothing.
    """
    a, b = np.ravel(first), np.ravel(second)
    w = np.ones(len(a)) if weights is None else np.ravel(weights).astype(float)
    a, b, w = a[w > 0], b[w > 0], w[w > 0]
    if not len(a):
        return float("nan")
    places = binned(a, bins) * bins + binned(b, bins)
    joint = np.bincount(places, weights=w, minlength=bins * bins).reshape(bins, bins)
    joint /= joint.sum()
    together = entropy(joint)
    return 1.0 if together == 0 else float((entropy(joint.sum(axis=0)) + entropy(joint.sum(axis=1))) / together)


def binned(values: np.ndarray, bins: int) -> np.ndarray:
    """Number of the bin of each value."""
    low, high = np.percentile(values, (1, 99))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros(len(values), np.intp)
    return np.clip(((values - low) * (bins / (high - low))).astype(np.intp), 0, bins - 1)


def entropy(shares: np.ndarray) -> float:
    """In nats."""
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def mind(values: np.ndarray) -> np.ndarray:
    """Descriptors float32 `[6, z, y, x]`, each 0..1, of a volume `[z, y, x]`."""
    apart = differences(values)
    return mind_of(apart, noise_of(apart))


def noise_of(apart: np.ndarray) -> float:
    """What the quieter part of a volume shows of `differences`: its noise.

    The `QUIET`th percentile of their mean, in every second voxel.
    """
    return float(np.percentile(apart[:, ::2, ::2, ::2].mean(axis=0), QUIET))


def mind_of(apart: np.ndarray, noise: float) -> np.ndarray:
    """Descriptors of the `differences`. V is their mean and the noise."""
    scale = apart.mean(axis=0) + np.float32(max(noise, 1e-6))
    return np.exp(-apart / scale)


def differences(values: np.ndarray) -> np.ndarray:
    """Squared differences of patches float32 `[6, z, y, x]`: to the neighbor before and behind along each axis."""
    found = np.empty((6, *values.shape), np.float32)
    for axis in range(3):
        for side in (0, 1):
            moved = shifted(values, axis, -REACH if side else REACH)
            found[2 * axis + side] = ndimage.gaussian_filter((values - moved) ** 2, PATCH_STEPS, mode="nearest", truncate=2.5)
    return found


def shifted(values: np.ndarray, axis: int, steps: int) -> np.ndarray:
    """The volume moved by whole voxels along an axis; its border is repeated."""
    index = np.clip(np.arange(values.shape[axis]) - steps, 0, values.shape[axis] - 1)
    return np.take(values, index, axis=axis)


def distance_at_shifts(
    fixed: np.ndarray, weights: np.ndarray, moving: np.ndarray, shown: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean squared difference of descriptors at every shift by whole voxels.

    fixed: `[c, n, n, n]`. weights: `[half, n, n, n]`, one sum for each. moving: `[c, N, N, N]`, N = n + 2 m. shown: `[N, N, N]`,
    1 where the moving scan has a value. Returns sums of weighted squared differences and sums of weights, each `[half, 2m + 1,
    2m + 1, 2m + 1]`; entry (m, m, m) is no shift, and entry (m + a, m + b, m + c) compares voxel (z, y, x) of the fixed with
    voxel (z + a, y + b, x + c) of the moving. By Fourier transforms, so that all shifts cost about as much as a few.
    """
    size, small = moving.shape[1], fixed.shape[1]
    count = size - small + 1
    whole = [fft.next_fast_len(size, real=True)] * 3

    def turned(one: np.ndarray) -> np.ndarray:
        return fft.rfftn(one.astype(np.float32, copy=False), whole)

    there = turned(shown)
    channels = [turned(one * shown) for one in moving]
    squares = turned((moving**2).sum(axis=0) * shown)
    own = (fixed**2).sum(axis=0)
    sums, totals = [], []
    for weight in weights:
        spread = np.conj(turned(weight))
        total = np.conj(turned(weight * own)) * there + spread * squares
        for one, other in zip(fixed, channels):
            total -= 2 * np.conj(turned(weight * one)) * other
        part = (slice(0, count),) * 3
        sums.append(fft.irfftn(total, whole)[part])
        totals.append(fft.irfftn(spread * there, whole)[part])
    return np.stack(sums), np.stack(totals)

"""How far a deformation may squeeze or stretch before it is not believed."""

from __future__ import annotations

import numpy as np

from OncoLib.image import Image
from OncoLib.registration.transform import LinearTransform, lattice
from OncoLib.registration.warp import Transform

JACOBIAN_LIMITS = (0.5, 2.0)
"""Smallest and largest volume factor. Our own limits: a tissue that halves or doubles within two scans is more likely a wrong
correspondence, as after surgery, than a deformation."""
PROBES = 40
"""Points along each axis at which the factor is looked at."""


def jacobian_range(transform: Transform, fixed: Image) -> tuple[float, float]:
    """Smallest and largest volume factor over the fixed image."""
    factors = transform.jacobian(lattice(fixed, PROBES))
    return float(np.min(factors)), float(np.max(factors))


def limited(transform: Transform, fixed: Image) -> tuple[Transform, tuple[str, ...]]:
    """The transform itself, or its linear part and one sentence when it leaves the limits anywhere in the fixed image."""
    if isinstance(transform, LinearTransform):
        return transform, ()
    low, high = jacobian_range(transform, fixed)
    if JACOBIAN_LIMITS[0] <= low and high <= JACOBIAN_LIMITS[1]:
        return transform, ()
    least, most = JACOBIAN_LIMITS
    told = f"the deformation changed volumes by factors of {low:.2f} to {high:.2f}, beyond {least:g} to {most:g}"
    return transform.linear, (f"{told}, and was left out; the {transform.linear.kind} part is used",)

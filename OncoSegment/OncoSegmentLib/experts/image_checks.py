"""Whether an image can be what a model takes it for, judged by its values."""

from __future__ import annotations

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import Image

LEAST_NEGATIVE_SHARE = 0.005
"""A CT in HU has air or fat somewhere: at least this share of its voxels lies under -50 HU. Our own limit: the
share is 0.58 to 0.81 on four public CT scans and 0 on four public MR scans; no PET was looked at."""


def check_hounsfield(image: Image, wanted_by: str) -> tuple[str, ...]:
    """Raises InputError unless the image can be a CT in HU; returns what was taken on trust.

    wanted_by: what asks for it, for the message, such as "the profile 'bones'".
    """
    if image.units and image.units.strip().upper() != "HU":
        raise InputError(f"the image's units are {image.units!r}; {wanted_by} is for HU")
    low, high = image.value_range
    if image.voxels.dtype.itemsize == 1:
        raise InputError(f"the image is 8-bit ({low:g}..{high:g}), which cannot hold Hounsfield units; wanted the CT in HU")
    if image.units == "HU":
        return ()
    share = np.count_nonzero(image.voxels < -50) / image.voxels.size
    if share < LEAST_NEGATIVE_SHARE:
        raise InputError(
            f"the image's values {low:g}..{high:g} are not Hounsfield units ({share:.1%} of them are under -50, as air"
            " and fat are); wanted a CT in HU (if it is one, state its units as HU; for MR choose what is made for MR)"
        )
    return ("neither the file nor the user states units: the values are taken for Hounsfield units",)


def allowed(image: Image, region) -> np.ndarray | None:
    """Where labels may stay: in the region (`Region` or None), and where the image has a value; None for everywhere."""
    inside = region.inside(image) if region is not None else None
    if image.voxels.dtype.kind == "f":
        finite = np.isfinite(image.voxels)
        if not finite.all():
            inside = finite if inside is None else inside & finite
    return inside

"""The process that runs `ants.registration(fixed, moving, "Affine")` on the scans as they are: the route to be beaten."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from OncoLib.image import RAS_TO_LPS, Image


def put(folder: Path, fixed: Image, moving: Image) -> None:
    """Both scans, each on its own grid."""
    facts = {"fixed_ras": fixed.ijk_to_ras, "moving_ras": moving.ijk_to_ras}
    np.savez(folder / "pair.npz", fixed=fixed.voxels.astype(np.float32), moving=moving.voxels.astype(np.float32), **facts)


def do(folder: Path, progress, cancel) -> None:
    """One thread, as ours."""
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    import ants
    import SimpleITK as sitk

    from OncoLib.image_convert import to_sitk
    from OncoLib.registration.files import matrix_of

    with np.load(folder / "pair.npz") as stored:
        images = []
        for name in ("fixed", "moving"):
            one = to_sitk(stored[name], stored[f"{name}_ras"])
            direction = np.reshape(one.GetDirection(), (3, 3))
            voxels = np.ascontiguousarray(stored[name].transpose(2, 1, 0))
            images.append(ants.from_numpy(voxels, origin=one.GetOrigin(), spacing=one.GetSpacing(), direction=direction))
    found = ants.registration(*images, "Affine", outprefix=str(folder / "plain"))
    matrix = matrix_of(sitk.ReadTransform(found["fwdtransforms"][0]).Downcast())
    np.save(folder / "matrix.npy", RAS_TO_LPS @ matrix @ RAS_TO_LPS)


def read(folder: Path) -> np.ndarray:
    """4x4 from fixed to moving RAS."""
    return np.load(folder / "matrix.npy")

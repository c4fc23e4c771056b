"""The engine ANTs (Avants et al., Med. Image Anal. 12:26, 2008, for SyN), in the process of `external_worker` only.

Its `random_seed` argument does nothing; one thread and ANTS_RANDOM_SEED, set before it is loaded, give the same result twice.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from OncoLib.registration.external_worker import Task, field_of_lps, matrix_of_lps
from OncoLib.registration.files import matrix_of

TYPES = {"rigid": "Rigid", "similarity": "Similarity", "affine": "Affine", "deformable": "SyNOnly"}
PARAMETERS = {"aff_metric": "mattes", "aff_sampling": 32, "aff_random_sampling_rate": 0.25}
LINEAR = {"aff_iterations": (500, 250, 100), "aff_shrink_factors": (4, 2, 1), "aff_smoothing_sigmas": (2, 1, 0)}
"""Fewer levels than by default: the images lie within millimeters of each other already."""
SYN = {"syn_metric": "mattes", "syn_sampling": 32, "reg_iterations": (60, 40, 10)}


def run(task: Task) -> dict:
    """A matrix, or a field, from the fixed image to the aligned one."""
    import ants

    if task.threads == 1:
        ants.config.set_ants_deterministic(True, task.seed)
    options = {**PARAMETERS, **(SYN if task.kind == "deformable" else LINEAR)}
    images = [
        ants.from_numpy(
            np.ascontiguousarray(sitk.GetArrayViewFromImage(one).transpose(2, 1, 0)),
            origin=one.GetOrigin(), spacing=one.GetSpacing(), direction=np.reshape(one.GetDirection(), (3, 3)),
        )
        for one in (task.fixed, task.aligned, *([] if task.mask is None else [sitk.Cast(task.mask, sitk.sitkFloat32)]))
    ]  # fmt: skip
    found = ants.registration(
        images[0], images[1], type_of_transform=TYPES[task.kind], initial_transform="Identity",
        mask=images[2] if len(images) > 2 else None, mask_all_stages=True, outprefix=str(task.folder / "ants"), **options,
    )  # fmt: skip
    told = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
    if task.kind == "deformable":
        file = next(name for name in found["fwdtransforms"] if name.endswith("Warp.nii.gz"))
        return {**field_of_lps(sitk.ReadImage(file, sitk.sitkVectorFloat64), 2), "parameters": told}
    matrix = np.eye(4)
    for name in found["fwdtransforms"]:  # the last one is applied first
        matrix = matrix @ matrix_of(sitk.ReadTransform(name).Downcast())
    return {**matrix_of_lps(matrix), "parameters": told}

"""The engine greedy of the package picsl_greedy, in the process of `external_worker` only.

By default it adds noise for its NCC from a generator without seed: two runs were up to 0.9 mm apart. Without it they are equal.
"""

from __future__ import annotations

import contextlib
import io

import numpy as np
import SimpleITK as sitk

from OncoLib.registration.external_worker import Task, field_of_lps

FREEDOM = {"rigid": 6, "similarity": 7, "affine": 12}
"""Degrees of freedom, greedy's own option."""
LINEAR = "-a -dof {freedom} -ia-identity -m NMI -n 100x50x20"
WARP = "-m NCC 2x2x2 -s 2.0vox 0.7vox -e 0.5 -n 100x50x20 -sv -noise 0"


def run(task: Task) -> dict:
    """A matrix, or a field, from the fixed image to the aligned one."""
    from picsl_greedy import Greedy3D

    greedy = Greedy3D()
    command = "-i fixed aligned -o found " + (WARP if task.kind == "deformable" else LINEAR.format(freedom=FREEDOM[task.kind]))
    command += f" -threads {task.threads} -seed {max(1, task.seed)}" + ("" if task.mask is None else " -gm mask")
    images = {"fixed": task.fixed, "aligned": task.aligned, **({} if task.mask is None else {"mask": task.mask})}
    images = {name: sitk.Cast(one, sitk.sitkFloat32) for name, one in images.items()}
    with contextlib.redirect_stdout(io.StringIO()):
        greedy.execute(command, found=None, **images)
    told = {"parameters": {"command": command}}
    if task.kind != "deformable":
        return {"matrix": np.array(greedy["found"], float), **told}  # greedy's matrices are in RAS
    return {**field_of_lps(sitk.Cast(greedy["found"], sitk.sitkVectorFloat64), 2), **told}

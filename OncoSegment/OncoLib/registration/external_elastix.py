"""The engine elastix (Klein et al., IEEE Trans. Med. Imaging 29:196, 2010), in the process of `external_worker` only.

Arrays are copied into ITK's own memory: with views of NumPy's, and a number of threads given, it crashed.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from OncoLib.registration.external_worker import Task, field_of_lps, matrix_of_lps

MAPS = {"rigid": "rigid", "similarity": "rigid", "affine": "affine", "deformable": "bspline"}
GRID_MM = 20.0
CHANGES = {
    "NumberOfResolutions": "3",
    "MaximumNumberOfIterations": "250",
    "NumberOfSpatialSamples": "4000",
    "AutomaticTransformInitialization": "false",
}


def run(task: Task) -> dict:
    """A matrix, or a field, from the fixed image to the aligned one."""
    import itk

    if task.threads == 1:
        itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(1)
        itk.MultiThreaderBase.SetGlobalMaximumNumberOfThreads(1)
    fixed, aligned = (copied(itk, one, np.float32) for one in (task.fixed, task.aligned))
    changes = {**CHANGES, "RandomSeed": str(task.seed % 10**6 + 1)}
    if task.kind == "similarity":
        changes["Transform"] = "SimilarityTransform"
    parameters = itk.ParameterObject.New()
    chosen = parameters.GetDefaultParameterMap(MAPS[task.kind], 3, GRID_MM)
    for name, value in changes.items():
        chosen[name] = [value]
    parameters.AddParameterMap(chosen)
    options = {} if task.mask is None else {"fixed_mask": copied(itk, task.mask, np.uint8)}
    method = itk.ElastixRegistrationMethod[type(fixed), type(aligned)]
    found = method.New(fixed, aligned, parameter_object=parameters, log_to_console=False, **options)
    found.UpdateLargestPossibleRegion()
    field = itk.transformix_deformation_field(aligned, found.GetTransformParameterObject(), log_to_console=False)
    whole = sitk.GetImageFromArray(np.array(itk.array_view_from_image(field)), isVector=True)
    whole.CopyInformation(task.fixed)
    whole = sitk.Cast(whole, sitk.sitkVectorFloat64)
    told = {"parameters": changes}
    return {**(field_of_lps(whole, 2) if task.kind == "deformable" else matrix_of_lps(fitted(whole))), **told}


def copied(itk, image: sitk.Image, kind):
    """The image in ITK's own memory."""
    found = itk.GetImageFromArray(np.ascontiguousarray(sitk.GetArrayFromImage(image).astype(kind)))
    found.SetSpacing(image.GetSpacing())
    found.SetOrigin(image.GetOrigin())
    found.SetDirection(itk.matrix_from_array(np.reshape(image.GetDirection(), (3, 3))))
    return found


def fitted(field: sitk.Image) -> np.ndarray:
    """The 4x4 in LPS of a field that is a matrix, from its values at some thousand points."""
    size = np.array(field.GetSize())
    index = np.stack(np.meshgrid(*[np.linspace(0, one - 1, 12).astype(int) for one in size], indexing="ij"), -1).reshape(-1, 3)
    points = np.array([field.TransformIndexToPhysicalPoint([int(one) for one in row]) for row in index])
    values = sitk.GetArrayViewFromImage(field)[tuple(index[:, ::-1].T)]
    solved = np.linalg.lstsq(np.c_[points, np.ones(len(points))], points + values, rcond=None)[0]
    matrix = np.eye(4)
    matrix[:3] = solved.T
    return matrix

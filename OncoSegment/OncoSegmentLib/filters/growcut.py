"""Slicer's GrowCut filter (`vtkImageGrowCutSegment`, C++, in slicer-core) on arrays.

Each voxel takes the label of the seed that reaches it at least cost; a step to one of 26 neighbors costs the difference of the
two values, and its length times the distance penalty: Gao, Chen, Yang, Lasso, Kolesov, Pieper, Kikinis, Tannenbaum and Zhu, "An
effective and open source interactive 3D medical image segmentation solution", Scientific Reports 14:29878 (2024).
"""

from __future__ import annotations

import numpy as np

from OncoLib.errors import InputError


def grow_cut(
    values: np.ndarray,
    seeds: np.ndarray,
    spacing_kji_mm: tuple[float, float, float],
    *,
    blocked: np.ndarray | None = None,
    distance_penalty: float = 0.0,
) -> np.ndarray:
    """uint8 `[k, j, i]`: for each voxel the label of the seed that wins it; 0 where none arrives, and where it is blocked.

    values: `[k, j, i]` of any number type, finite. seeds: uint8, 0 for none. blocked: bool; nothing grows into or through these.
    distance_penalty: cost of a mm of way. The same input gives the same output, bit for bit: the filter runs in one thread.
    Raises InputError when shapes differ.
    """
    if values.shape != seeds.shape or (blocked is not None and blocked.shape != values.shape):
        raise InputError(f"values of shape {values.shape} and seeds of {seeds.shape}; wanted one shape")
    # The filter grows nothing out of the outermost voxels of its image: one layer more around everything.
    kept = [image_of(np.pad(one, 1), spacing_kji_mm) for one in (values, seeds.astype(np.uint8, copy=False))]
    barrier = np.ones([size + 2 for size in values.shape], np.uint8)
    barrier[1:-1, 1:-1, 1:-1] = 0 if blocked is None else blocked
    kept.append(image_of(barrier, spacing_kji_mm))
    work = filter_class()()
    work.SetIntensityVolume(kept[0])
    work.SetSeedLabelVolume(kept[1])
    work.SetMaskVolume(kept[2])
    work.SetDistancePenalty(float(distance_penalty))
    work.Update()
    return array_of(work.GetOutput())[1:-1, 1:-1, 1:-1].copy()


def filter_class() -> type:
    """Slicer's class. In a worker of PythonSlicer, without the application, it is in the module's own Python part only."""
    import slicer

    found = getattr(slicer, "vtkImageGrowCutSegment", None)
    if found is None:
        from vtkSlicerSegmentationsModuleLogicPython import vtkImageGrowCutSegment as found
    return found


def image_of(array: np.ndarray, spacing_kji_mm):
    """vtkImageData that shares the array's memory, at the origin: only spacing counts for the filter."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData()
    image.SetDimensions(*array.shape[::-1])
    image.SetSpacing(*spacing_kji_mm[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(array.reshape(-1), deep=False))
    return image


def array_of(image) -> np.ndarray:
    """The voxels `[k, j, i]` of a vtkImageData, shared."""
    from vtk.util.numpy_support import vtk_to_numpy

    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])

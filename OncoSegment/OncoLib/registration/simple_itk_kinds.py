"""The engine SimpleITK beyond rigid: similarity, affine, and a B-spline; each begins at the rigid end, never before it.

Without that stage affine searches ended 6 to 9 mm off, in a wrong minimum, on pairs that a rigid stage brings to 0.1 mm.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.ndimage as ndimage
import SimpleITK as sitk

from OncoLib.image import RAS_TO_LPS, Image
from OncoLib.image_convert import ras_of_sitk, to_sitk
from OncoLib.progress import CancelToken, Progress, part_of, silent
from OncoLib.registration.files import kind_of, warp_of
from OncoLib.registration.limits import limited
from OncoLib.registration.resampling import FLIP, to_itk
from OncoLib.registration.simple_itk import (
    LEAST_GAIN,
    Settings,
    at_level,
    center_of,
    method_for,
    radius_of,
    register_rigid,
    rigid_around,
)
from OncoLib.registration.transform import LinearTransform, Registration, moved_mm, shown_share
from OncoLib.registration.warp import Transform, WarpedTransform

MODELS = {"similarity": sitk.Similarity3DTransform, "affine": sitk.AffineTransform}
FIELD_MM = 5.0
"""Step of the field in which a B-spline is kept. Between its points it is off by h^2 / 8 times the curvature: under 0.02 mm for a
wave of 10 mm height over 600 mm, under 0.2 mm for one over 100 mm, two control points of the narrowest mesh here."""
SPLINE_SAMPLES, SPLINE_ROUNDS = 40_000, 30
EXCLUDED_MM = 5.0
"""Around a lesion: its edge and what it pushes away have no counterpart either. Our own limit."""


def register(
    fixed: Image,
    moving: Image,
    kind: str = "rigid",
    *,
    settings: Settings | None = None,
    mesh_mm: float = 80.0,
    exclude: np.ndarray | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> Registration:
    """Where the fixed image's points lie in the moving one. kind: "rigid", "similarity", "affine" or "deformable".

    A looser kind is kept only when it gains `LEAST_GAIN` over the rigid one, and a deformation only within the limits of
    `limits`; else the rigid one is returned, and `parameters["kept"]` or a doubt says why.
    mesh_mm: distance of a spline's control points. exclude: bool `[k, j, i]` of the fixed image: by what lies there and
    `EXCLUDED_MM` around it the spline is not led. Raises GeometryError and Cancelled as `register_rigid` does.
    """
    settings, cancel = settings or Settings(), cancel or CancelToken()
    share = 1.0 if kind == "rigid" else 0.6
    rigid = register_rigid(fixed, moving, settings=settings, progress=part_of(progress, 0.0, share), cancel=cancel)
    alike = rigid.improved or not rigid.doubts
    if kind == "rigid" or not alike:
        return rigid
    if kind == "deformable":
        return deformed(fixed, moving, rigid, settings, mesh_mm, exclude, part_of(progress, share, 1.0), cancel)
    pair = tuple(at_level(one, settings.levels_mm[-1]) for one in (fixed, moving))
    found = linear_end(pair, rigid.transform, kind, settings, cancel)
    progress(1.0, "Registering")
    return chosen(fixed, moving, rigid, found, pair, kind, settings)


def chosen(fixed: Image, moving: Image, rigid: Registration, found, pair, kind: str, settings: Settings) -> Registration:
    """The looser transform where it is better than the rigid one by more than chance."""
    told = {**rigid.parameters, "kind": kind}
    before = metric_of(pair, rigid.transform, settings)
    after = metric_of(pair, found, settings) if found is not None else float("nan")
    if not after >= before + LEAST_GAIN:
        return replace(rigid, parameters={**told, "kept": f"rigid: {kind} gained less than {LEAST_GAIN} nats over it"})
    return with_transform(rigid, found, fixed, moving, after, told)


def with_transform(rigid: Registration, transform, fixed: Image, moving: Image, metric: float, parameters: dict) -> Registration:
    """The outcome with a looser transform in place of the rigid one."""
    return replace(
        rigid, transform=transform, metric_after=metric, improved=True, moved_mm=moved_mm(transform, fixed),
        degrees=transform.linear.degrees, overlap=shown_share(fixed, moving, transform), parameters=parameters,
    )  # fmt: skip


def linear_end(pair, start: LinearTransform, kind: str, settings: Settings, cancel: CancelToken) -> LinearTransform | None:
    """Where Powell's search over a similarity or an affine matrix ends, from the rigid one; None when the images are lost."""
    fixed = pair[0]
    radius_mm = radius_of(fixed)
    around = rigid_around(start, center_of(fixed))
    model = MODELS[kind](3) if kind == "affine" else MODELS[kind]()
    model.SetCenter(around.GetCenter())
    model.SetMatrix(around.GetMatrix(), 1e-5) if kind == "similarity" else model.SetMatrix(around.GetMatrix())
    model.SetTranslation(around.GetTranslation())
    shifts = [1.0] * 3
    scales = [radius_mm**2] * 3 + shifts + [radius_mm**2] if kind == "similarity" else [radius_mm**2] * 9 + shifts
    method = method_for(fixed, settings)
    method.SetOptimizerAsPowell(
        numberOfIterations=8, maximumLineIterations=20, stepLength=max(fixed.GetSpacing()) / 4, stepTolerance=0.02,
        valueTolerance=1e-5,
    )  # fmt: skip
    method.SetOptimizerScales(scales)
    method.SetInitialTransform(model, inPlace=True)
    method.AddCommand(sitk.sitkIterationEvent, lambda: method.StopRegistration() if cancel.cancelled else None)
    try:
        method.Execute(*pair)
    except RuntimeError:  # "all samples map outside moving image buffer"
        return None
    cancel.check()
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(model.GetMatrix(), (3, 3))
    matrix[:3, 3] = model.TransformPoint((0.0, 0.0, 0.0))
    return None if np.linalg.det(matrix) <= 0 else LinearTransform(RAS_TO_LPS @ matrix @ RAS_TO_LPS, max_kind(kind, matrix))


def max_kind(kind: str, matrix: np.ndarray) -> str:
    """The kind that was searched for; rounding can leave a similarity that is one in name only."""
    return "affine" if kind == "affine" or kind_of(matrix) == "affine" else "similarity"


def metric_of(pair, transform: Transform, settings: Settings, mask: sitk.Image | None = None) -> float:
    """Mutual information in nats, for any transform that ITK applies; NaN where the images do not overlap.

    The moving image is resampled first: ITK's metric takes no field of displacements that is not its own to optimize.
    """
    fixed, moving = pair
    shown = sitk.Resample(moving, fixed, to_itk(transform), sitk.sitkLinear, sitk.GetArrayViewFromImage(moving).min().item())
    method = method_for(fixed, settings, mask)
    method.SetInitialTransform(sitk.Transform(3, sitk.sitkIdentity))
    try:
        return -float(method.MetricEvaluate(fixed, shown))
    except RuntimeError:
        return float("nan")


def left_over(exclude: np.ndarray | None, fixed: Image) -> sitk.Image | None:
    """The mask of what a deformation may be led by: all but what is excluded and `EXCLUDED_MM` around it."""
    if exclude is None:
        return None
    return to_sitk(distance_from(exclude, fixed) > EXCLUDED_MM, fixed.ijk_to_ras)


def distance_from(exclude: np.ndarray, fixed: Image) -> np.ndarray:
    """Distance of each voxel from what is excluded, in mm."""
    return ndimage.distance_transform_edt(~exclude, sampling=fixed.spacing_kji_mm)


def deformed(
    fixed: Image, moving: Image, rigid: Registration, settings: Settings, mesh_mm: float, exclude, progress: Progress, cancel
) -> Registration:
    """A B-spline after the rigid one, as a field; the rigid one where the spline breaks the limits or brings nothing."""
    pair = tuple(to_sitk(one.voxels.astype(np.float32), one.ijk_to_ras) for one in (fixed, moving))
    mask, many = left_over(exclude, fixed), replace(settings, samples=SPLINE_SAMPLES)
    excluded = 0 if exclude is None else int(exclude.sum())
    told = {**rigid.parameters, "kind": "deformable", "mesh_mm": mesh_mm, "excluded_voxels": excluded}
    spline = spline_end(pair, rigid.transform, many, mesh_mm, mask, progress, cancel)
    warp = None if spline is None else field_of(spline, pair[0], rigid.transform)
    return believed(fixed, moving, rigid, warp, pair, many, mask, told)


def believed(fixed, moving, rigid: Registration, warp, pair, settings: Settings, mask, told: dict) -> Registration:
    """A deformation after the rigid transform, where it gains something and keeps within the limits; else the rigid one."""
    before = metric_of(pair, rigid.transform, settings, mask)
    after = float("nan") if warp is None else metric_of(pair, warp, settings, mask)
    if not after >= before + LEAST_GAIN:
        return replace(rigid, parameters={**told, "kept": f"rigid: the deformation gained less than {LEAST_GAIN} nats over it"})
    kept, doubts = limited(warp, fixed)
    if kept is not warp:
        return replace(rigid, doubts=rigid.doubts + doubts, parameters={**told, "kept": "rigid"})
    return with_transform(rigid, warp, fixed, moving, after, told)


def spline_end(pair, start: LinearTransform, settings: Settings, mesh_mm: float, mask, progress: Progress, cancel: CancelToken):
    """The spline at which the search ends; None when the images are lost."""
    fixed = pair[0]
    sizes = [max(1, round(size * step / mesh_mm)) for size, step in zip(fixed.GetSize(), fixed.GetSpacing())]
    spline = sitk.BSplineTransformInitializer(fixed, sizes, order=3)
    method = method_for(fixed, settings, mask)
    method.SetMovingInitialTransform(rigid_around(start, center_of(fixed)))
    method.SetInitialTransform(spline, inPlace=True)
    method.SetShrinkFactorsPerLevel([2])
    method.SetSmoothingSigmasPerLevel([max(fixed.GetSpacing())])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetOptimizerAsLBFGS2(solutionAccuracy=1e-5, numberOfIterations=SPLINE_ROUNDS, deltaConvergenceTolerance=1e-4)
    rounds = 0

    def step() -> None:
        nonlocal rounds
        rounds += 1
        progress(min(0.95, rounds / (1.5 * SPLINE_ROUNDS)), "Deforming")
        if cancel.cancelled:
            method.StopRegistration()

    method.AddCommand(sitk.sitkIterationEvent, step)
    try:
        method.Execute(*pair)
    except RuntimeError as error:
        if "outside" not in str(error):
            raise
        return None
    cancel.check()
    return spline


def field_of(spline: sitk.Transform, fixed: sitk.Image, linear: LinearTransform) -> WarpedTransform:
    """The spline's displacements over the fixed image, every `FIELD_MM`, with the linear part that follows."""
    extent = np.array(fixed.GetSize()) * fixed.GetSpacing()
    counts = np.maximum(3, np.ceil(extent / FIELD_MM)).astype(int) + 1
    steps = extent / (counts - 1)
    origin = fixed.TransformContinuousIndexToPhysicalPoint([-0.5] * 3)
    field = sitk.TransformToDisplacementField(
        spline, sitk.sitkVectorFloat64, counts.tolist(), origin, steps.tolist(), fixed.GetDirection()
    )
    inside = sitk.GetArrayFromImage(field)
    return warp_of(inside * FLIP, ras_of_sitk(field), linear)

"""Rigid registration of brain MR of two contrasts against known poses: landmark error and seconds, beside doing nothing."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from OncoLib.image_files import read_image
from OncoLib.phantom.brain import BrainAcquisition, scan_brain
from OncoLib.phantom.solids import rigid
from OncoLib.registration.resampling import resampled
from OncoLib.registration.simple_itk import register_rigid
from OncoLib.registration.transform import IDENTITY, LinearTransform

CASES = (
    # name, shift in mm, turn in degrees, spacing of the moving scan, change, aim for the mean error in mm
    ("1 mm", (10, -8, 6), (8, -5, 10), (1, 1, 1), "", 1.0),
    ("slices of 5 mm", (9, 7, -9), (-9, 8, 8), (1, 1, 5), "", 1.5),
    ("1 mm, contrast inverted", (-8, 9, 9), (-5, 12, -8), (1, 1, 1), "inverted", 1.0),
    ("1 mm, a third of the head not scanned", (3, -2, 4), (4, -3, 6), (1, 1, 1), "cropped", 1.0),
    ("1 mm, 15 mm and 15 degrees", (15, 0, 0), (15, 0, 0), (1, 1, 1), "", 1.0),
)


def figures(data, *, full: bool):
    """Lines of this subject."""
    fixed, fixed_pose = head("T1c", (0, 0, 0), (0, 0, 0), (1, 1, 1), 0)
    for name, shift, turn, spacing, change, aim in CASES if full else CASES[:2]:
        moving, pose = head("FLAIR", shift, turn, spacing, 9)
        true = LinearTransform(pose @ np.linalg.inv(fixed_pose))
        points = landmarks() @ fixed_pose[:3, :3].T + fixed_pose[:3, 3]
        yield line(f"FLAIR upon T1c of the reference patient, {name}", fixed, changed(moving, change), true, points, aim)
    real = None if data is None else data / "weights" / "t1_crop.nii.gz"
    if real is None or not real.is_file():
        yield "registration of a real head: skipped, the shared test data is not there"
        return
    yield real_line(read_image(real))


def head(sequence, shift, turn, spacing, seed):
    """One sequence, and its pose."""
    scanned = BrainAcquisition(shift_mm=shift, turn_degrees=turn, spacing_mm=spacing, samples=(2, 2, 2))
    return scan_brain(scanned, sequences=(sequence,), seed=seed)[sequence].image, scanned.pose


def landmarks() -> np.ndarray:
    """Points `[n, 3]` all over the brain, in the patient's own frame."""
    axes = [np.linspace(-60, 60, 9) * size for size in (1.0, 1.2, 1.0)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    return points[((points / (68, 87, 70)) ** 2).sum(axis=1) < 0.95]


def changed(image, how: str):
    """The scan with its contrast turned round, or without its lower third."""
    if how == "inverted":
        return replace(image, voxels=(1000 - image.voxels).astype(np.int16))
    if how != "cropped":
        return image
    matrix, start = image.ijk_to_ras.copy(), image.shape_kji[0] // 3
    matrix[:3, 3] += matrix[:3, 2] * start
    return replace(image, voxels=image.voxels[start:], ijk_to_ras=matrix)


def real_line(image) -> str:
    """A real T1 head turned and shifted by resampling, its contrast inverted: one image's anatomy, two of its contrasts."""
    true = LinearTransform(rigid((6, -4, 9), (8, -5, 7)))
    moving = resampled(image, image, true.inverse(), outside=0.0)
    bright = np.argwhere(image.voxels > 60)[:: max(1, int((image.voxels > 60).sum()) // 3000), ::-1]
    points = bright @ image.ijk_to_ras[:3, :3].T + image.ijk_to_ras[:3, 3]
    return line("real T1 head upon itself, inverted", image, replace(moving, voxels=255 - moving.voxels), true, points, 1.0)


def line(name: str, fixed, moving, true: LinearTransform, points: np.ndarray, aim: float) -> str:
    """One registration."""
    began, cpu = time.monotonic(), time.process_time()
    found = register_rigid(fixed, moving)
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    errors, before = (np.linalg.norm(one.moved(points) - true.moved(points), axis=1) for one in (found.transform, IDENTITY))
    judged = "met" if errors.mean() < aim else "MISSED"
    return (
        f"registration, {name}: landmark error {errors.mean():.2f} mm mean, {errors.max():.2f} most (aim {aim:g} mean: {judged};"
        f" {before.mean():.1f} without), {seconds:.1f} s, {cpu:.1f} s of one core"
    )

"""Measures: bias and spread on digital balls, surface distances against full distance maps, time for many segments."""

from __future__ import annotations

import importlib.util
from functools import partial

import numpy as np
import scipy.ndimage as ndimage

from benchmarks.timing import paired, seconds, verdict
from helpers import segment
from helpers_spheres import image_of_ball, mask_of_ball, offsets, outlined, volume_mm3
from OncoLib.diameters import in_plane_diameters, maximum_diameter
from OncoLib.filters.mesh import mesh_of, mesh_volume_ml
from OncoLib.filters.segment_measures import measure_segments
from OncoLib.measure import segment_boxes
from OncoLib.partial_volume import partial_volume
from OncoLib.segmentation import Provenance, Segmentation
from OncoLib.surface_distance import surface_distances

BALLS = (
    ((1.0, 1.0, 1.0), (6, 10, 20, 30), 10, 2.0),
    ((5.0, 0.7, 0.7), (8, 12, 20, 30), 12, 5.0),
    ((5.0, 1.0, 1.0), (12, 20, 30), 12, 5.0),
)
"""Spacing (k, j, i) in mm, diameters in mm, and from which diameter on the volume's bias may be how many percent."""

FASTER = 30.0


def figures(data, *, full: bool):
    """Lines of this subject."""
    for spacing, diameters, smallest, aim in BALLS:
        for diameter in diameters:
            yield ball_line(diameter, spacing, smallest, aim)
    for spacing in ((1.0, 1.0, 1.0), (3.0, 0.7, 0.7), (5.0, 0.8, 0.8)):
        for diameter in (10, 12, 16, 20, 30) if full else (12, 20):
            yield estimate_line(diameter, spacing, 100 if full else 20)
    yield from surface_lines(full)
    yield from segment_lines(full)


def step_text(spacing) -> str:
    """A spacing as it is written: columns x rows x slices."""
    return " x ".join(f"{step:g}" for step in spacing[::-1]) + " mm"


def spread(values) -> str:
    """Mean and standard deviation."""
    return f"{np.mean(values):+.1f} +- {np.std(values):.1f}"


def ball_line(diameter: float, spacing, smallest: float, aim: float) -> str:
    """Volumes and diameters of one ball over 100 sub-voxel places, mask by voxel centers."""
    grid = np.diag([*spacing[::-1], 1.0])
    voxel, mesh, longest, short, whole = [], [], [], [], []
    for offset in offsets(100):
        mask = mask_of_ball(diameter, spacing, offset)
        voxel.append(100 * (np.count_nonzero(mask) * np.prod(spacing) / volume_mm3(diameter) - 1))
        mesh.append(100 * (1000 * mesh_volume_ml(mesh_of(mask, grid)) / volume_mm3(diameter) - 1))
        found = in_plane_diameters(mask, grid)
        longest.append(found.longest.length_mm - diameter)
        short.append(found.perpendicular.length_mm - diameter)
        whole.append(maximum_diameter(mask, grid).length_mm - diameter)
    judged = ""
    if diameter >= smallest:
        met = abs(np.mean(voxel)) <= aim and np.abs(longest).max() <= spacing[2]
        judged = f" (aim {aim:g} % and one pixel: {'met' if met else 'MISSED'})"
    return (
        f"ball of {diameter} mm on {step_text(spacing)}, 100 places: voxel sum {spread(voxel)} %, mesh {spread(mesh)} %,"
        f" longest in plane {spread(longest)} mm, at most {np.abs(longest).max():.2f} mm off{judged},"
        f" perpendicular {spread(short)} mm, 3-D {spread(whole)} mm"
    )


def estimate_line(diameter: float, spacing, count: int) -> str:
    """Voxel sum and partial-volume estimate on blurred, noisy images, mask at half the contrast."""
    voxel, estimates = [], []
    for seed, offset in enumerate(offsets(count, seed=1)):
        image = image_of_ball(diameter, spacing, offset, seed=seed)
        mask = outlined(image, spacing, 50.0)
        box = ndimage.find_objects(mask.astype(np.uint8))[0]
        found = partial_volume(image, mask[box], box, spacing)
        voxel.append(100 * (np.count_nonzero(mask) * np.prod(spacing) / volume_mm3(diameter) - 1))
        if found.volume_ml is not None:
            estimates.append(100 * (1000 * found.volume_ml / volume_mm3(diameter) - 1))
    told = f"{spread(estimates)} % ({len(estimates)} of {count} not refused)" if estimates else "refused in all"
    return (
        f"blurred ball of {diameter} mm on {step_text(spacing)}, contrast to noise 10, mask at half contrast:"
        f" voxel sum {spread(voxel)} %, partial-volume estimate {told}"
    )


def two_balls(diameter: float, size: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Two balls, one 2 mm aside and 5 % larger, in a cube of 1 mm voxels."""
    axes = np.ogrid[:size, :size, :size]
    middle = size / 2

    def drawn(center, radius):
        return sum((axis - place) ** 2 for axis, place in zip(axes, center)) <= radius**2

    return drawn((middle,) * 3, diameter / 2), drawn((middle + 2, middle, middle), diameter * 0.525)


def full_maps(first: np.ndarray, second: np.ndarray) -> float:
    """The usual way: surface voxels of both, distance maps of the whole volume, larger 95th percentile."""
    edges = [mask ^ ndimage.binary_erosion(mask) for mask in (first, second)]
    maps = [ndimage.distance_transform_edt(~edge) for edge in edges]
    return max(np.percentile(maps[1][edges[0]], 95), np.percentile(maps[0][edges[1]], 95))


def surface_lines(full: bool):
    """Time against full maps, difference from independent libraries."""
    for diameter in (20, 40, 120) if full else (40,):
        masks = two_balls(diameter)
        slow, fast, ratio = paired(partial(full_maps, *masks), partial(surface_distances, *masks, np.eye(4)), 3 if full else 1)
        judged = f"aim at least {FASTER:g}: {'met' if ratio >= FASTER else 'MISSED'}" if diameter <= 40 else "no aim"
        yield (
            f"surface distances of {diameter} mm balls in 256^3: {fast:.3f} s against {slow:.1f} s by full distance maps,"
            f" {ratio:.0f} times faster ({judged})"
        )
    yield from library_lines()


def library_lines():
    """Largest difference of the normalized surface Dice from MONAI's, which uses the same surface elements."""
    if importlib.util.find_spec("monai") is None:
        yield "surface distances against MONAI: skipped, MONAI is not installed"
        return
    import torch
    from monai.metrics import compute_surface_dice

    first, second = two_balls(20, 48)
    worst = 0.0
    for spacing in ((1.0, 1.0, 1.0), (5.0, 0.7, 0.7), (0.4, 2.0, 1.1)):
        ours = surface_distances(first, second, np.diag([*spacing[::-1], 1.0])).surface_dice
        masks = [torch.from_numpy(np.stack([~mask, mask])[None].astype(np.float32)) for mask in (first, second)]
        for limit, share in ours.items():
            theirs = compute_surface_dice(*masks, [limit], spacing=spacing, use_subvoxels=True)
            worst = max(worst, abs(float(theirs) - share))
    yield f"normalized surface Dice against MONAI's with subvoxels: largest difference {worst:.1e}"


def organs(shape_kji: tuple[int, int, int], count: int) -> Segmentation:
    """Ellipsoids side by side in a body, as many as TotalSegmentator's `total` has structures."""
    layer = np.zeros(shape_kji, np.uint8)
    random = np.random.default_rng(0)
    across = int(np.ceil(count ** (1 / 3)))
    cells = [size / across for size in shape_kji]
    for number in range(count):
        place = np.unravel_index(number, (across,) * 3)
        center = [(at + 0.5) * cell for at, cell in zip(place, cells)]
        radii = [cell / 2 * random.uniform(0.5, 0.95) for cell in cells]
        box = tuple(slice(int(c - r), int(c + r) + 1) for c, r in zip(center, radii))
        axes = np.ogrid[box]
        inside = sum(((axis - c) / r) ** 2 for axis, c, r in zip(axes, center, radii)) <= 1
        layer[box][inside] = number + 1
    segments = tuple(segment(number, f"Organ {number}") for number in range(1, count + 1))
    return Segmentation((layer,), np.diag([0.8, 0.8, 1.0, 1.0]), segments, Provenance("ellipsoids", ""))


def one_by_one(segmentation: Segmentation, number: int) -> None:
    """The usual way for one label: its mask in the whole volume, then SciPy's count, center, box and outline."""
    mask = segmentation.layers[0] == number
    ndimage.sum_labels(mask)
    ndimage.center_of_mass(mask)
    ndimage.find_objects(mask.astype(np.uint8))
    mask ^ ndimage.binary_erosion(mask)


def segment_lines(full: bool):
    """117 segments with all measures, against SciPy's functions on whole volumes."""
    shape = (400, 512, 512) if full else (100, 256, 256)
    segmentation = organs(shape, 117)
    fast = seconds(lambda: measure_segments(segmentation))
    slow = seconds(lambda: [one_by_one(segmentation, number) for number in (1, 59, 117)]) * 117 / 3
    size = "x".join(str(count) for count in shape[::-1])
    boxes = seconds(lambda: segment_boxes(segmentation))
    yield (
        f"117 segments at {size}: all measures in {fast:.1f} s (boxes {boxes:.2f} s); SciPy's count, center, box and edge on"
        f" whole volumes {slow:.0f} s (3 measured, times 39), ratio {fast / slow:.3f}, {verdict(fast / slow, 0.1)}"
    )

"""The patient in one acquisition: an image in HU, the truth as a segmentation, and exact facts as JSON."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndimage
from scipy.optimize import lsq_linear

from OncoLib import __version__
from OncoLib.errors import InputError
from OncoLib.image import Image, spacing_of
from OncoLib.phantom.abdomen import skin_points
from OncoLib.phantom.acquisition import Acquisition, couch
from OncoLib.phantom.anatomy import Organ
from OncoLib.phantom.lesions import Lesion, lesion_facts
from OncoLib.phantom.patient import PATIENT_ID, Patient
from OncoLib.phantom.raster import Grid, Paint, draw
from OncoLib.phantom.shapes import Ellipsoid
from OncoLib.phantom.solids import Difference, Placed, Union, moved_bounds
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure

FORMAT = "oncosegment.phantom/1"


@dataclass(frozen=True, eq=False)
class Scan:
    """image: CT in HU, int16. truth: organs in layer 0, lesions (and S1) in layer 1. facts: JSON-ready, see `facts_of`."""

    image: Image
    truth: Segmentation
    facts: dict


def scan(
    patient: Patient, acquisition: Acquisition, *, seed: int = 0, progress: Progress = silent, cancel: CancelToken | None = None
) -> Scan:
    """Scans the patient. seed: of the noise; the same seed gives the same image.

    Raises InputError for a lesion that is unknown or has outgrown its host.
    """
    check_seed(seed)
    grid, lesions = acquisition.grid(), lesions_at(patient, acquisition)
    segments = segments_of(patient, lesions)
    canvas = draw(
        [*couch_paints(acquisition), *organ_paints(patient, segments), *lesion_paints(lesions, segments)],
        acquisition.pose,
        grid,
        [patient.hu],
        layers=2,
        samples=acquisition.samples,
        progress=progress,
        cancel=cancel,
    )
    voxels = degraded(canvas.images[0], grid.ijk_to_ras, acquisition.blur_mm, acquisition.noise_hu, seed)
    image = Image(hu_values(voxels), grid.ijk_to_ras, modality="CT", units="HU", name=f"Reference patient {acquisition.date}")
    truth = Segmentation(
        tuple(canvas.layers),
        grid.ijk_to_ras,
        seen(segments, canvas.layers),
        Provenance("reference patient", __version__, {"date": acquisition.date}, seed=seed),
        name=f"Truth {acquisition.date}",
    )
    return Scan(image, truth, facts_of(patient, acquisition, lesions, grid, seed))


def check_seed(seed: int) -> None:
    """Raises InputError for a seed that the random generator does not take."""
    if not isinstance(seed, int) or seed < 0:
        raise InputError(f"seed {seed}; wanted a whole number of 0 or more")


def lesions_at(patient: Patient, acquisition: Acquisition) -> list[Lesion]:
    """Lesions present at a date in their size at that date, each checked against its host."""
    for name in acquisition.growth:
        patient.lesion(name)
    factors = [(one, acquisition.growth.get(one.id, 1.0)) for one in patient.lesions]
    found = [one.grown(factor) for one, factor in factors if factor > 0]
    for one in found:
        patient.check_lesion(one)
    return found


def segments_of(patient: Patient, lesions: list[Lesion]) -> list[Segment]:
    """Segments of organs and lesions; labels of an organ or a lesion are the same at every date."""
    found = []
    for label, one in enumerate(patient.structures, 1):
        item = structure(one.structure)
        found.append(Segment(label, item.name, item.entry, item.color, one.layer, item.id, "high"))
    first = len(found)
    for one in lesions:
        item = structure(one.structure)
        found.append(Segment(first + one.tracking, one.name, item.entry, item.color, 1, item.id, "high"))
    return found


def seen(segments: list[Segment], layers: list[np.ndarray]) -> tuple[Segment, ...]:
    """The segments that have a voxel in this scan."""
    labels = [set(np.unique(layer).tolist()) for layer in layers]
    return tuple(one for one in segments if one.label in labels[one.layer])


def couch_paints(acquisition: Acquisition) -> list[Paint]:
    """The couch, in the frame of the scan, at the patient's back."""
    if not acquisition.couch:
        return []
    lowest = float((acquisition.pose @ skin_points())[1].min())
    return [Paint(one.solid, one.material, frame=np.eye(4)) for one in couch(acquisition, lowest)]


def organ_paints(patient: Patient, segments: list[Segment]) -> list[Paint]:
    """Organs in their order; one in layer 1 is a truth only, its host is drawn."""
    places = {one.structure: (one.layer, one.label) for one in segments[: len(patient.structures)]}
    found = []
    for one in patient.organs:
        marks = (places[one.structure],) if one.structure else ()
        found.append(Paint(one.solid, one.material, marks))
        found += [Paint(solid, material) for solid, material in one.fillings]
    return found


def lesion_paints(lesions: list[Lesion], segments: list[Segment]) -> list[Paint]:
    """Lesions over everything else."""
    labels = {one.name: one.label for one in segments}
    return [Paint(one.solid, one.material, ((1, labels[one.name]),)) for one in lesions]


def degraded(voxels: np.ndarray, ijk_to_ras: np.ndarray, blur_mm: float, noise: float, seed: int) -> np.ndarray:
    """Blur in the plane of the slices, then white Gaussian noise; float32, changed in place."""
    if blur_mm > 0:
        i, j, _ = spacing_of(ijk_to_ras)
        for axis, step in ((1, j), (2, i)):
            ndimage.gaussian_filter1d(voxels, blur_mm / step, axis=axis, output=voxels, mode="nearest")
    if noise > 0:
        random = np.random.default_rng(seed)
        for plane in voxels:
            plane += random.standard_normal(plane.shape, dtype=np.float32) * np.float32(noise)
    return voxels


def hu_values(voxels: np.ndarray) -> np.ndarray:
    """Rounded to int16, within the 12 bits of a scanner (-1024 to 3071)."""
    return np.clip(np.rint(voxels), -1024, 3071).astype(np.int16)


def facts_of(patient: Patient, acquisition: Acquisition, lesions: list[Lesion], grid: Grid, seed: int) -> dict:
    """JSON-ready truth: acquisition, exact volumes of structures, and each lesion as it is in this scan."""
    return {
        "format": FORMAT,
        "patient": PATIENT_ID,
        "date": acquisition.date,
        "seed": seed,
        "patient_to_ras": acquisition.pose.tolist(),
        "geometry": {"shape_ijk": list(grid.shape_kji[::-1]), "ijk_to_ras": grid.ijk_to_ras.tolist()},
        "slice_thickness_mm": grid.thickness_mm,
        "blur_mm": acquisition.blur_mm,
        "noise_hu": acquisition.noise_hu,
        "structures": [organ_facts(one, patient, acquisition.pose, grid) for one in patient.structures],
        "lesions": [lesion_in_scan(one, acquisition.pose, grid) for one in lesions],
        "absent_lesions": [one.id for one in patient.lesions if one.id not in {item.id for item in lesions}],
    }


def organ_facts(one: Organ, patient: Patient, pose: np.ndarray, grid: Grid) -> dict:
    """Id, whole volume in ml whether or not the scan covers it, how it was found, and how much the scan covers."""
    volume, method = one.volume
    return {
        "structure": one.structure,
        "volume_ml": volume,
        "volume_method": method,
        "hu": patient.hu.get(one.material),
        "in_field_of_view": field_of_view(one.solid, pose, grid),
    }


def lesion_in_scan(one: Lesion, pose: np.ndarray, grid: Grid) -> dict:
    """`lesions.lesion_facts` of the whole lesion, and how much of it the scan covers."""
    return {**lesion_facts(one, pose, grid.ijk_to_ras), "in_field_of_view": field_of_view(one.solid, pose, grid)}


def field_of_view(solid, pose: np.ndarray, grid: Grid) -> str:
    """How much of a solid the voxels of a scan cover: all of it ("yes"), a part ("cut") or nothing ("no").

    pose: 4x4 from the solid's frame to RAS of the scan. The scan is the box of whole voxels. Exact for ellipsoids under any
    matrix and for unions of them; a shape of another kind goes by the box around it in its own frame, a `Difference` by
    its whole, so that "cut" may then be said of one that just misses the edge.
    """
    return _covered(solid, np.linalg.inv(grid.ijk_to_ras) @ pose, np.array(grid.shape_kji[::-1], dtype=float))


def _covered(solid, to_ijk: np.ndarray, counts: np.ndarray) -> str:
    """`field_of_view` in voxel indices, in which the scan is the box from -0.5 to counts - 0.5."""
    if isinstance(solid, Difference):
        return _covered(solid.whole, to_ijk, counts)
    if isinstance(solid, Placed):
        return _covered(solid.shape, to_ijk @ solid.matrix, counts)
    if isinstance(solid, Union):
        found = {_covered(part, to_ijk, counts) for part in solid.parts}
        return found.pop() if len(found) == 1 else "cut"
    if isinstance(solid, Ellipsoid):
        axes, center = to_ijk[:3, :3] * solid.half_mm, to_ijk[:3, 3]
        reach, apart = np.linalg.norm(axes, axis=1), _ellipsoid_apart
    else:
        bounds = solid.bounds_mm
        axes = to_ijk[:3, :3] * (np.diff(bounds, axis=1)[:, 0] / 2)
        center, reach, apart = moved_bounds(bounds, to_ijk).mean(axis=1), np.abs(axes).sum(axis=1), _boxes_apart
    if (center - reach >= -0.5).all() and (center + reach <= counts - 0.5).all():
        return "yes"
    return "no" if apart(axes, center, counts) else "cut"


def _ellipsoid_apart(axes: np.ndarray, center: np.ndarray, counts: np.ndarray) -> bool:
    """True when an ellipsoid {center + axes u: |u| <= 1} misses the box: |u| of the nearest point of the box is above 1."""
    inverse = np.linalg.inv(axes)
    nearest = lsq_linear(inverse, inverse @ center, (np.full(3, -0.5), counts - 0.5), method="bvls")
    return bool(np.linalg.norm(nearest.fun) >= 1)


def _boxes_apart(axes: np.ndarray, center: np.ndarray, counts: np.ndarray) -> bool:
    """True when a turned box {center + axes u: |u_i| <= 1} misses the box of the scan, by the separating axis theorem.

    Two convex polyhedra are apart when they are along a normal of a face of one, or along a product of two of their edges.
    """
    edges = [np.cross(own, other) for own in np.eye(3) for other in axes.T]
    normals = np.array([*np.eye(3), *np.linalg.inv(axes), *edges])
    gap = np.abs(normals @ (center - (counts - 1) / 2))
    return bool((gap > np.abs(normals) @ (counts / 2) + np.abs(normals @ axes).sum(axis=1) + 1e-9).any())

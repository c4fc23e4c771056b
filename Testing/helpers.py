"""What several tests share: grids of every kind, small images and segmentations, folders to compare.

Nothing here is a stand-in: grids, images and files are real.
"""

from __future__ import annotations

import contextlib
import signal
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from OncoLib.image import Image
from OncoLib.phantom.acquisition import Acquisition
from OncoLib.phantom.patient import reference_patient
from OncoLib.phantom.scan import Scan, scan
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import CodedConcept, TerminologyEntry

ROOT = Path(__file__).resolve().parents[1]
PACKAGE_PARENTS = [str(ROOT / name) for name in ("OncoSegment", "ModelManager", "LongitudinalCompare")]

INTEGER_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
FLOAT_TYPES = ("float32", "float64")
ALL_TYPES = INTEGER_TYPES + FLOAT_TYPES

ABNORMAL = CodedConcept("SCT", "49755003", "Morphologically abnormal structure")
ANATOMY = CodedConcept("SCT", "123037004", "Anatomical Structure")
MASS = TerminologyEntry(ABNORMAL, CodedConcept("SCT", "4147007", "Mass"))
BONE = TerminologyEntry(ANATOMY, CodedConcept("SCT", "272673000", "Bone"))


def rotation(axis: tuple[float, float, float], degrees: float) -> np.ndarray:
    """3x3 rotation about an axis by Rodrigues' formula."""
    x, y, z = np.array(axis, dtype=float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def grid(
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    axis: tuple[float, float, float] = (0.0, 0.0, 1.0),
    degrees: float = 0.0,
    flips: tuple[int, int, int] = (1, 1, 1),
) -> np.ndarray:
    """4x4 ijk_to_ras: an orthonormal frame (rotation times flips) times the spacing. One flip makes it left-handed."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(axis, degrees) @ np.diag(flips) @ np.diag(spacing_mm)
    matrix[:3, 3] = origin_mm
    return matrix


OBLIQUE = grid((0.7, 0.9, 3.0), (-120.5, 33.25, -410.125), (0.3, -0.5, 0.8), 37.0)
LEFT_HANDED = grid((0.7, 0.9, 3.0), (12.0, -8.0, 40.0), (0.2, 0.9, -0.4), 71.0, (1, 1, -1))
RADIOLOGICAL = grid((2.0, 2.0, 2.0), (60.0, -40.0, 10.0), flips=(-1, 1, 1))
PERMUTED = np.array([[0, 0, 2.5, -30], [0.8, 0, 0, 4], [0, -1.1, 0, 99], [0, 0, 0, 1.0]])
GRIDS = {"oblique": OBLIQUE, "left-handed": LEFT_HANDED, "radiological": RADIOLOGICAL, "permuted": PERMUTED}


@st.composite
def grids(draw) -> np.ndarray:
    """Any grid of a scanner: rotated, mirrored, anisotropic from 0.05 to 20 mm, up to 2 m off the origin."""
    numbers = st.floats(-1, 1, allow_nan=False)
    axis = draw(st.tuples(numbers, numbers, numbers).filter(lambda vector: np.linalg.norm(vector) > 0.1))
    spacing = draw(st.tuples(*[st.floats(0.05, 20.0)] * 3))
    origin = draw(st.tuples(*[st.floats(-2000.0, 2000.0)] * 3))
    flips = draw(st.tuples(*[st.sampled_from((1, -1))] * 3))
    return grid(spacing, origin, axis, draw(st.floats(-180.0, 180.0)), flips)


@st.composite
def voxel_arrays(draw, types: tuple[str, ...] = ALL_TYPES, smallest: int = 1, largest: int = 6) -> np.ndarray:
    """Arrays `[k, j, i]` of unequal sides whose values reach both ends of their type."""
    kind = np.dtype(draw(st.sampled_from(types)))
    shape = draw(st.tuples(*[st.integers(smallest, largest)] * 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if kind.kind == "f":
        return (random.standard_normal(shape) * 1000).astype(kind)
    bounds = np.iinfo(kind)
    voxels = random.integers(bounds.min, bounds.max, shape, dtype=kind, endpoint=True)
    voxels.flat[0], voxels.flat[-1] = bounds.min, bounds.max
    return voxels


def world_of(ijk_to_ras: np.ndarray, ijk) -> np.ndarray:
    """RAS in mm of a voxel index, by the definition of the matrix."""
    return (np.asarray(ijk_to_ras) @ np.array([*ijk, 1.0]))[:3]


def image(voxels: np.ndarray, ijk_to_ras: np.ndarray | None = None, **facts) -> Image:
    """An `Image`, on 1 mm voxels when no grid is given."""
    return Image(np.ascontiguousarray(voxels), np.eye(4) if ijk_to_ras is None else ijk_to_ras, **facts)


def ball(shape_kji: tuple[int, int, int], center_kji, radius_mm: float, spacing_kji_mm=(1.0, 1.0, 1.0)) -> np.ndarray:
    """Voxels whose center is at most `radius_mm` from the center."""
    axes = [((np.arange(n) - c) * s) ** 2 for n, c, s in zip(shape_kji, center_kji, spacing_kji_mm)]
    return axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :] <= radius_mm**2


def segment(label: int, name: str = "", **facts) -> Segment:
    """A segment with bone codes unless told otherwise."""
    return Segment(label, name or f"Segment {label}", facts.pop("entry", BONE), facts.pop("color", (200, 150, 10)), **facts)


def segmentation(layers, ijk_to_ras=None, segments=None, **facts) -> Segmentation:
    """A segmentation of the layers; by default one segment for each label that is there."""
    layers = tuple(layers)
    if segments is None:
        segments = [
            segment(int(label), f"Layer {at} label {label}", layer=at)
            for at, layer in enumerate(layers)
            for label in np.unique(layer)
            if label
        ]
    provenance = facts.pop("provenance", Provenance("thresholds", "0.0.0", {"profile": "bones"}))
    return Segmentation(layers, np.eye(4) if ijk_to_ras is None else ijk_to_ras, tuple(segments), provenance, **facts)


def ct_phantom(shape_kji=(24, 40, 44), ijk_to_ras: np.ndarray | None = None) -> Image:
    """A block of tissue (60 HU) in air with a bone shell (700 HU) around marrow (200 HU) and a vessel (150 HU)."""
    nk, nj, ni = shape_kji
    voxels = np.full(shape_kji, -1000, np.int16)
    voxels[:, 4 : nj - 4, 4 : ni - 4] = 60
    voxels[2 : nk - 2, 12:26, 12:26] = 700
    voxels[4 : nk - 4, 15:23, 15:23] = 200
    voxels[:, 30:34, 30:34] = 150
    return Image(voxels, np.diag([2.0, 2.0, 2.0, 1.0]) if ijk_to_ras is None else ijk_to_ras, modality="CT", units="HU")


@lru_cache(maxsize=4)
def reference_scan(region: str | tuple = "chest", spacing_mm: tuple[float, float, float] = (5.0, 5.0, 6.0)) -> Scan:
    """The reference patient with its truth, on a coarse grid unless told otherwise; made once, not to be changed."""
    return scan(reference_patient(), Acquisition(region=region, spacing_mm=spacing_mm))


def reference_ct(*arguments) -> Image:
    """The image of `reference_scan`, with voxels of its own."""
    image = reference_scan(*arguments).image
    return replace(image, voxels=image.voxels.copy())


@contextlib.contextmanager
def no_file_over(size: int):
    """As on a full disk, this process can write no file beyond a size inside (POSIX)."""
    import resource

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder with its bytes (None for a folder): to see that nothing was changed or left."""
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in sorted(folder.rglob("*"))}

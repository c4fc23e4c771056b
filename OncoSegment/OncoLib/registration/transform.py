"""What a registration gives: a transform of points in mm, and how far it can be believed.

**Direction.** A transform takes a point of the FIXED image's RAS (the image whose grid stays) to the place in the MOVING
image's RAS that shows the same anatomy. That is what resampling the moving image onto the fixed grid needs; points of the
moving image are carried to the fixed one by the inverse.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from OncoLib.errors import GeometryError
from OncoLib.image import Image

KINDS = ("rigid", "similarity", "affine")
RIGID_TOLERANCE = 1e-6
"""Largest entry by which the turn of a rigid matrix may differ from a rotation."""


@dataclass(frozen=True, eq=False)
class LinearTransform:
    """Points of the fixed image's RAS to the moving image's, in mm.

    fixed_to_moving_ras: 4x4, read-only float64. kind: one of `KINDS`; a rigid one is a rotation and a shift.
    Raises GeometryError for a matrix that is none, or that is not of its kind.
    """

    fixed_to_moving_ras: np.ndarray
    kind: str = "rigid"

    def __post_init__(self) -> None:
        matrix = np.array(self.fixed_to_moving_ras, dtype=np.float64) + 0.0  # -0 becomes 0: its sign would be lost in a file
        usable = matrix.shape == (4, 4) and np.isfinite(matrix).all() and np.array_equal(matrix[3], (0, 0, 0, 1))
        if self.kind not in KINDS or not usable or np.linalg.det(matrix[:3, :3]) <= 0:
            raise GeometryError(f"this is no {self.kind} transform; wanted a 4x4 matrix of {', '.join(KINDS)} without mirroring")
        if self.kind == "rigid" and np.abs(matrix[:3, :3] @ matrix[:3, :3].T - np.eye(3)).max() > RIGID_TOLERANCE:
            raise GeometryError("this transform is called rigid and changes distances")
        matrix.setflags(write=False)
        object.__setattr__(self, "fixed_to_moving_ras", matrix)

    def moved(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """Points `[n, 3]` of the fixed image, in the moving image."""
        return np.asarray(points_ras_mm) @ self.fixed_to_moving_ras[:3, :3].T + self.fixed_to_moving_ras[:3, 3]

    def inverse(self) -> LinearTransform:
        """From the moving image to the fixed one."""
        return LinearTransform(np.linalg.inv(self.fixed_to_moving_ras), self.kind)

    @property
    def linear(self) -> LinearTransform:
        """Itself; of a transform that is more than a matrix, the part that is one."""
        return self

    def jacobian(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """Volume factor `[n]` at points `[n, 3]`, the same everywhere: how much larger the moving image shows what lies there."""
        return np.full(len(points_ras_mm), np.linalg.det(self.fixed_to_moving_ras[:3, :3]))

    def then(self, further: LinearTransform) -> LinearTransform:
        """This one first: from A to B and then from B to C is from A to C. The kind is the less strict one.

        further: one that is no matrix gives a chain of both, see `warp`.
        """
        if not isinstance(further, LinearTransform):
            from OncoLib.registration.warp import chained

            return chained(self, further)
        kind = max(self.kind, further.kind, key=KINDS.index)
        return LinearTransform(further.fixed_to_moving_ras @ self.fixed_to_moving_ras, kind)

    @property
    def degrees(self) -> float:
        """Angle of the rotation around its own axis, 0 to 180 (of the nearest rotation for other kinds)."""
        left, _, right = np.linalg.svd(self.fixed_to_moving_ras[:3, :3])
        turn = left @ right
        axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
        return float(np.degrees(np.arctan2(np.linalg.norm(axis), np.trace(turn) - 1.0)))

    def moved_mm(self, image: Image) -> tuple[float, float]:
        """How far the transform moves the image's content: mean over its grid, and most of its corners, in mm."""
        return moved_mm(self, image)

    def as_dict(self) -> dict:
        """For provenance."""
        return {"kind": self.kind, "fixed_to_moving_ras": [[float(one) for one in row] for row in self.fixed_to_moving_ras]}


IDENTITY = LinearTransform(np.eye(4))


@dataclass(frozen=True, eq=False)
class Registration:
    """The outcome of one registration.

    transform: to be used, a `LinearTransform` or one of `warp`; the identity when the search brought no improvement.
    improved: whether it did.
    metric: its name; metric_before (identity), metric_after: higher is more alike, both on the same samples; NaN where the
        images do not overlap. moved_mm: mean and most (corners of the fixed image). overlap: share of the fixed image's grid
        that the moving image shows afterwards. start: which start led there.
    starts_apart_mm: largest distance, over the fixed image, between the best end of a start and the ends of the others that
        came as high: over `APART_MM` two alignments are as good as each other, and neither should be believed unseen.
    doubts: sentences on why it should be looked at; empty when nothing is known against it.
    """

    transform: LinearTransform
    engine: str
    metric: str
    metric_before: float
    metric_after: float
    improved: bool
    moved_mm: tuple[float, float]
    degrees: float
    overlap: float
    start: str
    starts_apart_mm: float
    doubts: tuple[str, ...] = ()
    parameters: dict = field(default_factory=dict)

    def as_dict(self) -> dict:
        """For provenance; what is not a number is None."""
        numbers = {
            "metric_before": self.metric_before,
            "metric_after": self.metric_after,
            "moved_mm_mean": self.moved_mm[0],
            "moved_mm_most": self.moved_mm[1],
            "degrees": self.degrees,
            "overlap": self.overlap,
            "starts_apart_mm": self.starts_apart_mm,
        }
        told = {name: round(value, 4) if np.isfinite(value) else None for name, value in numbers.items()}
        facts = {"engine": self.engine, "metric": self.metric, "improved": self.improved, "start": self.start}
        more = {"doubts": list(self.doubts), "parameters": dict(self.parameters)}
        return {"transform": self.transform.as_dict(), **facts, **told, **more}


def moved_mm(transform, image: Image) -> tuple[float, float]:
    """How far a transform moves the image's content: mean over its grid, and most of its grid and corners, in mm."""
    points = lattice(image)
    ends = np.array([(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * (np.array(image.shape_kji[::-1]) - 1)
    corners = ends @ image.ijk_to_ras[:3, :3].T + image.ijk_to_ras[:3, 3]
    shifts = [np.linalg.norm(transform.moved(found) - found, axis=1) for found in (points, corners)]
    return float(shifts[0].mean()), float(max(shift.max() for shift in shifts))


def lattice(image: Image, count: int = 12) -> np.ndarray:
    """Points `[n, 3]` in RAS, evenly over the image: at most `count` along each axis, from its first to its last voxel."""
    axes = [np.linspace(0, size - 1, min(count, size)) for size in image.shape_kji[::-1]]
    ijk = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return ijk @ image.ijk_to_ras[:3, :3].T + image.ijk_to_ras[:3, 3]


def shown_share(fixed: Image, moving: Image, transform=IDENTITY) -> float:
    """Share of the fixed image's grid that lies in the moving image's field of view (its voxels, to their outer edges)."""
    points = transform.moved(lattice(fixed, 24))
    inside = np.linalg.inv(moving.ijk_to_ras)
    ijk = points @ inside[:3, :3].T + inside[:3, 3]
    return float(((ijk >= -0.5) & (ijk <= np.array(moving.shape_kji[::-1]) - 0.5)).all(axis=1).mean())

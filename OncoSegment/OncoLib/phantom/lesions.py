"""Lesions: ellipsoids with exact volume, longest diameters in space and in the planes of a scan, and growth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from OncoLib.errors import InputError
from OncoLib.phantom.shapes import Ellipsoid
from OncoLib.phantom.solids import Placed, rigid


@dataclass(frozen=True)
class Lesion:
    """One lesion of the patient at the first date.

    id: short name. tracking: number that stays over dates. structure: id in our terminology. center_mm, degrees: place and
    turn in the patient frame. half_axes_mm: at growth 1. host: structure that it lies in ("" for a node in fat).
    """

    id: str
    tracking: int
    structure: str
    name: str
    center_mm: tuple[float, float, float]
    half_axes_mm: tuple[float, float, float]
    material: str
    host: str = ""
    degrees: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def grown(self, volume_factor: float) -> Lesion:
        """The lesion with its volume times a factor, in the same place and of the same shape."""
        if not (np.isfinite(volume_factor) and volume_factor > 0):
            raise InputError(f"growth {volume_factor} of lesion {self.id!r}; wanted a volume factor of 0 (absent) or more")
        return replace(self, half_axes_mm=tuple(float(axis * volume_factor ** (1 / 3)) for axis in self.half_axes_mm))

    @property
    def solid(self) -> Placed:
        """The ellipsoid in the patient frame."""
        return Placed(Ellipsoid(self.half_axes_mm), rigid(self.degrees, self.center_mm))

    def surface_points(self, count: int = 400) -> np.ndarray:
        """Points `[n, 3]` spread over the surface in a spiral, in the patient frame."""
        height = 1 - 2 * (np.arange(count) + 0.5) / count
        turn = np.pi * (1 + np.sqrt(5)) * np.arange(count)
        ring = np.sqrt(1 - height**2)
        unit = np.stack([ring * np.cos(turn), ring * np.sin(turn), height], axis=1)
        matrix = self.solid.matrix
        return unit * self.half_axes_mm @ matrix[:3, :3].T + matrix[:3, 3]


def plane_diameters_mm(half_axes_mm, turn: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Longest diameter of an ellipsoid over all planes along two unit vectors, and the one across it in the same plane.

    turn: 3x3 from the ellipsoid's axes to the frame of the two vectors, which are perpendicular. The ellipsoid is
    {p: p' Q p <= 1}, Q = turn diag(1 / a^2) turn'; a plane through its center cuts out the ellipse of the 2x2 matrix
    B' Q B, B = [first, second], with half axes 1 / sqrt(eigenvalue). Parallel planes cut out smaller, similar ellipses.
    """
    quadric = turn @ np.diag(1 / np.square(half_axes_mm)) @ turn.T
    basis = np.stack([first, second], axis=1)
    smallest, largest = np.linalg.eigvalsh(basis.T @ quadric @ basis)
    return float(2 / np.sqrt(smallest)), float(2 / np.sqrt(largest))


def half_extent_mm(half_axes_mm, turn: np.ndarray, normal: np.ndarray) -> float:
    """Half distance of the two planes across a unit vector that touch an ellipsoid: sqrt(n' turn diag(a^2) turn' n)."""
    return float(np.linalg.norm(np.asarray(half_axes_mm) * (turn.T @ normal)))


def lesion_facts(lesion: Lesion, to_scan: np.ndarray, ijk_to_ras: np.ndarray) -> dict:
    """JSON-ready truth of a lesion in one scan.

    to_scan: 4x4 rigid, patient frame to RAS of the scan. ijk_to_ras: of the scan; rows and columns span its slices.
    longest_in_plane_mm and short_axis_mm are those of the slice plane through the center; *_on_slices_mm those on
    the nearest slice that was made, which is what can at best be read from the images.
    """
    matrix = to_scan @ lesion.solid.matrix
    axes = ijk_to_ras[:3, :3] / np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    longest, across = plane_diameters_mm(lesion.half_axes_mm, matrix[:3, :3], axes[:, 0], axes[:, 1])
    index = (np.linalg.inv(ijk_to_ras) @ matrix[:, 3])[2]
    off = abs(index - round(index)) * float(np.linalg.norm(ijk_to_ras[:3, 2]))
    share = off / half_extent_mm(lesion.half_axes_mm, matrix[:3, :3], axes[:, 2])
    seen = float(np.sqrt(max(0.0, 1 - share**2)))
    return {
        "id": lesion.id,
        "tracking": lesion.tracking,
        "name": lesion.name,
        "structure": lesion.structure,
        "host": lesion.host,
        "shape": "sphere" if len(set(lesion.half_axes_mm)) == 1 else "ellipsoid",
        "center_ras_mm": matrix[:3, 3].tolist(),
        "center_patient_mm": list(lesion.center_mm),
        "half_axes_mm": list(lesion.half_axes_mm),
        "axes_ras": matrix[:3, :3].T.tolist(),
        "volume_ml": lesion.solid.volume_mm3 / 1000,
        "longest_3d_mm": lesion.solid.longest_diameter_mm,
        "longest_in_plane_mm": longest,
        "short_axis_mm": across,
        "longest_on_slices_mm": longest * seen,
        "short_axis_on_slices_mm": across * seen,
    }

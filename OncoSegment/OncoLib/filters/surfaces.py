"""Surfaces of segments: marching cubes, smoothed and decimated by parameter, each with what that did to its volume.

Everything happens in patient space (mm). VTK's smoothing filters weigh neighboring points alike, whatever their distance:
so the result does not depend on how the grid lies in space, and thick slices keep more of their steps than thin ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import vtk

from OncoLib.filters.decimation import decimated
from OncoLib.filters.mesh import (
    EMPTY_MESH,
    Mesh,
    arrays_of,
    component_of_triangle,
    is_watertight,
    mesh_of,
    mesh_volume_ml,
    point_normals,
    poly_data,
    surface_area_mm2,
    tetrahedra_ml,
)
from OncoLib.measure import Measurement, segment_boxes, volumes
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.quantities import MESH_VOLUME
from OncoLib.segmentation import Segment, Segmentation
from OncoLib.surface_settings import SurfaceSettings

VOLUME_LIMIT = 0.10
"""Largest share of its volume that smoothing may take from, or give to, each connected surface.

A low-pass filter shrinks what is only a few voxels thin: with Slicer's default (pass band 0.01, 40 iterations) a rib on
3 mm voxels kept 5 % of its volume, and a lone voxel becomes a point. The tenth is our choice."""

MESH_METHOD = "divergence theorem on the closed triangle surface"
DIFFERENCE_METHOD = "volume inside the surface minus voxel sum"

MANY_SURFACES = 100
"""More connected surfaces than this are told: such a segment is mostly specks. Our choice."""

EMPTY = "the segment is empty, so it has no surface"


@dataclass(frozen=True, eq=False)
class SegmentSurface:
    """The surface of one segment.

    voxels: voxel sum in ml. volume: inside the surface, in ml. difference: volume minus voxels, in ml. area_mm2: of all
    triangles. watertight: False also for an empty segment. notes: sentences a reader should see beside the surface.
    """

    segment: Segment
    mesh: Mesh
    voxels: Measurement
    volume: Measurement
    difference: Measurement
    area_mm2: float
    watertight: bool
    notes: tuple[str, ...] = ()


def surfaces_of(
    segmentation: Segmentation,
    settings: SurfaceSettings = SurfaceSettings(),  # noqa: B008 (frozen)
    *,
    names: Sequence[str] = (),
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> tuple[SegmentSurface, ...]:
    """The surfaces of the named segments (all when no name is given), in the order of the segmentation.

    Raises InputError for a name that is not there.
    """
    for name in names:
        segmentation.segment_named(name)
    chosen = [segment for segment in segmentation.segments if not names or segment.name in names]
    measured = volumes(segmentation)
    boxes = segment_boxes(segmentation)
    found = []
    for number, segment in enumerate(chosen):
        if cancel is not None:
            cancel.check()
        progress(number / len(chosen), f"Making the surfaces ({segment.name})")
        raw = segment_mesh(segmentation, segment, boxes.get(segment))
        found.append(finished(segment, raw, settings, measured[segment], cancel))
    return tuple(found)


def segment_mesh(segmentation: Segmentation, segment: Segment, box: tuple[slice, ...] | None) -> Mesh:
    """Marching cubes surface of one segment, of which only its box is looked at; None when it has no voxel."""
    if box is None:
        return EMPTY_MESH
    matrix = segmentation.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, :3] @ [span.start for span in box[::-1]]
    return mesh_of(segmentation.layers[segment.layer][box] == segment.label, matrix)


def finished(
    segment: Segment, raw: Mesh, settings: SurfaceSettings, voxels: Measurement, cancel: CancelToken | None = None
) -> SegmentSurface:
    """Smooths, decimates and measures one surface."""
    if raw.is_empty:
        nothing = Measurement(0.0, "ml", MESH_METHOD, MESH_VOLUME)
        return SegmentSurface(segment, raw, voxels, nothing, replace(nothing, method=DIFFERENCE_METHOD), 0.0, False, (EMPTY,))
    mesh, notes = smoothed(raw, settings)
    notes += many_surfaces(raw)
    steps = {"the mesh": raw, "smoothing": mesh}
    mesh = steps["decimation"] = decimated(mesh, settings.decimation, cancel=cancel)
    if notes and not settings.keep_volume:
        notes += parts_of_difference(steps, voxels.value)
    wanted = len(raw.triangles) * (1 - settings.decimation)
    if len(mesh.triangles) > wanted + 2:
        notes += (f"decimation stopped at {len(mesh.triangles)} triangles: fewer would have changed the topology",)
    if settings.keep_volume:
        mesh, kept = with_volume(mesh, voxels.value)
        notes += () if kept else ("the volume could not be kept: the surface is too thin to be moved",)
    volume = Measurement(mesh_volume_ml(mesh), "ml", MESH_METHOD, MESH_VOLUME)
    difference = Measurement(volume.value - voxels.value, "ml", DIFFERENCE_METHOD, MESH_VOLUME)
    return SegmentSurface(segment, mesh, voxels, volume, difference, surface_area_mm2(mesh), is_watertight(mesh), notes)


def many_surfaces(raw: Mesh) -> tuple[str, ...]:
    """A note for a surface in very many pieces, with the size of the smaller half of them."""
    pieces = np.abs(np.bincount(component_of_triangle(raw), tetrahedra_ml(raw))) * 1000.0
    if len(pieces) <= MANY_SURFACES:
        return ()
    return (
        f"it has {len(pieces)} connected surfaces, half of them of at most {np.median(pieces):.3g} mm3: a mesh cuts the corners"
        " off such tiny parts; remove them from the segment first if they are noise",
    )


def parts_of_difference(steps: dict[str, Mesh], voxels_ml: float) -> tuple[str, ...]:
    """What each step (the surface after it, by its name) added to the volume, in percent of the voxel sum."""
    told, before = [], voxels_ml
    for name, mesh in steps.items():
        share = (mesh_volume_ml(mesh) - before) / voxels_ml
        before = mesh_volume_ml(mesh)
        told += [f"{share:+.1%} by {name}"] if abs(share) >= 0.0005 else []
    return (f"volume against the voxels: {', '.join(told)}",) if told else ()


def smoothed(mesh: Mesh, settings: SurfaceSettings) -> tuple[Mesh, tuple[str, ...]]:
    """The mesh smoothed as the settings say, with a note where `VOLUME_LIMIT` held it back; triangles are the same."""
    if settings.smoothing == "none":
        return mesh, ()
    smoother = _sinc(settings) if settings.smoothing == "sinc" else _laplacian(settings)
    smoother.SetInputData(poly_data(mesh))
    smoother.BoundarySmoothingOff()
    smoother.FeatureEdgeSmoothingOff()
    smoother.SetNumberOfIterations(settings.iterations)
    smoother.Update()
    points, _ = arrays_of(smoother.GetOutput())
    return _held_back(mesh, points)


def _sinc(settings: SurfaceSettings) -> vtk.vtkWindowedSincPolyDataFilter:
    """Low-pass filter of Taubin, Zhang and Golub, "Optimal surface smoothing as filter design", IBM RC-20404, 1996."""
    smoother = vtk.vtkWindowedSincPolyDataFilter()
    smoother.SetPassBand(settings.pass_band)
    smoother.NonManifoldSmoothingOn()
    smoother.NormalizeCoordinatesOn()
    return smoother


def _laplacian(settings: SurfaceSettings) -> vtk.vtkSmoothPolyDataFilter:
    """Moves each point toward the mean of its neighbors, again and again; it shrinks."""
    smoother = vtk.vtkSmoothPolyDataFilter()
    smoother.SetRelaxationFactor(settings.relaxation)
    smoother.SetConvergence(0.0)
    smoother.SetOutputPointsPrecision(vtk.vtkAlgorithm.DOUBLE_PRECISION)
    return smoother


def _held_back(mesh: Mesh, points: np.ndarray) -> tuple[Mesh, tuple[str, ...]]:
    """The smoothed points, mixed with the old ones in each connected surface whose volume would change too much."""
    of_triangle = component_of_triangle(mesh)
    before = np.bincount(of_triangle, tetrahedra_ml(mesh))
    share = np.ones(len(before))
    of_point = np.zeros(len(mesh.points_ras_mm), np.int64)
    of_point[mesh.triangles] = of_triangle[:, None]

    def mixed(part: np.ndarray) -> Mesh:
        return Mesh(mesh.points_ras_mm + part[of_point, None] * (points - mesh.points_ras_mm), mesh.triangles)

    def too_much(part: np.ndarray) -> np.ndarray:
        after = np.bincount(of_triangle, tetrahedra_ml(mixed(part)))
        return np.abs(after - before) > VOLUME_LIMIT * np.abs(before)

    changed = too_much(share)
    if not changed.any():
        return mixed(share), ()
    low, high = np.zeros(len(before)), np.ones(len(before))
    for _ in range(8):
        middle = (low + high) / 2
        bad = too_much(middle)
        high, low = np.where(bad, middle, high), np.where(bad, low, middle)
    result = mixed(np.where(changed, low, 1.0))
    which = "smoothing was" if len(before) == 1 else f"smoothing of {int(changed.sum())} of {len(before)} connected surfaces was"
    return result, (f"{which} held back, so that it changes the volume by at most {VOLUME_LIMIT:.0%}",)


def with_volume(mesh: Mesh, volume_ml: float) -> tuple[Mesh, bool]:
    """The mesh moved along its normals by one distance, so that it holds `volume_ml`; False when that fails.

    Moving by d changes the volume by about area times d, which a few Newton steps make exact to a millionth.
    """
    moved = mesh
    if mesh_volume_ml(mesh) <= 0:
        return mesh, False
    for _ in range(20):
        missing_mm3 = (volume_ml - mesh_volume_ml(moved)) * 1000.0
        if abs(missing_mm3) <= 1e-6 * volume_ml * 1000.0:
            return moved, True
        normals = point_normals(moved)
        growth = _area_swept(moved, normals)
        if not np.isfinite(missing_mm3) or growth <= 0:
            return mesh, False
        moved = Mesh(moved.points_ras_mm + normals * (missing_mm3 / growth), mesh.triangles)
    return mesh, False


def _area_swept(mesh: Mesh, normals: np.ndarray) -> float:
    """Volume in mm3 gained for each mm that the points move along `normals`."""
    a, b, c = np.moveaxis(mesh.corners_ras_mm, 1, 0)
    return float(np.einsum("ij,ij->", np.cross(b - a, c - a) / 2.0, normals[mesh.triangles].mean(axis=1)))

"""Surfaces of 25 vertebra-like segments: ours against Slicer's closed surface representation; decimation against VTK's."""

from __future__ import annotations

import numpy as np
import vtk

from benchmarks.timing import paired, seconds, verdict
from helpers import segment
from OncoLib.filters.decimation import decimated
from OncoLib.filters.mesh import Mesh, arrays_of, is_watertight, mesh_volume_ml, poly_data
from OncoLib.filters.surfaces import surfaces_of
from OncoLib.scene.host import new_host
from OncoLib.scene.segmentations import SURFACE, add_segmentation, remove_segmentation
from OncoLib.segmentation import Provenance, Segmentation
from OncoLib.surface_settings import SurfaceSettings

COUNT, SHAPE_KJI, STEP = 25, (400, 160, 160), 16
AIM = 1.0
SLICERS = SurfaceSettings(pass_band=0.01, iterations=40)
"""What Slicer's default smoothing factor 0.5 stands for: pass band 10^(-4 * 0.5), 20 + 40 * 0.5 iterations."""


def labels() -> Segmentation:
    """A column of vertebrae on 1 mm voxels: an elliptic body, two pedicles, an arch with a spinous process."""
    k, j, i = np.ogrid[: STEP - 3, :160, :160]
    body = ((i - 80) / 22.0) ** 2 + ((j - 100) / 16.0) ** 2 <= 1
    arch = (((i - 80) / 17.0) ** 2 + ((j - 72) / 15.0) ** 2 <= 1) & (((i - 80) / 11.0) ** 2 + ((j - 76) / 10.0) ** 2 > 1)
    process = (abs(i - 80) <= 3) & (j > 30) & (j < 62)
    shape = (body & (k >= 0)) | ((arch | process) & (k >= 3) & (k <= 9))
    voxels = np.zeros(SHAPE_KJI, np.uint8)
    for number in range(COUNT):
        start = number * STEP + 1
        voxels[start : start + STEP - 3][shape] = number + 1
    segments = tuple(segment(number, f"Vertebra {number}") for number in range(1, COUNT + 1))
    return Segmentation((voxels,), np.eye(4), segments, Provenance("benchmark", "1"))


def figures(data, *, full: bool):
    """Lines of this subject."""
    column = labels()
    host = new_host()
    node = add_segmentation(host.scene, column)
    made: list = []

    def by_us() -> None:
        made[:] = surfaces_of(column, SLICERS)

    def by_slicer() -> None:
        node.GetSegmentation().RemoveRepresentation(SURFACE)
        node.CreateClosedSurfaceRepresentation()

    ours, slicers, ratio = paired(by_us, by_slicer, 5)
    yield (
        f"surfaces of {COUNT} vertebrae (ours measured and checked, without normals): {ours:.2f} s against {slicers:.2f} s"
        f" by Slicer's closed surface, ratio {ratio:.2f} ({verdict(ratio, AIM)})"
    )
    theirs = [Mesh(*arrays_of(node.GetSegmentation().GetNthSegment(n).GetRepresentation(SURFACE))) for n in range(COUNT)]
    off = max(abs(item.volume.value / mesh_volume_ml(other) - 1) for item, other in zip(made, theirs))
    to_voxels = [item.volume.value / item.voxels.value - 1 for item in made]
    yield f"their volumes differ by at most {off:.2e}; against the voxel sum {min(to_voxels):+.2%} to {max(to_voxels):+.2%}"
    remove_segmentation(node)
    host.scene.Clear(True)
    yield from decimation_lines(made)


def decimation_lines(surfaces):
    """Our decimation against VTK's quadric one: how many stay closed, and what that takes."""
    results: list[Mesh] = []
    ours = seconds(lambda: results.extend(decimated(item.mesh, 0.9) for item in surfaces))
    vtks: list[Mesh] = []
    theirs = seconds(lambda: vtks.extend(by_vtk(item.mesh) for item in surfaces))
    closed = [sum(map(is_watertight, meshes)) for meshes in (results, vtks)]
    yield (
        f"decimation by 0.9: {ours:.2f} s with {closed[0]} of {COUNT} watertight, against {theirs:.2f} s with {closed[1]}"
        f" by vtkQuadricDecimation, ratio {ours / theirs:.1f}"
    )


def by_vtk(mesh: Mesh) -> Mesh:
    """Decimated by VTK."""
    quadric = vtk.vtkQuadricDecimation()
    quadric.SetInputData(poly_data(mesh))
    quadric.SetTargetReduction(0.9)
    quadric.Update()
    return Mesh(*arrays_of(quadric.GetOutput()))

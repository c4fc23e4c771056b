"""Surface files in Slicer's own model storage node, and our surfaces beside Slicer's closed surface representation."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from helpers import LEFT_HANDED, OBLIQUE, ball, segment, segmentation
from OncoLib.filters.mesh import Mesh, arrays_of, is_watertight, mesh_volume_ml
from OncoLib.filters.surface_files import write_surfaces
from OncoLib.filters.surfaces import surfaces_of
from OncoLib.scene.host import new_host
from OncoLib.scene.segmentations import SURFACE, add_segmentation
from OncoLib.surface_settings import SurfaceSettings


def loaded(path) -> tuple[np.ndarray, int]:
    """Points in RAS of a model that Slicer reads, and the frame that it found in the file."""
    scene = slicer.vtkMRMLScene()
    node, storage = slicer.vtkMRMLModelNode(), slicer.vtkMRMLModelStorageNode()
    scene.AddNode(node)
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    return vtk_to_numpy(node.GetPolyData().GetPoints().GetData()).astype(float), storage.GetCoordinateSystem()


@pytest.mark.parametrize("frame", ["LPS", "RAS"])
@pytest.mark.parametrize("file_format", ["stl", "ply", "obj"])
@pytest.mark.parametrize("ijk_to_ras", [OBLIQUE, LEFT_HANDED], ids=["oblique", "left-handed"])
def test_slicer_loads_the_surface_where_the_segment_is(tmp_path, frame, file_format, ijk_to_ras):
    voxels = np.zeros((9, 12, 15), np.uint8)
    voxels[1:5, 2:9, 3:13] = 1
    (found,) = surfaces_of(segmentation([voxels], ijk_to_ras, [segment(1, "Liver")]))
    write_surfaces([found], tmp_path, file_format=file_format, frame=frame)
    points, system = loaded(next(tmp_path.glob(f"*.{file_format}")))
    names = {"LPS": slicer.vtkMRMLStorageNode.CoordinateSystemLPS, "RAS": slicer.vtkMRMLStorageNode.CoordinateSystemRAS}
    assert system == names[frame]
    wanted = found.mesh.points_ras_mm
    np.testing.assert_allclose(points.min(axis=0), wanted.min(axis=0), atol=1e-4)
    np.testing.assert_allclose(points.max(axis=0), wanted.max(axis=0), atol=1e-4)
    np.testing.assert_allclose(points.mean(axis=0), wanted.mean(axis=0), atol=1e-3)


def test_slicer_shows_the_colors_of_a_ply(tmp_path):
    (found,) = surfaces_of(segmentation([np.ones((3, 3, 3), np.uint8)], None, [segment(1, "Liver", color=(9, 99, 199))]))
    write_surfaces([found], tmp_path, file_format="ply")
    scene = slicer.vtkMRMLScene()
    node, storage = slicer.vtkMRMLModelNode(), slicer.vtkMRMLModelStorageNode()
    scene.AddNode(node)
    storage.SetFileName(str(tmp_path / "Liver.ply"))
    assert storage.ReadData(node)
    data = node.GetPolyData().GetPointData()
    colors = vtk_to_numpy(data.GetArray("RGB") or data.GetScalars())
    assert {tuple(int(part) for part in row) for row in colors} == {(9, 99, 199)}


def test_with_slicers_parameters_the_volume_is_that_of_its_closed_surface():
    mask = ball((14, 50, 50), (6.4, 24.7, 24.3), 16.0, (3.0, 0.9, 0.7))
    labels = segmentation([mask.astype(np.uint8)], OBLIQUE, [segment(1, "Liver")])
    host = new_host()
    node = add_segmentation(host.scene, labels, surface=True)
    item = node.GetSegmentation().GetNthSegment(0)
    slicers = Mesh(*arrays_of(item.GetRepresentation(SURFACE)))
    # Smoothing factor 0.5, Slicer's default, is a pass band of 10^(-4 * 0.5) with 20 + 40 * 0.5 iterations.
    (ours,) = surfaces_of(labels, SurfaceSettings(pass_band=0.01, iterations=40))
    assert is_watertight(slicers) and ours.watertight
    assert ours.volume.value == pytest.approx(mesh_volume_ml(slicers), rel=1e-4)
    assert len(ours.mesh.triangles) == len(slicers.triangles)

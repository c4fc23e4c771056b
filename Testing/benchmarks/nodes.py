"""117 segments at 512x512x400 as a native node: our way against Slicer's own label map import."""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from benchmarks.timing import paired, seconds, verdict
from OncoLib.scene.host import new_host
from OncoLib.scene.segmentations import add_segmentation, fill, remove_segmentation, segmentation_of
from OncoLib.scene.volumes import vtk_matrix, vtk_scalars
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure

SEGMENTS, SHAPE_KJI, AIM = 117, (400, 512, 512), 0.05


def labels(shape_kji=SHAPE_KJI, count=SEGMENTS) -> np.ndarray:
    """Label array with one block a segment on a regular raster."""
    voxels = np.zeros(shape_kji, np.uint8)
    per_axis = int(np.ceil(count ** (1 / 3)))
    step = [size // per_axis for size in shape_kji]
    for number in range(count):
        k, j, i = number // per_axis**2, number // per_axis % per_axis, number % per_axis
        block = tuple(slice(at * s + 4, (at + 1) * s - 4) for at, s in zip((k, j, i), step))
        voxels[block] = number + 1
    return voxels


def segmentation(voxels: np.ndarray) -> Segmentation:
    """The labels with names and codes."""
    bone = structure("bone")
    segments = [Segment(n, f"Segment {n}", bone.entry, bone.color) for n in range(1, int(voxels.max()) + 1)]
    return Segmentation((voxels,), np.diag([0.8, 0.8, 1.0, 1.0]), tuple(segments), Provenance("benchmark", "1"))


def figures(data, *, full: bool):
    """Lines of this subject."""
    voxels = labels()
    ours = segmentation(voxels)
    host = new_host()
    label_map = slicer.vtkMRMLLabelMapVolumeNode()
    image = vtk.vtkImageData()
    image.SetDimensions(voxels.shape[::-1])
    image.GetPointData().SetScalars(vtk_scalars(voxels))
    label_map.SetAndObserveImageData(image)
    label_map.SetIJKToRASMatrix(vtk_matrix(ours.ijk_to_ras))
    host.scene.AddNode(label_map)

    made = []

    def by_us() -> None:
        made.append(add_segmentation(host.scene, ours))

    def by_import() -> None:
        node = slicer.vtkMRMLSegmentationNode()
        host.scene.AddNode(node)
        host.segmentations.ImportLabelmapToSegmentationNode(label_map, node)
        made.append(node)

    mine, theirs, ratio = paired(by_us, by_import, 3)
    yield (
        f"node of {SEGMENTS} segments at 512x512x400: {mine:.3f} s against {theirs:.2f} s by label map import,"
        f" ratio {ratio:.4f} ({verdict(ratio, AIM)})"
    )
    back = segmentation_of(made[0])
    same = bool((back.layers[0] == voxels).all()) and len(back.segments) == SEGMENTS
    yield f"the same node read back: {'bit for bit equal' if same else 'DIFFERENT'}"
    plain = slicer.vtkMRMLSegmentationNode()
    host.scene.AddNode(plain)
    fill(plain, ours)
    removed = seconds(lambda: [remove_segmentation(made.pop()) for _ in range(len(made))]) / 6
    held = [plain]
    del plain
    host.scene.RemoveNode(held[0])
    native = seconds(held.clear)
    yield f"removing that node: {removed:.3f} s against {native:.2f} s by plain removal, ratio {removed / native:.4f}"
    host.scene.Clear(True)

"""Draws the picture of `Resources/Documentation/surfaces.md`: one vertebra of the reference patient, surfaced in four ways.

    python Testing/tools/make_surface_picture.py [FILE]

Rendered by VTK off screen; on a machine without display set VTK_DEFAULT_OPENGL_WINDOW=vtkEGLRenderWindow.
"""

from __future__ import annotations

import sys
from pathlib import Path

import vtk
from vtk.util.numpy_support import numpy_to_vtk

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "OncoSegment")]

from OncoLib.filters.mesh import point_normals, poly_data  # noqa: E402
from OncoLib.filters.surfaces import SegmentSurface, surfaces_of  # noqa: E402
from OncoLib.phantom.acquisition import Acquisition  # noqa: E402
from OncoLib.phantom.patient import reference_patient  # noqa: E402
from OncoLib.phantom.scan import scan  # noqa: E402
from OncoLib.segmentation import Segmentation  # noqa: E402
from OncoLib.surface_settings import SurfaceSettings  # noqa: E402

FILE = ROOT / "Resources" / "Documentation" / "Pictures" / "surfaces.png"
LEVEL, SPACING_MM, MARGIN_MM = "L2", (0.9, 0.9, 2.5), 55.0
WIDTH, HEIGHT = 1280, 400
PAPER, INK = (1.0, 1.0, 1.0), (0.14, 0.16, 0.19)
BONE, EDGE = (0.93, 0.86, 0.72), (0.35, 0.33, 0.3)
WAYS = (
    ("none: as the voxels are", SurfaceSettings("none")),
    ("sinc (default)", SurfaceSettings()),
    ("laplacian, 100 iterations", SurfaceSettings("laplacian", iterations=100)),
    ("sinc, decimated by 0.9", SurfaceSettings(decimation=0.9)),
)


def vertebra() -> tuple[Segmentation, str]:
    """The truth of a scan around one vertebra, and the segment's name."""
    patient = reference_patient(lesions=())
    center = next(one for one in patient.vertebrae if one.level == LEVEL).center_mm
    x, y, z = ((float(middle) - MARGIN_MM, float(middle) + MARGIN_MM) for middle in center)
    truth = scan(patient, Acquisition(region=(x, (y[0] - 25, y[1]), z), spacing_mm=SPACING_MM, couch=False)).truth
    return truth, next(segment.name for segment in truth.segments if segment.structure.lower().endswith(LEVEL.lower()))


def actor(surface: SegmentSurface) -> vtk.vtkActor:
    """One surface: smooth shading where points carry a smooth surface, triangles shown where there are few."""
    data = poly_data(surface.mesh)
    normals = numpy_to_vtk(point_normals(surface.mesh), deep=True)
    data.GetPointData().SetNormals(normals)
    mapper = vtk.vtkPolyDataMapper()
    mapper.SetInputData(data)
    shown = vtk.vtkActor()
    shown.SetMapper(mapper)
    look = shown.GetProperty()
    look.SetColor(BONE)
    look.SetInterpolationToFlat()
    look.SetAmbient(0.2)
    look.SetDiffuse(0.8)
    return shown


def caption(title: str, surface: SegmentSurface) -> vtk.vtkTextActor:
    """What was done, and what came of it."""
    text = vtk.vtkTextActor()
    change = surface.volume.value / surface.voxels.value - 1
    text.SetInput(f"{title}\n{len(surface.mesh.triangles):,} triangles, volume {change:+.1%}")
    style = text.GetTextProperty()
    style.SetColor(INK)
    style.SetFontSize(17)
    style.SetJustificationToCentered()
    style.SetLineSpacing(1.25)
    text.SetPosition(WIDTH / len(WAYS) / 2, 14)
    return text


def main() -> None:
    """Renders and writes."""
    labels, name = vertebra()
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(8)
    window.SetSize(WIDTH, HEIGHT)
    for number, (title, settings) in enumerate(WAYS):
        (surface,) = surfaces_of(labels, settings, names=[name])
        view = vtk.vtkRenderer()
        view.SetViewport(number / len(WAYS), 0, (number + 1) / len(WAYS), 1)
        view.SetBackground(PAPER)
        solid = actor(surface)
        if settings.decimation:
            solid.GetProperty().EdgeVisibilityOn()
            solid.GetProperty().SetEdgeColor(EDGE)
        view.AddActor(solid)
        view.AddViewProp(caption(title, surface))
        camera = view.GetActiveCamera()
        focus = surface.mesh.points_ras_mm.mean(axis=0)
        camera.SetFocalPoint(focus)
        camera.SetPosition(focus + (-110.0, -190.0, 120.0))  # from behind, the left and above
        camera.SetViewUp(0, 0, 1)
        view.ResetCamera()
        camera.Zoom(1.16)
        camera.SetWindowCenter(0, -0.18)
        window.AddRenderer(view)
    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    writer = vtk.vtkPNGWriter()
    writer.SetFileName(str(path))
    writer.SetInputConnection(grab.GetOutputPort())
    writer.Write()


if __name__ == "__main__":
    main()

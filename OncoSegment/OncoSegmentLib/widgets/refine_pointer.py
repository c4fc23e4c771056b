"""The pointer in slice and 3D views while the effect is active: clicks, and what is drawn by a drag, with its trace."""

from __future__ import annotations

from collections.abc import Callable

import vtk

CLICK_PIXELS = 4
"""A press and a release in a 3D view that lie farther apart turned the camera, and were no click."""

GREEN, RED = (0.25, 0.9, 0.35), (1.0, 0.3, 0.25)


class Trace:
    """A line over one view, in its pixels."""

    def __init__(self, effect, viewWidget) -> None:
        self._effect, self._view = effect, viewWidget
        self._data, mapper = vtk.vtkPolyData(), vtk.vtkPolyDataMapper2D()
        mapper.SetInputData(self._data)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(mapper)
        self._actor.GetProperty().SetLineWidth(2)
        effect.addActor2D(viewWidget, self._actor)

    def show(self, path, positive: bool) -> None:
        """Draws a line through pixels."""
        points, cells = vtk.vtkPoints(), vtk.vtkCellArray()
        cells.InsertNextCell(len(path))
        for x, y in path:
            cells.InsertCellPoint(points.InsertNextPoint(x, y, 0.0))
        self._data.SetPoints(points)
        self._data.SetLines(cells)
        self._actor.GetProperty().SetColor(*(GREEN if positive else RED))
        self._effect.scheduleRender(self._view)

    def remove(self) -> None:
        """Takes the line away."""
        self._effect.removeActor2D(self._view, self._actor)


class Pointer:
    """Turns events into drawings. kind(): what a drag draws. busy(): True over a markup, which takes the press.

    drawn(kind, path, positive, normal): path of RAS points in the world; normal of the slice, None in 3D.
    Control is negative: Shift moves Slicer's crosshair, and Alt belongs to window managers.
    """

    def __init__(self, effect, toRas: Callable, kind: Callable[[], str], busy: Callable[[], bool], drawn: Callable) -> None:
        self._effect, self._to_ras, self._kind, self._busy, self._drawn = effect, toRas, kind, busy, drawn
        self._path, self._positive, self._trace, self._view = [], True, None, None

    def event(self, interactor, eventId: int, viewWidget) -> bool:
        """True when the event is used up."""
        if interactor.GetShiftKey() or interactor.GetAltKey():
            return False
        place = tuple(interactor.GetEventPosition())
        if viewWidget.className() == "qMRMLSliceWidget":
            return self._in_slice(eventId, place, not interactor.GetControlKey(), viewWidget)
        if viewWidget.className() == "qMRMLThreeDWidget":
            self._in_3d(eventId, place, not interactor.GetControlKey(), viewWidget)
        return False

    def stop(self) -> None:
        """Forgets what was begun."""
        if self._trace is not None:
            self._trace.remove()
        self._path, self._trace, self._view = [], None, None

    def _in_slice(self, eventId: int, place, positive: bool, view) -> bool:
        if eventId == vtk.vtkCommand.LeftButtonPressEvent:
            if self._busy():
                return False
            self.stop()
            if self._kind() == "point":
                self._tell([place], positive, view)
                return True
            self._path, self._positive, self._view = [place], positive, view
            self._trace = Trace(self._effect, view)
            return True
        if not self._path or view is not self._view:
            return False
        if eventId == vtk.vtkCommand.MouseMoveEvent:
            self._path.append(place)
            path = self._outline()
            self._trace.show(path if self._kind() == "scribble" else [*path, path[0]], self._positive)
            return True
        if eventId == vtk.vtkCommand.LeftButtonReleaseEvent:
            path, positive = self._outline(), self._positive
            self.stop()
            self._tell(path, positive, view)
            return True
        return False

    def _outline(self) -> list:
        """What the pointer drew: the four corners of a box, or the way it went."""
        (x0, y0), (x1, y1) = self._path[0], self._path[-1]
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)] if self._kind() == "box" else list(self._path)

    def _tell(self, path, positive: bool, view) -> None:
        matrix = self._effect.viewNode(view).GetSliceToRAS()
        normal = tuple(matrix.GetElement(row, 2) for row in range(3))
        self._drawn(self._kind(), [self._to_ras(one, view) for one in path], positive, normal)

    def _in_3d(self, eventId: int, place, positive: bool, view) -> None:
        """A press that ends where it began is a click on what is seen there; the camera turns as always."""
        if eventId == vtk.vtkCommand.LeftButtonPressEvent:
            self._path, self._view = ([] if self._busy() else [place]), view
        elif eventId == vtk.vtkCommand.LeftButtonReleaseEvent and self._path and view is self._view:
            (x, y), self._path = self._path[0], []
            if max(abs(x - place[0]), abs(y - place[1])) <= CLICK_PIXELS:
                picker = vtk.vtkCellPicker()
                picker.SetTolerance(0.005)
                if picker.Pick(place[0], place[1], 0, self._effect.renderer(view)) and picker.GetViewProp() is not None:
                    self._drawn("point", [tuple(picker.GetPickPosition())], positive, None)

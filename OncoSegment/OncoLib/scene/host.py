"""The scene and its logics: Slicer's own when we run in Slicer, otherwise one made here from slicer-core.

Both are the same C++ libraries. In plain Python this module also sets `slicer.mrmlScene`, which the parts of
`slicer.util` that need no Qt look for.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import slicer
import vtk

from OncoLib.resources import resource_path


@dataclass(frozen=True)
class Host:
    """The MRML scene with the logics that this house uses."""

    scene: slicer.vtkMRMLScene
    application: slicer.vtkMRMLApplicationLogic
    segmentations: slicer.vtkSlicerSegmentationsModuleLogic
    terminologies: slicer.vtkSlicerTerminologiesModuleLogic
    kept: tuple = ()
    """Objects that the scene uses but does not own; they live as long as the host."""

    @property
    def subject_hierarchy(self) -> slicer.vtkMRMLSubjectHierarchyNode:
        """The scene's one subject hierarchy node (made on first use)."""
        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)


_plain_host: Host | None = None


def host() -> Host:
    """The host of this process; in plain Python one is made at the first call and kept."""
    global _plain_host
    if in_slicer():
        return slicer_host()
    if _plain_host is None:
        _plain_host = new_host()
        slicer.mrmlScene = _plain_host.scene
    return _plain_host


def in_slicer() -> bool:
    """True inside the Slicer application (desktop or without main window)."""
    application = getattr(slicer, "app", None)
    return hasattr(application, "applicationLogic") and hasattr(slicer, "mrmlScene")


def slicer_host() -> Host:
    """The running application's scene and logics."""
    return Host(
        scene=slicer.mrmlScene,
        application=slicer.app.applicationLogic(),
        segmentations=slicer.modules.segmentations.logic(),
        terminologies=slicer.modules.terminologies.logic(),
    )


def new_host() -> Host:
    """An empty scene of its own with color tables, orientation presets and logics, in plain Python."""
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    register(application, scene, "Colors", application.GetColorLogic())
    application.GetColorLogic().AddDefaultColorNodes()
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    terminologies = slicer.vtkSlicerTerminologiesModuleLogic()
    with quiet_vtk():
        register(application, scene, "Terminologies", terminologies)
    load_own_terminology(terminologies)
    segmentations = slicer.vtkSlicerSegmentationsModuleLogic()
    register(application, scene, "Segmentations", segmentations)
    volumes = slicer.vtkSlicerVolumesLogic()
    register(application, scene, "Volumes", volumes)
    # Without it markups come back from a scene file without their points.
    markups = slicer.vtkSlicerMarkupsLogic()
    register(application, scene, "Markups", markups)
    return Host(scene, application, segmentations, terminologies, (volumes, markups))


def register(application, scene, name: str, logic) -> None:
    """Makes `logic` known to the scene and to the other logics under its module name."""
    logic.SetMRMLScene(scene)
    if hasattr(logic, "SetMRMLApplicationLogic"):
        logic.SetMRMLApplicationLogic(application)
    application.SetModuleLogic(name, logic)


def load_own_terminology(terminologies) -> None:
    """Adds our coded names and regions to Slicer's terminology browser; harmless when already there."""
    import OncoLib

    folder = resource_path(OncoLib.__file__, "Terminology")
    terminologies.LoadTerminologyFromFile(str(folder / "OncoSegment.term.json"))
    terminologies.LoadRegionContextFromFile(str(folder / "OncoSegment.region.json"))


@contextlib.contextmanager
def quiet_vtk() -> Iterator[None]:
    """No VTK messages inside: the logic looks for Slicer's own term lists, which the wheel does not carry."""
    shown = vtk.vtkObject.GetGlobalWarningDisplay()
    vtk.vtkObject.GlobalWarningDisplayOff()
    try:
        yield
    finally:
        vtk.vtkObject.SetGlobalWarningDisplay(shown)


@contextlib.contextmanager
def reading_bundles(scene) -> Iterator[None]:
    """Lets `ReadFromMRB` work inside: in slicer-core it needs a cache folder and a data manager, which Slicer has.

    The folder is empty and private: the cache manager walks all that is below it.
    """
    if in_slicer():
        yield
        return
    remote, manager = slicer.vtkMRMLRemoteIOLogic(), slicer.vtkDataIOManagerLogic()
    with tempfile.TemporaryDirectory(prefix="oncosegment-cache-", ignore_cleanup_errors=True) as folder:
        with quiet_vtk():
            remote.GetCacheManager().SetRemoteCacheDirectory(folder)
        remote.SetMRMLScene(scene)
        manager.SetAndObserveDataIOManager(remote.GetDataIOManager())
        remote.AddDataIOToScene()
        try:
            yield
        finally:
            remote.RemoveDataIOFromScene()


def require_main_thread(what: str) -> None:
    """Nodes are made and changed on the main thread only: Slicer crashes otherwise."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(f"{what} must run on the main thread")

"""Which volume the slice views of Slicer show when a saved scene is opened."""

from __future__ import annotations

import slicer

from OncoLib.scene.host import require_main_thread

VIEWS = ("Red", "Green", "Yellow")
"""Slicer's own names of the axial, coronal and sagittal view of its standard layouts."""


def show_in_slices(scene: slicer.vtkMRMLScene, volume) -> None:
    """Makes the volume node the background of the slice views. **Main thread only.**

    Without it Slicer opens a scene that was made in plain Python with empty slice views.
    """
    require_main_thread("choosing the volume of the slice views")
    for view in VIEWS:
        node = slicer.vtkMRMLSliceCompositeNode()
        node.SetLayoutName(view)
        node.SetSingletonTag(view)
        node.SetBackgroundVolumeID(volume.GetID())
        scene.AddNode(node)

"""Slicer's own views in a scene that is made in plain Python, so that what is seen in some views only is seen in them too.

Slicer has them from its start; a scene that is loaded changes those that are there. **Main thread only.**
"""

from __future__ import annotations

import numpy as np
import slicer

USUAL = {
    "Red": ("Axial", "R", (0.953, 0.290, 0.200)),
    "Green": ("Coronal", "G", (0.431, 0.690, 0.294)),
    "Yellow": ("Sagittal", "Y", (0.929, 0.835, 0.298)),
}
"""Name, orientation, and the letter and color of its bar, as Slicer's layouts have them."""

IN_VIEW_AXES = {"Axial": (0, 1), "Coronal": (0, 2), "Sagittal": (1, 2)}
MARGIN = 1.05


def add_usual_views(scene, volume) -> None:
    """The three slice views, with the whole of a volume in sight, and the 3D view."""
    bounds = np.zeros(6)
    volume.GetRASBounds(bounds)
    low, high = bounds[0::2], bounds[1::2]
    for name, (orientation, letter, color) in USUAL.items():
        node = scene.CreateNodeByClass("vtkMRMLSliceNode")  # as the scene's defaults are: they hold the orientations
        node.UnRegister(None)
        node = add_view(scene, node, name)
        node.SetOrientation(orientation)
        node.SetLayoutLabel(letter)
        node.SetLayoutColor(*color)
        fit(node, low, high)
    add_view(scene, slicer.vtkMRMLViewNode(), "1").SetLayoutLabel("1")


def add_view(scene, node, name: str):
    """A view that Slicer takes for its own of that name."""
    node.SetSingletonTag(name)
    node.SetName(name)
    node.SetLayoutName(name)
    return scene.AddNode(node)


def fit(node, low, high) -> None:
    """The whole box in sight, its middle in the middle."""
    across, up = (float((high - low)[axis]) for axis in IN_VIEW_AXES[node.GetOrientation()])
    width, height, _depth = (max(size, 1) for size in node.GetDimensions())
    step = MARGIN * max(across / width, up / height)
    node.SetFieldOfView(step * width, step * height, node.GetFieldOfView()[2])
    node.JumpSliceByCentering(*((low + high) / 2))

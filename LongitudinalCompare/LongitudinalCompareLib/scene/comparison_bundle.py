"""A comparison with its scans as one `.mrb` that Slicer opens, made in a scene of its own so that nobody's name goes with it.

What is saved from Slicer's own scene holds whatever was loaded there, names of patients and series too. Here scans and
segmentations are called by their dates; names of segments stay, for lesions are known by them. **Main thread only.**
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import slicer

from LongitudinalCompareLib.comparison import Comparison
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.scene.comparison_scene import publish
from LongitudinalCompareLib.scene.layout import layout_node
from LongitudinalCompareLib.scene.registered import Date
from LongitudinalCompareLib.scene.usual_views import add_usual_views
from LongitudinalCompareLib.timepoint import Timepoint
from OncoLib.scene.host import new_host, quiet_vtk
from OncoLib.scene.segmentations import add_segmentation
from OncoLib.scene.slice_background import show_in_slices
from OncoLib.scene.storage import write_mrb
from OncoLib.scene.visibility import show_only_segments
from OncoLib.scene.volumes import add_volume
from OncoLib.staged import staged_files

SOFT_TISSUE = (400.0, 40.0)
"""Window and level of CT at first, in HU: the whole range of values hides every lesion of the trunk."""


def write_bundle(
    path: Path, comparison: Comparison, evidence: Evidence, timepoints: Sequence[Timepoint], *, overwrite: bool = False
) -> Path:
    """Writes the bundle whole or not at all; returns its path. timepoints: as compared, `registered.prepare` gives them.

    Raises OutputError when it is there already and `overwrite` is not set, or cannot be written.
    """
    path = Path(path)
    with staged_files(path.parent, overwrite=overwrite) as staging:
        put_bundle(staging / path.name, comparison, evidence, timepoints)
    return path


def put_bundle(path: Path, comparison: Comparison, evidence: Evidence, timepoints: Sequence[Timepoint]) -> None:
    """The same into a folder that is staged already."""
    scratch = new_host()  # kept by its name: a scene goes with its host
    scene = scratch.scene
    dates = [add_date(scene, one, {lesion.key.name for lesion in seen.lesions}) for one, seen in zip(timepoints, evidence.dates)]
    show_in_slices(scene, dates[0].volume)
    add_usual_views(scene, dates[0].volume)
    publish(scene, comparison, evidence, dates)
    # With the number of our layout Slicer shows no view at all where the extension is not installed (5.13).
    with quiet_vtk():  # here nobody knows Slicer's own layouts
        layout_node(scene).SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    write_mrb(scene, path)
    scene.Clear(True)


def add_date(scene, timepoint: Timepoint, lesions: set[str]) -> Date:
    """Scan and segmentation of a date, called by it. lesions: the segments that are shown; the others are there."""
    name = f"{timepoint.image.modality or 'Scan'} {timepoint.when}"
    volume = add_volume(scene, replace(timepoint.image, name=name), name=name)
    if timepoint.image.modality == "CT":
        volume.GetDisplayNode().SetAutoWindowLevel(False)
        volume.GetDisplayNode().SetWindowLevel(*SOFT_TISSUE)
    segmentation = None
    if timepoint.segmentation is not None:
        named = replace(timepoint.segmentation, name=f"Segmentation {timepoint.when}")
        segmentation = add_segmentation(scene, named, volume=volume)
        source = segmentation.GetSegmentation()
        shown = [one for one in source.GetSegmentIDs() if source.GetSegment(one).GetName() in lesions]
        if shown:  # none has the name of a lesion where components of one segment are the lesions
            show_only_segments(segmentation, shown)
    return Date(volume, segmentation, timepoint.when)

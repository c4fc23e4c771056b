"""The reference patient as nodes in the scene, and as an entry of Slicer's Sample Data that needs no download."""

from __future__ import annotations

import slicer

from OncoLib.phantom.acquisition import Acquisition
from OncoLib.phantom.brain import BrainAcquisition, scan_brain
from OncoLib.phantom.patient import reference_patient
from OncoLib.phantom.scan import Scan, scan
from OncoLib.scene.host import host, require_main_thread
from OncoLib.scene.segmentations import add_segmentation
from OncoLib.scene.volumes import add_volume

CATEGORY = "OncoSegment"
PREFIX = "OncoSegment reference patient"
SAMPLES = {
    f"{PREFIX} CT": "ct",
    f"{PREFIX} CT follow-up": "follow-up",
    f"{PREFIX} brain MR": "brain",
}
"""Names in Sample Data and what they make."""


def add_scan(scene: slicer.vtkMRMLScene, made: Scan, *, volume_only: bool = False) -> list:
    """Adds the image, and its truth unless `volume_only`; returns the nodes. **Main thread only.**"""
    require_main_thread("adding the reference patient")
    volume = add_volume(scene, made.image)
    return [volume] if volume_only else [volume, add_segmentation(scene, made.truth, volume=volume)]


def add_ct(scene: slicer.vtkMRMLScene, acquisition: Acquisition | None = None, *, seed: int = 0) -> list:
    """The CT of one date (`Acquisition()` when None) with its truth."""
    return add_scan(scene, scan(reference_patient(), acquisition or Acquisition(), seed=seed))


def add_follow_up(scene: slicer.vtkMRMLScene, count: int = 2, *, seed: int = 0) -> list:
    """The CT of several dates, each with its truth."""
    from OncoLib.phantom.acquisition import follow_up

    patient = reference_patient()
    scans = [scan(patient, one, seed=seed + 100 * number) for number, one in enumerate(follow_up(count))]
    return [node for made in scans for node in add_scan(scene, made)]


def add_brain(scene: slicer.vtkMRMLScene, acquisition: BrainAcquisition | None = None, *, seed: int = 0) -> list:
    """The four sequences of the brain; their one truth is added with the first."""
    scans = scan_brain(acquisition or BrainAcquisition(), seed=seed).values()
    return [node for number, made in enumerate(scans) for node in add_scan(scene, made, volume_only=number > 0)]


def make_sample(source) -> list:
    """What Slicer calls when a user picks one of our samples; source: its `SampleDataSource`. Returns the nodes."""
    kind = SAMPLES[source.sampleName]
    make = {"ct": add_ct, "follow-up": add_follow_up, "brain": add_brain}[kind]
    nodes = make(host().scene)
    show(nodes)
    return nodes


def show(nodes: list) -> None:
    """Puts the first volume into the slice views, where the application has them."""
    selection = host().application.GetSelectionNode()
    if selection is not None:
        selection.SetActiveVolumeID(nodes[0].GetID())
        host().application.PropagateVolumeSelection()


def register(sample_data_logic) -> None:
    """Registers our samples; sample_data_logic: Slicer's `SampleData.SampleDataLogic` class.

    Slicer counts uris, file names and node names of a source and wants them equal: ours has none.
    """
    for name in SAMPLES:
        sample_data_logic.registerCustomSampleDataSource(
            category=CATEGORY, sampleName=name, uris=[], fileNames=[], nodeNames=[], customDownloader=make_sample
        )

"""The reference patient as nodes in the scene, and as entries of Slicer's Sample Data that need no download.

Sample Data gives a reader the file that it has downloaded. Ours is a small text that names the sample: its address holds
the text itself (a `data:` URL), and the module's file reader makes the nodes. So the button, `SampleData.downloadSample`
and "Add data" all work.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import slicer

from OncoLib.errors import InputError
from OncoLib.scene.host import host, require_main_thread
from OncoLib.scene.segmentations import add_segmentation
from OncoLib.scene.visibility import show_all_segments
from OncoLib.scene.volumes import add_volume

if TYPE_CHECKING:
    from OncoLib.phantom.acquisition import Acquisition
    from OncoLib.phantom.brain import BrainAcquisition
    from OncoLib.phantom.scan import Scan

CATEGORY = "OncoSegment"
PREFIX = "OncoSegment reference patient"
SAMPLES = {
    f"{PREFIX} CT": "ct",
    f"{PREFIX} CT follow-up": "follow-up",
    f"{PREFIX} brain MR": "brain",
}
"""Names in Sample Data and what they make."""

FILE_TYPE = "OncoSegmentReferencePatient"
"""What Slicer calls our kind of file; it finds the reader by it."""

SUFFIX = ".oncopatient"
FORMAT = "oncosegment.sample/1"


def add_scan(scene: slicer.vtkMRMLScene, made: Scan, *, volume_only: bool = False) -> list:
    """Adds the image, and its truth unless `volume_only`; returns the nodes. **Main thread only.**"""
    require_main_thread("adding the reference patient")
    volume = add_volume(scene, made.image)
    if volume_only:
        return [volume]
    truth = add_segmentation(scene, made.truth, volume=volume)
    show_all_segments(truth)
    return [volume, truth]


def add_ct(scene: slicer.vtkMRMLScene, acquisition: Acquisition | None = None, *, seed: int = 0) -> list:
    """The CT of one date (`Acquisition()` when None) with its truth."""
    from OncoLib.phantom.acquisition import Acquisition
    from OncoLib.phantom.patient import reference_patient
    from OncoLib.phantom.scan import scan

    return add_scan(scene, scan(reference_patient(), acquisition or Acquisition(), seed=seed))


def add_follow_up(scene: slicer.vtkMRMLScene, count: int = 2, *, seed: int = 0) -> list:
    """The CT of several dates, each with its truth."""
    from OncoLib.phantom.acquisition import follow_up
    from OncoLib.phantom.patient import reference_patient
    from OncoLib.phantom.scan import scan

    patient = reference_patient()
    scans = [scan(patient, one, seed=seed + 100 * number) for number, one in enumerate(follow_up(count))]
    return [node for made in scans for node in add_scan(scene, made)]


def add_brain(scene: slicer.vtkMRMLScene, acquisition: BrainAcquisition | None = None, *, seed: int = 0) -> list:
    """The four sequences of the brain; their one truth is added with the first."""
    from OncoLib.phantom.brain import BrainAcquisition, scan_brain

    scans = scan_brain(acquisition or BrainAcquisition(), seed=seed).values()
    return [node for number, made in enumerate(scans) for node in add_scan(scene, made, volume_only=number > 0)]


def sample_text(name: str) -> str:
    """Text of the file that stands for a sample; `read_sample` reads it."""
    return json.dumps({"format": FORMAT, "sample": SAMPLES[name]})


def read_sample(path: Path) -> str:
    """Which sample a file names: one of `SAMPLES`' values. Raises InputError for any other file."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{Path(path).name} cannot be read as JSON; wanted a file that names a sample") from error
    kind = found.get("sample") if isinstance(found, dict) and found.get("format") == FORMAT else None
    if kind not in SAMPLES.values():
        raise InputError(f"{Path(path).name} names the sample {kind!r}; wanted one of {', '.join(SAMPLES.values())}")
    return kind


def load(path: Path) -> list:
    """Makes the sample that a file names, shows its first volume, and returns the nodes. **Main thread only.**"""
    make = {"ct": add_ct, "follow-up": add_follow_up, "brain": add_brain}[read_sample(path)]
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
    """Registers our samples; sample_data_logic: Slicer's `SampleData.SampleDataLogic` class. Harmless when called again."""
    for name, kind in SAMPLES.items():
        sample_data_logic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=name,
            uris="data:application/json," + quote(sample_text(name)),
            fileNames=f"{CATEGORY}-{kind}{SUFFIX}",
            nodeNames=name,
            loadFileTypes=FILE_TYPE,
        )

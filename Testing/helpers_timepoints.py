"""Scenes of several dates, laid out as Slicer's DICOM import does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import slicer

from LongitudinalCompareLib.alignment import RegionAlignment, put_together
from LongitudinalCompareLib.pair_outcome import PairOutcome
from OncoLib.image import Image
from OncoLib.phantom.brain import BrainAcquisition, scan_brain
from OncoLib.registration.transform import LinearTransform
from OncoLib.scene.segmentations import add_segmentation
from OncoLib.scene.volumes import add_volume, ijk_to_ras_of
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure


def small_image(value: float = 0.0, modality: str = "CT") -> Image:
    return Image(np.full((6, 7, 8), value, np.float32), np.diag([2.0, 2.0, 3.0, 1.0]), modality=modality)


def add_scan(scene, name: str, *, date="", time="", patient="", born="", study="", image: Image | None = None):
    """A volume below a study below a patient; the items are found again by the patient's identifier and the study's name."""
    node = add_volume(scene, image or small_image(), name=name)
    if not (date or patient or study):
        return node
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    top = item_named(hierarchy, hierarchy.GetSceneItemID(), f"patient {patient}{born}", "Patient")
    hierarchy.SetItemAttribute(top, "DICOM.PatientID", patient)
    hierarchy.SetItemAttribute(top, "DICOM.PatientBirthDate", born)
    below = item_named(hierarchy, top, f"study {study or date}", "Study")
    hierarchy.SetItemAttribute(below, "DICOM.StudyDate", date)
    hierarchy.SetItemAttribute(below, "DICOM.StudyTime", time)
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(below, node), below)
    return node


def item_named(hierarchy, parent: int, name: str, level: str) -> int:
    """The item of that name below another, made when it is not there."""
    make = hierarchy.CreateSubjectItem if level == "Patient" else hierarchy.CreateStudyItem
    return hierarchy.GetItemChildWithName(parent, name) or make(parent, name)


def add_marked(scene, volume, structure_id: str = "lesion", name: str = "Marked"):
    """A segmentation of one structure on a volume's grid."""
    shape = volume.GetImageData().GetDimensions()[::-1]
    layer = np.zeros(shape, np.uint8)
    layer[2:4, 2:4, 2:4] = 1
    of = structure(structure_id)
    segment = Segment(1, name, of.entry, of.color, structure=of.id)
    made = Segmentation((layer,), ijk_to_ras_of(volume), (segment,), Provenance("hand", ""), name=name)
    return add_segmentation(scene, made, volume=volume)


def brain_pair(spacing_mm: float = 4.0):
    """Two dates of the reference patient's brain, the head lying otherwise at the second one; each with its tumor alone."""
    poses = ({}, {"shift_mm": (6.0, -4.0, 9.0), "turn_degrees": (4.0, -3.0, 6.0)})
    found = []
    for seed, pose in enumerate(poses):
        acquisition = BrainAcquisition(spacing_mm=(spacing_mm,) * 3, samples=(1, 1, 1), **pose)
        scan = scan_brain(acquisition, sequences=("T1c",), seed=seed)["T1c"]
        tumor = tuple(one for one in scan.truth.segments if one.name == "Whole tumor")
        found.append((scan.image, replace(scan.truth, segments=tumor), acquisition.pose))
    return found


def add_brain_pair(scene, **options):
    """Both dates in a scene; returns volumes, segmentation nodes and poses."""
    pair = brain_pair(**options)
    volumes = [
        add_scan(scene, f"T1c {at + 1}", date=date, patient="7", image=image)
        for at, (date, (image, _truth, _pose)) in enumerate(zip(("20240301", "20240610"), pair))
    ]
    nodes = [add_segmentation(scene, truth, volume=volume) for volume, (_image, truth, _pose) in zip(volumes, pair)]
    return volumes, nodes, [pose for _image, _truth, pose in pair]


def outcome(
    follow_up: int, verdicts: dict[str, str], center=(1.0, 2.0, 3.0), shift=(0.0, 0.0, 0.0), **facts
) -> PairOutcome:
    """An outcome with verdicts by lesion; the transform is a shift in mm."""
    matrix = np.eye(4)
    matrix[:3, 3] = shift
    moved = tuple(np.add(center, shift))
    regions = [
        RegionAlignment(name, center, moved, verdict, () if verdict == "good" else (f"{name} is off.",), {"shift_mm": 1.25})
        for name, verdict in verdicts.items()
    ]
    return PairOutcome(follow_up, LinearTransform(matrix), put_together(regions), facts)

"""Scenes of several dates, laid out as Slicer's DICOM import does."""

from __future__ import annotations

import numpy as np
import slicer

from OncoLib.image import Image
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

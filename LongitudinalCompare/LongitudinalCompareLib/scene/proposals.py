"""Timepoints proposed from what is loaded: scans of one study are one date, with the segmentation made on one of them.

Nothing is decided here: the reader sees the proposal as rows, and changes it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import slicer

from LongitudinalCompareLib.timepoint import day_and_time
from OncoLib.errors import InputError
from OncoLib.scene.nodes import nodes_of_class
from OncoLib.scene.segmentations import entry_from, tag_value
from OncoLib.scene.volumes import MAP_ATTRIBUTE
from OncoLib.terminology import is_lesion
from OncoSegmentLib.multiparametric.names import guess
from OncoSegmentLib.scene.channel_volumes import SCALAR, is_scan, tags_of

CONSTANTS = slicer.vtkMRMLSubjectHierarchyConstants
DATES = (("AcquisitionDate", "AcquisitionTime"), ("SeriesDate", "SeriesTime"), ("StudyDate", "StudyTime"))
"""Tags of an instance, the ones that count first."""

TAGS = tuple(name for pair in DATES for name in pair)


@dataclass(frozen=True)
class Proposal:
    """One date: nodes of the scene, read again when they are used.

    volumes: the scans of the date, its channels. volume: the one that is registered and shown. segmentations: those made on
    any of them. segmentation: the chosen one, or None. date: `2024-03-01 14:30:00`, or "" for the reader to type. patient: what
    tells whose it is, for comparison only, never shown; empty where the scene does not say.
    """

    volumes: tuple
    volume: object
    segmentations: tuple = ()
    segmentation: object = None
    date: str = ""
    patient: tuple[str, ...] = ()


def proposals(scene, database=None, known: dict | None = None) -> list[Proposal]:
    """Every date that the scene holds, the oldest first; those without a date behind, in the order of the scene.

    database: Slicer's DICOM database, which knows dates of acquisition; without it the date is that of the study in the
    subject hierarchy. known: keeps what the database said from call to call.
    """
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    known = {} if known is None else known
    studies: dict[object, list] = {}
    for node in nodes_of_class(scene, SCALAR):
        if is_scan(node) and node.GetImageData() is not None:
            studies.setdefault(study_of(hierarchy, node) or node.GetID(), []).append(node)
    found = [proposal(scene, hierarchy, volumes, database, known) for volumes in studies.values()]
    found.sort(key=lambda one: (not one.date, one.date))  # stable: those without a date keep the order of the scene
    return alike(found)


def proposal(scene, hierarchy, volumes: Sequence, database, known: dict) -> Proposal:
    """The scans of one study as a date."""
    every = [node for node in nodes_of_class(scene, "vtkMRMLSegmentationNode") if not node.GetAttribute(MAP_ATTRIBUTE)]
    made_on = [node for node in every if reference_of(node) in volumes]
    chosen = next((node for node in reversed(made_on) if holds_lesion(node)), made_on[-1] if made_on else None)
    volume = reference_of(chosen) if chosen is not None else volumes[0]
    dates = [date_of(hierarchy, node, database, known) for node in volumes]
    first = min((date for date in dates if date), default="")
    return Proposal(tuple(volumes), volume, tuple(made_on), chosen, first, patient_of(hierarchy, volume))


def alike(found: list[Proposal]) -> list[Proposal]:
    """Dates without a segmentation take the channel that is most like that of the first date."""
    if not found:
        return []
    wanted = guess(found[0].volume.GetName()).kinds
    return [
        one if one.segmentation is not None else replace(one, volume=closest(one.volumes, wanted)) for one in found
    ]


def closest(volumes: Sequence, kinds: frozenset[str]):
    """The first scan of that contrast by its name; the first of all where none is."""
    same = [node for node in volumes if kinds and guess(node.GetName()).kinds == kinds]
    return (same or list(volumes))[0]


def study_of(hierarchy, node) -> int:
    """The item of the study that holds the volume; 0 where there is none."""
    item = hierarchy.GetItemByDataNode(node)
    return hierarchy.GetItemAncestorAtLevel(item, CONSTANTS.GetDICOMLevelStudy()) if item else 0


def reference_of(segmentation):
    """The volume on whose grid a segmentation was made, or None."""
    return segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole())


def holds_lesion(segmentation) -> bool:
    """True when a segment is coded as a lesion."""
    source = segmentation.GetSegmentation()
    tag = slicer.vtkSegment.GetTerminologyEntryTagName()
    every = (source.GetNthSegment(index) for index in range(source.GetNumberOfSegments()))
    return any(is_lesion(entry_from(tag_value(one, tag))[0]) for one in every)


def date_of(hierarchy, volume, database, known: dict) -> str:
    """When a volume was acquired, or its study done; "" where nobody says."""
    tags = tags_of(volume, database, known, TAGS)
    for date, time in DATES:
        found = date_of_dicom(tags.get(date, ""), tags.get(time, ""))
        if found:
            return found
    study = study_of(hierarchy, volume)
    names = (CONSTANTS.GetDICOMStudyDateAttributeName(), CONSTANTS.GetDICOMStudyTimeAttributeName())
    return date_of_dicom(*(hierarchy.GetItemAttribute(study, name) for name in names)) if study else ""


def date_of_dicom(date: str, time: str = "") -> str:
    """`2024-03-01 14:30:00` of a DICOM date and time (value representations DA and TM, PS3.5 6.2); "" for what is no date.

    The time is left out where it is none.
    """
    clock = re.match(r"\d{6}|\d{4}", (time or "").replace(":", ""))
    for text in (f"{date}T{clock[0]}" if clock else "", date or ""):
        try:
            return " ".join(filter(None, day_and_time(text.replace(".", ""))))
        except InputError:
            continue
    return ""


def patient_of(hierarchy, volume) -> tuple[str, ...]:
    """What tells whose a volume is: the patient's identifier, or the item of the subject hierarchy without one, and birthday."""
    item = hierarchy.GetItemByDataNode(volume)
    patient = hierarchy.GetItemAncestorAtLevel(item, CONSTANTS.GetDICOMLevelPatient()) if item else 0
    if not patient:
        return ()
    identifier = hierarchy.GetItemAttribute(patient, CONSTANTS.GetDICOMPatientIDAttributeName()).strip()
    born = hierarchy.GetItemAttribute(patient, CONSTANTS.GetDICOMPatientBirthDateAttributeName()).strip()
    return (identifier or f"item {patient}", born)


def same_patient(first: Proposal, second: Proposal) -> bool:
    """False where the scene names two patients; a birthday that only one states decides nothing."""
    if not first.patient or not second.patient:
        return True
    (one, born), (other, other_born) = first.patient, second.patient
    return one == other and (born == other_born or not born or not other_born)


def patients_differ(chosen: Sequence[Proposal]) -> bool:
    """True when any two of them name different patients: then the reader must say that they are one."""
    return any(not same_patient(one, other) for at, one in enumerate(chosen) for other in chosen[:at])


def patients_unknown(chosen: Sequence[Proposal]) -> bool:
    """True when one of them names no patient."""
    return any(not one.patient for one in chosen)

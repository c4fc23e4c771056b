"""A reading as a node of the scene: it is saved with it, and names the scans that it is about. **Main thread only.**"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from LongitudinalCompareLib.evidence import Identity
from LongitudinalCompareLib.reading import Reading
from OncoLib.errors import InputError
from OncoLib.scene.host import require_main_thread
from OncoLib.scene.nodes import nodes_of_class

KIND = "OncoSegment.LongitudinalReading"
"""Attribute of the node."""

NODE, PARAMETER = "vtkMRMLScriptedModuleNode", "reading"
VOLUME = "LongitudinalVolume"
"""Role of the references: the n-th is the scan of the n-th date."""

NAME = "Longitudinal reading"


@dataclass(frozen=True)
class Kept:
    """What a scene holds of a patient. known: the tracks, so that another run gives them the same tracking UIDs."""

    reading: Reading
    criteria: tuple[str, ...]
    known: tuple[Identity, ...] = ()


def keep(scene, dates: Sequence, what: Kept) -> None:
    """Puts it into the node of these scans, made when there is none. dates: have `volume` and `date`."""
    require_main_thread("keeping a reading")
    node = node_of(scene, dates) or new_node(scene)
    known = [{**vars(one), "at_ras_mm": list(one.at_ras_mm)} for one in what.known]
    told = {"criteria": list(what.criteria), "reading": what.reading.as_dict(), "known": known}
    node.SetParameter(PARAMETER, json.dumps(told))
    node.RemoveNodeReferenceIDs(VOLUME)
    for at, one in enumerate(dates):
        node.SetNthNodeReferenceID(VOLUME, at, one.volume.GetID())


def kept(scene, dates: Sequence) -> Kept | None:
    """What was kept of one of these scans, also by a scene that was loaded, or None. InputError for what nobody can read."""
    node = node_of(scene, dates)
    if node is None:
        return None
    try:
        told = json.loads(node.GetParameter(PARAMETER))
        known = (Identity(**{**one, "at_ras_mm": tuple(one["at_ras_mm"])}) for one in told["known"])
        return Kept(Reading.from_dict(told["reading"]), tuple(told["criteria"]), tuple(known))
    except (ValueError, KeyError, TypeError, InputError) as cause:
        told = "the reading that this scene holds cannot be read; it stays as it is"
        raise InputError(f"{told}; remove the node {node.GetName()!r} to begin anew") from cause


def node_of(scene, dates: Sequence):
    """The node that is about one of these scans, or None: a scene may hold the readings of several patients."""
    volumes = {one.volume.GetID() for one in dates}
    return next((one for one in nodes_of_class(scene, NODE) if one.GetAttribute(KIND) and volumes & set(volumes_of(one))), None)


def volumes_of(node) -> list[str]:
    """Ids of the scans that it is about."""
    return [node.GetNthNodeReferenceID(VOLUME, at) for at in range(node.GetNumberOfNodeReferences(VOLUME))]


def new_node(scene):
    """Made empty; lists of nodes leave it out."""
    node = scene.CreateNodeByClass(NODE)
    node.UnRegister(None)
    node.SetName(scene.GenerateUniqueName(NAME))
    node.SetAttribute(KIND, "1")
    node.SetHideFromEditors(True)
    return scene.AddNode(node)

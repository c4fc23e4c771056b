"""The comparison itself in the scene, as JSON in text nodes, and back. **Main thread only.**

Two nodes: what everybody reads, with the reading in it, and the evidence, from which all is assessed again after the scene was
saved and loaded. The first one refers to the scans and segmentations of the dates. Segmentations may be edited later: the
evidence keeps the masks that were compared.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from LongitudinalCompareLib.comparison import FORMAT, Comparison
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.evidence_text import evidence_in, text_of
from LongitudinalCompareLib.reading import Reading
from LongitudinalCompareLib.scene.comparison_nodes import Parts, node_of
from LongitudinalCompareLib.scene.registered import Date
from OncoLib.errors import InputError

COMPARISON, EVIDENCE = "text/comparison", "text/evidence"
VOLUME, SEGMENTATION = "OncoSegment.Comparison.Volume", "OncoSegment.Comparison.Segmentation"
"""Roles of references, with the number of the date behind: 0, 1, ..."""


def publish_texts(parts: Parts, comparison: Comparison, evidence: Evidence, dates: Sequence) -> tuple:
    """Text nodes of the comparison, its reading in it, and of the evidence."""
    told = json.dumps(comparison.as_dict(), ensure_ascii=True, sort_keys=True, allow_nan=False)
    holder = put_text(parts, COMPARISON, "Comparison and reading (JSON)", told)
    for role in [holder.GetNthNodeReferenceRole(at) for at in range(holder.GetNumberOfNodeReferenceRoles())]:
        if role.startswith((VOLUME, SEGMENTATION)):  # of dates that were compared before
            holder.SetNodeReferenceID(role, None)
    for at, one in enumerate(dates):
        holder.SetNodeReferenceID(f"{VOLUME}{at}", one.volume.GetID())
        holder.SetNodeReferenceID(f"{SEGMENTATION}{at}", None if one.segmentation is None else one.segmentation.GetID())
    return holder, put_text(parts, EVIDENCE, "Evidence (JSON)", text_of(evidence))


def put_text(parts: Parts, part: str, name: str, text: str):
    """The node of a part with this text."""
    node = parts.node("vtkMRMLTextNode", part, name)
    if node.GetText() != text:
        node.SetText(text)
    return node


def read_back(scene) -> tuple[Evidence, Reading, tuple[Date, ...]]:
    """What the scene's comparison rests on, what readers said, and its dates: `assess` then gives the same comparison.

    A date whose scan or segmentation is no more in the scene has None for it. InputError when there is no comparison in the
    scene, or one that is damaged.
    """
    told, evidence = json_in(scene, COMPARISON), evidence_in(json_in(scene, EVIDENCE))
    if told.get("format") != FORMAT:
        raise InputError(f"the comparison of this scene has an unknown format; wanted {FORMAT!r}")
    holder = node_of(scene, COMPARISON)
    dates = [
        Date(holder.GetNodeReference(f"{VOLUME}{at}"), holder.GetNodeReference(f"{SEGMENTATION}{at}"), one.facts.when)
        for at, one in enumerate(evidence.dates)
    ]
    return evidence, Reading.from_dict(told.get("reading")), tuple(dates)


def volume_ids(holder) -> list[str]:
    """Ids of the scans that a published comparison is about; its node says which."""
    roles: list[str] = []
    holder.GetNodeReferenceRoles(roles)
    return [holder.GetNodeReferenceID(one) for one in roles if one.startswith(VOLUME)]


def json_in(scene, part: str) -> dict:
    """Of the text node of a part."""
    node = node_of(scene, part)
    if node is None:
        raise InputError("there is no comparison in this scene; compare the dates first")
    try:
        found = json.loads(node.GetText() or "")
    except (ValueError, RecursionError) as error:
        raise InputError("the comparison of this scene is damaged; compare the dates again") from error
    if not isinstance(found, dict):
        raise InputError("the comparison of this scene is damaged; compare the dates again")
    return found

"""The comparison itself in the scene, as JSON in text nodes, with references to the scans that it is about. **Main thread only.**"""

from __future__ import annotations

import json
from collections.abc import Sequence

from LongitudinalCompareLib.comparison import Comparison
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.scene.comparison_nodes import Parts

COMPARISON, EVIDENCE = "text/comparison", "text/evidence"
VOLUME, SEGMENTATION = "OncoSegment.Comparison.Volume", "OncoSegment.Comparison.Segmentation"
"""Roles of references, with the number of the date behind: 0, 1, ..."""


def publish_texts(parts: Parts, comparison: Comparison, evidence: Evidence, dates: Sequence) -> tuple:
    """Text nodes of the comparison, its reading in it, and of the evidence."""
    holder = put_text(parts, COMPARISON, "Comparison and reading (JSON)", comparison.as_dict())
    for at, one in enumerate(dates):
        holder.SetNodeReferenceID(f"{VOLUME}{at}", one.volume.GetID())
        holder.SetNodeReferenceID(f"{SEGMENTATION}{at}", None if one.segmentation is None else one.segmentation.GetID())
    return holder, put_text(parts, EVIDENCE, "Evidence (JSON)", {})


def put_text(parts: Parts, part: str, name: str, values: dict):
    """The node of a part with this JSON."""
    node = parts.node("vtkMRMLTextNode", part, name)
    text = json.dumps(values, ensure_ascii=True, sort_keys=True, allow_nan=False)
    if node.GetText() != text:
        node.SetText(text)
    return node

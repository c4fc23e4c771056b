"""What a result must say because of the model that made it: networks for demonstration are not for patients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from OncoLib.errors import OncoError
from OncoLib.segmentation import Segmentation
from OncoSegmentLib.request import Request


def caution_of(request: Request) -> str:
    """The caution of the card whose weights a request names, by id or by the folder of OncoSegment's own; "" without one."""
    from ModelManagerLib.embedded import card_at
    from ModelManagerLib.store_places import store_root
    from ModelManagerLib.work import card_named

    weights = str(request.parameters.get("weights", ""))
    if not weights:
        return ""
    try:
        card = card_at(Path(weights)) if Path(weights).is_absolute() else card_named(weights, store_root())
    except OncoError:
        return ""  # the expert says what is wrong with them
    return card.caution if card else ""


def with_caution(segmentation: Segmentation, caution: str) -> Segmentation:
    """Every segment carries the caution among its flags, before the others."""
    if not caution:
        return segmentation
    return replace(
        segmentation, segments=tuple(replace(one, flags=(caution, *one.flags)) for one in segmentation.segments)
    )

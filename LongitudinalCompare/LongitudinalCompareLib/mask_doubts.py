"""What is wrong with the mask behind a size: it is cut by the edge of the image, drawn twice, or lies in pieces."""

from __future__ import annotations

from collections.abc import Callable

from LongitudinalCompareLib.comparison import MASK, TrackEntry
from LongitudinalCompareLib.lesion_sites import EDGE, PIECES, SHARED

CUT = "{name} reaches the edge of the image on {when}: what lies beyond is not counted, so it is at least as large as measured."
TWICE = "{name} on {when} {flag}: draw each voxel once, or say which of both is the lesion."
IN_PIECES = (
    "{name} on {when}: {flag}, so that its longest diameter may run across a gap; RECIST 1.1 adds the diameters of parts: give"
    " each a segment of its own."
)


def marked(sentence: str) -> Callable[[str], bool]:
    """Whether a flag is that sentence, whatever was filled in: its last words tell it."""
    end = sentence.rpartition("}")[2]
    return lambda flag: flag.endswith(end)


IS_SHARED, IS_PIECES = marked(SHARED), marked(PIECES)


def doubts(name: str, entry: TrackEntry, when: str) -> tuple[str, ...]:
    """Sentences on the mask that counts at a date; none where a reader's numbers do."""
    if entry.source != MASK:
        return ()
    found = [CUT.format(name=name, when=when)] if EDGE in entry.flags else []
    found += [TWICE.format(name=name, when=when, flag=one) for one in entry.flags if IS_SHARED(one)]
    return (*found, *[IN_PIECES.format(name=name, when=when, flag=one) for one in entry.flags if IS_PIECES(one)])

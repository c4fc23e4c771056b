"""The diameters of all lesions at all dates as lines to be drawn: what the mask gives, and a reader's own beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from LongitudinalCompareLib.comparison import MASK, READER, TARGET, ComparedTrack, Comparison
from LongitudinalCompareLib.evidence import Evidence
from OncoLib.diameters import Line

LONGEST, PERPENDICULAR = "longest", "perpendicular"

MOST_LINES = 100
"""54 lines are there at once; with 1000, of 125 lesions, a window of Slicer did not answer for nine minutes."""


@dataclass(frozen=True)
class DrawnLine:
    """line: in the RAS of its own date. kind: `LONGEST` or `PERPENDICULAR`. source: `MASK` or `READER`. key: tells it from all
    others, at every publishing the same. lesion: of the track."""

    timepoint: int
    key: str
    lesion: str
    kind: str
    source: str
    line: Line


def drawn_lines(comparison: Comparison, evidence: Evidence) -> tuple[DrawnLine, ...]:
    """By date, then in the order of the lesions. A lesion in which several merged is drawn once.

    Of more than `MOST_LINES` those of targets and a reader's own: Slicer makes widgets for each line in each view.
    """
    found: dict[str, DrawnLine] = {}
    for at in range(len(comparison.timepoints)):
        for track in comparison.tracks:
            for one in (*of_mask(evidence, track, at), *of_reader(evidence, track, at)):
                found.setdefault(one.key, one)
    targets = {one.name for one in comparison.tracks if one.role == TARGET}
    kept = [one for one in found.values() if one.source == READER or one.lesion in targets]
    return tuple(found.values() if len(found) <= MOST_LINES else kept)


def of_mask(evidence: Evidence, track: ComparedTrack, at: int) -> Iterator[DrawnLine]:
    """Of each part of a lesion at one date."""
    for lesion in evidence.dates[at].lesions:
        if lesion.key.name in track.entries[at].lesions:
            for kind in (LONGEST, PERPENDICULAR):
                if kind in lesion.lines:
                    key = f"{at}/{lesion.key.name}/{kind}/{MASK}"
                    yield DrawnLine(at, key, track.name, kind, MASK, lesion.lines[kind])


def of_reader(evidence: Evidence, track: ComparedTrack, at: int) -> Iterator[DrawnLine]:
    """What counts there and is not the mask's."""
    lesions = [one for one in evidence.dates[at].lesions if one.key.name in track.entries[at].lesions]
    for kind, line in track.entries[at].lines.items():
        if all(ends(one.lines.get(kind)) != ends(line) for one in lesions):
            yield DrawnLine(at, f"{at}/{track.tracking_uid}/{kind}/{READER}", track.name, kind, READER, line)


def ends(line: Line | None) -> tuple:
    """Both ends, to a thousandth of a millimeter; nothing for None."""
    return () if line is None else tuple(round(float(part), 3) for end in (line.start_ras_mm, line.end_ras_mm) for part in end)

"""A comparison as CSV: one row a lesion and date. An empty cell is a number that nobody can say, and `reason` says why.

alignment: the verdict of that date's alignment with the baseline at the lesion.
"""

from __future__ import annotations

import csv
import io
import math

from LongitudinalCompareLib.alignment_verdict import VERDICTS
from LongitudinalCompareLib.comparison import (
    FROM_BASELINE,
    FROM_PREVIOUS,
    MEASURES,
    ComparedTrack,
    Comparison,
    TrackChange,
    TrackEntry,
)
from LongitudinalCompareLib.growth import IN_FULL
from OncoLib.measure import Measurement
from OncoLib.measure_files import cell, sentences
from OncoLib.segmentation_files import RESEARCH_USE


def comparison_csv(comparison: Comparison) -> str:
    """The text; lines end in a line feed. Columns are the same whatever there is."""
    rows = [row(comparison, track, at) for track in comparison.tracks for at in range(len(track.entries))]
    heads = list(row_heads())
    stream = io.StringIO()
    writer = csv.DictWriter(stream, heads, restval="", lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def row_heads() -> tuple[str, ...]:
    """Names of the columns."""
    measures = [f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high", "_method")]
    changes = [f"{name}_from_{reference}{end}" for name in MEASURES for reference in (FROM_BASELINE, FROM_PREVIOUS)
               for end in ("_percent", "_percent_low", "_percent_high", "_verdict")]  # fmt: skip
    return ("lesion", "tracking_uid", "organ", "node", "role", "role_by", "date", "time", "day", "status", "made_by", "source",
            "alignment", "reason", *measures, *changes, "flags", "state", "notice")  # fmt: skip


def row(comparison: Comparison, track: ComparedTrack, at: int) -> dict[str, object]:
    """A lesion at a date."""
    entry, date = track.entries[at], comparison.timepoints[at]
    found: dict[str, object] = {
        "lesion": cell(track.name), "tracking_uid": track.tracking_uid, "organ": cell(track.organ),
        "node": str(track.node).lower(), "role": track.role, "role_by": track.role_by,
        "date": date.date, "time": date.time, "day": date.day,
        "status": entry.status, "made_by": entry.made_by, "source": entry.source,
        "alignment": alignment_at(comparison, track, at), "reason": cell(entry.reason),
        "flags": cell(" ".join(sentences(entry.flags))), "state": comparison.state, "notice": RESEARCH_USE,
    }  # fmt: skip
    for name in MEASURES:
        found |= measure_cells(name, entry)
        for reference in (FROM_BASELINE, FROM_PREVIOUS):
            found |= change_cells(f"{name}_from_{reference}", track.change(at, name, reference))
    return found


def measure_cells(name: str, entry: TrackEntry) -> dict[str, object]:
    """Value, interval and method of one measure."""
    one: Measurement | None = entry.measures.get(name)
    if one is None:
        return {}
    low, high = one.interval or (None, None)
    return {name: short(one.value), f"{name}_low": short(low), f"{name}_high": short(high),
            f"{name}_method": cell(one.method)}  # fmt: skip


def change_cells(name: str, one: TrackChange | None) -> dict[str, object]:
    """Percent with its interval and the verdict; why there is none, in the verdict's place."""
    if one is None or one.change is None:
        return {} if one is None else {f"{name}_verdict": cell(one.reason)}
    value, low, high = one.change.percent
    return {f"{name}_percent": short(value), f"{name}_percent_low": short(low), f"{name}_percent_high": short(high),
            f"{name}_verdict": IN_FULL[one.verdict]}  # fmt: skip


def short(value: float | None, digits: int = 4) -> object:
    """Four significant digits: `comparison.json` has all, and no measure is better. "" for what is not known or has no end."""
    return float(f"{value:.{digits}g}") if value is not None and math.isfinite(value) else ""


def alignment_at(comparison: Comparison, track: ComparedTrack, at: int) -> str:
    """The verdict on the alignment of a date at a lesion, the worst where it has several places; "" where nobody judged it."""
    regions = {one.name: one.verdict for pair in comparison.pairs if pair.follow_up == at for one in pair.alignment.regions}
    whens = ["", *(f" ({one.when})" for one in comparison.timepoints[1:])]  # as `evidence_dates.region_name` calls them
    names = [f"{name}{when}" for entry, when in zip(track.entries[:at], whens) for name in entry.lesions]
    return max((regions[name] for name in names if name in regions), key=VERDICTS.index, default="")

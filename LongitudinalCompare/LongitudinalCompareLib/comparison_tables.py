"""A comparison as tables: lesions over the dates, categories, notes for the reader, and the numbers behind the charts.

What nobody can say is an empty cell, never 0. Units stand in the names of the columns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from LongitudinalCompareLib.comparison import (
    LONGEST_MM,
    MEASURES,
    SHORT_MM,
    UNITS,
    VOLUME_ML,
    ComparedTrack,
    Comparison,
    CriterionResult,
    TrackEntry,
)
from OncoLib.measure import Measurement

WORDS = {VOLUME_ML: "Volume", LONGEST_MM: "Longest diameter", SHORT_MM: "Short axis"}
SUM_BEFORE = "smallest sum before"
"""Figure of a criterion that is there only where the sum of that date is whole (`response.judge.figures`)."""

DAY = "Day"


@dataclass(frozen=True)
class Table:
    """rows: as many values as columns; a number, a text, or None for what is not known."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]

    def column(self, name: str) -> list:
        """Its values from the top."""
        return [row[self.columns.index(name)] for row in self.rows]


def headings(words: str, unit: str) -> tuple[str, str, str]:
    """`Volume (ml)`, `Volume low (ml)`, `Volume high (ml)`."""
    return tuple(f"{words}{part} ({unit})" for part in ("", " low", " high"))


LESION_COLUMNS = (
    "Lesion", "Organ", "Date", DAY, "Status", "Role",
    *(heading for name in MEASURES for heading in headings(WORDS[name], UNITS[name])),
    *headings("Volume change since baseline", "%"), "Judgement", "Measured by",
    *(f"{WORDS[name]} of the mask ({UNITS[name]})" for name in MEASURES),
    "Segments", "Linked by", "Role by", "Role because", "Remarks", "Tracking UID",
)  # fmt: skip


def lesion_table(comparison: Comparison) -> Table:
    """One row a lesion and date."""
    rows = [lesion_row(comparison, track, entry) for track in comparison.tracks for entry in track.entries]
    return Table(LESION_COLUMNS, tuple(rows))


def lesion_row(comparison: Comparison, track: ComparedTrack, entry: TrackEntry) -> tuple:
    """One lesion at one date."""
    date, change = comparison.timepoints[entry.timepoint], track.change(entry.timepoint)
    percent = change.change.percent if change is not None and change.change is not None else (None, None, None)
    missing = entry.reason if not entry.measures else ""
    remarks = dict.fromkeys(filter(None, [missing, *entry.flags, *(f"not in the interval: {one}" for one in entry.left_out)]))
    return (
        track.name, track.organ, date.when, date.day, entry.status, track.role,
        *(part for name in MEASURES for part in three(entry.measures.get(name))),
        *map(finite, percent), "" if change is None else change.sentence, entry.source,
        *(three(entry.of_mask.get(name))[0] for name in MEASURES),
        ", ".join(entry.lesions), entry.made_by, track.role_by, track.role_reason, " ".join(remarks), track.tracking_uid,
    )  # fmt: skip


def three(one: Measurement | None) -> tuple[float | None, float | None, float | None]:
    """Value, low and high."""
    if one is None:
        return None, None, None
    return (finite(one.value), *map(finite, one.interval or (None, None)))


def finite(value: float | None) -> float | None:
    """None for what is no number."""
    return None if value is None or not math.isfinite(value) else float(value)


RESPONSE_COLUMNS = (
    "Criterion", "Date", DAY, "Lesion", "Category", "State", "Read as", "By", "Explanation", "Cautions", "Figures",
)  # fmt: skip


def response_table(comparison: Comparison) -> Table:
    """One row a criterion and date, and one for the best response; a criterion without an answer says why."""
    dates = {one.day: one.when for one in comparison.timepoints}
    rows = []
    for one in comparison.response:
        if one.problem:
            rows.append((one.title, "", None, "", "", "", "", "", one.problem, "", ""))
        lesions = [*one.lesions, *[""] * len(one.proposals)]
        rows += [response_row(one.title, dates.get(told.day, ""), told, name) for told, name in zip(one.proposals, lesions)]
        if one.best is not None:
            rows.append(response_row(f"{one.title}, best response", dates.get(one.best.day, ""), one.best, ""))
    return Table(RESPONSE_COLUMNS, tuple(rows))


def response_row(title: str, date: str, told, lesion: str) -> tuple:
    """One proposal."""
    figures = "; ".join(f"{one.name} {one.value:.4g} {one.unit}" for one in told.figures)
    cautions = " ".join(told.cautions)
    return (title, date, told.day, lesion, told.category, told.state, told.read_as, told.by, told.sentence, cautions, figures)


def notes_table(comparison: Comparison) -> Table:
    """What a reader should see, one row a note."""
    names = {one.tracking_uid: one.name for one in comparison.tracks}
    dates = [one.when for one in comparison.timepoints]
    rows = [
        (one.kind, "" if one.timepoint is None else dates[one.timepoint], names.get(one.tracking_uid, ""), one.text)
        for one in comparison.flags
    ]
    return Table(("Kind", "Date", "Lesion", "Note"), tuple(rows))


def chart_names(tracks: Sequence[ComparedTrack]) -> dict[str, str]:
    """What a lesion is called in a chart, by its tracking UID: its name, numbered where two have one."""
    names, found = [one.name for one in tracks], {}
    for at, one in enumerate(tracks):
        same = names[:at].count(one.name)
        found[one.tracking_uid] = f"{one.name} ({same + 1})" if same else one.name
    return found


def volume_table(comparison: Comparison) -> Table:
    """One row a date; three columns a lesion: volume in ml, low, high."""
    names = chart_names(comparison.tracks)
    columns = [heading for one in comparison.tracks for heading in headings(names[one.tracking_uid], "ml")]
    rows = [
        (date.day, date.when, *(part for one in comparison.tracks for part in three(one.entries[at].measures.get(VOLUME_ML))))
        for at, date in enumerate(comparison.timepoints)
    ]
    return Table((DAY, "Date", *columns), tuple(rows))


@dataclass(frozen=True)
class SumOverTime:
    """title: of the criterion. name, unit: of its sum, such as "sum of diameters" and "mm". table: `DAY`, date, the sum, and the
    smallest sum up to that date."""

    title: str
    name: str
    unit: str
    table: Table

    @property
    def sum_column(self) -> str:
        return self.table.columns[2]

    @property
    def nadir_column(self) -> str:
        return self.table.columns[3]


def sum_over_time(comparison: Comparison) -> SumOverTime | None:
    """Of the first criterion that follows a sum of targets; None where there is none."""
    for result in comparison.response:
        sums = sums_of(result)
        if sums:
            first = next(one.figures[0] for one in result.proposals if whole(one))
            unit = first.unit.replace("mm2", "mm²")
            return SumOverTime(result.title, first.name, unit, sum_table(comparison, sums, first.name, unit))
    return None


def whole(told) -> bool:
    """True when no target was missing on that date."""
    return told.figure(SUM_BEFORE) is not None


def sums_of(result: CriterionResult) -> Mapping[int | None, float]:
    """The sum by day; that of the baseline under None: the smallest sum before the first assessment is the baseline's."""
    found: dict[int | None, float] = {one.day: one.figures[0].value for one in result.proposals if whole(one)}
    if found:
        told = next(one for one in result.proposals if whole(one))
        percent = told.figure("percent from baseline")
        first = result.proposals[0] is told or percent is None
        found[None] = told.figure(SUM_BEFORE) if first else told.figures[0].value / (1 + percent / 100)
    return found


def sum_table(comparison: Comparison, sums: Mapping[int | None, float], name: str, unit: str) -> Table:
    """Where a target is missing there is no sum, and the smallest one stays what it was."""
    rows, smallest = [], None
    for at, date in enumerate(comparison.timepoints):
        value = sums.get(date.day if at else None)
        smallest = value if smallest is None else min(smallest, smallest if value is None else value)
        rows.append((date.day, date.when, value, smallest))
    title = f"{name[:1].upper()}{name[1:]} ({unit})"
    return Table((DAY, "Date", title, f"Smallest so far ({unit})"), tuple(rows))

"""Measures as files: CSV, one row a segment, for a spreadsheet; JSON with method, unit and code of each number.

Both hold numbers, names and codes only: nothing about the patient, no path.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from OncoLib.errors import InputError
from OncoLib.measure import Measurement
from OncoLib.segmentation_files import RESEARCH_USE, segment_json, write_json
from OncoLib.staged import staged_files

if TYPE_CHECKING:
    from OncoLib.diameters import Line
    from OncoLib.filters.segment_measures import SegmentMeasures
    from OncoLib.overlap import Agreement
    from OncoLib.segmentation import Segment

FORMAT = "oncosegment.measures/1"
SUFFIXES = (".csv", ".json")

UNIT_SUFFIXES = {"[hnsf'U]": "hu", "[arb'U]": "au", "%": "percent", "1": ""}
"""What stands behind the name of a column of values; of other units the letters and digits (bq_ml). Other names hold
their unit already."""

LAST = ("notes", "notice")
"""Columns at the end."""

_BLANKS, _SIGNS = r"[\s\u00ad\u200b-\u200f\u2060\ufeff]*", r"[=+\-@＝＋－＠﹦﹢﹣﹫]"
FORMULA = re.compile(rf"^(?=[\t\r\n]|{_BLANKS}{_SIGNS})|([;\t\r\n]{_BLANKS})(?={_SIGNS})")
"""A spreadsheet takes a cell that begins so for a formula, in full width and small letters too; blanks before it do not
always help. One that splits at ";" or tabs, as in countries with a decimal comma, sees cells within ours."""


def measures_json(measured: Sequence[SegmentMeasures], agreements: dict[Segment, Agreement] | None = None) -> dict:
    """JSON-ready description. agreements: how segments agree with those of another segmentation."""
    others = agreements or {}
    return {
        "format": FORMAT,
        "notice": RESEARCH_USE,
        "segments": [_segment_json(item, others.get(item.segment)) for item in measured],
    }


def _segment_json(item: SegmentMeasures, agreement: Agreement | None) -> dict:
    described = {
        **segment_json(item.segment),
        "measurements": {name: measurement_json(value) for name, value in item.measurements.items()},
        "lines": {name: line_json(line) for name, line in item.lines.items()},
        "notes": list(item.notes),
        "not_measured": dict(item.refused),
        "organ": item.organ,
    }
    if agreement is not None:
        numbers = {name: measurement_json(value) for name, value in agreement.measurements.items()}
        described["agreement"] = {"status": agreement.status, "measurements": numbers}
    return described


def measurement_json(measurement: Measurement) -> dict:
    """JSON-ready measurement; a value that is not defined is null, its method says why."""
    return {
        "value": rounded(measurement.value),
        "unit": measurement.unit,
        "method": measurement.method,
        "code": measurement.code.as_dict(),
    }


def line_json(line: Line) -> dict:
    """JSON-ready line, ends in RAS to the nanometer; the slice is null for a line that lies in none."""
    return {
        "start_ras_mm": [round(value, 6) + 0.0 for value in line.start_ras_mm],
        "end_ras_mm": [round(value, 6) + 0.0 for value in line.end_ras_mm],
        "slice_axis": line.slice_axis or None,
        "slice_index": line.slice_index if line.slice_axis else None,
    }


def rounded(value: float) -> float | None:
    """Nine significant digits, None for what is not finite."""
    return float(f"{value:.9g}") if math.isfinite(value) else None


def measures_csv(measured: Sequence[SegmentMeasures], agreements: dict[Segment, Agreement] | None = None) -> str:
    """One row a segment, units in the headers; cells of what was not measured are empty, all but numbers are quoted.

    organ: to which the distance goes. notes: what a reader should know, the segment's flags first. notice: research use.
    """
    rows = [_row(item, (agreements or {}).get(item.segment)) for item in measured]
    heads = list(dict.fromkeys(head for row in rows for head in row if head not in LAST))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [*heads, *LAST], restval="", lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _row(item: SegmentMeasures, agreement: Agreement | None) -> dict[str, object]:
    kind = item.segment.entry.type
    row: dict[str, object] = {
        "segment": cell(item.segment.name),
        "label": item.segment.label,
        "layer": item.segment.layer,
        "code": cell(f"{kind.scheme} {kind.value} {kind.meaning}"),
    }
    row |= {header(name, value): _number(value.value) for name, value in item.measurements.items()}
    if item.organ:
        row["organ"] = cell(item.organ)
    for name, line in item.lines.items():
        for end, place in (("start", line.start_ras_mm), ("end", line.end_ras_mm)):
            row |= {f"{name}_{end}_{side}_mm": round(value, 6) + 0.0 for side, value in zip("ras", place)}
        if line.slice_axis:
            row[f"{name}_slice_{line.slice_axis}"] = line.slice_index
    if agreement is not None:
        row["agreement"] = agreement.status
        row |= {name: _number(value.value) for name, value in agreement.measurements.items()}
    return {**row, "notes": cell(" ".join(sentences([*item.segment.flags, *item.notes]))), "notice": RESEARCH_USE}


def sentences(texts: Sequence[str]) -> list[str]:
    """Each with a full stop at its end, so that they can stand in one line."""
    return [text if text.endswith((".", "!", "?")) else f"{text}." for text in texts]


def header(name: str, measurement: Measurement) -> str:
    """Name of a column with its unit; names of lengths and volumes hold it already."""
    if not name.startswith("intensity_"):
        return name
    unit = measurement.unit
    suffix = UNIT_SUFFIXES.get(unit, "_".join(re.findall(r"[a-z0-9]+", unit.lower())))
    return f"{name}_{suffix}" if suffix else name


def _number(value: float) -> object:
    number = rounded(value)
    return "" if number is None else number


def cell(text: str) -> str:
    """A text that no spreadsheet runs: what looks like a formula gets an apostrophe in front, see `FORMULA`."""
    return FORMULA.sub(lambda found: f"{found[1] or ''}'", text)


def check_suffix(path: Path) -> None:
    """Raises InputError unless the name says CSV or JSON."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path.name}: measures are written as {' or '.join(SUFFIXES)}; wanted one of these endings")


def write_measures(
    path: Path,
    measured: Sequence[SegmentMeasures],
    agreements: dict[Segment, Agreement] | None = None,
    *,
    overwrite: bool = False,
    facts: dict | None = None,
) -> None:
    """Writes one file, CSV or JSON by its ending, whole or not at all.

    facts: further entries of the JSON, such as where the numbers come from. Raises InputError for another ending,
    OutputError when the file is there and `overwrite` is not set, or when it cannot be written.
    """
    path = Path(path)
    check_suffix(path)
    with staged_files(path.parent, overwrite=overwrite) as staging:
        staged = staging / path.name
        if path.suffix.lower() == ".json":
            write_json(staged, {**measures_json(measured, agreements), **(facts or {})})
        else:
            staged.write_text(measures_csv(measured, agreements), encoding="utf-8", newline="")

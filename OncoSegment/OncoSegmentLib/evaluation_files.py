"""An evaluation as JSON and CSV: numbers, names and codes, the definition of each number, nothing about the patient."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict

from OncoLib.measure_files import cell, measurement_json, rounded
from OncoLib.segmentation_files import RESEARCH_USE, segment_json
from OncoSegmentLib.evaluation import StructureEvaluation
from OncoSegmentLib.evaluation_lesions import LesionCounts

FORMAT = "oncosegment.evaluation/1"

LESION_COLUMNS = ("reference", "result", "found", "touched", "recall", "precision", "small_reference", "small_result")


def evaluation_json(found: Sequence[StructureEvaluation]) -> dict:
    """JSON-ready description; a number that is not defined is null, its method says why."""
    return {"format": FORMAT, "notice": RESEARCH_USE, "structures": [_structure_json(one) for one in found]}


def _structure_json(one: StructureEvaluation) -> dict:
    return {
        "name": one.segment.name,
        "result": None if one.result is None else segment_json(one.result),
        "reference": None if one.reference is None else segment_json(one.reference),
        "matched_by": one.matched_by,
        "status": one.status,
        "measurements": {name: measurement_json(value) for name, value in one.measurements.items()},
        "lesions": None if one.lesions is None else _lesions_json(one.lesions),
    }


def lesion_numbers(counts: LesionCounts) -> dict[str, object]:
    """The numbers of `LESION_COLUMNS`; None for what is not defined."""
    shares = rounded(counts.recall), rounded(counts.precision)
    small = counts.small_reference, counts.small_result
    return dict(zip(LESION_COLUMNS, (counts.reference, counts.result, len(counts.pairs), counts.touched, *shares, *small)))


def _lesions_json(counts: LesionCounts) -> dict:
    pairs = [{name: rounded(value) for name, value in asdict(pair).items()} for pair in counts.pairs]
    return {**lesion_numbers(counts), "pairs": pairs, "method": counts.method}


def evaluation_csv(found: Sequence[StructureEvaluation]) -> str:
    """One row a structure; an empty cell is a number that is not defined, and `status` says why."""
    rows = [_row(one) for one in found]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(one: StructureEvaluation) -> dict[str, object]:
    kind = (one.reference or one.segment).entry.type
    row: dict[str, object] = {
        "structure": cell(one.segment.name),
        "code": cell(f"{kind.scheme} {kind.value} {kind.meaning}"),
        "matched_by": one.matched_by,
        "status": one.status,
    }
    row |= {name: _number(rounded(value.value)) for name, value in one.measurements.items()}
    if one.lesions is not None:
        row |= {f"lesions_{name}": _number(value) for name, value in lesion_numbers(one.lesions).items()}
    return {**row, "notice": RESEARCH_USE}


def _number(value: object) -> object:
    return "" if value is None else value

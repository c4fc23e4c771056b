"""What criteria say date by date, as rows: sums, their changes and categories; for a table and as CSV.

The sum of a date at which a target cannot be judged is none: that of the others is no sum. The baseline's is what the next date
is compared with.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from LongitudinalCompareLib.comparison import Comparison, CriterionResult
from LongitudinalCompareLib.comparison_csv import short
from LongitudinalCompareLib.response.proposal import Proposal
from OncoLib.measure_files import cell
from OncoLib.segmentation_files import RESEARCH_USE

SMALLEST, BASELINE_PERCENT, SMALLEST_PERCENT = "smallest sum before", "percent from baseline", "percent from smallest"
"""Names of figures, as `response.judge` gives them."""

HEADS = ("criterion", "lesion", "date", "time", "day", "sum", "unit", "percent_from_baseline", "smallest_sum_before",
         "percent_from_smallest", "category", "state", "by", "read_as", "reason", "notice")  # fmt: skip


@dataclass(frozen=True)
class SumRow:
    """One date. at: of the timepoint. Numbers are None where there is none. proposal: None at the baseline."""

    at: int
    total: float | None = None
    unit: str = ""
    percent: float | None = None
    smallest: float | None = None
    from_smallest: float | None = None
    proposal: Proposal | None = None
    lesion: str = ""


def sum_rows(comparison: Comparison, one: CriterionResult) -> tuple[SumRow, ...]:
    """The baseline and each proposal; () where the criterion has no answer. Of bands, which have no sum, no baseline."""
    later = tuple(row_of(comparison, one, at) for at in range(len(one.proposals)))
    summed = [row for row in later if row.total is not None]
    if not summed:
        return later
    first = summed[0]  # no sum is smaller than the baseline's before another one was made
    return (SumRow(0, first.smallest, first.unit), *later)


def row_of(comparison: Comparison, one: CriterionResult, at: int) -> SumRow:
    """Of one proposal."""
    proposal = one.proposals[at]
    days = [date.day for date in comparison.timepoints]
    date = at + 1 if len(one.proposals) == len(days) - 1 and not one.lesions else last_of(days, proposal.day)
    lesion = one.lesions[at] if one.lesions else ""
    smallest = proposal.figure(SMALLEST)
    if smallest is None:
        return SumRow(date, proposal=proposal, lesion=lesion)
    total = proposal.figures[0]
    changes = proposal.figure(BASELINE_PERCENT), smallest, proposal.figure(SMALLEST_PERCENT)
    return SumRow(date, total.value, total.unit, *changes, proposal, lesion)


def last_of(days: list[int], day: int) -> int:
    """The last date of that day: what is judged is later than the baseline."""
    return max((at for at, one in enumerate(days) if one == day), default=0)


def response_csv(comparison: Comparison) -> str:
    """One row a criterion and date, of bands one a lesion and date too; lines end in a line feed.

    category: as proposed; read_as: the reader's own. reason: why a criterion has no answer.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(HEADS), restval="", lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writeheader()
    writer.writerows({**row, "notice": RESEARCH_USE} for one in comparison.response for row in csv_rows(comparison, one))
    return stream.getvalue()


def csv_rows(comparison: Comparison, one: CriterionResult) -> Iterator[dict[str, object]]:
    """Of one criterion."""
    if one.problem:
        yield {"criterion": one.criterion, "reason": cell(one.problem)}
    for row in sum_rows(comparison, one):
        date, told = comparison.timepoints[row.at], row.proposal
        said = {} if told is None else {
            "category": told.category, "state": told.state, "by": cell(told.by), "read_as": cell(told.read_as),
        }  # fmt: skip
        yield {
            "criterion": one.criterion, "lesion": cell(row.lesion), "date": date.date, "time": date.time, "day": date.day,
            "sum": short(row.total), "unit": row.unit, "percent_from_baseline": short(row.percent, 6),
            "smallest_sum_before": short(row.smallest), "percent_from_smallest": short(row.from_smallest, 6), **said,
        }  # fmt: skip

"""`compare`: the dates of a patient to one `Comparison`. `evidence_of` is its slow part, `assess` takes part of a second."""

from __future__ import annotations

from collections.abc import Sequence

from LongitudinalCompareLib.compare_options import CompareOptions
from LongitudinalCompareLib.comparison import Comparison
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.evidence_of import evidence_of
from LongitudinalCompareLib.registration import Pair
from LongitudinalCompareLib.timepoint import Timepoint
from OncoLib.progress import CancelToken, Progress, part_of, silent

__all__ = ["CompareOptions", "compare", "compare_with_evidence"]

SEEN = 0.98
"""Share of the progress at which the evidence is there."""


def compare(
    timepoints: Sequence[Timepoint],
    options: CompareOptions | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> Comparison:
    """All that can be said of the lesions over the dates; arguments and errors as of `evidence_of` and `assess`."""
    return compare_with_evidence(timepoints, options, progress, cancel)[1]


def compare_with_evidence(
    timepoints: Sequence[Timepoint],
    options: CompareOptions | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
    *,
    pairs: Sequence[Pair] | None = None,
) -> tuple[Evidence, Comparison]:
    """The same, with what it rests on: kept, it is assessed again at each word of a reader, without the scans. pairs: as of
    `evidence_of`."""
    from LongitudinalCompareLib.assessment import assess
    from LongitudinalCompareLib.reading_refs import anchored
    from LongitudinalCompareLib.response_of import check_criteria

    options = options or CompareOptions()
    check_criteria(options.criteria)  # before minutes of registering
    evidence = evidence_of(timepoints, options, part_of(progress, 0.0, SEEN), cancel, pairs=pairs)
    told, reading = part_of(progress, SEEN, 1.0), anchored(options.reading, evidence.dates)
    return evidence, assess(evidence, reading, options.criteria, progress=told, cancel=cancel)

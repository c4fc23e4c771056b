"""Dates of a scene compared and published in one go, for scripts and headless Slicer. **Main thread only.**"""

from __future__ import annotations

from collections.abc import Sequence

from LongitudinalCompareLib.compare_options import CompareOptions
from LongitudinalCompareLib.comparing import compare_with_evidence
from LongitudinalCompareLib.comparison import Comparison
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.scene.comparison_scene import ComparisonNodes, publish
from LongitudinalCompareLib.scene.registered import prepare
from LongitudinalCompareLib.timepoint import day_and_time
from OncoLib.progress import CancelToken, Progress, silent


def compare_and_publish(
    scene,
    dates: Sequence,
    options: CompareOptions | None = None,
    *,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
    arrange: bool = True,
) -> tuple[ComparisonNodes, Evidence, Comparison]:
    """All three steps in this process; waits until it is done, and changes nothing when it fails.

    dates: have `volume`, `segmentation` and `date`, in any order. arrange: see `publish`. Raises what `prepare`, `evidence_of`
    and `assess` raise.
    """
    dates = sorted(dates, key=lambda one: day_and_time(one.date))
    evidence, comparison = compare_with_evidence(prepare(dates), options, progress, cancel)
    return publish(scene, comparison, evidence, dates, arrange=arrange), evidence, comparison

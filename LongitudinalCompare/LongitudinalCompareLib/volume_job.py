"""The table of volumes as a job: a long count in a process of its own does not hold the window."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from LongitudinalCompareLib.side_by_side import VolumeRow, volume_rows
from OncoLib import background
from OncoLib.background import Job
from OncoLib.measure import volume_text
from OncoLib.progress import CancelToken, Progress, part_of
from OncoLib.segmentation import Prediction, Segmentation
from OncoLib.segmentation_files import write_json
from OncoSegmentLib.engine.codec import read_prediction, write_prediction
from OncoSegmentLib.engine.jobs import NAMELESS

TARGET = "LongitudinalCompareLib.volume_job:do"
JOB = "job.json"
READING = 0.3
"""Share of the progress."""


def start(segmentations: Sequence[Segmentation]) -> Job:
    """Starts counting; the result is that of `table`. Raises WorkerError."""
    return background.begin(TARGET, lambda folder: put(folder, segmentations))


def put(folder: Path, segmentations: Sequence[Segmentation]) -> None:
    """Writes a job: one folder a segmentation, in their order."""
    for number, segmentation in enumerate(segmentations):
        (folder / str(number)).mkdir()
        write_prediction(folder / str(number), Prediction(replace(segmentation, name=NAMELESS)))
    write_json(folder / JOB, {"segmentations": len(segmentations)})


def do(folder: Path, progress: Progress, cancel: CancelToken) -> None:
    """Target of a job: counts what `put` wrote."""
    count = json.loads((folder / JOB).read_text(encoding="utf-8"))["segmentations"]
    segmentations = []
    for number in range(count):
        cancel.check()
        progress(READING * number / count, "Reading the segmentations")
        segmentations.append(read_prediction(folder / str(number)).segmentation)
    rows = volume_rows(segmentations, progress=part_of(progress, READING, 1.0), cancel=cancel)
    write_json(folder / background.RESULT, table(rows))


def table(rows: Sequence[VolumeRow]) -> dict:
    """What a reader sees: "rows" of the structure's name and one volume in ml a segmentation, "-" where it is not there; and
    the "flags", each with its structure's name.
    """
    return {
        "rows": [[row.name, *(volume_text(item.value) if item else "-" for item in row.measured)] for row in rows],
        "flags": [f"{row.name}: {flag}" for row in rows for flag in row.flags],
    }

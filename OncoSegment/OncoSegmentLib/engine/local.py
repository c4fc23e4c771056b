"""Segmentation work in a process of its own, over `OncoLib.background`."""

from __future__ import annotations

from pathlib import Path

from OncoLib import background
from OncoLib.background import Job
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.segmentation import Prediction, Segmentation
from OncoLib.surface_settings import SurfaceSettings
from OncoSegmentLib.engine.codec import read_prediction, write_job, write_work
from OncoSegmentLib.request import Request

TARGET = "OncoSegmentLib.engine.work:do"


def start(image: Image, request: Request, *, measure: bool = False, python: str = "", path: list[str] | None = None) -> Job:
    """Starts a job at once.

    measure: also measure what is found; the result's `measures` hold it.
    python: interpreter; by default PythonSlicer inside Slicer, else this one. path: its import path, by default ours.
    """
    return begin(lambda folder: write_job(folder, image, request, measure=measure), python=python, path=path)


def start_measure(segmentation: Segmentation, image: Image | None = None, *, organ: str = "") -> Job:
    """Starts measuring a segmentation; the result is a prediction with its measures. organ: where distances go to."""
    return begin(lambda folder: write_work(folder, "measure", segmentation, image, {"organ": organ}))


def start_surfaces(
    segmentation: Segmentation, output: Path, *, file_format: str, frame: str, settings: SurfaceSettings, overwrite: bool
) -> Job:
    """Starts writing surfaces into the folder `output`; see `OncoLib.filters.surface_files.write_surfaces`."""
    options = {
        "output": str(Path(output).absolute()),
        "format": file_format,
        "frame": frame,
        "settings": settings.as_dict(),
        "overwrite": overwrite,
    }
    return begin(lambda folder: write_work(folder, "surfaces", segmentation, None, options))


def begin(put, **options) -> Job:
    """Starts the work that `put` writes into the job's folder."""
    return background.begin(TARGET, put, read=read_prediction, **options)


def run(
    image: Image, request: Request, *, progress: Progress = silent, cancel: CancelToken | None = None, every: float = 0.05
) -> Prediction:
    """Starts a job and waits for it, for callers without an event loop."""
    return background.wait(start(image, request), progress=progress, cancel=cancel, every=every)

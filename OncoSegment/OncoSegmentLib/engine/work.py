"""What jobs do: functions of the core, called with their own types, a progress and a cancel token, wherever they run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, part_of
from OncoLib.segmentation import Prediction, Segmentation
from OncoLib.surface_settings import SurfaceSettings
from OncoSegmentLib.lesion.settings import LesionSettings
from OncoSegmentLib.request import Request


def segment_image(image: Image, request: Request, measure: bool, *, progress: Progress, cancel: CancelToken) -> Prediction:
    """The segmentation that is asked for; with its measures when `measure` is true."""
    from OncoSegmentLib.segment import measured, segment

    share = 0.85 if measure else 1.0
    prediction = segment(image, request, progress=part_of(progress, 0.0, share), cancel=cancel)
    if measure:
        prediction = measured(prediction, image, progress=part_of(progress, share, 1.0), cancel=cancel)
    return prediction


def measure_segmentation(
    segmentation: Segmentation, image: Image | None, organ: str, *, progress: Progress, cancel: CancelToken
) -> Prediction:
    """The segmentation with its measures. organ: the segment that distances go to; "" for none."""
    from OncoLib.filters.segment_measures import measure_segments

    found = measure_segments(segmentation, image, organ=organ or None, progress=progress, cancel=cancel)
    return replace(Prediction(segmentation), measures=found)


def check_spine(segmentation: Segmentation, image: Image | None, *, progress: Progress, cancel: CancelToken):
    """The checks of the vertebrae, as a `SpineReport`."""
    from OncoSegmentLib.spine.report import check_spine as check

    return check(segmentation, image, progress=progress, cancel=cancel)


def split_lesions(
    segmentation: Segmentation,
    organs: Segmentation | None,
    settings: LesionSettings,
    image: Image | None,
    *,
    progress: Progress,
    cancel: CancelToken,
):
    """The lesions one by one, measured, as a `LesionReport`."""
    from OncoLib.filters.segment_measures import measure_segments
    from OncoSegmentLib.lesion.split import split_lesions as split

    report = split(segmentation, organs, settings, progress=part_of(progress, 0.0, 0.5), cancel=cancel)
    found = measure_segments(report.segmentation, image, progress=part_of(progress, 0.5, 1.0), cancel=cancel)
    return replace(report, measures=found)


def fuse_panel(voices: tuple, settings, image: Image | None, *, progress: Progress, cancel: CancelToken):
    """The `panel.Consensus` of what several experts said, or the result of the only one that is left."""
    from OncoSegmentLib.engine.codec import read_prediction
    from OncoSegmentLib.panel import alone, consensus_of

    def load(folder: str) -> Prediction:
        return read_prediction(Path(folder))

    if len(voices) == 1:
        return alone(voices[0], image, settings.measure, load, progress=progress, cancel=cancel)
    return consensus_of(voices, settings, image, load=load, progress=progress, cancel=cancel)


def surfaces_to_files(
    segmentation: Segmentation,
    output: str,
    file_format: str,
    frame: str,
    settings: SurfaceSettings,
    overwrite: bool,
    *,
    progress: Progress,
    cancel: CancelToken,
) -> dict:
    """Writes closed surfaces into the folder `output` of this machine; returns their description and the files' paths."""
    from OncoLib.filters.surface_files import write_surfaces
    from OncoLib.filters.surfaces import surfaces_of

    found = surfaces_of(segmentation, settings, progress=part_of(progress, 0.0, 0.8), cancel=cancel)
    description, files = write_surfaces(
        found,
        Path(output),
        file_format=file_format,
        frame=frame,
        settings=settings,
        provenance=segmentation.provenance.as_dict(),
        overwrite=overwrite,
        progress=part_of(progress, 0.8, 1.0),
        cancel=cancel,
    )
    return {"description": description, "files": [str(path) for path in files]}


def echo(value, *, progress: Progress, cancel: CancelToken):
    """The value: what a job costs that does nothing."""
    return value


def size_of(array, *, progress: Progress, cancel: CancelToken) -> int:
    """Bytes of an array that arrived; all of it is read."""
    return array.nbytes if array.max() >= array.min() else 0

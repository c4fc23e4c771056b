"""What a job's process can do: segment an image, measure a segmentation, write its surfaces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from OncoLib.background import RESULT
from OncoLib.progress import CancelToken, Progress, part_of
from OncoLib.segmentation import Prediction
from OncoLib.segmentation_files import write_json
from OncoSegmentLib.engine.codec import read_description, read_job, read_work, write_prediction


def do(folder: Path, progress: Progress, cancel: CancelToken) -> None:
    """The work of a job folder; its result lies in the folder after."""
    KINDS[read_description(folder)["kind"]](folder, progress, cancel)


def _segment(folder: Path, progress: Progress, cancel: CancelToken) -> None:
    from OncoSegmentLib.segment import measured, segment

    image, request = read_job(folder)
    share = 0.85 if read_description(folder)["measure"] else 1.0
    prediction = segment(image, request, progress=part_of(progress, 0.0, share), cancel=cancel)
    if share < 1:
        prediction = measured(prediction, image, progress=part_of(progress, share, 1.0), cancel=cancel)
    write_prediction(folder, prediction)


def _measure(folder: Path, progress: Progress, cancel: CancelToken) -> None:
    from OncoLib.filters.segment_measures import measure_segments

    segmentation, image, options = read_work(folder)
    found = measure_segments(segmentation, image, organ=options.get("organ") or None, progress=progress, cancel=cancel)
    write_prediction(folder, replace(Prediction(segmentation), measures=found))


def _surfaces(folder: Path, progress: Progress, cancel: CancelToken) -> None:
    from OncoLib.filters.surface_files import write_surfaces
    from OncoLib.filters.surfaces import surfaces_of
    from OncoLib.surface_settings import SurfaceSettings

    segmentation, _image, options = read_work(folder)
    settings = SurfaceSettings(**options["settings"])
    found = surfaces_of(segmentation, settings, progress=part_of(progress, 0.0, 0.8), cancel=cancel)
    description, files = write_surfaces(
        found,
        Path(options["output"]),
        file_format=options["format"],
        frame=options["frame"],
        settings=settings,
        provenance=segmentation.provenance.as_dict(),
        overwrite=options["overwrite"],
        progress=part_of(progress, 0.8, 1.0),
        cancel=cancel,
    )
    write_json(folder / RESULT, {"description": description, "files": [str(path) for path in files]})


KINDS = {"segment": _segment, "measure": _measure, "surfaces": _surfaces}

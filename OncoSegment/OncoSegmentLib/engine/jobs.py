"""Starts the jobs of the panels and the command line on an engine. UIDs and names of the patient's images stay behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from OncoLib import background
from OncoLib.background import RunningJob
from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.segmentation import Prediction, Segmentation
from OncoLib.surface_settings import SurfaceSettings
from OncoSegmentLib.engine import work
from OncoSegmentLib.engine.choice import Engine, engine_here, own_engine
from OncoSegmentLib.lesion.settings import LesionSettings
from OncoSegmentLib.panel import Member, PanelResult, Settings
from OncoSegmentLib.request import Request

NAMELESS = "Segmentation"
"""A segmentation in the scene is named after its volume, and that often after the patient."""


def start(image: Image, request: Request, *, measure: bool = False, engine: Engine | None = None) -> RunningJob:
    """Starts a segmentation; the result is a `Prediction`, on disk before it is given out.

    measure: also measure what is found; the result's `measures` hold it. engine: by default the one of this process.
    """
    engine = engine or own_engine()
    check_elsewhere(request, engine)
    gpu = gpu_of(request)
    return engine.submit(work.segment_image, without_identity(image), anonymous(request), measure, keep=True, gpu=gpu)


def start_measure(
    segmentation: Segmentation, image: Image | None = None, *, organ: str = "", engine: Engine | None = None
) -> RunningJob:
    """Starts measuring a segmentation; the result is a prediction with its measures. organ: where distances go to."""
    engine = engine or engine_here()
    image = None if image is None else without_identity(image)
    return engine.submit(work.measure_segmentation, replace(segmentation, name=NAMELESS), image, organ)


def start_spine_check(
    segmentation: Segmentation, image: Image | None = None, *, engine: Engine | None = None
) -> RunningJob:
    """Starts the checks of the vertebrae; the result is a `SpineReport`."""
    engine = engine or engine_here()
    return engine.submit(work.check_spine, segmentation, None if image is None else without_identity(image))


def start_lesions(
    segmentation: Segmentation,
    organs: Segmentation | None,
    settings: LesionSettings,
    image: Image | None = None,
    *,
    engine: Engine | None = None,
) -> RunningJob:
    """Starts splitting the lesions of a segmentation; the result is a `LesionReport` with measures."""
    engine = engine or engine_here()
    nameless = [one and replace(one, name=NAMELESS) for one in (segmentation, organs)]
    return engine.submit(work.split_lesions, *nameless, settings, None if image is None else without_identity(image))


def start_surfaces(
    segmentation: Segmentation,
    output: Path,
    *,
    file_format: str,
    frame: str,
    settings: SurfaceSettings,
    overwrite: bool,
    engine: Engine | None = None,
) -> RunningJob:
    """Starts writing surfaces into the folder `output`; see `OncoLib.filters.surface_files.write_surfaces`."""
    engine = engine or engine_here()
    folder = str(Path(output).absolute())
    nameless = replace(segmentation, name=NAMELESS)
    return engine.submit(work.surfaces_to_files, nameless, folder, file_format, frame, settings, overwrite)


def run(
    image: Image, request: Request, *, engine: Engine, progress: Progress = silent, cancel: CancelToken | None = None
) -> Prediction:
    """Starts a segmentation and waits for it, for callers without an event loop; nothing stays on disk."""
    check_elsewhere(request, engine)
    job = engine.submit(work.segment_image, without_identity(image), anonymous(request), False, gpu=gpu_of(request))
    return background.wait(job, progress=progress, cancel=cancel)


def start_panel(image: Image, members: Sequence[Member], settings: Settings, *, engine: Engine | None = None, **options):
    """Starts a panel of experts; the result is a `PanelResult`. options: of `PanelJob`. InputError for what cannot be fused."""
    from OncoSegmentLib.engine.panel_job import PanelJob
    from OncoSegmentLib.panel import check_settings

    check_settings(members, settings)
    engine = engine or own_engine()
    for one in members:
        check_elsewhere(one.request, engine)
    nameless = [replace(one, request=anonymous(one.request)) for one in members]
    image = without_identity(image)
    if engine.name != "inline":
        image, nameless = own_voxels(image, nameless, main=engine.elsewhere)  # here it is put into a file at once
    return PanelJob(image, nameless, settings, engine, **options)


def own_voxels(image: Image, members: Sequence[Member], *, main: bool) -> tuple[Image, list[Member]]:
    """The members with voxels of their own for their channels, one copy of each whoever asks for it; main: the image too.

    Experts begin one after another, and what they see are views on the scene's volumes: those may be edited meanwhile.
    """
    copies: dict[tuple, np.ndarray] = {}

    def own(one: Image) -> Image:
        key = (one.voxels.__array_interface__["data"][0], one.voxels.shape, one.voxels.strides, one.voxels.dtype.str)
        if key not in copies:
            copies[key] = one.voxels.copy()
        return replace(one, voxels=copies[key])

    def owned(request: Request) -> Request:
        return replace(request, channels=tuple((name, own(channel)) for name, channel in request.channels))

    return own(image) if main else image, [replace(one, request=owned(one.request)) for one in members]


def run_panel(
    image: Image,
    members: Sequence[Member],
    settings: Settings,
    *,
    engine: Engine | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
    **options,
) -> PanelResult:
    """The panel at once, for callers without an event loop. engine: without one the experts run here, one after another."""
    from OncoSegmentLib.engine.inline import InlineEngine

    cancel = cancel or CancelToken()
    inline = InlineEngine(lambda fraction, message: progress(*job.overall(fraction, message)), cancel) if engine is None else None
    job = start_panel(image, members, settings, engine=engine or inline, **options)
    return background.wait(job, progress=progress, cancel=cancel)


def check_elsewhere(request: Request, engine: Engine) -> None:
    """InputError for a request that names a file of this machine, where the workers are others."""
    if engine.elsewhere and Path(request.profile).is_absolute():
        raise InputError("a profile of your own works on this machine only; leave out the scheduler, or choose a built-in one")
    if engine.elsewhere and Path(str(request.parameters.get("weights", ""))).is_absolute():
        raise InputError("a folder of weights works on this machine only; leave out the scheduler, or name an installed model")


def without_identity(image: Image) -> Image:
    """The same voxels and place, without UIDs, name and notes."""
    return Image(image.voxels, image.ijk_to_ras, modality=image.modality, units=image.units)


def anonymous(request: Request) -> Request:
    """The same request, its further images without identity."""
    return replace(request, channels=tuple((name, without_identity(image)) for name, image in request.channels))


def gpu_of(request: Request) -> str:
    """What the job asks of the engine: "" for the CPU, "wanted" where the user allowed both, "required" for a GPU alone."""
    from OncoSegmentLib.experts.registry import takes_gpu

    if request.device == "cpu" or not takes_gpu(request.model):
        return ""
    return "required" if request.device == "cuda" else "wanted"

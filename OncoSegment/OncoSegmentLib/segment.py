"""Phase two of the main job: an image and a request in, a prediction with full provenance out. Pure."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from OncoLib import audit
from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, part_of, silent
from OncoLib.segmentation import Prediction, Segmentation
from OncoSegmentLib.caution import caution_of, with_caution
from OncoSegmentLib.confidence import with_probability_bands
from OncoSegmentLib.experts.image_checks import allowed
from OncoSegmentLib.experts.registry import expert
from OncoSegmentLib.multiparametric.alignment import aligned, check_grids, on_main_grid
from OncoSegmentLib.multiparametric.missing import completed, sentences
from OncoSegmentLib.request import Request


def check_segmentable(image: Image) -> Image:
    """The image with notes added; raises InputError when no segmentation can come of it."""
    if min(image.shape_kji) < 2:
        raise InputError(f"the image has {image.shape_kji[::-1]} voxels (i, j, k): a single slice; wanted a volume")
    missing = 0
    if image.voxels.dtype.kind == "f":
        missing = image.voxels.size - int(np.count_nonzero(np.isfinite(image.voxels)))
    if missing == image.voxels.size:
        raise InputError("the image holds no finite value (all NaN or infinite)")
    low, high = image.value_range
    if low == high:
        raise InputError(f"all voxels have the value {low:g}; wanted an image with content")
    if missing:
        image = image.with_notes(f"{missing} voxels are NaN or infinite; they belong to no structure")
    return image


def check_request(image: Image, request: Request) -> Image:
    """Everything that can be refused before any work; returns the image with notes added."""
    image = check_segmentable(image)
    check_grids(image, request)
    request, told = complete(image, request)
    caution = caution_of(request)
    cautions = (f"about the model that made this: {caution}",) if caution else ()
    return image.with_notes(*cautions, *sentences(told), *expert(request.model).check(image, request))


def complete(image: Image, request: Request) -> tuple[Request, dict[str, str]]:
    """The request with stand-ins for channels that are missing, where the expert says what its model takes."""
    channels_of = getattr(expert(request.model), "channels_of", None)
    return (request, {}) if channels_of is None else completed(image, request, channels_of(request))


def segment(
    image: Image, request: Request, *, progress: Progress = silent, cancel: CancelToken | None = None, clock=time.monotonic
) -> Prediction:
    """Runs the request's expert on the image. Thread-safe and process-safe.

    A prediction with probabilities gets a confidence band on each segment; without them it says "not estimated".

    Raises InputError, ModelError or Cancelled, each with one sentence.
    """
    cancel = cancel or CancelToken()
    image = check_request(image, request)
    started, began = audit.now_iso(), clock()
    request, replaced = complete(image, request)
    share = 0.2 if any(not on_main_grid(one, image) for _name, one in request.channels) else 0.0
    request, grids, told = aligned(image, request, progress=part_of(progress, 0.0, share), cancel=cancel)
    image = image.with_notes(*told)
    prediction = expert(request.model).run(image, request, progress=part_of(progress, share, 1.0), cancel=cancel)
    segmentation = told_of_channels(prediction.segmentation, grids, replaced).with_provenance(
        input_sha256=audit.image_sha256(image),
        packages={**audit.package_versions(), **prediction.segmentation.provenance.packages},
        started=started,
        seconds=round(clock() - began, 3),
        peak_memory_mb=audit.peak_memory_mb(),
    )
    segmentation = with_caution(segmentation, caution_of(request))
    segmentation.require_grid_of(image)
    if prediction.probabilities is not None:
        inside = allowed(image, request.region)
        segmentation = with_probability_bands(segmentation, prediction.probabilities, inside)
    return replace(prediction, segmentation=segmentation, notes=tuple(dict.fromkeys(image.notes)))


def told_of_channels(segmentation: Segmentation, grids: dict, replaced: dict[str, str]) -> Segmentation:
    """What was done to channels, in the provenance; a channel that was replaced is also a flag on every segment."""
    if not grids and not replaced:
        return segmentation
    facts = {**segmentation.provenance.parameters}
    facts.update({"channel_grids": grids} if grids else {})
    facts.update({"channels_replaced": replaced} if replaced else {})
    flags = sentences(replaced)
    segments = tuple(replace(one, flags=(*one.flags, *flags)) for one in segmentation.segments)
    return replace(segmentation, segments=segments).with_provenance(parameters=facts)


def measured(
    prediction: Prediction, image: Image, *, progress: Progress = silent, cancel: CancelToken | None = None
) -> Prediction:
    """The prediction with the measures of all its segments on the image's grid."""
    from OncoLib.filters.segment_measures import measure_segments

    found = measure_segments(prediction.segmentation, image, progress=progress, cancel=cancel)
    return replace(prediction, measures=found)

"""Phase two of the main job: an image and a request in, a prediction with full provenance out. Pure."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from OncoLib import audit
from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.segmentation import Prediction
from OncoSegmentLib.caution import caution_of, with_caution
from OncoSegmentLib.experts.registry import expert
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
    caution = caution_of(request)
    told = (f"about the model that made this: {caution}",) if caution else ()
    return image.with_notes(*told, *expert(request.model).check(image, request))


def segment(
    image: Image, request: Request, *, progress: Progress = silent, cancel: CancelToken | None = None, clock=time.monotonic
) -> Prediction:
    """Runs the request's expert on the image. Thread-safe and process-safe.

    Raises InputError, ModelError or Cancelled, each with one sentence.
    """
    cancel = cancel or CancelToken()
    image = check_request(image, request)
    started, began = audit.now_iso(), clock()
    prediction = expert(request.model).run(image, request, progress=progress, cancel=cancel)
    segmentation = prediction.segmentation.with_provenance(
        input_sha256=audit.image_sha256(image),
        packages={**audit.package_versions(), **prediction.segmentation.provenance.packages},
        started=started,
        seconds=round(clock() - began, 3),
        peak_memory_mb=audit.peak_memory_mb(),
    )
    segmentation = with_caution(segmentation, caution_of(request))
    segmentation.require_grid_of(image)
    return replace(prediction, segmentation=segmentation, notes=tuple(dict.fromkeys(image.notes)))


def measured(
    prediction: Prediction, image: Image, *, progress: Progress = silent, cancel: CancelToken | None = None
) -> Prediction:
    """The prediction with the measures of all its segments on the image's grid."""
    from OncoLib.filters.segment_measures import measure_segments

    found = measure_segments(prediction.segmentation, image, progress=progress, cancel=cancel)
    return replace(prediction, measures=found)

"""A result against a reference, structure by structure, on their common native grid: nothing is resampled.

Overlap and distances are those of `OncoLib.overlap` and `OncoLib.surface_distance`; lesions those of `evaluation_lesions`.
What an empty mask means is said by the status of each structure:

both empty: nothing was there and nothing was found. No measure is defined; it is no agreement of 1.
first empty: the result has no voxel. Dice, IoU and NSD are 0, the volume error is -100 %, distances are not defined.
second empty: the reference has no voxel. Dice, IoU and NSD are 0, distances and the error in per cent are not defined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import require_same_grid
from OncoLib.measure import VOXEL_COUNT, Measurement, segment_boxes
from OncoLib.overlap import agreement, joint_box
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.quantities import VOLUME, VOLUME_ERROR
from OncoLib.segmentation import Segment, Segmentation, close_names
from OncoSegmentLib.evaluation_lesions import LEAST_IOU, LEAST_ML, LesionCounts, check_rule, lesion_counts
from OncoSegmentLib.lesion.groups import counted_in

AGREEMENTS = ("dice", "iou", "nsd_1mm", "nsd_2mm", "hd95_mm", "assd_mm")
"""What is taken from `overlap.agreement`."""

ERROR_METHOD = "volume of the result less that of the reference"
PERCENT_METHOD = f"{ERROR_METHOD}, divided by that of the reference"
NO_REFERENCE = f"not defined: the reference is empty ({PERCENT_METHOD})"


@dataclass(frozen=True)
class LesionRule:
    """When components are a pair, and from which volume on they count; see `evaluation_lesions`.

    structures: names of segments, of the result or of the reference, whose components are the lesions, whatever their codes;
        () for those that either side codes as lesions, as `lesion.groups` has them: an organ's pieces are no lesions.
    """

    least_iou: float = LEAST_IOU
    least_ml: float = LEAST_ML
    structures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_rule(self.least_iou, self.least_ml)


@dataclass(frozen=True)
class StructureEvaluation:
    """One structure of a result against that of a reference.

    result, reference: one is None when that side does not have the structure and that counts as an empty mask.
    matched_by: "name and codes", "structure", "codes", "the user", or "nothing" without a segment of one side.
    status: of the masks, "defined", "both empty", "first empty" (the result) or "second empty" (the reference).
    measurements: by name: those of `AGREEMENTS`, volume_ml, reference_ml, volume_error_ml, volume_error_percent; what is
        not defined is NaN and says so in its method.
    lesions: None unless they were asked for and the structure is one of lesions.
    """

    result: Segment | None
    reference: Segment | None
    matched_by: str
    status: str
    measurements: dict[str, Measurement]
    lesions: LesionCounts | None = None

    @property
    def segment(self) -> Segment:
        """The segment that names the structure."""
        return self.result or self.reference


@dataclass(frozen=True)
class Pair:
    """Segments that are the same structure; `how` says what told so. None: an empty mask of a side that has no segment."""

    result: Segment | None
    reference: Segment | None
    how: str


@dataclass(frozen=True)
class Pairs:
    """All pairs, and what has no partner; both are named to the reader, nothing is left out unsaid."""

    pairs: tuple[Pair, ...]
    only_result: tuple[Segment, ...]
    only_reference: tuple[Segment, ...]


def evaluate(
    result: Segmentation,
    reference: Segmentation,
    pairs: Sequence[Pair],
    *,
    lesions: LesionRule | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> tuple[StructureEvaluation, ...]:
    """Every pair evaluated on its own. lesions: also count and match connected components of the structures that are lesions.

    Raises GeometryError when the grids differ, InputError for a structure of `lesions` that no pair has.
    """
    grids = reference.ijk_to_ras, reference.shape_kji, result.ijk_to_ras, result.shape_kji
    require_same_grid(*grids, "the result", beside="the reference")
    counted = [] if lesions is None else lesion_pairs(result, reference, pairs, lesions.structures)
    boxes = segment_boxes(result), segment_boxes(reference)
    found = []
    for number, pair in enumerate(pairs):
        if cancel is not None:
            cancel.check()
        progress(number / len(pairs), "Comparing the structures")
        box = joint_box(boxes[0].get(pair.result), boxes[1].get(pair.reference))
        masks = _mask(result, pair.result, box), _mask(reference, pair.reference, box)
        found.append(_evaluated(pair, masks, reference, lesions if pair in counted else None))
    progress(1.0, "Comparing the structures")
    return tuple(found)


def lesion_pairs(
    result: Segmentation, reference: Segmentation, pairs: Sequence[Pair], names: Sequence[str] = ()
) -> list[Pair]:
    """The pairs whose components are lesions: those that are named, or those that either side codes as lesions.

    Raises InputError for a name that no pair has.
    """
    if not names:
        coded, also_coded = counted_in(result), counted_in(reference)
        return [pair for pair in pairs if pair.result in coded or pair.reference in also_coded]
    there = [segment.name for pair in pairs for segment in (pair.result, pair.reference) if segment is not None]
    for name in names:
        if name not in there:
            raise InputError(f"no structure {name!r} is compared; {close_names(name, list(dict.fromkeys(there)))}")
    return [pair for pair in pairs if any(one is not None and one.name in names for one in (pair.result, pair.reference))]


def _mask(segmentation: Segmentation, segment: Segment | None, box) -> np.ndarray:
    layer = segmentation.layers[segment.layer if segment else 0][box]
    return layer == segment.label if segment else np.zeros(layer.shape, dtype=bool)


def _evaluated(pair: Pair, masks, reference: Segmentation, lesions: LesionRule | None) -> StructureEvaluation:
    compared = agreement(*masks, reference.ijk_to_ras)
    voxel_ml = reference.voxel_volume_ml
    numbers = {name: compared.measurements[name] for name in AGREEMENTS}
    numbers |= volume_errors(*(int(np.count_nonzero(mask)) * voxel_ml for mask in masks))
    found = StructureEvaluation(pair.result, pair.reference, pair.how, compared.status, numbers)
    if lesions is None:
        return found
    return replace(found, lesions=lesion_counts(*masks, voxel_ml, least_iou=lesions.least_iou, least_ml=lesions.least_ml))


def volume_errors(result_ml: float, reference_ml: float) -> dict[str, Measurement]:
    """Both volumes and their difference in ml and in per cent of the reference, positive where the result is larger."""
    error = result_ml - reference_ml
    percent = 100.0 * error / reference_ml if reference_ml else float("nan")
    return {
        "volume_ml": Measurement(result_ml, "ml", VOXEL_COUNT, VOLUME),
        "reference_ml": Measurement(reference_ml, "ml", VOXEL_COUNT, VOLUME),
        "volume_error_ml": Measurement(error, "ml", ERROR_METHOD, VOLUME_ERROR),
        "volume_error_percent": Measurement(percent, "%", PERCENT_METHOD if reference_ml else NO_REFERENCE, VOLUME_ERROR),
    }

"""How far each expert is from the consensus, structure by structure: overlap, surfaces, volume, place.

These numbers say how much the experts agree, not who is right: experts that learned from the same data agree on the same
mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from OncoLib.measure import Box, Measurement, dice, segment_boxes
from OncoLib.overlap import DICE_METHOD, joint_box
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.quantities import DICE, private, surface_dice
from OncoLib.segmentation import Segment, Segmentation
from OncoLib.surface_distance import DEFINED, surface_dice_method, surface_distances
from OncoSegmentLib.consensus.targets import Target
from OncoSegmentLib.fusion import Fusion, Score

VOLUME_DIFFERENCE = private("VOLUMEDIFF", "Volume difference to the consensus")
VOLUME_DIFFERENCE_PERCENT = private("VOLUMEDIFFPCT", "Volume difference to the consensus in percent")
CENTROID_DISTANCE = private("CENTROIDDIST", "Distance of the centroids")

VOLUME_METHOD = "volume of the expert less that of the consensus"
PERCENT_METHOD = f"{VOLUME_METHOD}, as a share of that of the consensus"
CENTROID_METHOD = "distance between the means of the voxel centers"
NOT_DEFINED = "not defined: the expert or the consensus has no voxel of it"

NAMES = ("dice", "nsd_1mm", "nsd_2mm", "volume_difference_ml", "volume_difference_percent", "centroid_mm")


@dataclass(frozen=True, eq=False)
class StructureAgreement:
    """One structure: how far the experts agree, and each beside the consensus.

    segment: of the consensus, or as it would be called there. in_consensus: False where no voxel of it won. experts: for
    each name the measurements of `NAMES`; NaN, and told so in the method, where one of the two has no voxel.
    """

    segment: Segment
    in_consensus: bool
    score: Score
    experts: dict[str, dict[str, Measurement]]


def agreement_of(fusion: Fusion, *, progress: Progress = silent, cancel: CancelToken | None = None) -> list[StructureAgreement]:
    """All structures in the order of the consensus. Each is looked at in the joint box of its outlines."""
    boxes = [segment_boxes(one.segmentation) for one in fusion.panel.opinions]
    own = segment_boxes(fusion.segmentation)
    targets = [one for one in fusion.panel.targets if not one.helper]
    found = []
    for at, target in enumerate(targets):
        if cancel is not None:
            cancel.check()
        progress(at / len(targets), "Comparing the experts with the consensus")
        segment = fusion.segment_of(target)
        experts = {
            one.name: compared(fusion.segmentation, segment, own, target, one.segmentation, of_one, boxes[place])
            for place, (one, of_one) in enumerate(zip(fusion.panel.opinions, target.members))
            if fusion.panel.knows[place, fusion.panel.targets.index(target) + 1]
        }
        found.append(StructureAgreement(segment or target.segment, segment in own, fusion.scores[target.key], experts))
    return found


def compared(
    consensus: Segmentation,
    segment: Segment | None,
    own: dict[Segment, Box],
    target: Target,
    expert: Segmentation,
    members: tuple[Segment, ...],
    boxes: dict[Segment, Box],
) -> dict[str, Measurement]:
    """One expert's outline of one structure beside that of the consensus."""
    box = own.get(segment)
    for one in members:
        box = joint_box(box, boxes[one]) if one in boxes else box
    box = box or joint_box(None, None)
    truth = consensus.layers[segment.layer][box] == segment.label if segment in own else np.zeros(shape_of(box), bool)
    mask = np.zeros(truth.shape, bool)
    for one in members:
        mask |= expert.layers[one.layer][box] == one.label
    return measurements(mask, truth, consensus.ijk_to_ras, consensus.voxel_volume_ml)


def shape_of(box: Box) -> tuple[int, ...]:
    """Voxels along the sides of a box."""
    return tuple(span.stop - span.start for span in box)


def measurements(mask: np.ndarray, truth: np.ndarray, ijk_to_ras: np.ndarray, voxel_ml: float) -> dict[str, Measurement]:
    """The numbers of `NAMES` of two boolean masks `[k, j, i]` of one grid."""
    found = surface_distances(mask, truth, ijk_to_ras)
    told = "" if found.status == DEFINED else f"{NOT_DEFINED} ("
    end = ")" if told else ""
    sizes = int(mask.sum()), int(truth.sum())
    difference = (sizes[0] - sizes[1]) * voxel_ml
    percent = 100.0 * (sizes[0] - sizes[1]) / sizes[1] if sizes[1] else float("nan")
    numbers = {"dice": Measurement(dice(mask, truth), "1", DICE_METHOD, DICE)}
    for limit, share in found.surface_dice.items():
        method = surface_dice_method(limit)
        method = f"{told}{method}{end}" if np.isnan(share) else method
        numbers[f"nsd_{limit:g}mm"] = Measurement(share, "1", method, surface_dice(limit))
    numbers["volume_difference_ml"] = Measurement(difference, "ml", VOLUME_METHOD, VOLUME_DIFFERENCE)
    percent_method = PERCENT_METHOD if sizes[1] else f"{NOT_DEFINED} ({PERCENT_METHOD})"
    numbers["volume_difference_percent"] = Measurement(percent, "%", percent_method, VOLUME_DIFFERENCE_PERCENT)
    apart = centroid_distance_mm(mask, truth, ijk_to_ras) if all(sizes) else float("nan")
    numbers["centroid_mm"] = Measurement(apart, "mm", f"{told}{CENTROID_METHOD}{end}", CENTROID_DISTANCE)
    return numbers


def centroid_distance_mm(first: np.ndarray, second: np.ndarray, ijk_to_ras: np.ndarray) -> float:
    """Distance in mm between the centroids of two masks that are not empty."""
    centers = [[float(places.mean()) for places in np.nonzero(mask)] for mask in (first, second)]
    step = np.subtract(*centers)[::-1]
    return float(np.linalg.norm(ijk_to_ras[:3, :3] @ step))


def agreement_json(fusion: Fusion, found: list[StructureAgreement]) -> dict:
    """JSON-ready: all numbers with null for what is not defined, candidates, definitions once."""
    first = next((numbers for one in found for numbers in one.experts.values()), {})
    return {
        "method": fusion.method,
        "experts": [one.name for one in fusion.panel.opinions],
        "undecided_ml": fusion.undecided_ml,
        "notes": list(fusion.notes),
        "structures": [_structure_json(one) for one in found],
        "candidates": [_candidate_json(fusion, one) for one in fusion.candidates],
        "definitions": {name: _plain(one.method) for name, one in first.items()},
        "units": {name: one.unit for name, one in first.items()},
    }


def _plain(method: str) -> str:
    return method.removeprefix(f"{NOT_DEFINED} (").removesuffix(")") if method.startswith(NOT_DEFINED) else method


def _structure_json(one: StructureAgreement) -> dict:
    return {
        "name": one.segment.name,
        "structure": one.segment.structure,
        "in_consensus": one.in_consensus,
        "agreement": one.score.band,
        "mean_pairwise_dice": number_or_none(one.score.pairs),
        "found_by": list(one.score.found_by),
        "asked": one.score.asked,
        "experts": {name: {key: number_or_none(item.value) for key, item in of.items()} for name, of in one.experts.items()},
    }


def _candidate_json(fusion: Fusion, one) -> dict:
    volume_ml = int(one.mask.sum()) * fusion.segmentation.voxel_volume_ml
    return {"name": one.segment.name, "structure": one.segment.structure, "found_by": list(one.found_by), "volume_ml": volume_ml}


def number_or_none(value: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(value) else float(value)

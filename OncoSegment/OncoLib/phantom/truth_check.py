"""Measures of the reference patient's truth masks beside the exact numbers, and how much of its bone a result found.

What differs comes from the grid and the definition of each measure alone: the masks are the analytic shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from OncoLib.measure import dice
from OncoLib.phantom.scan import Scan
from OncoLib.segmentation import Segment, Segmentation, label_type_for

if TYPE_CHECKING:
    from OncoLib.filters.segment_measures import SegmentMeasures

EXACT_OF = {"volume_ml": "volume_ml", "longest_in_plane_mm": "longest_in_plane_mm", "perpendicular_mm": "short_axis_mm"}
"""Which fact of a lesion (`lesions.lesion_facts`) is the exact number of a measure."""

BONES = ("vertebra", "sacrum", "rib", "hip_bone", "femur")
"""Beginnings of the ids of the bones that carry a truth. Skull and sternum are drawn, but have none."""


@dataclass(frozen=True)
class Checked:
    """One number beside the exact one, both in the unit that the name of the measure holds."""

    measured: float
    exact: float

    @property
    def difference(self) -> float:
        """Measured less exact."""
        return self.measured - self.exact

    @property
    def percent(self) -> float:
        """Difference in per cent of the exact number."""
        return 100.0 * self.difference / self.exact

    def as_dict(self) -> dict:
        """JSON-ready copy."""
        return {"measured": self.measured, "exact": self.exact, "difference": self.difference, "percent": self.percent}


@dataclass(frozen=True)
class BonesFound:
    """Bone of a result against the bones that carry a truth.

    measured_ml: all bone of the result. truth_ml: voxel sum of the truth masks in the scan. share: part of the truth
    masks (0..1) that the result holds. dice: among the voxels to which the truth gives a name.
    """

    measured_ml: float
    truth_ml: float
    share: float
    dice: float


def is_vertebra(segment: Segment) -> bool:
    """True for C1 to the lowest lumbar vertebra; S1 is a part of the sacrum."""
    return segment.layer == 0 and segment.structure.startswith("vertebra_")


def vertebrae_and_lesions(made: Scan) -> Segmentation:
    """The truth without other organs: vertebrae in layer 0, lesions in layer 1, with the labels that they have."""
    lesions = {lesion["name"] for lesion in made.facts["lesions"]}
    kept = tuple(one for one in made.truth.segments if is_vertebra(one) or one.name in lesions)
    layers = []
    for number, layer in enumerate(made.truth.layers):
        labels = [one.label for one in kept if one.layer == number]
        layers.append(np.where(np.isin(layer, labels), layer, 0).astype(label_type_for(max(labels, default=0) + 1)))
    name = f"Vertebrae and lesions, {made.truth.name[0].lower()}{made.truth.name[1:]}"
    return Segmentation(tuple(layers), made.truth.ijk_to_ras, kept, made.truth.provenance, name=name)


def check_lesions(facts: dict, measured: Sequence[SegmentMeasures]) -> dict[str, dict[str, Checked]]:
    """By name of each lesion that was measured and is whole in the scan, by measure (volume, longest, perpendicular diameter).

    facts: of the scan; a lesion that its edge cuts is left out.
    Diameters are compared with those of the analytic shape in the slice plane through its center.
    """
    exact = {lesion["name"]: lesion for lesion in facts["lesions"] if is_whole(lesion)}
    return {
        item.segment.name: {
            name: Checked(item.measurements[name].value, exact[item.segment.name][fact]) for name, fact in EXACT_OF.items()
        }
        for item in measured
        if item.segment.name in exact
    }


def check_vertebrae(facts: dict, measured: Sequence[SegmentMeasures]) -> dict[str, Checked]:
    """Volume in ml by level ("C1") of each vertebra that was measured and is whole in the scan, from the head down."""
    exact = {one["structure"]: one["volume_ml"] for one in facts["structures"] if is_whole(one)}
    return {
        level_of(item.segment): Checked(item.measurements["volume_ml"].value, exact[item.segment.structure])
        for item in measured
        if is_vertebra(item.segment) and item.segment.structure in exact
    }


def is_whole(facts: dict) -> bool:
    """True for a lesion or structure, by its facts, that lies wholly in the scan: others have no exact number there."""
    return facts["in_field_of_view"] == "yes"


def level_of(segment: Segment) -> str:
    """`L3` of a vertebra."""
    return segment.structure.removeprefix("vertebra_").upper()


def bones_found(made: Scan, bones: np.ndarray) -> BonesFound:
    """bones: boolean `[k, j, i]`, all bone of a result on the scan's grid."""
    labels = made.truth.layers[0]
    wanted = [one.label for one in made.truth.segments if one.layer == 0 and one.structure.startswith(BONES)]
    truth = np.isin(labels, wanted)
    voxel_ml = made.image.voxel_volume_ml
    return BonesFound(
        measured_ml=int(np.count_nonzero(bones)) * voxel_ml,
        truth_ml=int(np.count_nonzero(truth)) * voxel_ml,
        share=float(np.count_nonzero(bones & truth) / max(np.count_nonzero(truth), 1)),
        dice=dice(bones & (labels > 0), truth),
    )

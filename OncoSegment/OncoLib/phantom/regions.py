"""What networks look for in a reference patient, from its truth: a mask by name, and the exact volume of each.

Organs hold their lesions, and the regions of a glioma what lies inside of them, so that names overlap.
"""

from __future__ import annotations

import numpy as np

from OncoLib.segmentation import Segmentation

TORSO = {
    # name: beginnings of the structures of the truth that it holds
    "liver": ("liver",),
    "lung": ("lung_right", "lung_left", "lung_nodule"),
    "vertebra": ("vertebra_c", "vertebra_t", "vertebra_l", "vertebra_metastasis"),
    "liver_lesion": ("liver_metastasis",),
    "lung_nodule": ("lung_nodule",),
    "vertebra_lesion": ("vertebra_metastasis",),
}
"""Vertebrae are C1 to L5. A lesion lies wholly inside of its host, so that it adds nothing to the host's volume."""

ORGANS = ("liver", "lung", "vertebra")
LESIONS = ("liver_lesion", "lung_nodule", "vertebra_lesion")

GLIOMA = {
    # name, as the BraTS challenges call it: structure of the truth, fact of the scan
    "Tumor core": ("brain_neoplasm", "tumor_core_ml"),
    "Whole tumor": ("brain_lesion", "whole_tumor_ml"),
    "Enhancing tumor": ("brain_tumor_enhancing", "enhancing_tumor_ml"),
}


def mask_of(truth: Segmentation, *beginnings: str) -> np.ndarray:
    """Boolean `[k, j, i]` of all segments whose structure begins so."""
    found = np.zeros(truth.shape_kji, bool)
    for one in truth.segments:
        if one.structure.startswith(beginnings):
            found |= truth.mask(one)
    return found


def torso_masks(truth: Segmentation) -> dict[str, np.ndarray]:
    """Masks by the names of `TORSO`."""
    return {name: mask_of(truth, *beginnings) for name, beginnings in TORSO.items()}


def glioma_masks(truth: Segmentation) -> dict[str, np.ndarray]:
    """Masks by the names of `GLIOMA`."""
    return {name: mask_of(truth, structure) for name, (structure, _fact) in GLIOMA.items()}


def torso_volumes_ml(facts: dict) -> dict[str, float | None]:
    """Exact volumes by the names of `TORSO`, of a scan's facts; None where the scan does not cover all of it."""
    items = [*facts["structures"], *facts["lesions"]]
    found: dict[str, float | None] = {}
    for name, beginnings in TORSO.items():
        named = [one for one in items if one["structure"].startswith(beginnings)]
        own = [one for one in named if name in LESIONS or one in facts["structures"]]
        own = [one for one in own if one["in_field_of_view"] != "no"]
        whole = bool(own) and all(one["in_field_of_view"] == "yes" for one in own)
        found[name] = sum(one["volume_ml"] for one in own) if whole else None
    return found


def glioma_volumes_ml(facts: dict) -> dict[str, float]:
    """Exact volumes by the names of `GLIOMA`."""
    return {name: facts["glioma"][fact] for name, (_structure, fact) in GLIOMA.items()}

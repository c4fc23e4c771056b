"""Which structure is a part of which, by ids of the terminology that come from codes, never from names of segments."""

from __future__ import annotations

from functools import lru_cache

from OncoLib.segmentation import Segment
from OncoLib.terminology import SIDES, TISSUE, CodedConcept, TerminologyEntry, is_lesion, structures
from OncoSegmentLib.spine.levels import LEVELS, structure_id

VERTEBRAE = ("vertebra", "vertebral_body", "vertebra_s1", *(f"vertebra_{level.lower()}" for level in LEVELS))
RIBS = ("rib", *(f"rib_{number}" for number in range(1, 14)))
LIMB_BONES = (
    "femur", "hip_bone", "clavicle", "scapula", "humerus", "radius", "ulna", "carpal_bones", "metacarpal_bones",
    "phalanges_of_hand", "patella", "tibia", "fibula", "tarsal_bones", "metatarsal_bones", "phalanges_of_foot",
)  # fmt: skip
HEAD_BONES = ("skull", "mandible", "maxilla", "zygomatic_arch", "styloid_process", "hyoid_bone")
BRAIN = (
    "brainstem", "cerebellum", "frontal_lobe", "parietal_lobe", "occipital_lobe", "temporal_lobe", "insula", "central_sulcus",
    "caudate_nucleus", "lentiform_nucleus", "internal_capsule", "thalamus", "septum_pellucidum", "brain_ventricle",
    "third_ventricle", "fourth_ventricle", "lateral_ventricle", "frontal_horn", "occipital_horn", "temporal_horn",
    "body_of_lateral_ventricle", "trigone_of_lateral_ventricle",
)  # fmt: skip

PARTS = {
    "lung": ("upper_lobe_of_lung", "middle_lobe_of_right_lung", "lower_lobe_of_lung", "lung_air", "lung_dense"),
    "liver": tuple(f"liver_segment_{number}" for number in range(1, 9)),
    "kidney": ("renal_cortex", "renal_medulla"),
    "brain": BRAIN,
    "vertebra": VERTEBRAE[1:],
    "spine": (*VERTEBRAE, "sacrum", "intervertebral_disc", "spinal_cord"),
    "bone": (*VERTEBRAE, "sacrum", "spine", *RIBS, "sternum", *LIMB_BONES, *HEAD_BONES, "cortical_bone", "trabecular_bone"),
    "heart": ("myocardium", "heart_chambers", "left_atrium", "right_atrium", "left_ventricle", "right_ventricle"),
}
"""Structures without side, by what they are a part of."""

SIDE_OF = {"middle_lobe_of_right_lung": "right"}

TOO_WIDE = ("body", "trunk", "extremity", "head", "face", "thoracic_cavity", "abdominal_cavity", "torso_fat", "intermuscular_fat")
"""Structures that say nothing of where a lesion is: they hold nearly everything."""

VESSELS = (
    "liver_vessels", "blood_vessel", "aorta", "aorta_true_lumen", "aorta_false_lumen", "lung_vessels", "lung_arteries",
    "lung_veins", "coronary_artery", "pulmonary_artery", "pulmonary_vein", "superior_vena_cava", "inferior_vena_cava",
    "portal_and_splenic_vein", "brachiocephalic_trunk", "brachiocephalic_vein", "subclavian_artery", "common_carotid_artery",
    "internal_carotid_artery", "internal_jugular_vein", "common_iliac_artery", "common_iliac_vein", "celiac_trunk",
    "superior_mesenteric_artery", "renal_artery", "dural_sinuses",
)  # fmt: skip
"""Structures without side that nodes and tumors surround: what lies against one, or around it, does not lie in it."""

NOT_ONE_BY_ONE = ("effusion", "edema", "hemorrhage", "aneurysm", "necrosis", "lung_infiltrate", "aorta_false_lumen")
"""Abnormal structures that are no masses: fluid, swelling, blood, a vessel. They are not split unless named."""


def without_side(structure: str) -> tuple[str, str]:
    """Id without its side, and the side ("" for none): ("kidney", "left")."""
    stem, _, side = structure.rpartition("_")
    return (stem, side) if side in SIDES else (structure, SIDE_OF.get(structure, ""))


def is_part_of(structure: str, wanted: str) -> bool:
    """True when a structure is the wanted one or lies in it; a side counts where both have one."""
    stem, side = without_side(structure)
    whole, whole_side = without_side(wanted)
    return (stem == whole or stem in PARTS.get(whole, ())) and (not side or not whole_side or side == whole_side)


def anatomy_id(segment: Segment) -> str:
    """The structure that a segment is, as an id; "" for lesions, plain tissue and what our terminology does not know."""
    found = "" if is_lesion(segment.entry) else structure_id(segment)
    return "" if found == "tissue" else found


def is_vessel(structure: str) -> bool:
    """True for an artery, a vein, or several of them."""
    return without_side(structure)[0] in VESSELS


def can_hold(segment: Segment) -> bool:
    """True for a structure that says where a lesion is: an organ, a bone, a vessel, in our terminology or not."""
    if is_lesion(segment.entry) or without_side(structure_id(segment))[0] in TOO_WIDE:
        return False
    return bool(anatomy_id(segment)) or not segment.entry.type.same_code(TISSUE)


@lru_cache(maxsize=1)
def _kinds_not_one_by_one() -> frozenset:
    rows = {one.id: one.entry.type for one in structures()}
    return frozenset((rows[name].scheme, rows[name].value) for name in NOT_ONE_BY_ONE)


def is_counted(segment: Segment) -> bool:
    """True for a segment whose codes say that it is a lesion of the kind that is counted one by one."""
    kind = segment.entry.type
    return is_lesion(segment.entry) and (kind.scheme, kind.value) not in _kinds_not_one_by_one()


def region_id(entry: TerminologyEntry) -> str:
    """The structure that an entry's region means, as an id without side; "" where there is none that we know."""
    return "" if entry.region is None else _by_type().get((entry.region.scheme, entry.region.value), "")


@lru_cache(maxsize=1)
def _by_type() -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for row in structures():
        if not is_lesion(row.entry) and row.entry.region is None and row.entry.type_modifier is None:
            found.setdefault(_key(row.entry.type), row.id)
    return found


def _key(code: CodedConcept) -> tuple[str, str]:
    return code.scheme, code.value

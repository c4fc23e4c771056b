"""Words that a reader may use one for the other when looking for a model or a task."""

from __future__ import annotations

LESIONS = {"lesion", "lesions", "tumor", "tumour", "tumors", "tumours", "metastasis", "metastases", "nodule", "nodules"} | {
    "cyst",
    "cysts",
}

SAME_WORDS = (
    LESIONS,
    {"bone", "bones", "skeleton", "rib", "vertebrae", "femur"},
    {"spine", "spinal", "vertebra", "vertebrae"},
    {"bleed", "bleeding", "hemorrhage", "haemorrhage"},
    {"kidney", "kidneys", "renal"},
    {"brain", "cerebral", "intracerebral"},
    {"liver", "hepatic"},
    {"lung", "lungs", "pulmonary"},
)


def words_for(word: str) -> set[str]:
    """The word and those that stand for it."""
    return {word}.union(*(group for group in SAME_WORDS if word in group))

"""The expert that runs a model. Experts are loaded on first use, so that naming them costs no import."""

from __future__ import annotations

import importlib

from ModelManagerLib.catalog import card, cards
from OncoSegmentLib.experts.protocol import Expert

ENGINES = {
    "thresholds": ("OncoSegmentLib.experts.thresholds", "ThresholdExpert"),
    "nnunet": ("OncoSegmentLib.experts.nnunet.expert", "NnUNetExpert"),
    "monai": ("OncoSegmentLib.experts.monai_bundle.expert", "MonaiBundleExpert"),
    "totalsegmentator": ("OncoSegmentLib.experts.total_segmentator.expert", "TotalSegmentatorExpert"),
}


def expert(model: str) -> Expert:
    """The expert of the model of that id; ModelError naming those there are."""
    module, name = ENGINES[card(model).engine]
    return getattr(importlib.import_module(module), name)()


def experts() -> tuple[Expert, ...]:
    """The experts of all models."""
    return tuple(expert(item.id) for item in cards())


def takes_gpu(model: str) -> bool:
    """True when the model's expert can run on a GPU; ModelError for a model that is unknown."""
    return expert(model).takes_gpu

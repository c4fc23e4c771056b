"""The expert that runs a model. Experts are loaded on first use, so that naming them costs no import."""

from __future__ import annotations

import importlib

from ModelManagerLib.catalog import card, cards
from OncoLib.errors import OncoError
from OncoLib.image import Image
from OncoSegmentLib.experts.protocol import Expert
from OncoSegmentLib.request import Request

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


def gives_probabilities(model: str) -> bool:
    """True when the expert can give probabilities: it then takes the parameter `probabilities`."""
    return getattr(expert(model), "gives_probabilities", False)


def need_of(image: Image, request: Request):
    """Predicted memory of a run as `ModelManagerLib.predict.Need`; None where nobody knows."""
    need = getattr(expert(request.model), "need", None)
    return need(image, request) if need else None


def looked_for(request: Request) -> frozenset[str]:
    """Ids and names of the structures that a run looks for; empty where nobody knows, such as without the package here."""
    look = getattr(expert(request.model), "looked_for", None)
    try:
        return look(request) if look else frozenset()
    except OncoError:
        return frozenset()

"""The experts by id. Loaded on first use, so that listing them costs no import."""

from __future__ import annotations

import importlib

from OncoLib.errors import ModelError
from OncoSegmentLib.experts.protocol import Expert

EXPERTS = {"thresholds": ("OncoSegmentLib.experts.thresholds", "ThresholdExpert")}


def expert(model: str) -> Expert:
    """The expert of that id; ModelError naming those there are."""
    if model not in EXPERTS:
        raise ModelError(f"no model {model!r}; there are {', '.join(EXPERTS)}")
    module, name = EXPERTS[model]
    return getattr(importlib.import_module(module), name)()


def experts() -> tuple[Expert, ...]:
    """All experts."""
    return tuple(expert(model) for model in EXPERTS)

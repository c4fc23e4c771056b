"""Which models can be used. So far: those that are built in; the catalogue of downloadable ones grows from here."""

from __future__ import annotations

from dataclasses import dataclass

from OncoLib import __version__
from OncoLib.errors import ModelError


@dataclass(frozen=True)
class ModelCard:
    """What a user should know of a model. needs: one line. engine: the expert that runs it."""

    id: str
    title: str
    version: str
    engine: str
    needs: str


CARDS = (
    ModelCard("thresholds", "Thresholds (built in)", __version__, engine="thresholds", needs="CT in HU; no weights, no GPU"),
    ModelCard(
        "totalsegmentator",
        "TotalSegmentator (package and weights of your own installation)",
        "2.18 or later",
        engine="totalsegmentator",
        needs="the package TotalSegmentator and its weights; a GPU helps; CT or MR by task",
    ),
)


def cards() -> tuple[ModelCard, ...]:
    """All models that can be used now."""
    return CARDS


def card(model: str) -> ModelCard:
    """The card of that id; ModelError naming those there are."""
    for item in CARDS:
        if item.id == model:
            return item
    raise ModelError(f"no model {model!r}; there are {', '.join(item.id for item in CARDS)}")

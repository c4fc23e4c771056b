"""Which organ a model's lesions are limited to: from the provenance of a result to the `hosts` of the catalogue's cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ModelManagerLib.catalog import LesionHost, ModelCard, built_in_cards
from ModelManagerLib.labels import structure_of_label

CARD_PARAMETERS = ("weights", "bundle", "card")
"""Parameters of an expert that can hold the id of a card."""


def hosts_of(model: str, parameters: Mapping, cards: Iterable[ModelCard] | None = None) -> dict[str, LesionHost]:
    """The host of each lesion, by the lesion's structure id; {} for a model that limits none.

    model, parameters: as a `Provenance` holds them; those of a fusion name those of its inputs. cards: the built-in ones
    when None.
    """
    found: dict[str, LesionHost] = {}
    for one in built_in_cards() if cards is None else cards:
        if is_of_card(model, parameters, one):
            for host in one.hosts:
                found[structure_of_label(one.family or one.engine, one.task, host.label).id] = host
    for given in parameters.get("inputs", ()):
        inner = given.get("provenance", {}) if isinstance(given, Mapping) else {}
        found |= hosts_of(str(inner.get("model", "")), inner.get("parameters") or {}, cards)
    return found


def is_of_card(model: str, parameters: Mapping, card: ModelCard) -> bool:
    """True for a result of this card's weights."""
    if card.id == model or card.id in [parameters.get(name) for name in CARD_PARAMETERS]:
        return True
    return model == card.family == "totalsegmentator" and card.task == parameters.get("task")

"""Models that come with OncoSegment: their files are its own resources, always there, and nothing in the store.

They are tiny and for demonstration; what they find is said to be so by the `caution` of their cards.
"""

from __future__ import annotations

from pathlib import Path

from ModelManagerLib.catalog import ModelCard, built_in_cards
from ModelManagerLib.copying import hash_file
from OncoLib.errors import ModelError
from OncoLib.progress import CancelToken, Progress, silent
from OncoLib.resources import resource_path


def embedded_cards() -> tuple[ModelCard, ...]:
    """Cards of the models that come with OncoSegment."""
    return tuple(card for card in built_in_cards() if card.embedded)


def folder_of(card: ModelCard) -> Path:
    """Where the files of such a card lie."""
    return resource_path(__file__, "Models", card.id)


def card_at(path: Path) -> ModelCard | None:
    """The card whose folder this path is, or lies in; None for any other place."""
    path = Path(path).resolve()
    return next((card for card in embedded_cards() if path.is_relative_to(folder_of(card))), None)


def known_hash(path: Path) -> str | None:
    """SHA-256 that a file of such a model must have; None for any other file."""
    card = card_at(path)
    if card is None:
        return None
    name = Path(path).resolve().relative_to(folder_of(card)).as_posix()
    return next((one.sha256 for one in card.files if one.path == name), None)


def is_whole(card: ModelCard) -> bool:
    """True when each file is there in its size; contents are compared by `faults`."""
    paths = ((folder_of(card) / one.path, one.bytes) for one in card.files)
    return all(path.is_file() and path.stat().st_size == size for path, size in paths)


def faults(card: ModelCard, progress: Progress = silent, cancel: CancelToken | None = None) -> tuple[list[str], list[str], int]:
    """Files that are missing and those that were changed, by reading each; and the bytes that there should be. Cancelled."""
    cancel, total = cancel or CancelToken(), sum(one.bytes for one in card.files)
    missing, changed, done = [], [], 0
    for one in card.files:
        path = folder_of(card) / one.path
        if not path.is_file():
            missing.append(one.path)
        elif hash_file(path, cancel, done, total, progress) != one.sha256:
            changed.append(one.path)
        done += one.bytes
    return missing, changed, total


def refuse_change(card: ModelCard, what: str) -> None:
    """ModelError for a card whose files the store does not hold. what: "removed", "exported", ..."""
    if card.embedded:
        raise ModelError(f"{card.id} comes with OncoSegment, always there as it is; it cannot be {what}")

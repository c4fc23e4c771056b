"""Which card of the catalogue a user's folder, archive or file belongs to: by hash first, then by name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from ModelManagerLib.archive import Limits
from ModelManagerLib.catalog import ModelCard, Source
from ModelManagerLib.layouts import LARGEST_JSON_BYTES, folders_below, problem_of_layout
from ModelManagerLib.transfer_settings import name_of

DEEPEST = 4


def card_of_folder(folder: Path, cards: Sequence[ModelCard]) -> ModelCard | None:
    """The card whose place has the folder's name and layout, or the bundle that its metadata name."""
    named = [card for card in _placed(cards) if PurePosixPath(card.place).name.casefold() == folder.name.casefold()]
    named += [card for card in _placed(cards) if _bundle_name(folder) == PurePosixPath(card.place).name.casefold()]
    return next((card for card in named if not problem_of_layout(folder, card.place)), None)


def cards_below(folder: Path, cards: Sequence[ModelCard]) -> tuple[dict[str, tuple[ModelCard, Path]], list[str]]:
    """Models in a folder that holds many, as `nnunet/results` of TotalSegmentator: by card id, and names that fit none."""
    found: dict[str, tuple[ModelCard, Path]] = {}
    unknown: list[str] = []
    for path in folders_below(folder, DEEPEST):
        if any(other in path.parents for _, other in found.values()):
            continue
        card = card_of_folder(path, cards)
        if card is not None:
            found.setdefault(card.id, (card, path))
        elif any(path.glob("*__*__*/plans.json")) or (path / "configs" / "metadata.json").is_file():
            unknown.append(path.name)
    return found, unknown


def card_of_file(path: Path, sha256: str, cards: Sequence[ModelCard]) -> tuple[ModelCard, Source] | None:
    """The card that fetches this very file (by hash), or one of that name where no hash is published."""
    pairs = [(card, source) for card in _placed(cards) for source in card.sources if len(card.sources) == 1]
    for card, source in pairs:
        if sha256 in (source.sha256, *(one.sha256 for one in card.files if source.format == "file")):
            return card, source
    return next(((card, source) for card, source in pairs if not source.sha256 and _has_name(source, path.name)), None)


def card_of_archive(path: Path, cards: Sequence[ModelCard]) -> ModelCard | None:
    """The card whose folder is in a zip, whatever the zip is called; None for another kind of archive."""
    from ModelManagerLib import archive_zip

    if path.suffix.casefold() != ".zip":
        return None
    entries = archive_zip.checked_entries(path, Limits())
    parts = {part.casefold() for entry in entries for part in archive_zip.name_of(entry).split("/")[:-1]}
    parts.add(path.stem.casefold())
    fitting = [card for card in _placed(cards) if PurePosixPath(card.place).name.casefold() in parts]
    return fitting[0] if len(fitting) == 1 else None


def _placed(cards: Sequence[ModelCard]) -> Iterator[ModelCard]:
    return (card for card in cards if card.place)


def _has_name(source: Source, name: str) -> bool:
    names = {name_of(url).casefold() for url in source.urls} | {PurePosixPath(source.save_as).name.casefold()}
    return name.casefold() in names


def _bundle_name(folder: Path) -> str:
    """The name in a MONAI bundle's metadata as its folder would have it; "" for another folder."""
    path = folder / "configs" / "metadata.json"
    try:
        if path.stat().st_size > LARGEST_JSON_BYTES:
            return ""
        name = json.loads(path.read_bytes()).get("name", "")
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""
    return "_".join(str(name).casefold().split())

"""Trust on first use: where nobody published a hash, what an address gave first is what it must give later."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from ModelManagerLib.catalog import ModelCard, Source
from ModelManagerLib.disk import told, write_json
from ModelManagerLib.store_places import Store
from ModelManagerLib.swap import locked
from ModelManagerLib.transfer_settings import safe_address
from OncoLib.errors import InputError, ModelError

FILE = "first_seen.json"


def compare(store: Store, card: ModelCard, source: Source, sha256: str, accept_changed: bool) -> None:
    """ModelError when the address gave other bytes at the first install of this version."""
    before = _read(store).get(card.id, {}).get(_key(card, source.urls[0]))
    if before and not source.sha256 and before != sha256 and not accept_changed:
        raise ModelError(
            f"{card.id}: its host now sends another file (SHA-256 {sha256[:12]}...) than at the first install"
            f" ({before[:12]}...) under the same version; ask its publisher, nothing was installed"
        )


def note(store: Store, card: ModelCard, sources: Iterable[Mapping], job) -> None:
    """Records what each address gave, for the version of the card."""
    with locked(store, "first_seen", job.patience, job.progress, job.cancel), told(FILE):
        document = _read(store)
        seen = document.setdefault(card.id, {})
        new = {_key(card, one["url"]): one["sha256"] for one in sources}
        if any(seen.get(key) != value for key, value in new.items()):
            seen.update(new)
            write_json(store.root / FILE, document, store.staging)


def _key(card: ModelCard, url: str) -> str:
    return f"{card.version} {safe_address(url)}"


def _read(store: Store) -> dict:
    try:
        document = json.loads((store.root / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{FILE} in the model store cannot be read; correct it or remove it") from error
    if not isinstance(document, dict) or not all(isinstance(one, dict) for one in document.values()):
        raise InputError(f"{FILE} in the model store is no table of hashes; correct it or remove it")
    return document

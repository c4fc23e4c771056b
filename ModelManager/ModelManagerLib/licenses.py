"""Which licenses were accepted for which model: asked before the first byte, recorded without a user's name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from ModelManagerLib.catalog import LicenseFacts, ModelCard
from ModelManagerLib.disk import told, write_json
from ModelManagerLib.store_places import Store
from ModelManagerLib.swap import PATIENT, Patience, locked
from OncoLib.audit import now_iso
from OncoLib.errors import InputError, ModelError
from OncoLib.progress import CancelToken, Progress, silent

AcceptLicense = Callable[[LicenseFacts], bool]
"""Shows the license; True when the user accepts it."""


def text_sha256(license: LicenseFacts) -> str:
    """SHA-256 of what was shown: title, address and text, one after the other on lines of their own."""
    return hashlib.sha256("\n".join((license.title, license.url, license.text)).encode()).hexdigest()


def acceptances(store: Store) -> list[dict]:
    """All records: card, license, sha256 of the text shown, time."""
    return _read(store)["acceptances"]


def is_accepted(store: Store, card: ModelCard) -> bool:
    """True when exactly this text was accepted for this card."""
    wanted = (card.id, card.license.id, text_sha256(card.license))
    return any((one.get("card"), one.get("license"), one.get("sha256")) == wanted for one in acceptances(store))


def agree(
    store: Store,
    card: ModelCard,
    accept_license: AcceptLicense,
    *,
    patience: Patience = PATIENT,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
    now: Callable[[], str] = now_iso,
) -> None:
    """Asks unless it was accepted before, and records a yes. ModelError on a no; nothing was fetched then."""
    if is_accepted(store, card):
        return
    if not accept_license(card.license):
        raise ModelError(f"the license of {card.id} ({card.license.title}) was not accepted; nothing was installed")
    record = {"card": card.id, "license": card.license.id, "sha256": text_sha256(card.license), "time": now()}
    with locked(store, "licenses", patience, progress, cancel), told("licenses.json"):
        document = _read(store)
        document["acceptances"].append(record)
        write_json(_path(store), document, store.staging)


def _path(store: Store) -> Path:
    return store.root / "licenses.json"


def _read(store: Store) -> dict:
    try:
        document = json.loads(_path(store).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"format": 1, "acceptances": []}
    except (OSError, ValueError) as error:
        raise InputError("licenses.json in the model store cannot be read; correct it or remove it") from error
    records = document.get("acceptances") if isinstance(document, dict) else None
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        raise InputError("licenses.json in the model store is no list of acceptances; correct it or remove it")
    return document

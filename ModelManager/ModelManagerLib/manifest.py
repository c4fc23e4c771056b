"""What was installed: one JSON file a model, written when its files are in place.

Versions of OncoSegment share a store: fields that this version does not know are kept when a manifest is written again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from ModelManagerLib.archive import UnpackedFile
from ModelManagerLib.disk import write_json
from ModelManagerLib.store_places import Store
from OncoLib.errors import ModelError

FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """card, version: of the catalogue. place: relative to the store's root. files: relative to the place.

    verified: every file agrees with a published hash, its own or that of the archive it came from; verified_by says
    which. origin: how it came, without user names, paths or tokens. checked: time and outcome of the last full check.
    """

    card: str
    version: str
    place: str
    files: tuple[UnpackedFile, ...]
    verified: bool
    verified_by: str
    installed_at: str
    title: str = ""
    installed_by: str = ""
    origin: Mapping = field(default_factory=dict)
    license: Mapping = field(default_factory=dict)
    pinned: bool = False
    checked: Mapping = field(default_factory=dict)
    format: int = FORMAT
    unknown: Mapping = field(default_factory=dict, compare=False)

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(one.bytes for one in self.files)

    def to_json(self) -> dict:
        """As it is written."""
        known = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "unknown"}
        known["files"] = [vars(one) for one in self.files]
        return {**self.unknown, **known}


def from_json(values: object, name: str) -> Manifest:
    """The manifest of a JSON document; ModelError naming the file when it is none."""
    try:
        names = {one.name for one in fields(Manifest)} - {"unknown"}
        known = {key: value for key, value in values.items() if key in names}
        known["files"] = tuple(UnpackedFile(str(one["path"]), int(one["bytes"]), str(one["sha256"])) for one in known["files"])
        _require_kinds(known)
        return Manifest(**known, unknown={key: value for key, value in values.items() if key not in names})
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise _damaged(name) from error


def _require_kinds(known: Mapping) -> None:
    """TypeError when a field is of another kind than its default, or the origin's sources are no list of tables."""
    kinds = {"title": str, "installed_by": str, "verified_by": str, "installed_at": str, "verified": bool, "pinned": bool}
    kinds |= {"card": str, "version": str, "place": str, "origin": dict, "license": dict, "checked": dict, "format": int}
    wrong = [name for name, kind in kinds.items() if name in known and not isinstance(known[name], kind)]
    sources = known.get("origin", {}).get("sources", []) if not wrong else []
    if wrong or not isinstance(sources, list) or not all(isinstance(one, dict) for one in sources):
        raise TypeError(f"another kind of {', '.join(wrong) or 'origin'}")


def _damaged(name: str) -> ModelError:
    return ModelError(f"{name}: the manifest is damaged; install or import the model again")


def read_manifest(store: Store, card_id: str) -> Manifest | None:
    """The card's manifest; None when there is none. ModelError when it cannot be read, or is of another card."""
    path = store.manifest(card_id)
    found = read_file(path)
    if found is not None and found.card != card_id:
        raise _damaged(path.name)
    return found


def read_file(path: Path) -> Manifest | None:
    """The manifest of one file."""
    try:
        return from_json(json.loads(path.read_text(encoding="utf-8")), path.name)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path.name) from error


def readable_manifest(store: Store, card_id: str) -> Manifest | None:
    """As `read_manifest`, None also for one that is damaged: what an install replaces need not be readable."""
    try:
        return read_manifest(store, card_id)
    except ModelError:
        return None


def write_manifest(store: Store, manifest: Manifest, **changes: object) -> Manifest:
    """Writes it with changes, in one step."""
    changed = replace(manifest, **changes)
    write_json(store.manifest(changed.card), changed.to_json(), store.staging)
    return changed


def all_manifests(store: Store) -> list[Manifest]:
    """Those that can be read, in order of their ids."""
    found = []
    for path in sorted(store.manifests.glob("*.json")) if store.manifests.is_dir() else ():
        try:
            manifest = read_file(path)
        except ModelError:
            continue
        if manifest is not None and manifest.card == path.stem:
            found.append(manifest)
    return found

"""The user's own rows of the catalogue: `catalog.json` in the store's folder, in the format of the built-in ones.

A row of the user's is marked as such (`origin` "user"), may name a built-in license, may not take a built-in id, and is
never proposed as a default.
"""

from __future__ import annotations

import json
from pathlib import Path

from ModelManagerLib.catalog import USER, ModelCard, all_cards, built_in_cards
from ModelManagerLib.catalog_reading import built_in_licenses, read_catalog, read_json
from OncoLib.errors import InputError

FILE_NAME = "catalog.json"


def user_file(root: Path) -> Path:
    """Where the user's rows lie in a store."""
    return root / FILE_NAME


def user_cards(root: Path) -> tuple[ModelCard, ...]:
    """The user's rows; none without a file. InputError naming file and row of the first fault."""
    path = user_file(root)
    if not path.exists():
        return ()
    return _read(path)


def _read(path: Path) -> tuple[ModelCard, ...]:
    found = read_catalog(path, origin=USER, licenses=built_in_licenses(), taken={one.id for one in built_in_cards()})
    places = {one.place.casefold(): one.id for one in built_in_cards() if one.place}
    for item in found:
        for place, id in places.items():
            if item.place and _overlap(item.place.casefold(), place):
                raise InputError(f"{path.name}: {item.id} would lie in {item.place!r}, the place of the built-in {id}")
    return found


def _overlap(one: str, other: str) -> bool:
    """True when one folder is the other or lies in it."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def whole_catalog(root: Path) -> tuple[tuple[ModelCard, ...], str]:
    """Built-in rows and the user's, and a sentence when the user's file cannot be used; the built-in ones stay usable."""
    try:
        return all_cards(user_cards(root)), ""
    except InputError as error:
        return all_cards(), str(error)


def add_rows(root: Path, addition: Path) -> tuple[ModelCard, ...]:
    """Takes the rows of another catalogue file over into the user's, and gives them back.

    A row of the user's with the same id is replaced. InputError, and nothing is written, when a row cannot be used.
    """
    added = _read(addition)
    document = read_json(user_file(root)) if user_cards(root) else {"schema": 1, "cards": []}
    _merge(document, read_json(addition), addition.name)
    _write(root, document)
    return added


def remove_row(root: Path, id: str) -> None:
    """Takes one row out; InputError when the user's file has no such row."""
    if id not in {one.id for one in user_cards(root)}:
        raise InputError(f"{FILE_NAME} has no row {id!r}; built-in rows cannot be removed")
    document = read_json(user_file(root))
    document["cards"] = [row for row in document["cards"] if row["id"] != id]
    _write(root, document)


def _merge(document: dict, addition: dict, name: str) -> None:
    new = {row["id"] for row in addition["cards"]}
    document["cards"] = [row for row in document["cards"] if row["id"] not in new] + addition["cards"]
    licenses = document.setdefault("licenses", {})
    for key, values in addition.get("licenses", {}).items():
        if licenses.setdefault(key, values) != values:
            raise InputError(f"{name} describes the license {key!r} otherwise than {FILE_NAME}; give it another key")


def _write(root: Path, document: dict) -> None:
    from OncoLib.staged import staged_files

    with staged_files(root, overwrite=True) as staged:
        (staged / FILE_NAME).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

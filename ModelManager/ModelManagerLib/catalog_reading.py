"""From the catalogue's JSON to its types, with errors that name the file and the row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath

from ModelManagerLib import schema_check
from ModelManagerLib.catalog import (
    BUILT_IN,
    Channel,
    FileFact,
    Label,
    LicenseFacts,
    ModelCard,
    Needs,
    OtherHash,
    Source,
    Timing,
)
from OncoLib import __version__
from OncoLib.errors import InputError
from OncoLib.resources import resource_path

BUILT_IN_FILES = ("models.json", "totalsegmentator.json")
PROGRAM_VERSION = "the program's own"
"""Version of a model that is part of OncoSegment, as the catalogue writes it."""

PLACES = ("nnunet/results/", "bundles/", "files/")
"""Folders of the store that hold weights; TotalSegmentator and nnU-Net look into the first, MONAI into the second."""

PARTS = {"channels": Channel, "sources": Source, "files": FileFact, "other_hashes": OtherHash, "times": Timing}


def read_built_in() -> tuple[ModelCard, ...]:
    """The rows of all built-in files; InputError naming file and row, also for an id that is there twice."""
    found: list[ModelCard] = []
    for name in BUILT_IN_FILES:
        path = resource_path(__file__, "Catalog", name)
        found.extend(read_catalog(path, taken={one.id for one in found}))
    return tuple(found)


def read_catalog(
    path: Path,
    *,
    origin: str = BUILT_IN,
    licenses: Mapping[str, LicenseFacts] | None = None,
    taken: Iterable[str] = (),
) -> tuple[ModelCard, ...]:
    """The rows of one file.

    origin: written into each row. licenses: those that a row may name besides the file's own. taken: ids that the file
    may not use. Raises InputError, one sentence with file name and row, for the first fault.
    """
    document = read_json(path)
    for problem in schema_check.problems(document, schema()):
        raise InputError(f"{path.name}: {_with_id(problem, document)}")
    known = {**(licenses or {}), **licenses_of(document)}
    return rows_of(document["cards"], known, path.name, origin, set(taken))


def read_json(path: Path) -> object:
    """The document; InputError naming the line of a syntax error."""
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise InputError(f"{path.name}, line {error.lineno}: {error.msg}") from error
    except RecursionError as error:
        raise InputError(f"{path.name}: it is nested too deeply") from error
    except ValueError as error:
        raise InputError(f"{path.name}: {error}") from error
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror}") from error


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _without_doubles(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} is there twice in one object")
    return found


@lru_cache(maxsize=1)
def schema() -> dict:
    """The JSON Schema of a catalogue file."""
    return json.loads(resource_path(__file__, "Catalog", "catalog.schema.json").read_text(encoding="utf-8"))


def licenses_of(document: dict) -> dict[str, LicenseFacts]:
    """The file's licenses by the key that its rows use."""
    return {key: LicenseFacts(**values) for key, values in document.get("licenses", {}).items()}


def built_in_licenses() -> dict[str, LicenseFacts]:
    """Licenses of all built-in files by key: a user's row can name one."""
    found: dict[str, LicenseFacts] = {}
    for name in BUILT_IN_FILES:
        found.update(licenses_of(read_json(resource_path(__file__, "Catalog", name))))
    return found


def rows_of(rows: list[dict], licenses: Mapping, file: str, origin: str, taken: set[str]) -> tuple[ModelCard, ...]:
    """Cards of rows that keep the schema; InputError naming file and row otherwise."""
    found = []
    for number, row in enumerate(rows, start=1):
        where = f"{file}: row {number} ({row['id']})"
        if row["id"] in taken:
            raise InputError(f"{where} uses an id that is taken; ids are unique in the whole catalogue")
        taken.add(row["id"])
        item = card_of(row, licenses, where, origin)
        for problem in card_problems(item):
            raise InputError(f"{where}: {problem}")
        found.append(item)
    return tuple(found)


def card_of(row: dict, licenses: Mapping[str, LicenseFacts], where: str, origin: str) -> ModelCard:
    """The card of one row."""
    values = {name: _frozen(part) for name, part in row.items() if name not in ("labels", "license", "requires", *PARTS)}
    values.update({name: tuple(kind(**_frozen_values(one)) for one in row.get(name, ())) for name, kind in PARTS.items()})
    if row["version"] == PROGRAM_VERSION:
        values["version"] = __version__
    values["license"] = _license(row["license"], licenses, where)
    values["requires"] = Needs(**_frozen_values(row.get("requires", {})))
    values["labels"] = labels_of(row)
    return ModelCard(**values, origin=origin)


def labels_of(row: dict) -> tuple[Label, ...]:
    """The row's labels, each with the id of its structure where our terminology has one."""
    from ModelManagerLib.labels import structure_of_label

    engine, task = row.get("family") or row["engine"], row.get("task", "")
    labels, found = row.get("labels", {}), []
    for value, name in labels.items() if isinstance(labels, dict) else ((None, name) for name in labels):
        structure = structure_of_label(engine, task, name).id
        found.append(Label(None if value is None else int(value), name, "" if structure.startswith("label_") else structure))
    return tuple(found)


def card_problems(card: ModelCard) -> list[str]:
    """What a schema cannot say, one sentence each."""
    found = []
    if card.restricted != bool(card.restricted_reason):
        found.append("a restricted card has a reason, and only such a card has one")
    if card.license.number_needed and card.sources:
        found.append("weights that need a license number are fetched by the package itself: no sources here")
    if (card.sources or card.files) and not card.place:
        found.append("files are named but no place for them")
    if card.place and (not card.place.startswith(PLACES) or card.place.endswith("/")):
        found.append(f"the place {card.place!r} is none of the store's; wanted a folder in {' or '.join(PLACES)}")
    paths = [card.place, *(one.path for one in card.files), *(one.save_as for one in card.sources)]
    found += [f"{path!r} leaves the store; wanted a plain relative path" for path in paths if not _is_inside(path)]
    digits = {"md5": 32, "sha1": 40}
    found += [
        f"the {one.algorithm} of {one.of} has another length"
        for one in card.other_hashes
        if len(one.value) != digits[one.algorithm]
    ]
    found += [f"the source {one.urls[0]!r} is one file and save_as does not name it" for one in card.sources if _nameless(one)]
    return found


def _nameless(source: Source) -> bool:
    return source.format == "file" and not source.save_as


def _is_inside(path: str) -> bool:
    """True for "" and for a relative path with `/`, without `..`, drive or control characters."""
    parts = PurePosixPath(path).parts
    return not (path.startswith("/") or ".." in parts or any(sign in path for sign in '\\:*?"<>|') or not path.isprintable())


def _license(found: str | dict, licenses: Mapping[str, LicenseFacts], where: str) -> LicenseFacts:
    if isinstance(found, dict):
        return LicenseFacts(**found)
    if found not in licenses:
        raise InputError(f"{where} names the license {found!r}, which the file does not describe")
    return licenses[found]


def _frozen_values(values: dict) -> dict:
    return {name: _frozen(part) for name, part in values.items()}


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _with_id(problem: str, document: object) -> str:
    """The problem, with the id of the row that it names by number."""
    import re

    match = re.match(r"cards\[(\d+)\]", problem)
    if not match:
        return problem
    row = document["cards"][int(match[1])]
    name = f" ({row['id']})" if isinstance(row, dict) and isinstance(row.get("id"), str) else ""
    return f"row {int(match[1]) + 1}{name}: {problem[match.end() :].lstrip('. ')}"

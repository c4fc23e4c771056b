"""From the catalogue's JSON to its types, with errors that name the file and the row."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from ModelManagerLib import schema_check
from ModelManagerLib.archive_names import problem_of_name, same_file_key, shown
from ModelManagerLib.catalog import (
    BUILT_IN,
    Channel,
    FileFact,
    Label,
    LesionHost,
    LicenseFacts,
    ModelCard,
    Needs,
    OtherHash,
    Source,
    Timing,
)
from ModelManagerLib.store_places import problem_of_id, problem_of_place
from OncoLib import __version__
from OncoLib.errors import InputError
from OncoLib.resources import resource_path

BUILT_IN_FILES = ("models.json", "totalsegmentator.json")
PROGRAM_VERSION = "the program's own"
"""Version of a model that is part of OncoSegment, as the catalogue writes it."""

LONGEST_NUMBER, LONGEST_SENTENCE = 18, 500

DEEPEST_FILE = 16
"""Most folders on the way to a file of a model, as for copies of a user's folder."""

PARTS = {
    "channels": Channel,
    "hosts": LesionHost,
    "sources": Source,
    "files": FileFact,
    "other_hashes": OtherHash,
    "times": Timing,
}


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
        raise InputError(_shortened(f"{path.name}: {_with_id(problem, document)}"))
    known = {**(licenses or {}), **licenses_of(document)}
    return rows_of(document["cards"], known, path.name, origin, set(taken))


def read_json(path: Path) -> object:
    """The document; InputError naming the line of a syntax error."""
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(
            text, object_pairs_hook=_without_doubles, parse_constant=_no_number, parse_int=_whole, parse_float=_finite
        )
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


def _whole(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"a number has {len(text)} digits; at most {LONGEST_NUMBER} are read")
    return int(text)


def _finite(text: str) -> float:
    if not math.isfinite(float(text)):
        raise ValueError(f"a number, {text[:20]}, is too large")
    return float(text)


def _shortened(sentence: str) -> str:
    return sentence if len(sentence) <= LONGEST_SENTENCE else f"{sentence[: LONGEST_SENTENCE - 3]}..."


def _without_doubles(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {shown(next(name for name in names if names.count(name) > 1))} is there twice in one object")
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
        other = next((one for one in found if _overlap(one.place, item.place)), None)
        if other is not None:
            raise InputError(f"{where} would lie in {item.place!r}, the place of {other.id} or one inside the other")
        found.append(item)
    return tuple(found)


def _overlap(one: str, other: str) -> bool:
    """True when one folder is the other or lies in it."""
    if not (one and other):
        return False
    first, second = f"{same_file_key(one)}/", f"{same_file_key(other)}/"
    return first.startswith(second) or second.startswith(first)


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
    if (card.sources or card.files) and not (card.place or card.embedded):
        found.append("files are named but no place for them")
    if card.embedded:
        found += _embedded_problems(card)
    if problem_of_id(card.id):
        found.append(f"the id {problem_of_id(card.id)}")
    if card.place and problem_of_place(card.place):
        found.append(f"the place {shown(card.place)} {problem_of_place(card.place)}")
    found += _path_problems(card)
    found += _host_problems(card)
    named = [one.name for one in card.channels]
    found += [
        f"the channel {one.name!r} may be replaced by {one.missing!r}, which is neither zeros nor another channel"
        for one in card.channels
        if one.missing and one.missing not in ("zeros", *(name for name in named if name != one.name))
    ]
    digits = {"md5": 32, "sha1": 40}
    found += [
        f"the {one.algorithm} of {one.of} has another length"
        for one in card.other_hashes
        if len(one.value) != digits[one.algorithm]
    ]
    found += [f"the source {one.urls[0]!r} is one file and save_as does not name it" for one in card.sources if _nameless(one)]
    return found


def _embedded_problems(card: ModelCard) -> list[str]:
    """What files that come with OncoSegment must, and must not, have."""
    found = []
    if card.origin != BUILT_IN:
        found.append("only rows of OncoSegment itself have files that come with it")
    if card.place or card.sources:
        found.append("files that come with OncoSegment are neither fetched nor put into the store")
    if not card.files or any(one.bytes is None or one.sha256 is None for one in card.files):
        found.append("each file that comes with OncoSegment has its size and its hash")
    return found


def _host_problems(card: ModelCard) -> list[str]:
    """Hosts of labels that the card does not have, twice of one label, or organs that our terminology does not know."""
    from OncoLib.terminology import structure

    labels, found = {one.name for one in card.labels}, []
    named = [one.label for one in card.hosts]
    for one in card.hosts:
        if one.label not in labels or named.count(one.label) > 1:
            found.append(f"there is a host for {one.label!r}; wanted one for a label of the card, once")
        for name in one.structures:
            try:
                structure(name)
            except InputError as error:
                found.append(f"the host of {one.label!r}: {error}")
    return found


def _nameless(source: Source) -> bool:
    return source.format == "file" and not source.save_as


def _path_problems(card: ModelCard) -> list[str]:
    """Paths of files, and folders of archives, that cannot be names below a folder on every usual system."""
    files = [*(one.path for one in card.files), *(one.save_as for one in card.sources if one.save_as)]
    folders = [one.root for one in card.sources if one.root]
    problems = [(path, problem_of_name(path, DEEPEST_FILE)) for path in (*files, *folders)]
    problems += [(path, "ends with a slash") for path in files if path.endswith("/")]
    return [f"the path {shown(path)} {problem}; wanted a plain relative path" for path, problem in problems if problem]


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

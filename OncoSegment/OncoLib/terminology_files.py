"""Slicer's terminology context files: our structures as `.term.json` and region lists, and anybody's read back.

Format: the lists in Slicer's Modules/Loadable/Terminologies/Resources and the dcmqi schemas
(QIICR/dcmqi, doc/schemas/segment-context-common-schema.json). Codes and colors only; a region list holds no color.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from OncoLib.errors import InputError, OutputError
from OncoLib.terminology import (
    CONTEXT,
    LEFT,
    REGION_CONTEXT,
    RIGHT,
    CodedConcept,
    Structure,
    TerminologyEntry,
)

SCHEMA_FOLDER = "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/"
TERM_SCHEMA = SCHEMA_FOLDER + "segment-context-schema.json#"
REGION_SCHEMA = SCHEMA_FOLDER + "anatomic-context-schema.json#"
"""Slicer tells the two kinds of file by exactly these addresses (vtkSlicerTerminologiesModuleLogic.cxx)."""

NO_COLOR = (127, 127, 127)
"""What Slicer shows for a type without a recommended color (vtkSlicerTerminologyType::INVALID_COLOR)."""

ANATOMICAL_STRUCTURE = ("SCT", "123037004")
"""Category whose types are places in the body, so that they serve as regions too."""


@dataclass(frozen=True)
class TermContext:
    """A category and type list: its name and one structure for each type and for each of its modifiers."""

    name: str
    structures: tuple[Structure, ...]


@dataclass(frozen=True)
class RegionContext:
    """A list of anatomic regions: its name and each region with the modifiers that it allows."""

    name: str
    regions: tuple[tuple[CodedConcept, tuple[CodedConcept, ...]], ...]


def term_json(structures: Iterable[Structure], *, name: str = CONTEXT) -> dict:
    """Content of a `.term.json`: categories and types in the order of the structures, equal types once.

    A type takes label and color of the first structure that is nothing but this type; structures that
    carry a region add the type only, their region belongs into `region_json`.
    """
    groups: dict[tuple, list[Structure]] = {}
    for row in structures:
        groups.setdefault(_code_key(row.entry.category), []).append(row)
    categories = [_category_json(rows) for rows in groups.values()]
    return {
        "SegmentationCategoryTypeContextName": name,
        "@schema": TERM_SCHEMA,
        "SegmentationCodes": {"Category": categories},
    }


def _code_key(code: CodedConcept) -> tuple[str, str]:
    return (code.scheme, code.value)


def _category_json(rows: list[Structure]) -> dict:
    types: dict[tuple, list[Structure]] = {}
    for row in rows:
        types.setdefault(_code_key(row.entry.type), []).append(row)
    category = rows[0].entry.category
    # Slicer offers a region beside the type only where a region adds something: not for a place in the body.
    shows_region = _code_key(category) != ANATOMICAL_STRUCTURE
    return {**_code_json(category), "showAnatomy": shows_region, "Type": [_type_json(same) for same in types.values()]}


def _type_json(rows: list[Structure]) -> dict:
    plain = [row for row in rows if row.entry.region is None and row.entry.type_modifier is None]
    values = _code_json(rows[0].entry.type)
    if plain:
        values["3dSlicerLabel"] = plain[0].id
    values["recommendedDisplayRGBValue"] = list((plain or rows)[0].color)
    modifiers = _modifiers(rows, plain)
    if modifiers:
        values["Modifier"] = [{**_code_json(code), "recommendedDisplayRGBValue": color} for code, color in modifiers]
    return values


def _modifiers(rows: list[Structure], plain: list[Structure]) -> list[tuple[CodedConcept, list[int]]]:
    found = [(row.entry.type_modifier, list(row.color)) for row in rows if row.entry.type_modifier]
    found += [(side, list(row.color)) for row in plain if row.paired for side in (RIGHT, LEFT)]
    first: dict[tuple, tuple] = {}
    for code, color in found:
        first.setdefault(_code_key(code), (code, color))
    return list(first.values())


def region_json(structures: Iterable[Structure], *, name: str = REGION_CONTEXT) -> dict:
    """Content of a region list: every region that a structure names, and every structure that is a place itself."""
    regions: dict[tuple, dict] = {}
    for row in structures:
        entry = row.entry
        place = entry.region
        if place is None and _code_key(entry.category) == ANATOMICAL_STRUCTURE:
            place = entry.type
        if place is None:
            continue
        values = regions.setdefault(_code_key(place), _code_json(place))
        sides = [RIGHT, LEFT] if row.paired else []
        for modifier in [entry.region_modifier, *sides]:
            _add_modifier(values, modifier)
    return {
        "AnatomicContextName": name,
        "@schema": REGION_SCHEMA,
        "AnatomicCodes": {"AnatomicRegion": list(regions.values())},
    }


def _add_modifier(values: dict, modifier: CodedConcept | None) -> None:
    if modifier is not None and _code_json(modifier) not in values.setdefault("Modifier", []):
        values["Modifier"].append(_code_json(modifier))


def _code_json(code: CodedConcept) -> dict:
    return {"CodingSchemeDesignator": code.scheme, "CodeValue": code.value, "CodeMeaning": code.meaning}


def write_context(path: Path, content: dict) -> None:
    """Writes `term_json` or `region_json` whole or not at all, the same bytes on every machine; else OutputError."""
    path = Path(path)
    half = path.with_name(path.name + ".part")
    try:
        half.write_bytes(context_text(content).encode("utf-8"))
        os.replace(half, path)
    except OSError as cause:
        half.unlink(missing_ok=True)
        raise OutputError(f"{path.name} could not be written: {cause.strerror}") from cause


def context_text(content: dict) -> str:
    """The JSON text of a context file, ending in a line feed."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def read_term_json(path: Path) -> TermContext:
    """Reads a category and type list, Slicer's own too; a type listed twice counts once.

    Raises InputError with the file's name when it is no such list. Types without a color get `NO_COLOR`.
    """
    content = _content(path, "segment-context-schema.json", "a category and type list")
    rows: dict[tuple, Structure] = {}
    with _naming(path):
        for category in content["SegmentationCodes"]["Category"]:
            for kind in category["Type"]:
                for row in _rows_of_type(category, kind, Path(path).name):
                    rows.setdefault(row.entry.key(), row)
        return TermContext(content["SegmentationCategoryTypeContextName"], _with_own_ids(rows.values()))


def read_region_json(path: Path) -> RegionContext:
    """Reads a list of anatomic regions, Slicer's own too; one listed twice counts once. Errors as `read_term_json`."""
    content = _content(path, "anatomic-context-schema.json", "a list of anatomic regions")
    regions: dict[tuple, tuple] = {}
    with _naming(path):
        for region in content["AnatomicCodes"]["AnatomicRegion"]:
            code = _code_of(region)
            modifiers = tuple(_code_of(modifier) for modifier in region.get("Modifier", ()))
            regions.setdefault(_code_key(code), (code, modifiers))
        return RegionContext(content["AnatomicContextName"], tuple(regions.values()))


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turns what a wrong file raises into one InputError that names the file."""
    name = Path(path).name
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as cause:
        raise InputError(f"{name} is no terminology list: {cause!r} is missing or of the wrong kind") from cause
    except InputError as cause:
        raise InputError(f"{name}: {cause}") from cause


def _content(path: Path, schema: str, wanted: str) -> dict:
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as cause:
        raise InputError(f"{path.name} cannot be read: {cause.strerror}") from cause
    except ValueError as cause:
        raise InputError(f"{path.name} is not JSON; wanted {wanted}") from cause
    found = content.get("@schema") if isinstance(content, dict) else None
    if not isinstance(found, str) or not found.rstrip("#").endswith(schema):
        raise InputError(f"{path.name} has @schema {found!r}; wanted {wanted} ({schema})")
    return content


def _code_of(values: dict) -> CodedConcept:
    return CodedConcept(values["CodingSchemeDesignator"], values["CodeValue"], values["CodeMeaning"])


def _rows_of_type(category: dict, kind: dict, file_name: str) -> list[Structure]:
    modifiers = kind.get("Modifier", [])
    sides = {(RIGHT.scheme, RIGHT.value), (LEFT.scheme, LEFT.value)}
    paired = sides <= {_code_key(_code_of(modifier)) for modifier in modifiers}
    entry = TerminologyEntry(_code_of(category), _code_of(kind))
    label = kind.get("3dSlicerLabel") or entry.type.meaning
    rows = [Structure(_id(label), entry.type.meaning, entry, _color(kind), file_name, paired=paired)]
    for modifier in modifiers:
        code = _code_of(modifier)
        sided = TerminologyEntry(entry.category, entry.type, code)
        name = f"{code.meaning} {entry.type.meaning}"
        color = _color(modifier, _color(kind))
        rows.append(Structure(_id(f"{rows[0].id} {code.meaning}"), name, sided, color, file_name))
    return rows


def _id(text: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return words if words[:1].isalpha() else f"type_{words}"


def _color(values: dict, default: tuple = NO_COLOR) -> tuple:
    return tuple(int(part) for part in values.get("recommendedDisplayRGBValue", default))


def _with_own_ids(rows: Iterable[Structure]) -> tuple[Structure, ...]:
    """Adds the code value to an id that an earlier row has: lists word different codes alike."""
    taken: dict[str, Structure] = {}
    for row in rows:
        own = row.id if row.id not in taken else f"{row.id}_{_id(row.entry.type.value).removeprefix('type_')}"
        count = 2
        while own in taken:
            own, count = f"{row.id}_{count}", count + 1
        taken[own] = replace(row, id=own)
    return tuple(taken.values())

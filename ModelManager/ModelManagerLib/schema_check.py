"""The part of JSON Schema that our schemas use, checked with the standard library alone.

Slicer brings no JSON Schema library, and a user's own catalogue is checked wherever the program runs. The tests hold
this check against the library `jsonschema` on the same schema and the same broken documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}

KNOWN = {
    "$defs", "$id", "$ref", "$schema", "additionalProperties", "description", "enum", "items", "maxItems", "maxLength",
    "minItems", "minLength", "minimum", "pattern", "properties", "propertyNames", "required", "title", "type",
    "uniqueItems",
}  # fmt: skip
"""Keywords that are understood; a schema with another one is refused instead of being half checked."""


def problems(value: object, schema: dict, root: dict | None = None, place: str = "") -> Iterator[str]:
    """One sentence for each fault of `value`, each with its place such as "cards[3].sources[0].sha256".

    root: the document that `$ref` ("#/$defs/...") points into; by default the schema itself. ValueError for a schema
    that uses another keyword than KNOWN.
    """
    root = schema if root is None else root
    unknown = schema.keys() - KNOWN
    if unknown:
        raise ValueError(f"the schema uses {', '.join(sorted(unknown))}, which this check does not know")
    if "$ref" in schema:
        yield from problems(value, _referenced(schema["$ref"], root), root, place)
    if "type" in schema and not _is_of_type(value, schema["type"]):
        yield f"{place or 'the file'} is {_shown(value)}; wanted {_types(schema['type'])}"
        return
    if "enum" in schema and not any(value == one and type(value) is type(one) for one in schema["enum"]):
        yield f"{place or 'the file'} is {_shown(value)}; wanted one of {', '.join(map(str, schema['enum']))}"
    if isinstance(value, str):
        yield from _text_problems(value, schema, place)
    elif isinstance(value, dict):
        yield from _object_problems(value, schema, root, place)
    elif isinstance(value, list):
        yield from _array_problems(value, schema, root, place)
    elif _is_of_type(value, "number") and value < schema.get("minimum", value):
        yield f"{place} is {value}; wanted at least {schema['minimum']}"


def _referenced(reference: str, root: dict) -> dict:
    found = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def _is_of_type(value: object, wanted: str | list[str]) -> bool:
    """JSON's own types; true and false are no numbers, and 3.0 is an integer, as in JSON Schema."""
    if isinstance(wanted, list):
        return any(_is_of_type(value, one) for one in wanted)
    if wanted == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if wanted == "integer":
        return _is_of_type(value, "number") and float(value).is_integer()
    return isinstance(value, TYPES[wanted])


def _types(wanted: str | list[str]) -> str:
    return " or ".join(wanted) if isinstance(wanted, list) else wanted


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _text_problems(value: str, schema: dict, place: str) -> Iterator[str]:
    if len(value) < schema.get("minLength", 0):
        yield f"{place} is empty; wanted at least {schema['minLength']} characters"
    if len(value) > schema.get("maxLength", len(value)):
        yield f"{place} has {len(value)} characters; at most {schema['maxLength']} are allowed"
    # In JSON Schema `$` is the very end of a text; in Python it also stands before a last line break.
    if "pattern" in schema and not re.search(re.sub(r"\$$", r"\\Z", schema["pattern"]), value):
        yield f"{place} is {_shown(value)}, which does not fit the pattern {schema['pattern']}"


def _object_problems(value: dict, schema: dict, root: dict, place: str) -> Iterator[str]:
    known, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{place or 'the file'} has no {name!r}"
    for name, part in value.items():
        where = f"{place}.{name}" if place else str(name)
        yield from problems(name, schema.get("propertyNames", {}), root, f"the name {name!r} in {place or 'the file'}")
        if name in known:
            yield from problems(part, known[name], root, where)
        elif rest is False:
            yield f"{where} is not known; wanted {', '.join(known)}"
        elif isinstance(rest, dict):
            yield from problems(part, rest, root, where)


def _array_problems(value: list, schema: dict, root: dict, place: str) -> Iterator[str]:
    if len(value) < schema.get("minItems", 0) or len(value) > schema.get("maxItems", len(value)):
        yield f"{place} has {len(value)} items; wanted {schema.get('minItems', 0)} to {schema.get('maxItems', 'any number')}"
    if schema.get("uniqueItems") and any(one in value[:index] for index, one in enumerate(value)):
        yield f"{place} names one thing twice"
    for index, item in enumerate(value):
        yield from problems(item, schema.get("items", {}), root, f"{place}[{index}]")

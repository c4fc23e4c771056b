"""The values of a reader's acts, each with the check that it must pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from LongitudinalCompareLib.timepoint import day_and_time
from OncoLib.errors import InputError

LONGEST_TEXT = 200
SAME_MM = 1e-6
"""Slack of computed lengths against each other: rounding, nothing that could be seen."""


@dataclass(frozen=True)
class Value:
    """One value of an act. wanted: what it must be, for a sentence. read: gives it as it is kept; ValueError or TypeError
    otherwise. words: those it may have, () for no list. required: the act says nothing without it."""

    wanted: str
    read: Callable[[object], object]
    words: tuple[str, ...] = ()
    required: bool = False


def number(unit: str, *, above: bool = False, required: bool = False) -> Value:
    """Of 0 or more, or above 0."""

    def read(value) -> float:
        found = real(value)
        if found < 0 or (above and found == 0):
            raise ValueError(value)
        return found

    return Value(f"a number {'above 0' if above else 'of 0 or more'} ({unit})", read, required=required)


def real(value) -> float:
    """A finite number; no text and no true or false."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)


def word(allowed: Sequence[str], *, required: bool = False) -> Value:
    """One of these, in small or capital letters."""
    by_small = {one.casefold(): one for one in allowed}

    def read(value) -> str:
        return by_small[value.strip().casefold()] if isinstance(value, str) else _no(value)

    return Value("one of: " + ", ".join(one or '""' for one in allowed), read, tuple(allowed), required)


def text(*, required: bool = False, wanted: str = "") -> Value:
    """Any words on one line."""

    def read(value) -> str:
        found = " ".join(value.split()) if isinstance(value, str) else _no(value)
        return found if len(found) <= LONGEST_TEXT and (found or not required) else _no(value)

    return Value(wanted or f"a text of {LONGEST_TEXT} letters at most", read, required=required)


def truth(*, required: bool = False) -> Value:
    """true or false."""
    return Value("true or false", lambda value: value if isinstance(value, bool) else _no(value), required=required)


def day() -> Value:
    """A date."""
    return Value("a date as YYYY-MM-DD", lambda value: day_and_time(value)[0] if isinstance(value, str) else _no(value))


def point(*, required: bool = False) -> Value:
    """Three coordinates."""
    return Value("three numbers R, A, S (mm)", point_of, required=required)


def point_of(value) -> tuple[float, float, float]:
    """R, A, S in mm; ValueError for anything else."""
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        raise ValueError(value)
    return tuple(real(one) for one in value)


def line() -> Value:
    """Two points apart."""

    def read(value):
        ends = tuple(point_of(one) for one in value) if isinstance(value, (list, tuple)) and len(value) == 2 else _no(value)
        return ends if 0 < math.dist(*ends) < math.inf else _no(value)

    return Value("two points apart, each three numbers R, A, S (mm)", read)


def uptakes() -> Value:
    """Lesions of a PET: name, peak_sul and, where it was measured, glycolysis_ml; each name once."""
    parts = {"name": text(required=True), "peak_sul": number("SUL", required=True), "glycolysis_ml": number("ml")}

    def read(value) -> tuple[dict, ...]:
        found = tuple(_parts_of(one, parts) for one in value) if isinstance(value, (list, tuple)) else _no(value)
        return found if len({one["name"] for one in found}) == len(found) else _no(value)

    return Value("a list of lesions, each once, with name, peak_sul and, where measured, glycolysis_ml", read, required=True)


def names() -> Value:
    """A list of names, each once."""

    def read(value) -> tuple[str, ...]:
        found = tuple(text(required=True).read(one) for one in value) if isinstance(value, (list, tuple)) else _no(value)
        return found if len(set(found)) == len(found) else _no(value)

    return Value("a list of names, each once", read)


def places() -> Value:
    """Places in a list, from 1, each once."""

    def read(value) -> tuple[int, ...]:
        found = tuple(value) if isinstance(value, (list, tuple)) else _no(value)
        whole = all(isinstance(one, int) and not isinstance(one, bool) and one > 0 for one in found)
        return found if whole and len(set(found)) == len(found) else _no(value)

    return Value("a list of whole numbers above 0, each once", read)


def _parts_of(value, parts: Mapping[str, Value]) -> dict:
    if not isinstance(value, Mapping) or value.keys() - parts.keys():
        raise ValueError(value)
    given = {name: one for name, one in value.items() if one is not None}
    if any(part.required and name not in given for name, part in parts.items()):
        raise ValueError(value)
    return {name: part.read(given[name]) for name, part in parts.items() if name in given}


def _no(value):
    raise ValueError(value)


def checked(values: Mapping[str, object], fields: Mapping[str, Value]) -> dict:
    """The values as they are kept, in the order of `fields`; null is "not said". InputError names the first that is wrong."""
    if not isinstance(values, Mapping):
        raise InputError(f"values is {short(values)}; wanted names and values")
    given = {name: one for name, one in values.items() if one is not None}
    strange = [name for name in given if name not in fields]
    if strange:
        raise InputError(f"{short(strange[0])} is no value of it; wanted {', '.join(fields) or 'none'}")
    found = {}
    for name, field in fields.items():
        if name not in given and field.required:
            raise InputError(f"{name} is missing; wanted {field.wanted}")
        if name in given:
            found[name] = _read(name, given[name], field)
    return found


def _read(name: str, value, field: Value):
    try:
        return field.read(value)
    except (ValueError, TypeError, KeyError, OverflowError, InputError) as cause:
        raise InputError(f"{name} is {short(value)}; wanted {field.wanted}") from cause


def when_of(value) -> str:
    """A date with its time, where it has one, as `Timepoint.when`; "" for "". InputError for anything else."""
    if value == "":
        return ""
    if not isinstance(value, str):
        raise InputError(f"{short(value)} is no date; wanted YYYY-MM-DD, with THH:MM where a date comes twice")
    return " ".join(day_and_time(value)).rstrip()


def text_of(value, what: str) -> str:
    """A name or text on one line; InputError for none."""
    return _read(what, value, text(required=True))


def moment_of(value) -> str:
    """An ISO 8601 time as it stands, "" for ""; InputError otherwise."""
    try:
        if value:
            datetime.fromisoformat(value[:-1] + "+00:00" if value.endswith("Z") else value)
    except (ValueError, TypeError, AttributeError) as cause:
        raise InputError(f"when is {short(value)}; wanted a time as in 2026-03-02T14:30:00+00:00") from cause
    return value or ""


def short(value) -> str:
    """A value that was found, as long as a sentence bears."""
    told = repr(value)
    return told if len(told) <= 48 else f"{told[:44]} ..."


def plain_values(values: Mapping[str, object]) -> dict:
    """JSON-ready: tuples become lists."""
    return {name: _plain(one) for name, one in values.items()}


def _plain(value):
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return {name: _plain(one) for name, one in value.items()} if isinstance(value, Mapping) else value

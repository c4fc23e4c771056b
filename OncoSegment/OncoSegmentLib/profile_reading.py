"""Reads a profile file and says of everything wrong with it on which line it stands."""

from __future__ import annotations

import re
from pathlib import Path

from OncoLib.errors import InputError
from OncoLib.terminology import CodedConcept, Structure, TerminologyEntry, structure
from OncoSegmentLib.line_numbers import Lines, parse_json, parse_yaml
from OncoSegmentLib.profiles import Profile, Rule, Step, builtin_folder

STEP_VALUES = {
    "closing": ("mm",),
    "opening": ("mm",),
    "dilation": ("mm",),
    "erosion": ("mm",),
    "median": ("voxels",),
    "fill_holes": ("in",),
    "islands": ("keep", "min_ml", "median"),
    "join": ("structure",),
    "near": ("structure", "mm"),
    "limit": ("range",),
}
"""The operations and the keys each may have."""

MODALITIES = ("CT", "MR", "PT", "NM")
FILL_CHOICES = ("axial", "slices", "volume")
PROFILE_KEYS = ("id", "title", "modality", "units", "description", "note", "body_mask", "structures")
RULE_KEYS = ("structure", "range", "alone", "kind", "steps", "note")
BODY_KEYS = ("above", "steps")
INLINE_KEYS = ("id", "name", "category", "type", "region", "color")
MAX_BYTES = 1_000_000


def read_profile(path: Path) -> Profile:
    """The profile in a file; InputError with one line a problem, each `file:line: what is wrong`."""
    path = Path(path)
    profile, problems = check_profile(path)
    if problems:
        raise InputError("\n".join(problems))
    return profile


def check_profile(path: Path) -> tuple[Profile | None, list[str]]:
    """The profile (None when it is unusable) and all problems, each `file:line: sentence`."""
    path = Path(path)
    try:
        value, lines = _parse(path)
    except InputError as error:
        return None, [str(error)]
    reader = _Reader(path, lines)
    profile = reader.profile(value)
    return (None if reader.problems else profile), reader.problems


def _parse(path: Path) -> tuple[object, Lines]:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path.name}: {size} bytes is too large for a profile; wanted at most {MAX_BYTES}")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"{path.name}: no such profile file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name}: not a text file in UTF-8") from error
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read ({error.strerror})") from error
    return parse_json(text, path.name) if path.suffix.lower() == ".json" else parse_yaml(text, path.name)


class _Reader:
    """Turns parsed values into a `Profile` and collects what is wrong on the way."""

    def __init__(self, path: Path, lines: Lines) -> None:
        self.path, self.lines, self.problems = path, lines, []

    def wrong(self, where: tuple, message: str) -> None:
        known = where
        while known and known not in self.lines:
            known = known[:-1]
        self.problems.append(f"{self.path.name}:{self.lines.get(known, 1)}: {message}")

    def profile(self, value) -> Profile | None:
        if not isinstance(value, dict):
            return self.wrong((), f"a profile is an object with {', '.join(PROFILE_KEYS)}; found {_kind(value)}")
        self.only_keys(value, (), PROFILE_KEYS)
        identity = self.text(value, (), "id")
        builtin = self.path.resolve().parent == builtin_folder()
        if identity and not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,40}", identity):
            self.wrong(("id",), f"id {identity!r}: wanted lower-case letters, digits, - and _")
        elif identity and not builtin and (builtin_folder() / f"{identity}.json").is_file():
            self.wrong(("id",), f"the profile id {identity!r} is taken by a built-in one; choose another id")
        modality = self.text(value, (), "modality")
        if modality and modality not in MODALITIES:
            self.wrong(("modality",), f"modality {modality!r}: wanted {', '.join(MODALITIES)}")
        body = value.get("body_mask")
        body_above, body_steps = self.body(body) if body is not None else (None, ())
        return Profile(
            id=identity,
            title=self.text(value, (), "title"),
            modality=modality,
            units=_units(self.text(value, (), "units")),
            description=self.text(value, (), "description", required=False),
            note=self.text(value, (), "note", required=False),
            rules=self.rules(value),
            body_above=body_above,
            body_steps=body_steps,
            path=self.path,
            builtin=builtin,
        )

    def body(self, value) -> tuple[float | None, tuple[Step, ...]]:
        where = ("body_mask",)
        if not isinstance(value, dict):
            self.wrong(where, f"body_mask is an object with {', '.join(BODY_KEYS)}; found {_kind(value)}")
            return None, ()
        self.only_keys(value, where, BODY_KEYS)
        above = value.get("above")
        if not _is_number(above):
            self.wrong((*where, "above"), f"above is a number; found {_kind(above)}")
        return above, self.steps(value, where, earlier=())

    def rules(self, value: dict) -> tuple[Rule, ...]:
        items = value.get("structures")
        if not isinstance(items, list) or not items:
            self.wrong(("structures",), "structures is a list of at least one structure")
            return ()
        rules: list[Rule] = []
        for position, item in enumerate(items):
            rule = self.rule(item, ("structures", position), tuple(rule.structure.id for rule in rules))
            if rule is not None:
                rules.append(rule)
        return tuple(rules)

    def rule(self, value, where: tuple, earlier: tuple[str, ...]) -> Rule | None:
        if not isinstance(value, dict):
            return self.wrong(where, f"a structure is an object with {', '.join(RULE_KEYS)}; found {_kind(value)}")
        self.only_keys(value, where, RULE_KEYS)
        found = self.structure(value.get("structure"), (*where, "structure"))
        low, high = self.range(value.get("range"), (*where, "range"))
        alone = value.get("alone", False)
        if not isinstance(alone, bool):
            self.wrong((*where, "alone"), f"alone is true or false; found {_kind(alone)}")
        steps = self.steps(value, where, earlier)
        if found is None:
            return None
        if found.id in earlier:
            self.wrong((*where, "structure"), f"structure {found.id!r} stands twice in this profile")
        kind = self.text(value, where, "kind", required=False) or "tissue"
        return Rule(found, low, high, bool(alone), kind, steps, self.text(value, where, "note", required=False))

    def structure(self, value, where: tuple) -> Structure | None:
        try:
            if isinstance(value, str):
                return structure(value)
            if isinstance(value, dict):
                self.only_keys(value, where, INLINE_KEYS)
                return _inline_structure(value)
        except InputError as error:
            return self.wrong(where, str(error))
        except (KeyError, TypeError, ValueError) as error:
            wanted = "id, name, category and type (each with scheme, value, meaning) and color (three of 0..255)"
            return self.wrong(where, f"this structure is incomplete ({error}); wanted {wanted}")
        return self.wrong(where, f"structure is the id of a known structure, or an object; found {_kind(value)}")

    def range(self, value, where: tuple) -> tuple[float, float]:
        if not (isinstance(value, list) and len(value) == 2 and all(_is_number(number) for number in value)):
            self.wrong(where, f"range is two numbers, [low, high]; found {_kind(value)}")
            return 0.0, 0.0
        if value[0] > value[1]:
            self.wrong(where, f"range [{value[0]}, {value[1]}] is upside down; wanted low first")
        return float(value[0]), float(value[1])

    def steps(self, value: dict, where: tuple, earlier: tuple[str, ...]) -> tuple[Step, ...]:
        items = value.get("steps", [])
        if not isinstance(items, list):
            self.wrong((*where, "steps"), f"steps is a list; found {_kind(items)}")
            return ()
        checked = (self.step(item, (*where, "steps", at), earlier) for at, item in enumerate(items))
        return tuple(step for step in checked if step is not None)

    def step(self, value, where: tuple, earlier: tuple[str, ...]) -> Step | None:
        op = value.get("op") if isinstance(value, dict) else None
        if not isinstance(op, str) or op not in STEP_VALUES:
            return self.wrong(where, f"a step has an op, one of {', '.join(STEP_VALUES)}; found {op!r}")
        values = {key: item for key, item in value.items() if key != "op"}
        self.only_keys(values, where, STEP_VALUES[op])
        problem = _step_problem(op, values, earlier)
        if problem:
            self.wrong(where, f"{op}: {problem}")
        return Step(op, values)

    def text(self, value: dict, where: tuple, key: str, required: bool = True) -> str:
        found = value.get(key, None if required else "")
        if not isinstance(found, str) or (required and not found.strip()):
            self.wrong((*where, key), f"{key} is {'a text' if found is None else 'a non-empty text'}; found {_kind(found)}")
            return ""
        return found

    def only_keys(self, value: dict, where: tuple, allowed: tuple[str, ...]) -> None:
        for key in value:
            if key not in allowed:
                self.wrong((*where, key), f"unknown key {key!r}; wanted {', '.join(allowed)}")


def _step_problem(op: str, values: dict, earlier: tuple[str, ...]) -> str:
    """What is wrong with the values of a step, "" when nothing is."""
    if op in ("closing", "opening", "dilation", "erosion", "near"):
        if not (_is_number(values.get("mm")) and 0 < values["mm"] <= 100):
            return "mm is a number over 0, at most 100"
    if op == "median":
        good = _is_whole(values.get("voxels")) and 1 <= values["voxels"] <= 5
        return "" if good else "voxels is a whole number from 1 to 5"
    if op == "fill_holes":
        return "" if values.get("in") in FILL_CHOICES else f"in is one of {', '.join(FILL_CHOICES)}"
    if op == "islands":
        return _islands_problem(values)
    if op in ("join", "near"):
        return "" if values.get("structure") in earlier else "structure is the id of one earlier in this profile"
    if op != "limit":
        return ""
    return "" if _is_range(values.get("range")) else "range is two numbers, low first"


def _islands_problem(values: dict) -> str:
    if set(values) == {"keep"}:
        keep = values["keep"]
        return "" if _is_whole(keep) and keep >= 1 else "keep is a whole number, 1 or more"
    if set(values) == {"min_ml"}:
        return "" if _is_number(values["min_ml"]) and values["min_ml"] > 0 else "min_ml is a number over 0"
    if set(values) == {"median"}:
        return "" if _is_range(values["median"]) else "median is two numbers, low first"
    return "wanted one of keep, min_ml, median"


def _inline_structure(value: dict) -> Structure:
    region = CodedConcept.from_dict(value["region"]) if "region" in value else None
    entry = TerminologyEntry(CodedConcept.from_dict(value["category"]), CodedConcept.from_dict(value["type"]), region=region)
    color = tuple(value["color"])
    if len(color) != 3 or not all(isinstance(part, int) and 0 <= part <= 255 for part in color):
        raise ValueError(f"color {list(color)}")
    if not isinstance(value["name"], str) or not re.fullmatch(r"[a-z0-9_]+", value["id"]):
        raise ValueError("id is lower-case letters, digits and _")
    return Structure(id=value["id"], name=value["name"], entry=entry, color=color, note="", source="user profile")


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9


def _is_whole(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _units(text: str) -> str:
    """ "HU" however it is written."""
    return "HU" if text.strip().upper() == "HU" else text.strip()


def _is_range(value) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)) and value[0] <= value[1]


def _kind(value) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), repr(value))

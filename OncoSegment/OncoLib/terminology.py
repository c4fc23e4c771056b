"""Coded names: DICOM code triples, terminology entries, Slicer's segment tag, and our table of structures.

The tag is the text that Slicer keeps in a segment's `TerminologyEntry` tag: seven parts joined by `~`
(context, category, type, type modifier, region context, region, region modifier), each code being
`scheme^value^meaning` and `^^` where absent. Source: Slicer developer guide, page "Segmentations", and
vtkSlicerTerminologiesModuleLogic (Serialize/DeserializeTerminologyEntry), against which the tests run.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from OncoLib.errors import InputError
from OncoLib.resources import resource_path

CONTEXT = "OncoSegment"
"""Name of our category and type list in a tag and in `OncoSegment.term.json`."""

REGION_CONTEXT = "OncoSegment anatomic regions"
"""Name of our list of regions in a tag and in `OncoSegment.region.json`."""

MAX_CHARACTERS = {"scheme": 16, "value": 16, "meaning": 64}
"""DICOM PS3.5 table 6.2-1: SH (scheme designator, value) has 16 characters, LO (meaning) has 64."""

SEPARATORS = "~^|\\"
"""Unusable in a code: `~` and `^` split the tag, `|` splits the tags of a .seg.nrrd, `\\` splits DICOM values."""

SIDES = ("right", "left")


@dataclass(frozen=True)
class CodedConcept:
    """A DICOM code triple. `==` compares all three texts, `same_code` ignores the meaning."""

    scheme: str
    value: str
    meaning: str

    def __post_init__(self) -> None:
        for part, limit in MAX_CHARACTERS.items():
            _check_code_text(part, getattr(self, part), limit)

    def same_code(self, other: CodedConcept) -> bool:
        """True when scheme and value agree: the same concept, however it is worded."""
        return (self.scheme, self.value) == (other.scheme, other.value)

    def as_dict(self) -> dict:
        """JSON-ready copy."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> CodedConcept:
        """The code that `as_dict` wrote; InputError when a part is missing."""
        if not isinstance(values, dict) or not MAX_CHARACTERS.keys() <= values.keys():
            raise InputError(f"{values!r} is no code; wanted scheme, value and meaning")
        return cls(values["scheme"], values["value"], values["meaning"])


def _check_code_text(part: str, text: object, limit: int) -> None:
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"the {part} of a code is {text!r}; wanted a text that is not empty")
    if len(text) > limit:
        raise InputError(f"the {part} of code {text!r} has {len(text)} characters; DICOM allows {limit}")
    if any(sign in SEPARATORS or unicodedata.category(sign) in ("Cc", "Cs") for sign in text):
        raise InputError(f"the {part} of code {text!r} has a control character or one of {SEPARATORS}")


TISSUE = CodedConcept("SCT", "85756007", "Tissue")
ABNORMAL = CodedConcept("SCT", "49755003", "Morphologically Abnormal Structure")
"""Category of lesions in our table; as all codes there, from the code dictionary of pydicom."""

RIGHT = CodedConcept("SCT", "24028007", "Right")
LEFT = CodedConcept("SCT", "7771000", "Left")

ENTRY_PARTS = ("category", "type", "type_modifier", "region", "region_modifier")


@dataclass(frozen=True)
class TerminologyEntry:
    """What a segment is: category and type, each with what narrows it down, and where it lies."""

    category: CodedConcept
    type: CodedConcept
    type_modifier: CodedConcept | None = None
    region: CodedConcept | None = None
    region_modifier: CodedConcept | None = None

    def __post_init__(self) -> None:
        if self.region_modifier is not None and self.region is None:
            raise InputError(f"{self.type.meaning!r} has region modifier {self.region_modifier.meaning!r}, no region")

    def same_codes(self, other: TerminologyEntry) -> bool:
        """True when all five parts carry the same codes, meanings ignored."""
        return self.key() == other.key()

    def key(self) -> tuple:
        """Scheme and value of the five parts (None where absent): equal for entries that mean the same."""
        parts = [getattr(self, name) for name in ENTRY_PARTS]
        return tuple(part and (part.scheme, part.value) for part in parts)

    def as_dict(self) -> dict:
        """JSON-ready copy; absent parts are left out."""
        parts = {name: getattr(self, name) for name in ENTRY_PARTS}
        return {name: part.as_dict() for name, part in parts.items() if part is not None}

    @classmethod
    def from_dict(cls, values: dict) -> TerminologyEntry:
        """The entry that `as_dict` wrote; InputError when category or type is missing."""
        if not isinstance(values, dict) or not values.get("category") or not values.get("type"):
            raise InputError(f"{values!r} is no terminology entry; wanted category and type")
        return cls(**{name: CodedConcept.from_dict(values[name]) for name in ENTRY_PARTS if values.get(name)})


@dataclass(frozen=True)
class Structure:
    """One row of our table. color: sRGB, 0..255. source: where code and color are published.

    paired: it has a right and a left one, so that `with_side` applies. note: what a reader should know of the code.
    """

    id: str
    name: str
    entry: TerminologyEntry
    color: tuple[int, int, int]
    source: str
    note: str = ""
    paired: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.id):
            raise InputError(f"structure id {self.id!r}; wanted small letters, digits and underscores")
        if not self.name.strip() or not self.source.strip():
            raise InputError(f"structure {self.id!r} has name {self.name!r}, source {self.source!r}; wanted both")
        if len(self.color) != 3 or not all(type(part) is int and 0 <= part <= 255 for part in self.color):
            raise InputError(f"structure {self.id!r} has color {self.color!r}; wanted three integers 0..255")


def candidate_entry() -> TerminologyEntry:
    """Tissue, nothing more: for voxels picked by their HU alone, which may not carry an organ's code."""
    return TerminologyEntry(TISSUE, TISSUE)


def is_lesion(entry: TerminologyEntry) -> bool:
    """True when the category is that of lesions: a morphologically abnormal structure."""
    return entry.category.same_code(ABNORMAL)


def serialize_tag(entry: TerminologyEntry, *, context: str = CONTEXT, region_context: str = REGION_CONTEXT) -> str:
    """Slicer's seven-part tag; the region context is empty when the entry has no region."""
    codes = {name: _code_text(getattr(entry, name)) for name in ENTRY_PARTS}
    place = region_context if entry.region else ""
    parts = (context, codes["category"], codes["type"], codes["type_modifier"], place)
    return "~".join((*parts, codes["region"], codes["region_modifier"]))


def _code_text(code: CodedConcept | None) -> str:
    return "^".join((code.scheme, code.value, code.meaning)) if code else "^^"


def parse_tag(text: str) -> TerminologyEntry:
    """The entry in a tag, whichever context it names; InputError when category or type is missing or a part is torn."""
    parts = text.split("~")
    if len(parts) != 7:
        raise InputError(f"terminology tag {text!r} has {len(parts)} parts; wanted 7 separated by ~")
    _, category, kind, modifier, _, region, region_modifier = parts
    codes = [_code_of(part, text) for part in (category, kind, modifier, region, region_modifier)]
    if codes[0] is None or codes[1] is None:
        raise InputError(f"terminology tag {text!r} names no category or no type; wanted both")
    return TerminologyEntry(*codes)


def _code_of(part: str, text: str) -> CodedConcept | None:
    if part in ("", "^^"):
        return None
    texts = part.split("^")
    if len(texts) != 3:
        raise InputError(f"part {part!r} of terminology tag {text!r} is no code; wanted scheme^value^meaning")
    return CodedConcept(*texts)


def with_side(found: Structure, side: str) -> Structure:
    """The right or left one of a paired structure; InputError for any other structure or side.

    The side modifies the type (right kidney), or the region where the entry has one (tissue of the right kidney).
    """
    if side not in SIDES:
        raise InputError(f"side {side!r} of {found.name!r}; wanted right or left")
    if not found.paired:
        raise InputError(f"{found.name!r} has no {side} one; a side applies to paired structures only")
    place = "region_modifier" if found.entry.region else "type_modifier"
    entry = replace(found.entry, **{place: RIGHT if side == "right" else LEFT})
    name = f"{side.capitalize()} {found.name[0].lower()}{found.name[1:]}"
    return replace(found, id=f"{found.id}_{side}", name=name, entry=entry, paired=False)


@lru_cache(maxsize=1)
def structures() -> tuple[Structure, ...]:
    """All structures of our table in its order, paired ones once, without side."""
    return read_structures(resource_path(__file__, "Terminology", "structures.json"))


@lru_cache(maxsize=1)
def _by_id() -> dict[str, Structure]:
    sided = (with_side(row, side) for row in structures() if row.paired for side in SIDES)
    return {row.id: row for row in (*structures(), *sided)}


def structure(structure_id: str) -> Structure:
    """The structure with this id, with side too ("kidney", "kidney_right"); InputError naming close ids."""
    if structure_id not in _by_id():
        close = difflib.get_close_matches(structure_id, _by_id(), n=3)
        hint = f"; close: {', '.join(close)}" if close else "; wanted an id such as liver, kidney_left or lesion"
        raise InputError(f"structure {structure_id!r} is unknown{hint}")
    return _by_id()[structure_id]


def known_structure(structure_id: str) -> Structure | None:
    """The same, or None for an unknown id: looking for close ones takes 4 ms, too long for a hundred labels of a model."""
    return _by_id().get(structure_id)


def find_structures(text: str) -> tuple[Structure, ...]:
    """Structures whose id, name, code or meaning contains every word of `text`, case ignored; all for an empty text."""
    words = text.casefold().split()
    return tuple(row for row in structures() if all(word in _search_text(row) for word in words))


def _search_text(row: Structure) -> str:
    codes = [code for code in (row.entry.type, row.entry.region) if code]
    words = [row.id, row.name, *(f"{code.value} {code.meaning}" for code in codes)]
    return " ".join(words).casefold()


@lru_cache(maxsize=1)
def _by_codes() -> dict[tuple, Structure]:
    first: dict[tuple, Structure] = {}
    for row in _by_id().values():
        first.setdefault(row.entry.key(), row)
    return first


def structure_of(entry: TerminologyEntry) -> Structure | None:
    """The first structure with these codes (meanings ignored), with side too; None when ours has none."""
    return _by_codes().get(entry.key())


def read_structures(path: Path) -> tuple[Structure, ...]:
    """Reads a table (`sources`, `codes`, `structures`, as our structures.json); InputError naming file and row."""
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
        rows = tuple(_structure_of_row(row, table, Path(path).name) for row in table["structures"])
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise InputError(f"{Path(path).name} is no table of structures: {cause!r}") from cause
    ids = [row.id for row in rows]
    twice = sorted({one for one in ids if ids.count(one) > 1})
    if twice:
        raise InputError(f"{Path(path).name} has {', '.join(twice)} more than once")
    return rows


def _structure_of_row(row: dict, table: dict, file_name: str) -> Structure:
    try:
        codes = {name: CodedConcept.from_dict(table["codes"][row[name]]) for name in ENTRY_PARTS if name in row}
        code_source = table["sources"][table["codes"][row["type"]]["source"]]
        source = f"code: {code_source}; color: {table['sources'][row['color_source']]}"
        entry, color = TerminologyEntry(**codes), tuple(row["color"])
        return Structure(row["id"], row["name"], entry, color, source, row.get("note", ""), row.get("paired", False))
    except (KeyError, TypeError) as cause:
        raise InputError(f"{file_name}, row {row!r}: {cause!r} is missing or of the wrong kind") from cause
    except InputError as cause:
        raise InputError(f"{file_name}, row {row.get('id')!r}: {cause}") from cause

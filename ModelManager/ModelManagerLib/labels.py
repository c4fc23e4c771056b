"""What a model's label means: from (engine, task, label) to a structure of our terminology, with its side.

Each engine has one table, `Resources/Labels/<engine>.json`. It is data and rules: no package is asked, so a label of
a package that is not installed is known, and a label that a newer package adds still gets a name that can be read.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import lru_cache

from OncoLib.resources import resource_path
from OncoLib.terminology import SIDES, Structure, known_structure, structure

NO_CODE = "No code is known for the label {label!r} of task {task!r}: it is tissue, told apart by its name."


def structure_of_label(engine: str, task: str, label: str) -> Structure:
    """The structure that `label` of `task` means, with its side where the label has one; never an error.

    engine: the expert's id ("totalsegmentator"). An unknown engine, task or label gives tissue with a readable name
    and the id "label_..."; its note, like that of a structure that has only a broader code, says so.
    """
    return _structure(engine, task, label)


def reason_without_code(engine: str, task: str, label: str) -> str:
    """What a reader should know of the label's code: why it is broader than the name, or absent; "" for a plain one."""
    return structure_of_label(engine, task, label).note


@lru_cache(maxsize=4096)
def _structure(engine: str, task: str, label: str) -> Structure:
    table = _table(engine)
    of_task = table.get("tasks", {}).get(task, {}).get(label, {})
    structure_id = of_task.get("structure") or _id_of_label(label, table)
    found = known_structure(structure_id) if structure_id else None
    if found is None:
        return _unknown(task, label)
    return replace(found, note=" ".join(text for text in (found.note, of_task.get("note", "")) if text))


def _id_of_label(label: str, table: dict) -> str | None:
    """Id of the structure: the label itself in the table, its name before a side, or a rule that fits all of it."""
    names = table.get("labels", {})
    if label in names:
        return names[label]
    stem, _, side = label.rpartition("_")
    if side in SIDES and stem in names:
        return f"{names[stem]}_{side}"
    for rule in table.get("rules", ()):
        match = re.fullmatch(rule["pattern"], label)
        if match:
            return rule["structure"].format(*match.groups()).lower()
    return None


def _unknown(task: str, label: str) -> Structure:
    """Tissue named after the label. Its id starts with "label_": no structure of the terminology does."""
    words = re.sub(r"[^a-z0-9]+", "_", label.casefold()).strip("_")
    note = NO_CODE.format(label=label, task=task)
    return replace(structure("tissue"), id=f"label_{words or 'unnamed'}", name=_readable(label), note=note)


def _readable(label: str) -> str:
    """ "foot_muscle_left" -> "Left foot muscle"; abbreviations keep their capitals."""
    words = re.sub(r"[\W_]+", " ", label).split()
    if len(words) > 1 and words[-1].casefold() in SIDES:
        words = [words[-1].casefold(), *words[:-1]]
    text = " ".join(words) or "Unnamed label"
    return text[:1].upper() + text[1:]


@lru_cache(maxsize=16)
def _table(engine: str) -> dict:
    """The engine's table; an empty one for an engine that has none."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", engine):
        return {}
    path = resource_path(__file__, "Labels", f"{engine}.json")
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

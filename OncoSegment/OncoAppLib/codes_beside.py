"""Where the names and codes of a plain label map are: in a JSON of ours beside it, which the user may not have known of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from OncoLib.errors import UncodedError
from OncoLib.image_files import suffix_of
from OncoLib.segmentation_files import FORMAT

LARGEST = 4 * 2**20
"""Bytes; a description of more than a hundred segments has a tenth of it."""

BY_OPTION = ("name the lesions with --lesion NAME", "take all with --all-segments")
"""Of commands that have these options."""

DEEP = 6
"""Levels of lists and records in which options hold files."""


def advised(error: UncodedError, options) -> str:
    """The sentence on codes that are missing, with what helps: the JSON that has them, and the options of the command."""
    told = to_give(options)
    if hasattr(options, "all_segments"):
        ways = [one for one in (told, *BY_OPTION) if one]
        return f"{error.what or error}; {', '.join(ways[:-1])}, or {ways[-1]}"
    return f"{error}; or {told}" if told else str(error)


def to_give(options) -> str:
    """Which JSON to give for which label map of a command; "" for none."""
    files = dict.fromkeys(paths_in(vars(options)))
    found = [f"{beside.name} in place of {path.name}" for path in files if (beside := description_of(path)) is not None]
    if not found:
        return ""
    return f"give {' and '.join(found)} ({'it has' if len(found) == 1 else 'they have'} the names and codes)"


def paths_in(value, deep: int = DEEP) -> Iterator[Path]:
    """All files that a command was given."""
    if isinstance(value, Path):
        yield value
    elif deep and isinstance(value, (Mapping, list, tuple)):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from paths_in(one, deep - 1)
    elif hasattr(value, "__dict__") and not callable(value):
        yield from paths_in(vars(value), deep)


def description_of(path: Path) -> Path | None:
    """The JSON of ours in the folder of a label map that names it; None where there is none, and for other files."""
    if not path.is_file() or not suffix_of(path) or path.name.lower().endswith(".seg.nrrd"):
        return None
    return next((one for one in sorted(path.parent.glob("*.json")) if names_it(one, path.name)), None)


def names_it(path: Path, name: str) -> bool:
    """True for a description with a label map of this name."""
    try:
        if path.stat().st_size > LARGEST:
            return False
        told = json.loads(path.read_text(encoding="utf-8"))
        return told["format"] == FORMAT and name in told["label_maps"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False

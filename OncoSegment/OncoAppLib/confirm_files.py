"""What `oncosegment confirm` reads and writes: a file of edits, and the files of a comparison that readers can change."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from OncoLib.errors import InputError, OutputError
from OncoLib.progress import CancelToken, Progress, silent

LARGEST_EDITS = 16 * 2**20
"""Bytes; a file of edits has some thousand lines, and what is larger is another file."""

ANEW = "`oncosegment compare --overwrite` with the scans makes it anew from {reading}"
STALE = "{name} still shows the comparison as it was before; the next act without --no-scene brings it up to date"
KEPT = f"{{why}}; it was left and still shows the comparison as it was before; {ANEW}"
NOT_MADE = f"{{why}}; it was not taken over; {ANEW}"
OF_BEFORE = "{name} in this folder is of the comparison that was there before, and was left"


def edits_of_file(path: Path, manual) -> tuple:
    """The acts of a file. manual: names of lesions that were entered by hand before. InputError naming the file."""
    from LongitudinalCompareLib.reading_template import edits_in

    values = json_of(path)
    try:
        found = edits_in(values, manual).acts
    except InputError as error:
        raise type(error)(f"{path.name}: {error}") from error
    if not found:
        empty = not (values["acts"] if isinstance(values, dict) else values)
        why = "it has no act; wanted one at least" if empty else "nothing is filled in yet: replace null in it by what you say"
        raise InputError(f"{path.name}: {why}")
    return found


def json_of(path: Path):
    """What a JSON file holds; InputError naming the file."""
    try:
        if path.stat().st_size > LARGEST_EDITS:
            raise InputError(f"{path.name}: it has more than {LARGEST_EDITS // 2**20} MB; wanted a file of edits")
        text = path.read_bytes().decode("utf-8-sig")
        return json.loads(text)
    except OSError as error:
        raise InputError(f"{path.name}: it cannot be read ({(error.strerror or 'refused').lower()})") from error
    except (ValueError, RecursionError) as error:
        at = f" ({place_of_fault(text, error)})" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{path.name}: it is no JSON{at}; wanted a list of acts, as --template prints one") from error


def place_of_fault(text: str, error: json.JSONDecodeError) -> str:
    """Line and column, from 1, and that it is a comma after the last entry where it is one: Python says so from 3.13 on, and
    until then points behind it."""
    before, at = text[: error.pos].rstrip(), error.pos
    if before.endswith(",") and text[error.pos : error.pos + 1] in ("]", "}"):
        at = len(before) - 1
    last = text[at : at + 1] == "," and text[at + 1 :].lstrip()[:1] in ("]", "}")
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    why = ": a comma stands behind the last entry, take it out" if last else ""
    return f"line {line}, column {column}{why}"


def folder_of(path: Path) -> Path:
    """Where the comparison lies that a user names by its file or its folder; InputError for anything else."""
    from LongitudinalCompareLib.scene.comparison_files import COMPARISON

    folder = path if path.is_dir() else path.parent
    if path.is_dir() or path.name == COMPARISON:
        if (folder / COMPARISON).is_file():
            return folder
    raise InputError(f"{path.name or path}: there is no comparison; wanted {COMPARISON} or the folder that holds it")


def state_in(folder: Path) -> tuple:
    """What tells whether somebody else wrote meanwhile; "" for a file that is not there. Bundles are too large for hashes."""
    from LongitudinalCompareLib.scene.comparison_files import COMPARISON, READING
    from OncoAppLib.compare_files import BUNDLE
    from OncoLib.audit import file_sha256

    told = [file_sha256(folder / name) if (folder / name).is_file() else "" for name in (COMPARISON, READING)]
    bundle = (folder / BUNDLE).stat() if (folder / BUNDLE).is_file() else None
    return (*told, bundle and (bundle.st_ino, bundle.st_size, bundle.st_mtime_ns))


@dataclass(frozen=True, eq=False)
class Now:
    """What is to be written. before: what readers had said. scene: the bundle follows too."""

    evidence: object
    after: object
    before: object
    scene: bool = True
    progress: Progress = silent
    cancel: CancelToken = field(default_factory=CancelToken)


def write(options, now: Now, found: tuple) -> dict:
    """Writes all files or none, in place (options.comparison is the folder) or into `--output`; returns `files` and `notes`.

    found: `state_in` when it was read. Raises OutputError, also when somebody else changed the comparison meanwhile.
    """
    folder, output = options.comparison, options.output
    if output is None or output.resolve() == folder.resolve():
        return write_in_place(folder, now, found)
    return write_anew(folder, output, now, options.overwrite)


def write_anew(source: Path, folder: Path, now: Now, overwrite: bool) -> dict:
    """The whole comparison. A bundle that is there already is replaced by one or left, never taken away: it holds scans."""
    from LongitudinalCompareLib.scene.comparison_files import check_folder, fill, old_names
    from OncoAppLib.compare_files import BUNDLE, PLOT, RESPONSE, TABLE
    from OncoLib.staged import staged_files

    if not overwrite:
        check_folder(folder)
    with staged_files(folder, overwrite=overwrite, family=(*old_names(folder), TABLE, RESPONSE, PLOT)) as staging:
        fill(staging, now.evidence, now.after)
        put_shown(staging, now.after, (TABLE, RESPONSE, PLOT))
        notes = put_scene(staging, source, now, NOT_MADE) if now.scene else ()
        if (folder / BUNDLE).is_file() and not (staging / BUNDLE).is_file():
            notes = (*notes, OF_BEFORE.format(name=BUNDLE))
        now.cancel.check()
        return told_of(staging, folder, notes)


def write_in_place(folder: Path, now: Now, found: tuple) -> dict:
    """What readers can change; the rest stays."""
    from LongitudinalCompareLib.scene.comparison_files import COMPARISON, READING
    from OncoAppLib.compare_files import BUNDLE, PLOT, RESPONSE, TABLE
    from OncoLib.segmentation_files import write_json
    from OncoLib.staged import staged_files

    notes = (STALE.format(name=BUNDLE),) if (folder / BUNDLE).is_file() else ()
    with staged_files(folder, overwrite=True) as staging:
        write_json(staging / READING, now.after.reading.as_dict())
        write_json(staging / COMPARISON, now.after.as_dict())
        put_shown(staging, now.after, [name for name in (TABLE, RESPONSE, PLOT) if (folder / name).is_file()])
        if now.scene:
            notes = put_scene(staging, folder, now, KEPT)
        if state_in(folder) != found:
            raise OutputError(f"{COMPARISON}: somebody else changed it meanwhile; nothing was written, run it again")
        now.cancel.check()
        return told_of(staging, folder, notes)


def put_scene(staging: Path, source: Path, now: Now, left: str) -> tuple[str, ...]:
    """The bundle of `source` with the comparison of now, where there is one; a note when it could not follow."""
    from LongitudinalCompareLib.scene.comparison_files import READING
    from LongitudinalCompareLib.scene.comparison_renewal import put_renewed
    from OncoAppLib.compare_files import BUNDLE

    if not (source / BUNDLE).is_file():
        return ()
    try:
        paths = staging / BUNDLE, source / BUNDLE
        put_renewed(*paths, now.after, now.evidence, now.before, progress=now.progress, cancel=now.cancel)
        return ()
    except InputError as error:
        why = str(error) if str(error).startswith(BUNDLE) else f"{BUNDLE}: {error}"
        return (left.format(why=why, reading=READING),)


def put_shown(folder: Path, comparison, names) -> None:
    """Tables and curves, those of them that are wanted."""
    from LongitudinalCompareLib.comparison_csv import comparison_csv
    from LongitudinalCompareLib.response_rows import response_csv
    from LongitudinalCompareLib.volume_plot import volume_plot
    from OncoAppLib.compare_files import PLOT, RESPONSE, TABLE

    if TABLE in names:
        (folder / TABLE).write_text(comparison_csv(comparison), encoding="utf-8", newline="")
    if RESPONSE in names:
        (folder / RESPONSE).write_text(response_csv(comparison), encoding="utf-8", newline="")
    if PLOT in names:
        volume_plot(comparison).save(folder / PLOT)


def told_of(staging: Path, folder: Path, notes: tuple[str, ...]) -> dict:
    """Paths of what was written."""
    return {"files": tuple(folder / path.name for path in sorted(staging.iterdir())), "notes": notes}

"""What `oncosegment confirm` reads and writes: a file of edits, and the files of a comparison that readers can change."""

from __future__ import annotations

import json
from pathlib import Path

from OncoLib.errors import InputError, OutputError

LARGEST_EDITS = 16 * 2**20
"""Bytes; a file of edits has some thousand lines, and what is larger is another file."""

STALE = (
    "{name} still shows the comparison as it was before; `oncosegment compare --overwrite` with the scans makes it anew, and"
    " keeps what readers said"
)


def edits_of_file(path: Path, manual) -> tuple:
    """The acts of a file. manual: names of lesions that were entered by hand before. InputError naming the file."""
    from LongitudinalCompareLib.reading_template import edits_in

    values = json_of(path)
    try:
        found = edits_in(values, manual).acts
    except InputError as error:
        raise type(error)(f"{path.name}: {error}") from error
    if not found:
        raise InputError(f"{path.name}: no act in it says anything; wanted one at least")
    return found


def json_of(path: Path):
    """What a JSON file holds; InputError naming the file."""
    try:
        if path.stat().st_size > LARGEST_EDITS:
            raise InputError(f"{path.name}: it has more than {LARGEST_EDITS // 2**20} MB; wanted a file of edits")
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path.name}: it cannot be read ({(error.strerror or 'refused').lower()})") from error
    except (ValueError, RecursionError) as error:
        at = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{path.name}: it is no JSON{at}; wanted a list of acts, as --template prints one") from error


def folder_of(path: Path) -> Path:
    """Where the comparison lies that a user names by its file or its folder; InputError for anything else."""
    from LongitudinalCompareLib.scene.comparison_files import COMPARISON

    folder = path if path.is_dir() else path.parent
    if path.is_dir() or path.name == COMPARISON:
        if (folder / COMPARISON).is_file():
            return folder
    raise InputError(f"{path.name or path}: there is no comparison; wanted {COMPARISON} or the folder that holds it")


def hashes_in(folder: Path) -> tuple[str, ...]:
    """What tells whether somebody else wrote meanwhile; "" for a file that is not there."""
    from LongitudinalCompareLib.scene.comparison_files import COMPARISON, READING
    from OncoLib.audit import file_sha256

    return tuple(file_sha256(folder / name) if (folder / name).is_file() else "" for name in (COMPARISON, READING))


def write(options, evidence, after, found: tuple[str, ...]) -> dict:
    """Writes all files or none, in place (options.comparison is the folder) or into `--output`; returns `files` and `notes`.

    found: `hashes_in` when it was read. Raises OutputError, also when somebody else changed the comparison meanwhile.
    """
    folder, output = options.comparison, options.output
    if output is None or output.resolve() == folder.resolve():
        return write_in_place(folder, after, found)
    return write_anew(output, evidence, after, options.overwrite)


def write_anew(folder: Path, evidence, after, overwrite: bool) -> dict:
    """The whole comparison."""
    from LongitudinalCompareLib.scene.comparison_files import check_folder, fill, old_names
    from OncoAppLib.compare_files import BUNDLE, PLOT, TABLE
    from OncoLib.staged import staged_files

    if not overwrite:
        check_folder(folder)
    with staged_files(folder, overwrite=overwrite, family=(*old_names(folder), TABLE, PLOT, BUNDLE)) as staging:
        fill(staging, evidence, after)
        put_shown(staging, after, (TABLE, PLOT))
        return told_of(staging, folder, ())


def write_in_place(folder: Path, after, found: tuple[str, ...]) -> dict:
    """What readers can change; the rest stays."""
    from LongitudinalCompareLib.scene.comparison_files import COMPARISON, READING
    from OncoAppLib.compare_files import BUNDLE, PLOT, TABLE
    from OncoLib.segmentation_files import write_json
    from OncoLib.staged import staged_files

    notes = (STALE.format(name=BUNDLE),) if (folder / BUNDLE).is_file() else ()
    with staged_files(folder, overwrite=True) as staging:
        write_json(staging / READING, after.reading.as_dict())
        write_json(staging / COMPARISON, after.as_dict())
        put_shown(staging, after, [name for name in (TABLE, PLOT) if (folder / name).is_file()])
        if hashes_in(folder) != found:
            raise OutputError(f"{COMPARISON}: somebody else changed it meanwhile; nothing was written, run it again")
        return told_of(staging, folder, notes)


def put_shown(folder: Path, comparison, names) -> None:
    """Table and curves, those of them that are wanted."""
    from LongitudinalCompareLib.comparison_csv import comparison_csv
    from LongitudinalCompareLib.volume_plot import volume_plot
    from OncoAppLib.compare_files import PLOT, TABLE

    if TABLE in names:
        (folder / TABLE).write_text(comparison_csv(comparison), encoding="utf-8", newline="")
    if PLOT in names:
        volume_plot(comparison).save(folder / PLOT)


def told_of(staging: Path, folder: Path, notes: tuple[str, ...]) -> dict:
    """Paths of what was written."""
    return {"files": tuple(folder / path.name for path in sorted(staging.iterdir())), "notes": notes}

"""What an earlier comparison in the output folder hands on to the next: what readers said, and tracking UIDs. Nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from OncoLib.errors import InputError, OutputError


@dataclass(frozen=True, eq=False)
class Kept:
    """reading: to be applied. known: identities of earlier tracks. notes: on both. state: `state_in` of the folder as it was."""

    reading: object
    known: tuple = ()
    notes: tuple[str, ...] = ()
    state: tuple = ()


def kept_in(options) -> Kept:
    """What lies in the folder, where `--overwrite` is said, and what `--reading` adds.

    A damaged comparison is no reason not to compare again, but a reading that cannot be read is: InputError. The acts of a file
    that is named come after those that are kept, so that they win.
    """
    from LongitudinalCompareLib.reading import Reading
    from LongitudinalCompareLib.scene.comparison_files import READING, reading_in
    from OncoAppLib.confirm_files import edits_of_file, state_in

    state, reading, known, notes = state_in(options.output), Reading(), (), []
    if options.overwrite and (options.output / READING).is_file():
        reading = reading_in(options.output / READING)
    if options.overwrite:
        known, notes = identities_in(options.output)
    if options.reading is not None:
        added = edits_of_file(options.reading, reading.manual)
        reading = reading.with_acts(*(one for one in added if one not in reading.acts))
    count = len(reading.acts)
    notes += [f"{count} act{'s' * (count > 1)} of the reading applied"] if count else []
    return Kept(reading, known, tuple(notes), state)


def identities_in(folder: Path) -> tuple[tuple, list[str]]:
    """The identities of the tracks of an earlier comparison, and a note; none of a folder without one."""
    from LongitudinalCompareLib.comparison import FORMAT
    from LongitudinalCompareLib.scene.comparison_files import COMPARISON, known_of, read_folder, read_json

    if not (folder / COMPARISON).is_file():
        return (), []
    try:
        evidence, told, _reading = read_folder(folder)
        known, how = known_of(told, evidence), ""
    except InputError as error:
        known, how = by_centroids(folder / COMPARISON, FORMAT, read_json, known_of), f", by their centroids alone ({error})"
    return known, [f"tracking UIDs of {len(known)} lesions were taken from the comparison that was there{how}"]


def by_centroids(path: Path, wanted: str, read_json, known_of) -> tuple:
    """The identities by `comparison.json` alone; none where that is damaged too."""
    try:
        return known_of(read_json(path, wanted))
    except (InputError, KeyError, TypeError, ValueError, IndexError, AttributeError):
        return ()


def require_unchanged(folder: Path, kept: Kept) -> None:
    """OutputError when somebody else wrote a comparison or a reading into the folder while this one was made."""
    from LongitudinalCompareLib.scene.comparison_files import READING
    from OncoAppLib.confirm_files import state_in

    if state_in(folder) != kept.state:
        raise OutputError(f"{READING}: somebody else changed it or the comparison meanwhile; nothing was written, run it again")

"""`oncosegment confirm`: what a reader says about a comparison, taken into its folder; and the name of who stands for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from OncoAppLib.options import add_common
from OncoLib.errors import InputError, OutputError
from OncoLib.segmentation_files import RESEARCH_USE

LARGEST_EDITS = 16 * 2**20
"""Bytes; a file of edits has some thousand lines, and what is larger is another file."""


def add(verbs) -> None:
    """`confirm`."""
    verb = verbs.add_parser("confirm", help="take a reader's edits into a comparison, and confirm it by name")
    verb.add_argument("comparison", type=Path, metavar="COMPARISON.json", help="as `oncosegment compare` wrote it, or its folder")
    what = verb.add_mutually_exclusive_group()
    what.add_argument("--edits", type=Path, metavar="FILE", help="JSON with the acts of a reader; see Resources/Documentation/reading.md")
    what.add_argument("--undo", action="store_true", help="take the last act back, which may be the confirmation")
    what.add_argument("--template", action="store_true", help="print a file of edits with the lesions of this comparison, to be filled in")
    verb.add_argument("--by", default="", metavar="NAME", help="who confirms all of it; without a name it stays a draft")
    verb.add_argument("--output", type=Path, metavar="DIR", help="write the whole comparison there instead of in place")
    verb.add_argument("--overwrite", action="store_true", help="with --output: replace a comparison that is there")
    add_common(verb)
    verb.set_defaults(run=run)


@dataclass(frozen=True, eq=False)
class Said:
    """before: `comparison.json` as it was. after: the comparison now. files: what was written. undone: acts taken back."""

    before: dict
    after: object
    files: list[Path]
    undone: tuple = ()
    added: tuple = ()


def run(options) -> int:
    """Reads, applies, assesses again, writes, prints."""
    from OncoAppLib.verbs import cancel_on_signals

    check(options)
    if options.template:
        return print_template(options.comparison)
    said = confirmed(options, cancel_on_signals(quiet=options.json))
    if options.json:
        told = {**said.after.as_dict(), "changed": changed(said), "files": [str(path) for path in said.files]}
        print(json.dumps(told, allow_nan=False))
        return 0
    print(text_of(said))
    print("Written: " + "\n         ".join(str(path) for path in said.files))
    print(RESEARCH_USE)
    return 0


def check(options) -> None:
    """Refuses calls that say nothing, or two things at once."""
    if not (options.edits or options.undo or options.template or options.by.strip()):
        raise InputError("nothing is said; wanted --edits FILE, --by NAME, --undo or --template")
    if (options.undo or options.template) and options.by:
        raise InputError(f"--by does not go with {'--undo' if options.undo else '--template'}; confirm it afterwards")
    if options.template and options.output:
        raise InputError("--output does not go with --template, which is printed; send it into a file with > FILE")
    if options.overwrite and options.output is None:
        raise InputError("--overwrite belongs to --output; in place the comparison is replaced anyway")


def print_template(path: Path) -> int:
    """The file to be filled in, as JSON that is easy to edit: a line a value."""
    from LongitudinalCompareLib.reading_template import template_of
    from LongitudinalCompareLib.scene.comparison_files import read_folder

    _, comparison, _ = read_folder(path)
    print(json.dumps(template_of(comparison), indent=1, ensure_ascii=False))
    return 0


def confirmed(options, cancel, now: datetime | None = None) -> Said:
    """The whole job. now: the time that stands with the acts; the clock's where none is given."""
    from LongitudinalCompareLib.assessment import assess
    from LongitudinalCompareLib.reading_acts import confirm
    from LongitudinalCompareLib.reading_refs import anchored
    from LongitudinalCompareLib.scene.comparison_files import read_folder

    when = (now or datetime.now(timezone.utc)).isoformat(timespec="seconds")
    by = " ".join(options.by.split())
    found = state_of_files(folder_of(options.comparison))
    evidence, before, reading = read_folder(options.comparison)
    after_acts, undone, added = acts_after(options, reading, by, when)
    after_acts = anchored(after_acts, evidence.dates)
    criteria = tuple(one["criterion"] for one in before["response"])
    after = assess(evidence, after_acts, criteria, cancel=cancel)
    if by:
        after = assess(evidence, after_acts.with_acts(confirm(by, after.digest, when)), criteria, cancel=cancel)
    cancel.check()
    files = write(options, evidence, after, found)
    return Said(before, after, files, undone, added)


def acts_after(options, reading, by: str, when: str):
    """The reading with what was said now, the acts that were taken back, and those that came."""
    from LongitudinalCompareLib.reading import CONFIRM, Reading

    if options.undo:
        if not reading.acts:
            raise InputError("there is no act to be taken back: nobody said anything about this comparison")
        return reading.without_last(), reading.acts[-1:], ()
    added = edits_of_file(options.edits, reading.manual) if options.edits else ()
    if any(one.kind == CONFIRM for one in added):
        raise InputError(f"{options.edits.name}: it confirms by itself; wanted the confirmation by --by NAME")
    stamped = tuple(with_stamp(one, by, when) for one in added)
    kept = tuple(with_stamp(one, by, "") for one in reading.acts) if by else reading.acts
    return Reading((*kept, *stamped)), (), stamped


def with_stamp(act, by: str, when: str):
    """With a name and a time where it has none: who confirms stands for what nobody put a name to."""
    from dataclasses import replace

    return replace(act, by=act.by or by, when=act.when or when)


def edits_of_file(path: Path, manual) -> tuple:
    """The acts of a file; InputError naming the file."""
    from LongitudinalCompareLib.reading_template import edits_in

    try:
        if path.stat().st_size > LARGEST_EDITS:
            raise InputError(f"{path.name}: it has more than {LARGEST_EDITS // 2**20} MB; wanted a file of edits")
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path.name}: it cannot be read ({(error.strerror or 'refused').lower()})") from error
    except (ValueError, RecursionError) as error:
        at = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{path.name}: it is no JSON{at}; wanted a list of acts, see --template") from error
    try:
        found = edits_in(values, manual).acts
    except InputError as error:
        raise type(error)(f"{path.name}: {error}") from error
    if not found:
        raise InputError(f"{path.name}: no act says anything; wanted one at least")
    return found


def folder_of(path: Path) -> Path:
    """Where the comparison lies."""
    return path if path.is_dir() else path.parent


def state_of_files(folder: Path) -> tuple:
    """What tells that nobody else wrote meanwhile."""
    from LongitudinalCompareLib.scene.comparison_files import COMPARISON, READING
    from OncoLib.audit import file_sha256

    return tuple(file_sha256(folder / name) if (folder / name).is_file() else "" for name in (COMPARISON, READING))


def write(options, evidence, after, found: tuple) -> list[Path]:
    """All files or none. In place only what readers can change is written anew. found: `state_of_files` when it was read."""
    from LongitudinalCompareLib.scene.comparison_files import COMPARISON, READING, put
    from OncoLib.segmentation_files import write_json
    from OncoLib.staged import staged_files

    folder = folder_of(options.comparison)
    if options.output is not None and options.output.resolve() != folder.resolve():
        return put(options.output, evidence, after, overwrite=options.overwrite)
    with staged_files(folder, overwrite=True) as staging:
        write_json(staging / READING, after.reading.as_dict())
        write_json(staging / COMPARISON, after.as_dict())
        if state_of_files(folder) != found:
            raise OutputError(f"{COMPARISON}: somebody else changed it meanwhile; nothing was written, run it again")
    return [folder / COMPARISON, folder / READING]


def changed(said: Said) -> list[str]:
    """In sentences."""
    from LongitudinalCompareLib.reading_changes import changes_between

    return changes_between(said.before, said.after.as_dict())


def text_of(said: Said) -> str:
    """What a reader wants to know: acts, what they changed, what was not applied, and whose word it is now."""
    from LongitudinalCompareLib.reading_changes import told

    lines = [f"Taken back: {told(one)}" for one in said.undone]
    lines += [f"Said: {told(one)}" for one in said.added]
    found = changed(said)
    lines += ["Changed:", *(f"  {one}" for one in found)] if found else ["No status, number or category changed."]
    old = {one["text"] for one in said.before["flags"]}
    lines += [f"Look: {one.text}" for one in said.after.flags if one.text not in old or one.kind == "not applied"]
    return "\n".join([*dict.fromkeys(lines), state_text(said.after)])


def state_text(comparison) -> str:
    """Draft or confirmed, and what to do about it."""
    if comparison.state == "confirmed":
        return f"Confirmed by {comparison.reading.confirmed_by}."
    return "A draft: nobody stands for it yet. Confirm it with --by NAME."

"""`oncosegment confirm`: what a reader says about a comparison, taken into its folder; and the name of who stands for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from textwrap import shorten

from OncoAppLib.options import add_common
from OncoLib.errors import InputError
from OncoLib.progress import Progress, silent
from OncoLib.segmentation_files import RESEARCH_USE

TOLD_ELSEWHERE = ("left out",)
"""Flags whose wording follows the number of lesions: `compare` and the panel show them, here they would hide what is new."""

DROP = "An act is taken out of the list by --drop NUMBER; `oncosegment confirm` without an option shows the numbers."

SHORTENED = 140
"""Signs of a question that is left open: its whole sentence stands in `comparison.json`."""
MOST_QUESTIONS = 20


def add(verbs) -> None:
    """`confirm`."""
    verb = verbs.add_parser("confirm", help="take a reader's edits into a comparison, and confirm it by name")
    verb.add_argument("comparison", type=Path, metavar="COMPARISON.json", help="as `oncosegment compare` wrote it, or its folder;"
                      " without an option: what was said so far")  # fmt: skip
    what = verb.add_mutually_exclusive_group()
    what.add_argument("--edits", type=Path, metavar="FILE", help="JSON with the acts of a reader; see Resources/"
                      "Documentation/reading.md")  # fmt: skip
    what.add_argument("--undo", action="store_true", help="take the last act back, which may be the confirmation")
    what.add_argument("--drop", type=int, metavar="NUMBER", help="take one act out, by its number in the list that"
                      " is shown without an option; what was confirmed is a draft then")  # fmt: skip
    what.add_argument("--template", action="store_true", help="print a file of edits to be filled in")
    verb.add_argument("--by", metavar="NAME", help="who confirms all of it; without a name it stays a draft")
    verb.add_argument("--output", type=Path, metavar="DIR", help="write the whole comparison there instead of in place")
    verb.add_argument("--overwrite", action="store_true", help="with --output: replace a comparison that is there")
    verb.add_argument("--no-scene", action="store_true", help="leave comparison.mrb as it is: it holds all scans, and making it"
                      " follow takes seconds to a minute")  # fmt: skip
    add_common(verb)
    verb.set_defaults(run=run)


@dataclass(frozen=True, eq=False)
class Said:
    """before: `comparison.json` as it was. after: the comparison now. files: what was written. notes: on files that were not."""

    before: dict
    after: object
    undone: tuple = ()
    added: tuple = ()
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def run(options) -> int:
    """Reads, applies, assesses again, writes, prints."""
    from OncoAppLib.terminal import ProgressBar
    from OncoAppLib.verbs import cancel_on_signals

    check(options)
    if options.template:
        return print_template(options.comparison)
    if not says(options):
        return print_acts(options)
    bar = ProgressBar(quiet=options.json)
    try:
        said = confirmed(options, cancel_on_signals(quiet=options.json), progress=bar)
    finally:
        bar.close()
    if options.json:
        told = {"changed": changed(said), "notes": list(said.notes), "files": [str(path) for path in said.files]}
        print(json.dumps({**said.after.as_dict(), **told}, allow_nan=False))
        return 0
    print(text_of(said))
    print("Written: " + "\n         ".join(str(path) for path in said.files))
    print(RESEARCH_USE)
    return 0


def check(options) -> None:
    """Refuses what does not go together, and takes the folder for the file that was named."""
    from OncoAppLib.confirm_files import folder_of

    if options.by is not None and not options.by.strip():
        raise InputError("--by has no name; wanted the name of who confirms")
    options.by = " ".join((options.by or "").split())
    which = next((f"--{name}" for name in ("undo", "drop", "template") if given(options, name)), "")
    if which and options.by:
        raise InputError(f"--by does not go with {which}; confirm it afterwards")
    if which in ("--undo", "--drop") and options.no_scene:
        raise InputError(f"--no-scene does not go with {which}; comparison.mrb would keep the act that is taken back")
    if options.output is not None and not says(options):
        raise InputError("--output needs something that is said: --edits FILE, --by NAME, --undo or --drop NUMBER")
    if options.overwrite and options.output is None:
        raise InputError("--overwrite belongs to --output; in place the comparison is replaced anyway")
    options.comparison = folder_of(options.comparison)


def given(options, name: str) -> bool:
    """Whether an option stands in the call; a number that is 0 does."""
    value = getattr(options, name)
    return value is not None and value is not False


def says(options) -> bool:
    """Whether something changes; False for what only shows."""
    return bool(options.by) or any(given(options, name) for name in ("edits", "undo", "drop"))


def print_template(path: Path) -> int:
    """The file to be filled in."""
    from LongitudinalCompareLib.reading_template import template_of, template_text
    from LongitudinalCompareLib.scene.comparison_files import read_folder

    print(template_text(template_of(read_folder(path)[1])))
    return 0


def print_acts(options) -> int:
    """What was said so far, and whose word it is; nothing is written."""
    from LongitudinalCompareLib.reading_changes import told
    from LongitudinalCompareLib.reading_refs import renamed
    from LongitudinalCompareLib.scene.comparison_files import read_folder

    evidence, comparison, reading = read_folder(options.comparison)
    if options.json:
        print(json.dumps({"state": comparison["state"], "reading": reading.as_dict()}, allow_nan=False))
        return 0
    lines = ["; ".join((f"{at}. {told(one)}", *renamed(one, evidence.dates))) for at, one in enumerate(reading.acts, 1)]
    lines = lines or ["Nobody said anything about this comparison."]
    lines += [f"Look: {one['text']}" for one in comparison["flags"] if one["kind"] in ("not applied", "confirmation")]
    lines += [DROP] if any(one["kind"] == "not applied" for one in comparison["flags"]) else []
    told = [(one["kind"], one["text"]) for one in comparison["flags"]]
    print("\n".join([*map(fitting, lines), state_text(comparison["state"], reading, told)]))
    return 0


def confirmed(options, cancel, now: datetime | None = None, progress: Progress = silent) -> Said:
    """The whole job. now: the time that stands with the acts; the clock's where none is given."""
    from LongitudinalCompareLib.assessment import assess
    from LongitudinalCompareLib.reading_acts import confirm
    from LongitudinalCompareLib.reading_refs import anchored
    from LongitudinalCompareLib.scene.comparison_files import READING, read_folder, reading_in
    from OncoAppLib.confirm_files import Now, state_in, write

    when = (now or datetime.now(timezone.utc)).isoformat(timespec="seconds")
    folder = options.comparison
    found, earlier = state_in(folder), reading_in(folder / READING)
    reading, undone, added = spoken(options, earlier, when)  # first: it is quick, and may be refused
    evidence, before, _ = read_folder(folder)
    reading = anchored(reading, evidence.dates)
    criteria = tuple(one["criterion"] for one in before["response"])
    check_categories(options, added, criteria)
    after = assess(evidence, reading, criteria, cancel=cancel)
    if options.by:
        lent = [at for at, (one, other) in enumerate(zip(earlier.acts, reading.acts), 1) if one.by != other.by]
        reading = reading.with_acts(confirm(options.by, after.digest, when, lent))
        after = assess(evidence, reading, criteria, cancel=cancel)
    cancel.check()
    written = write(options, Now(evidence, after, earlier, not options.no_scene, progress, cancel), found)
    return replace(Said(before, after, undone, added), **written)


def spoken(options, reading, when: str) -> tuple:
    """The reading with what is said now, the acts that were taken back, and those that came."""
    from LongitudinalCompareLib.reading import CONFIRM, CONFIRMED, Reading
    from LongitudinalCompareLib.reading_acts import without_act
    from OncoAppLib.confirm_files import edits_of_file

    if options.undo:
        if not reading.acts:
            raise InputError("there is no act to take back: nobody said anything about this comparison")
        return reading.without_last(), reading.acts[-1:], ()
    if options.drop is not None:
        left = without_act(reading, options.drop)
        confirmation = reading.acts[options.drop :][-1:] if reading.state == CONFIRMED else ()
        return left, (reading.acts[options.drop - 1], *confirmation), ()
    added = edits_of_file(options.edits, reading.manual) if options.edits else ()
    if any(one.kind == CONFIRM for one in added):
        raise InputError(f"{options.edits.name}: it confirms by itself; wanted the confirmation by --by NAME")
    added = tuple(replace(one, by=one.by or options.by, when=one.when or when) for one in added)
    return Reading((*named(reading.acts, options.by, bool(added)), *added)), (), added


def check_categories(options, added: tuple, criteria: tuple[str, ...]) -> None:
    """Refuses a category that its criterion has not. Of a criterion that is not in this comparison all are kept for later."""
    from LongitudinalCompareLib.reading import CATEGORY
    from LongitudinalCompareLib.response_categories import category_of

    for one in added:
        if one.kind == CATEGORY and one.values["criterion"] in criteria:
            try:
                category_of(one.values["criterion"], one.values["category"])
            except InputError as error:
                raise InputError(f"{options.edits.name}: category at {one.date}: {error}") from error


def named(acts: tuple, by: str, more: bool) -> tuple:
    """Who confirms stands for what nobody put a name to. more: that reader says more now.

    Where a reader with sizes only confirms, nameless sizes stay so: as that reader's own they would replace others or be
    replaced, and other numbers would be confirmed than were seen.
    """
    from LongitudinalCompareLib.reading import SIZE

    own = not more and any(one.kind == SIZE and one.by == by for one in acts)
    return tuple(one if own and one.kind == SIZE else replace(one, by=one.by or by) for one in acts)


def changed(said: Said) -> list[str]:
    """In sentences."""
    from LongitudinalCompareLib.reading_changes import changes_between

    return changes_between(said.before, said.after.as_dict())


def text_of(said: Said) -> str:
    """What a reader wants to know: acts, what they changed, what was not applied, and whose word it is now."""
    from LongitudinalCompareLib.reading_changes import told

    lines = [f"Taken back: {told(one)}" for one in said.undone]
    lines += [f"Said: {told(one)}" for one in said.added]
    lines += [f"Changed: {one}" for one in changed(said)] or ["No status, number or category changed."]
    old = {one["text"] for one in said.before["flags"]}
    new = [one for one in said.after.flags if one.text not in old and one.kind not in TOLD_ELSEWHERE]
    lost = [one for one in said.after.flags if one.kind == "not applied" and one not in new]
    lines += [f"Look: {one.text}" for one in (*new, *lost)]
    lines += [DROP] if any(one.kind == "not applied" for one in said.after.flags) else []
    lines += [f"Note: {one}" for one in said.notes]
    told = [(one.kind, one.text) for one in said.after.flags]
    return "\n".join([*map(fitting, dict.fromkeys(lines)), state_text(said.after.state, said.after.reading, told)])


def fitting(text: str) -> str:
    """As wide as the terminal is."""
    from OncoAppLib.compare_print import WIDTH, wrapped
    from OncoAppLib.terminal import terminal_width

    return wrapped(text, max(60, min(terminal_width() or WIDTH, 120)), "  ")


def state_text(state: str, reading, flags: Sequence[tuple[str, str]]) -> str:
    """Draft or confirmed, what was left open, and what to do about it. flags: kind and text of each."""
    from LongitudinalCompareLib.comparison_flags import asks
    from LongitudinalCompareLib.reading import CONFIRMED

    if state != CONFIRMED:
        return "A draft: nobody stands for it yet. Confirm it with --by NAME."
    questions = [text for kind, text in flags if asks(kind, text)]
    if not questions:
        return f"Confirmed by {reading.confirmed_by}."
    count = f"{len(questions)} question{'s' * (len(questions) > 1)}"
    lines = [f"Confirmed by {reading.confirmed_by} with {count} open:"]
    lines += [fitting(f"- {shorten(text, SHORTENED, placeholder=' ...')}") for text in questions[:MOST_QUESTIONS]]
    more = len(questions) - MOST_QUESTIONS
    return "\n".join(lines + [f"- and {more} more: see flags in comparison.json"] * (more > 0))

"""`oncosegment compare`: the lesions of a patient over two or more dates: matched, measured, changed, and the response."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from OncoAppLib import compare_segment, engine_options
from OncoAppLib.dated_scans import (
    OfTimepoint,
    add_mask,
    add_registration,
    add_timepoint,
    check_dates,
    choice_of,
    mask_of,
    mask_path,
    read_dates,
)
from OncoAppLib.options import add_common
from OncoLib.errors import InputError
from OncoLib.progress import part_of
from OncoLib.segmentation_files import RESEARCH_USE

LIST = "list"
DEFAULT_PROMPTS = "growcut"
FILLED, SEEN = 0.4, 0.95
"""Shares of the progress at which a model has segmented what was to be, and at which all is measured."""


class Criteria(argparse.Action):
    """`--criteria NAMES`, or `--criteria list`, which shows them and ends."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Names by commas; said twice, both count."""
        if values == LIST:
            from LongitudinalCompareLib.response_of import CRITERIA

            width = max(map(len, CRITERIA))
            print("\n".join(f"{name:<{width}}  {title}" for name, title in CRITERIA.items()))
            parser.exit()
        names = [one.strip() for one in values.split(",") if one.strip()]
        setattr(namespace, self.dest, tuple(dict.fromkeys((*(getattr(namespace, self.dest) or ()), *names))))


def add(verbs) -> None:
    """`compare`."""
    verb = verbs.add_parser("compare", help="lesions over two or more dates: matched, measured with intervals, and the response")
    dates = verb.add_argument_group("dates", "from 2 to n; what follows a --timepoint belongs to it")
    add_timepoint(dates, "+", ("DATE IMAGE", "SEGMENTATION"), "; its lesions (and organs), where there is a segmentation")
    dates.add_argument("--organs", action=OfTimepoint, metavar="SEG2", help="of that date: organs, which say where lesions lie")
    dates.add_argument("--expert", action=OfTimepoint, nargs=2, metavar=("NAME", "SEG"), help="of that date: what one of several"
                       " experts segmented; how far they differ goes into the interval")  # fmt: skip
    add_mask(dates)
    verb.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the comparison and its files")
    add_what(verb)
    compare_segment.add(verb)
    prompts = verb.add_argument_group("later dates from prompts", "proposals only; see Resources/Documentation/comparison.md")
    prompts.add_argument("--from-prompts", nargs="?", const=DEFAULT_PROMPTS, default="", metavar="ENGINE", help="look for the"
                         " baseline's lesions at later dates without SEGMENTATION by prompts that the registration carries there"
                         f" (engine: {DEFAULT_PROMPTS}, or one of `oncosegment refine --engines`)")  # fmt: skip
    prompts.add_argument("--prompts-option", action="append", default=[], metavar="KEY=VALUE", help="of that engine; repeatable")
    add_registration(verb)
    engine_options.add(verb)
    verb.add_argument("--no-scene", action="store_true", help="without comparison.mrb, which holds all scans")
    verb.add_argument("--overwrite", action="store_true", help="compare again: the reading and the tracking UIDs in DIR are kept")
    add_common(verb)
    verb.set_defaults(run=run)


def add_what(verb) -> None:
    """What is said of the lesions, and which segments are lesions."""
    what = verb.add_argument_group("comparison", "see Resources/Documentation/comparison.md")
    what.add_argument("--criteria", action=Criteria, default=(), metavar="NAME,...", help="recist11 (default); `list` shows all")
    what.add_argument("--reading", type=Path, metavar="FILE", help="further acts of readers; those in DIR are kept")
    which = what.add_mutually_exclusive_group()
    which.add_argument("--lesion", action="append", default=[], metavar="NAME", help="a segment that is a lesion; repeatable")
    which.add_argument("--all-segments", action="store_true", help="every segment is a lesion: for masks without codes")
    what.add_argument("--split", action="store_true", help="each connected piece of a coded segment is a lesion of its own")


def run(options) -> int:
    """Checks, reads, compares, writes, prints."""
    from OncoAppLib.terminal import ProgressBar, terminal_width
    from OncoAppLib.verbs import cancel_on_signals

    check(options)
    bar = ProgressBar(quiet=options.json)
    try:
        with engine_options.engine_of(options) as engine:
            comparison, notes, files = compared(options, engine, bar, cancel_on_signals(quiet=options.json))
    finally:
        bar.close()
    if options.json:
        print(json.dumps({**comparison.as_dict(), "notes": notes, "files": [str(path) for path in files]}, allow_nan=False))
        return 0
    from OncoAppLib.compare_print import text_of

    print(text_of(comparison, terminal_width()))
    print("\n".join(f"Note: {note}" for note in notes))
    print("Written: " + "\n         ".join(str(path) for path in files))
    print(RESEARCH_USE)
    return 0


def check(options) -> None:
    """Refuses what cannot work before any scan is read."""
    from LongitudinalCompareLib.scene.comparison_files import check_folder
    from OncoSegmentLib.refine import registry

    check_dates(options, "compared")
    options.criteria = options.criteria or ("recist11",)
    check_criteria(options.criteria)
    without = [one for one in options.timepoints if one.segmentation is None]
    if without and not options.model and not options.from_prompts:
        told = "name a file after the image, a model (--model ID), or have the baseline's lesions looked for (--from-prompts)"
        raise InputError(f"{without[0].date}: there is no segmentation; {told}")
    if (options.model or options.from_prompts) and not without:
        raise InputError(f"--{'model' if options.model else 'from-prompts'}: every date has a segmentation already")
    if options.prompts_option and not options.from_prompts:
        raise InputError("--prompts-option belongs to --from-prompts")
    if options.from_prompts:
        registry.loaded(options.from_prompts)
    compare_segment.check(options)
    if not options.overwrite:
        check_folder(options.output)


def check_criteria(names) -> None:
    """InputError for one that there is not."""
    from LongitudinalCompareLib.response_of import CRITERIA

    strange = [one for one in names if one not in CRITERIA]
    if strange:
        raise InputError(f"there is no criterion {strange[0]!r}; wanted {', '.join(CRITERIA)}")


def compared(options, engine, progress, cancel):
    """The whole job: the comparison, notes, and the files."""
    from LongitudinalCompareLib.comparing import CompareOptions, compare_with_evidence
    from LongitudinalCompareLib.timepoint import check_patient
    from OncoAppLib.compare_files import left, protect, write
    from OncoAppLib.compare_kept import kept_in

    progress(0.0, "Reading the scans")
    timepoints = [with_others(one, timepoint) for one, timepoint in read_dates(options, may_be_empty=True)]
    notes = list(check_patient(timepoints, same_patient=options.same_patient))
    choice, why = choice_of(options, timepoints)
    kept = kept_in(options)
    protect(options, timepoints)
    masks = masks_given(options, timepoints)
    chosen = CompareOptions(
        choice, options.criteria, kept.reading, kept.known, way_back=not options.no_way_back, local=not options.no_local,
        lesion_names=tuple(options.lesion), all_segments=options.all_segments, split=options.split,
    )  # fmt: skip
    timepoints, wholes = by_model(options, timepoints, engine, part_of(progress, 0.02, FILLED), cancel)
    start = FILLED if wholes else 0.02
    filled = registered(options, timepoints, chosen, masks, part_of(progress, start, 0.85), cancel)
    evidence, comparison = compare_with_evidence(
        filled.timepoints, filled.options, part_of(progress, 0.85, SEEN), cancel, pairs=filled.pairs
    )
    evidence, comparison = (
        replace(one, provenance={**one.provenance, **filled.as_dict()}) for one in (evidence, comparison)
    )
    cancel.check()
    files = write(options, filled, evidence, comparison, wholes, kept, part_of(progress, SEEN, 1.0))
    return comparison, [f"registered with {why}", *notes, *kept.notes, *lost_of(kept, comparison), *left(options)], files


def lost_of(kept, comparison) -> list[str]:
    """A note on earlier tracks that are none any more."""
    now = {one.tracking_uid for one in comparison.tracks}
    names = [one.name for one in kept.known if one.tracking_uid not in now]
    return [f"no lesion of this comparison is the earlier {', '.join(names)}"] if names else []


def with_others(asked, timepoint):
    """The timepoint with its experts' masks and its organs, each on the image's grid; GeometryError naming the file."""
    from OncoAppLib.lesions import read_organs

    def beside(path: Path):
        return read_organs(path, timepoint.image, f"the image of {timepoint.when}")

    experts = {name: beside(path) for name, path in asked.experts.items()}
    return replace(timepoint, experts=experts, organs=None if asked.organs is None else beside(asked.organs))


def by_model(options, timepoints, engine, progress, cancel) -> tuple[list, dict]:
    """The timepoints with what the model segmented, and by the date's stem all that it found.

    With prompts too, the model segments the baseline alone.
    """
    from LongitudinalCompareLib.registration import dated

    wanted = [at for at, one in enumerate(timepoints) if one.segmentation is None and options.model]
    if options.from_prompts and options.model:
        wanted = [at for at in wanted if at == 0]
        if not wanted:
            raise InputError("--model: with --from-prompts it segments the baseline, which has a segmentation already")
    found, wholes = list(timepoints), {}
    for number, at in enumerate(wanted):
        told, when = part_of(progress, number / len(wanted), (number + 1) / len(wanted)), timepoints[at].when
        made = compare_segment.segmented(timepoints[at], options, engine, dated(told, when), cancel)
        notes = tuple(dict.fromkeys((*timepoints[at].notes, *made.notes)))
        found[at] = replace(timepoints[at], segmentation=made.segmentation, segmented_by=options.model, notes=notes)
        wholes[timepoints[at].stem] = made.whole
    return found, wholes


def masks_given(options, timepoints) -> dict:
    """`inside` and `exclude` where they were given; without `exclude` the baseline's lesions are left out."""
    path, image = mask_path(options, timepoints), timepoints[0].image
    given = {"exclude": path, "inside": options.inside}
    return {name: None if one is None else mask_of(one, image) for name, one in given.items()}


def registered(options, timepoints, chosen, masks: dict, progress, cancel):
    """The dates registered, and those without a segmentation filled by carried prompts."""
    from LongitudinalCompareLib.carried_dates import carried_dates
    from OncoAppLib.refine import options_of
    from OncoSegmentLib.refine import registry

    if not options.from_prompts:
        return carried_dates(timepoints, chosen, None, progress, cancel, **masks)
    engine = registry.make(options.from_prompts, **options_of(options.prompts_option))
    try:
        return carried_dates(timepoints, chosen, engine, progress, cancel, **masks)
    finally:
        engine.close()

"""`oncosegment register`: two or more dates of a patient registered to the first one, with a verdict at each lesion."""

from __future__ import annotations

import json
from pathlib import Path

from OncoAppLib.codes_beside import to_give
from OncoAppLib.dated_scans import (
    OfTimepoint,
    add_mask,
    add_registration,
    add_timepoint,
    check_dates,
    choice_of,
    masks_of,
    read_dates,
)
from OncoAppLib.options import add_common
from OncoLib.segmentation_files import RESEARCH_USE

FORMAT = "oncosegment.registration/1"


def add(verbs) -> None:
    """`register`."""
    verb = verbs.add_parser("register", help="register later dates to the first one, and judge the alignment at each lesion")
    dates = verb.add_argument_group("dates", "from 2 to n; what follows a --timepoint belongs to it")
    add_timepoint(dates, 2, ("DATE", "IMAGE"))
    dates.add_argument("--segmentation", action=OfTimepoint, metavar="SEG", help="lesions (and organs) of that date")
    add_mask(dates)
    verb.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for transforms, verdicts and pictures")
    add_registration(verb)
    verb.add_argument("--resampled", action="store_true", help="also write each later scan on the baseline's grid, to look at")
    verb.add_argument("--overwrite", action="store_true", help="replace results that are there")
    add_common(verb)
    verb.set_defaults(run=run)


def run(options) -> int:
    """Reads, registers, writes, prints."""
    from OncoAppLib.terminal import ProgressBar
    from OncoAppLib.verbs import cancel_on_signals

    check_dates(options, "registered")
    bar = ProgressBar(quiet=options.json)
    try:
        told, files = registered(options, bar, cancel_on_signals(quiet=options.json))
    finally:
        bar.close()
    if options.json:
        print(json.dumps({**told, "files": [str(path) for path in files]}, allow_nan=False))
        return 0
    print(text_of(told))
    beside = to_give(options) if any(one["alignment"] is None for one in told["pairs"]) else ""
    if beside:
        print(f"A plain label map names no lesion: {beside}.")
    print("Written: " + "\n         ".join(str(path) for path in files))
    print(RESEARCH_USE)
    return 0


def registered(options, progress, cancel) -> tuple[dict, list[Path]]:
    """The whole job: what `alignment.json` says, and the files."""
    from LongitudinalCompareLib.registration import register_dates
    from LongitudinalCompareLib.timepoint import check_patient
    from OncoAppLib.register_files import check_names, write
    from OncoLib.progress import part_of

    progress(0.0, "Reading the scans")
    timepoints = tuple(one for _asked, one in read_dates(options))
    notes = list(check_patient(timepoints, same_patient=options.same_patient))
    check_names(options, timepoints)
    choice, why = choice_of(options, timepoints)
    pairs = register_dates(
        timepoints, choice, **masks_of(options, timepoints), way_back=not options.no_way_back, local=not options.no_local,
        progress=part_of(progress, 0.05, 0.9), cancel=cancel,
    )  # fmt: skip
    cancel.check()
    facts = {"format": FORMAT, "notice": RESEARCH_USE, "preset": why, "choice": choice.as_dict(), "notes": notes}
    return write(options, facts, timepoints, pairs, part_of(progress, 0.9, 1.0))


def text_of(told: dict) -> str:
    """What a reader needs: how far each date moved, what is doubted, and the verdict at each lesion."""
    from OncoAppLib.terminal import text_table

    parts = [f"Registered by {told['choice']['engine']}, {told['choice']['kind']}, {told['preset']}."]
    parts += [f"Note: {note}" for note in told["notes"]]
    for pair in told["pairs"]:
        found = pair["registration"]
        turned = f"turned {found['degrees']:.1f} degrees"
        moved = f"moved {found['moved_mm_mean']:.1f} mm (most {found['moved_mm_most']:.1f}), {turned}"
        parts.append(f"\n{pair['later']} to {pair['baseline']}: {moved if found['improved'] else 'left where it is'}")
        kept = found["parameters"].get("kept")
        parts += [f"  Note: kept {kept}"] if kept else []
        parts += [f"  Doubt: {doubt}" for doubt in found["doubts"]]
        if pair["alignment"] is None:
            parts.append("  No lesion is known in the baseline (its --segmentation names them): the alignment is judged nowhere.")
            parts.append("  Look at the picture.")
            continue
        regions = pair["alignment"]["regions"]
        rows = [[one["name"], one["verdict"]] for one in regions]
        parts.append(text_table(["Lesion", "Alignment"], rows, [one["reasons"] for one in regions], texts=(0, 1)))
        parts.append(f"  Overall: {pair['alignment']['overall']['verdict']}")
    return "\n".join(parts)

"""`oncosegment experts stats`: what the evaluation log says of each expert, as tables and as a picture."""

from __future__ import annotations

import json
from pathlib import Path

from OncoAppLib.options import add_common
from OncoLib.errors import InputError
from OncoLib.segmentation_files import RESEARCH_USE

KIND_TEXT = {
    "independent": "Against references made without the result",
    "corrected": "Against the result as a reader corrected it (starts from the result, so it agrees more)",
    "expert": "Against what another expert made (no truth)",
}
SHOWN = {"dice": "Dice", "nsd_1mm": "NSD 1 mm", "nsd_2mm": "NSD 2 mm", "volume_error_percent": "Volume error %"}


def add(verbs) -> None:
    """`experts stats`."""
    verb = verbs.add_parser("experts", help="who does best on what, by the evaluation log of this machine")
    actions = verb.add_subparsers(title="actions", metavar="ACTION", required=True)
    stats = actions.add_parser("stats", help="tables of runs and of structures: n, median, quartiles")
    stats.add_argument("--plot", type=Path, metavar="FILE.png", help="also draw the Dice of each expert on each structure")
    stats.add_argument("--overwrite", action="store_true", help="replace a picture that is there")
    add_common(stats)
    stats.set_defaults(run=run)


def run(options) -> int:
    """Reads the log, prints, draws."""
    from OncoSegmentLib.evaluation_log import log_path, read
    from OncoSegmentLib.evaluation_stats import stats_of

    if options.plot is not None:
        check_plot(options)
    stats = stats_of(*read(), names_of_weights())
    if options.plot is not None:
        draw(options, stats)
    if options.json:
        print(json.dumps({**stats.as_dict(), "notice": RESEARCH_USE}, allow_nan=False))
        return 0
    if not stats.runs:
        print(f"The evaluation log is empty: {log_path()}")
        return 0
    print(run_table(stats))
    for kind, text in KIND_TEXT.items():
        if any(row.kind == kind for row in stats.structures):
            print(f"\n{text}\n\n{structure_table(stats, kind)}")
    if options.plot is not None:
        print(f"Written: {options.plot}")
    print("Median (quartiles). No row is a ranking; what is said of the best counts shared cases only.")
    print(RESEARCH_USE)
    return 0


def names_of_weights() -> dict[str, str]:
    """Ids of models by the hash of their weights; none where the store cannot be read, which the tables do not need."""
    from OncoLib.errors import OncoError
    from OncoSegmentLib.known_weights import weights_names

    try:
        return weights_names()
    except (OncoError, OSError):
        return {}


def check_plot(options) -> None:
    """Refuses a name that cannot be written."""
    from OncoLib.staged import refuse_existing

    if options.plot.suffix.lower() != ".png":
        raise InputError(f"{options.plot.name}: wanted a name that ends in .png")
    if not options.overwrite:
        refuse_existing(options.plot.parent, [options.plot.name])


def draw(options, stats) -> None:
    """Writes the picture of the independent references, or of the corrected ones where there are no others."""
    from OncoLib.measure_sheet import save_sheet
    from OncoLib.staged import staged_files
    from OncoSegmentLib.evaluation_plot import dice_plot

    kind = next((kind for kind in KIND_TEXT if any(row.kind == kind for row in stats.structures)), None)
    if kind is None:
        raise InputError("the evaluation log holds no comparison to draw; `oncosegment evaluate` adds them")
    rows = [row for row in stats.structures if row.kind == kind]
    picture = dice_plot(rows, {row.structure: shown_name(row.structure) for row in rows}, KIND_TEXT[kind])
    with staged_files(options.plot.parent, overwrite=options.overwrite) as staging:
        save_sheet(picture, staging / options.plot.name)


def shown_name(structure: str) -> str:
    """Name of a structure of our terminology; codes stay as they are."""
    from OncoLib.terminology import structure as known

    try:
        return known(structure).name
    except InputError:
        return structure


def summary_text(found, digits: int) -> str:
    """`0.95 (0.93-0.97)`; a single number stands alone, for it has no quartiles."""
    if not found.n:
        return "-"
    if found.n == 1:
        return f"{found.median:.{digits}f}"
    return f"{found.median:.{digits}f} ({found.lower:.{digits}f} to {found.upper:.{digits}f})"


def run_table(stats) -> str:
    """Runs of each expert on each device."""
    from OncoAppLib.terminal import text_table

    heads = ("Runs", "Device", "n", "Cases", "Seconds", "Memory MiB", "Panel agreement")
    rows = [
        (
            row.expert,
            row.device,
            str(row.runs),
            str(row.cases),
            summary_text(row.seconds, 1),
            summary_text(row.peak_memory_mb, 0),
            summary_text(row.agreement, 2),
        )
        for row in stats.runs
    ]
    return text_table(heads, rows, texts=(0, 1))


def structure_table(stats, kind: str) -> str:
    """Experts on each structure, and who is best where that can be said."""
    from OncoAppLib.terminal import text_table

    rows, notes = [], []
    said = {one.structure: ranking_text(one) for one in stats.rankings if one.kind == kind}
    chosen = [row for row in stats.structures if row.kind == kind]
    for number, row in enumerate(chosen):
        cells = [summary_text(row.numbers[name], 1 if name.endswith("percent") else 3) for name in SHOWN]
        rows.append([shown_name(row.structure), row.expert, str(row.cases), *cells, lesions_text(row)])
        last = number + 1 == len(chosen) or chosen[number + 1].structure != row.structure
        undefined = row.cases - row.numbers["dice"].n
        told = [f"Dice is not defined in {undefined} of {row.cases} cases: both masks are empty"] if undefined else []
        notes.append([*told, *([said[row.structure]] if last and row.structure in said else [])])
    return text_table(["Structure", "Expert", "Cases", *SHOWN.values(), "Lesions found"], rows, notes, texts=(0, 1))


def lesions_text(row) -> str:
    """`7 of 9, 2 false`."""
    if not row.lesions_reference and not row.lesions_result:
        return "-"
    return f"{row.lesions_found} of {row.lesions_reference}, {row.lesions_result - row.lesions_found} false"


def ranking_text(one) -> str:
    """Who is best, with n, or why nobody can say."""
    if not one.expert:
        return f"no ranking: {one.why}"
    said = "best" if one.beyond_chance else "highest median, but not beyond chance,"
    wins = f"better than all others in {one.wins} of {one.cases}"
    return f"{said} of n = {one.cases} shared cases: {one.expert}, {one.why}; {wins}"

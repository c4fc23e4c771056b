"""`oncosegment evaluate RESULT REFERENCE`: how far a result agrees with a reference, structure by structure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from OncoAppLib.options import add_common
from OncoLib.errors import InputError, OutputError
from OncoLib.segmentation_files import RESEARCH_USE

COLUMNS = {
    "dice": "Dice",
    "iou": "IoU",
    "nsd_1mm": "NSD 1 mm",
    "nsd_2mm": "NSD 2 mm",
    "hd95_mm": "HD95 mm",
    "assd_mm": "ASSD mm",
    "volume_ml": "Volume ml",
    "reference_ml": "Reference ml",
    "volume_error_ml": "Error ml",
    "volume_error_percent": "Error %",
}
EMPTY = {
    "both empty": "both masks are empty: nothing to find and nothing found; no measure is defined",
    "first empty": "the result is empty: Dice, IoU and NSD are 0, distances are not defined",
    "second empty": "the reference is empty: Dice, IoU and NSD are 0, distances and the error in per cent are not defined",
}
UNCODED = "not coded as lesions counted one by one; --lesion-structure NAME counts one all the same"


def add(verbs) -> None:
    """`evaluate`."""
    verb = verbs.add_parser("evaluate", help="compare a result with a reference: Dice, surface distances, volume error, lesions")
    verb.add_argument("result", type=Path, help=".seg.nrrd, segmentation.json with its label maps, or a label map")
    verb.add_argument("reference", type=Path, help="the same of a reference on the same voxels")
    verb.add_argument("--image", metavar="IMAGE", help="the image of both, to check that they lie on its grid")
    verb.add_argument("--lesions", action="store_true", help="also count and match the components of structures coded as lesions")
    named = "only this structure's components are the lesions, whatever its codes; can be repeated"
    verb.add_argument("--lesion-structure", action="append", default=[], metavar="NAME", help=named)
    verb.add_argument("--lesion-iou", type=float, metavar="SHARE", help="least intersection over union of a pair (default 0.1)")
    verb.add_argument("--min-lesion-ml", type=float, metavar="ML", help="components smaller than this do not count (default 0)")
    verb.add_argument("--pair", nargs=2, action="append", default=[], metavar=("RESULT_NAME", "REFERENCE_NAME"))
    verb.add_argument("--missing-is-empty", action="store_true", help="structures that RESULT does not have count as not found")
    verb.add_argument("--extra-is-false", action="store_true", help="structures that REFERENCE does not have count as false")
    verb.add_argument("--corrected", action="store_true", help="REFERENCE is RESULT as a reader corrected it; logged as such")
    verb.add_argument("--no-log", action="store_true", help="do not add the comparison to the evaluation log")
    verb.add_argument("--csv", type=Path, metavar="FILE", help="write one row a structure")
    verb.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    add_common(verb)
    verb.set_defaults(run=run)


@dataclass(frozen=True)
class Compared:
    """What was found, and whence. log: why nothing was logged, "" when it was. lesions: they were to be counted."""

    found: tuple
    pairs: object
    sources: dict
    notes: tuple[str, ...]
    log: str
    lesions: bool = False


def run(options) -> int:
    """Reads, compares, writes, logs, prints."""
    from OncoAppLib.terminal import ProgressBar
    from OncoAppLib.verbs import cancel_on_signals

    check_output(options)
    bar = ProgressBar(quiet=options.json)
    try:
        compared = compared_of(options, bar, cancel_on_signals(quiet=options.json))
    finally:
        bar.close()
    if options.json:
        print(json.dumps(as_json(compared), allow_nan=False))
    else:
        print_tables(options, compared)
    return 0


def check_output(options) -> None:
    """Refuses what cannot work before anything is read."""
    from OncoLib.staged import refuse_existing

    if not options.lesions:
        given = (options.lesion_iou is not None, options.min_lesion_ml is not None, bool(options.lesion_structure))
        if any(given):
            raise InputError("--lesion-structure, --lesion-iou and --min-lesion-ml belong to --lesions")
    if options.csv is None:
        return
    if options.csv.suffix.lower() != ".csv":
        raise InputError(f"{options.csv.name}: wanted a name that ends in .csv")
    inputs = [options.result, options.reference, *([Path(options.image)] if options.image else [])]
    if any(path.resolve() == options.csv.resolve() for path in inputs):
        raise OutputError(f"{options.csv.name} is an input and would be replaced by the result; choose another name")
    if not options.overwrite:
        refuse_existing(options.csv.parent, [options.csv.name])


def rule_of(options):
    """How lesions are matched; None when they are not asked for."""
    from OncoSegmentLib.evaluation import LesionRule

    if not options.lesions:
        return None
    given = {"least_iou": options.lesion_iou, "least_ml": options.min_lesion_ml}
    given = {name: value for name, value in given.items() if value is not None}
    return LesionRule(structures=tuple(options.lesion_structure), **given)


def compared_of(options, progress, cancel) -> Compared:
    """Everything but the printing."""
    from OncoAppLib.reading import read_told, told_apart
    from OncoLib import audit
    from OncoLib.image_files import files_of
    from OncoLib.progress import part_of
    from OncoLib.same_voxels import on_grid_of
    from OncoSegmentLib.evaluation import evaluate
    from OncoSegmentLib.evaluation_pairs import listed_alike, pairs_of
    from OncoSegmentLib.evaluation_record import log_evaluation

    rule = rule_of(options)
    progress(0.0, "Reading the segmentations")
    paths = options.result, options.reference
    names = told_apart(paths, ("the result", "the reference"))
    result, reference = (read_told(path, name, may_be_empty=True) for path, name in zip(paths, names))
    notes = check_image(options.image, result, reference) if options.image else ()
    result, reference, told = listed_alike(result, on_grid_of(reference, result))
    unpaired = {"missing_is_empty": options.missing_is_empty, "extra_is_false": options.extra_is_false}
    pairs = pairs_of(result, reference, told=options.pair, **unpaired)
    found = evaluate(result, reference, pairs.pairs, lesions=rule, progress=part_of(progress, 0.2, 1.0), cancel=cancel)
    sources = {name: audit.files_sha256(files_of(getattr(options, name))) for name in ("result", "reference")}
    cancel.check()
    if options.csv is not None:
        write(options, found)
    log = "--no-log was given"
    if not options.no_log:
        log = log_evaluation(result, reference, found, sources["reference"], corrected=options.corrected)
    return Compared(found, pairs, sources, (*notes, *told), log, lesions=options.lesions)


def check_image(path: str, result, reference) -> tuple[str, ...]:
    """GeometryError unless both lie on the image's voxels; a note when the result says that it is of another image."""
    from OncoLib import audit
    from OncoLib.image import require_same_grid
    from OncoLib.same_voxels import on_grid_of
    from OncoSegmentLib.inputs import open_image

    image = open_image(Path(path)).image
    for one, name in ((result, "the result"), (reference, "the reference")):
        one = on_grid_of(one, image)
        require_same_grid(image.ijk_to_ras, image.shape_kji, one.ijk_to_ras, one.shape_kji, name)
    made_of = result.provenance.input_sha256
    if made_of and made_of != audit.image_sha256(image):
        return ("the result says that it was made of an image with other voxels than this one",)
    return ()


def write(options, found) -> None:
    """The CSV, whole or not at all."""
    from OncoLib.staged import staged_files
    from OncoSegmentLib.evaluation_files import evaluation_csv

    with staged_files(options.csv.parent, overwrite=options.overwrite) as staging:
        (staging / options.csv.name).write_text(evaluation_csv(found), encoding="utf-8", newline="")


def as_json(compared: Compared) -> dict:
    """What `--json` prints."""
    from OncoSegmentLib.evaluation_files import evaluation_json

    return {
        **evaluation_json(compared.found),
        "lesions_not_counted": None if not compared.lesions else [one.segment.name for one in uncounted(compared.found)],
        "only_result": [one.name for one in compared.pairs.only_result],
        "only_reference": [one.name for one in compared.pairs.only_reference],
        "sources": {name: {"sha256": value} for name, value in compared.sources.items()},
        "notes": list(compared.notes),
        "logged": not compared.log,
        "not_logged": compared.log or None,
    }


def print_tables(options, compared: Compared) -> None:
    """Tables, definitions, and what was left out."""
    print(structure_table(compared.found))
    if options.lesions:
        print("\n" + lesion_text(compared.found, options.lesion_structure))
    for what, segments in (("reference", compared.pairs.only_result), ("result", compared.pairs.only_reference)):
        if segments:
            print(f"Not compared, since the {what} does not have it: {names_text(segments)}")
    for note in compared.notes:
        print(f"Note: {note}")
    if options.csv is not None:
        print(f"Written: {options.csv}")
    print(f"Not in the evaluation log: {compared.log}." if compared.log else "Added to the evaluation log.")
    print(RESEARCH_USE)


def structure_table(found) -> str:
    """One row a structure; "-" for what is not defined; the definitions once, below."""
    from OncoAppLib.terminal import text_table
    from OncoLib.surface_distance import ELEMENTS

    rows = [[one.segment.name, *(number_text(name, one.measurements[name].value) for name in COLUMNS)] for one in found]
    table = text_table(["Structure", *COLUMNS.values()], rows, [notes_of(one) for one in found])
    defined = next((one for one in found if one.status == "defined"), found[0]).measurements
    methods = [f"{head}: {defined[name].method.removesuffix('; ' + ELEMENTS)}" for name, head in COLUMNS.items()]
    return "\n".join([table, "", *methods, f"Surfaces: {ELEMENTS}"])


def number_text(name: str, value: float) -> str:
    """A cell of the table."""
    from OncoLib.measure import volume_text

    if value != value:
        return "-"
    if name in ("volume_ml", "reference_ml"):
        return volume_text(value)
    if name == "volume_error_ml":
        return f"{'-' if value < 0 else '+'}{volume_text(abs(value))}"
    return f"{value:+.1f}" if name == "volume_error_percent" else f"{value:.3f}"


def notes_of(one) -> list[str]:
    """What a reader should know of a row."""
    notes = [EMPTY[one.status]] if one.status in EMPTY else []
    if one.result is None:
        return [*notes, "the result does not have this structure; it counts as not found"]
    if one.reference is None:
        return [*notes, "the reference does not have this structure; it counts as false"]
    if one.matched_by in ("structure", "codes", "the user"):
        notes.append(f"compared with {one.reference.name!r} of the reference, the same by {one.matched_by}")
    return notes


def names_text(segments) -> str:
    """The first names, and how many more there are."""
    return ", ".join(one.name for one in segments[:8]) + (f" and {len(segments) - 8} more" if len(segments) > 8 else "")


def uncounted(found) -> list:
    """Structures whose components were not taken for lesions."""
    return [one for one in found if one.lesions is None]


def lesion_text(found, named) -> str:
    """The table of lesions, and which structures have none in it."""
    counted, others = [one for one in found if one.lesions is not None], uncounted(found)
    lines = [lesion_table(counted)] if counted else []
    if others:
        why = "only the named ones are" if named else UNCODED
        lines.append(f"Not counted as lesions: {names_text([one.segment for one in others])} ({why})")
    return "\n".join(lines)


def lesion_table(found) -> str:
    """Lesions of each structure, and how they were matched."""
    from OncoAppLib.terminal import text_table

    heads = ("Lesions", "Reference", "Result", "Pairs", "Touched", "Recall", "Precision")
    rows, notes = [], []
    for one in found:
        counts = one.lesions
        shares = ["-" if value != value else f"{value:.3f}" for value in (counts.recall, counts.precision)]
        numbers = (counts.reference, counts.result, len(counts.pairs), counts.touched)
        rows.append([one.segment.name, *map(str, numbers), *shares])
        left = f"not counted: {counts.small_reference} of the reference and {counts.small_result} of the result"
        notes.append([left] if counts.small_reference or counts.small_result else [])
    told = (
        f"Pairs: {found[0].lesions.method}",
        "Touched: lesions of the reference that share at least one voxel with the result",
        "Recall: pairs divided by lesions of the reference; precision: pairs divided by lesions of the result",
    )
    return "\n".join([text_table(heads, rows, notes), "", *told])

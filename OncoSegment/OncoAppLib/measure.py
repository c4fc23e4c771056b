"""`oncosegment measure IMAGE SEGMENTATION`: every measure of every segment, as a table and as a file."""

from __future__ import annotations

import json
import re
from pathlib import Path

from OncoAppLib.options import add_common
from OncoLib.errors import OutputError
from OncoLib.segmentation_files import RESEARCH_USE

NO_IMAGE = "-"

COLUMNS = (
    ("Volume", "ml", ("volume_ml",)),
    ("Estimate", "ml", ("partial_volume_ml",)),
    ("Longest", "mm", ("longest_in_plane_mm",)),
    ("Perp.", "mm", ("perpendicular_mm",)),
    ("3-D", "mm", ("maximum_3d_mm",)),
    ("Mean", "", ("intensity_mean",)),
    ("SD", "", ("intensity_sd",)),
    ("Distance", "mm", ("distance_to_organ_mm",)),
)
"""Columns of the table: heading, unit, name of the measurement. Columns without any value are left out."""

AGREEMENT_NAMES = {
    "dice": "Dice",
    "iou": "IoU",
    "nsd_1mm": "NSD 1 mm",
    "nsd_2mm": "NSD 2 mm",
    "hd95_mm": "HD95 mm",
    "hd_mm": "HD mm",
    "assd_mm": "ASSD mm",
}


def add(verbs) -> None:
    """`measure`."""
    verb = verbs.add_parser("measure", help="volumes, diameters, values and agreement of the segments of a segmentation")
    verb.add_argument("image", help=f"image file or folder of DICOM, or {NO_IMAGE} to measure shapes only")
    verb.add_argument("segmentation", type=Path, help=".seg.nrrd, segmentation.json with its label maps, or a label map")
    verb.add_argument("--output", type=Path, metavar="FILE", help="write all numbers: .csv, or .json with methods and codes")
    verb.add_argument("--segment", action="append", metavar="NAME", help="only this segment; can be given several times")
    verb.add_argument("--organ", default="", metavar="NAME", help="segment to which distances are measured")
    verb.add_argument("--compare", type=Path, metavar="OTHER", help="another segmentation of the same image: Dice, NSD, HD95")
    verb.add_argument("--axis", choices=("i", "j", "k"), default="", help="array axis across which the slices were taken")
    verb.add_argument("--modality", default="", help="what the file cannot say: CT, MR, PT")
    verb.add_argument("--units", default="", help="what the file cannot say: HU, SUV")
    verb.add_argument("--series", default="", help="series UID, when the DICOM folder holds several")
    verb.add_argument("--overwrite", action="store_true", help="replace a result that is there")
    add_common(verb)
    verb.set_defaults(run=run)


def run(options) -> int:
    """Reads, measures, prints, writes."""
    from OncoAppLib.terminal import ProgressBar
    from OncoAppLib.verbs import cancel_on_signals

    check_output(options)
    bar = ProgressBar(quiet=options.json)
    try:
        measured, agreements, unmatched, sources = measured_of(options, bar, cancel_on_signals(quiet=options.json))
    finally:
        bar.close()
    if options.output is not None:
        write(options, measured, agreements, sources)
    if options.json:
        from OncoLib.measure_files import measures_json

        found = {**measures_json(measured, agreements), "sources": sources, "unmatched": unmatched}
        print(json.dumps(found, allow_nan=False))
        return 0
    print(measure_table(measured))
    if agreements is not None:
        print("\n" + agreement_table(agreements))
    for name in unmatched:
        print(f"Note: {name} is not in {options.compare.name}")
    for source in sources.values():
        for note in source.get("notes", ()):
            print(f"Note: {note}")
    if options.output is not None:
        print(f"Written: {options.output}")
    print(RESEARCH_USE)
    return 0


def check_output(options) -> None:
    """Refuses what cannot be written before any work is done."""
    if options.output is None:
        return
    from OncoLib.measure_files import check_suffix
    from OncoLib.staged import refuse_existing

    check_suffix(options.output)
    inputs = [options.segmentation, options.compare, None if options.image == NO_IMAGE else Path(options.image)]
    if any(path is not None and path.resolve() == options.output.resolve() for path in inputs):
        raise OutputError(f"{options.output.name} is an input and would be replaced by the result; choose another name")
    if not options.overwrite:
        refuse_existing(options.output.parent, [options.output.name])


def measured_of(options, progress, cancel) -> tuple[tuple, dict | None, list[str], dict]:
    """Measures, agreements with the other segmentation (None without one), names that it does not have, and sources."""
    from OncoAppLib.reading import read_segmentation
    from OncoLib.filters.segment_measures import measure_segments
    from OncoLib.overlap import compare_segmentations
    from OncoLib.progress import part_of
    from OncoLib.same_voxels import on_grid_of

    progress(0.0, "Reading the segmentation")
    segmentation = read_segmentation(options.segmentation)
    other = None if options.compare is None else read_segmentation(options.compare)
    opened = None if options.image == NO_IMAGE else open_named(options)
    sources = sources_of(options, opened)
    if opened is not None:
        segmentation = on_grid_of(segmentation, opened.image)
    if other is not None:
        other = on_grid_of(other, segmentation)
    measured = measure_segments(
        segmentation,
        None if opened is None else opened.image,
        organ=options.organ or None,
        segments=options.segment,
        axis=options.axis,
        progress=part_of(progress, 0.2, 0.8),
        cancel=cancel,
    )
    if other is None:
        progress(1.0, "Done")
        return measured, None, [], sources
    chosen = [item.segment for item in measured]
    agreements = compare_segmentations(segmentation, other, segments=chosen, progress=part_of(progress, 0.8, 1.0), cancel=cancel)
    progress(1.0, "Done")
    return measured, agreements, [segment.name for segment in chosen if segment not in agreements], sources


def open_named(options):
    """The image, with what the user knows of it."""
    from OncoSegmentLib.inputs import open_image

    path = Path(options.image)
    return open_image(path, modality=options.modality.upper(), units=options.units, series=options.series)


def sources_of(options, opened) -> dict:
    """Where the numbers come from, by hashes: names of files and folders may name a patient."""
    from OncoLib import audit
    from OncoLib.image_files import files_of

    found = {}
    if opened is not None:
        notes = list(opened.image.notes)
        found["image"] = {"kind": opened.kind, "files": opened.files, "sha256": opened.sha256, "notes": notes}
    for name, path in (("segmentation", options.segmentation), ("compared_with", options.compare)):
        if path is not None:
            found[name] = {"sha256": audit.files_sha256(files_of(path))}
    return found


def write(options, measured, agreements, sources: dict) -> None:
    """The file with the numbers and their sources."""
    from OncoLib.measure_files import write_measures

    write_measures(options.output, measured, agreements, overwrite=options.overwrite, facts={"sources": sources})


def measure_table(measured) -> str:
    """The main measures as text, notes below each segment, units and methods at the end."""
    from OncoAppLib.terminal import text_table

    shown = [column for column in COLUMNS if any(column[2][0] in item.measurements for item in measured)]
    organ = next((item.organ for item in measured if item.organ), "")
    heads = [f"{head} {unit}".strip() for head, unit, _ in shown]
    heads = [f"To {organ} mm" if names[0] == "distance_to_organ_mm" else head for head, (_, _, names) in zip(heads, shown)]
    heads = [f"{head} {unit_of(measured, names[0])}".rstrip() for head, (_, _, names) in zip(heads, shown)]
    rows = [[item.segment.name, *(number_text(item, names[0]) for _, _, names in shown)] for item in measured]
    shared, own = shared_notes([[*item.segment.flags, *item.notes] for item in measured])
    table = text_table(["Segment", *heads], rows, own)
    told = [f"{head}: {method_text(measured, names[0])}" for head, _, names in shown]
    return "\n".join([table, "", *told, *(f"All segments: {note}" for note in shared)])


def shared_notes(notes: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Notes that all rows of a table have, and what is left of each row; one row keeps its own."""
    if len(notes) < 2:
        return [], notes
    shared = [note for note in dict.fromkeys(notes[0]) if all(note in row for row in notes)]
    return shared, [[note for note in row if note not in shared] for row in notes]


def unit_of(measured, name: str) -> str:
    """Unit of values of the image for the heading, when it was stated and is the same for all segments."""
    from OncoLib.quantities import ARBITRARY, shown_unit

    units = {item.measurements[name].unit for item in measured if name in item.measurements}
    if not name.startswith("intensity_") or len(units) != 1 or units == {ARBITRARY}:
        return ""
    return shown_unit(units.pop())


def method_text(measured, name: str) -> str:
    """How a column was measured, in the words of its first number less what holds for one segment; units of values."""
    from OncoLib.quantities import NOT_STATED, shown_unit

    found = next(item.measurements[name] for item in measured if name in item.measurements)
    method = re.sub(r", slice \d+(?=\))|; \d+ voxels that are not finite were left out", "", found.method)
    if not name.startswith("intensity_") or method.endswith(NOT_STATED):
        return method
    return f"{method}; in {shown_unit(found.unit)}"


def number_text(item, name: str) -> str:
    """One cell: "-" for what was not measured."""
    from OncoLib.measure import volume_text

    found = item.measurements.get(name)
    if found is None:
        return "-"
    return volume_text(found.value) if name.endswith("_ml") else f"{found.value:.1f}"


def agreement_table(agreements) -> str:
    """Agreement as text, and the definition of each number once."""
    from OncoAppLib.terminal import text_table
    from OncoLib.surface_distance import ELEMENTS

    rows = []
    for segment, found in agreements.items():
        values = [found.measurements[name].value for name in AGREEMENT_NAMES]
        rows.append([segment.name, *("-" if value != value else f"{value:.3f}" for value in values)])
    notes = [[] if found.status == "defined" else [f"{found.status}: distances are not defined"] for found in agreements.values()]
    table = text_table(["Agreement", *AGREEMENT_NAMES.values()], rows, notes)
    told = next(iter(agreements.values())).measurements
    defined = next((found.measurements for found in agreements.values() if found.status == "defined"), told)
    methods = [f"{head}: {defined[name].method.removesuffix('; ' + ELEMENTS)}" for name, head in AGREEMENT_NAMES.items()]
    return "\n".join([table, *methods, f"Surfaces: {ELEMENTS}"])

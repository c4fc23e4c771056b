"""`oncosegment spine check|shift|relabel`: can the levels of the vertebrae be believed, and what a reader changes."""

from __future__ import annotations

import json
from pathlib import Path

from OncoAppLib.options import add_common
from OncoLib.errors import InputError, OutputError, UncodedError
from OncoLib.segmentation import CONFIDENCE_BANDS
from OncoLib.segmentation_files import RESEARCH_USE

SUFFIX, MARKUPS = ".seg.nrrd", ".mrk.json"


def add(verbs) -> None:
    """`spine`."""
    verb = verbs.add_parser("spine", help="check the levels of vertebrae, shift all by one, or rename one")
    actions = verb.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="order, gaps, spacing, volumes, anchors, variants, border, ...")
    check.add_argument("segmentation", type=Path, help="segmentation with coded vertebrae: .seg.nrrd or segmentation.json")
    check.add_argument("--image", type=Path, help="the image, for HU: a file or a folder of DICOM")
    other = "another run on the same patient and frame to compare with; can be repeated"
    check.add_argument("--other", type=Path, action="append", default=[], metavar="OTHER", help=other)
    check.add_argument("--markups", type=Path, metavar=f"FILE{MARKUPS}", help="write the level names as points for Slicer")
    check.add_argument("--modality", default="", help="what the image file cannot say: CT, MR")
    check.add_argument("--units", default="", help="what the image file cannot say: HU")
    check.set_defaults(run=run_check)
    shift = actions.add_parser("shift", help="all vertebrae one level down or up; voxels stay")
    shift.add_argument("--by", type=int, choices=(1, -1), required=True, help="1: L4 becomes L5; -1: L5 becomes L4")
    rename = actions.add_parser("relabel", help="one vertebra gets another level; voxels stay")
    rename.add_argument("--from", dest="old", required=True, metavar="LEVEL", help="level that it has, such as L5")
    rename.add_argument("--to", dest="new", required=True, metavar="LEVEL", help="level that it gets, such as L6")
    rename.add_argument("--swap", action="store_true", help="exchange the two when the new level is taken")
    for action in (shift, rename):
        action.add_argument("segmentation", type=Path, help="segmentation with coded vertebrae: .seg.nrrd or segmentation.json")
        action.add_argument("--output", type=Path, required=True, metavar=f"FILE{SUFFIX}", help="where to write the result")
        action.set_defaults(run=run_edit)
    for action in (check, shift, rename):
        action.add_argument("--overwrite", action="store_true", help="replace a file that is there")
        add_common(action)


def run_check(options) -> int:
    """Reads, checks, prints, writes points."""
    from OncoAppLib.terminal import ProgressBar
    from OncoAppLib.verbs import cancel_on_signals

    check_output(options, options.markups, MARKUPS, [options.segmentation, options.image, *options.other])
    bar = ProgressBar(quiet=options.json)
    try:
        report = checked(options, bar, cancel_on_signals(quiet=options.json))
    finally:
        bar.close()
    if options.markups is not None:
        write_points(report.bodies, options.markups, options.overwrite)
    if options.json:
        print(json.dumps(report.as_dict(), allow_nan=False))
        return 0
    print(report_text(report))
    if options.markups is not None:
        print(f"Written: {options.markups}")
    print(RESEARCH_USE)
    return 0


def checked(options, progress, cancel):
    """The report; InputError for a segmentation without a vertebra of a known level."""
    from OncoAppLib.reading import numbered, read_told
    from OncoLib.progress import part_of
    from OncoLib.same_voxels import on_grid_of
    from OncoSegmentLib.inputs import open_image
    from OncoSegmentLib.spine.levels import level_of
    from OncoSegmentLib.spine.report import check_spine

    progress(0.0, "Reading the segmentation")
    paths = (options.segmentation, *options.other)
    names = numbered(paths)
    found = [read_told(path, name) for path, name in zip(paths, names)]
    for name, one in zip(names, found):
        if not any(level_of(segment) for segment in one.segments):
            wanted = "wanted the .seg.nrrd or segmentation.json of a run, since a plain label map carries no codes"
            raise UncodedError(f"{name}: no segment is coded as a vertebra from C1 to L6; {wanted}")
    image = None
    if options.image is not None:
        image = open_image(options.image, modality=options.modality.upper(), units=options.units.upper()).image
        found[0] = on_grid_of(found[0], image)
    others = [on_grid_of(one, found[0]) for one in found[1:]]
    return check_spine(found[0], image, *others, progress=part_of(progress, 0.3, 1.0), cancel=cancel)


def report_text(report) -> str:
    """A table of findings, what must be looked at first; then the variants."""
    from OncoAppLib.terminal import text_table
    from OncoSegmentLib.spine.findings import STATUSES, check_of

    found = sorted(report.findings, key=lambda one: STATUSES.index(one.status))
    rows = [(one.status, check_of(one.check).title, one.sentence) for one in found]
    lines = [f"Spine: {report.status}; {len(report.bodies)} vertebrae, {levels_text(report)}", ""]
    lines += [text_table((), rows, texts=(0, 1, 2)), *agreement_lines(report)]
    lines += ["", "Thresholds and their sources: --json, and spine.md of the documentation."]
    return "\n".join(lines)


def agreement_lines(report) -> list[str]:
    """Bands of the outlines' agreement between runs on one grid, with their levels; nothing without such runs."""
    lines = [""] if report.bands else []
    for band in dict.fromkeys(sorted(report.bands.values(), key=CONFIDENCE_BANDS.index)):
        levels = [one.level for one in report.bodies if report.bands.get(one.index) == band]
        lines.append(f"Outlines agree between runs: {band} in {', '.join(levels)}")
    return lines


def levels_text(report) -> str:
    """From the head down."""
    levels = [one.level for one in report.bodies]
    return levels[0] if len(levels) == 1 else f"{levels[0]} to {levels[-1]}"


def check_output(options, output: Path | None, suffix: str, inputs: list) -> None:
    """Refuses what cannot be written before any work is done."""
    from OncoLib.staged import refuse_existing

    if output is None:
        return
    if not output.name.lower().endswith(suffix):
        raise InputError(f"{output.name}: wanted a name that ends in {suffix}")
    if any(path is not None and path.resolve() == output.resolve() for path in inputs):
        raise OutputError(f"{output.name} is an input and would be replaced by the result; choose another name")
    if not options.overwrite:
        refuse_existing(output.parent, [output.name])


def write_points(bodies, path: Path, overwrite: bool) -> None:
    """The level names: all of the file or nothing."""
    from OncoLib.staged import staged_files
    from OncoSegmentLib.scene.level_names import write_level_names

    with staged_files(path.parent, overwrite=overwrite) as staging:
        write_level_names(bodies, staging / path.name)


def run_edit(options) -> int:
    """Reads, renames, writes; says what became what."""
    from OncoAppLib.reading import read_segmentation
    from OncoSegmentLib.spine.edits import renamed
    from OncoSegmentLib.spine.levels import level_of

    check_output(options, options.output, SUFFIX, [options.segmentation])
    found = read_segmentation(options.segmentation)
    renaming = renaming_of(options, found)
    result = renamed(found, renaming)
    write_segmentation(result, options.output, options.overwrite)
    became = {level_of(found.segments[at]): level for at, level in renaming.levels.items()}
    if options.json:
        print(json.dumps({"edit": renaming.edit, "levels": became, "file": str(options.output)}))
        return 0
    print(", ".join(f"{old} -> {new}" for old, new in became.items()))
    print(f"Written: {options.output}")
    print(RESEARCH_USE)
    return 0


def renaming_of(options, found):
    """What the options ask for; InputError naming the file where it cannot be."""
    from OncoSegmentLib.spine.edits import relabel_of, shift_of

    try:
        if hasattr(options, "by"):
            return shift_of(found.segments, options.by)
        return relabel_of(found.segments, options.old, options.new, swap=options.swap)
    except InputError as error:
        raise InputError(f"{options.segmentation.name}: {error}") from error


def write_segmentation(segmentation, path: Path, overwrite: bool) -> None:
    """One `.seg.nrrd`: all of the file or nothing."""
    from OncoLib.scene.host import new_host
    from OncoLib.scene.segmentations import add_segmentation
    from OncoLib.scene.storage import write_seg_nrrd
    from OncoLib.staged import staged_files

    with staged_files(path.parent, overwrite=overwrite) as staging:
        write_seg_nrrd(add_segmentation(new_host().scene, segmentation), staging / path.name)

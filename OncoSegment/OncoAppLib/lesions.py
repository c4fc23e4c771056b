"""`oncosegment lesions SEG`: the lesions of a segmentation one by one, within their organ, and where each lies."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from OncoAppLib.options import add_common
from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.segmentation import Segmentation
from OncoLib.segmentation_files import RESEARCH_USE
from OncoSegmentLib.lesion.settings import LEAST_ML, LEAST_VOXELS, MARGIN_MM, LesionSettings

STEM = "lesions"

COLUMNS = (
    ("Longest mm", "longest_in_plane_mm"),
    ("Perp. mm", "perpendicular_mm"),
    ("3-D mm", "maximum_3d_mm"),
)
"""Heading and name of the measurement."""

PLACE_FLAG = "place: "


def add(verbs) -> None:
    """`lesions`."""
    verb = verbs.add_parser("lesions", help="split lesions into single ones, limit them to their organ, say where each lies")
    wanted = ".seg.nrrd, segmentation.json with its label maps, or a label map"
    verb.add_argument("segmentation", type=Path, metavar="SEG", help=wanted)
    add_options(verb)
    verb.add_argument("--label", action="append", default=[], metavar="NAME", help="only this segment; can be repeated")
    verb.add_argument("--image", type=Path, help="the image, for mean values: a file or a folder of DICOM")
    verb.add_argument("--modality", default="", help="what the image file cannot say: CT, MR, PT")
    verb.add_argument("--units", default="", help="what the image file cannot say: HU, SUV")
    verb.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for lesions.seg.nrrd and lesions.json")
    verb.add_argument("--nifti", action="store_true", help="also write lesions.nii.gz")
    verb.add_argument("--nrrd", action="store_true", help="also write lesions.nrrd, a plain label map")
    verb.add_argument("--overwrite", action="store_true", help="replace results that are there")
    add_common(verb)
    verb.set_defaults(run=run)


def add_options(verb) -> None:
    """What `lesions` and `segment --lesions` share."""
    group = verb.add_argument_group("lesions", "see Resources/Documentation/lesions.md")
    group.add_argument("--organs", type=Path, metavar="SEG2", help="segmentation of the organs on the same grid")
    add_limits(group)


def add_limits(group) -> None:
    """What counts as a lesion, and how far out of its organ."""
    least = f"what is smaller is a candidate (default: {LEAST_ML:g}, a ball of 3 mm)"
    group.add_argument("--min-ml", type=float, default=LEAST_ML, metavar="X", help=least)
    group.add_argument("--min-voxels", type=int, default=LEAST_VOXELS, metavar="N", help=f"the same (default: {LEAST_VOXELS})")
    group.add_argument("--host", default="", metavar="NAME", help="organ of all lesions, instead of what the model's card says")
    group.add_argument("--margin-mm", type=float, metavar="X", help=f"how far out of it (default: the card's, or {MARGIN_MM:g})")
    group.add_argument("--no-host", action="store_true", help="limit no lesion")


def settings_of(options) -> LesionSettings:
    """The settings that the options name; InputError for those that do not go together."""
    if options.no_host and (options.host or options.margin_mm is not None):
        raise InputError("--no-host does not go with --host or --margin-mm")
    return LesionSettings(
        tuple(getattr(options, "label", ())),
        options.min_ml,
        options.min_voxels,
        not options.no_host,
        options.host,
        options.margin_mm,
    )


def run(options) -> int:
    """Reads, splits, writes, prints."""
    from OncoAppLib.terminal import ProgressBar
    from OncoAppLib.verbs import cancel_on_signals

    settings = settings_of(options)
    check_output(options)
    bar = ProgressBar(quiet=options.json)
    try:
        description, files = split_to_folder(options, settings, bar, cancel_on_signals(quiet=options.json))
    finally:
        bar.close()
    if options.json:
        print(json.dumps({**description, "files": [str(path) for path in files]}, allow_nan=False))
        return 0
    print(report_text(description))
    print("Written: " + "\n         ".join(str(path) for path in files))
    print(RESEARCH_USE)
    return 0


def check_output(options) -> None:
    """Refuses what would replace something before any file is read."""
    from OncoAppLib.jobs import protect_inputs
    from OncoLib.staged import refuse_existing
    from OncoSegmentLib.scene.results import family

    inputs = [path for path in (options.segmentation, options.organs, options.image) if path is not None]
    protect_inputs(inputs, options.output, family(STEM))
    if not options.overwrite:
        refuse_existing(options.output, list(family(STEM)))


def split_to_folder(options, settings, progress, cancel) -> tuple[dict, list[Path]]:
    """Files to files, all of them or none; returns what `lesions.json` holds, and the paths."""
    from OncoAppLib.reading import read_told, told_apart
    from OncoLib import audit
    from OncoLib.image_files import files_of
    from OncoLib.progress import part_of
    from OncoLib.same_voxels import on_grid_of
    from OncoLib.staged import staged_files
    from OncoSegmentLib.engine.work import split_lesions
    from OncoSegmentLib.inputs import open_image
    from OncoSegmentLib.scene.results import Formats, family

    progress(0.0, "Reading the segmentation")
    names = told_apart([options.segmentation, options.organs or Path()], ("the lesions", "the organs"))
    found = read_told(options.segmentation, names[0])
    image = None
    if options.image is not None:
        image = open_image(options.image, modality=options.modality.upper(), units=options.units.upper()).image
        found = on_grid_of(found, image)
    organs = None if options.organs is None else read_organs(options.organs, found, *names)
    cancel.check()
    report = split_lesions(found, organs, settings, image, progress=part_of(progress, 0.1, 0.8), cancel=cancel)
    progress(0.8, "Writing the results")
    used = {"segmentation": options.segmentation, "organs": options.organs}
    hashes = {name: audit.files_sha256(files_of(path)) for name, path in used.items() if path is not None}
    with staged_files(options.output, overwrite=options.overwrite, family=family(STEM)) as staging:
        formats = Formats(nifti=options.nifti, nrrd=options.nrrd)
        description = write_report(staging, report, formats, {"inputs": hashes})
        cancel.check()
        names = sorted(path.name for path in staging.iterdir())
    progress(1.0, "Done")
    return description, [options.output / name for name in names]


def read_organs(path: Path, beside: Image | Segmentation, name: str, told: str = "") -> Segmentation:
    """The segmentation of the organs in the order of the other's voxels; GeometryError naming both files.

    name: of the other; told: what to call this file, where that is not its name.
    """
    from OncoAppLib.reading import read_told
    from OncoLib.image import require_same_grid
    from OncoLib.same_voxels import on_grid_of

    told = told or path.name
    found = on_grid_of(read_told(path, told), beside)
    require_same_grid(beside.ijk_to_ras, beside.shape_kji, found.ijk_to_ras, found.shape_kji, told, beside=name)
    return found


def write_report(folder: Path, report, formats, facts: dict) -> dict:
    """`lesions.seg.nrrd` and `lesions.json`; the JSON alone when there is neither a lesion nor a candidate."""
    from OncoLib.segmentation_files import as_json, write_json
    from OncoSegmentLib.scene.results import write_results

    facts = {**report.as_dict(), **facts}
    if report.segmentation.segments:
        return write_results(folder, None, report.segmentation, formats, facts, stem=STEM)
    description = {**as_json(report.segmentation), **facts}
    write_json(folder / f"{STEM}.json", description)
    return description


def report_text(report: dict) -> str:
    """Lesions with their measures, then what was taken off, then notes. report: as `LesionReport.as_dict` gives it."""
    from OncoAppLib.terminal import text_table
    from OncoLib.measure import volume_text

    rows, notes = [], []
    for one in report["lesions"]:
        numbers = [number_text(one["measurements"].get(name)) for _head, name in COLUMNS]
        rows.append([one["name"], one["place"]["text"], volume_text(one["volume_ml"]), *numbers])
        notes.append([flag for flag in one["flags"] if not flag.startswith(PLACE_FLAG)])
    heads = ["Lesion", "Where", "Volume ml", *(head for head, _name in COLUMNS)]
    lines = [text_table(heads, rows, notes, texts=(0, 1)) if rows else "No lesion."]
    if report["removed"]:
        total = volume_text(sum(one["volume_ml"] for one in report["removed"]))
        lines += ["", f"Not among the lesions, kept as candidates: {total} ml"]
        lines += [f"  {removed_text(one)}" for one in report["removed"]]
    lines += [f"Limited: {name} to {text}" for name, text in report["limits"].items()]
    return "\n".join([*lines, *(f"Note: {note}" for note in report["notes"])])


def removed_text(one: dict) -> str:
    """One candidate in a line."""
    from OncoLib.measure import volume_text

    center = ", ".join(f"{part:.0f}" for part in one["center_ras_mm"])
    count, at = ("1 piece", f" at RAS {center}") if one["pieces"] == 1 else (f"{one['pieces']} pieces", "")
    of = f" of {one['of']}" if one["of"] else ""
    return f"{one['name']}: {count}, {volume_text(one['volume_ml'])} ml{of}{at}; {one['reason']}"


def number_text(found: dict | None) -> str:
    """One cell: "-" for what was not measured."""
    return "-" if found is None or found["value"] is None else f"{found['value']:.1f}"


def add_to_segment(verb) -> None:
    """`segment --lesions` and what belongs to it."""
    verb.add_argument("--lesions", action="store_true", help="then split the lesions: lesions.seg.nrrd and lesions.json too")
    add_options(verb)


@dataclass(frozen=True, eq=False)
class AfterRun:
    """What `segment --lesions` does with the result of a model. organs: on the image's grid, or None."""

    settings: LesionSettings
    organs: Segmentation | None = None

    def write(self, folder: Path, image: Image, segmentation: Segmentation, formats, progress, cancel) -> dict:
        """Adds the files of the lesions; returns the report as a dict, or only a note where there is nothing to split."""
        from OncoSegmentLib.engine.work import split_lesions

        try:
            report = split_lesions(segmentation, self.organs, self.settings, image, progress=progress, cancel=cancel)
        except InputError as error:  # the model's result is worth more than the wish to split it
            return {"lesions": [], "removed": [], "limits": {}, "notes": [f"lesions were not split: {error}"]}
        write_report(folder, report, replace(formats, mrb=False), {})
        return report.as_dict()


def after_run(options, image: Image) -> AfterRun | None:
    """What is to be done after the run; InputError for organs on another grid, before the model runs."""
    if not options.lesions:
        return None
    organs = None if options.organs is None else read_organs(options.organs, image, options.image.name)
    return AfterRun(settings_of(options), organs)


def limits_given(options) -> list[str]:
    """Options of `add_limits` that were given."""
    given = {
        "--min-ml": options.min_ml != LEAST_ML,
        "--min-voxels": options.min_voxels != LEAST_VOXELS,
        "--host": bool(options.host),
        "--margin-mm": options.margin_mm is not None,
        "--no-host": options.no_host,
    }
    return [name for name, there in given.items() if there]


def refuse_strange(options) -> None:
    """Raises InputError for options of `--lesions` without it, and for a model that finds none."""
    strange = [*(["--organs"] if options.organs is not None else []), *limits_given(options)]
    if strange and not options.lesions:
        raise InputError(f"{strange[0]} belongs to --lesions")
    if options.lesions and options.model == "thresholds":
        raise InputError("--lesions: the model 'thresholds' finds none; name one that does, see `oncosegment models search`")
    settings_of(options)

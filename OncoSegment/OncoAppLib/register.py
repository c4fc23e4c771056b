"""`oncosegment register`: two or more dates of a patient registered to the first one, with a verdict at each lesion."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path

from OncoAppLib.options import add_common
from OncoLib.errors import InputError
from OncoLib.segmentation_files import RESEARCH_USE

FORMAT = "oncosegment.registration/1"
AUTO = "auto"


@dataclass
class Asked:
    """One `--timepoint` and what follows it on the command line."""

    date: str
    image: Path
    channels: dict[str, Path] = field(default_factory=dict)
    segmentation: Path | None = None
    mask: Path | None = None


class Timepoint(argparse.Action):
    """`--timepoint DATE IMAGE` begins a date."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Adds it to those that there are."""
        date, image = values
        namespace.timepoints = [*(namespace.timepoints or ()), Asked(date, Path(image))]


class OfTimepoint(argparse.Action):
    """An option that belongs to the `--timepoint` before it."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Refused where no date was begun, and twice for one date."""
        if not namespace.timepoints:
            parser.error(f"{option_string} belongs to the --timepoint before it, and there is none")
        asked = namespace.timepoints[-1]
        if self.dest == "channel":
            asked.channels[values[0]] = Path(values[1])
            return
        if getattr(asked, self.dest) is not None:
            parser.error(f"{option_string} is there twice for {asked.date}")
        setattr(asked, self.dest, Path(values))


def add(verbs) -> None:
    """`register`."""
    verb = verbs.add_parser("register", help="register later dates to the first one, and judge the alignment at each lesion")
    dates = verb.add_argument_group("dates", "from 2 to n; what follows a --timepoint belongs to it")
    dates.add_argument(
        "--timepoint", action=Timepoint, nargs=2, dest="timepoints", metavar=("DATE", "IMAGE"), required=True,
        help="YYYY-MM-DD (with THH:MM for two scans of one day), or `dicom` for the date that DICOM states; a file or folder",
    )  # fmt: skip
    dates.add_argument("--channel", action=OfTimepoint, nargs=2, metavar=("NAME", "IMAGE"), help="a further image of that date")
    dates.add_argument("--segmentation", action=OfTimepoint, metavar="SEG", help="lesions (and organs) of that date")
    dates.add_argument("--mask", action=OfTimepoint, metavar="FILE", help="baseline: what a deformation must not be led by"
                       " (default: all lesions of its segmentation)")  # fmt: skip
    verb.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for transforms, verdicts and pictures")
    how = verb.add_argument_group("how", "see Resources/Documentation/registration.md")
    how.add_argument("--engine", default="simpleitk", help="simpleitk (default), ants, elastix or greedy")
    how.add_argument("--kind", default="rigid", help="rigid (default), similarity, affine or deformable")
    how.add_argument("--preset", default=AUTO, help="part of the body and modality; auto (default) takes it from the modality")
    mode = how.add_mutually_exclusive_group()
    mode.add_argument("--deterministic", dest="mode", action="store_const", const="deterministic", default="deterministic",
                      help="one thread: bit for bit the same result on one machine (default)")  # fmt: skip
    mode.add_argument("--fast", dest="mode", action="store_const", const="fast", help="all cores; see the stated tolerance")
    how.add_argument("--inside", type=Path, metavar="FILE", help="mask on the baseline's grid of what counts, as of the brain")
    how.add_argument("--no-way-back", action="store_true", help="skip the registration the other way round: half the time")
    how.add_argument("--no-local", action="store_true", help="no refinement around lesions where the alignment is not good")
    how.add_argument("--same-patient", action="store_true", help="confirm that DICOM's different patients are one")
    how.add_argument("--modality", default="", help="what the files cannot say: CT, MR, PT")
    how.add_argument("--units", default="", help="what the files cannot say: HU, SUV")
    verb.add_argument("--resampled", action="store_true", help="also write each later scan on the baseline's grid, to look at")
    verb.add_argument("--overwrite", action="store_true", help="replace results that are there")
    add_common(verb)
    verb.set_defaults(run=run)


def run(options) -> int:
    """Reads, registers, writes, prints."""
    from OncoAppLib.terminal import ProgressBar
    from OncoAppLib.verbs import cancel_on_signals

    if len(options.timepoints) < 2:
        raise InputError("one --timepoint; wanted two or more to be registered")
    bar = ProgressBar(quiet=options.json)
    try:
        told, files = registered(options, bar, cancel_on_signals(quiet=options.json))
    finally:
        bar.close()
    if options.json:
        print(json.dumps({**told, "files": [str(path) for path in files]}, allow_nan=False))
        return 0
    print(text_of(told))
    print("Written: " + "\n         ".join(str(path) for path in files))
    print(RESEARCH_USE)
    return 0


def registered(options, progress, cancel) -> tuple[dict, list[Path]]:
    """The whole job: what `alignment.json` says, and the files."""
    from LongitudinalCompareLib.registration import lesions_mask, register_dates
    from LongitudinalCompareLib.timepoint import check_patient
    from OncoAppLib.register_files import check_names, write
    from OncoLib.progress import part_of

    progress(0.0, "Reading the scans")
    timepoints = read_all(options)
    notes = list(check_patient(timepoints, same_patient=options.same_patient))
    check_names(options, timepoints)
    choice, why = choice_of(options, timepoints)
    baseline = timepoints[0]
    exclude = mask_of(mask_path(options, timepoints), baseline.image) if mask_path(options, timepoints) else None
    exclude = lesions_mask(baseline.segmentation) if exclude is None else exclude
    inside = mask_of(options.inside, baseline.image) if options.inside else None
    pairs = register_dates(
        timepoints, choice, inside=inside, exclude=exclude, way_back=not options.no_way_back, local=not options.no_local,
        progress=part_of(progress, 0.05, 0.9), cancel=cancel,
    )  # fmt: skip
    cancel.check()
    facts = {"format": FORMAT, "notice": RESEARCH_USE, "preset": why, "choice": choice.as_dict(), "notes": notes}
    return write(options, facts, timepoints, pairs, part_of(progress, 0.9, 1.0))


def read_all(options) -> tuple:
    """The timepoints in order, the baseline first."""
    from LongitudinalCompareLib.timepoint import FROM_DICOM, Named, day_and_time, new_salt, ordered, read_timepoint
    from OncoAppLib.reading import read_segmentation

    for asked in options.timepoints:  # before any scan is read
        if asked.date.lower() != FROM_DICOM:
            day_and_time(asked.date)
    salt, found = new_salt(), []
    for asked in options.timepoints:
        named = Named(asked.date, {"image": asked.image, **asked.channels}, asked.segmentation)
        segmentation = None if asked.segmentation is None else read_segmentation(asked.segmentation)
        one = read_timepoint(named, salt, modality=options.modality.upper(), units=options.units, segmentation=segmentation)
        found.append(one)
    return ordered(found)


def mask_path(options, timepoints) -> Path | None:
    """The mask that was given with the baseline; InputError for one of another date, which nothing uses."""
    from LongitudinalCompareLib.timepoint import FROM_DICOM, day_and_time

    given = [one for one in options.timepoints if one.mask is not None]
    for one in given:
        if len(given) > 1 or (one.date.lower() != FROM_DICOM and day_and_time(one.date)[0] != timepoints[0].date):
            raise InputError("--mask belongs to the baseline, the first date; a deformation is led by the baseline's grid")
    return given[0].mask if given else None


def mask_of(path: Path, image):
    """bool `[k, j, i]` on the image's grid; GeometryError for another grid."""
    from OncoAppLib.reading import read_segmentation
    from OncoLib.image import require_same_grid
    from OncoLib.same_voxels import on_grid_of

    found = on_grid_of(read_segmentation(path), image)
    require_same_grid(image.ijk_to_ras, image.shape_kji, found.ijk_to_ras, found.shape_kji, path.name, "the baseline")
    return sum(layer > 0 for layer in found.layers) > 0


def choice_of(options, timepoints):
    """Engine, kind and preset, and why the preset; InputError for what does not go together."""
    from OncoLib.registration.engine import ENGINES, Choice, require
    from OncoLib.registration.presets import preset_for

    modalities = {one.image.modality for one in timepoints}
    if len(modalities) > 1:
        raise InputError(f"the dates have different modalities ({', '.join(sorted(modalities))}); wanted one for all")
    preset, why = preset_for(timepoints[0].image, options.preset)
    path = ()
    if options.engine in ENGINES and ENGINES[options.engine].package:
        from OncoSegmentLib.engine.paths import worker_path

        path = tuple(worker_path(("registration",)))
        require(ENGINES[options.engine], path)
    return Choice(preset, options.kind, options.engine, options.mode, worker_path=path), why


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

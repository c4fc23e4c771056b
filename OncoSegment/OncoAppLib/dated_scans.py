"""What `register` and `compare` share: the dates of a patient on the command line, how they are registered, and reading them."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

from OncoLib.errors import InputError

AUTO = "auto"


@dataclass
class Asked:
    """One `--timepoint` and what follows it on the command line. experts: masks of that date by the expert's name."""

    date: str
    image: Path
    segmentation: Path | None = None
    channels: dict[str, Path] = field(default_factory=dict)
    experts: dict[str, Path] = field(default_factory=dict)
    organs: Path | None = None
    mask: Path | None = None


class Timepoint(argparse.Action):
    """`--timepoint DATE IMAGE [SEGMENTATION]` begins a date."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Adds it to those that there are."""
        if not 2 <= len(values) <= 3:
            parser.error(f"{option_string} has {len(values)} word{'s' * (len(values) > 1)}; wanted DATE IMAGE [SEGMENTATION]")
        date, *paths = values
        namespace.timepoints = [*(namespace.timepoints or ()), Asked(date, *map(Path, paths))]


NAMED = {"channel": "channels", "expert": "experts"}
"""Options of a date that give a file a name, and where `Asked` keeps them."""


class OfTimepoint(argparse.Action):
    """An option that belongs to the `--timepoint` before it."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Refused where no date was begun, and twice for one date."""
        if not namespace.timepoints:
            parser.error(f"{option_string} belongs to the --timepoint before it, and there is none")
        asked = namespace.timepoints[-1]
        kept, name = asked, self.dest
        twice = getattr(asked, self.dest, None) is not None
        if self.dest in NAMED:
            kept, (name, values) = getattr(asked, NAMED[self.dest]), values
            twice = name in kept
        if twice:
            parser.error(f"{option_string}{f' {name}' if kept is not asked else ''} is there twice for {asked.date}")
        if kept is asked:
            setattr(asked, name, Path(values))
        else:
            kept[name] = Path(values)


def add_timepoint(dates, nargs, words: tuple[str, str], more: str = "") -> None:
    """`--timepoint` with its words, and `--channel`. nargs: 2, or "+" where a segmentation may follow, and what that is."""
    dates.add_argument(
        "--timepoint", action=Timepoint, nargs=nargs, dest="timepoints", metavar=words, required=True,
        help="YYYY-MM-DD (with THH:MM for two scans of one day), or `dicom` for the date that DICOM states; a file or folder"
        + more,
    )  # fmt: skip
    dates.add_argument("--channel", action=OfTimepoint, nargs=2, metavar=("NAME", "IMAGE"), help="a further image of that date")


def add_mask(dates) -> None:
    """`--mask`."""
    dates.add_argument("--mask", action=OfTimepoint, metavar="FILE", help="baseline: what a deformation must not be led by"
                       " (default: all lesions of its segmentation)")  # fmt: skip


def add_registration(verb) -> None:
    """How dates are laid upon the first one, and what the files cannot say."""
    how = verb.add_argument_group("registration", "see Resources/Documentation/registration.md")
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


@dataclass(frozen=True)
class When:
    """Date and time as asked for, before anything is read."""

    date: str
    time: str


def check_dates(options, verb: str) -> None:
    """InputError, before any scan is read, for fewer than two dates and for what is no date or the same one twice."""
    from LongitudinalCompareLib.timepoint import FROM_DICOM, day_and_time, ordered

    if len(options.timepoints) < 2:
        raise InputError(f"one --timepoint; wanted two or more to be {verb}")
    known = [When(*day_and_time(one.date)) for one in options.timepoints if one.date.lower() != FROM_DICOM]
    if known:
        ordered(known)


def read_dates(options, *, may_be_empty: bool = False) -> list[tuple[Asked, object]]:
    """What was asked for each date and its timepoint, in order, the baseline first.

    may_be_empty: a segmentation that holds nothing is an answer, nothing was found. The error of a file says of which date it is.
    """
    from LongitudinalCompareLib.timepoint import Named, new_salt, ordered, read_timepoint
    from OncoAppLib.reading import read_segmentation

    salt, found = new_salt(), []
    for asked in options.timepoints:
        named = Named(asked.date, {"image": asked.image, **asked.channels}, asked.segmentation)
        given = asked.segmentation
        segmentation = None if given is None else read_segmentation(given, may_be_empty=may_be_empty)
        one = read_timepoint(named, salt, modality=options.modality.upper(), units=options.units, segmentation=segmentation)
        found.append((asked, one))
    return [next(pair for pair in found if pair[1] is one) for one in ordered([one for _asked, one in found])]


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


def masks_of(options, timepoints) -> dict:
    """`inside` and `exclude` as `register_dates` takes them: what counts, and what a deformation must not be led by."""
    from LongitudinalCompareLib.registration import lesions_mask

    baseline, path = timepoints[0], mask_path(options, timepoints)
    exclude = lesions_mask(baseline.segmentation) if path is None else mask_of(path, baseline.image)
    return {"inside": mask_of(options.inside, baseline.image) if options.inside else None, "exclude": exclude}

"""`oncosegment panel IMAGE --expert ... --expert ...`: several models on one image, one consensus, and how far they agree."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from OncoAppLib import engine_options
from OncoAppLib.consensus_print import printed
from OncoAppLib.fuse import METHODS
from OncoAppLib.options import add_common, add_image_facts, add_results
from OncoLib.errors import InputError

LISTS = ("structures", "folds")
"""Parameters that take several values, joined by +."""

TEXTS = ("weights", "task", "confirm", "bundle", "profile", "device", "speed", "checkpoint", "mirroring")
"""Parameters that stay text, also where they look like a number."""


def add(verbs) -> None:
    """`panel`."""
    verb = verbs.add_parser("panel", help="several models on one image: one consensus, and how far they agree")
    verb.add_argument("image", type=Path, help="NIfTI, NRRD or MetaImage file, or a folder of DICOM")
    expert = (
        "one for each expert: thresholds:profile=bones, totalsegmentator:task=total,speed=fast,structures=liver+spleen,"
        " nnunet:weights=/models/x; also device=, channel.NAME=FILE and whatever else the model takes"
    )
    verb.add_argument("--expert", action="append", default=[], metavar="MODEL:KEY=VALUE,...", help=expert)
    verb.add_argument("--method", choices=METHODS, help="default: majority, or weights when there are weights")
    weights = "one number an expert, or `learned` from the evaluation log of this machine"
    verb.add_argument("--weights", nargs="+", default=[], metavar="W", help=weights)
    unlisted = "what an expert does not look for it has no vote on (unknown, the default), or is not there (absent)"
    verb.add_argument("--unlisted", default="unknown", choices=("unknown", "absent"), help=unlisted)
    verb.add_argument("--at-least", type=int, default=2, metavar="N", help="experts that must give a result (default: 2)")
    add_image_facts(verb)
    roi = "for all experts: box:R0,R1,A0,A1,S0,S1 in mm (RAS), or a label map FILE or FILE:LABEL"
    verb.add_argument("--roi", default="", help=roi)
    add_results(verb)
    engine_options.add(verb)
    add_common(verb)
    verb.set_defaults(run=run)


def run(options) -> int:
    """Runs, writes, prints."""
    return printed(options, panel_to_folder, lambda told: [line_of(one) for one in told["experts"]])


def line_of(expert: dict) -> str:
    """An expert's name and seconds, or that it gave nothing."""
    if expert["problem"] is not None:
        return f"{expert['name']}: no result"
    return expert["name"] if expert["seconds"] is None else f"{expert['name']}, {expert['seconds']:.1f} s"


def panel_to_folder(options, progress, cancel) -> tuple[dict, list[Path]]:
    """Image file to result files, all of them or none; what can be refused is refused before any expert runs."""
    from OncoLib.progress import part_of
    from OncoLib.staged import staged_files
    from OncoSegmentLib.engine.jobs import run_panel
    from OncoSegmentLib.inputs import open_image
    from OncoSegmentLib.panel import log_panel
    from OncoSegmentLib.scene.panel_results import PANEL_FAMILY, write_panel
    from OncoSegmentLib.scene.results import Formats

    members, settings = members_and_settings(options)
    check_output(options, members)
    with engine_of(options) as engine:
        progress(0.0, "Reading the image")
        opened = open_image(
            options.image, modality=options.modality.upper(), units=options.units.upper(), series=options.series
        )
        image = checked(opened, members, engine)
        with staged_files(options.output, overwrite=options.overwrite, family=PANEL_FAMILY) as staging:
            result = run_panel(image, members, settings, engine=engine, progress=part_of(progress, 0.05, 0.9), cancel=cancel)
            cancel.check()
            progress(0.9, "Writing the results")
            source = {"kind": opened.kind, "files": opened.files, "sha256": opened.sha256, "notes": list(image.notes)}
            formats = Formats(nifti=options.nifti, nrrd=options.nrrd, mrb=options.mrb)
            told = write_panel(staging, image, result, formats, {"input": source})
            cancel.check()
            names = sorted(path.name for path in staging.iterdir())
    not_logged = log_panel(result)
    progress(1.0, "Done")
    return {**told, **({"not_logged": not_logged} if not_logged else {})}, [options.output / name for name in names]


@contextlib.contextmanager
def engine_of(options) -> Iterator:
    """What `--scheduler` names; without it each expert gets a process of its own, so that none takes the others with it."""
    from OncoSegmentLib.engine.process import ProcessEngine

    with engine_options.engine_of(options) as engine:
        if engine is not None:
            yield engine
            return
        own = ProcessEngine()
        try:
            yield own
        finally:
            own.close()


def members_and_settings(options):
    """The panel that the options ask for; InputError for one that cannot be."""
    from OncoSegmentLib.panel import LEARNED, Settings, check_settings, members_of
    from OncoSegmentLib.request import read_region
    from OncoSegmentLib.scene.panel_results import MOST_EXPERTS

    if len(options.expert) > MOST_EXPERTS:
        raise InputError(f"the panel has {len(options.expert)} experts; wanted {MOST_EXPERTS} at most")
    learned = options.weights == [LEARNED]
    numbers = () if learned else tuple(number_of(text) for text in options.weights)
    method = options.method or ("weights" if options.weights else "majority")
    settings = Settings(method, numbers, learned, options.unlisted, options.at_least)
    region = read_region(options.roi) if options.roi else None
    members = members_of([request_of(text, region, options) for text in options.expert])
    check_settings(members, settings)
    return members, settings


def number_of(text: str) -> float:
    """A weight; InputError for a text that is no number."""
    try:
        return float(text)
    except ValueError:
        raise InputError(f"the weight {text[:40]!r} is no number; wanted numbers, or the one word learned") from None


def request_of(text: str, region, options):
    """The request that one `--expert` asks for."""
    from OncoAppLib.model_options import open_channel, weights_of
    from OncoSegmentLib.experts.registry import expert
    from OncoSegmentLib.multiparametric.candidates import patient_in, require_one_patient
    from OncoSegmentLib.profiles import find_profile
    from OncoSegmentLib.request import Request

    model, given = parsed(text)
    expert(model)
    channels = {name.removeprefix("channel."): given.pop(name) for name in list(given) if name.startswith("channel.")}
    profile = given.pop("profile", "")
    if profile:
        found = find_profile(profile)
        profile = found.id if found.builtin else str(found.path.resolve())
    device = given.pop("device", "auto")
    if "probabilities" in given:
        raise InputError("probabilities are asked of an expert by the method (mean, confidence), not by --expert")
    if "weights" in given:
        given["weights"] = weights_of(given["weights"])
    if channels:
        require_one_patient(map(patient_in, [options.image, *map(Path, channels.values())]))
    images = tuple((name, open_channel(name, Path(path), options)) for name, path in channels.items())
    return Request(model, profile, region, device, given, images)


def parsed(text: str) -> tuple[str, dict]:
    """Model and parameters of `MODEL:KEY=VALUE,KEY=VALUE`; a comma that begins no KEY= belongs to the value."""
    model, colon, rest = text.partition(":")
    if not model.strip() or (colon and not rest.strip()):
        raise InputError(f"--expert {text!r}; wanted MODEL:KEY=VALUE,...")
    given: dict = {}
    for part in re.split(r",(?=[\w.]+=)", rest) if rest else []:
        key, equals, value = part.partition("=")
        if not (re.fullmatch(r"[\w.]+", key.strip()) and equals and value.strip()):
            raise InputError(f"--expert {text!r}: {part!r} is no KEY=VALUE")
        if key.strip() in given:
            raise InputError(f"--expert {text!r}: {key.strip()} is given twice")
        given[key.strip()] = value_of(key.strip(), value.strip())
    return model.strip(), given


def value_of(key: str, text: str):
    """A list, a text, or what JSON takes the text for: numbers, true and false."""
    if key in LISTS:
        return text.split("+")
    if key in TEXTS or key.startswith("channel."):
        return text
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, (bool, int, float)) else text


def checked(opened, members, engine):
    """The image with notes; the first expert that cannot run on it refuses the panel, before any of them begins."""
    from OncoSegmentLib.segment import check_request, check_segmentable

    try:
        image = check_segmentable(opened.image)
        for member in () if engine.elsewhere else members:
            try:
                check_request(image, member.request)
            except InputError as error:
                raise type(error)(f"expert {member.name}: {error}") from error.__cause__
    except InputError as error:
        raise type(error)(f"{opened.name}: {error}") from error.__cause__
    return image


def check_output(options, members) -> None:
    """Refuses to replace what is there, and an input in any case."""
    from OncoAppLib.jobs import protect_inputs
    from OncoLib.staged import refuse_existing
    from OncoSegmentLib.scene.panel_results import PANEL_FAMILY

    roi = Path(options.roi.rpartition(":")[0] or options.roi)
    channels = [Path(value) for text in options.expert for key, value in parsed(text)[1].items() if key.startswith("channel.")]
    protect_inputs([options.image, roi, *channels], options.output, PANEL_FAMILY)
    if not options.overwrite:
        refuse_existing(options.output, list(PANEL_FAMILY))

"""Options of `segment` on several channels, and the images of a case's folder as the channels of a model."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from OncoAppLib.model_options import channel_files
from OncoLib.errors import InputError, OncoError
from OncoSegmentLib.experts.channels import name_of
from OncoSegmentLib.request import CHANNELS_GRID, MISSING, Request

HOW = "Name what is not clear by --channel NAME=FILE, or NAME=series:NUMBER for a DICOM series"

USUAL = {"main_channel": "", "channels_grid": "register", "missing_channel": "refuse"}


def add(verb) -> None:
    """The options; see Resources/Documentation/multiparametric.md."""
    group = verb.add_argument_group("channels", "of models that take several images; see multiparametric.md in the documentation")
    group.add_argument("--main-channel", default="", metavar="NAME", help="the channel IMAGE is; of a folder: whose grid is kept")
    told = "a channel on another grid is registered rigidly to the image (default), only resampled, or refused"
    group.add_argument("--channels-grid", choices=CHANNELS_GRID, default="register", help=told)
    told = "refuse (default), or replace it as the model's card allows"
    group.add_argument("--missing-channel", choices=MISSING, default="refuse", help=told)


def asked(request: Request, options) -> Request:
    """The request with what the options say; InputError for options that the model has no use for."""
    from OncoSegmentLib.experts.registry import expert

    given = [name for name, usual in USUAL.items() if getattr(options, name) != usual]
    if given and not hasattr(expert(options.model), "channels_of"):
        raise InputError(f"--{given[0].replace('_', '-')} belongs to models that take several channels, such as nnunet")
    return replace(
        request, main_channel=options.main_channel, channels_grid=options.channels_grid, missing=options.missing_channel
    )


def model_of_case(options, request: Request):
    """The model whose channels are to be found in the folder IMAGE; None when IMAGE is one image.

    A folder is a case when the model takes several channels and the folder holds more than one image.
    """
    from OncoSegmentLib.experts.registry import expert
    from OncoSegmentLib.inputs import is_folder

    channels_of = getattr(expert(options.model), "channels_of", None)
    if channels_of is None or options.series or not is_folder(options.image):
        return None
    try:
        model = channels_of(request)
    except OncoError:
        if options.scheduler:  # the workers have the model, this machine need not: then IMAGE is one image
            return None
        raise
    return model if len(model.channels) > 1 else None


def open_case(options, request: Request, model):
    """The opened main image, the request with the other channels, and their files; None when the folder holds one image.

    Says on the error stream what was taken for what. Raises InputError for what is not clear or not there.
    """
    from OncoSegmentLib.multiparametric.candidates import candidates_in, require_one_patient

    folder = options.image if options.image.name else options.image.resolve()
    candidates = candidates_in(folder)
    if len(candidates) == 1:
        return None
    found = found_channels(folder, candidates, options, request, model)
    require_one_patient(one.patient for one, _by in found.values())
    main = main_place(found, options, model)
    if not options.json:
        for place, (one, by) in sorted(found.items()):
            print(f"{model.channels[place]}: {one.label} (by {by}){', the main image' if place == main else ''}", file=sys.stderr)
    opened = {place: opened_one(one, model.channels[place], options) for place, (one, _by) in found.items()}
    channels = tuple((name_of(model, place), opened[place].image) for place in sorted(found) if place != main)
    notes = (told_by(found, model),)
    image = replace(opened[main].image, notes=(*opened[main].image.notes, *notes))
    files = [one.key[0] for one, _by in found.values()]
    request = replace(request, channels=channels, main_channel=name_of(model, main))
    return replace(opened[main], image=image), request, files


def found_channels(folder: Path, candidates, options, request: Request, model) -> dict:
    """By the channel's place: the image, and by what it was told. InputError with every question."""
    from OncoSegmentLib.experts.channels import plain, unused_place
    from OncoSegmentLib.multiparametric.matching import matched, require_clear
    from OncoSegmentLib.multiparametric.missing import allowed_of

    given: dict = {}
    for name, path in channel_files(options):
        given[unused_place(name, given, model)] = named_candidate(folder, candidates, name, str(path))
    matches = matched(candidates, model, given)
    allowed = allowed_of(model) if request.missing == "replace" else {}
    may_miss = [place for place, name in enumerate(model.channels) if plain(name) in allowed]
    hint = "; a missing one can be replaced as the card allows: --missing-channel replace" if allowed_of(model) else ""
    require_clear(matches, model, HOW + ("" if allowed else hint), may_miss)
    if not matches.found:
        raise InputError(f"{folder.name}: none of its images is recognized as a channel of {model.name}. {HOW}")
    return dict(matches.found)


def named_candidate(folder: Path, candidates, name: str, text: str):
    """The image that a user names: a series by number or UID, a file of the folder, or any other file or folder."""
    from OncoSegmentLib.multiparametric.candidates import Candidate, patient_in
    from OncoSegmentLib.multiparametric.names import Guess

    number = text.removeprefix("series:") if text.startswith("series:") else None
    of_case = [one for one in candidates if text in (one.label, one.key[1]) or (number and one.number == number)]
    if len(of_case) > 1:
        raise InputError(f"channel {name}: {len(of_case)} series have the number {number}; name one by its UID")
    if of_case:
        return of_case[0]
    path = next((path for path in (Path(text), folder / text) if path.exists()), None)
    if path is None:
        raise InputError(f"channel {name}: {Path(text).name} is neither a file nor an image of {folder.name}")
    same = [one for one in candidates if not one.key[1] and one.key[0].resolve() == path.resolve()]
    return same[0] if same else Candidate(path.name, Guess(), path.name, (path, ""), "the user", patient=patient_in(path))


def main_place(found: dict, options, model) -> int:
    """The channel whose grid is kept: what the user says, else the model's first that is there."""
    from OncoSegmentLib.experts.channels import unused_place

    if not options.main_channel:
        return min(found)
    place = unused_place(options.main_channel, {}, model)
    if place not in found:
        raise InputError(f"the main channel {options.main_channel} has no image")
    return place


def opened_one(candidate, name: str, options):
    """The image; InputError naming the channel."""
    from OncoSegmentLib.inputs import open_image

    path, series = candidate.key
    try:
        return open_image(path, modality=options.modality.upper(), units=options.units.upper(), series=series)
    except InputError as error:
        raise type(error)(f"channel {name}: {error}") from error


def told_by(found: dict, model) -> str:
    """For the notes: what each image was recognized by, without a name of a file."""
    each = ", ".join(f"{model.channels[place]} by {by}" for place, (_one, by) in sorted(found.items()))
    return f"the images of the channels were found in one folder: {each}"

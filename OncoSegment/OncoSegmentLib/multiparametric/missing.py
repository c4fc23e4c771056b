"""A channel that is not there: refused, or replaced where the model's card allows it and the request asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoSegmentLib.experts.channels import plain, unused_place
from OncoSegmentLib.request import Request

ZEROS = "zeros"


def allowed_of(model) -> Mapping[str, str]:
    """What the model allows in place of a missing channel, by the channel's plain name; nothing for most."""
    return dict(getattr(model, "missing", ()))


def absent_places(request: Request, model) -> tuple[list[int], list[int]]:
    """Channels that no image is named for, without the main image's when the request names that; and those taken."""
    used: dict[int, object] = {}
    for name in (*(name for name, _image in request.channels), *([request.main_channel] if request.main_channel else [])):
        used[unused_place(name, used, model)] = name
    return [place for place in range(len(model.channels)) if place not in used], list(used)


def completed(image: Image, request: Request, model) -> tuple[Request, dict[str, str]]:
    """The request with a stand-in for every channel that is missing, and what stands for what by channel.

    InputError when a channel is missing that the model does not allow to be, when the request does not ask for a stand-in,
    or when it is not clear which channel the main image is.
    """
    absent, _used = absent_places(request, model)
    allowed = allowed_of(model)
    count = len(absent) - (0 if request.main_channel else 1)  # one of them is the main image
    if count <= 0:
        return request, {}
    replaceable = [place for place in absent if plain(model.channels[place]) in allowed]
    needed = [place for place in absent if place not in replaceable]
    names = [model.channels[place] for place in absent]
    if len(needed) > (0 if request.main_channel else 1):
        return request, {}  # `ordered` refuses it and says what is missing
    if request.missing != "replace":
        named = ", ".join(model.channels[place] for place in replaceable)
        raise InputError(
            f"{model.name} needs {len(model.channels)} channels ({', '.join(model.channels)}); an image is missing among"
            f" {', '.join(names)}. Its card allows {named} to be replaced: ask for it with --missing-channel replace"
        )
    if not request.main_channel and len(needed) != 1:
        raise InputError(f"it is not clear which channel of {model.name} the image is: {' or '.join(names)}; name it")
    return _with_stand_ins(image, request, model, replaceable, needed, allowed)


def _with_stand_ins(image, request: Request, model, replaceable, needed, allowed) -> tuple[Request, dict[str, str]]:
    main = request.main_channel or model.channels[needed[0]]
    given = {plain(main): image, **{plain(name): one for name, one in request.channels}}
    found, told = [], {}
    for place in replaceable:
        name, instead = model.channels[place], allowed[plain(model.channels[place])]
        if instead != ZEROS and plain(instead) not in given:
            raise InputError(f"the channel {name!r} is missing, and {instead!r}, which may stand for it, is missing too")
        stand_in = _zeros(image) if instead == ZEROS else given[plain(instead)]
        found.append((name, replace(stand_in, name="", source_uids=())))
        told[name] = instead
    return replace(request, channels=(*request.channels, *found), main_channel=main), told


def _zeros(image: Image) -> Image:
    """Nothing, on the image's grid."""
    voxels = np.broadcast_to(np.float32(0.0), image.shape_kji)
    return Image(voxels, image.ijk_to_ras, modality=image.modality, units=image.units)


def sentences(told: Mapping[str, str]) -> tuple[str, ...]:
    """For the notes, and a flag on every segment."""
    return tuple(
        f"the channel {name!r} was missing and {'zeros' if instead == ZEROS else f'the channel {instead!r}'} took its place:"
        " the result is less certain than with all channels"
        for name, instead in told.items()
    )

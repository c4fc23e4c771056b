"""The images of a request as the channels of a model: by name, on one grid, of the modality that the channel is for.

`multiparametric` finds the images and puts them on one grid before an expert runs; here a channel elsewhere is refused.
"""

from __future__ import annotations

import re
from typing import Protocol

import numpy as np

from OncoLib.errors import GeometryError, InputError
from OncoLib.image import Image, require_same_grid
from OncoLib.registration.transform import shown_share
from OncoLib.same_voxels import in_order_of
from OncoSegmentLib.experts.image_checks import check_hounsfield
from OncoSegmentLib.request import Request

SAME_NAMES = (
    ("t1", "t1w", "t1n", "t1native", "t1pre", "t1weighted", "t1wpre"),
    ("t1c", "t1ce", "t1gd", "t1wce", "t1post", "t1contrast", "t1cw", "t1wc", "t1wpost", "t1wgd", "t1km", "t1postcontrast"),
    ("t2", "t2w", "t2weighted"),
    ("flair", "t2flair", "t2f", "fla", "flairw", "t2wflair"),
)
"""Spellings of one MR contrast; those of the BraTS data sets among them."""

MR_NAMES = frozenset(name for names in SAME_NAMES for name in names) | {"mr", "mri", "adc", "dwi", "swi", "t2star", "tof"}
CT_NAMES, PT_NAMES = frozenset({"ct", "cect"}), frozenset({"pt", "pet", "suv"})


class TakesChannels(Protocol):
    """What of a model decides which images it takes: its name for messages, its channels in order, its modality or ""."""

    name: str
    channels: tuple[str, ...]
    modality: str


def plain(name: str) -> str:
    """A channel's name for comparison: letters and digits, small, one spelling for each contrast."""
    text = re.sub(r"[^a-z0-9]", "", name.casefold())
    return next((names[0] for names in SAME_NAMES if text in names), text)


def modality_of(channel: str) -> str:
    """ "CT", "MR", "PT", or "" when the name does not say."""
    name = plain(channel)
    for modality, names in (("CT", CT_NAMES), ("MR", MR_NAMES), ("PT", PT_NAMES)):
        if name in names or name.removesuffix("image") in names:
            return modality
    return ""


def ordered(image: Image, request: Request, model: TakesChannels) -> tuple[Image, ...]:
    """The images in the order of the model's channels; the first image is the one the request names, or that no other is.

    InputError naming the channel that is missing, unknown or given twice.
    """
    wanted = ", ".join(model.channels)
    given = len(request.channels) + 1
    found: dict[int, Image] = {}
    for name, one in request.channels:
        found.update({unused_place(name, found, model): one})
    if request.main_channel:
        found[unused_place(request.main_channel, found, model)] = image
    left = [place for place in range(len(model.channels)) if place not in found]
    more = len(left) - (0 if request.main_channel else 1)
    if more > 0:
        missing = " or ".join(model.channels[place] for place in left)
        raise InputError(
            f"{model.name} needs {len(model.channels)} channels ({wanted}) and got {given}; give {more} more of"
            f" {missing}, each as --channel NAME=FILE"
        )
    if request.main_channel:
        return tuple(found[place] for place in range(len(model.channels)))
    if not left:
        raise InputError(f"{model.name} has {len(model.channels)} channels ({wanted}) and got {given} images; leave one out")
    found[left[0]] = image
    return tuple(found[place] for place in range(len(model.channels)))


def unused_place(name: str, used: dict[int, Image], model: TakesChannels) -> int:
    """The channel of that name or number; InputError when there is none, several, or it is taken."""
    places = [at for at, channel in enumerate(model.channels) if plain(channel) == plain(name)]
    if name.isdecimal() and not places:
        places = [int(name)] if int(name) < len(model.channels) else []
    if not places:
        raise InputError(f"{model.name} has no channel {name!r}; it has {', '.join(model.channels)}")
    if len(places) > 1:
        last = len(model.channels) - 1
        raise InputError(f"{model.name} has {len(places)} channels named {name!r}; name them by number, 0 to {last}")
    if places[0] in used:
        raise InputError(f"the channel {model.channels[places[0]]!r} is given twice")
    return places[0]


def check_channels(images: tuple[Image, ...], main: Image, model: TakesChannels) -> tuple[str, ...]:
    """InputError for a channel of another modality or of another place in the body; returns what was taken on trust.

    A channel on another grid passes: it is put onto the main image's before the expert runs (`multiparametric.alignment`).
    """
    notes: list[str] = []
    for name, one in zip(model.channels, images):
        what = f"the channel {name!r} of {model.name}"
        require_overlap(one, main, f"the image of the channel {name!r}")
        wanted = modality_of(name) or (model.modality if model.modality in ("CT", "MR", "PT") else "")
        if one.modality and wanted and one.modality != wanted:
            raise InputError(f"the image's modality is {one.modality}; {what} is for {wanted}")
        if wanted == "CT":
            notes += check_hounsfield(one, what)
        elif not one.modality:
            notes.append(f"neither the file nor the user states the modality: the image is taken for {wanted or repr(name)}")
    return tuple(dict.fromkeys(notes))


def require_overlap(one: Image, main: Image, what: str) -> None:
    """GeometryError for an image that shows nothing of the main one: it is of another part, or its header misplaces it."""
    if one is not main and not (shown_share(main, one) or shown_share(one, main)):
        raise GeometryError(f"{what} does not overlap with the main image: by its header it shows another part of the body")


def on_grid_of(one: Image, main: Image, what: str) -> np.ndarray:
    """Its voxels in the order of the main image's; GeometryError when they are not the same places."""
    if one is main:
        return one.voxels
    voxels = in_order_of(one.voxels, one.ijk_to_ras, main.ijk_to_ras, main.shape_kji)
    if voxels is None:
        require_same_grid(main.ijk_to_ras, main.shape_kji, one.ijk_to_ras, one.shape_kji, what)
    return one.voxels if voxels is None else voxels


def stacked(images: tuple[Image, ...], main: Image) -> np.ndarray:
    """float32 `[channel, k, j, i]` on the main image's grid; what is not finite becomes its channel's smallest finite value."""
    found = np.empty((len(images), *main.shape_kji), np.float32)
    for place, one in enumerate(images):
        found[place] = on_grid_of(one, main, "a channel")
        finite = np.isfinite(found[place])
        if not finite.all():
            found[place][~finite] = one.value_range[0]
    return found

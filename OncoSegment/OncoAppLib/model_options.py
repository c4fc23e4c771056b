"""Options of `segment` for models whose weights the user names: `--model nnunet` and `--model monai_bundle`."""

from __future__ import annotations

from pathlib import Path

from OncoLib.errors import InputError
from OncoLib.image import Image

NNUNET, MONAI = "nnunet", "monai_bundle"
SHARED = ("weights", "confirm")
"""Of both models, as `--channel` and `--structures`."""

ONLY_NNUNET = ("folds", "checkpoint", "mirroring", "step", "probabilities")


def add(verb, *, channels: bool = True) -> None:
    """The options; `refuse_strange` keeps them from other models. channels: whether further images are named here."""
    group = verb.add_argument_group(
        "weights of your own", "for --model nnunet and --model monai_bundle; see Resources/Documentation/nnunet.md and monai.md"
    )
    group.add_argument("--weights", default="", metavar="FOLDER|ID", help="model folder, or id of an installed model")
    if channels:
        group.add_argument("--channel", action="append", default=[], metavar="NAME=FILE", help="a further channel, of any grid")
    group.add_argument(
        "--confirm", default="", metavar="SHA256", help="of a model that could run any program; you know its source"
    )
    group = verb.add_argument_group("nnunet", "for --model nnunet only")
    group.add_argument("--folds", nargs="+", default=[], metavar="N", help="numbers, or all (default: all that are there)")
    group.add_argument("--checkpoint", default="", choices=("final", "best"), help="of the training (default: final)")
    group.add_argument("--mirroring", default="", choices=("on", "off"), help="off: up to 8 times faster, a little less exact")
    group.add_argument("--step", type=float, metavar="SHARE", help="distance of tiles as a share of their size (default: 0.5)")
    kept = "keep probabilities: a confidence band for each segment, and segmentation.probabilities.npz for `fuse`"
    group.add_argument("--probabilities", action="store_true", help=kept)


def parameters_of(options) -> dict:
    """Those that were given, as the experts take them."""
    found = {name: getattr(options, name) for name in (*SHARED, *ONLY_NNUNET)}
    if options.weights:
        found["weights"] = weights_of(options.weights)
    return {name: value for name, value in found.items() if value not in ("", [], None) and value is not False}


def refuse_strange(options) -> None:
    """InputError for options of another model, before any file is read."""
    given = [*parameters_of(options), *(["channel"] if options.channel else [])]
    only = [name for name in given if name in ONLY_NNUNET]
    if only and options.model != NNUNET:
        raise InputError(f"--{only[0]} belongs to --model {NNUNET}")
    if given and options.model not in (NNUNET, MONAI):
        raise InputError(f"--{given[0]} belongs to --model {NNUNET} or {MONAI}")


def weights_of(text: str) -> str:
    """The absolute path of a folder that is there, or of a text that looks like a path; else the id of a card."""
    path = Path(text).expanduser()
    if path.exists() and not path.is_dir():
        raise InputError(
            f"{path.name} is a file; bring an archive into the store first (`oncosegment models import {path.name} --new ID`), or"
            " name the folder that it was unpacked to"
        )
    looks_like_path = path.is_absolute() or len(path.parts) > 1 or text.startswith(".")
    return str(path.absolute()) if path.is_dir() or looks_like_path else text


def channel_files(options) -> list[tuple[str, Path]]:
    """Name and file of each further channel; InputError for a text that is not NAME=FILE."""
    found = []
    for text in options.channel:
        name, equals, file = text.partition("=")
        if not (name.strip() and equals and file.strip()):
            raise InputError(f"--channel {text!r}; wanted NAME=FILE")
        found.append((name.strip(), Path(file.strip())))
    return found


def open_channels(options) -> tuple[tuple[str, Image], ...]:
    """The images of `--channel`, by name."""
    return tuple((name, open_channel(name, path, options)) for name, path in channel_files(options))


def open_channel(name: str, path: Path, options) -> Image:
    """The image of a further channel; InputError naming the channel for a file that cannot be read."""
    from OncoSegmentLib.inputs import open_image

    try:
        return open_image(path, modality=options.modality.upper(), units=options.units.upper()).image
    except InputError as error:
        raise type(error)(f"channel {name}: {error}") from error

"""What a bundle says of itself in metadata.json: the channels it takes, in order, and what its output means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from OncoLib.errors import InputError, ModelError
from OncoSegmentLib.experts.engines import other_hint
from OncoSegmentLib.experts.monai_bundle.config import read
from OncoSegmentLib.experts.structures import Output

MOST_LABELS = 1000
BACKGROUNDS = ("background", "bg", "everything else", "other", "others")
"""Names of the output's first channel that mean nothing was found (zoo: "background"; Swin UNETR: "background")."""

LONGEST_NAME = 64
FORMATS = ("segmentation", "segmentations", "label", "labels")
"""How the zoo's metadata call label maps and masks."""


@dataclass(frozen=True)
class Model:
    """Facts of a model. kind: "bundle" or "auto3dseg". family, task: where the labels' table lies.

    outputs: in the order of the channels of the result or of the label map's values, background left out; `head` is that
    value or channel. scores: channels of the result before labels are made of them. card: id in the catalogue.
    missing, patterns: what the card says of channels (`experts.channels.facts_of_card`). sha256: of a bundle's metadata.json
    as it was read.
    """

    folder: Path
    kind: str
    name: str
    version: str
    channels: tuple[str, ...]
    modality: str
    outputs: tuple[Output, ...]
    scores: int
    background: bool
    family: str
    task: str
    card: str = ""
    missing: tuple[tuple[str, str], ...] = ()
    patterns: tuple[tuple[str, tuple[str, ...]], ...] = ()
    sha256: str = ""


def model_of_bundle(folder: Path, card=None) -> Model:
    """The model of a bundle's folder; ModelError for metadata that are missing or do not say enough.

    card: of the catalogue, for names where the metadata have none.
    """
    path = folder / "configs" / "metadata.json"
    if not path.is_file():
        lacks = "it has no configs/metadata.json, which names channels and labels"
        raise ModelError(f"{folder.name}: no MONAI bundle; {lacks}{other_hint(folder, 'monai_bundle')}")
    told, sha256 = read(path)
    try:
        source = told["network_data_format"]["inputs"]
        result = told["network_data_format"]["outputs"]["pred"]
        image = the_image(source, folder.name)
        channels = channels_of(image, card, folder.name)
        outputs, scores, background = outputs_of(result, card, folder.name)
        modality = modality_of(image, card)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{folder.name}: its metadata.json does not say what the network takes and gives"
            f" (network_data_format, {type(error).__name__})"
        ) from error
    return Model(
        folder,
        "bundle",
        plain_text(told.get("name")) or folder.name,
        plain_text(told.get("version")),
        channels,
        modality,
        outputs,
        scores,
        background,
        card.family if card else "monai",
        (card.task if card else "") or folder.name,
        card.id if card else "",
        sha256=sha256,
    )


def the_image(inputs: dict, name: str) -> dict:
    """The only input; ModelError for a model that wants points or classes beside, and for one of two dimensions."""
    others = [key for key in inputs if key != "image"]
    if others or "image" not in inputs:
        raise ModelError(
            f"{name}: it takes {', '.join(plain_text(one) for one in others)} beside or instead of one image; models that are"
            " asked by points or classes cannot be run yet"
        )
    image = inputs["image"]
    shape = image.get("spatial_shape")
    if isinstance(shape, list) and len(shape) != 3:
        raise ModelError(f"{name}: its network takes images of {len(shape)} dimensions; wanted 3")
    return image


def channels_of(image: dict, card, name: str) -> tuple[str, ...]:
    """Names in the order of their numbers; by the card where the bundle names none or only "image"."""
    count = int(image["num_channels"])
    named = image.get("channel_def") or {}
    found = tuple(plain_text(named[key]) for key in in_order(named, count)) if len(named) == count else ()
    if count > 1 and len(set(found)) < count and card and len(card.channels) == count:
        found = tuple(one.name for one in card.channels)
    if len(found) == count and all(found):
        return found
    if count == 1:
        return ("image",)
    raise ModelError(f"{name}: its metadata.json does not name its {count} channels (channel_def), so none can be told apart")


def in_order(named: dict, count: int) -> list:
    """The keys "0", "1", ... in order; ValueError when one is missing."""
    keys = sorted(named, key=int)
    if [int(key) for key in keys] != list(range(count)):
        raise ValueError("channels are not numbered from 0")
    return keys


def outputs_of(result: dict, card, name: str) -> tuple[tuple[Output, ...], int, bool]:
    """What is found, the channels of the result, and whether the first of them is the background."""
    if result.get("type", "image") != "image" or result.get("format", "segmentation") not in FORMATS:
        raise ModelError(f"{name}: its result is {plain_text(result.get('format')) or 'no image'}; wanted a segmentation")
    named = {int(key): plain_text(value) for key, value in (result.get("channel_def") or {}).items()}
    if not named and card:
        named = {one.value: one.name for one in card.labels if one.value is not None}
    if not named or len(named) > MOST_LABELS or not all(named.values()) or min(named) < 0:
        raise ModelError(f"{name}: its metadata.json does not name what it finds (outputs, channel_def)")
    count = int(result.get("num_channels") or len(named))
    background = named.get(0, "").casefold() in BACKGROUNDS or (0 not in named and count > 1)
    kept = {key: text for key, text in sorted(named.items()) if not (key == 0 and background)}
    if not kept or max(kept) >= 1 << 15:
        raise ModelError(f"{name}: its metadata.json names nothing but background")
    if count == 1 and len(kept) == 1:  # a single mask
        return (Output(next(iter(kept.values())), (1,), 0),), 1, False
    outputs = tuple(Output(text, (key,), key) for key, text in kept.items())
    return outputs, max(count, max(kept) + 1), background


def modality_of(image: dict, card) -> str:
    """ "CT", "MR", "PT", or "" when nobody says."""
    told = str(image.get("modality", "")).upper().replace("MRI", "MR").replace("PET", "PT")
    if told in ("CT", "MR", "PT"):
        return told
    return card.modality if card and card.modality in ("CT", "MR", "PT") else ""


def plain_text(value) -> str:
    """A name as one short line."""
    words = " ".join(str(value if isinstance(value, (str, int, float)) else "").split())
    return "".join(letter for letter in words if letter.isprintable())[:LONGEST_NAME]


def checked_names(model: Model, names) -> tuple[str, ...]:
    """Names of structures to keep; InputError for what is no list of them."""
    if isinstance(names, str) or not all(isinstance(one, str) for one in names):
        raise InputError(f"the structures are {names!r}; wanted a list of names")
    from OncoSegmentLib.experts.structures import checked_choice

    return checked_choice(model, tuple(names))

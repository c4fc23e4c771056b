"""An nnU-Net model on disk: which folder it is, which folds and checkpoints it has, its channels and its labels."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ModelManagerLib.predict import hashed_json, whole_configuration
from OncoLib.errors import InputError, ModelError
from OncoSegmentLib.experts.engines import other_hint
from OncoSegmentLib.experts.nnunet.loading import BEST, FILES, FINAL
from OncoSegmentLib.experts.structures import Output

CHECKPOINTS = {"final": FINAL, "best": BEST}
FOLD = re.compile(r"fold_(all|[0-9]{1,3})")
MOST_LABELS = 1000
"""More than any published model has; a damaged file should not ask for more."""

LONGEST_NAME = 200
"""Characters of a label's name, which stands in tables and files."""


@dataclass(frozen=True)
class Model:
    """Facts of a model folder. spacing `[k, j, i]` in the network's own axes, mm; order: values written for regions, in order.

    sha256: of plans.json and dataset.json as they were read. family, task: where the labels' table lies ("" for none).
    card: id in the catalogue, "" for a folder of the user's.
    missing: by a channel's plain name, what the card allows in its place. patterns: by the same name, words in file names.
    """

    folder: Path
    configuration: str
    previous: str
    channels: tuple[str, ...]
    outputs: tuple[Output, ...]
    regions: bool
    order: tuple[int, ...]
    reader: str
    spacing: tuple[float, ...]
    sha256: tuple[tuple[str, str], ...] = ()
    card: str = ""
    family: str = ""
    task: str = ""
    modality: str = ""
    missing: tuple[tuple[str, str], ...] = ()
    patterns: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def name(self) -> str:
        """Of the dataset, which nnU-Net writes before the folder."""
        return self.folder.parent.name or self.folder.name


def read_model(folder: Path, **card_facts) -> Model:
    """The model in a folder: nnU-Net's `Trainer__Plans__configuration`, or the one such folder below.

    Raises ModelError for files that are missing, damaged or contradict each other, InputError where a choice is needed.
    """
    folder = training_folder(Path(folder))
    try:
        (plans, plans_hash), (dataset, dataset_hash) = (hashed_json(folder / name) for name in FILES)
        name = folder.name.rpartition("__")[2]
        if name not in plans["configurations"]:
            known = ", ".join(plans["configurations"])
            raise ModelError(f"{folder.name}: the folder is named after {name!r}, its plans.json has only {known}")
        chosen = whole_configuration(plans["configurations"], name)
        channels = channels_of(dataset)
        schemes = chosen["normalization_schemes"]
        if len(schemes) != len(channels):
            raise ModelError(f"{folder.name}: its dataset.json has {len(channels)} channels, its plans.json {len(schemes)}")
        outputs, regions = outputs_of(dataset["labels"])
        order = tuple(int(one) for one in dataset.get("regions_class_order") or ()) if regions else ()
        if regions and len(order) != len(outputs):
            raise ModelError(f"{folder.name}: its dataset.json has {len(outputs)} regions and an order for {len(order)}")
        return Model(
            folder,
            name,
            str(chosen.get("previous_stage") or ""),
            channels,
            outputs,
            regions,
            order,
            str(plans["image_reader_writer"]),
            spacing_of(chosen),
            tuple(zip(FILES, (plans_hash, dataset_hash))),
            **card_facts,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise ModelError(f"{folder.name}: its plans.json or dataset.json cannot be read ({type(error).__name__})") from error


def spacing_of(configuration: dict) -> tuple[float, ...]:
    """mm, `[k, j, i]` or `[j, i]`; ValueError for what no image can be resampled to."""
    found = tuple(float(step) for step in configuration["spacing"])
    if len(found) not in (2, 3) or not all(math.isfinite(step) and step > 0 for step in found):
        raise ValueError("a spacing that is no two or three numbers over 0")
    return found


def training_folder(folder: Path) -> Path:
    """The folder itself, or the only `Trainer__Plans__configuration` in it; a cascade's full resolution goes before its first
    stage, which it brings along."""
    if not folder.is_dir():
        raise ModelError(f"{folder.name}: no folder of an nnU-Net model is there")
    if (folder / "plans.json").is_file():
        return folder
    found = sorted(path for path in folder.glob("*__*__*") if (path / "plans.json").is_file())
    if not found:
        wanted = "wanted a folder Trainer__Plans__configuration with plans.json"
        raise ModelError(f"{folder.name}: no nnU-Net model; {wanted}{other_hint(folder, 'nnunet')}")
    last = [path for path in found if path.name.endswith("__3d_cascade_fullres")]
    if len(found) == 1 or len(last) == 1:
        return found[0] if len(found) == 1 else last[0]
    raise InputError(f"{folder.name} holds {len(found)} nnU-Net models; name one: {', '.join(path.name for path in found)}")


def channels_of(dataset: dict) -> tuple[str, ...]:
    """Names in the order of their numbers; nnU-Net wants them counted from 0."""
    named = dataset.get("channel_names") or dataset["modality"]
    if sorted(int(key) for key in named) != list(range(len(named))) or not named:
        raise ValueError("channels are not numbered from 0")
    names = tuple(str(named[key]).strip() for key in sorted(named, key=int))
    if not all(name and name.isprintable() and len(name) <= 64 for name in names):
        raise ValueError("a channel has no usable name")
    return names


def outputs_of(labels: dict) -> tuple[tuple[Output, ...], bool]:
    """What is found, without background and ignored voxels, in the order of the scores; and whether these are regions."""
    found: dict[str, tuple[int, ...]] = {}
    for name, value in labels.items():
        values = tuple(int(one) for one in value) if isinstance(value, (list, tuple)) else (int(value),)
        if name != "ignore" and set(values) != {0}:
            found[str(name)] = values
    if not all(name.strip() and name.isprintable() and len(name) <= LONGEST_NAME for name in found):
        raise ValueError("a label has no usable name")
    if not found or len(found) > MOST_LABELS or any(not 0 <= one < 1 << 15 for values in found.values() for one in values):
        raise ValueError("no labels, too many, or one out of range")
    regions = any(len(values) > 1 for values in found.values())
    if regions:
        return tuple(Output(name, values, head) for head, (name, values) in enumerate(found.items())), True
    heads = sorted({0, *(values[0] for values in found.values())})
    if len(heads) != len(found) + 1:
        raise ValueError("two labels share a value")
    return tuple(Output(name, values, heads.index(values[0])) for name, values in found.items()), False


def folds_of(model: Model, asked: Sequence, checkpoint: str) -> tuple[int | str, ...]:
    """The folds to use: those asked for, else all numbered ones that are there (else "all", nnU-Net's fold on everything).

    ModelError naming a fold without this checkpoint.
    """
    names = [path.parent.name for path in model.folder.glob(f"fold_*/{checkpoint}")]
    there = {fold_name(name) for name in names if FOLD.fullmatch(name)}
    if not there:
        raise ModelError(f"{model.name}: no fold has {checkpoint}; {other_checkpoint(model, checkpoint)}")
    if not asked:
        return tuple(sorted(one for one in there if one != "all")) or ("all",)
    wanted = tuple(dict.fromkeys(fold_name(f"fold_{str(one).removeprefix('fold_')}") for one in asked))
    missing = [str(one) for one in wanted if one not in there]
    if missing:
        shown = ", ".join(sorted(str(one) for one in there))
        raise ModelError(f"{model.name}: fold {missing[0]} has no {checkpoint}; there are {shown}")
    return wanted


def fold_name(folder: str) -> int | str:
    """ "fold_0" -> 0, "fold_all" -> "all"; InputError for another name."""
    match = FOLD.fullmatch(folder)
    if not match:
        raise InputError(f"fold {folder.removeprefix('fold_')!r} is none; wanted a number or all")
    return "all" if match[1] == "all" else int(match[1])


def other_checkpoint(model: Model, checkpoint: str) -> str:
    """What can be done when one checkpoint is missing everywhere."""
    other = next(name for name, file in CHECKPOINTS.items() if file != checkpoint)
    if any(model.folder.glob(f"fold_*/{CHECKPOINTS[other]}")):
        return f"it has the other one, choose checkpoint {other}"
    return "get the model from its publisher again"


def first_stage(model: Model) -> Model | None:
    """The model whose labels a cascade's last stage takes beside the image; None for any other. ModelError when missing.

    nnU-Net names it in `previous_stage`; it lies beside, with the same plans and any trainer.
    """
    if not model.previous:
        return None
    trainer, plans, _ = model.folder.name.rsplit("__", 2)
    beside = sorted(model.folder.parent.glob(f"*__{plans}__{model.previous}"))
    named = [path for path in beside if path.name.startswith(f"{trainer}__")] or beside
    if len(named) != 1:
        raise ModelError(
            f"{model.name}: {model.configuration} is the last stage of a cascade and needs {trainer}__{plans}__{model.previous}"
            " beside it, which is not there"
        )
    return read_model(named[0])

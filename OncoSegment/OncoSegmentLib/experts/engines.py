"""Which model of `--model` runs the weights of a card or of a folder, and the sentence for weights of another one."""

from __future__ import annotations

from pathlib import Path

from OncoLib.errors import InputError

MODELS = {"nnunetv2": "nnunet", "monai_bundle": "monai_bundle", "monai_auto3dseg": "monai_bundle"}
"""By the engine of a card: the model that takes its files as weights."""

KINDS = {"nnunet": "nnU-Net model", "monai_bundle": "MONAI bundle"}


def refuse_other_engine(card, model: str) -> None:
    """InputError for a card whose weights this model does not run; it names the one that does, where there is one."""
    other = MODELS.get(card.engine)
    if other == model:
        return
    said = f"{card.id} is no {KINDS[model]}"
    if card.id in KINDS:
        raise InputError(f"{card.id} is a program and no weights; name a folder, or the id of an installed model")
    if card.runnable:
        raise InputError(f"{said}: it is a model of its own; run it with --model {card.id}, without weights")
    if other is None:
        raise InputError(f"{said} but for {card.engine}, which no model of `segment` runs")
    raise InputError(f"{said} but for {card.engine}; run it with --model {other} --weights {card.id}")


def other_hint(folder: Path, model: str) -> str:
    """For a folder in which this model found nothing: the one that could run it, as an end of the sentence; or ""."""
    from OncoSegmentLib.experts.monai_bundle.source import holding, is_model_folder
    from OncoSegmentLib.experts.nnunet.source import is_nnunet_folder

    if model == "nnunet" and is_model_folder(holding(folder)):
        return f"; it holds a {KINDS['monai_bundle']}: run it with --model monai_bundle"
    if model == "monai_bundle" and is_nnunet_folder(folder):
        return f"; it holds an {KINDS['nnunet']}: run it with --model nnunet"
    return ""

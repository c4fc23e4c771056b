"""Weights that another model runs: the sentence names that model, for cards of the catalogue and for folders."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ModelManagerLib.catalog import built_in_cards, find_card
from ModelManagerLib.embedded import folder_of
from OncoLib.errors import InputError, ModelError
from OncoSegmentLib.experts.engines import MODELS, refuse_other_engine
from OncoSegmentLib.experts.monai_bundle.facts import model_of_bundle
from OncoSegmentLib.experts.monai_bundle.source import place_of
from OncoSegmentLib.experts.nnunet.model import read_model
from OncoSegmentLib.experts.nnunet.source import model_of_card as nnunet_of_card
from OncoSegmentLib.experts.registry import expert


def refusal(card, model: str) -> str:
    try:
        refuse_other_engine(card, model)
    except InputError as error:
        return str(error)
    return ""


def test_the_demo_models_name_each_other(tmp_path):
    with pytest.raises(InputError) as told:
        nnunet_of_card("demo-glioma-mr", tmp_path)
    said = "demo-glioma-mr is no nnU-Net model but for monai_bundle; run it with --model monai_bundle --weights demo-glioma-mr"
    assert str(told.value) == said
    with pytest.raises(InputError) as told:
        place_of("demo-torso-ct", tmp_path)
    said = "demo-torso-ct is no MONAI bundle but for nnunetv2; run it with --model nnunet --weights demo-torso-ct"
    assert str(told.value) == said


def test_every_row_of_the_catalogue_runs_or_says_by_what():
    """Each model that is named is one of `--model`; what nothing runs is said to be so."""
    for card in built_in_cards():
        said = {model: refusal(card, model) for model in ("nnunet", "monai_bundle")}
        runs = MODELS.get(card.engine)
        assert [model for model, text in said.items() if not text] == ([runs] if runs else [])
        for text in filter(None, said.values()):
            assert Counter(text)["\n"] == 0 and text.startswith(f"{card.id} is ")
            if card.id in ("nnunet", "monai_bundle"):
                assert text.endswith("is a program and no weights; name a folder, or the id of an installed model")
            elif runs or card.runnable:
                expert(text.partition("--model ")[2].partition(" ")[0].strip(","))
            else:
                assert text.endswith("which no model of `segment` runs")
    auto = find_card("auto3dseg-brats-gli-v1.0.0")
    assert refusal(auto, "nnunet").endswith("run it with --model monai_bundle --weights auto3dseg-brats-gli-v1.0.0")


def test_so_do_folders(tmp_path):
    bundle, trained = folder_of(find_card("demo-glioma-mr")), folder_of(find_card("demo-torso-ct"))
    with pytest.raises(ModelError, match="no nnU-Net model; .* it holds a MONAI bundle: run it with --model monai_bundle$"):
        read_model(Path(bundle))
    with pytest.raises(ModelError, match="no MONAI bundle; .* it holds an nnU-Net model: run it with --model nnunet$"):
        model_of_bundle(Path(trained))
    for read, words in ((read_model, "with plans.json"), (model_of_bundle, "channels and labels")):
        with pytest.raises(ModelError) as told:
            read(tmp_path)
        assert str(told.value).endswith(words)

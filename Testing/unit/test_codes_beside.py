"""A label map without codes: the sentence tells which file beside it has them."""

from __future__ import annotations

from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pytest

from helpers_cli import run_here
from OncoAppLib.codes_beside import advised, description_of, to_give
from OncoLib.errors import UncodedError
from OncoLib.image_files import write_image
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.segmentation_files import write_label_maps
from OncoLib.terminology import structure


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`ct-1-truth` with a JSON beside it, in two layers; `plain.nii.gz` without one, and some JSON that is none of ours."""
    found = tmp_path_factory.mktemp("masks")
    labels, like = np.zeros((12, 12, 12), np.uint8), structure("lesion")
    labels[3:6, 3:6, 3:6] = 1
    segments = tuple(Segment(1, name, like.entry, like.color, layer) for layer, name in enumerate(("A", "B")))
    write_label_maps(Segmentation((labels, labels), np.eye(4), segments, Provenance("hand", "")), found, stem="ct-1-truth")
    write_image(found / "plain.nii.gz", labels, np.eye(4))
    for name, text in {"a": "[]", "b": "{", "c": '{"format": "x", "label_maps": ["plain.nii.gz"]}', "d": "[" * 10_000}.items():
        (found / f"{name}.json").write_text(text)
    return found


def test_the_file_that_names_a_label_map_is_found_and_no_other(folder):
    for name in ("ct-1-truth.nii.gz", "ct-1-truth-layer2.nii.gz"):
        assert description_of(folder / name) == folder / "ct-1-truth.json"
    assert [description_of(folder / name) for name in ("plain.nii.gz", "ct-1-truth.json", "none.nii.gz", ".")] == [None] * 4


def test_all_files_of_a_command_are_looked_at(folder):
    first, second = folder / "ct-1-truth.nii.gz", folder / "ct-1-truth-layer2.nii.gz"
    options = Namespace(image=folder / "plain.nii.gz", run=advised, dates=[SimpleNamespace(masks={"a": (first, second)}), first])
    told = "ct-1-truth.json in place of ct-1-truth.nii.gz and ct-1-truth.json in place of ct-1-truth-layer2.nii.gz"
    error = UncodedError("No code; say it", what="No code")
    assert advised(error, options) == f"No code; say it; or give {told} (they have the names and codes)"
    assert advised(error, Namespace(image=folder / "plain.nii.gz")) == "No code; say it" and to_give(Namespace()) == ""
    told = "No code; name the lesions with --lesion NAME, or take all with --all-segments"
    assert advised(error, Namespace(all_segments=False)) == told


@pytest.mark.parametrize(("words", "end"), [
    (("lesions", "ct-1-truth.nii.gz", "--output", "out"), "of Label 1; or {give}"),
    (("spine", "check", "ct-1-truth.nii.gz"), "carries no codes; or {give}"),
    (("compare", "--timepoint", "2026-01-05", "plain.nii.gz", "ct-1-truth.nii.gz", "--timepoint", "2026-03-02", "plain.nii.gz",
     "ct-1-truth.nii.gz", "--modality", "CT", "--output", "out"),
     "there are Label 1; {give}, name the lesions with --lesion NAME, or take all with --all-segments"),
], ids=["lesions", "spine", "compare"])  # fmt: skip
def test_the_sentence_of_a_command_tells_it(folder, words, end):
    done = run_here(*words, cwd=folder)
    assert done.code == 2 and "no segment is coded as a" in done.sentence
    give = "give ct-1-truth.json in place of ct-1-truth.nii.gz (it has the names and codes)"
    assert done.sentence.endswith(end.format(give=give))
    assert not (folder / "out").exists()

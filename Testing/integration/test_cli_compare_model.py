"""`oncosegment compare` with a real nnU-Net on tiny weights for the dates that come without a segmentation."""

from __future__ import annotations

import json

import numpy as np
import pytest

from helpers_cli import run_here
from helpers_total_segmentator import blocks
from OncoAppLib.reading import read_segmentation
from OncoLib.image_files import write_image

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed (extra 'ai'), so its tests cannot run")

import tiny_nnunet as tiny  # noqa: E402
from OncoSegmentLib.warm import models  # noqa: E402

LABELS = {"lung": 1, "liver": 2, "liver_lesion": 3}
LESION = (slice(4, 18), slice(6, 22), slice(26, 44))
"""Where `blocks` has 140 HU, which the model calls a lesion of the liver, as it does with the bone beside it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two CTs of blocks, the later one shifted by 6 mm and with half of the lesion, and a model that goes by HU."""
    place = tmp_path_factory.mktemp("tiny")
    factors, biases = tiny.hounsfield_labels((-700, 60, 140))
    tiny.write_model(place / "Dataset920_Liver", labels=LABELS, factors=factors, biases=biases)
    first = blocks(noise=60.0)
    write_image(place / "a.nii.gz", first.voxels, first.ijk_to_ras)
    later, moved = blocks(noise=60.0).voxels.copy(), np.array(first.ijk_to_ras)
    later[LESION[0], LESION[1], 35:44] = 60
    moved[0, 3] += 6
    write_image(place / "b.nii.gz", later, moved)
    return place


@pytest.fixture(scope="module", autouse=True)
def own_store(tmp_path_factory):
    """A store of these tests, and no network kept after."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONCOSEGMENT_MODELS", str(tmp_path_factory.mktemp("store")))
        yield
    models.release()


def compare(folder, out, *words):
    return run_here(
        "compare", "--modality", "CT", "--units", "HU", "--device", "cpu", "--no-way-back", "--no-local", "--no-scene",
        "--output", out, "--timepoint", "2026-01-05", "a.nii.gz", "--timepoint", "2026-03-02", "b.nii.gz", *words, cwd=folder,
    )  # fmt: skip


@pytest.mark.slow
def test_a_model_segments_both_dates_and_its_lesions_are_split_and_followed(folder):
    weights = ("--model", "nnunet", "--weights", folder / "Dataset920_Liver")
    words = (*weights, "--host", "liver", "--margin-mm", "40", "--json")
    done = compare(folder, "out", *words)
    assert done.code == 0, done.err
    told = done.json
    assert [one["segmented_by"] for one in told["timepoints"]] == ["nnunet", "nnunet"]
    for day in ("2026-01-05", "2026-03-02"):
        whole = read_segmentation(folder / "out" / f"segmentation_{day}.seg.nrrd")
        kept = read_segmentation(folder / "out" / f"lesions_{day}.seg.nrrd")
        assert {one.structure for one in whole.segments} >= {"liver", "liver_lesion"}
        assert kept.segments and all(one.name.startswith("Liver lesion") for one in kept.segments)
        lesion = whole.mask(next(one for one in whole.segments if one.structure == "liver_lesion"))
        assert all((kept.mask(one) <= lesion).all() for one in kept.segments)
    volumes = [[entry["volume_ml"]["value"] for entry in one["measurements"]] for one in told["tracks"]]
    box_ml = np.prod([span.stop - span.start for span in LESION]) * 2.0 * 2.2 * 2.5 / 1000
    shrunk = [one for one in volumes if None not in one and one[1] < 0.7 * one[0]]
    assert len(shrunk) == 1 and shrunk[0] == pytest.approx([box_ml, box_ml / 2], rel=0.1)
    assert json.loads((folder / "out" / "segmentation_2026-01-05.json").read_text())["provenance"]["weights_sha256"]


@pytest.mark.slow
def test_what_a_model_cannot_do_is_told_with_its_date_and_leaves_nothing(folder):
    done = compare(folder, "nothing", "--model", "nnunet", "--weights", folder / "missing")
    assert done.code in (2, 4) and "missing" in done.sentence and not (folder / "nothing").exists()
    done = compare(folder, "nothing", "--model", "magic")
    assert "magic" in done.sentence and not (folder / "nothing").exists()

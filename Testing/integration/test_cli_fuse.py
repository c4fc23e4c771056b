"""`oncosegment fuse`: files, tables, JSON, what is refused, what is kept."""

from __future__ import annotations

import json

import numpy as np
import pytest

from helpers import OBLIQUE, segmentation, tree
from helpers_cli import run_cli, run_here
from helpers_fusion import known, organs, same_masks
from OncoAppLib import fuse
from OncoAppLib.reading import read_segmentation
from OncoLib.image_files import read_image, write_image
from OncoLib.segmentation import Provenance
from OncoLib.segmentation_files import write_label_maps
from OncoSegmentLib.fusion import METHODS, UNLISTED

SEGMENTS = [known(1, "liver"), known(2, "kidney_right"), known(3, "liver_lesion")]


def labels(shift: int = 0, lesion: bool = False) -> np.ndarray:
    """A liver of 8 x 20 x 10 voxels, a kidney beside it, perhaps a lesion away from both."""
    layer = np.zeros((12, 30, 40), np.uint8)
    layer[2:10, 5:25, 5 + shift : 15 + shift] = 1
    layer[2:10, 5:25, 25:30] = 2
    if lesion:
        layer[4:6, 10:13, 34:37] = 3
    return layer


@pytest.fixture
def case(tmp_path):
    """Three experts, each in a folder; the first alone sees a lesion, the third draws the liver 2 voxels further."""
    for name, layer in (("a", labels(lesion=True)), ("b", labels()), ("c", labels(2))):
        (tmp_path / name).mkdir()
        origin = Provenance(f"net-{name}", "1", {}, "cd" * 32)
        write_label_maps(segmentation([layer], OBLIQUE, SEGMENTS, provenance=origin), tmp_path / name)
    return tmp_path


INPUTS = ("a/segmentation.json", "b/segmentation.json", "c/segmentation.json")


def test_a_fusion_as_a_process_writes_all_its_files(case):
    done = run_cli("fuse", *INPUTS, "--output", "out", "--nifti", "--disagreement", "map.nii.gz", cwd=case)
    assert done.code == 0 and done.complaints == [], done.err
    assert sorted(path.name for path in (case / "out").iterdir()) == [
        "agreement.json", "segmentation-layer2.nii.gz", "segmentation.json", "segmentation.nii.gz", "segmentation.seg.nrrd",
    ]  # fmt: skip
    found = read_segmentation(case / "out" / "segmentation.seg.nrrd")
    candidate = known(1, "liver_lesion", 1, name="Liver lesion, candidate 1")
    wanted = segmentation([labels(), labels(lesion=True) // 3], OBLIQUE, [*SEGMENTS[:2], candidate])
    assert same_masks(found, wanted)
    assert found.provenance.model == "fusion" and found.provenance.input_sha256 == "cd" * 32
    inputs = found.provenance.parameters["inputs"]
    assert [one["provenance"]["model"] for one in inputs] == ["net-a", "net-b", "net-c"]
    assert same_masks(read_segmentation(case / "out" / "segmentation.json"), wanted)


def test_the_table_says_who_agrees_and_what_is_a_candidate(case):
    """Liver: 2 of 10 columns shifted, so Dice 0.8 of the third with the others and the consensus."""
    done = run_here("fuse", *INPUTS, "--output", "out", cwd=case)
    lines = [line.split() for line in done.out.splitlines()]
    assert ["Liver", "moderate", "3", "of", "3", "0.867", "1.000", "1.000", "0.800"] in lines
    assert ["Right", "kidney", "high", "3", "of", "3", "1.000", "1.000", "1.000", "1.000"] in lines
    assert any(line.startswith("Liver lesion, candidate 1") for line in done.out.splitlines())
    assert "seen by 1 net-a; not in the consensus" in done.out
    assert "3: c/segmentation.json" in done.out and "Research use only" in done.out
    assert any(line[:2] == ["3", "net-c"] for line in lines)


def test_json_holds_every_number_and_no_file_name(case):
    done = run_here("fuse", *INPUTS, "--output", "out", "--json", cwd=case)
    found = done.json
    liver = found["agreement"]["structures"][0]
    assert liver["agreement"] == "moderate" and liver["experts"]["3 net-c"]["dice"] == pytest.approx(0.8)
    step = np.linalg.norm(OBLIQUE[:3, 0])
    assert liver["experts"]["3 net-c"]["centroid_mm"] == pytest.approx(2 * step)
    assert found["provenance"]["parameters"]["method"] == "majority"
    for name in ("agreement.json", "segmentation.json"):
        text = (case / "out" / name).read_text(encoding="utf-8")
        assert str(case) not in text and "a/segmentation" not in text
    beside = json.loads((case / "out" / "agreement.json").read_text(encoding="utf-8"))
    assert beside["structures"] == found["agreement"]["structures"]


def test_the_map_is_the_vote_entropy_on_the_same_grid(case):
    run_here("fuse", *INPUTS, "--output", "out", "--disagreement", "map.nii.gz", cwd=case)
    found = read_image(case / "map.nii.gz")
    np.testing.assert_allclose(found.ijk_to_ras, OBLIQUE, atol=1e-4)
    two_one = (2 / 3 * np.log(3 / 2) + 1 / 3 * np.log(3)) / np.log(3)
    wanted = np.where((labels() != labels(2)) | (labels(lesion=True) == 3), two_one, 0)
    np.testing.assert_allclose(found.voxels, wanted, atol=1e-6)


def test_weights_and_order_of_rows_are_taken(case):
    """The third alone outweighs the two others; the second file is stored with its rows the other way round."""
    layer, matrix = labels()[:, ::-1], OBLIQUE.copy()
    matrix[:3, 3] += OBLIQUE[:3, 1] * 29
    matrix[:3, 1] *= -1
    write_label_maps(segmentation([layer], matrix, SEGMENTS), case / "b")
    done = run_here("fuse", *INPUTS, "--method", "weights", "--weights", 1, 1, 5, "--output", "out", cwd=case)
    assert done.code == 0, done.err
    found = read_segmentation(case / "out" / "segmentation.seg.nrrd")
    assert np.array_equal(found.mask(found.segment_named("Liver")), labels(2) == 1)
    assert np.array_equal(found.mask(found.segment_named("Right kidney")), labels(2) == 2)


def test_an_expert_who_found_nothing_has_its_vote(tmp_path):
    layer = np.zeros((12, 30, 40), np.uint8)
    write_image(tmp_path / "none.nii.gz", layer, OBLIQUE)
    write_image(tmp_path / "one.nii.gz", labels(), OBLIQUE)
    done = run_here("fuse", "none.nii.gz", "one.nii.gz", "none.nii.gz", "--output", "out", "--nifti", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    rows = json.loads(done.out)["agreement"]["structures"]
    assert [(row["name"], row["found_by"], row["asked"], row["in_consensus"]) for row in rows] == [
        ("Label 1", ["2 label map"], 3, False), ("Label 2", ["2 label map"], 3, False),
    ]  # fmt: skip
    assert not read_image(tmp_path / "out" / "segmentation.nii.gz").voxels.any()
    done = run_here("fuse", "none.nii.gz", "none.nii.gz", "--output", "no", cwd=tmp_path)
    assert done.code == 2 and "there is nothing to fuse" in done.err and not (tmp_path / "no").exists()


def test_mean_takes_the_probabilities_of_nnunet(case):
    random = np.random.default_rng(2)
    p = random.dirichlet(np.ones(3), (2, 6, 7, 8)).transpose(0, 4, 1, 2, 3).astype(np.float32)
    for name, one in zip("xy", p):
        (case / name).mkdir()
        write_label_maps(segmentation([one.argmax(axis=0).astype(np.uint8)], OBLIQUE, organs(2)), case / name)
        np.savez_compressed(case / f"{name}.npz", probabilities=one)
    inputs = ("x/segmentation.json", "y/segmentation.json", "--method", "mean")
    done = run_here("fuse", *inputs, "--probabilities", "x.npz", "y.npz", "--output", "out", cwd=case)
    assert done.code == 0, done.err
    found = read_segmentation(case / "out" / "segmentation.seg.nrrd").layers[0]
    mean = p.astype(np.float16).astype(float).mean(axis=0)
    margin = np.sort(mean, axis=0)
    clear = margin[-1] - margin[-2] > 2e-3
    assert clear.mean() > 0.9 and np.array_equal(found[clear], mean.argmax(axis=0)[clear])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("a/segmentation.json",), "there is 1 segmentation to fuse; wanted two or more"),
        ((*INPUTS, "--method", "weights"), "--method weights needs --weights"),
        ((*INPUTS, "--weights", 1, 2), "--weights has 2 values for 3 segmentations"),
        ((*INPUTS, "--weights", 1, 2, 3), "--weights belongs to --method weights or mean, not to majority"),
        ((*INPUTS, "--method", "weights", "--weights", 1, 0, 3), "the weight of 2 net-b is 0; wanted a number over 0"),
        ((*INPUTS, "--method", "mean"), "--method mean needs --probabilities"),
        ((*INPUTS[:2], "--method", "staple"), "STAPLE was asked to judge 2 segmentations"),
        ((*INPUTS, "--disagreement", "map.png"), "map.png: wanted a disagreement map with suffix"),
        ((*INPUTS[:2], "other.nii.gz"), "other.nii.gz has"),
        ((*INPUTS[:2], "none.nii.gz"), "none.nii.gz"),
    ],
)
def test_what_cannot_be_fused_is_told_in_one_sentence_and_writes_nothing(case, arguments, told):
    write_image(case / "other.nii.gz", labels()[:-1], OBLIQUE)
    before = tree(case)
    done = run_here("fuse", *arguments, "--output", "out", cwd=case)
    assert done.code == 2 and told in done.sentence, done.err
    assert tree(case) == before


def test_inputs_of_one_name_are_told_apart_by_their_number(case):
    """Results of this program all have one name; a folder may carry the name of a patient and is not told."""
    (case / "jane-doe").mkdir()
    write_label_maps(segmentation([labels()[:-1]], OBLIQUE, SEGMENTS), case / "jane-doe")
    done = run_here("fuse", *INPUTS[:2], "jane-doe/segmentation.json", "--output", "out", cwd=case)
    assert done.sentence == (
        "segmentation.json (input 3) has (40, 30, 11) voxels (i, j, k) but segmentation.json (input 1) has (40, 30, 12);"
        " wanted the grid of segmentation.json (input 1)"
    )
    (case / "jane-doe" / "segmentation.json").write_text("{}")
    inputs = (*INPUTS[:2], "jane-doe/segmentation.json")
    for verb in (("fuse", *inputs, "--output", "out"), ("volumes", *inputs)):
        broken = run_here(*verb, cwd=case)
        assert broken.code == 2 and broken.sentence.startswith("segmentation.json (input 3)"), broken.err
    compared = run_here("evaluate", INPUTS[0], "jane-doe/segmentation.json", cwd=case)
    assert compared.sentence.startswith("segmentation.json (the reference)")
    organs = run_here("lesions", INPUTS[0], "--organs", "jane-doe/segmentation.json", "--output", "out", cwd=case)
    assert organs.sentence.startswith("segmentation.json (the organs)")
    alone = run_here("volumes", "jane-doe/segmentation.json", cwd=case)
    assert alone.code == 2 and "(input" not in alone.sentence


def test_what_is_there_is_kept_and_inputs_are_never_replaced(case):
    assert run_here("fuse", *INPUTS, "--output", "out", cwd=case).code == 0
    before = tree(case)
    done = run_here("fuse", *INPUTS, "--output", "out", cwd=case)
    assert done.code == 3 and "is in the output folder already and was kept" in done.sentence
    done = run_here("fuse", *INPUTS, "--output", "a", "--overwrite", cwd=case)
    assert done.code == 3 and "is an input and would be replaced" in done.sentence
    done = run_here("fuse", *INPUTS, "--output", "new", "--disagreement", "new/segmentation.nii.gz", cwd=case)
    assert done.code == 3 and "segmentation.nii.gz is the name of a result" in done.sentence
    (case / "map.nii.gz").write_text("mine", encoding="utf-8")
    before = tree(case)
    done = run_here("fuse", *INPUTS, "--output", "new", "--disagreement", "map.nii.gz", cwd=case)
    assert done.code == 3 and tree(case) == before
    assert run_here("fuse", *INPUTS, "--output", "out", "--overwrite", cwd=case).code == 0


def test_the_command_offers_every_method_and_no_other():
    assert (fuse.METHODS, ("absent", "unknown")) == (METHODS, UNLISTED)


def test_plain_label_maps_are_fused_by_their_numbers(case):
    for name, layer in (("p", labels()), ("q", labels()), ("r", labels(2))):
        write_image(case / f"{name}.nii.gz", layer, OBLIQUE)
    done = run_here("fuse", "p.nii.gz", "q.nii.gz", "r.nii.gz", "--method", "staple", "--output", "out", "--nrrd", cwd=case)
    assert done.code == 0, done.err
    assert np.array_equal(read_image(case / "out" / "segmentation.nrrd").voxels, labels())

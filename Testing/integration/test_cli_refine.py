"""`oncosegment refine` on files: prompts in, one result with its prompts out, and the same mask again from it."""

from __future__ import annotations

import json

import numpy as np
import pytest

import helpers_lesions
from helpers import tree
from helpers_cli import run_here
from helpers_refine import center_ras, scene_of_blocks
from OncoAppLib.reading import read_segmentation
from OncoAppLib.refine import joined
from OncoAppLib.refine_work import kept_options
from OncoLib.image import Image
from OncoLib.image_files import read_image, write_image
from OncoLib.segmentation_files import write_label_maps
from OncoSegmentLib.refine import registry
from OncoSegmentLib.refine.masks import fingerprint_of
from OncoSegmentLib.refine.prompts import as_dict
from OncoSegmentLib.refine.raster import ras_of
from OncoSegmentLib.refine.texts import prompt_of

IMAGE, BLOCKS = scene_of_blocks()


@pytest.fixture(autouse=True)
def small_engine(monkeypatch):
    """The tests' own engine, used without --engine."""
    row = registry.Row("Region growing", "helpers_refine", "regions of like values")
    monkeypatch.setitem(registry.ENGINES, "region-growing", row)
    monkeypatch.setattr(registry, "DEFAULT", "region-growing")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The image as NIfTI, and its blocks as a label map with names."""
    place = tmp_path_factory.mktemp("refine")
    write_image(place / "ct.nii.gz", IMAGE.voxels, IMAGE.ijk_to_ras)
    labels = np.zeros(IMAGE.shape_kji, np.uint8)
    for number, mask in enumerate(BLOCKS, 1):
        labels[mask] = number
    write_image(place / "blocks.nii.gz", labels, IMAGE.ijk_to_ras)
    write_image(place / "small.nii.gz", labels[:5], IMAGE.ijk_to_ras)
    return place


def at(number: int, sign: str = "") -> str:
    """The middle of a block as the command line has it."""
    return ",".join(f"{one:.4f}" for one in center_ras(IMAGE, BLOCKS[number])) + sign


def click(number: int, sign: str = "") -> list[str]:
    return ["--click", at(number, sign)]


def refine(folder, *arguments):
    return run_here("refine", "ct.nii.gz", *arguments, "--modality", "CT", "--units", "HU", cwd=folder)


def mask_in(path) -> np.ndarray:
    found = read_segmentation(path)
    assert len(found.segments) == 1
    return found.mask(found.segments[0])


@pytest.mark.parametrize("name", ["lesion.seg.nrrd", "lesion.nii.gz", "lesion.nrrd"])
def test_clicks_give_a_segment_and_its_file_gives_it_again(folder, tmp_path, name):
    done = refine(folder, *click(3), *click(5, ",+"), *click(3, ",-"), *click(7), "--output", tmp_path / name)
    assert done.code == 0, done.err
    expected = BLOCKS[5] | BLOCKS[7]
    assert (mask_in(tmp_path / name) == expected).all()
    volume = int(expected.sum()) * 0.8 * 0.9 * 2.5 / 1000
    assert f"{volume:#.3g}" in done.out and "Engine: region-growing, 4 prompts" in done.out and "Research use only" in done.out
    beside = [] if name.endswith(".seg.nrrd") else ["lesion.json"]
    assert sorted(tree(tmp_path)) == sorted([name, *beside])
    for source in [name, *beside]:
        again = refine(folder, "--replay", tmp_path / source, "--output", tmp_path / "again" / name, "--overwrite")
        assert again.code == 0, again.err
        assert (mask_in(tmp_path / "again" / name) == expected).all() and "replayed: the same mask" in again.out


def test_the_json_tells_measures_and_fingerprint(folder, tmp_path):
    done = refine(folder, *click(4), "--name", "Target", "--output", tmp_path / "a.seg.nrrd", "--json")
    told = done.json
    assert told["fingerprint"] == fingerprint_of(BLOCKS[4]) and told["name"] == "Target" and told["prompts"] == 1
    assert told["measurements"]["volume_ml"]["value"] == pytest.approx(int(BLOCKS[4].sum()) * 0.0018)
    assert told["measurements"]["longest_in_plane_mm"]["value"] > 0
    assert told["files"] == [str(tmp_path / "a.seg.nrrd")]
    found = read_segmentation(tmp_path / "a.seg.nrrd")
    assert found.segments[0].structure == "lesion" and found.provenance.model == "refine"
    assert found.provenance.parameters["refinement"]["acts"][1]["act"] == "add_all"


def test_all_kinds_of_prompts_in_their_order(folder, tmp_path):
    inside = np.argwhere(BLOCKS[6])
    places = [",".join(f"{v:.4f}" for v in one) for one in ras_of(IMAGE, inside[[0, -1]])]
    corners = inside.min(0) + np.array([(0, -0.4, -0.4), (0, -0.4, 2.4), (0, 2.4, 2.4), (0, 2.4, -0.4)])
    outline = ";".join(",".join(f"{v:.4f}" for v in one) for one in ras_of(IMAGE, corners))
    middle = center_ras(IMAGE, BLOCKS[8])
    box = ",".join(f"{value:.4f}" for one in middle for value in (one - 0.2, one + 0.2))
    done = refine(
        folder, "--lasso", outline, "--scribble", f"{places[0]};{places[0]}@0.5", "--box", box, "--scribble",
        f"{places[0]};{places[1]},-", "--output", tmp_path / "a.seg.nrrd",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert (mask_in(tmp_path / "a.seg.nrrd") == BLOCKS[8]).all()
    kept = read_segmentation(tmp_path / "a.seg.nrrd").provenance.parameters["refinement"]["acts"][1]["prompts"]
    assert [(one["kind"], one["positive"]) for one in kept] == [
        ("lasso", True), ("scribble", True), ("box", True), ("scribble", False),
    ]  # fmt: skip
    assert kept[1]["radius_mm"] == 0.5


def test_prompts_from_a_file_stand_in_their_place(folder, tmp_path):
    listed = [as_dict(prompt_of("click", at(2))), as_dict(prompt_of("click", at(3, ",-")))]
    (tmp_path / "prompts.json").write_text(json.dumps({"prompts": listed}))
    done = refine(folder, *click(3), "--prompts", tmp_path / "prompts.json", "--output", tmp_path / "a.seg.nrrd")
    assert done.code == 0, done.err
    assert (mask_in(tmp_path / "a.seg.nrrd") == BLOCKS[2]).all()


def test_start_protected_and_limits(folder, tmp_path):
    done = refine(
        folder, *click(1), *click(2), *click(12), "--start", "blocks.nii.gz:Label 1", "--protect", "blocks.nii.gz:3",
        "--within", slab_around(1, 2), "--output", tmp_path / "a.seg.nrrd",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert (mask_in(tmp_path / "a.seg.nrrd") == BLOCKS[0] | BLOCKS[1]).all()
    again = refine(folder, "--replay", tmp_path / "a.seg.nrrd", "--output", tmp_path / "b.nii.gz")
    assert again.code == 0, again.err
    assert (mask_in(tmp_path / "b.nii.gz") == BLOCKS[0] | BLOCKS[1]).all()


def slab_around(*numbers: int) -> str:
    """A box in the patient that holds these blocks and not block 12 (of the second layer of blocks)."""
    inside = np.concatenate([np.argwhere(BLOCKS[one]) for one in numbers])
    places = ras_of(IMAGE, inside)
    low, high = places.min(0) - 0.01, places.max(0) + 0.01
    return "box:" + ",".join(f"{value:.4f}" for pair in zip(low, high) for value in pair)


def test_organs_say_where_a_lesion_lies(tmp_path):
    truth, organs = helpers_lesions.truth(), helpers_lesions.organs()
    lesion = helpers_lesions.true_lesions("liver")[0]
    values = truth.layers[0].astype(np.int16) * 40
    values[truth.mask(lesion)] = 10_000
    write_image(tmp_path / "ct.nii.gz", values, truth.ijk_to_ras)
    write_label_maps(organs, tmp_path, stem="organs", suffix=".nrrd")
    place = ",".join(f"{one:.3f}" for one in center_ras(Image(values, truth.ijk_to_ras), truth.mask(lesion)))
    done = refine(tmp_path, "--click", place, "--organs", "organs.json", "--output", tmp_path / "out" / "lesion.seg.nrrd")
    assert done.code == 0, done.err
    assert "Lesion 1, liver" in done.out and " Liver " in done.out, done.out
    found = read_segmentation(tmp_path / "out" / "lesion.seg.nrrd")
    assert found.segments[0].entry.region.meaning == "Liver" and "place: Liver" in found.segments[0].flags
    assert (found.mask(found.segments[0]) == truth.mask(lesion)).all()
    again = refine(tmp_path, "--replay", "out/lesion.seg.nrrd", "--output", "again.nii.gz")
    assert again.code == 0 and "Lesion 1, liver" in again.out and " Liver " in again.out, "the organs are not needed again"
    assert json.loads((tmp_path / "again.json").read_text())["segments"][0]["codes"] == found.segments[0].entry.as_dict()


def test_a_structure_that_is_no_lesion(folder, tmp_path):
    done = refine(folder, *click(3), "--structure", "liver", "--output", tmp_path / "a.nii.gz")
    assert done.code == 0, done.err
    told = json.loads((tmp_path / "a.json").read_text())
    assert told["segments"][0]["structure"] == "liver" and told["segments"][0]["name"] == "Liver"
    again = refine(folder, "--replay", tmp_path / "a.json", "--output", tmp_path / "b.nii.gz")
    assert again.code == 0 and json.loads((tmp_path / "b.json").read_text())["segments"][0]["name"] == "Liver"


def test_a_replay_needs_only_the_image_and_the_file(folder, tmp_path):
    """Start and protected masks are in the file; the segmentations that they came from may be gone."""
    done = refine(folder, *click(2), "--start", "blocks.nii.gz:1", "--output", tmp_path / "a.nii.gz")
    assert done.code == 0, done.err
    write_image(tmp_path / "ct.nii.gz", IMAGE.voxels, IMAGE.ijk_to_ras)
    again = refine(tmp_path, "--replay", "a.json", "--output", "b.seg.nrrd")
    assert again.code == 0, again.err
    assert (mask_in(tmp_path / "b.seg.nrrd") == mask_in(tmp_path / "a.nii.gz")).all()


def test_a_large_start_mask_fits_into_the_file(tmp_path):
    rng = np.random.default_rng(5)
    voxels = np.zeros((40, 110, 110), np.int16)
    voxels[10:20, 50:90, 50:90] = 500
    write_image(tmp_path / "ct.nii.gz", voxels, np.diag([1.0, 1.0, 2.0, 1.0]))
    noise = (rng.random(voxels.shape) < 0.5).astype(np.uint8)  # does not compress: 27 kB of bits
    noise[:22] = 0
    write_image(tmp_path / "start.nii.gz", noise, np.diag([1.0, 1.0, 2.0, 1.0]))
    done = refine(tmp_path, "--click", "60,60,30", "--start", "start.nii.gz", "--output", "a.seg.nrrd")
    assert done.code == 0, done.err
    again = refine(tmp_path, "--replay", "a.seg.nrrd", "--output", "b.nii.gz")
    assert again.code == 0, again.err
    expected = (voxels == 500) | (noise > 0)
    assert (read_image(tmp_path / "b.nii.gz").voxels.astype(bool) == expected).all()


def test_engines_are_listed_with_what_they_can_do_and_lack(monkeypatch, folder):
    monkeypatch.setitem(registry.ENGINES, "sam", registry.Row("S", "helpers_refine", "s", ("no_such_package",), "pip install it"))
    done = run_here("refine", "--engines", cwd=folder)
    assert done.code == 0 and "prompts: point, box, scribble, lasso; negative: all; takes a start mask" in done.out
    assert "the engine 'sam' needs the package no_such_package, which is not installed; pip install it" in done.out
    told = run_here("refine", "--engines", "--json", cwd=folder).json
    assert [one["name"] for one in told] == ["growcut", "sam", "nninteractive", "vista3d", "region-growing"]
    assert told[-1]["capabilities"]["start"] is True and told[1]["capabilities"] is None


BAD = [
    (["--output", "x.seg.nrrd"], "there is no prompt"),
    (["--click", "1,2", "--output", "x.seg.nrrd"], "--click '1,2': wanted R,A,S"),
    (["--click", "-1,2,x", "--output", "x.seg.nrrd"], "--click '-1,2,x': wanted R,A,S"),
    (["--click", "nan,2,3", "--output", "x.seg.nrrd"], "wanted R,A,S"),
    (["--box", "1,2,3", "--output", "x.seg.nrrd"], "wanted R0,R1,A0,A1,S0,S1"),
    (["--scribble", "1,2,3", "--output", "x.seg.nrrd"], "a scribble has 1 points; wanted 2 or more"),
    (["--scribble", "1,2,3;4,5,6@x", "--output", "x.seg.nrrd"], "--scribble"),
    (["--lasso", "1,2,3;4,5,6", "--output", "x.seg.nrrd"], "a lasso has 2 points"),
    (["--click", "1,2,3", "--output", "x.txt"], "x.txt: wanted a name that ends in .seg.nrrd, .nii.gz, .nrrd"),
    (["--click", "1,2,3"], "wanted IMAGE and --output FILE"),
    (["--click", "9999,2,3", "--output", "x.seg.nrrd"], "no prompt lies in the image, which reaches over R "),
    (["--lasso", "0,0,0;20,0,0;20,20,30;0,20,0", "--output", "x.seg.nrrd"], "a lasso leaves its plane by"),
    (["--click", "1,2,3", "--engine", "magic", "--output", "x.seg.nrrd"], "there is no engine 'magic'; wanted one of growcut"),
    (["--click", "1,2,3", "--engine", "nninteractive", "--output", "x.seg.nrrd"], "nninteractive"),
    (["--click", "1,2,3", "--engine-option", "speed=9", "--output", "x.seg.nrrd"], "'speed'; its options: tolerance, start"),
    (["--click", "1,2,3", "--engine-option", "speed", "--output", "x.seg.nrrd"], "wanted KEY=VALUE"),
    (["--click", "1,2,3", "--structure", "elbow grease", "--output", "x.seg.nrrd"], "wanted an id such as"),
    (["--click", "1,2,3", "--start", "blocks.nii.gz", "--output", "x.seg.nrrd"], "blocks.nii.gz: holds 20 segments; name one"),
    (["--click", "1,2,3", "--start", "blocks.nii.gz:Nose", "--output", "x.seg.nrrd"], "blocks.nii.gz: no segment 'Nose'"),
    (["--click", "1,2,3", "--protect", "gone.nii.gz", "--output", "x.seg.nrrd"], "gone.nii.gz: no such file"),
    (["--click", "1,2,3", "--protect", "small.nii.gz", "--output", "x.seg.nrrd"], "small.nii.gz has"),
    (["--click", "1,2,3", "--within", "ball:3", "--output", "x.seg.nrrd"], "wanted box:R0,R1"),
    (["--click", "1,2,3", "--within", "slab:S,5,1", "--output", "x.seg.nrrd"], "is empty"),
    (["--click", "1,2,3", "--within", "slab:S,5000,6000", "--output", "x.seg.nrrd"], "holds no voxel"),
    (["--click", "1,2,3", "--replay", "x.json", "--output", "x.seg.nrrd"], "does not go with --replay"),
    (["--replay", "blocks.nii.gz", "--output", "x.seg.nrrd"], "blocks.json: cannot be read as JSON"),
    (["--replay", "gone.seg.nrrd", "--output", "x.seg.nrrd"], "gone.seg.nrrd: no such file"),
    (["--prompts", "gone.json", "--output", "x.seg.nrrd"], "gone.json: no such file; wanted a JSON file of prompts"),
    (["--prompts", "blocks.nii.gz", "--output", "x.seg.nrrd"], "cannot be read as JSON"),
    (["--click", "1,2,3", "--output", "ct.nii.gz"], "is an input and would be replaced"),
    (["--click", "1,2,3", "--keys", "k", "--output", "x.seg.nrrd"], "--keys and --scheduler-without-tls belong to --scheduler"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD, ids=[said for _arguments, said in BAD])
def test_bad_input_is_one_sentence_and_leaves_nothing(folder, arguments, said):
    before = tree(folder)
    done = refine(folder, *arguments)
    assert done.code in (2, 3, 4) and said in done.sentence, done.err
    assert tree(folder) == before


def test_a_result_that_is_there_stays_unless_it_may_be_replaced(folder, tmp_path):
    for name in ("a.seg.nrrd", "a.nii.gz"):
        assert refine(folder, *click(3), "--output", tmp_path / name).code == 0
        before = tree(tmp_path)
        assert "a" in refine(folder, *click(4), "--output", tmp_path / name).sentence
        assert tree(tmp_path) == before
        assert refine(folder, *click(4), "--output", tmp_path / name, "--overwrite").code == 0
        assert (mask_in(tmp_path / name) == BLOCKS[4]).all()


def test_a_replay_on_another_image_or_by_another_engine_is_refused(folder, tmp_path):
    assert refine(folder, *click(3), "--output", tmp_path / "a.seg.nrrd").code == 0
    write_image(tmp_path / "ct.nii.gz", IMAGE.voxels + np.int16(1), IMAGE.ijk_to_ras)
    other = refine(tmp_path, "--replay", "a.seg.nrrd", "--output", "b.seg.nrrd")
    assert other.code == 2 and "a.seg.nrrd: the log was made on another image" in other.sentence
    coarse = refine(
        folder, "--replay", tmp_path / "a.seg.nrrd", "--engine-option", "tolerance=1e4", "--output", tmp_path / "b.seg.nrrd"
    )
    assert coarse.code == 2 and "gives another mask than when it was recorded" in coarse.sentence
    assert not (tmp_path / "b.seg.nrrd").exists()


def test_an_empty_mask_is_not_written(folder, tmp_path):
    done = refine(folder, *click(3), *click(3, ",-"), "--output", tmp_path / "a.seg.nrrd")
    assert done.code == 2 and "found nothing at these prompts; nothing was written" in done.sentence
    assert tree(tmp_path) == {}


def test_no_result_keeps_a_folder_or_a_key(tmp_path):
    given = {"weights": str(tmp_path), "window": 40, "model": "sam2.1_tiny", "key": "s3cret", "server": "https://gpu.clinic"}
    assert kept_options(given) == {"weights": tmp_path.name, "window": 40, "model": "sam2.1_tiny"}


def test_places_that_begin_with_a_minus_belong_to_their_option():
    given = ["refine", "--click", "-1,2,3", "--box", "-.5,1,2,3,4,5", "--click", "--json", "--name", "-1", "-1,2,3"]
    assert joined(given) == ["refine", "--click=-1,2,3", "--box=-.5,1,2,3,4,5", "--click", "--json", "--name", "-1", "-1,2,3"]

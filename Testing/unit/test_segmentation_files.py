"""Label maps with one JSON beside them: exact round trips, numbers by arithmetic, damage told with the file's name."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import GRIDS, LEFT_HANDED, MASS, OBLIQUE, grids, segment, segmentation, voxel_arrays
from OncoLib.errors import GeometryError, InputError, OncoError
from OncoLib.segmentation import CONFIDENCE_BANDS, Provenance
from OncoLib.segmentation_files import as_json, read_label_maps, segment_from_json, segment_json, write_json, write_label_maps

SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
LAYER = (np.arange(60) % 4).reshape(3, 4, 5).astype(np.uint8)


def same(first, second) -> bool:
    """Segments, provenance, grid and every voxel are equal."""
    return (
        first.segments == second.segments
        and first.provenance == second.provenance
        and np.array_equal(first.ijk_to_ras, second.ijk_to_ras)
        and len(first.layers) == len(second.layers)
        and all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(first.layers, second.layers))
    )


@SHARED_FOLDER
@given(
    layers=st.lists(voxel_arrays(("uint8", "uint16", "int32"), 3, 3), min_size=1, max_size=3),
    matrix=grids(),
    suffix=st.sampled_from([".nii.gz", ".nrrd", ".mha"]),
)
def test_round_trip(tmp_path, layers, matrix, suffix):
    layers = [np.abs(layer) % 7 if layer.dtype.kind == "i" else layer % 7 for layer in layers]
    made = segmentation([layer.astype(layers[0].dtype) for layer in layers], matrix, name="Plan")
    write_label_maps(made, tmp_path, suffix=suffix)
    back = read_label_maps(tmp_path / "segmentation.json")
    assert same(made, back) and back.name == "Plan"


def test_everything_that_a_segment_says_survives():
    for band in CONFIDENCE_BANDS:
        said = segment(
            300, 'Läsion "A"; links | 2 ~ ^', entry=MASS, confidence=band, structure="mass", flags=("zu groß: 12 %", ""), layer=2
        )
        assert segment_from_json(json.loads(json.dumps(segment_json(said)))) == said


@pytest.mark.parametrize("name", GRIDS)
def test_nibabel_finds_the_labels_at_the_places_that_the_json_states(tmp_path, name):
    made = segmentation([LAYER], GRIDS[name])
    description = write_label_maps(made, tmp_path)
    file = nibabel.load(tmp_path / description["label_maps"][0])
    np.testing.assert_array_equal(np.asanyarray(file.dataobj).T, LAYER)
    np.testing.assert_allclose(file.affine, np.array(description["geometry"]["ijk_to_ras"]), rtol=1e-6)


def test_the_numbers_in_the_json_by_arithmetic():
    """15 voxels of each of the labels 1, 2, 3; a voxel is 0.7 x 0.9 x 3.0 mm3 = 0.00189 ml."""
    description = as_json(segmentation([LAYER], OBLIQUE))
    assert [part["voxels"] for part in description["segments"]] == [15, 15, 15]
    assert [part["volume_ml"] for part in description["segments"]] == pytest.approx([15 * 0.00189] * 3, abs=1e-6)
    assert description["geometry"]["shape_ijk"] == [5, 4, 3]
    assert description["geometry"]["voxel_volume_ml"] == pytest.approx(0.00189)
    assert "Research use only" in description["notice"]


def test_tiny_volumes_are_not_rounded_to_nothing():
    """One voxel of 0.05 mm cubed is 1.25e-7 ml: a volume of 0 beside one voxel would be wrong."""
    layer = np.zeros((2, 2, 2), np.uint8)
    layer[0, 0, 0] = 1
    part = as_json(segmentation([layer], np.diag([0.05, 0.05, 0.05, 1.0])))["segments"][0]
    assert part["voxels"] == 1 and part["volume_ml"] == pytest.approx(1.25e-7, rel=0.01)


def test_a_json_without_label_maps_says_how_to_get_them(tmp_path):
    write_json(tmp_path / "a.json", as_json(segmentation([LAYER])))
    with pytest.raises(InputError, match=r"^a\.json: it names no label map; write it with --nifti"):
        read_label_maps(tmp_path / "a.json")


def test_a_not_a_number_is_never_written(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"volume_ml": float("nan")})


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '"text"', '{"format": "other/1"}', "null", "\x00\x01"])
def test_what_is_no_description_is_told_by_name(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"^a\.json: "):
        read_label_maps(tmp_path / "a.json")
    with pytest.raises(InputError, match=r"^b\.json: "):
        read_label_maps(tmp_path / "b.json")


def every_path(value, path=()):
    """Every key and position of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield (*path, key)
        yield from every_path(below, (*path, key))


def read_with_each_entry_spoiled(folder):
    """Every entry is taken out once, and replaced once by a value of each other kind; yields what that raised."""
    whole = write_label_maps(segmentation([LAYER], segments=[segment(1, flags=("a flag",))]), folder)
    for path in every_path(whole):
        for wrong in ("absent", None, "text", -7, [], {}):
            changed = copy.deepcopy(whole)
            holder = changed
            for key in path[:-1]:
                holder = holder[key]
            if wrong == "absent":
                del holder[path[-1]]
            else:
                holder[path[-1]] = wrong
            (folder / "changed.json").write_text(json.dumps(changed))
            try:
                read_label_maps(folder / "changed.json")
            except Exception as error:
                yield f"{'.'.join(map(str, path))} = {wrong!r}", error


def test_only_our_errors_come_out_of_a_spoiled_description(tmp_path):
    found = [f"{what}: {error!r}" for what, error in read_with_each_entry_spoiled(tmp_path) if not isinstance(error, OncoError)]
    assert not found, f"{len(found)} spoiled entries escape, such as\n" + "\n".join(found[:12])


def test_every_sentence_on_a_spoiled_description_names_its_file(tmp_path):
    told = [(what, error) for what, error in read_with_each_entry_spoiled(tmp_path) if isinstance(error, OncoError)]
    found = [f"{what}: {error}" for what, error in told if not str(error).startswith("changed.json: ")]
    assert told and not found, f"{len(found)} sentences name no file, such as\n" + "\n".join(found[:12])


def test_label_maps_of_another_grid_are_refused(tmp_path):
    made = segmentation([LAYER], OBLIQUE)
    write_label_maps(made, tmp_path)
    write_label_maps(replace(made, ijk_to_ras=LEFT_HANDED), tmp_path, stem="other")
    (tmp_path / "other.nii.gz").replace(tmp_path / "segmentation.nii.gz")
    with pytest.raises(GeometryError, match=r"^segmentation\.json: segmentation\.nii\.gz lies .* mm off"):
        read_label_maps(tmp_path / "segmentation.json")


def test_a_description_never_reaches_files_elsewhere(tmp_path):
    """A name with folders in it is taken as a bare name beside the JSON."""
    inner = tmp_path / "inner"
    inner.mkdir()
    whole = write_label_maps(segmentation([LAYER]), inner)
    (inner / "segmentation.nii.gz").rename(tmp_path / "segmentation.nii.gz")
    (inner / "segmentation.json").write_text(json.dumps({**whole, "label_maps": ["../segmentation.nii.gz"]}))
    with pytest.raises(InputError, match=r"^segmentation\.json: segmentation\.nii\.gz: no such file"):
        read_label_maps(inner / "segmentation.json")


def test_layers_after_the_first_have_their_own_files(tmp_path):
    made = segmentation([LAYER, LAYER[::-1].copy(), LAYER], provenance=Provenance("m", "1"))
    assert write_label_maps(made, tmp_path)["label_maps"] == [
        "segmentation.nii.gz",
        "segmentation-layer2.nii.gz",
        "segmentation-layer3.nii.gz",
    ]
    assert same(made, read_label_maps(tmp_path / "segmentation.json"))

"""The folder of a comparison: written whole or not at all, read back without loss, told what is wrong with it in one sentence."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from helpers import OBLIQUE, tree
from helpers_evidence import DAYS, evidence, pair, region, seen
from helpers_tracking import shift
from LongitudinalCompareLib.comparison import Comparison
from LongitudinalCompareLib.evidence import Evidence, Identity
from LongitudinalCompareLib.evidence_dates import dated_lesions
from LongitudinalCompareLib.evidence_json import evidence_dict, packed, unpacked
from LongitudinalCompareLib.known_tracks import known_of
from LongitudinalCompareLib.reading import Act, Reading, Ref
from LongitudinalCompareLib.scene.comparison_files import check_folder, put, read_folder
from LongitudinalCompareLib.tracking import track_lesions
from OncoLib.errors import InputError, OutputError
from OncoLib.registration.files import warp_of
from OncoLib.registration.transform import LinearTransform

A, B = (20.0, 20.0, 20.0), (20.0, 20.0, 45.0)


def course(grid=None) -> Evidence:
    """Three dates, the last one without lesions; two of them overlap, one has a transform of its own."""
    places = (np.eye(4) if grid is None else grid) @ np.array([[20, 20, 20, 1], [20, 24, 20, 1], [20, 20, 45, 1.0]]).T
    a, close, b = (tuple(one[:3]) for one in places.T)
    dates = [
        seen(0, {"a": (a, 4), " Läsion | über ": (close, 4), "b": (b, 3.3)}, grid, notes=("a note",)),
        seen(1, {"a": (a, 5)}, grid, channels=({"name": "image", "modality": "CT", "files_sha256": "ff"},)),
        seen(2, {}, grid),
    ]
    regions = [region("a", a, "check", local=shift(0.1, 1 / 3, 0), placed_by="local"), region("b", b, "refuse")]
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]
    pairs = [pair(1, regions, LinearTransform(turned)), pair(2, [region("a", a)])]
    known = (Identity("2.25.7", "a", DAYS[0], (1.5, 1 / 3, 2.0)),)
    return evidence(dates, pairs, known=known, provenance={"started": "2026-05-01T10:00:00+02:00", "limits": (1, 2)})


def comparison(of: Evidence, reading: Reading | None = None) -> Comparison:
    return Comparison(tuple(one.facts for one in of.dates), of.pairs, (), (), (), reading or Reading(), {})


def all_of(one: Evidence) -> str:
    """All that JSON can hold of it."""
    return json.dumps(evidence_dict(one, {}, {1: "", 2: ""}), sort_keys=True)


@pytest.mark.parametrize("grid", [None, OBLIQUE], ids=["straight", "oblique"])
def test_what_is_read_back_is_what_was_written_voxel_for_voxel(tmp_path, grid):
    before = course(grid)
    act = Act("gone", (Ref(DAYS[0], "a", (20.0, 20.0, 20.0)),), (), DAYS[1], {}, "R", "2026-05-02T09:00:00+02:00")
    paths = put(tmp_path / "out", before, comparison(before, Reading((act,))))
    stem = f"_to_{DAYS[0]}"
    names = [f"{DAYS[1]}{stem}.h5", f"{DAYS[1]}{stem}.json", f"{DAYS[2]}{stem}.h5", f"{DAYS[2]}{stem}.json", "comparison.json",
             "evidence.json", f"lesions_{DAYS[0]}.seg.nrrd", f"lesions_{DAYS[1]}.seg.nrrd", "reading.json"]  # fmt: skip
    assert [one.name for one in paths] == names
    after, told, reading = read_folder(tmp_path / "out")
    assert all_of(after) == all_of(before)
    assert (reading, told) == (Reading((act,)), comparison(before, reading).as_dict())
    for first, second in zip(before.dates, after.dates):
        assert second.ijk_to_ras.tobytes() == np.asarray(first.ijk_to_ras).tobytes() and second.shape_kji == first.shape_kji
        for one, other in zip(first.lesions, second.lesions, strict=True):
            assert one.box == other.box and np.array_equal(one.mask, other.mask) and one.entry == other.entry
            assert (one.measurements, one.lines, one.site, one.site_code) == (
                other.measurements, other.lines, other.site, other.site_code,
            )  # fmt: skip
    found, again = (track_lesions(dated_lesions(one), one.seed) for one in (before, after))
    assert [(one.tracking_uid, one.states[1].expected_ras_mm, one.statuses) for one in found.tracks] == [
        (one.tracking_uid, one.states[1].expected_ras_mm, one.statuses) for one in again.tracks
    ]
    assert read_folder(tmp_path / "out" / "comparison.json")[1] == told


def test_a_deformation_is_kept_to_the_last_bit_and_leads_lesions_there_and_back(tmp_path):
    random, grid = np.random.default_rng(0), np.diag([10.0, 10.0, 10.0, 1.0])
    warp = warp_of(random.uniform(-3, 3, (7, 7, 7, 3)), grid, LinearTransform(np.eye(4)))
    before = course()
    before = replace(before, pairs=(replace(before.pairs[0], transform=warp), before.pairs[1]))
    put(tmp_path, before, comparison(before))
    after = read_folder(tmp_path)[0].pairs[0].transform
    assert after.displacement_mm.tobytes() == warp.displacement_mm.tobytes()
    one, other = (dated_lesions(of)[1].from_baseline for of in (before, read_folder(tmp_path)[0]))
    points = np.array([lesion.centroid_ras_mm for lesion in before.dates[0].lesions])  # the first one has a refinement of its own
    moved = one.moved(points)
    assert np.array_equal(moved, other.moved(points)) and np.array_equal(moved[2:], warp.moved(points)[2:])
    assert one.inverse().moved(moved) == pytest.approx(points, abs=0.05)


def test_nothing_is_replaced_unless_asked_for_and_then_nothing_old_is_left(tmp_path):
    whole, out = course(), tmp_path / "out"
    put(out, whole, comparison(whole))
    (out / "notes.txt").write_text("mine")
    before = tree(out)
    with pytest.raises(OutputError, match="is in the output folder already and was kept"):
        put(out, whole, comparison(whole))
    with pytest.raises(OutputError, match="is in the output folder already"):
        check_folder(out)
    assert tree(out) == before
    first = Evidence(whole.dates[:1], (), whole.seed)
    put(out, first, comparison(first), overwrite=True)
    left = {"comparison.json", "evidence.json", f"lesions_{DAYS[0]}.seg.nrrd", "notes.txt", "reading.json"}
    assert {path.name for path in out.iterdir()} == left
    assert len(read_folder(out)[0].dates) == 1


def test_a_failed_write_leaves_what_was_there(tmp_path):
    whole, out = course(), tmp_path / "out"
    put(out, whole, comparison(whole))
    before = tree(out)
    broken = replace(comparison(whole), provenance={"seconds": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        put(out, whole, broken, overwrite=True)
    assert tree(out) == before


def spoil_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda out: (out / "comparison.json").unlink(), "comparison.json: there is no such file in this folder; wanted"),
        (lambda out: (out / "evidence.json").unlink(), "evidence.json: there is no such file in this folder; wanted"),
        (lambda out: (out / "reading.json").write_text("{"), "reading.json: it is damaged and cannot be read as JSON"),
        (lambda out: (out / "comparison.json").write_text("[]"), "comparison.json: it is not what a comparison writes"),
        (lambda out: spoil_json(out / "evidence.json", format="x/1"), "evidence.json: it is not what a comparison writes"),
        (lambda out: spoil_json(out / "evidence.json", dates=[{}]), "evidence.json: an entry is missing or malformed"),
        (lambda out: spoil_json(out / "comparison.json", timepoints=[]), "evidence.json: it is of other scans than comparison"),
        (lambda out: spoil_json(out / "evidence.json", files_sha256=7), "evidence.json: an entry is missing or malformed"),
        (lambda out: (out / f"lesions_{DAYS[1]}.seg.nrrd").unlink(), f"lesions_{DAYS[1]}.seg.nrrd: it is missing beside"),
        (lambda out: (out / f"lesions_{DAYS[1]}.seg.nrrd").write_bytes(b"x"), f"lesions_{DAYS[1]}.seg.nrrd: it was changed or"),
        (lambda out: (out / f"{DAYS[1]}_to_{DAYS[0]}.h5").write_bytes(b"x"), f"{DAYS[1]}_to_{DAYS[0]}.h5: it was changed or"),
    ],
)
def test_a_damaged_or_foreign_folder_gives_one_sentence(tmp_path, spoil, told):
    whole, out = course(), tmp_path / "out"
    put(out, whole, comparison(whole))
    spoil(out)
    with pytest.raises(InputError) as found:
        read_folder(out)
    assert told in str(found.value) and "\n" not in str(found.value)


def test_values_that_json_has_not_come_back():
    value = {"a": (1, float("nan"), [float("inf"), -float("inf")]), "b": np.float32(0.5), "c": np.arange(2), "d": None, "e": True}
    again = unpacked(json.loads(json.dumps(packed(value), allow_nan=False)))
    assert np.isnan(again["a"][1]) and again["a"][2] == [float("inf"), -float("inf")]
    assert (again["a"][0], again["b"], again["c"], again["d"], again["e"]) == (1, 0.5, [0, 1], None, True)


def test_identities_hold_a_point_of_the_first_lesion_of_each_track():
    whole = course()
    names = ("a", "b")
    entries = {name: [{"timepoint": 0, "lesions": [], "centroid_ras_mm": None},
                      {"timepoint": 0, "lesions": [name], "centroid_ras_mm": [1.0, 2.0, 3.0]}] for name in names}  # fmt: skip
    named = enumerate(names)
    tracks = [{"tracking_uid": f"2.25.{at}", "name": name.upper(), "measurements": entries[name]} for at, name in named]
    told = {"timepoints": [{"date": DAYS[0], "time": "14:30:00"}], "tracks": [*tracks, {**tracks[0], "manual": True}]}
    found = known_of(told, whole)
    assert [(one.tracking_uid, one.name, one.date) for one in found] == [
        ("2.25.0", "A", f"{DAYS[0]} 14:30:00"), ("2.25.1", "B", f"{DAYS[0]} 14:30:00"),
    ]  # fmt: skip
    for identity, name in zip(found, names):
        lesion = next(one for one in whole.dates[0].lesions if one.key.name == name)
        assert lesion.holds(np.array([identity.at_ras_mm]))[0]
    assert known_of(told)[0].at_ras_mm == (1.0, 2.0, 3.0)

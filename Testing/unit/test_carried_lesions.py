"""Lesions of the baseline looked for at a later date by carried prompts: balls of known size in even tissue."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from LongitudinalCompareLib.alignment import RegionAlignment, put_together
from LongitudinalCompareLib.carried_dates import check
from LongitudinalCompareLib.carried_lesions import NOTHING, OUTSIDE, PROPOSAL, PROPOSED, REFUSED, carried_lesions, prompts_of
from LongitudinalCompareLib.lesions_of import lesions_of
from LongitudinalCompareLib.timepoint import Timepoint
from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.registration.transform import LinearTransform
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure
from OncoSegmentLib.refine import registry

GRID = np.diag([-1.5, 1.5, 2.0, 1.0])
SHAPE = (40, 60, 60)
SHIFT = LinearTransform(np.array([[1.0, 0, 0, 6.0], [0, 1, 0, -3.0], [0, 0, 1, 4.0], [0, 0, 0, 1]]))
CENTERS = {"Grown": (-30.0, 30.0, 40.0), "Shrunk": (-60.0, 30.0, 40.0), "Gone": (-30.0, 62.0, 40.0), "Near": (-60.0, 62.0, 40.0)}


def points() -> np.ndarray:
    """RAS of all voxels, `[k, j, i, 3]`."""
    ijk = np.moveaxis(np.indices(SHAPE)[::-1], 0, -1)
    return ijk @ GRID[:3, :3].T + GRID[:3, 3]


def ball(center, radius_mm: float) -> np.ndarray:
    return ((points() - np.array(center)) ** 2).sum(axis=-1) <= radius_mm**2


def scan(balls: dict, seed: int) -> Image:
    """Tissue of 40 HU with a little noise, and lesions of 120 HU."""
    voxels = np.random.default_rng(seed).normal(40, 5, SHAPE)
    for center, radius in balls.values():
        voxels[ball(center, radius)] += 80
    return Image(voxels.astype(np.float32), GRID, "CT", "HU")


def dates(later: dict):
    """The baseline with four balls of 8 mm, segmented; the later date with balls of these radii, at the places moved by SHIFT."""
    layer, like = np.zeros(SHAPE, np.uint8), structure("lesion")
    for label, center in enumerate(CENTERS.values(), 1):
        layer[ball(center, 8.0)] = label
    segments = tuple(Segment(label, name, like.entry, like.color, structure=like.id) for label, name in enumerate(CENTERS, 1))
    made = Segmentation((layer,), GRID, segments, Provenance("hand", ""))
    image = scan({name: (center, 8.0) for name, center in CENTERS.items()}, 1)
    first = Timepoint({"image": image}, "2026-01-05", segmentation=made)
    moved = {name: tuple(SHIFT.moved(np.array([CENTERS[name]]))[0]) for name in later}
    second = Timepoint({"image": scan({name: (moved[name], radius) for name, radius in later.items()}, 2)}, "2026-03-02")
    return first, second, moved


def verdict(**refused: str):
    regions = [
        RegionAlignment(name, center, tuple(SHIFT.moved(np.array([center]))[0]), refused.get(name, "good"), ("as told",))
        for name, center in CENTERS.items()
    ]
    return put_together(regions)


def looked(first, second, judged=None, transform=SHIFT):
    engine = registry.make("growcut")
    lesions = lesions_of(first.segmentation, 0)
    found = carried_lesions(first, second, transform, judged or verdict(), lesions, engine)
    engine.close()
    return found


@pytest.fixture(scope="module")
def found():
    first, second, moved = dates({"Grown": 10.0, "Shrunk": 5.0, "Near": 8.0})
    return looked(first, second, verdict(Near="refuse")), second, moved


def test_what_is_there_is_proposed_with_its_size_at_the_later_date(found):
    carried, second, moved = found
    for name, radius in (("Grown", 10.0), ("Shrunk", 5.0)):
        segment = carried.segmentation.segment_named(name)
        mask, truth = carried.segmentation.mask(segment), ball(moved[name], radius)
        assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.9
        assert segment.flags[0].startswith(PROPOSAL) and "2026-01-05" in segment.flags[0]
        assert segment.entry == structure("lesion").entry
    carried.segmentation.require_grid_of(second.image)


def test_no_prompt_goes_where_the_alignment_is_refused_and_what_is_gone_is_no_lesion(found):
    outcomes = {one.name: one for one in found[0].lesions}
    assert {name: one.outcome for name, one in outcomes.items()} == {
        "Grown": PROPOSED, "Shrunk": PROPOSED, "Gone": NOTHING, "Near": REFUSED,
    }  # fmt: skip
    assert [one.name for one in found[0].segmentation.segments] == ["Grown", "Shrunk"] and found[0].unseen == ("Gone", "Near")
    assert set(found[0].segmentation.provenance.parameters["lesions"]) == {"Grown", "Shrunk", "Gone"}  # asked, with their prompts


def test_a_place_outside_of_the_later_scan_is_asked_nothing():
    first, second, _moved = dates({"Grown": 8.0})
    far = LinearTransform(np.array([[1.0, 0, 0, 500.0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    carried = looked(first, second, transform=far)
    assert {one.outcome for one in carried.lesions} == {OUTSIDE} and not carried.segmentation.segments


def test_an_engine_that_runs_out_of_the_lesion_proposes_nothing():
    first, second, moved = dates({"Grown": 19.0})  # 13 times the volume
    carried = looked(first, second)
    grown = next(one for one in carried.lesions if one.name == "Grown")
    assert grown.outcome == NOTHING
    assert re.fullmatch(r"the region grew into its surroundings \(1[0-9] times the volume\), so it was dropped", grown.text)


def test_a_reader_s_point_at_a_lesion_is_used():
    """The verdict's own transform of a lesion wins over that of the pair."""
    first, second, moved = dates({"Grown": 8.0})
    judged = verdict()
    regions = [replace(one, local=SHIFT) if one.name == "Grown" else one for one in judged.regions]
    identity = LinearTransform(np.eye(4))
    carried = looked(first, second, put_together(regions), identity)
    mask = carried.segmentation.mask(carried.segmentation.segment_named("Grown"))
    assert mask[ball(moved["Grown"], 4.0)].all()


def test_the_prompt_is_the_deepest_point_of_a_lesion_on_its_own_spacing():
    first, _second, _moved = dates({})
    for lesion in lesions_of(first.segmentation, 0):
        (click,) = prompts_of(lesion)
        assert np.linalg.norm(np.subtract(click.ras, CENTERS[lesion.key.name])) <= 2.5  # a voxel
        assert lesion.holds(np.array([click.ras]))[0]


def test_dates_that_nothing_can_fill_are_refused_by_their_date():
    first, second, _moved = dates({})
    bare = Timepoint({"image": first.image}, "2026-01-05")
    with pytest.raises(InputError, match="2026-01-05, the baseline, has no segmentation; prompts are carried from its lesions"):
        check((bare, second), [0, 1], registry.make("growcut"))
    with pytest.raises(InputError, match="2026-03-02: there is no segmentation"):
        check((first, second), [1], None)

"""Lesions by clicks: one session each, named and placed by the organs, measured at once; prompts carried to another date."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest

import helpers_lesions
from helpers_refine import RegionGrowing, center_ras, scene_of_blocks
from OncoLib.components import Piece
from OncoLib.errors import Cancelled, GeometryError, InputError
from OncoLib.image import Image
from OncoLib.progress import CancelToken
from OncoLib.registration.transform import LinearTransform
from OncoSegmentLib.lesion.place import Context
from OncoSegmentLib.refine.carry import carried
from OncoSegmentLib.refine.lesion import LesionRound, facts_of
from OncoSegmentLib.refine.masks import box_of, whole
from OncoSegmentLib.refine.prompts import Box, Point
from OncoSegmentLib.refine.session import Session

IMAGE, BLOCKS = scene_of_blocks()


def click(number: int, positive: bool = True) -> Point:
    return Point(center_ras(IMAGE, BLOCKS[number]), positive)


@functools.cache
def patient() -> tuple[Image, tuple]:
    """Reference patient: each organ and lesion has a value of its own; and its lesions."""
    truth = helpers_lesions.truth()
    voxels = truth.layers[0].astype(np.int16) * 40
    lesions = tuple(helpers_lesions.true_lesions())
    for one in lesions:
        voxels[truth.mask(one)] = 10_000 + 40 * one.label
    return Image(voxels, truth.ijk_to_ras, modality="CT", units="HU"), lesions


def test_each_lesion_of_the_reference_patient_is_named_placed_and_measured_at_once() -> None:
    image, lesions = patient()
    truth, named = helpers_lesions.truth(), {}
    work = LesionRound(RegionGrowing(), image, [helpers_lesions.organs()])
    for one in lesions:
        work.next_lesion()
        work.click(Point(center_ras(image, truth.mask(one))))
        facts = work.facts()
        assert (work.active.session.mask == truth.mask(one)).all()
        assert facts.measurement("volume_ml").value == pytest.approx(int(truth.mask(one).sum()) * image.voxel_volume_ml)
        assert facts.measurement("longest_in_plane_mm").value > 0
        assert facts.notes[0] == f"place: {facts.place.text}"
        named[one.structure] = facts
    liver = next(facts for structure, facts in named.items() if structure.startswith("liver"))
    assert liver.place.structure == "liver" and liver.segment.entry.region.meaning == "Liver"
    assert work.engine.engine.images == 1, "the image was given once, to all"
    made = work.segmentation()
    assert len(made.segments) == len(lesions) and len({one.name for one in made.segments}) == len(lesions)
    for mine, one in zip(made.segments, lesions):
        assert (made.mask(mine) == truth.mask(one)).all()


def test_the_place_is_that_of_the_split_of_a_whole_result() -> None:
    image, lesions = patient()
    truth, organs = helpers_lesions.truth(), helpers_lesions.organs()
    for one in lesions[::3]:
        mask = truth.mask(one)
        box = box_of(mask, whole(mask.shape))
        facts = facts_of(image, mask, Context([organs]))
        expected = Context([organs]).place_of(Piece(box, mask[box]), facts.segment)
        assert facts.place.text == expected.text


def test_without_organs_and_with_an_own_name_the_lesion_is_measured_too() -> None:
    facts = facts_of(IMAGE, BLOCKS[3])
    count = int(BLOCKS[3].sum())
    assert facts.segment.name == "Lesion 1" and facts.segment.flags == () and facts.place.relation == "unknown"
    assert facts.measurement("volume_ml").value == pytest.approx(count * 0.8 * 0.9 * 2.5 / 1000)
    assert facts.measurement("intensity_mean").value == 100 + 40 * 3
    assert facts_of(IMAGE, BLOCKS[3], name="Target 1").segment.name == "Target 1"
    organ = facts_of(IMAGE, BLOCKS[3], like="liver").segment
    assert (organ.name, organ.structure) == ("Liver", "liver")
    assert facts_of(IMAGE, np.zeros(IMAGE.shape_kji, bool)) is None


def test_another_lesion_is_protected_where_the_first_one_is() -> None:
    work = LesionRound(RegionGrowing(), IMAGE, protected=BLOCKS[9])
    work.click(click(1))
    work.next_lesion()
    work.click(click(2))
    change = work.click(click(1))
    assert change.box is None and (work.active.session.mask == BLOCKS[2]).all()
    work.click(click(9))
    assert (work.active.session.mask == BLOCKS[2]).all()
    work.go_to(1)
    work.click(click(2))
    assert (work.active.session.mask == BLOCKS[1]).all()
    work.remove(2)
    work.click(click(3))
    assert (work.active.session.mask == BLOCKS[1] | BLOCKS[2] | BLOCKS[3]).all(), "the voxels of a removed lesion are free"


def test_next_lesion_uses_an_empty_one_and_says_what_is_not_there() -> None:
    work = LesionRound(RegionGrowing(), IMAGE)
    assert work.facts() is None
    first = work.next_lesion()
    assert work.next_lesion("liver", "Mine") is first and first.like == "liver" and work.facts() is None
    with pytest.raises(InputError, match="no lesion has a voxel"):
        work.segmentation()
    with pytest.raises(InputError, match="no lesion 4; there are: 1"):
        work.go_to(4)
    with pytest.raises(InputError):
        work.next_lesion("no such structure")
    with pytest.raises(InputError, match="no prompt lies in the image"):
        work.click(Point((1e5, 0.0, 0.0)))
    work.click(click(3))
    assert work.facts().segment.name == "Mine"
    work.next_lesion()
    work.click(click(4))
    work.next_lesion()
    work.click(click(5))
    assert [work.facts(one).segment.name for one in work.lesions] == ["Mine", "Lesion 1", "Lesion 2"]
    work.close()


def other_date(shift=(3.0, -2.0, 4.0)) -> tuple[Image, LinearTransform]:
    """The blocks, turned a little and shifted, as another date; and the way there."""
    angle = 0.2
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn[:3, 3] = shift
    return replace(IMAGE, ijk_to_ras=turn @ IMAGE.ijk_to_ras), LinearTransform(turn)


@pytest.mark.parametrize("kind", ["registration", "matrix", "function"])
def test_prompts_of_a_lesion_find_it_at_another_date(kind) -> None:
    later, transform = other_date()
    session = Session(RegionGrowing(), IMAGE)
    session.add(click(3))
    session.add(click(4, positive=False))
    way = {"registration": transform, "matrix": transform.fixed_to_moving_ras, "function": transform.moved}[kind]
    proposal = carried(session.prompts, way, later, RegionGrowing())
    assert proposal.status == "proposed" and proposal.outside == () and proposal.notes == ()
    assert (proposal.mask == BLOCKS[3]).all() and proposal.session.state == 1
    expected = transform.moved(np.array([click(3).ras]))[0]
    assert proposal.prompts[0].ras == pytest.approx(tuple(expected)) and not proposal.prompts[1].positive
    found = proposal.confirm()
    assert proposal.status == "confirmed" and found is proposal.session
    with pytest.raises(InputError, match="was confirmed already"):
        proposal.reject()


def test_a_reader_can_correct_a_proposal_before_the_tick() -> None:
    later, transform = other_date()
    proposal = carried([click(3)], transform, later, RegionGrowing(), protected=BLOCKS[4])
    proposal.session.add(Point(tuple(transform.moved(np.array([click(5).ras]))[0])))
    proposal.session.add(Point(tuple(transform.moved(np.array([click(4).ras]))[0])))
    assert (proposal.mask == BLOCKS[3] | BLOCKS[5]).all() and proposal.as_dict()["status"] == "proposed"
    proposal.reject()
    assert proposal.status == "rejected"
    with pytest.raises(InputError, match="was rejected already"):
        proposal.confirm()


def test_prompts_outside_of_the_other_image_are_told_and_not_asked() -> None:
    far = np.eye(4)
    far[:3, 3] = 1e4
    engine = RegionGrowing()
    proposal = carried([click(3), click(4)], far, IMAGE, engine)
    assert proposal.outside == (0, 1) and engine.asked == 0 and not proposal.mask.any()
    assert "2 of 2 prompts lie outside" in proposal.notes[0] and "nothing was proposed" in proposal.notes[1]
    with pytest.raises(InputError, match="has no voxel"):
        proposal.confirm()
    half = carried([Point((1e4, 0.0, 0.0)), click(4), click(3, positive=False)], np.eye(4), IMAGE, engine)
    assert half.outside == (0,) and (half.mask == BLOCKS[4]).all()
    only_negative = carried([click(3, positive=False)], np.eye(4), IMAGE, engine)
    assert not only_negative.mask.any() and "nothing was proposed" in only_negative.notes[-1]


def test_what_an_engine_cannot_use_there_is_a_note_and_cancel_passes() -> None:
    engine = RegionGrowing()
    engine.capabilities = replace(engine.capabilities, prompts=("point",))
    proposal = carried([Box.between((0, 0, 0), (300, 300, 300))], np.eye(4), IMAGE, engine)
    assert "The engine could not use the prompts there: prompt 1 is a box" in proposal.notes[-1]
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        carried([click(3)], np.eye(4), IMAGE, engine, cancel=token)


def test_what_is_no_transform_is_refused() -> None:
    with pytest.raises(GeometryError, match="wanted a function, a 4x4 matrix"):
        carried([click(3)], np.eye(3), IMAGE, RegionGrowing())
    with pytest.raises(InputError, match="no place in the patient"):
        carried([click(3)], lambda points: points * np.nan, IMAGE, RegionGrowing())
    with pytest.raises(InputError, match="no prompts to carry"):
        carried([], np.eye(4), IMAGE, RegionGrowing())

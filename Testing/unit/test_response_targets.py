"""Which lesions are proposed as targets: measurable or not at each limit, 5 and 2, and a reader's edits."""

from __future__ import annotations

import random

import pytest

from LongitudinalCompareLib.response.targets import CYST, SIMPLE_CYST, Candidate, choose_targets, measurable
from OncoLib.errors import InputError


def lesion(name: str, organ: str, mm: float, **more) -> Candidate:
    return Candidate(name, organ, longest_mm=mm, **more)


def node(name: str, chain: str, mm: float, **more) -> Candidate:
    return Candidate(name, chain, short_mm=mm, longest_mm=2 * mm, node=True, **more)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (lesion("A", "liver", 9.9, slice_mm=5), False),
        (lesion("A", "liver", 10.0, slice_mm=5), True),
        (lesion("A", "liver", 10.0, slice_mm=1), True),
        (lesion("A", "liver", 10.1, slice_mm=5.1), False),
        (lesion("A", "liver", 10.2, slice_mm=5.1), True),
        (lesion("A", "liver", 13.9, slice_mm=7), False),
        (lesion("A", "liver", 14.0, slice_mm=7), True),
        (lesion("A", "liver", 10.0), True),
        (node("N", "neck", 14.9), False),
        (node("N", "neck", 15.0), True),
        (node("N", "neck", 9.9), False),
        (Candidate("A", "liver"), False),
        (lesion("A", "bone", 30, kind="bone without soft tissue"), False),
        (lesion("A", "pleura", 30, kind="fluid"), False),
        (lesion("A", "brain", 30, kind="leptomeningeal"), False),
        (lesion("A", "lung", 30, kind="lymphangitic"), False),
        (lesion("A", "lung", 30, kind="irradiated"), False),
        (lesion("A", "liver", 30, kind=SIMPLE_CYST), False),
        (lesion("A", "liver", 30, kind=CYST), True),
    ],
)
def test_what_is_measurable(one, expected):
    assert measurable(one)[0] == expected


@pytest.mark.parametrize(("short", "place"), [(9.9, "ignored"), (10.0, "non-target"), (14.9, "non-target"), (15.0, "target")])
def test_a_node_is_target_non_target_or_normal(short, place):
    choice = choose_targets([node("N", "neck", short)])
    names = {
        "target": [one.name for one in choice.targets],
        "non-target": [one.name for one in choice.non_targets],
        "ignored": list(choice.ignored),
    }
    assert [where for where, found in names.items() if found] == [place]
    assert f"{short:.1f} mm" in choice.reasons["N"]


MANY = [
    lesion("Liver 1", "liver", 60),
    lesion("Liver 2", "liver", 50),
    lesion("Liver 3", "liver", 45),
    lesion("Lung 1", "left lung", 30),
    lesion("Lung 2", "right lung", 25),
    lesion("Lung 3", "lung", 20),
    node("Node 1", "mediastinum", 18),
    lesion("Adrenal 1", "adrenal gland", 16),
]


def names(choice) -> list[str]:
    return sorted(one.name for one in choice.targets)


def test_every_organ_is_there_before_one_is_there_twice():
    choice = choose_targets(MANY)
    assert names(choice) == ["Adrenal 1", "Liver 1", "Liver 2", "Lung 1", "Node 1"]
    assert "Liver 1 and Liver 2 stand for liver" in choice.reasons["Liver 3"]
    assert "5 targets already" in choice.reasons["Lung 2"]
    assert sorted(one.name for one in choice.non_targets) == ["Liver 3", "Lung 2", "Lung 3"]


def test_both_sides_of_a_paired_organ_are_one_and_all_nodes_are_one():
    lungs = [lesion(f"L{at}", side, 20 + at) for at, side in enumerate(("left lung", "lung, right", "right lung"))]
    assert names(choose_targets(lungs)) == ["L1", "L2"]
    nodes = [node("N1", "neck", 30), node("N2", "neck", 25), node("N3", "groin", 16)]
    assert names(choose_targets(nodes)) == ["N1", "N3"], "the second from another chain"
    assert names(choose_targets(nodes[:2])) == ["N1", "N2"]


def test_what_can_be_measured_again_and_what_is_solid_comes_first():
    assert names(choose_targets([*[lesion(f"A{at}", "liver", 20) for at in (1, 2)], lesion("B", "liver", 90, kind=CYST)])) == [
        "A1",
        "A2",
    ]
    vague = lesion("B", "liver", 90, reproducible=False)
    assert names(choose_targets([*[lesion(f"A{at}", "liver", 20) for at in (1, 2)], vague])) == ["A1", "A2"]
    assert names(choose_targets([vague])) == ["B"]


def test_the_order_of_the_list_does_not_matter():
    expected = choose_targets(MANY)
    for seed in range(20):
        other = random.Random(seed).sample(MANY, len(MANY))
        assert names(choose_targets(other)) == names(expected)


def test_a_reader_edits_the_proposal():
    choice = choose_targets(MANY, include=["Liver 3"], exclude=["Liver 1"])
    assert names(choice) == ["Adrenal 1", "Liver 2", "Liver 3", "Lung 1", "Node 1"]
    assert choice.reasons["Liver 3"].endswith("included by the reader")
    assert choice.reasons["Liver 1"].endswith("excluded by the reader")


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"include": ["Liver 9"]}, "'Liver 9' is no lesion of this list"),
        ({"include": ["Liver 1"], "exclude": ["Liver 1"]}, "both included and excluded"),
        ({"include": ["Liver 1", "Liver 2", "Liver 3"]}, "Too many targets"),
        ({"include": ["Small"]}, "Small cannot be a target: longest diameter 9.9 mm"),
    ],
)
def test_edits_that_the_guideline_does_not_allow_are_told(edits, message):
    with pytest.raises(InputError, match=message):
        choose_targets([*MANY, lesion("Small", "liver", 9.9)], **edits)


def test_names_and_kinds_are_checked():
    with pytest.raises(InputError, match="same name"):
        choose_targets([MANY[0], MANY[0]])
    with pytest.raises(InputError, match="The kind of A is 'odd'"):
        lesion("A", "liver", 20, kind="odd")

"""Tracks and a reading to the response criteria: roles, new lesions, non-targets, and what only readers know."""

from __future__ import annotations

from dataclasses import replace

import pytest

from helpers_assess import day, evidence, facts, ref, seen
from LongitudinalCompareLib import reading_acts as act
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.reading import Reading, Ref
from LongitudinalCompareLib.response_categories import CATEGORIES
from LongitudinalCompareLib.response_of import CRITERIA
from OncoLib.errors import InputError

A, B, SMALL = ((20, 20, 20), 8.0), ((42, 40, 30), 6.0), ((42, 12, 40), 4.0)
EFFUSION = Ref("", "Effusion")


def category(comparison, criterion: str = "recist11", at: int = 1) -> str:
    """Of one date."""
    return comparison.criterion(criterion).on(60 * at).category


def flags(comparison, kind: str) -> list[str]:
    """Texts of the flags of a kind."""
    return [one.text for one in comparison.flags if one.kind == kind]


def stable() -> tuple:
    """Two dates of the same two lesions."""
    return seen(0, {"A": A, "B": B}), seen(1, {"A": A, "B": B})


def test_roles_are_proposed_by_size_and_organ_with_a_reason():
    balls = {"A": A, "B": B, "C": ((12, 45, 45), 6.5), "D": SMALL}
    found = assess(evidence(seen(0, balls), seen(1, balls)))
    roles = {one.name: one.role for one in found.tracks}
    assert roles == {"A": "target", "B": "non-target", "C": "target", "D": "non-target"}  # two of the liver, from 10 mm on
    assert "A and C stand for liver" in found.track("B").role_reason
    assert found.track("D").role_reason.startswith("non-target: longest diameter 9.0 mm, at least 10 mm wanted")
    assert {one.role_by for one in found.tracks} == {"proposed"}


def test_a_node_goes_by_its_short_axis():
    said = Reading((act.role(ref(0, "A"), node=True, organ="mediastinum"), act.role(ref(0, "B"), node=True)))
    found = assess(evidence(*stable()), said)
    assert found.track("A").role == "target" and "short axis" in found.track("A").role_reason  # a ball of 17 voxels
    assert found.track("B").role == "non-target"  # 13 mm, between 10 and 15


def test_a_reader_chooses_targets_as_far_as_the_guideline_goes():
    balls = {"A": A, "B": B, "C": ((12, 45, 45), 6.5), "D": SMALL}
    dates = evidence(seen(0, balls), seen(1, balls))
    found = assess(dates, Reading((act.role(ref(0, "B"), "target"), act.role(ref(0, "A"), "non-target"))))
    assert {one.name: (one.role, one.role_by) for one in found.tracks if one.name != "D"} == {
        "A": ("non-target", "confirmed"), "B": ("target", "confirmed"), "C": ("target", "proposed"),
    }  # fmt: skip
    refused = assess(dates, Reading((act.role(ref(0, "D"), "target"),)))
    assert refused.track("D").role == "non-target"
    assert "cannot be a target" in flags(refused, "not applied")[0]
    ignored = assess(dates, Reading((act.role(ref(0, "A"), "ignored"),)))
    assert ignored.track("A").role == "ignored" and ignored.track("B").role == "target"


def test_lesions_of_no_known_organ_are_taken_as_one_and_told():
    balls = {"A": A, "B": B, "C": ((12, 45, 45), 6.5)}
    found = assess(evidence(*(seen(at, balls, sites=dict.fromkeys(balls, "")) for at in range(2))))
    assert [one.role for one in found.tracks] == ["target", "non-target", "target"]
    assert len(flags(found, "organ")) == 1


def test_a_new_lesion_is_progression_until_a_reader_takes_it_back():
    dates = evidence(seen(0, {"A": A}), seen(1, {"A": A, "C": SMALL}))
    found = assess(dates)
    assert category(found) == "PD"
    assert "C counts as new until a reader says otherwise." in found.criterion("recist11").proposals[0].cautions
    for said in (act.newness(ref(1, "C"), unequivocal=True), act.new(ref(1, "C"))):
        sure = assess(dates, Reading((said,)))
        assert category(sure) == "PD" and not flags(sure, "new")
        assert not any("until a reader" in text for text in sure.criterion("recist11").proposals[0].cautions)
    assert category(assess(dates, Reading((act.newness(ref(1, "C"), unequivocal=False),)))) == "SD"
    assert category(assess(dates, Reading((act.role(ref(1, "C"), "ignored"),)))) == "SD"


def test_what_may_be_a_lesion_whose_alignment_is_refused_does_not_count_as_new():
    dates = evidence(seen(0, {"A": A, "B": B}), seen(1, {"A2": A, "B": B}), verdicts={1: {"A": "refuse"}})
    found = assess(dates)
    assert found.track("A2").entries[1].status == "not evaluable" and found.track("A2").role == "new"
    assert category(found) == "NE"
    assert any("A2 may be new" in text for text in found.criterion("recist11").proposals[0].cautions)


def test_what_is_new_where_another_one_is_gone_says_so():
    """Shrunk to 1/300 of its volume it is no longer taken for the same one."""
    found = assess(evidence(seen(0, {"A": A, "B": B}), seen(1, {"Z": (A[0], 1.0)})))
    assert [one.entries[1].status for one in found.tracks] == ["resolved", "resolved", "new"]
    assert flags(found, "new")[0].endswith("It lies where A is gone: are they the same lesion?")


def test_what_lies_where_the_baseline_did_not_look_counts_as_new_and_says_so():
    found = assess(evidence(seen(0, {"A": A}, shape=(60, 60, 34)), seen(1, {"A": A, "C": SMALL})))
    assert found.track("C").entries[0].status == "out of field"
    assert category(found) == "PD"
    assert any("was not scanned at the baseline" in text for text in found.criterion("recist11").proposals[0].cautions)


@pytest.mark.parametrize(("radius", "asked"), [(6.0, False), (7.5, True)])
def test_a_non_target_that_grew_much_is_a_question_and_only_a_reader_calls_it_progression(radius, asked):
    """Radius 6 has 925 voxels, 7.5 has 1791: +93.6 %; the same radius +0 %."""
    bone = act.role(ref(0, "B"), "non-target")
    dates = evidence(seen(0, {"A": A, "B": B}), seen(1, {"A": A, "B": (B[0], radius)}))
    found = assess(dates, Reading((bone,)))
    assert category(found) == "SD" and bool(flags(found, "grown")) == asked
    assert any("unequivocal progression?" in text for text in found.criterion("recist11").proposals[0].cautions) == asked
    said = act.finding(ref(0, "B"), day(1), state="unequivocal progression")
    assert category(assess(dates, Reading((bone, said)))) == "PD"


def test_a_small_mask_is_flagged_and_counts_as_measured_unless_a_reader_says_too_small():
    before = seen(0, {"A": (A[0], 5.0)})
    assert not flags(assess(evidence(before, seen(1, {"A": (A[0], 2.0)}))), "small")  # five voxels across, which is the limit
    tiny = evidence(before, seen(1, {"A": (A[0], 1.0)}))
    found = assess(tiny)
    assert "A measures 3.0 mm" in flags(found, "small")[0]
    assert found.criterion("recist11").proposals[0].figure("sum of diameters") == pytest.approx(3.0)
    said = Reading((act.size(ref(1, "A"), state="too small to measure", by="R"),))
    found = assess(tiny, said)
    assert found.criterion("recist11").proposals[0].figure("sum of diameters") == pytest.approx(5.0)  # by rule
    assert found.track("A").entries[1].of_mask["longest_diameter_mm"].value == pytest.approx(3.0)
    assert not flags(found, "small") and found.track("A").entries[1].measures == {}


def test_lesions_entered_by_hand_have_their_own_uid_and_are_non_targets():
    said = (
        act.lesion("Effusion", organ="pleura", kind="fluid"),
        act.finding(EFFUSION, day(0), state="present"),
        act.finding(EFFUSION, day(1), state="absent"),
    )
    found = assess(evidence(*stable()), Reading(said))
    track = found.track("Effusion")
    assert track.manual and track.role == "non-target" and track.organ == "pleura"
    assert [one.status for one in track.entries] == ["baseline", "resolved"]
    again = assess(evidence(*stable()[::1]), Reading((act.lesion("Bone"), *said)))
    assert again.track("Effusion").tracking_uid == track.tracking_uid != again.track("Bone").tracking_uid
    text = assess(evidence(*stable()), Reading(said[:2])).criterion("recist11").proposals[0].sentence
    assert "Not judged: Effusion" in text


def test_a_lesion_entered_by_hand_is_new_only_when_a_reader_says_it_was_not_there():
    entered, later = act.lesion("Effusion"), act.finding(EFFUSION, day(1), state="present")
    found = assess(evidence(*stable()), Reading((entered, later)))
    assert category(found) == "SD" and found.track("Effusion").role == "non-target"
    for said in (act.finding(EFFUSION, day(0), state="absent"), act.newness(EFFUSION, day(1), unequivocal=True)):
        found = assess(evidence(*stable()), Reading((entered, later, said)))
        assert category(found) == "PD" and found.track("Effusion").role == "new"


def test_a_lesion_entered_by_hand_with_sizes_can_be_a_target():
    name = Ref("", "Pleura")
    said = Reading((
        act.lesion("Pleura", organ="pleura", role="target"), act.size(name, day(0), longest_mm=30.0, by="R"),
        act.size(name, day(1), longest_mm=10.0, by="R"),
    ))  # fmt: skip
    found = assess(evidence(seen(0, {"A": A}), seen(1, {"A": A})), said)
    assert found.track("Pleura").role == "target" and category(found) == "PR"  # 47 to 27 mm
    assert "Pleura" not in assess(evidence(seen(0, {"A": A}), seen(1, {"A": A})), said, ("bands",)).criterion("bands").lesions
    assert found.track("Pleura").change(1, "longest_diameter_mm").change.percent[0] == pytest.approx(100 * (10 / 30 - 1))


def test_one_criterion_without_an_answer_stops_no_other():
    found = assess(evidence(*stable()), criteria=tuple(CRITERIA))
    problems = {one.criterion: one.problem for one in found.response}
    assert set(problems) == set(CRITERIA) == set(CATEGORIES)
    assert {name for name, text in problems.items() if text} == {"mrecist", "percist"}
    assert "viable_mm" in problems["mrecist"] and "none was entered" in problems["percist"]
    assert len(flags(found, "no answer")) == 2
    assert len(flags(found, "context")) == 2  # condition and steroids; radiotherapy
    assert {category(found, name) for name in ("recist11", "rano2", "rano2-volume", "volumes", "lung-volumes")} == {"SD"}
    assert (category(found, "irecist"), category(found, "bands")) == ("iSD", "about the same")
    assert found.criterion("bands").lesions == ("A", "B")
    assert found.criterion("irecist").best.category == "iSD"


def test_an_unknown_criterion_names_those_that_there_are():
    with pytest.raises(InputError, match="criterion 'recist' is unknown; wanted one of: recist11, irecist"):
        assess(evidence(*stable()), criteria=("recist",))


def test_one_date_has_sizes_and_roles_but_no_response():
    found = assess(evidence(seen(0, {"A": A})))
    assert found.track("A").role == "target"
    assert found.criterion("recist11").problem.startswith("There is one date only")


def test_what_the_reader_entered_of_enhancement_uptake_and_clinic_reaches_its_criterion():
    context = (
        act.context(recurrent=True, therapy_start=day(0)),
        act.context(day(1), condition="stable", steroids="increased"),
    )
    sizes = [act.size(ref(0, name), day(at), viable_mm=mm, by="R") for name, at, mm in
             (("A", 0, 20), ("B", 0, 20), ("A", 1, 20), ("B", 1, 4))]  # fmt: skip
    pets = [
        act.pet(day(at), liver_sul=2, liver_sd=0.2, lesions=[{"name": "A", "peak_sul": peak}]) for at, peak in ((0, 9), (1, 6))
    ]
    found = assess(evidence(*stable()), Reading((*context, *sizes, *pets)), ("mrecist", "percist", "rano2"))
    assert category(found, "mrecist") == "PR"  # 40 to 24 mm: -40 %
    assert category(found, "percist") == "PMR"  # -33 %
    assert category(found, "rano2") == "NE" and not flags(found, "context")  # more steroids alone are no stable disease


def test_dates_of_one_day_are_told_and_not_guessed():
    first, second = stable()
    same = type(second)(facts(0, first.ijk_to_ras), second.lesions, second.ijk_to_ras, second.shape_kji)
    found = assess(evidence(first, same))
    assert "are of one day" in found.criterion("recist11").problem
    assert found.track("A").change(1).change is None and "same date" in found.track("A").change(1).reason


def test_words_that_say_nothing_of_a_lesion_in_its_role_are_told():
    said = Reading((act.finding(ref(0, "A"), day(1), state="absent"), act.newness(ref(1, "B"), unequivocal=False)))
    found = assess(evidence(*stable()), said)
    texts = flags(found, "not applied")
    assert len(texts) == 2 and "it is target; give its size" in texts[0] and "seen at the baseline" in texts[1]
    assert category(found) == "SD"
    sure = assess(evidence(seen(0, {"A": A}), seen(1, {"A": A, "C": SMALL})), Reading((act.new(ref(1, "C")),)))
    assert (sure.track("C").role, sure.track("C").role_by) == ("new", "confirmed")


@pytest.mark.parametrize(("radius", "expected"), [(4.2, "SD"), (5.0, "SD"), (7.5, "PD")])
def test_a_normal_node_that_grew_is_a_question_and_counts_by_itself_from_15_mm(radius, expected):
    """Balls of 4.2, 5 and 7.5 mm radius are 9, 11 and 15 voxels across."""
    node = act.role(ref(0, "C"), node=True)
    dates = evidence(seen(0, {"A": A, "C": (SMALL[0], 4.2)}), seen(1, {"A": A, "C": (SMALL[0], radius)}))
    found = assess(dates, Reading((node,)))
    assert found.track("C").role == "ignored" and found.track("C").entries[0].value("short_axis_mm") < 10
    assert category(found) == expected
    asked = [text for text in flags(found, "new") if "was a normal node" in text]
    assert len(asked) == (radius > 4.5)
    if radius == 5.0:
        assert any("C may be new" in text for text in found.criterion("recist11").proposals[0].cautions)
        sure = assess(dates, Reading((node, act.newness(ref(1, "C"), unequivocal=True))))
        assert category(sure) == "PD" and not flags(sure, "new")
    ignored = assess(dates, Reading((node, act.role(ref(0, "C"), "ignored"))))
    assert category(ignored) == "SD" and not flags(ignored, "new")


def test_a_lesion_in_bone_is_no_target_until_a_reader_makes_it_one():
    """20 mm each; only a soft tissue part could be measured, and a mask does not tell whether there is one."""
    dates = evidence(*(seen(at, {"A": A, "B": B}, sites={"A": "bone", "B": "liver"}) for at in range(2)))
    found = assess(dates)
    assert found.track("A").role == "non-target" and "soft tissue" in found.track("A").role_reason
    assert found.track("B").role == "target"
    assert flags(found, "bone")[0].startswith("A lies in bone: if it has a soft tissue part")
    soft = assess(dates, Reading((act.role(ref(0, "A"), "target"),)))
    assert soft.track("A").role == "target" and not flags(soft, "bone")
    told = assess(dates, Reading((act.role(ref(0, "A"), kind="bone without soft tissue"),)))
    assert told.track("A").role == "non-target" and not flags(told, "bone")


def test_a_date_that_was_not_searched_says_that_new_lesions_are_not_known():
    first, second = stable()
    known_places = replace(second, facts=replace(second.facts, searched=False), lesions=second.lesions[:1])
    found = assess(evidence(first, known_places))
    assert found.track("B").entries[1].status == "not evaluable" and category(found) == "NE"
    assert any("known places only" in text for text in found.criterion("recist11").proposals[0].cautions)
    assert len(flags(found, "not searched")) == 1


def test_a_lesion_first_seen_where_the_alignment_is_refused_is_no_new_one_until_a_reader_says_so():
    """40 mm from the refused lesion: too far to be taken for it."""
    dates = evidence(seen(0, {"B": B}), seen(1, {"B": B, "C": ((8, 8, 8), 5.0)}), verdicts={1: {"B": "refuse"}})
    said = (act.link(ref(0, "B"), ref(1, "B")),)
    found = assess(dates, Reading(said))
    assert found.track("C").entries[1].status == "new" and category(found) == "SD"
    assert "where the alignment is refused" in flags(found, "not evaluable")[0] and not flags(found, "new")
    sure = assess(dates, Reading((*said, act.newness(ref(1, "C"), unequivocal=True))))
    assert category(sure) == "PD" and not flags(sure, "not evaluable")


def test_a_lesion_that_could_not_be_judged_at_the_baseline_is_no_new_one():
    dates = evidence(*stable())
    found = assess(dates, Reading((act.size(ref(0, "B"), state="not evaluable", by="R"),)))
    assert found.track("B").role == "non-target" and category(found) == "SD"
    later = evidence(seen(0, {"A": A}), seen(1, {"A": A, "C": SMALL}))
    unknown = assess(later, Reading((act.size(ref(1, "C"), day(0), state="not evaluable", by="R"),)))
    assert unknown.track("C").role == "new" and category(unknown) == "SD"
    assert any("C may be new" in text for text in unknown.criterion("recist11").proposals[0].cautions)
    absent = assess(dates, Reading((act.size(ref(0, "B"), state="absent", by="R"),)))
    assert absent.track("B").role == "new" and category(absent) == "PD"


def test_a_point_at_a_lesion_entered_by_hand_is_told():
    said = Reading((act.lesion("Effusion"), act.point(EFFUSION, day(1), (1, 2, 3))))
    assert "has no mask" in flags(assess(evidence(*stable()), said), "not applied")[0]


def test_a_new_lesion_that_cannot_be_judged_later_is_told_beside_the_category():
    third = seen(2, {"B": B})
    third = replace(third, facts=replace(third.facts, searched=False))
    found = assess(evidence(seen(0, {"B": B}), seen(1, {"B": B, "C": ((8, 8, 8), 5.0)}), third))
    assert found.track("C").entries[2].status == "not evaluable" and category(found) == "PD"
    cautions = found.criterion("recist11").proposals[1].cautions
    assert any(text.startswith(f"C, new on {found.timepoints[1].when}, cannot be judged") for text in cautions)
    assert not any("cannot be judged" in text for text in found.criterion("recist11").proposals[0].cautions)

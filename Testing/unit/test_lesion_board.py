"""What stands in a reader's table: order, grades, what waits for a reader, and the acts that keys mean."""

from __future__ import annotations

import pytest

from helpers_assess import evidence, ref, seen
from LongitudinalCompareLib import lesion_acts as acts
from LongitudinalCompareLib import lesion_board as board
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.comparison import IGNORED, NON_TARGET, TARGET
from LongitudinalCompareLib.reading import Reading
from OncoLib.errors import InputError

A, B, C, D = (12.0, 12.0, 12.0), (44.0, 12.0, 12.0), (12.0, 44.0, 12.0), (44.0, 44.0, 40.0)


@pytest.fixture(scope="module")
def seen_lesions():
    """L1 grows, L2 and L3 are one at the second date, L4 goes; at the third date one comes."""
    dates = (
        {"L1": (A, 5.0), "L2": (B, 4.0), "L3": ((49.0, 12.0, 12.0), 3.0), "L4": (C, 4.0)},
        {"L1": (A, 6.0), "L2": ((B, (49.0, 12.0, 12.0)), 4.0)},
        {"L1": (A, 8.0), "L2": ((B, (49.0, 12.0, 12.0)), 4.0), "L9": (D, 3.0)},
    )
    return evidence(*(seen(at, balls) for at, balls in enumerate(dates)))


@pytest.fixture(scope="module")
def compared(seen_lesions):
    return assess(seen_lesions)


def test_order_and_grades_follow_the_date(compared):
    grades = {one.name: [board.grade(one, at) for at in range(3)] for one in compared.tracks}
    assert grades["L1"] == ["first", "unsure", "unsure"] and grades["L4"] == ["first", "gone", "gone"]
    assert grades["L9"] == ["not yet", "not yet", "new"]
    assert [one.name for one in board.in_order(compared, 2)][:2] == ["L9", "L1"]
    assert [one.name for one in board.in_order(compared, 1)][-1] == "L9", "what is not there yet is looked at last"


def test_what_waits_for_a_reader_is_gone_through_and_comes_round(compared):
    order = board.in_order(compared, 2)
    names = {one.tracking_uid: one.name for one in order}
    waiting = [(names[uid], at) for uid, at in board.unconfirmed(compared, order)]
    assert ("L9", 2) in waiting and ("L9", 1) not in waiting and ("L4", 1) in waiting
    uid, at = board.next_unconfirmed(compared, order, "", -1)
    assert (names[uid], at) == waiting[0]
    last = [one for one in board.unconfirmed(compared, order)][-1]
    assert board.next_unconfirmed(compared, order, *last) == board.unconfirmed(compared, order)[0]


def test_confirming_everything_leaves_nothing_and_changes_no_status(seen_lesions, compared):
    reading, before = Reading(), [(one.name, [entry.status for entry in one.entries]) for one in compared.tracks]
    for uid, at in board.unconfirmed(compared, board.in_order(compared, 2)):
        reading = reading.with_acts(acts.confirmation(compared, compared.track(uid), at))
    after = assess(seen_lesions, reading)
    assert [(one.name, [entry.status for entry in one.entries]) for one in after.tracks] == before
    assert board.unconfirmed(after, board.in_order(after, 2)) == []


def test_a_merged_lesion_is_confirmed_with_all_that_became_it(compared):
    merged = next(one for one in compared.tracks if one.name == "L2")
    assert merged.entries[1].status == "merged"
    act = acts.confirmation(compared, merged, 1)
    assert act.kind == "merge" and {one.lesion for one in act.earlier} == {"L2", "L3"} and act.later == (ref(1, "L2"),)


def test_acts_that_make_no_sense_are_refused_with_a_reason(compared):
    new, old = compared.track("L9"), compared.track("L1")
    for make in (acts.gone, acts.point):
        with pytest.raises(InputError, match="L9 was not seen before"):
            make(compared, new, 2, *([(0, 0, 0)] if make is acts.point else []))
    with pytest.raises(InputError, match="not there at the baseline; targets"):
        acts.role_turned(compared, new, TARGET)
    with pytest.raises(InputError, match="for the first time"):
        acts.new(compared, old, 0)
    with pytest.raises(InputError, match="no mask"):
        acts.new(compared, compared.track("L4"), 2)
    with pytest.raises(InputError, match="nothing to link with"):
        acts.candidates(compared, None, old, 0)


def test_a_role_is_turned_on_and_off(seen_lesions, compared):
    off = acts.role_turned(compared, compared.track("L1"), TARGET)
    assert off.values == {"role": "non-target"} and off.lesion == ref(0, "L1")
    followed = assess(seen_lesions, Reading((off,)))
    assert followed.track("L1").role == NON_TARGET
    assert acts.role_turned(followed, followed.track("L1"), TARGET).values == {"role": "target"}
    ignored = assess(seen_lesions, Reading((acts.role_turned(compared, compared.track("L1"), IGNORED),)))
    assert ignored.track("L1").role == IGNORED and board.in_order(ignored, 2)[-1].name == "L1"
    assert acts.role_turned(ignored, ignored.track("L1"), IGNORED).values == {"role": "non-target"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (float("nan"), ""), (float("inf"), ""), (0.0, "0.0"), (0.00123, "0.001"), (0.1234, "0.123"), (1.234, "1.23"),
     (12.34, "12.3"), (123.4, "123"), (1234.5, "1234"), (9.999, "10.00")],
)  # fmt: skip
def test_sizes_have_three_digits(value, text):
    assert board.size_text(value) == text


def test_percents_have_a_sign_and_no_minus_zero():
    assert [board.percent_text(one) for one in (30.4, -0.4, -12.5, 0.6)] == ["+30 %", "0 %", "-12 %", "+1 %"]

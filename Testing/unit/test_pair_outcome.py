"""Verdicts of pairs in the order to read them, and doubts of the registration."""

from __future__ import annotations

import pytest

from helpers_timepoints import outcome
from LongitudinalCompareLib.alignment import put_together
from LongitudinalCompareLib.pair_outcome import WHOLE, PairOutcome, by_urgency
from OncoLib.registration.transform import IDENTITY


def test_a_pair_refused_as_a_whole_comes_first_then_lesions_the_worst_first():
    first = outcome(1, {"a": "good", "b": "refuse", "c": "check"})
    second = outcome(2, {"a": "refuse", "b": "refuse", "c": "check"})
    assert second.verdict(WHOLE)[0] == "refuse" and first.verdict(WHOLE)[0] == "check"
    assert by_urgency([first, second]) == [
        (1, WHOLE), (0, "b"), (1, "a"), (1, "b"), (0, "c"), (1, "c"), (0, "a"), (0, WHOLE),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "facts", "told", "reasons"),
    [
        ("good", {}, "good", ()),
        ("good", {"doubts": ["another alignment, up to 9 mm away, looks as good"]}, "check",
         ("Another alignment, up to 9 mm away, looks as good.",)),
        ("refuse", {"doubts": ["a turn"]}, "refuse", ("Refused: a.", "A turn.")),
        ("good", {"parameters": {"kept": "rigid: affine gained less than 0.01 nats over it"}}, "good",
         ("Kept rigid: affine gained less than 0.01 nats over it.",)),
    ],
)  # fmt: skip
def test_a_registration_with_a_doubt_is_not_good_unseen(verdict, facts, told, reasons):
    assert outcome(1, {"a": verdict}, **facts).verdict(WHOLE) == (told, reasons)


def test_without_a_lesion_nothing_is_good():
    assert PairOutcome(1, IDENTITY, put_together(())).verdict(WHOLE)[0] == "check"

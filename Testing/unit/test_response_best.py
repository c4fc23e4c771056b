"""Best overall response: the guideline's table on confirmation, and what counts without confirmation."""

from __future__ import annotations

import pytest

from helpers_response import course
from LongitudinalCompareLib.response.best_response import best_response
from LongitudinalCompareLib.response.proposal import Proposal
from LongitudinalCompareLib.response.recist11 import NON_CR_NON_PD, recist11
from OncoLib.errors import InputError


def row(*pairs: tuple[int, str]) -> list[Proposal]:
    return [Proposal("RECIST 1.1", day, category, "") for day, category in pairs]


CONFIRMED = [
    ("CR", "CR", "CR", "CR"),
    ("CR", "SD", "SD", "PD"),
    ("CR", "PD", "SD", "PD"),
    ("CR", "NE", "SD", "NE"),
    ("CR", "PR", "SD", "PD"),
    ("PR", "CR", "PR", "PR"),
    ("PR", "PR", "PR", "PR"),
    ("PR", "SD", "SD", "SD"),
    ("PR", "PD", "SD", "PD"),
    ("PR", "NE", "SD", "NE"),
    ("NE", "NE", "NE", "NE"),
]
"""First and next date, best response where stable disease lasted long enough, and where it did not (Eisenhauer et al. 2009).
CR then PR is "SD, PD or PR" there: PR only where the first was no CR after all, which a reader has to say.
"""


@pytest.mark.parametrize(("first", "second", "long", "short"), CONFIRMED)
def test_the_table_on_confirmation(first, second, long, short):
    assert best_response(row((42, first), (84, second)), 0, confirm=True).category == long
    assert best_response(row((10, first), (41, second)), 0, confirm=True).category == short


@pytest.mark.parametrize(("days", "expected"), [((50, 77), "SD"), ((50, 78), "PR")])
def test_confirmation_takes_four_weeks(days, expected):
    assert best_response(row(*zip(days, ("PR", "PR"))), 0, confirm=True).category == expected


def test_dates_in_a_row_confirm_and_one_that_could_not_be_judged_interrupts():
    assert best_response(row((50, "PR"), (60, "PR"), (80, "PR")), 0, confirm=True).category == "PR"
    assert best_response(row((50, "PR"), (60, "NE"), (80, "PR")), 0, confirm=True).category == "SD"
    assert best_response(row((50, "PR"), (80, "CR"), (110, "CR")), 0, confirm=True).category == "CR"


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(56, "SD"), (112, "PR"), (168, "PD")], "PR"),
        ([(56, "PR"), (112, "CR")], "CR"),
        ([(56, "PD"), (112, "CR")], "PD"),
        ([(41, "SD"), (80, "PD")], "PD"),
        ([(42, "SD"), (80, "PD")], "SD"),
        ([(41, "SD")], "NE"),
        ([(20, "PR"), (80, "PD")], "PR"),
        ([(56, NON_CR_NON_PD), (112, "PD")], NON_CR_NON_PD),
        ([(56, NON_CR_NON_PD), (112, "CR")], "CR"),
        ([(56, "NE"), (112, "NE")], "NE"),
        ([], "NE"),
    ],
)
def test_the_best_up_to_progression_counts(pairs, expected):
    assert best_response(row(*pairs), 0).category == expected


def test_the_time_of_stable_disease_is_the_protocols_choice():
    assert best_response(row((55, "SD")), 0, stable_days=56).category == "NE"
    assert best_response(row((56, "SD")), 0, stable_days=56).category == "SD"
    assert best_response(row((66, "SD")), 10, stable_days=56).category == "SD"


def test_a_category_that_recist_has_not_is_told():
    with pytest.raises(InputError, match="A category of RECIST 1.1 is 'pr'"):
        best_response(row((56, "pr")), 0)


def test_a_readers_word_comes_before_what_was_proposed():
    found = recist11(course({"A": (100, 70, 130)}))
    assert best_response(found, 0).category == "PR"
    read = [found[0].confirmed("reader 1", "SD"), found[1]]
    assert best_response(read, 0).category == "SD"
    assert best_response(read, 0).sentence == "SD: SD on day 56, at least 42 days after baseline."

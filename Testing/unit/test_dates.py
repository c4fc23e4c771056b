"""Dates as DICOM writes them (PS3.5 6.2, DA and TM) and as readers type them."""

from __future__ import annotations

import pytest

from LongitudinalCompareLib.dates import date_of_dicom, date_text, typed_date, view_labels
from OncoLib.errors import InputError


@pytest.mark.parametrize(
    ("date", "time", "wanted"),
    [
        ("20240229", "", "2024-02-29"),
        ("20240229", "143000.000000", "2024-02-29 14:30"),
        ("2024.02.29", "14:30:00", "2024-02-29 14:30"),  # ACR-NEMA, which PS3.5 still lets readers meet
        ("20240229", "14", "2024-02-29"),
        ("20240229", "000000", "2024-02-29 00:00"),
        ("20230229", "", ""),
        ("", "143000", ""),
        ("20240229", "9999", ""),
    ],
)
def test_dates_of_dicom(date, time, wanted):
    assert date_of_dicom(date, time) == wanted


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("2024-03-01", "2024-03-01"),
        (" 2024-03-01  14:30 ", "2024-03-01 14:30"),
        ("20240301", "2024-03-01"),
        ("1.3.2024", "2024-03-01"),
    ],
)
def test_dates_that_are_typed(typed, wanted):
    assert date_text(typed_date(typed)) == wanted


@pytest.mark.parametrize("typed", ["", "03/04/2024", "2024-02-30", "yesterday"])
def test_what_could_be_two_dates_is_refused(typed):
    with pytest.raises(InputError, match="is no date; wanted year-month-day"):
        typed_date(typed)


@pytest.mark.parametrize(
    ("dates", "labels"),
    [
        (["2024-03-01", "2024-06-10 14:30"], ["2024-03-01", "2024-06-10"]),
        (["2024-03-01", "2024-06-10", "2024-09-12"], ["2024-03", "2024-06", "2024-09"]),
        (["2024-03-01", "2024-03-10", "2024-09-12"], ["2024-03-01", "2024-03-10", "2024-09-12"]),
        (["2024-03-01 09:00", "2024-03-01 14:30"], ["2024-03-01 09:00", "2024-03-01 14:30"]),
    ],
)
def test_labels_of_views_are_as_short_as_they_tell_dates_apart(dates, labels):
    assert view_labels(dates) == labels

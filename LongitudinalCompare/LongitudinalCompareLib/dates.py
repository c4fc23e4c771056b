"""Dates of timepoints as DICOM states them and as a reader types them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from OncoLib.errors import InputError

TYPED = ("%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%d.%m.%Y %H:%M")
"""What is understood. Not 03/04/2024: that is March in one country and April in another."""


def date_of_dicom(date: str, time: str = "") -> str:
    """`2024-03-01 14:30` of a DICOM date and time (value representations DA and TM, PS3.5 6.2); "" for what is no date.

    The time is left out where it is none.
    """
    digits, clock = re.sub(r"\D", "", date or "")[:8], re.match(r"\d{4}", (time or "").replace(":", ""))
    try:
        day = datetime.strptime(digits, "%Y%m%d")
        return day.strftime("%Y-%m-%d") + (datetime.strptime(clock[0], "%H%M").strftime(" %H:%M") if clock else "")
    except ValueError:
        return ""


def typed_date(text: str) -> datetime:
    """What a reader typed; midnight where no time was given. Raises InputError for anything else."""
    for form in TYPED:
        try:
            return datetime.strptime(" ".join(text.split()), form)
        except ValueError:
            continue
    told = text.strip() or "nothing"
    raise InputError(f"{told!r} is no date; wanted year-month-day such as 2024-03-01, and a time if you like")


def date_text(date: datetime) -> str:
    """`2024-03-01`, with the time unless it is midnight."""
    return date.strftime("%Y-%m-%d" if (date.hour, date.minute) == (0, 0) else "%Y-%m-%d %H:%M")


DAY, MONTH = len("2024-03-01"), len("2024-03")


def view_labels(dates: Sequence[str]) -> list[str]:
    """Dates as the bars of the views show them: without the time where days differ, and without the day when more than two
    bars, which are narrower, have different months: a date that is cut off would be read as another one.
    """
    lengths = [DAY] if len(dates) <= 2 else [MONTH, DAY]
    for length in lengths:
        short = [date[:length] for date in dates]
        if len(set(short)) == len(dates):
            return short
    return list(dates)

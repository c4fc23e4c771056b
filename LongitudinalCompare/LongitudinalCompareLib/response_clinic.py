"""What only the clinic knows, as the criteria take it: from the reader's acts of context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from LongitudinalCompareLib.comparison import DateFacts
from LongitudinalCompareLib.reading_fields import OF_A_DATE
from LongitudinalCompareLib.response.inputs import ClinicalContext, ClinicalStatus
from LongitudinalCompareLib.response.percist import Pet, Uptake
from LongitudinalCompareLib.track_days import day_of
from LongitudinalCompareLib.track_words import Words


def context_of(said: Words, dates: Sequence[DateFacts]) -> ClinicalContext:
    """Therapy dates as days since the baseline, and the status of each date."""
    patient, status = {}, {}
    for act, at in said.contexts:
        if at is None:
            patient.update(act.values)
        else:
            status[dates[at].day] = ClinicalStatus(**{name: act.values[name] for name in OF_A_DATE if name in act.values})
    days = {name: day_of(patient[name], dates[0]) if name in patient else None for name in ("therapy_start", "radiotherapy_end")}
    return ClinicalContext(days["therapy_start"], days["radiotherapy_end"], patient.get("recurrent"), status)


def pets_of(said: Words, dates: Sequence[DateFacts]) -> tuple[Pet, ...]:
    """The PETs that were entered, in the order of dates."""
    return tuple(pet_of(act.values, dates[at].day) for act, at in sorted(said.pets, key=lambda item: item[1]))


def pet_of(values: Mapping, day: int) -> Pet:
    """One PET."""
    lesions = tuple(Uptake(one["name"], one["peak_sul"], one.get("glycolysis_ml")) for one in values["lesions"])
    more = {name: values[name] for name in ("as_background", "wider") if name in values}
    return Pet(day, lesions, values["liver_sul"], values["liver_sd"], tuple(values.get("new", ())), **more)

"""The reference patient's course of three dates: poses, grids and slices differ; every lesion's fate and size are known."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from LongitudinalCompareLib.dated_lesions import DatedLesions
from LongitudinalCompareLib.grid_rounding import volume_sd_ln
from LongitudinalCompareLib.growth import WITHIN, change_of
from LongitudinalCompareLib.lesion_track import LesionKey
from LongitudinalCompareLib.lesions_of import lesions_of
from LongitudinalCompareLib.repeatability import VOLUME
from LongitudinalCompareLib.tracking import track_lesions
from LongitudinalCompareLib.uncertainty import Setting, Size
from OncoLib.phantom.acquisition import follow_up
from OncoLib.phantom.patient import reference_patient
from OncoLib.phantom.scan import scan
from OncoLib.registration.transform import LinearTransform

DAYS = 56


@lru_cache(maxsize=1)
def tracks() -> dict:
    """Tracks of the three dates by name. Lesions are renamed at each date: nothing may rest on their names."""
    patient, dates = reference_patient(), []
    course = [replace(one, spacing_mm=(2.5, 2.5, one.spacing_mm[2])) for one in follow_up(3, samples=(1, 1, 1), couch=False)]
    for at, taken in enumerate(course):
        truth = scan(patient, taken).truth
        found = lesions_of(truth, at)
        if at:
            found = tuple(replace(one, key=LesionKey(at, f"{at}{one.key.name[::-1]}")) for one in found)
        pose = LinearTransform(taken.pose @ np.linalg.inv(course[0].pose)) if at else None
        dates.append(DatedLesions(found, truth.ijk_to_ras, truth.shape_kji, pose, 1.0))
    return {one.name: one for one in track_lesions(dates, "reference patient").tracks}


def test_every_lesion_has_its_known_fate_over_three_dates():
    kept = ("baseline", "persistent", "persistent")
    wanted = {
        "Liver metastasis 1": kept,
        "Liver metastasis 2": kept,
        "Lung nodule 1": kept,
        "Lung nodule 2": ("baseline", "persistent", "resolved"),
        "Lytic lesion, L3": kept,
        "Mediastinal lymph node": kept,
        "Retroperitoneal lymph node": kept,
        "Sclerotic lesion, T9": kept,
        "1" + "Liver metastasis 3"[::-1]: ("not yet", "new", "persistent"),
    }
    assert {name: one.statuses for name, one in tracks().items()} == wanted


def test_each_track_shows_one_true_lesion():
    for track in tracks().values():
        names = {one.key.name for state in track.states for one in state.lesions}
        plain = {name if name[0] not in "12" else name[1:][::-1] for name in names}
        assert len(plain) == 1


def test_volumes_change_as_they_were_made_to_within_the_rounding_of_the_grids():
    """Factors a date of `OncoLib.phantom.acquisition.one_date`; four standard deviations, as five lesions are looked at twice."""
    factors = {"Liver metastasis 1": 0.7, "Liver metastasis 2": 0.85, "Lung nodule 1": 1.4, "Retroperitoneal lymph node": 0.8}
    factors["Lytic lesion, L3"] = 1.0
    for name, factor in factors.items():
        lesions = [state.lesions[0] for state in tracks()[name].states]
        for earlier, later in zip(lesions, lesions[1:]):
            rounding = np.hypot(*[volume_sd_ln(one.volume_ml, one.spacing_mm) for one in (earlier, later)])
            assert abs(np.log(later.volume_ml / earlier.volume_ml / factor)) < 4 * rounding


def test_a_lung_nodule_that_doubles_in_16_weeks_is_told_to_grow_and_an_unchanged_lesion_is_not():
    nodule, bone = ([state.lesions[0] for state in tracks()[name].states] for name in ("Lung nodule 1", "Lytic lesion, L3"))
    setting = Setting(VOLUME, "CT", "lung", "solid")
    grown = change_of(*[Size(one.volume_ml, one.spacing_mm) for one in nodule[::2]], 2 * DAYS, setting)
    low, high = grown.doubling_days[1:]
    assert low < DAYS * np.log(2) / np.log(1.4) < high
    still = change_of(*[Size(one.volume_ml, one.spacing_mm) for one in bone[:2]], DAYS, setting)
    assert still.verdict == WITHIN

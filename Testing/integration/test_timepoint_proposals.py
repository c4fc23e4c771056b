"""Timepoints proposed from a scene that looks as after Slicer's DICOM import, and from one of plain files."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from helpers_timepoints import add_marked, add_scan
from LongitudinalCompareLib.scene.proposals import date_of_dicom, patients_differ, patients_unknown, proposals
from OncoLib.scene.host import new_host
from OncoLib.scene.volumes import MAP_ATTRIBUTE


@pytest.fixture
def scene():
    return new_host().scene


def named(found) -> list[tuple]:
    return [(one.date, [node.GetName() for node in one.volumes], one.volume.GetName()) for one in found]


def test_scans_of_one_study_are_one_date_and_the_oldest_comes_first(scene):
    add_scan(scene, "FLAIR later", date="20240610", patient="7")
    add_scan(scene, "T1 pre", date="20240301", time="093015", patient="7")
    add_scan(scene, "T1 post contrast", date="20240301", time="093015", patient="7")
    add_scan(scene, "T1 +C later", date="20240610", patient="7")
    assert named(proposals(scene)) == [
        ("2024-03-01 09:30:15", ["T1 pre", "T1 post contrast"], "T1 pre"),
        ("2024-06-10", ["FLAIR later", "T1 +C later"], "FLAIR later"),
    ]


def test_the_channel_with_a_lesion_is_chosen_and_later_dates_follow_its_contrast(scene):
    add_scan(scene, "FLAIR", date="20240301", patient="7")
    contrast = add_scan(scene, "T1 post", date="20240301", patient="7")
    add_marked(scene, contrast, "brain", "organs before")
    lesions = add_marked(scene, contrast, "lesion", "lesions")
    add_marked(scene, contrast, "brain", "organs after")
    add_scan(scene, "FLAIR", date="20240610", patient="7")
    add_scan(scene, "T1 +C", date="20240610", patient="7")
    first, second = proposals(scene)
    assert first.volume is contrast and first.segmentation is lesions and len(first.segmentations) == 3
    assert second.volume.GetName() == "T1 +C" and second.segmentation is None


def test_maps_label_maps_and_volumes_without_data_are_no_dates(scene):
    scan = add_scan(scene, "CT")
    add_scan(scene, "CT: disagreement").SetAttribute(MAP_ATTRIBUTE, "disagreement")
    scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing in it")
    assert [one.volume for one in proposals(scene)] == [scan]


def test_files_without_a_date_keep_their_order_behind_the_others(scene):
    for name in ("b", "a"):
        add_scan(scene, name)
    add_scan(scene, "dated", date="20240301", patient="7")
    assert [(one.volume.GetName(), one.date) for one in proposals(scene)] == [("dated", "2024-03-01"), ("b", ""), ("a", "")]
    assert proposals(new_host().scene) == []


def test_the_day_of_acquisition_counts_before_that_of_the_study(scene):
    node = add_scan(scene, "CT", date="20240301", patient="7")
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    asked = []

    def value(uid, tag):
        asked.append((uid, tag))
        return {"0008,0022": "20240229", "0008,0032": "235900.12"}.get(tag, "")

    known = {}
    database = SimpleNamespace(instanceValue=value)
    assert proposals(scene, database, known)[0].date == "2024-02-29 23:59:00"
    count = len(asked)
    assert proposals(scene, database, known)[0].date == "2024-02-29 23:59:00" and len(asked) == count


@pytest.mark.parametrize(
    ("second", "differ", "unknown"),
    [
        ({"patient": "7", "born": "19700101"}, False, False),
        ({"patient": "7"}, False, False),
        ({"patient": "7", "born": "19710101"}, True, False),
        ({"patient": "8", "born": "19700101"}, True, False),
        ({"study": "somebody's"}, True, False),
        ({}, False, True),
    ],
)
def test_another_patient_is_noticed(scene, second, differ, unknown):
    add_scan(scene, "first", date="20240301", patient="7", born="19700101")
    add_scan(scene, "second", **second)
    found = proposals(scene)
    assert len(found) == 2 and (patients_differ(found), patients_unknown(found)) == (differ, unknown)


@pytest.mark.parametrize(
    ("date", "time", "wanted"),
    [
        ("20240229", "", "2024-02-29"),
        ("20240229", "143000.000000", "2024-02-29 14:30:00"),
        ("2024.02.29", "14:30:00", "2024-02-29 14:30:00"),  # ACR-NEMA, which PS3.5 still lets readers meet
        ("20240229", "14", "2024-02-29"),
        ("20230229", "", ""),
        ("", "143000", ""),
        ("20240229", "9999", "2024-02-29"),
    ],
)
def test_dates_of_dicom(date, time, wanted):
    """DA and TM of PS3.5 6.2."""
    assert date_of_dicom(date, time) == wanted

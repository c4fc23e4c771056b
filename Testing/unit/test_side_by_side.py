"""Volumes side by side: one row for each code and name, each scan on its own grid."""

from __future__ import annotations

import numpy as np
import pytest

from LongitudinalCompareLib.side_by_side import volume_rows
from OncoLib.errors import Cancelled
from OncoLib.progress import CancelToken
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure, with_side


def scan(spacing_mm, counts):
    """A segmentation with these voxel counts by (structure, name)."""
    layer = np.zeros((4, 10, 10), np.uint8)
    segments = []
    for label, ((found, name), count) in enumerate(counts.items(), 1):
        layer[label - 1].flat[:count] = label
        segments.append(Segment(label, name, found.entry, found.color))
    return Segmentation((layer,), np.diag([*spacing_mm, 1.0]), tuple(segments), Provenance("hand", ""))


def test_rows_match_by_code_and_name_and_each_date_has_its_own_voxels():
    bone, kidney = structure("bone"), structure("kidney")
    right, left = with_side(kidney, "right"), with_side(kidney, "left")
    first = scan((1, 1, 1), {(bone, "Bone"): 10, (right, "Right kidney"): 20})
    second = scan((2, 2, 5), {(left, "Left kidney"): 5, (bone, "Bone"): 10})
    rows = volume_rows([first, second])
    table = {row.name: [None if cell is None else cell.value for cell in row.measured] for row in rows}
    # 1 mm3 and 20 mm3 voxels
    assert table == {
        "Bone": [pytest.approx(0.010), pytest.approx(0.2)],
        "Right kidney": [pytest.approx(0.020), None],
        "Left kidney": [None, pytest.approx(0.1)],
    }


def test_one_name_with_two_codes_is_two_rows():
    one = scan((1, 1, 1), {(structure("liver"), "Organ"): 1})
    two = scan((1, 1, 1), {(structure("spleen"), "Organ"): 1})
    assert [row.name for row in volume_rows([one, two])] == ["Organ", "Organ"]


def test_two_segments_of_one_name_and_code_add_up():
    bone = structure("bone")
    layer = np.zeros((2, 2, 2), np.uint8)
    layer[0, 0, 0], layer[1] = 1, 2
    parts = (Segment(1, "Bone", bone.entry, bone.color), Segment(2, "Bone", bone.entry, bone.color))
    both = Segmentation((layer,), np.eye(4), parts, Provenance("hand", ""))
    (row,) = volume_rows([both])
    assert row.measured[0].value == pytest.approx(5e-3) and row.measured[0].unit == "ml"


def test_a_structure_that_reaches_the_edge_of_one_image_is_told_for_that_one():
    bone, liver = structure("bone"), structure("liver")
    parts = (Segment(1, "Bone", bone.entry, bone.color), Segment(2, "Liver", liver.entry, liver.color))
    inside, cut = np.zeros((6, 6, 6), np.uint8), np.zeros((6, 6, 6), np.uint8)
    inside[1:5, 1:5, 1:5], inside[2, 2, 2] = 1, 2
    cut[1:5, 1:5, 1:6] = 1
    made = [Segmentation((layer,), np.eye(4), parts, Provenance("hand", "")) for layer in (inside, cut)]
    assert {row.name: row.at_edge for row in volume_rows(made)} == {"Bone": (False, True), "Liver": (False, False)}
    only = Segmentation((cut,), np.eye(4), parts[:1], Provenance("hand", ""))
    assert {row.name: row.at_edge for row in volume_rows([only, made[0]])} == {"Bone": (True, False), "Liver": (False, False)}


def test_progress_goes_up_and_cancel_is_heard_at_each_step():
    """Two scans to look through, then two structures to count: quarters."""
    bone, liver = structure("bone"), structure("liver")
    scans = [scan((1, 1, 1), {(bone, "Bone"): 1, (liver, "Liver"): 2}), scan((1, 1, 1), {(bone, "Bone"): 3})]
    told = []
    volume_rows(scans, progress=lambda fraction, message: told.append(fraction))
    assert told == [0.0, 0.25, 0.5, 0.75]
    for steps in (1, 2, 3):
        token, heard = CancelToken(), []

        def stop(fraction, message, token=token, heard=heard, steps=steps):
            heard.append(fraction)
            if len(heard) == steps:
                token.cancel()

        with pytest.raises(Cancelled):
            volume_rows(scans, progress=stop, cancel=token)
        assert len(heard) == steps

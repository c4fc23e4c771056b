"""A comparison of three dates in a scene whose scans carry a patient's name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from helpers_assess import day, pair, seen
from LongitudinalCompareLib.assessment import assess
from LongitudinalCompareLib.comparison import Comparison
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.reading import Reading
from LongitudinalCompareLib.scene.registered import Date
from LongitudinalCompareLib.timepoint import Timepoint
from OncoLib.image import Image
from OncoLib.scene.host import Host, new_host
from OncoLib.scene.segmentations import add_segmentation
from OncoLib.scene.volumes import add_volume
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure

SECRET = "Janedoe"
SHIFT = 8.0
"""Millimeters by which the later dates lie to the right of the baseline."""

THICK = np.diag([1.0, 1.0, 2.0, 1.0])
GONE_FROM = 2


def three_dates() -> Evidence:
    """A grows from 8 to 10 mm, B is gone at the third date, N comes at the third; the second date has thicker slices."""
    centers = {"A": (20.0, 20.0, 20.0), "B": (20.0, 42.0, 30.0), "N": (40.0, 20.0, 40.0)}
    later = {name: (x + SHIFT, y, z) for name, (x, y, z) in centers.items()}
    dates = [
        seen(0, {"A": (centers["A"], 8), "B": (centers["B"], 6)}),
        seen(1, {"A": (later["A"], 9), "B": (later["B"], 5)}, grid=THICK, shape=(30, 60, 60)),
        seen(2, {"A": (later["A"], 10), "N": (later["N"], 6)}),
    ]
    verdicts = {name: ("good", centers[name]) for name in "AB"}
    pairs = [pair(at, verdicts, (SHIFT, 0.0, 0.0)) for at in (1, 2)]
    return Evidence(tuple(dates), tuple(pairs), "seed", (), {"made_by": "a test"})


def timepoint(date, at: int) -> Timepoint:
    """The scan and the segmentation of a date of the evidence."""
    labels, segments, like = np.zeros(date.shape_kji, np.uint8), [], structure("lesion")
    for number, one in enumerate(date.lesions, 1):
        labels[one.box][one.mask] = number
        segments.append(Segment(number, one.key.name, like.entry, like.color))
    made = Segmentation((labels,), date.ijk_to_ras, tuple(segments), Provenance("hand", ""), name=f"{SECRET} {at}")
    voxels = np.where(labels > 0, 60, 0).astype(np.int16)
    return Timepoint({"image": Image(voxels, date.ijk_to_ras, modality="CT", name=f"{SECRET} CT {at}")}, day(at), "", made)


@dataclass(frozen=True)
class Case:
    """A scene with scans and segmentations, and what is known of them."""

    host: Host
    evidence: Evidence
    dates: tuple[Date, ...]
    timepoints: tuple[Timepoint, ...]

    @property
    def scene(self):
        return self.host.scene

    def assessed(self, *acts) -> Comparison:
        return assess(self.evidence, Reading(tuple(acts)))


def case(evidence: Evidence | None = None) -> Case:
    """A new scene."""
    host, evidence = new_host(), evidence or three_dates()
    timepoints = tuple(timepoint(date, at) for at, date in enumerate(evidence.dates))
    dates = []
    for one in timepoints:
        volume = add_volume(host.scene, one.image)
        dates.append(Date(volume, add_segmentation(host.scene, one.segmentation, volume=volume), one.when))
    return Case(host, evidence, tuple(dates), timepoints)

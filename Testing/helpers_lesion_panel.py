"""Three dates of a few balls in a scene, with the panel that reads them: lesions that grow, shrink, go and come."""

from __future__ import annotations

from functools import cache

import numpy as np

import helpers_assess as made
from helpers_timepoints import add_scan
from helpers_tracking import SHAPE_KJI
from LongitudinalCompareLib.evidence import Evidence
from LongitudinalCompareLib.scene import registered
from OncoLib.image import Image
from OncoLib.scene.segmentations import add_segmentation
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import structure

LIVER, NODE = (15.0, 15.0, 15.0), (45.0, 15.0, 30.0)
BALLS = (
    {"Lesion 1": (LIVER, 6.0), "Lesion 2": (NODE, 6.0), "Lesion 3": ((15.0, 45.0, 30.0), 5.0)},
    {"Lesion 1": (LIVER, 8.0), "Lesion 2": (NODE, 6.0), "Lesion 3": ((15.0, 45.0, 30.0), 5.0)},
    {"Lesion 1": (LIVER, 10.0), "Lesion 2": (NODE, 6.0), "Lesion 4": ((45.0, 45.0, 45.0), 5.0)},
)
"""By date: center and radius in mm. 1 grows, 2 stays, 3 goes at the third date, at which 4 comes."""


@cache
def three_dates() -> Evidence:
    """Their evidence, which nobody changes."""
    return made.evidence(*(made.seen(at, balls) for at, balls in enumerate(BALLS)))


def add_dates(scene, evidence: Evidence, patient: str = "7") -> list:
    """A scan and a segmentation for each date of the evidence; returns the volumes."""
    volumes = []
    for at, date in enumerate(evidence.dates):
        image = Image(np.zeros(date.shape_kji, np.float32), date.ijk_to_ras, modality="CT")
        volume = add_scan(scene, f"CT {at + 1}", date=date.facts.date.replace("-", ""), patient=patient, image=image)
        add_segmentation(scene, masks_of(date), volume=volume)
        volumes.append(volume)
    return volumes


def masks_of(date) -> Segmentation:
    """The lesions of a date as segments."""
    layer, segments, like = np.zeros(date.shape_kji, np.uint8), [], structure("lesion")
    for label, lesion in enumerate(date.lesions, 1):
        layer[lesion.box][lesion.mask] = label
        segments.append(Segment(label, lesion.key.name, like.entry, like.color))
    return Segmentation((layer,), date.ijk_to_ras, tuple(segments), Provenance("hand", ""), name="Lesions")


def begin(widget, evidence: Evidence):
    """As after a comparison that gave this evidence; returns the section."""
    section = widget.lesionsOverTime
    dates = section.dates()
    section._on_compared(dates, registered.state_of(dates), evidence)
    return section


__all__ = ["BALLS", "LIVER", "NODE", "SHAPE_KJI", "add_dates", "begin", "masks_of", "three_dates"]

"""Dates of a scene to the registration and back: images out, transforms in. **Main thread only.**"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from LongitudinalCompareLib.pair_outcome import PairOutcome, outcomes_of
from LongitudinalCompareLib.scene.transform_nodes import OURS, publish_transform
from LongitudinalCompareLib.timepoint import Timepoint, day_and_time
from OncoLib.errors import InputError
from OncoLib.registration.engine import Choice
from OncoLib.scene.host import require_main_thread
from OncoLib.scene.segment_statistics import labels_state
from OncoLib.scene.segmentations import segmentation_of
from OncoLib.scene.volumes import image_of
from OncoSegmentLib.engine.jobs import NAMELESS, without_identity


@dataclass(frozen=True)
class Date:
    """One date of a script: a scan, its segmentation node or None, and when, such as `2024-03-01`."""

    volume: object
    segmentation: object
    date: str


def register_and_publish(scene, dates: Sequence, choice: Choice) -> tuple[list, tuple[PairOutcome, ...]]:
    """All three steps at once, in this process, for scripts: transform nodes and outcomes, one a later date."""
    outcomes = outcomes_of(prepare(dates), choice)
    return publish(scene, dates, outcomes), outcomes


def prepare(dates: Sequence) -> tuple[Timepoint, ...]:
    """The dates without what tells whose they are, in the order given. dates: have `volume`, `segmentation` and `date`.

    Each image is in its scan's own frame, whatever transform of ours it is shown under. Raises InputError for scans of two
    modalities and for a scan that a transform of somebody else moves, GeometryError for a segmentation that does not lie on
    its scan's grid.
    """
    check_frames(dates)
    found = []
    for one in dates:
        image = without_identity(image_of(one.volume))
        labels = None if one.segmentation is None else segmentation_of(one.segmentation, may_be_empty=True)
        found.append(Timepoint({"image": image}, *day_and_time(one.date), labels and replace(labels, name=NAMELESS)))
    known = sorted({one.image.modality for one in found if one.image.modality})
    if len(known) > 1:
        raise InputError(f"the dates have different modalities ({', '.join(known)}); wanted one for all")
    return tuple(found)


def check_frames(dates: Sequence) -> None:
    """Raises InputError unless every scan and its segmentation lie in the scan's own frame, or under a transform of ours."""
    for one in dates:
        check_frame(one)


def check_frame(date) -> None:
    """The same of one date."""
    transform = date.volume.GetParentTransformNode()
    if transform is not None and not transform.GetAttribute(OURS):
        told = f"scan {date.volume.GetName()!r} lies under a transform that is not of this module"
        raise InputError(f"{told}; harden it, or take it off, and register again")
    if date.segmentation is not None and date.segmentation.GetTransformNodeID() != date.volume.GetTransformNodeID():
        told = f"segmentation {date.segmentation.GetName()!r} and its scan lie under different transforms"
        raise InputError(f"{told}; put both under the same one, or none")


def state_of(dates: Sequence) -> list:
    """Changes when a scan or a segmentation was changed or removed; compare it before and after a job."""
    found = []
    for one in dates:
        data = one.volume.GetImageData() if one.volume.GetScene() is not None else None
        labels = None if one.segmentation is None or one.segmentation.GetScene() is None else labels_state(one.segmentation)
        found.append((None if data is None else data.GetMTime(), labels))
    return found


def publish(scene, dates: Sequence, outcomes: Sequence[PairOutcome]) -> list:
    """Puts each follow-up into the baseline's frame, with its segmentation; returns the transform nodes.

    One batch of events: a view never shows one date moved and the next one not. The baseline comes out of a transform of ours.
    """
    require_main_thread("publishing transforms")
    scene.StartState(scene.BatchProcessState)
    try:
        put_under(dates[0], None)
        return [publish_pair(scene, dates, one) for one in outcomes]
    finally:
        scene.EndState(scene.BatchProcessState)


def publish_pair(scene, dates: Sequence, outcome: PairOutcome):
    """One follow-up."""
    later = dates[outcome.follow_up]
    node = publish_transform(scene, outcome.transform, dates[0].volume, later.volume, outcome.facts)
    put_under(later, node)
    return node


def put_under(date, transform) -> None:
    """Scan and segmentation under one transform node, or none."""
    for node in (date.volume, date.segmentation):
        if node is not None:
            node.SetAndObserveTransformNodeID(None if transform is None else transform.GetID())

"""The places that a reading gives to lesions, as markups at which nobody can pull. **Main thread only.**"""

from __future__ import annotations

from collections.abc import Sequence

from LongitudinalCompareLib.comparison import Comparison
from LongitudinalCompareLib.reading import POINT, Act, Reading, Ref
from LongitudinalCompareLib.reading_acts import point
from LongitudinalCompareLib.scene import manual_points
from OncoLib.scene.nodes import nodes_of_class

OF_READING = "OncoSegment.PointOfReading"
"""Attribute of the markups: only these follow the reading. Those beside the verdicts of a registration are the reader's own."""


def key_of(lesion: str, date: str) -> str:
    """Under which `manual_points` keeps it."""
    return f"{lesion} of {date}"


def node_for(scene, volume, lesion: str, date: str, title: str):
    """The markups of a lesion (named at its own `date`) on a later date's scan; made empty when there is none."""
    node = manual_points.make_point_node(scene, volume, key_of(lesion, date))
    node.SetAttribute(OF_READING, "1")
    node.SetName(title)
    node.SetSaveWithScene(False)  # it comes again with the reading
    return node


def follow(scene, comparison: Comparison, dates: Sequence, reading: Reading) -> None:
    """A markup for each place that counts, and none for one that was taken back."""
    wanted = {}
    for act in reading.of(POINT):
        at = next((at for at, one in enumerate(comparison.timepoints) if one.when == act.date), None)
        if at is not None and dates[at].volume.GetScene() is scene:
            wanted[act.lesion.lesion, act.lesion.date, at] = act.values["point_ras_mm"]
    keep = [put(scene, dates[at], *name, place) for (*name, at), place in wanted.items()]
    for node in nodes_of_class(scene, manual_points.POINTS):
        if node.GetAttribute(OF_READING) and not any(node is one for one in keep):
            scene.RemoveNode(node)


def put(scene, date, lesion: str, seen_at: str, place):
    """One of them."""
    node = node_for(scene, date.volume, lesion, seen_at, f"{lesion}: by hand")
    manual_points.set_point(scene, date.volume, key_of(lesion, seen_at), manual_points.to_world(date.volume, place))
    node.SetLocked(True)
    return node


def set_beside_verdicts(scene, comparison: Comparison, dates: Sequence, reading: Reading) -> tuple[Act, ...]:
    """The places that a reader set beside the verdicts of a registration, as acts; without those of which the reading speaks."""
    told, found = {(act.lesion.lesion, act.date) for act in reading.of(POINT)}, []
    first = comparison.timepoints[0].when
    names = [name for track in comparison.tracks for name in track.entries[0].lesions]
    for at, when in enumerate(comparison.timepoints):
        for name in dict.fromkeys(names if at else ()):
            place = manual_points.point_of(scene, dates[at].volume, name)
            if place is not None and (name, when.when) not in told:
                found.append(point(Ref(first, name), when.when, tuple(map(float, place))))
    return tuple(found)

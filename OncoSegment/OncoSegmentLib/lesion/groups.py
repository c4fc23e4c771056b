"""Which segments are split, and which of them stay together: the parts of a nested tumor are one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from OncoLib.errors import InputError, UncodedError
from OncoLib.measure import Box
from OncoLib.overlap import joint_box
from OncoLib.segmentation import Segment, Segmentation
from OncoLib.terminology import TISSUE, is_lesion
from OncoSegmentLib.consensus.nested import WHOLE, is_whole_region, regions_of
from OncoSegmentLib.lesion.anatomy import is_counted

CANDIDATE = "candidate"
"""First word of the flag of a segment that is no lesion yet: a reader decides."""


@dataclass(frozen=True, eq=False)
class Group:
    """Segments that are split together. whole: the one that holds all others, where there is one.

    box: around all of them; None when they are empty.
    """

    segments: tuple[Segment, ...]
    box: Box | None
    whole: Segment | None = None

    @property
    def nested(self) -> bool:
        """True for a tumor that comes in parts or regions."""
        return len(self.segments) > 1

    @property
    def main(self) -> Segment:
        """The segment that stands for the group."""
        return self.whole or self.segments[0]

    def mask(self, segmentation: Segmentation) -> np.ndarray:
        """The union of the segments within the box."""
        found = [segmentation.layers[one.layer][self.box] == one.label for one in self.segments]
        return found[0] if len(found) == 1 else np.logical_or.reduce(found)


def groups_of(segmentation: Segmentation, labels: Sequence[str], boxes: dict[Segment, Box]) -> tuple[list[Group], list[str]]:
    """The groups in the order of the segments, and notes. labels: names of those to split; () for all lesions.
    boxes: of the segments that have voxels.

    Raises InputError for a name that is not there, a segment that is coded as an organ, and when there is nothing to split.
    """
    nested = nested_parts(segmentation)
    if labels:
        chosen, notes = [named(segmentation, name) for name in dict.fromkeys(labels)], []
        nested = nested if any(one in nested for one in chosen) else ()
    else:
        lesions = [one for one in segmentation.segments if is_counted(one) or one in nested]
        chosen = list(counted_in(segmentation))
        notes = ["candidates are left as they are"] if len(chosen) < len(lesions) else []
        notes += [f"{one.name} is not split: it is no mass" for one in segmentation.segments if left_out(one, chosen)]
    if not chosen:
        there = ", ".join(one.name for one in segmentation.segments[:5])
        more = " and others" if len(segmentation.segments) > 5 else ""
        raise UncodedError(
            f"no segment is coded as a lesion that is counted one by one; name the one that is to be split, of {there}{more}"
        )
    found = [Group((one,), boxes.get(one)) for one in chosen if one not in nested]
    if nested:
        regions = {one: regions_of(one, segmentation.segments) for one in nested}
        whole = next((one for one in nested if regions[one] == (WHOLE,) and is_whole_region(one)), None)
        found.append(Group(nested, box_of(nested, boxes), whole))
    return found, notes


def counted_in(segmentation: Segmentation) -> tuple[Segment, ...]:
    """Segments whose codes say that they are lesions counted one by one, or parts of a nested tumor; candidates are none."""
    nested = nested_parts(segmentation)
    return tuple(one for one in segmentation.segments if (is_counted(one) or one in nested) and not is_candidate(one))


def nested_parts(segmentation: Segmentation) -> tuple[Segment, ...]:
    """Parts or regions of a tumor, if there are two kinds of them at least."""
    found = {one: regions_of(one, segmentation.segments) for one in segmentation.segments if not is_candidate(one)}
    parts = tuple(one for one, names in found.items() if names)
    return parts if len({found[one] for one in parts}) > 1 else ()


def is_candidate(segment: Segment) -> bool:
    """True for what a fusion or an earlier split kept beside the lesions."""
    return any(flag.startswith(CANDIDATE) for flag in segment.flags)


def left_out(segment: Segment, chosen: list[Segment]) -> bool:
    """True for an abnormal structure that is not counted one by one."""
    return is_lesion(segment.entry) and segment not in chosen and not is_candidate(segment)


def named(segmentation: Segmentation, name: str) -> Segment:
    """The segment of that name, if it can be a lesion."""
    found = segmentation.segment_named(name)
    if not is_lesion(found.entry) and not found.entry.type.same_code(TISSUE):
        raise InputError(f"{name!r} is coded as {found.entry.type.meaning}, which is no lesion; wanted a segment of lesions")
    return found


def box_of(segments: tuple[Segment, ...], boxes: dict[Segment, Box]) -> Box | None:
    """The box around all that have voxels."""
    found = None
    for one in segments:
        if one in boxes:
            found = joint_box(found, boxes[one])
    return found

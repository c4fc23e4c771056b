"""Courses of lesions for the tests of response criteria, short to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from LongitudinalCompareLib.response.inputs import Assessment, Course, Finding, NewLesion, NonTarget, Size, Target

STEP_DAYS = 56
"""Eight weeks between dates: long enough for every rule that asks for four or six."""


def size(value: Size | float | None, node: bool) -> Size | None:
    """A size from its followed diameter, which also stands for the viable one; None is nothing entered."""
    if value is None or isinstance(value, Size):
        return value
    return Size(short_mm=value) if node else Size(longest_mm=value, viable_mm=value)


def course(
    targets: Mapping[str, Sequence[Size | float | None]],
    *,
    nodes: Sequence[str] = (),
    findings: Mapping[str, Sequence[str | Finding]] | None = None,
    new: Mapping[int, Sequence[NewLesion]] | None = None,
    days: Sequence[int] | None = None,
) -> Course:
    """A course from one row a lesion: diameters of targets, states of non-targets, new lesions by the number of the date."""
    findings, new = findings or {}, new or {}
    count = len(next(iter({**targets, **findings}.values())))
    days = days or [at * STEP_DAYS for at in range(count)]
    dates = []
    for at in range(count):
        sizes = {name: one for name, row in targets.items() if (one := size(row[at], name in nodes)) is not None}
        said = {name: row[at] if isinstance(row[at], Finding) else Finding(row[at]) for name, row in findings.items()}
        dates.append(Assessment(days[at], sizes, said, tuple(new.get(at, ()))))
    lesions = tuple(Target(name, "liver", name in nodes) for name in targets)
    return Course(lesions, tuple(NonTarget(name, "pleura", name in nodes) for name in findings), tuple(dates))


def categories(proposals) -> list[str]:
    """Categories in the order of the dates."""
    return [one.category for one in proposals]


def scaled(one: Size, factor: float) -> Size:
    """A size in which every length is longer by a factor, and the volume by its cube."""
    lengths = {
        name: None if getattr(one, name) is None else getattr(one, name) * factor
        for name in ("longest_mm", "short_mm", "viable_mm")
    }
    volume = None if one.volume_ml is None else one.volume_ml * factor**3
    return replace(one, **lengths, volume_ml=volume, parts=tuple(scaled(part, factor) for part in one.parts))

"""What a reader should know of a result as text: few sentences, also for a hundred segments."""

from __future__ import annotations

import re
from collections.abc import Sequence

from slicer.i18n import tr as _

from OncoLib.segmentation import Segmentation

NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?=[\s%,;)]|$)")
"""A number of a sentence, not one that belongs to a name such as T12."""


def notes(segmentation: Segmentation, measures: Sequence = ()) -> str:
    """Flags of the segments and notes of their measures, with whom they are about.

    Sentences that differ in their numbers only are one, with the smallest and the largest of each number.
    """
    about: dict[str, list[tuple[str, str]]] = {}
    for name, note in [*flags_of(segmentation), *notes_of(measures)]:
        about.setdefault(NUMBER.sub("\0", note), []).append((name, note))
    lines = []
    for found in about.values():
        names, sentences = zip(*found)
        lines.append(f"{names_text(names)}: {merged(sentences)}")
    return "\n\n".join(lines)


def flags_of(segmentation: Segmentation) -> list[tuple[str, str]]:
    """Name and flag, for each flag of each segment."""
    return [(segment.name, flag) for segment in segmentation.segments for flag in segment.flags]


def notes_of(measures: Sequence) -> list[tuple[str, str]]:
    """Name and note, for each note of each `SegmentMeasures`."""
    return [(found.segment.name, note) for found in measures for note in found.notes]


def merged(sentences: Sequence[str]) -> str:
    """One sentence for several that differ in their numbers only."""
    columns = zip(*(NUMBER.findall(sentence) for sentence in sentences))
    spans = iter([span_text(sorted(set(column), key=float)) for column in columns])
    return NUMBER.sub(lambda _match: next(spans), sentences[0])


def span_text(numbers: Sequence[str]) -> str:
    """The one number, or the smallest and the largest."""
    if len(numbers) == 1:
        return numbers[0]
    return _("{smallest} to {largest}").format(smallest=numbers[0], largest=numbers[-1])


def names_text(names: Sequence[str]) -> str:
    """Up to four names; more are counted."""
    unique = list(dict.fromkeys(names))
    if len(unique) <= 4:
        return ", ".join(unique)
    return _("{names} and {count} more").format(names=", ".join(unique[:3]), count=len(unique) - 3)

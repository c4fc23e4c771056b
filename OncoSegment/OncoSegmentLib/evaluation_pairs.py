"""Which segment of a result is which of a reference.

First those of the same name and codes, as `measure --compare` has them; then, of what is left, those of the same structure
of our terminology; then those of the same codes, whatever their names. The latter two only where both sides have one such
segment: of several lesions with one code nobody knows which is which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from OncoLib.errors import InputError
from OncoLib.segmentation import Segment, Segmentation
from OncoLib.terminology import candidate_entry, structure_of
from OncoSegmentLib.evaluation import Pair, Pairs


def pairs_of(
    result: Segmentation, reference: Segmentation, *, told: Sequence[tuple[str, str]] = (), missing_is_empty: bool = False
) -> Pairs:
    """All pairs in the order of the result.

    told: names of segments (result, reference) that the user says are the same; they come before all rules.
    missing_is_empty: structures that only the reference has count as found nothing, after all others.
    Raises InputError when a name is not there or used twice, or when there is no pair at all.
    """
    pairs = [Pair(result.segment_named(one), reference.segment_named(other), "the user") for one, other in told]
    for names in zip(*told):
        if len(set(names)) < len(names):
            raise InputError("a segment is in two of the pairs that were named; wanted each once")
    for how, key, alone in RULES:
        pairs += _pairs_by(*_left(result, reference, pairs), how, key, alone)
    only_result, only_reference = _left(result, reference, pairs)
    pairs.sort(key=lambda pair: result.segments.index(pair.result))
    if missing_is_empty:
        pairs += [Pair(None, segment, "nothing") for segment in only_reference]
        only_reference = ()
    if not pairs:
        raise InputError(
            "the result and the reference share no segment of the same name and codes, structure or codes alone;"
            " name those that belong together (--pair)"
        )
    return Pairs(tuple(pairs), tuple(only_result), tuple(only_reference))


def _left(result: Segmentation, reference: Segmentation, pairs: Sequence[Pair]) -> tuple[list[Segment], list[Segment]]:
    taken = {id(pair.result) for pair in pairs}, {id(pair.reference) for pair in pairs}
    return tuple([one for one in whole.segments if id(one) not in gone] for whole, gone in zip((result, reference), taken))


def _pairs_by(first: Sequence[Segment], second: Sequence[Segment], how: str, key: Callable, alone: bool) -> list[Pair]:
    sides = [_by_key(segments, key) for segments in (first, second)]
    found = []
    for shared in sides[0].keys() & sides[1].keys():
        one, other = (side[shared] for side in sides)
        if len(one) == len(other) == 1:
            found.append(Pair(one[0], other[0], how))
        elif not alone:
            raise InputError(f"there are several segments {one[0].name!r} with the same codes; wanted one of each name and code")
    return found


def _by_key(segments: Sequence[Segment], key: Callable) -> dict:
    found: dict[object, list[Segment]] = {}
    for segment in segments:
        if key(segment) is not None:
            found.setdefault(key(segment), []).append(segment)
    return found


def structure_id(segment: Segment) -> str | None:
    """Id of the structure in our terminology, by what the segment says or by its codes; None for what says nothing."""
    known = None if _says_nothing(segment) else structure_of(segment.entry)
    return segment.structure or (known.id if known else None)


def _codes(segment: Segment) -> tuple | None:
    return None if _says_nothing(segment) else segment.entry.key()


def _says_nothing(segment: Segment) -> bool:
    """Tissue and no more, as labels of a plain label map have it: the same code of two of them means nothing."""
    return segment.entry.same_codes(candidate_entry())


RULES = (
    ("name and codes", lambda segment: (segment.name, segment.entry.key()), False),
    ("structure", structure_id, True),
    ("codes", _codes, True),
)

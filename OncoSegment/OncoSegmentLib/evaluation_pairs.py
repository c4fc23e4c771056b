"""Which segment of a result is which of a reference.

First those of the same name and codes, as `measure --compare` has them; then, of what is left, those of the same structure
of our terminology; then those of the same codes, whatever their names. The latter two only where both sides have one such
segment: of several lesions with one code nobody knows which is which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from OncoLib.errors import InputError
from OncoLib.segmentation import Segment, Segmentation
from OncoLib.terminology import SIDES, candidate_entry, structures, with_side
from OncoSegmentLib.evaluation import Pair, Pairs
from OncoSegmentLib.lesion.groups import is_candidate


def listed_alike(result: Segmentation, reference: Segmentation) -> tuple[Segmentation, Segmentation, tuple[str, ...]]:
    """Both; one that lists nothing, as a label map of zeros, gets the other's structures without a voxel, and a sentence says so.

    A model that found nothing, and a patient who has nothing, would drop out of every evaluation else. Raises InputError
    when neither lists a structure.
    """
    if not result.segments and not reference.segments:
        raise InputError("the result and the reference are empty: nothing was there and nothing found; no measure is defined")
    if not result.segments:
        told = "the result is empty: every structure of the reference counts as not found"
        return _emptied(result, reference), reference, (told,)
    if not reference.segments:
        told = "the reference is empty: every structure of the result counts as not there"
        return result, _emptied(reference, result), (told,)
    return result, reference, ()


def _emptied(one: Segmentation, like: Segmentation) -> Segmentation:
    layers = tuple(np.zeros(one.shape_kji, layer.dtype) for layer in like.layers)
    return replace(one, layers=layers, segments=like.segments)


def pairs_of(
    result: Segmentation,
    reference: Segmentation,
    *,
    told: Sequence[tuple[str, str]] = (),
    missing_is_empty: bool = False,
    extra_is_false: bool = False,
) -> Pairs:
    """All pairs in the order of the result.

    told: names of segments (result, reference) that the user says are the same; they come before all rules.
    missing_is_empty: structures that only the reference has count as found nothing, after all others.
    extra_is_false: structures that only the result has count as found where nothing is; candidates, which claim nothing, do not.
    Raises InputError when a name is not there or used twice, or when there is no pair at all.
    """
    pairs = [Pair(result.segment_named(one), reference.segment_named(other), "the user") for one, other in told]
    for names in zip(*told):
        if len(set(names)) < len(names):
            raise InputError("a segment is in two of the pairs that were named; wanted each once")
    for how, key in RULES:
        pairs += _pairs_by(result, reference, _left(result, reference, pairs), how, key)
    only_result, only_reference = _left(result, reference, pairs)
    if extra_is_false:
        pairs += [Pair(segment, None, "nothing") for segment in only_result if not is_candidate(segment)]
        only_result = [segment for segment in only_result if is_candidate(segment)]
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


def _pairs_by(result: Segmentation, reference: Segmentation, left, how: str, key: Callable) -> list[Pair]:
    """Pairs of what is left. A key that two segments of one side have pairs none, be it that one of them has its partner."""
    sides = [_by_key(whole.segments, key) for whole in (result, reference)]
    found = []
    for one in left[0]:
        here, there = (side.get(key(one), []) for side in sides)
        if len(here) == len(there) == 1 and there[0] in left[1]:
            found.append(Pair(one, there[0], how))
        elif here and there and key is name_and_codes:
            raise InputError(f"there are several segments {one.name!r} with the same codes; wanted one of each name and code")
    return found


def _by_key(segments: Sequence[Segment], key: Callable) -> dict:
    found: dict[object, list[Segment]] = {}
    for segment in segments:
        if key(segment) is not None:
            found.setdefault(key(segment), []).append(segment)
    return found


def name_and_codes(segment: Segment) -> tuple:
    """What `measure --compare` goes by."""
    return segment.name, segment.entry.key()


def structure_id(segment: Segment) -> str | None:
    """Id of the structure in our terminology, by what the segment says or by its codes when only one structure has them."""
    return segment.structure or (None if _says_nothing(segment) else _ids_of_codes().get(segment.entry.key()))


@lru_cache(maxsize=1)
def _ids_of_codes() -> dict[tuple, str]:
    """Cortical and trabecular bone share the codes of bone: codes of several structures name none of them."""
    sided = [with_side(row, side) for row in structures() if row.paired for side in SIDES]
    rows = [*structures(), *sided]
    times = Counter(row.entry.key() for row in rows)
    return {row.entry.key(): row.id for row in rows if times[row.entry.key()] == 1}


def _codes(segment: Segment) -> tuple | None:
    return None if _says_nothing(segment) else segment.entry.key()


def _says_nothing(segment: Segment) -> bool:
    """Tissue and no more, as labels of a plain label map have it: two of them need not be the same."""
    return segment.entry.same_codes(candidate_entry())


RULES = (
    ("name and codes", name_and_codes),
    ("structure", structure_id),
    ("codes", _codes),
)

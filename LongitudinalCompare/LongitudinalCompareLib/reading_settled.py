"""What counts of a reading where several acts speak of the same thing: the later one beats the earlier one, value by value."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

from LongitudinalCompareLib.reading import CONTEXT, FINDING, NEWNESS, ROLE, SIZE, Act
from LongitudinalCompareLib.reading_fields import LESION, LINES
from OncoLib.errors import InputError

JOINED = (ROLE, SIZE, LESION, FINDING, NEWNESS, CONTEXT)
"""Kinds whose values may be said one after the other; of the others the last act counts as a whole."""


def settled(acts: Sequence[Act], thing_of: Callable[[Act], Hashable | None]) -> dict[Hashable, Act]:
    """The act that counts for each thing, in the order in which the things were first spoken of.

    thing_of: what an act speaks of, beside its kind, such as track and date; None for an act that cannot be applied. For `SIZE`
    it should hold `by`: the sizes of two readers both count. What the last act does not say stays from those before it, unless
    it says another state: that starts anew.
    """
    found: dict[Hashable, Act] = {}
    for act in acts:
        thing = thing_of(act)
        if thing is not None:
            found[act.kind, thing] = _joined(found[act.kind, thing], act) if (act.kind, thing) in found else act
    return found


def _joined(before: Act, act: Act) -> Act:
    """Both in one; the later alone where it starts anew, or where both together would contradict each other."""
    state = act.values.get("state")
    if act.kind not in JOINED or (state is not None and state != before.values.get("state", state)):
        return act
    replaced = {line for line, length in LINES.items() if length in act.values and line not in act.values}
    kept = {name: value for name, value in before.values.items() if name not in replaced}
    try:
        return replace(act, values={**kept, **act.values})
    except InputError:
        return act

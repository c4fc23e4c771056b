"""Which of the images at hand is which channel of a model. What is not clear is asked, never guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from OncoLib.errors import InputError
from OncoSegmentLib.experts.channels import SAME_NAMES, TakesChannels, plain
from OncoSegmentLib.multiparametric.candidates import Candidate
from OncoSegmentLib.multiparametric.names import OTHERS, SUFFIXES, guess, words_of

NUMBERED = re.compile(r"(.*)_([0-9]{4})")
"""nnU-Net's own way to name the channels of a case: CASE_0000, CASE_0001 ..."""

KNOWN = {names[0] for names in SAME_NAMES} | set(OTHERS.values())
BY_NUMBER, BY_USER, BY_CARD = "nnU-Net's numbering", "the user", "words of the model's card"


@dataclass(frozen=True)
class Matches:
    """found: by the channel's place, the image and by what it was told. unclear: by place, a sentence on what could be it.

    left_out: images that are no channel.
    """

    found: Mapping[int, tuple[Candidate, str]]
    unclear: Mapping[int, str]
    left_out: tuple[Candidate, ...]


def matched(candidates: Sequence[Candidate], model: TakesChannels, given: Mapping[int, Candidate] | None = None) -> Matches:
    """The channels of a model among the images. given: by place, what the user said; these are not looked for."""
    found = {place: (one, BY_USER) for place, one in (given or {}).items()}
    rest = [one for one in candidates if all(one is not other for other, _by in found.values())]
    unclear: dict[int, str] = {}
    numbered = by_number(candidates, model) if not given else {}
    if numbered:
        found.update({place: (one, BY_NUMBER) for place, one in numbered.items()})
    for place, name in enumerate(model.channels):
        if place not in found:
            fitting, by = fits(name, rest, model)
            if len(fitting) == 1 and fitting[0].found.kinds <= {kind_of(name)}:
                found[place] = (fitting[0], by)
            else:
                unclear[place] = question(name, fitting)
    twice = {place for place, (one, _by) in found.items() for at, (other, _b) in found.items() if at != place and one is other}
    for place in sorted(twice):
        unclear[place] = question(model.channels[place], [found.pop(place)[0]])
    left_out = [one for one in candidates if all(one is not other for other, _by in found.values())]
    return Matches(found, unclear, tuple(left_out))


def kind_of(channel: str) -> str:
    """The contrast that a channel's name means; its plain name where we know none."""
    name = plain(channel)
    return name if name in KNOWN else guess(channel).kind or name


def fits(name: str, candidates: Sequence[Candidate], model) -> tuple[list[Candidate], str]:
    """Images that may be the channel: those that are clear, else those that are not, else those with words of the card."""
    kind = kind_of(name)
    clear = [one for one in candidates if one.found.kind == kind]
    unclear = [one for one in candidates if kind in one.found.kinds and one not in clear]
    if clear or unclear:
        return [*clear, *unclear], clear[0].found.why if clear else ""
    words = dict(getattr(model, "patterns", ())).get(plain(name), ())
    named = [one for one in candidates if not one.found.kinds and set(words_of(one.text)) & set(words)]
    return named, BY_CARD


def by_number(candidates: Sequence[Candidate], model) -> dict[int, Candidate]:
    """All channels by nnU-Net's numbers, when the files are one case of it; nothing otherwise."""
    found, cases = {}, set()
    for one in candidates:
        match = NUMBERED.fullmatch(SUFFIXES.sub("", one.text.casefold()))
        if match and one.source == "file name":
            cases.add(match[1])
            found[int(match[2])] = one
    return found if len(cases) == 1 and sorted(found) == list(range(len(model.channels))) else {}


def question(name: str, fitting: Sequence[Candidate]) -> str:
    """What is not clear about a channel."""
    if not fitting:
        return f"no image is recognized as {name}"
    listed = " or ".join(f"{one.label}{f' ({one.found.why})' if len(one.found.kinds) > 1 else ''}" for one in fitting)
    return f"{name} could be {listed}"


def require_clear(matches: Matches, model: TakesChannels, how: str, may_miss: Sequence[int] = ()) -> None:
    """InputError with every question at once. how: what the user can do. may_miss: places that need no image."""
    asked = [text for place, text in matches.unclear.items() if place not in may_miss or "could be" in text]
    if not asked:
        return
    others = [one.label for one in matches.left_out if not any(one.label in text for text in asked)]
    also = f"; also there: {', '.join(others[:6])}{' and more' if len(others) > 6 else ''}" if others else ""
    wanted = ", ".join(model.channels)
    raise InputError(f"it is not clear which image is which channel of {model.name} ({wanted}): {'; '.join(asked)}{also}. {how}")

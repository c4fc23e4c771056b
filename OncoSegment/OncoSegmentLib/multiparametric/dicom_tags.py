"""What the header of an MR series says of its contrast: the description first, times and contrast agent where they decide.

Tags are those of the MR image module and the contrast/bolus module (DICOM PS3.3 C.8.3.1, C.7.6.4). The limits of times are our
own, wide on purpose: what lies between them decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from OncoSegmentLib.multiparametric.names import FLAIR, T1, T1C, T2, UNMARKED, Guess, guess

TAGS = (
    *("SeriesDescription", "ProtocolName", "ContrastBolusAgent", "ScanningSequence", "ImageType"),
    *("EchoTime", "InversionTime", "RepetitionTime", "DiffusionBValue", "Modality"),
)
"""The tags that are looked at. Their values are compared with words and numbers, never kept."""

LONG_ECHO_MS, SHORT_ECHO_MS = 70.0, 30.0
LONG_REPETITION_MS, SHORT_REPETITION_MS = 2000.0, 1200.0
FLUID_INVERSION_MS = (1500.0, 3500.0)
"""Inversion that nulls fluid at 1.5 and 3 T; shorter ones null fat or make T1 contrast."""


def guess_of_header(values: Mapping[str, object]) -> Guess:
    """values: tags by keyword, as a pydicom data set or a dictionary gives them."""
    named = guess(text_of(values, "SeriesDescription"))
    if not named.kinds:
        named = guess(text_of(values, "ProtocolName"))
    agent = bool(text_of(values, "ContrastBolusAgent")) and text_of(values, "ContrastBolusAgent").casefold() not in NO_AGENT
    return with_agent(with_times(named, times_say(values)), agent)


NO_AGENT = frozenset({"none", "no", "n", "0", "n/a", "na"})


def text_of(values: Mapping[str, object], name: str) -> str:
    """A tag as text; "" when it is not there."""
    found = values.get(name)
    if found is None:
        return ""
    return " ".join(str(one) for one in found) if isinstance(found, (list, tuple)) else str(found).replace("\\", " ").strip()


def number_of(values: Mapping[str, object], name: str) -> float | None:
    """A tag as a number; None when it is none."""
    try:
        found = values.get(name)
        return None if found in (None, "") else float(found)
    except (TypeError, ValueError):
        return None


def times_say(values: Mapping[str, object]) -> str:
    """ "t1", "t2", "flair", "adc" or "dwi" where the header leaves no doubt; "" otherwise."""
    kinds = text_of(values, "ImageType").upper().split()
    if "ADC" in kinds:
        return "adc"
    if number_of(values, "DiffusionBValue"):
        return "dwi"
    echo, repetition, inversion = (number_of(values, f"{name}Time") for name in ("Echo", "Repetition", "Inversion"))
    sequence = text_of(values, "ScanningSequence").upper().split()
    if echo is None or repetition is None or "EP" in sequence:
        return ""
    nulls_fluid = inversion is not None and FLUID_INVERSION_MS[0] <= inversion <= FLUID_INVERSION_MS[1]
    if nulls_fluid and echo >= LONG_ECHO_MS:
        return "flair"
    if inversion and not nulls_fluid:
        return "t1" if echo <= SHORT_ECHO_MS and inversion >= 400.0 else ""
    if "SE" in sequence and not inversion:
        if echo <= SHORT_ECHO_MS and repetition <= SHORT_REPETITION_MS:
            return "t1"
        return "t2" if echo >= LONG_ECHO_MS and repetition >= LONG_REPETITION_MS else ""
    return "t1" if sequence == ["GR"] and echo <= 10.0 and repetition <= 50.0 else ""


def with_times(named: Guess, measured: str) -> Guess:
    """The name's answer beside the times': they fill in for a name that says nothing; a contradiction is told as one."""
    if not measured or not (named.kinds <= {T1, T1C, T2, FLAIR}):
        return named
    if not named.kinds:
        return Guess(frozenset({measured}), f"{UNMARKED_TIMES}" if measured == T1 else "its times")
    if measured in named.kinds or (measured == T1 and T1C in named.kinds):
        kept = {kind for kind in named.kinds if kind == measured or (measured == T1 and kind == T1C)}
        return Guess(frozenset(kept), named.why)
    return Guess(named.kinds | {measured}, "its name and its times contradict each other")


UNMARKED_TIMES = "its times, which say nothing of contrast"


def with_agent(found: Guess, agent: bool) -> Guess:
    """A contrast agent in the header makes a T1 of which nothing else is said one with contrast; against "pre" it is unclear."""
    if not agent or found.kinds != {T1}:
        return found
    if found.why in (UNMARKED, UNMARKED_TIMES):
        return Guess(frozenset({T1C}), "the contrast agent in its header")
    return Guess(frozenset({T1, T1C}), "its name says without contrast, its header names a contrast agent")

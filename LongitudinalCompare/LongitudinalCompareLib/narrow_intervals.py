"""What intervals do not contain, in a few sentences for all lesions; which lesion and date each is true of, the entries say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from LongitudinalCompareLib.comparison import READER, ComparedTrack
from LongitudinalCompareLib.repeatability import LONGEST_DIAMETER, NONE_PUBLISHED, SHORT_AXIS
from LongitudinalCompareLib.uncertainty import ONE_SEGMENTATION

LEAD = "Intervals are too narrow"
UNPUBLISHED = "published errors exist for none of: {places}; what another scan would change is not in theirs"
NO_OTHER = "each date has one segmentation only: how far another one would differ is in no interval"
SOME_OTHER = "where there is one segmentation only, how far another one would differ is in no interval"
VOLUMES_ONLY = "how far experts differ is in those of volumes only"


def narrow_texts(tracks: Sequence[ComparedTrack]) -> tuple[str, ...]:
    """Sentences, each once; () where intervals hold all."""
    told = list(dict.fromkeys(text for track in tracks for text in texts_of(track)))
    unpublished = dict.fromkeys(place for text in told if text.startswith(NONE_PUBLISHED) for place in [place_of(text)])
    found = [UNPUBLISHED.format(places=", ".join(places_text(tracks, unpublished)))] if unpublished else []
    found += [one_text(tracks)] if ONE_SEGMENTATION in told else []
    found += [text for text in told if text != ONE_SEGMENTATION and not text.startswith(NONE_PUBLISHED)]
    return tuple(f"{LEAD}: {text}." for text in found)


def texts_of(track: ComparedTrack) -> Iterator[str]:
    """Of one lesion, without what is said of a diameter that does not count: of a node the longest, of others the short axis."""
    aside = LONGEST_DIAMETER if track.node else SHORT_AXIS
    every = (text for entry in track.entries for text in entry.left_out)
    return (text for text in every if not text.startswith(f"{NONE_PUBLISHED} of the {aside} "))


def place_of(text: str) -> str:
    """Modality and organ: "CT liver" of "no published repeatability of the volume (CT liver, 20 mm): ..."."""
    inside = text.partition(" (")[2].partition(")")[0]
    return inside.rpartition(", ")[0]


def places_text(tracks: Sequence[ComparedTrack], places: Iterable[str]) -> Iterator[str]:
    """Each place, with the quantity where it is one of both only."""
    for place in places:
        every = {text for track in tracks for text in texts_of(track) if text.startswith(NONE_PUBLISHED)}
        names = sorted({text.partition(" of the ")[2].partition(" (")[0] for text in every if place_of(text) == place})
        yield place if len(names) > 1 else f"{place} ({names[0]})"


def one_text(tracks: Sequence[ComparedTrack]) -> str:
    """On how others would have drawn."""
    entries = [entry for track in tracks for entry in track.entries]
    if any(entry.experts for entry in entries):
        return VOLUMES_ONLY
    return SOME_OTHER if any(entry.source == READER for entry in entries) else NO_OTHER

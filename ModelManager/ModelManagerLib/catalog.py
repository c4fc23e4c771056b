"""The catalogue: which models and weights exist, with their files, licenses, needs and limits.

Built-in rows lie in `Resources/Catalog` (`models.json` is kept by hand, `totalsegmentator.json` is generated from the
package's own registry, `catalog.schema.json` describes both). A user's own rows are in ModelManagerLib.user_catalog.
Nothing is asked of the network, and no hash, address or size stands here that no source gave: what is unknown is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from OncoLib.errors import ModelError
from OncoLib.terminology import Structure

RUNNABLE_ENGINES = ("thresholds", "totalsegmentator", "nnunet", "monai")
"""Engines that have an expert: cards of these are what a request can name as its model."""

BUILT_IN, USER = "built in", "user"

MARKS = {
    "C": "confirmed in source or package",
    "T": "recorded by third-party manifest",
    "A": "from the paper's abstract",
    "G": "not confirmed",
    "?": "not found",
}
"""How a fact is known, in the words that a card's `marks` hold; the keys are the marks of our notes on sources."""


@dataclass(frozen=True)
class FileFact:
    """One file of an installed model. path: relative to the card's place, with `/`. source: who says so."""

    path: str
    bytes: int | None = None
    sha256: str | None = None
    source: str = ""


@dataclass(frozen=True)
class Source:
    """One thing to fetch. urls: the origin first, then mirrors of the same bytes. format: "zip", "tar.gz" or "file".

    bytes and sha256 are of the download itself; sha256 None: not published, so it is pinned at the first verified fetch.
    save_as: for format "file", its path relative to the card's place. root: for an archive, the folder in it that becomes
    the place ("" when everything in it does; None when not known: then one folder that holds all is taken for it).
    """

    urls: tuple[str, ...]
    bytes: int | None = None
    sha256: str | None = None
    sha256_source: str = ""
    format: str = "zip"
    save_as: str = ""
    root: str | None = ""


@dataclass(frozen=True)
class OtherHash:
    """A SHA-1 or MD5 that a source gives, kept apart: it finds a torn file, it does not prove an origin.

    of: "archive", or a file's path relative to the card's place.
    """

    of: str
    algorithm: str
    value: str


@dataclass(frozen=True)
class LicenseFacts:
    """License of the weights. id: SPDX or "LicenseRef-...". commercial, share_alike: None where the text does not say.

    gated: the host wants an account and its own acceptance. number_needed: TotalSegmentator's license number.
    text: what is shown before the first byte.
    """

    id: str
    title: str
    url: str = ""
    commercial: bool | None = None
    share_alike: bool | None = None
    gated: bool = False
    number_needed: bool = False
    text: str = ""


@dataclass(frozen=True)
class Needs:
    """What a run needs; None where nobody measured it. Memory in 10^9 bytes. packages: requirements such as "torch>=2.8"."""

    memory_gb: float | None = None
    gpu_memory_gb: float | None = None
    packages: tuple[str, ...] = ()
    python: str = ""


@dataclass(frozen=True)
class Channel:
    """One input, in the order in which the network takes it. patterns: words of file or series names, lower case.

    missing: what the model was made to take when there is no such image: "zeros", or the name of another channel; "" when it
    needs the image, as most do.
    """

    name: str
    title: str = ""
    patterns: tuple[str, ...] = ()
    missing: str = ""


@dataclass(frozen=True)
class Label:
    """One value of the network's output; None where no source gives it, the number of the output for overlapping regions.

    name: the network's own. structure: id in our terminology, "" when it has none.
    """

    value: int | None
    name: str
    structure: str = ""


@dataclass(frozen=True)
class LesionHost:
    """Where a model's lesions can be: in these organs (ids of our terminology, with their parts) grown by a margin in mm.

    label: the network's own name of the lesion.
    """

    label: str
    structures: tuple[str, ...]
    margin_mm: float


@dataclass(frozen=True)
class Timing:
    """A measured time. device: "gpu" or "cpu". about: on what it was measured, and by whom."""

    device: str
    seconds: float
    about: str = ""


@dataclass(frozen=True)
class ModelCard:
    """What a user should know of a model, or of the weights of one network.

    engine: what runs it; family: whose model it is, and the table of its labels. task: name of the task in its engine.
    modality: "CT", "MR", several joined by "/", or "any". place: folder of its files below the store's root ("" when
    nothing is stored). spacing_mm: (x, y, z), None where the network's plans say. restricted: not for everybody or not
    clear for whom, so never proposed as a default. needs: one line; requires: the same in numbers. marks: how facts are
    known, by field name. embedded: its files come with OncoSegment. caution: what each segment made with it must say, such as
    that it is for demonstration. seed_ids: rows of our notes on sources that this card stands for.
    """

    id: str
    title: str
    version: str
    engine: str
    needs: str = ""
    family: str = ""
    task: str = ""
    modality: str = ""
    body_parts: tuple[str, ...] = ()
    channels: tuple[Channel, ...] = ()
    labels: tuple[Label, ...] = ()
    hosts: tuple[LesionHost, ...] = ()
    overlapping: bool = False
    spacing_mm: tuple[float, float, float] | None = None
    sources: tuple[Source, ...] = ()
    files: tuple[FileFact, ...] = ()
    other_hashes: tuple[OtherHash, ...] = ()
    place: str = ""
    license: LicenseFacts = LicenseFacts("NOASSERTION", "License not stated")
    requires: Needs = Needs()
    times: tuple[Timing, ...] = ()
    intended_use: str = ""
    limits: str = ""
    citation: str = ""
    homepage: str = ""
    marks: Mapping[str, str] = field(default_factory=dict, hash=False)
    origin: str = BUILT_IN
    restricted: bool = False
    restricted_reason: str = ""
    embedded: bool = False
    caution: str = ""
    seed_ids: tuple[str, ...] = ()

    @property
    def runnable(self) -> bool:
        """True for a model that a request can name."""
        return self.engine in RUNNABLE_ENGINES

    @property
    def download_bytes(self) -> int | None:
        """Bytes to fetch; None when nothing is fetched or one source's size is not known."""
        sizes = [source.bytes for source in self.sources]
        return sum(sizes) if sizes and None not in sizes else None

    def structures(self) -> tuple[Structure, ...]:
        """What it finds, in our terminology, each once; labels without a structure become tissue with a readable name."""
        from ModelManagerLib.labels import structure_of_label

        found = [structure_of_label(self.family or self.engine, self.task, label.name) for label in self.labels]
        return tuple({one.id: one for one in found}.values())


@lru_cache(maxsize=1)
def built_in_cards() -> tuple[ModelCard, ...]:
    """All rows that OncoSegment brings: models that run, and weights."""
    from ModelManagerLib.catalog_reading import read_built_in

    return read_built_in()


def all_cards(own: Iterable[ModelCard] = ()) -> tuple[ModelCard, ...]:
    """Built-in rows and then the user's, as `user_catalog.user_cards()` gives them."""
    return (*built_in_cards(), *own)


def find_card(id: str, own: Iterable[ModelCard] = ()) -> ModelCard:
    """Any row of the catalogue, a model or weights; ModelError with close ids otherwise."""
    import difflib

    known = {one.id: one for one in all_cards(own)}
    if id not in known:
        close = difflib.get_close_matches(id, known, n=3)
        hint = f"close: {', '.join(close)}" if close else "`oncosegment models search` finds by words"
        raise ModelError(f"the catalogue has no {id!r}; {hint}")
    return known[id]


def cards() -> tuple[ModelCard, ...]:
    """All models that can be named in a request now; `all_cards` also has the weights and what no engine runs yet."""
    return tuple(one for one in built_in_cards() if one.runnable)


def card(model: str) -> ModelCard:
    """The model of that id that a request can name; ModelError naming those there are."""
    for item in cards():
        if item.id == model:
            return item
    raise ModelError(f"no model {model!r}; there are {', '.join(item.id for item in cards())}")

"""Finding and choosing rows of the catalogue: by words, by what they find, by license, by what this machine can run.

Nothing here asks the disk or the network: what is installed and what the machine has are arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache

from ModelManagerLib.catalog import RUNNABLE_ENGINES, USER, ModelCard, all_cards
from ModelManagerLib.search_words import LESIONS
from OncoLib.errors import InputError
from OncoLib.terminology import structure as known_structure

ALIASES = {
    "mri": "mr",
    "spinal": "spine",
    "vertebral": "vertebra",
    "hepatic": "liver",
    "renal": "kidney",
    "pulmonary": "lung",
    "cerebral": "brain",
    "thorax": "chest",
    "thoracic": "chest",
    "tumour": "tumor",
    "tumours": "tumor",
    "hcc": "liver",
}
"""Other words for what our terms say; each is looked for besides the word itself."""

STOP_WORDS = frozenset({"a", "and", "for", "in", "model", "of", "on", "the", "with"})


@dataclass(frozen=True)
class Machine:
    """What a run would find here; None where it is not known. Memory in 10^9 bytes; no GPU is 0.0.

    version_of: the installed version of a distribution, or None.
    """

    memory_gb: float | None = None
    gpu_memory_gb: float | None = None
    python: str = ""
    version_of: Callable[[str], str | None] = field(default=lambda name: None, repr=False)


@dataclass(frozen=True)
class Hit:
    """One row that was found. unfit: why this machine cannot run it, one sentence each; None when nobody asked."""

    card: ModelCard
    installed: bool = False
    unfit: tuple[str, ...] | None = None

    def row(self) -> dict:
        """JSON-ready facts for a list."""
        card = self.card
        return {
            "id": card.id,
            "title": card.title,
            "version": card.version,
            "engine": card.engine,
            "family": card.family,
            "task": card.task,
            "modality": card.modality,
            "body_parts": list(card.body_parts),
            "structures": len({label.structure or label.name for label in card.labels}),
            "download_bytes": card.download_bytes,
            "license": card.license.id,
            "commercial": card.license.commercial,
            "restricted": card.restricted,
            "restricted_reason": card.restricted_reason,
            "origin": card.origin,
            "needs": card.needs,
            "runnable": card.runnable,
            "installed": self.installed,
            "unfit": None if self.unfit is None else list(self.unfit),
        }


def search(
    words: str = "",
    *,
    modality: str = "",
    body_part: str = "",
    structure: str = "",
    commercial: bool | None = None,
    engine: str = "",
    origin: str = "",
    fits: bool = False,
    machine: Machine | None = None,
    installed: Collection[str] = (),
    cards: Iterable[ModelCard] | None = None,
) -> list[Hit]:
    """Rows that meet every condition: installed ones first, for which what comes with OncoSegment does not count, then
    unrestricted ones, then those whose title has the words, then those that an expert of ours runs, then the order of the
    catalogue.

    words: each must begin a word of title, task, family, modality, body parts, or of one structure's name, id or code;
    "commercial" finds what may be used commercially. structure: id of our terminology; its side may be left out.
    commercial: True or False, as the license says. engine: engine or family. fits: only what `machine` can run.
    cards: by default the built-in ones. InputError for an unknown structure id.
    """
    if fits and machine is None:
        raise InputError("what fits this machine can only be told when the machine is given")
    if structure:
        known_structure(structure)
    wanted = [word for word in _words(words) if word not in STOP_WORDS]
    tests = [
        lambda card: not modality or takes(card, modality),
        lambda card: not body_part or body_part.casefold() in card.body_parts,
        lambda card: not structure or finds(card, structure),
        lambda card: commercial is None or card.license.commercial is commercial,
        lambda card: not engine or engine in (card.engine, card.family),
        lambda card: not origin or card.origin == origin,
    ]
    found = []
    for order, card in enumerate(all_cards() if cards is None else cards):
        score = score_of(card, wanted)
        if score is None or not all(test(card) for test in tests):
            continue
        unfit = None if machine is None else tuple(reasons_against(card, machine))
        if not (fits and unfit):
            hit = Hit(card, card.id in installed, unfit)
            found.append((not hit.installed or card.embedded, card.restricted, score, not has_expert(card), order, hit))
    return [hit for *_, hit in sorted(found, key=lambda one: one[:-1])]


BY_CLICKS = ("sam2", "sam", "mobile_sam")
"""Engines of cards that click refinement runs."""


def has_expert(card: ModelCard) -> bool:
    """True when an expert of ours or an engine of click refinement runs the model, or loads the weights."""
    engines = (*RUNNABLE_ENGINES, "nnunetv2", "monai_bundle", "monai_auto3dseg", *BY_CLICKS)
    return card.engine in engines or card.family in RUNNABLE_ENGINES


def takes(card: ModelCard, modality: str) -> bool:
    """True when the model takes images of that modality; those for any take all."""
    return card.modality == "any" or modality.upper() in card.modality.split("/")


def finds(card: ModelCard, structure: str) -> bool:
    """True when a label is that structure, or one side of it."""
    sides = (structure, f"{structure}_left", f"{structure}_right")
    return any(label.structure in sides for label in card.labels)


def default_for(
    structure: str,
    modality: str,
    *,
    installed: Collection[str] = (),
    machine: Machine | None = None,
    any_engine: bool = False,
    cards: Iterable[ModelCard] | None = None,
) -> ModelCard | None:
    """The row that is proposed for a structure, or None. Never a restricted one, and never a user's own.

    Installed ones come first, then TotalSegmentator's, whose rows are made from its package and whose results are compared with
    its command, then the finer spacing, then the order of the catalogue. With `machine` only what it can
    hold is proposed; missing packages do not count, they can be installed. any_engine: also what no expert of ours runs
    yet, after what one runs.
    """
    found = search(structure=structure, modality=modality, installed=installed, cards=cards)
    free = [hit for hit in found if not hit.card.restricted and hit.card.origin != USER]
    fit = [hit for hit in free if machine is None or not too_big(hit.card, machine)]
    usable = [hit for hit in fit if any_engine or has_expert(hit.card)]
    ordered = sorted(usable, key=lambda hit: (not has_expert(hit.card), not hit.installed, *_order(hit.card)))
    return ordered[0].card if ordered else None


def _order(card: ModelCard) -> tuple[bool, float]:
    return card.family != "totalsegmentator", _voxel_mm3(card)


def _voxel_mm3(card: ModelCard) -> float:
    if card.spacing_mm is None:
        return float("inf")
    x, y, z = card.spacing_mm
    return x * y * z


def score_of(card: ModelCard, wanted: list[str]) -> int | None:
    """0 when all words are in the title and the like, 1 when some are in the structures only, 2 and 3 when another word for
    a lesion is; None when one is nowhere."""
    said, held = _texts(card)
    for same in (False, True):
        rest = [word for word in wanted if not _begins(word, said, same)]
        if not rest:
            return 2 * same
        if any(all(_begins(word, name, same) for word in rest) for name in held):
            return 2 * same + 1
    return None


@lru_cache(maxsize=1024)
def _texts(card: ModelCard) -> tuple[frozenset, tuple[frozenset, ...]]:
    """Words of the card itself, and the words of each label."""
    said = " ".join((card.title, card.id, card.task, card.family, card.modality, *card.body_parts, card.intended_use))
    extra = {"mr", "ct"} if card.modality == "any" else set()
    if card.license.commercial:
        extra.add("commercial")
    names = {(label.name, label.structure) for label in card.labels}
    return frozenset(_words(said)) | extra, tuple(frozenset(_words(" ".join(_spoken(*one)))) for one in sorted(names))


def _spoken(name: str, structure: str) -> tuple[str, ...]:
    """The label, and the name, id and codes of its structure."""
    if not structure:
        return (name,)
    known = known_structure(structure)
    codes = [part["value"] for part in known.entry.as_dict().values()]
    return (name, structure, known.name, *codes)


def _begins(word: str, texts: Iterable[str], same: bool) -> bool:
    """True when the word begins one of the texts; a plural finds its singular. same: a lesion by
    any of its words."""
    singular = re.sub(r"(?:ies|es|s|(?<=a)e)$", "", word)
    forms = (
        {word, ALIASES.get(word, word)}
        | ({singular} if len(singular) >= 4 else set())
        | (LESIONS if same and word in LESIONS else set())
    )
    return any(text.startswith(form) for text in texts for form in forms)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.casefold())


def reasons_against(card: ModelCard, machine: Machine) -> list[str]:
    """Why this machine cannot run it now, one sentence each; what is not known is no reason."""
    return [*too_big(card, machine), *missing_packages(card, machine)]


def too_big(card: ModelCard, machine: Machine) -> list[str]:
    """Memory that is too small. Without a GPU its memory is no reason: the processor does the work, slowly."""
    needs, found = card.requires, []
    if needs.memory_gb is not None and machine.memory_gb is not None and machine.memory_gb < needs.memory_gb:
        found.append(f"needs {needs.memory_gb:.1f} GB of memory; this machine has {machine.memory_gb:.1f} GB")
    if needs.gpu_memory_gb is not None and machine.gpu_memory_gb and machine.gpu_memory_gb < needs.gpu_memory_gb:
        found.append(f"needs {needs.gpu_memory_gb:.1f} GB of GPU memory; this GPU has {machine.gpu_memory_gb:.1f} GB")
    return found


def missing_packages(card: ModelCard, machine: Machine) -> list[str]:
    """Packages that are absent or too old, and a Python that is."""
    found = []
    for requirement in card.requires.packages:
        name, wanted = split_requirement(requirement)
        version = machine.version_of(name)
        if version is None:
            found.append(f"needs the package {name}, which is not installed")
        elif version_numbers(version) < version_numbers(wanted):
            found.append(f"needs {name} {wanted} or later; {version} is installed")
    if card.requires.python and machine.python and version_numbers(machine.python) < version_numbers(card.requires.python):
        found.append(f"needs Python {card.requires.python} or later; this is Python {machine.python}")
    return found


def split_requirement(requirement: str) -> tuple[str, str]:
    """ "torch>=2.8" -> ("torch", "2.8"); ("torch", "") without a version. InputError for another form."""
    match = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:>=([0-9][0-9.]*))?", requirement)
    if not match:
        raise InputError(f"the package {requirement!r} is not understood; wanted a name, or a name>=version")
    return match[1], match[2] or ""


def version_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: "2.13.0+cu130" -> (2, 13). Trailing zeros do not count."""
    numbers = [int(part) for part in re.match(r"[0-9]*(?:\.[0-9]+)*", version)[0].split(".") if part]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def this_machine(gpu_memory_gb: float | None = None) -> Machine:
    """The machine that this process runs on. gpu_memory_gb: ModelManagerLib.environment does not ask a GPU."""
    from ModelManagerLib.environment import environment, installed

    found = environment()
    return Machine(found.memory_gb, gpu_memory_gb, found.python, lambda name: installed((name,)).get(name))


def card_facts(card: ModelCard) -> dict:
    """All facts of a card, JSON-ready, with name and codes of each label's structure."""
    facts = asdict(card)
    facts["labels"] = [{**asdict(label), **_coded(label.structure)} for label in card.labels]
    facts["runnable"], facts["download_bytes"] = card.runnable, card.download_bytes
    return facts


def _coded(structure: str) -> Mapping[str, object]:
    if not structure:
        return {}
    known = known_structure(structure)
    return {"structure_name": known.name, "codes": known.entry.as_dict(), "note": known.note}

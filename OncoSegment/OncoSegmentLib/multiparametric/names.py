"""Which MR contrast a file name or a series description stands for; "could be several" rather than a guess.

The words are those of public data sets (BraTS, TCGA, IXI, MSD), of the vendors' sequence names and of what is written on
scanners in English and German. A contrast is told by the name that `experts.channels.SAME_NAMES` has for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

T1, T1C, T2, FLAIR = "t1", "t1c", "t2", "flair"

SUFFIXES = re.compile(r"\.(nii\.gz|nii|nrrd|nhdr|mha|mhd)$")
SIGNS = (
    # what splitting into words would lose
    (r"t2\s*\*", " t2star "),
    (r"t2[ _-]?star", " t2star "),
    (r"\bw\s*/\s*wo\b|\bw\s*&\s*wo\b|\bwith\s+and\s+without\b|\bpre\s*(and|&|/|\+)\s*post\b", " pre postc "),
    (r"\bw\s*/\s*o\b|\bw/out\b", " without "),
    (r"\+\s*(c|gd|gad|km|k)(?![a-z])", " postc "),
    (r"(?<![a-z])c\+", " postc "),
    (r"\bw\s*/", " with "),
    (r"\bnon[ _-]?(contrast|enhanced)", " native "),
    (r"\b(no|without|ohne|sans)[ _-]*(iv[ _-]*)?(contrast|gad[a-z]*|gd|km|kontrast[a-z]*|c|ce)\b", " native "),
    (r"\b(pre|post)[ _-]?(op|operative|surgery|surgical|rt|rtx|treatment|therapy)\b", " "),
    (r"dark[ _-]?fluid", " flair "),
)

PARTS = re.compile(r"(?P<t>t[12])(?P<w>w|weighted|wi)?(?P<more>[a-z]*)")
CONTRAST = frozenset(
    "postc post postcontrast postgad postgd contrast gd gad gado gadolinium gadovist dotarem ce cm km c wc withcontrast"
    " enhanced kontrast".split()
)
NATIVE = frozenset("pre precontrast n nativ native nat noncontrast unenhanced plain without ohne wo noc".split())
FLAIRS = frozenset("flair fla tirm t2flair flairt2 t2f".split())
T1_SEQUENCES = frozenset("mprage bravo spgr fspgr tfl mp2rage".split())
OTHERS = {
    "adc": "adc", "apparent": "adc", "dadc": "adc", "dwi": "dwi", "diff": "dwi", "diffusion": "dwi", "trace": "dwi",
    "tracew": "dwi", "dti": "dwi", "b1000": "dwi", "b0": "dwi", "swi": "swi", "swan": "swi", "t2star": "t2star", "tof": "tof",
    "mra": "tof", "mrv": "tof", "medic": "t2star", "hemo": "t2star", "perf": "perfusion", "perfusion": "perfusion",
    "dsc": "perfusion", "dce": "perfusion", "asl": "perfusion", "cbf": "perfusion", "cbv": "perfusion", "rcbv": "perfusion",
    "mtt": "perfusion", "bold": "bold", "fmri": "bold", "pd": "pd", "pdw": "pd", "ciss": "ciss", "fiesta": "ciss",
    "localizer": "localizer", "localiser": "localizer", "loc": "localizer", "scout": "localizer", "survey": "localizer",
    "calibration": "localizer", "mip": "projection", "subtraction": "subtraction", "sub": "subtraction", "subt": "subtraction",
    "seg": "mask", "segmentation": "mask", "mask": "mask", "label": "mask", "labels": "mask", "brainmask": "mask", "roi": "mask",
    "phase": "phase map", "pha": "phase map", "t1map": "t1 map", "t2map": "t2 map", "map": "map", "ct": "ct", "pet": "pt",
}  # fmt: skip


@dataclass(frozen=True)
class Guess:
    """What an image may be. kinds: one, several where it is not clear, none where nothing says it. why: one short clause."""

    kinds: frozenset[str] = frozenset()
    why: str = ""

    @property
    def kind(self) -> str:
        """The only one; "" otherwise."""
        return next(iter(self.kinds)) if len(self.kinds) == 1 else ""


def words_of(text: str) -> list[str]:
    """The words of a name, small letters; signs such as "+C", "w/o" and "T2*" become words."""
    found = SUFFIXES.sub("", text.casefold().strip()).replace("_", " ")
    found = re.sub(r"\b(sub|ses|run|acq)-[a-z0-9]+", " ", found)  # BIDS names the subject "sub-01"
    for pattern, stands_for in SIGNS:
        found = re.sub(pattern, stands_for, found)
    return [word for word in re.split(r"[^a-z0-9]+", found) if word]


def guess(text: str) -> Guess:
    """The contrast of an image with this file name or series description."""
    words = words_of(text)
    flags = [flag for word in words for flag in flags_of(word)]
    others = {OTHERS[word] for word in words if word in OTHERS}
    if others == {"adc", "dwi"}:  # a map made of diffusion images
        others = {"adc"}
    if others:
        return Guess(frozenset(others), "its name") if len(others) == 1 else Guess(frozenset(), "its name says several things")
    return _structural(flags, words)


def _structural(flags: list[str], words: list[str]) -> Guess:
    """T1, T1c, T2 or FLAIR of what the words say."""
    told = {"t1", "t2", "flair"} & set(flags)
    said = {word for before, word in zip(["", *words], words) if len(word) > 1 or "t1" in flags_of(before)}
    native = "native" in flags or bool(NATIVE & said)
    contrast = "contrast" in flags or bool(CONTRAST & said)
    if "t1" in told and "t2" in told:
        return Guess(frozenset({T1, T1C, FLAIR if "flair" in told else T2}), "its name says T1 and T2")
    if "t1" in told:  # T1 FLAIR is a T1
        if native and contrast:
            return Guess(frozenset({T1, T1C}), "its name says both with and without contrast")
        return Guess(frozenset({T1C if contrast else T1}), "its name" if native or contrast else UNMARKED)
    if "flair" in told:
        return Guess(frozenset({FLAIR}), "its name")
    return Guess(frozenset({T2}), "its name") if "t2" in told else Guess()


UNMARKED = "its name, which says nothing of contrast"


def flags_of(word: str) -> set[str]:
    """What one word says: t1, t2, flair, contrast, native; nothing for a word of no meaning here."""
    if word in FLAIRS or (word.startswith("flair") and len(word) <= 8):
        return {"flair"}
    if word in T1_SEQUENCES:
        return {"t1"}
    if word == "t1km":
        return {"t1", "contrast"}
    match = PARTS.fullmatch(word)
    if not match:
        return set()
    more = match["more"]
    if more in CONTRAST:
        return {match["t"], "contrast"}
    if more in NATIVE:
        return {match["t"], "native"}
    if more.startswith("flair") or more == "f" and match["t"] == "t2":
        return {match["t"], "flair"} if match["t"] == "t1" else {"flair"}
    known = more in ("", "fs", "se", "tse", "fse", "spir", "spair", "mpr", "gre", "ax", "sag", "cor", "tra", "vol", *T1_SEQUENCES)
    return {match["t"]} if known else set()

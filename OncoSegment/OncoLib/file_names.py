"""File names from names of segments: safe on every system, readable, no two alike."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

LONGEST_BYTES = 100
"""Of a name without its suffix, in UTF-8: file systems end at 255, and the whole path of old Windows programs at 260."""

DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"] + [f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³"]
)
"""Names that Windows keeps for devices, with any suffix (Microsoft, "Naming Files, Paths, and Namespaces")."""

FALLBACK = "segment"


def safe_names(names: Sequence[str]) -> list[str]:
    """A safe file name without suffix for each name, in order.

    Letters and digits of any script, "-" and "." inside stay; everything else becomes "_". Names that differ only in
    what file systems ignore (case, composed letters) get "-2", "-3" ...
    """
    taken: set[str] = set()
    return [_unique(safe_name(name), taken) for name in names]


def safe_name(name: str) -> str:
    """One safe file name without suffix, not yet unique."""
    text = "".join(letter if _stays(letter) else "_" for letter in unicodedata.normalize("NFC", name))
    text = "_".join(part for part in text.split("_") if part).strip(" ._-")
    text = _cut(text, LONGEST_BYTES).rstrip(" ._-") or FALLBACK
    return f"{text}_" if text.split(".")[0].upper() in DEVICES else text


def _stays(letter: str) -> bool:
    """True for letters, marks and digits of any script, and for two signs that no system reserves."""
    return letter in "-." or unicodedata.category(letter)[0] in "LMN"


def _cut(text: str, most_bytes: int) -> str:
    """At most so many bytes of UTF-8, no letter cut in two."""
    return text.encode("utf-8")[:most_bytes].decode("utf-8", errors="ignore")


def _unique(name: str, taken: set[str]) -> str:
    """The name, numbered when another of its kind was given out before."""
    number, found = 1, name
    while _key(found) in taken:
        number += 1
        end = f"-{number}"
        found = _cut(name, LONGEST_BYTES - len(end)) + end
    taken.add(_key(found))
    return found


def _key(name: str) -> str:
    """Equal for names that one of the usual file systems takes for the same."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())

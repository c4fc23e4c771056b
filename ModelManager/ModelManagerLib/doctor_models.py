"""The doctor's look at installed models: whole, with the packages they need, and whether this machine can run them."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from ModelManagerLib.doctor_packages import installed as distributions
from ModelManagerLib.doctor_packages import normal, requirement_class
from ModelManagerLib.environment import memory_gb
from ModelManagerLib.finding import FAIL, OK, UNKNOWN, WARN, Finding
from OncoLib.errors import OncoError

LARGEST_CONFIG = 1 << 20
STATES = {
    "damaged": (FAIL, "is damaged: a file is missing or was changed", "oncosegment models install {id}"),
    "partial": (WARN, "was begun and is not whole", "oncosegment models install {id}"),
}


def home_findings(environ: Mapping[str, str], home: Path) -> list[Finding]:
    """TotalSegmentator's own settings. OncoSegment's runs do not use them; the package's own commands do."""
    subject = "TotalSegmentator"
    named = environ.get("TOTALSEG_HOME_DIR", "").strip()
    path = (Path(named) if named else home / ".totalsegmentator") / "config.json"
    if not path.is_file():
        return [Finding(subject, OK, "TotalSegmentator has no settings of its own here.")]
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            raise ValueError("too large")
        config = json.loads(path.read_text(encoding="utf-8"))
        config["send_usage_stats"] = bool(config.get("send_usage_stats", True))
    except (OSError, ValueError, TypeError, AttributeError):
        return [
            Finding(
                subject, WARN, "TotalSegmentator's config.json cannot be read.", "Remove it; TotalSegmentator makes a new one."
            )
        ]
    found = []
    if config["send_usage_stats"]:
        told = "TotalSegmentator's own commands send usage statistics; OncoSegment's runs do not."
        found.append(
            Finding(subject, WARN, told, 'Set "send_usage_stats" to false in config.json of TotalSegmentator\'s folder.')
        )
    if config.get("license_number") and readable_by_others(path):
        told = "Other users of this machine can read the license number in TotalSegmentator's config.json."
        found.append(Finding(subject, WARN, told, "Take the file's rights away from others: chmod 600 config.json"))
    return found or [Finding(subject, OK, "TotalSegmentator's usage statistics are off.")]


def readable_by_others(path: Path) -> bool:
    """True when the system's rights let group or others read; Windows has none of these."""
    return os.name == "posix" and bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def model_findings(store: Path | None, torch: Mapping, path: Iterable[str]) -> list[Finding]:
    """Every model that runs, and every one in the store."""
    if store is None:
        return []
    from ModelManagerLib.user_catalog import whole_catalog

    catalog, problem = whole_catalog(store)
    found = (
        [Finding("Your catalogue", WARN, "Rows of your own catalogue cannot be used.", "Correct catalog.json.")]
        if problem
        else []
    )
    there = {name: copies[0].version for name, copies in distributions(path).items()}
    machine = Machine(memory_gb(), gpu_gb(torch), there)
    return found + [one for card in catalog for one in card_findings(card, store, machine)]


class Machine:
    """memory and GPU memory in 10^9 bytes, None where not known; packages: version by normalized name."""

    def __init__(self, memory: float | None, gpu: float | None, packages: Mapping[str, str]) -> None:
        self.memory, self.gpu, self.packages = memory, gpu, packages


def gpu_gb(torch: Mapping) -> float | None:
    """Memory of the largest GPU that works; None without one."""
    return max((one["total"] / 1e9 for one in torch.get("devices") or () if one.get("works")), default=None)


def card_findings(card, store: Path, machine: Machine) -> list[Finding]:
    """Nothing for a model that is not installed."""
    from ModelManagerLib.store import state

    subject = f"Model {card.id}"
    if not (card.place or card.runnable or card.embedded):
        return []
    try:
        how = state(card, store)
    except OncoError:
        return [Finding(subject, UNKNOWN, "Its place in the store cannot be looked at.")]
    if how == "missing":
        return []
    if how in STATES:
        level, told, repair = STATES[how]
        repair = "Install OncoSegment again." if card.embedded else repair
        return [Finding(subject, level, f"{card.title} {told}.", repair.format(id=card.id))]
    return [runs(card, subject, machine, how)]


def runs(card, subject: str, machine: Machine, how: str) -> Finding:
    """Whether what the card needs is here."""
    lacking = [text for text in card.requires.packages if not met(text, machine.packages)]
    if lacking:
        repair = "pip install " + " ".join(f'"{text}"' for text in lacking)
        return Finding(subject, WARN, f"{card.title} cannot run here: it needs {', '.join(lacking)}.", repair)
    needs = card.requires.memory_gb
    if needs and machine.memory and machine.memory < needs:
        told = f"{card.title} needs about {needs:.0f} GB of memory; this machine has {machine.memory:.0f}."
        return Finding(subject, WARN, told, "Use a region or a fast model.")
    where = "the processor"
    if machine.gpu is not None:
        small = card.requires.gpu_memory_gb and machine.gpu < card.requires.gpu_memory_gb
        where = "the processor; the GPU's memory is too small for it" if small else "the GPU"
    unverified = " Its hashes were not published, so it is as it first came." if how == "unverified" else ""
    return Finding(subject, OK, f"{card.title} can run here on {where}.{unverified}")


def met(text: str, packages: Mapping[str, str]) -> bool:
    """True when a requirement such as "torch>=2.8" is installed; one that cannot be read counts as met."""
    try:
        wanted = requirement_class()(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            return True
        version = packages.get(normal(wanted.name))
        return version is not None and wanted.specifier.contains(version, prereleases=True)
    except Exception:  # without a parser of requirements, or with a text that is none
        return True

"""The doctor's look at installed packages: what each wants of the others, against what is there."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass

from ModelManagerLib.environment import PACKAGES
from ModelManagerLib.finding import FAIL, OK, UNKNOWN, WARN, Finding

OURS = frozenset(
    name.casefold()
    for name in (*PACKAGES, "slicer-core", "vtk", "torchvision", "timm", "dynamic-network-architectures", "highdicom")
)
"""Packages whose conflicts stop a run of ours; those of others are told as warnings."""

REPAIRS = {
    ("antspyx", "numpy"): "Take antspyx out of Slicer's own Python; `oncosegment runtime install registration` keeps it apart.",
    ("antspyx", "scipy"): "Take antspyx out of Slicer's own Python; `oncosegment runtime install registration` keeps it apart.",
    ("slicer-core", "vtk"): "pip install --force-reinstall --no-deps vtk=={wanted}",
    ("torchvision", "torch"): "Install the torchvision of your torch's version and build; keep torch as it is.",
    ("nnunetv2", "torch"): "Install another torch than 2.9: torch 2.10 or later.",
    ("nninteractive", "torch"): "Install another torch than 2.9: torch 2.10 or later.",
    ("monai", "torch"): "pip install --upgrade torch",
    ("dynamic-network-architectures", "timm"): 'pip install "timm{wanted}"',
}
"""Conflicts that are known to happen, and what helps."""


@dataclass(frozen=True)
class Conflict:
    """`package` wants `needs` in `wanted`; found: its version, "" when it is not installed."""

    package: str
    needs: str
    wanted: str
    found: str


def package_findings(path: Iterable[str]) -> list[Finding]:
    """Versions, doubles, conflicts. path: folders to look in, in order, as in sys.path."""
    there = installed(path)
    versions = tuple(there[name][0].version for name in there)
    listed = ", ".join(
        f"{there[name.casefold()][0].name} {there[name.casefold()][0].version}" for name in PACKAGES if name.casefold() in there
    )
    found = [Finding("Packages", OK, f"Installed: {listed or 'none of those that models need'}.", "", versions)]
    found += [double(name, copies) for name, copies in there.items() if len({one.version for one in copies}) > 1]
    try:
        clashes = conflicts(there)
    except ImportError:
        told = "Conflicts were not looked for: neither packaging nor pip is installed."
        return [*found, Finding("Packages", UNKNOWN, told, "pip install packaging")]
    return found + [finding_of(clash) for clash in clashes]


def installed(path: Iterable[str]) -> dict[str, list[importlib.metadata.Distribution]]:
    """Distributions by normalized name; the first of several is the one that is imported."""
    found: dict[str, list] = {}
    for one in importlib.metadata.distributions(path=list(path)):
        name = one.metadata["Name"] if one.metadata else None
        if name and one.version:
            copies = found.setdefault(normal(name), [])
            if all(str(one.locate_file("")) != str(copy.locate_file("")) for copy in copies):
                copies.append(one)
    return found


def normal(name: str) -> str:
    """As installers compare names."""
    return name.casefold().replace("_", "-").replace(".", "-")


def double(name: str, copies: list) -> Finding:
    """Two versions on the path: which is imported depends on the order."""
    versions = tuple(copy.version for copy in copies)
    told = f"{name} is installed {len(copies)} times, as {' and '.join(versions)}; the first is used."
    return Finding(f"Package {name}", WARN, told, f"Remove one of them: pip uninstall {name}", versions)


def requirement_class():
    """The parser of requirements: of packaging, else the one that pip carries."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        from pip._vendor.packaging.requirements import Requirement
    return Requirement


def conflicts(there: dict[str, list]) -> list[Conflict]:
    """Every requirement, without extras, that is missing or met by another version."""
    Requirement = requirement_class()
    found = []
    for copies in there.values():
        for text in copies[0].requires or ():
            try:
                wanted = Requirement(text)
                if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
                    continue
            except Exception:  # metadata of old packages; pip itself skips what it cannot read
                continue
            other = there.get(normal(wanted.name))
            version = other[0].version if other else ""
            if not version or not wanted.specifier.contains(version, prereleases=True):
                found.append(Conflict(normal(copies[0].metadata["Name"]), normal(wanted.name), str(wanted.specifier), version))
    return found


def finding_of(clash: Conflict) -> Finding:
    """What it means, and what helps."""
    what = f"{clash.needs}{clash.wanted}" if clash.wanted else clash.needs
    told = f"{clash.package} wants {what}; " + (f"{clash.found} is installed." if clash.found else "it is not installed.")
    plain = f'pip install "{what}"'
    repair = REPAIRS.get((clash.package, clash.needs), plain) if clash.found else plain
    state = FAIL if clash.package in OURS and clash.found else WARN
    versions = tuple(part for part in (clash.found, clash.wanted.strip("=<>!~ ")) if part)
    return Finding(f"Package {clash.package}", state, told, repair.format(wanted=clash.wanted.removeprefix("==")), versions)

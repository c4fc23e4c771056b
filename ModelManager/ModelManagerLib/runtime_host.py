"""Packages in the host's own Python: those that are there stay as they are, whatever else is wanted."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ModelManagerLib import locks
from ModelManagerLib.disk import remove_tree
from ModelManagerLib.doctor_packages import installed, normal, requirement_class
from ModelManagerLib.runtime_isolated import gather, write_requirements
from ModelManagerLib.runtime_locks import Lock, Pin
from ModelManagerLib.runtime_pip import WOULD_CHANGE, Pip
from ModelManagerLib.runtime_places import Places, require_room, told
from ModelManagerLib.runtime_records import versions_of
from ModelManagerLib.runtime_sets import HOST, ISOLATED, SLICER, RuntimeSet
from ModelManagerLib.transfer_settings import TransferSettings
from OncoLib.background import interpreter
from OncoLib.errors import ModelError
from OncoLib.progress import CancelToken, Progress, part_of

LAST_STEP = "Installing; this step goes on to its end"
"""pip cannot take a half installation back, so nobody is offered to stop it."""


@dataclass(frozen=True)
class Host:
    """The Python that runs the program. kind: "slicer" or "host". path: where its packages are looked for."""

    kind: str
    python: str
    path: tuple[str, ...]

    @property
    def called(self) -> str:
        """In a sentence."""
        return "Slicer's Python" if self.kind == SLICER else "this Python"


def this_host(kind: str = "") -> Host:
    """The host of this process. kind: as the parent knows it, where this is a child."""
    return Host(kind or host_kind(), interpreter(), tuple(sys.path))


def host_kind(modules=sys.modules, environ=os.environ, prefix: str = sys.prefix) -> str:
    """ "slicer" within the application and in its PythonSlicer, else "host"."""
    if hasattr(modules.get("slicer"), "app"):
        return SLICER
    home = environ.get("SLICER_HOME", "")
    return SLICER if home and Path(prefix).resolve().is_relative_to(Path(home).resolve()) else HOST


@dataclass(frozen=True)
class Found:
    """What the host has of a set. missing: requirements without a package; outside: those met by another version, with it."""

    versions: dict[str, str]
    missing: tuple[str, ...]
    outside: tuple[tuple[str, str], ...]

    @property
    def satisfied(self) -> bool:
        """True when nothing is to be done."""
        return not self.missing and not self.outside


def look(one: RuntimeSet, host: Host) -> Found:
    """Reads the metadata of the set's packages, nothing else."""
    Requirement = requirement_class()
    wanted = [Requirement(text) for text in one.requirements]
    versions = versions_of(host.path, [requirement.name for requirement in wanted])
    missing = [str(requirement) for requirement in wanted if normal(requirement.name) not in versions]
    outside = [
        (str(requirement), version)
        for requirement in wanted
        if (version := versions.get(normal(requirement.name))) and not requirement.specifier.contains(version, prereleases=True)
    ]
    return Found(versions, tuple(missing), tuple(outside))


def clash_of(one: RuntimeSet, lock: Lock | None, host: Host) -> tuple[str, ...]:
    """Main packages of a set that the host has in another version, as "numpy 2.3.5 instead of 2.4.6": why it is isolated."""
    pins = [pin for name in one.modules if lock is not None and (pin := lock.pin(name))]
    there = versions_of(host.path, [pin.name for pin in pins])
    differ = [pin for pin in pins if pin.name in there and there[pin.name] != pin.version]
    return tuple(f"{pin.name} {pin.version} instead of {there[pin.name]}" for pin in differ)


def install(
    one: RuntimeSet,
    host: Host,
    places: Places,
    lock: Lock | None,
    *,
    pip: Callable[[Path], Pip],
    settings: TransferSettings,
    wheels: Path | None,
    progress: Progress,
    cancel: CancelToken,
    lock_options: dict | None = None,
) -> None:
    """Adds what is missing; ModelError when that cannot be without changing a package that is there.

    pip first says what it would do under constraints made of every package of the host. Only new packages are allowed;
    they are fetched by the hash that it named, and then installed without the network.
    """
    found = look(one, host)
    refuse(one, host, found)
    if found.satisfied:
        return
    places.prepare()
    with locks.held(places.lock, what=f"the set {one.name}", progress=progress, cancel=cancel, **(lock_options or {})):
        places.clean_up()
        require_room(places, one.space_bytes)
        before = all_versions(host.path)
        with places.transaction() as folder:
            runner = pip(folder)
            progress(0.02, "Asking what is missing")
            pins = planned(one, host, found, lock, before, runner, settings, wheels)
            new = Lock(lock.path if lock else Path(f"{one.name}.txt"), pins, "")
            source = gather(new, places, runner, settings, wheels, part_of(progress, 0.1, 0.8), cancel)
            cancel.check()
            progress(0.8, LAST_STEP)
            add(new, folder, source, runner)
        remove_tree(places.parts)
    importlib.invalidate_caches()
    changed = [name for name, version in all_versions(host.path).items() if before.get(name, version) != version]
    if changed:
        raise ModelError(f"{one.name}: pip changed {', '.join(changed)} although it was told not to; look at its log")


def refuse(one: RuntimeSet, host: Host, found: Found) -> None:
    """ModelError when a package that is there would have to change, or comes another way."""
    if found.outside:
        wanted, version = found.outside[0]
        raise ModelError(
            f"{one.name}: {host.called} has {package_of(wanted)} {version} and {wanted} is wanted; a package that is there"
            " is not changed, so update it yourself if nothing else needs it"
        )
    if host.kind == SLICER and any(text.startswith("torch") for text in found.missing):
        raise ModelError(
            f"{one.name}: PyTorch is missing; install Slicer's extension PyTorch, let its module PyTorch Utils install the build"
            " that fits this machine, and install this set again"
        )


def package_of(text: str) -> str:
    """The package of a requirement."""
    return requirement_class()(text).name


def all_versions(path: Iterable[str]) -> dict[str, str]:
    """Version of every package of the host, by normalized name; the one that is imported."""
    return {name: copies[0].version for name, copies in installed(path).items()}


def planned(
    one: RuntimeSet,
    host: Host,
    found: Found,
    lock: Lock | None,
    before: dict[str, str],
    pip: Pip,
    settings: TransferSettings,
    wheels: Path | None,
) -> tuple[Pin, ...]:
    """What pip would add, by name, version and hash; ModelError when it would touch anything that is there."""
    if wheels is None:
        settings.require_online(one.name)
    constraints = pip.folder / "constraints.txt"
    own = {pin.name: pin.version for pin in lock.pins} if lock else {}
    with told(one.name):
        constraints.write_text(constraints_of({**own, **before}), encoding="utf-8")
    report = pip.folder / "report.json"
    arguments = ["install", "--dry-run", "--only-binary", ":all:", "--constraint", str(constraints), "--report", str(report)]
    arguments += ["--no-index", "--find-links", str(wheels)] if wheels is not None else []
    try:
        pip.run([*arguments, *found.missing], one.name)
    except ModelError as error:
        if WOULD_CHANGE in str(error) and ISOLATED in one.kinds:
            raise ModelError(f"{error}; install it as {ISOLATED}, where it changes nothing") from error
        raise
    return pins_of(json.loads(report.read_text(encoding="utf-8")), before, one.name)


def constraints_of(versions: dict[str, str]) -> str:
    """One line a package. Versions of old packages that pip cannot read are left out: it would refuse the whole file, and
    the look at its plan keeps those packages too."""
    Requirement, lines = requirement_class(), []
    for name, version in versions.items():
        with contextlib.suppress(ValueError):
            lines.append(f"{Requirement(f'{name}=={version}')}\n")
    return "".join(lines)


def pins_of(report: dict, before: dict[str, str], what: str) -> tuple[Pin, ...]:
    """The packages of pip's report (https://pip.pypa.io/en/stable/reference/installation-report/)."""
    pins = []
    for item in report["install"]:
        name, version = normal(item["metadata"]["name"]), item["metadata"]["version"]
        if name in before:
            raise ModelError(f"{what}: pip would change {name} {before[name]} to {version}; packages that are there stay")
        digest = item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256", "")
        if not digest:
            raise ModelError(f"{what}: the index gives no SHA-256 for {name} {version}; it is not installed without")
        pins.append(Pin(name, version, frozenset([digest])))
    return tuple(pins)


def add(new: Lock, folder: Path, source: Path, pip: Pip) -> None:
    """Installs the wheels that were fetched; not to be stopped, since pip cannot take a half installation back."""
    requirements = write_requirements(folder / "all.txt", new.pins)
    arguments = ["install", "--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-index", "--find-links", str(source)]
    pip.run([*arguments, "--requirement", str(requirements)], new.path.stem, stoppable=False)

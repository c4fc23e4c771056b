"""The packages that OncoSegment needs beyond its own: which are there, where, and why; brought, verified and removed.

A set is `isolated`, in a folder of our own that only worker processes put on their path, or it lies in the host's own
Python (`host`, inside Slicer `slicer`), where packages are added but never changed. Nothing of the isolated folder is
ever imported by the host.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ModelManagerLib import runtime_host, runtime_isolated
from ModelManagerLib.downloads import user_transfer_settings
from ModelManagerLib.runtime_host import Host, this_host
from ModelManagerLib.runtime_locks import Lock, lock_path, platform_tag, python_tag, read_lock
from ModelManagerLib.runtime_pip import Pip, pip_environment
from ModelManagerLib.runtime_places import Places, read_manifest, runtime_root
from ModelManagerLib.runtime_records import Problem, problems_of, problems_of_packages
from ModelManagerLib.runtime_sets import (
    DAMAGED,
    HOST,
    ISOLATED,
    MISSING,
    OUTDATED,
    SETS,
    RuntimeSet,
    chosen_kind,
    set_named,
)
from ModelManagerLib.transfer_settings import TransferSettings
from OncoLib.errors import InputError, ModelError
from OncoLib.progress import CancelToken, Progress, silent


@dataclass(frozen=True)
class SetState:
    """What is there of a set. kind: "host", "slicer" or "isolated" when it can be used; "outdated" when it can and a newer
    list of packages came with the program; else "missing" or "damaged". versions: of what is used, by package. why: one
    sentence. bytes, folder: of the isolated set; 0 and "" otherwise. lock: name of the list of its exact files, or ""."""

    name: str
    title: str
    kind: str
    versions: dict[str, str]
    why: str
    bytes: int
    folder: str
    lock: str

    @property
    def usable(self) -> bool:
        """True when work that needs the set can run."""
        return self.kind not in (MISSING, DAMAGED)


@dataclass(frozen=True)
class Verification:
    """Every file of a set, read and compared."""

    name: str
    sentence: str
    problems: tuple[Problem, ...] = field(default_factory=tuple)

    @property
    def sound(self) -> bool:
        """True when all are as they came."""
        return not self.problems


def worker_path(root: Path | None = None, *, names: Iterable[str] | None = None) -> list[str]:
    """Folders of isolated sets that are whole, for this Python and platform, to be put first on a worker's `sys.path`.

    names: only these sets. Cheap: a manifest that is written last says that a set is whole; no file is compared.
    """
    root = root or runtime_root()
    chosen = [one for one in SETS.values() if ISOLATED in one.kinds and (names is None or one.name in names)]
    folders = [Places(root, one.name).folder for one in chosen]
    return [str(folder) for folder in folders if read_manifest(folder) is not None]


def states(root: Path | None = None, host: Host | None = None, *, locks_folder: Path | None = None) -> tuple[SetState, ...]:
    """The state of each set; only metadata is read."""
    return tuple(state(one.name, root, host, locks_folder=locks_folder) for one in SETS.values())


def state(name: str, root: Path | None = None, host: Host | None = None, *, locks_folder: Path | None = None) -> SetState:
    """The state of one set."""
    one, host = set_named(name), host or this_host()
    lock = known_lock(one, locks_folder)
    found = _isolated_state(one, Places(root or runtime_root(), name), lock, host) if ISOLATED in one.kinds else None
    if found is not None and found.usable:
        return found
    there = runtime_host.look(one, host)
    if there.satisfied:
        why = f"{host.called} has all of it; nothing needs to be installed"
        return SetState(name, one.title, host.kind, there.versions, _sentence(why), 0, "", _name(lock))
    return found or SetState(name, one.title, MISSING, there.versions, _why_missing(one, lock, there, host), 0, "", _name(lock))


def known_lock(one: RuntimeSet, folder: Path | None = None) -> Lock | None:
    """The lock of a set for this Python and platform; None where there is none."""
    path = lock_path(one.name, folder)
    return read_lock(path) if one.locked and path.exists() else None


def _isolated_state(one: RuntimeSet, places: Places, lock: Lock | None, host: Host) -> SetState | None:
    """None when there is no folder."""
    if not os.path.lexists(places.folder):
        return None
    manifest = read_manifest(places.folder)
    facts = (places.folder, lock)
    if manifest is None or any(not (places.folder / path).is_file() for path in manifest["records"]):
        return _of_folder(one, DAMAGED, {}, "files of the set are missing; install it again to repair it", 0, *facts)
    versions, size = manifest["versions"], manifest["bytes"]
    top = {name: versions[name] for name in one.modules if name in versions}
    if lock is None or lock.sha256 != manifest["lock_sha256"]:
        why = "it works, but this version of OncoSegment lists other versions; install it again to bring them"
        return _of_folder(one, OUTDATED, top, why, size, *facts)
    clash = runtime_host.clash_of(one, lock, host)
    kept = f"in {host.called} it would need {' and '.join(clash)}" if clash else one.reason
    return _of_folder(one, ISOLATED, top, f"in a folder of its own that only workers see; {kept}", size, *facts)


def _of_folder(one: RuntimeSet, kind: str, versions: dict, why: str, size: int, folder: Path, lock: Lock | None) -> SetState:
    return SetState(one.name, one.title, kind, versions, _sentence(why), size, str(folder), _name(lock))


def _why_missing(one: RuntimeSet, lock: Lock | None, there: runtime_host.Found, host: Host) -> str:
    if there.outside:
        wanted, version = there.outside[0]
        return _sentence(f"{host.called} has version {version} where {wanted} is wanted, and packages that are there stay")
    if ISOLATED in one.kinds and lock is None:
        return _sentence(f"there is no list of packages for {python_tag()} on {platform_tag()}, so it cannot be isolated")
    return _sentence(one.reason)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _name(lock: Lock | None) -> str:
    return lock.path.name if lock else ""


def install(
    name: str,
    kind: str | None = None,
    *,
    root: Path | None = None,
    host: Host | None = None,
    wheels: Path | None = None,
    settings: TransferSettings | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
    log: Callable[[str], None] = lambda line: None,
    locks_folder: Path | None = None,
    lock_options: dict | None = None,
) -> SetState:
    """Installs or repairs a set and returns its state; one that the host satisfies is left alone unless `kind` says so.

    kind: "isolated", "host" or "slicer"; None takes the set's own. wheels: a folder with its wheels, instead of the
    network. log: gets what pip prints. It holds a lock by a thread: in Slicer's own process call it by `runtime_work`.
    InputError, ModelError, OutputError or Cancelled with one sentence; what was there before is there still.
    """
    one, host, cancel = set_named(name), host or this_host(), cancel or CancelToken()
    wanted = chosen_kind(one, kind)
    if wheels is not None and not wheels.is_dir():
        raise InputError(f"{wheels.name} is no folder of wheels")
    places = Places(root or runtime_root(), name)
    settings = settings or user_transfer_settings()

    def pip(folder: Path) -> Pip:
        temporary = folder / "t"
        temporary.mkdir()
        return Pip(host.python, pip_environment(host.python, temporary, settings), folder, log, cancel)

    common = {"pip": pip, "settings": settings, "wheels": wheels, "progress": progress, "cancel": cancel}
    if wanted == HOST:
        lock = known_lock(one, locks_folder)
        runtime_host.install(one, host, places, lock, **common, lock_options=lock_options)
    elif kind == ISOLATED or not runtime_host.look(one, host).satisfied or os.path.lexists(places.folder):
        lock = read_lock(lock_path(name, locks_folder))
        runtime_isolated.install(one, places, lock, **common, lock_options=lock_options)
    progress(1.0, "Done")
    return state(name, root, host, locks_folder=locks_folder)


def verify(
    name: str,
    *,
    root: Path | None = None,
    host: Host | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> Verification:
    """Reads every file of the set and compares it with the records of its packages; ModelError when it is not there."""
    one, host = set_named(name), host or this_host()
    places = Places(root or runtime_root(), name)
    if os.path.lexists(places.folder) and ISOLATED in one.kinds:
        manifest = read_manifest(places.folder)
        records = manifest["records"] if manifest else {}
        problems = problems_of(places.folder, records, progress=progress, cancel=cancel)
        return _verification(name, problems)
    there = runtime_host.look(one, host)
    if not there.satisfied:
        raise ModelError(f"{name} is not installed; `oncosegment runtime install {name}` brings it")
    progress(None, "Comparing the files")
    return _verification(name, problems_of_packages(host.path, there.versions, cancel))


def _verification(name: str, problems: list[Problem]) -> Verification:
    if not problems:
        return Verification(name, f"{name}: every file is as it came")
    return Verification(name, f"{name}: {runtime_isolated.sentence_of(problems)}", tuple(problems))


def remove(
    name: str,
    *,
    root: Path | None = None,
    host: Host | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
    lock_options: dict | None = None,
) -> int:
    """Takes the isolated set away and returns the bytes that became free; ModelError for packages of the host itself."""
    one, host = set_named(name), host or this_host()
    places = Places(root or runtime_root(), name)
    if not (os.path.lexists(places.folder) or places.begun):
        if runtime_host.look(one, host).satisfied:
            raise ModelError(f"{name} lies in {host.called}, which others use too; `pip uninstall` there removes packages of it")
        raise ModelError(f"{name} is not installed")
    return runtime_isolated.remove(one, places, progress=progress, cancel=cancel or CancelToken(), lock_options=lock_options)

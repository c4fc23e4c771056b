"""Fills the folder of an isolated set: fetch, unpack, compare, try, and bring it in with one rename."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ModelManagerLib import locks
from ModelManagerLib.disk import folder_bytes, remove_tree
from ModelManagerLib.doctor_packages import normal
from ModelManagerLib.runtime_locks import Lock, Pin
from ModelManagerLib.runtime_pip import Pip
from ModelManagerLib.runtime_places import Places, read_manifest, require_room, told, write_manifest
from ModelManagerLib.runtime_records import Problem, problems_of, records_of, sha256, versions_of
from ModelManagerLib.runtime_sets import RuntimeSet
from ModelManagerLib.transfer_settings import TransferSettings
from OncoLib.errors import InputError, ModelError
from OncoLib.progress import CancelToken, Progress, part_of

TRY = """import importlib, json, sys
folder, answer, names = sys.argv[1], sys.argv[2], sys.argv[3:]
sys.path.insert(0, folder)
with open(answer, "w") as stream:
    json.dump({name: importlib.import_module(name).__file__ for name in names}, stream)
"""
"""Imports the set's packages without any package of the host: `-S` leaves the host's folders out."""


def install(
    one: RuntimeSet,
    places: Places,
    lock: Lock,
    *,
    pip: Callable[[Path], Pip],
    settings: TransferSettings,
    wheels: Path | None,
    progress: Progress,
    cancel: CancelToken,
    lock_options: dict | None = None,
) -> None:
    """Brings the set in, or repairs it; nothing is done when every file is as it should be.

    pip: makes the runner for a folder. wheels: a folder of wheels to take instead of the network. Until the last rename
    the old set, or none, is there; wheels that arrived stay for the next try.
    """
    places.prepare()
    with locks.held(places.lock, what=f"the set {one.name}", progress=progress, cancel=cancel, **(lock_options or {})) as held:
        places.clean_up()
        if is_whole(places, lock, part_of(progress, 0.0, 0.1), cancel):
            return
        arrived = folder_bytes(places.parts)
        require_room(places, max(one.space_bytes - arrived, one.space_bytes // 2))
        with places.transaction() as folder:
            runner = pip(folder)
            source = gather(lock, places, runner, settings, wheels, part_of(progress, 0.02, 0.7), cancel)
            progress(0.7, "Unpacking")
            new = unpack(lock, folder, source, runner)
            facts = examined(one, lock, new, part_of(progress, 0.8, 0.88), cancel)
            progress(0.88, "Trying the packages")
            try_out(one, new, runner)
            write_manifest(new, one.name, {**facts, "lock_sha256": lock.sha256, "bytes": folder_bytes(new)})
            cancel.check()
            held.check()
            progress(0.98, "Putting the packages in place")
            places.bring_in(new)
        remove_tree(places.parts)


def is_whole(places: Places, lock: Lock, progress: Progress, cancel: CancelToken) -> bool:
    """True when this very set is there with every file."""
    manifest = read_manifest(places.folder)
    if manifest is None or manifest["lock_sha256"] != lock.sha256:
        return False
    return not problems_of(places.folder, manifest["records"], progress=progress, cancel=cancel)


def gather(
    lock: Lock,
    places: Places,
    pip: Pip,
    settings: TransferSettings,
    wheels: Path | None,
    progress: Progress,
    cancel: CancelToken,
) -> Path:
    """The folder that has every wheel of the lock, by hash. One pip a wheel: what came stays, whenever the rest stops."""
    if wheels is not None:
        absent = lacking(lock, wheels)
        if absent:
            names = ", ".join(f"{pin.name} {pin.version}" for pin in absent[:4])
            more = f" and {len(absent) - 4} more" if len(absent) > 4 else ""
            raise InputError(f"{wheels.name}: of {lock.path.stem} the wheels of {names}{more} are not there, or not as listed")
        return wheels
    absent = lacking(lock, places.parts, throw_away=True)
    if absent:
        settings.require_online(lock.path.stem)
    done = len(lock.pins) - len(absent)
    for pin in absent:
        cancel.check()
        progress(done / len(lock.pins), f"Fetching {pin.name} {pin.version}, {done + 1} of {len(lock.pins)} packages")
        fetch(pin, places, pip)
        done += 1
    return places.parts


def fetch(pin: Pin, places: Places, pip: Pip) -> None:
    """One wheel into the folder of parts; pip compares its hash before it lays it there."""
    requirement = write_requirements(pip.folder / "one.txt", [pin])
    arguments = ["download", "--require-hashes", "--no-deps", "--only-binary", ":all:", "--dest", str(places.parts)]
    pip.run([*arguments, "--requirement", str(requirement)], pin.name)


def lacking(lock: Lock, folder: Path, *, throw_away: bool = False) -> list[Pin]:
    """The pins whose wheel is not in a folder with a listed hash. throw_away: files that are none of them go."""
    there: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        there.setdefault(normal(path.name.split("-")[0]), []).append(path)
    absent, good = [], set()
    for pin in lock.pins:
        fitting = [path for path in there.get(pin.name, ()) if path.suffix == ".whl" and sha256(path) in pin.sha256]
        good.update(fitting)
        if not fitting:
            absent.append(pin)
    if throw_away:
        for path in (path for paths in there.values() for path in paths if path not in good):
            remove_tree(path)
    return absent


def write_requirements(path: Path, pins: Sequence[Pin]) -> Path:
    """Pins as a file for pip."""
    with told(path.name):
        path.write_text("".join(map(line_of, pins)), encoding="utf-8")
    return path


def line_of(pin: Pin) -> str:
    """A pin as pip reads it."""
    return f"{pin.name}=={pin.version} {' '.join(f'--hash=sha256:{one}' for one in sorted(pin.sha256))}\n"


def unpack(lock: Lock, folder: Path, source: Path, pip: Pip) -> Path:
    """Installs the wheels into a new folder, without the network and without running anything of theirs."""
    new = folder / "new"
    requirements = write_requirements(folder / "all.txt", lock.pins)
    arguments = ["install", "--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-index", "--find-links", str(source)]
    arguments += ["--no-compile", "--no-warn-script-location", "--target", str(new), "--requirement", str(requirements)]
    environ = {key: value for key, value in pip.environ.items() if key not in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS")}
    Pip(pip.python, environ, pip.folder, pip.log, pip.cancel).run(arguments, lock.path.stem)
    return new


def examined(one: RuntimeSet, lock: Lock, new: Path, progress: Progress, cancel: CancelToken) -> dict:
    """Facts for the manifest; ModelError when files or versions are not those that were listed."""
    versions = versions_of([str(new)], [pin.name for pin in lock.pins])
    listed = {pin.name: pin.version for pin in lock.pins}
    wrong = sorted(name for name in listed if versions.get(name) != listed[name])
    count = len(list(new.glob("*.dist-info")))
    if wrong:
        raise ModelError(f"{one.name}: {', '.join(wrong)} came in another version than listed; nothing was changed")
    if count != len(listed):
        raise ModelError(f"{one.name}: {count} packages came and {len(listed)} are listed; nothing was changed")
    problems = problems_of(new, progress=progress, cancel=cancel)
    if problems:
        raise ModelError(f"{one.name}: {sentence_of(problems)}; nothing was changed")
    return {"versions": versions, "records": records_of(new)}


def try_out(one: RuntimeSet, new: Path, pip: Pip) -> None:
    """Imports the set's packages in a process that has nothing but them; ModelError when one does not come from there."""
    answer = pip.folder / "tried.json"
    private = {name: str(pip.folder) for name in ("MPLCONFIGDIR", "HOME", "USERPROFILE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    environ = {**pip.environ, **private, "MPLBACKEND": "agg"}
    environ.pop("PYTHONPATH", None)
    status, text = pip.child([pip.python, "-s", "-S", "-c", TRY, str(new), str(answer), *one.modules.values()], environ=environ)
    if status:
        last = re.sub(r"/[^ ]*/", "", text.strip().splitlines()[-1])[:150] if text.strip() else f"status {status}"
        raise ModelError(f"{one.name}: the packages do not work on this machine ({last}); nothing was changed")
    real = os.path.realpath(new)
    for name, file in json.loads(answer.read_text(encoding="utf-8")).items():
        if not os.path.realpath(file or "").startswith(real + os.sep):
            raise ModelError(f"{one.name}: {name} is not taken from the set's own folder; nothing was changed")


def sentence_of(problems: Sequence[Problem], most: int = 3) -> str:
    """How many files are missing, changed or additional, with the first few."""
    parts = []
    for what in dict.fromkeys(problem.what for problem in problems):
        paths = [problem.path for problem in problems if problem.what == what]
        more = ", ..." if len(paths) > most else ""
        parts.append(f"{len(paths)} {what} ({', '.join(paths[:most])}{more})")
    return f"files of the set are not as they came: {'; '.join(parts)}"


def remove(one: RuntimeSet, places: Places, *, progress: Progress, cancel: CancelToken, lock_options: dict | None = None) -> int:
    """Takes the set and what was begun of it away; the bytes that became free. OutputError while Windows holds a file."""
    if not places.root.is_dir():
        return 0
    places.prepare()
    with locks.held(places.lock, what=f"the set {one.name}", progress=progress, cancel=cancel, **(lock_options or {})):
        places.clean_up()
        freed = sum(folder_bytes(folder) for folder in existing(places))
        if os.path.lexists(places.folder):
            progress(None, "Taking the packages away")
            places.take_out()
        shutil.rmtree(places.parts, ignore_errors=True)
    return freed


def existing(places: Places) -> Iterator[Path]:
    """Folders of the set that are there."""
    return (folder for folder in (places.folder, places.parts) if folder.is_dir())

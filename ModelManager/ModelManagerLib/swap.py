"""Brings a new version in and takes an old one away so that a crash at any instant leaves one of the two.

A transaction is a folder `staging/<card id>~<unique>` with the new files in `new`, their manifest, and a journal that is
written last. Without a journal nothing has happened: the folder is thrown away. With it `recover` finishes the work, or
undoes it when the new files are not whole; it asks the files themselves, never a memory of how far the work had come.
The transaction ends when its folder moves to the trash, in one rename.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ModelManagerLib import locks
from ModelManagerLib.archive import DISK_FULL
from ModelManagerLib.disk import exchange, remove_tree, replace_patiently, sync_folder, sync_tree, told, write_json
from ModelManagerLib.manifest import Manifest, read_file, readable_manifest
from ModelManagerLib.store_places import Store
from OncoLib.audit import file_sha256
from OncoLib.errors import InputError, ModelError, OutputError
from OncoLib.progress import CancelToken, Progress, silent

JOURNAL, MANIFEST, NEW = "journal.json", "manifest.json", "new"
INSTALL, REMOVE = "install", "remove"
FORMAT = 1
"""Of the journal; a transaction of a newer one is left to the program that can read it."""

MARK = "~"
"""Between the card's id and the unique part; no id holds it."""


@dataclass(frozen=True)
class Patience:
    """How locks are held. wait_s: how long another owner is waited for; None waits for ever."""

    beat_s: float = locks.BEAT_S
    wait_s: float | None = None


PATIENT, AT_ONCE = Patience(), Patience(wait_s=0.0)


@contextlib.contextmanager
def locked(
    store: Store, card_id: str, patience: Patience, progress: Progress, cancel: CancelToken | None, *, on_full_disk: bool = False
) -> Iterator[locks.Lock | None]:
    """Holds the one lock under which a card's place, manifest and transactions change.

    on_full_disk: where the disk has no room for the lock's record, an empty file is the lock, and None is yielded. Who
    waits takes it for a dead owner's after some beats: it is for work of seconds.
    """
    path = store.parts / f"{card_id}.install.lock"
    with contextlib.ExitStack() as stack:
        try:
            lock = stack.enter_context(
                locks.held(
                    path,
                    what=f"model {card_id}",
                    progress=progress,
                    cancel=cancel,
                    beat_s=patience.beat_s,
                    poll_s=min(locks.POLL_S, patience.beat_s),
                    timeout_s=patience.wait_s,
                )
            )
        except OutputError as error:
            if not (on_full_disk and is_full(error)):
                raise
            lock = stack.enter_context(_empty_lock(path, card_id))
        yield lock


@contextlib.contextmanager
def _empty_lock(path: Path, card_id: str) -> Iterator[None]:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    except FileExistsError as error:
        raise ModelError(f"model {card_id} is in use by another process; try again when it is done") from error
    try:
        yield None
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def is_full(error: OutputError) -> bool:
    """True when the error says that the disk is full."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in DISK_FULL


@contextlib.contextmanager
def transaction(store: Store, card_id: str) -> Iterator[Path]:
    """A new transaction folder; gone at the end unless it was committed and could not be finished."""
    with told(card_id):
        folder = Path(tempfile.mkdtemp(prefix=f"{card_id}{MARK}", dir=store.staging))
    try:
        yield folder
    finally:
        if not (folder / JOURNAL).exists():
            remove_tree(folder)


def commit_new(store: Store, folder: Path, manifest: Manifest) -> None:
    """Brings `folder/new` to the manifest's place and the manifest with it; OutputError with the old state kept."""
    with told(manifest.card):
        sync_tree(folder / NEW)
        write_json(folder / MANIFEST, manifest.to_json(), folder)
        journal = {"card": manifest.card, "place": manifest.place, "operation": INSTALL}
        _write_journal(store, folder, journal)
        _finish(store, folder, journal, trusted=True)


def commit_removal(store: Store, folder: Path, card_id: str, place: str) -> None:
    """Takes the place's folder and the manifest away."""
    with told(card_id):
        journal = {"card": card_id, "place": place, "operation": REMOVE}
        _write_journal(store, folder, journal)
        _finish(store, folder, journal, trusted=True)


def recover(
    store: Store,
    *,
    except_card: str = "",
    patience: Patience = AT_ONCE,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> None:
    """Finishes or undoes what a crash interrupted and empties the trash; work of processes that live is left alone.

    except_card: a card whose lock the caller holds; its transactions count as interrupted.
    """
    if not store.staging.is_dir():
        return
    with told("the model store"):
        for card_id, folders in _transactions(store).items():
            if card_id == except_card:
                _settle(store, card_id, folders)
                continue
            with contextlib.suppress(ModelError, OutputError), locked(store, card_id, patience, progress, cancel):
                _settle(store, card_id, folders)
        empty_trash(store)


def empty_trash(store: Store) -> None:
    """Removes what no transaction needs any more, as far as the system allows."""
    for path in list(store.trash.iterdir()) if store.trash.is_dir() else ():
        if not (store.staging / path.name.removesuffix(".old")).exists():
            remove_tree(path)


def holds(folder: Path, manifest: Manifest | None) -> bool:
    """True when the folder has every file of the manifest, by content."""
    if manifest is None or not folder.is_dir():
        return False
    paths = [(folder / one.path, one) for one in manifest.files]
    if not all(path.is_file() and path.stat().st_size == one.bytes for path, one in paths):
        return False
    return all(file_sha256(path) == one.sha256 for path, one in paths)


def _transactions(store: Store) -> dict[str, list[Path]]:
    """Folders, and temporary files of single writes, by card."""
    found: dict[str, list[Path]] = {}
    for path in sorted(store.staging.iterdir()):
        found.setdefault(path.name.partition(MARK)[0], []).append(path)
    return found


def _settle(store: Store, card_id: str, folders: list[Path]) -> None:
    """Ends each transaction; one of a newer format is left to its program, one that cannot be read goes to the trash."""
    for folder in folders:
        if not (folder / JOURNAL).is_file():
            remove_tree(folder)
            continue
        try:
            journal = _journal(folder, card_id)
            if journal["format"] <= FORMAT:
                _finish(store, folder, journal, trusted=False)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, InputError, ModelError):
            _set_aside(store, folder, card_id)


def _journal(folder: Path, card_id: str) -> dict:
    """The journal; ValueError, LookupError, TypeError or AttributeError when it is none of this card."""
    found = json.loads((folder / JOURNAL).read_text(encoding="utf-8"))
    journal = {"format": int(found.get("format", FORMAT)), **{key: str(found[key]) for key in ("card", "place", "operation")}}
    if journal["card"] != card_id or (journal["format"] <= FORMAT and journal["operation"] not in (INSTALL, REMOVE)):
        raise ValueError("a journal of another card, or of no operation that is known")
    return journal


def _set_aside(store: Store, folder: Path, card_id: str) -> None:
    """Throws a transaction away that cannot be read. An old version that it had moved goes back first; where that cannot
    be, all stays as it is."""
    old = store.trash / f"{folder.name}.old"
    if os.path.lexists(old):
        try:
            place = store.place(readable_manifest(store, card_id).place, card_id)
            store.require_inside(place)
        except (AttributeError, InputError, OutputError):
            return
        if not os.path.lexists(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            replace_patiently(old, place)
    replace_patiently(folder, store.trash / folder.name)
    sync_folder(store.staging)


def _write_journal(store: Store, folder: Path, journal: dict) -> None:
    store.require_inside(store.place(journal["place"], journal["card"]))
    store.require_inside(store.trash)
    write_json(folder / JOURNAL, {"format": FORMAT, **journal}, folder)
    sync_folder(store.staging)


def _finish(store: Store, folder: Path, journal: dict, *, trusted: bool) -> None:
    """Does what the journal says and ends the transaction. trusted: it was written a moment ago by this process."""
    place = store.place(journal["place"], journal["card"])
    store.require_inside(place)
    old = store.trash / f"{folder.name}.old"
    if journal["operation"] == REMOVE:
        _take_out(store, folder, place, old, journal["card"])
    else:
        _bring_in(store, folder, place, old, journal["card"], trusted)
    replace_patiently(folder, store.trash / folder.name)
    sync_folder(store.staging)
    empty_trash(store)


def _bring_in(store: Store, folder: Path, place: Path, old: Path, card_id: str, trusted: bool) -> None:
    new, manifest = folder / NEW, folder / MANIFEST
    if not manifest.is_file():  # it is in its place already
        return
    wanted = _staged_manifest(manifest)
    if trusted or not holds(place, wanted):
        if not (trusted or holds(new, wanted)):
            if old.exists() and not os.path.lexists(place):
                replace_patiently(old, place)
            return
        _exchange(new, place, old, folder / JOURNAL)
    sync_folder(place.parent)
    replace_patiently(manifest, store.manifest(card_id))
    sync_folder(store.manifests)


def _staged_manifest(path: Path) -> Manifest | None:
    """None when it is damaged: then nothing holds it, and the old version stays."""
    try:
        return read_file(path)
    except ModelError:
        return None


def _exchange(new: Path, place: Path, old: Path, journal: Path) -> None:
    """The new folder to its place. Should the old one not move, the journal goes and all is as it was."""
    try:
        if not os.path.lexists(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            replace_patiently(new, place)
        elif not exchange(new, place):
            replace_patiently(place, old)
            _second_rename(new, place, old)
    except OSError:
        if not old.exists():
            journal.unlink(missing_ok=True)
        raise


def _second_rename(new: Path, place: Path, old: Path) -> None:
    try:
        replace_patiently(new, place)
    except OSError:
        replace_patiently(old, place)
        raise


def _take_out(store: Store, folder: Path, place: Path, old: Path, card_id: str) -> None:
    try:
        if os.path.lexists(place):
            replace_patiently(place, old)
    except OSError:
        (folder / JOURNAL).unlink(missing_ok=True)
        raise
    store.manifest(card_id).unlink(missing_ok=True)
    sync_folder(store.manifests)

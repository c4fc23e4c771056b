"""The store of models: what is installed and whole, what it takes, and taking it away.

Also the front of its other files: `install`, `import_from`, `export`, `recover`.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ModelManagerLib import embedded
from ModelManagerLib.air_gap import Imported, export, import_from
from ModelManagerLib.catalog import ModelCard
from ModelManagerLib.copying import belongs, hash_file
from ModelManagerLib.disk import files_below, folder_bytes, free_bytes, remove_tree, told
from ModelManagerLib.install import Job, changing, install, is_complete, require_own
from ModelManagerLib.manifest import Manifest, all_manifests, read_manifest, readable_manifest, write_manifest
from ModelManagerLib.store_places import Store, environment_of, place_of, set_store_root, store_root
from ModelManagerLib.swap import MARK, PATIENT, Patience, commit_removal, empty_trash, is_full, recover, transaction
from OncoLib.audit import now_iso
from OncoLib.errors import ModelError, OutputError
from OncoLib.progress import CancelToken, Progress, silent

__all__ = [
    "Imported",
    "Patience",
    "Removal",
    "Report",
    "Store",
    "confirm",
    "environment_of",
    "export",
    "free_space",
    "import_from",
    "install",
    "installed",
    "pin",
    "place_of",
    "recover",
    "remove",
    "set_store_root",
    "state",
    "store_root",
    "unpin",
    "verify",
    "where",
]


@dataclass(frozen=True)
class Report:
    """What `verify` found, by paths relative to the card's place. extra: files that nobody installed; they do no harm."""

    card: str
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    bytes: int = 0
    verified: bool = False

    @property
    def sound(self) -> bool:
        """True when every file is there as it was installed."""
        return not (self.missing or self.changed)

    @property
    def sentence(self) -> str:
        """The outcome for a reader."""
        if not self.sound:
            faults = [f"{name} is missing" for name in self.missing] + [f"{name} was changed" for name in self.changed]
            more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
            return f"{self.card} is damaged: {', '.join(faults[:3])}{more}; install or import it again."
        known = "" if self.verified else " Nobody published its hashes: it is as it first came, not compared."
        extra = f" {len(self.extra)} files beside it are not part of it." if self.extra else ""
        return f"{self.card} is whole ({self.bytes / 1e6:.1f} MB).{known}{extra}"


@dataclass(frozen=True)
class Removal:
    """What `remove` takes away, or would. freed_bytes: on the store's volume; files that share their bytes count fully."""

    card: str
    place: str
    files: int
    freed_bytes: int
    done: bool


def state(card: ModelCard, root: Path | None = None) -> str:
    """ "installed", "unverified" (whole, no published hash), "damaged", "partial" (begun, not finished) or "missing".

    A look at names and sizes; contents are compared by `verify`, whose last outcome counts here. A card without files of
    its own is "installed".
    """
    if card.embedded:
        return "installed" if embedded.is_whole(card) else "damaged"
    if not card.place:
        return "installed"
    store = Store(Path(root or store_root()))
    place = store.place(card.place, card.id)
    try:
        manifest = read_manifest(store, card.id)
    except ModelError:
        return "damaged"
    if manifest is not None:
        if manifest.place != card.place or not is_complete(place, manifest):
            return "damaged"
        return "installed" if manifest.verified else "unverified"
    if place.is_dir():
        return "unverified" if not _layout_problem(place, card) else "partial"
    return "partial" if _parts(store, card) else "missing"


def _layout_problem(place: Path, card: ModelCard) -> str:
    from ModelManagerLib.layouts import problem_of_layout

    return problem_of_layout(place, card.place, tuple(one.path for one in card.files))


def installed(root: Path | None = None) -> list[Manifest]:
    """Manifests of all models in the store, in order of their ids."""
    return all_manifests(Store(Path(root or store_root())))


def where(card: ModelCard, root: Path | None = None) -> Path:
    """The folder with the card's files; ModelError when they are not there or not whole."""
    found = state(card, root)
    if card.embedded and found == "installed":
        return embedded.folder_of(card)
    if not card.place or found not in ("installed", "unverified"):
        how = found if card.place or card.embedded else "part of a program"
        raise ModelError(f"{card.id} is {how}: it has no folder with files that can be used")
    return place_of(card, root)


def free_space(root: Path | None = None) -> int:
    """Free bytes on the store's volume."""
    return free_bytes(Path(root or store_root()))


def verify(
    card: ModelCard,
    *,
    root: Path | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
    patience: Patience = PATIENT,
    now: Callable[[], str] = now_iso,
) -> Report:
    """Reads every file and compares it with the manifest; the outcome is written into it, so that `state` knows.
    A store that this user may only read is verified all the same, and nothing is written.

    ModelError when the card is not installed; Cancelled.
    """
    if card.embedded:
        missing, changed, size = embedded.faults(card, progress, cancel)
        return Report(card.id, tuple(missing), tuple(changed), bytes=size, verified=True)
    job = Job(Store(Path(root or store_root())), progress, cancel or CancelToken(), patience, now)
    job.store.place(card.place, card.id)
    manifest = _require_manifest(job.store, card)
    if not os.access(job.store.parts, os.W_OK):
        return _compare(job, manifest)
    with changing(job, card):
        manifest = _require_manifest(job.store, card)
        report = _compare(job, manifest)
        write_manifest(job.store, manifest, checked={"at": now(), "sound": report.sound})
    return report


def _require_manifest(store: Store, card: ModelCard) -> Manifest:
    manifest = read_manifest(store, card.id)
    if manifest is None:
        raise ModelError(f"{card.id} is not installed in this store")
    return manifest


def _compare(job: Job, manifest: Manifest) -> Report:
    place = job.store.place(manifest.place, manifest.card)
    missing, changed, done = [], [], 0
    for one in manifest.files:
        path = place / one.path
        if not path.is_file():
            missing.append(one.path)
        elif path.stat().st_size != one.bytes or hash_file(path, job.cancel, done, manifest.bytes, job.progress) != one.sha256:
            changed.append(one.path)
        done += one.bytes
    known = {one.path for one in manifest.files}
    there = (path.relative_to(place).as_posix() for path in files_below(place) if belongs(path, place))
    extra = tuple(name for name in there if name not in known)
    return Report(manifest.card, tuple(missing), tuple(changed), extra, manifest.bytes, manifest.verified)


def remove(
    card: ModelCard,
    *,
    dry_run: bool = False,
    root: Path | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
    patience: Patience = PATIENT,
) -> Removal:
    """Takes a card's files, manifest and downloads away; with `dry_run` only says what that would free.

    Nothing outside of the store is touched, and a place that a link leads out of it is refused (OutputError). ModelError
    for a card that is pinned, or of which nothing is there.
    """
    embedded.refuse_change(card, "removed")
    job = Job(Store(Path(root or store_root())), progress, cancel or CancelToken(), patience)
    store = job.store
    store.place(card.place, card.id)
    if dry_run:
        return _removal(job, card, done=False)
    store.prepare()
    with changing(job, card, on_full_disk=True):
        removal = _removal(job, card, done=True)
        for part in _parts(store, card):  # first: they, and the emptied trash, make room for the journal
            remove_tree(part)
        try:
            with transaction(store, card.id) as folder:
                commit_removal(store, folder, card.id, removal.place)
        except OutputError as error:
            if not is_full(error):
                raise
            _remove_at_once(store, card.id, store.place(removal.place, card.id))
    return removal


def _remove_at_once(store: Store, card_id: str, place: Path) -> None:
    """Takes place and manifest away on a disk that has no room for a journal. A crash in between leaves a model that
    counts as damaged, or as not installed; removing it again ends that."""
    with told(card_id):
        store.require_inside(place)
        store.require_inside(store.trash)
        with contextlib.suppress(OSError):  # a rename may need room too: then the files go where they are
            os.replace(place, store.trash / f"{card_id}{MARK}{uuid.uuid4().hex}.old")
        store.manifest(card_id).unlink(missing_ok=True)
        remove_tree(place)
        empty_trash(store)


def _removal(job: Job, card: ModelCard, *, done: bool) -> Removal:
    """place: where the installed version lies, which the catalogue may have moved since."""
    manifest, parts = readable_manifest(job.store, card.id), _parts(job.store, card)
    at = manifest.place if manifest is not None else card.place
    require_own(job.store, card.id, at)
    place = job.store.place(at, card.id)
    if manifest is not None and manifest.pinned:
        raise ModelError(f"{card.id} is pinned and stays; take the pin away first")
    if not (place.exists() or parts or job.store.manifest(card.id).exists()):
        raise ModelError(f"{card.id} is not in this store; there is nothing to remove")
    freed = folder_bytes(place) + sum(part.stat().st_size for part in parts if part.exists())
    return Removal(card.id, at, sum(1 for _ in files_below(place)), freed, done)


def _parts(store: Store, card: ModelCard) -> Sequence[Path]:
    """Downloads of the card with their sidecars; locks excepted."""
    stem = f"{card.id}-"
    found = store.parts.glob(f"{card.id}-*.part*") if store.parts.is_dir() else ()
    return [path for path in found if path.name[len(stem) :].split(".")[0].isdigit() and not path.name.endswith(".lock")]


def pin(card: ModelCard, *, root: Path | None = None, patience: Patience = PATIENT) -> Manifest:
    """Keeps the installed version: it is neither replaced nor removed until `unpin`."""
    return _change(card, root, patience, pinned=True)


def unpin(card: ModelCard, *, root: Path | None = None, patience: Patience = PATIENT) -> Manifest:
    """Takes the pin away."""
    return _change(card, root, patience, pinned=False)


def confirm(card: ModelCard, sha256: str, *, root: Path | None = None, patience: Patience = PATIENT) -> Manifest:
    """Compares a hash that the user has from elsewhere with what was downloaded; equal, the model counts as verified.

    sha256: of the download, or of the only file. ModelError when it is another one, or there is nothing to compare.
    """
    embedded.refuse_change(card, "confirmed by another hash")
    manifest = _require_manifest(Store(Path(root or store_root())), card)
    seen = [str(one.get("sha256")) for one in manifest.origin.get("sources", ())] or [one.sha256 for one in manifest.files]
    if len(seen) != 1:
        raise ModelError(f"{card.id} came as {len(seen)} files; one hash cannot confirm them all")
    if seen[0] != sha256.strip().lower():
        raise ModelError(f"{card.id} came with the SHA-256 {seen[0]}, which is not the one given; remove it if that one is right")
    return _change(card, root, patience, verified=True, verified_by="a hash that the user gave")


def _change(card: ModelCard, root: Path | None, patience: Patience, **changes: object) -> Manifest:
    embedded.refuse_change(card, "pinned or unpinned")
    job = Job(Store(Path(root or store_root())), patience=patience)
    _require_manifest(job.store, card)
    with changing(job, card):
        return write_manifest(job.store, _require_manifest(job.store, card), **changes)

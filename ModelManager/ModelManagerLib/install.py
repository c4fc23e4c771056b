"""Installs a model: license, space, download, unpacking, verification, and one swap at the end.

Everything before the swap happens beside the store's models: whatever stops it, the old state stays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ModelManagerLib import archive, first_seen, layouts
from ModelManagerLib.archive import UnpackedFile, unpack_files
from ModelManagerLib.catalog import ModelCard, Source
from ModelManagerLib.copying import copy_file
from ModelManagerLib.disk import folder_bytes, remove_tree, replace_patiently, require_space, told
from ModelManagerLib.embedded import refuse_change
from ModelManagerLib.licenses import AcceptLicense, agree, text_sha256
from ModelManagerLib.manifest import Manifest, all_manifests, readable_manifest
from ModelManagerLib.store_places import Store, store_root
from ModelManagerLib.swap import NEW, PATIENT, Patience, commit_new, locked, recover, transaction
from ModelManagerLib.transfer_settings import TransferSettings, safe_address
from OncoLib import __version__
from OncoLib.audit import now_iso
from OncoLib.errors import ModelError, OutputError
from OncoLib.progress import CancelToken, Progress, part_of, silent

UNPACKED_PER_PACKED = 1.3
"""Taken before the archive is here and its list can be read; TotalSegmentator's checkpoint 297 has 1.22."""

DOWNLOADED = 0.8
"""Share of the progress that the downloads get."""

PUBLISHED_FILES, PUBLISHED_DOWNLOADS, NOT_PUBLISHED = "published hashes of its files", "published hashes of its downloads", ""


@dataclass(frozen=True)
class Job:
    """What every step of one installation or import needs. cancel is never None here."""

    store: Store
    progress: Progress = silent
    cancel: CancelToken = field(default_factory=CancelToken)
    patience: Patience = PATIENT
    now: Callable[[], str] = now_iso


def install(
    card: ModelCard,
    *,
    accept_license: AcceptLicense,
    root: Path | None = None,
    settings: TransferSettings | None = None,
    accept_changed: bool = False,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
    patience: Patience = PATIENT,
    now: Callable[[], str] = now_iso,
) -> Manifest:
    """Installs the card's files into the store, or finds them installed; the manifest says what was found.

    accept_license: asked with the card's license before the first byte, unless this text was accepted before.
    accept_changed: take a file that differs from what its address gave at the first install; only files without a
    published hash can. Raises ModelError (nothing to fetch, not accepted, pinned, wrong content, transfer), InputError
    (the archive), OutputError (disk, links in the store), Cancelled. After any of them the old state is as it was.
    """
    job = Job(Store(Path(root or store_root())), progress, cancel or CancelToken(), patience, now)
    require_sources(card)
    place = job.store.place(card.place, card.id)
    job.store.prepare()
    agree(job.store, card, accept_license, patience=patience, progress=progress, cancel=cancel, now=now)
    with changing(job, card) as check_lock:
        present = readable_manifest(job.store, card.id)
        if present is not None and is_same(present, card) and is_complete(place, present):
            return present
        require_replaceable(job.store, card, present, place)
        return _install(job, card, present, settings, accept_changed, check_lock)


def require_sources(card: ModelCard) -> None:
    """ModelError for a card whose files are not fetched by us."""
    refuse_change(card, "installed again")
    if card.license.number_needed:
        raise ModelError(f"{card.id} needs a license number of TotalSegmentator; its package fetches it, then import the folder")
    if not card.sources:
        raise ModelError(f"{card.id} has no files to fetch" + ("" if card.place else ": it is part of a program"))


@contextlib.contextmanager
def changing(job: Job, card: ModelCard, *, on_full_disk: bool = False) -> Iterator[Callable[[], None]]:
    """Holds the card's lock, with what crashes left settled; yields a check that the lock is still ours.

    on_full_disk: as of `locked`; there is nothing to check then.
    """
    holding = locked(job.store, card.id, job.patience, job.progress, job.cancel, on_full_disk=on_full_disk)
    with holding as lock, told(card.id):
        recover(job.store, except_card=card.id, cancel=job.cancel)
        yield lock.check if lock is not None else (lambda: None)


def is_same(manifest: Manifest, card: ModelCard) -> bool:
    """True when the manifest is of the card's version and of the hashes that the catalogue names today.

    A model with published hashes must have been held to one: what came with a claim only is not the same.
    """
    published = any(one.sha256 for one in (*card.files, *card.sources))
    if published and not manifest.verified:
        return False
    seen = {one.path: one.sha256 for one in manifest.files}
    files = all(seen.get(one.path) == one.sha256 for one in card.files if one.sha256)
    sources = {str(one.get("sha256")) for one in manifest.origin.get("sources", ())}
    archives = not sources or all(one.sha256 in sources for one in card.sources if one.sha256)
    return manifest.version == card.version and manifest.place == card.place and files and archives


def is_complete(place: Path, manifest: Manifest) -> bool:
    """True when there are files, each with its size, and the last full check found nothing. Contents are not read."""
    if not manifest.files or not manifest.checked.get("sound", True):
        return False
    return all((place / one.path).is_file() and (place / one.path).stat().st_size == one.bytes for one in manifest.files)


def require_replaceable(store: Store, card: ModelCard, present: Manifest | None, place: Path) -> None:
    """Raises unless the place may get new files: not pinned to another version, not another's, no link."""
    require_own(store, card.id, card.place)
    if present is not None and present.pinned and not is_same(present, card):
        raise ModelError(f"{card.id} is pinned to version {present.version} and stays; take the pin away first")
    if present is None and place.exists() and not store.manifest(card.id).exists():
        raise OutputError(f"{place.name} is in the store but was not installed by OncoSegment; import it, or move it away first")


def require_own(store: Store, card_id: str, place: str) -> None:
    """OutputError when a link leads out of the place, ModelError when it is another installed model's, or within one."""
    store.require_inside(store.place(place, card_id))
    for one in all_manifests(store):
        shorter, longer = sorted((f"{one.place}/".casefold(), f"{place}/".casefold()), key=len)
        if one.card != card_id and longer.startswith(shorter):
            raise ModelError(f"{card_id}: its place in the store belongs to {one.card}; remove that one first")


def drop_earlier_place(store: Store, present: Manifest | None, manifest: Manifest) -> None:
    """Takes the old version's folder away when the new one lies elsewhere."""
    if present is not None and present.place != manifest.place:
        require_own(store, present.card, present.place)
        remove_tree(store.place(present.place, present.card))


def _install(
    job: Job,
    card: ModelCard,
    present: Manifest | None,
    settings: TransferSettings | None,
    accept_changed: bool,
    check_lock: Callable[[], None],
) -> Manifest:
    old = folder_bytes(job.store.root / card.place)
    packed = [source.bytes or 0 for source in card.sources]
    known = sum(one.bytes or 0 for one in card.files)
    require_space(job.store.staging, sum(packed), max(known, int(sum(packed) * UNPACKED_PER_PACKED)), old, card.id)
    parts = [job.store.parts / f"{card.id}-{number}.part" for number in range(len(card.sources))]
    with transaction(job.store, card.id) as folder:
        downloads = []
        for number, (source, part) in enumerate(zip(card.sources, parts)):
            step = part_of(job.progress, DOWNLOADED * number / len(parts), DOWNLOADED * (number + 1) / len(parts))
            downloads.append(_download(job, card, source, part, settings, step))
            first_seen.compare(job.store, card, source, downloads[-1].sha256, accept_changed)
        found, sources = [], []
        for source, part, came in zip(card.sources, parts, downloads):
            found += arrange(
                job, card, source, part, came.sha256, folder, part_of(job.progress, DOWNLOADED, 1.0), move=True, old=old
            )
            sources.append({"url": safe_address(source.urls[0]), "bytes": came.bytes, "sha256": came.sha256})
        first_seen.note(job.store, card, sources, job)
        published = all(source.sha256 for source in card.sources)
        manifest = manifest_of(job, card, found, {"kind": "download", "sources": sources}, published, present)
        job.cancel.check()
        check_lock()
        commit_new(job.store, folder, manifest)
    drop_earlier_place(job.store, present, manifest)
    for part in parts:
        _discard(part)
    return manifest


def _download(job: Job, card: ModelCard, source: Source, part: Path, settings: TransferSettings | None, progress: Progress):
    """Fetches one source. A lock file of the part can only be a dead owner's: we hold the card's own lock."""
    from ModelManagerLib import transfer

    part.with_name(f"{part.name}.lock").unlink(missing_ok=True)
    return transfer.download(source, part, progress=progress, cancel=job.cancel, settings=settings, license_url=card.license.url)


def _discard(part: Path) -> None:
    from ModelManagerLib import transfer_part

    with contextlib.suppress(OutputError):  # a part too many costs space and does no harm
        transfer_part.discard(part)


def arrange(
    job: Job,
    card: ModelCard,
    source: Source,
    path: Path,
    sha256: str,
    folder: Path,
    progress: Progress,
    *,
    move: bool,
    old: int = 0,
) -> list[UnpackedFile]:
    """Puts what `path` holds (an archive or one file) into `folder/new` as the card's place wants it.

    move: the file itself may go there. Returns its files, with paths relative to the place.
    """
    new = folder / NEW
    if source.format == "file":
        target = new / (source.save_as or path.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        size = path.stat().st_size
        if move:
            replace_patiently(path, target)
        else:
            copy_file(path, target, progress, job.cancel)
        return [UnpackedFile(target.relative_to(new).as_posix(), size, sha256)]
    unpacked = folder / f"unpacked-{sum(1 for _ in folder.iterdir())}"
    require_space(job.store.staging, 0, archive.unpacked_bytes(path) or 0, old, card.id)
    files = unpack_files(path, unpacked, progress=progress, cancel=job.cancel)
    found = layouts.model_folder(unpacked, card, source.root, shown_name(source, path))
    prefix = "" if found == unpacked else found.relative_to(unpacked).as_posix() + "/"
    _merge(found, new, card)
    return [UnpackedFile(one.path[len(prefix) :], one.bytes, one.sha256) for one in files if one.path.startswith(prefix)]


def shown_name(source: Source, path: Path) -> str:
    """The archive's name for messages: the host's, since a part has none that a user knows."""
    return path.name if path.suffix != ".part" else safe_address(source.urls[0]).rpartition("/")[2]


def _merge(found: Path, new: Path, card: ModelCard) -> None:
    """Moves the folder to `new`; of a second archive its entries, none of which may be there already."""
    if not new.exists():
        replace_patiently(found, new)
        return
    for path in sorted(found.iterdir()):
        if (new / path.name).exists():
            raise ModelError(f"{card.id}: two of its archives hold {path.name}; nothing was installed")
        replace_patiently(path, new / path.name)


def manifest_of(
    job: Job, card: ModelCard, found: Sequence[UnpackedFile], origin: dict, archives_published: bool, present: Manifest | None
) -> Manifest:
    """The manifest of verified files. ModelError when one differs from what the catalogue, or a pin, says of it."""
    if not found:
        raise ModelError(f"{card.id}: what came holds no file; nothing was installed")
    by_path = {one.path: one for one in found}
    for fact in card.files:
        seen = by_path.get(fact.path)
        if seen is None:
            raise ModelError(f"{card.id}: the file {fact.path} is missing; nothing was installed")
        if fact.bytes is not None and seen.bytes != fact.bytes:
            raise ModelError(f"{card.id}: {fact.path} has {seen.bytes} bytes, wanted {fact.bytes}; nothing was installed")
        if fact.sha256 and seen.sha256 != fact.sha256:
            raise ModelError(f"{card.id}: {fact.path} has another SHA-256 than the catalogue says; nothing was installed")
    pinned = present is not None and present.pinned
    if pinned and set(present.files) != set(found):
        raise ModelError(f"{card.id} is pinned and what came differs from it; take the pin away first, nothing was installed")
    files_published = {one.path for one in card.files if one.sha256} >= set(by_path)
    by = PUBLISHED_FILES if files_published else PUBLISHED_DOWNLOADS if archives_published else NOT_PUBLISHED
    return Manifest(
        card=card.id,
        version=card.version,
        place=card.place,
        files=tuple(sorted(found, key=lambda one: one.path)),
        verified=bool(by),
        verified_by=by,
        installed_at=job.now(),
        title=card.title,
        installed_by=f"oncosegment {__version__}",
        origin=origin,
        license={"id": card.license.id, "sha256": text_sha256(card.license)},
        pinned=pinned,
        unknown=present.unknown if present is not None else {},
    )

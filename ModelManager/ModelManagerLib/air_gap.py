"""Models for machines without internet: out of one store as one file, into another from that file or from what is there.

`import_from` takes the file of `export`, a zip or tar as its publisher offers it, a single file of weights, the folder of
one model, and folders of many such as TotalSegmentator's `nnunet/results`. All go through the verifier of `install`.
The originals are only read.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ModelManagerLib import export_file, layouts, recognition
from ModelManagerLib.archive import UnpackedFile
from ModelManagerLib.archive_names import shown
from ModelManagerLib.catalog import FileFact, ModelCard, Source, all_cards
from ModelManagerLib.copying import belongs, copy_folder
from ModelManagerLib.disk import files_below, folder_bytes, require_space, told
from ModelManagerLib.embedded import refuse_change
from ModelManagerLib.export_file import Entry
from ModelManagerLib.install import (
    Job,
    arrange,
    changing,
    drop_earlier_place,
    is_complete,
    manifest_of,
    require_own,
    require_replaceable,
)
from ModelManagerLib.licenses import AcceptLicense, agree
from ModelManagerLib.manifest import Manifest, readable_manifest, write_manifest
from ModelManagerLib.store_places import Store, store_root
from ModelManagerLib.swap import NEW, PATIENT, Patience, commit_new, transaction
from ModelManagerLib.transfer_progress import amount_text
from OncoLib.audit import file_sha256, now_iso
from OncoLib.errors import InputError, ModelError, OncoError, OutputError
from OncoLib.progress import CancelToken, Progress, part_of, silent


@dataclass(frozen=True)
class Imported:
    """What came in, and what did not, each with its reason: (name, sentence)."""

    manifests: tuple[Manifest, ...] = ()
    skipped: tuple[tuple[str, str], ...] = field(default=())


def import_from(
    path: Path,
    *,
    accept_license: AcceptLicense,
    card: ModelCard | None = None,
    cards: Sequence[ModelCard] | None = None,
    link: bool = False,
    root: Path | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
    patience: Patience = PATIENT,
    now: Callable[[], str] = now_iso,
) -> Imported:
    """Brings models that the user has into the store.

    card: what it is; None finds it out by hash and name among `cards` (default: the built-in catalogue). link: files of a
    folder get a second name in the store instead of a copy, where the file system can; whoever changes the original
    changes the store's file then, which `verify` finds. A single model that cannot be taken is an error (as of `install`,
    and InputError when no card fits); of several, those that can are taken and the others told.
    """
    path = Path(path)
    job = Job(Store(Path(root or store_root())), progress, cancel or CancelToken(), patience, now)
    known = tuple(cards) if cards is not None else all_cards()
    job.store.prepare()
    with told(path.name):
        works = _works(job, path, card, known, link)
    unknown = [name for name in works if isinstance(name, str)]
    works = [work for work in works if not isinstance(work, str)]
    if not works:
        held = f" ({', '.join(unknown[:5])})" if unknown else ""
        raise InputError(f"{path.name}: no model of the catalogue was recognized in it{held}; name the model it is")
    manifests, skipped = [], [(name, "no model of the catalogue has this name and layout") for name in unknown]
    for number, (item, work) in enumerate(works):
        step = Job(job.store, part_of(progress, number / len(works), (number + 1) / len(works)), job.cancel, patience, now)
        try:
            agree(job.store, item, accept_license, patience=patience, progress=progress, cancel=cancel, now=now)
            manifests.append(work(step, item))
        except OncoError as error:
            if len(works) == 1 or job.cancel.cancelled:
                raise
            skipped.append((item.id, str(error)))
    return Imported(tuple(manifests), tuple(skipped))


def _works(job: Job, path: Path, card: ModelCard | None, cards: Sequence[ModelCard], link: bool) -> list:
    """Pairs of a card and what brings it in, and names of models that no card fits."""
    if path.is_dir():
        return _works_of_folder(job, path, card, cards, link)
    if not path.is_file():
        raise InputError(f"{path.name} is neither a file nor a folder that is there")
    index = export_file.read_index(path)
    if index is not None:
        chosen = [card] if card is not None else cards
        by_id = {one.id: one for one in chosen}
        return [(by_id[e.card], _from_export(path, e)) if e.card in by_id else e.card for e in index]
    sha256 = file_sha256(path)
    found = recognition.card_of_file(path, sha256, [card] if card is not None else cards)
    if found is None:
        card = card or recognition.card_of_archive(path, cards)
        if card is None or not card.place:
            return []
        found = card, _source_for(path, card)
    return [(found[0], _from_file(path, found[1], sha256))]


def _source_for(path: Path, card: ModelCard) -> Source:
    """How to take a file that the catalogue does not list: as an archive, or as the card's only file."""
    if path.suffix.casefold() == ".zip" or path.name.casefold().endswith((".tar.gz", ".tgz")):
        return Source((), root=None, format="zip")
    source = next((one for one in card.sources if one.format == "file"), None)
    if source is None or len(card.sources) > 1:
        raise InputError(f"{path.name} is one file, and {card.id} is not; give its folder or its archive")
    return Source((), format="file", save_as=source.save_as)


def _works_of_folder(job: Job, folder: Path, card: ModelCard | None, cards: Sequence[ModelCard], link: bool) -> list:
    if card is not None:
        return [(card, _from_folder(layouts.model_folder(folder, card, None, folder.name), link))]
    card = recognition.card_of_folder(folder, cards)
    if card is not None:
        return [(card, _from_folder(folder, link))]
    found, unknown = recognition.cards_below(folder, cards)
    if not found:
        one = _single_files(folder, cards)
        found = {item.id: (item, path) for item, path in one}
    return [*((item, _from_folder(path, link)) for item, path in found.values()), *unknown]


def _single_files(folder: Path, cards: Sequence[ModelCard]) -> list[tuple[ModelCard, Path]]:
    """Cards all of whose files lie in the folder with their published hashes, whatever the folder is called."""
    fitting = []
    for card in cards:
        facts = sorted((one for one in card.files if one.bytes is not None and one.sha256), key=lambda one: one.bytes)
        if facts and len(facts) == len(card.files) and all(_is_file(folder / one.path, one) for one in facts):
            fitting.append((card, folder))
    return fitting


def _is_file(path: Path, fact: FileFact) -> bool:
    return path.is_file() and path.stat().st_size == fact.bytes and file_sha256(path) == fact.sha256


def _from_file(path: Path, source: Source, sha256: str):
    """Brings an archive or a single file in."""

    def work(job: Job, card: ModelCard) -> Manifest:
        def fill(folder: Path, old: int) -> list[UnpackedFile]:
            require_space(job.store.staging, 0, path.stat().st_size, old, card.id)
            return arrange(job, card, source, path, sha256, folder, job.progress, move=False, old=old)

        published = source.sha256 == sha256
        origin = {"kind": "import", "sources": [{"name": path.name, "bytes": path.stat().st_size, "sha256": sha256}]}
        return _bring(job, card, fill, origin, published)

    return work


def _from_folder(path: Path, link: bool):
    """Brings a model's folder in; one that lies at its place in the store already only gets its manifest."""

    def work(job: Job, card: ModelCard) -> Manifest:
        place = job.store.place(card.place, card.id)
        if place.exists() and os.path.samefile(path, place):
            return _adopt(job, card, place)

        _require_own_files(path)

        def fill(folder: Path, old: int) -> list[UnpackedFile]:
            require_space(job.store.staging, 0, 0 if link else folder_bytes(path), old, card.id)
            return copy_folder(path, folder / NEW, job.progress, job.cancel, link=link)

        return _bring(job, card, fill, {"kind": "import", "name": path.name}, False)

    return work


def _require_own_files(folder: Path) -> None:
    """InputError for a link to a file outside of the folder: what it leads to is nobody's model until its owner says so."""
    real = Path(os.path.realpath(folder))
    for path in files_below(folder):
        if path.is_symlink() and belongs(path, folder) and real not in Path(os.path.realpath(path)).parents:
            name = shown(path.relative_to(folder).as_posix())
            raise InputError(f"{folder.name} holds the link {name}, which leaves it; copy the file itself there first")


def _from_export(path: Path, entry: Entry):
    """Brings one model of an exported file in."""

    def work(job: Job, card: ModelCard) -> Manifest:
        def fill(folder: Path, old: int) -> list[UnpackedFile]:
            require_space(job.store.staging, 0, sum(one.bytes for one in entry.files), old, card.id)
            return export_file.unpack_entry(path, entry, folder / NEW, job.progress, job.cancel)

        if entry.version != card.version:
            raise ModelError(f"{card.id}: {path.name} holds version {entry.version}, the catalogue has {card.version}")
        return _bring(job, card, fill, {"kind": "import", "name": path.name, "claimed": list(entry.sources)}, False)

    return work


def _bring(job: Job, card: ModelCard, fill: Callable, origin: dict, published: bool) -> Manifest:
    """Fills a transaction, verifies it and swaps it in, as an install does."""
    place = job.store.place(card.place, card.id)
    with changing(job, card) as check_lock:
        present = readable_manifest(job.store, card.id)
        require_replaceable(job.store, card, present, place)
        with transaction(job.store, card.id) as folder:
            found = fill(folder, folder_bytes(place))
            problem = layouts.problem_of_layout(folder / NEW, card.place, tuple(one.path for one in card.files))
            if problem:
                raise InputError(f"{card.id}: what was to be imported {problem}; nothing was imported")
            manifest = manifest_of(job, card, found, origin, published, present)
            if present is not None and is_complete(place, present) and present.files == manifest.files:
                return present
            require_same_version(card, present, manifest)
            job.cancel.check()
            check_lock()
            commit_new(job.store, folder, manifest)
        drop_earlier_place(job.store, present, manifest)
    return manifest


def require_same_version(card: ModelCard, present: Manifest | None, new: Manifest) -> None:
    """ModelError when other files than those that were installed come under the same version, and no published hash
    speaks for them: what came first stays until the user removes it."""
    if present is None or new.verified or present.version != new.version or not present.files:
        return
    if {(one.path, one.sha256) for one in present.files} != {(one.path, one.sha256) for one in new.files}:
        raise ModelError(
            f"{card.id} was installed with other files under the same version, and no published hash speaks for the new ones;"
            " remove it first if they are right. Nothing was imported"
        )


def _adopt(job: Job, card: ModelCard, place: Path) -> Manifest:
    """Writes the manifest of a model that another program put at its place."""
    with changing(job, card):
        require_own(job.store, card.id, card.place)
        _require_own_files(place)
        problem = layouts.problem_of_layout(place, card.place, tuple(one.path for one in card.files))
        if problem:
            raise InputError(f"{card.id}: {place.name} {problem}; nothing was imported")
        found = export_file.hashed_files(place, job.progress, job.cancel)
        present = readable_manifest(job.store, card.id)
        manifest = manifest_of(job, card, found, {"kind": "adopted"}, False, present)
        return write_manifest(job.store, manifest)


def export(
    cards: Iterable[ModelCard],
    file: Path,
    *,
    overwrite: bool = False,
    root: Path | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
    patience: Patience = PATIENT,
    now: Callable[[], str] = now_iso,
) -> Path:
    """Packs installed models into one zip (stored, not deflated: weights do not shrink) with an index of their hashes.

    Every file is hashed while it is read and compared with its manifest. ModelError for a model that is not installed or
    damaged, OutputError when the file is there already (without `overwrite`) or the disk refuses. On any error an older
    file of that name stays as it was.
    """
    file, chosen = Path(file), list({card.id: card for card in cards}.values())
    job = Job(Store(Path(root or store_root())), progress, cancel or CancelToken(), patience, now)
    if file.exists() and not overwrite:
        raise OutputError(f"{file.name} is there already and was kept; choose another name or replace it on purpose")
    manifests = [_exportable(job.store, card) for card in chosen]
    if not manifests:
        raise InputError("no model was chosen to export")
    needed, free = sum(one.bytes for one in manifests), shutil.disk_usage(file.absolute().parent).free
    if free < needed:
        raise OutputError(
            f"{file.name} needs {amount_text(needed, None)} and {amount_text(free, None)} are free; nothing was written"
        )
    export_file.write(job, chosen, manifests, file)
    return file


def _exportable(store: Store, card: ModelCard) -> Manifest:
    refuse_change(card, "exported")
    manifest = readable_manifest(store, card.id)
    if manifest is None or not is_complete(store.place(manifest.place, card.id), manifest):
        raise ModelError(f"{card.id} is {'damaged' if manifest else 'not installed'} and cannot be exported")
    return manifest

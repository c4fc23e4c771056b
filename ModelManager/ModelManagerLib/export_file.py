"""The one file in which models travel: a zip of plain files, `models/<card id>/...`, with `oncosegment-models.json` first."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ModelManagerLib.archive import CHUNK, DISK_FULL, Limits, UnpackedFile, unpack_files
from ModelManagerLib.catalog import ModelCard
from ModelManagerLib.copying import belongs, hash_file
from ModelManagerLib.disk import files_below
from ModelManagerLib.install import Job, changing
from ModelManagerLib.manifest import Manifest
from OncoLib import __version__
from OncoLib.errors import InputError, ModelError, OutputError
from OncoLib.progress import CancelToken, Progress, part_of

INDEX = "oncosegment-models.json"
FORMAT = 1
LARGEST_INDEX_BYTES = 64 << 20
EXPORT_LIMITS = Limits(files=200_000, unpacked_bytes=1 << 40)
"""An export holds many models; each file's size is held to the index."""

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Entry:
    """One model in the file: its card's id and version, its files, and what its manifest said of the downloads."""

    card: str
    version: str
    files: tuple[UnpackedFile, ...]
    sources: tuple[Mapping, ...] = ()


def write(job: Job, cards: Sequence[ModelCard], manifests: Sequence[Manifest], file: Path) -> None:
    """Writes beside the file and renames at the end."""
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{file.name}-", suffix=".tmp", dir=file.absolute().parent)
        with open(handle, "w+b") as stream:
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as opened:
                opened.writestr(zipfile.ZipInfo(INDEX, ZIP_EPOCH), json.dumps(_index(job, manifests), indent=1))
                for number, (card, manifest) in enumerate(zip(cards, manifests)):
                    step = part_of(job.progress, number / len(cards), (number + 1) / len(cards))
                    with changing(job, card):
                        _write_model(job, opened, manifest, step)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, file)
    except BaseException as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        if isinstance(error, OSError):
            reason = "the disk is full" if error.errno in DISK_FULL else (error.strerror or "the system refused").lower()
            raise OutputError(f"{file.name} could not be written ({reason}); nothing was changed") from error
        raise


def _index(job: Job, manifests: Sequence[Manifest]) -> dict:
    return {
        "format": FORMAT,
        "written_by": f"oncosegment {__version__}",
        "written_at": job.now(),
        "models": [{**one.to_json(), "pinned": False, "checked": {}} for one in manifests],
    }


def _write_model(job: Job, opened: zipfile.ZipFile, manifest: Manifest, progress: Progress) -> None:
    place, done = job.store.place(manifest.place, manifest.card), 0
    for one in manifest.files:
        info = zipfile.ZipInfo(f"models/{manifest.card}/{one.path}", ZIP_EPOCH)
        info.file_size = one.bytes
        digest = hashlib.sha256()
        with open(place / one.path, "rb") as source, opened.open(info, "w", force_zip64=one.bytes >= 1 << 31) as target:
            while chunk := source.read(CHUNK):
                job.cancel.check()
                digest.update(chunk)
                target.write(chunk)
                done += len(chunk)
                progress(min(1.0, done / max(1, manifest.bytes)), f"Packing {manifest.card}")
        if digest.hexdigest() != one.sha256:
            raise ModelError(f"{manifest.card}: {one.path} was changed since it was installed; nothing was exported")


def read_index(path: Path) -> list[Entry] | None:
    """What an exported file holds; None for another kind of file. InputError when its index cannot be trusted."""
    if not zipfile.is_zipfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as opened:
            if INDEX not in opened.namelist():
                return None
            if opened.getinfo(INDEX).file_size > LARGEST_INDEX_BYTES:
                raise ValueError("too long")
            document = json.loads(opened.read(INDEX))
        return [_entry(one) for one in document["models"]]
    except (zipfile.BadZipFile, OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(f"{path.name}: its list of models cannot be read; nothing was imported") from error


def _entry(values: dict) -> Entry:
    files = tuple(UnpackedFile(str(one["path"]), int(one["bytes"]), str(one["sha256"])) for one in values["files"])
    sources = tuple(dict(one) for one in values.get("origin", {}).get("sources", ()))
    return Entry(str(values["card"]), str(values["version"]), files, sources)


def unpack_entry(path: Path, entry: Entry, target: Path, progress: Progress, cancel: CancelToken) -> list[UnpackedFile]:
    """Unpacks one model and holds every file to the index; InputError otherwise."""
    prefix = f"models/{entry.card}/"
    found = unpack_files(path, target, below=prefix, limits=EXPORT_LIMITS, progress=progress, cancel=cancel)
    if set(found) != set(entry.files):
        raise InputError(f"{path.name}: the files of {entry.card} differ from its list; export it again, nothing was imported")
    return found


def hashed_files(folder: Path, progress: Progress, cancel: CancelToken) -> list[UnpackedFile]:
    """Size and hash of all files below a folder that belong to a model."""
    paths = [path for path in files_below(folder) if belongs(path, folder) and path.is_file()]
    total, done, found = sum(path.stat().st_size for path in paths) or 1, 0, []
    for path in paths:
        sha256 = hash_file(path, cancel, done, total, progress)
        size = path.stat().st_size
        done += size
        found.append(UnpackedFile(path.relative_to(folder).as_posix(), size, sha256))
    return found

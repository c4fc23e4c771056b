"""Unpacks an archive of weights that nobody vouches for: everything is checked, nothing leaves the target folder.

Zip and gzipped tar. Refused, each with one sentence and nothing left behind: names that leave the folder or that one of
the usual systems cannot hold, two names for one file, links, devices, encryption, entries that share bytes or lie about
their size, bombs, broken checksums, an end that is missing. What macOS and Windows add on their own is left out.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ModelManagerLib.archive_names import shown
from OncoLib.errors import InputError, OutputError
from OncoLib.progress import CancelToken, Progress, silent

CHUNK = 1 << 20
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system answers when the disk, the quota or the largest allowed file is reached."""


@dataclass(frozen=True)
class Limits:
    """What an archive may ask for, chosen far above every model of the catalogue.

    ratio: unpacked to packed bytes of the whole archive; deflate reaches 1032 (zlib, "Maximum expansion factor"), weights
    stay under 2. small_bytes: below it the ratio is not asked. directory_bytes: of the list of contents at a zip's end,
    which is read into memory.
    """

    files: int = 20_000
    unpacked_bytes: int = 64 << 30
    ratio: float = 100.0
    small_bytes: int = 16 << 20
    depth: int = 16
    directory_bytes: int = 32 << 20


@dataclass(frozen=True)
class UnpackedFile:
    """One file that came out: path relative to the target with `/`, its size and hash, taken while it was written."""

    path: str
    bytes: int
    sha256: str


def unpack(
    archive: Path,
    target: Path,
    *,
    limits: Limits = Limits(),
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> list[str]:
    """Unpacks `archive` into `target`, a folder that is new or empty; the relative paths of its files, in order.

    Raises InputError for an archive that cannot be trusted or read, OutputError when the disk refuses or is full,
    Cancelled. After any of them `target` is as it was.
    """
    return [one.path for one in unpack_files(archive, target, limits=limits, progress=progress, cancel=cancel)]


def unpack_files(
    archive: Path,
    target: Path,
    *,
    below: str = "",
    limits: Limits = Limits(),
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> list[UnpackedFile]:
    """As `unpack`, with size and SHA-256 of each file.

    below: only what lies below this folder of a zip, such as "models/a/", with paths relative to it.
    """
    archive, target = Path(archive), Path(target)
    with _emptied_on_error(archive, target):
        writer = Writer(archive, target, limits, progress, cancel or CancelToken())
        writer.below = below
        _reader_of(archive)(archive, writer)
        if not writer.files:
            raise refused(archive, "holds no file")
        return writer.files


def unpacked_bytes(archive: Path, *, limits: Limits = Limits()) -> int | None:
    """Bytes that unpacking will write, as a zip's list of contents says; None for a tar, whose list is its whole length."""
    from ModelManagerLib import archive_zip

    if _reader_of(Path(archive)) is not archive_zip.read:
        return None
    return sum(entry.file_size for entry in archive_zip.checked_entries(Path(archive), limits))


def refused(archive: Path, reason: str) -> InputError:
    """The error of an archive that is not unpacked."""
    return InputError(f"{archive.name}: the archive {reason}; nothing was unpacked")


def told_of_disk(error: OSError, what: str) -> OutputError:
    """The error of a file that could not be written, in one sentence."""
    if error.errno in DISK_FULL:
        return OutputError(f"{what}: the disk of the model store is full; free some space and try again, nothing was changed")
    reason = (error.strerror or "the system refused").lower()
    return OutputError(f"{what} could not be written to the model store ({reason}); nothing was changed")


class Writer:
    """Writes checked files below the target, hashes them on the way, and holds totals against the limits."""

    def __init__(self, archive: Path, target: Path, limits: Limits, progress: Progress, cancel: CancelToken) -> None:
        self.archive, self.target, self.limits = archive, target, limits
        self.files: list[UnpackedFile] = []
        self.expected_bytes: int | None = None
        self.below = ""
        self._progress, self._cancel = progress, cancel
        self._done = 0
        self._root = os.path.realpath(target)

    def folder(self, name: str) -> None:
        """Makes a folder of the archive."""
        os.makedirs(self._inside(name), exist_ok=True)

    def file(self, name: str, chunks: Iterator[bytes]) -> None:
        """Writes one file from its chunks."""
        path = self._inside(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with open(path, "xb", buffering=0) as stream:
            for chunk in chunks:
                self._cancel.check()
                digest.update(chunk)
                _write_all(stream, chunk)
                size += len(chunk)
                self._tell(len(chunk))
        self.files.append(UnpackedFile(name, size, digest.hexdigest()))

    def _tell(self, size: int) -> None:
        self._done += size
        fraction = min(1.0, self._done / self.expected_bytes) if self.expected_bytes else None
        self._progress(fraction, f"Unpacking {self.archive.name}")

    def _inside(self, name: str) -> str:
        """Full path of a checked name; asked once more of the system, should a check ever have a hole."""
        path = os.path.join(self._root, *name.rstrip("/").split("/"))
        if os.path.commonpath([self._root, os.path.realpath(path)]) != self._root:
            raise refused(self.archive, f"would write {shown(name)} outside of its folder")
        return path


def _write_all(stream, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[stream.write(view) :]


def _reader_of(archive: Path):
    """The reader of this kind of archive, told by its first bytes."""
    from ModelManagerLib import archive_tar, archive_zip

    try:
        with open(archive, "rb") as stream:
            start = stream.read(4)
    except OSError as error:
        raise InputError(f"{archive.name} cannot be read: {(error.strerror or 'the system refused').lower()}") from error
    if start in (b"PK\x03\x04", b"PK\x05\x06"):
        return archive_zip.read
    if start[:2] == b"\x1f\x8b":
        return archive_tar.read
    raise InputError(f"{archive.name} is neither a zip archive nor a gzipped tar archive; nothing was unpacked")


@contextlib.contextmanager
def _emptied_on_error(archive: Path, target: Path) -> Iterator[None]:
    """Takes away what was unpacked when something goes wrong, and tells of a disk that refuses."""
    if os.path.lexists(target) and (target.is_symlink() or not target.is_dir() or any(target.iterdir())):
        raise OutputError(f"{target.name}: wanted a new or empty folder to unpack into")
    was_there = target.is_dir()
    try:
        target.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException as error:
        for path in target.iterdir() if target.is_dir() else ():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if not was_there:
            with contextlib.suppress(OSError):
                target.rmdir()
        if isinstance(error, OSError):
            raise told_of_disk(error, archive.name) from error
        raise

"""The side of unpacking for gzipped tar: the members come one by one, each checked before it is written."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ModelManagerLib.archive import CHUNK, Limits, Writer, refused
from ModelManagerLib.archive_names import Names, is_junk, problem_of_name, shown

LARGEST_READ = 4 << 20
"""More is never asked for at once by an honest archive: a header's extension of that size is a bomb."""


def read(archive: Path, writer: Writer) -> None:
    """Checks and writes member by member; InputError for the first that is refused."""
    names, count = Names(), 0
    try:
        with gzip.open(archive, "rb") as plain, tarfile.open(fileobj=_Bounded(archive, plain, writer.limits), mode="r:") as tar:
            for member in tar:
                count += 1
                if count > writer.limits.files:
                    raise refused(archive, f"holds more than {writer.limits.files} entries")
                if not is_junk(member.name):
                    _write(archive, writer, tar, member, names)
            _check_rest(archive, tar)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise refused(archive, "is damaged or cut off") from error


def _write(archive: Path, writer: Writer, tar: tarfile.TarFile, member: tarfile.TarInfo, names: Names) -> None:
    name = member.name.removeprefix("./") if member.name != "." else ""
    if not name and member.isdir():
        return
    problem = problem_of_name(name, writer.limits.depth) or _problem_of_kind(member)
    problem = problem or names.problem_of_adding(name, folder=member.isdir())
    if problem:
        raise refused(archive, f"holds the entry {shown(member.name)}, which {problem}")
    if member.isdir():
        writer.folder(name)
    else:
        writer.file(name, _content(archive, tar, member))


def _problem_of_kind(member: tarfile.TarInfo) -> str:
    """Why this kind of member is not unpacked; "" for plain files and folders."""
    if member.issym() or member.islnk():
        return "is a link"
    if member.issparse():
        return "is a file with holes"
    if not (member.isreg() or member.isdir()):
        return "is neither a file nor a folder"
    return ""


def _content(archive: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    source, left = tar.extractfile(member), member.size
    while left:
        chunk = source.read(min(CHUNK, left))
        if not chunk:
            raise refused(archive, f"is cut off within {shown(member.name)}")
        left -= len(chunk)
        yield chunk


def _check_rest(archive: Path, tar: tarfile.TarFile) -> None:
    """Behind the last member only zeros: `tarfile` takes a broken header for the end. Reading on also checks the CRC."""
    while rest := tar.fileobj.read(CHUNK):
        if rest.strip(b"\0"):
            raise refused(archive, "is damaged (there is more behind its end)")


class _Bounded:
    """The unpacked stream, which gives no more than the limits allow in all and in one read."""

    def __init__(self, archive: Path, stream: BinaryIO, limits: Limits) -> None:
        self._archive, self._stream, self._limits = archive, stream, limits
        self._most = max(limits.small_bytes, int(min(limits.unpacked_bytes, limits.ratio * archive.stat().st_size)))

    def read(self, size: int = -1) -> bytes:
        """As a file's."""
        if size < 0 or size > LARGEST_READ:
            raise refused(self._archive, "holds a header that is too long")
        self._check(self._stream.tell() + size - tarfile.RECORDSIZE)
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As a file's; what is skipped counts too, since gzip unpacks it."""
        self._check(offset)
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """As a file's."""
        return self._stream.tell()

    def _check(self, position: int) -> None:
        if position > self._most + CHUNK:
            raise refused(self._archive, f"would unpack to more than {self._most / 1e6:.0f} MB; that is not allowed")

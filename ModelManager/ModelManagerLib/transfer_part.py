"""The part file of a download with its sidecar: what has arrived, from where, and how it goes on.

Beside `weights.zip.part` lies `weights.zip.part.json`: where it comes from, by which mark of the server it can be
continued, its length, the hash that is wanted, how many bytes are safely on the disk, and who wrote them. The sidecar
is replaced as a whole, and only after the bytes that it speaks of were pushed to the disk: bytes beyond its count are
cut off before a download goes on.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ModelManagerLib.transfer_progress import amount_text
from ModelManagerLib.transfer_settings import safe_address
from OncoLib.errors import OutputError

HASH_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Sidecar:
    """url: safe to show; url_sha256: of the whole address. etag: strong or "". bytes: of the whole file, as far as known.

    sha256: wanted, None when nobody published it. written: bytes that are safely on the disk.
    """

    url: str
    url_sha256: str
    etag: str
    last_modified: str
    bytes: int | None
    sha256: str | None
    written: int
    owner: str


def sidecar_path(part: Path) -> Path:
    """Where the sidecar of a part lies."""
    return Path(part).with_name(Path(part).name + ".json")


def read_sidecar(part: Path) -> Sidecar | None:
    """The sidecar of a part; None when there is none that makes sense."""
    try:
        facts = json.loads(sidecar_path(part).read_text(encoding="utf-8"))
        found = Sidecar(**{item.name: facts[item.name] for item in fields(Sidecar)})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    texts = all(isinstance(text, str) for text in (found.url, found.url_sha256, found.etag, found.last_modified, found.owner))
    counts = isinstance(found.written, int) and (found.bytes is None or isinstance(found.bytes, int))
    return found if texts and counts and found.written >= 0 else None


def discard(part: Path) -> None:
    """Removes a part and its sidecar, whichever is there; the part first, so that no part is left without sidecar."""
    with _told(Path(part), 0):
        Path(part).unlink(missing_ok=True)
        sidecar_path(part).unlink(missing_ok=True)


class Part:
    """The part of one download, open. written: bytes in it; total: bytes of the whole file, None when not known yet.

    etag: strong entity tag or ""; last_modified: as the server sent it or "". Every method may raise OutputError: the
    disk is full, or another process writes to the same part; what arrived so far stays usable.
    """

    def __init__(
        self,
        path: Path,
        url: str,
        owner: str,
        *,
        sha256: str | None,
        declared: int | None,
        keep_s: float = 5.0,
        check_lock: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path, self.total, self.written = Path(path), declared, 0
        self.etag = self.last_modified = ""
        self._url, self._owner, self._sha256, self._declared = url, owner, sha256, declared
        self._keep_s, self._check_lock, self._clock = keep_s, check_lock, clock
        self._digest = hashlib.sha256()
        self._file = -1
        self._kept_at = clock()
        self._begun = False

    def __enter__(self) -> Part:
        with _told(self.path, 0):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_CREAT | os.O_RDWR | getattr(os, "O_BINARY", 0), 0o644)
        return self

    def __exit__(self, *_error) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def adopt(self) -> Iterator[int]:
        """Takes over what an earlier run left, when its sidecar fits; yields the bytes checked so far, to be shown.

        Fits: the same address, wanted hash and length, and not more bytes promised than there are.
        """
        found = read_sidecar(self.path)
        with _told(self.path, 0):
            there = os.fstat(self._file).st_size
        if found is None or not self._fits(found) or not 0 < found.written <= there:
            self.forget()
            return
        self.total = self._declared if self._declared is not None else found.bytes
        self.etag, self.last_modified, self._begun = found.etag, found.last_modified, True
        self._cut(found.written)
        while self.written < found.written:
            data = self._read_at(self.written, min(HASH_CHUNK_BYTES, found.written - self.written))
            self._digest.update(data)
            self.written += len(data)
            yield self.written
        self.keep(take_over=True)

    def request_headers(self) -> dict[str, str]:
        """Range and If-Range when the rest alone can be asked for, else nothing: without a mark the file may have changed."""
        mark = self.etag or self.last_modified
        if not self.written or not mark:
            return {}
        return {"Range": f"bytes={self.written}-", "If-Range": mark}

    def begin(self, *, etag: str, last_modified: str, total: int | None) -> None:
        """Starts from the first byte, with the marks of the file that the server has now."""
        self.forget()
        self.etag, self.last_modified, self.total = etag, last_modified, total
        self._begun = True
        self.keep(take_over=True)

    def forget(self) -> None:
        """Empties the part."""
        self._cut(0)
        self.written, self._digest = 0, hashlib.sha256()
        self.etag = self.last_modified = ""
        self.total, self._begun = self._declared, False

    def append(self, data: bytes) -> None:
        """Adds bytes at the end; now and then also keeps."""
        with self._put_right():
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
        self._digest.update(data)
        self.written += len(data)
        if self._clock() - self._kept_at >= self._keep_s:
            self.keep()

    def keep(self, *, take_over: bool = False) -> None:
        """Pushes the bytes to the disk, then writes the sidecar. take_over: whoever wrote to it before is gone."""
        if not self._begun or self._file < 0:
            return
        self._check_lock()
        if not take_over:
            self._require_ours()
        with _told(self.path, self.written):
            os.fsync(self._file)
            _replace(sidecar_path(self.path), json.dumps(asdict(self._sidecar()), indent=1))
        self._kept_at = self._clock()

    def sha256(self) -> str:
        """Hash of all bytes in the part."""
        return self._digest.hexdigest()

    def drop(self) -> None:
        """Closes and removes part and sidecar."""
        self.__exit__()
        self._begun = False
        discard(self.path)

    def _sidecar(self) -> Sidecar:
        return Sidecar(
            url=safe_address(self._url),
            url_sha256=_address_sha256(self._url),
            etag=self.etag,
            last_modified=self.last_modified,
            bytes=self.total,
            sha256=self._sha256,
            written=self.written,
            owner=self._owner,
        )

    def _fits(self, found: Sidecar) -> bool:
        same_length = self._declared is None or found.bytes == self._declared
        fitting = found.bytes is None or found.written <= found.bytes
        same_file = found.url_sha256 == _address_sha256(self._url) and found.sha256 == self._sha256
        return same_file and same_length and fitting

    def _require_ours(self) -> None:
        found = read_sidecar(self.path)
        if found is not None and found.owner != self._owner:
            raise OutputError(f"{self.path.name}: another process writes to this download now; this one stops")

    def _read_at(self, position: int, count: int) -> bytes:
        with _told(self.path, self.written):
            os.lseek(self._file, position, os.SEEK_SET)
            data = os.read(self._file, count)
            if not data:
                raise OSError(errno.EIO, "the file ended early")
            return data

    def _cut(self, length: int) -> None:
        with _told(self.path, length):
            os.ftruncate(self._file, length)
            os.lseek(self._file, length, os.SEEK_SET)

    @contextlib.contextmanager
    def _put_right(self) -> Iterator[None]:
        """After a write that failed half-way the part ends at the last whole chunk again, where the hash stands."""
        try:
            with _told(self.path, self.written):
                yield
        except BaseException:
            self._cut(self.written)
            raise


def _address_sha256(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()


def _replace(path: Path, text: str) -> None:
    """Writes a small file so that a reader sees the old one or the new one."""
    fresh = path.with_name(path.name + ".new")
    try:
        with open(fresh, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(fresh, path)
    except BaseException:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _told(path: Path, written: int) -> Iterator[None]:
    """Turns the system's refusal into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
            kept = amount_text(written, None)
            raise OutputError(f"{path.name}: the disk is full; free space, then start it again: {kept} are kept") from error
        reason = (error.strerror or "the system refused").lower()
        raise OutputError(f"{path.name}: the download could not be written ({reason})") from error

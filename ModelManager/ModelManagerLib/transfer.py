"""Fetches one file over HTTP(S): resumed where it can be, hashed as a whole, cancelled within a second.

One call, `download`. Several addresses are tried in order. A part that an earlier run left is continued only when its
sidecar says that it is the same file (transfer_part), and only while a lock with heartbeat is held (locks). Only the
server's own marks allow a Range request (If-Range with a strong entity tag, else the date); a 200 starts anew, a 206 is
believed only when its Content-Range continues exactly what is there. At the end the SHA-256 of all bytes decides.

Runs in a worker process or on the command line: it uses threads, and those get no turns inside Slicer's own process.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ModelManagerLib import locks
from ModelManagerLib import transfer_answers as answers
from ModelManagerLib.catalog import Source
from ModelManagerLib.transfer_http import Answer, Broken, Ended, Fetch
from ModelManagerLib.transfer_part import Part
from ModelManagerLib.transfer_progress import Meter, amount_text, duration_text
from ModelManagerLib.transfer_settings import AccessError, TransferError, TransferSettings, host_of, name_of, safe_address
from OncoLib.errors import Cancelled, OncoError
from OncoLib.progress import CancelToken, Progress, silent

POLL_S = 0.1


@dataclass(frozen=True)
class Downloaded:
    """A whole file. path: the part that was given. url: who sent it, safe to show. etag: "" when there was no strong one."""

    path: Path
    sha256: str
    bytes: int
    url: str
    etag: str


@dataclass(frozen=True)
class Surroundings:
    """Clock (monotonic seconds), time of day, sleep and random numbers (0..1), for whoever wants others."""

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


class _Trouble(Exception):
    """Another try may help. wait_s: what the server asked for."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.wait_s = reason, wait_s


def download(
    source: Source,
    part: Path,
    *,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
    settings: TransferSettings | None = None,
    name: str = "",
    license_url: str = "",
    surroundings: Surroundings | None = None,
) -> Downloaded:
    """Fetches `source` into the file `part` and checks its length and SHA-256, as far as the source knows them.

    name: what it is called in messages ("" takes the file's name). license_url: where its license can be accepted, told
    when a server refuses it. Part and sidecar stay after success (a second call then asks nobody); `transfer_part.discard`
    removes them. They also stay after Cancelled and after errors, so that the next call goes on from there, except that a
    part whose hash is wrong is deleted.

    Raises OfflineError in offline mode, AccessError on 401 and 403, TransferError when no address gave the file,
    OutputError when the disk is full or refuses, InputError for settings that cannot be used, Cancelled.
    """
    settings = settings or TransferSettings.from_environment()
    name = name or name_of(source.urls[0] if source.urls else "")
    surroundings = surroundings or Surroundings()
    settings.require_online(name)
    settings.require_certificates()
    part = Path(part)
    failures: list[TransferError] = []
    with locks.held(
        part.with_name(part.name + ".lock"),
        what=name,
        progress=progress,
        cancel=cancel,
        beat_s=settings.beat_s,
        missed_beats=settings.missed_beats,
    ) as lock:
        for url in settings.addresses(source.urls):
            transfer = _Transfer(source, url, part, lock, settings, surroundings, progress, cancel, name, license_url)
            try:
                return transfer.run()
            except TransferError as error:
                failures.append(error)
    raise _all_failed(name, failures)


def _all_failed(name: str, failures: list[TransferError]) -> TransferError:
    """One error for all addresses: the only one, or the one about access, or all in one sentence."""
    if not failures:
        return TransferError(f"{name}: the catalogue names no address to fetch it from")
    if len(failures) == 1:
        return failures[0]
    told = "; ".join(str(failure) for failure in failures)
    access = next((failure for failure in failures if isinstance(failure, AccessError)), None)
    return AccessError(told, access.license_url) if access else TransferError(told)


class _Transfer:
    """One source from one address."""

    def __init__(
        self,
        source: Source,
        url: str,
        path: Path,
        lock: locks.Lock,
        settings: TransferSettings,
        surroundings: Surroundings,
        progress: Progress,
        cancel: CancelToken | None,
        name: str,
        license_url: str,
    ) -> None:
        self._source, self._url, self._settings, self._around = source, url, settings, surroundings
        self._cancel, self._name, self._license_url = cancel, name, license_url
        self._meter = Meter(progress, surroundings.clock)
        self._part = Part(
            path,
            url,
            lock.owner,
            sha256=source.sha256.lower() if source.sha256 else None,
            declared=source.bytes,
            keep_s=settings.keep_s,
            check_lock=lock.check,
            clock=surroundings.clock,
        )
        self._host = host_of(url)
        self._tries = 0
        self._furthest = 0

    def run(self) -> Downloaded:
        """Tries until the file is whole, or until so many tries in a row brought nothing new."""
        with self._part:
            self._adopt()
            while not self._whole():
                try:
                    self._attempt()
                    break
                except _Trouble as trouble:
                    self._count(trouble)
            return self._finish()

    def _adopt(self) -> None:
        for checked in self._part.adopt():
            self._check_cancel()
            text = f"checks what arrived earlier, {amount_text(checked, self._part.total)}"
            self._meter.say(checked, self._part.total, text)
        self._furthest = self._part.written

    def _whole(self) -> bool:
        return self._part.total is not None and self._part.written == self._part.total > 0

    def _attempt(self) -> None:
        """One request; whatever ends it, what arrived is kept."""
        headers = self._part.request_headers()
        fetch = Fetch(self._url, headers, self._settings)
        try:
            answer = self._answer(fetch)
            self._judge(answer, "Range" in headers)
            self._receive(fetch)
        except BaseException:
            with contextlib.suppress(OncoError):  # the first error tells more
                self._part.keep()
            raise
        finally:
            fetch.abandon()

    def _answer(self, fetch: Fetch) -> Answer:
        """Waits for the headers. The client's time-outs count between two bytes: a drip of headers ends here."""
        clock, settings = self._around.clock, self._settings
        end = clock() + settings.connect_s + max(settings.stall_s, settings.read_s)
        while True:
            self._check_cancel()
            item = fetch.next(POLL_S)
            if isinstance(item, Broken):
                raise self._broken(item)
            if isinstance(item, Answer):
                return item
            if clock() > end:
                raise _Trouble(f"{self._host} does not finish its answer's headers")

    def _judge(self, answer: Answer, asked_range: bool) -> None:
        """Goes on with the part, starts it anew, or raises."""
        status = answer.status
        if status in answers.REFUSED:
            raise self._access(status)
        if status in answers.RETRIED or status >= 500:
            raise _Trouble(f"{self._host} answers {status}", answers.retry_after_s(answer, self._around.now()))
        if status in answers.NOT_THERE:
            raise self._refusal(f"{self._host} does not have it ({status}): {safe_address(self._url)}")
        if status == 407:
            raise self._refusal("the proxy wants a name and a password (407)")
        if status == 416 or (status == 206 and not (asked_range and self._goes_on(answer))):
            self._part.forget()
            raise _Trouble(f"{self._host} sends another part of the file than asked for")
        if status not in (200, 206):
            raise self._refusal(f"{self._host} answers {status}")
        if status == 200:
            self._begin(answer)

    def _goes_on(self, answer: Answer) -> bool:
        """Whether this 206 is the rest of the part."""
        part = self._part
        if not answers.continues(answer, written=part.written, total=part.total, etag=part.etag):
            return False
        if part.total is None:
            part.total = answers.content_range(answer).total
        return True

    def _begin(self, answer: Answer) -> None:
        """A 200: looks whether it can be the file, then starts at the first byte."""
        length, declared, most = answers.body_length(answer), self._source.bytes, self._settings.max_bytes
        if length is None or length != declared:  # the declared length proves more than what a server says of its kind
            if answers.packed(answer):
                raise self._refusal(f"{self._host} sends it packed ({answers.packed(answer)}) although asked not to")
            if answers.is_web_page(answer):
                raise self._refusal(f"{self._host} sends a web page instead of the file: a page to log in, or of a gateway")
        if declared is not None and length not in (None, declared):
            raise self._refusal(f"{self._host} offers {length} bytes, the catalogue says {declared}")
        if length is not None and length > most:
            raise self._refusal(f"{self._host} offers {length} bytes, more than the {most} allowed")
        total = declared if declared is not None else length
        if total is None and not answer.chunked and not self._source.sha256:
            raise self._refusal(f"{self._host} does not tell how long it is, so a cut connection could not be told from its end")
        modified = answer.headers.get("last-modified", "")
        self._part.begin(etag=answers.strong_etag(answer), last_modified=modified, total=total)

    def _receive(self, fetch: Fetch) -> None:
        """Takes the body. Ends at its end, or raises."""
        part, clock = self._part, self._around.clock
        ceiling = part.total if part.total is not None else self._settings.max_bytes
        self._meter.restart(part.written)
        since, before = clock(), part.written
        while True:
            self._check_cancel()
            item = fetch.next(POLL_S)
            if isinstance(item, Broken):
                raise self._broken(item)
            if isinstance(item, Ended):
                return self._end()
            if isinstance(item, bytes):
                if part.written + len(item) > ceiling:
                    part.drop()
                    raise self._refusal(f"{self._host} sends more than the {ceiling} bytes it may; what arrived was deleted")
                part.append(item)
                self._note_progress()
            if clock() - since >= self._settings.stall_s:
                if part.written - before < self._settings.stall_bytes_per_s * self._settings.stall_s:
                    raise _Trouble(f"{self._host} sends almost nothing any more")
                since, before = clock(), part.written
            self._meter.tell(part.written, part.total)

    def _end(self) -> None:
        """A body that came to its end: was it all?"""
        part = self._part
        if part.total is None:
            part.total = part.written
        if part.written < part.total:
            raise _Trouble(f"the connection to {self._host} ended after {part.written} of {part.total} bytes")

    def _note_progress(self) -> None:
        """New bytes beyond the furthest point ever reached reset the count; the same bytes again do not."""
        if self._part.written - self._furthest >= self._settings.progress_bytes:
            self._furthest, self._tries = self._part.written, 0

    def _count(self, trouble: _Trouble) -> None:
        """Counts a failed try and waits before the next: exponential backoff with full jitter, or what the server asked."""
        self._furthest = max(self._furthest, self._part.written)
        self._tries += 1
        settings = self._settings
        if self._tries >= settings.attempts:
            raise self._refusal(f"{trouble.reason} ({self._tries} tries); what arrived is kept for the next start")
        longest = min(settings.backoff_max_s, settings.backoff_s * 2.0 ** (self._tries - 1))
        wait_s = longest * self._around.chance()
        if trouble.wait_s is not None:
            if trouble.wait_s > settings.retry_after_max_s:
                wait = duration_text(trouble.wait_s)
                raise self._refusal(f"{trouble.reason} and asks to wait {wait}; start it again then, what arrived is kept")
            wait_s = max(wait_s, trouble.wait_s)
        self._pause(wait_s, f"{trouble.reason}; tries again in {{left}} ({self._tries + 1} of {settings.attempts})")

    def _pause(self, seconds: float, message: str) -> None:
        end = self._around.clock() + seconds
        told = None
        while (left := end - self._around.clock()) > 0:
            self._check_cancel()
            if told != (told := duration_text(left)):
                self._meter.say(self._part.written, self._part.total, message.format(left=told))
            self._around.sleep(min(left, POLL_S))

    def _finish(self) -> Downloaded:
        """All bytes are here: the hash decides."""
        part, wanted = self._part, self._source.sha256
        found = part.sha256()
        if wanted and found != wanted.lower():
            part.drop()
            raise self._refusal(
                f"what {self._host} sent has the SHA-256 {found[:12]}..., the catalogue says {wanted.lower()[:12]}...;"
                " it was deleted"
            )
        part.keep()
        self._meter.tell(part.written, part.written, last=True)
        return Downloaded(part.path, found, part.written, safe_address(self._url), part.etag)

    def _broken(self, broken: Broken) -> Exception:
        return _Trouble(broken.reason) if broken.again else self._refusal(broken.reason)

    def _access(self, status: int) -> AccessError:
        where = f": {self._license_url}" if self._license_url else ""
        return AccessError(
            f"{self._name}: {self._host} refuses it ({status}); its license must be accepted, or an account is needed{where}",
            self._license_url,
        )

    def _refusal(self, reason: str) -> TransferError:
        return TransferError(f"{self._name}: {reason}")

    def _check_cancel(self) -> None:
        if self._cancel is not None and self._cancel.cancelled:
            amount = amount_text(self._part.written, self._part.total)
            raise Cancelled(f"Cancelled; {amount} of {self._name} are kept, and the next start goes on from there.")

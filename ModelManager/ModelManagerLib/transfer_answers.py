"""What a server's answer means for a download: may it be the file, does it continue a part, when to ask again."""

from __future__ import annotations

import contextlib
import email.utils
import re
from dataclasses import dataclass

from ModelManagerLib.transfer_http import Answer

RETRIED = (408, 425, 429)
NOT_THERE = (404, 410)
REFUSED = (401, 403)
WEB_PAGES = ("text/html", "application/xhtml+xml")
CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)


@dataclass(frozen=True)
class Range:
    """Of a 206: the first and last byte sent (from 0), and the length of the whole file, None when not told."""

    first: int
    last: int
    total: int | None


def content_range(answer: Answer) -> Range | None:
    """The Content-Range of an answer; None when it has none that can be read."""
    match = CONTENT_RANGE.fullmatch(answer.headers.get("content-range", "").strip())
    return Range(int(match[1]), int(match[2]), None if match[3] == "*" else int(match[3])) if match else None


def continues(answer: Answer, *, written: int, total: int | None, etag: str) -> bool:
    """Whether a 206 is exactly the rest of a file of which `written` bytes are here. total, etag: as far as known."""
    sent, now = content_range(answer), strong_etag(answer)
    if sent is None or packed(answer) or sent.first != written or (etag and now and etag != now):
        return False
    if sent.total is not None and total is not None and sent.total != total:
        return False
    whole = total if sent.total is None else sent.total
    return whole is None or sent.last == whole - 1


def strong_etag(answer: Answer) -> str:
    """The entity tag when it is a strong one, else "": a weak one (W/) does not promise the same bytes."""
    etag = answer.headers.get("etag", "").strip()
    return etag if len(etag) >= 2 and etag[0] == etag[-1] == '"' else ""


def packed(answer: Answer) -> str:
    """The Content-Encoding of a body that is not the file itself; "" when it is."""
    encoding = answer.headers.get("content-encoding", "").strip().lower()
    return "" if encoding == "identity" else encoding


def is_web_page(answer: Answer) -> bool:
    """Whether it calls itself a page: of a log-in, or of a gateway."""
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower() in WEB_PAGES


def body_length(answer: Answer) -> int | None:
    """Bytes of the body as announced; None when only its end will tell."""
    return None if answer.chunked else answer.number("content-length")


def retry_after_s(answer: Answer, now: float) -> float | None:
    """Seconds that the server asks to wait, told in seconds or as a date; None when it asks nothing. now: time of day."""
    seconds = answer.number("retry-after")
    if seconds is not None:
        return float(seconds)
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        return max(0.0, email.utils.parsedate_to_datetime(answer.headers.get("retry-after", "")).timestamp() - now)
    return None

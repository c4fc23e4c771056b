"""One GET, read on a thread of its own, so that whoever waits can stop at any moment, also when the server stalls.

`requests` does the HTTP. A blocked read cannot be interrupted from the same thread; a thread can be left alone: it ends
at its own time-out. Such a thread is right for the processes that install models; inside Slicer's own process it would
hardly get a turn.

No exception of the client leaves this file: their texts hold whole addresses, with queries that may be secrets.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from ModelManagerLib.transfer_settings import TransferSettings, host_of, safe_address
from OncoLib import __version__

CHUNK_BYTES = 1 << 18
WAITING_CHUNKS = 32
MAX_REDIRECTS = 10
LONGEST_NUMBER = 18
"""Digits of a length in a header: more is no length of a file."""


@dataclass(frozen=True)
class Answer:
    """Status and headers (names in lower case) of the last hop. chunked: the end of the body is marked in it."""

    status: int
    headers: Mapping[str, str]
    chunked: bool

    def number(self, name: str) -> int | None:
        """A header that is a whole number of at most 18 digits, else None."""
        text = self.headers.get(name, "").strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER else None


@dataclass(frozen=True)
class Broken:
    """The request failed. reason: part of a sentence, safe to show. again: worth another try."""

    reason: str
    again: bool = True


class Ended:
    """The body came to its end without an error of the connection."""


class _RedirectRefused(Exception):
    """A redirect that is not followed; the text is safe to show."""


class Fetch:
    """Starts the request at once; `next` gives first an Answer, then bytes, then Ended; or Broken at any place."""

    def __init__(self, url: str, headers: Mapping[str, str], settings: TransferSettings) -> None:
        self._url, self._headers, self._settings = url, dict(headers), settings
        self._items: queue.Queue = queue.Queue(maxsize=WAITING_CHUNKS)
        self._abandoned = threading.Event()
        self._response = None
        threading.Thread(target=self._run, name=f"download from {host_of(url)}", daemon=True).start()

    def next(self, timeout_s: float) -> Answer | bytes | Ended | Broken | None:
        """The next item; None when none came in that time."""
        try:
            return self._items.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def abandon(self) -> None:
        """Ends the request; returns at once. The thread closes the connection when its read returns."""
        self._abandoned.set()
        shutdown = getattr(getattr(self._response, "raw", None), "shutdown", None)  # urllib3 2.3 and later
        if shutdown is not None:
            with contextlib.suppress(Exception):  # whatever state the connection is in, the thread ends by its time-out
                shutdown()

    def _put(self, item: object) -> None:
        while not self._abandoned.is_set():
            try:
                self._items.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def _run(self) -> None:
        try:
            import requests

            _keep_queries_out_of_logs()
            with requests.Session() as session:
                session.trust_env = False  # proxies and certificates come from the settings; no ~/.netrc
                self._response = _ask(session, self._url, self._headers, self._settings)
                with contextlib.closing(self._response):
                    self._read(self._response)
        except _RedirectRefused as refusal:
            self._put(Broken(str(refusal), again=False))
        except Exception as error:  # a thread has nobody above it: every failure is handed over as words
            self._put(_in_words(error, self._url, self._settings))

    def _read(self, response) -> None:
        headers = {name.lower(): value for name, value in response.headers.items()}
        self._put(Answer(response.status_code, headers, "chunked" in headers.get("transfer-encoding", "").lower()))
        read = getattr(response.raw, "read1", None) or response.raw.read  # read1 gives what is there, read waits for all
        while not self._abandoned.is_set():
            data = read(CHUNK_BYTES, decode_content=False)
            if not data:
                self._put(Ended())
                return
            self._put(data)


def _ask(session, url: str, headers: Mapping[str, str], settings: TransferSettings):
    """GET with redirects followed here: a token goes to its own host only, and no step leads from HTTPS to HTTP."""
    import requests

    for _ in range(MAX_REDIRECTS + 1):
        response = session.get(
            url,
            headers={**headers, **_standard_headers(url, settings)},
            stream=True,
            allow_redirects=False,
            timeout=(settings.connect_s, settings.read_s),
            proxies=_proxies(url, settings),
            verify=settings.ca_bundle or True,
        )
        target = session.get_redirect_target(response)
        if target is None:
            return response
        response.close()
        url = requests.utils.requote_uri(_redirected(url, target))
    raise _RedirectRefused(f"{host_of(url)} redirects more than {MAX_REDIRECTS} times")


def _redirected(url: str, target: str) -> str:
    """The address a redirect leads to."""
    wanted = urljoin(url, target)
    scheme = urlsplit(wanted).scheme
    if scheme not in ("http", "https"):
        raise _RedirectRefused(f"{host_of(url)} redirects to an address that is no web address")
    if scheme == "http" and urlsplit(url).scheme == "https":
        raise _RedirectRefused(
            f"{host_of(url)} redirects from HTTPS to HTTP ({safe_address(wanted)}), which anybody could change"
        )
    return wanted


def _standard_headers(url: str, settings: TransferSettings) -> dict[str, str]:
    """Identity: ranges and sizes shall count bytes of the file itself."""
    headers = {"Accept-Encoding": "identity", "User-Agent": f"OncoSegment/{__version__}"}
    token = settings.tokens.get(host_of(url)) if urlsplit(url).scheme == "https" else None
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return headers


def _proxies(url: str, settings: TransferSettings) -> dict[str, str]:
    from requests.utils import get_environ_proxies, should_bypass_proxies

    if settings.proxies is None:
        return get_environ_proxies(url, no_proxy=settings.no_proxy or None)
    return {} if should_bypass_proxies(url, no_proxy=settings.no_proxy or "") else dict(settings.proxies)


def _in_words(error: Exception, url: str, settings: TransferSettings) -> Broken:
    """What went wrong, without the texts of the client."""
    if isinstance(error, ImportError):
        return Broken(f"the package {error.name or 'requests'} is not installed", again=False)
    from requests import exceptions

    host, text = host_of(url), str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return Broken(
            f"the certificate of {host} is not trusted; where a hospital's gateway reads along, set its certificates"
            " (REQUESTS_CA_BUNDLE, or the setting for certificates)",
            again=False,
        )
    if isinstance(error, exceptions.ProxyError):
        refused = "407" in text
        return Broken(
            "the proxy wants a name and a password (407)" if refused else "the proxy does not answer", again=not refused
        )
    if isinstance(error, ValueError):  # so the client calls an address, or a proxy's, that makes no sense
        return Broken(f"the address at {host} cannot be used", again=False)
    if isinstance(error, exceptions.ConnectTimeout):
        return Broken(f"{host} did not answer within {settings.connect_s:g} s")
    if isinstance(error, exceptions.ReadTimeout) or "timed out" in text:
        return Broken(f"{host} sent nothing for {settings.read_s:g} s")
    if isinstance(error, exceptions.ConnectionError):
        return Broken(f"the name {host} is not known" if "resolve" in text else f"no connection to {host}")
    return Broken(f"the connection to {host} broke")


def _keep_queries_out_of_logs() -> None:
    """urllib3 logs each request with its whole path at the level DEBUG; signatures and tokens are cut off there."""
    logging.getLogger("urllib3.connectionpool").addFilter(_cut_query)  # the same function again is not added twice


def _cut_query(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(item.partition("?")[0] if isinstance(item, str) else item for item in record.args)
    return True

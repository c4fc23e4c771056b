"""How downloads go out of this machine: proxy, certificates, mirrors, offline mode, tokens, patience.

Nothing here opens a connection. Addresses that may hold a password, a token or a signature pass `safe_address` before
they reach a message.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote, urlsplit, urlunsplit

from ModelManagerLib.locks import BEAT_S, MISSED_BEATS
from OncoLib.errors import InputError, ModelError

OFFLINE_VARIABLES = ("ONCOSEGMENT_OFFLINE", "HF_HUB_OFFLINE")
CERTIFICATE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
MIRRORS_VARIABLE = "ONCOSEGMENT_MIRRORS"
HUGGING_FACE = "https://huggingface.co/"
NOTHING: Mapping = MappingProxyType({})


class TransferError(ModelError):
    """A file could not be fetched."""


class AccessError(TransferError):
    """The server wants a license accepted, or an account, first. license_url: where; "" when not known."""

    def __init__(self, message: str, license_url: str = "") -> None:
        super().__init__(message)
        self.license_url = license_url


class OfflineError(TransferError):
    """Offline mode is on: nothing was asked of the network."""


@dataclass(frozen=True)
class TransferSettings:
    """What one download may do.

    offline: nothing is fetched. proxies: by scheme ("https"); None takes what the system says (HTTPS_PROXY, NO_PROXY,
    the settings of Windows and macOS); {} goes straight. no_proxy: hosts that need none, as in NO_PROXY; it counts with
    given `proxies`. ca_bundle: file or folder with the certificates to trust, "" takes the usual ones. mirrors: start of
    an address -> what stands there instead, one or several in the order to try. The longest start that fits is taken,
    and what it matches is asked nowhere else: list the origin too if it may be asked. tokens: host -> token, sent to
    that host over HTTPS only. The rest is patience: seconds, bytes per second, attempts in a row without progress_bytes
    of progress, the ceiling for a file of unknown length, how often what arrived is pushed to the disk, the lock's beat.
    """

    offline: bool = False
    proxies: Mapping[str, str] | None = None
    no_proxy: str = ""
    ca_bundle: str = ""
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    connect_s: float = 10.0
    read_s: float = 30.0
    stall_bytes_per_s: float = 1024.0
    stall_s: float = 60.0
    attempts: int = 6
    progress_bytes: int = 1 << 16
    backoff_s: float = 1.0
    backoff_max_s: float = 60.0
    retry_after_max_s: float = 300.0
    max_bytes: int = 20_000_000_000
    keep_s: float = 5.0
    beat_s: float = BEAT_S
    missed_beats: int = MISSED_BEATS

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ, stored: Mapping = NOTHING) -> TransferSettings:
        """Settings of a user: environment variables first, then `stored` (the same names as the fields).

        Raises InputError naming the variable or the field whose value cannot be used.
        """
        return cls(
            offline=_offline(environ) or _flag(stored.get("offline", False), "offline"),
            proxies=_texts(stored["proxies"], "proxies") if stored.get("proxies") else None,
            no_proxy=str(stored.get("no_proxy") or ""),
            ca_bundle=_first(environ, CERTIFICATE_VARIABLES) or str(stored.get("ca_bundle") or ""),
            mirrors=_mirrors(environ, stored),
            tokens={"huggingface.co": environ["HF_TOKEN"].strip()} if environ.get("HF_TOKEN", "").strip() else {},
        )

    def addresses(self, urls: tuple[str, ...]) -> tuple[str, ...]:
        """What to ask, in order, after the mirror table; each address once."""
        found: dict[str, None] = {}
        for url in urls:
            fitting = [start for start in self.mirrors if url.startswith(start)]
            if not fitting:
                found[url] = None
                continue
            start = max(fitting, key=len)
            for instead in self.mirrors[start]:
                found[instead + url[len(start) :]] = None
        return tuple(found)

    def require_online(self, name: str) -> None:
        """Raises OfflineError in offline mode."""
        if self.offline:
            raise OfflineError(
                f"{name} is not on this machine and offline mode is on; switch it off to fetch it, or import the file"
            )

    def require_certificates(self) -> None:
        """Raises InputError when the file of certificates is not there."""
        if self.ca_bundle and not Path(self.ca_bundle).exists():
            raise InputError(
                f"{Path(self.ca_bundle).name}: the file of trusted certificates is not there;"
                f" correct the setting, or one of {', '.join(CERTIFICATE_VARIABLES)}"
            )


def safe_address(url: str) -> str:
    """The address without user, password, query and fragment: fit for a message, a log and a manifest."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be read"
    host = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme, host + port, parts.path, "", ""))


def host_of(url: str) -> str:
    """The server's name, without port and user."""
    try:
        return urlsplit(url).hostname or "the server"
    except ValueError:
        return "the server"


def name_of(url: str) -> str:
    """The last part of the path, as a file's name."""
    try:
        path = urlsplit(safe_address(url)).path
    except ValueError:  # a path of slashes and brackets reads as a broken host once the rest is gone
        return "the file"
    return unquote(path.rstrip("/").rpartition("/")[2]) or "the file"


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((environ[name] for name in names if environ.get(name)), "")


def _offline(environ: Mapping[str, str]) -> bool:
    return any(environ.get(name, "").strip().lower() in ("1", "true", "yes", "on") for name in OFFLINE_VARIABLES)


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"setting {name!r} is {value!r}; wanted true or false")
    return value


def _texts(value: object, name: str) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(item, str) for pair in value.items() for item in pair):
        raise InputError(f"setting {name!r} cannot be used; wanted a table of texts")
    return dict(value)


def _mirrors(environ: Mapping[str, str], stored: Mapping) -> dict[str, tuple[str, ...]]:
    """The stored table, then HF_ENDPOINT, then the variable (JSON, or the name of a JSON file); the later one wins."""
    table = _mirror_table(stored.get("mirrors") or {}, "setting 'mirrors'")
    endpoint = environ.get("HF_ENDPOINT", "").strip()
    if endpoint:
        table[HUGGING_FACE] = (endpoint.rstrip("/") + "/",)
    text = environ.get(MIRRORS_VARIABLE, "").strip()
    if text:
        table.update(_mirror_table(_json(text), MIRRORS_VARIABLE))
    return table


def _json(text: str) -> object:
    try:
        return json.loads(text if text.startswith("{") else Path(text).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{MIRRORS_VARIABLE} is neither JSON nor the name of a JSON file that can be read") from error


def _mirror_table(value: object, where: str) -> dict[str, tuple[str, ...]]:
    wanted = f'{where} cannot be used; wanted {{"https://origin/": "https://mirror/"}} or a list of such addresses for each'
    if not isinstance(value, Mapping):
        raise InputError(wanted)
    table = {}
    for start, instead in value.items():
        several = (instead,) if isinstance(instead, str) else tuple(instead) if isinstance(instead, (list, tuple)) else ()
        if not several or not all(isinstance(item, str) and _is_web(item) for item in (start, *several)):
            raise InputError(wanted)
        table[start] = several
    return table


def _is_web(url: str) -> bool:
    return url.startswith(("https://", "http://"))

"""A file for those who help: findings and versions, without names of people, machines, patients, folders or networks.

It is made of few, known facts, and each text of it is cleaned nevertheless: a sentence can quote what a library said.
Paths lose everything but their place among known ones; user, home and host names, addresses, license numbers, UIDs and
names as DICOM writes them become a word in angle brackets.
"""

from __future__ import annotations

import getpass
import ipaddress
import json
import os
import platform
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ModelManagerLib.doctor_packages import installed
from ModelManagerLib.finding import Finding
from OncoLib import __version__
from OncoLib.staged import staged_files

SHORTEST_NAME = 2
LONGEST_TEXT = 4000
"""Ours are sentences; a longer one quotes something, and its beginning is enough."""

COMMON = frozenset(("root", "user", "admin", "administrator", "home", "python", "slicer", "the", "de", "von", "van"))
"""Names of accounts that name nobody, and words."""

VARIABLES = (
    "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE",
    "ONCOSEGMENT_MODELS", "ONCOSEGMENT_CHECKPOINTS", "ONCOSEGMENT_OFFLINE", "HF_HUB_OFFLINE", "TOTALSEG_HOME_DIR",
    "TOTALSEG_WEIGHTS_PATH",
    "TOTALSEG_LICENSE_NUMBER", "CUDA_VISIBLE_DEVICES", "PYTHONPATH", "nnUNet_results", "HF_TOKEN",
)  # fmt: skip
"""Told as set or not set, never with their values."""

EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
ADDRESS = re.compile(r"\b(?:https?|ftp|socks\w*|file|s3|smb)://[^\s'\"<>]+")
IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)(?::\d+)?")
IPV6 = re.compile(r"(?<![\w:.])(?=(?:[^:\s]*:){2})[0-9a-fA-F:]{2,}(?:\.\d+){0,3}(?:%\w+)?(?![\w:])")
MAC = re.compile(r"\b(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}\b")
UID = re.compile(r"\b[0-2](?:\.\d+){5,}\b")
DICOM_NAME = re.compile(r"[^\s^'\"<>/\\]+\^[^\s'\"<>/\\]*")
TOKEN = re.compile(r"\b(?:hf_|ghp_|github_pat_|sk-|nvapi-)[A-Za-z0-9_-]{8,}")
LICENSE_NUMBER = re.compile(r"(?<![\w-])(?=[A-Za-z_]*\d)(?=\d*[A-Za-z_])[A-Za-z0-9_]{18}(?![\w-])")
"""TotalSegmentator's have 18 letters and digits."""

DATE = re.compile(r"\b(?:19|20)\d{2}[01]\d[0-3]\d\b")
PATH = re.compile(
    r"(?:\\\\|(?<![\w.<~/])/(?=[\w.~-])|\b[A-Za-z]:[\\/]|~[\w.-]*[\\/])"  # where it begins
    r"(?:[^\s'\"<>|,;:]"
    r"|(?<=[\w)]) (?=[^'\"<>|,;:\n]{0,80}?(?:[\\/]|\.\w{2,6}(?:\W|$))))*"  # a space stays inside when more of it follows
)


class Scrubber:
    """Cleans texts. known: places whose names are no secret, as label -> folder; what lies below keeps its relative path."""

    def __init__(
        self, names: Mapping[str, str], known: Mapping[str, str], numbers: Iterable[str] = (), keep: Iterable[str] = ()
    ) -> None:
        ordered = sorted(
            ((value, label) for value, label in names.items() if len(value) >= SHORTEST_NAME), key=lambda one: -len(one[0])
        )
        domain = {"<host>": r"(?:\.[A-Za-z0-9-]+)*"}
        self._names = [
            (re.compile(rf"(?<![A-Za-z0-9]){re.escape(value)}{domain.get(label, '')}(?![A-Za-z0-9])", re.I), label)
            for value, label in ordered
        ]
        self._known = sorted(
            ((folder, label) for label, folder in known.items() if len(folder) > 1), key=lambda one: -len(one[0])
        )
        self._numbers = sorted((number for number in numbers if number), key=len, reverse=True)
        self._keep = frozenset(keep)

    @classmethod
    def of_this_machine(
        cls,
        environ: Mapping[str, str] = os.environ,
        home: Path | None = None,
        keep: Iterable[str] = (),
        host: str | None = None,
        persons: Iterable[str] | None = None,
    ) -> Scrubber:
        """With the names that this process can find out. keep: version texts, which look like addresses of networks.

        host, persons: names in place of those that the system gives.
        """
        home = home or Path.home()
        known = {*user_names(environ, home), *(system_names() if persons is None else persons)}
        names = {part: "<user>" for name in known for part in (name, *name.split()) if part not in COMMON}
        names |= {value: "<host>" for value in host_names(environ, host)}
        secrets = [value for name, value in environ.items() if re.search("TOKEN|LICENSE|PASSWORD|SECRET|API_?KEY", name, re.I)]
        return cls(names, {"<home>": str(home)}, secrets, keep)

    def __call__(self, text: str) -> str:
        """The text with words in brackets in place of what must not leave."""
        if len(text) > LONGEST_TEXT:
            text = f"{text[:LONGEST_TEXT].rpartition(' ')[0]} ..."
        for number in self._numbers:
            text = text.replace(number, "<secret>")
        text = ADDRESS.sub("<address>", text)
        text = EMAIL.sub("<e-mail>", text)
        text = PATH.sub(self._path, text)
        for pattern, word in ((TOKEN, "<secret>"), (UID, "<uid>"), (DICOM_NAME, "<name>"), (MAC, "<address>")):
            text = pattern.sub(word, text)
        text = IPV6.sub(without_address, text)
        text = IPV4.sub(lambda found: found[0] if found[0] in self._keep else "<address>", text)
        text = LICENSE_NUMBER.sub(lambda found: found[0] if found[0] in self._keep else "<secret>", text)
        text = DATE.sub("<date>", text)
        for pattern, label in self._names:
            text = pattern.sub(label, text)
        return text

    def _path(self, found: re.Match) -> str:
        """The part of a path that is the program's: below site-packages, its relative path; else only that it was one."""
        path = found[0].replace("\\", "/")
        _, package, rest = path.rpartition("/site-packages/")
        if package and re.fullmatch(r"[\w./+-]*", rest):
            return f"<packages>/{rest}"
        label = next((label for folder, label in self._known if path.startswith(folder.replace("\\", "/"))), "")
        return f"{label}/<path>" if label else "<path>"


def without_address(found: re.Match) -> str:
    """A word in place of an address of IPv6, a colon behind it kept; times of day look alike and stay."""
    text = found[0].partition("%")[0]
    for candidate in (text, text.removesuffix(":")):
        try:
            ipaddress.ip_address(candidate)
        except ValueError:
            continue
        return "<address>" + text[len(candidate) :]
    return found[0]


def user_names(environ: Mapping[str, str], home: Path) -> set[str]:
    """Login names of the environment, and that of the home folder."""
    found = {environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")} | {home.name}
    return {name.strip() for name in found} - {""}


def system_names() -> set[str]:
    """The login name, and the full name where the system gives one."""
    found = set()
    try:
        found.add(getpass.getuser())
        import pwd

        found.add(pwd.getpwuid(os.getuid()).pw_gecos.split(",")[0].strip())
    except (ImportError, KeyError, OSError):
        pass
    return found - {""}


def host_names(environ: Mapping[str, str], host: str | None = None) -> set[str]:
    """This machine's names, with and without a domain."""
    named = {socket.gethostname(), platform.node()} if host is None else {host}
    found = {*named, environ.get("HOSTNAME", ""), environ.get("COMPUTERNAME", ""), environ.get("USERDOMAIN", "")}
    return {part for name in found for part in (name, name.split(".")[0])} - {"", "localhost"}


def support_facts(
    findings: Sequence[Finding],
    environ: Mapping[str, str],
    path: Iterable[str],
    home: Path,
    *,
    persons: Iterable[str] | None = None,
) -> dict:
    """What the file holds, cleaned. persons: names in place of those that the system gives."""
    packages = {name: copies[0].version for name, copies in sorted(installed(path).items())}
    keep = {*packages.values(), *(version for finding in findings for version in finding.versions)}
    clean = Scrubber.of_this_machine(environ, home, keep, persons=persons)
    facts = {
        "oncosegment": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "variables": {name: "set" if environ.get(name) else "not set" for name in VARIABLES},
        "findings": [finding.as_dict() for finding in findings],
    }
    return {**cleaned(facts, clean), "packages": {clean(name): clean(version) for name, version in packages.items()}}


def cleaned(value, clean: Scrubber):
    """Every text of a JSON-ready value; keys are ours."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {key: cleaned(part, clean) for key, part in value.items()}
    return [cleaned(part, clean) for part in value] if isinstance(value, (list, tuple)) else value


def write_support_file(path: Path, facts: dict, *, overwrite: bool = False) -> None:
    """Writes the facts: JSON for a name that ends in .json, else text. OutputError when it cannot be written."""
    path = Path(path)
    text = json.dumps(facts, indent=1, ensure_ascii=False) if path.suffix.lower() == ".json" else as_text(facts)
    with staged_files(path.parent, overwrite=overwrite) as staging:
        (staging / path.name).write_text(text + "\n", encoding="utf-8")


def as_text(facts: dict) -> str:
    """For reading."""
    lines = [f"OncoSegment {facts['oncosegment']}, Python {facts['python']}, {facts['system']}", ""]
    for finding in facts["findings"]:
        lines.append(f"{finding['state']:<8}{finding['subject']}: {finding['sentence']}")
        lines += [f"{'':<8}  {finding['repair']}"] if finding["repair"] else []
    lines += ["", "Variables: " + ", ".join(f"{name} {state}" for name, state in facts["variables"].items()), "", "Packages:"]
    return "\n".join(lines + [f"  {name} {version}" for name, version in facts["packages"].items()])

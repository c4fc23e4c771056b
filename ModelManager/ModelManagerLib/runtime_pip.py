"""Runs pip as a process that can be watched and cancelled, with the user's index but none of the options that would
send packages elsewhere."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ModelManagerLib.transfer_settings import TransferSettings
from OncoLib.background import no_console
from OncoLib.errors import Cancelled, ModelError, OncoError, OutputError, WorkerError
from OncoLib.progress import CancelToken

KEPT = (
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "cert", "client-cert", "proxy"),
    *("timeout", "default-timeout", "retries", "resume-retries", "keyring-provider", "use-feature", "use-deprecated"),
)
"""What counts of the user's configuration of pip: where packages come from, and how patiently. `target`, `user`, `prefix`,
`require-virtualenv`, `no-binary`, `constraint` and all others would break an installation into a folder."""

BOOT = """import os, sys, threading, time, runpy
parent, watched = int(sys.argv.pop(1)), os.name == "posix"
def watch():
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
if watched and parent:
    threading.Thread(target=watch, daemon=True).start()
sys.argv[0] = "pip"
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
"""pip ends with the process that wanted it, even if that one is killed."""

POLL_S = 0.05

WOULD_CHANGE = "it would change a package that is there"

REASONS = (
    (r"No space left on device|Errno 28\]|not enough space on the disk|Errno 122\]", OutputError, "the disk is full; free some"),
    (r"DO NOT MATCH THE HASHES", ModelError, "a file of the index is not the one that was listed (another SHA-256)"),
    (r"externally-managed-environment", ModelError, "this Python belongs to the system; use a virtual environment"),
    (r"No module named pip\b", ModelError, "this Python has no pip; `python -m ensurepip` brings it"),
    (r"no such option: --report", ModelError, "the pip of this Python is older than 22.2; `python -m pip install --upgrade pip`"),
    (r"ResolutionImpossible|conflicting dependencies", ModelError, WOULD_CHANGE),
    (r"outside the target directory|path traversal", ModelError, "a file of the index is hostile: it leads out of its folder"),
    (
        r"NewConnectionError|Name or service not known|NameResolutionError|ProxyError|SSLError|ConnectTimeout|ReadTimeout"
        r"|Connection refused|Max retries exceeded|Network is unreachable",
        ModelError,
        "the index of packages cannot be reached; look at the network and at pip's settings (index, proxy, certificate)",
    ),
    (r"BadZipFile|is not a zip file|invalid wheel|Invalid wheel|is invalid\.", ModelError, "a file of the index is damaged"),
    (
        r"No matching distribution found for ([^\s;]+)",
        ModelError,
        "the index has no file of {0} for this Python and system, or cannot be reached",
    ),
)
"""What pip says, the error it becomes, and the sentence; the first that fits."""


@dataclass
class Pip:
    """pip of one interpreter. environ: of its process. log: gets each line. folder: for its temporary files."""

    python: str
    environ: Mapping[str, str]
    folder: Path
    log: Callable[[str], None] = field(default=lambda line: None)
    cancel: CancelToken | None = None

    def run(self, arguments: Sequence[str], what: str, *, stoppable: bool = True) -> None:
        """Runs it; ModelError or OutputError with one sentence about `what` when it fails. stoppable: else it goes on to
        its end whatever happens to us, since it changes something that must not stay half."""
        parent = os.getpid() if stoppable else 0
        command = [self.python, "-c", BOOT, str(parent), *arguments]
        status, text = self.child(command, stoppable=stoppable)
        if status:
            raise failure(what, status, text)

    def child(self, command: Sequence[str], *, stoppable: bool = True, environ: Mapping[str, str] | None = None):
        """Status and output of a process that ends at Cancel, with all that it started."""
        output = self.folder / "output.txt"
        with open(output, "wb") as stream:
            try:
                process = subprocess.Popen(
                    list(command),
                    cwd=self.folder,
                    env=dict(environ or self.environ),
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    start_new_session=os.name == "posix",
                    **no_console(),
                )
            except OSError as error:
                raise WorkerError("Python could not be started to install packages.") from error
        try:
            with open(output, encoding="utf-8", errors="replace") as lines:
                text = self._follow(process, lines, stoppable)
        finally:
            if process.poll() is None:
                end_tree(process)
        return process.returncode, text

    def _follow(self, process: subprocess.Popen, lines, stoppable: bool) -> str:
        """All that the process prints, told line by line."""
        text, told, last = "", 0, False
        while not last:
            last = process.poll() is not None
            text += lines.read()
            *whole, _rest = text[told:].split("\n")
            for line in whole:
                self.log(line)
                told += len(line) + 1
            if stoppable and self.cancel is not None and self.cancel.cancelled:
                raise Cancelled()
            if not last:
                time.sleep(POLL_S)
        if text[told:].strip():
            self.log(text[told:])
        return text


def end_tree(process: subprocess.Popen) -> None:
    """Kills a process and all that it started."""
    if os.name == "nt":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True, **no_console())
    else:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()


def failure(what: str, status: int, text: str) -> OncoError:
    """One sentence for what pip said."""
    for pattern, kind, sentence in REASONS:
        match = re.search(pattern, text)
        if match:
            return kind(f"{what}: {sentence.format(*match.groups())}; nothing was changed")
    errors = [line.removeprefix("ERROR:").strip() for line in text.splitlines() if line.startswith("ERROR:")]
    last = f" ({re.sub(r'/[^ ]*/', '', errors[-1])[:120]})" if errors else ""
    return ModelError(f"{what}: pip ended with status {status}{last}; its log says more, nothing was changed")


def pip_environment(
    python: str, temporary: Path, settings: TransferSettings, environ: Mapping[str, str] = os.environ, run=subprocess.run
) -> dict[str, str]:
    """The environment of pip: of the user's configuration (files and PIP_*), only what says where packages come from.

    settings: our own proxy and certificates, where pip has none. temporary: for pip's own files, on the same volume.
    """
    command = [python, "-m", "pip", "config", "list"]
    found = {**environ, "PIP_NO_COLOR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = run(command, env=found, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", **no_console())
    kept = configured(done.stdout)
    https = (settings.proxies or {}).get("https", "")
    for name, value in (("proxy", https), ("cert", settings.ca_bundle)):
        if value and name not in kept:
            kept[name] = value
    clean = {name: value for name, value in environ.items() if not name.upper().startswith("PIP_")}
    clean.update({f"PIP_{name.upper().replace('-', '_')}": value for name, value in kept.items()})
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_NO_COLOR": "1", "PIP_PROGRESS_BAR": "off"}
    own = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}
    return {**clean, **quiet, **own, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))}


def configured(listing: str) -> dict[str, str]:
    """The values that are kept, from `pip config list`: variables before sections of one command before the general one."""
    ranks = {"global": 0, "download": 1, "install": 2, ":env:": 3}
    found: dict[str, tuple[int, str]] = {}
    for line in listing.splitlines():
        key, equals, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if not equals or name not in KEPT or section not in ranks:
            continue
        try:
            text = " ".join(str(ast.literal_eval(value)).split())
        except (ValueError, SyntaxError):
            continue
        if name not in found or ranks[section] >= found[name][0]:
            found[name] = (ranks[section], text)
    return {name: text for name, (_rank, text) in found.items()}

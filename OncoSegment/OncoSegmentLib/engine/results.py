"""Results that wait on disk to become nodes, so that a Slicer that ends unexpectedly loses none.

A process that runs jobs holds a folder of its own below the user's `~/.oncosegment/results` by a lock of the operating
system, which ends with the process. Folders whose lock nobody holds are left over: another session may load or discard
what they hold. They are arrays and JSON, nothing executable, without names or UIDs of a patient.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from OncoLib.errors import OncoError, OutputError
from OncoLib.private_folders import LOCK, NEW_SECONDS, hold, lock
from OncoLib.segmentation import Prediction
from OncoSegmentLib.engine.codec import DONE, read_prediction

VARIABLE = "ONCOSEGMENT_RESULTS"
KEPT_SECONDS = 14 * 24 * 3600.0
"""Results that nobody loaded or discarded are removed after two weeks."""


@dataclass(frozen=True)
class LeftOver:
    """A result of a session that is gone. ended: seconds since 1970. name: what the model calls it."""

    folder: Path
    name: str
    segments: int
    ended: float
    input_sha256: str

    def load(self) -> Prediction:
        """OutputError when it cannot be read."""
        try:
            return read_prediction(self.folder)
        except OncoError:
            raise
        except Exception as error:  # a file that a power cut left can be anything
            raise OutputError(f"The kept result cannot be read ({type(error).__name__}); discard it.") from error

    def discard(self) -> None:
        """Removes it."""
        discard(self.folder)

    @property
    def id(self) -> str:
        """Names it on the command line."""
        return self.folder.name


def results_root(environ: Mapping[str, str] = os.environ, home: Path | None = None) -> Path:
    """Environment ONCOSEGMENT_RESULTS, else `~/.oncosegment/results`."""
    named = environ.get(VARIABLE, "").strip()
    return Path(named).expanduser() if named else (home or Path.home()) / ".oncosegment" / "results"


class Session:
    """The results of this process. Made at the first job; `close` removes what was not discarded before."""

    def __init__(self, root: Path | None = None) -> None:
        self.folder = (root or results_root()) / f"session-{uuid.uuid4().hex[:12]}"
        try:
            self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700)
            self._lock = hold(self.folder)
        except OSError as error:
            reason = (error.strerror or "write error").lower()
            raise OutputError(f"{self.folder.parent}: results cannot be kept there ({reason})") from error

    def new_folder(self) -> Path:
        """A path for one result; the job makes the folder."""
        return self.folder / f"result-{uuid.uuid4().hex[:12]}"

    def close(self) -> None:
        """Removes all; for a session that ended as it should."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        shutil.rmtree(self.folder, ignore_errors=True)


def left_over(root: Path | None = None, now=time.time) -> list[LeftOver]:
    """Whole results of sessions that are gone, oldest first; what is torn, empty or too old is removed on the way."""
    found = []
    for session in sorted((root or results_root()).glob("session-*")):
        if session.is_symlink():
            continue
        try:
            descriptor = lock(session / LOCK)
        except OSError:
            continue  # removed meanwhile by another session
        if descriptor is None:
            continue
        try:
            alive = whole_results(session, now)
        finally:
            os.close(descriptor)
        found += alive
        if not alive and now() - session.stat().st_mtime > NEW_SECONDS:
            shutil.rmtree(session, ignore_errors=True)
    return sorted(found, key=lambda one: one.ended)


def whole_results(session: Path, now) -> list[LeftOver]:
    """Those of one session; too old ones are removed."""
    kept = [_left_over(folder) for folder in sorted(session.glob("result-*")) if not folder.is_symlink()]
    old = [one for one in kept if one is not None and now() - one.ended > KEPT_SECONDS]
    for one in old:
        one.discard()
    return [one for one in kept if one is not None and one not in old]


def _left_over(folder: Path) -> LeftOver | None:
    try:
        description = json.loads((folder / DONE).read_text(encoding="utf-8"))
        sha256 = description["provenance"].get("input_sha256", "")
        ended = (folder / DONE).stat().st_mtime
        return LeftOver(folder, str(description["name"]), len(description["segments"]), ended, sha256)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def discard(folder: Path) -> None:
    """Removes one result; a session that is gone and holds no other goes too."""
    shutil.rmtree(folder, ignore_errors=True)
    session = folder.parent
    if session.name.startswith("session-") and not any(session.glob(f"result-*/{DONE}")):
        with suppress(OSError):
            descriptor = lock(session / LOCK)
            if descriptor is not None:
                os.close(descriptor)
                shutil.rmtree(session, ignore_errors=True)

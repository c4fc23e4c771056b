"""One process a job: needs no package of its own, so it works before any runtime is installed. Nothing stays warm."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

from OncoLib import background
from OncoLib.background import FINAL, Job
from OncoLib.progress import CancelToken, Progress
from OncoLib.segmentation import Prediction
from OncoSegmentLib.engine.paths import worker_path
from OncoSegmentLib.engine.perform import Outcome, name_of, perform
from OncoSegmentLib.engine.results import Session
from OncoSegmentLib.engine.shared import Packed, pack, unpack
from OncoSegmentLib.worker import mark_worker

TARGET = "OncoSegmentLib.engine.process:do"
CALL, OUTCOME = "call.json", "outcome.pickle"


class ProcessEngine:
    """Runs each job in a process of its own, over `OncoLib.background`."""

    name = "process"
    elsewhere = False

    def __init__(
        self, *, python: str = "", path: list[str] | None = None, results: Path | None = None, sets: tuple[str, ...] = ()
    ) -> None:
        self._python, self._path, self._results, self._session = python, path, results, None
        self._sets = sets

    def submit(self, function: Callable, *arguments, keep: bool = False, gpu: str = "", at: str = "") -> Job:
        """Starts `function(*arguments, progress=, cancel=)` at once. keep: its `Prediction` stays on disk, see `results`."""
        name = name_of(function)
        where = self.session.new_folder() if keep else None

        def put(folder: Path) -> None:
            packed = pack(arguments, folder)
            call = {"function": name, "keep": str(where or ""), "path": packed.path, "spans": packed.spans}
            (folder / "arguments.pickle").write_bytes(packed.data)
            (folder / CALL).write_text(json.dumps(call), encoding="utf-8")

        path = worker_path(self._sets) if self._path is None else self._path
        job = background.begin(TARGET, put, read=read, python=self._python, path=path)
        job.kept = where
        return job

    @property
    def session(self) -> Session:
        """Where results are kept."""
        if self._session is None:
            self._session = Session(self._results)
        return self._session

    def close(self) -> None:
        """Removes the results that are kept; jobs go on until their own `close`."""
        if self._session is not None:
            self._session.close()
            self._session = None


def do(folder: Path, progress: Progress, cancel: CancelToken) -> None:
    """The child's part."""
    mark_worker("process")
    call = json.loads((folder / CALL).read_text(encoding="utf-8"))
    spans = tuple((start, size) for start, size in call["spans"])
    arguments = unpack(Packed((folder / "arguments.pickle").read_bytes(), call["path"], spans))
    keep = Path(call["keep"]) if call["keep"] else None
    outcome = perform(call["function"], arguments, progress, cancel, keep)
    partial = folder / (OUTCOME + ".part")
    partial.write_bytes(pickle.dumps(outcome, protocol=5))
    partial.replace(folder / OUTCOME)
    if not outcome.error and not outcome.kept and not isinstance(outcome.value, Prediction):
        (folder / FINAL).touch()


def read(folder: Path):
    """The parent's part: the result, or what stopped the job."""
    outcome: Outcome = pickle.loads((folder / OUTCOME).read_bytes())
    return outcome.get()

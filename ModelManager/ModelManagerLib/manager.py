"""What a panel of models needs, as plain objects: rows, jobs, one signal. No Qt; a timer calls `poll`."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from ModelManagerLib import store, work
from ModelManagerLib.catalog import LicenseFacts, ModelCard
from ModelManagerLib.catalog_search import has_expert, missing_packages, search, this_machine, too_big
from ModelManagerLib.install import require_sources
from ModelManagerLib.licenses import is_accepted, text_sha256
from ModelManagerLib.store_places import STORE_VARIABLE, settings_file
from ModelManagerLib.transfer_progress import amount_text
from ModelManagerLib.user_catalog import whole_catalog
from OncoLib import background
from OncoLib.background import Status
from OncoLib.errors import Cancelled, InputError, ModelError, OncoError, WorkerError, log_says_more
from OncoLib.progress import CancelToken, Progress
from OncoLib.segmentation_files import write_json

TARGET, LOOK = "ModelManagerLib.work:do", "ModelManagerLib.manager:look"
STORE = ""
"""Key of a job that belongs to no single model: import and export."""

STOP_SECONDS = 1.5
"""How long `abandon` waits for jobs to stop by themselves; killed ones leave locks that others wait half a minute for."""

CANCELLED = {
    "install": "Cancelled; what was fetched is kept and taken up again.",
    "import": "Cancelled; models that came in before it stay.",
    "verify": "Cancelled; nothing was found out.",
}

HERE = ("installed", "unverified")


class Signal:
    """Tells its listeners of something; what a listener raises stops neither the others nor the work."""

    def __init__(self) -> None:
        self._listeners: list[Callable] = []

    def connect(self, listener: Callable) -> None:
        """Adds a listener."""
        self._listeners.append(listener)

    def disconnect(self, listener: Callable) -> None:
        """Takes a listener away."""
        self._listeners = [one for one in self._listeners if one != listener]

    def emit(self, *what) -> None:
        """Calls all listeners."""
        for listener in list(self._listeners):
            listener(*what)


@dataclass(frozen=True)
class Row:
    """One model in the table.

    bytes: None when not known. license_id: SPDX or "LicenseRef-...". restricted: why it is no default, "" when it may be
    one. refusal: why it cannot be fetched, "" when it can. too_big, missing: what speaks against a run on this machine.
    expert: False when nothing of OncoSegment runs it yet. stored: False for what is part of a program. embedded: its files
    come with OncoSegment. fraction, message:
    of its running job, message "" without one.
    """

    id: str
    title: str
    state: str
    bytes: int | None
    license: str
    license_id: str
    restricted: str
    refusal: str
    modality: str
    too_big: tuple[str, ...]
    missing: tuple[str, ...]
    own: bool
    expert: bool = True
    stored: bool = True
    embedded: bool = False
    fraction: float | None = None
    message: str = ""

    @property
    def running(self) -> bool:
        """True while a job works on it."""
        return bool(self.message)


@dataclass(frozen=True)
class Ending:
    """What there is to say of a job that ended. problem: it failed. log_wanted: the log says more than the sentence."""

    sentence: str
    log: str = ""
    problem: bool = False
    log_wanted: bool = False


@dataclass
class _Running:
    job: background.Job
    action: str
    path: str = ""
    status: Status = Status(None, "Starting", False)
    cancelled: bool = False


class Manager:
    """The store and its running jobs.

    changed: emitted without arguments when models, states or the store are other than before. began: emitted with the key
    of a job (id of its model, or `STORE`) that begins; moved: when it began or went on. told: emitted with the `Ending` of a
    job. asks: emitted with a path to import and the licenses (`LicenseFacts`, count) that must be accepted first.
    """

    def __init__(self, root: Path | None = None, environ=os.environ) -> None:
        self.changed, self.began, self.moved, self.told, self.asks = (Signal() for _signal in range(5))
        self._environ, self._jobs = environ, {}
        self._states: dict[str, str] = {}
        self._fits: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self.problem = self._root_problem = ""
        self.cards: tuple[ModelCard, ...] = ()
        self.root = Path(root) if root else self._usual_root()
        self.look_again()

    def _usual_root(self) -> Path:
        try:
            return store.store_root(self._environ)
        except OncoError as error:
            self._root_problem = str(error)
            return settings_file().parent / "models"

    def look_again(self) -> None:
        """Reads catalogue, store and machine anew."""
        self.cards, problem = whole_catalog(self.root)
        self.problem = " ".join(filter(None, [self._root_problem, problem]))
        self._states = {card.id: store.state(card, self.root) for card in self.cards}
        machine = this_machine()
        machine = replace(machine, version_of=lru_cache(maxsize=None)(machine.version_of))
        self._fits = {card.id: (tuple(too_big(card, machine)), tuple(missing_packages(card, machine))) for card in self.cards}
        self.changed.emit()

    def require_free_choice(self) -> None:
        """InputError when the environment fixes the store's folder: another one would not be used by anything else."""
        if self._environ.get(STORE_VARIABLE, "").strip():
            raise InputError(f"the environment variable {STORE_VARIABLE} fixes the folder for models; change it there")

    def set_root(self, folder: Path) -> None:
        """Takes another folder for the store, in the setting file too. Models are not moved."""
        self.require_free_choice()
        store.set_store_root(Path(folder))
        self.root, self._root_problem = Path(folder), ""
        self.look_again()

    def card(self, card_id: str) -> ModelCard:
        """The card of that id."""
        return next(card for card in self.cards if card.id == card_id)

    def rows(self, words: str = "", *, installed_only: bool = False, commercial: bool = False, modality: str = "") -> list[Row]:
        """Rows that the words find, installed and unrestricted ones first."""
        there = {one for one, state in self._states.items() if state in HERE}
        hits = search(words, modality=modality, commercial=commercial or None, installed=there, cards=self.cards)
        rows = [self._row(hit.card) for hit in hits if hit.card.place or hit.card.runnable or hit.card.embedded]
        return [row for row in rows if row.state != "missing" or row.running] if installed_only else rows

    def row(self, card_id: str) -> Row:
        """The row of one model as it is now."""
        return self._row(self.card(card_id))

    def _row(self, card: ModelCard) -> Row:
        job = self._jobs.get(card.id)
        big, missing = self._fits[card.id]
        return Row(
            id=card.id,
            title=card.title,
            state=self._states[card.id],
            bytes=card.download_bytes,
            license=card.license.title,
            license_id=card.license.id,
            restricted=card.restricted_reason if card.restricted else "",
            refusal=refusal_of(card),
            modality=card.modality,
            too_big=big,
            missing=missing,
            own=card.origin == "user",
            expert=has_expert(card),
            stored=bool(card.place),
            embedded=card.embedded,
            fraction=job.status.fraction if job else None,
            message=job.status.message if job else "",
        )

    def free_bytes(self) -> int:
        """Free space on the store's volume."""
        return store.free_space(self.root)

    def license_to_show(self, card_id: str):
        """The license that must be accepted first; None when it was already."""
        card = self.card(card_id)
        return None if is_accepted(store.Store(self.root), card) else card.license

    def install(self, card_id: str, *, accepted: bool = False) -> None:
        """Starts an installation. accepted: the user saw the license that `license_to_show` gave, and accepted it."""
        hashes = [text_sha256(self.card(card_id).license)] if accepted else []
        self._begin(card_id, "install", card=card_id, accepted=hashes)

    def verify(self, card_id: str) -> None:
        """Starts reading and comparing every file."""
        self._begin(card_id, "verify", card=card_id)

    def remove(self, card_id: str) -> None:
        """Starts taking a model away; `bytes_of_removal` says what that frees."""
        self._begin(card_id, "remove", card=card_id)

    def bytes_of_removal(self, card_id: str) -> int:
        """What `remove` would free. ModelError when it cannot be removed."""
        return store.remove(self.card(card_id), dry_run=True, root=self.root).freed_bytes

    def bring(self, path: Path, *, accepted: Sequence[LicenseFacts] | None = None) -> None:
        """Starts an import of a file or folder; `asks` tells of licenses that were not accepted yet.

        accepted: licenses that the user saw and accepted, after `asks`.
        """
        options = {"path": str(path), "accepted": [text_sha256(one) for one in accepted or ()]}
        self._begin(STORE, "import", target=LOOK if accepted is None else TARGET, **options)

    def pack(self, card_ids: Sequence[str], path: Path) -> None:
        """Starts an export of installed models into one file; the file chooser asked before replacing one."""
        self._begin(STORE, "export", cards=list(card_ids), path=str(path), overwrite=True)

    def _begin(self, key: str, action: str, target: str = TARGET, **options) -> None:
        if key in self._jobs:
            return
        options["root"] = str(self.root)
        job = background.begin(target, lambda folder: work.put(folder, action, **options))
        self._jobs[key] = _Running(job, action, str(options.get("path", "")))
        self.began.emit(key)
        self.moved.emit(key)

    @property
    def running(self) -> bool:
        """True while any job works."""
        return bool(self._jobs)

    def job_to_show(self, chosen: str = "") -> str | None:
        """Key of the job that a single line should tell of: that of the chosen model, else the latest; None without any."""
        return chosen if chosen in self._jobs else next(reversed(self._jobs), None)

    def works_on(self, key: str) -> bool:
        """True while a job of that key runs."""
        return key in self._jobs

    def progress_of(self, key: str) -> Status:
        """A running job as it is now, its message with the model that it works on."""
        status = self._jobs[key].status
        left = None if status.message.endswith(" left") else status.seconds_left  # a download tells its own, from its rate
        message = f"{self.card(key).title}: {status.message}" if key else status.message
        return replace(status, message=message, seconds_left=left)

    def stopping(self, key: str) -> bool:
        """True when a running job was cancelled."""
        return self._jobs[key].cancelled

    def log_of(self, key: str) -> str:
        """What a running job printed; "" once it ended."""
        return self._jobs[key].job.log if key in self._jobs else ""

    def cancel(self, key: str) -> None:
        """Asks a job to stop; a download keeps what it has."""
        if key in self._jobs:
            self._jobs[key].job.cancel()
            self._jobs[key].cancelled = True

    def poll(self) -> None:
        """Looks at all jobs once, without waiting; a timer calls it."""
        for key, running in list(self._jobs.items()):
            before, running.status = running.status, running.job.poll()
            if running.status.finished:
                self._end(key, running)
            elif (before.fraction, before.message) != (running.status.fraction, running.status.message):
                self.moved.emit(key)

    def _end(self, key: str, running: _Running) -> None:
        del self._jobs[key]
        answer, failure, log = {}, None, ""
        try:
            answer = running.job.result()
            sentence = said(running.action, answer, self.card(key).title if key else "")
        except Cancelled:
            sentence = CANCELLED.get(running.action, str(Cancelled()))
        except OncoError as error:
            failure, sentence = error, str(error)
        except Exception as error:
            failure = WorkerError(f"The result could not be read ({type(error).__name__}).")
            sentence = str(failure)
        finally:
            with contextlib.suppress(OSError):
                log = running.job.log
            running.job.close()
        self.look_again()
        if answer.get("asked"):
            self.asks.emit(Path(running.path), self._licenses(answer["asked"]))
        else:
            self.told.emit(Ending(sentence, log, failure is not None, failure is not None and log_says_more(failure)))

    def _licenses(self, hashes: Sequence[str]) -> list[tuple[LicenseFacts, int]]:
        """The licenses of those texts, each with how many models come under it."""
        known = {text_sha256(card.license): card.license for card in self.cards}
        return [(known[one], count) for one, count in Counter(hashes).most_common() if one in known]

    def abandon(self, patience_s: float = STOP_SECONDS) -> None:
        """Ends all jobs, for when the panel goes away; begun downloads stay and are taken up again.

        Jobs get a moment to stop by themselves and to give their locks back; then they are killed.
        """
        jobs = [running.job for running in self._jobs.values()]
        self._jobs.clear()
        for job in jobs:
            job.cancel()
        end = time.monotonic() + patience_s
        while not all(job.poll().finished for job in jobs) and time.monotonic() < end:
            time.sleep(0.02)
        for job in jobs:
            job.close()


def refusal_of(card: ModelCard) -> str:
    """Why nothing can be fetched for the card; "" when it can."""
    try:
        require_sources(card)
    except ModelError as error:
        return str(error)
    return ""


def look(folder: Path, progress: Progress, cancel: CancelToken) -> None:
    """Target of a job: imports what comes under accepted licenses, and leaves the hashes of the others as "asked"."""
    job = json.loads((folder / work.JOB).read_text(encoding="utf-8"))
    root, asked, brought = Path(job["root"]), [], store.Imported()

    def note(license: LicenseFacts) -> bool:
        asked.append(text_sha256(license))
        return False

    try:
        cards = whole_catalog(root)[0]
        path = Path(job["path"])
        brought = store.import_from(path, accept_license=note, cards=cards, root=root, progress=progress, cancel=cancel)
    except ModelError:  # a single model, whose license was not accepted
        if not asked:
            raise
    answer = {"cards": [one.card for one in brought.manifests], "skipped": [list(one) for one in brought.skipped]}
    write_json(folder / background.RESULT, {**answer, "asked": asked})


def said(action: str, answer: dict, title: str = "") -> str:
    """One sentence on a job that ended well. title: of the model that it worked on."""
    if action == "install":
        known = "" if answer["verified"] else "; nobody published its hash, so it is marked unverified"
        return f"{title} is installed ({amount_text(answer['bytes'], None)}){known}."
    if action == "verify":
        return answer["sentence"].replace(answer["card"], title, 1)
    if action == "remove":
        return f"{title} was removed; {amount_text(answer['freed_bytes'], None)} are free again."
    if action == "export":
        return f"Packed into {answer['file']}: {some(answer['cards'])}."
    left = [f"{name}: {reason.removeprefix(f'{name}: ')}" for name, reason in answer["skipped"]]
    return f"Imported: {some(answer['cards']) or 'nothing'}." + (f" Left out: {some(left, 1)}." if left else "")


def some(names: Sequence[str], most: int = 4) -> str:
    """The first of many names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

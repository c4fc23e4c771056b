"""What a panel of models needs, as plain objects: rows, jobs, one signal. No Qt; a timer calls `poll`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ModelManagerLib import store, work
from ModelManagerLib.catalog import ModelCard
from ModelManagerLib.catalog_search import search, this_machine
from ModelManagerLib.licenses import is_accepted, text_sha256
from ModelManagerLib.user_catalog import whole_catalog
from OncoLib import background
from OncoLib.errors import OncoError, WorkerError

TARGET = "ModelManagerLib.work:do"
STORE = ""
"""Key of a job that belongs to no single model: import and export."""


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
    """One model in the table. fraction, message: of its running job, message "" without one. bytes: None when not known."""

    id: str
    title: str
    state: str
    bytes: int | None
    license: str
    restricted: str
    modality: str
    unfit: tuple[str, ...]
    own: bool
    fraction: float | None = None
    message: str = ""

    @property
    def running(self) -> bool:
        """True while a job works on it."""
        return bool(self.message)


@dataclass
class _Running:
    job: background.Job
    action: str
    fraction: float | None = None
    message: str = "Starting"


class Manager:
    """The store and its running jobs.

    changed: emitted without arguments when rows or jobs are other than before. told: emitted with one sentence for the
    user when a job ended.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = Path(root or store.store_root())
        self.changed, self.told = Signal(), Signal()
        self._jobs: dict[str, _Running] = {}
        self._states: dict[str, str] = {}
        self.problem = ""
        self.cards: tuple[ModelCard, ...] = ()
        self.look_again()

    def look_again(self) -> None:
        """Reads catalogue and store anew."""
        self.cards, self.problem = whole_catalog(self.root)
        self._states = {card.id: store.state(card, self.root) for card in self.cards}
        self.changed.emit()

    def set_root(self, folder: Path) -> None:
        """Takes another folder for the store, in the setting file too. Models are not moved."""
        store.set_store_root(Path(folder))
        self.root = Path(folder)
        self.look_again()

    def card(self, card_id: str) -> ModelCard:
        """The card of that id."""
        return next(card for card in self.cards if card.id == card_id)

    def rows(self, words: str = "", *, installed_only: bool = False, commercial: bool = False, modality: str = "") -> list[Row]:
        """Rows that the words find, installed and unrestricted ones first."""
        there = {one for one, state in self._states.items() if state in ("installed", "unverified")}
        hits = search(
            words,
            modality=modality,
            commercial=True if commercial else None,
            machine=this_machine(),
            installed=there,
            cards=self.cards,
        )
        rows = [self._row(hit) for hit in hits if hit.card.place or hit.card.runnable]
        return [row for row in rows if row.state != "missing" or row.running] if installed_only else rows

    def _row(self, hit) -> Row:
        card, job = hit.card, self._jobs.get(hit.card.id)
        return Row(
            id=card.id,
            title=card.title,
            state=self._states[card.id],
            bytes=card.download_bytes,
            license=card.license.title,
            restricted=card.restricted_reason if card.restricted else "",
            modality=card.modality,
            unfit=tuple(hit.unfit or ()),
            own=card.origin == "user",
            fraction=job.fraction if job else None,
            message=job.message if job else "",
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

    def bring(self, path: Path, *, card_id: str = "", accepted: Sequence[str] = ()) -> None:
        """Starts an import of a file or folder. accepted: ids of models whose license the user saw and accepted."""
        hashes = [text_sha256(self.card(one).license) for one in accepted]
        self._begin(STORE, "import", path=str(path), card=card_id, accepted=hashes)

    def pack(self, card_ids: Sequence[str], path: Path) -> None:
        """Starts an export of installed models into one file."""
        self._begin(STORE, "export", cards=list(card_ids), path=str(path))

    def _begin(self, key: str, action: str, **options) -> None:
        if key in self._jobs:
            return
        options["root"] = str(self.root)
        job = background.begin(TARGET, lambda folder: work.put(folder, action, **options))
        self._jobs[key] = _Running(job, action)
        self.changed.emit()

    @property
    def running(self) -> bool:
        """True while any job works."""
        return bool(self._jobs)

    def message_of(self, key: str = STORE) -> str:
        """What a job says it does; "" without one."""
        return self._jobs[key].message if key in self._jobs else ""

    def cancel(self, key: str) -> None:
        """Asks a job to stop; a download keeps what it has."""
        if key in self._jobs:
            self._jobs[key].job.cancel()

    def poll(self) -> None:
        """Looks at all jobs once, without waiting; a timer calls it."""
        moved = False
        for key, running in list(self._jobs.items()):
            status = running.job.poll()
            if (status.fraction, status.message) != (running.fraction, running.message):
                running.fraction, running.message = status.fraction, status.message
                moved = True
            if status.finished:
                self._end(key, running)
                moved = False  # look_again has told already
        if moved:
            self.changed.emit()

    def _end(self, key: str, running: _Running) -> None:
        del self._jobs[key]
        try:
            sentence = said(running.action, running.job.result())
        except OncoError as error:
            sentence = str(error)
        except Exception as error:
            sentence = str(WorkerError(f"The result could not be read ({type(error).__name__})."))
        finally:
            running.job.close()
        self.look_again()
        self.told.emit(sentence)

    def abandon(self) -> None:
        """Ends all jobs at once, for when the panel goes away; begun downloads stay and are taken up again."""
        for running in self._jobs.values():
            running.job.close()
        self._jobs.clear()


def said(action: str, answer: dict) -> str:
    """One sentence on a job that ended well."""
    if action == "install":
        known = "" if answer["verified"] else "; nobody published its hash, so it is marked unverified"
        return f"{answer['card']} is installed ({answer['bytes'] / 1e6:.0f} MB){known}."
    if action == "verify":
        return answer["sentence"]
    if action == "remove":
        return f"{answer['card']} was removed; {answer['freed_bytes'] / 1e6:.0f} MB are free again."
    if action == "export":
        return f"{len(answer['cards'])} models were packed into {answer['file']}."
    left = "".join(f" Left out: {name}: {reason}." for name, reason in answer["skipped"])
    return f"Imported: {', '.join(answer['cards']) or 'nothing'}.{left}"

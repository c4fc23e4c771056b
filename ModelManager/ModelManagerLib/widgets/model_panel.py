"""The part of the panel for models: search, install, cancel, verify, remove, import, export, store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ModelManagerLib.manager import HERE, STORE, Ending, Manager
from ModelManagerLib.transfer_progress import amount_text
from ModelManagerLib.widgets.model_table import ModelTable, remarks
from OncoLib.errors import OncoError
from OncoLib.widgets.job_progress import JobProgress
from OncoLib.widgets.job_timer import job_timer
from OncoLib.widgets.texts import show_text

MODALITIES = ("", "CT", "MR")


class ModelPanel:
    """Shows a `Manager` in the widgets of the panel. **Main thread only.** Nothing opens a dialog but the file choosers."""

    def __init__(self, ui, manager: Manager | None = None) -> None:
        self.ui, self.manager, self._after_yes, self._asked_for = ui, manager or Manager(), None, None
        self.table = ModelTable(ui.modelTable)
        for title in (_("All images"), "CT", "MR"):
            ui.modalitySelector.addItem(title)
        self.progress = JobProgress(ui.progressPlace, self.onCancel)
        self.progress.cancelButton.toolTip = _("Stop; what was fetched is kept and taken up again.")
        self._connect()
        self._ask("", "", None)
        self.refresh()

    def _connect(self) -> None:
        ui = self.ui
        ui.findEdit.connect("textChanged(QString)", self.onFilter)
        ui.modalitySelector.connect("currentIndexChanged(int)", self.onFilter)
        ui.modelTable.connect("itemSelectionChanged()", self.onSelected)
        for name in ("installedCheckBox", "commercialCheckBox"):
            getattr(ui, name).connect("toggled(bool)", self.onFilter)
        for name, slot in (
            ("installButton", self.onInstall),
            ("verifyButton", self.onVerify),
            ("removeButton", self.onRemove),
            ("acceptButton", self.onYes),
            ("declineButton", self.onNo),
            ("importFileButton", self.onImportFile),
            ("importFolderButton", self.onImportFolder),
            ("exportButton", self.onExport),
            ("storeButton", self.onStore),
        ):
            getattr(ui, name).connect("clicked(bool)", slot)
        for signal, slot in self._heard():
            signal.connect(slot)

    def _heard(self):
        manager = self.manager
        return (
            (manager.changed, self.refresh),
            (manager.began, self.onBegan),
            (manager.moved, self.onMoved),
            (manager.told, self.onTold),
            (manager.asks, self.onAsked),
        )

    def close(self) -> None:
        """Ends all jobs, for when the panel goes away."""
        job_timer().leave(self.tick)
        for signal, slot in self._heard():
            signal.disconnect(slot)
        self.manager.abandon()

    def tick(self) -> None:
        """Looks at all jobs; the time left goes on without news of them."""
        self.manager.poll()
        self._show_progress()

    @property
    def chosen(self):
        """The chosen row, or None."""
        return self.table.chosen

    def onFilter(self, _what=None) -> None:
        """Shows what is looked for now, best first."""
        self.table.fill(self._found())
        self.onSelected()

    def refresh(self) -> None:
        """Shows models and store as they are; one row that changed stays where it is."""
        rows = {row.id: row for row in self._found()}
        known = [row.id for row in self.table.rows]
        changed = sum(row.state != rows[row.id].state for row in self.table.rows if row.id in rows)
        keep = changed <= 1 and set(known) == set(rows)
        self.table.fill([rows[one] for one in known] if keep else list(rows.values()))
        self._show_store()
        self.onSelected()

    def onBegan(self, _key: str) -> None:
        """A job begins."""
        self.progress.begin()
        job_timer().watch(self.tick)

    def onTold(self, ending: Ending) -> None:
        """A job ended."""
        self.progress.close_with(ending.sentence, ending.log, problem=ending.problem, wanted=ending.log_wanted)

    def onMoved(self, key: str) -> None:
        """A job began or went on."""
        if key != STORE:
            self.table.update(self.manager.row(key))
        self.onSelected()

    def _found(self):
        ui = self.ui
        return self.manager.rows(
            ui.findEdit.text,
            installed_only=ui.installedCheckBox.checked,
            commercial=ui.commercialCheckBox.checked,
            modality=MODALITIES[max(ui.modalitySelector.currentIndex, 0)],
        )

    def _show_store(self) -> None:
        free = _("{free} GB free").format(free=f"{self.manager.free_bytes() / 1e9:.1f}")
        show_text(self.ui.storeLabel, "\n".join(filter(None, [f"{free}, {self.manager.root}", self.manager.problem])))
        self.ui.storeLabel.toolTip = str(self.manager.root)

    def onSelected(self) -> None:
        """Buttons, remarks and progress for the chosen model."""
        row, store_works = self.chosen, self.manager.works_on(STORE)
        idle = row is not None and row.stored and not row.running and not store_works
        ui = self.ui
        show_text(ui.modelLabel, "\n".join(remarks(row)) if row else "")
        ui.installButton.enabled = bool(idle and row.state not in HERE and not row.refusal)
        ui.installButton.text = button_text(row.state if row else "")
        ui.verifyButton.enabled = bool(idle and row.state in (*HERE, "damaged"))
        ui.removeButton.enabled = bool(idle and row.state != "missing")
        ui.exportButton.enabled = bool(idle and row.state in HERE)
        ui.importFileButton.enabled = ui.importFolderButton.enabled = not store_works
        ui.storeButton.enabled = not self.manager.running
        if self._asked_for not in (None, STORE) and (row is None or row.id != self._asked_for):
            self._ask("", "", None)  # the question was about another model
        self._show_progress()

    def _show_progress(self) -> None:
        manager, key = self.manager, self.manager.job_to_show(self.chosen.id if self.chosen else "")
        if key is None:
            job_timer().leave(self.tick)
            self.progress.idle()
        else:
            self.progress.show(manager.progress_of(key), stopping=manager.stopping(key), log=lambda: manager.log_of(key))

    def tell(self, sentence: str, *, problem: bool = False) -> None:
        """Shows a sentence."""
        self.progress.tell(sentence, problem=problem)

    def onInstall(self) -> None:
        """Shows the license first, unless it was accepted before."""
        self._guarded(lambda: self._install(self.chosen))

    def _install(self, row) -> None:
        license = self.manager.license_to_show(row.id)
        if license is None:
            self.manager.install(row.id)
            return
        text = _("To install {model} you must accept:").format(model=row.title) + "\n\n" + license_text(license)
        self._ask(_("License"), text, lambda: self.manager.install(row.id, accepted=True), _("I accept"), about=row.id)

    def onRemove(self) -> None:
        """Says what it frees and asks once more."""
        row = self.chosen

        def ask():
            freed = amount_text(self.manager.bytes_of_removal(row.id), None)
            text = _("Remove {model} from the store? {freed} become free.").format(model=row.title, freed=freed)
            self._ask(_("Remove"), text, lambda: self.manager.remove(row.id), _("Remove"), about=row.id)

        self._guarded(ask)

    def onVerify(self) -> None:
        """Reads and compares every file."""
        self._guarded(lambda: self.manager.verify(self.chosen.id))

    def onCancel(self) -> None:
        """Stops the job that is shown."""
        key = self.manager.job_to_show(self.chosen.id if self.chosen else "")
        if key is not None:
            self.manager.cancel(key)

    def onImportFile(self) -> None:
        """From a file."""
        self._import(qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Import models"), "", ""))

    def onImportFolder(self) -> None:
        """From a folder."""
        self._import(qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Import models")))

    def _import(self, path: str) -> None:
        """What comes under licenses that were not accepted is asked for by `onAsked`."""
        if path:
            self._guarded(lambda: self.manager.bring(Path(path)))

    def onAsked(self, path: Path, licenses) -> None:
        """Shows the licenses of what is to be imported."""
        head = _("To import from {file} you must accept, with the number of models:").format(file=path.name)
        texts = [f"{number} × {license_text(license)}" for license, number in licenses]
        accepted = [license for license, _number in licenses]
        text = "\n\n".join([head, *texts])
        self._ask(_("License"), text, lambda: self.manager.bring(path, accepted=accepted), _("I accept"), about=STORE)
        self.tell(_("The licenses are waiting for your answer."))

    def onExport(self) -> None:
        """Packs the chosen model."""
        card_id = self.chosen.id
        name = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), _("Export"), f"{card_id}.zip", "Zip (*.zip)")
        if name:
            self._guarded(lambda: self.manager.pack([card_id], Path(name)))

    def onStore(self) -> None:
        """Another folder for the store."""
        self._guarded(self._choose_store)

    def _choose_store(self) -> None:
        self.manager.require_free_choice()
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder for models"))
        if folder:
            self.manager.set_root(Path(folder))
            self.tell(_("Models are kept in {folder} from now on; those in the old folder stay there.").format(folder=folder))

    def _ask(self, title: str, text: str, after_yes: Callable[[], None] | None, yes: str = "", about: str | None = None) -> None:
        """Shows a question in the place of the table, where it is seen; nothing waits for the answer.

        about: the model, or `STORE`.
        """
        self._after_yes, self._asked_for = after_yes, about
        self.ui.questionGroup.setVisible(after_yes is not None)
        self.ui.modelTable.setVisible(after_yes is None)
        self.ui.questionGroup.title = title
        self.ui.questionLabel.text = text
        self.ui.acceptButton.text = yes

    def onYes(self) -> None:
        """Does what was asked for."""
        work = self._after_yes
        self._ask("", "", None)
        if work is not None:
            self._guarded(work)

    def onNo(self) -> None:
        """Does nothing."""
        self._ask("", "", None)
        self.tell(_("Nothing was done."))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OncoError as error:
            self.tell(str(error), problem=True)


def license_text(license) -> str:
    """Title, text and address, as they are accepted."""
    return "\n".join(part for part in (license.title, license.text, license.url) if part)


def button_text(state: str) -> str:
    """What Install does with a model in that state."""
    return {"partial": _("Resume"), "damaged": _("Repair")}.get(state, _("Install"))

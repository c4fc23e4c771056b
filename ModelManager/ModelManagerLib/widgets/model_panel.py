"""The part of the panel for models: search, install, cancel, verify, remove, import, export, store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ModelManagerLib.manager import STORE, Manager
from ModelManagerLib.widgets import model_table
from OncoLib.errors import OncoError

INTERVAL_MS = 200


class ModelPanel:
    """Shows a `Manager` in the widgets of the panel. **Main thread only.** Nothing opens a dialog but the file choosers."""

    def __init__(self, ui, manager: Manager | None = None) -> None:
        self.ui, self.manager = ui, manager or Manager()
        self._rows, self._after_yes = [], None
        model_table.set_up(ui.modelTable)
        ui.findEdit.connect("textChanged(QString)", self.refresh)
        ui.modelTable.connect("itemSelectionChanged()", self.onSelected)
        for name in ("installedCheckBox", "commercialCheckBox"):
            getattr(ui, name).connect("toggled(bool)", self.refresh)
        for name, slot in (
            ("installButton", self.onInstall),
            ("cancelButton", self.onCancel),
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
        self.manager.changed.connect(self.refresh)
        self.manager.told.connect(self.tell)
        self.timer = qt.QTimer()
        self.timer.setInterval(INTERVAL_MS)
        self.timer.connect("timeout()", self.manager.poll)
        self.timer.start()
        self._ask(None, "", None)
        self.refresh()

    def close(self) -> None:
        """Ends jobs and timer, for when the panel goes away."""
        self.timer.stop()
        self.manager.changed.disconnect(self.refresh)
        self.manager.told.disconnect(self.tell)
        self.manager.abandon()

    def refresh(self, _what=None) -> None:
        """Shows rows, jobs and store as they are; the choice stays."""
        chosen = self.chosen
        self._rows = self.manager.rows(
            self.ui.findEdit.text,
            installed_only=self.ui.installedCheckBox.checked,
            commercial=self.ui.commercialCheckBox.checked,
        )
        model_table.fill(self.ui.modelTable, self._rows)
        for number, row in enumerate(self._rows):
            if chosen is not None and row.id == chosen.id:
                self.ui.modelTable.selectRow(number)
        free = _("{free} GB free").format(free=f"{self.manager.free_bytes() / 1e9:.1f}")
        self.ui.storeLabel.text = "\n".join(filter(None, [f"{self.manager.root}: {free}", self.manager.problem]))
        self.onSelected()

    @property
    def chosen(self):
        """The chosen row, or None."""
        numbers = {item.row() for item in self.ui.modelTable.selectedItems()}
        number = min(numbers) if numbers else -1
        return self._rows[number] if 0 <= number < len(self._rows) else None

    def onSelected(self) -> None:
        """Buttons and remarks for the chosen model."""
        row, store_works = self.chosen, self.manager.message_of(STORE)
        can = row is not None and bool(self.manager.card(row.id).place)
        idle = can and not row.running
        self.ui.modelLabel.text = "\n".join(model_table.remarks(row)) if row else ""
        self.ui.installButton.enabled = bool(idle and row.state in ("missing", "partial", "damaged"))
        self.ui.verifyButton.enabled = bool(idle and row.state in ("installed", "unverified", "damaged"))
        self.ui.removeButton.enabled = bool(idle and row.state != "missing")
        self.ui.exportButton.enabled = bool(idle and row.state in ("installed", "unverified") and not store_works)
        self.ui.importFileButton.enabled = self.ui.importFolderButton.enabled = not store_works
        self.ui.cancelButton.enabled = bool(store_works or (row is not None and row.running))
        message = row.message if row is not None and row.running else store_works
        fraction = row.fraction if row is not None and row.running else None
        self.ui.progressBar.setVisible(bool(message))
        self.ui.progressBar.setRange(0, 0 if fraction is None else 100)
        self.ui.progressBar.setValue(0 if fraction is None else int(100 * fraction))
        if message:
            self.tell(message)

    def tell(self, sentence: str) -> None:
        """Shows a sentence."""
        self.ui.statusLabel.text = sentence

    def onInstall(self) -> None:
        """Shows the license first, unless it was accepted before."""
        card_id = self.chosen.id
        license = self.manager.license_to_show(card_id)
        if license is None:
            self._guarded(lambda: self.manager.install(card_id))
            return
        text = "\n\n".join(part for part in (license.title, license.text, license.url) if part)
        self._ask(_("License"), text, lambda: self.manager.install(card_id, accepted=True))

    def onRemove(self) -> None:
        """Says what it frees and asks once more."""
        card_id = self.chosen.id

        def ask():
            freed = self.manager.bytes_of_removal(card_id) / 1e6
            text = _("Remove {model} from the store? {freed} MB become free.").format(model=card_id, freed=f"{freed:.0f}")
            self._ask(_("Remove"), text, lambda: self.manager.remove(card_id))

        self._guarded(ask)

    def onVerify(self) -> None:
        """Reads and compares every file."""
        self._guarded(lambda: self.manager.verify(self.chosen.id))

    def onCancel(self) -> None:
        """Stops the job of the chosen model, else that of the store."""
        row = self.chosen
        self.manager.cancel(row.id if row is not None and row.running else STORE)

    def onImportFile(self) -> None:
        """From a file."""
        self._import(qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Import models"), "", ""))

    def onImportFolder(self) -> None:
        """From a folder."""
        self._import(qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Import models")))

    def _import(self, path: str) -> None:
        """Licenses of what will be found are not known before: the user is asked for all that the store does not know."""
        if not path:
            return
        text = _("Models come under licenses of their own; `oncosegment models show` and the list above name them. Accept them?")
        everything = [card.id for card in self.manager.cards if card.place]
        self._ask(_("License"), text, lambda: self.manager.bring(Path(path), accepted=everything))

    def onExport(self) -> None:
        """Packs the chosen model."""
        name = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), _("Export"), f"{self.chosen.id}.zip", "Zip (*.zip)")
        if name:
            self._guarded(lambda: self.manager.pack([self.chosen.id], Path(name)))

    def onStore(self) -> None:
        """Another folder for the store."""
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder for models"))
        if folder:
            self._guarded(lambda: self.manager.set_root(Path(folder)))

    def _ask(self, title: str | None, text: str, after_yes: Callable[[], None] | None) -> None:
        """Shows a question below the buttons; nothing waits for the answer."""
        self._after_yes = after_yes
        self.ui.questionGroup.setVisible(after_yes is not None)
        self.ui.questionGroup.title = title or ""
        self.ui.questionLabel.text = text

    def onYes(self) -> None:
        """Does what was asked for."""
        work = self._after_yes
        self._ask(None, "", None)
        if work is not None:
            self._guarded(work)

    def onNo(self) -> None:
        """Does nothing."""
        self._ask(None, "", None)
        self.tell(_("Nothing was done."))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OncoError as error:
            self.tell(str(error))

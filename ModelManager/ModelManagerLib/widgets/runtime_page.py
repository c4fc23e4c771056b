"""The part of the panel for packages: which are there, where and why; install, repair, verify, remove."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import qt
import slicer
from slicer.i18n import tr as _

from ModelManagerLib import runtime, runtime_work
from ModelManagerLib.runtime_host import LAST_STEP, this_host
from ModelManagerLib.runtime_places import runtime_root
from ModelManagerLib.runtime_sets import DAMAGED, HOST, ISOLATED, MISSING, OUTDATED, SETS, SLICER
from OncoLib import background
from OncoLib.errors import OncoError
from OncoLib.widgets import tables
from OncoLib.widgets.job_progress import JobProgress
from OncoLib.widgets.texts import show_text

TARGET = "ModelManagerLib.runtime_work:do"
TITLE, STATE, WHY = range(3)
WIDTHS = {TITLE: 110, STATE: 78}
"""Pixels; reasons get the rest, in as many lines as they need."""


class RuntimePage:
    """Fills `packagesTable`, and works by jobs in a process of their own. **Main thread only.** Nothing opens a dialog but
    the chooser of a folder."""

    def __init__(self, ui) -> None:
        self.ui, self.states, self._after_yes = ui, (), None
        self.progress = JobProgress(ui.packagesPlace, withoutCancel=(LAST_STEP,))
        self._unsound: set[str] = set()  # what a verification found, which no look at the manifest tells
        self._set_up(ui.packagesTable)
        for name, slot in (
            ("packagesInstallButton", self.onInstall),
            ("packagesVerifyButton", self.onVerify),
            ("packagesRemoveButton", self.onRemove),
            ("packagesWheelsButton", self.onWheels),
            ("packagesYesButton", self.onYes),
            ("packagesNoButton", self.onNo),
        ):
            getattr(ui, name).connect("clicked(bool)", slot)
        ui.packagesTable.connect("itemSelectionChanged()", self.onSelected)
        ui.packagesCollapsibleButton.connect("contentsCollapsed(bool)", self.onUnfolded)
        self._ask("", None)
        self._show_buttons()

    def _set_up(self, table) -> None:
        tables.set_up(table, [_("What for"), _("State"), _("Where and why")])
        table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        table.setWordWrap(True)
        table.verticalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.horizontalHeader().setHighlightSections(False)
        for column, width in WIDTHS.items():
            table.setColumnWidth(column, width)

    @property
    def running(self) -> bool:
        """True while a job runs."""
        return self.progress.monitor is not None

    @property
    def chosen(self):
        """The state of the chosen set, or None."""
        numbers = {item.row() for item in self.ui.packagesTable.selectedItems()}
        number = min(numbers) if numbers else -1
        return self.states[number] if 0 <= number < len(self.states) else None

    def onUnfolded(self, folded: bool) -> None:
        """Looks only once somebody wants to see it."""
        if not folded:
            self.refresh()

    def refresh(self) -> None:
        """Shows all sets as they are; the chosen one stays chosen. Nothing is read while the section is folded."""
        if self.ui.packagesCollapsibleButton.collapsed:
            return
        chosen = self.chosen.name if self.chosen else ""
        try:
            self.states = tuple(map(self._as_found, runtime.states()))
        except OncoError as error:
            self.tell(str(error))
            return
        table, texts = self.ui.packagesTable, state_texts()
        table.setRowCount(len(self.states))
        for number, one in enumerate(self.states):
            why = reason(one)
            for column, cell in enumerate((one.title, texts[one.kind], why)):
                tables.put(table, number, column, cell, "\n".join(filter(None, [why, one.folder])))
        table.selectRow(next((number for number, one in enumerate(self.states) if one.name == chosen), 0))
        self._show_buttons()

    def _as_found(self, one):
        return replace(one, kind=DAMAGED) if one.folder and one.name in self._unsound else one

    def onSelected(self) -> None:
        """Another set."""
        if self._after_yes is not None:
            self.onNo()  # the question was about another set
        self._show_buttons()

    def _show_buttons(self) -> None:
        one, ui = self.chosen, self.ui
        idle = one is not None and not self.running
        mine = idle and bool(one.folder)
        ui.packagesInstallButton.text = _("Repair") if one is not None and one.kind in (DAMAGED, OUTDATED) else _("Install")
        ui.packagesInstallButton.enabled = bool(idle and one.kind in (MISSING, DAMAGED, OUTDATED))
        ui.packagesWheelsButton.enabled = bool(idle and one.kind in (MISSING, DAMAGED, OUTDATED) and SETS[one.name].locked)
        ui.packagesVerifyButton.enabled = bool(idle and one.kind != MISSING)
        ui.packagesRemoveButton.enabled = bool(mine)

    def onInstall(self) -> None:
        """Says what comes and where it goes, and asks once."""
        self._ask_for_installation(self.chosen, None)

    def onWheels(self) -> None:
        """The same from a folder of wheels."""
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder of wheels"))
        if folder:
            self._ask_for_installation(self.chosen, folder)

    def _ask_for_installation(self, one, wheels: str | None) -> None:
        kinds = SETS[one.name].kinds
        space = f"{SETS[one.name].space_bytes / 1e9:.1f}"
        if kinds[0] == ISOLATED:
            text = _("Install {what}? It needs up to {space} GB in {folder}, which only workers use. Slicer's own packages stay.")
        else:
            text = _("Add {what} to Slicer's own Python? It needs up to {space} GB. Packages that are there stay as they are.")
        text = text.format(what=one.title, space=space, folder=runtime_root())
        host = this_host().kind
        options = {"kind": kinds[0], "wheels": wheels, "host": host}

        def done(answer: dict) -> str:
            self._unsound.discard(one.name)
            return _("{what} is installed.").format(what=one.title)

        self._ask(text, lambda: self._begin("install", one.name, done, **options))

    def onRemove(self) -> None:
        """Says what becomes free and asks once."""
        one = self.chosen
        text = _("Remove {what}? {size} MB become free. Work that needs it cannot run until it is installed again.")
        done = _("{what} is removed.").format(what=one.title)
        size = f"{one.bytes / 1e6:.0f}"
        self._ask(text.format(what=one.title, size=size), lambda: self._begin("remove", one.name, lambda answer: done))

    def onVerify(self) -> None:
        """Reads and compares every file."""
        name, host = self.chosen.name, this_host().kind

        def found(answer: dict) -> str:
            (self._unsound.discard if answer["sound"] else self._unsound.add)(name)
            return f"{answer['sentence']}."

        self._guarded(lambda: self._begin("verify", name, found, host=host))

    def _begin(self, action: str, name: str, told: Callable[[dict], str], **options) -> None:
        """A job; told: the sentence for its result."""
        if self.running:
            return
        if options.get("kind") in (HOST, SLICER) and other_installation():
            self.tell(_("Another extension installs packages just now; try again when it is done."))
            return
        root = str(runtime_root())
        job = background.begin(TARGET, lambda folder: runtime_work.put(folder, action, name, root=root, **options))

        def done(answer: dict) -> None:
            sentence = told(answer)
            self.refresh()
            self._show_buttons()
            self.tell(sentence)

        def failed(error: OncoError) -> None:
            self.refresh()
            self._show_buttons()

        self.progress.watch(job, done, failed)
        self._show_buttons()

    def _ask(self, text: str, after_yes: Callable[[], None] | None) -> None:
        """Shows a question below the table; nothing waits for the answer."""
        self._after_yes = after_yes
        self.ui.packagesQuestionGroup.setVisible(after_yes is not None)
        show_text(self.ui.packagesQuestionLabel, text)

    def onYes(self) -> None:
        """Does what was asked for."""
        work = self._after_yes
        self._ask("", None)
        if work is not None:
            self._guarded(work)

    def onNo(self) -> None:
        """Does nothing."""
        self._ask("", None)
        self.tell(_("Nothing was done."))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OncoError as error:
            self.tell(str(error))

    def tell(self, sentence: str) -> None:
        """Shows a sentence."""
        self.progress.tell(sentence)

    def close(self) -> None:
        """Ends a job that runs, for when the panel goes away."""
        self.progress.abandon()


def other_installation() -> bool:
    """True while Slicer itself installs packages for another extension; older versions do not tell."""
    packaging = getattr(slicer, "packaging", None)
    return packaging is not None and packaging.isPipInstallInProgress()


def reason(one) -> str:
    """The reason and the versions; the folder stands in the tip."""
    versions = ", ".join(f"{name} {version}" for name, version in one.versions.items())
    return "\n".join(filter(None, [one.why, versions]))


def state_texts() -> dict[str, str]:
    """How the table calls each state."""
    return {
        "isolated": _("isolated"),
        "slicer": _("in Slicer"),
        "host": _("in Python"),
        "missing": _("missing"),
        "damaged": _("damaged"),
        "outdated": _("outdated"),
    }

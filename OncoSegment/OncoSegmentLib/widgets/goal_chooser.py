"""The part of the panel where the user says what to look for: words, a list, speed, and single structures."""

from __future__ import annotations

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from OncoSegmentLib.experts.nnunet import precision as precisions
from OncoSegmentLib.experts.nnunet.precision import BFLOAT16, FULL
from OncoSegmentLib.foreign import Confirmations, Look
from OncoSegmentLib.goals import Goal, find_goals, goals, model_with_channels, request_of, takes_precision
from OncoSegmentLib.widgets.foreign_notice import ForeignNotice
from OncoSegmentLib.widgets.segment_table import tip


def speed_titles() -> dict[str, str]:
    """How the list calls each speed; the voxel sizes are those of the package's networks."""
    return {
        "normal": _("Normal: finest networks"),
        "fast": _("Fast: coarser networks (3 mm, of the body 6 mm)"),
        "fastest": _("Fastest: 6 mm networks, for a first look"),
    }


def precision_titles() -> dict[str, str]:
    """How the list calls each precision."""
    return {FULL: _("Full: as the network was trained"), BFLOAT16: _("bfloat16: faster, a little different")}


class GoalChooser:
    """Fills and reads the widgets `findEdit`, `goalSelector`, `speedSelector`, `precisionSelector`, `structureFilterEdit`,
    `structureList`, `hintLabel` and `foreignPlace` of a panel. onChange() is called when the user chose something else.
    """

    def __init__(self, ui, onChange: Callable[[], None]) -> None:
        self.ui, self._onChange, self._filling = ui, onChange, False
        self._goals, self.problems = goals()
        self._picked: set[str] = set()
        self._look: tuple[tuple, Look] = ((), Look(""))
        self._confirmations = Confirmations()
        self._notice = ForeignNotice(ui.foreignPlace, self.onConfirmed)
        self._channels: tuple[str, object] = ("", None)
        self._more, self._tip = "", ui.goalSelector.toolTip  # titles are longer than the panel is wide
        ui.findEdit.connect("textChanged(QString)", self.onFind)
        ui.goalSelector.connect("currentIndexChanged(int)", self.onGoal)
        ui.speedSelector.connect("currentIndexChanged(int)", self.onSpeed)
        ui.precisionSelector.connect("currentIndexChanged(int)", self.onSpeed)
        ui.structureFilterEdit.connect("textChanged(QString)", self._fillStructures)
        ui.structureList.connect("itemChanged(QListWidgetItem*)", self.onStructure)
        self._fillGoals(self._goals, "")

    @property
    def goal(self) -> Goal | None:
        """The chosen goal, or None."""
        chosen = self.ui.goalSelector.currentData
        return next((goal for goal in self._goals if goal.id == chosen), None)

    @property
    def speed(self) -> str:
        """The chosen speed."""
        return self.ui.speedSelector.currentData or "normal"

    @property
    def precision(self) -> str:
        """The chosen precision."""
        return self.ui.precisionSelector.currentData or FULL

    @property
    def structures(self) -> list[str]:
        """Names of the picked structures in the order of the task; empty for all."""
        return [name for name, _shown in self.goal.structures if name in self._picked] if self.goal else []

    def request(self):
        """The request for the choice, without a region."""
        precision = "" if self.precision == FULL else self.precision
        confirm = self._confirmations.of(self.goal.id)
        return request_of(self.goal.id, speed=self.speed, structures=self.structures, precision=precision, confirm=confirm)

    def show(self, goalId: str, speed: str, structures: list[str], precision: str = FULL) -> None:
        """Shows what the parameter node holds; an id that is not known is shown as nothing and cannot be run."""
        shown = (self.goal.id if self.goal else "", self.speed, self.structures, self.precision)
        if (goalId, speed, structures, precision) == shown:
            return
        self._filling = True
        try:
            if self.ui.goalSelector.findData(goalId) < 0:
                self.ui.findEdit.setText("")
                self._fillGoals(self._goals, goalId)
            self.ui.goalSelector.setCurrentIndex(self.ui.goalSelector.findData(goalId))
            self._picked = set(structures)
            self._fillSpeeds(speed)
            self._fillPrecisions(precision)
            self._fillStructures()
        finally:
            self._filling = False

    def problem(self) -> str:
        """Why the choice cannot run; also shown under it. Files are looked at once for each choice."""
        if self.goal is None:
            return _("Choose what to look for first")
        choice = (self.goal.id, self.speed, tuple(self.structures))
        if self._look[0] != choice:
            look = self._confirmations.look(self.goal.id, speed=self.speed, structures=self.structures)
            self._look = (choice, look)
        self._notice.show(self._look[1])
        self._showHint()
        return self._look[1].problem

    def tell(self, problem: str) -> None:
        """Also shows under the choice why it cannot run for another reason; "" for none."""
        self._more = problem
        self._showHint()

    def _showHint(self) -> None:
        self.ui.hintLabel.text = self._look[1].problem or self._more or "\n".join(self.problems)
        self.ui.hintLabel.setVisible(bool(self.ui.hintLabel.text))
        self.ui.goalSelector.toolTip = tip([one for one in (self.ui.goalSelector.currentText, self._tip) if one])

    def channels(self):
        """The model of the choice when it takes several images (`TakesChannels`), or None. Looked at once for each goal."""
        chosen = self.goal.id if self.goal else ""
        if self._channels[0] != chosen:
            self._channels = (chosen, model_with_channels(request_of(chosen)) if chosen else None)
        return self._channels[1]

    def lookAgain(self) -> None:
        """Looks anew for models and weights, for when the user comes back to the panel; the choice stays."""
        self._look, self._channels = ((), Look("")), ("", None)
        before, chosen = self._goals, self.ui.goalSelector.currentData
        self._goals, self.problems = goals()
        if self._goals != before:
            self._fillGoals(find_goals(self._goals, self.ui.findEdit.text), chosen)

    def onFind(self, words: str) -> None:
        """Shortens the list to what the words find; the choice stays when it is among it."""
        self._fillGoals(find_goals(self._goals, words), self.ui.goalSelector.currentData)
        self.onGoal()

    def onGoal(self, _index: int = 0) -> None:
        """Another goal: its speeds and structures."""
        if self._filling:
            return
        self._filling = True
        try:
            self._picked = set()
            self._fillSpeeds("normal")
            self._fillPrecisions(FULL)
            self._fillStructures()
        finally:
            self._filling = False
        self._onChange()

    def onSpeed(self, _index: int = 0) -> None:
        """Another speed or precision."""
        if not self._filling:
            self._onChange()

    def onConfirmed(self, sha256: str) -> None:
        """The user confirmed the files with this hash, or took it back ("")."""
        if sha256:
            self._confirmations.confirm(self.goal.id, sha256)
        else:
            self._confirmations.take_back(self.goal.id)
        self._look = ((), Look(""))
        self._onChange()

    def onStructure(self, item) -> None:
        """A structure was picked or left out."""
        if self._filling:
            return
        name = item.data(qt.Qt.UserRole)
        change = self._picked.add if item.checkState() == qt.Qt.Checked else self._picked.discard
        change(name)
        self._onChange()

    def _fillGoals(self, found: list[Goal], chosen: str) -> None:
        filling, self._filling = self._filling, True
        self.ui.goalSelector.clear()
        for goal in found:
            self.ui.goalSelector.addItem(goal.title, goal.id)
        at = self.ui.goalSelector.findData(chosen)
        self.ui.goalSelector.setCurrentIndex(max(at, 0) if found else -1)
        self._filling = filling

    def _fillSpeeds(self, speed: str) -> None:
        self.ui.speedSelector.clear()
        for name in self.goal.speeds if self.goal else ():
            self.ui.speedSelector.addItem(speed_titles()[name], name)
        self.ui.speedSelector.setCurrentIndex(max(self.ui.speedSelector.findData(speed), 0))
        self.ui.speedSelector.enabled = bool(self.goal) and len(self.goal.speeds) > 1

    def _fillPrecisions(self, precision: str) -> None:
        """Shown only where there is a choice."""
        chosen, selector = bool(self.goal) and takes_precision(self.goal.id), self.ui.precisionSelector
        several = precisions.offered() if chosen else (FULL,)
        selector.clear()
        for name in several:
            selector.addItem(precision_titles()[name], name)
        selector.setCurrentIndex(max(selector.findData(precision), 0))
        for widget in (self.ui.precisionLabel, selector):
            widget.setVisible(len(several) > 1)

    def _fillStructures(self, _text: str = "") -> None:
        """The goal's structures whose name holds the filter's words, with what is picked."""
        filling, self._filling = self._filling, True
        words = self.ui.structureFilterEdit.text.casefold().split()
        self.ui.structureList.clear()
        for name, shown in self.goal.structures if self.goal else ():
            if all(word in f"{shown} {name}".casefold() for word in words):
                self.ui.structureList.addItem(shown)
                item = self.ui.structureList.item(self.ui.structureList.count - 1)
                item.setData(qt.Qt.UserRole, name)
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
                item.setCheckState(qt.Qt.Checked if name in self._picked else qt.Qt.Unchecked)
        self.ui.structureGroup.setVisible(bool(self.goal and len(self.goal.structures) > 1))
        self._filling = filling

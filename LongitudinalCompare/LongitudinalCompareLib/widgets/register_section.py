"""The part of the panel that finds two or more dates in the scene, registers them to the baseline and shows them side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import qt
import slicer
from slicer.i18n import tr as _

from LongitudinalCompareLib.pair_outcome import WHOLE, outcomes_of
from LongitudinalCompareLib.scene import layout, registered
from LongitudinalCompareLib.widgets.alignment_section import AlignmentSection, verdict_titles
from LongitudinalCompareLib.widgets.timepoint_table import TimepointTable
from OncoLib.errors import OncoError
from OncoLib.image import Image
from OncoLib.registration.engine import DETERMINISTIC, ENGINES, FAST, Choice
from OncoLib.registration.presets import AUTO, KINDS, PRESETS, preset_for
from OncoLib.widgets.job_progress import JobProgress
from OncoSegmentLib.engine.paths import worker_path
from OncoSegmentLib.engine.process import ProcessEngine


def kind_titles() -> dict[str, str]:
    """How the list calls each kind of transform."""
    return {
        "rigid": _("Rigid: turned and shifted"),
        "similarity": _("Similarity: also one scale"),
        "affine": _("Affine: also sheared"),
        "deformable": _("Deformable: bent, for places only"),
    }


class RegisterSection:
    """Reads and fills the widgets of `LongitudinalCompareTimepoints.ui` in the widget `place` of a panel.

    onUpdate(): the dates changed, or a job began or ended. busy(): another part of the panel works on the dates.
    **Main thread only.**
    """

    def __init__(self, place, uiPath: str, onUpdate: Callable[[], None] = lambda: None) -> None:
        self._on_update, self.busy = onUpdate, lambda: False
        widget = slicer.util.loadUI(uiPath)
        column = qt.QVBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(widget)
        place.setLayout(column)
        self.ui = ui = slicer.util.childWidgetVariables(widget)
        self.progress = JobProgress(ui.registerProgressPlace)
        self.progress.cancelButton.toolTip = _("Stop registering; nothing of it is kept.")
        self._registered, self._pending, self._closed = [], False, False
        self.alignment = AlignmentSection(ui, self.progress.tell, lambda: self._arrange(self._registered))
        self.timepoints = TimepointTable(ui, self.update)
        self._fill_choices()
        ui.registerButton.connect("clicked(bool)", self.onRegister)
        ui.sideBySideButton.connect("clicked(bool)", self.onSideBySide)
        self.update()

    @property
    def running(self) -> bool:
        """True while dates are registered."""
        return self.progress.monitor is not None

    def update(self) -> None:
        """Buttons, with the reason in the tip where one cannot be pressed."""
        if not hasattr(self, "timepoints"):
            return  # the table tells of its first rows while it is made
        problem, ui, count = self.timepoints.problem(), self.ui, len(self.timepoints.chosen)
        ui.registerButton.enabled = not problem and not self.running and not self.busy()
        ui.registerButton.toolTip = problem or _("Align each later date with the baseline, and judge that at every lesion")
        fits = layout.LEAST <= count <= layout.MOST
        ui.sideBySideButton.enabled = fits
        what = _("Show the checked dates beside each other, with linked views")
        ui.sideBySideButton.toolTip = what if fits else _("Check two to four dates above")
        self._on_update()

    def _fill_choices(self) -> None:
        ui = self.ui
        for one in ENGINES.values():
            ui.engineSelector.addItem(_("{name} (installed apart)").format(name=one.title) if one.package else one.title, one.id)
        for name in KINDS:
            ui.kindSelector.addItem(kind_titles()[name], name)
        ui.presetSelector.addItem(_("By the scan"), AUTO)
        for one in PRESETS.values():
            ui.presetSelector.addItem(one.title, one.id)

    # The scene.

    def onSceneChanged(self) -> None:
        """Nodes came or went: looked at once, when Slicer is done with what it does."""
        if not self._pending:
            self._pending = True
            qt.QTimer.singleShot(0, self.refresh)

    def refresh(self) -> None:
        """What is loaded now. Verdicts on a scan that is gone go with it."""
        self._pending = False
        if self._closed:
            return
        if any(one.volume.GetScene() is None for one in self._registered):
            self.clear()
        self.timepoints.refresh()
        self.update()

    def clear(self) -> None:
        """Ends a running job, and shows no verdict."""
        self.progress.abandon()
        self._registered = []
        self.alignment.clear()

    def close(self) -> None:
        """The panel goes."""
        self.clear()
        self._closed = True

    # What the reader does.

    def onRegister(self) -> None:
        """Registers the checked dates in a process of its own."""
        dates = [replace(row) for row in self.timepoints.chosen]
        try:
            timepoints = registered.prepare(dates)
            job = ProcessEngine().submit(outcomes_of, timepoints, self.choice(timepoints[0].image))
        except OncoError as error:
            self.progress.tell(str(error), problem=True)
            return
        state = registered.state_of(dates)
        # The verdicts that are there stay until new ones take their place: transforms do, too.
        self.progress.watch(job, lambda found: self._on_registered(dates, state, found), lambda _error: self.update())
        self.update()

    def choice(self, baseline: Image) -> Choice:
        """The choices of the panel, for a baseline. InputError for what does not go together."""
        ui = self.ui
        engine, kind, preset = (box.currentData for box in (ui.engineSelector, ui.kindSelector, ui.presetSelector))
        mode = DETERMINISTIC if ui.deterministicCheckBox.checked else FAST
        path = worker_path(("registration",)) if ENGINES[engine].package else ()
        return Choice(preset_for(baseline, preset)[0], kind, engine, mode, worker_path=tuple(path))

    def _on_registered(self, dates: list, state: list, outcomes) -> None:
        """Everything is shown, or nothing: of scans that changed meanwhile there is no verdict."""
        self.update()
        if registered.state_of(dates) != state:
            told = _("A scan or segmentation was changed while it was registered; register again")
            self.progress.tell(told, problem=True)
            return
        try:
            self.take(dates, outcomes)
        except OncoError as error:
            self.progress.tell(str(error), problem=True)
            return
        self.progress.tell(summary(dates, outcomes))

    def take(self, dates: list, outcomes) -> None:
        """Moves the dates into the baseline's frame and shows the verdicts. Raises InputError, and then nothing was moved."""
        registered.check_frames(dates)
        registered.publish(slicer.mrmlScene, dates, outcomes)
        self._registered = dates
        if len(dates) <= layout.MOST:
            self._arrange(dates)
        self.alignment.show(dates, outcomes)
        # Views that are new learn the extent of their volumes from Qt's next events, and forget the slice they were sent to.
        qt.QTimer.singleShot(0, self.alignment.jump)

    def fold(self) -> None:
        """Leaves the room to what lies below."""
        ui = self.ui
        for button in (ui.timepointsCollapsibleButton, ui.registrationCollapsibleButton, ui.alignmentCollapsibleButton):
            button.collapsed = True

    def onSideBySide(self) -> None:
        """The checked dates beside each other."""
        self._arrange(self.timepoints.chosen)

    def _arrange(self, dates: list) -> None:
        labels = layout.view_labels([one.date or one.volume.GetName() for one in dates])
        columns = [layout.Column(one.volume, label, one.segmentation) for one, label in zip(dates, labels)]
        try:
            layout.show_side_by_side(slicer.mrmlScene, columns)
        except OncoError as error:
            self.progress.tell(str(error), problem=True)


def summary(dates: list, outcomes) -> str:
    """One sentence on all pairs."""
    told = [f"{dates[one.follow_up].date}: {verdict_titles()[one.verdict(WHOLE)[0]]}" for one in outcomes]
    return _("Registered to {date}. {verdicts}").format(date=dates[0].date, verdicts="; ".join(told))

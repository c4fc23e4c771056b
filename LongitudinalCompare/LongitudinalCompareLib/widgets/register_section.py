"""The part of the panel that finds two or more dates in the scene, registers them to the baseline and shows them side by side."""

from __future__ import annotations

from dataclasses import replace

import qt
import slicer
from slicer.i18n import tr as _

from LongitudinalCompareLib.dates import view_labels
from LongitudinalCompareLib.pair_outcome import WHOLE
from LongitudinalCompareLib.pair_registration import Wanted, register_dates
from LongitudinalCompareLib.scene import layout, registered
from LongitudinalCompareLib.widgets.alignment_section import AlignmentSection, verdict_titles
from LongitudinalCompareLib.widgets.timepoint_table import TimepointTable
from OncoLib.errors import OncoError
from OncoLib.registration.presets import AUTO, KINDS, PRESETS
from OncoLib.widgets.job_progress import JobProgress


def engine_titles() -> dict[str, str]:
    """How the list calls each engine."""
    return {"simpleitk": _("SimpleITK (comes along)")}


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

    **Main thread only.**
    """

    def __init__(self, place, uiPath: str) -> None:
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
        ui.registerButton.enabled = not problem and not self.running
        ui.registerButton.toolTip = problem or _("Align each later date with the baseline, and judge that at every lesion")
        fits = layout.LEAST <= count <= layout.MOST
        ui.sideBySideButton.enabled = fits
        what = _("Show the checked dates beside each other, with linked views")
        ui.sideBySideButton.toolTip = what if fits else _("Check two to four dates above")

    def _fill_choices(self) -> None:
        ui = self.ui
        for name, title in engine_titles().items():
            ui.engineSelector.addItem(title, name)
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
        self.clear()
        try:
            images, segmentations = registered.prepare(dates)
            job = start(images, segmentations, self.wanted())
        except OncoError as error:
            self.progress.tell(str(error), problem=True)
            return
        state = registered.state_of(dates)
        self.progress.watch(job, lambda found: self._on_registered(dates, state, found), lambda _error: self.update())
        self.update()

    def wanted(self) -> Wanted:
        """The choices of the panel."""
        ui = self.ui
        chosen = (box.currentData for box in (ui.engineSelector, ui.kindSelector, ui.presetSelector))
        return Wanted(*chosen, deterministic=ui.deterministicCheckBox.checked)

    def _on_registered(self, dates: list, state: list, outcomes) -> None:
        """Everything is shown, or nothing: of scans that changed meanwhile there is no verdict."""
        self.update()
        if registered.state_of(dates) != state:
            told = _("A scan or segmentation was changed while it was registered; register again")
            self.progress.tell(told, problem=True)
            return
        try:
            registered.check_frames(dates)
            registered.publish(slicer.mrmlScene, dates, outcomes)
        except OncoError as error:
            self.progress.tell(str(error), problem=True)
            return
        self._registered = dates
        if len(dates) <= layout.MOST:
            self._arrange(dates)
        self.alignment.show(dates, outcomes)
        # Views that are new learn the extent of their volumes from Qt's next events, and forget the slice they were sent to.
        qt.QTimer.singleShot(0, self.alignment.jump)
        self.progress.tell(summary(dates, outcomes))

    def onSideBySide(self) -> None:
        """The checked dates beside each other."""
        self._arrange(self.timepoints.chosen)

    def _arrange(self, dates: list) -> None:
        labels = view_labels([one.date or one.volume.GetName() for one in dates])
        columns = [layout.Column(one.volume, label, one.segmentation) for one, label in zip(dates, labels)]
        try:
            layout.show_side_by_side(slicer.mrmlScene, columns)
        except OncoError as error:
            self.progress.tell(str(error), problem=True)


def start(images, segmentations, wanted: Wanted):
    """Starts the registration in a process of its own; the isolated packages come in only for the engine that needs them."""
    from OncoSegmentLib.engine.process import ProcessEngine

    sets = ("registration",) if wanted.engine == "ants" else ()
    return ProcessEngine(sets=sets).submit(register_dates, images, segmentations, wanted)


def summary(dates: list, outcomes) -> str:
    """One sentence on all pairs."""
    told = [f"{dates[one.follow_up].date}: {verdict_titles()[one.verdict(WHOLE)[0]]}" for one in outcomes]
    return _("Registered to {date}. {verdicts}").format(date=dates[0].date, verdicts="; ".join(told))

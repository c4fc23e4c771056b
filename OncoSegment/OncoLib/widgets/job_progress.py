"""What all panels show of a job: its stage, a bar, the time left, Cancel, its log, and one sentence at its end."""

from __future__ import annotations

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from OncoLib.background import RunningJob, Status
from OncoLib.errors import Cancelled, OncoError, log_says_more
from OncoLib.progress import time_left_text
from OncoLib.widgets.job_monitor import JobMonitor
from OncoLib.widgets.log_fold import LogFold
from OncoLib.widgets.texts import breakable, shortened, show_text, wrapped_label

STAGE_LINES = 2
"""Room that the stage always has while a job runs: the panel below does not move when a longer one comes."""

PROBLEM_STYLE = "background-color: rgba(255, 170, 0, 70); border-radius: 3px; padding: 4px;"
"""Amber under the words, so that a failure is not taken for the end of a job; readable on a light and on a dark panel."""


class JobProgress:
    """Fills an empty widget of a panel, which is hidden while there is nothing to say. **Main thread only.**

    A panel with one job at a time calls `watch`. One with several shows the job of its choice by `begin`, `show`, `idle` and
    `close_with`, and gives onCancel(), called once a job by the button. withoutCancel: stages that cannot be stopped.
    """

    def __init__(
        self, place, onCancel: Callable[[], None] | None = None, withoutCancel: tuple[str, ...] = ()
    ) -> None:
        self.place, self.monitor, self._running, self._without_cancel = place, None, False, withoutCancel
        self._on_cancel = onCancel or self.cancel
        self.sentenceLabel, self.stageLabel = wrapped_label(selectable=True), wrapped_label()
        self.timeLabel, self.bar = qt.QLabel(), qt.QProgressBar()
        self.cancelButton, self.log = qt.QPushButton(), LogFold()
        self.stageLabel.setAlignment(qt.Qt.AlignLeft | qt.Qt.AlignBottom)
        self.cancelButton.connect("clicked(bool)", self.onCancelClicked)
        self._running_parts = (self.stageLabel, self.bar, self.cancelButton, self.timeLabel)
        self._lay_out()
        self.clear()

    def _lay_out(self) -> None:
        column, middle, below = qt.QVBoxLayout(), qt.QHBoxLayout(), qt.QHBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        middle.addWidget(self.bar, 1)
        middle.addWidget(self.cancelButton)
        below.addWidget(self.timeLabel, 1)
        below.addStretch(1)
        below.addWidget(self.log.button)
        column.addWidget(self.sentenceLabel)
        column.addWidget(self.stageLabel)
        column.addLayout(middle)
        column.addLayout(below)
        column.addWidget(self.log.area)
        self.place.setLayout(column)

    def watch(
        self, job: RunningJob, onResult: Callable[[object], None], onError: Callable[[OncoError], None] | None = None
    ) -> JobMonitor:
        """Shows a job until it ends; then onResult(result), which may `tell`, or its error here and onError(error)."""

        def status_came(status: Status) -> None:
            self.show(status, stopping=self.monitor.cancelled, log=lambda: job.log)

        def ended() -> str:
            log, self.monitor = self.monitor.log, None
            self.idle()
            return log

        def result_came(result) -> None:
            self.log.keep(ended())
            onResult(result)

        def error_came(error: OncoError) -> None:
            self.close_with(str(error), ended(), problem=not isinstance(error, Cancelled), wanted=log_says_more(error))
            if onError is not None:
                onError(error)

        self.begin()
        self.monitor = JobMonitor(job, status_came, result_came, error_came)
        self.show(Status(None, _("Starting"), False), log=lambda: job.log)
        return self.monitor

    def cancel(self) -> None:
        """Asks the watched job to stop."""
        if self.monitor is not None:
            self.monitor.cancel()

    def abandon(self) -> None:
        """Ends the watched job without a report and shows nothing, for a panel or a scene that goes away."""
        if self.monitor is not None:
            self.monitor.abandon()
            self.monitor = None
        self.clear()

    def begin(self) -> None:
        """A job begins: what was told of the last one goes."""
        self.log.clear()
        self.tell("")

    def show(self, status: Status, *, stopping: bool = False, log: Callable[[], str] = str) -> None:
        """A job as it is now. stopping: the user cancelled it. log(): what it printed, read only when it is seen."""
        self._set_running(True)
        self.stageLabel.setFixedHeight(STAGE_LINES * self.stageLabel.fontMetrics().lineSpacing())
        stage = _("Stopping") if stopping else status.message
        self.stageLabel.text = shortened(self.stageLabel, breakable(stage), STAGE_LINES)
        self.stageLabel.toolTip = stage
        known = status.fraction is not None and not stopping
        self.bar.setRange(0, 100 if known else 0)
        self.bar.setValue(int(100 * status.fraction) if known else 0)
        self.timeLabel.text = "" if stopping else time_left_text(status.seconds_left, _)
        self._show_cancel(stopping)
        if status.message in self._without_cancel:
            self.cancelButton.enabled = False
        self.log.follow(log)

    def idle(self) -> None:
        """No job runs; what was told stays, and the log that was kept."""
        self.log.leave()
        self._set_running(False)

    def close_with(self, sentence: str, log: str = "", *, problem: bool = False, wanted: bool = False) -> None:
        """The sentence on a job that ended, and its log. wanted: the log says more than the sentence."""
        self.log.keep(log, wanted=wanted)
        self.tell(sentence, problem=problem)

    def tell(self, sentence: str, *, problem: bool = False) -> None:
        """Shows a sentence until the next one, or until a job begins. problem: something was refused or failed."""
        self.sentenceLabel.setStyleSheet(PROBLEM_STYLE if problem else "")
        show_text(self.sentenceLabel, sentence)
        self._show_place()

    @property
    def sentence(self) -> str:
        """What was told last, as it was given but for breaks."""
        return self.sentenceLabel.text

    def clear(self) -> None:
        """Shows nothing."""
        self.log.hide()
        self.tell("")
        self.idle()

    def onCancelClicked(self) -> None:
        """Once: the button says so and takes no other click."""
        self._show_cancel(stopping=True)
        self._on_cancel()

    def _show_cancel(self, stopping: bool) -> None:
        self.cancelButton.text = _("Stopping...") if stopping else _("Cancel")
        self.cancelButton.enabled = not stopping

    def _set_running(self, running: bool) -> None:
        for part in self._running_parts:
            part.setVisible(running)
        self._running = running
        self._show_place()

    def _show_place(self) -> None:
        self.place.setVisible(self._running or bool(self.sentenceLabel.text))

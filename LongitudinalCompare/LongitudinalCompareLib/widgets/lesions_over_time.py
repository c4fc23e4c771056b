"""The part of the panel with the lesions over the dates: compares in a process of its own, then keeps what the reader says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import qt
import slicer
from slicer.i18n import tr as _

from LongitudinalCompareLib.compare_options import CompareOptions
from LongitudinalCompareLib.evidence_of import evidence_of
from LongitudinalCompareLib.reading import Act, Reading
from LongitudinalCompareLib.scene import comparison_nodes, comparison_texts, reading_node, reading_points, registered
from LongitudinalCompareLib.scene.reading_session import ReadingSession, resumed
from LongitudinalCompareLib.widgets.by_hand_section import ByHandSection
from LongitudinalCompareLib.widgets.context_section import ContextSection
from LongitudinalCompareLib.widgets.reading_section import ReadingSection
from LongitudinalCompareLib.widgets.response_section import ResponseSection
from OncoLib.errors import OncoError
from OncoLib.widgets.job_progress import JobProgress
from OncoSegmentLib.engine.process import ProcessEngine


NOT_APPLIED = "not applied"
"""Kind of the flags on what a reader said and the rules do not allow: it is kept, and does not count."""

PUBLISH_MS = 300
"""Tables, charts and maps of the scene wait so long for the reader's next key: nine lesions on three dates take half a second."""


class LesionsOverTime:
    """Reads and fills the widgets of `LongitudinalCompareLesions.ui` in the widget `place` of a panel.

    register: the `RegisterSection` of the panel, which has the dates and how they are registered. **Main thread only.**
    """

    def __init__(self, place, uiPath: str, register) -> None:
        widget = slicer.util.loadUI(uiPath)
        column = qt.QVBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(widget)
        place.setLayout(column)
        self.ui = ui = slicer.util.childWidgetVariables(widget)
        ui.lineSelector.setMRMLScene(slicer.mrmlScene)
        self._register, self.session, self._state, self._looked = register, None, [], None
        self._closed, self._later = False, qt.QTimer()
        self._later.setSingleShot(True)
        self._later.connect("timeout()", self.publish)
        self.progress = JobProgress(ui.compareProgressPlace)
        self.progress.cancelButton.toolTip = _("Stop comparing; nothing of this run is kept, what you said before is.")
        self.reading = ReadingSection(ui, self, self._chosen)
        self.response, self.context, self.byHand = ResponseSection(ui, self), ContextSection(ui, self), ByHandSection(ui, self)
        self._parts = (self.reading, self.response, self.context, self.byHand)
        ui.compareButton.connect("clicked(bool)", self.onCompare)
        register.busy = lambda: self.running
        self.clear()

    @property
    def running(self) -> bool:
        """True while dates are compared."""
        return self.progress.monitor is not None

    @property
    def chosen(self) -> tuple:
        """The lesion (or None) and the number of the date that the reader looks at."""
        return self.reading.table.track, self.reading.table.at

    # The scene.

    def update(self) -> None:
        """The button, with the reason in its tip where it cannot be pressed; and whether a reading waits in the scene."""
        if self._closed:
            return
        if self.session is not None and any(one.volume.GetScene() is None for one in self.session.dates):
            self.clear()
        problem = self.problem()
        self.ui.compareButton.enabled = not problem and not self.running and not self._register.running
        tip = _("Find each lesion again at every date, measure it on each date's own grid, and propose response categories")
        self.ui.compareButton.toolTip = problem or tip
        if self.session is None and not self.running:
            self._resume()

    def problem(self) -> str:
        """Why these rows cannot be compared, in one sentence; "" when they can."""
        problem, rows = self._register.timepoints.problem(), self._register.timepoints.chosen
        without = next((row for row in rows if row.segmentation is None), None)
        if not problem and without is not None:
            problem = _("{date} has no segmentation; segment its lesions first, or uncheck it").format(date=without.date)
        return problem

    def _resume(self) -> None:
        """Goes on with the comparison of a scene that was loaded, once; else tells of a reading that waits for one."""
        holder = comparison_nodes.node_of(slicer.mrmlScene, comparison_texts.COMPARISON)
        if holder is not None and holder is not self._looked:
            self._looked = holder
            try:
                self._go_on(resumed(slicer.mrmlScene))
            except OncoError as error:
                self.progress.tell(str(error), problem=True)

    def _go_on(self, session: ReadingSession) -> None:
        self._show_first(session, registered.state_of(session.dates))
        told = _("Taken from this scene, as it was saved. Compare again if a mask was changed since; what was said stays.")
        self.tell(told)

    def dates(self) -> list:
        """The checked rows as they are now, the oldest first: the order of a comparison."""
        return sorted((replace(row) for row in self._register.timepoints.chosen), key=lambda row: row.date)

    def clear(self) -> None:
        """Ends a running job and shows nothing, so that nothing stands beside another patient. The reading stays in its scene."""
        self.progress.abandon()
        self._later.stop()
        self.session, self._state = None, []
        for part in self._parts:
            part.clear()

    def close(self) -> None:
        """The panel goes."""
        self.clear()
        self.reading.close()
        self._closed = True

    def tell(self, sentence: str, *, problem: bool = False) -> None:
        """Shows a sentence."""
        self.progress.tell(sentence, problem=problem)

    # Comparing.

    def onCompare(self, clicked=False) -> None:
        """Starts the comparison in a process of its own."""
        dates = self.dates()
        try:
            timepoints = registered.prepare(dates)
            known = self._kept(dates).known
            options = CompareOptions(choice=self._register.choice(timepoints[0].image), known=known)
            job = ProcessEngine().submit(evidence_of, timepoints, options)
        except OncoError as error:
            self.tell(str(error), problem=True)
            return
        state = registered.state_of(dates)
        # What is shown stays until the new comparison takes its place, and the reader may go on with it.
        self.progress.watch(job, lambda found: self._on_compared(dates, state, found), lambda _error: self._changed())
        self._changed()

    def _changed(self) -> None:
        """A job began or ended: both buttons follow."""
        self._register.update()

    def _on_compared(self, dates: list, state: list, evidence) -> None:
        """Everything is shown, or nothing: what is known of scans that changed meanwhile is thrown away."""
        self._changed()
        if registered.state_of(dates) != state:
            self.tell(_("A scan or segmentation was changed while it was compared; compare again"), problem=True)
            return
        try:
            registered.check_frames(dates)
            self._begin(dates, state, evidence)
        except OncoError as error:
            self.tell(str(error), problem=True)

    def _begin(self, dates: list, state: list, evidence) -> None:
        """A session on new evidence, with what the reader said before."""
        before = self._kept(dates)
        session = ReadingSession(slicer.mrmlScene, dates, evidence, before.reading, before.criteria)
        session.say_points(reading_points.set_beside_verdicts(slicer.mrmlScene, session.comparison, dates, session.reading))
        self._register.take(dates, evidence.pairs)
        self._show_first(session, state)
        told = _("{count} lesions over {dates} dates. Nothing is confirmed before you say so.")
        self.tell(told.format(count=len(session.comparison.tracks), dates=len(dates)))

    def _show_first(self, session: ReadingSession, state: list) -> None:
        first, self.session, self._state = self.session is None, session, state
        if first:
            self._register.fold()  # the table is what is looked at now
        self.show()
        self.reading.arrange()
        # Views that are new learn the extent of their volumes from Qt's next events, and forget the slice they were sent to.
        qt.QTimer.singleShot(0, self.reading.jump)

    def _kept(self, dates: list) -> reading_node.Kept:
        return reading_node.kept(slicer.mrmlScene, dates) or reading_node.Kept(Reading(), self.response.criteria)

    # What the reader says.

    def say(self, make: Callable[[], Act]) -> bool:
        """make(): the act. True when it was taken; else a sentence says why not, and everything is as it was."""
        return self._do(lambda: self.session.say(make()))

    def rewrite(self, kept: Callable[[Act], bool], make: Callable[[], list]) -> bool:
        """Acts that are not `kept` were never said, then those of `make` are: one step."""
        return self._do(lambda: self.session.rewrite(kept, *make()))

    def views_of(self, at: int) -> list[str]:
        """Ids of the views of a date; none while it has no column."""
        return self.reading.views_of(at)

    def undo(self) -> None:
        """The last step taken back."""
        if self.session is not None and self.session.can_undo:
            self._do(self.session.undo)

    def confirm(self, name: str) -> None:
        """The whole reading, by somebody."""
        self._do(lambda: self.session.confirm(name))

    def judge_by(self, criteria) -> None:
        """Other criteria."""
        if self.session is not None:
            self._do(lambda: self.session.judge_by(criteria))

    def _do(self, step: Callable[[], object]) -> bool:
        before = {one.text for one in self.session.comparison.flags}
        try:
            step()
        except OncoError as error:
            self.tell(str(error), problem=True)
            self.tidy()
            return False
        refused = [one.text for one in self.session.comparison.flags if one.kind == NOT_APPLIED and one.text not in before]
        self.tell(" ".join(refused), problem=bool(refused))
        if registered.state_of(self.session.dates) != self._state:
            told = _("A scan or segmentation was changed since; compare again to measure it anew. What you said is kept.")
            self.tell(told, problem=True)
        self.show()
        return True

    def show(self) -> None:
        """All parts as the session is now; the nodes of the scene follow when the reader pauses."""
        for part in self._parts:
            part.show()
        self.tidy()
        self._later.start(PUBLISH_MS)

    def publish(self) -> None:
        """Table, chart, map and lines of the scene as the session is now."""
        self._later.stop()
        if self.session is None or self._closed:
            return
        try:
            self.session.publish(self.reading.shown)
            self.response.show_chart()
        except OncoError as error:
            self.tell(str(error), problem=True)

    def tidy(self) -> None:
        """The points by hand as the reading has them."""
        if self.session is not None:
            session = self.session
            reading_points.follow(slicer.mrmlScene, session.comparison, session.dates, session.reading)

    def _chosen(self) -> None:
        """Another lesion or date is looked at."""
        for part in (self.response, self.context, self.byHand):
            part.show()



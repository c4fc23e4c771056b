"""The parts of the panel together: what each is given, what a choice in one means for the others, and one job at a time."""

from __future__ import annotations

from collections.abc import Callable

import slicer
from slicer.i18n import tr as _

from OncoLib.errors import OncoError
from OncoLib.widgets.job_progress import JobProgress
from OncoSegmentLib.widgets.channel_chooser import ChannelChooser
from OncoSegmentLib.widgets.goal_chooser import GoalChooser
from OncoSegmentLib.widgets.host_chooser import HostChooser
from OncoSegmentLib.widgets.kept_results import KeptResults
from OncoSegmentLib.widgets.lesion_section import LesionSection
from OncoSegmentLib.widgets.measure_section import MeasureSection
from OncoSegmentLib.widgets.panel_section import PanelSection
from OncoSegmentLib.widgets.result_section import ResultSection
from OncoSegmentLib.widgets.spine_section import SpineSection


class Sections:
    """All parts of `OncoSegment.ui`. **Main thread only.**

    panelUi: path of the .ui file of the section for several experts. logic: the module's. parameters() gives the parameter
    node that is shown, or None.
    """

    def __init__(self, ui, panelUi: str, logic, parameters: Callable[[], object]) -> None:
        self.ui, self._logic, self._parameters, self._filling = ui, logic, parameters, False
        self.chooser = GoalChooser(ui, self.onGoalChosen)
        self.hostChooser = HostChooser(ui, self.onHostSegmentChosen)
        self.channelChooser = ChannelChooser(ui.channelsPlace, ui.replaceMissingCheckBox, self.update)
        self.progress = JobProgress(ui.progressPlace)
        self.progress.cancelButton.toolTip = _("Stop the running job; the scene stays as it is.")
        self.results = ResultSection(ui)
        self.keptResults = KeptResults(ui.keptPlace, self.onKeptLoaded, self.progress.tell)
        self.measureSection = MeasureSection(ui, self.results.table, self.begin, self.progress.tell, self.results.show)
        self.spineSection = SpineSection(ui, self.begin, self.progress.tell)
        self.lesionSection = LesionSection(ui, self.begin, self.progress.tell)
        self._ofSegmentation = (self.measureSection, self.spineSection, self.lesionSection)
        self.panelSection = PanelSection(
            ui.panelPlace,
            panelUi,
            self.chooser,
            prepare=self._prepare,
            channels=lambda: (self.channelChooser.nodes, self._parameters().replaceMissing),
            problem=self._channelProblem,
            volume=lambda: self._parameters().inputVolume if self._parameters() else None,
            begin=self.begin,
            tell=self.progress.tell,
            published=self.onPanelResult,
        )
        ui.applyButton.connect("clicked(bool)", self.onApply)

    def close(self) -> None:
        """The panel goes."""
        self.progress.abandon()
        self.panelSection.close()

    def clear(self) -> None:
        """The scene goes, and with it what was found in it and a job for it."""
        self.progress.abandon()
        self.keptResults.let_go()
        self._show_running(False)
        self.results.clear()
        self.measureSection.keep(None, ())
        self.spineSection.clear()
        self.lesionSection.clear()
        self.panelSection.close()

    def show(self) -> None:
        """Shows the parameter node in the parts that Slicer does not connect by itself."""
        chosen = self._parameters()
        if not chosen or self._filling:
            return
        self._filling = True
        try:
            self.chooser.show(chosen.goal, chosen.speed, chosen.structures.split(), chosen.precision)
            chosen.hostSegment = self.hostChooser.show(chosen.host, chosen.hostSegment)
            self.channelChooser.show(self.chooser.channels(), chosen.parameterNode)
        finally:
            self._filling = False
        self.update()

    def hide(self) -> None:
        """No parameter node is shown."""
        self.channelChooser.show(None, None)

    def onGoalChosen(self) -> None:
        """Keeps what the user chose to look for in the parameter node."""
        chosen = self._parameters()
        if chosen and not self._filling:
            goal = self.chooser.goal
            chosen.goal = goal.id if goal else ""
            chosen.speed = self.chooser.speed
            chosen.structures = " ".join(self.chooser.structures)
            chosen.precision = self.chooser.precision
            self.channelChooser.show(self.chooser.channels(), chosen.parameterNode)
            self.update()

    def onHostSegmentChosen(self, segmentID: str) -> None:
        """Keeps the chosen host segment in the parameter node."""
        if self._parameters() and not self._filling:
            self._parameters().hostSegment = segmentID

    @property
    def running(self) -> bool:
        """True while a job of this panel runs."""
        return self.progress.monitor is not None

    def update(self) -> None:
        """What can be pressed now, and the reason where something cannot."""
        chosen, problem, channels = self._parameters(), self.chooser.problem(), ""
        if not chosen.inputVolume:
            problem = _("Choose a volume first")
        elif not problem and chosen.host and not chosen.hostSegment:
            problem = _("Choose the segment of the host organ, or no host")
        elif not problem:
            problem = channels = self._channelProblem()
        self.chooser.tell(channels)
        self.ui.applyButton.enabled = not problem and not self.running
        self.ui.applyButton.toolTip = problem or _("Segment the volume; a new segmentation appears")
        for section in self._ofSegmentation:
            section.update(chosen.measured, running=self.running)
        self.panelSection.update(running=self.running)

    def _channelProblem(self) -> str:
        chosen = self._parameters()
        return self.channelChooser.problem(chosen.inputVolume, chosen.replaceMissing) if chosen else ""

    def onApply(self) -> None:
        """Starts the job; refusals are shown as a sentence in the panel, never as a dialog."""
        chosen = self._parameters()
        volumeId, show3D = chosen.inputVolume.GetID(), chosen.show3D
        self.results.clear()
        try:
            job, notes = self._logic.start(
                chosen.inputVolume,
                self.chooser.request(),
                chosen.region,
                chosen.host,
                chosen.hostSegment,
                self.channelChooser.nodes,
                chosen.replaceMissing,
            )
        except OncoError as error:
            self.progress.tell(str(error), problem=True)
            return
        self.begin(job, lambda prediction: self.onResult(prediction, volumeId, show3D, job.kept), notes)

    def begin(self, job, onResult: Callable[[object], None], notes=None) -> None:
        """Watches a job that runs; onResult(result) follows when it ended well.

        notes: what a reader should know of the input of the new numbers; None for a job that gives none.
        """

        def finished(result):
            self._show_running(False)
            onResult(result)

        if notes is not None:
            self.results.clear(notes)
        self.progress.watch(job, finished, lambda error: self._show_running(False))
        self._show_running(True)

    def onResult(self, prediction, volumeId: str, show3D: bool, kept) -> None:
        """Publishes the segmentation and shows its measures. kept: where it lies on disk until the scene is saved."""
        volume = slicer.mrmlScene.GetNodeByID(volumeId)
        try:
            node = self._logic.publish(prediction, volume, show3D)
        except OncoError as error:
            self.progress.tell(str(error), problem=True)
            return
        self.keptResults.hold(kept)
        self._show_node(prediction, node)

    def _prepare(self, request, channels, replaceMissing):
        """Image and checked request for the chosen volume, region and host, with what was chosen for channels."""
        chosen = self._parameters()
        place = (chosen.region, chosen.host, chosen.hostSegment)
        return self._logic.prepareHere(chosen.inputVolume, request, *place, channels, replaceMissing)

    def onPanelResult(self, result, node) -> None:
        """Shows the consensus of a panel that is in the scene, and logs every expert's run."""
        for folder in result.kept:
            self.keptResults.hold(folder)
        prediction = result.consensus.prediction
        self.results.clear(result.notes)
        self._show_result(prediction, node, self._logic.logPanel(result))

    def onKeptLoaded(self, prediction, inputSha256: str) -> None:
        """Publishes a result that was left over, beside its volume when that is in the scene."""
        volume = self._logic.volumeOf(inputSha256)
        self._show_node(prediction, self._logic.publish(prediction, volume))

    def _show_node(self, prediction, node) -> None:
        self._show_result(prediction, node, self._logic.log(prediction))

    def _show_result(self, prediction, node, problem: str) -> None:
        self.results.show(prediction, node)
        self.measureSection.keep(node, prediction.measures)
        if self._parameters():
            self._parameters().measured = node
        done = _("Done: {name}").format(name=node.GetName())
        self.progress.tell(f"{done}. {problem}" if problem else done)

    def _show_running(self, running: bool) -> None:
        self.ui.inputsCollapsibleButton.enabled = not running
        if running:
            self.ui.applyButton.enabled = False
            for section in self._ofSegmentation:
                section.update(None, running=True)
            self.panelSection.update(running=True)
        elif self._parameters():
            self.update()

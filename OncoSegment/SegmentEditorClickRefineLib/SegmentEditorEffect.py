"""Effect "Click refine" of the Segment Editor: clicks, boxes, strokes and lassos, answered by an engine of OncoSegment.

The window part only: it collects, calls and shows. Which segment, what is written and what Undo means is decided in
`OncoSegmentLib.scene.refine_controller`, which is imported on first use so that Slicer starts no slower.
"""

from __future__ import annotations

import os
import time

import qt
import slicer
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect
from slicer.i18n import tr as _

QUIET_S = 0.5
"""A click that is answered sooner moves nothing in the panel."""


class SegmentEditorEffect(AbstractScriptedSegmentEditorEffect):
    """One editor's effect."""

    def __init__(self, scriptedEffect):
        scriptedEffect.name = "Click refine"  # not translated: effects are found by it
        scriptedEffect.title = _("Click refine")
        scriptedEffect.perSegment = False  # or the editor leaves the effect when Undo takes the segment away
        scriptedEffect.requireSegments = False  # the first click begins one
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)
        self.controller = self.panel = self.progress = self.pointer = None
        self._shortcuts, self._observed, self._tags = [], None, []
        self._sceneTag, self._lookAhead = None, False
        self._normal = self._busySince = self._engineName = None

    def clone(self):
        """A copy for another editor."""
        import qSlicerSegmentationsEditorEffectsPythonQt as effects

        cloned = effects.qSlicerSegmentEditorScriptedEffect(None)
        cloned.setPythonSource(__file__.replace("\\", "/"))
        return cloned

    def icon(self):
        """Beside this file."""
        path = os.path.join(os.path.dirname(__file__), "SegmentEditorEffect.png")
        return qt.QIcon(path) if os.path.exists(path) else qt.QIcon()

    def helpText(self):
        """What the editor shows above the options."""
        return (
            "<html>"
            + _(
                """Click on a structure; the chosen engine finds it in 3D and the segment follows at once.<br>
                <p><ul style="margin: 0">
                <li><b>Left click:</b> this belongs to the structure (slice views and 3D).
                <li><b>Ctrl + left click:</b> this does not.
                <li><b>Box, Stroke, Lasso:</b> drag in a slice view; with Ctrl for what does not belong.
                <li><b>Drag a marker</b> to move a prompt; delete it by its menu, or by Remove.
                <li><b>N:</b> next lesion. <b>Backspace:</b> remove the last prompt.
                </ul><p>
                Masking, overwriting and intensity range of the editor hold. Research use only; not for diagnosis."""
            )
            + "</html>"
        )

    # The options.

    def setupOptionsFrame(self):
        """Called once, when the editor is made."""
        from OncoLib.widgets.job_progress import JobProgress
        from OncoSegmentLib.scene.refine_controller import Controller
        from OncoSegmentLib.widgets.refine_hands import EffectHands
        from OncoSegmentLib.widgets.refine_panel import RefinePanel
        from OncoSegmentLib.widgets.refine_pointer import Pointer

        self.panel = RefinePanel(self)
        self.scriptedEffect.addOptionsWidget(self.panel.widget)
        self.progress = JobProgress(self.panel.progressPlace, onCancel=self.onCancel)
        hands = EffectHands(self.scriptedEffect)
        self.controller = Controller(hands, self._engineMaker(), self.onTold, self.updatePanel)
        self.pointer = Pointer(
            self.scriptedEffect, self.xyToRas, lambda: self.panel.kind, self._overMarkup, self.onDrawn
        )

    def activate(self):
        """The reader chose this effect."""
        from OncoSegmentLib.refine import registry

        self.panel.show_engines(registry.listed())
        window = self.panel.widget.window()
        for key, slot in (("N", self.onNext), ("Backspace", self.onRemove)):
            shortcut = qt.QShortcut(qt.QKeySequence(key), window)
            shortcut.connect("activated()", slot)
            self._shortcuts.append(shortcut)
        self._sceneTag = slicer.mrmlScene.AddObserver(slicer.mrmlScene.StartCloseEvent, self.onSceneClosing)
        self._observe()
        self.controller.look()
        qt.QTimer.singleShot(0, self._warmUp)

    def deactivate(self):
        """Another effect was chosen, or none: what runs is stopped; sessions are kept for when the reader comes back."""
        for shortcut in self._shortcuts:
            shortcut.disconnect("activated()")
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts = []
        self._unobserve()
        if self._sceneTag is not None:
            slicer.mrmlScene.RemoveObserver(self._sceneTag)
            self._sceneTag = None
        if self.controller is not None:
            from OncoSegmentLib.scene.refine_work import UNCHANGED

            self.pointer.stop()
            self.onTold(UNCHANGED if self.controller.busy else "", False)  # seen by whoever comes back
            self.controller.stop()
            self._idle()

    def cleanup(self):
        """The editor goes."""
        self.deactivate()
        if self.controller is not None:
            self.controller.close()
            self.panel.disconnect()
        self.controller = self.panel = self.progress = self.pointer = None

    def setMRMLDefaults(self):
        """Nothing is kept in the editor's node: what is chosen belongs to a reader, not to a scene."""

    def updateGUIFromMRML(self):
        """The editor's selections changed."""
        if self.controller is not None and self.scriptedEffect.active():
            self._observe()
            self._soon()

    def updateMRMLFromGUI(self):
        """See `setMRMLDefaults`."""

    def sourceVolumeNodeChanged(self):
        """Another volume."""
        self._soon()

    def referenceGeometryChanged(self):
        """Another grid."""
        self._soon()

    # What the reader does.

    def processInteractionEvents(self, callerInteractor, eventId, viewWidget):
        """Presses, moves and releases in the views."""
        return self.pointer is not None and self.pointer.event(callerInteractor, eventId, viewWidget)

    def onDrawn(self, kind, path, positive, normal):
        """A prompt was drawn; path: RAS points in the world."""
        from OncoLib.errors import OncoError
        from OncoSegmentLib.refine.strokes import prompt_of

        if self.panel.lacking:
            self.onTold(self.panel.lacking, True)
            return
        if not self.scriptedEffect.confirmCurrentSegmentVisible():
            return
        self._normal = normal
        try:
            places = self.controller.place(path)
            prompt = prompt_of(kind, places, positive, radius_mm=self.panel.widthBox.value / 2)
            self.controller.limit = self.panel.limit(self.controller.direction(normal))
        except OncoError as error:
            self.onTold(str(error), True)
            return
        if prompt is not None:
            self.controller.click(prompt, unseen=True)
        else:
            self.onTold(_("Drag across the structure to draw this; for single clicks choose Click."), False)

    def onEngine(self):
        """Another engine was chosen."""
        if self.panel.show_notice() and self.panel.engine != self._engineName:
            self.onTold("", False)
            self.controller.use(self._engineMaker())
            self._warmUp()

    def onLimits(self):
        """Limit or protection changed."""
        self.controller.protect = self.panel.protectBox.checked
        self.controller.limit = self.panel.limit(self.controller.direction(self._normal))
        if self.panel.roi_wanted:
            self.onTold(_("Choose the ROI that limits the clicks."), False)
        else:
            self.controller.limits_changed()

    def onMany(self):
        """One lesion or many."""
        self.controller.many = self.panel.manyBox.checked

    def onNext(self):
        """The next lesion."""
        self.controller.next_lesion()

    def onRemove(self):
        """The chosen prompt, or the last one."""
        prompts = self.controller.prompts
        if prompts:
            self.controller.remove(self.panel.chosen or prompts[-1].id)

    def onUndo(self):
        """Undo click."""
        self.controller.undo()

    def onRedo(self):
        """Redo click."""
        self.controller.redo()

    def onReset(self):
        """Start over."""
        self.controller.reset()

    def onAgain(self):
        """The saved prompts."""
        self.controller.ask_again()

    def onCancel(self):
        """Stop the job."""
        self.controller.cancel()

    # What is shown.

    def onTold(self, sentence, problem):
        """One sentence."""
        from OncoSegmentLib.scene.refine_work import as_sentence

        if self.progress is not None:
            self.progress.tell(as_sentence(sentence), problem=problem)

    def updatePanel(self):
        """Prompts, numbers and the job are others now."""
        from OncoSegmentLib.scene.refine_seats import numbered

        if self.panel is None:
            return
        session, numbers = self.controller.session, self.controller.numbers
        prompts = self.controller.prompts
        self.panel.show(
            list(zip([one.id for one in prompts], numbered(prompts))),
            numbers=numbers.text if numbers and numbers.volume_ml else "",
            can_undo=bool(session and session.can_undo),
            can_redo=bool(session and session.can_redo),
            earlier=len(self.controller.earlier),
            busy=self.controller.busy,
        )
        self.panel.show_able(self.controller.able)
        if self.controller.watched:
            self._watch()

    def _watch(self):
        from OncoLib.widgets.job_timer import job_timer

        job_timer().watch(self.onTick, self._wantsThreads)

    def onTick(self):
        """One look at the job."""
        self.controller.poll()
        if not self.controller.busy:
            self._busySince = None
            self.progress.idle()
        elif self._busySince is None:
            self._busySince = time.monotonic()
        elif self.controller.status is not None and time.monotonic() - self._busySince >= QUIET_S:
            job = self.controller.job
            self.progress.show(self.controller.status, stopping=self.controller.stopping, log=lambda: job.log)
        if not self.controller.watched:
            self._idle()

    def _warmUp(self):
        if self.controller is not None and self.scriptedEffect.active():
            self.controller.warm_up()

    def _idle(self):
        from OncoLib.widgets.job_timer import job_timer

        job_timer().leave(self.onTick)
        self._busySince = None
        self.progress.idle()

    def _wantsThreads(self):
        job = self.controller.job if self.controller is not None else None
        return bool(getattr(job, "needs_threads", False))

    # The scene.

    def onSceneClosing(self, caller, event):
        """Nothing of a scene that closes is of use any more."""
        self._unobserve()
        self.controller.close()
        self.onTold("", False)
        self._idle()
        self.updatePanel()

    def onSegmentationChanged(self, caller, event):
        """The editor's Undo, Redo, or another effect."""
        self._soon()

    def _soon(self):
        """Looks when Qt has time: one act of the editor tells of many changes."""
        if not self._lookAhead and self.controller is not None:
            self._lookAhead = True
            qt.QTimer.singleShot(0, self._look)

    def _look(self):
        self._lookAhead = False
        if self.controller is not None:
            self.controller.look()

    def _observe(self):
        """Follows the editor's segmentation."""
        parameters = self.scriptedEffect.parameterSetNode()
        node = parameters.GetSegmentationNode() if parameters else None
        if node is self._observed:
            return
        self._unobserve()
        self._observed = node
        if node is not None:
            kinds = slicer.vtkSegmentation
            events = (kinds.SegmentModified, kinds.SegmentRemoved, kinds.SegmentAdded, kinds.SourceRepresentationModified)
            self._tags = [node.AddObserver(event, self.onSegmentationChanged) for event in events]

    def _unobserve(self):
        for tag in self._tags:
            self._observed.RemoveObserver(tag)
        self._observed, self._tags = None, []

    def _overMarkup(self):
        seat = self.controller.seats.selected
        return seat is not None and seat.markups.under_pointer()

    def _engineMaker(self):
        name = self._engineName = self.panel.engine

        def make():
            from OncoSegmentLib.refine.far import FarEngine

            return FarEngine(name)

        return make

"""An effect of the Segment Editor as what edits the selected segment."""

from __future__ import annotations


class EffectHands:
    """See `OncoSegmentLib.scene.refine_editor.Hands`; everything goes through Slicer's own effect. **Main thread only.**"""

    def __init__(self, scriptedEffect) -> None:
        self._effect = scriptedEffect

    @property
    def parameters(self):
        """The editor's parameter node."""
        return self._effect.parameterSetNode()

    @property
    def locked(self) -> bool:
        """True in an editor that is read-only."""
        editor = self.editor
        return editor is not None and bool(editor.readOnly)

    @property
    def editor(self):
        """The editor's widget, which holds the effect's options; None while the effect is in none."""
        widget = self._effect.optionsFrame()
        while widget is not None and widget.className() != "qMRMLSegmentEditorWidget":
            widget = widget.parent()
        return widget

    def save(self) -> None:
        """Keeps the segmentation for the editor's Undo."""
        self._effect.saveStateForUndo()

    def modify(self, labels, mode: int, extent: tuple[int, ...]) -> None:
        """Adds or removes voxels, as the editor's masking and overwriting allow."""
        self._effect.modifySelectedSegmentByLabelmap(labels, mode, list(extent), False)

"""The part of the panel that shows a result: the table of its segments and what a reader should know of it."""

from __future__ import annotations

from collections.abc import Sequence

from slicer.i18n import tr as _

from OncoLib.segmentation import Prediction
from OncoSegmentLib.widgets.notes import notes
from OncoSegmentLib.widgets.segment_table import SegmentTable


class ResultSection:
    """Fills `segmentTable` and `notesLabel` of a panel."""

    def __init__(self, ui) -> None:
        self.table, self._label, self._inputNotes = SegmentTable(ui.segmentTable), ui.notesLabel, ()

    def clear(self, inputNotes: Sequence[str] = ()) -> None:
        """Shows nothing, so that no number stands under another's name.

        inputNotes: what a reader should know of the input of the numbers to come.
        """
        self._inputNotes = tuple(inputNotes)
        self.table.clear()
        self._label.text = ""

    def show(self, prediction: Prediction, node=None) -> None:
        """Measures and notes of a result. node: the segmentation node that holds it."""
        self.table.show(prediction.segmentation, node, prediction.measures)
        trusted = [_("Input: {note}").format(note=note) for note in dict.fromkeys((*self._inputNotes, *prediction.notes))]
        self._label.text = "\n\n".join([*trusted, notes(prediction.segmentation, prediction.measures)])

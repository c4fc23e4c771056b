"""The part of the panel where the user picks the segment of the host organ."""

from __future__ import annotations

from collections.abc import Callable

from slicer.i18n import tr as _


class HostChooser:
    """Fills and reads `hostSegmentSelector`. onChange(segment id, or "") is called when another entry is chosen."""

    def __init__(self, ui, onChange: Callable[[str], None]) -> None:
        self._selector, self._onChange = ui.hostSegmentSelector, onChange
        self._selector.connect("currentIndexChanged(int)", self.onChosen)

    def show(self, host, chosen: str) -> str:
        """Segments of the host segmentation, or of none; returns the chosen id, "" when the segmentation has it no more."""
        entries = [(_("(choose a segment)"), "")]
        if host:
            source = host.GetSegmentation()
            for index in range(source.GetNumberOfSegments()):
                entries.append((source.GetNthSegment(index).GetName(), source.GetNthSegmentID(index)))
        kept = chosen if chosen in [identifier for _name, identifier in entries] else ""
        self._selector.clear()
        for name, identifier in entries:
            self._selector.addItem(name, identifier)
        self._selector.setCurrentIndex(max(self._selector.findData(kept), 0))
        self._selector.enabled = bool(host)
        return kept

    def onChosen(self, index: int) -> None:
        """Tells the panel."""
        self._onChange(self._selector.itemData(index) or "")

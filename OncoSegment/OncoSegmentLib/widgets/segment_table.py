"""A table of segments (color, name, volume, code), and below it what a reader should know of them."""

from __future__ import annotations

import qt

from OncoLib.measure import volume_text, volumes
from OncoLib.segmentation import Segmentation
from OncoLib.widgets.tables import put

NAME, VOLUME, CODE = range(3)


def fill(table, segmentation: Segmentation) -> None:
    """One row a segment; the columns are name, volume in ml and code."""
    measured = volumes(segmentation)
    table.setRowCount(len(segmentation.segments))
    for row, segment in enumerate(segmentation.segments):
        code = segment.entry.type
        put(table, row, NAME, segment.name)
        table.item(row, NAME).setIcon(swatch(segment.color))
        put(table, row, VOLUME, volume_text(measured[segment].value))
        table.item(row, VOLUME).setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
        put(table, row, CODE, code.meaning, f"{code.scheme} {code.value}")
    table.resizeColumnsToContents()


def notes(segmentation: Segmentation) -> str:
    """The flags of all segments as text, each once, with the segments that it is about."""
    about: dict[str, list[str]] = {}
    for segment in segmentation.segments:
        for flag in segment.flags:
            about.setdefault(flag, []).append(segment.name)
    return "\n\n".join(f"{', '.join(names)}: {flag}" for flag, names in about.items())


def swatch(color: tuple[int, int, int]):
    """Icon of a segment's color."""
    pixmap = qt.QPixmap(16, 16)
    pixmap.fill(qt.QColor(*color))
    return qt.QIcon(pixmap)

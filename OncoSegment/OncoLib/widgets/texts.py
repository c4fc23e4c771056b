"""Texts of labels: long ones break or are shortened, so that no panel grows wider."""

from __future__ import annotations

import re

import qt


def breakable(text: str) -> str:
    """Long names and paths may break after a separator, addresses not."""
    return re.sub(r"(?<!\S)(?!https?:)\S{30,}", lambda word: re.sub(r"([/\\_-])", "\\1\u200b", word[0]), text)


def show_text(label, text: str) -> None:
    """Shows a text; an empty label takes no room."""
    label.text = breakable(text)
    label.setVisible(bool(text))


def wrapped_label(selectable: bool = False):
    """A label of plain text that breaks lines and is never wider than its panel."""
    label = qt.QLabel()
    label.setTextFormat(qt.Qt.PlainText)
    label.setWordWrap(True)
    label.setSizePolicy(qt.QSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Preferred))
    if selectable:
        label.setTextInteractionFlags(qt.Qt.TextSelectableByMouse)
    return label


def shortened(label, text: str, lines: int) -> str:
    """The text without its middle when it needs more lines than that; at the breaks up to a quarter of a line is lost."""
    room = int(label.width * (1 + 0.75 * (lines - 1)))
    return label.fontMetrics().elidedText(text, qt.Qt.ElideMiddle, room)

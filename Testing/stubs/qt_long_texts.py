"""The widget for texts of many lines."""

from __future__ import annotations

from stubs.qt_texts import QScrollBar
from stubs.qt_widgets import QFrame


class QPlainTextEdit(QFrame):
    """Lines of text; its scroll bar goes up to the last line, and back to the start with a new text, as in Qt."""

    properties = {"plainText": "", "readOnly": False, "maximumBlockCount": 0, "lineWrapMode": 1, "placeholderText": ""}
    signals = ("textChanged()",)
    notify = {"plainText": "textChanged"}
    first_text = "plainText"

    def __init__(self, *arguments) -> None:
        self._bar = QScrollBar()
        super().__init__(*arguments)

    def setPlainText(self, text: str) -> None:
        """Replaces the text."""
        self.plainText = text
        self._bar.maximum, self._bar.value = text.count("\n"), 0

    def toPlainText(self) -> str:
        """The text."""
        return self.plainText

    def verticalScrollBar(self) -> QScrollBar:
        """The scroll bar at the side."""
        return self._bar

"""Letters, the clipboard, and all that shows long texts."""

from __future__ import annotations

from stubs.recording import QObject

LETTER_WIDTH, LINE_HEIGHT = 7, 15
"""Pixels of every letter."""


class QFontMetrics:
    """All letters are of one size."""

    def lineSpacing(self) -> int:
        """From one line to the next."""
        return LINE_HEIGHT

    def elidedText(self, text: str, _mode: int, width: int) -> str:
        """The text, or its two ends around an ellipsis; only the mode of the middle is needed."""
        most = width // LETTER_WIDTH
        if len(text) <= most:
            return text
        left = most // 2
        return f"{text[:left]}…{text[len(text) - (most - left - 1):]}"


class QFontDatabase:
    """Qt's own values; a font is its number."""

    GeneralFont, FixedFont = 0, 1

    @staticmethod
    def systemFont(kind: int) -> int:
        """The font of that kind."""
        return kind


class QScrollBar(QObject):
    """Where a view stands."""

    properties = {"value": 0, "minimum": 0, "maximum": 0}
    signals = ("valueChanged(int)",)
    notify = {"value": "valueChanged"}


class QClipboard(QObject):
    """One text."""

    def __init__(self) -> None:
        super().__init__()
        self._text = ""

    def setText(self, text: str) -> None:
        """Keeps the text."""
        self._text = text

    def text(self) -> str:
        """The text."""
        return self._text


class QApplication:
    """What belongs to the whole application."""

    _clipboard = QClipboard()

    @staticmethod
    def clipboard() -> QClipboard:
        """The clipboard."""
        return QApplication._clipboard

"""The log of a job, folded away: its last lines, read only, with a button that copies them."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable

import qt
from slicer.i18n import tr as _

MOST_LINES = 300
REFRESH_S = 1.0
LEAST_HEIGHT, MOST_HEIGHT = 120, 220
"""Pixels."""

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""Colors and movements of a terminal."""


class LogFold:
    """A `button` that opens and closes an `area`. **Main thread only.**

    Nothing is read while nobody sees it. A log that was kept stays until the next job begins.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._read_s = clock, 0.0
        self._source: Callable[[], str] | None = None
        self._kept = self._opened_here = self._offered = False
        self.button = self._make_button()
        self.text = qt.QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setPlaceholderText(_("Nothing was printed so far."))
        self.text.setFont(qt.QFontDatabase.systemFont(qt.QFontDatabase.FixedFont))
        self.text.setMinimumHeight(LEAST_HEIGHT)
        self.text.setMaximumHeight(MOST_HEIGHT)
        self.copyButton = qt.QPushButton(_("Copy log"))
        self.copyButton.toolTip = _("Copy these lines, to send them to someone who can help.")
        self.copyButton.connect("clicked(bool)", self.onCopy)
        self.area = self._make_area()
        self.hide()

    def _make_button(self):
        button = qt.QToolButton()
        button.text = _("Log")
        button.toolTip = _("What the running or the last job printed.")
        button.checkable = True
        button.autoRaise = True
        button.toolButtonStyle = qt.Qt.ToolButtonTextBesideIcon
        button.connect("toggled(bool)", self.onToggled)
        return button

    def _make_area(self):
        area, column, row = qt.QWidget(), qt.QVBoxLayout(), qt.QHBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.text)
        row.addStretch(1)
        row.addWidget(self.copyButton)
        column.addLayout(row)
        area.setLayout(column)
        return area

    def hide(self) -> None:
        """No log, no button."""
        self.clear()
        self.button.checked = False
        self._offer(False)

    def clear(self) -> None:
        """For a job that begins: no text; open only when the user opened it."""
        self._source, self._kept, self._read_s = None, False, -math.inf
        self.text.setPlainText("")
        if self._opened_here:
            self.button.checked = False

    def follow(self, source: Callable[[], str]) -> None:
        """Shows what `source` gives, if anybody sees it, about once a second; unless another log is kept."""
        if self._kept:
            return
        self._source = source
        if not self._offered:
            self._offer(True)
        if self.area.visible and self._clock() - self._read_s >= REFRESH_S:
            self._read()

    def leave(self) -> None:
        """The job that was followed ended; its log goes unless it is given to `keep`."""
        if self._source is not None:
            self._source = None
            self._offer(False)

    def keep(self, log: str, *, wanted: bool = False) -> None:
        """The log of a job that ended. wanted: it says why, so it opens by itself."""
        self._source, self._kept = None, True
        self._put(tail(log))
        if wanted and self.text.plainText and not self.button.checked:
            self.button.checked = True
            self._opened_here = True
        self._offer(bool(self.text.plainText))

    def onToggled(self, opened: bool) -> None:
        """Opens or closes."""
        self._opened_here = False
        self._offer(self._offered)
        if opened and self._source is not None:
            self._read()

    def onCopy(self) -> None:
        """Copies what is shown."""
        qt.QApplication.clipboard().setText(self.text.plainText)

    def _offer(self, offered: bool) -> None:
        self._offered, opened = offered, self.button.checked
        self.button.arrowType = qt.Qt.DownArrow if opened else qt.Qt.RightArrow
        self.button.setVisible(offered)
        self.area.setVisible(offered and opened)

    def _read(self) -> None:
        self._read_s = self._clock()
        self._put(tail(self._source()))

    def _put(self, text: str) -> None:
        """Stays at the end, unless the user looks at something above it."""
        if text == self.text.plainText:
            return
        bar = self.text.verticalScrollBar()
        place = None if bar.value >= bar.maximum else bar.value
        self.text.setPlainText(text)
        bar.setValue(bar.maximum if place is None else place)


def tail(log: str, lines: int = MOST_LINES) -> str:
    """The last lines as they would stand in a terminal: without colors, and what rewrote itself only in its last form."""
    shown = [line.rsplit("\r", 1)[-1] for line in ESCAPES.sub("", log).replace("\r\n", "\n").rstrip().split("\n")]
    return "\n".join(shown[-lines:])

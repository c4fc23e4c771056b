"""Results on disk: those of a session that ended unexpectedly are offered, those of this one go when the scene is safe."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import qt
from slicer.i18n import tr as _

from OncoLib.errors import OncoError
from OncoLib.widgets.texts import show_text, wrapped_label
from OncoSegmentLib.engine.results import LeftOver, discard, left_over


class KeptResults:
    """Fills an empty widget of a panel, which is hidden while nothing was left over. **Main thread only.**

    onLoad(prediction) publishes one; tell(sentence) shows a sentence. look: finds what was left over.
    """

    def __init__(
        self, place, onLoad: Callable, tell: Callable[[str], None], look: Callable[[], list[LeftOver]] = left_over
    ) -> None:
        self.place, self._on_load, self._tell, self._look = place, onLoad, tell, look
        self._found: list[LeftOver] = []
        self._held: list[Path] = []
        self.label, self.loadButton, self.discardButton = wrapped_label(), qt.QPushButton(), qt.QPushButton()
        self.loadButton.text, self.discardButton.text = _("Load"), _("Discard")
        self.loadButton.connect("clicked(bool)", self.onLoadClicked)
        self.discardButton.connect("clicked(bool)", self.onDiscardClicked)
        column, row = qt.QVBoxLayout(), qt.QHBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.loadButton)
        row.addWidget(self.discardButton)
        row.addStretch(1)
        column.addWidget(self.label)
        column.addLayout(row)
        place.setLayout(column)
        self.look_again()

    def look_again(self) -> None:
        """Offers the oldest result that was left over, when there is one."""
        try:
            self._found = self._look()
        except (OSError, ValueError):  # a folder that cannot be read hides nothing that can be done about it here
            self._found = []
        self._show()

    def _show(self) -> None:
        text = ""
        if self._found:
            one, more = self._found[0], len(self._found) - 1
            text = _("{name}, {count} segments, done {when}: Slicer ended before it was saved.").format(
                name=one.name, count=one.segments, when=time.strftime("%Y-%m-%d %H:%M", time.localtime(one.ended))
            )
            text += " " + _("{count} more.").format(count=more) if more else ""
        show_text(self.label, text)
        self.place.setVisible(bool(text))

    def onLoadClicked(self) -> None:
        """Publishes what is offered; it stays on disk until the scene is saved."""
        if not self._found:
            return
        one = self._found.pop(0)
        try:
            self._on_load(one.load(), one.input_sha256)
            self.hold(one.folder)
        except OncoError as error:
            self._tell(str(error))
        self._show()

    def onDiscardClicked(self) -> None:
        """Removes what is offered."""
        if self._found:
            self._found.pop(0).discard()
            self._show()

    def hold(self, folder: Path | None) -> None:
        """A result that is in the scene now, and nowhere else but here."""
        if folder is not None:
            self._held.append(folder)

    def let_go(self) -> None:
        """The scene was saved, or closed by the user: its results need no second home."""
        while self._held:
            discard(self._held.pop())

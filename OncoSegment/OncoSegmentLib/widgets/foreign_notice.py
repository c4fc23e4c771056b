"""What the panel shows of a model that could run any program: what it could do, its hash, and a box that confirms exactly it."""

from __future__ import annotations

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from OncoLib.widgets.texts import breakable, wrapped_label
from OncoSegmentLib.foreign import Look, notice_of


class ForeignNotice:
    """A text and a box in the empty widget `place`, shown for foreign models only. **Main thread only.**

    onConfirm(sha256) is called with the hash that was shown when the user checked the box, with "" when it was unchecked.
    """

    def __init__(self, place, onConfirm: Callable[[str], None]) -> None:
        self.place, self._onConfirm, self._shown, self._filling = place, onConfirm, "", False
        self.text = wrapped_label(selectable=True)  # plain text: the name of a folder is anybody's
        self.box = qt.QCheckBox(_("I know where it comes from: run exactly these files"))
        self.box.toolTip = _("For this session, for files with this SHA-256 only; it is not saved with the scene.")
        layout = qt.QVBoxLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text)
        layout.addWidget(self.box)
        place.setLayout(layout)
        place.setVisible(False)
        self.box.connect("toggled(bool)", self.onToggled)

    def show(self, look: Look) -> None:
        """Shows what must be confirmed, or was; nothing for any other model."""
        self._filling = True
        try:
            self._shown = look.foreign.sha256 if look.foreign else ""
            self.text.text = breakable(notice_of(look.foreign)) if look.foreign else ""
            self.box.checked = look.confirmed
            self.place.setVisible(bool(look.foreign))
        finally:
            self._filling = False

    def onToggled(self, checked: bool) -> None:
        """The user confirms what is shown, or takes it back."""
        if not self._filling:
            self._onConfirm(self._shown if checked else "")

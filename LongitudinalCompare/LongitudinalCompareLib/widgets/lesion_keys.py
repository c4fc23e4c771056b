"""The keys of the table of lesions, each with its button: names, tips and the line of help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import qt
from slicer.i18n import tr as _


@dataclass(frozen=True)
class Key:
    """One act. keys: all that call it; the first one is shown. button: name of its widget."""

    keys: tuple[str, ...]
    button: str
    title: str
    tip: str


def key_list() -> dict[str, Key]:
    """By the name of the act, in the order of the buttons."""
    return {
        "confirm": Key(("C", "Return", "Enter"), "confirmButton", _("Confirm"),
                       _("What is said of this lesion at this date is right: the same lesion, new, or gone")),
        "next": Key(("N",), "nextButton", _("Next"), _("Go to the next lesion and date that nobody confirmed")),
        "move": Key(("M",), "moveButton", _("Move"),
                    _("Then click where this lesion lies in a view of this date; again gives up")),
        "relink": Key(("R",), "relinkButton", _("Relink..."), _("Choose which lesion of this date is this one")),
        "new": Key(("W",), "newButton", _("New"), _("What is seen here was not there before: it becomes a lesion of its own")),
        "gone": Key(("G",), "goneButton", _("Gone"), _("The lesion is no longer there at this date")),
        "target": Key(("T",), "targetButton", _("Target"), _("A target of the response criteria, or no target any more")),
        "ignore": Key(("I",), "ignoreButton", _("Ignore"), _("No disease: it counts nowhere; again brings it back")),
        "undo": Key(("U",), "undoButton", _("Undo"), _("Take the last thing that was said back")),
    }  # fmt: skip


class LesionKeys:
    """Connects keys and buttons to acts. The keys count while the table has the keyboard. None is one of Slicer's own: with two
    shortcuts of one key, such as Ctrl+Z, Qt calls neither for sure. acts: what to call, by name. **Main thread only.**
    """

    def __init__(self, ui, acts: dict[str, Callable[[], None]]) -> None:
        self._ui, self.shortcuts = ui, {}
        for name, key in key_list().items():
            button = getattr(ui, key.button)
            button.text = f"{key.title} ({key.keys[0]})"
            button.toolTip = key.tip
            button.setFocusPolicy(qt.Qt.NoFocus)  # after a click the keys go on
            button.connect("clicked(bool)", lambda _on=False, act=acts[name]: act())
            for text in key.keys:
                shortcut = qt.QShortcut(qt.QKeySequence(text), ui.lesionTable)
                shortcut.setContext(qt.Qt.WidgetShortcut)
                shortcut.connect("activated()", acts[name])
                self.shortcuts[text] = shortcut
        line = ", ".join(f"{key.keys[0]} {key.title.rstrip('.').lower()}" for key in key_list().values())
        ui.keysLabel.text = _("Keys in the table: arrows for lesion and date; {keys}.").format(keys=line)

    def allow(self, possible: dict[str, str]) -> None:
        """possible: "" for an act that can be done now, else why not, which its tip then says."""
        for name, key in key_list().items():
            button, why = getattr(self._ui, key.button), possible.get(name, "")
            button.enabled = not why
            button.toolTip = why or key.tip
            for text in key.keys:
                self.shortcuts[text].enabled = not why

    def remove(self) -> None:
        """The panel goes."""
        for shortcut in self.shortcuts.values():
            shortcut.disconnect("activated()")
            shortcut.setParent(None)
            shortcut.deleteLater()
        self.shortcuts.clear()

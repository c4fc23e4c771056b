"""The table of lesions with its keys: where the views go, and what the reader says of a lesion at a date."""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _

from LongitudinalCompareLib import lesion_acts as acts
from LongitudinalCompareLib import lesion_board as board
from LongitudinalCompareLib.comparison import IGNORED, TARGET
from LongitudinalCompareLib.lesion_track import NOT_YET
from LongitudinalCompareLib.reading import CONFIRMED
from LongitudinalCompareLib.scene import layout, lesion_views, manual_points, reading_points
from LongitudinalCompareLib.widgets.lesion_keys import LesionKeys, key_list
from LongitudinalCompareLib.widgets.lesion_table import LesionTable, change_sentence, entry_tip, role_titles, status_titles
from OncoLib.errors import OncoError
from OncoLib.widgets.texts import show_text

CHOICE_ROWS = 4
OF_A_LESION = ("confirm", "move", "relink", "new", "gone", "target", "ignore")
"""Acts."""

STATE_STYLE = {
    True: "background-color: rgb(46, 125, 50); color: white; border-radius: 3px; padding: 3px;",
    False: "background-color: rgba(255, 170, 0, 70); border-radius: 3px; padding: 3px;",
}
"""By whether the reading is confirmed."""


class ReadingSection:
    """Reads and fills the widgets from `readingStateLabel` to `confirmReadingButton`.

    desk: has `session` (or None), `say(make)`, `undo()`, `confirm(name)`, `tidy()`, `tell(sentence, problem=False)`. onChosen():
    another lesion or date is looked at. **Main thread only.**
    """

    def __init__(self, ui, desk, onChosen) -> None:
        self.ui, self._desk, self._on_chosen = ui, desk, onChosen
        self._stop, self._choices, self._choosing, self.shown = None, [], False, ()
        self.table = LesionTable(ui.lesionTable, self.onChosen)
        self.keys = LesionKeys(ui, {
            "confirm": lambda: self._say(acts.confirmation), "next": self.onNext, "move": self.onMove, "relink": self.onRelink,
            "new": lambda: self._say(acts.new), "gone": lambda: self._say(acts.gone),
            "target": lambda: self._turn(TARGET), "ignore": lambda: self._turn(IGNORED), "undo": self.onUndo,
        })  # fmt: skip
        ui.notesCollapsibleButton.collapsed = True
        ui.choiceList.connect("itemClicked(QListWidgetItem*)", lambda _item=None: self.onTaken())
        keys = {"Return": self.onTaken, "Enter": self.onTaken, "Escape": self.close_choice}
        self._choice_keys = [self._choice_key(*one) for one in keys.items()]
        ui.confirmReadingButton.connect("clicked(bool)", lambda _on=False: desk.confirm(ui.readerNameEdit.text))
        ui.readerNameEdit.connect("textChanged(QString)", lambda _text="": self._show_state())
        self.clear()

    def _choice_key(self, key: str, slot):
        shortcut = qt.QShortcut(qt.QKeySequence(key), self.ui.choiceList)
        shortcut.setContext(qt.Qt.WidgetShortcut)
        shortcut.connect("activated()", slot)
        return shortcut

    def clear(self) -> None:
        """No comparison."""
        self.stop_placing()
        self.close_choice()
        self.table.clear()
        self.shown = ()
        lesion_views.forget_marks(slicer.mrmlScene)
        self.keys.allow(dict.fromkeys(key_list(), _("Compare the dates first")))
        self.ui.boardWidget.setVisible(False)
        self.ui.notesCollapsibleButton.setVisible(False)

    def close(self) -> None:
        """The panel goes."""
        self.clear()
        self.keys.remove()

    # What is shown.

    @property
    def _session(self):
        return self._desk.session

    def show(self) -> None:
        """The comparison as it is now; the chosen lesion and date stay."""
        self.table.show(self._session.comparison)
        self.ui.boardWidget.setVisible(True)
        self._show_chosen()
        self._show_state()
        self._show_notes()

    def onChosen(self) -> None:
        """The views go to the lesion."""
        self.stop_placing()
        self.close_choice()
        self._show_chosen()
        self.jump()
        self._on_chosen()

    def _show_chosen(self) -> None:
        track, at = self.table.track, self.table.at
        show_text(self.ui.lesionLabel, "" if track is None else self._told(track, at))
        self.keys.allow(self._possible(track, at))

    def _told(self, track, at: int) -> str:
        if self._stop is not None:
            text = _("Click where {lesion} lies, in a view of {date}; M again gives up.")
            return text.format(lesion=track.name, date=self._session.comparison.timepoints[at].when)
        change = board.change_shown(track, at)
        lines = [entry_tip(self._session.comparison, track, at), "" if change is None else change_sentence(change)]
        lines.append(_("Role: {role}").format(role=track.role_reason or role_titles()[track.role]))
        flags = [one for one in self._session.comparison.flags if one.tracking_uid == track.tracking_uid]
        lines += [f"⚠ {one.text}" for one in flags if one.timepoint in (None, at)]
        return "\n".join(line for line in lines if line)

    def _show_notes(self) -> None:
        """What a reader should know of all lesions; what is of one stands with it."""
        found = [one.text for one in self._session.comparison.flags if not one.tracking_uid]
        self.ui.notesCollapsibleButton.text = _("Notes for the reader ({count})").format(count=len(found))
        self.ui.notesCollapsibleButton.setVisible(bool(found))
        self.ui.comparisonNotesLabel.text = "\n".join(f"⚠ {one}" for one in found)

    def _show_state(self) -> None:
        session, ui = self._session, self.ui
        if session is None:
            return
        done = session.comparison.state == CONFIRMED
        waiting = len(board.unconfirmed(session.comparison, self.table.order))
        count = len(session.reading.acts)
        if done:
            text = _("Confirmed by {name}.").format(name=session.reading.confirmed_by)
        else:
            text = _("Draft: {count} said so far, {waiting} found by the program alone.").format(count=count, waiting=waiting)
        ui.readingStateLabel.setStyleSheet(STATE_STYLE[done])
        ui.readingStateLabel.text = text
        named = bool(ui.readerNameEdit.text.strip())
        ui.confirmReadingButton.enabled = named and not done
        if not named:
            ui.confirmReadingButton.toolTip = _("Type your name first: a reading is confirmed by somebody")
        elif waiting:
            tip = _("Put your name to all of it; {waiting} links and fates were found by the program and confirmed by nobody")
            ui.confirmReadingButton.toolTip = tip.format(waiting=waiting)
        else:
            ui.confirmReadingButton.toolTip = _("Put your name to all of it, as it is now; any later act makes it a draft again")

    def _possible(self, track, at: int) -> dict[str, str]:
        """Why an act cannot be done, by its name; nothing for one that can."""
        if track is None:
            return dict.fromkeys(OF_A_LESION, _("Choose a lesion in the table"))
        comparison, found = self._session.comparison, {}
        tried = {"confirm": acts.confirmation, "gone": acts.gone, "new": acts.new, "target": self._target, "move": self._move}
        for name, make in tried.items():
            try:
                make(comparison, track, at)
            except OncoError as error:
                found[name] = str(error)
        if at == 0 or track.manual:
            found["relink"] = _("Choose a later date, at which this lesion can be linked with another one")
        if not board.unconfirmed(comparison, self.table.order):
            found["next"] = _("All links and fates are confirmed")
        if not self._session.can_undo:
            found["undo"] = _("Nothing was said yet")
        return found

    @staticmethod
    def _target(comparison, track, _at):
        return acts.role_turned(comparison, track, TARGET)

    @staticmethod
    def _move(comparison, track, at):
        return acts.point(comparison, track, at, (0.0, 0.0, 0.0))

    # The views.

    def arrange(self) -> None:
        """A column for each date that fits."""
        session = self._session
        self.shown = lesion_views.dates_shown(len(session.dates), self.table.at)
        if len(self.shown) >= layout.LEAST:
            lesion_views.show(slicer.mrmlScene, session.dates, self.shown)
            session.share(self.shown)

    def views_of(self, at: int) -> list[str]:
        """Ids of the views of a date, which are shown if they were not."""
        if not layout.is_shown(slicer.mrmlScene):
            self.arrange()
        return layout.view_ids(slicer.mrmlScene, self.shown.index(at)) if at in self.shown else []

    def jump(self) -> None:
        """Every date's views to the chosen lesion, where it lies at that date."""
        session, track = self._session, self.table.track
        if session is None or track is None:
            return
        wanted = lesion_views.dates_shown(len(session.dates), self.table.at)
        try:
            if wanted != self.shown and layout.is_shown(slicer.mrmlScene):
                self.arrange()
            stops = [self._stop_at(track, at) for at in range(len(session.dates))]
            lesion_views.go(slicer.mrmlScene, session.dates, wanted, stops, self.table.at)
        except OncoError as error:
            self._desk.tell(str(error), problem=True)

    @staticmethod
    def _stop_at(track, at: int) -> lesion_views.Stop:
        place, there = board.place_of(track, at)
        if there:
            return lesion_views.Stop(place)
        status = track.entries[at].status
        word = _("not yet there") if status == NOT_YET else status_titles().get(status) or status
        return lesion_views.Stop(place, f"{track.name}: {word}")

    # What the reader says.

    def _say(self, make) -> None:
        """make(comparison, track, at): the act."""
        track = self.table.track
        if track is not None and self._session is not None:
            self._desk.say(lambda: make(self._session.comparison, track, self.table.at))

    def _turn(self, role: str) -> None:
        self._say(lambda comparison, track, _at: acts.role_turned(comparison, track, role))

    def onUndo(self) -> None:
        """The last step is taken back."""
        self.stop_placing()
        self._desk.undo()

    def onNext(self) -> None:
        """The next lesion and date that nobody confirmed."""
        if self._session is None:
            return
        found = board.next_unconfirmed(self._session.comparison, self.table.order, self.table.uid, self.table.at)
        if found is None:
            self._desk.tell(_("All links and fates are confirmed"))
        else:
            self.table.choose(*found)

    def onMove(self) -> None:
        """The next click in a view of the date is where the lesion lies; a second press gives up."""
        if self._stop is not None:
            self.stop_placing()
            self._show_chosen()
            return
        session, track, at = self._session, self.table.track, self.table.at
        try:
            act = acts.point(session.comparison, track, at, (0.0, 0.0, 0.0))
        except OncoError as error:
            self._desk.tell(str(error), problem=True)
            return
        volume, name = session.dates[at].volume, (act.lesion.lesion, act.lesion.date)
        node = reading_points.node_for(slicer.mrmlScene, volume, *name, f"{track.name}: by hand")
        node.SetLocked(False)
        # In the views of another date the same place is another one in the patient: a click there does not count.
        node.GetDisplayNode().SetViewNodeIDs(self.views_of(at))
        self._stop = manual_points.begin_placing(slicer.mrmlScene, node, lambda: self._placed(volume, name, track, at))
        self._show_chosen()

    def _placed(self, volume, name, track, at: int) -> None:
        self._stop = None
        place = manual_points.point_of(slicer.mrmlScene, volume, reading_points.key_of(*name))
        self._desk.say(lambda: acts.point(self._session.comparison, track, at, place))

    def stop_placing(self) -> None:
        """No click sets a point any more."""
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()
            self._desk.tidy()

    def onRelink(self) -> None:
        """Shows with what the lesion can be linked."""
        session, track, at = self._session, self.table.track, self.table.at
        if self._choosing:
            self.close_choice()
            return
        try:
            self._choices = acts.candidates(session.comparison, session.evidence, track, at)
        except OncoError as error:
            self._desk.tell(str(error), problem=True)
            return
        ui, when = self.ui, session.comparison.timepoints[at].when
        ui.choiceLabel.text = _("Which one is {lesion} on {date}? Distances are from where it lies now, or should lie.").format(lesion=track.name, date=when)
        ui.choiceList.clear()
        for _act, name, away, owner in self._choices:
            ui.choiceList.addItem(choice_text(name, away, owner, track.name))
        rows = min(max(len(self._choices), 1), CHOICE_ROWS)
        ui.choiceList.setFixedHeight(rows * (ui.choiceList.fontMetrics().lineSpacing() + 4) + 6)
        if not self._choices:
            ui.choiceLabel.text = _("There is no lesion on {date} to link with; G says that it is gone.").format(date=when)
        self._choosing = True
        ui.choicePlace.setVisible(True)
        ui.choiceList.setCurrentRow(0)
        ui.choiceList.setFocus()

    def onTaken(self) -> None:
        """A click or Enter on the current one."""
        self.onChoice(self.ui.choiceList.currentRow)

    def onChoice(self, row: int) -> None:
        """The reader chose one."""
        if 0 <= row < len(self._choices):
            act = self._choices[row][0]
            self.close_choice()
            self._desk.say(lambda: act)

    def close_choice(self) -> None:
        """The list goes, and the keys are those of the table again."""
        chose, self._choices, self._choosing = self._choosing, [], False
        self.ui.choicePlace.setVisible(False)
        if chose:
            self.ui.lesionTable.setFocus()


def choice_text(name: str, away: float | None, owner: str, own: str) -> str:
    """A line of the list: which lesion, how far from where it is expected, and whose it is now."""
    parts = [name]
    if away is not None:
        parts.append(_("{distance} mm away").format(distance=f"{away:.1f}"))
    if owner == own:
        parts.append(_("as it is now"))
    elif owner and owner != name:
        parts.append(_("now {lesion}").format(lesion=owner))
    return ", ".join(parts)

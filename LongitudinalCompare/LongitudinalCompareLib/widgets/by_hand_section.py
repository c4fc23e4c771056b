"""The form of what a reader enters by hand: sizes that count instead of the mask's, findings, lesions without a mask."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from LongitudinalCompareLib import lesion_acts as acts
from LongitudinalCompareLib import reading_acts as say
from LongitudinalCompareLib.comparison import NON_TARGET, TARGET
from LongitudinalCompareLib.reading import SIZE
from LongitudinalCompareLib.response.inputs import FINDINGS
from LongitudinalCompareLib.response.targets import KINDS
from LongitudinalCompareLib.scene import reader_lines
from LongitudinalCompareLib.widgets.lesion_table import measure_line
from OncoLib.errors import InputError
from OncoLib.widgets.texts import show_text


class ByHandSection:
    """Reads and fills `entriesCollapsibleButton`. desk: as of `ContextSection`, and `views_of(at)`. **Main thread only.**"""

    def __init__(self, ui, desk) -> None:
        self.ui, self._desk, self._stop = ui, desk, None
        ui.findingSelector.addItem(_("choose"), "")  # a finding is never said by a button that was pressed too early
        for one in FINDINGS:  # in the words of the criteria, as in their sentences
            ui.findingSelector.addItem(one, one)
        for one in KINDS:
            ui.manualKindSelector.addItem(one or _("other"), one)
        for one, title in ((NON_TARGET, _("non-target")), (TARGET, _("target"))):
            ui.manualRoleSelector.addItem(title, one)
        for button, slot in ((ui.drawLineButton, self.onDraw), (ui.useSizeButton, self.onSize), (ui.maskSizeButton, self.onMask),
                             (ui.findingButton, self.onFinding), (ui.manualButton, self.onManual)):  # fmt: skip
            button.connect("clicked(bool)", slot)
        ui.entriesCollapsibleButton.collapsed = True
        self.clear()

    def clear(self) -> None:
        """Nothing that was typed of one patient is seen beside another."""
        self.stop_drawing()
        self.ui.volumeEdit.text = self.ui.manualNameEdit.text = ""
        self.ui.entriesCollapsibleButton.setVisible(False)

    def show(self) -> None:
        """For the lesion and date that are looked at."""
        session = self._desk.session
        if session is None:
            return
        self.stop_drawing()
        track, at = self._desk.chosen
        ui, there = self.ui, track is not None
        ui.entriesCollapsibleButton.setVisible(True)
        for one in (ui.drawLineButton, ui.useSizeButton, ui.findingButton):
            one.enabled = there
        ui.maskSizeButton.enabled = there and any(self._is_size(act) for act in session.reading.acts)
        show_text(ui.sizeLabel, self._size_text(track, at) if there else "")
        text = _("{lesion} on {date}, by eye:")
        show_text(ui.findingLabel, text.format(lesion=track.name, date=self._when) if there else "")

    @property
    def _when(self) -> str:
        return self._desk.session.comparison.timepoints[self._desk.chosen[1]].when

    def _size_text(self, track, at: int) -> str:
        one, text = track.entries[at], _("{lesion} on {date}: {sizes}")
        counts = ", ".join(measure_line(name, found) for name, found in one.measures.items()) or _("not measured")
        mask = ", ".join(measure_line(name, found) for name, found in one.of_mask.items())
        shown = text.format(lesion=track.name, date=self._when, sizes=counts)
        return f"{shown}\n" + _("By the mask: {sizes}").format(sizes=mask) if mask else shown

    # What the reader says.

    def onDraw(self, clicked=False) -> None:
        """The next two clicks in a view of the date are the ends of the line; a second press gives up."""
        if self._stop is not None:
            self.stop_drawing()
            return
        track, at = self._desk.chosen
        scene, volume = slicer.mrmlScene, self._desk.session.dates[at].volume
        node = reader_lines.new_line(scene, volume, _("{lesion} by hand").format(lesion=track.name), self._desk.views_of(at))
        self._stop = reader_lines.begin_drawing(scene, node, lambda: self._drawn(node))
        self.ui.drawLineButton.text = _("Give up the line")
        text = _("Click both ends of the longest diameter of {lesion} in a view of {date}.")
        show_text(self.ui.sizeLabel, text.format(lesion=track.name, date=self._when))

    def _drawn(self, node) -> None:
        self.ui.lineSelector.setCurrentNode(node)
        self.show()

    def stop_drawing(self) -> None:
        """No click draws any more."""
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()
        self.ui.drawLineButton.text = _("Draw a line")

    def onSize(self, clicked=False) -> None:
        """Line, or volume, or both."""
        track, at = self._desk.chosen
        if self._desk.say(lambda: self._size(track, at)):
            self.ui.volumeEdit.text = ""
            self.ui.lineSelector.setCurrentNode(None)

    def _size(self, track, at: int):
        line, session = self.ui.lineSelector.currentNode(), self._desk.session
        if line is None and not self.ui.volumeEdit.text.strip():
            raise InputError("there is no size: choose or draw a line, or type a volume in ml")
        ends = None if line is None else reader_lines.ends_of(line, session.dates[at].volume)
        which = "perpendicular_line" if track.node else "longest_line"  # of a node the short axis is followed
        values = {which: ends, "volume_ml": number_of(self.ui.volumeEdit.text)}
        return say.size(acts.ref_of(session.comparison, track), self._when, **values, by=self.ui.readerNameEdit.text)

    def _is_size(self, act) -> bool:
        track, _at = self._desk.chosen
        if act.kind != SIZE or act.date != self._when:
            return False
        comparison = self._desk.session.comparison
        every = [Ref for at in range(len(comparison.timepoints)) for Ref in acts.refs_of(comparison, track, at)]
        names = {(one.date, one.lesion) for one in (*every, acts.ref_of(comparison, track))}
        return (act.lesion.date, act.lesion.lesion) in names

    def onMask(self, clicked=False) -> None:
        """The mask's sizes count again."""
        self._desk.rewrite(lambda act: not self._is_size(act), list)

    def onFinding(self, clicked=False) -> None:
        """What is seen of it."""
        track, state = self._desk.chosen[0], self.ui.findingSelector.currentData
        if not state:
            self._desk.tell(_("Choose what you see of {lesion} on {date}").format(lesion=track.name, date=self._when), problem=True)
        elif self._desk.say(lambda: say.finding(acts.ref_of(self._desk.session.comparison, track), self._when, state=state)):
            self.ui.findingSelector.currentIndex = 0

    def onManual(self, clicked=False) -> None:
        """A lesion without a mask."""
        ui = self.ui
        name, kind, role = ui.manualNameEdit.text.strip(), ui.manualKindSelector.currentData, ui.manualRoleSelector.currentData

        def make():
            if any(one.name == name for one in self._desk.session.comparison.tracks):
                raise InputError(f"there is a lesion {name!r} already; give this one another name")
            return say.lesion(name, kind=kind or None, role=role)

        if self._desk.say(make):
            ui.manualNameEdit.text = ""


def number_of(text: str) -> float | None:
    """With a point or a comma; None for nothing. InputError for what is no number."""
    text = text.strip().removesuffix("ml").strip()
    try:
        return float(text.replace(",", ".")) if text else None
    except ValueError as cause:
        raise InputError(f"volume {text[:20]!r} is no number; wanted ml, such as 1.25") from cause



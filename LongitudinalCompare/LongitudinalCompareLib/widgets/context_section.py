"""The form of the clinical context: what the response criteria need to know and no image shows."""

from __future__ import annotations

from slicer.i18n import tr as _

from LongitudinalCompareLib import reading_acts as say
from LongitudinalCompareLib.reading import CONTEXT
from LongitudinalCompareLib.response.inputs import CONDITIONS, STEROIDS

OF_PATIENT = ("therapy_start", "radiotherapy_end", "recurrent")


class ContextSection:
    """Reads and fills `contextCollapsibleButton`. desk: as of `ResponseSection`, and `rewrite`. **Main thread only.**"""

    def __init__(self, ui, desk) -> None:
        self.ui, self._desk, self._shown_for = ui, desk, None
        self._fill(ui.recurrentSelector, {"": _("not stated"), "yes": _("yes"), "no": _("no")})
        words = {"": _("not stated"), "improved": _("improved"), "stable": _("stable"), "worse": _("worse"), "none": _("none"),
                 "decreased": _("decreased"), "increased": _("increased")}  # fmt: skip
        self._fill(ui.conditionSelector, {one: words[one] for one in ("", *CONDITIONS)})
        self._fill(ui.steroidsSelector, {one: words[one] for one in ("", *STEROIDS)})
        ui.contextButton.connect("clicked(bool)", self.onSay)
        ui.contextCollapsibleButton.collapsed = True
        self.clear()

    @staticmethod
    def _fill(box, titles: dict[str, str]) -> None:
        for name, title in titles.items():
            box.addItem(title, name)

    def clear(self) -> None:
        """Nothing that was typed of one patient is seen beside another."""
        self.ui.contextCollapsibleButton.setVisible(False)
        self._shown_for = None
        self._show({})

    def said(self, date: str) -> dict:
        """What counts of the patient and of a date."""
        found = {}
        for act in self._desk.session.reading.of(CONTEXT):
            if act.date in ("", date):
                found.update(act.values)
        return found

    def show(self) -> None:
        """What was said; what is being typed stays until another date, or other words, come."""
        session = self._desk.session
        if session is None:
            return
        facts = session.comparison.timepoints[self._desk.chosen[1]]
        self.ui.contextCollapsibleButton.setVisible(True)
        self.ui.contextDateLabel.text = _("On {date}, against the baseline:").format(date=facts.when)
        state = (facts.when, self.said(facts.when))
        if state != self._shown_for:
            self._shown_for = state
            self._show(state[1])

    def _show(self, said: dict) -> None:
        ui = self.ui
        ui.therapyStartEdit.text = said.get("therapy_start", "")
        ui.radiotherapyEndEdit.text = said.get("radiotherapy_end", "")
        recurrent = {True: "yes", False: "no", None: ""}[said.get("recurrent")]
        for box, value in (
            (ui.recurrentSelector, recurrent), (ui.conditionSelector, said.get("condition", "")),
            (ui.steroidsSelector, said.get("steroids", "")),
        ):  # fmt: skip
            box.currentIndex = box.findData(value)

    def typed(self) -> dict:
        """What the form says now; None for what is not stated."""
        ui = self.ui
        return {
            "therapy_start": ui.therapyStartEdit.text.strip() or None,
            "radiotherapy_end": ui.radiotherapyEndEdit.text.strip() or None,
            "recurrent": {"yes": True, "no": False}.get(ui.recurrentSelector.currentData),
            "condition": ui.conditionSelector.currentData or None,
            "steroids": ui.steroidsSelector.currentData or None,
        }

    def onSay(self, clicked=False) -> None:
        """What the form says counts; what it does not state any more was never said."""
        when, typed = self._shown_for[0], self.typed()
        of_patient = {name: value for name, value in typed.items() if name in OF_PATIENT and value is not None}
        of_date = {name: value for name, value in typed.items() if name not in OF_PATIENT and value is not None}

        def kept(act) -> bool:
            return not (act.kind == CONTEXT and act.date in ("", when) and set(act.values) <= set(typed))

        def make() -> list:
            made = [say.context(**of_patient)] if of_patient else []
            return made + ([say.context(when, **of_date)] if of_date else [])

        self._desk.rewrite(kept, make)

"""The options of the effect: engine, what is drawn, limits, the list of prompts, buttons, numbers. Collects and shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import qt
import slicer
from slicer.i18n import tr as _

from OncoLib.widgets.texts import wrapped_label
from OncoSegmentLib.refine import registry
from OncoSegmentLib.scene.refine_limits import Limit
from OncoSegmentLib.scene.refine_work import as_sentence

LIST_ROWS = 4


def prompt_kinds() -> list[tuple[str, str]]:
    """What can be drawn, as it is called."""
    return [("point", _("Click")), ("box", _("Box")), ("scribble", _("Stroke")), ("lasso", _("Lasso"))]


def limit_kinds() -> list[tuple[str, str]]:
    """Where answers may change the segment."""
    return [
        ("image", _("Whole image")),
        ("slab", _("Slab of slices")),
        ("around", _("Cube around the clicks")),
        ("roi", _("Box (ROI)")),
    ]


class RefinePanel:
    """The widgets of the effect's options. slots: an object whose methods are called: `onEngine`, `onLimits`, `onNext`, ..."""

    def __init__(self, slots) -> None:
        self.slots, self._filling = slots, False
        self.widget = qt.QWidget()
        self.engineBox, self.noticeLabel = qt.QComboBox(), wrapped_label()
        self.kindBox, self.widthBox = qt.QComboBox(), qt.QDoubleSpinBox()
        self.limitBox, self.reachBox, self.roiBox = qt.QComboBox(), qt.QDoubleSpinBox(), slicer.qMRMLNodeComboBox()
        self.protectBox = qt.QCheckBox(_("Protect other segments"))
        self.manyBox = qt.QCheckBox(_("A click elsewhere is the next lesion"))
        self.list = qt.QListWidget()
        self.buttons = self._buttons()
        self.numbersLabel, self.progressPlace = wrapped_label(selectable=True), qt.QWidget()
        self._lay_out()
        self._fill()
        self._connect()

    # What is chosen.

    @property
    def engine(self) -> str:
        """Name of the engine."""
        return self.engineBox.currentData or registry.DEFAULT

    @property
    def kind(self) -> str:
        """What a drag draws."""
        return self.kindBox.currentData or "point"

    @property
    def chosen(self) -> int | None:
        """Id of the prompt that is selected in the list. One is current there as soon as the keyboard is, chosen by nobody."""
        at = self.list.currentRow
        return self._ids[at] if 0 <= at < len(self._ids) and self.list.item(at).isSelected() else None

    def limit(self, normal_ras=None) -> Limit:
        """Where answers may change the segment."""
        return Limit(self.limitBox.currentData or "image", self.roiBox.currentNode(), self.reachBox.value, normal_ras)

    # What is shown.

    def show(self, prompts, *, numbers: str, can_undo: bool, can_redo: bool, earlier: int, busy: bool) -> None:
        """Prompts as (id, text), the segment's numbers, and what can be done now."""
        texts = [text for _number, text in prompts]
        self._ids = [number for number, _text in prompts]
        if [self.list.item(at).text() for at in range(self.list.count)] != texts:
            self.list.clear()
            for text in texts:
                self.list.addItem(text)
        self.numbersLabel.text = numbers or "-"  # the line stays: what lies below must not jump under the pointer
        self.buttons["remove"].enabled = bool(prompts)
        self.buttons["undo"].enabled, self.buttons["redo"].enabled = can_undo, can_redo
        self.buttons["reset"].enabled = bool(prompts) and not busy
        again = self.buttons["again"]
        again.setVisible(bool(earlier))
        again.text = _("Use {count} saved prompts").format(count=earlier)

    def show_engines(self, listed) -> None:
        """The engines of the registry; those that are not installed cannot be chosen and say why."""
        self._filling = True
        before = self.engine
        self.engineBox.clear()
        self._notices = {}
        for one in listed:
            lacks, able = one["missing"], one["capabilities"]
            title = _("{name} (not installed)").format(name=one["title"]) if lacks else one["title"]
            self.engineBox.addItem(title, one["name"])
            self._notices[one["name"]] = (lacks or one["summary"], able["notice"] if able else "", bool(lacks), able)
        self.engineBox.setCurrentIndex(max(self.engineBox.findData(before), 0))
        self._filling = False
        self.show_notice()

    def show_notice(self) -> bool:
        """What a reader must know of the chosen engine; False when it cannot be used."""
        said, notice, missing, able = self._notices.get(self.engine, ("", "", True, None))
        self.noticeLabel.text = f"{as_sentence(said)} {as_sentence(notice)}".strip()
        if able is not None:
            self._show_kinds(able["prompts"])
        return not missing

    def show_able(self, able) -> None:
        """What the engine says of itself since it is ready: weights have notices of their own."""
        said, _notice, missing, before = self._notices.get(self.engine, ("", "", True, None))
        now = None if able is None or missing else asdict(able)
        if now is not None and now != before:
            self._notices[self.engine] = (said, able.notice, missing, now)
            self.show_notice()

    @property
    def lacking(self) -> str:
        """Why the engine that is shown cannot be asked; "" when it can."""
        said, _notice, missing, _able = self._notices.get(self.engine, ("", "", False, None))
        return said if missing else ""

    @property
    def roi_wanted(self) -> bool:
        """True while a ROI shall limit the clicks and none is chosen."""
        return self.limitBox.currentData == "roi" and self.roiBox.currentNode() is None

    # Inside.

    def _show_kinds(self, able) -> None:
        self._filling = True
        before = self.kind
        self.kindBox.clear()
        for name, text in prompt_kinds():
            if name in able:
                self.kindBox.addItem(text, name)
        self.kindBox.setCurrentIndex(max(self.kindBox.findData(before), 0))
        self._filling = False
        self._show_parts()

    def _show_parts(self) -> None:
        self.widthBox.setVisible(self.kind == "scribble")
        limit = self.limitBox.currentData
        self.reachBox.setVisible(limit in ("slab", "around"))
        self.roiBox.setVisible(limit == "roi")

    def _buttons(self) -> dict:
        texts = {
            "next": (_("Next lesion"), _("Begin a new segment for the next lesion (N)")),
            "remove": (_("Remove"), _("Remove the chosen prompt, or the last one (Backspace)")),
            "undo": (_("Undo click"), _("Take the last click back; goes on beyond the ten states of the editor's Undo")),
            "redo": (_("Redo click"), _("Do again what was taken back")),
            "reset": (_("Start over"), _("Remove all prompts; the segment is what it was before the first one")),
            "again": ("", _("Ask with the prompts that were saved with the scene")),
        }
        made = {}
        for name, (text, tip) in texts.items():
            made[name] = qt.QPushButton(text)
            made[name].toolTip = tip
        return made

    def _lay_out(self) -> None:
        form = qt.QFormLayout(self.widget)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow(_("Engine:"), self.engineBox)
        form.addRow(self.noticeLabel)
        form.addRow(_("Draw:"), self._row(self.kindBox, self.widthBox))
        form.addRow(_("Limit:"), self._row(self.limitBox, self.reachBox, self.roiBox))
        form.addRow(self.protectBox)
        form.addRow(self.manyBox)  # beside each other they would keep the panel wide
        form.addRow(self._row(self.buttons["next"], self.buttons["undo"], self.buttons["redo"]))
        form.addRow(_("Size:"), self.numbersLabel)
        form.addRow(self.progressPlace)
        form.addRow(self.list)
        form.addRow(self._row(self.buttons["remove"], self.buttons["reset"], self.buttons["again"]))

    def _row(self, *widgets):
        row, box = qt.QWidget(), qt.QHBoxLayout()
        box.setContentsMargins(0, 0, 0, 0)
        for one in widgets:
            box.addWidget(one)
        row.setLayout(box)
        return row

    def _fill(self) -> None:
        self._ids: list[int] = []
        self._notices: dict[str, tuple] = {}
        for name, text in prompt_kinds():
            self.kindBox.addItem(text, name)
        for name, text in limit_kinds():
            self.limitBox.addItem(text, name)
        self.widthBox.suffix = self.reachBox.suffix = " mm"
        self.widthBox.minimum, self.widthBox.maximum, self.widthBox.value = 0.0, 50.0, 3.0
        self.widthBox.toolTip = _("Width of a stroke; 0 marks the voxels that it crosses")
        self.reachBox.minimum, self.reachBox.maximum, self.reachBox.value = 1.0, 500.0, 30.0
        self.reachBox.toolTip = _("How far the answer may reach from the clicks")
        self.roiBox.nodeTypes = ["vtkMRMLMarkupsROINode"]
        self.roiBox.noneEnabled, self.roiBox.addEnabled, self.roiBox.removeEnabled = True, False, False
        self.roiBox.setMRMLScene(slicer.mrmlScene)
        self.protectBox.checked = True
        self.protectBox.toolTip = _("Voxels of other segments, hidden ones too, stay theirs")
        self.manyBox.toolTip = _("A click more than 1 cm from the present lesion begins a new segment")
        self.list.setMaximumHeight(90)
        self._show_parts()

    def _connect(self) -> None:
        self._connected: list[tuple] = []
        limits = self._told(self.slots.onLimits)
        for widget, signal, slot in (
            (self.engineBox, "currentIndexChanged(int)", self._told(self.slots.onEngine)),
            (self.kindBox, "currentIndexChanged(int)", self._told(self._show_parts)),
            (self.limitBox, "currentIndexChanged(int)", self._told(self._limit_chosen)),
            (self.reachBox, "valueChanged(double)", limits),
            (self.roiBox, "currentNodeChanged(vtkMRMLNode*)", limits),
            (self.protectBox, "toggled(bool)", limits),
            (self.manyBox, "toggled(bool)", self._told(self.slots.onMany)),
            *(
                (button, "clicked(bool)", self._told(getattr(self.slots, f"on{name.capitalize()}")))
                for name, button in self.buttons.items()
            ),
        ):
            widget.connect(signal, slot)
            self._connected.append((widget, signal, slot))

    def disconnect(self) -> None:
        """Tells nobody any more: connections keep the effect alive otherwise."""
        for widget, signal, slot in self._connected:
            widget.disconnect(signal, slot)
        self._connected = []

    def _limit_chosen(self) -> None:
        self._show_parts()
        self.slots.onLimits()

    def _told(self, slot: Callable[[], None]) -> Callable:
        def told(*_values) -> None:
            if not self._filling:
                slot()

        return told

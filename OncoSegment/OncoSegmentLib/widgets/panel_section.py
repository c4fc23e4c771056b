"""The part of the panel for several experts on one volume: who is asked, how they are fused, and what needs review first."""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _

from OncoLib.errors import OncoError
from OncoLib.widgets import tables
from OncoSegmentLib.foreign import told_options
from OncoSegmentLib.panel import Settings, check_settings, members_of

STRUCTURE, BAND, FOUND, PAIRS, FIRST_DICE = range(5)
CANDIDATE, LEFT_OUT_COLOR = "candidate", (128, 128, 128)
REVIEW = ("low", CANDIDATE, "one expert only", "moderate", "high")
"""Bands, what needs review first."""


def method_titles() -> dict[str, str]:
    """How the list calls each method; "learned" are weights from the evaluation log."""
    return {
        "majority": _("Majority"),
        "learned": _("Weights by the evaluation log"),
        "confidence": _("Confidence of each expert"),
        "mean": _("Mean probability"),
        "staple": _("STAPLE, structure by structure"),
        "multilabel-staple": _("STAPLE, all structures at once"),
    }


def band_titles() -> dict[str, str]:
    """How the table calls each band."""
    return {
        "low": _("Low"),
        CANDIDATE: _("Candidate"),
        "one expert only": _("One expert"),
        "moderate": _("Moderate"),
        "high": _("High"),
    }


class PanelSection:
    """Reads and fills the widgets of `OncoSegmentPanel.ui` in the widget `place` of a panel. **Main thread only.**

    chooser: the `GoalChooser` whose choice is added. channels() gives the volumes that are chosen for channels now and
    whether missing ones are replaced, problem() why those cannot be used ("": they can). prepare(request, nodes, replaced)
    gives image and checked request for the chosen volume; volume() gives its node. begin(job, onResult, notes) starts
    watching a job; tell(sentence, problem=False) shows a sentence; published(result, node) is told of a result that is in
    the scene.
    """

    def __init__(self, place, uiPath: str, chooser, *, prepare, channels, problem, volume, begin, tell, published) -> None:
        widget = slicer.util.loadUI(uiPath)
        layout = qt.QVBoxLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(widget)
        place.setLayout(layout)
        self.ui = ui = slicer.util.childWidgetVariables(widget)
        self._chooser, self._prepare, self._channels, self._volume = chooser, prepare, channels, volume
        self._problem, self._begin, self._tell, self._published = problem, begin, tell, published
        self._asked: list[tuple[str, object, tuple]] = []
        self._running = False
        tables.compact(ui.panelTable)
        self.clear()
        for name, title in method_titles().items():
            ui.panelMethodSelector.addItem(title, name)
        ui.panelAddButton.connect("clicked(bool)", self.onAdd)
        ui.panelRemoveButton.connect("clicked(bool)", self.onRemove)
        ui.panelRunButton.connect("clicked(bool)", self.onRun)
        ui.disagreementButton.connect("clicked(bool)", self.onDisagreement)
        ui.panelTable.connect("cellClicked(int,int)", self.onClicked)
        ui.panelList.connect("currentRowChanged(int)", lambda _row: self.update(running=self._running))

    def clear(self) -> None:
        """No result, so that none stands beside another one's; who is asked stays."""
        self._nodes, self._result, self._map, self._overlay, self._rows = None, None, None, None, []
        self.ui.panelTable.setRowCount(0)
        self.update(running=self._running)

    def close(self) -> None:
        """The scene or the panel goes: views get back what they showed, and experts with volumes of that scene go with it."""
        self._hide()
        self._asked = [one for one in self._asked if not one[2][0]]
        self.clear()
        self._show_asked()

    def update(self, *, running: bool) -> None:
        """Buttons, with the reason in the tip where one cannot be pressed."""
        self._running, ui = running, self.ui
        if self._overlay is not None and not self._overlay.shown:
            self._hide()
        problem = self._chooser.problem() or self._problem()
        ui.panelAddButton.enabled = not problem and not running
        ui.panelAddButton.toolTip = problem or _("Adds what is chosen under Find to the panel")
        ui.panelRemoveButton.enabled = not running and 0 <= ui.panelList.currentRow < len(self._asked)
        few = len(self._asked) < 2
        ui.panelRunButton.enabled = not running and not few and self._volume() is not None
        ui.panelRunButton.toolTip = (
            _("Add two experts or more") if few else _("Segments the volume with all of them; a consensus appears")
        )
        ui.disagreementButton.enabled = self._result is not None and self._result.consensus.disagreement is not None
        ui.disagreementButton.text = _("Hide disagreement") if self._overlay else _("Show disagreement")

    def onAdd(self) -> None:
        """The choice under Find joins the panel, with the volumes of its channels."""
        nodes, replaced = self._channels()
        self._asked.append((self._chooser.goal.title, self._chooser.request(), (dict(nodes or {}), replaced)))
        self._show_asked()

    def onRemove(self) -> None:
        """The selected expert leaves the panel."""
        row = self.ui.panelList.currentRow
        if 0 <= row < len(self._asked):
            self._asked.pop(row)
            self._show_asked()

    def _show_asked(self) -> None:
        self.ui.panelList.clear()
        members = members_of([request for _title, request, _channels in self._asked])
        for (title, request, _channels), member in zip(self._asked, members):
            told = told_options(request)
            self.ui.panelList.addItem(f"{member.name}: {title}" + (f" ({told})" if told else ""))
        self.update(running=self._running)

    def settings(self) -> Settings:
        """What the widgets say. One expert that is left is taken as it is: no result of a long run is lost."""
        method = self.ui.panelMethodSelector.currentData
        learned = method == "learned"
        return Settings("weights" if learned else method, learned=learned, least=1, measure=True)

    def onRun(self) -> None:
        """Starts all experts; a refusal is a sentence, and none starts."""
        from OncoSegmentLib.engine import jobs

        volume, settings = self._volume(), self.settings()
        try:
            members = members_of([request for _title, request, _channels in self._asked])
            check_settings(members, settings)
            prepared = [self._prepared(one, channels) for one, (*_asked, channels) in zip(members, self._asked)]
            image, notes = prepared[0][0], tuple(dict.fromkeys(note for one, _request in prepared for note in one.notes))
            job = jobs.start_panel(image, members_of([request for _image, request in prepared]), settings)
        except OncoError as error:
            self._tell(str(error), problem=True)
            return
        self._hide()
        self.clear()
        volumeId = volume.GetID()
        self._begin(job, lambda result: self._on_result(result, volumeId), notes)

    def _prepared(self, member, channels):
        """Image and checked request of an expert; a refusal says whose it is."""
        try:
            return self._prepare(member.request, *channels)
        except OncoError as error:
            raise type(error)(f"{member.name}: {error}") from error

    def _on_result(self, result, volumeId: str) -> None:
        from OncoSegmentLib.scene.panel_nodes import publish_panel

        volume = slicer.mrmlScene.GetNodeByID(volumeId)
        try:
            self._nodes = publish_panel(slicer.mrmlScene, result, volume)
        except OncoError as error:
            self._tell(str(error), problem=True)
            return
        self._result = result
        self._fill(result.consensus.agreement)
        self._published(result, self._nodes.consensus)
        self.update(running=False)

    def _fill(self, agreement: dict) -> None:
        """One row a structure or candidate, what needs review first; the first number is the number of the expert."""
        names, table = agreement["experts"], self.ui.panelTable
        self._rows = rows_of(agreement)
        heads = [_("Structure"), _("Agreement"), _("Found\nby"), _("Pairs\nDice")]
        heads += [_("Dice\nof {number}").format(number=at) for at in range(1, len(names) + 1)]
        tables.set_up(table, heads)
        table.setRowCount(len(self._rows))
        for row, one in enumerate(self._rows):
            found = _("{count} of {asked}").format(count=len(one["found_by"]), asked=one["asked"])
            told = "" if one["in_consensus"] else _("not in the consensus")
            band = band_titles()[one["agreement"]]
            tables.put(table, row, STRUCTURE, one["name"], "; ".join(filter(None, [one["name"], told])))
            # Experts may agree on what others outvoted: without a word that would read as found and agreed upon.
            left_out = told and one["agreement"] != CANDIDATE
            tables.put(table, row, BAND, _("Left out") if left_out else band, "; ".join(filter(None, [band, told])))
            tables.put(table, row, FOUND, found, ", ".join(one["found_by"]) or _("nobody"))
            tables.put(table, row, PAIRS, number(one["mean_pairwise_dice"]), _("mean Dice of all pairs of experts"))
            for at, name in enumerate(names):
                value = one["experts"].get(name, {}).get("dice")
                tables.put(table, row, FIRST_DICE + at, number(value), _("Dice of {name} with the consensus").format(name=name))
            if left_out:  # candidates stay black: they are to be looked at
                for column in range(len(heads)):
                    table.item(row, column).setForeground(qt.QBrush(qt.QColor(*LEFT_OUT_COLOR)))
        tables.share_width(table, (STRUCTURE,))

    def onClicked(self, row: int, _column: int) -> None:
        """Takes the slice views to the structure: in the consensus, else where an expert who found it has it."""
        node, segment_id = self._place_of(self._rows[row])
        center = node.GetSegmentCenterRAS(segment_id) if node is not None else None
        if center is not None:
            slicer.vtkMRMLSliceNode.JumpAllSlices(
                slicer.mrmlScene, *center[:3], slicer.vtkMRMLSliceNode.CenteredJumpSlice
            )

    def _place_of(self, one: dict):
        """Node and id of a segment of that name, or of that structure; (None, "") when nobody has it any more."""
        nodes = [self._nodes.consensus, *(self._nodes.experts[name] for name in one["found_by"] if name in self._nodes.experts)]
        for node in nodes:
            if node.GetScene() is None:
                continue
            found = segment_id_of(node, one)
            if found:
                return node, found
        return None, ""

    def onDisagreement(self) -> None:
        """Shows the map of disagreement over the slice views, or hides it."""
        from OncoSegmentLib.scene.panel_nodes import Overlay, add_disagreement

        if self._overlay is not None and self._overlay.shown:
            self._hide()
        elif self._result is not None:
            self._hide()
            if self._map is None or self._map.GetScene() is None:
                self._map = add_disagreement(slicer.mrmlScene, self._result.consensus.disagreement, self._nodes)
            self._overlay = Overlay(slicer.mrmlScene, self._map)
        self.update(running=self._running)

    def _hide(self) -> None:
        if self._overlay is not None:
            self._overlay.hide()
            self._overlay = None


def rows_of(agreement: dict) -> list[dict]:
    """Structures and candidates, low agreement first; within a band the lowest mean Dice of pairs first."""
    asked = len(agreement["experts"])
    rows = [*agreement["structures"]]
    for one in agreement["candidates"]:
        rows.append({
            **one, "in_consensus": False, "agreement": CANDIDATE, "asked": asked, "mean_pairwise_dice": None, "experts": {},
        })  # fmt: skip
    pairs = [1.0 if one["mean_pairwise_dice"] is None else one["mean_pairwise_dice"] for one in rows]
    order = sorted(range(len(rows)), key=lambda at: (REVIEW.index(rows[at]["agreement"]), pairs[at], at))
    return [rows[at] for at in order]


def segment_id_of(node, one: dict) -> str:
    """Id of the segment of that name, else of that structure; "" where the node has none."""
    from OncoLib.scene.segmentations import STRUCTURE as TAG
    from OncoLib.scene.segmentations import tag_value

    source = node.GetSegmentation()
    items = [(source.GetNthSegmentID(at), source.GetNthSegment(at)) for at in range(source.GetNumberOfSegments())]
    named = [segment_id for segment_id, item in items if item.GetName() == one["name"]]
    same = [segment_id for segment_id, item in items if one["structure"] and tag_value(item, TAG) == one["structure"]]
    return next(iter([*named, *same]), "")


def number(value: float | None) -> str:
    """A cell; empty for what is not defined."""
    return "" if value is None else f"{value:.3f}"

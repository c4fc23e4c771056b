"""The part of the panel where each channel of a model gets its volume: proposed by name and header, changed by the user."""

from __future__ import annotations

from collections.abc import Callable

import qt
import slicer
from slicer.i18n import tr as _

from OncoLib.errors import OncoError
from OncoSegmentLib.experts.channels import name_of, plain
from OncoSegmentLib.multiparametric.matching import matched
from OncoSegmentLib.multiparametric.missing import allowed_of
from OncoSegmentLib.scene.channel_volumes import candidates_of

ROLE = "channel "
"""Node references of the parameter node that hold the choice: by the channel's plain name and, for equal names, its place."""

CHOSEN = "chosen"
"""Value of the parameter of that name, once the user chose a volume, or none."""


class ChannelChooser:
    """Builds a row for each channel into `channelsPlace`; hidden for models that take one image.

    onChange() is called when the user chose another volume. The choice lies in the parameter node as node references, so it
    is saved with the scene. A channel that nobody chose anything for is proposed when exactly one volume can be it.
    """

    def __init__(self, place, replaceBox, onChange: Callable[[], None]) -> None:
        self.place, self.replaceBox, self._onChange = place, replaceBox, onChange
        self.model, self._parameters, self._filling = None, None, False
        self.rows: list[tuple] = []
        self.unclear: dict[int, str] = {}
        self._tags: dict[str, dict] = {}
        self._layout = qt.QFormLayout()
        self._layout.setContentsMargins(0, 0, 0, 0)
        place.setLayout(self._layout)
        self._hide()

    def show(self, model, parameterNode) -> None:
        """The rows of a model, with what the parameter node (the MRML one) holds; model: None for one without channels."""
        self.model, self._parameters = model, parameterNode
        if model is None or parameterNode is None:
            self._hide()
            return
        filling, self._filling = self._filling, True
        try:
            self._propose()
            for place, (label, selector) in enumerate(self._rows(len(model.channels))):
                label.text = _("{channel}:").format(channel=model.channels[place])
                selector.setCurrentNode(self.node(place))
        finally:
            self._filling = filling
        self.place.setVisible(True)
        self.replaceBox.setVisible(bool(allowed_of(model)))

    def node(self, place: int):
        """The volume chosen for a channel, or None."""
        return self._parameters.GetNodeReference(role_of(self.model, place))

    @property
    def nodes(self) -> dict:
        """The chosen volumes by the name that a request has for each channel; empty for a model with one."""
        chosen = {} if self.model is None else {place: self.node(place) for place in range(len(self.model.channels))}
        return {name_of(self.model, place): node for place, node in chosen.items() if node is not None}

    def problem(self, volume, replace: bool) -> str:
        """Why the model cannot run with this choice, in one sentence; "" when it can. volume: the one whose grid is kept."""
        model = self.model
        if model is None:
            return ""
        chosen = [self.node(place) for place in range(len(model.channels))]
        allowed = allowed_of(model) if replace else {}
        for place, node in enumerate(chosen):
            if node is None and plain(model.channels[place]) not in allowed:
                told = self.unclear.get(place, "")
                told = f" ({told})" if "could be" in told else ""
                return _("Choose a volume for the channel {name}{why}").format(name=model.channels[place], why=told)
        named = [node.GetID() for node in chosen if node is not None]
        if len(set(named)) < len(named):
            return _("Two channels have the same volume; choose another for one of them")
        if volume is not None and volume.GetID() not in named:
            return _("Choose the input volume as one of the channels: its grid is kept, the others are put onto it")
        return ""

    def onVolume(self, place: int, node) -> None:
        """Keeps the user's choice; none is a choice too.

        Slicer's list tells of a change that nobody chose in two cases. A volume that is renamed is the same choice. When one
        leaves the scene the list goes on to its neighbor, which may be any other scan: the channel stays empty instead.
        """
        if self._filling or not self._has(place) or node is self.node(place):
            return
        if self._is_going(place):
            filling, self._filling = self._filling, True
            self.rows[place][1].setCurrentNode(None)
            self._filling = filling
            return
        role = role_of(self.model, place)
        with slicer.util.NodeModify(self._parameters):  # one event, so that nobody proposes between the two
            self._parameters.SetParameter(role, CHOSEN)
            self._parameters.SetNodeReferenceID(role, node.GetID() if node else None)
        self._onChange()

    def _has(self, place: int) -> bool:
        """False for a row that is hidden."""
        return self._parameters is not None and self.model is not None and place < len(self.model.channels)

    def _is_going(self, place: int) -> bool:
        """True when the chosen volume is not in the list any more: it is about to leave the scene, which tells us then."""
        kept, selector = self._parameters.GetNodeReferenceID(role_of(self.model, place)), self.rows[place][1]
        offered = [selector.nodeFromIndex(at) for at in range(selector.nodeCount())]
        return bool(kept) and all(one is None or one.GetID() != kept for one in offered)

    def _propose(self) -> None:
        """Fills channels that nobody chose for; what may be several volumes stays empty."""
        self.unclear = {}
        try:
            matches = matched(candidates_of(slicer.mrmlScene, open_database(), self._tags), self.model)
        except OncoError:
            return
        self.unclear = dict(matches.unclear)
        with slicer.util.NodeModify(self._parameters):
            for place, (candidate, _by) in matches.found.items():
                if self.node(place) is None and self._parameters.GetParameter(role_of(self.model, place)) != CHOSEN:
                    self._parameters.SetNodeReferenceID(role_of(self.model, place), candidate.key)

    def _rows(self, count: int) -> list[tuple]:
        """As many rows as there are channels; more were made for another model and are hidden."""
        while len(self.rows) < count:
            label, selector, place = qt.QLabel(), slicer.qMRMLNodeComboBox(), len(self.rows)
            selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
            selector.showChildNodeTypes = False
            selector.addEnabled = selector.removeEnabled = False
            selector.noneEnabled = True
            selector.toolTip = _("The volume of this channel. One of another grid is registered rigidly to the input volume.")
            selector.setMRMLScene(slicer.mrmlScene)
            selector.connect("currentNodeChanged(vtkMRMLNode*)", lambda node, at=place: self.onVolume(at, node))
            self._layout.addRow(label, selector)
            self.rows.append((label, selector))
        for place, row in enumerate(self.rows):
            for widget in row:
                widget.setVisible(place < count)
        return self.rows[:count]

    def _hide(self) -> None:
        self.place.setVisible(False)
        self.replaceBox.setVisible(False)


def open_database():
    """Slicer's DICOM database; None where there is none, or it is not open."""
    database = getattr(slicer, "dicomDatabase", None)
    return database if database is not None and database.isOpen else None


def role_of(model, place: int) -> str:
    """The node reference that holds a channel's volume: models that name a channel alike share it."""
    return f"{ROLE}{plain(name_of(model, place))}"

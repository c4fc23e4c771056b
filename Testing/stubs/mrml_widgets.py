"""The widgets of Slicer that show nodes; the nodes and the scene are real."""

from __future__ import annotations

from stubs.qt_widgets import QWidget


class qSlicerWidget(QWidget):
    """A widget that knows the scene and tells its children."""

    signals = ("mrmlSceneChanged(vtkMRMLScene*)",)

    def __init__(self, *arguments) -> None:
        self._scene = None
        super().__init__(*arguments)

    def mrmlScene(self):
        """The scene, or None."""
        return self._scene

    def setMRMLScene(self, scene) -> None:
        """Sets the scene and emits mrmlSceneChanged when it is another one."""
        if scene is not self._scene:
            self._scene = scene
            self._signals["mrmlSceneChanged"].emit(scene)


class qMRMLWidget(qSlicerWidget):
    """The usual top of a panel."""


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """What Slicer gives a scripted widget as its parent."""

    properties = {"isEntered": False}


class qMRMLNodeComboBox(qSlicerWidget):
    """Chooses a node. Without a scene it has none: the usual reason why Apply stays disabled."""

    properties = {
        "nodeTypes": [], "hideChildNodeTypes": [], "baseName": "", "showHidden": False, "showChildNodeTypes": True,
        "addEnabled": True, "removeEnabled": True, "renameEnabled": False, "editEnabled": False, "noneEnabled": False,
        "noneDisplay": "None", "selectNodeUponCreation": True,
        "interactionNodeSingletonTag": "",
    }
    signals = ("currentNodeChanged(vtkMRMLNode*)", "currentNodeIDChanged(QString)",
               "nodeAdded(vtkMRMLNode*)", "nodeAddedByUser(vtkMRMLNode*)")

    def __init__(self, *arguments) -> None:
        self._node = None
        super().__init__(*arguments)

    def currentNode(self):
        """The chosen node, or None."""
        return self._node

    @property
    def currentNodeID(self) -> str:
        """The id of the chosen node, or an empty text."""
        return self._node.GetID() if self._node else ""

    def setCurrentNode(self, node) -> None:
        """Chooses a node; one of another type, or of another scene, clears the choice."""
        node = node if self._accepts(node) else None
        if node is not self._node:
            self._node = node
            self._signals["currentNodeChanged"].emit(node)
            self._signals["currentNodeIDChanged"].emit(self.currentNodeID)

    def setCurrentNodeID(self, node_id: str) -> None:
        """Chooses by id."""
        self.setCurrentNode(self._scene.GetNodeByID(node_id) if self._scene and node_id else None)

    def _accepts(self, node) -> bool:
        if node is None or self._scene is None or node.GetScene() is not self._scene:
            return False
        return any(node.IsA(name) for name in self.nodeTypes)


class qMRMLCheckableNodeComboBox(qMRMLNodeComboBox):
    """Chooses several nodes by their check boxes."""

    signals = ("checkedNodesChanged()",)

    def __init__(self, *arguments) -> None:
        self._checked: list = []
        super().__init__(*arguments)

    def checkedNodes(self) -> tuple:
        """The checked nodes of the scene, in the order in which they were checked."""
        return tuple(node for node in self._checked if node.GetScene() is not None)

    def setCheckState(self, node, state: int) -> None:
        """Checks or unchecks a node that the types and the scene allow."""
        if state and self._accepts(node) and node not in self._checked:
            self._checked.append(node)
        elif not state and node in self._checked:
            self._checked.remove(node)
        else:
            return
        self._signals["checkedNodesChanged"].emit()


class qMRMLSegmentsTableView(qSlicerWidget):
    """The list of segments of a segmentation node."""

    properties = {"selectionMode": None, "headerVisible": True, "visibilityColumnVisible": True,
                  "colorColumnVisible": True, "opacityColumnVisible": True, "statusColumnVisible": False,
                  "readOnly": False}
    signals = ("selectionChanged(QItemSelection,QItemSelection)",)

    def __init__(self, *arguments) -> None:
        self._segmentation_node = None
        super().__init__(*arguments)

    def segmentationNode(self):
        """The shown node, or None."""
        return self._segmentation_node

    def setSegmentationNode(self, node) -> None:
        """Shows a node."""
        self._segmentation_node = node

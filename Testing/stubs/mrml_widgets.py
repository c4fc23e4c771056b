"""The widgets of Slicer that show nodes; the nodes and the scene are real."""

from __future__ import annotations

import vtk
from vtk.util.numpy_support import vtk_to_numpy

from stubs.qt_widgets import QWidget

observed: list[tuple] = []
"""Objects of the scene that widgets observe, with the tags; `install_stubs` ends them, or they would outlive the widgets."""


def observe(target, event, slot) -> tuple:
    """Observes until `leave`."""
    observed.append((target, target.AddObserver(event, slot)))
    return observed[-1]


def leave(one: tuple | None) -> None:
    """Ends what `observe` began; harmless for None."""
    if one is not None:
        one[0].RemoveObserver(one[1])
        observed.remove(one)


def forget_observers() -> None:
    """Ends all of them."""
    while observed:
        leave(observed[-1])


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
    """Chooses a node. Without a scene it has none: the usual reason why Apply stays disabled.

    As in Slicer a renamed node is told as a change, and when the chosen node leaves the scene Qt's list goes on to the one
    that follows it, which nobody chose.
    """

    properties = {
        "nodeTypes": [], "hideChildNodeTypes": [], "baseName": "", "showHidden": False, "showChildNodeTypes": True,
        "addEnabled": True, "removeEnabled": True, "renameEnabled": False, "editEnabled": False, "noneEnabled": False,
        "noneDisplay": "None", "selectNodeUponCreation": True,
        "interactionNodeSingletonTag": "",
    }
    signals = ("currentNodeChanged(vtkMRMLNode*)", "currentNodeIDChanged(QString)",
               "nodeAdded(vtkMRMLNode*)", "nodeAddedByUser(vtkMRMLNode*)", "nodeActivated(vtkMRMLNode*)",
               "nodeAboutToBeRemoved(vtkMRMLNode*)")

    def __init__(self, *arguments) -> None:
        self._node, self._leaving, self._follows, self._name = None, None, None, None
        super().__init__(*arguments)

    def setMRMLScene(self, scene) -> None:
        """Sets the scene, whose nodes the list follows."""
        leave(self._follows)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def leaving(_caller, _event, node) -> None:
            self._removing(node)

        self._follows = scene and observe(scene, scene.NodeAboutToBeRemovedEvent, leaving)
        super().setMRMLScene(scene)

    def nodeCount(self) -> int:
        """How many nodes the list offers."""
        return len(self._offered())

    def nodeFromIndex(self, index: int):
        """A node of the list, or None."""
        offered = self._offered()
        return offered[index] if 0 <= index < len(offered) else None

    def _offered(self) -> list:
        scene = self._scene
        nodes = [] if scene is None else [scene.GetNthNode(at) for at in range(scene.GetNumberOfNodes())]
        return [node for node in nodes if node is not self._leaving and self._accepts(node)]

    def _removing(self, node) -> None:
        """The row of a node goes before the node does."""
        offered = self._offered()
        if node not in offered:
            return
        self._signals["nodeAboutToBeRemoved"].emit(node)
        self._leaving, at = node, offered.index(node)
        if node is self._node and self._scene.IsClosing():
            self.setCurrentNode(None)
        elif node is self._node:
            left = self._offered()
            self.setCurrentNode(left[min(at, len(left) - 1)] if left else None)

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
            self._follow_name(node)
            self._tell()

    def _tell(self) -> None:
        self._signals["currentNodeChanged"].emit(self._node)
        self._signals["currentNodeIDChanged"].emit(self.currentNodeID)

    def _follow_name(self, node) -> None:
        """The text of the list is the node's name; Slicer takes a change of the text for one of the node."""
        leave(self._name)
        shown = [node and node.GetName()]

        def modified(caller, _event) -> None:
            if caller.GetName() != shown[0]:
                shown[0] = caller.GetName()
                self._tell()

        self._name = node and observe(node, "ModifiedEvent", modified)

    def setCurrentNodeID(self, node_id: str) -> None:
        """Chooses by id."""
        self.setCurrentNode(self._scene.GetNodeByID(node_id) if self._scene and node_id else None)

    def _accepts(self, node) -> bool:
        if node is None or self._scene is None or node.GetScene() is not self._scene:
            return False
        if not self.showChildNodeTypes:
            return node.GetClassName() in self.nodeTypes
        return any(node.IsA(name) for name in self.nodeTypes) and not any(node.IsA(name) for name in self.hideChildNodeTypes)


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


class qMRMLUtils:
    """Slicer's converter between pictures of VTK and of Qt."""

    def vtkImageDataToQImage(self, data, image) -> bool:
        """Fills the image; VTK's first row is the lowest, Qt's the highest."""
        width, height, _depth = data.GetDimensions()
        flat = vtk_to_numpy(data.GetPointData().GetScalars())
        image.pixels = flat.reshape(height, width, -1)[::-1]
        return True

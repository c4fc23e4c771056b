"""The floors, the kinds of rooms, and what each may import."""

from __future__ import annotations

import pytest

from conformance.rules.layers import layer_violations, rooms
from conformance.trees import write


def test_every_file_imports_what_its_room_may(repository_root):
    assert len(rooms(repository_root)) > 10
    assert layer_violations(repository_root) == []


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("OncoSegment/OncoLib/a.py", "import torch", "imports torch when loaded"),
        ("OncoSegment/OncoLib/a.py", "class A:\n    import yaml", "imports yaml when loaded"),
        ("OncoSegment/OncoLib/a.py", "try:\n    import dask\nexcept ImportError:\n    dask = None", "imports dask when"),
        ("OncoSegment/OncoLib/a.py", "import slicer", "core may not import slicer"),
        ("OncoSegment/OncoLib/a.py", "def f():\n    import vtk", "core may not import vtk"),
        ("OncoSegment/OncoLib/a.py", "def f():\n    import_module('slicer')", "core may not import slicer"),
        ("OncoSegment/OncoLib/a.py", "def f():\n    from OncoLib.scene import host", "core may not import scene"),
        ("OncoSegment/OncoLib/a.py", "from OncoLib.filters import grow", "core may not import filters"),
        ("OncoSegment/OncoLib/a.py", "from .scene.host import host", "core may not import scene"),
        ("OncoSegment/OncoLib/a.py", "def f():\n    import OncoSegmentLib", "floor 0 may not import OncoSegmentLib"),
        ("ModelManager/ModelManagerLib/a.py", "import LongitudinalCompareLib.x", "floor 1 may not import Longitudinal"),
        ("OncoSegment/OncoSegmentLib/a.py", "from OncoAppLib import cli", "floor 2 may not import OncoAppLib"),
        ("OncoSegment/OncoSegmentLib/a.py", "import OncoSegment", "imports the module file OncoSegment"),
        ("OncoSegment/OncoAppLib/a.py", "from OncoLib.scene.host import host", "core may not import scene"),
        ("OncoSegment/OncoAppLib/a.py", "def f():\n    import OncoSegmentLib.widgets.x", "core may not import widgets"),
        ("OncoSegment/OncoLib/filters/a.py", "import qt", "filters may not import qt"),
        ("OncoSegment/OncoLib/filters/a.py", "import slicer\ndef f():\n    slicer.vtkMRMLScene()", "use slicer.vtkMRMLScene"),
        ("OncoSegment/OncoLib/filters/a.py", "from slicer import vtkMRMLNode", "filters may not use slicer.vtkMRMLNode"),
        ("OncoSegment/OncoLib/filters/a.py", "from slicer.util import array", "filters may not use slicer.util"),
        ("OncoSegment/OncoLib/filters/a.py", "from OncoLib.scene import host", "filters may not import scene"),
        ("OncoSegment/OncoLib/scene/a.py", "def f():\n    import ctk", "scene may not import ctk"),
        ("OncoSegment/OncoLib/scene/a.py", "def f():\n    import OncoLib.widgets.x", "scene may not import widgets"),
        ("OncoSegment/OncoSegmentLib/widgets/a.py", "import nibabel", "imports nibabel when loaded"),
        ("OncoSegment/OncoSegment.py", "from OncoSegmentLib import x", "a module file may not import OncoSegmentLib"),
        ("OncoSegment/OncoSegment.py", "def f():\n    import LongitudinalCompareLib", "floor 2 may not import Longitud"),
        ("OncoSegment/OncoOtherLib/a.py", "", "the package 'OncoOtherLib' has no floor"),
        ("OncoSegment/OncoLib/a.py", "print('loaded')", "runs something when loaded"),
        ("OncoSegment/OncoLib/a.py", "for i in range(3):\n    pass", "runs something when loaded"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path, name, code, reason):
    found = layer_violations(write(tmp_path, {name: code}))
    assert len(found) == 1
    assert found[0].startswith(name)
    assert reason in found[0]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("OncoSegment/OncoLib/a.py", "import json\nimport numpy\nfrom scipy import ndimage\nimport SimpleITK as sitk"),
        ("OncoSegment/OncoLib/a.py", "def f():\n    import nibabel\n    from OncoLib.filters.grow import g"),
        ("OncoSegment/OncoLib/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
        ("OncoSegment/OncoLib/filters/a.py", "import vtk\nimport slicer\ndef f():\n    return slicer.vtkImageGrowCutSegment()"),
        ("OncoSegment/OncoLib/scene/a.py", "import slicer\nfrom OncoLib.image import Image\nfrom .host import host"),
        ("OncoSegment/OncoSegmentLib/widgets/a.py", "import qt, ctk, slicer, vtk\nfrom OncoSegmentLib.scene import x"),
        ("OncoSegment/OncoAppLib/a.py", "from OncoSegmentLib import x\ndef f():\n    from OncoLib.scene import host"),
        ("OncoSegment/OncoSegment.py", "import slicer\nimport qt\ndef f():\n    from OncoSegmentLib.widgets import panel"),
        ("OncoSegment/OncoAppLib/a.py", "import sys\nif __name__ == '__main__':\n    sys.exit(0)"),
    ],
)
def test_an_allowed_import_is_no_violation(tmp_path, name, code):
    assert layer_violations(write(tmp_path, {name: code})) == []

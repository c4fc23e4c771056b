"""Engines by name: what is missing is one sentence, options are checked, nothing is imported for a list."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers import PACKAGE_PARENTS
from helpers_refine import RegionGrowing
from OncoLib.errors import InputError, ModelError
from OncoSegmentLib.refine import registry
from OncoSegmentLib.refine.registry import Row

SMALL = Row("Region growing", "helpers_refine", "regions of like values")


def test_an_engine_is_made_with_its_options(monkeypatch) -> None:
    monkeypatch.setitem(registry.ENGINES, "small", SMALL)
    assert registry.missing("small") == ""
    engine = registry.make("small", tolerance=3.0)
    assert isinstance(engine, RegionGrowing) and engine.tolerance == 3.0
    with pytest.raises(InputError, match="the engine 'small' has no option 'speed'; its options: tolerance, start"):
        registry.make("small", speed=9)


def test_an_engine_that_is_not_there_is_named_with_those_there_are() -> None:
    with pytest.raises(InputError, match="no engine 'magic'; wanted one of growcut, sam, nninteractive, vista3d"):
        registry.make("magic")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            Row("A", "helpers_refine", "a", ("no_such_package",), "pip install it"),
            "needs the package no_such_package.*pip install it",
        ),
        (Row("A", "OncoSegmentLib.refine.no_such_engine", "a"), "is no part of this OncoSegment"),
        (Row("A", "OncoSegmentLib.refine.no_such_folder.engine", "a"), "is no part of this OncoSegment"),
    ],
)
def test_what_is_missing_is_one_sentence(monkeypatch, row, said) -> None:
    monkeypatch.setitem(registry.ENGINES, "a", row)
    with pytest.raises(ModelError, match=said) as caught:
        registry.make("a")
    assert registry.missing("a") == str(caught.value)
    told = next(one for one in registry.listed() if one["name"] == "a")
    assert told["missing"] == str(caught.value) and told["capabilities"] is None


def test_capabilities_are_those_of_the_engine(monkeypatch) -> None:
    monkeypatch.setitem(registry.ENGINES, "small", SMALL)
    assert registry.capabilities("small") == RegionGrowing().capabilities
    assert registry.capabilities("small", start=False).start is False
    assert registry.stated("small") is None
    told = next(one for one in registry.listed() if one["name"] == "small")
    assert told["missing"] == "" and told["capabilities"]["prompts"] == ("point", "box", "scribble", "lasso")


def test_looking_for_what_is_missing_imports_no_network() -> None:
    code = (
        "import sys; from OncoSegmentLib.refine import registry; [registry.missing(name) for name in registry.ENGINES];"
        " print([name for name in ('torch', 'monai', 'vtk', 'sam2', 'nnInteractive') if name in sys.modules])"
    )
    path = ":".join(PACKAGE_PARENTS)
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

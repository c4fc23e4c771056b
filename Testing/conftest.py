"""What all tests share: the shared data, the stubs of Slicer's application, and a header that says what was tested."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import settings

# What decides whether a change may land gives the same answer twice; `make test-all` looks for examples that are new.
# Neither judges by the clock: on a busy machine the first example of a test took half a second.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("exploring", derandomize=False, deadline=None)
settings.load_profile(os.environ.get("ONCOSEGMENT_EXAMPLES", "repeatable"))

ROOT = Path(__file__).resolve().parents[1]
DATA_VARIABLE = "ONCOSEGMENT_TEST_DATA"


def data_folder() -> Path | None:
    """The shared data: what the variable names, or ../shared/data beside the checkout; None when there is none."""
    named = os.environ.get(DATA_VARIABLE)
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    return folder if folder.is_dir() else None


def pytest_report_header() -> list[str]:
    """The versions that decide, and whether the tests on real images run."""
    packages = ("numpy", "scipy", "SimpleITK", "slicer-core")
    found = "found" if data_folder() else f"not found, tests that need it skip (set {DATA_VARIABLE})"
    return [", ".join(f"{name} {version(name)}" for name in packages), f"shared test data: {found}"]


PRIVATE = {"ONCOSEGMENT_CHECKPOINTS": "checkpoints", "ONCOSEGMENT_RESULTS": "results", "ONCOSEGMENT_EVALUATION": "evaluation"}


@pytest.fixture(scope="session", autouse=True)
def private_folders(tmp_path_factory):
    """Checkpoints, results that wait and the evaluation log do not go into the home folder of whoever runs the tests."""
    before = {name: os.environ.get(name) for name in PRIVATE}
    os.environ.update({name: str(tmp_path_factory.mktemp(folder)) for name, folder in PRIVATE.items()})
    yield
    for name, value in before.items():
        os.environ.pop(name)
        if value is not None:
            os.environ[name] = value


@pytest.fixture
def own_store(tmp_path, monkeypatch) -> Path:
    """An empty store of models of the test."""
    monkeypatch.setenv("ONCOSEGMENT_MODELS", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture(scope="module")
def networks_released():
    """No network of the file's tests stays loaded behind it."""
    from OncoSegmentLib.warm import models

    yield
    models.release()


@pytest.fixture(scope="session")
def repository_root() -> Path:
    """The folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of the shared test data; the test skips without it, and fails when the variable names no folder."""
    folder = data_folder()
    if folder is None and os.environ.get(DATA_VARIABLE):
        pytest.fail(f"{DATA_VARIABLE} names no folder")
    if folder is None:
        pytest.skip(f"shared test data not found: set {DATA_VARIABLE} to its folder, or put it at ../shared/data")
    return folder


@pytest.fixture
def slicer_stubs():
    """Module files and widgets import inside this fixture; yields a `stubs.install.Stubs` on a scene of its own."""
    import slicer

    from OncoLib.scene.host import new_host
    from stubs.install import install_stubs

    host = new_host()
    volumes = slicer.vtkSlicerVolumesLogic()  # the application logic keeps no reference: the fixture does
    volumes.SetMRMLApplicationLogic(host.application)
    volumes.SetMRMLScene(host.scene)
    logics = {"Segmentations": host.segmentations, "Terminologies": host.terminologies, "Volumes": volumes}
    with install_stubs(host.scene, application_logic=host.application, logics=logics) as stubs:
        yield stubs

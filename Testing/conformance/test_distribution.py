"""The wheel holds exactly the packages, and one apt line stands everywhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from conformance.rules.files import project_files
from conformance.rules.layers import FLOORS, MODULE_FLOORS


def expected_content(root: Path) -> set[str]:
    """Each file of the packages that the floors name, relative to the package's parent."""
    found = set()
    for file in project_files(root):
        parts = file.relative_to(root).parts
        if len(parts) > 2 and parts[0] in MODULE_FLOORS and parts[1] in FLOORS:
            found.add("/".join(parts[1:]))
    return found


@pytest.fixture(scope="module")
def wheel(repository_root, tmp_path_factory) -> zipfile.ZipFile:
    """The wheel, built from a copy of the project's files."""
    if int(version("setuptools").split(".")[0]) < 77:
        pytest.skip("setuptools 77 or later builds this project: install the extra 'dev'")
    folder = tmp_path_factory.mktemp("wheel")
    for file in project_files(repository_root):
        copy = folder / "source" / file.relative_to(repository_root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(folder / "source")], check=True)
    with zipfile.ZipFile(next(folder.glob("oncosegment-*.whl"))) as opened:
        yield opened


def test_the_wheel_holds_each_file_of_the_packages_and_nothing_else(wheel, repository_root):
    content = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert content == expected_content(repository_root)
    assert not content & {f"{name}.py" for name in MODULE_FLOORS}


def test_the_wheel_has_the_version_and_the_command(wheel):
    import OncoLib

    information = f"oncosegment-{OncoLib.__version__}.dist-info"
    assert f"\nVersion: {OncoLib.__version__}\n" in wheel.read(f"{information}/METADATA").decode()
    assert "oncosegment = OncoAppLib.cli:main" in wheel.read(f"{information}/entry_points.txt").decode()
    assert f"{information}/licenses/LICENSE" in wheel.namelist()


def test_the_ranges_admit_what_slicer_brings(repository_root):
    from packaging.requirements import Requirement

    makefile = (repository_root / "Makefile").read_text(encoding="utf-8")
    brought = dict(item.split("==") for item in re.search(r"^SLICER_PACKAGES := (.*)$", makefile, re.M)[1].split())
    assert (brought["numpy"], brought["scipy"]) == ("2.4.6", "1.17.1")
    brought |= {"slicer-core": "5.12.4.0", "highdicom": "0.27.0"}
    text = (repository_root / "pyproject.toml").read_text(encoding="utf-8")
    ranges = [Requirement(item) for item in re.findall(r'"([A-Za-z][A-Za-z-]+(?:[<>=!]=?[^"]+))"', text)]
    ranges = {item.name: item.specifier for item in ranges if item.name in brought}
    assert ranges.keys() == brought.keys()
    assert [name for name, version in brought.items() if not ranges[name].contains(version)] == []


def test_the_workflow_runs_the_same_check_on_every_python(repository_root):
    yaml = pytest.importorskip("yaml", reason="reading the workflow needs PyYAML: install the extra 'dev'")
    jobs = yaml.safe_load((repository_root / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    assert any(step.get("run") == "bash .ci/run" for step in jobs["linux"]["steps"])
    classifiers = re.findall(r"Python :: (3\.\d+)", (repository_root / "pyproject.toml").read_text(encoding="utf-8"))
    assert jobs["linux"]["strategy"]["matrix"]["python"] == classifiers
    assert set(jobs["desktop"]["strategy"]["matrix"]["os"]) == {"macos-latest", "windows-latest"}


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no permission to run")
def test_the_check_can_be_run(repository_root):
    assert os.access(repository_root / ".ci" / "run", os.X_OK)


def test_the_readme_names_the_packages_that_the_check_installs(repository_root):
    packages = (repository_root / ".ci" / "apt-packages").read_text(encoding="utf-8").split()
    lines = re.findall(r"apt-get install (.*)", (repository_root / "README.md").read_text(encoding="utf-8"))
    assert len(lines) == 1
    assert [name for name in packages if name not in lines[0].split()] == []

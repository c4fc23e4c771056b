"""Writes small trees for the tests that show a rule failing."""

from __future__ import annotations

from pathlib import Path

MODULE_CMAKE = """set(MODULE_NAME {name})
set(MODULE_PYTHON_SCRIPTS
  # begin scripts
  # end scripts
  )
set(MODULE_PYTHON_RESOURCES
  # begin resources
  # end resources
  )
slicerMacroBuildScriptedModule(NAME ${{MODULE_NAME}})
"""


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    """Writes the files below `root` and returns it."""
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def module(name: str, files: dict[str, str | bytes]) -> dict[str, str | bytes]:
    """The files of one module's folder, its CMakeLists.txt and module file with them."""
    here = {"CMakeLists.txt": MODULE_CMAKE.format(name=name), f"{name}.py": "", **files}
    return {f"{name}/{path}": content for path, content in here.items()}

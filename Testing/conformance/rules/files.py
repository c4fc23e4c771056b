"""Which files belong to the project."""

from __future__ import annotations

import subprocess
from pathlib import Path

NOT_OURS = {".git", "__pycache__", "build", "dist", "demo-results", "demo-ai-results", "bench-results"}


def project_files(root: Path) -> list[Path]:
    """The files that git tracks or would track, sorted; without git all files but caches and results."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if (root / ".git").exists():
        try:
            done = subprocess.run(command, capture_output=True, check=True)
            names = sorted(name for name in done.stdout.decode().split("\0") if name)
            return [root / name for name in names if (root / name).is_file()]
        except (OSError, subprocess.CalledProcessError):
            pass  # no git here, or a checkout that belongs to another user: walk instead
    return sorted(file for file in root.rglob("*") if file.is_file() and is_ours(file.relative_to(root)))


def is_ours(path: Path) -> bool:
    """False for caches, environments and results."""
    return not any(
        part in NOT_OURS or part.startswith(".venv") or part.endswith((".egg-info", "_cache", ".hypothesis"))
        for part in path.parts
    )


def text_of(file: Path) -> str | None:
    """The text of a file, or None for a binary one."""
    content = file.read_bytes()
    if b"\0" in content:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None

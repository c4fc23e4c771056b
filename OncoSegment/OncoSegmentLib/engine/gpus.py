"""Which GPUs this machine offers to workers, without loading PyTorch to find out."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

from OncoLib.background import no_console

VARIABLE = "CUDA_VISIBLE_DEVICES"
ANSWER_SECONDS = 10


def driver_program(environ: Mapping[str, str] = os.environ) -> str | None:
    """NVIDIA's nvidia-smi. Windows looks in the current folder first, where anybody may have put one of that name."""
    if os.name == "nt":
        path = os.path.join(environ.get("SystemRoot", ""), "System32", "nvidia-smi.exe")
        return path if os.path.isabs(path) and os.path.isfile(path) else None
    return shutil.which("nvidia-smi")


def gpus(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Names of NVIDIA's GPUs as `CUDA_VISIBLE_DEVICES` takes them; that variable limits them, as it does for CUDA."""
    if VARIABLE in environ:
        named = [one.strip() for one in environ[VARIABLE].split(",")]
        return [one for one in named if one and one != "-1"]
    program = driver_program(environ)
    if program is None:
        return []
    command = [program, "--query-gpu=index", "--format=csv,noheader"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, **no_console())
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in told.stdout.splitlines() if line.strip().isdigit()] if told.returncode == 0 else []

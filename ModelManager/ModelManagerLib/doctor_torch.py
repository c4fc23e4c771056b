"""The doctor's questions to PyTorch, its GPU and driver, asked in child processes with a time limit."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ModelManagerLib.finding import FAIL, OK, WARN, Finding

OLDEST_SAFE, BEST_SAFE = (2, 6), (2, 10)
"""Holes of torch's safe loading that were closed: CVE-2025-32434 in 2.6.0, CVE-2026-24747 in 2.10.0."""

LITTLE_GPU_GB = 5.0
"""TotalSegmentator's own table begins at 5.2 GB (fast, CT of the trunk)."""

HUNG, CRASHED = "hung", "crashed"
SHORT_S = 20.0
INSTALL = "Install PyTorch with Slicer's extension PyTorch, or: pip install torch"
BUILD = "Install a newer torch for this GPU (Slicer: extension PyTorch, choose a newer CUDA)."


class Answers:
    """Asks each question once and keeps the answer."""

    def __init__(self, python: str, timeout_s: float) -> None:
        self._python, self._timeout_s = python, timeout_s
        self._kept: dict[str, dict | None] = {}

    def torch(self) -> dict:
        """What torch says of itself; {"error": "hung"} and the like when it does not answer."""
        if "torch" not in self._kept:
            self._kept["torch"] = ask(self._python, "torch", self._timeout_s)
        return self._kept["torch"]

    def keyring(self) -> dict | None:
        """What the keyring says; None when it does not answer."""
        answer = ask(self._python, "keyring", min(self._timeout_s, SHORT_S))
        return None if "error" in answer else answer

    def driver(self) -> dict | None:
        """NVIDIA's driver; None where there is none."""
        return driver_facts(min(self._timeout_s, SHORT_S))


def interpreter() -> str:
    """PythonSlicer inside Slicer (whose own executable is no Python), else the interpreter that runs this."""
    if hasattr(sys.modules.get("slicer"), "app"):
        return shutil.which("PythonSlicer") or sys.executable
    return sys.executable


def ask(python: str, question: str, timeout_s: float) -> dict:
    """The probe's answer; {"error": ...} when it crashed, hung or said nothing. The probe never sees our own folder."""
    source = Path(__file__).with_name("doctor_probe.py").read_text(encoding="utf-8")
    try:
        with tempfile.TemporaryDirectory(prefix="oncosegment-doctor-") as folder:
            call = [python, "-c", source, question]
            done = subprocess.run(
                call, cwd=folder, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL, errors="replace"
            )
        if done.returncode:
            return {"error": CRASHED, "code": done.returncode}
        answer = json.loads(done.stdout.strip().splitlines()[-1])
        return answer if isinstance(answer, dict) else {"error": CRASHED, "code": 0}
    except subprocess.TimeoutExpired:
        return {"error": HUNG}
    except (OSError, ValueError, IndexError):
        return {"error": CRASHED, "code": 0}


def driver_facts(timeout_s: float) -> dict | None:
    """Version of NVIDIA's driver and the newest CUDA that it can do, from nvidia-smi."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        text = subprocess.run([program], capture_output=True, text=True, timeout=timeout_s, errors="replace").stdout
    except (OSError, subprocess.TimeoutExpired):
        return {"driver": "", "cuda": ""}
    driver, cuda = re.search(r"Driver Version:\s*([\d.]+)", text), re.search(r"CUDA Version:\s*([\d.]+)", text)
    return {"driver": driver[1] if driver else "", "cuda": cuda[1] if cuda else ""}


def torch_findings(torch: Mapping, driver: Mapping | None, system: str) -> list[Finding]:
    """torch itself, then what it computes on."""
    error = torch.get("error")
    if error == HUNG:
        return [Finding("PyTorch", FAIL, "Importing torch does not end.", "Restart the machine; then install torch anew.")]
    if error == CRASHED:
        told = f"Importing torch ends the process (code {torch.get('code', 0)})."
        return [Finding("PyTorch", FAIL, told, "Install torch anew, with the build for this system.")]
    if not torch.get("installed"):
        return [Finding("PyTorch", WARN, "PyTorch is not installed: only the models without weights run.", INSTALL)]
    if error:
        return [Finding("PyTorch", FAIL, f"torch is installed but cannot be imported ({error}).", "Install torch anew.")]
    return [version_finding(str(torch["version"])), *device_findings(torch, driver, system)]


def version_finding(version: str) -> Finding:
    """Whether weights are loaded safely by this version."""
    number = version.split("+")[0]
    found = tuple(int(part) for part in re.findall(r"\d+", number)[:2])
    if found < OLDEST_SAFE:
        told = f"torch {version} cannot load weights safely; none will be loaded."
        return Finding("PyTorch", FAIL, told, "pip install --upgrade torch", (version, number))
    if found < BEST_SAFE:
        told = f"torch {version} works; its safe loading of weights was made safer in 2.10."
        return Finding("PyTorch", WARN, told, "pip install --upgrade torch", (version, number))
    return Finding("PyTorch", OK, f"torch {version}.", "", (version, number))


def device_findings(torch: Mapping, driver: Mapping | None, system: str) -> list[Finding]:
    """GPU by GPU; or why there is none."""
    if torch.get("devices"):
        return [device_finding(one, torch.get("architectures") or ()) for one in torch["devices"]]
    if torch.get("mps"):
        return [Finding("GPU", OK, "Apple's GPU (MPS) can be used; networks that it cannot do run on the processor.")]
    if driver is None:
        return [Finding("GPU", OK, "No NVIDIA GPU was found: networks run on the processor, which takes minutes.")]
    if not torch.get("cuda") and not torch.get("hip"):
        told = "There is an NVIDIA GPU, but this torch is built for processors only."
        return [Finding("GPU", WARN, told, "Install a torch that is built for CUDA (Slicer: extension PyTorch).")]
    return [driver_finding(str(torch.get("cuda") or ""), driver)]


def driver_finding(runtime: str, driver: Mapping) -> Finding:
    """A torch for CUDA that sees no GPU though there is a driver."""
    wanted, able = major(runtime), major(str(driver.get("cuda", "")))
    if not driver.get("driver"):
        return Finding(
            "GPU",
            FAIL,
            "NVIDIA's driver does not answer.",
            "Restart the machine; if that does not help, install the driver anew.",
        )
    told = f"torch is built for CUDA {runtime}; the driver {driver['driver']} can do CUDA {driver.get('cuda') or '(unknown)'}"
    versions = (runtime, str(driver["driver"]), str(driver.get("cuda", "")))
    if able and wanted > able:
        return Finding("GPU", FAIL, f"{told}.", "Install a newer NVIDIA driver, or a torch for an older CUDA.", versions)
    return Finding("GPU", FAIL, f"{told}, but torch sees no GPU.", "Restart the machine; check CUDA_VISIBLE_DEVICES.", versions)


def major(version: str) -> int:
    """12 of "12.4"; 0 when there is none."""
    return int(re.match(r"\d*", version)[0] or 0)


def device_finding(device: Mapping, architectures) -> Finding:
    """One GPU: fits the build, works, and has memory."""
    subject, capability = f"GPU {device['name']}", tuple(device["capability"])
    if architectures and not fits(capability, architectures):
        age = "newer" if capability > max(known(architectures)) else "older"
        told = f"The GPU (compute capability {capability[0]}.{capability[1]}) is {age} than what this torch is built for."
        return Finding(
            subject, FAIL, told, BUILD if age == "newer" else "Install an older torch that knows this GPU, or use the processor."
        )
    if not device.get("works"):
        told = f"A sum on the GPU failed ({device.get('error', 'wrong result')})."
        return Finding(subject, FAIL, told, "Close programs that use the GPU; restart the machine.")
    total, free = device["total"] / 1e9, device["free"] / 1e9
    told = f"{total:.1f} GB of GPU memory, {free:.1f} GB free"
    if free < LITTLE_GPU_GB:
        return Finding(
            subject, WARN, f"{told}: too little for many networks.", "Close programs that use the GPU, or choose fast models."
        )
    return Finding(subject, OK, f"{told}.")


def known(architectures) -> list[tuple[int, int]]:
    """(8, 6) of "sm_86", (12, 0) of "sm_120a"."""
    numbers = [re.search(r"_(\d+)(\d)", text) for text in architectures]
    return [(int(found[1]), int(found[2])) for found in numbers if found] or [(0, 0)]


def fits(capability: tuple[int, ...], architectures) -> bool:
    """True when the build holds code for the GPU: of its generation and not newer, or code to be compiled ("compute_")."""
    ready = [one for text in architectures if text.startswith("sm_") for one in known([text])]
    later = [one for text in architectures if text.startswith("compute_") for one in known([text])]
    return any(one[0] == capability[0] and one <= capability for one in ready) or any(one <= capability for one in later)


def torchvision_findings(torch: Mapping) -> list[Finding]:
    """A torchvision of another build than torch ends every import of nnU-Net's trainers, which pull it in."""
    state = torch.get("torchvision")
    if state in (None, "works"):
        return []
    if state == "missing":
        told = "torchvision is not installed; nnU-Net's trainers cannot be found without it."
        return [Finding("torchvision", WARN, told, "Install the torchvision of your torch's version and build.")]
    told = f"torchvision does not fit torch: its import ends in {state}."
    return [
        Finding("torchvision", FAIL, told, "Install the torchvision of your torch's version and build (processor or CUDA alike).")
    ]

"""What stands in the way of a run on this machine, and for each problem the repair.

Nothing heavy is imported here: questions to torch, torchvision and the keyring go to a short process of their own with
a time limit, since an import can hang or end the process. Nothing is fetched, nothing is changed; one empty file is
made and removed at once to see that the store can be written.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ModelManagerLib import doctor_checks, doctor_models, doctor_network, doctor_packages, doctor_torch
from ModelManagerLib.finding import UNKNOWN, Finding
from OncoLib.progress import CancelToken, Progress, silent

TIMEOUT_S = 120.0
"""For each question to a child process: torch from a cold network drive takes a minute."""


@dataclass(frozen=True)
class Situation:
    """Where and when is looked; the defaults are this process's own.

    store: the model store's folder, None for the configured one. path: where packages are looked for. python: the
    interpreter that is asked about torch.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    home: Path = field(default_factory=Path.home)
    temporary: Path = field(default_factory=lambda: Path(tempfile.gettempdir()))
    store: Path | None = None
    system: str = field(default_factory=platform.system)
    path: tuple[str, ...] = field(default_factory=lambda: tuple(sys.path))
    python: str = ""
    now: Callable[[], float] = time.time
    timeout_s: float = TIMEOUT_S


def examine(
    situation: Situation | None = None, *, progress: Progress = silent, cancel: CancelToken | None = None
) -> list[Finding]:
    """All findings, in the order in which they were looked for. A check that breaks becomes a finding of its own."""
    situation = situation or Situation()
    findings: list[Finding] = []
    checks = list(all_checks(situation))
    for number, (title, check) in enumerate(checks):
        (cancel or CancelToken()).check()
        progress(number / len(checks), f"Looking at {title}")
        try:
            findings += check()
        except Exception as error:
            findings.append(
                Finding(title, UNKNOWN, f"This check itself failed ({type(error).__name__}).", "Report it with the support file.")
            )
    progress(1.0, "Done")
    return findings


def all_checks(situation: Situation) -> Iterator[tuple[str, Callable[[], list[Finding]]]]:
    """Title and check of each part."""
    store = doctor_checks.store_folder(situation)
    answers = doctor_torch.Answers(situation.python or doctor_torch.interpreter(), situation.timeout_s)
    yield "Python", lambda: doctor_checks.python_findings(sys.version_info[:3], sys.maxsize > 2**32)
    yield "memory", lambda: doctor_checks.memory_findings()
    yield "disk", lambda: doctor_checks.disk_findings(doctor_checks.folders(situation, store))
    yield "folders", lambda: doctor_checks.path_findings(doctor_checks.folders(situation, store), situation.system)
    yield "model store", lambda: doctor_checks.store_findings(situation, store)
    yield "clock", lambda: doctor_checks.clock_findings(situation.now())
    yield "packages", lambda: doctor_packages.package_findings(situation.path)
    yield "PyTorch", lambda: doctor_torch.torch_findings(answers.torch(), answers.driver(), situation.system)
    yield "torchvision", lambda: doctor_torch.torchvision_findings(answers.torch())
    yield "network", lambda: doctor_network.network_findings(situation.environ)
    yield "keyring", lambda: doctor_network.keyring_findings(answers.keyring())
    yield "TotalSegmentator", lambda: doctor_models.home_findings(situation.environ, situation.home)
    yield "models", lambda: doctor_models.model_findings(store, answers.torch(), situation.path)

"""What the panel lets a process of its own do with sets of packages: `do` is the target of `OncoLib.background`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from ModelManagerLib import runtime
from ModelManagerLib.downloads import user_transfer_settings
from ModelManagerLib.runtime_host import this_host
from OncoLib.background import RESULT
from OncoLib.progress import CancelToken, Progress
from OncoLib.segmentation_files import write_json

JOB = "job.json"


def put(folder: Path, action: str, name: str, **options) -> None:
    """Writes a job; options: root, host (kind of the host, which a child cannot see), kind, wheels, offline."""
    write_json(folder / JOB, {"action": action, "name": name, **options})


def do(folder: Path, progress: Progress, cancel: CancelToken) -> None:
    """Runs the action of a job folder and leaves what it says in `RESULT`; what pip prints goes to the log."""
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    common = {"root": Path(job["root"]), "host": this_host(job.get("host", "")), "progress": progress, "cancel": cancel}
    write_json(folder / RESULT, ACTIONS[job["action"]](job, common))


def _install(job: dict, common: dict) -> dict:
    wheels = Path(job["wheels"]) if job.get("wheels") else None
    settings = user_transfer_settings(offline=job.get("offline", False))
    return asdict(runtime.install(job["name"], job.get("kind"), wheels=wheels, settings=settings, log=tell, **common))


def _verify(job: dict, common: dict) -> dict:
    found = runtime.verify(job["name"], **common)
    return {"name": found.name, "sound": found.sound, "sentence": found.sentence}


def _remove(job: dict, common: dict) -> dict:
    return {"name": job["name"], "freed_bytes": runtime.remove(job["name"], **common)}


def tell(line: str) -> None:
    """One line of the log, seen at once."""
    print(line, flush=True)


ACTIONS = {"install": _install, "verify": _verify, "remove": _remove}

"""Kills an installation, and so its pip, at every change that it makes and at moments in between; looks at what is left.

Run as a program (POSIX): it forks one child for each point. Python's audit events tell each opening for writing, rename,
removal, new folder and start of a process before it happens; pip itself is killed at chosen times.

    python helpers_runtime_faults.py <job.json>      one line of JSON for each point on standard output
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

from helpers_runtime import TINY, Shop
from ModelManagerLib import runtime
from ModelManagerLib.runtime_sets import SETS
from OncoLib.errors import OncoError

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
EVENTS = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "subprocess.Popen", "ctypes.dlsym")


def perform(job: dict, shop: Shop) -> None:
    """What is interrupted."""
    if not job["exchange"]:
        from ModelManagerLib import runtime_places

        runtime_places.exchange = lambda first, second: False  # as on a system without such a step
    if job["operation"] == "install":
        runtime.install("tiny", wheels=shop.wheels, **shop.common)
    else:
        runtime.remove("tiny", root=shop.root, lock_options=shop.common["lock_options"])


def killed_at(job: dict, shop: Shop, point: float) -> str:
    """Runs the operation in a child that dies before its change number `point`, or after -`point` seconds; what it was
    about to do, "" when it ended before."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        counted, counting = [0], [False]

        def die(what: str) -> None:
            os.write(writing, what.encode())
            os.kill(os.getpid(), signal.SIGKILL)

        def hook(event: str, arguments: tuple) -> None:
            opens = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
            if opens or event in EVENTS:
                counting[0] = counting[0] or job.get("since", "") in str(arguments[0])
                counted[0] += counting[0]
                if counting[0] and counted[0] == point:
                    die(f"{event} {Path(str(arguments[0])).name}")

        if point < 0:
            threading.Timer(-point, die, [f"after {-point:.2f} s"]).start()
        sys.addaudithook(hook)
        try:
            perform(job, shop)
        except OncoError:
            os._exit(3)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return told or "killed"
    if os.WEXITSTATUS(status):
        raise SystemExit(f"the operation failed at point {point}")
    return ""


def look(shop: Shop) -> dict:
    """What a worker would get, compared file by file."""
    folders = runtime.worker_path(shop.root, names=["tiny"])
    if not folders:
        return {"version": None, "there": shop.folder.exists()}
    state = runtime.state("tiny", shop.root, locks_folder=shop.locks)
    return {"version": state.versions["oncotiny-first"], "sound": runtime.verify("tiny", root=shop.root).sound, "there": True}


def pips(root: Path) -> list[str]:
    """Processes that work below the root (Linux)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if os.readlink(entry).startswith(str(root)):
                found.append(entry.parent.name)
        except OSError:
            continue
    return found


def orphans_end(root: Path, most_s: float = 5.0) -> bool:
    """True when pip ended with the process that wanted it."""
    end = time.monotonic() + most_s
    while pips(root) and time.monotonic() < end:
        time.sleep(0.05)
    return not pips(root)


def main(path: Path) -> None:
    """All points of one job; those of `points`, or all changes when it is null."""
    SETS["tiny"] = TINY
    job = json.loads(path.read_text())
    shop = Shop(*(Path(job[name]) for name in ("root", "wheels", "locks")))
    for point in job["points"] or range(1, 1000, job.get("step", 1)):
        shutil.rmtree(shop.root, ignore_errors=True)
        if job["before"]:
            shutil.copytree(job["before"], shop.root)
        what = killed_at(job, shop, point)
        answer = {"point": point, "what": what, "ended": orphans_end(shop.root), **look(shop)}
        if what:
            try:
                perform(job, shop)
                answer["again"] = "done"
            except OncoError as error:
                answer["again"] = str(error)
            left = [one.name for name in ("staging", "trash") for one in (shop.root / name).glob("*")]
            answer.update(after=look(shop), left=left)
        print(json.dumps(answer), flush=True)
        if not what and not job["points"]:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))

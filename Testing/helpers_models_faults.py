"""Kills a process at every change that it makes to a store, one after the other, and looks at what is left.

Run as a program (POSIX): it forks one child for each fault point. Python's own audit events tell each opening for
writing, rename, removal and new folder before it happens; calls of the progress lie between pieces of one file. The
child is killed by SIGKILL there; then another process recovers and verifies. So the points are enumerated by the system
calls themselves: a step that is added to the code is a point without further ado.

    python helpers_models_faults.py <job.json>      one line of JSON for each point on standard output
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from helpers_models_archives import card_of, yes
from ModelManagerLib import store
from ModelManagerLib.catalog import Source
from ModelManagerLib.store_places import Store
from ModelManagerLib.swap import Patience
from ModelManagerLib.transfer_settings import TransferSettings
from OncoLib.errors import OncoError

SETTINGS = TransferSettings(proxies={}, backoff_s=0.01, attempts=2)
PATIENCE = Patience(beat_s=0.01, wait_s=20.0)
MOST_POINTS = 1000
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
EVENTS = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate")


def card_from(facts: dict):
    """The job's card of one version."""
    source = Source((facts["url"],), facts["bytes"], facts["sha256"], root=None)
    return card_of("tiny-999", "nnunet/results/Dataset999_Tiny", sources=(source,), version=facts["version"])


def perform(job: dict, root: Path, progress: Callable) -> None:
    """What is interrupted."""
    if not job["exchange"]:
        from ModelManagerLib import swap

        swap.exchange = lambda first, second: False  # as on a system without such a step
    common = {"root": root, "progress": progress, "patience": PATIENCE}
    card = card_from(job["card"])
    if job["operation"] == "install":
        store.install(card, accept_license=yes, settings=SETTINGS, **common)
    elif job["operation"] == "import":
        store.import_from(Path(job["path"]), card=card, accept_license=yes, **common)
    else:
        store.remove(card, **common)


def killed_at(job: dict, root: Path, point: int) -> str:
    """Runs the operation in a child that dies before its change number `point`; what it was about to do, "" when it ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        counted = [0]

        def change(what: str) -> None:
            counted[0] += 1
            if counted[0] == point:
                os.write(writing, what.encode())
                os.kill(os.getpid(), signal.SIGKILL)

        def hook(event: str, arguments: tuple) -> None:
            if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES and _in(root, arguments[0]):
                change(f"open {Path(str(arguments[0])).name}")
            elif event in EVENTS and _in(root, arguments[0]):
                change(f"{event} {Path(str(arguments[0])).name}")
            elif event == "ctypes.dlsym" and arguments[1] == "renameat2":
                change(event)

        sys.addaudithook(hook)
        status = 1
        try:
            perform(job, root, lambda fraction, message: change(f"progress {message}"))
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return told or "killed"
    if os.WEXITSTATUS(status):
        raise SystemExit(f"the operation failed at point {point}")
    return ""


def _in(root: Path, path: object) -> bool:
    text = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""
    return bool(text) and (not os.path.isabs(text) or text.startswith(str(root)))


def in_child(work: Callable[[], dict]) -> dict:
    """Calls it in a process of its own, and returns its answer."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = work()
        except BaseException as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = json.load(pipe)
    os.waitpid(child, 0)
    return answer


def look(job: dict, root: Path) -> dict:
    """Recovers, verifies, and says what is there."""
    paths = Store(root)
    store.recover(paths, patience=PATIENCE)
    left = [path.name for folder in (paths.staging, paths.trash) if folder.is_dir() for path in folder.iterdir()]
    manifests = store.installed(root)
    place = root / "nnunet/results/Dataset999_Tiny"
    if not manifests:
        return {"version": None, "left": left, "place": place.exists()}
    card = card_from(job["card"] if manifests[0].version == job["card"]["version"] else job["old"])
    report = store.verify(card, root=root, patience=PATIENCE)
    sound = report.sound and not report.extra and store.state(card, root) == "installed"
    return {"version": manifests[0].version, "sound": sound, "left": left, "place": place.exists()}


def finish(job: dict, root: Path) -> dict:
    """The same operation again, to its end."""
    try:
        perform(job, root, lambda fraction, message: None)
    except OncoError as error:
        return {"again": str(error)}
    return {"again": "done"}


def main(path: Path) -> None:
    """All points of one job."""
    import requests  # noqa: F401 - loaded once, before the forks

    from ModelManagerLib import transfer  # noqa: F401
    from ModelManagerLib.catalog import built_in_cards

    built_in_cards()
    job = json.loads(path.read_text())
    before, root = Path(job["before"]), Path(job["root"])
    for point in range(1, MOST_POINTS):
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(before, root)
        what = killed_at(job, root, point)
        answer = {"point": point, "what": what, **in_child(lambda: look(job, root))}
        if what:
            answer.update(in_child(lambda: finish(job, root)))
            answer["after"] = in_child(lambda: look(job, root))
        print(json.dumps(answer), flush=True)
        if not what:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))

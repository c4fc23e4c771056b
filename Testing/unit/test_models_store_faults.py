"""A kill at every change of an install, an import and a removal; two installers at once; a disk that is really full."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from helpers import PACKAGE_PARENTS, ROOT
from helpers_models_archives import below, nnunet_card, nnunet_files, noise, sha256, yes, zip_of
from helpers_models_server import ModelServer
from ModelManagerLib import store
from ModelManagerLib.store_places import Store
from ModelManagerLib.swap import Patience
from ModelManagerLib.transfer_settings import TransferSettings
from OncoLib.errors import OutputError

SETTINGS = TransferSettings(proxies={}, backoff_s=0.01, attempts=2)
NAME = "Dataset999_Tiny"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([*PACKAGE_PARENTS, str(ROOT / "Testing")])}
POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")


@pytest.fixture
def folder(tmp_path):
    """A folder in memory where there is one: these tests write thousands of small files to the disk."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


def versions(folder, server):
    """Facts of an old and a new version on the server, and the new one's archive."""
    facts = []
    for version in ("1", "2"):
        archive = zip_of(folder / f"v{version}.zip", below(NAME, nnunet_files(seed=int(version))))
        content = archive.read_bytes()
        server.contents[f"/v{version}.zip"] = content
        facts.append(
            {"url": server.url(f"/v{version}.zip"), "bytes": len(content), "sha256": sha256(content), "version": version}
        )
    return facts


def card_from(facts):
    from helpers_models_faults import card_from

    return card_from(facts)


def points_of(folder, job):
    """Runs the job's every fault point; the answers."""
    path = folder / "job.json"
    path.write_text(json.dumps({**job, "before": str(folder / "before"), "root": str(folder / "store")}))
    program = ROOT / "Testing" / "helpers_models_faults.py"
    done = subprocess.run([sys.executable, program, path], capture_output=True, text=True, env=ENVIRONMENT, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers[-1]["what"] == "" and len(answers) > 10
    return answers


CASES = [
    pytest.param("install", False, True, id="first install", marks=pytest.mark.slow),
    pytest.param("install", True, True, id="new version in one step"),
    pytest.param("install", True, False, id="new version by two renames"),
    pytest.param("import", True, True, id="import"),
    pytest.param("remove", True, True, id="remove"),
]


@POSIX
@pytest.mark.parametrize(("operation", "old_there", "exchange"), CASES)
def test_a_kill_at_any_point_leaves_the_old_state_or_the_new(folder, operation, old_there, exchange):
    with ModelServer({}) as server:
        old, new = versions(folder, server)
        before = folder / "before"
        if old_there:
            store.install(card_from(old), accept_license=yes, root=before, settings=SETTINGS)
        else:
            Store(before).prepare()
        job = {"operation": operation, "exchange": exchange, "card": new, "old": old, "path": str(folder / "v2.zip")}
        if operation == "remove":
            job["card"] = old
        answers = points_of(folder, job)
    allowed = {old["version"] if old_there else None, None if operation == "remove" else new["version"]}
    seen = set()
    for answer in answers:
        for one in (answer, answer.get("after", answer)):
            assert "error" not in one, answer
            assert one["version"] in allowed, answer
            assert one["left"] == [], answer
            assert one["place"] == (one["version"] is not None), answer
            assert one.get("sound", True), answer
        seen.add(answer["version"])
    final = None if operation == "remove" else new["version"]
    assert seen == allowed, "both states were met"
    assert all(answer["after"]["version"] == final for answer in answers if "after" in answer)
    again = {answer["again"] for answer in answers if "again" in answer}
    assert again <= {"done", "tiny-999 is not in this store; there is nothing to remove"}
    kinds = {answer["what"].split()[0] for answer in answers if answer["what"]}
    assert {"open", "os.rename"} <= kinds


@POSIX
def test_two_processes_that_install_the_same_model_end_with_one_good_install(folder):
    with ModelServer({}) as server:
        _, new = versions(folder, server)
        code = (
            "import json, sys; from pathlib import Path; from helpers_models_faults import *\n"
            "sys.stdin.readline()\n"
            "found = store.install(card_from(json.loads(sys.argv[2])), accept_license=yes, root=Path(sys.argv[1]),"
            " settings=SETTINGS)\n"
            "print(found.installed_at, found.version)"
        )
        command = [sys.executable, "-c", code, str(folder / "store"), json.dumps(new)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started = [subprocess.Popen(command, env=ENVIRONMENT, **pipes) for _ in range(3)]
        for one in started:
            one.stdin.write("go\n")
            one.stdin.flush()
        answers = [one.communicate(timeout=180) for one in started]
        assert [one.returncode for one in started] == [0, 0, 0], answers
        assert len({answer[0] for answer in answers}) == 1, "all found the same install"
        assert len(server.requests("/v2.zip")) == 1, "one of them fetched it"
    card = card_from(new)
    assert store.verify(card, root=folder / "store").sound
    paths = Store(folder / "store")
    assert not any([*paths.staging.iterdir(), *paths.trash.iterdir(), *paths.parts.iterdir()])


def test_what_a_living_process_stages_is_left_alone(folder):
    """Another process holds the model's lock: recovering must not take its work away."""
    root = folder / "store"
    Store(root).prepare()
    staged = root / "staging" / "tiny-999~abc" / "new"
    staged.mkdir(parents=True)
    code = (
        "import sys; from pathlib import Path; from ModelManagerLib.store_places import Store\n"
        "from ModelManagerLib.swap import PATIENT, locked; from OncoLib.progress import silent\n"
        "with locked(Store(Path(sys.argv[1])), 'tiny-999', PATIENT, silent, None):\n"
        "    print('held', flush=True); sys.stdin.readline()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code, str(root)], env=ENVIRONMENT, **pipes) as other:
        assert other.stdout.readline() == "held\n"
        store.recover(Store(root))
        assert staged.is_dir()
        other.communicate("done\n", timeout=30)
    store.recover(Store(root))
    assert not staged.exists() and not any((root / "staging").iterdir())


@contextlib.contextmanager
def small_disk(folder, size):
    """A file system of that size; skips where it may not be mounted."""
    folder.mkdir()
    if not sys.platform.startswith("linux") or not shutil.which("mount"):
        pytest.skip("a small disk is made with Linux's tmpfs")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this user may not mount a small disk: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_really_full(tmp_path):
    """4 MB: the first model fits, the second does not; not before the download, and not when the disk fills meanwhile."""
    with ModelServer({}) as server, small_disk(tmp_path / "disk", "4m") as disk:
        cards = []
        for number, size in ((1, 200_000), (2, 1_200_000), (3, 900_000)):
            content = zip_of(tmp_path / f"{number}.zip", nnunet_files(size, seed=number)).read_bytes()
            server.contents[f"/{number}.zip"] = content
            name = f"Dataset99{number}_Tiny"
            cards.append(nnunet_card(server.url(f"/{number}.zip"), content, name=name, id=f"tiny-{number}"))
        first, second, third = cards

        def install(card, **values):
            return store.install(card, accept_license=yes, root=disk / "store", settings=SETTINGS, **values)

        install(first)
        (disk / "other").write_bytes(bytes(1_500_000))
        with pytest.raises(OutputError, match="tiny-2 needs 0.00 GB of free space"):
            install(second)
        assert server.requests("/2.zip") == []

        def fill(fraction, message):
            if fraction and fraction >= 0.79 and not (disk / "more").exists():
                with contextlib.suppress(OSError), open(disk / "more", "wb", buffering=0) as stream:
                    while True:
                        stream.write(noise(4096))

        (disk / "other").unlink()
        with pytest.raises(OutputError, match="full|free space"):
            install(third, progress=fill)
        (disk / "more").unlink()
        assert store.verify(first, root=disk / "store").sound
        assert store.state(third, disk / "store") in ("missing", "partial")
        install(third)
        assert store.verify(third, root=disk / "store").sound


def test_an_interrupted_swap_whose_new_files_are_damaged_is_undone(folder):
    """By two renames: the old version is in the trash, its place is empty, and the new files are not whole."""
    with ModelServer({}) as server:
        old, _ = versions(folder, server)
        card, root = card_from(old), folder / "store"
        store.install(card, accept_license=yes, root=root, settings=SETTINGS)
    staged = root / "staging" / "tiny-999~abc"
    (staged / "new").mkdir(parents=True)
    values = json.loads((root / "manifests" / "tiny-999.json").read_text())
    (staged / "manifest.json").write_text(json.dumps({**values, "version": "2"}))
    (staged / "journal.json").write_text(json.dumps({"card": "tiny-999", "place": card.place, "operation": "install"}))
    os.replace(root / card.place, root / "trash" / "tiny-999~abc.old")
    assert store.state(card, root) == "damaged"
    store.recover(Store(root), patience=Patience(wait_s=1.0))
    assert store.verify(card, root=root).sound and store.state(card, root) == "installed"
    assert not any((root / "staging").iterdir()) and not any((root / "trash").iterdir())


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="POSIX rights")
def test_a_rename_that_is_refused_for_a_moment_is_tried_again(tmp_path):
    """As on Windows while a virus scanner reads: here a folder's rights are taken away and come back."""
    code = (
        "import os, sys, threading, time; from pathlib import Path\n"
        "from ModelManagerLib.disk import replace_patiently\n"
        "folder = Path(sys.argv[1])\n"
        "os.geteuid() or os.setuid(65534)\n"
        "(folder / 'a').mkdir(); folder.chmod(0o555)\n"
        "threading.Timer(0.3, lambda: folder.chmod(0o755)).start()\n"
        "began = time.monotonic(); replace_patiently(folder / 'a', folder / 'b')\n"
        "print(time.monotonic() - began > 0.25, os.listdir(folder))"
    )
    place = tmp_path / "place"
    place.mkdir()
    place.chmod(0o777)
    if os.geteuid() == 0:
        os.chown(place, 65534, 65534)
    for above in (tmp_path, *(one for one in tmp_path.parents if "pytest-of-" in str(one))):
        above.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", code, place], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.stdout.strip() == "True ['b']", done.stderr[-500:]


def test_a_model_can_be_removed_from_a_disk_that_is_full_to_the_last_byte(tmp_path):
    with ModelServer({}) as server, small_disk(tmp_path / "disk", "4m") as disk:
        content = zip_of(tmp_path / "1.zip", nnunet_files(200_000)).read_bytes()
        server.contents["/1.zip"] = content
        card = nnunet_card(server.url("/1.zip"), content, name="Dataset991_Tiny", id="tiny-1")
        root = disk / "store"
        store.install(card, accept_license=yes, root=root, settings=SETTINGS)
        with contextlib.suppress(OSError), open(disk / "more", "wb", buffering=0) as stream:
            while True:
                stream.write(noise(4096))
        assert shutil.disk_usage(disk).free == 0
        removal = store.remove(card, root=root)
        assert removal.done and removal.freed_bytes > 200_000
        assert store.state(card, root) == "missing" and shutil.disk_usage(disk).free > 200_000
        assert not any([*(root / "staging").iterdir(), *(root / "trash").iterdir(), *(root / "parts").iterdir()])
        (disk / "more").unlink()
        store.install(card, accept_license=yes, root=root, settings=SETTINGS)
        assert store.verify(card, root=root).sound

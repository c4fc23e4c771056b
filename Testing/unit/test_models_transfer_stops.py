"""Downloads that are stopped: cancelled, killed, out of disk, or wanted by two at once. What arrived stays of use."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from helpers_cli import environment
from helpers_models_server import Answer, ModelServer
from ModelManagerLib.catalog import Source
from ModelManagerLib.transfer import download
from ModelManagerLib.transfer_part import read_sidecar, sidecar_path
from ModelManagerLib.transfer_settings import TransferSettings
from OncoLib.errors import Cancelled, ModelError, OutputError
from OncoLib.progress import CancelToken

requests = pytest.importorskip("requests")

CONTENT = random.Random(15).randbytes(600_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = "/weights.zip"
SETTINGS = TransferSettings(proxies={}, backoff_s=0.01, keep_s=60)

CHILD_START = """
import sys
from pathlib import Path
from ModelManagerLib.catalog import Source
from ModelManagerLib.transfer import download
from ModelManagerLib.transfer_settings import TransferSettings
url, part, count, sha256 = sys.argv[1:]
settings = TransferSettings(proxies={}, keep_s=0.05, beat_s=0.1, missed_beats=4, backoff_s=0.01)
tell = lambda fraction, text: print(f"{fraction} {text}", flush=True)

def fetch():
    found = download(Source((url,), int(count), sha256), Path(part), settings=settings, progress=tell)
    print("done", found.sha256, flush=True)
"""
CHILD = CHILD_START + "fetch()"


@pytest.fixture
def server():
    with ModelServer({FILE: CONTENT}) as running:
        yield running


def source_of(server: ModelServer) -> Source:
    return Source(urls=(server.url(FILE),), bytes=len(CONTENT), sha256=SHA256)


def arguments(server: ModelServer, part: Path) -> list[str]:
    """What CHILD is told."""
    return [server.url(FILE), str(part), str(len(CONTENT)), SHA256]


def child(server: ModelServer, part: Path) -> subprocess.Popen:
    """A download as a process of its own."""
    program = [sys.executable, "-c", CHILD, *arguments(server, part)]
    return subprocess.Popen(program, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


def cancelled_after(source: Source, part: Path, condition, settings: TransferSettings = SETTINGS) -> tuple[float, str]:
    """Cancels once the condition holds; seconds from then to the error, and its sentence."""
    token, at, said = CancelToken(), [], []

    def cancel() -> None:
        wait_until(lambda: condition(said))
        at.append(time.monotonic())
        token.cancel()

    threading.Thread(target=cancel, daemon=True).start()
    with pytest.raises(Cancelled) as error:
        download(source, part, settings=settings, cancel=token, progress=lambda _fraction, text: said.append(text))
    return time.monotonic() - at[0], str(error.value)


def test_cancel_works_within_a_second_while_the_server_stalls_and_keeps_the_part(server, tmp_path):
    part = tmp_path / "w.part"
    server.script(FILE, Answer(stall_after=200_000), Answer())
    seconds, sentence = cancelled_after(source_of(server), part, lambda _said: part.exists() and part.stat().st_size == 200_000)
    assert seconds < 1
    assert sentence == "Cancelled; 200 of 600 kB of weights.zip are kept, and the next start goes on from there."
    assert part.read_bytes() == CONTENT[:200_000]
    assert read_sidecar(part).written == 200_000
    assert not (tmp_path / "w.part.lock").exists()
    assert download(source_of(server), part, settings=SETTINGS).sha256 == SHA256
    assert server.requests()[1].headers["range"] == "bytes=200000-"


def test_cancel_works_within_a_second_before_the_server_answers_at_all(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent_server:
        url = f"http://127.0.0.1:{silent_server.getsockname()[1]}/w.zip"
        began = time.monotonic()
        seconds, _sentence = cancelled_after(
            Source((url,), 5, None), tmp_path / "w", lambda _said: time.monotonic() > began + 0.3
        )
    assert seconds < 1


def test_cancel_works_within_a_second_while_it_waits_for_its_next_try(server, tmp_path):
    server.script(FILE, Answer(status=503, headers={"Retry-After": "60"}))
    seconds, _sentence = cancelled_after(source_of(server), tmp_path / "w.part", lambda said: len(said) > 0)
    assert seconds < 1


def test_cancel_works_within_a_second_while_another_process_downloads_the_same(server, tmp_path):
    server.script(FILE, Answer(stall_after=200_000))
    other = child(server, tmp_path / "w.part")
    try:
        wait_until(lambda: (tmp_path / "w.part.lock").exists())
        seconds, _sentence = cancelled_after(
            source_of(server),
            tmp_path / "w.part",
            lambda said: any(text.startswith(f"weights.zip is in use by process {other.pid} on ") for text in said),
        )
    finally:
        other.kill()
        other.communicate()
    assert seconds < 1


def test_a_token_that_is_cancelled_already_asks_nobody(server, tmp_path):
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        download(source_of(server), tmp_path / "w.part", settings=SETTINGS, cancel=token)
    assert not (tmp_path / "w.part.lock").exists()


def test_an_error_in_the_caller_s_progress_keeps_the_part(server, tmp_path):
    server.script(FILE, Answer(stall_after=200_000))

    def progress(_fraction, _text):
        if (tmp_path / "w.part").stat().st_size == 200_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(source_of(server), tmp_path / "w.part", settings=SETTINGS, progress=progress)
    assert read_sidecar(tmp_path / "w.part").written == 200_000


def test_after_a_kill_the_next_run_waits_for_the_dead_and_goes_on(server, tmp_path):
    part = tmp_path / "w.part"
    server.script(FILE, Answer(bytes_per_s=20_000), Answer())
    victim = child(server, part)
    wait_until(lambda: read_sidecar(part) is not None and read_sidecar(part).written > 1000)
    victim.kill()
    victim.communicate()
    assert (tmp_path / "w.part.lock").exists()
    kept = read_sidecar(part).written
    said = []
    quick = TransferSettings(proxies={}, beat_s=0.1, missed_beats=4)
    found = download(source_of(server), part, settings=quick, progress=lambda _fraction, text: said.append(text))
    assert found.sha256 == SHA256
    assert server.requests()[1].headers["range"] == f"bytes={kept}-"
    assert said[0].startswith(f"weights.zip is in use by process {victim.pid} on ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.part", "w.part.json"]


def test_two_processes_that_want_the_same_file_fetch_it_once(server, tmp_path):
    both = [child(server, tmp_path / "w.part") for _ in range(2)]
    told = [process.communicate(timeout=180) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert all(out.splitlines()[-1] == f"done {SHA256}" for out, _err in told)
    assert len(server.requests()) == 1


def test_the_same_process_cannot_download_the_same_part_twice_at_once(server, tmp_path):
    server.script(FILE, Answer(stall_after=200_000))
    token = CancelToken()

    def first() -> None:
        with pytest.raises(Cancelled):
            download(source_of(server), tmp_path / "w.part", settings=SETTINGS, cancel=token)

    thread = threading.Thread(target=first)
    thread.start()
    wait_until(lambda: (tmp_path / "w.part.lock").exists())
    with pytest.raises(ModelError, match="weights.zip is in use by this same process"):
        download(source_of(server), tmp_path / "w.part", settings=SETTINGS)
    token.cancel()
    thread.join()


def test_a_download_whose_part_another_process_took_over_stops(server, tmp_path):
    part = tmp_path / "w.part"
    server.script(FILE, Answer(stall_after=200_000))

    def progress(_fraction, _text):
        if part.stat().st_size == 200_000:
            text = sidecar_path(part).read_text()
            sidecar_path(part).write_text(text.replace(read_sidecar(part).owner, "f" * 32))

    settings = TransferSettings(proxies={}, read_s=0.5, attempts=2, backoff_s=0.01, keep_s=0.0)
    with pytest.raises(OutputError, match="w.part: another process writes to this download now"):
        server.script(FILE, Answer(stall_after=200_000), Answer())
        download(source_of(server), part, settings=settings, progress=progress)


def test_a_folder_that_cannot_be_made_is_one_sentence(server, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="w.part.lock: the lock file could not be written"):
        download(source_of(server), tmp_path / "file" / "w.part", settings=SETTINGS)


FULL = """
import subprocess
from ModelManagerLib.transfer_part import read_sidecar
from OncoLib.errors import OutputError
folder = str(Path(part).parent)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", folder], check=True)
try:
    fetch()
except OutputError as error:
    print(error)
print("kept", read_sidecar(Path(part)).written, "of", Path(part).stat().st_size)
subprocess.run(["mount", "-o", "remount,size=4m", folder], check=True)
fetch()
"""


def test_a_full_disk_is_one_sentence_and_the_part_goes_on_once_there_is_room(server, tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    alone = [shutil.which("unshare") or "unshare", "--user", "--map-root-user", "--mount"]
    try:
        subprocess.run([*alone, "mount", "-t", "tmpfs", "none", str(folder)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets no ordinary process mount a small disk of its own")
    program = [*alone, sys.executable, "-c", CHILD_START + FULL, *arguments(server, folder / "w.part")]
    done = subprocess.run(program, env=environment(), capture_output=True, text=True)
    kept = int(server.requests()[1].headers["range"].removeprefix("bytes=").removesuffix("-"))
    assert 100_000 < kept < 300_000
    assert [line for line in done.stdout.splitlines() if " of 600 kB" not in line] == [
        f"w.part: the disk is full; free space, then start it again: {kept / 1e3:.0f} kB are kept",
        f"kept {kept} of {kept}",
        f"done {SHA256}",
    ], done


def test_a_write_that_fails_half_way_leaves_whole_chunks(server, tmp_path, monkeypatch):
    part, write = tmp_path / "w.part", os.write

    def full(file: int, data) -> int:
        if part.exists() and os.path.samestat(os.fstat(file), part.stat()) and part.stat().st_size > 100_000:
            write(file, bytes(data[:100]))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, data)

    monkeypatch.setattr("ModelManagerLib.transfer_part.os.write", full)
    with pytest.raises(OutputError, match="the disk is full"):
        download(source_of(server), part, settings=SETTINGS)
    monkeypatch.undo()
    kept = part.stat().st_size
    assert read_sidecar(part).written == kept > 100_000
    assert part.read_bytes() == CONTENT[:kept]
    assert download(source_of(server), part, settings=SETTINGS).sha256 == SHA256

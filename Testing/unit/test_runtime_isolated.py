"""The isolated kind with real pip and real, tiny wheels: what comes, what stays when something is wrong, what goes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from helpers_runtime import QUICK_LOCKS, TINY, in_worker, index_of, make_wheel, only_index, shop_in, write_lock
from ModelManagerLib import runtime, runtime_places
from ModelManagerLib.runtime_sets import SETS
from ModelManagerLib.transfer_settings import OfflineError, TransferSettings
from OncoLib.errors import Cancelled, InputError, ModelError, OutputError
from OncoLib.progress import CancelToken

VALUES = "import json, oncotiny_first, oncotiny_second; print(json.dumps([oncotiny_first.VALUE, oncotiny_second.__file__]))"


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.setitem(SETS, "tiny", TINY)
    return shop_in(tmp_path)


def files_left(shop):
    """What lies beside the set: nothing, when all went well."""
    below = [path for name in ("staging", "trash", "parts") for path in (shop.root / name).rglob("*")]
    return [path.name for path in below if not path.is_dir() or path.parent.name != "parts"]


def test_a_set_is_installed_from_a_folder_of_wheels_and_only_workers_see_it(shop):
    shop.stock()
    assert runtime.worker_path(shop.root) == []
    before = subprocess.run([sys.executable, "-m", "pip", "freeze"], capture_output=True).stdout
    state = runtime.install("tiny", wheels=shop.wheels, **shop.common)
    assert (state.kind, state.folder, state.versions) == (
        "isolated",
        str(shop.folder),
        {"oncotiny-first": "1.0", "oncotiny-second": "1.0"},
    )
    assert state.bytes >= 5000
    assert runtime.worker_path(shop.root) == [str(shop.folder)]
    assert in_worker(runtime.worker_path(shop.root), VALUES) == [42, str(shop.folder / "oncotiny_second.py")]
    assert "oncotiny_first" not in sys.modules and str(shop.folder) not in sys.path
    with pytest.raises(ImportError):
        import oncotiny_first  # noqa: F401
    assert subprocess.run([sys.executable, "-m", "pip", "freeze"], capture_output=True).stdout == before
    assert files_left(shop) == []
    assert runtime.verify("tiny", root=shop.root).sound


def test_the_path_of_workers_is_cheap(shop):
    shop.stock()
    runtime.install("tiny", wheels=shop.wheels, **shop.common)
    began = time.perf_counter()
    for _ in range(100):
        runtime.worker_path(shop.root)
    assert (time.perf_counter() - began) / 100 < 0.01


def test_what_is_whole_is_not_installed_again(shop):
    shop.stock()
    runtime.install("tiny", wheels=shop.wheels, **shop.common)
    inode, lines = os.stat(shop.folder).st_ino, []
    runtime.install("tiny", wheels=shop.wheels, log=lines.append, **shop.common)
    assert os.stat(shop.folder).st_ino == inode and lines == []


@pytest.mark.parametrize("change", ["changed", "missing", "additional", "record", "link", "manifest"])
def test_verify_tells_each_change_and_install_repairs_it(shop, change):
    shop.stock()
    runtime.install("tiny", wheels=shop.wheels, **shop.common)
    good = shop.states_of_files()
    target = shop.folder / "oncotiny_second.py"
    if change == "changed":
        target.write_text("VALUE = 43\n")
        expected = ("changed", "oncotiny_second.py")
    elif change == "missing":
        target.unlink()
        expected = ("missing", "oncotiny_second.py")
    elif change == "additional":
        (shop.folder / "sitecustomize.py").write_text("")
        expected = ("additional", "sitecustomize.py")
    elif change == "record":  # a file and the record of it, together
        record = shop.folder / "oncotiny_second-1.0.dist-info" / "RECORD"
        record.write_text("".join(line for line in record.read_text().splitlines(True) if "METADATA" not in line))
        expected = ("changed", "oncotiny_second-1.0.dist-info/RECORD")
    elif change == "link":
        elsewhere = shop.root / "elsewhere.py"
        target.rename(elsewhere)
        target.symlink_to(elsewhere)
        expected = ("changed", "oncotiny_second.py")
    else:
        (shop.folder / runtime_places.MANIFEST).write_text("{}")
        assert runtime.worker_path(shop.root) == []
        assert runtime.state("tiny", shop.root, locks_folder=shop.locks).kind == "damaged"
        expected = ("additional", "oncotiny_second-1.0.dist-info/RECORD")
    found = runtime.verify("tiny", root=shop.root)
    assert expected in [(one.what, one.path) for one in found.problems]
    assert not found.sound and expected[0] in found.sentence
    runtime.install("tiny", wheels=shop.wheels, **shop.common)
    assert runtime.verify("tiny", root=shop.root).sound
    assert {k: v for k, v in shop.states_of_files().items() if k in good} == good
    assert files_left(shop) == []


def test_a_newer_list_makes_the_set_outdated_and_install_brings_it(shop):
    shop.stock()
    runtime.install("tiny", wheels=shop.wheels, **shop.common)
    shop.stock("2.0")
    old = runtime.state("tiny", shop.root, locks_folder=shop.locks)
    assert (old.kind, old.usable) == ("outdated", True)
    assert runtime.worker_path(shop.root) == [str(shop.folder)]
    assert runtime.install("tiny", wheels=shop.wheels, **shop.common).versions["oncotiny-first"] == "2.0"
    assert files_left(shop) == []


def test_remove_takes_it_away_while_a_worker_uses_it(shop):
    shop.stock()
    runtime.install("tiny", wheels=shop.wheels, **shop.common)
    code = "import sys, oncotiny_first; print('in', flush=True); sys.stdin.read(); print(oncotiny_first.VALUE)"
    boot = f"import sys; sys.path.insert(0, {str(shop.folder)!r}); {code}"
    worker = subprocess.Popen([sys.executable, "-c", boot], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert worker.stdout.readline() == "in\n"
    freed = runtime.remove("tiny", root=shop.root, lock_options=QUICK_LOCKS)
    assert freed >= 5000 and not shop.folder.exists() and files_left(shop) == []
    assert worker.communicate("")[0] == "42\n"
    assert runtime.state("tiny", shop.root, locks_folder=shop.locks).kind == "missing"
    with pytest.raises(ModelError, match="tiny is not installed"):
        runtime.remove("tiny", root=shop.root)


def test_wheels_that_arrived_are_not_fetched_again(shop, monkeypatch):
    first, second = shop.stock()
    content = second.read_bytes()
    with index_of(shop.wheels) as index:
        only_index(monkeypatch, index)
        second.write_bytes(content[:-20])  # cut off in the middle
        with pytest.raises(ModelError, match="another SHA-256|damaged"):
            runtime.install("tiny", **shop.common)
        assert not shop.folder.exists()
        second.write_bytes(content)
        index.asked.clear()
        runtime.install("tiny", **shop.common)
        assert [path for path in index.asked if path.endswith(".whl")] == [f"/files/{second.name}"]
    assert files_left(shop) == []


def test_a_part_that_changed_on_the_disk_is_fetched_again(shop, monkeypatch):
    first, second = shop.stock()
    places = runtime_places.Places(shop.root, "tiny")
    places.parts.mkdir(parents=True)
    (places.parts / first.name).write_bytes(b"not a wheel")
    with index_of(shop.wheels) as index:
        only_index(monkeypatch, index)
        runtime.install("tiny", **shop.common)
        assert sorted(path for path in index.asked if path.endswith(".whl")) == [f"/files/{first.name}", f"/files/{second.name}"]


def test_a_file_with_another_hash_is_refused_and_the_old_set_stays(shop, monkeypatch):
    shop.stock()
    runtime.install("tiny", wheels=shop.wheels, **shop.common)
    good = shop.states_of_files()
    shop.stock("2.0")
    make_wheel(shop.wheels, "oncotiny-second", "2.0", {"oncotiny_second.py": "VALUE = 13\n"})  # not as listed
    with index_of(shop.wheels) as index:
        only_index(monkeypatch, index)
        with pytest.raises(ModelError, match="oncotiny-second: a file of the index is not the one that was listed"):
            runtime.install("tiny", **shop.common)
    with pytest.raises(InputError, match="the wheels of oncotiny-second 2.0 are not there, or not as listed"):
        runtime.install("tiny", wheels=shop.wheels, **shop.common)
    assert shop.states_of_files() == good and runtime.verify("tiny", root=shop.root).sound


def test_cancel_in_a_download_ends_pip_and_keeps_the_old_set(shop, monkeypatch):
    shop.stock()
    runtime.install("tiny", wheels=shop.wheels, **shop.common)
    good, cancel = shop.states_of_files(), CancelToken()
    noise = hashlib.sha256(b"").hexdigest()
    for number in range(3000):  # does not compress
        noise += hashlib.sha256(str(number).encode()).hexdigest()
    shop.stock("2.0", oncotiny_first={"oncotiny_first/__init__.py": "", "oncotiny_first/data.bin": noise})
    with index_of(shop.wheels) as index:
        only_index(monkeypatch, index)
        index.slow_s = 0.2

        def stop():
            while not any(path.endswith(".whl") for path in index.asked):
                time.sleep(0.02)
            cancel.cancel()

        threading.Thread(target=stop, daemon=True).start()
        with pytest.raises(Cancelled):
            runtime.install("tiny", cancel=cancel, **shop.common)
    assert shop.states_of_files() == good
    assert pips_below(shop.root) == []


def pips_below(root: Path) -> list[str]:
    """Processes that work in that folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if str(entry.resolve()).startswith(str(root)):
                found.append(entry.parent.name)
        except OSError:
            continue
    return found


def test_two_at_once_wait_for_each_other(shop):
    shop.stock()
    said, results = [], []

    def work():
        code = (
            "import sys, json; from pathlib import Path\n"
            "from helpers_runtime import TINY, Shop\n"
            "from ModelManagerLib import runtime; from ModelManagerLib.runtime_sets import SETS; SETS['tiny'] = TINY\n"
            f"shop = Shop(*map(Path, {[str(shop.root), str(shop.wheels), str(shop.locks)]!r})); said = []\n"
            "state = runtime.install('tiny', wheels=shop.wheels, progress=lambda f, m: said.append(m), **shop.common)\n"
            "print(json.dumps([state.kind, said]))"
        )
        path = os.pathsep.join(entry for entry in sys.path if entry)
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
        )
        results.append((done.returncode, done.stderr))
        if done.returncode == 0:
            kind, messages = json.loads(done.stdout)
            said.append(messages)
            results[-1] = (0, kind)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [(0, "isolated")] * 2
    assert sum("Unpacking" in messages for messages in said) == 1  # the second found it whole
    assert runtime.verify("tiny", root=shop.root).sound and files_left(shop) == []


def test_hooks_of_a_wheel_never_run(shop, tmp_path):
    marker = tmp_path / "ran"
    evil = f"import pathlib; pathlib.Path({str(marker)!r}).touch()\n"
    shop.stock(oncotiny_second={"oncotiny_second.py": "VALUE = 42\n", "evil.pth": evil, "sitecustomize.py": evil})
    runtime.install("tiny", wheels=shop.wheels, **shop.common)
    assert in_worker(runtime.worker_path(shop.root), VALUES)[0] == 42
    assert (shop.folder / "evil.pth").is_file() and not marker.exists()


def test_a_wheel_that_leads_out_of_its_folder_is_refused(shop, tmp_path):
    first, second = shop.stock()
    outside = tmp_path / "outside.py"
    with zipfile.ZipFile(second, "a") as archive:
        archive.writestr(f"../../../../../../../../../..{outside}", "stolen = True\n")
    write_lock(shop.locks, [first, second])
    with pytest.raises(ModelError, match="nothing was changed"):
        runtime.install("tiny", wheels=shop.wheels, **shop.common)
    assert not outside.exists() and not shop.folder.exists() and files_left(shop) == []


def test_a_wheel_whose_record_is_wrong_is_refused(shop):
    first, second = shop.stock()
    with zipfile.ZipFile(second) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content["oncotiny_second.py"] = b"VALUE = 13\n"  # RECORD still has the hash of the other
    with zipfile.ZipFile(second, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    write_lock(shop.locks, [first, second])
    with pytest.raises(ModelError, match=r"1 changed \(oncotiny_second.py\); nothing was changed"):
        runtime.install("tiny", wheels=shop.wheels, **shop.common)
    assert not shop.folder.exists() and files_left(shop) == []


def test_packages_that_cannot_be_imported_are_not_taken(shop):
    shop.stock(oncotiny_second={"oncotiny_second.py": "raise RuntimeError('no AVX here')\n"})
    with pytest.raises(ModelError, match=r"do not work on this machine \(RuntimeError: no AVX here\); nothing was changed"):
        runtime.install("tiny", wheels=shop.wheels, **shop.common)
    assert not shop.folder.exists() and files_left(shop) == []


def test_packages_of_the_host_do_not_help_a_set_along(shop):
    shop.stock(oncotiny_second={"oncotiny_second.py": "import numpy\nVALUE = 42\n"})
    with pytest.raises(ModelError, match="No module named 'numpy'"):
        runtime.install("tiny", wheels=shop.wheels, **shop.common)


def test_settings_of_pip_that_would_break_it_do_not(shop, tmp_path, monkeypatch):
    shop.stock()
    with index_of(shop.wheels) as index:
        config = tmp_path / "pip.conf"
        host = index.url.split("/")[2]
        index.wanted_password = "me:secret"
        config.write_text(
            f"[global]\nindex-url = http://me:secret@{host}/simple\nrequire-virtualenv = true\n"
            f"[install]\ntarget = {tmp_path / 'elsewhere'}\nuser = true\nno-binary = :all:\n"
        )
        only_index(monkeypatch, index)
        monkeypatch.delenv("PIP_INDEX_URL")
        monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
        monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "missing.txt"))
        lines = []
        assert runtime.install("tiny", log=lines.append, **shop.common).kind == "isolated"
    assert not (tmp_path / "elsewhere").exists()
    assert not any("secret" in line for line in lines)


def test_offline_and_unreachable_are_told_in_one_sentence(shop, monkeypatch):
    shop.stock()
    with pytest.raises(OfflineError, match="offline mode is on"):
        runtime.install("tiny", **{**shop.common, "settings": TransferSettings(offline=True)})
    with index_of(shop.wheels) as index:
        only_index(monkeypatch, index)
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(ModelError, match="the index of packages cannot be reached"):
        runtime.install("tiny", **shop.common)
    with pytest.raises(InputError, match="nowhere is no folder of wheels"):
        runtime.install("tiny", wheels=shop.root / "nowhere", **shop.common)
    with pytest.raises(InputError, match="the wheels of oncotiny-first 1.0, oncotiny-second 1.0 are not there"):
        (shop.root / "empty").mkdir(parents=True, exist_ok=True)
        runtime.install("tiny", wheels=shop.root / "empty", **shop.common)


def test_too_little_space_is_told_before_anything_is_done(shop, monkeypatch):
    shop.stock()
    monkeypatch.setattr(runtime_places, "free_bytes", lambda folder: 900_000)
    with pytest.raises(OutputError, match="tiny needs 0.00 GB of free space and 0.00 GB are free"):
        runtime.install("tiny", wheels=shop.wheels, **shop.common)
    assert not shop.folder.exists()


def test_the_root_is_the_users_or_that_of_the_variable(tmp_path):
    assert runtime_places.runtime_root({}, tmp_path) == tmp_path / ".oncosegment" / "runtime"
    assert runtime_places.runtime_root({"ONCOSEGMENT_RUNTIME": str(tmp_path)}) == tmp_path
    with pytest.raises(InputError, match="wanted an absolute path"):
        runtime_places.runtime_root({"ONCOSEGMENT_RUNTIME": "here"})


def test_a_folder_of_another_python_is_left_alone(shop):
    shop.stock()
    runtime.install("tiny", wheels=shop.wheels, **shop.common)
    manifest = shop.folder / runtime_places.MANIFEST
    facts = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**facts, "python": "cp399"}))
    assert runtime.worker_path(shop.root) == []

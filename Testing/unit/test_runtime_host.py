"""The host kind in fresh virtual environments: packages are added, and one that is there is never changed."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from helpers_runtime import QUICK_LOCKS, SETTINGS, TINY, index_of, make_wheel, only_index, shop_in, write_lock
from ModelManagerLib import runtime
from ModelManagerLib.runtime_host import Host, constraints_of, host_kind, look
from ModelManagerLib.runtime_sets import SETS, set_named
from OncoLib.errors import ModelError


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    """A virtual environment with nothing but pip."""
    folder = tmp_path_factory.mktemp("host") / "venv"
    venv.create(folder, with_pip=True, symlinks=True)
    return folder


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.setitem(SETS, "tiny", TINY)
    return shop_in(tmp_path)


@pytest.fixture
def host(fresh):
    """That environment; what a test put into it is gone afterwards."""
    names = ["oncotiny-first", "oncotiny-second"]
    yield Host("host", str(fresh / "bin" / "python"), tuple(map(str, fresh.glob("lib/*/site-packages"))))
    subprocess.run([fresh / "bin" / "python", "-m", "pip", "uninstall", "-y", "-q", *names], capture_output=True, check=True)


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="another layout of the environment")


def pip(host, *arguments) -> str:
    """What pip of the host prints."""
    return subprocess.run([host.python, "-m", "pip", *arguments], capture_output=True, text=True, check=True).stdout


def freeze(host) -> set[str]:
    """Packages and versions."""
    return set(pip(host, "freeze", "--all").split("\n"))


def install(shop, host, **options):
    """Into the host."""
    return runtime.install("tiny", "host", host=host, **shop.common, **{"wheels": shop.wheels, **options})


def test_what_is_missing_is_added_and_the_rest_stays(shop, host):
    first = make_wheel(shop.wheels, "oncotiny-first", "1.0", requires=("oncotiny-second>=1",))
    write_lock(shop.locks, [first, make_wheel(shop.wheels, "oncotiny-second", "1.0")])
    before = freeze(host)
    assert runtime.state("tiny", shop.root, host, locks_folder=shop.locks).kind == "missing"
    state = install(shop, host)
    assert (state.kind, state.versions, state.folder) == ("host", {"oncotiny-first": "1.0"}, "")
    assert freeze(host) - before == {"oncotiny-first==1.0", "oncotiny-second==1.0"} and before <= freeze(host)
    assert runtime.verify("tiny", root=shop.root, host=host).sound
    assert runtime.worker_path(shop.root) == []
    place = Path(host.path[0]) / "oncotiny_first" / "__init__.py"
    place.write_text(place.read_text() + "# changed\n")
    assert [(one.what, one.path) for one in runtime.verify("tiny", root=shop.root, host=host).problems] == [
        ("changed", "oncotiny_first/__init__.py")
    ]
    with pytest.raises(ModelError, match="tiny lies in this Python, which others use too"):
        runtime.remove("tiny", root=shop.root, host=host, lock_options=QUICK_LOCKS)


def test_an_older_package_that_fits_is_kept(shop, host):
    make_wheel(shop.wheels, "oncotiny-second", "0.5")
    pip(host, "install", "-q", "--no-index", "--find-links", str(shop.wheels), "oncotiny-second==0.5")
    first = make_wheel(shop.wheels, "oncotiny-first", "1.0", requires=("oncotiny-second>=0.1",))
    write_lock(shop.locks, [first, make_wheel(shop.wheels, "oncotiny-second", "1.0")])
    before = freeze(host)
    install(shop, host)
    assert freeze(host) == before | {"oncotiny-first==1.0"}


def test_an_older_package_that_would_have_to_change_stops_it(shop, host):
    make_wheel(shop.wheels, "oncotiny-second", "0.5")
    pip(host, "install", "-q", "--no-index", "--find-links", str(shop.wheels), "oncotiny-second==0.5")
    first = make_wheel(shop.wheels, "oncotiny-first", "1.0", requires=("oncotiny-second>=1",))
    write_lock(shop.locks, [first, make_wheel(shop.wheels, "oncotiny-second", "1.0")])
    before = freeze(host)
    with pytest.raises(ModelError, match="it would change a package that is there; nothing was changed; install it as isolated"):
        install(shop, host)
    assert freeze(host) == before
    assert runtime.install("tiny", wheels=shop.wheels, host=host, **shop.common).kind == "isolated"  # there it can be
    assert freeze(host) == before


def test_a_set_that_is_there_in_another_version_is_refused_before_pip_starts(shop, host):
    make_wheel(shop.wheels, "oncotiny-first", "0.9")
    pip(host, "install", "-q", "--no-index", "--find-links", str(shop.wheels), "oncotiny-first==0.9")
    shop.stock()
    lines = []
    with pytest.raises(ModelError, match="this Python has oncotiny-first 0.9 and oncotiny-first>=1 is wanted"):
        install(shop, host, log=lines.append)
    assert lines == []
    state = runtime.state("tiny", shop.root, host, locks_folder=shop.locks)
    assert state.kind == "missing" and "0.9" in state.why


def test_a_satisfied_host_needs_nothing(shop, host):
    shop.stock()
    pip(host, "install", "-q", "--no-index", "--find-links", str(shop.wheels), "oncotiny-first==1.0")
    lines = []
    state = runtime.install("tiny", host=host, wheels=shop.wheels, log=lines.append, **shop.common)  # no kind asked for
    assert state.kind == "host" and "nothing needs to be installed" in state.why and lines == []


def test_from_an_index_each_file_is_the_one_that_pip_named(shop, host, monkeypatch):
    first = make_wheel(shop.wheels, "oncotiny-first", "1.0", requires=("oncotiny-second>=1",))
    write_lock(shop.locks, [first, make_wheel(shop.wheels, "oncotiny-second", "1.0")])
    make_wheel(shop.wheels, "oncotiny-second", "1.5")  # newer than the list: client and worker take the same
    with index_of(shop.wheels) as index:
        only_index(monkeypatch, index)
        install(shop, host, wheels=None)
    assert {"oncotiny-first==1.0", "oncotiny-second==1.0"} <= freeze(host)


def test_in_slicer_pytorch_comes_from_its_extension(shop, host):
    inside = Host("slicer", host.python, host.path)
    with pytest.raises(ModelError, match="install Slicer's extension PyTorch"):
        runtime.install("segmentation", host=inside, root=shop.root, settings=SETTINGS, lock_options=QUICK_LOCKS)
    assert look(set_named("segmentation"), inside).missing[0].startswith("torch")


def test_versions_that_pip_cannot_read_do_not_spoil_the_constraints():
    versions = {"numpy": "2.4.6", "old": "0.1-of yesterday", "torch": "2.13.0+cpu"}
    assert constraints_of(versions) == "numpy==2.4.6\ntorch==2.13.0+cpu\n"


def test_how_a_host_is_recognized(tmp_path):
    class Application:
        app = object()

    assert host_kind({"slicer": Application}, {}, str(tmp_path)) == "slicer"
    assert host_kind({}, {"SLICER_HOME": str(tmp_path)}, str(tmp_path / "lib" / "Python")) == "slicer"
    assert host_kind({}, {"SLICER_HOME": str(tmp_path / "Slicer")}, str(tmp_path)) == "host"
    assert host_kind({}, {}, str(tmp_path)) == "host"

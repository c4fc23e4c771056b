"""Lock files: what stands in them, and what they may hold."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from ModelManagerLib.doctor_packages import requirement_class
from ModelManagerLib.runtime_locks import PLATFORMS, PYTHONS, folder_name, lock_path, platform_tag, python_tag, read_lock
from ModelManagerLib.runtime_sets import SETS, chosen_kind, set_named
from OncoLib.errors import InputError, ModelError

LOCKED = [one.name for one in SETS.values() if one.locked]
ALL = [(name, python, where) for name in LOCKED for python in PYTHONS for where in PLATFORMS]


@pytest.mark.parametrize("name, python, where", ALL)
def test_every_platform_has_its_list_with_hashes(name, python, where):
    lock = read_lock(lock_path(name, python=python, where=where))
    assert all(pin.sha256 for pin in lock.pins)
    for text in set_named(name).requirements:
        wanted = requirement_class()(text)
        assert wanted.specifier.contains(lock.pin(wanted.name).version)
    assert {lock.pin(module) for module in set_named(name).modules} & {None} == set()


@pytest.mark.parametrize("python, where", [(python, where) for python in PYTHONS for where in PLATFORMS])
def test_registration_has_the_numpy_and_scipy_that_ants_wants(python, where):
    lock = read_lock(lock_path("registration", python=python, where=where))
    numpy = tuple(int(part) for part in lock.pin("numpy").version.split(".")[:2])
    scipy = tuple(int(part) for part in lock.pin("scipy").version.split(".")[:2])
    assert lock.pin("antspyx").version == "0.6.3"
    assert numpy < (2, 4) and scipy < (1, 16)
    if python != "cp310":
        assert (lock.pin("numpy").version, lock.pin("scipy").version) == ("2.3.5", "1.15.3")


def test_lists_name_no_index_and_no_other_option():
    for name, python, where in ALL:
        text = lock_path(name, python=python, where=where).read_text()
        assert "://" not in text
        assert set(re.findall(r"--[a-z-]+", text)) == {"--hash"}


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://example.org/simple",
        "numpy",
        "numpy>=2 --hash=sha256:" + "0" * 64,
        "numpy==2.0",
        "-e .",
        "numpy==2 ; x",
    ],
)
def test_a_list_with_anything_else_is_refused(tmp_path, line):
    path = tmp_path / "tiny-cp312-linux_x86_64.txt"
    path.write_text(f"a==1 --hash=sha256:{'0' * 64}\n{line}\n")
    with pytest.raises(InputError, match="wanted NAME==VERSION --hash"):
        read_lock(path)


def test_a_package_that_is_listed_twice_is_refused(tmp_path):
    path = tmp_path / "tiny.txt"
    path.write_text(f"a_b==1 --hash=sha256:{'0' * 64}\nA.b==2 --hash=sha256:{'1' * 64}\n")
    with pytest.raises(InputError, match="twice"):
        read_lock(path)


def test_an_unknown_platform_is_told_in_one_sentence():
    with pytest.raises(ModelError, match="registration-cp399-plan9_mips: there is no list of packages"):
        read_lock(lock_path("registration", python="cp399", where="plan9_mips"))


@pytest.mark.parametrize(
    "system, machine, libc, tag",
    [
        ("Linux", "x86_64", "glibc", "linux_x86_64"),
        ("Linux", "x86_64", "", "linux_other_libc_x86_64"),
        ("Linux", "aarch64", "glibc", "linux_aarch64"),
        ("Darwin", "arm64", "", "macos_arm64"),
        ("Windows", "AMD64", "", "windows_amd64"),
    ],
)
def test_the_tags_of_systems(system, machine, libc, tag):
    assert platform_tag(system, machine, libc) == tag


def test_the_tags_of_pythons():
    assert python_tag((3, 12, 1), "") == "cp312"
    assert python_tag((3, 13, 0), "t") == "cp313t"  # free-threaded: other wheels
    assert folder_name("tiny") == f"tiny-cp3{sys.version_info[1]}{sys.abiflags}-{platform_tag()}"


def test_a_set_goes_only_where_it_can():
    assert chosen_kind(set_named("registration"), None) == "isolated"
    assert chosen_kind(set_named("engine"), "slicer") == "host"
    with pytest.raises(InputError, match="engine cannot be isolated: the program itself talks to the workers"):
        chosen_kind(set_named("engine"), "isolated")
    with pytest.raises(InputError, match="no set of packages 'x'; there are registration, engine, segmentation"):
        set_named("x")


def test_the_sets_want_what_the_extras_want(repository_root):
    text = (Path(repository_root) / "pyproject.toml").read_text()
    for name in ("registration", "segmentation"):
        for requirement in set_named(name).requirements:
            assert f'"{requirement}"' in text

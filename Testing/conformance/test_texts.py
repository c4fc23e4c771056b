"""What no file of the project may contain."""

from __future__ import annotations

import pytest

from conformance.rules import texts
from conformance.rules.files import project_files
from conformance.trees import write

RULES = (
    texts.host_and_path_violations,
    texts.line_ending_violations,
    texts.large_file_violations,
    texts.program_violations,
    texts.translation_violations,
)


@pytest.mark.parametrize("rule", RULES)
def test_the_files_of_the_project_keep_the_rule(repository_root, rule):
    assert len(project_files(repository_root)) > 50
    assert rule(repository_root) == []


def test_no_file_is_a_copy_of_the_shared_test_data(repository_root, test_data):
    assert texts.copy_violations(repository_root, test_data) == []


def slashes(*parts: str) -> str:
    """An absolute path, put together here so that this file holds none."""
    return "/" + "/".join(parts)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("pip install --index-url https://" + ".".join(("py" + "pi", "org")), "names the host of a package registry"),
        ("see files." + ".".join(("pythonhosted", "org")), "names the host of a package registry"),
        (f"open('{slashes('home', 'me', 'scan.nii')}')", "holds an absolute path"),
        (f"data in {slashes('tmp', 'data')}", "holds an absolute path"),
        ("C:" + "\\Users\\me", "holds an absolute path"),
    ],
)
def test_hosts_and_absolute_paths_are_found(tmp_path, line, reason):
    found = texts.host_and_path_violations(write(tmp_path, {"a.md": f"first\n{line}\n"}))
    assert len(found) == 1
    assert found[0].startswith("a.md:2 ")
    assert reason in found[0]


@pytest.mark.parametrize(
    "line",
    ["#!/usr/bin/env python3", "https://example.org/home/page", "a/tmp/b", "../work/x", "x = y / work / 2", "$HOME/tmp/x"],
)
def test_relative_paths_addresses_and_division_are_no_violation(tmp_path, line):
    assert texts.host_and_path_violations(write(tmp_path, {"a.py": line})) == []


def test_carriage_returns_are_found_in_texts_only(tmp_path):
    root = write(tmp_path, {"a.py": "x = 1\r\n", "b.png": b"\x89PNG\r\n\x1a\n\0"})
    assert texts.line_ending_violations(root) == ["a.py: has CR line ends"]


def test_demonstration_networks_have_a_limit_of_their_own(tmp_path):
    files = {f"{texts.MODELS}demo/{size}.pt": b"x" * size for size in (5_000_000, 5_000_001)}
    assert texts.large_file_violations(write(tmp_path, files)) == [
        f"{texts.MODELS}demo/5000001.pt: 5000001 bytes, at most 5000000 wanted"
    ]


def test_large_files_are_found(tmp_path):
    assert texts.large_file_violations(write(tmp_path, {"a.nii.gz": b"x" * 1_000_001})) == [
        "a.nii.gz: 1000001 bytes, at most 1000000 wanted"
    ]


@pytest.mark.parametrize(("name", "content"), [("a", b"\x7fELF\x02\x01"), ("b.dll", b""), ("c.bin", b"\xcf\xfa\xed\xfe\x07")])
def test_programs_are_found(tmp_path, name, content):
    assert texts.program_violations(write(tmp_path, {name: content})) == [f"{name}: an executable binary"]


def test_a_copy_of_test_data_is_found_under_another_name(tmp_path):
    project = write(tmp_path / "project", {"Testing/mine.gz": b"voxels", "other.gz": b"sexlov"})
    data = write(tmp_path / "data", {"ct.nii.gz": b"voxels"})
    assert texts.copy_violations(project, data) == ["Testing/mine.gz: a copy of the test data's ct.nii.gz"]


def test_a_formatted_text_for_translation_is_found(tmp_path):
    root = write(tmp_path, {"a.py": "_('{n} segments').format(n=1)\n_(f'{n} segments')\n_('a' % b)\n"})
    assert [line.split(" ")[0] for line in texts.translation_violations(root)] == ["a.py:2", "a.py:3"]

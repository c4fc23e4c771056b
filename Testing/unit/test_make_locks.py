"""The tool that writes lock files: what it takes from the resolver's answer, and that its tables fit the program's."""

from __future__ import annotations

import pytest

from ModelManagerLib.runtime_locks import PLATFORMS, read_lock
from ModelManagerLib.runtime_sets import SETS
from tools import make_locks

SOURCE, TWO, THREE = "1" * 64, "2" * 64, "3" * 64
ANSWER = f"""
name = "a-b"
version = "1.2"
sdist = {{ url = "https://example.org/a_b-1.2.tar.gz", hashes = {{ sha256 = "{SOURCE}" }} }}
wheels = [
    {{ url = "https://example.org/a_b-1.2-cp312-cp312-win_amd64.whl", size = 7, hashes = {{ sha256 = "{THREE}" }} }},
    {{ url = "https://example.org/a_b-1.2-py3-none-any.whl", hashes = {{ sha256 = "{TWO}" }} }},
]
"""


def test_wheels_are_listed_and_sources_and_addresses_are_not(tmp_path):
    text = make_locks.lines_of(ANSWER)
    assert text == f"a-b==1.2 \\\n    --hash=sha256:{TWO} \\\n    --hash=sha256:{THREE}\n"
    path = tmp_path / "tiny.txt"
    path.write_text(make_locks.HEAD + text)
    assert read_lock(path).pins[0].sha256 == {TWO, THREE}
    assert make_locks.versions_of(path) == "a-b==1.2\n"
    assert make_locks.versions_of(tmp_path / "none.txt") == ""


def test_a_package_without_a_wheel_stops_the_tool():
    with pytest.raises(SystemExit, match="a-b 1.2: uv named no wheel"):
        make_locks.lines_of(ANSWER.partition("wheels")[0])


def test_the_tables_of_the_tool_are_those_of_the_program():
    assert set(make_locks.TARGETS) == set(PLATFORMS)
    assert set(make_locks.WANTED) == {one.name for one in SETS.values() if one.locked}
    for requirement in SETS["engine"].requirements:
        assert requirement in make_locks.WANTED["engine"]

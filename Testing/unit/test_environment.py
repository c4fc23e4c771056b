"""Facts about the machine, against what the system itself says."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from pathlib import Path

import pytest

from ModelManagerLib.catalog import card, cards
from ModelManagerLib.environment import environment
from OncoLib.errors import ModelError


def test_versions_are_those_that_are_installed():
    found = environment()
    assert found.packages["numpy"] == importlib.metadata.version("numpy")
    assert "no-such-package" not in found.packages
    assert found.cores == os.cpu_count() and found.free_disk_gb > 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_what_linux_says():
    kilobytes = int(Path("/proc/meminfo").read_text().split("MemTotal:")[1].split()[0])
    assert environment().memory_gb == pytest.approx(kilobytes * 1024 / 1e9, rel=1e-3)


def test_what_is_not_installed_is_said():
    rows = dict(environment().rows())
    absent = [name for name in ("torch", "monai") if name not in environment().packages]
    assert all(rows[name] == "not installed" for name in absent)


def test_the_built_in_model_has_a_card_and_others_are_told():
    assert card("thresholds") in cards()
    with pytest.raises(ModelError, match="no model 'no-such'; there are thresholds"):
        card("no-such")

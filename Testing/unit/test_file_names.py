"""File names from names of segments: safe on Windows too, short, and no two alike."""

from __future__ import annotations

import unicodedata
from pathlib import PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from OncoLib.file_names import LONGEST_BYTES, safe_name, safe_names

RESERVED = set('<>:"/\\|?*')
"""Signs that Windows takes in no file name."""


@given(st.lists(st.text(max_size=150), min_size=1, max_size=8))
def test_any_names_give_safe_names_that_no_file_system_takes_for_each_other(names):
    safe = safe_names(names)
    assert len(safe) == len(names)
    for name in safe:
        assert name and len(name.encode("utf-8")) <= LONGEST_BYTES + 1
        assert not RESERVED & set(name) and name.isprintable() and " " not in name
        assert name[0] not in ".-" and name[-1] not in ". "
        assert not PureWindowsPath(f"{name}.stl").is_reserved()
        assert unicodedata.is_normalized("NFC", name)
    assert len({unicodedata.normalize("NFD", name).lower() for name in safe}) == len(names)
    assert len({unicodedata.normalize("NFC", name).upper() for name in safe}) == len(names)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Liver lesion 1", "Liver_lesion_1"),
        ("../../etc/passwd", "etc_passwd"),
        ("L5", "L5"),
        ("a: b / c", "a_b_c"),
        ("Läsion", "Läsion"),
        ("腫瘍 2", "腫瘍_2"),
        ("CON", "CON_"),
        ("nul.tar", "nul.tar_"),
        ("lpt1", "lpt1_"),
        ("console", "console"),
        ("...", "segment"),
        ("", "segment"),
        ("\x00\n", "segment"),
        ("-rf", "rf"),
    ],
)
def test_one_name(name, wanted):
    assert safe_name(name) == wanted


def test_names_that_meet_are_numbered():
    assert safe_names(["Lesion 1", "Lesion/1", "LESION 1", "Lesion_1-2"]) == [
        "Lesion_1",
        "Lesion_1-2",
        "LESION_1-3",
        "Lesion_1-2-2",
    ]


def test_composed_and_decomposed_letters_are_one_name():
    composed, decomposed = "L\u00e4sion", "La\u0308sion"
    assert safe_names([composed, decomposed]) == [composed, f"{composed}-2"]


def test_long_names_are_cut_between_letters_and_stay_apart():
    first, second = safe_names(["腫" * 200, "腫" * 201])
    assert first == "腫" * (LONGEST_BYTES // 3)
    assert second.endswith("-2") and second[:-2] == "腫" * ((LONGEST_BYTES - 2) // 3)

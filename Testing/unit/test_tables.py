"""Text tables in terminals of any width: nothing is lost, no number is broken, and what fits is left as it is."""

from __future__ import annotations

import io
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from OncoAppLib.tables import laid_out
from OncoAppLib.terminal import terminal_width, text_table

HEADS = ("Structure", "Dice", "NSD 1 mm", "Volume ml")
ROWS = [("Right upper lobe of lung", "0.971", "0.644", "1681.4"), ("Liver", "-", "1.000", "12.0")]


def test_full_width_has_one_line_a_row():
    lines = laid_out(HEADS, ROWS, [("a note",), ()]).splitlines()
    assert lines == [
        "Structure                  Dice  NSD 1 mm  Volume ml",
        "------------------------  -----  --------  ---------",
        "Right upper lobe of lung  0.971     0.644     1681.4",
        "    ! a note",
        "Liver                         -     1.000       12.0",
    ]
    assert laid_out(HEADS, ROWS, [("a note",), ()], width=52).splitlines() == lines


def test_headings_are_wrapped_first_then_names():
    assert laid_out(HEADS, ROWS, [(), ()], width=48).splitlines() == [
        "                                 NSD 1  Volume",
        "Structure                  Dice     mm      ml",
        "------------------------  -----  -----  ------",
        "Right upper lobe of lung  0.971  0.644  1681.4",
        "Liver                         -  1.000    12.0",
    ]
    assert laid_out(HEADS, ROWS, [("see the lobe beside it",), ()], width=41).splitlines() == [
        "                            NSD 1  Volume",
        "Structure             Dice     mm      ml",
        "-------------------  -----  -----  ------",
        "Right upper lobe of  0.971  0.644  1681.4",
        "  lung",
        "    ! see the lobe beside it",
        "Liver                    -  1.000    12.0",
    ]


def test_columns_that_do_not_fit_make_a_second_table_with_the_names_again():
    assert laid_out(HEADS, ROWS, [("a note that is longer than that",), ()], width=34).splitlines() == [
        "                             NSD 1",
        "Structure              Dice     mm",
        "--------------------  -----  -----",
        "Right upper lobe of   0.971  0.644",
        "  lung",
        "    ! a note that is longer than",
        "      that",
        "Liver                     -  1.000",
        "",
        "Structure             Volume ml",
        "--------------------  ---------",
        "Right upper lobe of      1681.4",
        "  lung",
        "Liver                      12.0",
    ]


def test_a_table_of_texts_without_headings_is_wrapped_in_its_last_column():
    rows = [("ok", "Spacing", "The distances fit each other, as far as can be told.")]
    assert laid_out((), rows, [()], texts=(0, 1, 2), width=40).splitlines() == [
        "ok  Spacing  The distances fit each",
        "               other, as far as can be",
        "               told.",
    ]


names = st.text("abc d", min_size=1, max_size=60).map(str.strip).filter(bool)
numbers = st.floats(-1e4, 1e4).map("{:.1f}".format)


@settings(max_examples=150, deadline=None)
@given(st.lists(names, min_size=1, max_size=5), st.integers(1, 8), st.integers(40, 120), st.data())
def test_no_line_is_wider_and_nothing_is_lost(rows, count, width, data):
    heads = ["Name", *(f"Head {at} mm" for at in range(count))]
    cells = [[name, *(data.draw(numbers) for _ in range(count))] for name in rows]
    shown = laid_out(heads, cells, [()] * len(rows), width=width)
    assert max(map(len, shown.splitlines())) <= width
    tables = shown.split("\n\n")
    found = [re.findall(r"-?\d+\.\d", table) for table in tables]
    each = [len(one) // len(rows) for one in found]
    assert sum(each) == count, "every column once"
    for at, row in enumerate(cells):
        mine = [number for one, size in zip(found, each) for number in one[at * size : (at + 1) * size]]
        assert mine == row[1:]
    assert "".join(sorted("".join(re.findall("[abc]", tables[0].partition("-----")[2])))) == "".join(
        sorted("".join(re.findall("[abc]", "".join(rows))))
    )


def test_only_a_terminal_has_a_width(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("COLUMNS", "34")
    assert terminal_width(io.StringIO()) is None and terminal_width(Terminal()) == 34
    closed = io.StringIO()
    closed.close()
    assert terminal_width(closed) is None
    wide = text_table(HEADS, ROWS)
    monkeypatch.setattr("sys.stdout", Terminal())
    assert len(wide.splitlines()[0]) == 52 and max(map(len, text_table(HEADS, ROWS).splitlines())) == 34

"""Tables of a comparison as Slicer's table nodes: its Tables module shows them and saves them as TSV or CSV."""

from __future__ import annotations

import vtk

from LongitudinalCompareLib.comparison_tables import Table
from LongitudinalCompareLib.scene.comparison_nodes import Parts

DIGITS = 4
"""Of numbers in tables that are read; the JSON and the tables of charts have all."""


def publish_table(parts: Parts, part: str, name: str, table: Table, *, numbers: bool = False):
    """The node of a table, locked: who changes a cell changes no comparison.

    numbers: columns are numbers, with NaN where a cell is empty, as charts need it. Without it they are texts, so that an empty
    cell is empty for a reader and in a file.
    """
    node = parts.node("vtkMRMLTableNode", part, name)
    made = vtk.vtkTable()
    for at, heading in enumerate(table.columns):
        values = [row[at] for row in table.rows]
        made.AddColumn(number_column(heading, values) if numbers and are_numbers(values) else text_column(heading, values))
    node.SetAndObserveTable(made)
    node.SetUseColumnTitleAsColumnHeader(True)  # else Slicer calls them A, B, C
    node.SetLocked(True)
    return node


def are_numbers(values) -> bool:
    """True when nothing is a text."""
    return not any(isinstance(one, str) for one in values)


def number_column(heading: str, values) -> vtk.vtkDoubleArray:
    """NaN for None."""
    column = vtk.vtkDoubleArray()
    column.SetName(heading)
    for one in values:
        column.InsertNextValue(float("nan") if one is None else float(one))
    return column


def text_column(heading: str, values) -> vtk.vtkStringArray:
    """Numbers with a few digits; empty for None."""
    column = vtk.vtkStringArray()
    column.SetName(heading)
    for one in values:
        column.InsertNextValue(text_of(one))
    return column


def text_of(value) -> str:
    """One cell, on one line: files of tables have a line a row."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{DIGITS}g}"
    return " ".join(str(value).split())

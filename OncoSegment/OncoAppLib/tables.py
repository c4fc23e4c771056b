"""Text tables that fit a terminal: the one place where columns are laid out.

What fits stands as it is. In a narrower terminal headings and texts are wrapped at spaces; numbers never are. When that is
not enough the columns go into several tables below each other, each with the columns that name its rows: so a column can
still be read down, which a block for each row would not allow.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence
from dataclasses import dataclass

GAP = "  "
TEXT_LEAST, TEXT_WORD = 18, 24
"""A text is wrapped to no less than 18 characters, or to its longest word of up to 24. Looked at in 80 columns: with 12 an
expert with its version and weights took four lines, which was harder to read than a second table."""

NOTE = "    ! "


@dataclass(frozen=True)
class Column:
    """One column. text: it stands to the left and may be wrapped, as its heading may."""

    head: str
    cells: tuple[str, ...]
    text: bool

    @property
    def natural(self) -> int:
        """Characters without a wrapped line."""
        return max(map(len, (self.head, *self.cells)))

    @property
    def least(self) -> int:
        """Characters when all that may be wrapped is."""
        words = [len(word) for word in self.head.split()]
        if not self.text:
            return max([*words, *map(len, self.cells), 1])
        words += [len(word) for cell in self.cells for word in cell.split()]
        return min(self.natural, max(TEXT_LEAST, min(max(words, default=1), TEXT_WORD)))


def laid_out(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    notes: Sequence[Sequence[str]],
    *,
    texts: Collection[int] = (0,),
    width: int | None = None,
) -> str:
    """The table. heads: () for none. texts: columns that are no numbers; the first ones in a row name the rows.
    notes: stand below their row. width: characters of the terminal; None for any."""
    count = len(heads) if heads else len(rows[0])
    columns = [Column(heads[at] if heads else "", tuple(row[at] for row in rows), at in texts) for at in range(count)]
    if width is None or total([one.natural for one in columns]) <= width:
        return part_text(columns, [one.natural for one in columns], notes, bool(heads), width)
    names = next((at for at, one in enumerate(columns) if not one.text), len(columns) - 1)
    parts = even_parts(columns[:names], columns[names:], width)
    spare = min(width - total([one.least for one in (*columns[:names], *part)]) for part in parts)
    named = widened(columns[:names], [one.least for one in columns[:names]], spare)
    found = []
    for number, part in enumerate(parts):
        room = width - total([*named, *(one.least for one in part)])
        widths = [*named, *widened(part, [one.least for one in part], room)]
        told = notes if number == 0 else [()] * len(rows)
        found.append(part_text([*columns[:names], *part], widths, told, bool(heads), width))
    return "\n\n".join(found)


def total(widths: Sequence[int]) -> int:
    """Characters of a line."""
    return sum(widths) + len(GAP) * (len(widths) - 1)


def even_parts(names: Sequence[Column], others: Sequence[Column], width: int) -> list[list[Column]]:
    """The columns of each table, as few tables as can be and the widest of them as narrow as can be: what goes together,
    such as a volume and its error, is parted less often than by filling the first table."""
    parts = parts_of(names, others, width)
    for narrower in range(width - 1, 0, -1):
        more = parts_of(names, others, narrower)
        if len(more) > len(parts):
            return parts
        parts = more
    return parts


def parts_of(names: Sequence[Column], others: Sequence[Column], width: int) -> list[list[Column]]:
    """As many columns as fit beside those that name the rows, one at least, in each table."""
    parts: list[list[Column]] = [[]]
    for column in others:
        if parts[-1] and total([one.least for one in (*names, *parts[-1], column)]) > width:
            parts.append([])
        parts[-1].append(column)
    return parts


def widened(columns: Sequence[Column], widths: Sequence[int], spare: int) -> list[int]:
    """The widths with what room there is given to texts first, then to headings that it makes whole."""
    found = list(widths)
    for at in sorted(range(len(columns)), key=lambda at: not columns[at].text):
        wanted = columns[at].natural - found[at]
        more = max(0, min(spare, wanted) if columns[at].text or wanted <= spare else 0)
        found[at], spare = found[at] + more, spare - more
    return found


def part_text(columns: Sequence[Column], widths: Sequence[int], notes, headed: bool, width: int | None) -> str:
    """One table of columns that have their widths."""
    lines = []
    if headed:
        heads = [wrapped(one.head, size, "") for one, size in zip(columns, widths)]
        most = max(map(len, heads))
        lines += joined([[""] * (most - len(cell)) + cell for cell in heads], columns, widths)
        lines.append(GAP.join("-" * size for size in widths))
    for at, told in enumerate(notes):
        lines += joined([wrapped(one.cells[at], size, GAP) for one, size in zip(columns, widths)], columns, widths)
        for note in told:
            lines += note_lines(note, width)
    return "\n".join(lines)


def wrapped(text: str, width: int, indent: str) -> list[str]:
    """Lines of a cell; one that fits is left as it is."""
    if len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False) or [""]


def joined(cells: Sequence[Sequence[str]], columns: Sequence[Column], widths: Sequence[int]) -> list[str]:
    """The lines of one row from the lines of its cells."""
    lines = []
    for at in range(max(map(len, cells))):
        here = [cell[at] if at < len(cell) else "" for cell in cells]
        sized = zip(here, columns, widths)
        lines.append(GAP.join(f"{cell:<{size}}" if one.text else f"{cell:>{size}}" for cell, one, size in sized).rstrip())
    return lines


def note_lines(note: str, width: int | None) -> list[str]:
    """A note below its row."""
    if width is None or len(NOTE + note) <= width:
        return [NOTE + note]
    return textwrap.wrap(note, width, initial_indent=NOTE, subsequent_indent=" " * len(NOTE), break_on_hyphens=False)

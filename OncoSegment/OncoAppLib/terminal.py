"""What the command line prints: a progress bar, tables, errors. Results go to stdout, the rest to stderr."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import time
from collections.abc import Sequence

from OncoAppLib.tables import laid_out
from OncoLib.measure import volume_text
from OncoLib.progress import TimeLeft, time_left_text
from OncoLib.segmentation import CONFIDENCE_BANDS

WIDTH = 28

PARTS = "; "

NOT_ESTIMATED = CONFIDENCE_BANDS[-1]


class ProgressBar:
    """One line on stderr that rewrites itself; plain lines, one a stage, where stderr is no terminal.

    A message of several workers has their parts apart by "; ": such a line says only what is new since the last one.
    """

    def __init__(self, stream=None, clock=time.monotonic, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._clock, self._time_left, self._quiet = clock, TimeLeft(), quiet
        self._stage = ""
        self._line_shown = ""
        self._told: set[str] = set()

    def __call__(self, fraction: float | None, message: str) -> None:
        if self._quiet:
            return
        if self._live:
            self._rewrite(self._line(fraction, message)[: shutil.get_terminal_size().columns - 1])
        else:
            self._tell(message.split(PARTS))
        self._stage = message

    def _rewrite(self, line: str) -> None:
        """Only when it changed: a job that is asked ten times a second would fill a recorded session with one sentence."""
        if line != self._line_shown:
            self._write(f"\r{line}\x1b[K")
        self._line_shown = line

    def _tell(self, parts: list[str]) -> None:
        new = [part for part in parts if stage_of(part) not in self._told]
        if new:
            self._write(PARTS.join(map(without_detail, new)) + "\n")
        self._told = set(map(stage_of, parts))

    def _line(self, fraction: float | None, message: str) -> str:
        left = time_left_text(self._time_left.update(fraction, self._clock()))
        if fraction is None:
            return f"[{' ' * WIDTH}]      {message}"
        filled = int(round(WIDTH * fraction))
        return f"[{'#' * filled}{'.' * (WIDTH - filled)}] {fraction:4.0%} {message}{', ' if left else ''}{left}"

    def _write(self, text: str) -> None:
        """A reader of the progress who has gone away stops no work."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()

    def close(self) -> None:
        """Ends the line."""
        if self._live and self._stage and not self._quiet:
            self._write("\n")


def stage_of(message: str) -> str:
    """The message without detail and amounts that only count up or down, such as "12 of 233 MB, 4.5 MB/s, 25 s left"."""
    return re.sub(r"[0-9.]+ of (?=[0-9.]+ ?[kMG]?B\b)|[0-9.]+ ?(?=([kMG]?B|s|min|h)\b)", "", without_detail(message))


def without_detail(message: str) -> str:
    """The message without the one of many things that it is at, which stands in brackets at its end."""
    return re.sub(r" \(.*\)$", "", message)


def text_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[Sequence[str]] | None = None, texts=(0,)
) -> str:
    """Columns of text, those of `texts` to the left and the numbers to the right; the notes of a row stand below it.

    It follows the width of the terminal; in a file or a pipe it has all the width that it needs. heads: () for none.
    """
    return laid_out(heads, rows, [()] * len(rows) if notes is None else notes, texts=texts, width=terminal_width())


def terminal_width(stream=None) -> int | None:
    """Characters of a line of the terminal that shows stdout; None where there is no terminal."""
    stream = stream or sys.stdout
    try:
        return shutil.get_terminal_size().columns if stream.isatty() else None
    except (AttributeError, ValueError):  # a stream of somebody else's, or a closed one
        return None


def volume_table(description: dict) -> str:
    """The segments of a result as a text table, flags below each; with confidence bands when one was estimated at least."""
    segments = description["segments"]
    rows = [[item["name"], f"{volume_text(item['volume_ml'])} ml", code_text(item)] for item in segments]
    heads = ["Segment", "Volume", "Code"]
    if any(item["confidence"] != NOT_ESTIMATED for item in segments):
        heads.insert(2, "Confidence")
        for row, item in zip(rows, segments):
            row.insert(2, "-" if item["confidence"] == NOT_ESTIMATED else item["confidence"])
    return text_table(heads, rows, [item["flags"] for item in segments], texts=(0, *range(2, len(heads))))


def code_text(segment: dict) -> str:
    """The coded type of a segment, short."""
    code = segment["codes"]["type"]
    return f"{code['scheme']} {code['value']} {code['meaning']}"

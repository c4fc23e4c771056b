"""The outline of a mask in one slice as straight segments, and chords across it.

Marching squares at the half level: the outline runs from the middle between a pixel inside and its neighbor outside to the
next such middle; pixels that touch only at a corner stay apart, as in `OncoLib.filters.mesh`. Holes have an outline too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEFT, RIGHT, TOP, BOTTOM = (0.5, 0.0), (0.5, 1.0), (0.0, 0.5), (1.0, 0.5)

CASES = {
    1: [(TOP, LEFT)],
    2: [(TOP, RIGHT)],
    4: [(LEFT, BOTTOM)],
    8: [(RIGHT, BOTTOM)],
    3: [(LEFT, RIGHT)],
    5: [(TOP, BOTTOM)],
    6: [(TOP, RIGHT), (LEFT, BOTTOM)],
    9: [(TOP, LEFT), (RIGHT, BOTTOM)],
}
"""Segments between the centers of four pixels, by code: 1, 2, 4, 8 for the pixel at row + column 00, 01, 10, 11. A code
that is not there has those of its complement (but 6 and 9, where the pixels inside are cut off from each other)."""

STEP_ASIDE = 1e-6
"""How far beside a corner of the outline chords are laid, in parts of a pixel: at the corner itself their length jumps."""


MOST_LINES = 4000
"""A ragged outline has more corners than this; then chords are laid every `FINE` of a pixel instead."""

FINE = 0.05


@dataclass(frozen=True)
class Outline:
    """Segments `[n, 2, 2]` (end, row or column) in mm from the first pixel's center; in no order, they close."""

    segments_mm: np.ndarray
    pixel_mm: float = 1.0


def outline_of(pixels: np.ndarray, steps_mm: tuple[float, float]) -> Outline:
    """Outline of boolean `pixels[row, column]`; steps_mm: spacing of rows and of columns."""
    padded = np.pad(pixels, 1).astype(np.uint8)
    codes = padded[:-1, :-1] | padded[:-1, 1:] << 1 | padded[1:, :-1] << 2 | padded[1:, 1:] << 3
    found = []
    for code in range(1, 15):
        places = np.stack(np.nonzero(codes == code), axis=1)
        for segment in CASES.get(code) or CASES[15 - code]:
            found.append(places[:, None, :] + np.array(segment) - 1.0)
    return Outline(np.concatenate(found) * steps_mm, min(steps_mm))


def longest_chord(outline: Outline, direction: np.ndarray) -> np.ndarray:
    """Both ends `[2, 2]` of the longest chord inside the outline at a right angle to `direction` (2).

    Along the direction the length of a chord changes linearly from one corner of the outline to the next, so the longest
    lies at a corner.
    """
    along = direction / np.linalg.norm(direction)
    aside = np.array([-along[1], along[0]])
    across = projected(outline.segments_mm, along)
    corners, fine, shift = np.unique(across), FINE * outline.pixel_mm, STEP_ASIDE * outline.pixel_mm
    if len(corners) > MOST_LINES:
        corners = np.arange(corners[0] + fine / 2, corners[-1], fine)
    lines = np.sort(np.concatenate([corners - shift, corners + shift]))
    rows, starts, stops = chords(across, projected(outline.segments_mm, aside), lines)
    best = int(np.argmax(stops - starts))
    return np.outer([lines[rows[best]]] * 2, along) + np.outer([starts[best], stops[best]], aside)


def projected(points: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Coordinate along a direction of points `[..., 2]`; equal points give equal numbers, as `@` does not promise."""
    return points[..., 0] * direction[0] + points[..., 1] * direction[1]


def chords(across: np.ndarray, along: np.ndarray, lines: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where parallel lines run inside: number of the line, start and stop along it, one for each stretch.

    across, along: `[n, 2]`, both coordinates of the ends of the segments. lines: coordinate across of each line, ascending.
    """
    # Half open, so that a line through a common end of two segments meets the outline once. Only pairs that meet are
    # listed: a ragged outline has 50,000 segments and as many lines.
    first, stop = (np.searchsorted(lines, end, side="left") for end in (across.min(axis=1), across.max(axis=1)))
    counts = stop - first
    segment = np.repeat(np.arange(len(across)), counts)
    row = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - first, counts)
    share = (lines[row] - across[segment, 0]) / (across[segment, 1] - across[segment, 0])
    meets = along[segment, 0] + share * (along[segment, 1] - along[segment, 0])
    order = np.lexsort((meets, row))
    return row[order][0::2], meets[order][0::2], meets[order][1::2]


def share_inside(outline: Outline, ends: np.ndarray) -> float:
    """Share (0..1) of the line between two points `[2, 2]` that runs inside the outline."""
    length = float(np.linalg.norm(ends[1] - ends[0]))
    along = (ends[1] - ends[0]) / length
    aside = np.array([-along[1], along[0]])
    line = projected(ends[:1], aside)
    _, starts, stops = chords(projected(outline.segments_mm, aside), projected(outline.segments_mm, along), line)
    first, last = ends @ along
    return float((np.clip(stops, first, last) - np.clip(starts, first, last)).sum()) / length

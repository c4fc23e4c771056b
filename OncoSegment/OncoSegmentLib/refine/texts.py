"""Prompts and limits as a command line writes them: numbers in mm in RAS, a sign at the end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import Image, inside_box
from OncoSegmentLib.refine.masks import box_of, whole
from OncoSegmentLib.refine.prompts import Box, Lasso, Point, Prompt, Scribble, from_dict
from OncoSegmentLib.refine.protocol import Part

AXES = "RAS"

FORMS = {
    "click": "R,A,S[,+|-]",
    "box": "R0,R1,A0,A1,S0,S1[,+|-]",
    "scribble": "R,A,S;R,A,S[;...][@MM][,+|-]",
    "lasso": "R,A,S;R,A,S;R,A,S[;...][,+|-]",
}
"""How each kind of prompt is written; @MM is half the width of a stroke."""


def prompt_of(kind: str, text: str) -> Prompt:
    """The prompt that a text of `FORMS` says; InputError with the form that is wanted."""
    body, positive = signed(text)
    if kind == "box":
        return box_between(numbers(kind, text, body, 6), positive)
    if kind == "click":
        return Point(numbers(kind, text, body, 3), positive)
    width = 0.0
    if kind == "scribble":
        body, at, told = body.partition("@")
        width = numbers(kind, text, told, 1)[0] if at else 0.0
    places = tuple(numbers(kind, text, one, 3) for one in body.split(";"))
    return Scribble(places, width, positive) if kind == "scribble" else Lasso(places, positive)


def box_between(bounds: tuple[float, ...], positive: bool) -> Box:
    """The box of R0, R1, A0, A1, S0, S1; flat where two are equal."""
    return Box.between(bounds[::2], bounds[1::2], positive)


def signed(text: str) -> tuple[str, bool]:
    """A text without the sign at its end, and whether that is positive."""
    body, _comma, sign = text.rpartition(",")
    return (body, sign.strip() == "+") if sign.strip() in ("+", "-") else (text, True)


def numbers(kind: str, text: str, part: str, count: int) -> tuple[float, ...]:
    """So many finite numbers of a part of a text."""
    try:
        found = tuple(float(one) for one in part.split(","))
    except ValueError:
        found = ()
    if len(found) != count or not np.isfinite(found).all():
        raise InputError(f"--{kind} {text!r}: wanted {FORMS.get(kind, kind)} with numbers in mm")
    return found


def read_prompts(path: Path) -> list[Prompt]:
    """The prompts of a JSON file: a list as `prompts.as_dict` gives them, or an object with such a list as "prompts"."""
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path.name}: no such file; wanted a JSON file of prompts") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path.name}: cannot be read as JSON") from error
    values = values.get("prompts") if isinstance(values, dict) else values
    if not isinstance(values, list):
        raise InputError(f"{path.name}: holds no prompts; wanted a list, or an object with a list 'prompts'")
    found = []
    for number, one in enumerate(values, 1):
        try:
            found.append(from_dict(one))
        except InputError as error:
            raise InputError(f"{path.name}: entry {number}: {error}") from error
    return found


def part_within(image: Image, text: str) -> Part:
    """The part of an image's grid that a limit says: `box:R0,R1,A0,A1,S0,S1`, or a slab `slab:S,LOW,HIGH` along R, A or S.

    It is the smallest box of the grid with all voxels whose center lies inside; on an oblique grid that is larger than what
    was said. InputError when it holds no voxel.
    """
    kind, _colon, body = text.partition(":")
    if kind == "box":
        bounds = np.array(limits(text, body, 6)).reshape(3, 2)
    elif kind == "slab" and body[:1].upper() in tuple(AXES) and body[1:2] == ",":
        bounds = around(image)
        bounds[AXES.index(body[0].upper())] = limits(text, body[2:], 2)
    else:
        raise InputError(f"--within {text!r}: wanted box:R0,R1,A0,A1,S0,S1 or slab:S,LOW,HIGH (or R, A) in mm")
    if (bounds[:, 0] > bounds[:, 1]).any():
        raise InputError(f"--within {text!r} is empty: each lower bound must be under its upper bound")
    part = box_of(inside_box(image.shape_kji, image.ijk_to_ras, bounds), whole(image.shape_kji))
    if part is None:
        raise InputError(f"--within {text!r} holds no voxel of the image")
    return part


def limits(text: str, body: str, count: int) -> tuple[float, ...]:
    """The bounds of a limit."""
    try:
        return numbers("within", text, body, count)
    except InputError as error:
        raise InputError(f"--within {text!r}: wanted {count} numbers in mm") from error


def around(image: Image) -> np.ndarray:
    """Bounds `[3, 2]` in R, A, S that hold every voxel of an image."""
    nk, nj, ni = image.shape_kji
    corners = np.array([(i, j, k, 1.0) for i in (0, ni - 1) for j in (0, nj - 1) for k in (0, nk - 1)]).T
    places = (image.ijk_to_ras @ corners)[:3]
    return np.stack([places.min(1) - 1.0, places.max(1) + 1.0], 1)

"""Parses a JSON or YAML text and tells on which line each of its values stands, for messages a user can follow."""

from __future__ import annotations

import bisect
import itertools
import json
import re

from OncoLib.errors import InputError

Lines = dict[tuple, int]
"""Path of keys and list positions, such as ("structures", 0, "range"), to its 1-based line."""

MAX_NESTING = 100

TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+)')


def parse_json(text: str, where: str) -> tuple[object, Lines]:
    """Value and lines of a JSON text; InputError naming `where` and the line when it is not JSON."""
    lines: Lines = {}
    try:
        value = json.loads(text)
        _walk_json(_Tokens(text), (), lines)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}:{error.lineno}: not valid JSON: {error.msg.lower()}") from error
    except _DuplicateKey as error:
        raise InputError(f"{where}:{error.line}: the key {error.key!r} stands twice in one object") from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"{where}:1: nested too deeply, or a number of too many digits") from error
    return value, lines


class _DuplicateKey(ValueError):
    def __init__(self, key: str, line: int) -> None:
        super().__init__(key)
        self.key, self.line = key, line


class _Tokens:
    """The tokens of a text that is known to be JSON, with a look at the next one."""

    def __init__(self, text: str) -> None:
        starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._tokens = [(match.group(1), bisect.bisect_right(starts, match.start(1))) for match in TOKEN.finditer(text)]
        self._next = 0

    def peek(self) -> tuple[str, int]:
        return self._tokens[self._next]

    def take(self) -> tuple[str, int]:
        self._next += 1
        return self._tokens[self._next - 1]


def _walk_json(tokens: _Tokens, path: tuple, lines: Lines) -> None:
    opening, lines[path] = tokens.take()
    if opening not in "[{":
        return
    closing = "]" if opening == "[" else "}"
    position = 0
    while tokens.peek()[0] != closing:
        if tokens.peek()[0] == ",":
            tokens.take()
        key: object = position
        if opening == "{":
            quoted, line = tokens.take()
            key = json.loads(quoted)
            if (*path, key) in lines:
                raise _DuplicateKey(key, line)
            tokens.take()
        _walk_json(tokens, (*path, key), lines)
        position += 1
    tokens.take()


def nesting(text: str) -> int:
    """Depth of brackets, those in texts counted too: only to keep PyYAML, which is slow on depth, from much of it."""
    depths = itertools.accumulate(1 if letter in "[{" else -1 for letter in text if letter in "[]{}")
    return max(depths, default=0)


def parse_yaml(text: str, where: str) -> tuple[object, Lines]:
    """Value and lines of a YAML text. Needs PyYAML, which Slicer does not bring: there, write JSON."""
    try:
        import yaml
    except ImportError as error:
        raise InputError(f"{where}: reading YAML needs the package PyYAML; write the profile as JSON instead") from error
    if nesting(text) > MAX_NESTING:
        raise InputError(f"{where}:1: nested too deeply")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise InputError(f"{where}:1: YAML aliases (*name) are not taken; write the value out")
        value = yaml.safe_load(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise InputError(f"{where}:{line}: not valid YAML: {getattr(error, 'problem', None) or error}") from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"{where}:1: nested too deeply, or a value that cannot be read") from error
    lines: Lines = {}
    try:
        if root is not None:
            _walk_yaml(root, (), lines)
    except _DuplicateKey as error:
        raise InputError(f"{where}:{error.line}: the key {error.key!r} stands twice in one object") from error
    return value, lines


def _walk_yaml(node, path: tuple, lines: Lines) -> None:
    lines[path] = node.start_mark.line + 1
    if node.id == "mapping":
        for key, value in node.value:
            if (*path, key.value) in lines:
                raise _DuplicateKey(key.value, key.start_mark.line + 1)
            _walk_yaml(value, (*path, key.value), lines)
            lines[(*path, key.value)] = key.start_mark.line + 1
    elif node.id == "sequence":
        for position, value in enumerate(node.value):
            _walk_yaml(value, (*path, position), lines)

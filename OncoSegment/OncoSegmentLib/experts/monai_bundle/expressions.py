"""A small language in place of Python's `eval`: what of a bundle's `$` expressions cannot do anything but calculate.

Numbers, texts, lists, dictionaries, references to other entries and their parts, arithmetic, comparison, choice, and calls of
what `allowed` lists. No attribute of a value, no import, no loop, no function. What is checked is what is worked out: one
syntax tree, no text is handed on.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterator

from OncoSegmentLib.experts.monai_bundle import allowed

LONGEST = 2000
"""Characters; the longest of the model zoo's that inference needs has 130."""

LARGEST = 100_000
"""Elements and characters of what an expression makes, or gives to what it calls."""

REFERENCE = re.compile(r"@\w+(?:(?:#|::)\w+)*")
"""MONAI's way to name another entry: "@preprocessing#transforms#0"."""

REFER = "_entry_"
ARITHMETIC = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
COMPARISONS = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda one, many: one in many, ast.NotIn: lambda one, many: one not in many,
}  # fmt: skip
SIGNS = {ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_}
SIMPLE = (
    ast.List, ast.Tuple, ast.Dict, ast.Subscript, ast.Slice, ast.IfExp, ast.BoolOp, ast.And, ast.Or, ast.Starred, ast.keyword,
    ast.Load, ast.BinOp, ast.Compare, ast.UnaryOp, *ARITHMETIC, *COMPARISONS, *SIGNS,
)  # fmt: skip


class NotPlain(ValueError):
    """A part of a configuration that could do more than calculate; its text says which."""


def is_expression(value) -> bool:
    """True for a text that MONAI would evaluate."""
    return isinstance(value, str) and value.startswith("$")


def reference_of(value) -> str:
    """The entry that a whole text names, "@a#b" -> "a::b"; "" for another text."""
    return entry_of(value) if isinstance(value, str) and REFERENCE.fullmatch(value) else ""


def entry_of(reference: str) -> str:
    """ "@a#b" -> "a::b"."""
    return reference[1:].replace("#", "::")


def parsed(text: str) -> tuple[ast.expr, tuple[str, ...]]:
    """The checked tree of a `$` text and the entries that it refers to; NotPlain for anything that is not in the language."""
    if len(text) > LONGEST:
        raise NotPlain(f"an expression of {len(text)} characters")
    names = tuple(dict.fromkeys(entry_of(one) for one in REFERENCE.findall(text)))
    plain = REFERENCE.sub(lambda match: f"{REFER}({entry_of(match[0])!r})", text[1:])
    try:
        tree = ast.parse(plain.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise NotPlain(f"the expression {shown(text)}") from None
    for node in inner(tree):
        if not plain_node(node, names):
            raise NotPlain(f"the expression {shown(text)}")
    return tree, names


def inner(tree: ast.expr) -> Iterator[ast.AST]:
    """Every node, except those of the dotted names that are called or stand for a constant: these are one thing each."""
    left: list[ast.AST] = [tree]
    while left:
        node = left.pop()
        yield node
        if isinstance(node, ast.Attribute):
            continue
        children = ast.iter_child_nodes(node)
        left.extend(one for one in children if not (isinstance(node, ast.Call) and one is node.func))


def plain_node(node: ast.AST, entries: tuple[str, ...]) -> bool:
    """True for a node of the language."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (bool, int, float, str, type(None)))
    if isinstance(node, ast.Attribute):
        return allowed.constant(dotted(node)) is not None
    if isinstance(node, ast.Call):
        name = dotted(node.func)
        if name == REFER:
            return len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and node.args[0].value in entries
        return allowed.may_be_called(name)
    return isinstance(node, SIMPLE)


def dotted(node: ast.AST) -> str:
    """ "torch.nn.Conv3d" of a name; "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def shown(text: str) -> str:
    """An expression for a message, on one line and short."""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return repr(words if len(words) <= 60 else f"{words[:57]}...")


def worked_out(tree: ast.expr, entry: Callable[[str], object], own: Callable):
    """The value of a checked tree. entry: the value of another entry. own: does `OWN_CALLS` by name and arguments."""
    return Calculation(entry, own).value(tree)


class Calculation:
    """Works out one tree."""

    def __init__(self, entry: Callable[[str], object], own: Callable) -> None:
        self._entry, self._own = entry, own

    def value(self, node: ast.AST):
        """Of any node of the language."""
        return getattr(self, f"_{type(node).__name__.lower()}")(node)

    def _constant(self, node):
        return node.value

    def _attribute(self, node):
        return allowed.constant(dotted(node))

    def _list(self, node) -> list:
        return self._elements(node.elts)

    def _tuple(self, node) -> tuple:
        return tuple(self._elements(node.elts))

    def _elements(self, nodes) -> list:
        found: list = []
        for one in nodes:
            found.extend(bounded(self.value(one.value)) if isinstance(one, ast.Starred) else [self.value(one)])
            if len(found) > LARGEST:
                raise NotPlain("an expression with too long a result")
        return found

    def _dict(self, node) -> dict:
        found: dict = {}
        for key, value in zip(node.keys, node.values):
            found.update(bounded(self.value(value)) if key is None else {self.value(key): self.value(value)})
        return bounded(found)

    def _subscript(self, node):
        return self.value(node.value)[self.value(node.slice)]

    def _slice(self, node) -> slice:
        return slice(*(None if one is None else self.value(one) for one in (node.lower, node.upper, node.step)))

    def _ifexp(self, node):
        return self.value(node.body if self.value(node.test) else node.orelse)

    def _boolop(self, node):
        found = None
        for one in node.values:
            found = self.value(one)
            if bool(found) is isinstance(node.op, ast.Or):
                return found
        return found

    def _unaryop(self, node):
        return SIGNS[type(node.op)](self.value(node.operand))

    def _binop(self, node):
        left, right = self.value(node.left), self.value(node.right)
        texts = [one for one in (left, right) if isinstance(one, (str, list, tuple))]
        if texts and not isinstance(node.op, (ast.Add, ast.Mult)):
            raise NotPlain("an expression that calculates with a text or a list")
        if texts and isinstance(node.op, ast.Mult):
            times = right if texts[0] is left else left
            if not isinstance(times, int) or elements(texts[0]) * max(times, 0) > LARGEST:
                raise NotPlain("an expression that repeats something too often")
        require_spread(left, right)
        return bounded(ARITHMETIC[type(node.op)](left, right))

    def _compare(self, node) -> bool:
        left = self.value(node.left)
        for kind, other in zip(node.ops, node.comparators):
            right = self.value(other)
            require_spread(left, right)
            if not COMPARISONS[type(kind)](left, right):
                return False
            left = right
        return True

    def _call(self, node):
        name = dotted(node.func)
        if name == REFER:
            return self._entry(node.args[0].value)
        arguments = self._elements(node.args)
        options: dict = {}
        for one in node.keywords:
            options.update(self.value(one.value) if one.arg is None else {one.arg: self.value(one.value)})
        bounded([arguments, options])
        if name in allowed.OWN_CALLS:
            return self._own(name, arguments, options)
        if name in allowed.PLAIN_CALLS:
            return bounded(allowed.PLAIN_CALLS[name](*arguments, **options))
        if name in allowed.ARRAY_CALLS:
            return array_of(name, *arguments, **options)
        return allowed.component(name)(*arguments, **options)


def bounded(value):
    """The value; NotPlain for one that is too large: entries that hold each other twice would grow without end."""
    if isinstance(value, (str, list, tuple, dict)) and elements(value) > 2 * LARGEST:
        raise NotPlain("an expression with too long a result")
    if isinstance(value, int) and abs(value) >= 1 << 63:
        raise NotPlain("an expression with too large a result")
    return value


def elements(value) -> int:
    """Elements of a list with all that it holds, and characters of its texts; stops counting where it is too large."""
    if isinstance(value, str):
        return len(value)
    count, left = 0, [value]
    while left and count <= 2 * LARGEST:
        one = left.pop()
        parts = [*one, *one.values()] if isinstance(one, dict) else one if isinstance(one, (list, tuple)) else ()
        count += len(one) if isinstance(one, str) else len(parts) + 1 + math.prod(getattr(one, "shape", (0,)))
        if count <= 2 * LARGEST:
            left.extend(parts)
    return count


def require_spread(left, right) -> None:
    """NotPlain for two arrays, a row and a column, that make a far larger one."""
    shapes = [tuple(getattr(one, "shape", ())) for one in (left, right)]
    most = [math.prod(one) for one in shapes]
    if all(shapes) and math.prod(map(max, *(widened(one, max(map(len, shapes))) for one in shapes))) > max(LARGEST, *most):
        raise NotPlain("an expression with too long a result")


def widened(shape: tuple[int, ...], axes: int) -> tuple[int, ...]:
    """A shape with as many axes, as two arrays are brought together."""
    return (*[1] * (axes - len(shape)), *shape)


def array_of(name: str, values, dtype=None):
    """`np.array` and `torch.tensor` of numbers."""
    import numpy as np

    found = np.asarray(values, dtype=None if allowed.ARRAY_CALLS[name] == "torch" else dtype)
    if found.dtype.kind not in "biuf":
        raise NotPlain("an array of other things than numbers")
    if allowed.ARRAY_CALLS[name] == "numpy":
        return found
    import torch

    return torch.tensor(found, dtype=dtype)

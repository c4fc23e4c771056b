"""What a checkpoint's pickle asks for, read without doing any of it.

A pickle is a program. This reads the program of a checkpoint with its own small machine that calls nothing, and allows
only what weights are made of: plain values, tensors over storages of the archive, and numpy's plain numbers. Everything
else is refused by name before torch sees a byte. The instructions are those that torch's restricted loader knows
(torch/_weights_only_unpickler.py of torch 2.13), less those that no nnU-Net or MONAI checkpoint needs.
"""

from __future__ import annotations

import pickletools
from collections.abc import Mapping

from ModelManagerLib.checkpoint_symbols import (
    CALLS,
    ORDERED,
    STATES,
    STORAGES,
    Call,
    Name,
    Refusal,
    Storage,
    counts,
    refuse,
    require_allowed,
)
from OncoLib.errors import ModelError

MOST_INSTRUCTIONS = 2_000_000
"""A checkpoint of nnU-Net 2.8 with 98 tensors, those of its optimizer among them, has 5,200."""

MOST_VALUES = 1_000_000
"""Counted as often as they are reached: lists that hold one list many times grow without end when they are read."""

DEEPEST = 64
LONGEST_TEXT = 1 << 20


def examine(data: bytes, records: Mapping[str, int], file: str) -> object:
    """The values that the pickle describes, as plain Python, `Call`, `Name` and `Storage`; nothing is carried out.

    records: bytes of each storage record by its key. Raises ModelError with one sentence that names what was refused.
    """
    try:
        refuse_names(data)
        root = Machine(records).run(data)
        measure(root, 0, {})
    except Refusal as reason:
        raise ModelError(f"{file} was not loaded: it {reason}") from None
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, UnicodeError) as error:
        raise ModelError(
            f"{file} was not loaded: its pickle is damaged or was made to mislead ({type(error).__name__})"
        ) from error
    return root


def refuse_names(data: bytes) -> None:
    """Names the first class or function that is not allowed, whatever else is wrong: it is what a reader wants to know."""
    texts: list[str] = []
    for code, argument, _ in pickletools.genops(data):
        if isinstance(argument, str) and code.name in ("GLOBAL", "INST"):
            require_allowed(argument)
        elif isinstance(argument, str):
            texts = [*texts[-1:], argument]
        elif code.name == "STACK_GLOBAL":
            require_allowed(" ".join(texts))


class Machine:
    """Carries the instructions out on symbols."""

    def __init__(self, records: Mapping[str, int]) -> None:
        self._records = records
        self._stack: list = []
        self._below: list[list] = []
        self._memo: dict[int, object] = {}

    def run(self, data: bytes) -> object:
        """The value at STOP, which must be the last instruction and leave nothing else."""
        for count, (code, argument, position) in enumerate(pickletools.genops(data)):
            if count > MOST_INSTRUCTIONS:
                raise Refusal(f"has more than {MOST_INSTRUCTIONS} pickle instructions")
            if code.name != "STOP":
                self._step(code.name, argument)
            elif position != len(data) - 1 or len(self._stack) != 1 or self._below:
                raise Refusal("has something behind its end")
        return self._stack[0]

    def _step(self, name: str, argument) -> None:
        if name in PUSHED:
            self._stack.append(PUSHED[name]() if argument is None else plain(argument))
        elif name in TUPLES:
            count = TUPLES[name]
            self._stack[-count:] = [tuple(self._stack[-count:])]
        elif name == "GLOBAL":
            require_allowed(argument)
            self._stack.append(Name(argument))
        else:
            step = getattr(self, f"_{name.lower()}", None)
            if step is None:
                raise Refusal(f"has the pickle instruction {name}, which no weights need")
            step(argument)

    def _proto(self, version: int) -> None:
        if version != 2:
            raise Refusal(f"is written in pickle protocol {version}; wanted 2, as torch writes it")

    def _mark(self, _) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _marked(self) -> list:
        items, self._stack = self._stack, self._below.pop()
        return items

    def _tuple(self, _) -> None:
        items = tuple(self._marked())
        self._stack.append(items)

    def _append(self, _) -> None:
        self._extend([self._stack.pop()])

    def _appends(self, _) -> None:
        self._extend(self._marked())

    def _extend(self, items: list) -> None:
        if type(self._stack[-1]) is not list:
            raise Refusal("appends to something that is no list")
        self._stack[-1].extend(items)

    def _setitem(self, _) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def _setitems(self, _) -> None:
        self._set(self._marked())

    def _set(self, pairs: list) -> None:
        target = self._stack[-1]
        if isinstance(target, Call) and target.name == ORDERED:
            target = target.items
        if type(target) is not dict or len(pairs) % 2:
            raise Refusal("sets items of something that is no dictionary")
        if not all(type(key) in (str, int, bool, float, type(None)) for key in pairs[::2]):
            raise Refusal("has a dictionary whose keys are no names or numbers")
        target.update(zip(pairs[::2], pairs[1::2]))

    def _binput(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    _long_binput = _binput

    def _binget(self, index: int) -> None:
        self._stack.append(self._memo[index])

    _long_binget = _binget

    def _binpersid(self, _) -> None:
        asked = self._stack.pop()
        if type(asked) is not tuple or len(asked) != 5 or asked[0] != "storage" or not isinstance(asked[1], Name):
            raise Refusal("asks for a stored object that is no tensor storage")
        _, kind, key, _, elements = asked
        if kind.text not in STORAGES or type(key) is not str or not counts(elements):
            raise Refusal("describes a tensor storage wrongly")
        if key not in self._records or elements * STORAGES[kind.text] > self._records[key]:
            raise Refusal(f"claims more numbers in its storage {key[:40]!r} than the file holds")
        self._stack.append(Storage(key, elements))

    def _reduce(self, _) -> None:
        arguments, name = self._stack.pop(), self._stack.pop()
        if not isinstance(name, Name) or type(arguments) is not tuple:
            raise Refusal("calls something that is no function")
        if not CALLS.get(name.text, refuse)(*arguments):
            raise Refusal(f"calls {name.text.replace(' ', '.')} with values that no checkpoint has")
        self._stack.append(Call(name.text, arguments))

    def _build(self, _) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if not isinstance(target, Call) or target.state is not None or not STATES.get(target.name, refuse)(state):
            raise Refusal("sets the state of an object that has none in a checkpoint")
        target.state = state


PUSHED = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    **{name: None for name in ("BININT", "BININT1", "BININT2", "BINFLOAT", "BINUNICODE", "LONG1")},
}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def plain(value):
    """A number or a text of an instruction."""
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise Refusal(f"holds a text of {len(value)} letters; at most {LONGEST_TEXT} wanted")
    return value


def measure(value, depth: int, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Height and number of values below, shared ones counted each time; refuses what is too deep, too many or a ring."""
    if depth > DEEPEST:
        raise Refusal(f"nests values deeper than {DEEPEST} levels, or within themselves")
    if not isinstance(value, (dict, list, tuple, Call)):
        return 0, 1
    if id(value) not in known:
        below = [measure(part, depth + 1, known) for part in parts(value)]
        known[id(value)] = 1 + max((height for height, _ in below), default=0), 1 + sum(count for _, count in below)
    height, count = known[id(value)]
    if depth + height > DEEPEST or count > MOST_VALUES:
        raise Refusal(f"nests values so that they become more than {MOST_VALUES}, or deeper than {DEEPEST} levels")
    return height, count


def parts(value):
    """The values directly in one."""
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, Call):
        return [*value.arguments, *value.items.values(), value.state]
    return value

"""What weights are made of: the few classes and functions that a checkpoint may name, and with which arguments.

Nothing here is looked up or called; `checkpoint_pickle` asks before it goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

STORAGES = {
    "torch FloatStorage": 4,
    "torch DoubleStorage": 8,
    "torch HalfStorage": 2,
    "torch BFloat16Storage": 2,
    "torch LongStorage": 8,
    "torch IntStorage": 4,
    "torch ShortStorage": 2,
    "torch CharStorage": 1,
    "torch ByteStorage": 1,
    "torch BoolStorage": 1,
}
"""Bytes of one element."""

ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
"""Of numpy 1 and of numpy 2."""

ORDERED = "collections OrderedDict"
ENCODE = "_codecs encode"
TENSOR = "torch._utils _rebuild_tensor_v2"
PARAMETER = "torch._utils _rebuild_parameter"
DTYPE = "numpy dtype"
ARRAY = "numpy ndarray"
SCALARS = tuple(f"{module} scalar" for module in ARRAY_MODULES)
RECONSTRUCTS = tuple(f"{module} _reconstruct" for module in ARRAY_MODULES)
DTYPES = tuple(f"torch {name}" for name in "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split())
ALLOWED = frozenset(
    (*STORAGES, *SCALARS, *RECONSTRUCTS, *DTYPES, ORDERED, ENCODE, TENSOR, PARAMETER, DTYPE, ARRAY, "torch device", "torch Size")
)
"""Module and name, as the pickle spells them."""

PLAIN_KINDS = "biufc"
"""Kinds of numpy types that are numbers: bool, int, unsigned, float, complex. No objects, no texts, no records."""


@dataclass(frozen=True)
class Name:
    """A class or function that the pickle names; it is not looked up."""

    text: str


@dataclass(eq=False)
class Call:
    """A call that the pickle asks for; it is not made. items: of an ordered dictionary. state: what BUILD sets."""

    name: str
    arguments: tuple
    items: dict = field(default_factory=dict)
    state: object = None


@dataclass(frozen=True)
class Storage:
    """Elements of one record of the archive."""

    key: str
    elements: int


class Refusal(Exception):
    """Why the file is no plain checkpoint: the end of a sentence that begins with "it"."""


def require_allowed(name: str) -> None:
    """name: module and name with a space between."""
    if name not in ALLOWED:
        raise Refusal(f"asks for {name.replace(' ', '.')[:120]}, which is no part of network weights")


def refuse(*_) -> bool:
    """For names that are no function, and objects without a state."""
    return False


def counts(*values) -> bool:
    """True when all are whole numbers from 0 on that fit into 63 bits."""
    return all(type(value) is int and 0 <= value < 1 << 63 for value in values)


def is_call(value, *names: str) -> bool:
    """True for a call of one of these."""
    return isinstance(value, Call) and value.name in names


def is_bytes(value) -> bool:
    """Bytes, as protocol 2 writes them: a text and the codec that makes bytes of it."""
    return is_call(value, ENCODE)


def tensor_fits(storage=None, offset=None, size=None, stride=None, gradient=None, hooks=None, *rest) -> bool:
    """True when the tensor lies within its storage and has no more elements than it: none is repeated by stride 0."""
    if rest or not isinstance(storage, Storage) or type(size) is not tuple or type(stride) is not tuple:
        return False
    if not counts(offset, *size, *stride) or len(size) != len(stride) or type(gradient) is not bool or not no_hooks(hooks):
        return False
    elements = 1
    for count in size:
        elements *= count
    last = offset + sum((count - 1) * step for count, step in zip(size, stride))
    return elements <= storage.elements and (elements == 0 or last < storage.elements)


def no_hooks(value) -> bool:
    """An empty dictionary: hooks are functions."""
    return is_call(value, ORDERED) and not value.items


def dtype_is_plain(text=None, align=None, copy=None, *rest) -> bool:
    """ "f8" and the like."""
    return not rest and type(text) is str and text[:1] in PLAIN_KINDS and text[1:].isdigit() and type(align) is type(copy) is bool


def dtype_state(state) -> bool:
    """Byte order and nothing more: no fields, no names, no shape."""
    return type(state) is tuple and len(state) == 8 and state[1] in ("<", "|", "=") and state[2:5] == (None, None, None)


def array_state(state) -> bool:
    """Version, shape, type, order, bytes."""
    return (
        type(state) is tuple
        and len(state) == 5
        and type(state[1]) is tuple
        and counts(*state[1])
        and is_call(state[2], DTYPE)
        and type(state[3]) is bool
        and is_bytes(state[4])
    )


CALLS = {
    ORDERED: lambda *given: not given,
    ENCODE: lambda text=None, codec=None, *rest: type(text) is str and codec == "latin1" and not rest,
    TENSOR: tensor_fits,
    PARAMETER: lambda data=None, gradient=None, hooks=None, *rest: (
        is_call(data, TENSOR) and type(gradient) is bool and no_hooks(hooks) and not rest
    ),
    DTYPE: dtype_is_plain,
    **{name: lambda kind=None, data=None, *rest: is_call(kind, DTYPE) and is_bytes(data) and not rest for name in SCALARS},
    **{
        name: lambda kind=None, shape=None, code=None, *rest: (
            kind == Name(ARRAY) and shape == (0,) and is_bytes(code) and not rest
        )
        for name in RECONSTRUCTS
    },
    "torch device": lambda *given: 1 <= len(given) <= 2 and type(given[0]) is str and counts(*given[1:]),
    "torch Size": lambda sizes=None, *rest: type(sizes) is tuple and counts(*sizes) and not rest,
}
"""For each function that may be called, whether its arguments are those of a checkpoint."""

STATES = {
    ORDERED: lambda state: type(state) is dict and set(state) == {"_metadata"},
    DTYPE: dtype_state,
    **{name: array_state for name in RECONSTRUCTS},
}
"""The same for the state that is set on what they returned. `_metadata`: torch's versions of layers, in every state dict."""

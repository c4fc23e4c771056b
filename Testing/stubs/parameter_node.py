"""A small `slicer.parameterNodeWrapper`: typed attributes kept in a real vtkMRMLScriptedModuleNode.

Known types: bool, int, float, str, Enum classes and MRML node classes, with WithinRange, Minimum, Maximum, Choice and
Default as annotations. Any other type raises TypeError, and any other name of the real module is not there.
"""

from __future__ import annotations

import enum
import types
import typing
from dataclasses import dataclass


@dataclass(frozen=True)
class Default:
    """The first value."""

    value: object


@dataclass(frozen=True)
class WithinRange:
    """Both ends belong to the range."""

    minimum: float
    maximum: float

    def check(self, value) -> bool:
        """True for a value that may be set."""
        return self.minimum <= value <= self.maximum


@dataclass(frozen=True)
class Minimum:
    """The smallest value."""

    minimum: float

    def check(self, value) -> bool:
        """True for a value that may be set."""
        return value >= self.minimum


@dataclass(frozen=True)
class Maximum:
    """The largest value."""

    maximum: float

    def check(self, value) -> bool:
        """True for a value that may be set."""
        return value <= self.maximum


class Choice:
    """One of these values."""

    def __init__(self, choices) -> None:
        self.choices = tuple(choices)

    def check(self, value) -> bool:
        """True for a value that may be set."""
        return value in self.choices


@dataclass(frozen=True)
class Parameter:
    """One typed attribute: how it is written into the node and read back."""

    name: str
    kind: type
    default: object
    rules: tuple

    def write(self, node, value) -> None:
        """Stores a value after the rules have allowed it; ValueError or TypeError otherwise."""
        if self.is_node:
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
            return
        if not isinstance(value, (int, float) if self.kind is float else self.kind):
            raise TypeError(f"{self.name}: found {value!r}, wanted {self.kind.__name__}")
        broken = [rule for rule in self.rules if not rule.check(value)]
        if broken:
            raise ValueError(f"{self.name}: {value!r} is not allowed by {broken}")
        node.SetParameter(self.name, value.name if isinstance(value, enum.Enum) else str(value))

    def read(self, node):
        """The stored value, or the default."""
        if self.is_node:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        if not text and self.kind is not str:
            return self.default
        if issubclass(self.kind, enum.Enum):
            return self.kind[text]
        return text == "True" if self.kind is bool else self.kind(text)

    @property
    def is_node(self) -> bool:
        """True for a reference to a node."""
        return hasattr(self.kind, "GetNodeTagName")


def parameter_of(owner: type, name: str, annotation) -> Parameter:
    """Reads one annotation of the class: the type, its rules and the default."""
    rules: tuple = ()
    if typing.get_origin(annotation) is typing.Annotated:
        annotation, *extra = typing.get_args(annotation)
        rules = tuple(extra)
    members = [part for part in typing.get_args(annotation) if part is not type(None)]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType) and len(members) == 1:
        annotation = members[0]
    known = isinstance(annotation, type) and (
        annotation in (bool, int, float, str) or issubclass(annotation, enum.Enum) or hasattr(annotation, "GetNodeTagName")
    )
    if not known:
        raise TypeError(f"{owner.__name__}.{name}: the stubs know no parameter of type {annotation!r}")
    given = [rule.value for rule in rules if isinstance(rule, Default)]
    default = vars(owner).get(name, given[0] if given else first_value(annotation))
    return Parameter(name, annotation, default, tuple(rule for rule in rules if not isinstance(rule, Default)))


def first_value(kind: type):
    """The value of a parameter that was never set, as in Slicer: zero, no text, the first choice, no node."""
    if issubclass(kind, enum.Enum):
        return next(iter(kind))
    return kind() if kind in (bool, int, float, str) else None


def parameterNodeWrapper(cls: type) -> type:
    """Turns the annotated attributes of a class into parameters of the node that its objects wrap."""
    hints = typing.get_type_hints(cls, include_extras=True)
    parameters = {name: parameter_of(cls, name, annotation) for name, annotation in hints.items()}
    for name, parameter in parameters.items():
        setattr(cls, name, property(parameter_getter(parameter), parameter_setter(parameter)))
    members = {"allParameters": parameters, "__init__": wrap_node}
    members |= {name: value for name, value in vars(WrapperMethods).items() if not name.startswith("__")}
    for name, value in members.items():
        setattr(cls, name, value)
    return cls


def parameter_getter(parameter: Parameter):
    """Reads from the wrapped node."""
    return lambda self: parameter.read(self.parameterNode)


def parameter_setter(parameter: Parameter):
    """Writes into the wrapped node."""
    return lambda self, value: parameter.write(self.parameterNode, value)


def wrap_node(self, parameterNode, prefix: str | None = None) -> None:
    """Constructor of a wrapped class; parameters that the node lacks get their default."""
    if prefix:
        raise TypeError("the stubs know no prefix of parameters")
    self.parameterNode = parameterNode
    self._connected = {}
    for parameter in self.allParameters.values():
        if not parameter.is_node and not parameterNode.GetParameter(parameter.name):
            parameter.write(parameterNode, parameter.default)


class WrapperMethods:
    """What every wrapped class offers beside its parameters."""

    def getValue(self, name: str):
        """By name; KeyError for an unknown one."""
        return self.allParameters[name].read(self.parameterNode)

    def setValue(self, name: str, value) -> None:
        """By name; KeyError for an unknown one."""
        self.allParameters[name].write(self.parameterNode, value)

    def connectGui(self, ui) -> int:
        """Ties each widget whose `SlicerParameterName` names a parameter to it, both ways; returns a tag."""
        from stubs.parameter_gui import connect_gui

        return connect_gui(self, ui)

    def disconnectGui(self, tag: int) -> None:
        """Unties what `connectGui` tied."""
        from stubs.parameter_gui import disconnect_gui

        disconnect_gui(self, tag)

    def AddObserver(self, event, callback, priority: float = 0.0) -> int:
        """Observes the node."""
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        """Stops observing the node."""
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        """Tells the observers of the node."""
        self.parameterNode.Modified()

    def StartModify(self) -> int:
        """Holds events back."""
        return self.parameterNode.StartModify()

    def EndModify(self, before: int) -> int:
        """Sends the events held back."""
        return self.parameterNode.EndModify(before)


WRAPPER_NAMES = {
    "parameterNodeWrapper": parameterNodeWrapper,
    "Default": Default,
    "WithinRange": WithinRange,
    "Minimum": Minimum,
    "Maximum": Maximum,
    "Choice": Choice,
}

"""The recording object behind every stubbed Qt class: listed properties, listed signals, nothing else."""

from __future__ import annotations

import inspect

WHERE = "Testing/stubs"


class Signal:
    """The slots of one signal, under all its signatures."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.slots: list = []

    def connect(self, slot) -> bool:
        """Adds a slot; the same slot twice is called twice, as in Qt."""
        if not callable(slot):
            raise TypeError(f"signal {self.name}: {slot!r} cannot be called")
        self.slots.append(slot)
        return True

    def disconnect(self, slot=None) -> None:
        """Removes one slot, or all of them."""
        self.slots = [] if slot is None else [other for other in self.slots if other != slot]

    def emit(self, *arguments) -> None:
        """Calls the slots in the order of their connection, each with the arguments that it takes."""
        for slot in list(self.slots):
            slot(*arguments[: positional_capacity(slot)])


def positional_capacity(slot) -> int:
    """How many positional arguments a callable takes; PythonQt drops the ones a slot has no place for.

    It looks at functions and methods only: any other callable (a `partial`, a class) gets all arguments of the signal.
    """
    if not (inspect.isfunction(slot) or inspect.ismethod(slot)):
        return 1000
    kinds = [parameter.kind for parameter in inspect.signature(slot).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return 1000
    return sum(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)


class QObject:
    """A Qt object that remembers what was set.

    `properties` maps a property to its first value, `signals` lists full signatures, and `notify` maps a property to
    the signal that its change emits, `read_only` names those without a setter. Subclasses add to what their
    bases list. As in PythonQt a property is an attribute (`label.text`), has a setter (`label.setText(...)`), and an unknown
    attribute cannot be set.
    """

    properties: dict[str, object] = {"objectName": ""}
    signals: tuple[str, ...] = ("destroyed()", "destroyed(QObject*)")
    notify: dict[str, str] = {}
    read_only: tuple[str, ...] = ()
    first_text = "objectName"

    def __init__(self, *arguments) -> None:
        self._values = {name: copied(value) for name, value in merged(type(self), "properties").items()}
        self._signals = {base_name(signature): Signal(base_name(signature)) for signature in all_signals(type(self))}
        self._dynamic: dict[str, object] = {}
        self._children: list[QObject] = []
        self._parent: QObject | None = None
        for argument in arguments:
            self._take(argument)

    def _take(self, argument) -> None:
        """One constructor argument: a text, a parent, or None for no parent."""
        if isinstance(argument, str):
            self._values[self.first_text] = argument
        elif isinstance(argument, QObject):
            self.setParent(argument)
        elif argument is not None:
            raise TypeError(f"{type(self).__name__}: the stubs know no constructor argument {argument!r}")

    def __getattr__(self, name: str):
        if name.startswith("_"):
            raise AttributeError(name)
        if name == "name":
            return self._values["objectName"]
        if name in self._values:
            return self._values[name]
        if name in self._signals:
            return self._signals[name]
        target = name[3:4].lower() + name[4:]
        if name.startswith("set") and target in self._values and target not in self.read_only:
            return lambda value: setattr(self, target, value)
        raise AttributeError(f"{type(self).__name__}.{name} is not in the stubs; add it in {WHERE} if Qt has it")

    def __setattr__(self, name: str, value) -> None:
        if name == "name":
            name = "objectName"
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        elif name in self.read_only:
            raise AttributeError(f"{type(self).__name__}.{name} is read-only in Qt")
        elif name in self._values:
            self._change(name, value)
        elif isinstance(getattr(type(self), name, None), property):
            object.__setattr__(self, name, value)
        elif is_stub(type(self)):
            raise AttributeError(f"{type(self).__name__}.{name} is not in the stubs; add it in {WHERE} if Qt has it")
        else:
            object.__setattr__(self, name, value)

    def _change(self, name: str, value) -> None:
        changed = self._values[name] != value
        self._values[name] = value
        signal = merged(type(self), "notify").get(name)
        if changed and signal and not self._values.get("signalsBlocked"):
            self._signals[signal].emit(value)

    def connect(self, signature: str, slot) -> bool:
        """Connects by the full signature, which must be one that the class lists: `clicked(bool)`."""
        return self._listed(signature).connect(slot)

    def disconnect(self, signature: str, slot=None) -> None:
        """The reverse of `connect`."""
        self._listed(signature).disconnect(slot)

    def _listed(self, signature: str) -> Signal:
        if signature not in all_signals(type(self)):
            raise AttributeError(f"{type(self).__name__} has no signal '{signature}' in the stubs ({WHERE})")
        return self._signals[base_name(signature)]

    def property(self, name: str):
        """A property or a dynamic property; None when there is none, as in Qt."""
        return self._values.get(name, self._dynamic.get(name))

    def setProperty(self, name: str, value) -> None:
        """Sets a property, or a dynamic one under any other name."""
        if name in self._values:
            setattr(self, name, value)
        else:
            self._dynamic[name] = value

    def parent(self) -> QObject | None:
        """The object that owns this one."""
        return self._parent

    def setParent(self, parent: QObject | None) -> None:
        """Moves this object into another one."""
        if self._parent is not None:
            self._parent._children.remove(self)
        self._parent = parent
        if parent is not None:
            parent._children.append(self)

    def children(self) -> list[QObject]:
        """The objects directly inside this one."""
        return list(self._children)

    def blockSignals(self, blocked: bool) -> bool:
        """Stops notifications of changed properties; returns what was set before."""
        before = self._values.get("signalsBlocked", False)
        self._values["signalsBlocked"] = blocked
        return before

    def className(self) -> str:
        """The name of the Qt class."""
        return type(self).__name__

    def deleteLater(self) -> None:
        """Takes the object out of its parent."""
        self.setParent(None)


def merged(cls: type, attribute: str) -> dict:
    """The tables of a class and all its bases, the class's own entries last."""
    table: dict = {}
    for base in reversed(cls.__mro__):
        table.update(vars(base).get(attribute, {}))
    return table


def all_signals(cls: type) -> list[str]:
    """The signatures that a class and its bases list."""
    return [signature for base in cls.__mro__ for signature in vars(base).get("signals", ())]


def base_name(signature: str) -> str:
    """`clicked` of `clicked(bool)`."""
    return signature.split("(")[0]


def copied(value):
    """A list of its own for each object; other values cannot change in place."""
    return list(value) if isinstance(value, list) else value


def is_stub(cls: type) -> bool:
    """True for the classes of the stubs, false for a class that a module derives from one of them."""
    return cls.__module__.split(".")[0] == "stubs"

"""Ties stubbed widgets to the parameters of a wrapped parameter node."""

from __future__ import annotations

import math

from stubs import mrml_widgets, qt_names, qt_widgets

# widget class -> how to read it, how to write it, the signal that tells of a change
CONNECTORS = {
    qt_widgets.QCheckBox: ("checked", "toggled"),
    qt_widgets.QSpinBox: ("value", "valueChanged"),
    qt_names.ctkSliderWidget: ("value", "valueChanged"),
    qt_widgets.QLineEdit: ("text", "textChanged"),
    qt_names.ctkPathLineEdit: ("currentPath", "currentPathChanged"),
    qt_widgets.QComboBox: ("currentText", "currentIndexChanged"),
}


def connect_gui(wrapper, ui) -> int:
    """Ties the widgets of `ui` (an object with a widget in each attribute); returns the tag that unties them."""
    tag = len(wrapper._connected)
    wrapper._connected[tag] = []
    for widget in vars(ui).values():
        name = widget.property("SlicerParameterName")
        if name:
            tie(wrapper, tag, name, widget)
    observer = wrapper.AddObserver("ModifiedEvent", lambda _caller, _event: show(wrapper, tag))
    wrapper._connected[tag].append((None, observer, None, None))
    return tag


def tie(wrapper, tag: int, name: str, widget) -> None:
    """One widget and one parameter."""
    if name not in wrapper.allParameters:
        raise ValueError(f"widget '{widget.name}' names the parameter '{name}', which {type(wrapper).__name__} lacks")
    signal = signal_of(widget)
    set_range(widget, wrapper.allParameters[name].rules)

    def changed() -> None:
        wrapper.setValue(name, read(widget))

    write(widget, wrapper.getValue(name))
    signal.connect(changed)
    wrapper._connected[tag].append((name, widget, signal, changed))


def set_range(widget, rules) -> None:
    """As Slicer: the parameter's range is the widget's, and a number without one loses that of its .ui file."""
    if not isinstance(widget, (qt_widgets.QSpinBox, qt_names.ctkSliderWidget)):
        return
    whole = type(widget) is qt_widgets.QSpinBox
    lowest = next((rule.minimum for rule in rules if hasattr(rule, "minimum")), -(2**31) if whole else -math.inf)
    highest = next((rule.maximum for rule in rules if hasattr(rule, "maximum")), 2**31 - 1 if whole else math.inf)
    if isinstance(widget, qt_names.ctkSliderWidget) and math.inf in (highest, -lowest):
        raise RuntimeError(f"a ctkSliderWidget needs a parameter with a range; '{widget.name}' has none")
    widget.minimum, widget.maximum = lowest, highest


def disconnect_gui(wrapper, tag: int) -> None:
    """Unties all widgets of one tag; an unknown tag is harmless, as in Slicer."""
    for name, widget, signal, slot in wrapper._connected.pop(tag, []):
        if name is None:
            wrapper.RemoveObserver(widget)
        else:
            signal.disconnect(slot)


def show(wrapper, tag: int) -> None:
    """Writes the node's values into the widgets."""
    for name, widget, _signal, _slot in wrapper._connected.get(tag, []):
        if name is not None:
            write(widget, wrapper.getValue(name))


def signal_of(widget):
    """The signal that tells of a change by the user."""
    if isinstance(widget, mrml_widgets.qMRMLNodeComboBox):
        return widget.currentNodeChanged
    return getattr(widget, connector(widget)[1])


def read(widget):
    """The widget's value."""
    if isinstance(widget, mrml_widgets.qMRMLNodeComboBox):
        return widget.currentNode()
    return getattr(widget, connector(widget)[0])


def write(widget, value) -> None:
    """Shows a value; the same value again emits nothing."""
    if isinstance(widget, mrml_widgets.qMRMLNodeComboBox):
        widget.setCurrentNode(value)
    else:
        setattr(widget, connector(widget)[0], value)


def connector(widget) -> tuple[str, str]:
    """The property and the signal of the widget's class."""
    for cls, names in CONNECTORS.items():
        if isinstance(widget, cls):
            return names
    raise TypeError(f"the stubs cannot tie a {type(widget).__name__} to a parameter; add it in Testing/stubs/parameter_gui.py")

"""Reads a `.ui` file into stubbed widgets, so that a wrong class, property, signal or name in it fails a test."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from stubs.qt_core import QFile
from stubs.qt_widgets import QLayout, QWidget
from stubs.recording import QObject


class QUiLoader:
    """Makes the widgets of a `.ui` file, with their properties, layouts and connections."""

    def load(self, file: QFile) -> QWidget:
        """The top widget; every widget of the file is below it under its name."""
        root = ElementTree.parse(file.path).getroot()
        top = make_widget(root.find("widget"), None)
        for connection in root.iter("connection"):
            connect(top, connection)
        return top


def make_widget(element: ElementTree.Element, parent: QObject | None) -> QObject:
    """One `<widget>` with everything inside it."""
    widget = class_named(element.get("class"))()
    widget.objectName = element.get("name", "")
    widget.setParent(parent)
    for item in element.findall("property"):
        set_property(widget, item)
    for child in element.findall("widget"):
        make_widget(child, widget)
    for layout in element.findall("layout"):
        widget.setLayout(make_layout(layout, widget))
    for item in element.findall("item"):
        add_entry(widget, item)
    return widget


def make_layout(element: ElementTree.Element, owner: QObject) -> QLayout:
    """One `<layout>`: its widgets belong to the widget that has the layout, as in Qt."""
    layout = class_named(element.get("class"))()
    layout.objectName = element.get("name", "")
    for item in element.findall("item"):
        for child in item.findall("widget"):
            make_widget(child, owner)
        for child in item.findall("layout"):
            make_layout(child, owner)
    return layout


def class_named(name: str | None) -> type:
    """The stub class; KeyError's sentence names the missing one."""
    from stubs.qt_names import UI_CLASSES

    if name not in UI_CLASSES:
        raise AttributeError(f"the .ui file asks for the class '{name}', which is not in Testing/stubs/qt_names.py")
    return UI_CLASSES[name]


def set_property(widget: QObject, element: ElementTree.Element) -> None:
    """One `<property>`; dynamic ones are marked `stdset="0"` in the file."""
    name = element.get("name", "")
    if element.get("stdset") == "0":
        widget.setProperty(name, property_value(element))
    else:
        setattr(widget, name, property_value(element))


def property_value(element: ElementTree.Element):
    """Text, truth value, number or list; any other kind (size, enum, font) stays text."""
    value = element[0]
    if value.tag == "bool":
        return value.text == "true"
    if value.tag == "number":
        return int(value.text or 0)
    if value.tag == "double":
        return float(value.text or 0)
    if value.tag == "stringlist":
        return [string.text or "" for string in value]
    return value.text or ""


def add_entry(widget: QObject, item: ElementTree.Element) -> None:
    """An entry of a combo box; the columns of a table are its titles and stay in the file."""
    text = item.find("property[@name='text']")
    if text is not None and hasattr(widget, "addItem"):
        widget.addItem(property_value(text))


def connect(top: QObject, element: ElementTree.Element) -> None:
    """One `<connection>` between two widgets of the file."""
    sender, receiver = (find(top, element.findtext(end, "")) for end in ("sender", "receiver"))
    slot = element.findtext("slot", "").split("(")[0]
    sender.connect(element.findtext("signal", ""), getattr(receiver, slot))


def find(top: QObject, name: str) -> QObject:
    """The widget with this name, the top one included."""
    waiting = [top]
    while waiting:
        widget = waiting.pop()
        if widget.objectName == name:
            return widget
        waiting += widget.children()
    raise AttributeError(f"a connection of the .ui file names the widget '{name}', which is not in the file")

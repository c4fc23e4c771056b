"""The Qt widgets and layouts that the panels use."""

from __future__ import annotations

from stubs.qt_texts import QFontMetrics
from stubs.recording import QObject


class QWidget(QObject):
    """The base of everything visible."""

    properties = {
        "enabled": True, "visible": True, "toolTip": "", "statusTip": "", "whatsThis": "", "accessibleName": "",
        "windowTitle": "", "styleSheet": "", "geometry": None, "font": None, "palette": None, "sizePolicy": None,
        "minimumSize": None, "maximumSize": None, "minimumWidth": 0, "maximumWidth": 16777215, "minimumHeight": 0,
        "maximumHeight": 16777215, "width": 400, "focusPolicy": None, "layoutDirection": None, "windowFlags": None,
    }

    read_only = ("width",)
    focused: QWidget | None = None
    """The widget that has the keyboard."""

    def __init__(self, *arguments) -> None:
        self._layout: QLayout | None = None
        super().__init__(*arguments)

    def layout(self) -> QLayout | None:
        """The layout, or None."""
        return self._layout

    def setLayout(self, layout: QLayout) -> None:
        """Puts what the layout holds into this widget."""
        self._layout = layout
        layout.setParent(self)

    def show(self) -> None:
        """Visible."""
        self.visible = True

    def hide(self) -> None:
        """Not visible."""
        self.visible = False

    def close(self) -> bool:
        """Not visible."""
        self.visible = False
        return True

    def setFixedHeight(self, height: int) -> None:
        """Neither less nor more."""
        self.minimumHeight = self.maximumHeight = height

    def setFocus(self) -> None:
        """The keyboard comes here."""
        QWidget.focused = self

    def fontMetrics(self) -> QFontMetrics:
        """Sizes of the letters."""
        return QFontMetrics()

    def window(self) -> QWidget:
        """The widget at the top."""
        found = self
        while isinstance(found.parent(), QObject):
            found = found.parent()
        return found

    def isWidgetType(self) -> bool:
        """True; layouts and timers have no such method."""
        return True


class QLayout(QObject):
    """Holds widgets and layouts in the order in which they were added."""

    properties = {"spacing": -1, "leftMargin": 9, "topMargin": 9, "rightMargin": 9, "bottomMargin": 9}

    def __init__(self, *arguments) -> None:
        self._items: list[QObject] = []
        super().__init__()
        for argument in arguments:
            if not isinstance(argument, QWidget):
                raise TypeError(f"{type(self).__name__}: the stubs know no constructor argument {argument!r}")
            argument.setLayout(self)

    def _add(self, item: QObject) -> None:
        self._items.append(item)
        item.setParent(self)

    def addWidget(self, widget: QWidget, *_place) -> None:
        """Adds a widget; where exactly is not kept."""
        self._add(widget)

    def addLayout(self, layout: QLayout, *_place) -> None:
        """Adds a layout."""
        self._add(layout)

    def addStretch(self, _factor: int = 0) -> None:
        """Keeps nothing."""

    def setContentsMargins(self, *_margins: int) -> None:
        """Keeps nothing."""

    def count(self) -> int:
        """How many widgets and layouts were added."""
        return len(self._items)


class QVBoxLayout(QLayout):
    """Top to bottom."""


class QHBoxLayout(QLayout):
    """Left to right."""


class QGridLayout(QLayout):
    """Rows and columns."""


class QFormLayout(QLayout):
    """Labels and fields."""

    properties = {"fieldGrowthPolicy": None}

    def addRow(self, label, field=None) -> None:
        """A label (text or widget) with its field, or one widget across."""
        for part in (label, field):
            if isinstance(part, str):
                part = QLabel(part)
            if part is not None:
                self._add(part)


class QSizePolicy:
    """Qt's own values."""

    Fixed, Minimum, Maximum, Preferred, MinimumExpanding, Expanding, Ignored = 0, 1, 4, 5, 3, 7, 13

    def __init__(self, horizontal: int = 5, vertical: int = 5) -> None:
        self.policies = (horizontal, vertical)


class QFrame(QWidget):
    """A frame."""

    properties = {"frameShape": None, "frameShadow": None, "lineWidth": 1}


class QLabel(QFrame):
    """A text."""

    properties = {"text": "", "wordWrap": False, "alignment": None, "textFormat": None, "openExternalLinks": False,
                  "textInteractionFlags": None, "pixmap": None, "scaledContents": False}
    first_text = "text"


class QGroupBox(QWidget):
    """A titled frame."""

    properties = {"title": "", "checkable": False, "checked": False, "flat": False}
    signals = ("toggled(bool)",)
    notify = {"checked": "toggled"}
    first_text = "title"


class QAbstractButton(QWidget):
    """What all buttons share."""

    properties = {"text": "", "icon": None, "iconSize": None, "checkable": False, "checked": False, "shortcut": None,
                  "autoExclusive": False}
    signals = ("clicked()", "clicked(bool)", "toggled(bool)", "pressed()", "released()")
    notify = {"checked": "toggled"}
    first_text = "text"

    def click(self) -> None:
        """What the user does; nothing when the button is not enabled."""
        if self.enabled:
            if self.checkable:
                self.checked = not self.checked
            self.clicked.emit(self.checked)


class QPushButton(QAbstractButton):
    """A button."""

    properties = {"default": False, "autoDefault": False, "flat": False}


class QToolButton(QAbstractButton):
    """A small button."""

    properties = {"toolButtonStyle": None, "autoRaise": False, "popupMode": None, "arrowType": 0}


class QCheckBox(QAbstractButton):
    """A check box."""

    properties = {"checkable": True, "tristate": False}
    signals = ("stateChanged(int)",)


class QRadioButton(QAbstractButton):
    """One of several."""

    properties = {"checkable": True, "autoExclusive": True}


class QComboBox(QWidget):
    """A list of texts with data, one of them chosen."""

    properties = {"currentIndex": -1, "editable": False, "sizeAdjustPolicy": None, "maxVisibleItems": 10,
                  "minimumContentsLength": 0}
    signals = ("currentIndexChanged(int)", "currentTextChanged(QString)", "activated(int)")
    notify = {"currentIndex": "currentIndexChanged"}

    def __init__(self, *arguments) -> None:
        self._entries: list[tuple[str, object]] = []
        super().__init__(*arguments)

    @property
    def count(self) -> int:
        """How many entries there are."""
        return len(self._entries)

    @property
    def currentText(self) -> str:
        """The chosen text, or an empty one."""
        return self.itemText(self.currentIndex)

    @currentText.setter
    def currentText(self, text: str) -> None:
        self.setCurrentText(text)

    @property
    def currentData(self):
        """The data of the chosen entry, or None."""
        return self.itemData(self.currentIndex)

    def addItem(self, text: str, data=None) -> None:
        """Adds an entry; the first one is chosen by itself."""
        self._entries.append((text, data))
        if self.currentIndex < 0:
            self.currentIndex = 0

    def addItems(self, texts) -> None:
        """Adds entries without data."""
        for text in texts:
            self.addItem(text)

    def clear(self) -> None:
        """Removes all entries."""
        self._entries.clear()
        self.currentIndex = -1

    def itemText(self, index: int) -> str:
        """The text of an entry."""
        return self._entries[index][0] if 0 <= index < len(self._entries) else ""

    def itemData(self, index: int):
        """The data of an entry."""
        return self._entries[index][1] if 0 <= index < len(self._entries) else None

    def findText(self, text: str) -> int:
        """The first entry with this text, or -1."""
        return next((index for index, entry in enumerate(self._entries) if entry[0] == text), -1)

    def findData(self, data) -> int:
        """The first entry with this data, or -1."""
        return next((index for index, entry in enumerate(self._entries) if entry[1] == data), -1)

    def setCurrentText(self, text: str) -> None:
        """Chooses by text; an unknown one changes nothing."""
        self.currentIndex = self.findText(text) if self.findText(text) >= 0 else self.currentIndex

    def setItemData(self, index: int, data, _role: int = 256) -> None:
        """Replaces the data of an entry."""
        self._entries[index] = (self._entries[index][0], data)


class QSpinBox(QWidget):
    """A whole number."""

    properties = {"value": 0, "minimum": 0, "maximum": 99, "singleStep": 1, "suffix": "", "prefix": "",
                  "specialValueText": "", "keyboardTracking": True}
    signals = ("valueChanged(int)", "editingFinished()")
    notify = {"value": "valueChanged"}


class QDoubleSpinBox(QSpinBox):
    """A number."""

    properties = {"value": 0.0, "minimum": 0.0, "maximum": 99.99, "singleStep": 1.0, "decimals": 2}
    signals = ("valueChanged(double)",)


class QLineEdit(QWidget):
    """One line of text."""

    properties = {"text": "", "placeholderText": "", "readOnly": False, "clearButtonEnabled": False, "maxLength": 32767}
    signals = ("textChanged(QString)", "textEdited(QString)", "editingFinished()", "returnPressed()")
    notify = {"text": "textChanged"}
    first_text = "text"


class QProgressBar(QWidget):
    """Progress; minimum and maximum 0 means busy."""

    properties = {"value": -1, "minimum": 0, "maximum": 100, "format": "%p%", "textVisible": True, "alignment": None}
    signals = ("valueChanged(int)",)
    notify = {"value": "valueChanged"}

    def setRange(self, minimum: int, maximum: int) -> None:
        """Both ends."""
        self.minimum, self.maximum = minimum, maximum

    def reset(self) -> None:
        """As at the start."""
        self.value = -1

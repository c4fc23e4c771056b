"""Qt objects without a face: timers, settings, files, icons, colors, and the numbers of `Qt`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stubs.recording import QObject


class Qt:
    """The enumerators that we use, with Qt's own values."""

    AlignLeft, AlignRight, AlignHCenter, AlignTop, AlignVCenter, AlignCenter = 0x1, 0x2, 0x4, 0x20, 0x80, 0x84
    AlignBottom = 0x40
    Horizontal, Vertical = 1, 2
    Unchecked, PartiallyChecked, Checked = 0, 1, 2
    DisplayRole, DecorationRole, EditRole, ToolTipRole, CheckStateRole, UserRole = 0, 1, 2, 3, 10, 256
    NoItemFlags, ItemIsSelectable, ItemIsEditable, ItemIsUserCheckable, ItemIsEnabled = 0, 1, 2, 16, 32
    ArrowCursor, WaitCursor, BusyCursor = 0, 3, 16
    ToolButtonTextBesideIcon = 2
    NoArrow, UpArrow, DownArrow, LeftArrow, RightArrow = 0, 1, 2, 3, 4
    RichText, PlainText = 1, 0
    TextSelectableByMouse = 1
    ScrollBarAsNeeded, ScrollBarAlwaysOff, ScrollBarAlwaysOn = 0, 1, 2
    ElideLeft, ElideRight, ElideMiddle, ElideNone = 0, 1, 2, 3
    ShiftModifier, ControlModifier = 0x02000000, 0x04000000
    WidgetShortcut, WindowShortcut = 0, 1
    NoFocus, TabFocus, ClickFocus, StrongFocus = 0, 1, 2, 11


class QTimer(QObject):
    """A timer that only `fire` (or `fire_timers`) moves: no test waits for a clock."""

    properties = {"interval": 0, "singleShot": False, "active": False}
    signals = ("timeout()",)
    read_only = ("active",)
    running: list[QTimer] = []
    later: list = []

    def start(self, interval_ms: int | None = None) -> None:
        """Starts the timer, or starts it again."""
        if interval_ms is not None:
            self.interval = interval_ms
        self._values["active"] = True
        if self not in QTimer.running:
            QTimer.running.append(self)

    def stop(self) -> None:
        """Stops the timer; harmless when it does not run."""
        self._values["active"] = False
        if self in QTimer.running:
            QTimer.running.remove(self)

    def __setattr__(self, name: str, value) -> None:
        """In PythonQt the name is that of the slot."""
        if name == "singleShot":
            raise AttributeError("Slot 'singleShot' can not be overwritten on QTimer object; use setSingleShot")
        super().__setattr__(name, value)

    def setSingleShot(self, single: bool) -> None:
        """Fires once."""
        self._values["singleShot"] = single

    def isActive(self) -> bool:
        """True between start and stop."""
        return self.active

    def fire(self) -> None:
        """One timeout."""
        if self._values["singleShot"]:
            self.stop()
        self.timeout.emit()

    @staticmethod
    def singleShot(_interval_ms: int, slot) -> None:
        """Keeps the slot until `fire_timers`."""
        QTimer.later.append(slot)


def fire_timers() -> int:
    """One timeout of each running timer and of each pending single shot; returns how many there were."""
    timers, later = list(QTimer.running), list(QTimer.later)
    QTimer.later.clear()
    for timer in timers:
        timer.fire()
    for slot in later:
        slot()
    return len(timers) + len(later)


class QSettings:
    """The application's settings, in memory; `install_stubs` empties them."""

    stored: dict[str, object] = {}

    def value(self, key: str, default=None):
        """The value, or `default`."""
        return self.stored.get(key, default)

    def setValue(self, key: str, value) -> None:
        """Stores a value."""
        self.stored[key] = value

    def contains(self, key: str) -> bool:
        """True when the key has a value."""
        return key in self.stored

    def remove(self, key: str) -> None:
        """Forgets a value."""
        self.stored.pop(key, None)


class QFile:
    """As much of a file as `slicer.util.loadUI` asks for."""

    ReadOnly = 1

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def exists(self) -> bool:
        """True for an existing file."""
        return self.path.is_file()

    def open(self, _mode: int) -> bool:
        """True when the file can be read."""
        return self.exists()


class QImage:
    """Pixels `[row, column, 3]`, from the top; Slicer's converter fills it."""

    def __init__(self) -> None:
        self.pixels: np.ndarray | None = None


class QPixmap:
    """A picture of one color, or of an image."""

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        self.color: QColor | None = None
        self.pixels: np.ndarray | None = None

    @staticmethod
    def fromImage(image: QImage) -> QPixmap:
        """The same pixels."""
        found = QPixmap(*image.pixels.shape[1::-1])
        found.pixels = image.pixels
        return found

    def fill(self, color: QColor) -> None:
        """Every pixel."""
        self.color = color


class QIcon:
    """An icon of a file or of a picture."""

    def __init__(self, source: str | QPixmap = "") -> None:
        self.source = source

    def isNull(self) -> bool:
        """True when the file is not there."""
        return not isinstance(self.source, QPixmap) and not Path(self.source).is_file()


class QSize:
    """A size in pixels."""

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)

    def width(self) -> int:
        """Pixels across."""
        return self.size[0]

    def height(self) -> int:
        """Pixels down."""
        return self.size[1]


class QColor:
    """A color as red, green, blue of 0..255."""

    def __init__(self, red: int, green: int, blue: int) -> None:
        self.rgb = (red, green, blue)

    @staticmethod
    def fromRgbF(red: float, green: float, blue: float) -> QColor:
        """The color of parts of 0..1."""
        return QColor(*(round(255 * part) for part in (red, green, blue)))

    def red(self) -> int:
        """Red part."""
        return self.rgb[0]

    def green(self) -> int:
        """Green part."""
        return self.rgb[1]

    def blue(self) -> int:
        """Blue part."""
        return self.rgb[2]


class QBrush:
    """A fill of one color."""

    def __init__(self, color: QColor) -> None:
        self.fill = color

    def color(self) -> QColor:
        """The color."""
        return self.fill


class QUrl:
    """An address as text."""

    def __init__(self, address: str) -> None:
        self.address = address

    @staticmethod
    def fromLocalFile(path: str) -> QUrl:
        """The address of a file."""
        return QUrl(Path(path).as_uri())

    def toString(self) -> str:
        """The address."""
        return self.address


class QDesktopServices:
    """Opens nothing; `opened` lists what would have been."""

    opened: list[str] = []

    @staticmethod
    def openUrl(url: QUrl) -> bool:
        """Notes the address."""
        QDesktopServices.opened.append(url.toString())
        return True


class QKeySequence:
    """Keys by their name."""

    def __init__(self, keys: str) -> None:
        self.keys = keys


class QShortcut(QObject):
    """A key that a window listens to while its parent is there."""

    properties = {"enabled": True, "autoRepeat": True, "context": Qt.WindowShortcut}
    signals = ("activated()",)

    def __init__(self, key: QKeySequence, parent) -> None:
        super().__init__(parent)
        self._key = key.keys

    def press(self) -> None:
        """What the reader does; nothing once it was taken away."""
        if self.enabled and self.parent() is not None:
            self.activated.emit()

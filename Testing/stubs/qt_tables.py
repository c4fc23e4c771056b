"""Tables, and the dialogs that a test must never really open."""

from __future__ import annotations

from types import SimpleNamespace

from stubs.qt_core import QSize, Qt
from stubs.qt_widgets import QWidget


class QAbstractItemView(QWidget):
    """Qt's own values of the view's settings."""

    NoEditTriggers, DoubleClicked, AllEditTriggers = 0, 2, 31
    SelectItems, SelectRows, SelectColumns = 0, 1, 2
    NoSelection, SingleSelection, ExtendedSelection = 0, 1, 3
    properties = {"editTriggers": None, "selectionBehavior": None, "selectionMode": None, "alternatingRowColors": False,
                  "sortingEnabled": False, "showGrid": True, "wordWrap": True, "textElideMode": 1, "horizontalScrollMode": None,
                  "horizontalScrollBarPolicy": 0,
                  "verticalScrollMode": None}


class QHeaderView(QWidget):
    """The header of a table."""

    Interactive, Stretch, Fixed, ResizeToContents = 0, 1, 2, 3
    properties = {"stretchLastSection": False, "defaultSectionSize": 100, "highlightSections": True, "minimumSectionSize": 20,
                  "sizeHint": QSize(100, 25)}
    read_only = ("sizeHint",)

    def __init__(self, *arguments) -> None:
        self._modes: dict[int | None, int] = {}
        super().__init__(*arguments)

    def setSectionResizeMode(self, *section_and_mode: int) -> None:
        """A mode for all sections, or for one: `(mode)` or `(section, mode)`."""
        *section, mode = section_and_mode
        self._modes[section[0] if section else None] = mode


class QTableWidgetItem:
    """One cell."""

    def __init__(self, text: str = "") -> None:
        self.values: dict[int, object] = {Qt.DisplayRole: text}
        self.look: dict[str, object] = {}
        self.table: QTableWidget | None = None

    def text(self) -> str:
        """The text of the cell."""
        return str(self.values[Qt.DisplayRole])

    def setText(self, text: str) -> None:
        """Replaces the text."""
        self.values[Qt.DisplayRole] = text

    def data(self, role: int):
        """What is kept under a role, or None."""
        return self.values.get(role)

    def setData(self, role: int, value) -> None:
        """Keeps a value under a role."""
        self.values[role] = value
        if self.table is not None:
            self.table.itemChanged.emit(self)

    def checkState(self) -> int:
        """Checked or not."""
        return self.values.get(Qt.CheckStateRole, Qt.Unchecked)

    def setCheckState(self, state: int) -> None:
        """Checks or unchecks."""
        self.setData(Qt.CheckStateRole, state)

    def row(self) -> int:
        """Where the cell lies in its table; -1 outside of one."""
        return self.look.get("place", (-1, -1))[0]

    def column(self) -> int:
        """Where the cell lies in its table; -1 outside of one."""
        return self.look.get("place", (-1, -1))[1]

    def flags(self) -> int:
        """What the user may do."""
        return self.look.get("flags", Qt.ItemIsSelectable | Qt.ItemIsEditable | Qt.ItemIsEnabled)

    def setFlags(self, flags: int) -> None:
        """What the user may do."""
        self.look["flags"] = flags

    def setBackground(self, brush) -> None:
        """The fill."""
        self.look["background"] = brush

    def setForeground(self, brush) -> None:
        """The color of the text."""
        self.look["foreground"] = brush

    def setIcon(self, icon) -> None:
        """The picture before the text."""
        self.look["icon"] = icon

    def setToolTip(self, text: str) -> None:
        """The tool tip."""
        self.look["toolTip"] = text

    def toolTip(self) -> str:
        """The tool tip."""
        return self.look.get("toolTip", "")

    def setTextAlignment(self, alignment: int) -> None:
        """Where the text stands."""
        self.look["alignment"] = alignment


class QTableWidget(QAbstractItemView):
    """Rows and columns of cells; a cell outside of them is lost, as in Qt."""

    properties = {"rowCount": 0, "columnCount": 0}
    signals = ("cellClicked(int,int)", "cellDoubleClicked(int,int)", "cellChanged(int,int)", "itemSelectionChanged()",
               "itemChanged(QTableWidgetItem*)",
               "currentCellChanged(int,int,int,int)")

    def __init__(self, *arguments) -> None:
        self._cells: dict[tuple[int, int], QTableWidgetItem] = {}
        self._widgets: dict[tuple[int, int], QWidget] = {}
        self._labels: list[QTableWidgetItem] = []
        self._headers: dict[str, QHeaderView] = {}
        self._selected: set[int] = set()
        self._current = (-1, -1)
        self._widths: dict[int, int] = {}
        size = [argument for argument in arguments if isinstance(argument, int)]
        super().__init__(*(argument for argument in arguments if not isinstance(argument, int)))
        if size:
            self.rowCount, self.columnCount = size

    def setItem(self, row: int, column: int, item: QTableWidgetItem) -> None:
        """Places a cell."""
        if 0 <= row < self.rowCount and 0 <= column < self.columnCount:
            self._cells[row, column] = item
            item.look["place"] = (row, column)
            item.table = self

    def item(self, row: int, column: int) -> QTableWidgetItem | None:
        """The cell, or None."""
        return self._cells.get((row, column))

    def setCellWidget(self, row: int, column: int, widget: QWidget) -> None:
        """Places a widget in a cell."""
        self._widgets[row, column] = widget
        widget.setParent(self)

    def cellWidget(self, row: int, column: int) -> QWidget | None:
        """The widget in a cell, or None."""
        return self._widgets.get((row, column))

    def setHorizontalHeaderLabels(self, labels) -> None:
        """The titles of the columns."""
        self._labels = [QTableWidgetItem(label) for label in labels]

    def horizontalHeaderItem(self, column: int) -> QTableWidgetItem | None:
        """The title of a column as a cell, or None."""
        return self._labels[column] if column < len(self._labels) else None

    def horizontalHeader(self) -> QHeaderView:
        """The header above."""
        return self._headers.setdefault("horizontal", QHeaderView())

    def verticalHeader(self) -> QHeaderView:
        """The header at the side."""
        return self._headers.setdefault("vertical", QHeaderView())

    def selectRow(self, row: int) -> None:
        """Selects this row alone, as a click does."""
        changed, self._selected = self._selected != {row}, {row}
        if changed:
            self.itemSelectionChanged.emit()

    @property
    def currentRow(self) -> int:
        """The row of the current cell, or -1."""
        return self._current[0]

    @property
    def currentColumn(self) -> int:
        """The column of the current cell, or -1."""
        return self._current[1]

    def setCurrentCell(self, row: int, column: int) -> None:
        """Makes a cell the current one and selects its row, as a click or an arrow key does."""
        before, self._current = self._current, (row, column)
        self.selectRow(row)
        if before != self._current:
            self.currentCellChanged.emit(row, column, *before)

    def clearSelection(self) -> None:
        """Selects nothing."""
        self._selected.clear()

    def selectedItems(self) -> list[QTableWidgetItem]:
        """The cells of the selected rows."""
        return [item for (row, _column), item in sorted(self._cells.items()) if row in self._selected]

    def viewport(self) -> SimpleNamespace:
        """The part that is seen, 400 pixels wide."""
        return SimpleNamespace(width=400)

    def columnWidth(self, column: int) -> int:
        """Width in pixels; 100 until it is set."""
        return self._widths.get(column, 100)

    def setColumnWidth(self, column: int, width: int) -> None:
        """Width in pixels."""
        self._widths[column] = width

    def clearContents(self) -> None:
        """Empties the cells and keeps rows, columns and titles."""
        self._cells.clear()
        self._widgets.clear()

    def resizeColumnToContents(self, column: int) -> None:
        """Changes what is seen only."""

    def resizeRowsToContents(self) -> None:
        """Changes what is seen only."""

    def resizeColumnsToContents(self) -> None:
        """Keeps nothing."""


class QListWidgetItem(QTableWidgetItem):
    """One entry of a list; its list is told of a change."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.owner: QListWidget | None = None
        self.selected = False

    def isSelected(self) -> bool:
        """True for an entry that a user chose."""
        return self.selected

    def setData(self, role: int, value) -> None:
        """Keeps a value under a role."""
        super().setData(role, value)
        if self.owner is not None:
            self.owner.itemChanged.emit(self)


class QListWidget(QAbstractItemView):
    """Entries below each other."""

    properties = {"currentRow": -1}
    signals = ("itemChanged(QListWidgetItem*)", "itemClicked(QListWidgetItem*)", "currentRowChanged(int)")
    notify = {"currentRow": "currentRowChanged"}

    def __init__(self, *arguments) -> None:
        self._entries: list[QListWidgetItem] = []
        super().__init__(*arguments)

    @property
    def count(self) -> int:
        """How many entries there are."""
        return len(self._entries)

    def addItem(self, item) -> None:
        """Adds an entry, from its text or as an item."""
        entry = QListWidgetItem(item) if isinstance(item, str) else item
        entry.owner = self
        self._entries.append(entry)

    def setCurrentRow(self, row: int) -> None:
        """A row that is not there is none."""
        self.currentRow = row if 0 <= row < len(self._entries) else -1
        for at, entry in enumerate(self._entries):
            entry.selected = at == row

    def focus(self) -> None:
        """As when the keyboard comes here, such as from a button that is disabled: an entry is current, none is selected."""
        if self.currentRow < 0 and self._entries:
            self.currentRow = 0

    def item(self, row: int) -> QListWidgetItem | None:
        """The entry, or None."""
        return self._entries[row] if 0 <= row < len(self._entries) else None

    def clear(self) -> None:
        """Removes all entries; none is the current one any more."""
        self._entries.clear()
        self.currentRow = -1


class QFileDialog:
    """Gives the answer that a test has set; without one it raises, because a real dialog would wait for the user."""

    answer: str | None = None

    @staticmethod
    def _answer(what: str) -> str:
        if QFileDialog.answer is None:
            raise RuntimeError(f"a dialog '{what}' would wait here: set QFileDialog.answer in the test")
        return QFileDialog.answer

    @staticmethod
    def getExistingDirectory(*_arguments) -> str:
        """The chosen folder; an empty text means that the user went back."""
        return QFileDialog._answer("choose a folder")

    @staticmethod
    def getOpenFileName(*_arguments) -> str:
        """The chosen file."""
        return QFileDialog._answer("open a file")

    @staticmethod
    def getSaveFileName(*_arguments) -> str:
        """The chosen name."""
        return QFileDialog._answer("save a file")


class QMessageBox:
    """Qt's own values; the box itself is modal, so making one is an error in a test."""

    Ok, Cancel, Yes, No, Close, Retry = 0x400, 0x400000, 0x4000, 0x10000, 0x200000, 0x80000
    Information, Warning, Critical, Question = 1, 2, 3, 4

    def __init__(self, *_arguments) -> None:
        raise RuntimeError("a message box would wait here for the user")

"""`slicer.app` and `slicer.modules`, as far as our module files and widgets ask for them."""

from __future__ import annotations

from types import SimpleNamespace

from stubs.recording import QObject


class Application(QObject):
    """The application object, in testing mode and without a main window."""

    properties = {"applicationName": "Slicer", "majorVersion": 5, "minorVersion": 12}
    signals = ("startupCompleted()", "aboutToQuit()")

    def __init__(self, application_logic) -> None:
        super().__init__()
        self._application_logic = application_logic
        self._module_manager = ModuleManager()
        self._cursors: list = []

    def applicationLogic(self):
        """The real application logic."""
        return self._application_logic

    def moduleManager(self) -> ModuleManager:
        """The manager that tells of modules that go."""
        return self._module_manager

    def testingEnabled(self) -> bool:
        """True: Slicer's message functions log and return instead of waiting."""
        return True

    def commandOptions(self) -> SimpleNamespace:
        """Started without main window, in testing mode."""
        return SimpleNamespace(noMainWindow=True, testingEnabled=True)

    def topLevelWidgets(self) -> list:
        """No window at all."""
        return []

    def processEvents(self) -> None:
        """There are none."""

    def setOverrideCursor(self, cursor) -> None:
        """Keeps the cursor until it is restored."""
        self._cursors.append(cursor)

    def restoreOverrideCursor(self) -> None:
        """Back to the cursor before."""
        self._cursors.pop()

    def translate(self, _context: str, text: str) -> str:
        """The text itself."""
        return text


class ModuleManager(QObject):
    """Tells of modules that are loaded and unloaded."""

    signals = ("moduleAboutToBeUnloaded(QString)", "moduleLoaded(QString)")


class Modules:
    """`slicer.modules`: one attribute a module, in lower case; an unknown one raises."""

    def __init__(self, logics: dict[str, object]) -> None:
        for name, logic in logics.items():
            self.add(name, logic=logic)

    def add(self, name: str, *, path: str = "", logic=None) -> None:
        """Makes a module known with the path of its file and its logic."""
        setattr(self, name.lower(), SimpleNamespace(name=name, path=path, logic=lambda: logic))

    def __getattr__(self, name: str):
        raise AttributeError(f"slicer.modules.{name} is not in the stubs; give its logic to install_stubs")

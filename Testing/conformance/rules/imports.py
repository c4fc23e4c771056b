"""Finds the imports of a Python file without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Import:
    """One import: the absolute module name, the name taken from it, where, and whether loading the file runs it."""

    module: str
    member: str
    line: int
    at_load: bool

    @property
    def top(self) -> str:
        """The first part of the module name."""
        return self.module.split(".")[0]

    @property
    def full(self) -> str:
        """Module and member, which may be a module too."""
        return f"{self.module}.{self.member}" if self.member else self.module


def imports_of(file: Path, package: str) -> list[Import]:
    """All imports of a file of `package` (dotted, empty outside of one), in functions and by importlib too."""
    tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    loaded = set(nodes_run_at_load(tree))
    found: list[Import] = []
    for node in ast.walk(tree):
        for module, member in names_imported(node, package):
            found.append(Import(module, member, node.lineno, node in loaded))
    return sorted(found, key=lambda item: item.line)


def names_imported(node: ast.AST, package: str) -> Iterator[tuple[str, str]]:
    """Module and member of each name that a statement or an importlib call imports."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, "") for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = absolute(node, package)
        yield from ((module, alias.name) for alias in node.names)
    elif isinstance(node, ast.Call) and called_name(node.func) in ("import_module", "__import__"):
        if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            yield node.args[0].value, ""


def absolute(node: ast.ImportFrom, package: str) -> str:
    """The absolute name of a relative import."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])


def called_name(function: ast.expr) -> str:
    """`import_module` of `importlib.import_module`."""
    return getattr(function, "attr", getattr(function, "id", ""))


def nodes_run_at_load(tree: ast.Module) -> Iterator[ast.AST]:
    """Every node that runs when the file is imported: not function bodies, not what only type checkers read."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            waiting += node.args.defaults + [default for default in node.args.kw_defaults if default]
            waiting += getattr(node, "decorator_list", [])
            continue
        if isinstance(node, ast.If) and is_script_or_typing_guard(node.test):
            waiting += node.orelse
            continue
        yield node
        waiting += ast.iter_child_nodes(node)


def is_script_or_typing_guard(test: ast.expr) -> bool:
    """`if TYPE_CHECKING:` and `if __name__ == "__main__":` do not run at import."""
    if called_name(test) == "TYPE_CHECKING":
        return True
    return isinstance(test, ast.Compare) and called_name(test.left) == "__name__"

"""What no file of the project may contain."""

from __future__ import annotations

import ast
import hashlib
import re
from pathlib import Path

from conformance.rules.files import project_files, text_of

# Written in parts, so that this file does not break its own rule.
REGISTRY_HOSTS = re.compile(
    "|".join(
        re.escape(".".join(parts))
        for parts in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("download", "pytorch", "org"),
            ("anaconda", "org"),
            ("registry", "npmjs", "org"),
            ("proxy", "golang", "org"),
            ("pkg", "dev"),
        )
    )
)
FOLDERS_OF_A_MACHINE = ("work", "home", "root", "Users", "tmp", "opt", "mnt", "srv", "private")
MACHINE_PATH = re.compile(
    rf"(?<![\w.$}})\]~*:/-])/(?:{'|'.join(FOLDERS_OF_A_MACHINE)})/\w|\b[A-Z]:\\{{1,2}}(?:Users|Windows|Program|Temp|Data)"
)
LARGE_BYTES = 1_000_000
MODELS, MODEL_BYTES = "ModelManager/ModelManagerLib/Resources/Models/", 5_000_000
"""Demonstration networks that come along may be larger; test_embedded_models.py holds each whole one to the same limit."""

PROGRAM_STARTS = (b"\x7fELF", b"MZ\x90", b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa", b"\xca\xfe\xba\xbe")
PROGRAM_SUFFIXES = {".exe", ".dll", ".so", ".dylib", ".pyd", ".whl", ".jar", ".class", ".o", ".a", ".lib"}


def host_and_path_violations(root: Path) -> list[str]:
    """Hosts of package registries, and absolute paths of somebody's machine."""
    lines = []
    for file, name, text in texts(root):
        for number, line in enumerate(text.splitlines(), start=1):
            if REGISTRY_HOSTS.search(line):
                lines.append(f"{name}:{number} names the host of a package registry")
            if file.suffix != ".svg" and MACHINE_PATH.search(line):
                lines.append(f"{name}:{number} holds an absolute path: {MACHINE_PATH.search(line).group()}...")
    return lines


def line_ending_violations(root: Path) -> list[str]:
    """Text files end their lines with LF."""
    return [f"{name}: has CR line ends" for file, name, _text in texts(root) if b"\r" in file.read_bytes()]


def texts(root: Path) -> list[tuple[Path, str, str]]:
    """Path, name and text of every text file of the project."""
    found = [(file, file.relative_to(root).as_posix(), text_of(file)) for file in project_files(root)]
    return [(file, name, text) for file, name, text in found if text is not None]


def large_file_violations(root: Path) -> list[str]:
    """Files over 1 MB (5 MB in demonstration networks): images of patients, weights and other data live outside of the tree."""
    found = []
    for file in project_files(root):
        name, size = file.relative_to(root).as_posix(), file.stat().st_size
        largest = MODEL_BYTES if name.startswith(MODELS) else LARGE_BYTES
        if size > largest:
            found.append(f"{name}: {size} bytes, at most {largest} wanted")
    return found


def program_violations(root: Path) -> list[str]:
    """Programs and libraries, by their first bytes or their suffix."""
    return [
        f"{file.relative_to(root).as_posix()}: an executable binary"
        for file in project_files(root)
        if file.suffix.lower() in PROGRAM_SUFFIXES or file.read_bytes()[:4].startswith(PROGRAM_STARTS)
    ]


def copy_violations(root: Path, data: Path) -> list[str]:
    """Files of the project that equal a file of the shared test data, of any size but empty."""
    sizes: dict[int, list[Path]] = {}
    for file in data.rglob("*"):
        if file.is_file() and file.stat().st_size:
            sizes.setdefault(file.stat().st_size, []).append(file)
    return [
        f"{file.relative_to(root).as_posix()}: a copy of the test data's {other.name}"
        for file in project_files(root)
        for other in sizes.get(file.stat().st_size, [])
        if digest(file) == digest(other)
    ]


def digest(file: Path) -> str:
    """SHA-256 of the content."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def translation_violations(root: Path) -> list[str]:
    """`_()` takes a constant text with {placeholders}: a formatted one cannot be found in a translation."""
    lines = []
    for file, name, text in texts(root):
        if file.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(text, filename=name)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_" and not is_constant(node):
                lines.append(f"{name}:{node.lineno} _() of something that is no constant text")
    return lines


def is_constant(call: ast.Call) -> bool:
    """True for `_("...")`."""
    return len(call.args) == 1 and isinstance(call.args[0], ast.Constant)

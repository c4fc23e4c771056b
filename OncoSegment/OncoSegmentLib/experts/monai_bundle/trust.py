"""What a bundle may do: run by what is on our lists, or, once the user confirmed its source, by MONAI's own parser in a worker.

The confirmation is a SHA-256 of the names and contents of all files of the bundle: its configurations and scripts are
programs, and such a program can read any other file of the bundle as one too. A confirmed bundle runs from a private copy
that was hashed while it was made: who can write to its folder cannot exchange a file between the two.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ModelManagerLib.checkpoint import LARGEST_FILE, file_sha256, safe_load
from OncoLib.errors import ForeignModel, ModelError
from OncoLib.private_copy import copied as copied_file
from OncoLib.private_copy import private_place
from OncoLib.progress import CancelToken, Progress
from OncoSegmentLib.experts.monai_bundle.config import Config
from OncoSegmentLib.experts.monai_bundle.expressions import NotPlain
from OncoSegmentLib.experts.monai_bundle.plain import PlainConfig

MOST_FILES = 20_000
PREFIX = "oncosegment-bundle-"


def bundle_sha256(folder: Path) -> str:
    """Of all files of a bundle: SHA-256 over one line for each, its path below the folder and its own SHA-256, sorted."""
    return joined((path.relative_to(folder), file_sha256(path)) for path in files_of(folder))


def joined(files: Iterable[tuple[Path, str]]) -> str:
    """That hash of paths below the folder and their own hashes."""
    lines = [f"{path.as_posix()}\n{sha256}\n" for path, sha256 in files]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


@contextlib.contextmanager
def private_bundle(folder: Path, sha256: str, progress: Progress, cancel: CancelToken) -> Iterator[Path]:
    """A copy of a confirmed bundle that nobody else can change, for the time of a block; ModelError for another bundle.

    sha256: what the user confirmed. All files are copied, weights too: a program of the bundle can read any of them as one.
    """
    paths = files_of(folder)
    size = sum(path.lstat().st_size for path in paths)
    with private_place(PREFIX, size) as place:
        copy, found, left = place / folder.name, [], LARGEST_FILE
        for number, path in enumerate(paths):
            progress(None, f"Copying the confirmed model, file {number + 1} of {len(paths)}")
            name = path.relative_to(folder)
            found.append((name, copied_file(path, copy / name, left, cancel.check)))
            left -= (copy / name).lstat().st_size
        require_confirmed(folder, joined(found), sha256)
        yield copy


def require_confirmed(folder: Path, found: str, sha256: str) -> None:
    """ModelError unless the files together have the hash that was confirmed."""
    if sha256.lower() != found:
        raise ModelError(f"the files of {folder.name} have the SHA-256 {found} together, which is not the one confirmed")


def files_of(folder: Path) -> list[Path]:
    """Every file below; ModelError for a link, which leads to what no hash of the bundle covers."""
    found = []
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(place) / name
            if path.is_symlink():
                raise ModelError(f"{folder.name}: {name[:60]} is a link; wanted a bundle of plain files and folders")
        found += [Path(place) / name for name in names]
        if len(found) > MOST_FILES:
            raise ModelError(f"{folder.name} has more than {MOST_FILES} files; wanted the folder of one bundle")
    return found


def confirms(folder: Path, sha256: str, check: Callable[[], None], copied: bool) -> bool:
    """True when the user confirmed this very bundle; without that `check()` may raise NotPlain, told as ModelError.

    copied: the folder is a `private_bundle`, whose hash is known.
    """
    if sha256:
        if not copied:
            require_confirmed(folder, bundle_sha256(folder), sha256)
        return True
    try:
        check()
    except NotPlain as error:
        raise foreign(folder, f"its configuration holds {error}, which could run any program") from error
    return False


def foreign(folder: Path, why: str) -> ForeignModel:
    """What is said of a bundle that must be confirmed first."""
    sha256 = bundle_sha256(folder)
    told = f"{folder.name} was not loaded: {why}; if you know its source and trust it, confirm its files by their SHA-256"
    return ForeignModel(f"{told} {sha256}", name=folder.name, sha256=sha256, what="all its files")


def plain(config: Config, folder: Path, device: str) -> PlainConfig:
    """The entries of a configuration that was not confirmed."""
    return PlainConfig(config.data, OwnCalls(folder, device))


class OwnCalls:
    """Answers what a configuration asks of torch: the run's device, and numbers from a file of the bundle."""

    def __init__(self, folder: Path, device: str) -> None:
        self._folder, self._device = folder, device

    def __call__(self, name: str, arguments: list, options: dict):
        if name == "torch.device":
            import torch

            return torch.device(self._device)  # whatever it names: a bundle made on a GPU runs on a CPU too
        if name == "torch.cuda.is_available":
            return self._device.startswith("cuda")
        return safe_load(inside(self._folder, arguments[0] if arguments else options.get("f", "")))


def inside(folder: Path, text) -> Path:
    """A file of the bundle, as a path below `folder`; ModelError for a path that leads out of it."""
    path = Path(os.path.realpath(folder / str(text)))
    root = Path(os.path.realpath(folder))  # the user's folder can lie behind a link
    if root not in path.parents:
        raise ModelError(f"{folder.name}: its configuration reads {path.name[:60]}, which is not in the bundle")
    if not path.is_file():
        raise ModelError(f"{folder.name}: its configuration reads {path.name[:60]}, which is not there")
    return folder / path.relative_to(root)


class ParserEntries:
    """The entries by MONAI's own parser, which evaluates whatever stands there."""

    def __init__(self, config: Config) -> None:
        from monai.bundle import ConfigParser

        self._parser = ConfigParser(config.data)

    def get(self, entry: str):
        """The object that an entry stands for."""
        return self._parser.get_parsed_content(entry)


@contextlib.contextmanager
def own_modules(folder: Path) -> Iterator[None]:
    """Inside, modules in the bundle's folder can be imported, after all others; afterwards they are forgotten.

    Two bundles have a package `scripts` each, and a worker lives for many runs. No compiled files are left beside the sources:
    the bundle would not be the confirmed one any more.
    """
    before, writes, known = list(sys.path), sys.dont_write_bytecode, set(sys.modules)
    sys.path.append(str(folder))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.path[:] = before
        sys.dont_write_bytecode = writes
        forget_modules(folder, known)


def forget_modules(folder: Path, known: set[str]) -> None:
    """Takes modules that came from the folder out of Python's table. known: names of modules that were there before."""
    roots = tuple({f"{folder}{os.sep}", f"{os.path.realpath(folder)}{os.sep}"})
    for name in set(sys.modules) - known:
        places = []
        with contextlib.suppress(Exception):  # modules that are loaded when they are asked for may fail to
            module = sys.modules[name]
            places = [getattr(module, "__file__", None), *list(getattr(module, "__path__", None) or ())]
        if any(isinstance(one, str) and f"{one}{os.sep}".startswith(roots) for one in places):
            sys.modules.pop(name, None)

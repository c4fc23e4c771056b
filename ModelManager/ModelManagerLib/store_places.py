"""Where the store of models lies and what lies where in it.

nnunet/results/<DatasetNNN_...>/   nnU-Net models; TOTALSEG_WEIGHTS_PATH and nnUNet_results point there
bundles/<name>/                    MONAI bundles; MONAI's bundle_dir
files/<card id>/                   other weights
manifests/<card id>.json           what was installed, file by file
parts/                             downloads under way, and locks
staging/                           what is being unpacked or taken away, with its journal
trash/                             old versions on their way out
catalog.json, licenses.json, first_seen.json
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ModelManagerLib.archive_names import problem_of_name
from ModelManagerLib.catalog import ModelCard
from ModelManagerLib.disk import told, write_json
from OncoLib.errors import InputError, OutputError

STORE_VARIABLE = "ONCOSEGMENT_MODELS"
SETTING = "models_folder"
NNUNET, BUNDLES, FILES = "nnunet/results", "bundles", "files"
PLACES = (NNUNET, BUNDLES, FILES)
DEEPEST_PLACE = 8

OWN_LOCKS = frozenset(["licenses", "first_seen"])
"""Names under which the store locks its own tables; a model of that name would wait for itself."""


def settings_file(home: Path | None = None) -> Path:
    """The user's setting file, shared by all Slicer versions and the command line."""
    return (home or Path.home()) / ".oncosegment" / "settings.json"


def store_root(environ: Mapping[str, str] = os.environ, settings: Path | None = None) -> Path:
    """The store's folder: environment ONCOSEGMENT_MODELS, else the setting, else `~/.oncosegment/models`.

    InputError when either names no absolute path, or the setting file cannot be read.
    """
    settings = settings or settings_file()
    named = environ.get(STORE_VARIABLE, "").strip()
    where = STORE_VARIABLE
    if not named:
        named, where = _setting(settings), settings.name
    if not named:
        return settings_file().parent / "models"
    path = Path(named).expanduser()
    if not path.is_absolute():
        raise InputError(f"{where} names the model store as {named!r}; wanted an absolute path")
    return path


def set_store_root(folder: Path | None, settings: Path | None = None) -> None:
    """Writes the setting; None takes it away. Other settings in the file stay. Models are not moved."""
    settings = settings or settings_file()
    values = stored_settings(settings)
    values.pop(SETTING, None)
    if folder is not None:
        if not Path(folder).expanduser().is_absolute():
            raise InputError(f"the model store {str(folder)!r} is no absolute path")
        values[SETTING] = str(folder)
    with told(settings.name):
        settings.parent.mkdir(parents=True, exist_ok=True)
        write_json(settings, values, settings.parent)


def _setting(settings: Path) -> str:
    value = stored_settings(settings).get(SETTING, "")
    if not isinstance(value, str):
        raise InputError(f"{settings.name}: {SETTING} is {value!r}; wanted a path")
    return value.strip()


def stored_settings(settings: Path | None = None) -> dict:
    """Everything in the setting file; empty when there is none. InputError when it cannot be read."""
    settings = settings or settings_file()
    try:
        values = json.loads(settings.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{settings.name} cannot be read; correct it or remove it") from error
    if not isinstance(values, dict):
        raise InputError(f"{settings.name} is no table of settings; correct it or remove it")
    return values


def place_of(card: ModelCard, root: Path | None = None) -> Path:
    """The folder that holds, or will hold, the card's files; InputError for a card whose place is not in the store."""
    return Store(root or store_root()).place(card.place, card.id)


def environment_of(root: Path | None = None) -> dict[str, str]:
    """What TotalSegmentator and nnU-Net must find in their environment to use the store's weights without copies.

    MONAI takes its folder as a parameter: `monai.bundle.load(..., bundle_dir=<root>/bundles)`.
    """
    results = str(Path(root or store_root(), NNUNET))
    return {"TOTALSEG_WEIGHTS_PATH": results, "nnUNet_results": results}


def problem_of_place(place: str) -> str:
    """Why a model cannot lie at this place, as the end of a sentence; "" when it can."""
    pure = PurePosixPath(place)
    if not any(PurePosixPath(one) in pure.parents for one in PLACES):
        return f"is none of the store's; wanted a folder in {'/ or '.join(PLACES)}/"
    return problem_of_name(place, DEEPEST_PLACE) or ("" if pure.as_posix() == place else "is no plain path")


def problem_of_id(card_id: str) -> str:
    """Why a model cannot have this id, which names files of the store, as the end of a sentence; "" when it can."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", card_id):
        return "holds more than letters, digits, '.', '_' and '-'"
    return "is kept for the store's own files" if card_id in OWN_LOCKS else problem_of_name(card_id, 1)


@dataclass(frozen=True)
class Store:
    """Paths of one store; makes folders only in `prepare`."""

    root: Path

    @property
    def manifests(self) -> Path:
        """Folder of the manifests."""
        return self.root / "manifests"

    @property
    def parts(self) -> Path:
        """Folder of downloads under way and of locks."""
        return self.root / "parts"

    @property
    def staging(self) -> Path:
        """Folder of transactions."""
        return self.root / "staging"

    @property
    def trash(self) -> Path:
        """Folder of what is on its way out."""
        return self.root / "trash"

    def prepare(self) -> None:
        """Makes the store's folders; OutputError when one cannot be made or is a link to somewhere else."""
        with told("the model store"):
            for folder in (self.manifests, self.parts, self.staging, self.trash, *(self.root / place for place in PLACES)):
                folder.mkdir(parents=True, exist_ok=True)
                self.require_inside(folder)

    def place(self, place: str, card_id: str) -> Path:
        """The folder of a place such as "bundles/brats"; InputError when it is not below one of the store's folders."""
        if problem_of_place(place):
            raise InputError(f"model {card_id}: its place {place!r} is not below {', '.join(PLACES)}")
        return self.root / place

    def manifest(self, card_id: str) -> Path:
        """The card's manifest; InputError for an id that is no file name."""
        if problem_of_id(card_id):
            raise InputError(f"the model id {card_id!r} cannot be used; it {problem_of_id(card_id)}")
        return self.manifests / f"{card_id}.json"

    def require_inside(self, path: Path) -> None:
        """OutputError when a link (or a junction) on the way leads out of the store: nothing is written or removed there."""
        real_root = os.path.realpath(self.root)
        wanted = os.path.normcase(os.path.join(real_root, os.path.relpath(path, self.root)))
        if os.path.normcase(os.path.realpath(path)) != wanted:
            raise OutputError(
                f"{path.name}: a link in the model store leads elsewhere; nothing was changed, take the link away first"
            )

    def relative(self, path: Path) -> str:
        """A path below the root, with `/`."""
        return path.relative_to(self.root).as_posix()

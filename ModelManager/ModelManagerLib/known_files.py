"""Which hash a file of an installed model must have, as its manifest says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ModelManagerLib.embedded import known_hash
from ModelManagerLib.manifest import all_manifests
from ModelManagerLib.store_places import Store, store_root
from OncoLib.errors import ModelError


def known_sha256(path: Path, root: Path | None = None) -> str | None:
    """SHA-256 that the file had when it was installed, or must have as a file that comes with OncoSegment; None for any
    other."""
    path = Path(path).absolute()
    if (own := known_hash(path)) is not None:
        return own
    return known_below(path.parent, root).get(path.name)


def known_below(folder: Path, root: Path | None = None) -> dict[str, str]:
    """The same of all files below a folder of the store, by their path in it; empty for a folder elsewhere."""
    store, folder = Store(Path(root or store_root())), Path(folder).absolute()
    if not folder.is_relative_to(store.root.absolute()):
        return {}
    for manifest in all_manifests(store):
        place = store.place(manifest.place, manifest.card).absolute()
        if folder.is_relative_to(place):
            files = ((place / one.path, one.sha256) for one in manifest.files)
            return {path.relative_to(folder).as_posix(): sha256 for path, sha256 in files if path.is_relative_to(folder)}
    return {}


def require_as_installed(folder: Path, found: Mapping[str, str], root: Path | None = None) -> None:
    """ModelError when a file of an installed or embedded model has another hash than its manifest says.

    found: SHA-256 of what is going to be used, by the path below the folder. Other folders have no manifest and pass.
    """
    known = known_below(folder, root)
    for name, sha256 in found.items():
        wanted = known.get(name) or known_hash(folder / name)
        if wanted is not None and wanted != sha256:
            raise ModelError(
                f"{Path(folder).name}: its {name} is not the one that was installed (SHA-256 begins with {sha256[:12]}, wanted"
                f" {wanted[:12]}); it is damaged or was exchanged, install or import the model again"
            )


def is_damaged(place: Path, root: Path | None = None) -> bool:
    """True when the last check of the model at that place of the store found it damaged."""
    store = Store(Path(root or store_root()))
    place = Path(place).absolute()
    if not place.is_relative_to(store.root.absolute()):
        return False
    return any(
        manifest.checked.get("sound") is False
        for manifest in all_manifests(store)
        if store.place(manifest.place, manifest.card).absolute() == place
    )

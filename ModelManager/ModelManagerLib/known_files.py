"""Which hash a file of an installed model must have, as its manifest says."""

from __future__ import annotations

from pathlib import Path

from ModelManagerLib.embedded import known_hash
from ModelManagerLib.manifest import all_manifests
from ModelManagerLib.store_places import Store, store_root


def known_sha256(path: Path, root: Path | None = None) -> str | None:
    """SHA-256 that the file had when it was installed, or must have as a file that comes with OncoSegment; None for any
    other."""
    if (own := known_hash(path)) is not None:
        return own
    store = Store(Path(root or store_root()))
    path = Path(path).absolute()
    if not path.is_relative_to(store.root.absolute()):
        return None
    for manifest in all_manifests(store):
        place = store.place(manifest.place, manifest.card).absolute()
        if path.is_relative_to(place):
            name = path.relative_to(place).as_posix()
            return next((one.sha256 for one in manifest.files if one.path == name), None)
    return None


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

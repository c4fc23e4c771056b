"""Where TotalSegmentator's weights lie and whether they are whole. Nothing is downloaded here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ModelManagerLib.checkpoint import file_sha256
from OncoLib import audit
from OncoLib.errors import ModelError
from OncoSegmentLib.experts.total_segmentator.tasks import Weights

CHECKPOINT = "checkpoint_final.pth"


def weights_folder(environ: Mapping[str, str] = os.environ, home: Path | None = None) -> Path:
    """The package's own rule: TOTALSEG_WEIGHTS_PATH, else nnunet/results in TOTALSEG_HOME_DIR or ~/.totalsegmentator.

    In a container whose home folder is "/" the package takes /tmp in its place.
    """
    if environ.get("TOTALSEG_WEIGHTS_PATH"):
        return Path(environ["TOTALSEG_WEIGHTS_PATH"])
    home = home or Path.home()
    home = Path("/tmp") if str(home) == "/" else home
    own = environ.get("TOTALSEG_HOME_DIR")
    return (Path(own) if own else home / ".totalsegmentator") / "nnunet" / "results"


def folder_for(needed: Iterable[Weights], environ: Mapping[str, str] = os.environ) -> Path:
    """The folder that a run takes: the one that the package would, unless not all its weights are there; then the model store.

    All weights of a run lie in one folder. The store is not asked when TOTALSEG_WEIGHTS_PATH names a folder.
    """
    from ModelManagerLib.store_places import environment_of, store_root

    own = weights_folder(environ)
    needed = tuple(needed)
    if environ.get("TOTALSEG_WEIGHTS_PATH") or all(is_installed(one, own) for one in needed):
        return own
    return Path(environment_of(store_root(environ))["TOTALSEG_WEIGHTS_PATH"])


def files_of(weights: Weights, folder: Path) -> list[Path]:
    """Every file that a run reads of this network; with folds not named, those that are there, or fold 0."""
    model = folder / weights.folder / weights.model_folder
    folds = weights.folds
    if folds is None:
        found = sorted(int(path.name[5:]) for path in model.glob("fold_*") if re.fullmatch("[0-9]+", path.name[5:]))
        folds = tuple(found) or (0,)
    return [model / "plans.json", model / "dataset.json", *(model / f"fold_{fold}" / CHECKPOINT for fold in folds)]


def is_installed(weights: Weights, folder: Path) -> bool:
    """True when no file is missing or empty; a folder alone is what a torn download leaves behind."""
    return all(path.is_file() and path.stat().st_size > 0 for path in files_of(weights, folder))


def require_weights(needed: Iterable[Weights], folder: Path, task: str) -> None:
    """Raises ModelError naming every network that is missing or incomplete."""
    needed = tuple(needed)
    missing = [weights for weights in needed if not is_installed(weights, folder)]
    if not missing:
        refuse_damaged(needed, folder)
        return
    told = "; ".join(f"{weights.folder}{' (incomplete)' if (folder / weights.folder).exists() else ''}" for weights in missing)
    hidden = " and unset TOTALSEG_WEIGHTS_PATH, which hides the model store" if os.environ.get("TOTALSEG_WEIGHTS_PATH") else ""
    raise ModelError(
        f"the weights for TotalSegmentator's task {task!r} are not installed: {told}. Install them in the module OncoSegment"
        f" Models, or by `oncosegment models install {' '.join(card_ids(missing))}`{hidden}"
    )


def refuse_damaged(needed: Iterable[Weights], folder: Path) -> None:
    """Raises ModelError for weights of the store that its last check found damaged."""
    from ModelManagerLib.known_files import is_damaged

    for weights in needed:
        if is_damaged(folder / weights.folder):
            raise ModelError(
                f"the weights {weights.folder} are damaged; `oncosegment models install totalsegmentator-{weights.id}`"
            )


def card_ids(missing: Iterable[Weights]) -> list[str]:
    """Ids in the catalogue of models of these networks."""
    return [f"totalsegmentator-{weights.id}" for weights in missing]


def weights_sha256(needed: Iterable[Weights], folder: Path) -> str:
    """One SHA-256 for all files of the networks of a run, plans too; remembered for files that did not change since."""
    return audit.joined_sha256(file_sha256(path) for path in {path for one in needed for path in files_of(one, folder)})

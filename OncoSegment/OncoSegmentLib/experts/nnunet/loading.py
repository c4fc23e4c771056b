"""nnU-Net's predictors from model folders: loaded without running code of theirs, kept warm, told in one sentence.

A model folder is nnU-Net's `Trainer__Plans__configuration` with plans.json, dataset.json and `fold_*/checkpoint_*.pth`. The
network is made of a private copy of the two JSON files and of checkpoints with known hashes: who can write to the folder
cannot exchange what was checked before it is used.
"""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from ModelManagerLib.checkpoint import file_sha256
from ModelManagerLib.known_files import require_as_installed
from ModelManagerLib.predict import LARGEST_JSON
from OncoLib.errors import ModelError
from OncoLib.private_copy import copied, private_place
from OncoSegmentLib.memory import out_of_memory, tensor_bytes
from OncoSegmentLib.warm import models

FINAL, BEST = "checkpoint_final.pth", "checkpoint_best.pth"
"""What nnU-Net writes at the end of a training, and at its best validation."""

FILES = ("plans.json", "dataset.json")
PREFIX = "oncosegment-plans-"

READERS = ("SimpleITKIO", "NibabelIO", "NibabelIOWithReorient")
"""nnU-Net readers that give `[k, j, i]` float32 and the spacing for an image in canonical orientation."""

NO_TRAINER = "Could not find requested nnunet trainer"
"""How nnU-Net 2.8 says that it does not know a trainer (utilities/find_objects.py)."""


def device_of(request) -> str:
    """ "cpu" or "cuda"; ModelError when a GPU is asked for and PyTorch sees none."""
    import torch

    found = torch.cuda.is_available()
    if request.device == "cuda" and not found:
        raise ModelError("PyTorch sees no CUDA GPU on this machine; choose device auto or cpu")
    return "cuda" if found and request.device != "cpu" else "cpu"


def torch_device(device):
    """The device, with torch's threads set for it: one beside a GPU.

    On the CPU those that torch has (all cores, or what OMP_NUM_THREADS or the caller says), but no more than this process may
    keep busy: nnU-Net's own way takes all that the machine has, from a container's or another worker's share too.
    """
    import torch

    from ModelManagerLib.environment import usable_cores

    name = str(device)
    torch.set_num_threads(min(torch.get_num_threads(), usable_cores()) if name == "cpu" else 1)
    return torch.device(name)


def leased(folder: Path, folds, device, checkpoint: str = FINAL, confirmed: str = "", read: Mapping[str, str] | None = None):
    """A lease of a predictor with its network; one for all folders whose files have the same content.

    folds: numbers or "all"; all that are there when empty. confirmed: SHA-256 of a plans.json for whose source the user vouches.
    read: SHA-256 of files that were read before by their names; ModelError when they are others now.
    """
    found = hashes(folder, folds, checkpoint)
    if any(found[name] != sha256 for name, sha256 in (read or {}).items()):
        raise changed(folder)
    require_as_installed(folder, found)
    key = ("nnU-Net", tuple(sorted(found.items())), tuple(folds or ()), str(device), confirmed)
    options = {} if checkpoint == FINAL and not confirmed else {"checkpoint": checkpoint, "confirmed": confirmed}
    return models.lease(key, lambda: load_unchanged(folder, folds, device, found, **options), bytes_of, name=folder.parent.name)


def changed(folder: Path) -> ModelError:
    """What is said of files that are others than a moment ago."""
    return ModelError(f"the weights {folder.parent.name} changed while they were loaded; start the run again")


def hashes(folder: Path, folds, checkpoint: str = FINAL) -> dict[str, str]:
    """SHA-256 of every file that decides the network, by name; remembered for files that did not change since."""
    if not folder.is_dir():
        raise ModelError(f"the weights {folder.parent.name} are not installed")
    checkpoints = [folder / f"fold_{fold}" / checkpoint for fold in folds or ()]
    files = [*(folder / name for name in FILES), *(checkpoints or folder.glob(f"fold_*/{checkpoint}"))]
    try:
        return {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}
    except ModelError as error:
        raise ModelError(f"the weights {folder.parent.name} cannot be loaded: {error}") from error


def load_unchanged(folder: Path, folds, device, found: dict[str, str], **options):
    """A new predictor of the files with these hashes; ModelError when one was exchanged since.

    Its `files_sha256` says of what it was made.
    """
    with private_place(PREFIX) as place:
        copy = place / folder.parent.name / folder.name
        if any(copied(folder / name, copy / name, LARGEST_JSON) != found[name] for name in FILES):
            raise changed(folder)
        predictor = load(copy, folds or folds_in(found), device, checkpoints=Checkpoints(copy, folder, found), **options)
    predictor.files_sha256 = tuple(found.values())
    return predictor


def folds_in(found: Iterable[str]) -> tuple:
    """What nnU-Net takes when no fold is named: all numbered ones; here the one on everything when there is no other."""
    names = sorted(name.partition("/")[0].removeprefix("fold_") for name in found if name not in FILES)
    return tuple(int(name) for name in names if name != "all") or tuple(names)


class Checkpoints:
    """Where the checkpoints of a copied model folder lie, and which hash each must have when it is read."""

    def __init__(self, copy: Path, folder: Path, found: Mapping[str, str]) -> None:
        self._copy, self._folder, self._found = copy, folder, found

    def source(self, path: Path) -> Path:
        """The file that is asked for in the copy, which holds none."""
        return self._folder / path.relative_to(self._copy)

    def sha256(self, path: Path) -> str | None:
        """Of a file that is asked for in the copy."""
        return self._found[path.relative_to(self._copy).as_posix()]


def bytes_of(predictor) -> dict[str, int]:
    """Of the network and the checkpoints of its folds, by device."""
    states = [predictor.network.state_dict(), *predictor.list_of_parameters]
    return tensor_bytes(value for state in states for value in state.values())


def require_torchvision() -> None:
    """nnU-Net's search for trainers imports torchvision; ModelError when the one that is there does not fit torch."""
    try:
        import torchvision  # noqa: F401
    except ImportError:
        return  # nnU-Net says itself what it misses
    except Exception as error:
        raise ModelError(
            f"torchvision does not fit the installed torch ({error}); install the two of one release from the same source,"
            " as pytorch.org lists them"
        ) from error


def load(
    folder: Path, folds, device, checkpoint: str = FINAL, confirmed: str = "", *, checkpoints: Checkpoints | None = None
):
    """A new predictor; ModelError when the files are missing or cannot be used.

    checkpoints: where they lie when not in the folder. Who does not own the folder alone comes by `load_unchanged`.
    """
    from OncoSegmentLib.experts.nnunet.plans_check import require_known_plans
    from OncoSegmentLib.experts.nnunet.watched import predictor_class

    if not folder.is_dir():
        raise ModelError(f"the weights {folder.parent.name} are not installed")
    require_torchvision()
    with contextlib.redirect_stdout(io.StringIO()):  # nnU-Net prints; standard output may be JSON
        predictor = predictor_class()(
            use_gaussian=True, perform_everything_on_device=True, device=device, verbose=False, allow_tqdm=False
        )
    try:
        if not confirmed or file_sha256(folder / FILES[0]) != confirmed:
            require_known_plans(folder)
        initialize(predictor, folder, folds, checkpoint, checkpoints)
        hold_weights_once(predictor, device)
    except ModelError as error:
        raise ModelError(f"the weights {folder.parent.name} cannot be loaded: {error}") from error
    except Exception as error:
        if out_of_memory(error):
            raise
        raise ModelError(
            f"the weights {folder.parent.name} cannot be loaded ({type(error).__name__}): damaged, incomplete, or of another"
            " version of nnU-Net"
        ) from error
    return predictor


def initialize(predictor, folder: Path, folds, checkpoint: str, checkpoints: Checkpoints | None = None) -> None:
    """Builds the network as nnU-Net does; a trainer that it does not know is looked for in TotalSegmentator."""
    from ModelManagerLib.checkpoint import safe_torch_load
    from ModelManagerLib.known_files import known_sha256

    ours = functools.partial(safe_torch_load, known_sha256)
    if checkpoints:
        ours = functools.partial(safe_torch_load, checkpoints.sha256, source_of=checkpoints.source)

    def build() -> None:
        # nnU-Net unpickles a checkpoint as it is, which can run any code; here only numbers and names come out of it.
        with ours(), contextlib.redirect_stdout(io.StringIO()):
            predictor.initialize_from_trained_model_folder(str(folder), use_folds=folds or None, checkpoint_name=checkpoint)

    try:
        build()
    except RuntimeError as error:
        if NO_TRAINER not in str(error):
            raise
        try:
            import totalsegmentator.nnunet  # noqa: F401  (makes its trainers known to nnU-Net)
        except ImportError:
            pass
        try:
            build()
        except RuntimeError as again:
            if NO_TRAINER not in str(again):
                raise
            name = str(again).partition("trainer ")[2].split()[0][:60]
            told = f"its checkpoint names the trainer {name}, which neither nnU-Net nor TotalSegmentator has"
            raise ModelError(told) from error


def hold_weights_once(predictor, device) -> None:
    """Puts the network on its device; the weights of a single fold are those of the network and no second copy.

    nnU-Net keeps each fold's weights beside the network and copies them into it before each run; with one fold that
    copies every number onto itself.
    """
    predictor.network = predictor.network.to(device)
    if len(predictor.list_of_parameters) == 1:
        network = getattr(predictor.network, "_orig_mod", predictor.network)  # as torch.compile wraps it
        predictor.list_of_parameters = [network.state_dict()]

"""nnU-Net's predictors from model folders: loaded without running code of theirs, kept warm, told in one sentence.

A model folder is nnU-Net's `Trainer__Plans__configuration` with plans.json, dataset.json and `fold_*/checkpoint_*.pth`.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from ModelManagerLib.checkpoint import file_sha256
from OncoLib.errors import ModelError
from OncoSegmentLib.memory import out_of_memory, tensor_bytes
from OncoSegmentLib.warm import models

FINAL, BEST = "checkpoint_final.pth", "checkpoint_best.pth"
"""What nnU-Net writes at the end of a training, and at its best validation."""

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


def leased(folder: Path, folds, device, checkpoint: str = FINAL, confirmed: bool = False):
    """A lease of a predictor with its network; one for all folders whose files have the same content.

    folds: numbers or "all"; all that are there when empty. confirmed: the user vouches for the source of its plans.
    """
    found = hashes(folder, folds, checkpoint)
    key = ("nnU-Net", tuple(sorted(found.items())), tuple(folds or ()), str(device), confirmed)
    options = {} if checkpoint == FINAL and not confirmed else {"checkpoint": checkpoint, "confirmed": confirmed}
    return models.lease(key, lambda: load_unchanged(folder, folds, device, found, **options), bytes_of, name=folder.parent.name)


def hashes(folder: Path, folds, checkpoint: str = FINAL) -> dict[str, str]:
    """SHA-256 of every file that decides the network, by name; remembered for files that did not change since."""
    if not folder.is_dir():
        raise ModelError(f"the weights {folder.parent.name} are not installed")
    checkpoints = [folder / f"fold_{fold}" / checkpoint for fold in folds or ()]
    files = [folder / "plans.json", folder / "dataset.json", *(checkpoints or folder.glob(f"fold_*/{checkpoint}"))]
    try:
        return {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}
    except ModelError as error:
        raise ModelError(f"the weights {folder.parent.name} cannot be loaded: {error}") from error


def load_unchanged(folder: Path, folds, device, found: dict[str, str], **options):
    """A new predictor of files with these hashes; ModelError when one was exchanged while they were read."""
    predictor = load(folder, folds, device, **options)
    if hashes(folder, folds, options.get("checkpoint", FINAL)) != found:
        raise ModelError(f"the weights {folder.parent.name} changed while they were loaded; start the run again")
    return predictor


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


def load(folder: Path, folds, device, checkpoint: str = FINAL, confirmed: bool = False):
    """A new predictor; ModelError when the files are missing or cannot be used."""
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
        if not confirmed:
            require_known_plans(folder)
        initialize(predictor, folder, folds, checkpoint)
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


def initialize(predictor, folder: Path, folds, checkpoint: str) -> None:
    """Builds the network as nnU-Net does; a trainer that it does not know is looked for in TotalSegmentator."""
    from ModelManagerLib.checkpoint import safe_torch_load
    from ModelManagerLib.known_files import known_sha256

    def build() -> None:
        # nnU-Net unpickles a checkpoint as it is, which can run any code; here only numbers and names come out of it.
        with safe_torch_load(known_sha256), contextlib.redirect_stdout(io.StringIO()):
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

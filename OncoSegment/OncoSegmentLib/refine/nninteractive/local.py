"""The package's session in this process: loaded without running code of the weights, silent, repeatable, stopped on request.

The network is leased from the networks kept warm, so that a second session on the same weights loads nothing.
"""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from OncoLib.errors import Cancelled, ModelError, OncoError
from OncoLib.progress import CancelToken, Progress
from OncoSegmentLib.memory import out_of_memory, tensor_bytes
from OncoSegmentLib.refine.nninteractive.hints import USUAL_THICKNESS, Hint
from OncoSegmentLib.refine.nninteractive.memory import ADVICE, require_memory
from OncoSegmentLib.refine.nninteractive.weights import CHECKPOINT, INFO, OLD_INFO, Weights, capabilities_of, info_of

SEED = 0
"""Before each step: where boxes do not cover a change, the package picks more by chance (utils/bboxes.py of 2.6.0, NumPy's
global generator)."""


class LocalHost:
    """One session of the package.

    buffer: uint8 `[k, j, i]`, what it has segmented. whole: after an error, the session is as it was before the failed step.
    thickness: voxels along k, j, i, the width of scribbles in training. notes: sentences that go with the first answer.
    """

    def __init__(self, weights: Weights, *, device: str, autozoom: bool) -> None:
        from OncoSegmentLib.experts.nnunet.loading import device_of

        require_package()
        info = info_of(weights.folder)
        supported, start = info.get("supported_interactions", {}), info.get("supports_initial_label", True)
        self.capabilities = capabilities_of(supported, start, weights.notice)
        self._refines = bool(info.get("supports_zero_shot_label_refinement", True))
        self.thickness = USUAL_THICKNESS
        self.whole, self.buffer, self.notes = False, None, ()
        self._weights, self._autozoom, self._session = weights, autozoom, None
        self._device = device_of(SimpleNamespace(device=device))
        self._held = contextlib.ExitStack()

    def set_image(self, voxels: np.ndarray, *, progress: Progress, cancel: CancelToken) -> None:
        """A session on this image; what was there before is let go."""
        self.close()
        cancel.check()
        self.notes = require_memory(voxels.shape, self._weights.folder, self._device, self._autozoom)
        try:
            with self._own_errors():
                self._begin_with(voxels, progress, cancel)
        except BaseException:
            self.close()
            raise
        progress(1.0, "nnInteractive has the image")

    def _begin_with(self, voxels: np.ndarray, progress: Progress, cancel: CancelToken) -> None:
        progress(0.0, "Loading the network")
        artifacts = self._held.enter_context(leased(self._weights, self._device))
        cancel.check()
        progress(0.5, "Giving nnInteractive the image")
        with quiet():
            self._session = session = new_session(self._device, self._autozoom)
            session.initialize_from_loaded_artifacts(artifacts)
            session.set_image(voxels[None])
            session.preprocess_future.result()  # in a thread of the package; here its errors are told
            self.buffer = np.zeros(voxels.shape, np.uint8)
            session.set_target_buffer(self.buffer)
        self.thickness = tuple(float(one) for one in session.preferred_scribble_thickness)

    def begin(self, start: np.ndarray | None, *, refined: bool, cancel: CancelToken):
        """Forgets all prompts. start: bool, the mask to begin with; refined: the network improves it at once. The box touched."""
        self.whole, box = False, None
        with self._own_errors(), self._steady(cancel):
            if start is None:
                self._session.reset_interactions()
            else:
                run = refined and self._refines
                box = self._session.add_initial_seg_interaction(start.astype(np.uint8), run_prediction=run)
        self.whole = True
        return box

    def tell(self, hint: Hint, *, cancel: CancelToken):
        """One more prompt and the network's answer to it, in the buffer; the box touched. A failed one leaves all as it was."""
        self.whole = False
        try:
            with self._own_errors(), self._steady(cancel):
                box = told(self._session, hint)
        except Cancelled:
            self.whole = True  # the package rolls a failed step back from its undo log (`_undoable_interaction`)
            raise
        self.whole = True
        return box

    def undo(self) -> bool:
        """Takes the last prompt back; False when that cannot be done."""
        self.whole = False
        with self._own_errors(), quiet():
            done = bool(self._session.undo())
        self.whole = True
        return done

    def close(self) -> None:
        """Lets go of session and network."""
        session, self._session, self.buffer = self._session, None, None
        if session is not None:
            session.executor.shutdown()
        del session
        self._held.close()

    @contextlib.contextmanager
    def _steady(self, cancel: CancelToken) -> Iterator[None]:
        """Inside, the same call gives the same answer, and the network stops between two looks when the token is set."""
        from OncoSegmentLib.experts.torch_run import threads_kept

        thread = threading.get_ident()

        def look(*_what) -> None:
            if threading.get_ident() == thread:  # another session may use the same network
                cancel.check()

        hook = self._session.network.register_forward_pre_hook(look)
        try:
            with quiet(), threads_kept(), repeatable(self._device):
                yield
        finally:
            hook.remove()

    @contextlib.contextmanager
    def _own_errors(self) -> Iterator[None]:
        from OncoSegmentLib.warm import freed_on_out_of_memory

        try:
            with freed_on_out_of_memory(ADVICE):
                yield
        except OncoError:
            raise
        except Exception as error:
            raise ModelError(
                f"nnInteractive could not answer with {self._weights.name} ({type(error).__name__} inside the package); the"
                " segment is as it was"
            ) from error


def told(session, hint: Hint):
    """Hands a hint to a session, local or remote: both have the same calls."""
    if hint.kind == "point":
        return session.add_point_interaction(tuple(start for start, _ in hint.box), hint.positive)
    box = [list(one) for one in hint.box]
    if hint.kind == "box":
        return session.add_bbox_interaction(box, hint.positive)
    add = session.add_scribble_interaction if hint.kind == "scribble" else session.add_lasso_interaction
    return add(hint.crop, hint.positive, interaction_bbox=box)


def new_session(device: str, autozoom: bool):
    """A session of the package without a network, on as many threads as torch has."""
    import torch
    from nnInteractive.inference.inference_session import nnInteractiveInferenceSession

    from ModelManagerLib.environment import usable_cores

    benchmark = torch.backends.cudnn.benchmark
    threads = min(torch.get_num_threads(), usable_cores())
    try:
        return nnInteractiveInferenceSession(torch.device(device), torch_n_threads=threads, do_autozoom=autozoom)
    finally:
        torch.backends.cudnn.benchmark = benchmark  # it is set for the whole process there


def leased(weights: Weights, device: str):
    """A lease of the loaded parts of a model, for as long as the session lasts."""
    from ModelManagerLib.checkpoint import file_sha256
    from OncoSegmentLib.warm import models

    folder = weights.folder
    names = ["plans.json", "dataset.json", f"fold_{weights.fold}/{CHECKPOINT}"]
    names += [name for name in (INFO, OLD_INFO) if (folder / name).is_file()]
    key = (ENGINE_KEY, tuple(file_sha256(folder / name) for name in names), device)
    return models.lease(key, lambda: load(folder, weights.fold, device), bytes_of, name=weights.name)


ENGINE_KEY = "nnInteractive"


def load(folder: Path, fold: str, device: str) -> dict:
    """What sessions share of a model: network, plans, settings. ModelError for files that are damaged or of another version.

    The package unpickles a checkpoint as it is and imports what the plans name; here only numbers and names come out of the
    one, and only nnU-Net's own parts are taken from the other.
    """
    from ModelManagerLib.checkpoint import safe_torch_load
    from ModelManagerLib.known_files import known_sha256
    from OncoSegmentLib.experts.nnunet.loading import require_torchvision
    from OncoSegmentLib.experts.nnunet.plans_check import require_known_plans

    require_torchvision()
    require_known_plans(folder)
    try:
        with safe_torch_load(known_sha256), quiet():
            artifacts = new_session(device, True)._load_model_artifacts_from_disk(str(folder), fold, CHECKPOINT)
    except Exception as error:
        if isinstance(error, OncoError) or out_of_memory(error):
            raise
        version = " ".join(str(error).split())[:200] if "requires" in str(error) else ""
        why = version or f"{type(error).__name__}: damaged, incomplete, or of another version of nnInteractive"
        raise ModelError(f"{folder.name} cannot be loaded as weights of nnInteractive ({why})") from error
    artifacts["network"].eval()  # the package leaves it as it was made; with dropout no answer would come twice
    return artifacts


def bytes_of(artifacts: dict) -> dict[str, int]:
    """Of the network, by device."""
    return tensor_bytes(artifacts["network"].state_dict().values())


@contextlib.contextmanager
def repeatable(device: str) -> Iterator[None]:
    """Inside, chance is the same each time, and a GPU takes the ways whose sums do not vary; NumPy's generator is put back."""
    import torch

    state = np.random.get_state()
    flags = torch.backends.cudnn
    before = (flags.benchmark, flags.deterministic)
    np.random.seed(SEED)
    if device != "cpu":
        flags.benchmark, flags.deterministic = False, True
    try:
        yield
    finally:
        np.random.set_state(state)
        flags.benchmark, flags.deterministic = before


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The package prints places and times; standard output may be JSON."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def require_package() -> None:
    """ModelError without the package."""
    import importlib.util

    try:
        found = importlib.util.find_spec("nnInteractive.inference.inference_session")
    except ImportError:
        found = None
    if found is None:
        raise ModelError(
            "the engine 'nninteractive' needs the package nninteractive, which is not installed; in a clone of OncoSegment: pip"
            ' install ".[nninteractive]"'
        )

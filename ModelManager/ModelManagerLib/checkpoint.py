"""Network weights from files that nobody vouches for: hash first, no code, then a twin that cannot hold any.

A checkpoint of torch is a pickle, and reading a pickle can run anything. So: the file is copied to where nobody else can
write, and the SHA-256 of these bytes is compared before one is interpreted; what the pickle asks for is examined without
doing it (`checkpoint_pickle`); then torch reads the same bytes with `weights_only=True`. There is no way around that: what is
refused stays refused, in one sentence. What inference needs is kept as safetensors (`checkpoint_twin`) in a folder of the
user's own (`checkpoint_cache`), and loaded from there from then on; what lies beside the checkpoint is never taken for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ModelManagerLib import checkpoint_cache, checkpoint_twin
from ModelManagerLib.checkpoint_archive import open_archive
from ModelManagerLib.checkpoint_pickle import examine
from ModelManagerLib.checkpoint_values import finished, stand_ins
from OncoLib.errors import ModelError

OLDEST_TORCH = (2, 6)
"""In older ones `weights_only=True` could be led around (CVE-2025-32434, fixed in 2.6.0)."""

LARGEST_FILE = 32 << 30
CHUNK = 1 << 20

_one_load = threading.Lock()
"""torch keeps what its restricted loader may make in one place for the whole process."""

_hashes: dict[tuple, str] = {}


def safe_load(path: Path, sha256: str | None = None) -> dict:
    """All plain content of a checkpoint, tensors on the CPU; nothing in it is ever run.

    sha256: what the file must have; another hash is refused before anything is read as a pickle. Raises ModelError with
    one sentence that names what was refused; there is no second, laxer try.
    """
    path = Path(path)
    with steady(path, sha256) as stream:
        archive = open_archive(stream, path.name)
        if archive.code:
            raise ModelError(
                f"{path.name} was not loaded: it is a TorchScript archive, which holds a program and not only weights; use the"
                " model's file of weights, or confirm in words that you trust its publisher"
            )
        examine(archive.pickle, archive.records, path.name)
        return torch_load(stream, path.name)


def inference_checkpoint(path: Path, sha256: str | None = None, *, cache: Path | None = None) -> dict:
    """What inference needs of a checkpoint, from its twin; the twin is made when it is missing or does not fit.

    For nnU-Net's: network_weights, trainer_name, init_args.configuration, inference_allowed_mirroring_axes. For a plain
    state dict: its tensors. A checkpoint of another shape comes whole, by `safe_load`.
    cache: folder of the twins, `checkpoint_cache.cache_folder()` by default; not used when others can write to it.
    """
    path = Path(path)
    found = file_sha256(path)
    require_equal(found, sha256, path.name)
    folder = checkpoint_cache.private_folder(cache)
    twin = checkpoint_twin.read(folder, found) if folder else None
    if twin is not None:
        return twin
    content = safe_load(path, found)
    needed = checkpoint_twin.needed_for_inference(content, path.name)
    if needed is None:
        return content
    write_twin(folder, needed, found)
    return checkpoint_twin.assembled(needed)


def safetensors_twin(path: Path, sha256: str | None = None, *, cache: Path | None = None) -> Path:
    """The safetensors file of the checkpoint in `cache` (see `inference_checkpoint`), made now unless it is there and fits.

    Raises ModelError when the checkpoint is refused, is neither nnU-Net's nor a state dict, or no place can be written.
    """
    path = Path(path)
    found = file_sha256(path)
    require_equal(found, sha256, path.name)
    folder = checkpoint_cache.private_folder(cache)
    if folder and checkpoint_twin.read(folder, found) is not None:
        return checkpoint_twin.place_of(folder, found)
    needed = checkpoint_twin.needed_for_inference(safe_load(path, found), path.name)
    if needed is None:
        raise ModelError(f"{path.name} is neither a checkpoint of nnU-Net nor a plain state dict, so it has no safetensors twin")
    written = write_twin(folder, needed, found)
    if written is None:
        raise ModelError(
            f"{path.name}: its safetensors twin cannot be written; name a folder with {checkpoint_cache.VARIABLE} that you can"
            " write to and nobody else can"
        )
    return written


def write_twin(folder: Path | None, needed: checkpoint_twin.Needed, sha256: str) -> Path | None:
    """Where the twin was written; None when there is no place or safetensors is missing: examined anew each time then."""
    if folder is None:
        return None
    with contextlib.suppress(OSError, ImportError):
        return checkpoint_twin.write(folder, needed, sha256)
    return None


def load_torchscript(path: Path, sha256: str, *, confirmed: bool = False):
    """A TorchScript module on the CPU. It is a program: only with the user's confirmation and the hash that was confirmed."""
    path = Path(path)
    if not confirmed:
        raise ModelError(
            f"{path.name} was not loaded: a TorchScript archive holds a program and not only weights; confirm that you trust"
            " its publisher, or use the model's file of weights"
        )
    with steady(path, sha256) as stream:
        if not open_archive(stream, path.name).code:
            raise ModelError(f"{path.name} was not loaded: it is no TorchScript archive")
        stream.seek(0)
        try:
            return safe_torch().jit.load(stream, map_location="cpu")
        except Exception as error:
            raise ModelError(f"{path.name} was not loaded: torch cannot read its TorchScript ({type(error).__name__})") from error


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file, open for reading; ModelError when it cannot be, or is too large."""
    try:
        with open(path, "rb") as stream:
            if os.fstat(stream.fileno()).st_size > LARGEST_FILE:
                raise ModelError(f"{path.name} was not loaded: it has more than {LARGEST_FILE >> 30} GB")
            yield stream
    except OSError as error:
        raise ModelError(f"{path.name} was not loaded: it cannot be read ({(error.strerror or 'refused').lower()})") from error


@contextlib.contextmanager
def steady(path: Path, sha256: str | None) -> Iterator[BinaryIO]:
    """A copy of the file without a name, which nobody can change: what is hashed, examined and read are the same bytes.

    ModelError unless its SHA-256 is the one wanted (None: any). On disk it vanishes with its descriptor, also when we are
    killed; where the temporary folder has no room it is held in memory.
    """
    with opened(path) as source, contextlib.ExitStack() as stack:
        try:
            copy = stack.enter_context(tempfile.TemporaryFile())
            found = copied(source, copy, path.name)
        except OSError:
            source.seek(0)
            copy = io.BytesIO()
            found = copied(source, copy, path.name)
        require_equal(found, sha256, path.name)
        yield copy


def copied(source: BinaryIO, target: BinaryIO, name: str) -> str:
    """SHA-256 of what was copied; the target is put back to its start."""
    digest, left = hashlib.sha256(), LARGEST_FILE
    while chunk := source.read(CHUNK):
        left -= len(chunk)
        if left < 0:
            raise ModelError(f"{name} was not loaded: it grew while it was read")
        digest.update(chunk)
        target.write(chunk)
    target.seek(0)
    return digest.hexdigest()


def require_equal(found: str, wanted: str | None, file: str) -> None:
    """ModelError unless the hashes are the same, or none is wanted."""
    if wanted is not None and found != wanted.lower():
        raise ModelError(
            f"{file} was not loaded: its SHA-256 begins with {found[:12]}, wanted {wanted[:12]}; it is damaged or another file"
        )


def stream_sha256(stream: BinaryIO) -> str:
    """SHA-256 of all bytes; the stream is put back to its start."""
    stream.seek(0)
    digest = hashlib.sha256()
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
    stream.seek(0)
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, remembered by this process for a file that did not change since."""
    with opened(path) as stream:
        return known_sha256(stream, path)


def known_sha256(stream: BinaryIO, path: Path) -> str:
    """The same for an open file."""
    key = state_of(stream, path)
    if key not in _hashes:
        found = stream_sha256(stream)
        if state_of(stream, path) != key:
            return found  # changed while it was read
        _hashes[key] = found
    return _hashes[key]


def state_of(stream: BinaryIO, path: Path) -> tuple:
    """What changes when a file does. The time of the last change of its entry cannot be set back as that of its content."""
    state = os.fstat(stream.fileno())
    return str(path), state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def safe_torch():
    """torch; ModelError when it is missing or so old that its restricted loader has holes."""
    try:
        import torch
    except ImportError as error:
        raise ModelError("PyTorch is not installed in this Python; a checkpoint cannot be loaded") from error
    found = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if found < OLDEST_TORCH:
        raise ModelError(f"PyTorch {torch.__version__} cannot load checkpoints safely; wanted 2.6 or later, best 2.10 or later")
    return torch


def torch_load(stream: BinaryIO, file: str) -> dict:
    """What torch's restricted loader makes of a file that was examined."""
    torch = safe_torch()
    stream.seek(0)
    try:
        with _one_load, torch.serialization.safe_globals(stand_ins()):
            content = ORIGINAL.get("load", torch.load)(stream, map_location="cpu", weights_only=True)
        content = finished(content)
    except Exception as error:
        raise ModelError(f"{file} was not loaded: torch's restricted loader refused it ({type(error).__name__})") from error
    if not isinstance(content, dict):
        raise ModelError(f"{file} was not loaded: it holds a {type(content).__name__}; wanted a dictionary of weights")
    return content


ORIGINAL: dict[str, Callable] = {}
"""torch's own `load` while `safe_torch_load` has put ours in its place."""

_replacing = threading.Lock()
_inside = threading.local()
_blocks = 0


@contextlib.contextmanager
def safe_torch_load(
    sha256_of: Callable[[Path], str | None] = lambda path: None,
    *,
    cache: Path | None = None,
    source_of: Callable[[Path], Path] = lambda path: path,
) -> Iterator[None]:
    """Inside, `torch.load` of this thread is ours: nnU-Net's and nnInteractive's predictors get `inference_checkpoint`.

    They call `torch.load(path, map_location=..., weights_only=False)`; whatever they ask for, nothing is unpickled. Other
    threads keep torch's own function. sha256_of: the hash a checkpoint must have, or None when none is known. source_of: where
    the file lies that is asked for; hashes are asked for by what was asked.
    """
    torch = safe_torch()
    _enter(torch)
    outer = getattr(_inside, "load", None)
    _inside.load = lambda path, device: to_device(
        inference_checkpoint(source_of(path), sha256_of(path), cache=cache), device
    )
    try:
        yield
    finally:
        _inside.load = outer
        _leave(torch)


def _enter(torch) -> None:
    global _blocks
    with _replacing:
        if not _blocks:
            ORIGINAL["load"] = torch.load
            torch.load = _load_of_this_thread
        _blocks += 1


def _leave(torch) -> None:
    global _blocks
    with _replacing:
        _blocks -= 1
        if not _blocks:
            torch.load = ORIGINAL.pop("load")


def _load_of_this_thread(f, map_location=None, *arguments, **options):
    """Stands in for `torch.load`."""
    ours = getattr(_inside, "load", None)
    if ours is None:
        return ORIGINAL["load"](f, map_location, *arguments, **options)
    if not isinstance(f, (str, os.PathLike)):
        raise ModelError("a checkpoint was not loaded: only files are loaded here, no streams")
    return ours(Path(f), map_location)


def to_device(value, device):
    """The same with tensors on the device; only a torch device or its name is taken, no function that maps places."""
    if device is None or str(device) == "cpu":
        return value
    if callable(device) or isinstance(device, dict):
        raise ModelError("a checkpoint was not loaded: its place was not given as a device")
    if isinstance(value, dict):
        return {key: to_device(part, device) for key, part in value.items()}
    return value.to(device) if hasattr(value, "to") and hasattr(value, "device") else value

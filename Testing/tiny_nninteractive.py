"""A tiny nnInteractive model in its own folder layout, whose answers follow from arithmetic, and its server on loopback.

The network is a real `PlainConvUNet` of nnU-Net with 1 + 7 input channels and 2 outputs; each voxel is scored by itself:

    4 z + 10 (previous answer + positive prompts) - 40 (negative prompts) - 12.5

where z is the image normalized as the package does it. On an image of which a tenth is bright (z = 3) and the rest dark
(z = -1/3), what is bright becomes part of the answer where a positive prompt lies or lay; what a negative one covers leaves it.
With `reach`, a prompt counts for the voxels around it too, by an eightieth of its sum there: answers become thick.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tiny_nnunet import write_model

TRAINER = "nnInteractiveTrainer_stub"
LICENSE = "CC BY-NC-SA 4.0"
POSITIVE, NEGATIVE, IMAGE, BIAS = 10.0, -40.0, 4.0, -12.5
DARK, BRIGHT = 100, 200


def build(
    folder: Path, *, patch=(32, 32, 32), info: dict | None = None, license: str = LICENSE, features: int = 0, reach: int = 0
) -> Path:
    """Writes the model and returns its folder."""
    channels = [IMAGE, POSITIVE, *[POSITIVE, NEGATIVE] * 3]
    made = write_model(
        folder / "work",
        labels={"object": 1},
        factors=[[0.0] * 8, channels],
        biases=[0.0, BIAS],
        channels=("image",),
        patch=patch,
        trainer=TRAINER,
        features=features,
    )
    model = folder / "tiny_nninteractive"
    shutil.move(made, model)
    (model / "inference_info.json").write_text(json.dumps({"point_radius": 4, "interaction_decay": 0.98, **(info or {})}))
    if license:
        (model / "LICENSE").write_text(f"{license}\nhttps://creativecommons.org/licenses/by-nc-sa/4.0/\n")
    if reach:
        spread(model, reach)
    return model


def spread(model: Path, reach: int) -> None:
    """Lets prompts count for voxels up to so far from them along each axis."""
    import torch

    plans = json.loads((model / "plans.json").read_text())
    for chosen in plans["configurations"].values():
        chosen["architecture"]["arch_kwargs"]["kernel_sizes"][0] = [2 * reach + 1] * 3
    (model / "plans.json").write_text(json.dumps(plans))
    path = model / "fold_0" / "checkpoint_final.pth"
    checkpoint = torch.load(path, weights_only=True)
    for name, value in checkpoint["network_weights"].items():
        first, last = ".stages.0." in f".{name}" and "encoder" in name, name.startswith("decoder.stages.0.")
        if value.ndim == 5 and (first or last) and "transpconv" not in name:
            grown = torch.nn.functional.pad(value, [reach - 1] * 6)
            for channel in range(2, 8) if first else ():
                grown[channel, channel] = 1 / 80
            checkpoint["network_weights"][name] = grown
    torch.save(checkpoint, path)


def scene(shape=(20, 20, 20)) -> tuple[np.ndarray, np.ndarray]:
    """Voxels `[k, j, i]` with two bright boxes that fill a tenth of them, and where they are bright."""
    bright = np.zeros(shape, bool)
    bright[2:12, 3:13, 2:6] = True
    bright[8:18, 6:16, 13:17] = True
    assert bright.mean() == 0.1
    return np.where(bright, BRIGHT, DARK).astype(np.int16), bright


def ball(shape, center, radius: int = 4) -> np.ndarray:
    """The voxels of a click: those at most `radius` voxels away."""
    grid = np.indices(shape)
    return sum((axis - at) ** 2 for axis, at in zip(grid, center)) <= radius**2


@contextlib.contextmanager
def bare_session(model: Path, voxels: np.ndarray, *, autozoom: bool = True) -> Iterator[tuple]:
    """The package's own session as its README uses it, and its buffer."""
    import torch
    from nnInteractive.inference.inference_session import nnInteractiveInferenceSession

    session = nnInteractiveInferenceSession(torch.device("cpu"), torch_n_threads=1, do_autozoom=autozoom)
    session.initialize_from_trained_model_folder(str(model))
    session.set_image(voxels[None])
    buffer = np.zeros(voxels.shape, np.uint8)
    session.set_target_buffer(buffer)
    yield session, buffer


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextlib.contextmanager
def server(model: Path, *options: str, port: int = 0, key: str = "", seconds: float = 90.0) -> Iterator[tuple]:
    """The package's server with the model; yields its address and process."""
    port = port or free_port()
    call = [sys.executable, "-m", "nnInteractive.inference.server.main", "--model-dir", str(model), "--fold", "0"]
    call += ["--device", "cpu", "--no-torch-compile", "--torch-n-threads", "1", "--port", str(port), "--log-level", "warning"]
    call += [*options, *(["--api-key", key] if key else [])]
    process = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_for(port, process, seconds)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def wait_for(port: int, process: subprocess.Popen, seconds: float) -> None:
    """Until it listens."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(process.stderr.read().decode()[-2000:])
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.1)
    raise RuntimeError("the server did not begin to listen")

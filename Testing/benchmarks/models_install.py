"""A verified install against `curl`, `unzip` and `sha256sum` on the same file, from the same server on loopback.

Both end with the unpacked files and the SHA-256 of the download. The install also hashes every file, checks the archive's
names, inflates under limits, pushes its files to the disk and swaps them in; `curl` and its fellows do not.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

AIM = 0.8
SIZE, FULL_SIZE = 120_000_000, 480_000_000


def figures(data, *, full: bool):
    """Lines of this subject."""
    if not all(shutil.which(name) for name in ("curl", "unzip", "sha256sum")):
        yield "verified install: not measured, needs curl, unzip and sha256sum"
        return
    with tempfile.TemporaryDirectory() as name:
        yield from _measured(Path(name), FULL_SIZE if full else SIZE)


def _measured(folder: Path, size: int):
    from helpers_models_archives import below, nnunet_card, nnunet_files, yes, zip_of
    from helpers_models_server import ModelServer
    from ModelManagerLib import store
    from ModelManagerLib.transfer_settings import TransferSettings

    weights = np.random.default_rng(0).standard_normal(size // 4, dtype=np.float32).tobytes()  # packs as little as trained ones
    archive = zip_of(folder / "model.zip", below("Dataset999_Tiny", nnunet_files(weights=weights)))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    with ModelServer({"/model.zip": archive}) as server:
        card = nnunet_card(server.url("/model.zip"), archive.read_bytes())
        settings = TransferSettings(proxies={})

        def ours(root: Path) -> None:
            manifest = store.install(card, accept_license=yes, root=root, settings=settings)
            assert manifest.verified

        def theirs(root: Path) -> None:
            root.mkdir()
            subprocess.run(["curl", "-sS", "--noproxy", "*", "-o", "model.zip", server.url("/model.zip")], cwd=root, check=True)
            found = subprocess.run(["sha256sum", "model.zip"], cwd=root, check=True, capture_output=True, text=True).stdout
            assert found.startswith(digest)
            subprocess.run(["unzip", "-q", "model.zip"], cwd=root, check=True)

        seconds = {"ours": [], "theirs": []}
        for turn in range(3):
            for name, work in (("ours", ours), ("theirs", theirs)):
                root = folder / f"{name}{turn}"
                os.sync()  # what the other wrote is not waited for here
                began = time.perf_counter()
                work(root)
                seconds[name].append(time.perf_counter() - began)
                shutil.rmtree(root)
    mine, others = min(seconds["ours"]), min(seconds["theirs"])
    ratio = others / mine
    missed = "" if ratio >= AIM else f", misses its aim of {AIM}"
    yield (
        f"verified install of {size / 1e6:.0f} MB: {size / 1e6 / mine:.0f} MB/s against {size / 1e6 / others:.0f} MB/s"
        f" for curl, unzip and sha256sum, ratio {ratio:.2f}{missed}"
    )

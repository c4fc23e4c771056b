"""A download with its hash, against curl and sha256sum one after the other, from the same server on loopback."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.timing import paired, verdict

MEGABYTES = 400
AIM = 1.25
"""At most so many times as long: 0.8 of their throughput."""


def figures(data, *, full: bool):
    """Lines of this subject."""
    if not (shutil.which("curl") and shutil.which("sha256sum")):
        yield "download: not measured, the programs curl and sha256sum are not installed"
        return
    with tempfile.TemporaryDirectory() as folder:
        yield from _figures(Path(folder), 7 if full else 3)


def _figures(folder: Path, rounds: int):
    from helpers_models_server import ModelServer
    from ModelManagerLib.catalog import Source
    from ModelManagerLib.transfer import download
    from ModelManagerLib.transfer_part import discard
    from ModelManagerLib.transfer_settings import TransferSettings

    file, sha256 = _file(folder / "served")
    with ModelServer({"/w.zip": file}) as server:
        source = Source((server.url("/w.zip"),), file.stat().st_size, sha256)

        def ours() -> None:
            discard(folder / "ours")
            download(source, folder / "ours", settings=TransferSettings(proxies={}))

        def theirs() -> None:
            (folder / "theirs").unlink(missing_ok=True)
            fetch = ["curl", "--silent", "--fail", "--noproxy", "*", "--output", str(folder / "theirs"), source.urls[0]]
            subprocess.run(fetch, check=True)
            found = subprocess.run(["sha256sum", str(folder / "theirs")], check=True, capture_output=True, text=True).stdout
            assert found.split()[0] == sha256

        mine, other, ratio = paired(ours, theirs, rounds)
    yield (
        f"download and hash of {MEGABYTES} MB: {mine:.2f} s ({MEGABYTES / mine:.0f} MB/s) against {other:.2f} s"
        f" ({MEGABYTES / other:.0f} MB/s) for curl, then sha256sum: ratio {ratio:.2f} ({verdict(ratio, AIM)})"
    )


def _file(path: Path) -> tuple[Path, str]:
    """A file whose megabytes all differ, and its hash."""
    digest, block = hashlib.sha256(), hashlib.shake_256(b"weights").digest(1_000_000 - 8)
    with open(path, "wb") as stream:
        for number in range(MEGABYTES):
            piece = number.to_bytes(8, "little") + block
            stream.write(piece)
            digest.update(piece)
    return path, digest.hexdigest()

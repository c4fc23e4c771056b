"""A store of a test's own, a row of the user's in it, and a real server on loopback that its address leads to."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from pathlib import Path

from helpers_models_archives import nnunet_files, zip_of
from helpers_models_server import ModelServer

PLACE = "nnunet/results/Dataset901_Spleen"
ADDRESS = "https://models.example.org/"


@contextmanager
def shop(folder: Path):
    """Yields the store's folder, the environment that leads to the server, and the server with the model's zip."""
    root = folder / "store"
    root.mkdir()
    archive = zip_of(folder / "spleen.zip", nnunet_files()).read_bytes()
    row = {
        "id": "our-spleen",
        "title": "Spleen of our hospital",
        "version": "1",
        "engine": "nnunetv2",
        "license": "apache-2.0",
        "marks": {},
        "labels": {"1": "spleen"},
        "family": "totalsegmentator",
        "sources": [
            {
                "urls": [f"{ADDRESS}spleen.zip"],
                "bytes": len(archive),
                "sha256": hashlib.sha256(archive).hexdigest(),
                "sha256_source": "this test",
                "format": "zip",
            }
        ],
        "place": PLACE,
    }
    (root / "catalog.json").write_text(json.dumps({"schema": 1, "cards": [row]}))
    with ModelServer({"/spleen.zip": archive}) as server:
        mirrors = json.dumps({ADDRESS: server.url("/")})
        yield root, {"ONCOSEGMENT_MODELS": str(root), "ONCOSEGMENT_MIRRORS": mirrors, "NO_PROXY": "127.0.0.1"}, server

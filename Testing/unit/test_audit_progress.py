"""Hashes, versions and memory for provenance; the progress callback and the cancel token."""

from __future__ import annotations

import datetime
import hashlib
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from helpers import OBLIQUE, PACKAGE_PARENTS, ct_phantom, grid, image
from OncoLib import audit
from OncoLib.errors import Cancelled
from OncoLib.image_files import read_image, write_image
from OncoLib.progress import CancelToken, part_of, silent


@pytest.mark.parametrize("content", [b"", b"abc", bytes(range(256)) * 10000], ids=len)
def test_the_hash_of_a_file_is_that_of_hashlib(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    assert audit.file_sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()
    assert audit.files_sha256([tmp_path / "a"]) == hashlib.sha256(content).hexdigest()


def test_the_hash_of_several_files_knows_no_order_and_no_names(tmp_path):
    for name, content in {"a": b"1", "b": b"2", "c": b"2", "d": b"3"}.items():
        (tmp_path / name).write_bytes(content)
    first = audit.files_sha256([tmp_path / "a", tmp_path / "b"])
    assert first == audit.files_sha256([tmp_path / "c", tmp_path / "a"])
    assert first != audit.files_sha256([tmp_path / "a", tmp_path / "d"])
    assert first != audit.files_sha256([tmp_path / "a", tmp_path / "b", tmp_path / "b"])


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_the_hash_of_an_image_is_the_same_from_every_format(tmp_path, suffix):
    """On a grid whose numbers float32 holds exactly, so that every header can."""
    scan = ct_phantom(ijk_to_ras=grid((1.5, 1.5, 3.0), (-120.5, 60.25, -400.0), flips=(-1, -1, 1)))
    write_image(tmp_path / f"scan{suffix}", scan.voxels, scan.ijk_to_ras)
    assert audit.image_sha256(read_image(tmp_path / f"scan{suffix}")) == audit.image_sha256(scan)


def test_the_hash_of_an_image_knows_value_type_shape_and_place_and_nothing_else():
    scan = image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), OBLIQUE)
    changed = scan.voxels.copy()
    changed[1, 2, 3] += 1
    moved = OBLIQUE.copy()
    moved[0, 3] += 0.001
    others = [
        image(changed, OBLIQUE),
        image(scan.voxels, moved),
        image(scan.voxels.reshape(2, 4, 3), OBLIQUE),
        image(scan.voxels.astype(np.int32), OBLIQUE),
    ]
    hashes = {audit.image_sha256(other) for other in (scan, *others)}
    assert len(hashes) == 5
    named = image(scan.voxels, OBLIQUE, name="DOE^JOHN", modality="CT", source_uids=("1.2.3",))
    assert audit.image_sha256(named) == audit.image_sha256(scan)


def test_the_hash_does_not_depend_on_memory_order_or_on_the_sign_of_zero():
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    scan = image(voxels)
    from OncoLib.image import Image

    assert audit.image_sha256(Image(np.asfortranarray(voxels), np.eye(4))) == audit.image_sha256(scan)
    negative = np.eye(4)
    negative[0, 1] = negative[1, 3] = -0.0
    assert audit.image_sha256(image(voxels, negative)) == audit.image_sha256(scan)


def test_versions_are_those_that_are_installed():
    found = audit.package_versions(["nibabel", "no-such-package"])
    assert found["numpy"] == np.__version__ and "nibabel" in found and "no-such-package" not in found


def test_the_time_has_a_zone_and_is_now():
    told = datetime.datetime.fromisoformat(audit.now_iso())
    assert abs((datetime.datetime.now(datetime.timezone.utc) - told).total_seconds()) < 5


def test_peak_memory_grows_with_what_was_used():
    before = audit.peak_memory_mb()
    if before is None:
        pytest.skip("this system does not tell")
    block = np.ones(int((before + 64) * (1 << 20)), np.uint8)
    after = audit.peak_memory_mb()
    assert block.any() and before + 64 <= after < 3 * before + 256


def test_a_token_stops_the_work_once_set_from_any_thread():
    token = CancelToken()
    token.check()
    assert not token.cancelled
    thread = threading.Thread(target=token.cancel)
    thread.start()
    thread.join()
    assert token.cancelled
    with pytest.raises(Cancelled) as raised:
        token.check()
    assert (str(raised.value), raised.value.exit_code) == ("Cancelled; nothing was written.", 130)


def test_a_part_of_a_progress_fills_its_share():
    told = []
    part = part_of(lambda fraction, message: told.append((fraction, message)), 0.2, 0.6)
    for fraction in (0.0, 0.5, 1.0, None):
        part(fraction, "x")
    assert told == [(0.2, "x"), (pytest.approx(0.4), "x"), (pytest.approx(0.6), "x"), (None, "x")]
    assert silent(0.5, "x") is None


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is handed on by Linux only")
def test_peak_memory_is_that_of_the_process_and_not_of_the_one_that_started_it():
    """A job started by a large Slicer must not report Slicer's memory as its own."""
    code = (
        "import subprocess, sys; held = bytearray(600_000_000);"
        "print(subprocess.run([sys.executable, '-c', 'from OncoLib.audit import peak_memory_mb; print(peak_memory_mb())'],"
        "capture_output=True, text=True).stdout)"
    )
    path = os.pathsep.join(PACKAGE_PARENTS)
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert 5 < float(done.stdout) < 300

"""Parts of the engines without a scheduler: packing, limits of memory, kept results, GPUs, settings, addresses."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers import ct_phantom
from helpers_jobs import ball_prediction
from OncoLib.errors import InputError, OncoError, OutputError, WorkerError
from OncoLib.private_folders import hold, private_folder, sweep
from OncoLib.progress import CancelToken, silent
from OncoSegmentLib.engine import choice, gpus, memory, remote, results, shared
from OncoSegmentLib.engine.codec import write_prediction
from OncoSegmentLib.engine.perform import perform
from OncoSegmentLib.request import Region, Request

ARRAYS = hnp.arrays(
    dtype=st.sampled_from([np.uint8, np.int16, np.float32, np.float64, np.bool_]),
    shape=hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6),
)


@given(st.lists(ARRAYS, max_size=5), st.booleans(), st.booleans())
def test_values_come_back_as_they_were(tmp_path_factory, arrays, turned, reversed_):
    folder = tmp_path_factory.mktemp("arrays")
    arrays = [np.asfortranarray(one) if turned else one for one in arrays]
    arrays = [one[::-1] if reversed_ and one.ndim else one for one in arrays]
    value = {"arrays": arrays, "text": "DOE", "number": 3}
    packed = shared.pack(value, folder)
    there = shared.unpack(packed)
    assert there["text"] == "DOE" and there["number"] == 3
    for here, back in zip(arrays, there["arrays"], strict=True):
        assert back.dtype == here.dtype
        np.testing.assert_array_equal(back, here)
    assert all(start % shared.ALIGNMENT == 0 for start, _size in packed.spans)


def test_a_request_with_its_mask_and_an_image_travel_whole(tmp_path):
    scan = ct_phantom()
    region = Region("mask, label 5", mask=scan.voxels > 0, ijk_to_ras=scan.ijk_to_ras, sha256="ab" * 32)
    image, request = shared.unpack(shared.pack((scan, Request("thresholds", "liver", region=region)), tmp_path))
    np.testing.assert_array_equal(image.voxels, scan.voxels)
    np.testing.assert_array_equal(request.region.mask, region.mask)
    assert not image.voxels.flags.writeable and image.units == scan.units


def test_the_file_of_arrays_is_the_owners_alone_and_no_larger_than_they_are(tmp_path):
    array = np.ones((100, 100), np.float32)
    packed = shared.pack([array], tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size == array.nbytes == shared.bytes_of([array])
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
    assert packed.size >= array.nbytes


def test_arrays_that_do_not_fit_are_told_and_leave_no_torn_file(tmp_path, monkeypatch):
    def full(self, stream):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shared, "_write", lambda path, buffers: full(path, buffers))
    with pytest.raises(WorkerError, match="could not be put aside \\(no space left on device\\)"):
        shared.pack(np.ones(10), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_arrays_that_are_gone_are_told(tmp_path):
    packed = shared.pack(np.ones(10), tmp_path)
    os.unlink(packed.path)
    with pytest.raises(WorkerError, match="images are gone"):
        shared.unpack(packed)


def test_the_folder_lies_in_memory_only_where_there_is_room(tmp_path):
    assert private_folder("x-", in_memory=tmp_path).parent == tmp_path
    assert private_folder("x-", in_memory=tmp_path, need_bytes=1 << 60).parent != tmp_path
    assert private_folder("x-", in_memory=tmp_path / "none").parent != tmp_path


GIB = 1 << 30


@pytest.mark.parametrize(
    ("total", "reserve"), [(4 * GIB, GIB // 2), (16 * GIB, 16 * GIB // 20), (64 * GIB, 64 * GIB // 20), (512 * GIB, 4 * GIB)]
)
def test_five_percent_stay_free_within_bounds(total, reserve):
    assert memory.reserve_bytes(total) == reserve


def test_workers_share_what_is_free_less_the_reserve():
    assert memory.limit_bytes(2, available=9 * GIB, total=20 * GIB) == 4 * GIB
    assert memory.limit_bytes(1, 2 * GIB, available=9 * GIB, total=20 * GIB) == 2 * GIB
    assert memory.limit_bytes(1, 20 * GIB, available=9 * GIB, total=20 * GIB) == 8 * GIB
    assert memory.limit_bytes(1, available=0, total=20 * GIB) == memory.RESERVE_SMALLEST


def test_a_containers_limit_counts(tmp_path):
    (tmp_path / "memory.max").write_text(str(2 * GIB))
    (tmp_path / "memory.current").write_text(str(int(1.5 * GIB)))
    (tmp_path / "memory.stat").write_text(f"anon 1\ninactive_file {GIB // 4}\n")
    psutil = pytest.importorskip("psutil")
    assert memory.total_bytes(tmp_path) == min(2 * GIB, psutil.virtual_memory().total)
    assert memory.available_bytes(tmp_path) == min(int(0.75 * GIB), psutil.virtual_memory().available)
    (tmp_path / "memory.max").write_text("max")
    assert memory.total_bytes(tmp_path) == psutil.virtual_memory().total


def keep(session, size=6):
    """A whole result in a session's folder."""
    folder = session.new_folder()
    outcome = perform("helpers_jobs:ball_prediction", (size,), silent, CancelToken(), folder)
    assert outcome.kept == str(folder)
    return folder


def abandon(session):
    """Lets go of the lock, as the end of a process does."""
    os.close(session._lock)


def test_results_of_a_living_session_are_its_own(tmp_path):
    session = results.Session(tmp_path)
    keep(session)
    assert results.left_over(tmp_path) == []
    session.close()
    assert list(tmp_path.iterdir()) == []


def test_whole_results_of_a_session_that_is_gone_are_found_loaded_and_discarded(tmp_path):
    session = results.Session(tmp_path)
    first, second = keep(session, 6), keep(session, 8)
    torn = session.new_folder()
    torn.mkdir()
    (torn / "layer-0.npy").write_bytes(b"half")
    abandon(session)
    found = results.left_over(tmp_path)
    assert {one.folder for one in found} == {first, second}
    sums = sorted(int(one.load().segmentation.layers[0].sum()) for one in found)
    assert sums == [4**3, 6**3]
    found[0].discard()
    assert len(results.left_over(tmp_path)) == 1
    found[1].discard()
    assert list(tmp_path.iterdir()) == []


def test_old_results_and_empty_sessions_go(tmp_path):
    session = results.Session(tmp_path)
    keep(session)
    abandon(session)
    later = time.time() + results.KEPT_SECONDS + 10
    assert results.left_over(tmp_path, now=lambda: later) == []
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_cannot_be_read_is_a_sentence(tmp_path):
    session = results.Session(tmp_path)
    folder = keep(session)
    (folder / "layer-0.npy").write_bytes(b"damaged")
    abandon(session)
    (found,) = results.left_over(tmp_path)
    with pytest.raises(OutputError, match="cannot be read"):
        found.load()


def test_a_kept_result_is_private_and_holds_no_identity(tmp_path):
    session = results.Session(tmp_path)
    folder = keep(session)
    if os.name == "posix":
        assert folder.stat().st_mode & 0o777 == 0o700 and session.folder.stat().st_mode & 0o777 == 0o700
    assert {path.suffix for path in folder.iterdir()} <= {".npy", ".json"}
    session.close()


def test_results_that_cannot_be_kept_are_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="results cannot be kept there"):
        results.Session(tmp_path / "file" / "below")


def test_a_prediction_is_whole_only_with_its_description(tmp_path):
    write_prediction(tmp_path, ball_prediction(4, progress=silent, cancel=CancelToken()))
    assert (tmp_path / results.DONE).exists()


@pytest.mark.parametrize(
    ("value", "found"),
    [("0,2", ["0", "2"]), ("", []), ("-1", []), ("GPU-1a, 3", ["GPU-1a", "3"]), ("MIG-7", ["MIG-7"])],
)
def test_the_environment_limits_the_gpus(value, found):
    assert gpus.gpus({"CUDA_VISIBLE_DEVICES": value}) == found


def test_gpus_are_asked_of_the_driver(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 0\necho 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + os.environ["PATH"])
    assert gpus.gpus({}) == (["0", "1"] if os.name == "posix" else [])
    program.write_text("#!/bin/sh\necho NVIDIA-SMI has failed\nexit 9\n")
    assert gpus.gpus({}) == []


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"kind": "cloud"}, "kind is 'cloud'; wanted one of auto, local, process, scheduler"),
        ({"kind": "local", "workers": 0}, "workers is 0; wanted a number of 1 to 64"),
        ({"kind": "local", "memory_gb": "8"}, "memory_gb is '8'; wanted a number"),
        ({"kind": "scheduler", "scheduler": "http://host:1"}, "wanted an address like tls://host:8786"),
        ({"kind": "scheduler", "scheduler": "tls://host:8786"}, "needs the folder with its keys"),
        ({"kind": "scheduler", "scheduler": "tcp://host:8786"}, "has no TLS: everybody on the network"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        choice.make_engine(settings)


def test_settings_come_from_the_users_file(tmp_path):
    path = tmp_path / "settings.json"
    assert choice.engine_settings(path) == {}
    path.write_text('{"engine": {"kind": "process"}}')
    assert choice.make_engine(choice.engine_settings(path)).name == "process"
    path.write_text('{"engine": 3}')
    with pytest.raises(InputError, match="'engine' is no table"):
        choice.engine_settings(path)


@pytest.mark.parametrize("address", ["", "host:8786", "tls://host", "tls://:8786", "tls://host:port", "tcp://host:99999", "file:///x"])
def test_addresses_that_are_none_are_refused(address, tmp_path):
    with pytest.raises(InputError, match="wanted an address"):
        remote.checked_address(address, tmp_path, True)


def test_an_address_without_tls_is_taken_in_words_only(tmp_path):
    assert remote.checked_address("tcp://host:8786", None, True) == "tcp://host:8786"
    assert remote.checked_address("tls://host:8786", tmp_path, False) == "tls://host:8786"
    with pytest.raises(OncoError, match="--scheduler-without-tls in words"):
        remote.checked_address("tcp://host:8786", tmp_path, False)


def test_a_job_that_is_run_again_because_its_worker_was_lost_takes_what_is_done(tmp_path):
    session = results.Session(tmp_path)
    folder = keep(session)
    again = perform("helpers_jobs:fail", (), silent, CancelToken(), folder)
    assert again.kept == str(folder) and not again.error
    (folder / results.DONE).unlink()
    assert perform("helpers_jobs:ball_prediction", (8,), silent, CancelToken(), folder).get().segmentation.layers[0].sum() == 6**3
    session.close()


def test_only_folders_that_are_old_unlocked_and_ours_are_swept(tmp_path):
    old, held, young, other = (tmp_path / name for name in ("x-old", "x-held", "x-young", "y-other"))
    for folder in (old, held, young, other):
        folder.mkdir()
        (folder / "image").write_text("voxels")
        os.utime(folder, (1000, 1000))
    os.utime(young)
    (tmp_path / "x-link").symlink_to(other, target_is_directory=True)
    descriptor = hold(held)
    os.utime(held, (1000, 1000))
    sweep("x-", [tmp_path])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x-held", "x-link", "x-young", "y-other"]
    assert (other / "image").exists()
    os.close(descriptor)
    os.utime(held, (1000, 1000))
    sweep("x-", [tmp_path])
    assert not held.exists()


def test_links_among_the_results_are_not_followed(tmp_path):
    session = results.Session(tmp_path / "real")
    folder = keep(session)
    abandon(session)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "session-link").symlink_to(session.folder, target_is_directory=True)
    assert results.left_over(tmp_path / "results") == [] and folder.exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "local", "memory_gb": float("inf")},
        {"kind": "local", "memory_gb": 10**400},
        {"kind": "local", "workers": 100_000},
        {"kind": "scheduler", "scheduler": "tls://host:1", "keys": 5},
        {"kind": "scheduler", "scheduler": "tls://[::1:1", "keys": "keys"},
    ],
)
def test_hostile_settings_are_one_sentence(settings):
    with pytest.raises(InputError):
        choice.make_engine(settings)

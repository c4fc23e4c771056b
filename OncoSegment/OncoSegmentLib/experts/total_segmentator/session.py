"""One run's private surroundings for the package: a home folder of its own, and no way to the network.

The package keeps settings, a usage counter and the license number in a home folder and reads where it is from the
environment; here it gets a folder that only its owner can read and that is removed with the run. Usage statistics are
off in it. Its function that downloads missing weights, and deletes the folders of old versions, is replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from OncoLib.progress import CancelToken
from OncoSegmentLib.experts.nnunet.turns import turn

ENVIRONMENT = ("TOTALSEG_HOME_DIR", "TOTALSEG_WEIGHTS_PATH", "nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
"""The package is told where things are through the environment, of which a process has one: runs wait for each other."""


@contextlib.contextmanager
def session(weights_folder: Path, license_number: str = "", cancel: CancelToken | None = None) -> Iterator[None]:
    """Inside, the package works with these weights and this number; environment and torch are put back after.

    Waits while another thread is inside; Cancelled when the token is set meanwhile.
    """
    with turn(cancel), tempfile.TemporaryDirectory(prefix="oncosegment-totalsegmentator-") as home:
        write_config(Path(home), license_number)
        with environment_of(home, weights_folder), torch_settings_kept(), no_downloads(), cpu_by_name():
            yield


def write_config(home: Path, license_number: str) -> None:
    """The settings file that the package looks for, readable by its owner only."""
    config = {
        "totalseg_id": "not-sent",
        "send_usage_stats": False,
        "prediction_counter": 0,
        "statistics_disclaimer_shown": True,
    }
    if license_number:
        config["license_number"] = license_number
    descriptor = os.open(home / "config.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:
        json.dump(config, stream)


@contextlib.contextmanager
def environment_of(home: str, weights_folder: Path) -> Iterator[None]:
    """Sets what the package reads and puts everything back that it may have set."""
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(TOTALSEG_HOME_DIR=home, TOTALSEG_WEIGHTS_PATH=str(weights_folder))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextlib.contextmanager
def torch_settings_kept() -> Iterator[None]:
    """The package sets threads and cuDNN's search, and puts them back only when nothing goes wrong."""
    import torch

    threads, benchmark = torch.get_num_threads(), torch.backends.cudnn.benchmark
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.benchmark = benchmark


@contextlib.contextmanager
def no_downloads() -> Iterator[None]:
    """What a run needs was looked for before; the package would fetch all parts of a task for a single vertebra."""
    import totalsegmentator.python_api as api

    original, api.download_pretrained_weights = api.download_pretrained_weights, lambda number: None
    try:
        yield
    finally:
        api.download_pretrained_weights = original


@contextlib.contextmanager
def cpu_by_name() -> Iterator[None]:
    """The package (2.18) turns the device "cpu" into None where one task calls another (`teeth`), and then fails on it."""
    import totalsegmentator.python_api as api

    original = api.convert_device_to_string
    api.convert_device_to_string = lambda device: original(device) or str(device)
    try:
        yield
    finally:
        api.convert_device_to_string = original

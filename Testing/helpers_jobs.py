"""Jobs that the tests of the engines run: each is called as `function(*arguments, progress=, cancel=)`."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.segmentation import Prediction, Provenance, Segment, Segmentation
from OncoLib.terminology import CodedConcept, TerminologyEntry


def add(first, second, *, progress, cancel):
    """The sum."""
    return first + second


def nothing(*, progress, cancel):
    """An empty job."""


def total(array, *, progress, cancel):
    """Sum of an array, and whether it can be written to."""
    return float(array.sum()), bool(array.flags.writeable)


def steps(count, *, progress, cancel):
    """Tells each step."""
    for step in range(count):
        progress(step / count, f"Step {step}")
        time.sleep(0.05)
    progress(1.0, "Counted")
    return count


def wait_for_file(path, *, progress, cancel):
    """Runs until a file is there, or it is cancelled."""
    progress(0.5, "Waiting for the file")
    while not Path(path).exists():
        cancel.check()
        time.sleep(0.01)
    return "seen"


def deaf(*, progress, cancel):
    """Never looks at the token, and has a process of its own that lives for ten minutes."""
    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    child.start()
    progress(0.5, f"Deaf {os.getpid()} {child.pid}")
    time.sleep(600)


def crash(*, progress, cancel):
    """Reads address 0, as a fault in a compiled library would."""
    print("just before the crash", flush=True)
    progress(0.5, "Crashing")
    time.sleep(0.2)
    ctypes.string_at(0)


def kill_self(*, progress, cancel):
    """Ends without a word."""
    progress(0.5, "Ending")
    time.sleep(0.2)
    os._exit(9)


def swallow(gigabytes, *, progress, cancel):
    """Takes memory step by step and holds it."""
    held = []
    for step in range(int(gigabytes * 20)):
        held.append(np.ones(50_000_000 // 8))
        progress(None, f"{(step + 1) * 0.05:.2f} GB")
        time.sleep(0.02)
    time.sleep(30)


def refuse(*, progress, cancel):
    """Stops as our code does when an input cannot be used."""
    raise InputError("the value is 4; wanted 3")


def fail(*, progress, cancel):
    """Stops as a mistake in our code would."""
    raise KeyError("somewhere inside")


def no_memory(*, progress, cancel):
    """What an allocation does that the system refuses."""
    raise MemoryError


def full_disk(*, progress, cancel):
    """What a write does when nothing is left."""
    raise OSError(28, "No space left on device")


def where(*, progress, cancel):
    """Facts of the process that runs this."""
    time.sleep(0.2)
    return {"pid": os.getpid(), "gpu": os.environ.get("CUDA_VISIBLE_DEVICES"), "first": sys.path[0], "umask": umask()}


def umask() -> int:
    """Of this process."""
    old = os.umask(0o077)
    os.umask(old)
    return old


def dask_setting(name, *, progress, cancel):
    """A setting of Dask as this worker has it."""
    import dask

    return dask.config.get(name, None)


def ball_prediction(size, *, progress, cancel):
    """A small prediction."""
    labels = np.zeros((size, size, size), np.uint8)
    labels[1:-1, 1:-1, 1:-1] = 1
    concept = CodedConcept("SCT", "123037004", "Anatomical Structure")
    segment = Segment(1, "Cube", TerminologyEntry(concept, concept), (200, 100, 50))
    return Prediction(Segmentation((labels,), np.eye(4), (segment,), Provenance("test", "1"), name="Cube of the test"))


def image_facts(image: Image, *, progress, cancel):
    """What arrives of an image."""
    return {"name": image.name, "uids": image.source_uids, "notes": image.notes, "shape": image.shape_kji}


def warm_array(size, *, progress, cancel):
    """Leaves an array among the warm models."""
    from OncoSegmentLib import warm

    warm.models.get(("test", size), lambda: np.ones(size, np.uint8), lambda array: array.nbytes)


def temporary_folder(*, progress, cancel):
    """Where this process puts temporary files."""
    return tempfile.gettempdir()


def wait_with_array(array, path, *, progress, cancel):
    """Holds an array until a file is there."""
    progress(0.5, "Waiting with an array")
    while not Path(path).exists():
        cancel.check()
        time.sleep(0.01)
    return float(array.sum())


def variables(*, progress, cancel):
    """What the environment says of TotalSegmentator."""
    return {name: value for name, value in os.environ.items() if name.startswith("TOTALSEG_")}


def exits(*, progress, cancel):
    """What a program does that is run as a library."""
    sys.exit("wrong arguments")


def slow_prediction(size, *, progress, cancel):
    """A prediction that comes although it was cancelled just before."""
    progress(0.9, "About to be done")
    time.sleep(0.5)
    return ball_prediction(size, progress=progress, cancel=cancel)


def limits(*, progress, cancel):
    """Soft and hard limit of core files."""
    import resource

    return resource.getrlimit(resource.RLIMIT_CORE)


def crash_with_files(*, progress, cancel):
    """Leaves a file in the temporary folder and dies."""
    Path(tempfile.mkdtemp(prefix="left-"), "patient.nii").write_text("voxels")
    progress(0.5, tempfile.gettempdir())
    time.sleep(0.2)
    os._exit(9)


def count_temporary(*, progress, cancel):
    """Names in the temporary folder that a job left."""
    return sorted(path.name for path in Path(tempfile.gettempdir()).glob("left-*"))

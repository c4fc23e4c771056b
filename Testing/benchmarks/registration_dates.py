"""Registration of dates: our default beside ANTs' plain affine, all engines on real pairs, and the spread of the fast mode.

All in one run, processor seconds side by side; a quick run takes smaller grids and leaves the slow engines out.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from dataclasses import replace

import numpy as np

from OncoLib import background
from OncoLib.errors import OncoError
from OncoLib.image import Image
from OncoLib.image_files import read_image
from OncoLib.phantom.acquisition import follow_up
from OncoLib.phantom.patient import reference_patient
from OncoLib.phantom.scan import scan
from OncoLib.registration.engine import ENGINES, FAST, Choice, register, require
from OncoLib.registration.files import read_transform
from OncoLib.registration.presets import PRESETS
from OncoLib.registration.transform import IDENTITY, LinearTransform
from OncoSegmentLib.engine.paths import worker_path

PLAIN = "benchmarks.registration_plain:do"
"""The route to be beaten: `ants.registration(fixed, moving, "Affine")` on the scans as they are."""


def figures(data, *, full: bool):
    """Lines of this subject."""
    folders = {engine: path_of(engine) for engine in ENGINES}
    fixed, moving, true, points = torso(3.0 if full else 5.0)
    yield from beside_plain(fixed, moving, true, points, folders["ants"])
    yield spread(fixed, moving, points, 10 if full else 3)
    yield from real_pairs(data, folders, full)
    if data is not None:
        yield meningioma(data / "longitudinal_meningioma_lowres")
    if full:
        yield from beside_plain(*torso_of_full_size(), folders["ants"])


def path_of(engine: str) -> tuple[str, ...] | None:
    """Import path of an engine's process; None where it is not installed. ONCOSEGMENT_TEST_ENGINES: further folders."""
    one = ENGINES[engine]
    if not one.package:
        return ()
    more = [name for name in os.environ.get("ONCOSEGMENT_TEST_ENGINES", "").split(os.pathsep) if name]
    path = [*(more if engine != "ants" else ()), *worker_path(("registration",) if engine == "ants" else ())]
    try:
        require(one, path)
    except OncoError:
        return None
    return tuple(path)


def torso_of_full_size():
    """The same with 512x512x400 voxels or nearly so, as scanners give them."""
    return torso((0.8, 0.8, 1.5), region="trunk", samples=(1, 1, 1))


def torso(spacing_mm, **facts):
    """Two dates of the reference patient's trunk, the known map, and landmarks in its organs."""
    spacing_mm = spacing_mm if isinstance(spacing_mm, tuple) else (spacing_mm,) * 3
    first, second = follow_up(2, spacing_mm=spacing_mm, **{"region": "trunk", **facts})
    one, other = (scan(reference_patient(), date, seed=number) for number, date in enumerate((first, second)))
    true = LinearTransform(second.pose @ np.linalg.inv(first.pose))
    ijk = np.argwhere(one.truth.layers[0] > 0)[::997, ::-1]
    points = ijk @ one.image.ijk_to_ras[:3, :3].T + one.image.ijk_to_ras[:3, 3]
    return one.image, other.image, true, points


def timed(work):
    """What it gives, wall and processor seconds with those of its child processes."""
    began, before = time.monotonic(), processor_s()
    found = work()
    return found, time.monotonic() - began, processor_s() - before


def processor_s() -> float:
    """Of this process and of its children that ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def error_of(transform, true, points) -> np.ndarray:
    """Of each landmark, mm."""
    return np.linalg.norm(transform.moved(points) - true.moved(points), axis=1)


def beside_plain(fixed: Image, moving: Image, true, points, ants):
    """Our default and ANTs' plain affine on the same two scans."""
    choice = Choice(PRESETS["ct-torso"])
    found, wall, ours = timed(lambda: register(fixed, moving, choice))
    errors, before = error_of(found.transform, true, points), error_of(IDENTITY, true, points)
    size = "x".join(map(str, fixed.shape_kji[::-1]))
    yield (
        f"registration of dates, torso {size}: our default (rigid) {errors.mean():.2f} mm mean, {errors.max():.2f} most"
        f" ({before.mean():.0f} without), {ours:.1f} s of one core, {wall:.1f} s wall"
    )
    if ants is None:
        yield "registration of dates, beside ants.registration(.., 'Affine'): skipped, antspyx is not installed"
        return
    plain, wall, theirs = timed(lambda: plain_affine(fixed, moving, ants))
    errors = error_of(plain, true, points)
    judged = "met" if ours <= 0.5 * theirs else "MISSED"
    yield (
        f"registration of dates, ants.registration(.., 'Affine'): {errors.mean():.2f} mm mean, {errors.max():.2f} most,"
        f" {theirs:.1f} s of one core, {wall:.1f} s wall; ours takes {ours / theirs:.2f} of its time (aim 0.5: {judged})"
    )


def plain_affine(fixed: Image, moving: Image, path: tuple[str, ...]) -> LinearTransform:
    """ANTs' own affine, in a process of its own, on one thread."""
    from benchmarks.registration_plain import put, read
    from benchmarks.run import ROOT

    job = background.begin(PLAIN, lambda folder: put(folder, fixed, moving), read=read, path=[*path, str(ROOT / "Testing")])
    return LinearTransform(background.wait(job), "affine")


def spread(fixed: Image, moving: Image, points, runs: int) -> str:
    """Of the fast mode over some runs, and whether the other one is equal twice."""
    fast = [register(fixed, moving, Choice(PRESETS["ct-torso"], mode=FAST)).transform.moved(points) for _ in range(runs)]
    widest = max(float(np.linalg.norm(one - fast[0], axis=1).max()) for one in fast)
    two = [register(fixed, moving, Choice(PRESETS["ct-torso"])).transform.fixed_to_moving_ras.tobytes() for _ in range(2)]
    return (
        f"registration of dates: fast mode, {runs} runs on {os.cpu_count()} cores, apart by {widest:.3f} mm at most;"
        f" deterministic mode twice: {'bit for bit equal' if two[0] == two[1] else 'DIFFERENT'}"
    )


def real_pairs(data, folders, full: bool):
    """All engines on real brains, beside the reference transforms that came with them."""
    cases = list(ms_cases(data)) if data else []
    if not cases:
        yield "registration of real pairs: skipped, the shared test data is not there"
        return
    for name, fixed, moving, reference, points in cases[: None if full else 1]:
        before = np.linalg.norm(reference.moved(points) - points, axis=1)
        for engine in ENGINES if full else ("simpleitk",):
            if folders[engine] is None:
                yield f"registration of real pairs, {name}, {engine}: skipped, {ENGINES[engine].package} is not installed"
                continue
            choice = Choice(PRESETS["mr-brain"], engine=engine, worker_path=folders[engine])
            files = set(os.listdir(tempfile.gettempdir()))
            try:
                found, wall, cpu = timed(lambda fixed=fixed, moving=moving, choice=choice: register(fixed, moving, choice))
            except OncoError as error:
                yield f"registration of real pairs, {name}, {engine}: {error}"
                continue
            apart = error_of(found.transform, reference, points)
            left = len({one for one in set(os.listdir(tempfile.gettempdir())) - files if "oncosegment-job" in one})
            yield (
                f"registration of real pairs, {name}, {engine} rigid: {apart.mean():.2f} mm mean, {apart.max():.2f} most from the"
                f" reference ({before.mean():.1f} without), {cpu:.1f} s of one core, {wall:.1f} s wall, {left} files left behind"
            )


def ms_cases(data):
    """Two studies of two patients: FLAIR of both dates, the reference map between them, points in the brain."""
    folder = data / "longitudinal_ms"
    for patient in ("patient01", "patient12"):
        place = folder / patient
        names = {number: next(iter(sorted(place.glob(f"study{number}_FLAIR.nii*"))), None) for number in (1, 2)}
        maps = {number: place / f"study{number}_FLAIR_to_common_space.txt" for number in (1, 2)}
        if None in names.values() or not all(path.is_file() for path in maps.values()):
            continue
        fixed, moving = (replace(read_image(names[number]), modality="MR") for number in (1, 2))
        to_common = {number: read_transform(path) for number, path in maps.items()}
        reference = to_common[1].inverse().then(to_common[2])  # each takes points of the common space to its own study
        brain = read_image(place / "brainmask.nii.gz")
        inside = np.argwhere(brain.voxels > 0)[::4001, ::-1] @ brain.ijk_to_ras[:3, :3].T + brain.ijk_to_ras[:3, 3]
        yield patient, fixed, moving, reference, to_common[1].moved(inside)


def meningioma(folder) -> str:
    """Two dates with voxels of 5 mm beside the transform that came with them, made by hand or by another program: no truth."""
    from alignment_cases import lps_transform, nearest_rigid

    first, second = (read_image(folder / f"MRBrainTumor{number}.nii.gz", modality="MR") for number in (1, 2))
    given = LinearTransform(nearest_rigid(lps_transform(folder / "MRMeningioma01.tfm")))
    found, _wall, cpu = timed(lambda: register(first, second, Choice(PRESETS["mr-brain"])))
    bright = np.argwhere(first.voxels > first.voxels.mean())[::37, ::-1]
    points = bright @ first.ijk_to_ras[:3, :3].T + first.ijk_to_ras[:3, 3]
    apart, before = error_of(found.transform, given, points), error_of(IDENTITY, given, points)
    return (
        f"registration of the meningioma pair (voxels of 5 mm, illustrates only): {apart.mean():.1f} mm mean, {apart.max():.1f}"
        f" most from the transform that came with it ({before.mean():.1f} without), {cpu:.1f} s of one core"
    )

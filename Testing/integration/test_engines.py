"""The same job in every place: same result, same errors, in any memory order, without identity."""

from __future__ import annotations

import tempfile

import numpy as np
import pytest

import helpers_jobs
from helpers import OBLIQUE, ct_phantom, image
from OncoLib import background
from OncoLib.background import own_path
from OncoLib.errors import Cancelled, GeometryError, InputError, ModelError, OutputError, WorkerError
from OncoLib.image import Image
from OncoLib.progress import CancelToken
from OncoSegmentLib.engine import jobs
from OncoSegmentLib.engine.inline import InlineEngine
from OncoSegmentLib.engine.process import ProcessEngine
from OncoSegmentLib.engine.results import results_root
from OncoSegmentLib.request import Region, Request
from OncoSegmentLib.segment import segment

BONES = Request("thresholds", "bones")
KINDS = ("inline", "process", "local")


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """One engine of each kind; the local one is missing where Dask is not installed."""
    path = [*own_path(), str(tmp_path_factory.getbasetemp().parent), helpers_jobs.__file__.rpartition("/")[0]]
    results = tmp_path_factory.mktemp("results")
    made = {"inline": InlineEngine(), "process": ProcessEngine(path=path, results=results)}
    yield lambda kind: made[kind] if kind in made else made.setdefault(kind, local_engine(path, results))
    for engine in made.values():
        engine.close()


def local_engine(path, results):
    """An engine with one worker; skips without Dask."""
    pytest.importorskip("distributed")
    from OncoSegmentLib.engine.local import LocalEngine

    return LocalEngine(path=path, results=results, gpus=[])


@pytest.fixture(params=KINDS)
def engine(request, engines):
    """Each kind of engine."""
    return engines(request.param)


def done(engine, function, *arguments, **options):
    """The result of one job."""
    return background.wait(engine.submit(function, *arguments, **options))


def test_a_segmentation_is_that_of_the_same_process(engine):
    scan = ct_phantom(ijk_to_ras=OBLIQUE @ np.diag([2.0, 2.0, 0.7, 1.0]))
    there = jobs.run(scan, BONES, engine=engine).segmentation
    here = segment(scan, BONES).segmentation
    np.testing.assert_array_equal(there.layers[0], here.layers[0])
    np.testing.assert_array_equal(there.ijk_to_ras, here.ijk_to_ras)
    assert there.segments == here.segments and there.name == here.name
    for fact in ("model", "model_version", "parameters", "input_sha256", "device", "packages"):
        assert getattr(there.provenance, fact) == getattr(here.provenance, fact), fact
    assert there.provenance.seconds > 0 and there.provenance.peak_memory_mb > 0


def test_measures_come_with_the_segmentation(engine):
    scan = ct_phantom()
    job = jobs.start(scan, BONES, measure=True, engine=engine)
    with_job = background.wait(job)
    alone = background.wait(jobs.start_measure(with_job.segmentation, scan, engine=engine))
    assert len(with_job.measures) == len(with_job.segmentation.segments) > 0
    for first, second in zip(with_job.measures, alone.measures):
        assert {name: m.value for name, m in first.measurements.items()} == pytest.approx(
            {name: m.value for name, m in second.measurements.items()}, nan_ok=True
        )


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_a_region_travels_with_the_request(engine, kind):
    scan = ct_phantom()
    mask = np.zeros(scan.shape_kji, bool)
    mask[4:20, 6:20, 6:36] = True
    region = Region("mask, label 5", mask=mask, ijk_to_ras=scan.ijk_to_ras, sha256="ab" * 32)
    if kind == "box":
        region = Region("box", box_ras_mm=(10.0, 60.0, 10.0, 40.0, 5.0, 40.0))
    asked = Request("thresholds", "liver", region=region, device="cpu")
    there, here = jobs.run(scan, asked, engine=engine).segmentation, segment(scan, asked).segmentation
    np.testing.assert_array_equal(there.layers[0], here.layers[0])
    assert there.layers[0].any() and there.segments == here.segments
    assert there.provenance.parameters == here.provenance.parameters


QUICK = {("int16", "view"), ("float32", "F"), ("float64", "C")}
"""Each order and most types once; all of them together take half a minute."""


@pytest.mark.parametrize(
    ("kind", "order"),
    [
        pytest.param(kind, order, marks=() if (kind, order) in QUICK else pytest.mark.slow)
        for kind in ("int16", "int32", "float32", "float64")
        for order in ("C", "F", "view")
    ],
)
def test_images_of_any_type_and_memory_order(engine, kind, order):
    voxels = ct_phantom().voxels.astype(kind)
    turned = {"C": voxels, "F": np.asfortranarray(voxels), "view": np.repeat(voxels, 2, axis=2)[:, :, ::2]}[order]
    scan = Image(turned, ct_phantom().ijk_to_ras)
    there = jobs.run(scan, BONES, engine=engine).segmentation
    np.testing.assert_array_equal(there.layers[0], segment(scan, BONES).segmentation.layers[0])


def errors_to_expect():
    scan = ct_phantom()
    other = Region("mask", mask=np.ones((2, 2, 2), bool), ijk_to_ras=np.eye(4))
    return {
        "no profile": (scan, Request("thresholds"), InputError),
        "unknown model": (scan, Request("no-such-model"), ModelError),
        "gpu": (scan, Request("thresholds", "bones", device="cuda"), ModelError),
        "modality": (image(scan.voxels, modality="MR"), BONES, InputError),
        "all NaN": (image(np.full((4, 4, 4), np.nan, np.float32)), BONES, InputError),
        "other grid": (scan, Request("thresholds", "liver", region=other), GeometryError),
    }


LONGER = ("gpu", "modality", "all NaN")


@pytest.mark.parametrize(
    "what", [pytest.param(one, marks=pytest.mark.slow if one in LONGER else ()) for one in errors_to_expect()]
)
def test_errors_keep_their_kind_and_their_sentence(engine, what):
    scan, asked, kind = errors_to_expect()[what]
    with pytest.raises(kind) as here:
        segment(scan, asked)
    with pytest.raises(kind) as there:
        jobs.run(scan, asked, engine=engine)
    assert type(there.value) is type(here.value) and str(there.value) == str(here.value)


@pytest.mark.parametrize(
    ("function", "kind", "sentence"),
    [
        (helpers_jobs.refuse, InputError, "the value is 4; wanted 3"),
        pytest.param(helpers_jobs.fail, WorkerError, r"The job failed unexpectedly \(KeyError\)\.", marks=pytest.mark.slow),
        pytest.param(helpers_jobs.exits, WorkerError, r"The job failed unexpectedly \(SystemExit\)\.", marks=pytest.mark.slow),
        (helpers_jobs.no_memory, WorkerError, "ran out of memory"),
        pytest.param(helpers_jobs.full_disk, OutputError, "The job stopped: no space left on device", marks=pytest.mark.slow),
    ],
)
def test_what_goes_wrong_inside_a_job_is_one_sentence_and_the_next_job_runs(engine, function, kind, sentence):
    job = engine.submit(function)
    while not job.poll().finished:
        pass
    log = job.log
    with pytest.raises(kind, match=sentence):
        job.result()
    job.close()
    assert "Error" in log or "SystemExit" in log
    assert done(engine, helpers_jobs.add, 2, 3) == 5


def test_identity_stays_behind(engine):
    scan = image(ct_phantom().voxels, name="DOE^JOHN", modality="CT", units="HU", source_uids=("1.2.840.4711",))
    facts = done(engine, helpers_jobs.image_facts, jobs.without_identity(scan.with_notes("from DOE^JOHN.nii")))
    assert facts == {"name": "", "uids": (), "notes": (), "shape": scan.shape_kji}


def test_a_function_that_another_process_cannot_import_is_refused(engine):
    with pytest.raises(TypeError, match="top of a module"):
        engine.submit(lambda *, progress, cancel: 1)


def test_a_result_is_on_disk_before_it_is_given_out(engine):
    if engine.name == "inline":
        pytest.skip("the caller of an inline job has the result at once")
    job = engine.submit(helpers_jobs.ball_prediction, 8, keep=True)
    while not job.poll().finished:
        pass
    assert (job.kept / "prediction.json").is_file()
    prediction = job.result()
    job.close()
    assert prediction.segmentation.layers[0].sum() == 6**3
    assert (job.kept / "prediction.json").is_file(), "it stays until the scene has it"


def test_a_result_that_was_cancelled_does_not_stay_on_disk(engine):
    if engine.name == "inline":
        pytest.skip("an inline job is over when it can be cancelled")
    before = list(engine.session.folder.glob("result-*/prediction.json"))
    job = engine.submit(helpers_jobs.slow_prediction, 8, keep=True)
    while job.poll().message != "About to be done":
        pass
    job.cancel()
    while not job.poll().finished:
        pass
    with pytest.raises(Cancelled):
        job.result()
    job.close()
    assert list(engine.session.folder.glob("result-*/prediction.json")) == before


def test_progress_has_fraction_and_stage(engine):
    told = []
    if engine.name == "inline":
        engine = InlineEngine(progress=lambda *what: told.append(what))
        assert done(engine, helpers_jobs.steps, 20) == 20
    else:
        assert background.wait(engine.submit(helpers_jobs.steps, 20), progress=lambda *what: told.append(what)) == 20
    stages = [what for what in told if what[1].startswith("Step")]
    assert stages == sorted(stages, key=lambda what: what[0]) and len(set(stages)) > 3


def test_cancel_before_it_began(engine):
    token = CancelToken()
    token.cancel()
    if engine.name == "inline":
        engine = InlineEngine(cancel=token)
    with pytest.raises(Cancelled):
        background.wait(engine.submit(helpers_jobs.wait_for_file, "/nowhere"), cancel=token)


def test_results_lie_where_the_environment_says(tmp_path):
    assert results_root({"ONCOSEGMENT_RESULTS": str(tmp_path)}) == tmp_path
    assert results_root({}, home=tmp_path) == tmp_path / ".oncosegment" / "results"
    assert tempfile.gettempdir()

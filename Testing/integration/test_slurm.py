"""Jobs on a real SLURM of one node: the same numbers as here, Cancel, lost workers, closed doors, and nothing left after."""

from __future__ import annotations

import http.client
import os

import numpy as np
import pytest

import helpers_jobs as jobs
from helpers import reference_ct
from helpers_cli import run_cli
from helpers_cluster import connected, laptop_keys, running_cluster
from helpers_engine import finished, result, says, until
from helpers_slurm import NoSlurm, running_slurm
from helpers_total_segmentator import NO_PACKAGE, blocks
from OncoLib.errors import Cancelled, ModelError, WorkerError
from OncoLib.image_files import read_image, write_image

pytestmark = pytest.mark.slow
distributed = pytest.importorskip("distributed")
psutil = pytest.importorskip("psutil")
pytest.importorskip("dask_jobqueue")
pytest.importorskip("cryptography")

MEMORY = "1GB"
LOOPBACK = ("--host", "127.0.0.1")
CT = ("--profile", "bones", "--modality", "CT", "--units", "HU")


@pytest.fixture(scope="module")
def slurm():
    """A node of eight CPUs and two GPUs that do not compute."""
    try:
        with running_slurm() as found:
            yield found
    except NoSlurm as error:
        pytest.skip(f"SLURM cannot run here: {error}")


@pytest.fixture(scope="module")
def keys(slurm):
    """Keys in a folder that the node reads."""
    from OncoSegmentLib.engine.keys import make_keys

    make_keys(slurm.folder / "keys")
    return slurm.folder / "keys"


@pytest.fixture(scope="module")
def laptop(keys, slurm):
    """The keys of whoever sends jobs."""
    return laptop_keys(keys, slurm.folder / "laptop")


@pytest.fixture(scope="module")
def cluster(slurm, keys):
    """Two jobs with a worker each; no test may end them."""
    with running_cluster("slurm", "--keys", keys, "--memory", MEMORY, "--jobs", 2, *LOOPBACK, env=slurm.environment) as made:
        made.line("Workers: 2")
        yield made


@pytest.fixture
def engine(cluster, laptop, tmp_path):
    """Sends jobs to both workers."""
    with connected(cluster.address, laptop, tmp_path / "results", workers=2) as made:
        yield made


@pytest.fixture(scope="module")
def image_file(tmp_path_factory):
    """The chest of the reference patient."""
    path, image = tmp_path_factory.mktemp("image") / "chest.nii.gz", reference_ct()
    write_image(path, image.voxels, image.ijk_to_ras)
    return path


def labels(folder) -> np.ndarray:
    """Voxels of the label map that `segment` wrote."""
    return np.asarray(read_image(folder / "segmentation.nii.gz").voxels)


def test_the_node_runs_what_it_is_given(slurm):
    """Of the helper itself: a failure here is none of ours."""
    assert slurm.run("srun", "--gres=gpu:2", "printenv", "CUDA_VISIBLE_DEVICES").strip() == "0,1"


def test_a_segmentation_on_the_cluster_is_that_of_this_process(cluster, laptop, image_file, tmp_path):
    common = ["segment", image_file, *CT, "--nifti", "--json", "--output"]
    here = run_cli(*common, tmp_path / "here")
    there = run_cli(*common, tmp_path / "there", "--scheduler", cluster.address, "--keys", laptop)
    assert (here.code, there.code) == (0, 0), there.err
    assert labels(tmp_path / "here").any()
    np.testing.assert_array_equal(labels(tmp_path / "here"), labels(tmp_path / "there"))
    assert here.json["segments"] == there.json["segments"]
    assert here.json["geometry"] == there.json["geometry"]


def test_a_network_runs_on_the_cluster_with_the_weights_that_lie_there(slurm, keys, laptop, tmp_path):
    """Tiny networks in a folder that the node reads; the process that asks does not know where it is."""
    pytest.importorskip("totalsegmentator", reason=NO_PACKAGE)
    pytest.importorskip("torch")
    import tiny_totalsegmentator as tiny
    from OncoSegmentLib.experts.total_segmentator import tasks

    weights = slurm.folder / "weights"
    for one in tasks.weights_of(tasks.task("total"), "fastest"):
        tiny.build(weights, [one])
    write_image(tmp_path / "blocks.nii.gz", blocks().voxels, blocks().ijk_to_ras)
    asked = ["segment", tmp_path / "blocks.nii.gz", "--model", "totalsegmentator", "--speed", "fastest", "--modality", "CT"]
    asked += ["--units", "HU", "--device", "cpu", "--nifti", "--output"]
    found = {"TOTALSEG_WEIGHTS_PATH": str(weights)}
    with running_cluster("slurm", "--keys", keys, "--memory", "3GB", *LOOPBACK, env={**slurm.environment, **found}) as made:
        there = run_cli(*asked, tmp_path / "there", "--scheduler", made.address, "--keys", laptop, timeout=300)
    assert there.code == 0, there.err
    os.environ.update(found)
    try:
        here = run_cli(*asked, tmp_path / "here", timeout=300)
    finally:
        os.environ.pop("TOTALSEG_WEIGHTS_PATH")
    assert here.code == 0, here.err
    assert labels(tmp_path / "here").any()
    np.testing.assert_array_equal(labels(tmp_path / "here"), labels(tmp_path / "there"))


def test_weights_that_the_workers_do_not_have_are_named(cluster, laptop, image_file, tmp_path):
    pytest.importorskip("totalsegmentator", reason=NO_PACKAGE)
    asked = ["segment", image_file, "--model", "totalsegmentator", "--speed", "fastest", "--modality", "CT", "--units", "HU"]
    done = run_cli(*asked, "--output", tmp_path / "out", "--scheduler", cluster.address, "--keys", laptop)
    assert done.code == ModelError.exit_code
    assert "oncosegment models install totalsegmentator-298" in done.sentence
    assert not (tmp_path / "out").exists()


def test_cancel_stops_a_job_and_the_worker_does_the_next(engine, tmp_path):
    job = engine.submit(jobs.wait_for_file, str(tmp_path / "never"))
    says(job, "Waiting for the file")
    job.cancel()
    with pytest.raises(Cancelled):
        finished(job).result()
    assert result(engine.submit(jobs.add, 1, 2)) == 3


def test_a_job_that_does_not_listen_is_killed_with_its_children_and_its_slurm_job_goes_on(engine, slurm):
    before = slurm.jobs()
    job = engine.submit(jobs.deaf)
    pids = [int(word) for word in says(job, "Deaf").split()[1:]]
    job.cancel()
    with pytest.raises(Cancelled):
        finished(job).result()
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids), 10, "the end of its processes")
    until(lambda: len(engine.workers()) == 2, 30, "the new worker")
    assert slurm.jobs() == before
    assert result(engine.submit(jobs.add, 2, 3)) == 5


def test_a_job_that_takes_more_than_its_memory_ends_as_one_sentence_and_the_slurm_job_goes_on(engine, slurm):
    before = slurm.jobs()
    with pytest.raises(WorkerError, match="^The job's process ended without a result"):
        result(engine.submit(jobs.swallow, 1.5))
    assert slurm.jobs() == before
    until(lambda: len(engine.workers()) == 2, 30, "the new worker")


@pytest.mark.parametrize("security", ["none", "of another cluster", "plain text"])
def test_another_client_is_refused(cluster, engine, security, tmp_path):
    from OncoSegmentLib.engine.keys import make_keys, security_of

    keys = {"none": distributed.Security(require_encryption=True)}
    if security == "of another cluster":
        make_keys(tmp_path / "other")
        keys[security] = security_of(tmp_path / "other")
    address = cluster.address.replace("tls://", "tcp://") if security == "plain text" else cluster.address
    with pytest.raises((OSError, TypeError, RuntimeError)):
        with distributed.Client(address, security=keys.get(security), timeout=3, set_as_default=False) as client:
            client.submit(sum, [1, 2]).result(timeout=3)
    assert result(engine.submit(jobs.add, 20, 2)) == 22, "and the cluster goes on"


def test_the_command_line_says_in_one_sentence_that_the_keys_do_not_fit(cluster, image_file, tmp_path):
    from OncoSegmentLib.engine.keys import make_keys

    make_keys(tmp_path / "other")
    arguments = [*CT, "--output", tmp_path / "out", "--scheduler", cluster.address]
    done = run_cli("segment", image_file, *arguments, "--keys", tmp_path / "other")
    assert done.code == WorkerError.exit_code
    assert "scheduler" in done.sentence
    assert not (tmp_path / "out").exists()


def test_scheduler_nannies_and_workers_listen_once_each_and_to_nobody_without_tls(cluster, slurm):
    """And where the scheduler was told to listen alone: no dashboard, no web server, no other interface."""
    found = []
    for pid in {cluster.process.pid, *slurm.worker_processes()}:
        for one in psutil.Process(pid).net_connections(kind="tcp"):
            if one.status == psutil.CONN_LISTEN:
                found.append((one.laddr.ip, one.laddr.port))
    assert {address for address, _port in found} == {"127.0.0.1"}
    assert len(found) == 1 + 2 + 2
    for address, port in found:
        connection = http.client.HTTPConnection(address, port, timeout=5)
        with pytest.raises((http.client.HTTPException, OSError)):
            connection.request("GET", "/")
            connection.getresponse()


def test_the_job_script_holds_no_key_and_only_the_owner_reads_what_the_jobs_write(cluster, keys, slurm):
    scripts = [slurm.run("scontrol", "write", "batch_script", number, "-") for number in slurm.jobs()]
    assert len(scripts) == 2
    assert all(f"--tls-key {keys / 'cluster-key.pem'}" in text and "PRIVATE" not in text for text in scripts)
    logs = [path for folder in keys.glob("logs-*") for path in (folder, *folder.iterdir())]
    assert len(logs) > 2
    assert {path.stat().st_mode & 0o077 for path in (keys, *logs)} == {0}


def test_each_worker_of_a_job_with_two_gpus_has_one(slurm, keys, laptop, tmp_path):
    options = ["--keys", keys, "--memory", "2GB", "--gpus", 2, "--cores", 2, *LOOPBACK]
    with running_cluster("slurm", *options, env=slurm.environment) as made:
        with connected(made.address, laptop, tmp_path / "results", workers=2) as engine:
            assert engine.gpu_workers() == 2
            both = [engine.submit(jobs.where, gpu="required") for _ in range(2)]
            assert sorted(result(job)["gpu"] for job in both) == ["0", "1"]
            assert set(engine.client().run(os.environ.get, "OMP_NUM_THREADS").values()) == {"1"}, "two cores for two workers"


def test_without_a_gpu_a_job_that_must_have_one_is_refused(engine):
    with pytest.raises(ModelError, match="no worker has a GPU"):
        result(engine.submit(jobs.where, gpu="required"))
    assert result(engine.submit(jobs.where))["gpu"] == ""


def test_scancel_in_the_middle_of_a_job_is_one_sentence_and_the_client_lives(slurm, keys, laptop, tmp_path):
    options = ["--keys", keys, "--memory", MEMORY, "--jobs", 2, *LOOPBACK]
    with running_cluster("slurm", *options, env=slurm.environment) as made:
        numbers = made.line("Jobs of SLURM: ").removeprefix("Jobs of SLURM: ").partition(" (")[0].split(", ")
        with connected(made.address, laptop, tmp_path / "results", workers=2) as engine:
            job = engine.submit(jobs.deaf)
            pids = [int(word) for word in says(job, "Deaf").split()[1:]]
            number = job_of(pids[0])
            assert number in numbers
            slurm.run("scancel", number)
            with pytest.raises(WorkerError, match="^The job's process ended without a result"):
                finished(job).result()
            assert result(engine.submit(jobs.add, 1, 2)) == 3, "the other worker"
            until(lambda: not any(psutil.pid_exists(pid) for pid in pids), 20, "the end of its processes")
            made.line("Workers: 1; jobs: 1 running")


def job_of(pid: int) -> str:
    """Number of the SLURM job that a process belongs to."""
    variables = dict(one.partition("=")[::2] for one in open(f"/proc/{pid}/environ").read().split("\0"))
    return variables["SLURM_JOB_ID"]
